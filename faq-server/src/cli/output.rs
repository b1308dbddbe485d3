//! The one writer to stdout, and the one to stderr.

use std::fmt::Display;
use std::io::{BufWriter, IsTerminal, Stdout, Write};

use faq_core::Failure;
use serde::Serialize;

use super::error::{CliError, Result};

/// Results on their way to stdout: text for people, or JSON for machines.
pub(super) struct Output {
    stdout: BufWriter<Stdout>,
    json: bool,
    colour: bool,
    written: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let stdout = std::io::stdout();
        let colour = stdout.is_terminal() && wants_colour();
        Self {
            stdout: BufWriter::new(stdout),
            json,
            colour,
            written: false,
        }
    }

    /// Whether `--json` was given.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether anything was written.
    pub(super) fn has_written(&self) -> bool {
        self.written
    }

    /// One JSON value on a line of its own.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(value)?;
        self.line(line)
    }

    /// A line of text.
    pub(super) fn line(&mut self, text: impl Display) -> Result<()> {
        self.written = true;
        writeln!(self.stdout, "{text}").map_err(to_stdout)
    }

    /// Text without a line's end, shown at once.
    pub(super) fn piece(&mut self, text: &str) -> Result<()> {
        self.written = true;
        self.stdout
            .write_all(text.as_bytes())
            .and_then(|()| self.stdout.flush())
            .map_err(to_stdout)
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.stdout.flush().map_err(to_stdout)
    }

    /// `text` in bold on a terminal.
    pub(super) fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    /// `text` in a quiet colour on a terminal.
    pub(super) fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    /// `text` marked, as a quotation or a word that was looked for.
    pub(super) fn marked(&self, text: &str) -> String {
        self.styled("1;33", text)
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn to_stdout(source: std::io::Error) -> CliError {
    CliError::Stream {
        action: "write to stdout",
        source,
    }
}

/// `NO_COLOR` (no-color.org) and `TERM=dumb` are kept.
fn wants_colour() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A line to stderr, or several. Where nobody listens there is nobody to tell.
pub(super) fn note(text: impl Display) {
    let text = escaped(&text.to_string(), |c| c != '\n' && c != '\t');
    let _unheard = writeln!(std::io::stderr().lock(), "{text}");
}

/// A name or a sentence that holds one, on one line and as it is, but for control characters, which
/// are shown as escapes: a file's name must not steer the terminal, nor look like another line.
pub(super) fn visible(text: impl Display) -> String {
    escaped(&text.to_string(), |_| true)
}

/// A file that was not taken in, and why.
pub(super) fn failed(failure: &Failure) -> String {
    let path = visible(failure.path.display());
    format!("failed: {path}: {}", visible(&failure.error))
}

fn escaped(text: &str, which: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && which(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A sentence about something that is wrong and stops nothing.
pub(super) fn warning(text: impl Display) {
    note(format_args!("warning: {text}"));
}

/// A sentence about what went wrong.
pub(super) fn error(text: impl Display) {
    note(format_args!("error: {text}"));
}

/// `1 file`, `2 files`.
pub(super) fn count(n: usize, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(n as u64))
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A size as people read it, in powers of ten.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64 / 1e3;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    if bytes < 1000 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Columns of equal width, two blanks apart; the ones in `right` are aligned to the right.
pub(super) fn table(header: &[&str], rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .chain([header[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (column, cell) in cells.enumerate() {
            let blanks = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            if column > 0 {
                line.push_str("  ");
            }
            if right.contains(&column) {
                line.push_str(&blanks);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&blanks);
            }
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(&mut header.iter().copied())];
    lines.extend(
        rows.iter()
            .map(|row| line(&mut row.iter().map(String::as_str))),
    );
    lines
}

/// At most `most` characters of `text` on one line, with `…` where some are left out.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let line = one_line(text);
    if line.chars().count() <= most {
        return line;
    }
    let head: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

/// Text with its white space made single blanks, and control characters taken out: what a
/// document says must not steer the terminal.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace()
        .map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_sizes_short() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(90_868_376), "90.9 MB");
        assert_eq!(size(999_960), "1.0 MB");
    }

    #[test]
    fn shortening_counts_characters_and_drops_control_characters() {
        assert_eq!(shortened("Grüße an\nalle", 9), "Grüße an…");
        assert_eq!(shortened("a\u{1b}[31mb", 20), "a[31mb");
    }

    #[test]
    fn names_are_shown_as_they_are_but_for_control_characters() {
        let name = "Grüße  an\u{1b}[31m\nalle\u{9b}";
        assert_eq!(visible(name), "Grüße  an\\u{1b}[31m\\nalle\\u{9b}");
        assert_eq!(escaped("a\n\tb\r", |c| c != '\n' && c != '\t'), "a\n\tb\\r");
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".to_owned(), "1".to_owned()],
            vec!["bbb".to_owned(), "100".to_owned()],
        ];
        assert_eq!(
            table(&["id", "n"], &rows, &[1]),
            ["id     n", "a      1", "bbb  100"]
        );
    }
}

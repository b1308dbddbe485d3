//! Numbers as a spreadsheet shows them: number formats (ECMA-376, 18.8.31), dates among them.
//!
//! Of a format's parts, those are kept that change what is read: digits after the point,
//! grouping, percent, exponents, dates and times, and literal text. Fractions and what cannot
//! be told are shown as plain numbers.

use super::date::{self, DatePart, Epoch};

/// A number format, taken apart.
#[derive(Debug, Clone)]
pub(super) struct NumberFormat {
    /// For positive numbers, negative ones and zero; at least the first.
    sections: Vec<Section>,
}

#[derive(Debug, Clone)]
enum Section {
    General { before: String, after: String },
    Number(Digits),
    Date(Vec<DatePart>),
}

#[derive(Debug, Clone, Default)]
struct Digits {
    before: String,
    after: String,
    least_whole: usize,
    least_decimals: usize,
    most_decimals: usize,
    grouped: bool,
    percent: bool,
    /// Commas at the end: thousands are left off.
    thousands: usize,
    exponent: bool,
}

/// A number in the shortest form with at most 15 digits, as a cell without a format has it.
pub(crate) fn general(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    let size = rounded.abs();
    if size != 0.0 && !(1e-9..1e15).contains(&size) {
        return format!("{rounded:E}");
    }
    // Minus zero is zero.
    format!("{}", rounded + 0.0)
}

impl NumberFormat {
    pub(super) fn new(code: &str) -> Self {
        let sections = split_sections(code);
        Self {
            sections: sections.iter().take(3).map(|s| section(s)).collect(),
        }
    }

    /// `value` as a cell with this format shows it.
    pub(super) fn shown(&self, value: f64, epoch: Epoch) -> String {
        let (section, value) = match (self.sections.as_slice(), value) {
            ([_, negative, ..], v) if v < 0.0 => (negative, -v),
            ([_, _, zero], 0.0) => (zero, value),
            ([first, ..], _) => (first, value),
            ([], _) => return general(value),
        };
        match section {
            Section::General { before, after } => format!("{before}{}{after}", general(value)),
            Section::Number(digits) => digits.shown(value),
            Section::Date(parts) => {
                date::shown(parts, value, epoch).unwrap_or_else(|| general(value))
            }
        }
    }
}

/// Sections of a code, at semicolons outside of quotes.
fn split_sections(code: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for c in code.chars() {
        if c == ';' && !quoted && !escaped {
            sections.push(String::new());
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        if let Some(last) = sections.last_mut() {
            last.push(c);
        }
    }
    sections
}

/// A piece of a section: a mark of the format, or literal text.
pub(super) enum Piece {
    Mark(char),
    Literal(String),
    /// What stands in brackets.
    Bracket(String),
}

fn pieces(section: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut chars = section.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => pieces.push(Piece::Literal(
                chars.by_ref().take_while(|&c| c != '"').collect(),
            )),
            '\\' => pieces.push(Piece::Literal(
                chars.next().map(String::from).unwrap_or_default(),
            )),
            // Space as wide as the next character, or that character repeated.
            '_' => {
                chars.next();
                pieces.push(Piece::Literal(" ".to_owned()));
            }
            '*' => {
                chars.next();
            }
            '[' => pieces.push(Piece::Bracket(
                chars.by_ref().take_while(|&c| c != ']').collect(),
            )),
            c => pieces.push(Piece::Mark(c)),
        }
    }
    pieces
}

fn section(code: &str) -> Section {
    let pieces = pieces(code);
    let is_date = pieces.iter().any(|p| match p {
        Piece::Mark(c) => matches!(c.to_ascii_lowercase(), 'y' | 'm' | 'd' | 'h' | 's'),
        Piece::Bracket(b) => date::is_total(b),
        Piece::Literal(_) => false,
    });
    let lower = code.to_ascii_lowercase();
    if let Some((before, after)) = lower.split_once("general") {
        return Section::General {
            before: literal(before),
            after: literal(after),
        };
    }
    if is_date {
        return Section::Date(date::parts(pieces));
    }
    let has_digits = pieces
        .iter()
        .any(|p| matches!(p, Piece::Mark('0' | '#' | '?')));
    let is_fraction = has_digits && pieces.iter().any(|p| matches!(p, Piece::Mark('/')));
    if is_fraction || code.contains('@') || (!has_digits && code.trim().is_empty()) {
        return Section::General {
            before: String::new(),
            after: String::new(),
        };
    }
    Section::Number(digits(pieces))
}

/// The text that a part of a code shows.
fn literal(code: &str) -> String {
    let texts = pieces(code).into_iter().map(|p| match p {
        Piece::Literal(text) => text,
        Piece::Mark(c) => c.to_string(),
        Piece::Bracket(b) => currency(&b).unwrap_or_default(),
    });
    texts.collect()
}

/// The symbol in brackets such as `[$€-407]`.
fn currency(bracket: &str) -> Option<String> {
    let symbol = bracket.strip_prefix('$')?;
    Some(symbol.split('-').next().unwrap_or_default().to_owned())
}

fn digits(pieces: Vec<Piece>) -> Digits {
    let mut digits = Digits::default();
    let (mut seen, mut decimals, mut commas) = (false, false, 0);
    for piece in pieces {
        let text = match piece {
            Piece::Mark('0' | '#' | '?' | '+' | '-') if digits.exponent => continue,
            Piece::Mark(mark @ ('0' | '#' | '?')) => {
                seen = true;
                if commas > 0 && !decimals {
                    digits.grouped = true;
                }
                commas = 0;
                if decimals {
                    digits.most_decimals += 1;
                    if mark == '0' {
                        digits.least_decimals = digits.most_decimals;
                    }
                } else if mark == '0' {
                    digits.least_whole += 1;
                }
                continue;
            }
            Piece::Mark('.') if !decimals => {
                decimals = true;
                seen = true;
                digits.thousands += commas;
                commas = 0;
                continue;
            }
            Piece::Mark(',') if seen => {
                commas += 1;
                continue;
            }
            Piece::Mark('E' | 'e') if seen => {
                digits.exponent = true;
                continue;
            }
            Piece::Mark('%') => {
                digits.percent = true;
                "%".to_owned()
            }
            Piece::Mark(c) => c.to_string(),
            Piece::Literal(text) => text,
            Piece::Bracket(b) => currency(&b).unwrap_or_default(),
        };
        if seen {
            digits.after.push_str(&text);
        } else {
            digits.before.push_str(&text);
        }
    }
    digits.thousands += commas;
    digits
}

impl Digits {
    fn shown(&self, value: f64) -> String {
        // A section of literals alone shows them alone.
        if self.least_whole == 0 && self.most_decimals == 0 && !self.grouped && self.is_literal() {
            return self.before.trim().to_owned();
        }
        let mut size = value.abs();
        if self.percent {
            size *= 100.0;
        }
        size /= 1000_f64.powi(self.thousands.min(8) as i32);
        let decimals = self.most_decimals.min(30);
        let number = if self.exponent {
            format!("{size:.decimals$E}")
        } else if size >= 1e21 {
            general(size)
        } else {
            self.fixed(size, decimals)
        };
        let is_zero = number.bytes().all(|b| !(b'1'..=b'9').contains(&b));
        let sign = if value < 0.0 && !is_zero { "-" } else { "" };
        let shown = format!("{sign}{}{number}{}", self.before, self.after);
        shown.trim().to_owned()
    }

    /// Whether there is no place for a digit at all.
    fn is_literal(&self) -> bool {
        !self.before.is_empty() && self.after.is_empty() && self.least_whole == 0
    }

    fn fixed(&self, size: f64, decimals: usize) -> String {
        // What binary fractions add is no part of the number.
        let size: f64 = format!("{size:.14e}").parse().unwrap_or(size);
        let text = format!("{size:.decimals$}");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let mut fraction = fraction.to_owned();
        while fraction.len() > self.least_decimals && fraction.ends_with('0') {
            fraction.pop();
        }
        let mut whole = whole.to_owned();
        while whole.len() < self.least_whole.min(30) {
            whole.insert(0, '0');
        }
        if self.grouped {
            let mut at = whole.len();
            while at > 3 {
                at -= 3;
                whole.insert(at, ',');
            }
        }
        if fraction.is_empty() {
            whole
        } else {
            format!("{whole}.{fraction}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &str, value: f64) -> String {
        NumberFormat::new(code).shown(value, Epoch::Windows)
    }

    #[test]
    fn numbers() {
        for (code, value, wanted) in [
            ("General", 0.1 + 0.2, "0.3"),
            ("General", 1e20, "1E20"),
            ("General", -0.0, "0"),
            ("0", 2.6, "3"),
            ("000", 7.0, "007"),
            ("#,##0.00", -1_234_567.891, "-1,234,567.89"),
            ("0.0%", 0.1234, "12.3%"),
            ("#.##", 0.5, "0.5"),
            ("0.00E+00", 12_345.0, "1.23E4"),
            ("#,##0,", 1_234_567.0, "1,235"),
            ("#,##0.00 [$€-407]", 1.5, "1.50 €"),
            ("\"EUR\" 0", 5.0, "EUR 5"),
            ("0;(0);\"none\"", -3.0, "(3)"),
            ("0;(0);\"none\"", 0.0, "none"),
            ("# ?/?", 0.5, "0.5"),
            ("@", 12.0, "12"),
            ("_-* #,##0_-", 1000.0, "1,000"),
        ] {
            assert_eq!(shown(code, value), wanted, "{code} of {value}");
        }
    }

    #[test]
    fn dates_and_times() {
        for (code, value, wanted) in [
            ("yyyy-mm-dd", 45_292.0, "2024-01-01"),
            ("d mmmm yyyy", 59.0, "28 February 1900"),
            ("d/m/yy", 60.0, "29/2/00"),
            ("yyyy-mm-dd", 61.0, "1900-03-01"),
            ("dddd", 45_292.0, "Monday"),
            ("h:mm AM/PM", 0.75, "6:00 PM"),
            ("hh:mm:ss", 0.999_994, "23:59:59"),
            ("[h]:mm", 1.5, "36:00"),
            ("mm:ss.0", 0.000_017_36, "00:01.5"),
            ("yyyy\\-mm", -1.0, "-1"),
            ("dd.mm.yyyy \"um\" hh:mm", 44_197.5, "01.01.2021 um 12:00"),
        ] {
            assert_eq!(shown(code, value), wanted, "{code} of {value}");
        }
        let format = NumberFormat::new("yyyy-mm-dd");
        assert_eq!(format.shown(0.0, Epoch::Macintosh), "1904-01-01");
    }

    #[test]
    fn nothing_breaks_a_format() {
        let codes = [
            "",
            ";",
            ";;;",
            "[",
            "\"",
            "\\",
            "_",
            "*",
            "[h",
            "am",
            "000000000000000000000000000000000000000",
            "E+",
            "%%",
            "y;m;d",
        ];
        let values = [
            0.0,
            -1.0,
            1e300,
            -1e300,
            f64::NAN,
            f64::INFINITY,
            5e-324,
            2_958_465.999_999,
        ];
        for code in codes {
            for value in values {
                shown(code, value);
            }
        }
    }
}

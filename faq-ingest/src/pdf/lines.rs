//! Fragments of one region into lines, lines joined into text.

use std::collections::HashSet;

use super::font::Style;
use super::words::Fragment;

/// One line of a region.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Pieces with wide gaps between them; one for ordinary text.
    pub(super) cells: Vec<Fragment>,
    pub(super) x0: f32,
    pub(super) x1: f32,
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) style: Style,
    /// Width of the first word.
    pub(super) first_word: f32,
}

impl Line {
    pub(super) fn text(&self) -> String {
        let cells: Vec<&str> = self.cells.iter().map(|c| c.text.as_str()).collect();
        cells.join(" ")
    }

    fn from_cells(mut cells: Vec<Fragment>) -> Option<Self> {
        cells.sort_by(|a, b| a.x0.total_cmp(&b.x0));
        let lead = cells.iter().max_by_key(|c| c.chars)?;
        let style = Style {
            bold: cells.iter().all(|c| c.style.bold),
            italic: cells.iter().all(|c| c.style.italic),
            mono: cells.iter().all(|c| c.style.mono),
        };
        Some(Self {
            x0: cells.first()?.x0,
            x1: cells.iter().map(|c| c.x1).fold(f32::MIN, f32::max),
            y: lead.y,
            size: lead.size,
            style,
            first_word: cells.first()?.first_word,
            cells,
        })
    }
}

/// The lines of a region from top to bottom.
pub(super) fn lines(mut fragments: Vec<Fragment>) -> Vec<Line> {
    fragments.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut out = Vec::new();
    let mut row: Vec<Fragment> = Vec::new();
    for f in fragments {
        let fits = row
            .first()
            .is_none_or(|first| f.y - first.y < first.size.min(f.size) * 0.4);
        if !fits {
            out.extend(Line::from_cells(std::mem::take(&mut row)).map(merge_markers));
        }
        row.push(f);
    }
    out.extend(Line::from_cells(row).map(merge_markers));
    out
}

/// A bullet, a number or a dotted leader and what stands after it are one piece.
fn merge_markers(mut line: Line) -> Line {
    let pair = line.cells.len() == 2;
    let mut merged: Vec<Fragment> = Vec::with_capacity(line.cells.len());
    for (at, next) in line.cells.drain(..).enumerate() {
        let Some(cell) = merged.last_mut() else {
            merged.push(next);
            continue;
        };
        let marker = is_bullet(&cell.text) && (at == 1 || next.x0 - cell.x1 < cell.size * 4.0)
            || at == 1 && pair && marker_len(&cell.text).is_some();
        // A heading's number stands apart from it, as a column of a table would.
        let numbered = at == 1
            && pair
            && cell.style.bold
            && next.style.bold
            && next.x0 - cell.x1 < cell.size * 4.0
            && next.text.starts_with(char::is_alphabetic)
            && is_section_number(&cell.text);
        let leader = cell.text.ends_with("...")
            || cell.text.ends_with(". .")
            || next.text.starts_with("...")
            || next.text.starts_with(". .");
        if (marker || numbered || leader) && cell.row.is_none() && next.row.is_none() {
            cell.text.push(' ');
            cell.text.push_str(&next.text);
            cell.chars += next.chars + 1;
            cell.x1 = cell.x1.max(next.x1);
        } else {
            merged.push(next);
        }
    }
    line.cells = merged;
    line
}

pub(super) fn is_bullet(text: &str) -> bool {
    let mut chars = text.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else {
        return false;
    };
    matches!(
        c,
        '•' | '◦'
            | '▪'
            | '■'
            | '●'
            | '○'
            | '‣'
            | '∙'
            | '·'
            | '–'
            | '—'
            | '-'
            | '*'
            | '➢'
            | '✓'
            | '▶'
            | '►'
            | '❑'
            | '❏'
            | '□'
            | '☐'
            | '☑'
            | '➔'
            | '⁃'
            | '✔'
            | '◆'
            | '♦'
            | '▸'
    )
}

/// Whether a text is the number of a section: `3`, `2.1.4`, `A.2`.
fn is_section_number(text: &str) -> bool {
    let mut parts = text.trim_end_matches('.').split('.');
    let first = parts.next().unwrap_or_default();
    let digits = |p: &str| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
    let letter = first.len() == 1 && first.bytes().all(|b| b.is_ascii_uppercase());
    (digits(first) || letter) && parts.all(digits)
}

/// Length in bytes of a list marker that `text` begins with: a bullet, `1.`, `(a)`, `iv)`.
pub(super) fn marker_len(text: &str) -> Option<usize> {
    let word = text.split_whitespace().next()?;
    if is_bullet(word) {
        return Some(word.len());
    }
    let inner = word.strip_prefix('(').unwrap_or(word);
    let body = inner.strip_suffix([')', '.'])?;
    if inner.len() != word.len() && !inner.ends_with(')') {
        return None;
    }
    let number = !body.is_empty() && body.len() <= 3 && body.bytes().all(|b| b.is_ascii_digit());
    let letter = body.len() == 1 && body.bytes().all(|b| b.is_ascii_lowercase());
    let roman = !body.is_empty()
        && body.len() <= 4
        && body.bytes().all(|b| matches!(b, b'i' | b'v' | b'x'));
    (number || letter || roman).then_some(word.len())
}

/// Han and kana, which are written without spaces.
fn spaceless(c: char) -> bool {
    matches!(u32::from(c), 0x3000..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff
        | 0xff00..=0xffef | 0x2_0000..=0x2_ffff)
}

/// Words that stand whole somewhere in the document, by which a hyphen at a line's end is
/// judged.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    words: HashSet<String>,
}

impl Vocabulary {
    /// Takes in a line, but for its last word, which may be cut.
    pub(super) fn add(&mut self, text: &str) {
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            if words.peek().is_some() && self.words.len() < 500_000 {
                let bare = bare(word);
                if bare.len() > 3 && bare.len() < 64 && !self.words.contains(&bare) {
                    self.words.insert(bare);
                }
            }
        }
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&bare(word))
    }
}

fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase()
}

/// Appends the next line of a paragraph, with the word that a hyphen cut put together.
pub(super) fn join(text: &mut String, next: &str, vocabulary: &Vocabulary) {
    let next = next.trim();
    let Some(last) = text.chars().next_back() else {
        text.push_str(next);
        return;
    };
    let Some(first) = next.chars().next() else {
        return;
    };
    match last {
        '\u{ad}' => {
            text.pop();
        }
        '-' | '\u{2010}' | '\u{2011}' => {
            let stem_end = text.len() - last.len_utf8();
            let stem = text[..stem_end]
                .rsplit(char::is_whitespace)
                .next()
                .unwrap_or_default();
            let letter_before = stem.chars().next_back().is_some_and(char::is_alphabetic);
            if !letter_before {
                // A dash on its own.
                if stem.is_empty() {
                    text.push(' ');
                }
            } else if first.is_lowercase() && drops_hyphen(stem, next, vocabulary) {
                text.truncate(stem_end);
            }
        }
        _ if spaceless(last) && spaceless(first) => {}
        _ => text.push(' '),
    }
    text.push_str(next);
}

fn drops_hyphen(stem: &str, next: &str, vocabulary: &Vocabulary) -> bool {
    let rest = next.split_whitespace().next().unwrap_or_default();
    if vocabulary.has(&format!("{stem}{rest}")) {
        return true;
    }
    if vocabulary.has(&format!("{stem}-{rest}")) {
        return false;
    }
    // A word is not cut behind its first letter: `d-dimensional`, `x-axis`.
    let letters = stem.trim_start_matches(|c: char| !c.is_alphanumeric());
    // An address, a file name or a word that has hyphens already keeps them.
    letters.chars().nth(1).is_some() && !stem.contains(['-', '/', '.', '_', '@'])
}

/// Soft hyphens inside a line mark places where a word may be cut, and the Arabic tatweel
/// lengthens the stroke between two letters; neither is part of a word.
pub(super) fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut dots = 0usize;
    let mut held = String::new();
    for c in text.chars() {
        if matches!(c, '\u{ad}' | '\u{640}') {
            continue;
        }
        // Leaders of five dots and more, spaced or not, become one ellipsis.
        if c == '.' || (dots > 0 && c == ' ') {
            dots += usize::from(c == '.');
            held.push(c);
            continue;
        }
        flush_dots(&mut out, &mut held, &mut dots);
        out.push(c);
    }
    flush_dots(&mut out, &mut held, &mut dots);
    out
}

fn flush_dots(out: &mut String, held: &mut String, dots: &mut usize) {
    if *dots >= 5 {
        if !out.ends_with(' ') && !out.is_empty() {
            out.push(' ');
        }
        out.push('…');
        if held.ends_with(' ') {
            out.push(' ');
        }
    } else {
        out.push_str(held);
    }
    held.clear();
    *dots = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lines: &[&str], known: &str) -> String {
        let mut vocabulary = Vocabulary::default();
        vocabulary.add(known);
        let mut text = String::new();
        for line in lines {
            join(&mut text, line, &vocabulary);
        }
        text
    }

    #[test]
    fn hyphens_at_line_ends() {
        assert_eq!(joined(&["an exam-", "ple here"], ""), "an example here");
        assert_eq!(joined(&["soft\u{ad}", "ware"], ""), "software");
        assert_eq!(joined(&["state-of-the-", "art"], ""), "state-of-the-art");
        assert_eq!(
            joined(&["a well-", "known one"], "the well-known fact"),
            "a well-known one"
        );
        assert_eq!(joined(&["Jean-", "Paul"], ""), "Jean-Paul");
        assert_eq!(joined(&["one -", "two"], ""), "one - two");
        assert_eq!(
            joined(&["the (d-", "dimensional"], ""),
            "the (d-dimensional"
        );
    }

    #[test]
    fn lines_without_spaces_between_words_stay_so() {
        assert_eq!(joined(&["日本", "語"], ""), "日本語");
        assert_eq!(joined(&["한국", "어"], ""), "한국 어");
    }

    #[test]
    fn section_numbers() {
        for text in ["3", "2.1.4", "3.", "A", "B.12"] {
            assert!(is_section_number(text), "{text}");
        }
        for text in ["2024", "1,5", "AB", "3-4", "", "x.1"] {
            assert!(!is_section_number(text), "{text}");
        }
    }

    #[test]
    fn list_markers() {
        for text in ["• a", "- a", "1. a", "(b) x", "iv) x", "12) y"] {
            assert!(marker_len(text).is_some(), "{text}");
        }
        for text in ["a word", "2010. The", "e.g. x", "(see) y", "3.14 z"] {
            assert!(marker_len(text).is_none(), "{text}");
        }
    }

    #[test]
    fn leaders_become_an_ellipsis() {
        assert_eq!(tidy("Intro . . . . . . 5"), "Intro … 5");
        assert_eq!(tidy("so... on. Then"), "so... on. Then");
    }
}

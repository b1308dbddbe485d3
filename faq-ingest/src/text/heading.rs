//! Headings of plain text: underlined, numbered, or in capitals.

use super::line::Line;

/// Longest heading, in bytes.
const LONGEST: usize = 150;

/// Underlines met so far. As in reStructuredText, the first kind met is level 1, the next
/// new one level 2, and so on; a line above the title too makes another kind.
#[derive(Debug, Default)]
pub(super) struct Underlines {
    kinds: Vec<(char, bool)>,
}

impl Underlines {
    /// The underlined heading at the start of `lines`: its text, level and number of lines.
    pub(super) fn heading(&mut self, lines: &[Line<'_>]) -> Option<(String, u8, usize)> {
        let over = mark(lines.first()?).is_some();
        let at = usize::from(over);
        let title = lines.get(at)?;
        let under = lines.get(at + 1)?;
        let kind = mark(under)?;
        if title.is_rule()
            || title.len() > LONGEST
            || (over && mark(&lines[0]) != Some(kind))
            || under.width() * 2 < title.width()
            || !title.text.chars().any(char::is_alphanumeric)
            || title.has_columns()
        {
            return None;
        }
        // Below running text the same marks are a rule, not an underline: a table's or a
        // signature's.
        if !over && lines.get(at + 2).is_some_and(Line::is_rule) {
            return None;
        }
        let key = (kind, over);
        let position = self
            .kinds
            .iter()
            .position(|&k| k == key)
            .unwrap_or_else(|| {
                self.kinds.push(key);
                self.kinds.len() - 1
            });
        Some((title.text.to_owned(), (position + 1).min(6) as u8, at + 2))
    }
}

/// The mark of a line that can underline a title.
fn mark(line: &Line<'_>) -> Option<char> {
    let first = line.text.chars().next()?;
    (line.len() >= 3 && "=-~^*#\"'`+.:_".contains(first) && line.text.chars().all(|c| c == first))
        .then_some(first)
}

/// How a line of its own shows that it is a heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// By its number, whose parts are counted: `1.2 Title` has two.
    Number(u8),
    Capitals,
}

/// The sign by which a line that stands alone between blank lines is a heading.
pub(super) fn sign(line: &Line<'_>, neighbours: [Option<&Line<'_>>; 2]) -> Option<Sign> {
    if line.len() > LONGEST || line.indent > 8 || line.text.ends_with([',', ';', ':']) {
        return None;
    }
    let Some((label, title)) = line.text.split_once(char::is_whitespace) else {
        return is_capitals(line.text).then_some(Sign::Capitals);
    };
    let parts: Vec<&str> = label.trim_end_matches('.').split('.').collect();
    let is_number = parts.len() <= 6
        && parts
            .iter()
            .all(|p| !p.is_empty() && p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit()));
    if !is_number {
        return is_capitals(line.text).then_some(Sign::Capitals);
    }
    let title = title.trim();
    if !title.starts_with(|c: char| c.is_alphanumeric() || "\"'-/.(".contains(c))
        || (title.ends_with('.') && !title.ends_with("..."))
    {
        return None;
    }
    // "1. First" and "2. Second" with a blank line between them are a list.
    if parts.len() == 1 {
        let number: u32 = parts[0].parse().ok()?;
        let is_next = |l: Option<&Line<'_>>, wanted: Option<u32>| {
            l.and_then(|l| l.text.split(['.', ')', ' ']).next()?.parse::<u32>().ok())
                .is_some_and(|n| Some(n) == wanted)
        };
        if !label.ends_with('.')
            || is_next(neighbours[0], number.checked_sub(1))
            || is_next(neighbours[1], number.checked_add(1))
        {
            return None;
        }
    }
    Some(Sign::Number(parts.len() as u8))
}

fn is_capitals(text: &str) -> bool {
    text.len() <= 80
        && text.chars().filter(|c| c.is_alphabetic()).count() >= 3
        && !text.chars().any(char::is_lowercase)
        && text.chars().any(char::is_uppercase)
        && !text.ends_with(['.', '!'])
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || c.is_whitespace() || "-'’&,/()?:".contains(c))
}

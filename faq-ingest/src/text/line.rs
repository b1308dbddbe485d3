//! One line of plain text and what can be told from it alone.

/// How far a line is looked into for its width: enough to see whether it was wrapped.
const LOOK: usize = 1024;

/// A line, without its line ending.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'t> {
    /// As it stands.
    pub(super) raw: &'t str,
    /// Without outer white space.
    pub(super) text: &'t str,
    /// Columns before the text; a tab goes to the next multiple of eight.
    pub(super) indent: usize,
}

/// What a list item starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Bullet,
    Number,
}

impl<'t> Line<'t> {
    pub(super) fn new(raw: &'t str) -> Self {
        let mut indent = 0;
        for c in raw.chars() {
            match c {
                ' ' | '\u{a0}' => indent += 1,
                '\t' => indent = (indent / 8 + 1) * 8,
                _ => break,
            }
        }
        Self {
            raw,
            text: raw.trim(),
            indent,
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.is_empty()
    }

    /// Bytes of its text.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Columns up to the end of its text.
    pub(super) fn width(&self) -> usize {
        self.indent + columns(self.text)
    }

    pub(super) fn first_word_width(&self) -> usize {
        columns(self.text.split_whitespace().next().unwrap_or_default())
    }

    /// A line of one repeated mark.
    pub(super) fn is_rule(&self) -> bool {
        let mut chars = self.text.chars().filter(|c| !c.is_whitespace());
        let Some(first) = chars.next() else {
            return false;
        };
        self.len() >= 3 && !first.is_alphanumeric() && chars.all(|c| c == first)
    }

    /// Markup of reStructuredText that no reader sees: a link's target, or the announcement
    /// of a literal block.
    pub(super) fn is_label(&self) -> bool {
        self.text == "::" || (self.text.starts_with(".. _") && self.text.ends_with(':'))
    }

    /// Whether it begins as a list item does.
    pub(super) fn marker(&self) -> Option<Marker> {
        let mut rest = self.text.chars();
        let first = rest.next()?;
        let after = rest.as_str();
        if matches!(
            first,
            '-' | '*' | '+' | '•' | '◦' | '▪' | '‣' | '·' | '–' | '●' | '○'
        ) {
            return after
                .starts_with([' ', '\t'])
                .then_some(Marker::Bullet)
                .filter(|_| !after.trim().is_empty());
        }
        let body = self.text.strip_prefix('(').unwrap_or(self.text);
        let label_end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '.')?;
        let label = body[..label_end].trim_end_matches('.');
        let dotted = body[..label_end].ends_with('.') && body.len() == self.len();
        let closed = body[label_end..].starts_with(')');
        let tail = &body[label_end + usize::from(closed)..];
        if !tail.starts_with([' ', '\t']) || tail.trim().is_empty() {
            return None;
        }
        let parts: Vec<&str> = label.split('.').collect();
        let digits = parts
            .iter()
            .all(|p| !p.is_empty() && p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit()));
        let letter = label.len() == 1 && closed && label.bytes().all(|b| b.is_ascii_alphabetic());
        (digits && (dotted || closed || parts.len() > 1 && parts.len() <= 6) || letter)
            .then_some(Marker::Number)
    }

    /// Bars or wide gaps inside the line.
    pub(super) fn has_columns(&self) -> bool {
        let text: &str = match self.text.char_indices().nth(LOOK) {
            Some((end, _)) => &self.text[..end],
            None => self.text,
        };
        text.matches('|').count() > 1
            || text.contains("   ")
            || text.trim_matches('\t').contains('\t')
    }
}

/// Characters of scripts that are written without spaces between words.
pub(super) fn is_wide(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

fn columns(text: &str) -> usize {
    text.chars()
        .take(LOOK)
        .map(|c| 1 + usize::from(is_wide(c)))
        .sum()
}

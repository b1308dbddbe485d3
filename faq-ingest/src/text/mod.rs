//! Plain text into blocks.
//!
//! Plain text has no markup, but habits: blank lines between paragraphs, lines wrapped by
//! hand, headings that are underlined or numbered, lists with dashes, code that is indented.
//! What shows no such habit stays as it stands, line by line.

mod heading;
mod line;

use crate::document::DocumentBuilder;
use crate::inline::one_line;
use crate::limits::Budget;
use crate::table::{Cell, HeaderRule, Table, TableWriter};
use crate::{BlockKind, Document, Format, ParseError, encoding};
use heading::{Sign, Underlines};
use line::{Line, Marker};

/// A line longer than this was not wrapped by hand: it is a paragraph of its own.
const LONGEST_WRAPPED: usize = 160;
/// Lines wrapped by hand are at least as wide, in characters.
const NARROWEST_WRAPPED: usize = 40;
/// Columns that set a block apart from the text around it.
const CODE_INDENT: usize = 3;
/// Lines of a text, at some 40 bytes each beside the text; as many in the largest file
/// would be shorter than ten characters on average.
const MOST_LINES: usize = 5_000_000;

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let decoded = encoding::decode(bytes, None);
    let mut out = DocumentBuilder::new();
    decoded.warn(&mut out);
    read(&decoded.text, &mut out, budget)?;
    Ok(out.finish(Format::Text))
}

/// Reads text that stands inside another document.
pub(crate) fn read(
    text: &str,
    out: &mut DocumentBuilder,
    budget: &Budget,
) -> Result<(), ParseError> {
    let mut groups: Vec<Vec<Line<'_>>> = vec![Vec::new()];
    for (number, raw) in text.split('\n').enumerate() {
        budget.tick()?;
        if number >= MOST_LINES {
            let (value, allowed) = (number as u64 + 1, MOST_LINES as u64);
            return Err(ParseError::limit("lines", value, allowed, "lines"));
        }
        let line = Line::new(raw);
        let after_text = groups.last().is_some_and(|g| !g.is_empty());
        if line.is_blank() && after_text {
            groups.push(Vec::new());
        } else if !line.is_blank()
            && let Some(group) = groups.last_mut()
        {
            group.push(line);
        }
    }
    groups.retain(|g| !g.is_empty());
    Reader {
        margin: margin(&groups),
        groups: &groups,
        underlines: Underlines::default(),
        level: None,
        list: Vec::new(),
        code: String::new(),
        tables: TableWriter::default(),
        budget,
        out,
    }
    .read()
}

/// The usual indent of the text's paragraphs.
fn margin(groups: &[Vec<Line<'_>>]) -> usize {
    let mut counts = [0_usize; 9];
    for line in groups.iter().flatten() {
        if line.len() > NARROWEST_WRAPPED {
            counts[line.indent.min(8)] += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    counts.iter().position(|&n| n == most && n > 0).unwrap_or(0)
}

struct Reader<'t, 'o> {
    groups: &'t [Vec<Line<'t>>],
    margin: usize,
    underlines: Underlines,
    /// Level of the last heading that was numbered or underlined.
    level: Option<u8>,
    /// Indents of the open list's levels, outermost first.
    list: Vec<usize>,
    /// Indented lines that may go on after a blank line.
    code: String,
    tables: TableWriter,
    budget: &'t Budget,
    out: &'o mut DocumentBuilder,
}

impl Reader<'_, '_> {
    fn read(mut self) -> Result<(), ParseError> {
        for index in 0..self.groups.len() {
            self.budget.tick()?;
            self.budget.check_blocks(self.out.len())?;
            self.group(index)?;
        }
        self.end_code();
        Ok(())
    }

    fn group(&mut self, index: usize) -> Result<(), ParseError> {
        let group = &self.groups[index];
        let mut lines = group.as_slice();
        while let Some((title, level, used)) = self.underlines.heading(lines) {
            self.heading(&title, level);
            self.level = Some(level);
            lines = &lines[used..];
        }
        if lines.is_empty() {
            return Ok(());
        }
        if lines.len() == 1
            && let Some(sign) = heading::sign(&lines[0], self.neighbours(index))
        {
            let level = match sign {
                Sign::Number(parts) => parts,
                // Capitals say nothing of a level: below what is numbered or underlined.
                Sign::Capitals => self.level.map_or(1, |l| l.saturating_add(1)),
            };
            self.heading(lines[0].text, level);
            if sign == Sign::Capitals {
                return Ok(());
            }
            self.level = Some(level);
            return Ok(());
        }
        if self.is_code(lines, index) {
            self.add_code(lines);
            return Ok(());
        }
        self.end_code();
        if lines.iter().all(|l| l.is_rule() || l.is_label()) {
            return Ok(());
        }
        if let Some(table) = tabular(lines) {
            return self
                .tables
                .write(&table, HeaderRule::Likely, None, self.out, self.budget);
        }
        if is_drawn(lines) {
            self.list.clear();
            self.push_preformatted(lines);
            return Ok(());
        }
        self.running(lines)
    }

    fn heading(&mut self, title: &str, level: u8) {
        self.end_code();
        self.list.clear();
        let title = one_line(title);
        if self.out.is_empty() && self.out.title.is_none() {
            self.out.title = Some(title.clone());
        }
        self.out.push(BlockKind::Heading, Some(level), None, &title);
    }

    /// The single lines before and after a group, where its neighbours are such.
    fn neighbours(&self, index: usize) -> [Option<&Line<'_>>; 2] {
        let single = |i: Option<usize>| match self.groups.get(i?)?.as_slice() {
            [line] => Some(line),
            _ => None,
        };
        [single(index.checked_sub(1)), single(index.checked_add(1))]
    }

    /// Indented as a whole, and not as the text of a list item or as prose.
    fn is_code(&self, lines: &[Line<'_>], index: usize) -> bool {
        let indent = lines.iter().map(|l| l.indent).min().unwrap_or(0);
        let announced = index > 0
            && self.groups[index - 1]
                .last()
                .is_some_and(|l| l.text.ends_with("::"));
        let announced_indent = if announced { 2 } else { CODE_INDENT };
        if indent < self.margin + announced_indent || (lines[0].marker().is_some() && !announced) {
            return false;
        }
        if self.list.last().is_some_and(|&item| indent <= item + 5) && !announced {
            return false;
        }
        announced || !is_prose(lines)
    }

    fn add_code(&mut self, lines: &[Line<'_>]) {
        if !self.code.is_empty() {
            self.code.push('\n');
        }
        for line in lines {
            self.code.push_str(line.raw.trim_end());
            self.code.push('\n');
        }
    }

    fn end_code(&mut self) {
        if !self.code.is_empty() {
            let code = std::mem::take(&mut self.code);
            self.out.push(BlockKind::Code, None, None, &dedent(&code));
        }
    }

    fn push_preformatted(&mut self, lines: &[Line<'_>]) {
        let text: String = lines
            .iter()
            .flat_map(|l| [l.raw.trim_end(), "\n"])
            .collect();
        self.out.push(BlockKind::Code, None, None, &dedent(&text));
    }

    /// Paragraphs and list items.
    fn running(&mut self, lines: &[Line<'_>]) -> Result<(), ParseError> {
        let starts = item_starts(lines);
        if starts.first() != Some(&0) && !self.list.is_empty() {
            // Text below an item, indented deeper than its marker, belongs to the list.
            let indent = lines[0].indent;
            while self.list.last().is_some_and(|&item| item >= indent) {
                self.list.pop();
            }
        }
        let mut from = 0;
        for at in starts.iter().copied().chain([lines.len()]) {
            self.budget.tick()?;
            if at > from {
                self.unit(&lines[from..at], starts.contains(&from));
            }
            from = at;
        }
        Ok(())
    }

    fn unit(&mut self, lines: &[Line<'_>], item: bool) {
        if item {
            let indent = lines[0].indent;
            while self.list.last().is_some_and(|&open| open > indent) {
                self.list.pop();
            }
            if self.list.last() != Some(&indent) {
                self.list.push(indent);
            }
            let level = self.list.len().min(255) as u8;
            self.out
                .push(BlockKind::ListItem, Some(level), None, &joined(lines));
            return;
        }
        if lines.len() > 1 && lines.iter().any(|l| l.len() > LONGEST_WRAPPED) {
            for line in lines {
                self.out.push(BlockKind::Paragraph, None, None, line.text);
            }
        } else if is_wrapped(lines) {
            self.out
                .push(BlockKind::Paragraph, None, None, &joined(lines));
        } else {
            self.out
                .push(BlockKind::Paragraph, None, None, &kept(lines));
        }
    }
}

/// Lines at which a list item starts.
fn item_starts(lines: &[Line<'_>]) -> Vec<usize> {
    let marked: Vec<usize> = (0..lines.len())
        .filter(|&i| lines[i].marker().is_some())
        .collect();
    let after_colon = |i: usize| i > 0 && lines[i - 1].text.ends_with(':');
    let trusted = match marked.first() {
        None => false,
        Some(&first) => {
            first == 0
                || after_colon(first)
                || (marked.len() > 1 && {
                    // A wrapped line may begin with a dash or "1998." by chance; twice in
                    // the same kind and indent is a list.
                    let other = marked[1];
                    lines[first].indent == lines[other].indent
                        && matches!(lines[first].marker(), Some(Marker::Bullet))
                            == matches!(lines[other].marker(), Some(Marker::Bullet))
                })
        }
    };
    if trusted { marked } else { Vec::new() }
}

/// Whether the lines were cut at a width: the next line's first word would not have fitted.
fn is_wrapped(lines: &[Line<'_>]) -> bool {
    let width = lines.iter().map(Line::width).max().unwrap_or(0);
    if lines.len() < 2 || width < NARROWEST_WRAPPED {
        return false;
    }
    let full = lines
        .windows(2)
        .filter(|pair| pair[0].width() + 1 + pair[1].first_word_width() >= width.saturating_sub(8))
        .count();
    full * 10 >= (lines.len() - 1) * 7
}

fn joined(lines: &[Line<'_>]) -> String {
    let mut text = String::new();
    for line in lines {
        if let (Some(last), Some(first)) = (text.chars().next_back(), line.text.chars().next()) {
            let before = text.chars().rev().nth(1);
            let hyphen =
                last == '-' && before.is_some_and(char::is_alphabetic) && first.is_lowercase();
            let unspaced = line::is_wide(last) && line::is_wide(first);
            if !hyphen && !unspaced {
                text.push(' ');
            }
        }
        text.push_str(line.text);
    }
    one_line(&text)
}

fn kept(lines: &[Line<'_>]) -> String {
    let lines: Vec<String> = lines.iter().map(|l| one_line(l.text)).collect();
    lines.join("\n")
}

/// Tab-separated columns, the same number in each line.
fn tabular(lines: &[Line<'_>]) -> Option<Table> {
    let columns = lines[0].text.split('\t').count();
    if lines.len() < 2 || columns < 2 || lines.iter().any(|l| l.text.split('\t').count() != columns)
    {
        return None;
    }
    let mut table = Table::default();
    for line in lines {
        table.start_row(false);
        for cell in line.text.split('\t') {
            table.cell(Cell {
                text: cell.to_owned(),
                ..Cell::default()
            });
        }
    }
    Some(table)
}

/// Tables drawn with spaces or bars, and pictures made of characters: line breaks matter.
fn is_drawn(lines: &[Line<'_>]) -> bool {
    if lines.len() < 2 {
        return false;
    }
    let (mut letters, mut marks) = (0_usize, 0_usize);
    for c in lines
        .iter()
        .flat_map(|l| l.text.chars().take(LONGEST_WRAPPED))
    {
        if c.is_alphanumeric() {
            letters += 1;
        } else if !c.is_whitespace() {
            marks += 1;
        }
    }
    if marks > letters {
        return true;
    }
    let columns = lines.iter().filter(|l| l.has_columns()).count();
    (lines.len() > 2 && columns * 3 >= lines.len() * 2) || columns == lines.len()
}

/// Indented, but written in sentences: a quotation, or the text of a document with a margin.
fn is_prose(lines: &[Line<'_>]) -> bool {
    let (mut letters, mut marks, mut words) = (0_usize, 0_usize, 0_usize);
    for line in lines {
        words += line.text.split_whitespace().count();
        for c in line.text.chars() {
            if c.is_alphabetic() {
                letters += 1;
            } else if !c.is_whitespace() && !matches!(c, '.' | ',' | '\'' | '"' | '-' | '?') {
                marks += 1;
            }
        }
    }
    letters > marks * 12 && words >= lines.len() * 5 && words > 8
}

fn dedent(text: &str) -> String {
    let indent = text
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(|l| l.len() - l.trim_start_matches([' ', '\t']).len())
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = text
        .lines()
        .map(|l| l.get(indent..).unwrap_or_default())
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;

//! CSV (RFC 4180 and its relatives) into table rows.
//!
//! The delimiter is found from the content: comma, semicolon, tab or bar. Quotes may hold
//! delimiters and line breaks; what breaks the rules is taken as it stands.

use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::table::{Cell, HeaderRule, Table, TableWriter};
use crate::{Document, Format, ParseError, encoding};

const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
/// Records that the delimiter is found from.
const SAMPLE: usize = 50;
/// Bytes of them.
const SAMPLE_BYTES: usize = 64 * 1024;
/// Rows that are written at once; each batch knows the header.
const MOST_ROWS: usize = 1_000_000;

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let decoded = encoding::decode(bytes, None);
    let mut out = DocumentBuilder::new();
    decoded.warn(&mut out);
    let (declared, text) = declared(&decoded.text);
    let delimiter = declared.unwrap_or_else(|| delimiter(text));
    let mut table = Table::default();
    let mut rows = 0;
    for record in (Records {
        rest: text,
        delimiter,
    }) {
        budget.tick()?;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        rows += 1;
        if rows > MOST_ROWS.min(budget.limits().blocks) {
            budget.check_blocks(rows)?;
            let allowed = MOST_ROWS as u64;
            return Err(ParseError::limit("rows", rows as u64, allowed, "rows"));
        }
        table.start_row(false);
        for text in record {
            table.cell(Cell {
                text,
                columns: 1,
                rows: 1,
                ..Cell::default()
            });
        }
    }
    TableWriter::default().write(&table, HeaderRule::Likely, None, &mut out, budget)?;
    Ok(out.finish(Format::Csv))
}

/// The delimiter that a first line such as `sep=;` names, and what follows.
fn declared(text: &str) -> (Option<char>, &str) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut chars = first.trim_end().strip_prefix("sep=").unwrap_or("").chars();
    match (chars.next(), chars.next()) {
        (Some(delimiter), None) => (Some(delimiter), rest),
        _ => (None, text),
    }
}

/// The delimiter that cuts the first records into the same number of cells, the more the better.
fn delimiter(text: &str) -> char {
    let mut end = text.len().min(SAMPLE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let score = |delimiter: char| {
        let records = Records {
            rest: &text[..end],
            delimiter,
        };
        let mut counts: Vec<usize> = records.take(SAMPLE).map(|r| r.len()).collect();
        if end < text.len() && counts.len() > 1 {
            counts.pop();
        }
        counts.sort_unstable();
        let middle = counts.get(counts.len() / 2).copied().unwrap_or(1);
        let same = counts.iter().filter(|&&c| c == middle).count();
        if middle < 2 {
            0
        } else {
            same * 1000 / counts.len() * 10 + middle.min(9)
        }
    };
    let best = DELIMITERS.into_iter().rev().max_by_key(|&d| score(d));
    best.filter(|&d| score(d) > 0).unwrap_or(',')
}

/// Records of a text: cells, quotes taken off.
struct Records<'t> {
    rest: &'t str,
    delimiter: char,
}

impl Iterator for Records<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut cells = Vec::new();
        loop {
            let (cell, used) = self.cell();
            cells.push(cell);
            let after = &self.rest[used..];
            if let Some(rest) = after.strip_prefix(self.delimiter) {
                self.rest = rest;
                continue;
            }
            self.rest = after.strip_prefix('\n').unwrap_or(after);
            return Some(cells);
        }
    }
}

impl Records<'_> {
    /// The next cell, and how many bytes it takes.
    fn cell(&self) -> (String, usize) {
        let text = self.rest;
        let end = |from: usize| {
            text[from..]
                .find(['\n', self.delimiter])
                .map_or(text.len(), |at| from + at)
        };
        let Some(quoted) = text.strip_prefix('"') else {
            let end = end(0);
            return (text[..end].to_owned(), end);
        };
        let mut cell = String::new();
        let mut at = 0;
        while let Some(quote) = quoted[at..].find('"') {
            cell.push_str(&quoted[at..at + quote]);
            at += quote + 1;
            if quoted[at..].starts_with('"') {
                cell.push('"');
                at += 1;
                continue;
            }
            // What stands between the quote and the delimiter belongs to the cell, unless the
            // two quotes stand in different lines and enclose nothing.
            let end = end(at + 1);
            if end > at + 1 && cell.contains('\n') {
                break;
            }
            cell.push_str(&text[at + 1..end]);
            return (cell, end);
        }
        // The quote is never closed, or by another cell's: it is no quote.
        let end = end(0);
        (text[..end].to_owned(), end)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::{ParseOptions, parse};

    fn read(text: &str) -> String {
        parse(text.as_bytes(), "a.csv", &ParseOptions::default())
            .unwrap()
            .text
    }

    #[test]
    fn quotes_hold_delimiters_and_line_breaks() {
        assert_eq!(
            read("name,note\r\nAda,\"first, \"\"real\"\"\nprogrammer\"\r\nBob,\n"),
            "name | note\n--- | ---\nAda | first, \"real\" programmer\nBob"
        );
    }

    #[test]
    fn the_delimiter_is_found() {
        for text in [
            "a;b,c;d\n1,5;2;3\n2,5;3;4\n",
            "sep=;\na;b,c;d\n1,5;2;3\n2,5;3;4\n",
        ] {
            assert_eq!(
                read(text),
                "a | b,c | d\n--- | --- | ---\n1,5 | 2 | 3\n2,5 | 3 | 4"
            );
        }
        assert_eq!(read("a\tb\n1\t2, 3\n"), "a | b\n--- | ---\n1 | 2, 3");
    }

    #[test]
    fn an_open_quote_takes_no_more_than_its_cell() {
        assert_eq!(
            read("size,name\n\"3 inch,disk\n5,\"drive\" A\n"),
            "size | name\n--- | ---\n\"3 inch | disk\n5 | drive A"
        );
    }

    #[test]
    fn bars_in_cells_are_escaped() {
        assert_eq!(read("a,b\nx|y,z\n"), "a | b\n--- | ---\nx\\|y | z");
    }
}

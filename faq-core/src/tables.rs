//! Headers for the windows that begin in the middle of a table.
//!
//! A row far below its header says little alone: such a window is embedded with the header
//! before it, which takes room from the window's own tokens.

use faq_ingest::{ByteRange, Document};

/// Where the tables of a document stand.
#[derive(Debug)]
pub(crate) struct Tables {
    /// First and last byte of each table's rows, and its header, in ascending order.
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    rows: ByteRange,
    header: ByteRange,
    /// Tokens of the header.
    tokens: usize,
}

impl Tables {
    /// `tokens` are those of the whole text, ascending. Headers of more than a quarter of
    /// `most` tokens, the size of a window, are left out.
    pub(crate) fn of(document: &Document, tokens: &[ByteRange], most: usize) -> Self {
        let mut tables: Vec<Table> = Vec::new();
        for (block, header) in document.blocks.iter().zip(document.table_headers()) {
            let Some(header) = header else {
                continue;
            };
            match tables.last_mut() {
                Some(last) if last.header == header => last.rows.end = block.range.end,
                _ => {
                    let first = tokens.partition_point(|t| t.start < header.start);
                    let last = tokens.partition_point(|t| t.start < header.end);
                    tables.push(Table {
                        rows: block.range,
                        header,
                        tokens: last - first,
                    });
                }
            }
        }
        tables.retain(|t| t.tokens * 4 <= most);
        Self { tables }
    }

    /// The header of the table one of whose rows holds `at`.
    pub(crate) fn header(&self, at: usize) -> Option<ByteRange> {
        let next = self.tables.partition_point(|t| t.rows.start <= at);
        let table = self.tables.get(next.checked_sub(1)?)?;
        (at < table.rows.end).then_some(table.header)
    }

    /// Tokens of the longest header that a window of `range` may begin with.
    pub(crate) fn longest_header(&self, range: ByteRange) -> usize {
        let first = self.tables.partition_point(|t| t.rows.end <= range.start);
        self.tables[first..]
            .iter()
            .take_while(|t| t.rows.start < range.end)
            .map(|t| t.tokens)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use faq_ingest::{BlockKind, DocumentBuilder, Format};

    use super::*;

    #[test]
    fn rows_know_their_header() {
        let mut out = DocumentBuilder::new();
        out.push(BlockKind::Paragraph, None, None, "before");
        out.push(BlockKind::TableHeader, None, None, "a | b\n--- | ---");
        out.push(BlockKind::TableRow, None, None, "1 | 2");
        out.push(BlockKind::TableRow, None, None, "3 | 4");
        out.push(BlockKind::Paragraph, None, None, "after");
        out.push(BlockKind::TableRow, None, None, "5 | 6");
        let document = out.finish(Format::Markdown);
        let words: Vec<ByteRange> = (0..document.text.len())
            .step_by(2)
            .map(|at| ByteRange::new(at, at + 1))
            .collect();
        let tables = Tables::of(&document, &words, 100);
        let header = |needle: &str| {
            tables
                .header(document.text.find(needle)?)?
                .slice(&document.text)
        };
        assert_eq!(header("before"), None);
        assert_eq!(header("a | b"), None);
        assert_eq!(header("1 |"), Some("a | b"));
        assert_eq!(header("4"), Some("a | b"));
        assert_eq!(header("after"), None);
        assert_eq!(header("5 |"), None);
        assert_eq!(
            tables.longest_header(ByteRange::new(0, document.text.len())),
            3
        );
        assert_eq!(tables.longest_header(ByteRange::new(0, 6)), 0);
        assert!(Tables::of(&document, &words, 8).tables.is_empty());
    }
}

//! Tables of any format into rows that can be read alone.
//!
//! A row below a header row says each cell's header: `Header: cell | Header: cell`. A cell
//! that reaches over several rows is repeated in each.

use crate::document::DocumentBuilder;
use crate::inline::one_line;
use crate::limits::Budget;
use crate::{BlockKind, ParseError};

/// Longest header, and longest cell repeated over rows, in bytes. Longer ones are running
/// text rather than a label.
const LONGEST_LABEL: usize = 120;
/// Most columns that spans are counted over.
const MOST_COLUMNS: usize = 512;
/// Repeated text (headers, spanning cells) may come to so many times the tables' own.
const MOST_REPETITION: usize = 16;

/// A table as its format describes it.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug, Default)]
struct Row {
    cells: Vec<Cell>,
    header: bool,
}

/// One cell of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// Columns it reaches over, from 1.
    pub(crate) columns: usize,
    /// Rows it reaches over, from 1.
    pub(crate) rows: usize,
    /// Continues the cell above it, as DOCX says it.
    pub(crate) continues: bool,
    /// Its format calls it a header.
    pub(crate) header: bool,
}

/// Which row is the header where the format names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderRule {
    /// Only rows that the format names.
    Named,
    /// The first row, where it reads like one.
    Likely,
}

/// Writes tables and keeps account of what they repeat.
#[derive(Debug, Default)]
pub(crate) struct TableWriter {
    own: usize,
    repeated: usize,
}

#[derive(Debug, Clone)]
struct Placed {
    text: String,
    from: usize,
    to: usize,
    rows_left: usize,
    own: bool,
}

impl Table {
    pub(crate) fn start_row(&mut self, header: bool) {
        self.rows.push(Row {
            cells: Vec::new(),
            header,
        });
    }

    pub(crate) fn name_last_row_header(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.header = true;
        }
    }

    pub(crate) fn cell(&mut self, mut cell: Cell) {
        if self.rows.is_empty() {
            self.start_row(false);
        }
        cell.text = one_line(&cell.text);
        if let Some(row) = self.rows.last_mut() {
            row.cells.push(cell);
        }
    }

    /// The cells' texts, row by row.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.rows
            .iter()
            .flat_map(|row| row.cells.iter().map(|c| c.text.as_str()))
    }

    /// Rows at the top that are headers.
    fn header_rows(&self, rule: HeaderRule) -> usize {
        let named = self
            .rows
            .iter()
            .take_while(|row| {
                let mut filled = row.cells.iter().filter(|c| !c.text.is_empty()).peekable();
                row.header || (filled.peek().is_some() && filled.all(|c| c.header))
            })
            .count();
        if named > 0 {
            return if named < self.rows.len() { named } else { 0 };
        }
        let likely = rule == HeaderRule::Likely
            && self.rows.len() > 1
            && self.rows[0].cells.len() > 1
            && self.rows[0].cells.iter().all(|c| {
                !c.text.is_empty()
                    && c.text.len() <= LONGEST_LABEL / 2
                    && !c.text.starts_with(|c: char| c.is_ascii_digit())
                    && !c.continues
            });
        usize::from(likely)
    }
}

impl TableWriter {
    /// Appends the table's rows as blocks.
    pub(crate) fn write(
        &mut self,
        table: &Table,
        rule: HeaderRule,
        page: Option<u32>,
        out: &mut DocumentBuilder,
        budget: &Budget,
    ) -> Result<(), ParseError> {
        let header_rows = table.header_rows(rule);
        let mut headers: Vec<String> = Vec::new();
        let mut above: Vec<Placed> = Vec::new();
        for (index, row) in table.rows.iter().enumerate() {
            budget.tick()?;
            let placed = place(row, &above);
            let headed = index >= header_rows && !headers.is_empty();
            let line = self.line(&placed, if headed { &headers } else { &[] });
            out.push(BlockKind::TableRow, None, page, &line);
            budget.check_blocks(out.len())?;
            if index < header_rows {
                add_headers(&mut headers, &placed);
            }
            above = placed
                .into_iter()
                .filter(|p| p.rows_left > 1)
                .map(|p| Placed {
                    rows_left: p.rows_left - 1,
                    own: false,
                    ..p
                })
                .collect();
        }
        Ok(())
    }

    fn line(&mut self, cells: &[Placed], headers: &[String]) -> String {
        let mut line = String::new();
        for cell in cells.iter().filter(|c| !c.text.is_empty()) {
            let may_repeat = self.repeated <= self.own * MOST_REPETITION + 65_536;
            if !cell.own && !may_repeat {
                continue;
            }
            if !line.is_empty() {
                line.push_str(" | ");
            }
            if cell.own {
                self.own += cell.text.len();
            } else {
                self.repeated += cell.text.len();
            }
            if may_repeat && let Some(label) = label(headers, cell) {
                self.repeated += label.len();
                line.push_str(&label);
                line.push_str(": ");
            }
            line.push_str(&cell.text);
        }
        line
    }
}

/// The header over a cell's columns; none where the cell says the same.
fn label(headers: &[String], cell: &Placed) -> Option<String> {
    let over = headers.get(cell.from..cell.to.min(headers.len()))?;
    let mut label = String::new();
    let mut last = "";
    for header in over {
        if header.is_empty() || header == last {
            continue;
        }
        if !label.is_empty() {
            label.push_str(" / ");
        }
        label.push_str(header);
        last = header;
        if label.len() > LONGEST_LABEL {
            return None;
        }
    }
    let label = label.trim_end_matches(':').to_owned();
    (!label.is_empty() && label != cell.text).then_some(label)
}

/// Puts a row's cells into columns, around those that reach down from above.
fn place(row: &Row, above: &[Placed]) -> Vec<Placed> {
    let mut out: Vec<Placed> = Vec::with_capacity(row.cells.len() + above.len());
    let mut from_above = above.iter().peekable();
    let mut column = 0;
    for cell in &row.cells {
        if cell.continues {
            let width = cell.columns.clamp(1, MOST_COLUMNS);
            while let Some(p) = from_above.next_if(|p| p.from < column + width) {
                if p.from >= column {
                    out.push(Placed {
                        rows_left: p.rows_left.max(2),
                        ..p.clone()
                    });
                }
            }
            column += width;
            continue;
        }
        // A cell from above that DOCX does not continue here has ended.
        while let Some(p) = from_above.next_if(|p| p.from <= column) {
            if p.rows_left < usize::MAX / 2 {
                column = column.max(p.to);
                out.push(p.clone());
            }
        }
        let width = cell.columns.clamp(1, MOST_COLUMNS);
        let rows_left = if cell.text.len() > LONGEST_LABEL {
            1
        } else {
            cell.rows.max(1)
        };
        out.push(Placed {
            text: cell.text.clone(),
            from: column.min(MOST_COLUMNS),
            to: (column + width).min(MOST_COLUMNS),
            rows_left,
            own: true,
        });
        column += width;
    }
    out.extend(
        from_above
            .filter(|p| p.from >= column && p.rows_left < usize::MAX / 2)
            .cloned(),
    );
    out
}

fn add_headers(headers: &mut Vec<String>, row: &[Placed]) {
    // One cell across the table is its caption and says nothing of a column.
    if let [only] = row
        && only.to - only.from > 1
    {
        return;
    }
    for cell in row {
        if cell.text.is_empty() || cell.text.len() > LONGEST_LABEL {
            continue;
        }
        if headers.len() < cell.to {
            headers.resize(cell.to, String::new());
        }
        for header in &mut headers[cell.from..cell.to] {
            if header.is_empty() {
                header.clone_from(&cell.text);
            } else if *header != cell.text && header.len() + cell.text.len() < LONGEST_LABEL {
                header.push_str(" / ");
                header.push_str(&cell.text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Format, ParseOptions};

    fn cell(text: &str) -> Cell {
        Cell {
            text: text.to_owned(),
            columns: 1,
            rows: 1,
            ..Cell::default()
        }
    }

    fn written(table: &Table) -> String {
        let mut out = DocumentBuilder::new();
        let budget = Budget::new(&ParseOptions::default());
        TableWriter::default()
            .write(table, HeaderRule::Likely, None, &mut out, &budget)
            .unwrap();
        out.finish(Format::Html).text
    }

    #[test]
    fn a_row_says_its_headers() {
        let mut table = Table::default();
        for row in [["Name", "Age"], ["Ada", "36"], ["", "41"]] {
            table.start_row(false);
            for text in row {
                table.cell(cell(text));
            }
        }
        assert_eq!(written(&table), "Name | Age\nName: Ada | Age: 36\nAge: 41");
    }

    #[test]
    fn cells_reach_over_rows_and_columns() {
        let mut table = Table::default();
        table.start_row(true);
        table.cell(cell("Plan"));
        table.cell(Cell {
            columns: 2,
            ..cell("Price")
        });
        table.start_row(true);
        for text in ["", "month", "year"] {
            table.cell(cell(text));
        }
        table.start_row(false);
        table.cell(Cell {
            rows: 2,
            ..cell("Basic")
        });
        table.cell(cell("5"));
        table.cell(cell("50"));
        table.start_row(false);
        table.cell(cell("6"));
        table.cell(cell("60"));
        assert_eq!(
            written(&table),
            "Plan | Price\nmonth | year\n\
             Plan: Basic | Price / month: 5 | Price / year: 50\n\
             Plan: Basic | Price / month: 6 | Price / year: 60"
        );
    }

    #[test]
    fn repetition_is_bounded() {
        let mut table = Table::default();
        table.start_row(false);
        for _ in 0..400 {
            table.cell(Cell {
                rows: 60_000,
                ..cell(&"x".repeat(100))
            });
        }
        for _ in 0..20_000 {
            table.start_row(false);
        }
        assert!(written(&table).len() < 2_000_000);
    }
}

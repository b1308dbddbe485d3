//! Tables of any format into rows of one form, that of GitHub's Markdown tables without the
//! outer bars: `cell | cell`, and a line of dashes below the header.
//!
//! A header of several rows becomes one; a cell that reaches over several rows is repeated in
//! each; a row of one cell across the table above its header is a paragraph.

use crate::document::DocumentBuilder;
use crate::inline::made_one_line;
use crate::limits::Budget;
use crate::link::plain;
use crate::{BlockKind, ParseError};

/// Between two cells of a row.
const BAR: &str = " | ";

/// Longest cell that is repeated over rows or columns, in bytes. Longer ones are running text
/// rather than a label.
const LONGEST_LABEL: usize = 120;
/// Most columns that spans are counted over.
const MOST_COLUMNS: usize = 512;
/// Widest cell whose further columns are kept as empty ones.
const WIDEST_SPAN: usize = 16;
/// Repeated text (spanning cells) may come to so many times the tables' own.
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
    /// Lies under another cell that spans it: it takes no place of its own.
    pub(crate) covered: bool,
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
        if cell.covered {
            return;
        }
        if self.rows.is_empty() {
            self.start_row(false);
        }
        cell.text = made_one_line(&cell.text);
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
            && self.rows[0]
                .cells
                .iter()
                .skip(1)
                .all(|c| !c.text.is_empty())
            && self.rows[0].cells.iter().all(|c| {
                let text = plain(&c.text);
                text.len() <= LONGEST_LABEL / 2
                    && !text.starts_with(|c: char| c.is_ascii_digit())
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
        let mut header = Header::default();
        let mut above: Vec<Placed> = Vec::new();
        for (index, row) in table.rows.iter().enumerate() {
            budget.tick()?;
            let placed = place(row, &above);
            if index == header_rows {
                header.write(page, out);
            }
            if index >= header_rows {
                let line = self.line(&placed);
                out.push(BlockKind::TableRow, None, page, &line);
            } else if let [only] = placed.as_slice()
                && only.to - only.from > 1
            {
                header.write(page, out);
                out.push(BlockKind::Paragraph, None, page, &only.text);
            } else {
                header.add(&placed);
            }
            budget.check_blocks(out.len())?;
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
        header.write(page, out);
        Ok(())
    }

    fn line(&mut self, cells: &[Placed]) -> String {
        let mut columns: Vec<&str> = Vec::with_capacity(cells.len());
        let mut skipped = 0;
        for cell in cells {
            if cell.own {
                self.own += cell.text.len();
            } else if self.repeated <= self.own * MOST_REPETITION + 65_536 {
                self.repeated += cell.text.len();
            } else {
                continue;
            }
            // Columns that a very wide cell hides are not counted.
            let from = cell.from.saturating_sub(skipped);
            if columns.len() < from {
                columns.resize(from.min(columns.len() + WIDEST_SPAN), "");
            }
            columns.push(&cell.text);
            let width = cell.to - cell.from;
            if width > WIDEST_SPAN {
                skipped += width - 1;
            }
        }
        joined(&columns)
    }
}

/// The header row in the making.
#[derive(Debug, Default)]
struct Header {
    columns: Vec<String>,
}

impl Header {
    /// Takes in one row of the header: each cell is over all the columns it spans.
    fn add(&mut self, row: &[Placed]) {
        for cell in row {
            let wide = cell.to - cell.from > WIDEST_SPAN || plain(&cell.text).len() > LONGEST_LABEL;
            let to = if wide { cell.from + 1 } else { cell.to };
            if cell.text.is_empty() {
                continue;
            }
            if self.columns.len() < to {
                self.columns.resize(to, String::new());
            }
            for column in &mut self.columns[cell.from.min(to)..to] {
                if column.is_empty() {
                    column.clone_from(&cell.text);
                } else if plain(column) != plain(&cell.text) {
                    column.push_str(" / ");
                    column.push_str(&cell.text);
                }
            }
        }
    }

    /// Writes the header, if there is one, and starts anew.
    fn write(&mut self, page: Option<u32>, out: &mut DocumentBuilder) {
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        match columns.len() {
            0 => {}
            1 => out.push(BlockKind::TableRow, None, page, &joined(&columns)),
            _ => out.push(BlockKind::TableHeader, None, page, &header_text(&columns)),
        }
        self.columns.clear();
    }
}

/// A header as a line of cells and a line of dashes.
pub(crate) fn header_text(columns: &[&str]) -> String {
    let dashes = vec!["---"; columns.len()].join(BAR);
    format!("{}\n{dashes}", joined(columns))
}

/// Cells as a line. One that would begin with nothing gets outer bars.
pub(crate) fn joined(columns: &[&str]) -> String {
    let last = columns.iter().rposition(|c| !c.is_empty());
    let columns = &columns[..last.map_or(0, |last| last + 1)];
    let outer = columns.first().is_some_and(|c| c.is_empty());
    let mut line = String::new();
    let mut add = |piece: &str| {
        if !piece.is_empty() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(piece);
        }
    };
    add(if outer { "|" } else { "" });
    for (index, column) in columns.iter().enumerate() {
        add(if index > 0 { "|" } else { "" });
        if column.contains('|') {
            add(&column.replace('|', "\\|"));
        } else {
            add(column);
        }
    }
    add(if outer { "|" } else { "" });
    line
}

/// Cells of a line that was written by [`joined`].
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let inner = match line.strip_prefix('|') {
        Some(inner) => inner.strip_suffix('|').unwrap_or(inner),
        None => line,
    };
    let mut cells = Vec::new();
    let mut from = 0;
    for (at, _) in inner.match_indices('|') {
        if !inner[..at].ends_with('\\') {
            cells.push(&inner[from..at]);
            from = at + 1;
        }
    }
    cells.push(&inner[from..]);
    cells
        .into_iter()
        .map(|cell| cell.trim().replace("\\|", "|"))
        .collect()
}

/// A row of a table with the header of each cell before it: `Plan: Basic | Price: 5`.
///
/// `header` is the text of the table's [`BlockKind::TableHeader`] and `row` that of one of the
/// rows below it. A cell that says the same as its header stands alone.
///
/// ```
/// let header = "Plan | Price\n--- | ---";
/// assert_eq!(faq_ingest::labelled_row(header, "Basic | 5"), "Plan: Basic | Price: 5");
/// ```
pub fn labelled_row(header: &str, row: &str) -> String {
    let labels = cells(header.lines().next().unwrap_or_default());
    let mut line = String::new();
    for (index, cell) in cells(row).iter().enumerate() {
        if cell.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push_str(BAR);
        }
        let label = labels.get(index).map(|l| l.trim_end_matches(':'));
        if let Some(label) = label.filter(|l| !l.is_empty() && l != cell) {
            line.push_str(label);
            line.push_str(": ");
        }
        line.push_str(cell);
    }
    line
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
        let rows_left = if plain(&cell.text).len() > LONGEST_LABEL {
            1
        } else {
            cell.rows.max(1)
        };
        out.push(Placed {
            text: cell.text.clone(),
            from: column.min(MOST_COLUMNS - 1),
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
        assert_eq!(written(&table), "Name | Age\n--- | ---\nAda | 36\n| | 41 |");
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
            "Plan | Price / month | Price / year\n--- | --- | ---\n\
             Basic | 5 | 50\nBasic | 6 | 60"
        );
    }

    #[test]
    fn a_row_is_read_with_its_header() {
        let header = "Plan | Price \\| tax |\n--- | --- | ---";
        assert_eq!(labelled_row(header, "a\\|b | | x"), "Plan: a|b | x",);
        assert_eq!(labelled_row(header, "| | 5 |"), "Price | tax: 5");
        assert_eq!(labelled_row(header, "Plan"), "Plan");
        for columns in [
            vec!["", "b"],
            vec!["a", "", "", "d"],
            vec!["\\", "|", "x\\|"],
        ] {
            assert_eq!(cells(&joined(&columns)), columns, "{}", joined(&columns));
        }
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

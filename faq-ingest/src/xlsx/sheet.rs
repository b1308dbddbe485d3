//! One sheet's cells into tables.

use std::collections::HashMap;

use super::Shared;
use crate::document::DocumentBuilder;
use crate::inline::one_line;
use crate::limits::Budget;
use crate::table::{Cell as TableCell, HeaderRule, Table, TableWriter};
use crate::xml::{Element, Token, Xml};
use crate::{BlockKind, Format, ParseError};

/// Cells with content of one sheet, at some 50 bytes each beside their text.
const MOST_CELLS: usize = 5_000_000;
/// Columns that a sheet can have.
const MOST_COLUMNS: usize = 16_384;
/// Cells that are known to reach down into one row.
const MOST_ABOVE: usize = 256;
/// Merged areas that are looked at.
const MOST_MERGES: usize = 100_000;

/// The cells of a sheet that hold something.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) rows: Vec<Row>,
    /// Columns and rows of merged areas, by the row and column that they start in.
    merges: HashMap<(usize, usize), (usize, usize)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// Number from 1.
    pub(super) number: usize,
    /// In ascending order of their columns.
    pub(super) cells: Vec<Cell>,
}

#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// From 0.
    pub(super) column: usize,
    pub(super) text: String,
}

/// A cell while it is read.
#[derive(Debug, Default)]
struct Open {
    column: usize,
    kind: String,
    style: usize,
    value: String,
}

impl Sheet {
    pub(super) fn read(part: &str, shared: &Shared, budget: &Budget) -> Result<Self, ParseError> {
        let mut sheet = Self::default();
        let mut row = Row::default();
        let mut cell: Option<Open> = None;
        let mut next_column = 0;
        let mut cells = 0_usize;
        let mut in_value = false;
        let mut in_reading = false;
        let mut xml = Xml::new(part, Format::Xlsx, budget);
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(e) => match e.name() {
                    "row" => {
                        let number = e.attribute("r").and_then(|r| r.parse().ok());
                        row = Row {
                            number: number.unwrap_or(row.number.saturating_add(1)),
                            cells: Vec::new(),
                        };
                        next_column = 0;
                    }
                    "c" => {
                        let open = open(&e, next_column);
                        next_column = open.column + 1;
                        cell = Some(open);
                    }
                    "v" | "t" => in_value = true,
                    "rPh" => in_reading = true,
                    "mergeCell" if sheet.merges.len() < MOST_MERGES => {
                        sheet
                            .merges
                            .extend(e.attribute("ref").and_then(|r| area(&r)));
                    }
                    _ => {}
                },
                Token::Text(text) => {
                    if in_value
                        && !in_reading
                        && let Some(cell) = &mut cell
                    {
                        cell.value.push_str(&text);
                    }
                }
                Token::Close(name) => match name.as_str() {
                    "v" | "t" => in_value = false,
                    "rPh" => in_reading = false,
                    "c" => {
                        if let Some(open) = cell.take()
                            && let Some(text) = shown(&open, shared)
                        {
                            cells += 1;
                            if cells > MOST_CELLS {
                                let (value, allowed) = (cells as u64, MOST_CELLS as u64);
                                return Err(ParseError::limit("cells", value, allowed, "cells"));
                            }
                            shared.spend(text.len())?;
                            row.cells.push(Cell {
                                column: open.column,
                                text,
                            });
                        }
                    }
                    "row" => {
                        let mut done = std::mem::take(&mut row);
                        row.number = done.number;
                        done.cells.sort_by_key(|c| c.column);
                        if !done.cells.is_empty() {
                            sheet.rows.push(done);
                        }
                    }
                    _ => {}
                },
            }
        }
        sheet.rows.sort_by_key(|r| r.number);
        Ok(sheet)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the sheet's tables; rows with a gap between them belong to different ones.
    pub(super) fn write(
        &self,
        tables: &mut TableWriter,
        out: &mut DocumentBuilder,
        budget: &Budget,
    ) -> Result<(), ParseError> {
        for band in bands(&self.rows) {
            for part in self.beside(band, budget)? {
                for band in bands(&part) {
                    self.region(band, tables, out, budget)?;
                }
            }
        }
        Ok(())
    }

    /// Rows without a gap: first those of one cell, which are titles, then the table.
    fn region(
        &self,
        rows: &[Row],
        tables: &mut TableWriter,
        out: &mut DocumentBuilder,
        budget: &Budget,
    ) -> Result<(), ParseError> {
        let titles = rows.iter().take_while(|r| r.cells.len() == 1).count();
        // A column of single cells is a table of one column.
        let titles = if titles < rows.len() || titles == 1 {
            titles
        } else {
            0
        };
        for row in &rows[..titles] {
            budget.tick()?;
            let text = one_line(&row.cells[0].text);
            out.push(BlockKind::Paragraph, None, None, &text);
        }
        let rows = &rows[titles..];
        let Some(left) = rows
            .iter()
            .filter_map(|r| Some(r.cells.first()?.column))
            .min()
        else {
            return Ok(());
        };
        let mut table = Table::default();
        let mut above: Vec<Above> = Vec::new();
        for row in rows {
            budget.tick()?;
            above.retain(|a| a.last >= row.number);
            table.start_row(false);
            let mut next = Vec::new();
            let mut column = left;
            for cell in &row.cells {
                budget.tick()?;
                if column < cell.column {
                    for columns in free(column, cell.column, &above) {
                        table.cell(TableCell { columns, ..blank() });
                    }
                    column = cell.column;
                }
                let (columns, height) = self.span(row.number, cell.column);
                if height > 1 && next.len() < MOST_ABOVE {
                    next.push(Above {
                        from: cell.column,
                        to: cell.column.saturating_add(columns),
                        last: row.number.saturating_add(height - 1),
                    });
                }
                table.cell(TableCell {
                    text: cell.text.clone(),
                    columns,
                    rows: height,
                    ..blank()
                });
                column += columns;
            }
            above.append(&mut next);
            above.truncate(MOST_ABOVE);
            above.sort_by_key(|a| a.from);
        }
        tables.write(&table, HeaderRule::Likely, None, out, budget)
    }

    /// Columns and rows that the cell at a place reaches over.
    pub(super) fn span(&self, row: usize, column: usize) -> (usize, usize) {
        self.merges.get(&(row, column)).copied().unwrap_or((1, 1))
    }
}

/// A cell that reaches down into the rows below its own.
struct Above {
    /// Its columns.
    from: usize,
    to: usize,
    /// The last row that it reaches into.
    last: usize,
}

/// Widths of the runs of columns in `from..to` that no cell from above reaches over.
fn free(from: usize, to: usize, above: &[Above]) -> Vec<usize> {
    let mut widths = Vec::new();
    let mut at = from;
    for cell in above.iter().filter(|a| a.to > from && a.from < to) {
        widths.push(cell.from.saturating_sub(at));
        at = at.max(cell.to);
    }
    widths.push(to.saturating_sub(at));
    widths.retain(|&width| width > 0);
    widths
}

/// Runs of rows without a gap between two of them.
fn bands(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    rows.chunk_by(|a, b| b.number <= a.number + 1)
}

fn blank() -> TableCell {
    TableCell {
        columns: 1,
        rows: 1,
        ..TableCell::default()
    }
}

fn open(element: &Element<'_>, next_column: usize) -> Open {
    let place = element.attribute("r").and_then(|r| place(&r));
    Open {
        column: place.map_or(next_column, |(column, _)| column),
        kind: element.attribute("t").unwrap_or_default(),
        style: element
            .attribute("s")
            .and_then(|s| s.parse().ok())
            .unwrap_or(0),
        value: String::new(),
    }
}

/// A string with its escapes resolved: `_x000D_` stands for a character that XML does not carry, and
/// `_x005F_` for the underscore of what would read as one (ECMA-376, 22.9.2.19).
pub(super) fn unescaped(text: String) -> String {
    let mut rest = text.as_str();
    let mut out = String::new();
    while let Some(at) = rest.find("_x") {
        let code = rest
            .get(at + 2..at + 7)
            .and_then(|code| code.strip_suffix('_'))
            .filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?));
        let end = at + if code.is_some() { 7 } else { 2 };
        out.push_str(&rest[..if code.is_some() { at } else { end }]);
        out.extend(code);
        rest = &rest[end..];
    }
    if out.is_empty() {
        return text;
    }
    out.push_str(rest);
    out
}

/// What the program shows in the cell, or `None` for nothing.
fn shown(cell: &Open, shared: &Shared) -> Option<String> {
    let text = match cell.kind.as_str() {
        "s" => {
            let index: usize = cell.value.trim().parse().ok()?;
            shared.strings.get(index)?.clone()
        }
        "b" => match cell.value.trim() {
            "1" | "true" => "TRUE".to_owned(),
            _ => "FALSE".to_owned(),
        },
        "str" | "inlineStr" => unescaped(cell.value.clone()),
        "e" | "d" => cell.value.clone(),
        _ => {
            let value = cell.value.trim();
            match value.parse::<f64>() {
                Ok(number) => shared.styles.shown(number, cell.style, shared.epoch),
                Err(_) => value.to_owned(),
            }
        }
    };
    (!text.trim().is_empty()).then_some(text)
}

/// Column from 0 and row from 1 of a reference such as `B12` or `$B$12`.
fn place(reference: &str) -> Option<(usize, usize)> {
    let mut column = 0_usize;
    let mut digits = String::new();
    for c in reference.chars().filter(|&c| c != '$') {
        if c.is_ascii_alphabetic() && digits.is_empty() {
            let letter = usize::from(c.to_ascii_uppercase() as u8 - b'A') + 1;
            column = column.checked_mul(26)?.checked_add(letter)?;
        } else if c.is_ascii_digit() {
            digits.push(c);
        } else {
            return None;
        }
    }
    if !(1..=MOST_COLUMNS).contains(&column) {
        return None;
    }
    Some((column - 1, digits.parse().ok()?))
}

/// A merged area by its start: row and column, and how many columns and rows it has.
fn area(reference: &str) -> Option<((usize, usize), (usize, usize))> {
    let (from, to) = reference.split_once(':')?;
    let ((left, top), (right, bottom)) = (place(from)?, place(to)?);
    let columns = right.checked_sub(left)? + 1;
    let rows = bottom.checked_sub(top)?.saturating_add(1);
    Some(((top, left), (columns, rows)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ParseOptions;

    #[test]
    fn escapes_in_strings_are_resolved() {
        for (written, read) in [
            ("a_x000D_\nb", "a\r\nb"),
            ("_x005F_x0041_ _x0041_", "_x0041_ A"),
            ("_xD800_ _x00é_ _x12 _x", "_xD800_ _x00é_ _x12 _x"),
            ("max_x and_y", "max_x and_y"),
        ] {
            assert_eq!(unescaped(written.to_owned()), read);
        }
    }

    #[test]
    fn columns_below_a_merged_cell_stay_where_they_are() {
        let row = |number, cells: &[(usize, &str)]| Row {
            number,
            cells: cells
                .iter()
                .map(|&(column, text)| Cell {
                    column,
                    text: text.to_owned(),
                })
                .collect(),
        };
        let sheet = Sheet {
            rows: vec![
                row(1, &[(0, "city"), (1, "kind"), (2, "price")]),
                row(2, &[(0, "Aland"), (1, "day"), (2, "5")]),
                row(3, &[(1, "week"), (2, "20")]),
                row(4, &[(0, "Beton"), (2, "7")]),
            ],
            merges: HashMap::from([((2, 0), (1, 2)), ((4, 0), (2, 1))]),
        };
        let budget = Budget::new(&ParseOptions::default());
        let mut out = DocumentBuilder::new();
        sheet
            .write(&mut TableWriter::default(), &mut out, &budget)
            .unwrap();
        let document = out.finish(Format::Xlsx);
        assert_eq!(
            document.text,
            "city | kind | price\n--- | --- | ---\nAland | day | 5\nAland | week | 20\n\
             Beton | | 7"
        );
    }

    #[test]
    fn free_columns_lie_around_those_that_are_taken() {
        let above = |from, to| Above { from, to, last: 9 };
        assert_eq!(free(2, 9, &[]), [7]);
        assert_eq!(
            free(2, 9, &[above(0, 3), above(4, 5), above(8, 20)]),
            [1, 3]
        );
        assert_eq!(free(2, 4, &[above(0, 9), above(1, 3)]), Vec::<usize>::new());
    }
}

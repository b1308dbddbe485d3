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
/// Merged areas that are looked at.
const MOST_MERGES: usize = 100_000;

/// The cells of a sheet that hold something.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    rows: Vec<Row>,
    /// Columns and rows of merged areas, by the row and column that they start in.
    merges: HashMap<(usize, usize), (usize, usize)>,
}

#[derive(Debug, Default)]
struct Row {
    /// Number from 1.
    number: usize,
    /// In ascending order of their columns.
    cells: Vec<Cell>,
}

#[derive(Debug)]
struct Cell {
    /// From 0.
    column: usize,
    text: String,
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
        let mut from = 0;
        for at in 1..=self.rows.len() {
            let goes_on = self
                .rows
                .get(at)
                .is_some_and(|row| row.number <= self.rows[at - 1].number + 1);
            if !goes_on {
                self.region(&self.rows[from..at], tables, out, budget)?;
                from = at;
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
        for row in rows {
            budget.tick()?;
            table.start_row(false);
            let mut column = left;
            for cell in &row.cells {
                if column < cell.column {
                    table.cell(TableCell {
                        columns: cell.column - column,
                        ..blank()
                    });
                    column = cell.column;
                }
                let (columns, height) = self.span(row.number, cell.column);
                table.cell(TableCell {
                    text: cell.text.clone(),
                    columns,
                    rows: height,
                    ..blank()
                });
                column += columns;
            }
        }
        tables.write(&table, HeaderRule::Likely, None, out, budget)
    }

    /// Columns and rows that the cell at a place reaches over.
    fn span(&self, row: usize, column: usize) -> (usize, usize) {
        self.merges.get(&(row, column)).copied().unwrap_or((1, 1))
    }
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
        "str" | "inlineStr" | "e" | "d" => cell.value.clone(),
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

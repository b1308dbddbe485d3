//! Tables that stand side by side on a sheet.
//!
//! A column without a cell may part two tables, or two groups of columns of one. It parts tables
//! where one of them begins beside the other's data: a row of names next to a row with numbers.

use std::borrow::Cow;

use super::sheet::{Cell, Row, Sheet};
use crate::ParseError;
use crate::limits::Budget;

/// Most tables that are told apart in one run of rows.
const MOST_TABLES: usize = 16;
/// Columns that are looked at for empty ones.
const MOST_COLUMNS: usize = 512;

impl Sheet {
    /// The tables of a run of rows, from left to right: one as a rule, the rows themselves.
    pub(super) fn beside<'r>(
        &self,
        rows: &'r [Row],
        budget: &Budget,
    ) -> Result<Vec<Cow<'r, [Row]>>, ParseError> {
        let mut done = Vec::new();
        let mut rest = Cow::Borrowed(rows);
        while done.len() + 1 < MOST_TABLES {
            let Some(column) = self.parting(&rest, budget)? else {
                break;
            };
            let (left, right) = split(&rest, column);
            done.push(Cow::Owned(left));
            rest = Cow::Owned(right);
        }
        done.push(rest);
        Ok(done)
    }

    /// The first empty column that parts two tables.
    fn parting(&self, rows: &[Row], budget: &Budget) -> Result<Option<usize>, ParseError> {
        let mut used = vec![false; MOST_COLUMNS];
        for row in rows {
            budget.tick()?;
            for cell in &row.cells {
                let (columns, _) = self.span(row.number, cell.column);
                let to = cell.column.saturating_add(columns).min(MOST_COLUMNS);
                used[cell.column.min(to)..to].fill(true);
            }
        }
        let begins = |column: usize| column > 0 && !used[column] && used[column - 1];
        let first = used.iter().position(|&u| u).unwrap_or(MOST_COLUMNS);
        for column in (first..MOST_COLUMNS)
            .filter(|&c| begins(c))
            .take(MOST_TABLES)
        {
            budget.check_clock()?;
            if parts_tables(rows, column) {
                return Ok(Some(column));
            }
        }
        Ok(None)
    }
}

fn parts_tables(rows: &[Row], column: usize) -> bool {
    let sides = |row: &Row| row.cells.partition_point(|c| c.column < column);
    let (mut left, mut right) = (Side::default(), Side::default());
    for row in rows {
        let (a, b) = row.cells.split_at(sides(row));
        left.add(row.number, a);
        right.add(row.number, b);
    }
    if left.rows < 2 || right.rows < 2 || left.first == right.first {
        return false;
    }
    let (later, is_left) = if left.first > right.first {
        (&left, true)
    } else {
        (&right, false)
    };
    rows.iter()
        .find(|r| r.number == later.first)
        .is_some_and(|row| {
            let (a, b) = row.cells.split_at(sides(row));
            let (names, data) = if is_left { (a, b) } else { (b, a) };
            !names.iter().any(is_number) && data.iter().any(is_number)
        })
}

/// What stands on one side of a column.
#[derive(Default)]
struct Side {
    /// Rows of several cells.
    rows: usize,
    /// The first of them.
    first: usize,
}

impl Side {
    fn add(&mut self, number: usize, cells: &[Cell]) {
        if cells.len() > 1 {
            if self.rows == 0 {
                self.first = number;
            }
            self.rows += 1;
        }
    }
}

fn is_number(cell: &Cell) -> bool {
    let digits = cell.text.chars().filter(char::is_ascii_digit).count();
    let letters = cell.text.chars().filter(|c| c.is_alphabetic()).count();
    digits > letters
}

/// The rows on either side of a column; those without a cell there are left out.
fn split(rows: &[Row], column: usize) -> (Vec<Row>, Vec<Row>) {
    let side = |left: bool| {
        rows.iter()
            .map(|row| Row {
                number: row.number,
                cells: row
                    .cells
                    .iter()
                    .filter(|c| (c.column < column) == left)
                    .cloned()
                    .collect(),
            })
            .filter(|row| !row.cells.is_empty())
            .collect()
    };
    (side(true), side(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParseOptions;

    fn sheet(rows: &[&str]) -> Sheet {
        let mut sheet = Sheet::default();
        for (number, row) in (1..).zip(rows) {
            let cells = row.split(',').enumerate();
            sheet.rows.push(Row {
                number,
                cells: cells
                    .filter(|(_, text)| !text.is_empty())
                    .map(|(column, text)| Cell {
                        column,
                        text: text.to_owned(),
                    })
                    .collect(),
            });
        }
        sheet
    }

    fn tables(rows: &[&str]) -> Vec<Vec<String>> {
        let sheet = sheet(rows);
        let budget = Budget::new(&ParseOptions::default());
        let parts = sheet.beside(&sheet.rows, &budget).unwrap();
        let line = |row: &Row| {
            let texts: Vec<&str> = row.cells.iter().map(|c| c.text.as_str()).collect();
            texts.join(",")
        };
        parts.iter().map(|p| p.iter().map(line).collect()).collect()
    }

    #[test]
    fn a_table_that_begins_beside_anothers_data_is_one_of_its_own() {
        let found = tables(&[
            "a,b",
            "1,2",
            "3,4,,,plan,price",
            "5,6,,,basic,7",
            ",,,,full,9",
        ]);
        assert_eq!(
            found,
            [
                vec!["a,b", "1,2", "3,4", "5,6"],
                vec!["plan,price", "basic,7", "full,9"]
            ]
        );
    }

    #[test]
    fn groups_of_columns_and_forms_stay_together() {
        let groups = ["name,q1,,total,share", "a,1,,2,3", "b,4,,5,6"];
        assert_eq!(tables(&groups).len(), 1);
        // Labels and values of a form, in columns with gaps.
        let form = ["title", "1.1,,voltage,,kV,:,130", "1.2,,frequency,,Hz,:,50"];
        assert_eq!(tables(&form).len(), 1);
        // Further down, but without names of its own.
        let notes = ["a,b,,,", "1,2,,,", "3,4,,5,6", "7,8,,9,10"];
        assert_eq!(tables(&notes).len(), 1);
    }
}

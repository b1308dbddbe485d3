//! Tables: lines of several aligned cells, one under the other.

use super::geometry::Rect;
use super::lines::Line;
use super::place;
use super::words::Fragment;
use crate::table::{header_text, joined};

/// Most lines that one table is looked for in; longer ones are cut into several.
const MAX_LINES: usize = 400;

/// A table found in a run of lines.
#[derive(Debug)]
pub(super) struct Table {
    /// Cells by row; rows have the same number of cells, some of them empty.
    pub(super) rows: Vec<Vec<String>>,
    /// The box around each row.
    pub(super) areas: Vec<Rect>,
    /// Whether the first row names the columns.
    pub(super) header: bool,
    /// Lines used up.
    pub(super) lines: usize,
}

/// A row as it is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// `cell | cell`, and for a header a line of dashes below it.
    pub(super) text: String,
    pub(super) header: bool,
    pub(super) area: Option<Rect>,
}

impl Table {
    pub(super) fn read(&self) -> Vec<Row> {
        read_rows(&self.rows, &self.areas, self.header.then_some(0))
    }
}

/// How a row looks, as far as headers are told by it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) bold: bool,
}

/// Rows as text, with the box around each; the row `header` names the columns.
pub(super) fn read_rows(rows: &[Vec<String>], areas: &[Rect], header: Option<usize>) -> Vec<Row> {
    let read = |(i, row): (usize, &Vec<String>)| {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        let header = header == Some(i) && cells.len() > 1;
        let text = if header {
            header_text(&cells)
        } else {
            joined(&cells)
        };
        Row {
            text,
            header,
            area: areas.get(i).copied(),
        }
    };
    rows.iter().enumerate().map(read).collect()
}

/// Left and right edge of a column.
#[derive(Debug, Clone, Copy)]
struct Column {
    x0: f32,
    x1: f32,
}

/// The table that begins at the first of `lines`, if one does.
pub(super) fn table_at(lines: &[Line]) -> Option<Table> {
    let first = lines.first()?;
    if first.cells.len() < 2 {
        return None;
    }
    let end = extent(lines);
    let run = &lines[..end];
    let columns = columns(run)?;
    // The run may go on into lines that the columns do not fit.
    let mut fitting = 0;
    let mut last_many = 0;
    for (i, line) in run.iter().enumerate() {
        if !line.cells.iter().all(|c| column_of(c, &columns).is_some()) {
            break;
        }
        fitting = i + 1;
        if line.cells.len() >= 2 {
            last_many = i + 1;
        }
    }
    // Single pieces at the end are the last row's second lines only where they lie in a later
    // column; otherwise they are text below the table.
    let mut used = last_many;
    while used < fitting
        && run[used]
            .cells
            .iter()
            .all(|c| column_of(c, &columns).is_some_and(|k| k > 0))
        && pitch(run, used) < run[used].size * 1.35
    {
        used += 1;
    }
    let run = &run[..used];
    if run.iter().filter(|l| l.cells.len() >= 2).count() < 2 {
        return None;
    }
    let (rows, firsts) = rows(run, &columns);
    if rows.len() < 2 {
        return None;
    }
    // Rows of several lines have the look of their first; the header is one line as a rule.
    let looks: Vec<Look> = run.iter().map(|l| Look { bold: l.style.bold }).collect();
    let header = is_header(&rows, &looks);
    let ends = firsts.iter().skip(1).copied().chain([used]);
    let areas = firsts
        .iter()
        .zip(ends)
        .filter_map(|(&from, to)| place::around(&run[from..to]))
        .collect();
    Some(Table {
        rows,
        areas,
        header,
        lines: used,
    })
}

fn pitch(lines: &[Line], at: usize) -> f32 {
    match at.checked_sub(1) {
        Some(before) => lines[at].y - lines[before].y,
        None => 0.0,
    }
}

/// How many lines could belong to one table: several cells each, or one between such.
fn extent(lines: &[Line]) -> usize {
    let mut end = 1;
    let mut lone = 0;
    for at in 1..lines.len().min(MAX_LINES) {
        let line = &lines[at];
        if pitch(lines, at) > line.size.max(lines[at - 1].size) * 3.5 {
            break;
        }
        if line.cells.len() >= 2 {
            lone = 0;
        } else {
            lone += 1;
            if lone > 3 {
                break;
            }
        }
        end = at + 1;
    }
    end
}

/// Columns by the lines that have the most usual number of cells.
fn columns(run: &[Line]) -> Option<Vec<Column>> {
    let mut counts = [0usize; 33];
    for line in run.iter().filter(|l| l.cells.len() >= 2) {
        counts[line.cells.len().min(32)] += 1;
    }
    // Of equally usual numbers the larger one: rows with empty cells have fewer pieces.
    let usual = (2..33).max_by_key(|&n| (counts[n], n))?;
    if counts[usual] < 2 {
        return None;
    }
    let mut columns: Vec<Column> = Vec::new();
    for line in run.iter().filter(|l| l.cells.len() == usual) {
        if columns.is_empty() {
            columns = line
                .cells
                .iter()
                .map(|c| Column { x0: c.x0, x1: c.x1 })
                .collect();
            continue;
        }
        for (k, cell) in line.cells.iter().enumerate() {
            let left = k.checked_sub(1).map_or(f32::MIN, |l| columns[l].x1);
            let right = columns.get(k + 1).map_or(f32::MAX, |r| r.x0);
            if cell.x0 <= left || cell.x1 >= right {
                // Not one under the other: lines with gaps, but no table so far.
                return None;
            }
            columns[k].x0 = columns[k].x0.min(cell.x0);
            columns[k].x1 = columns[k].x1.max(cell.x1);
        }
    }
    Some(columns)
}

/// The column that a piece lies in: the first it overlaps, or the nearest it fits beside.
fn column_of(cell: &Fragment, columns: &[Column]) -> Option<usize> {
    let overlaps = |c: &Column| cell.x0 < c.x1 && cell.x1 > c.x0;
    if let Some(k) = columns.iter().position(overlaps) {
        return Some(k);
    }
    let centre = f32::midpoint(cell.x0, cell.x1);
    let distance = |c: &Column| (f32::midpoint(c.x0, c.x1) - centre).abs();
    let nearest = (0..columns.len())
        .min_by(|&a, &b| distance(&columns[a]).total_cmp(&distance(&columns[b])))?;
    (distance(&columns[nearest]) < cell.size * 8.0).then_some(nearest)
}

/// Lines into rows, with the first line of each; a line without a first cell close under the last one continues it.
fn rows(run: &[Line], columns: &[Column]) -> (Vec<Vec<String>>, Vec<usize>) {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut firsts = Vec::new();
    for (i, line) in run.iter().enumerate() {
        let placed: Vec<(usize, &Fragment)> = line
            .cells
            .iter()
            .filter_map(|c| column_of(c, columns).map(|k| (k, c)))
            .collect();
        let continues = !rows.is_empty()
            && (placed.iter().all(|(k, _)| *k > 0) || i == 1 && two_lined_header(run))
            && pitch(run, i) < line.size * 1.45;
        if !continues {
            rows.push(vec![String::new(); columns.len()]);
            firsts.push(i);
        }
        let Some(row) = rows.last_mut() else { continue };
        for (k, cell) in placed {
            if !row[k].is_empty() {
                row[k].push(' ');
            }
            row[k].push_str(cell.text.trim());
        }
    }
    (rows, firsts)
}

/// Whether the second line belongs to the first: names of columns, some in two lines, over rows
/// of numbers.
fn two_lined_header(run: &[Line]) -> bool {
    let [first, second, third, ..] = run else {
        return false;
    };
    let numbers = |l: &Line| l.cells.iter().filter(|c| numeric(&c.text)).count();
    numbers(first) == 0
        && numbers(second) == 0
        && second.cells.len() < first.cells.len()
        && numbers(third) * 2 > third.cells.len()
}

fn numeric(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    digits > 0 && digits > letters
}

/// The row that names the columns: the first, or the one below a title of the table.
pub(super) fn header_row(rows: &[Vec<String>], looks: &[Look]) -> Option<usize> {
    let filled = |row: &Vec<String>| row.iter().filter(|c| !c.is_empty()).count();
    let at = usize::from(rows.first().is_some_and(|r| filled(r) < 2));
    let (rows, looks) = (rows.get(at..)?, looks.get(at..)?);
    is_header(rows, looks).then_some(at)
}

/// A first row of words over columns of numbers, or in bold over rows that are not.
fn is_header(rows: &[Vec<String>], looks: &[Look]) -> bool {
    let (Some((head, body)), Some((first, rest))) = (rows.split_first(), looks.split_first())
    else {
        return false;
    };
    if head.iter().any(|c| numeric(c)) || head.iter().filter(|c| !c.is_empty()).count() < 2 {
        return false;
    }
    let bold = first.bold && rest.iter().any(|l| !l.bold);
    let over_numbers = (0..head.len()).any(|k| {
        let filled = body.iter().filter(|r| !r[k].is_empty()).count();
        let numbers = body.iter().filter(|r| numeric(&r[k])).count();
        !head[k].is_empty() && filled > 0 && numbers * 4 >= filled * 3
    });
    bold || over_numbers
}

//! Tables drawn with lines: the cells that the lines make, and the text in each.
//!
//! A cell of several lines stays one cell here, which the alignment of words alone cannot
//! tell. Every row takes the place of its words as one fragment over the table's width, so
//! that reading order sees the table as what it is.

use super::font::Style;
use super::geometry::Rect;
use super::interpret::Segment;
use super::lines::{self, Vocabulary};
use super::ruling::Rules;
use super::table::{self, Look, Row};
use super::words::{Direction, Fragment};
use crate::ParseError;
use crate::limits::Budget;

/// Lines that end this near to another one touch it, in points.
const TOUCH: f32 = 3.0;
/// Columns and rows that one table may have.
const MOST_COLUMNS: usize = 64;
const MOST_ROWS: usize = 1_000;
/// A cell with more characters than this is a frame around text.
const LONGEST_CELL: usize = 2_000;

/// Rows as they will be read, and the fragment that stands for each on its page.
type Rows = (Vec<Row>, Vec<Fragment>);

/// Where the lines of one table stand.
struct Grid {
    xs: Vec<f32>,
    ys: Vec<f32>,
    /// The cell of each place, row by row: the number of its first place.
    cells: Vec<usize>,
}

/// Takes the words in drawn tables out of a page's fragments and puts one fragment a row in
/// their place; the rows' texts are the result, which those fragments count.
pub(super) fn extract(
    main: &mut Direction,
    rules: &Rules,
    budget: &Budget,
) -> Result<Vec<Row>, ParseError> {
    let mut rows = Vec::new();
    if main.degrees != 0 || rules.horizontal.len() < 2 || rules.vertical.is_empty() {
        return Ok(rows);
    }
    let mirrored;
    let rules = if main.mirrored {
        mirrored = rules.mirrored();
        &mirrored
    } else {
        rules
    };
    for grid in grids(rules, budget)? {
        let (inside, outside): (Vec<Fragment>, Vec<Fragment>) = std::mem::take(&mut main.fragments)
            .into_iter()
            .partition(|f| grid.place(f).is_some());
        main.fragments = outside;
        match grid.rows(&inside, rows.len(), budget)? {
            Some((texts, fragments)) => {
                rows.extend(texts);
                main.fragments.extend(fragments);
            }
            None => main.fragments.extend(inside),
        }
    }
    Ok(rows)
}

/// Groups of lines that touch each other, as grids.
fn grids(rules: &Rules, budget: &Budget) -> Result<Vec<Grid>, ParseError> {
    let (h, v) = (&rules.horizontal, &rules.vertical);
    let mut groups = Groups::new(h.len() + v.len());
    for (i, a) in h.iter().enumerate() {
        let from = v.partition_point(|b| b.at < a.from - TOUCH);
        for (j, b) in v.iter().enumerate().skip(from) {
            budget.tick()?;
            if b.at > a.to + TOUCH {
                break;
            }
            if b.from - TOUCH <= a.at && a.at <= b.to + TOUCH {
                groups.join(i, h.len() + j);
            }
        }
    }
    let mut members: std::collections::BTreeMap<usize, (Vec<Segment>, Vec<Segment>)> =
        std::collections::BTreeMap::new();
    for (i, line) in h.iter().chain(v).enumerate() {
        let group = members.entry(groups.find(i)).or_default();
        if i < h.len() {
            group.0.push(*line);
        } else {
            group.1.push(*line);
        }
    }
    let mut out = Vec::new();
    for (horizontal, vertical) in members.into_values() {
        if let Some(grid) = Grid::of(&horizontal, &vertical, budget)? {
            out.push(grid);
        }
    }
    Ok(out)
}

/// Places in ascending order, with those that are the same one taken together.
fn distinct(mut places: Vec<f32>) -> Vec<f32> {
    places.sort_by(f32::total_cmp);
    places.dedup_by(|b, a| *b - *a < TOUCH);
    places
}

impl Grid {
    fn of(
        horizontal: &[Segment],
        vertical: &[Segment],
        budget: &Budget,
    ) -> Result<Option<Self>, ParseError> {
        if horizontal.len() < 2 || vertical.is_empty() {
            return Ok(None);
        }
        // The outer edges need not be drawn.
        let ends = |lines: &[Segment]| {
            let from = lines.iter().map(|s| s.from).fold(f32::MAX, f32::min);
            let to = lines.iter().map(|s| s.to).fold(f32::MIN, f32::max);
            [from, to]
        };
        let places = |lines: &[Segment], across: &[Segment]| {
            distinct(lines.iter().map(|s| s.at).chain(ends(across)).collect())
        };
        let xs = places(vertical, horizontal);
        let ys = places(horizontal, vertical);
        if xs.len() < 3 || ys.len() < 3 || xs.len() > MOST_COLUMNS + 1 || ys.len() > MOST_ROWS + 1 {
            return Ok(None);
        }
        let (columns, rows) = (xs.len() - 1, ys.len() - 1);
        let mut cells = Groups::new(columns * rows);
        let covers = |line: &Segment, from: f32, to: f32| {
            line.to.min(to) - line.from.max(from) > (to - from) * 0.5
        };
        for row in 0..rows {
            for column in 0..columns {
                budget.tick()?;
                let here = row * columns + column;
                let wall = |lines: &[Segment], at: f32, from: f32, to: f32| {
                    lines
                        .iter()
                        .any(|l| (l.at - at).abs() < TOUCH && covers(l, from, to))
                };
                if column + 1 < columns && !wall(vertical, xs[column + 1], ys[row], ys[row + 1]) {
                    cells.join(here, here + 1);
                }
                if row + 1 < rows && !wall(horizontal, ys[row + 1], xs[column], xs[column + 1]) {
                    cells.join(here, here + columns);
                }
            }
        }
        let cells = (0..columns * rows).map(|i| cells.find(i)).collect();
        Ok(Some(Self { xs, ys, cells }))
    }

    fn columns(&self) -> usize {
        self.xs.len() - 1
    }

    /// The place that a fragment's middle lies in.
    fn place(&self, f: &Fragment) -> Option<usize> {
        let x = f32::midpoint(f.x0, f.x1);
        let y = f.y - f.size * 0.3;
        let column = self.xs.partition_point(|&e| e <= x).checked_sub(1)?;
        let row = self.ys.partition_point(|&e| e <= y).checked_sub(1)?;
        (column < self.columns() && row < self.ys.len() - 1)
            .then_some(row * self.columns() + column)
    }

    /// The rows' texts and the fragments that stand for them, or `None` where this is no table.
    fn rows(
        &self,
        inside: &[Fragment],
        first: usize,
        budget: &Budget,
    ) -> Result<Option<Rows>, ParseError> {
        let columns = self.columns();
        let mut cells: std::collections::BTreeMap<usize, Vec<Fragment>> =
            std::collections::BTreeMap::new();
        for f in inside {
            budget.tick()?;
            if let Some(place) = self.place(f) {
                cells.entry(self.cells[place]).or_default().push(f.clone());
            }
        }
        let used = |pick: fn(usize, usize) -> usize| {
            let mut places: Vec<usize> = cells.keys().map(|&c| pick(c, columns)).collect();
            places.sort_unstable();
            places.dedup();
            places.len()
        };
        let chars = |cell: &Vec<Fragment>| cell.iter().map(|f| f.chars).sum::<usize>();
        if cells.len() < 3
            || used(|c, n| c / n) < 2
            || used(|c, n| c % n) < 2
            || cells.values().any(|cell| chars(cell) > LONGEST_CELL)
            || self.rows_without_lines(&cells)
        {
            return Ok(None);
        }
        let mut by_row: std::collections::BTreeMap<usize, Vec<(usize, Vec<Fragment>)>> =
            std::collections::BTreeMap::new();
        for (cell, fragments) in cells {
            by_row
                .entry(cell / columns)
                .or_default()
                .push((cell % columns, fragments));
        }
        let mut texts: Vec<Vec<String>> = Vec::new();
        let mut looks: Vec<Look> = Vec::new();
        let mut places: Vec<Fragment> = Vec::new();
        let mut areas: Vec<Rect> = Vec::new();
        for (row, cells) in by_row {
            let mut line = vec![String::new(); columns];
            let mut bold = true;
            let mut lead: Option<Fragment> = None;
            for (column, fragments) in cells {
                budget.tick()?;
                bold &= fragments.iter().all(|f| f.style.bold);
                let longest = fragments.iter().max_by_key(|f| f.chars).cloned();
                if lead.as_ref().map_or(0, |l| l.chars) < longest.as_ref().map_or(0, |l| l.chars) {
                    lead = longest;
                }
                line[column] = cell_text(fragments);
            }
            let Some(lead) = lead else { continue };
            let filled: Vec<&str> = line
                .iter()
                .map(String::as_str)
                .filter(|c| !c.is_empty())
                .collect();
            let text = filled.join(" | ");
            places.push(Fragment {
                chars: text.chars().count(),
                text,
                x0: self.xs[0],
                x1: self.xs[columns],
                y: self.ys[row] + lead.size * 0.75,
                style: Style { bold, ..lead.style },
                first_word: self.xs[columns] - self.xs[0],
                row: Some(first + texts.len()),
                ..lead
            });
            areas.push(Rect {
                x0: self.xs[0],
                y0: self.ys[row],
                x1: self.xs[columns],
                y1: self.ys[row + 1],
            });
            looks.push(Look { bold });
            texts.push(line);
        }
        let rows = table::read_rows(&texts, &areas, table::header_row(&texts, &looks));
        Ok(Some((rows, places)))
    }

    /// Whether one pair of lines holds many rows of short cells: only the columns are drawn, and
    /// the rows are told better by their words.
    fn rows_without_lines(&self, cells: &std::collections::BTreeMap<usize, Vec<Fragment>>) -> bool {
        let columns = self.columns();
        let mut bands: std::collections::BTreeMap<usize, Vec<(usize, &Fragment)>> =
            std::collections::BTreeMap::new();
        for (cell, fragments) in cells {
            for f in fragments {
                bands
                    .entry(cell / columns)
                    .or_default()
                    .push((cell % columns, f));
            }
        }
        bands.values_mut().any(|band| {
            band.sort_by(|a, b| a.1.y.total_cmp(&b.1.y));
            // Lines of text, each with the columns that it has words in.
            let mut heights: Vec<(f32, Vec<usize>)> = Vec::new();
            for (column, f) in band.iter() {
                match heights.last_mut() {
                    Some((y, found)) if f.y - *y < f.size * 0.4 => found.push(*column),
                    _ => heights.push((f.y, vec![*column])),
                }
            }
            let leftmost = band.iter().map(|(c, _)| *c).min().unwrap_or(0);
            let whole = heights
                .iter()
                .filter(|(_, found)| found.len() > 1 && found.contains(&leftmost))
                .count();
            let width = |column: usize| {
                let right = self.xs.get(column + 1).copied().unwrap_or(f32::MAX);
                (right - self.xs[column]).max(1.0)
            };
            let fill = band
                .iter()
                .map(|(c, f)| ((f.x1 - f.x0) / width(*c)).min(1.0))
                .sum::<f32>()
                / band.len().max(1) as f32;
            heights.len() >= 3 && whole * 5 >= heights.len() * 4 && fill < 0.75
        })
    }
}

/// The lines of a cell as one text.
fn cell_text(fragments: Vec<Fragment>) -> String {
    let none = Vocabulary::default();
    let mut text = String::new();
    for line in lines::lines(fragments) {
        lines::join(&mut text, &line.text(), &none);
    }
    lines::tidy(&text)
}

/// Disjoint sets of numbers.
struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    fn new(count: usize) -> Self {
        Self {
            parents: (0..count).collect(),
        }
    }

    fn find(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    /// The lower number stands for both.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.parents[a.max(b)] = a.min(b);
    }
}

//! Reading order: a page's fragments into regions that are read one after the other.
//!
//! A gutter is a strip without text between two stacks of lines. It is looked for from the
//! gaps between neighbours and grown up and down until something crosses it, so a heading over
//! the whole width ends it. Table columns have gutters too: what tells them apart is that a
//! table is written row by row, and that its cells are short.

use super::lines::marker_len;
use super::words::Fragment;
use crate::ParseError;
use crate::limits::Budget;

/// Cuts inside cuts.
const MAX_DEPTH: usize = 12;
/// Gaps that are tried as the start of a gutter in one region.
const MAX_CANDIDATES: usize = 400;
/// Neighbours looked at on either side in the order of height.
const NEIGHBOURS: usize = 48;
/// Lines that a column has at least.
const MIN_LINES: usize = 3;

/// A strip without text, and the fragments (by rank of height) that lie along it.
#[derive(Debug, Clone, Copy)]
struct Gutter {
    x0: f32,
    x1: f32,
    first: usize,
    last: usize,
}

/// The regions of a page in reading order.
pub(super) fn regions(
    fragments: Vec<Fragment>,
    budget: &Budget,
) -> Result<Vec<Vec<Fragment>>, ParseError> {
    let mut out = Vec::new();
    split(fragments, 0, budget, &mut out)?;
    Ok(out)
}

fn middle(f: &Fragment) -> f32 {
    f.y - f.size * 0.3
}

fn split(
    mut items: Vec<Fragment>,
    depth: usize,
    budget: &Budget,
    out: &mut Vec<Vec<Fragment>>,
) -> Result<(), ParseError> {
    if items.is_empty() {
        return Ok(());
    }
    items.sort_by(|a, b| middle(a).total_cmp(&middle(b)));
    let gutter = if depth < MAX_DEPTH && items.len() >= 2 * MIN_LINES {
        find_gutter(&items, budget)?
    } else {
        None
    };
    let Some(gutter) = gutter else {
        out.push(items);
        return Ok(());
    };
    let below = items.split_off(gutter.last + 1);
    let band = items.split_off(gutter.first);
    let centre = f32::midpoint(gutter.x0, gutter.x1);
    let (left, right): (Vec<_>, Vec<_>) = band
        .into_iter()
        .partition(|f| f32::midpoint(f.x0, f.x1) < centre);
    for part in [items, left, right, below] {
        split(part, depth + 1, budget, out)?;
    }
    Ok(())
}

/// The gutter with most lines along it that parts columns of text.
fn find_gutter(items: &[Fragment], budget: &Budget) -> Result<Option<Gutter>, ParseError> {
    let mut sizes: Vec<f32> = items.iter().map(|f| f.size).collect();
    sizes.sort_by(f32::total_cmp);
    let least = (sizes[sizes.len() / 2] * 0.7).max(4.0);
    let step = items.len().div_ceil(MAX_CANDIDATES);
    let mut tried: Vec<Gutter> = Vec::new();
    let mut best: Option<(usize, Gutter)> = None;
    for at in (0..items.len()).step_by(step.max(1)) {
        budget.tick()?;
        let Some((x0, x1)) = gap_right_of(items, at) else {
            continue;
        };
        if x1 - x0 < least
            || tried
                .iter()
                .any(|g| (g.first..=g.last).contains(&at) && g.x0 < x1 && x0 < g.x1)
        {
            continue;
        }
        let gutter = grow(items, at, (x0, x1), least, budget)?;
        tried.push(gutter);
        let lines = gutter.last - gutter.first;
        if best.is_none_or(|(n, _)| lines > n) && parts_text(items, &gutter) {
            best = Some((lines, gutter));
        }
    }
    Ok(best.map(|(_, g)| g))
}

/// The gap between a fragment and its nearest neighbour to the right at the same height.
fn gap_right_of(items: &[Fragment], at: usize) -> Option<(f32, f32)> {
    let me = &items[at];
    let from = at.saturating_sub(NEIGHBOURS);
    let to = (at + NEIGHBOURS).min(items.len());
    items[from..to]
        .iter()
        .filter(|f| f.x0 >= me.x1 && f.top() < me.bottom() && f.bottom() > me.top())
        .map(|f| f.x0)
        .min_by(f32::total_cmp)
        .map(|x1| (me.x1, x1))
}

/// Grows a strip up and down, narrowing it where lines reach into it.
fn grow(
    items: &[Fragment],
    at: usize,
    gap: (f32, f32),
    least: f32,
    budget: &Budget,
) -> Result<Gutter, ParseError> {
    let mut g = Gutter {
        x0: gap.0,
        x1: gap.1,
        first: at,
        last: at,
    };
    while g.first > 0 {
        budget.tick()?;
        if !passes(&items[g.first - 1], &mut g, least) {
            break;
        }
        g.first -= 1;
    }
    while g.last + 1 < items.len() {
        budget.tick()?;
        if !passes(&items[g.last + 1], &mut g, least) {
            break;
        }
        g.last += 1;
    }
    Ok(g)
}

fn passes(f: &Fragment, g: &mut Gutter, least: f32) -> bool {
    if f.x1 <= g.x0 || f.x0 >= g.x1 {
        return true;
    }
    if f.x0 <= g.x0 && g.x1 - f.x1 >= least {
        g.x0 = f.x1;
        return true;
    }
    if f.x1 >= g.x1 && f.x0 - g.x0 >= least {
        g.x1 = f.x0;
        return true;
    }
    false
}

/// What one side of a gutter looks like.
struct Side {
    rows: usize,
    chars: usize,
    /// Mean share of the side's width that a row covers.
    cover: f32,
    /// Rows that begin like items of a list.
    items: usize,
}

/// Whether both sides of a gutter are columns of text rather than of a table.
fn parts_text(items: &[Fragment], gutter: &Gutter) -> bool {
    let band = &items[gutter.first..=gutter.last];
    let centre = f32::midpoint(gutter.x0, gutter.x1);
    let is_left = |f: &Fragment| f32::midpoint(f.x0, f.x1) < centre;
    let left = side(band.iter().filter(|f| is_left(f)));
    let right = side(band.iter().filter(|f| !is_left(f)));
    let rows = left.rows.min(right.rows);
    if rows < MIN_LINES {
        return false;
    }
    let mut order: Vec<(usize, bool)> = band.iter().map(|f| (f.order, is_left(f))).collect();
    order.sort_unstable();
    let switches = order.windows(2).filter(|w| w[0].1 != w[1].1).count();
    let chars = (left.chars / left.rows).min(right.chars / right.rows);
    if switches * 3 <= rows {
        // Lists side by side have rows as short as a table's.
        let lists = |s: &Side| s.items * 2 >= s.rows;
        return chars >= 10 || lists(&left) && lists(&right);
    }
    chars >= 24 && rows >= 5 && left.cover.min(right.cover) > 0.75
}

fn side<'f>(items: impl Iterator<Item = &'f Fragment>) -> Side {
    let (mut x0, mut x1) = (f32::MAX, f32::MIN);
    let (mut rows, mut chars, mut covered, mut listed) = (0usize, 0usize, 0.0f32, 0usize);
    let mut last_y = f32::MIN;
    for f in items {
        x0 = x0.min(f.x0);
        x1 = x1.max(f.x1);
        chars += f.chars;
        covered += f.x1 - f.x0;
        listed += usize::from(marker_len(&f.text).is_some());
        if f.y - last_y > f.size * 0.3 {
            rows += 1;
            last_y = f.y;
        }
    }
    let width = (x1 - x0).max(1.0);
    Side {
        rows,
        chars,
        cover: covered / (rows.max(1) as f32 * width),
        items: listed,
    }
}

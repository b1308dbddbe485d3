//! The exact scan: codes first, and vectors only where the codes leave a doubt.
//!
//! A *sieve* sees the codes of every row. It keeps the best lower bounds, one for each chunk, and
//! every row whose upper bound reaches the worst of them; see [`crate::codes`] for why nothing is
//! missed. What it keeps is then compared by the vectors themselves.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Range;

use rayon::prelude::*;

use super::{DenseHit, DenseQuery, Top, pool};
use crate::codes::{self, CodedQuery, Grain};
use crate::documents::{Allowed, DocKey};
use crate::kernel::kernels;
use crate::segment::{Row, Segment};

/// Rows whose products are computed before any is looked at.
const STRIP: usize = 256;
/// Rows of a task.
const TASK_ROWS: usize = 8192;
/// Rows that are worth sharing out, about a millisecond's; fewer are scanned on the caller's thread,
/// sooner than others would wake.
const SHARED_ROWS: usize = 4 * TASK_ROWS;
/// What it costs to look one document up, in rows passed over in order; and what it costs to pass
/// over a row that was looked up.
const LOOK_UP: u64 = 8;
const LOOKED_UP: u64 = 2;
/// Rows that a sieve holds before it looks again which of them still may be among the best.
const SPILL: usize = 4096;

/// Consecutive rows of a segment; it begins and ends between chunks.
#[derive(Debug, Clone)]
struct Run {
    segment: usize,
    rows: Range<usize>,
}

impl DenseQuery<'_> {
    /// Pushes the best chunks among all live and allowed documents newer than `after`.
    pub(super) fn scan(&self, query: &CodedQuery, after: Option<DocKey>, top: &mut Top) {
        let runs = self.runs(after);
        let rows: usize = runs.iter().map(|run| run.rows.len()).sum();
        let sift = |runs: &[Run]| {
            let mut sieve = Sieve::new(self.limit);
            for run in runs {
                self.sift(query, run, &mut sieve);
            }
            sieve
        };
        let sieve = match pool() {
            Some(pool) if rows > SHARED_ROWS => {
                let each = runs.len().div_ceil(rows.div_ceil(TASK_ROWS));
                pool.install(|| {
                    runs.par_chunks(each)
                        .map(sift)
                        .reduce(|| Sieve::new(self.limit), Sieve::join)
                })
            }
            _ => sift(&runs),
        };
        self.compare(sieve, top);
    }

    /// The rows to look at, in ascending order.
    fn runs(&self, after: Option<DocKey>) -> Vec<Run> {
        let segments = &self.snapshot.segments;
        let total = self.snapshot.documents.vectors();
        if let Some(only) = self.only {
            return self.runs_of_chunks(only);
        }
        match self.allowed {
            Some(allowed)
                if allowed.documents() * LOOK_UP + allowed.vectors() * LOOKED_UP <= total =>
            {
                self.runs_of(allowed, after)
            }
            _ => {
                let mut runs = Vec::new();
                for (segment, of) in segments.iter().enumerate() {
                    let rows = of.rows();
                    let mut start =
                        after.map_or(0, |key| rows.partition_point(|row| row.key <= key));
                    while start < rows.len() {
                        let mut end = (start + TASK_ROWS).min(rows.len());
                        while end < rows.len() && rows[end].chunk() == rows[end - 1].chunk() {
                            end += 1;
                        }
                        runs.push(Run {
                            segment,
                            rows: start..end,
                        });
                        start = end;
                    }
                }
                runs
            }
        }
    }

    /// The rows of allowed documents, looked up by key.
    fn runs_of(&self, allowed: &Allowed, after: Option<DocKey>) -> Vec<Run> {
        let keys = allowed
            .keys()
            .filter(|key| after.is_none_or(|after| *key > after));
        self.look_up(keys.map(|key| [(key, 0), (key + 1, 0)]))
    }

    /// The rows of chunks, looked up one by one.
    fn runs_of_chunks(&self, chunks: &[(DocKey, u32)]) -> Vec<Run> {
        self.look_up(chunks.iter().map(|&(key, n)| [(key, n), (key, n + 1)]))
    }

    /// The rows from one chunk to another, each pair within a document, in ascending order.
    fn look_up(&self, wanted: impl Iterator<Item = [(DocKey, u32); 2]>) -> Vec<Run> {
        let segments = &self.snapshot.segments;
        let mut runs: Vec<Run> = Vec::new();
        let (mut segment, mut at) = (0, 0);
        for [from, to] in wanted {
            while segments
                .get(segment)
                .is_some_and(|of| *of.keys().end() < from.0)
            {
                (segment, at) = (segment + 1, 0);
            }
            let Some(of) = segments.get(segment) else {
                break;
            };
            let start = seek(of.rows(), at, from);
            let end = seek(of.rows(), start, to);
            at = end;
            match runs.last_mut() {
                Some(last) if last.segment == segment && last.rows.end == start => {
                    last.rows.end = end;
                }
                _ if start < end => runs.push(Run {
                    segment,
                    rows: start..end,
                }),
                _ => {}
            }
        }
        runs
    }

    fn sift(&self, query: &CodedQuery, run: &Run, sieve: &mut Sieve) {
        let segment = &self.snapshot.segments[run.segment];
        let width = codes::width(segment.header().dim);
        let (rows, grains, codes) = (segment.rows(), segment.grains(), segment.codes());
        let (mut products, mut scores) = ([0; STRIP], [0.0; STRIP]);
        for start in run.rows.clone().step_by(STRIP) {
            let end = (start + STRIP).min(run.rows.end);
            let n = end - start;
            query.products(
                &codes[start * width..end * width],
                &grains[start..end],
                &mut products[..n],
                &mut scores[..n],
            );
            for (row, score) in (start..end).zip(&scores[..n]) {
                let grain: Grain = grains[row];
                let tolerance = query.tolerance(grain);
                if score + tolerance < sieve.floor {
                    continue;
                }
                let chunk = rows[row].chunk();
                if self.live(chunk.0, chunk.1).is_some() {
                    sieve.push(
                        chunk,
                        run.segment,
                        row,
                        score - tolerance..score + tolerance,
                    );
                }
            }
        }
        sieve.end_chunk();
    }

    /// Compares what a sieve kept by its vectors.
    fn compare(&self, sieve: Sieve, top: &mut Top) {
        let floor = sieve.floor;
        let mut kept = sieve.kept;
        kept.retain(|kept| kept.upper >= floor);
        kept.sort_unstable_by_key(|kept| (kept.segment, kept.row));
        let mut best: Option<((DocKey, u32), DenseHit)> = None;
        for kept in kept {
            let segment: &Segment = &self.snapshot.segments[kept.segment as usize];
            let row = segment.rows()[kept.row as usize];
            let Some(id) = self.live(row.key, row.ordinal) else {
                continue;
            };
            let score = (kernels().dot)(self.vector, segment.vector(kept.row as usize));
            match &mut best {
                // The earlier window speaks where two are equal.
                Some((chunk, hit)) if *chunk == row.chunk() => {
                    if score > hit.score {
                        (hit.score, hit.window) = (score, row.window());
                    }
                }
                _ => {
                    let window = row.window();
                    let next = Some((row.chunk(), DenseHit { id, score, window }));
                    if let Some((_, hit)) = std::mem::replace(&mut best, next) {
                        top.push(hit);
                    }
                }
            }
        }
        if let Some((_, hit)) = best {
            top.push(hit);
        }
    }
}

/// The first row at or after `from` that is of `chunk` or a later one; near ones are found fast.
fn seek(rows: &[Row], from: usize, chunk: (DocKey, u32)) -> usize {
    let is_below = |at: usize| rows.get(at).is_some_and(|row| row.chunk() < chunk);
    let mut step = 1;
    while is_below(from + step - 1) {
        step *= 2;
    }
    let (low, high) = (from + step / 2, (from + step - 1).min(rows.len()));
    low + rows[low..high.max(low)].partition_point(|row| row.chunk() < chunk)
}

/// A row that may be among the best.
#[derive(Debug, Clone, Copy)]
struct Kept {
    upper: f32,
    segment: u32,
    row: u32,
}

/// A lower bound.
#[derive(Debug, Clone, Copy)]
struct Bound(f32);

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Bound {}

/// See the module.
#[derive(Debug)]
struct Sieve {
    limit: usize,
    /// The best lower bounds, one for each chunk, at most `limit`.
    lower: BinaryHeap<Reverse<Bound>>,
    /// What an upper bound must reach: the worst of `lower` once there are `limit`.
    floor: f32,
    /// The chunk whose rows are coming, and its best lower bound so far.
    open: Option<((DocKey, u32), f32)>,
    kept: Vec<Kept>,
    spill: usize,
}

impl Sieve {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            lower: BinaryHeap::new(),
            floor: f32::NEG_INFINITY,
            open: None,
            kept: Vec::new(),
            spill: SPILL,
        }
    }

    /// Takes a row whose product is within `bounds`. Rows of a chunk come one after another.
    fn push(&mut self, chunk: (DocKey, u32), segment: usize, row: usize, bounds: Range<f32>) {
        match &mut self.open {
            Some((open, lower)) if *open == chunk => *lower = lower.max(bounds.start),
            _ => {
                self.end_chunk();
                self.open = Some((chunk, bounds.start));
            }
        }
        self.kept.push(Kept {
            upper: bounds.end,
            segment: segment as u32,
            row: row as u32,
        });
        if self.kept.len() > self.spill {
            let floor = self.floor;
            self.kept.retain(|kept| kept.upper >= floor);
            self.spill = (self.kept.len() * 2).max(SPILL);
        }
    }

    /// The rows of the open chunk have come.
    fn end_chunk(&mut self) {
        if let Some((_, lower)) = self.open.take() {
            self.bound(lower);
        }
    }

    fn bound(&mut self, lower: f32) {
        self.lower.push(Reverse(Bound(lower)));
        if self.lower.len() > self.limit {
            self.lower.pop();
        }
        if self.lower.len() == self.limit {
            self.floor = self.lower.peek().map_or(self.floor, |worst| worst.0.0);
        }
    }

    fn join(mut self, other: Self) -> Self {
        for Reverse(Bound(lower)) in other.lower {
            self.bound(lower);
        }
        self.kept.extend(other.kept);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn seeking_finds_what_a_scan_finds(
            keys in proptest::collection::btree_set(0_u64..200, 0..60),
            from in 0_usize..60,
            key in 0_u64..220,
        ) {
            let rows: Vec<Row> = keys.into_iter().map(|key| Row::new(key, 0, 0..1)).collect();
            let from = from.min(rows.len());
            let expected = (from..rows.len()).find(|at| rows[*at].key >= key);
            prop_assert_eq!(seek(&rows, from, (key, 0)), expected.unwrap_or(rows.len()));
        }
    }
}

//! Vector search over a snapshot: exact scans, and the graph with a scan of what is newer.
//!
//! A chunk's best window speaks for it. Equal cosines are ordered by chunk id, so that the
//! same state gives the same answer.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::ChunkId;
use crate::documents::{Allowed, DocKey};
use crate::graph::Graph;
use crate::kernel::{self, Dot};
use crate::segment::Segment;
use crate::snapshot::Snapshot;

/// Rows that one task scans; also the size below which one thread does it all.
const TASK_ROWS: usize = 4096;
/// Width of the walk where the query names none.
const DEFAULT_EF: usize = 96;
/// How often a walk that found too little is repeated with twice the width.
const WIDENINGS: u32 = 3;

/// A chunk and its best window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DenseHit {
    pub(crate) id: ChunkId,
    pub(crate) score: f32,
    pub(crate) window: Range<usize>,
}

impl Eq for DenseHit {}

impl Ord for DenseHit {
    /// The better hit is the greater.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then_with(|| other.id.cmp(&self.id))
    }
}

impl PartialOrd for DenseHit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The threads that searches share; as many as the machine has.
pub(crate) fn pool() -> Option<&'static rayon::ThreadPool> {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    POOL.get_or_init(|| {
        rayon::ThreadPoolBuilder::new()
            .thread_name(|n| format!("faq-search-{n}"))
            .build()
            .inspect_err(|error| tracing::warn!(%error, "searches run on one thread"))
            .ok()
    })
    .as_ref()
}

/// A question to the vectors of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DenseQuery<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// `[dim]`.
    pub(crate) vector: &'a [f32],
    /// Most chunks to give.
    pub(crate) limit: usize,
    pub(crate) allowed: Option<&'a Allowed>,
}

impl DenseQuery<'_> {
    /// Compares every live and allowed vector.
    pub(crate) fn exact(&self) -> Vec<DenseHit> {
        self.scan(None).into_sorted()
    }

    /// Walks the graph and compares what it does not hold. `None` where too much of what the
    /// walk found is dead or not allowed.
    pub(crate) fn graph(&self, graph: &Graph, ef: Option<usize>) -> Option<Vec<DenseHit>> {
        let documents = &self.snapshot.documents;
        let windows = documents.vectors().max(1) as f64 / documents.chunks().max(1) as f64;
        let passing = self
            .allowed
            .map_or(documents.vectors(), Allowed::vectors)
            .max(1);
        let share = (passing as f64 / graph.len().max(1) as f64).min(1.0);
        let mut n = (self.limit as f64 * windows.max(1.0) / share).ceil() as usize;
        for _ in 0..=WIDENINGS {
            let n_now = n.min(graph.len());
            let near = graph.search(self.vector, n_now, ef.unwrap_or(DEFAULT_EF));
            let mut best: HashMap<(DocKey, u32), DenseHit> = HashMap::with_capacity(self.limit);
            for (row, score) in near {
                let Some(id) = self.live(row.key, row.ordinal) else {
                    continue;
                };
                // Best first, so a chunk's first window is its best.
                best.entry(row.chunk()).or_insert_with(|| DenseHit {
                    id,
                    score,
                    window: row.window(),
                });
            }
            if best.len() >= self.limit || n_now == graph.len() {
                let mut top = self.scan(Some(graph.last_key()));
                for hit in best.into_values() {
                    top.push(hit);
                }
                return Some(top.into_sorted());
            }
            n = n.saturating_mul(2);
        }
        None
    }

    /// The best window of one chunk, where it is live.
    pub(crate) fn chunk(&self, chunk: (DocKey, u32)) -> Option<DenseHit> {
        let id = self.live(chunk.0, chunk.1)?;
        let list = &self.snapshot.segments;
        let segment = list.get(list.partition_point(|s| *s.keys().end() < chunk.0))?;
        let dot = kernel::dot();
        segment
            .find(chunk)
            .map(|row| DenseHit {
                id,
                score: dot(self.vector, segment.vector(row)),
                window: segment.rows()[row].window(),
            })
            .reduce(better)
    }

    fn live(&self, key: DocKey, ordinal: u32) -> Option<ChunkId> {
        let entry = self.snapshot.documents.get(key)?;
        self.allowed
            .is_none_or(|allowed| allowed.contains(key))
            .then_some(ChunkId {
                document: entry.id,
                ordinal,
            })
    }

    /// Compares every live and allowed vector of documents newer than `after`.
    fn scan(&self, after: Option<DocKey>) -> Top {
        let tasks = self.tasks(after);
        let rows: usize = tasks.iter().map(|(_, rows)| rows.len()).sum();
        let dot = kernel::dot();
        let scan_one = |mut top: Top, (segment, rows): &(&Arc<Segment>, Range<usize>)| {
            self.scan_rows(segment, rows.clone(), dot, &mut top);
            top
        };
        match pool() {
            Some(pool) if rows > TASK_ROWS => pool.install(|| {
                tasks
                    .par_iter()
                    .fold(|| Top::new(self.limit), scan_one)
                    .reduce(|| Top::new(self.limit), Top::join)
            }),
            _ => tasks.iter().fold(Top::new(self.limit), scan_one),
        }
    }

    /// Pieces of segments that begin and end between chunks.
    fn tasks(&self, after: Option<DocKey>) -> Vec<(&Arc<Segment>, Range<usize>)> {
        let mut tasks = Vec::new();
        for segment in &self.snapshot.segments {
            let rows = segment.rows();
            let mut start = after.map_or(0, |key| rows.partition_point(|row| row.key <= key));
            while start < rows.len() {
                let mut end = (start + TASK_ROWS).min(rows.len());
                while end < rows.len() && rows[end].chunk() == rows[end - 1].chunk() {
                    end += 1;
                }
                tasks.push((segment, start..end));
                start = end;
            }
        }
        tasks
    }

    fn scan_rows(&self, segment: &Segment, range: Range<usize>, dot: Dot, top: &mut Top) {
        let (all, vectors) = (segment.rows(), segment.vectors());
        let dim = segment.header().dim;
        let mut at = range.start;
        while at < range.end {
            let key = all[at].key;
            let rest = &all[at..range.end];
            if self.live(key, 0).is_none() {
                at += rest.partition_point(|row| row.key == key);
                continue;
            }
            while at < range.end && all[at].key == key {
                let chunk = all[at].chunk();
                let (mut best, mut score) = (at, f32::NEG_INFINITY);
                while at < range.end && all[at].chunk() == chunk {
                    let cosine = dot(self.vector, &vectors[at * dim..(at + 1) * dim]);
                    if cosine > score {
                        (best, score) = (at, cosine);
                    }
                    at += 1;
                }
                if top.admits(score)
                    && let Some(id) = self.live(chunk.0, chunk.1)
                {
                    top.push(DenseHit {
                        id,
                        score,
                        window: all[best].window(),
                    });
                }
            }
        }
    }
}

fn better(a: DenseHit, b: DenseHit) -> DenseHit {
    // The earlier window speaks where two are equal, as in a scan.
    if b.score > a.score { b } else { a }
}

/// The best hits so far, at most `limit`.
struct Top {
    limit: usize,
    worst_first: BinaryHeap<Reverse<DenseHit>>,
}

impl Top {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            worst_first: BinaryHeap::new(),
        }
    }

    /// Whether a hit with this score could still be among the best.
    fn admits(&self, score: f32) -> bool {
        self.worst_first.len() < self.limit
            || self
                .worst_first
                .peek()
                .is_some_and(|Reverse(worst)| score >= worst.score)
    }

    fn push(&mut self, hit: DenseHit) {
        self.worst_first.push(Reverse(hit));
        if self.worst_first.len() > self.limit {
            self.worst_first.pop();
        }
    }

    fn join(mut self, other: Self) -> Self {
        for Reverse(hit) in other.worst_first {
            self.push(hit);
        }
        self
    }

    fn into_sorted(self) -> Vec<DenseHit> {
        let sorted = self.worst_first.into_sorted_vec();
        sorted.into_iter().map(|Reverse(hit)| hit).collect()
    }
}

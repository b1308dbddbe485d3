//! Vector search over a snapshot: exact scans, and the graph with a scan of what is newer.
//!
//! A chunk's best window speaks for it. Equal cosines are ordered by chunk id, so that the
//! same state gives the same answer.

mod scan;

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;
use std::sync::OnceLock;

use crate::ChunkId;
use crate::codes::CodedQuery;
use crate::documents::{Allowed, DocKey};
use crate::graph::Graph;
use crate::kernel::kernels;
use crate::segment::{Row, Segment};
use crate::snapshot::Snapshot;

/// Width of the walk where the query names none.
const DEFAULT_EF: usize = 128;
/// A walk that compared one point in this many gives up: a scan compares them all in about the
/// time that the walk takes for these, since it reads memory in order.
const WALK_SHARE: usize = 6;
/// Points that a walk may always compare: a scan of so few is a matter of microseconds either way.
const WALK_LEAST: usize = 8192;

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
fn pool() -> Option<&'static rayon::ThreadPool> {
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
    /// The only chunks that may be given, ascending.
    pub(crate) only: Option<&'a [(DocKey, u32)]>,
}

impl DenseQuery<'_> {
    /// The exact answer: every vector that is live and may be given is compared.
    pub(crate) fn exact(&self) -> Vec<DenseHit> {
        let mut top = Top::new(self.limit);
        self.scan(&CodedQuery::new(self.vector), None, &mut top);
        top.into_sorted()
    }

    /// Walks the graph and compares what it does not hold. `None` where a scan costs less: too
    /// much of what the walk met is dead or not allowed.
    pub(crate) fn graph(&self, graph: &Graph, ef: Option<usize>) -> Option<Vec<DenseHit>> {
        let coded = CodedQuery::new(self.vector);
        let documents = &self.snapshot.documents;
        let windows = documents.vectors().max(1) as f64 / documents.chunks().max(1) as f64;
        let least = (self.limit as f64 * windows).ceil() as usize;
        let ef = ef.unwrap_or(DEFAULT_EF).max(least).min(graph.len().max(1));
        let budget = (graph.len() / WALK_SHARE).max(WALK_LEAST);
        let accept = |row: &Row| self.live(row.key, row.ordinal).is_some();
        let found = graph.search(&coded, ef, budget, accept)?;
        let mut top = Top::new(self.limit);
        for hit in self.compared(graph, found).into_values() {
            top.push(hit);
        }
        let passing = self.allowed.map_or(documents.chunks(), Allowed::chunks);
        if (top.len() as u64) < passing.min(self.limit as u64) && graph.len() > ef {
            return None;
        }
        self.scan(&coded, Some(graph.last_key()), &mut top);
        Some(top.into_sorted())
    }

    /// The chunks of some points of a graph, each with its best window among them, by their
    /// vectors.
    fn compared(&self, graph: &Graph, mut points: Vec<u32>) -> HashMap<(DocKey, u32), DenseHit> {
        points.sort_unstable();
        let rows = graph.rows();
        let mut best: HashMap<(DocKey, u32), DenseHit> = HashMap::with_capacity(points.len());
        // Where the point before this one stood, in its segment and in the graph: what was not
        // deleted since the graph was built is as far apart in both.
        let mut last = (0, 0, 0);
        for point in points {
            let row = rows[point as usize];
            let Some(id) = self.live(row.key, row.ordinal) else {
                continue;
            };
            let Some((place, segment)) = self.segment_of(row.key) else {
                continue;
            };
            let guess = if place == last.0 {
                last.1 + (point as usize - last.2)
            } else {
                0
            };
            let found = segment.rows().get(guess).filter(|found| **found == row);
            let Some(at) = found.map(|_| guess).or_else(|| segment.place_of(&row)) else {
                continue;
            };
            last = (place, at, point as usize);
            let hit = DenseHit {
                id,
                score: (kernels().dot)(self.vector, segment.vector(at)),
                window: row.window(),
            };
            match best.entry(row.chunk()) {
                std::collections::hash_map::Entry::Occupied(mut known) => {
                    if hit.score > known.get().score {
                        known.insert(hit);
                    }
                }
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(hit);
                }
            }
        }
        best
    }

    /// The segment that answers for a key, and its place in the list.
    fn segment_of(&self, key: DocKey) -> Option<(usize, &Segment)> {
        let list = &self.snapshot.segments;
        let place = list.partition_point(|segment| *segment.keys().end() < key);
        Some((place, list.get(place)?))
    }

    /// The best window of one chunk, where it is live.
    pub(crate) fn chunk(&self, chunk: (DocKey, u32)) -> Option<DenseHit> {
        let id = self.live(chunk.0, chunk.1)?;
        let (_, segment) = self.segment_of(chunk.0)?;
        segment
            .find(chunk)
            .map(|row| DenseHit {
                id,
                score: (kernels().dot)(self.vector, segment.vector(row)),
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

    fn len(&self) -> usize {
        self.worst_first.len()
    }

    fn push(&mut self, hit: DenseHit) {
        self.worst_first.push(Reverse(hit));
        if self.worst_first.len() > self.limit {
            self.worst_first.pop();
        }
    }

    fn into_sorted(self) -> Vec<DenseHit> {
        let sorted = self.worst_first.into_sorted_vec();
        sorted.into_iter().map(|Reverse(hit)| hit).collect()
    }
}

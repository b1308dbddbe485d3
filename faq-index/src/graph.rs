//! The graph over vectors: the one file that knows `hnsw_rs`.
//!
//! A graph is built once over the rows of a snapshot and never changed; what is newer is
//! scanned beside it until the next one is built. It holds copies of its vectors, so that
//! segments may be rewritten under it. It knows nothing of deletions: its callers ask for more
//! than they need and drop what is dead.
//!
//! Never done here: reading or writing `hnsw_rs`'s own files (it trusts their bytes), and
//! passing it a filter (its filtered walk visits far more than asking for more does).

use std::fmt;

use hnsw_rs::anndists::dist::Distance;
use hnsw_rs::hnsw::Hnsw;

use crate::documents::DocKey;
use crate::kernel::{self, Dot};
use crate::segment::Row;

/// Links of a point in the upper layers; twice as many in the lowest (Malkov and Yashunin 2016).
const LINKS: usize = 16;
/// Candidates looked at while a point is linked.
const EF_CONSTRUCTION: usize = 200;
const LAYERS: usize = 16;
/// Points inserted between two looks at whether to go on.
const STEP: usize = 1024;

/// `1 - a·b`, the cosine distance of normalised vectors.
struct CosineDistance(Dot);

impl Distance<f32> for CosineDistance {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        // Rounding may bring a product just above 1, and the library asserts distances >= 0.
        (1.0 - (self.0)(a, b)).max(0.0)
    }
}

/// A finished graph; see the module.
pub(crate) struct Graph {
    hnsw: Hnsw<'static, f32, CosineDistance>,
    rows: Vec<Row>,
    last_key: DocKey,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("rows", &self.rows.len())
            .field("last_key", &self.last_key)
            .finish_non_exhaustive()
    }
}

impl Graph {
    /// Builds a graph on the threads of `pool`; `None` where `go_on` said no between two steps.
    ///
    /// `vectors` must be finite. `last_key` is the newest key that the rows may hold.
    pub(crate) fn build<'a>(
        pool: &rayon::ThreadPool,
        points: impl Iterator<Item = (Row, &'a [f32])>,
        expected: usize,
        last_key: DocKey,
        mut go_on: impl FnMut() -> bool,
    ) -> Option<Self> {
        let hnsw = Hnsw::new(
            LINKS,
            expected.max(1),
            LAYERS,
            EF_CONSTRUCTION,
            CosineDistance(kernel::dot()),
        );
        let mut rows = Vec::with_capacity(expected);
        let mut points = points.peekable();
        let mut first = true;
        while points.peek().is_some() {
            if !go_on() {
                return None;
            }
            // The first few are linked one after another: points that are inserted side by side
            // do not see each other.
            let step = if first { 64 } else { STEP };
            let batch: Vec<(&[f32], usize)> = points
                .by_ref()
                .take(step)
                .map(|(row, vector)| {
                    rows.push(row);
                    (vector, rows.len() - 1)
                })
                .collect();
            if first {
                for point in batch {
                    hnsw.insert_slice(point);
                }
                first = false;
            } else {
                pool.install(|| hnsw.parallel_insert_slice(&batch));
            }
        }
        Some(Self {
            hnsw,
            rows,
            last_key,
        })
    }

    /// Number of points, dead ones too.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The newest key that it may hold; everything newer is not in it.
    pub(crate) fn last_key(&self) -> DocKey {
        self.last_key
    }

    /// At most `n` rows near `query` with their cosines, best first.
    pub(crate) fn search(&self, query: &[f32], n: usize, ef: usize) -> Vec<(Row, f32)> {
        self.hnsw
            .search(query, n, ef.max(n))
            .into_iter()
            .map(|near| (self.rows[near.d_id], 1.0 - near.distance))
            .collect()
    }
}

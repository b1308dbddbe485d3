//! What a reader sees: one consistent state of everything that searches use.

use std::sync::{Arc, PoisonError, RwLock};

use crate::documents::Documents;
use crate::graph::Graph;
use crate::keyword::KeywordView;
use crate::segments::SegmentList;

/// A state of the collection. Nothing in it changes; cloning it copies pointers.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// Sequence number of truth.
    pub(crate) seq: u64,
    /// Length of a vector, once something was written.
    pub(crate) dim: Option<usize>,
    /// Decides what is live.
    pub(crate) documents: Arc<Documents>,
    /// All vectors, dead ones too.
    pub(crate) segments: SegmentList,
    pub(crate) keyword: KeywordView,
    pub(crate) graph: Option<Arc<Graph>>,
}

impl Snapshot {
    /// What cannot be used as it should be, in sentences.
    pub(crate) fn degraded(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.keyword.seq() < self.seq {
            notes.push(format!(
                "the keyword index is at write {} of {}; the next write or opening completes it",
                self.keyword.seq(),
                self.seq
            ));
        }
        if self.keyword.in_memory() {
            notes.push(
                "the keyword index on disk could not be used and was made in memory".to_owned(),
            );
        }
        let held: usize = self
            .segments
            .iter()
            .filter(|segment| segment.is_held())
            .map(|segment| segment.len())
            .sum();
        if held > 0 {
            notes.push(format!(
                "{held} vectors are in memory alone, since their file could not be read or written"
            ));
        }
        notes
    }

    /// Rows of all segments, dead ones too.
    pub(crate) fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.len()).sum()
    }

    /// Rows that the graph does not hold.
    pub(crate) fn rows_beyond_graph(&self) -> usize {
        let Some(graph) = &self.graph else {
            return self.rows();
        };
        let beyond = |segment: &crate::segment::Segment| {
            if *segment.keys().end() <= graph.last_key() {
                return 0;
            }
            let rows = segment.rows();
            rows.len() - rows.partition_point(|row| row.key <= graph.last_key())
        };
        self.segments.iter().map(|segment| beyond(segment)).sum()
    }
}

/// Where the current snapshot is found and replaced. Readers hold it as long as they like and
/// never wait for more than the exchange of a pointer.
#[derive(Debug)]
pub(crate) struct Published(RwLock<Arc<Snapshot>>);

impl Published {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self(RwLock::new(Arc::new(snapshot)))
    }

    /// The current snapshot.
    pub(crate) fn load(&self) -> Arc<Snapshot> {
        // The lock guards one assignment, which cannot leave anything half done.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the snapshot by a changed copy. The writer and the graph's builder change
    /// different fields, so each starts from what is current.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&current);
        change(&mut next);
        *current = Arc::new(next);
    }
}

//! The thread that builds graphs.
//!
//! At most one is at work for a collection. It holds the published snapshots and nothing
//! else, so it never delays the release of the collection's lock, and it stops soon after
//! the collection is closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::graph::Graph;
use crate::snapshot::{Published, Snapshot};

/// Says when a graph is to be built and lets others wait for it.
#[derive(Debug)]
pub(crate) struct Background {
    published: Arc<Published>,
    graph_min_vectors: usize,
    closed: AtomicBool,
    busy: Mutex<bool>,
    idle: Condvar,
}

impl Background {
    pub(crate) fn new(published: Arc<Published>, graph_min_vectors: usize) -> Arc<Self> {
        Arc::new(Self {
            published,
            graph_min_vectors,
            closed: AtomicBool::new(false),
            busy: Mutex::new(false),
            idle: Condvar::new(),
        })
    }

    /// Starts a build where the current snapshot is worth one and none is under way.
    pub(crate) fn nudge(self: &Arc<Self>) {
        if !self.is_due(&self.published.load()) {
            return;
        }
        let mut busy = self.lock();
        if *busy {
            return;
        }
        *busy = true;
        drop(busy);
        let this = Arc::clone(self);
        let started = thread::Builder::new()
            .name("faq-graph".to_owned())
            .spawn(move || {
                let _idle = IdleOnDrop(&this);
                this.run();
            });
        if let Err(error) = started {
            tracing::warn!(%error, "no thread to build the graph; exact scans go on");
            self.set_idle();
        }
    }

    /// Waits until no build is under way.
    pub(crate) fn wait_idle(&self) {
        let mut busy = self.lock();
        while *busy {
            busy = self.idle.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a build at its next step; its work is lost.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Builds over everything now, on all threads of the machine.
    pub(crate) fn build_now(&self) {
        let snapshot = self.published.load();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        self.build(&snapshot, threads);
    }

    fn run(&self) {
        loop {
            let snapshot = self.published.load();
            if self.closed.load(Ordering::Relaxed) || !self.is_due(&snapshot) {
                return;
            }
            // Half of the machine: searches and embedding go on beside it.
            let threads = thread::available_parallelism().map_or(1, |n| usize::from(n) / 2);
            if !self.build(&snapshot, threads.max(1)) {
                return;
            }
        }
    }

    /// Whether rows that are not in the graph, or dead in it, are a quarter of its size.
    fn is_due(&self, snapshot: &Snapshot) -> bool {
        let live = snapshot.documents.vectors() as usize;
        if live < self.graph_min_vectors.max(1) {
            return false;
        }
        snapshot.graph.as_ref().is_none_or(|graph| {
            let beyond = snapshot.rows_beyond_graph();
            let dead = (graph.len() + beyond).saturating_sub(live);
            (beyond + dead) * 4 > graph.len()
        })
    }

    fn build(&self, snapshot: &Snapshot, threads: usize) -> bool {
        // A damaged segment is repaired by the next search, whose write nudges again.
        if !snapshot.segments.iter().all(|segment| segment.is_sound()) {
            return false;
        }
        let pool = match rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|n| format!("faq-graph-{n}"))
            .build()
        {
            Ok(pool) => pool,
            Err(error) => {
                tracing::warn!(%error, "no threads to build the graph; exact scans go on");
                return false;
            }
        };
        let documents = &snapshot.documents;
        let points = snapshot.segments.iter().flat_map(|segment| {
            let rows = segment.rows().iter().enumerate();
            rows.filter(|(_, row)| documents.get(row.key).is_some())
                .map(|(at, row)| (*row, segment.vector(at)))
        });
        let last_key = snapshot
            .segments
            .last()
            .map_or(0, |segment| *segment.keys().end());
        let expected = documents.vectors() as usize;
        let go_on = || !self.closed.load(Ordering::Relaxed);
        let Some(graph) = Graph::build(&pool, points, expected, last_key, go_on) else {
            return false;
        };
        tracing::info!(vectors = graph.len(), "a graph is ready");
        let graph = Arc::new(graph);
        self.published.update(|current| current.graph = Some(graph));
        true
    }

    fn set_idle(&self) {
        *self.lock() = false;
        self.idle.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes those who wait even where a build panicked.
struct IdleOnDrop<'a>(&'a Background);

impl Drop for IdleOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set_idle();
    }
}

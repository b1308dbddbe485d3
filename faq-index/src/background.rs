//! The thread that builds graphs.
//!
//! At most one is at work for a collection. It holds the published snapshots and nothing else,
//! and it stops soon after the collection is closed. The one file that it writes it writes under
//! a lock that [`Background::close`] takes too, so nothing is written once the collection's own
//! lock is released.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use uuid::Uuid;

use crate::disk;
use crate::graph::{Graph, Origin};
use crate::segment::Row;
use crate::snapshot::{Published, Snapshot};
use crate::work::{Pace, Work, WorkProgress};

/// What a collection's background work is to keep to.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) collection: Uuid,
    /// Where the graph is kept.
    pub(crate) file: PathBuf,
    /// Whether the file may be written.
    pub(crate) writable: bool,
    /// Vectors from which a graph is built.
    pub(crate) graph_min_vectors: usize,
    /// Threads that may work on it.
    pub(crate) threads: usize,
    /// Share of the time that each may work.
    pub(crate) share: f64,
}

/// Says when a graph is to be built and lets others wait for it.
#[derive(Debug)]
pub(crate) struct Background {
    published: Arc<Published>,
    terms: Terms,
    closed: AtomicBool,
    cancelled: AtomicBool,
    /// Whether the file was looked for.
    looked: AtomicBool,
    /// What is being built: points linked, and all; both 0 while nothing is.
    linked: AtomicUsize,
    total: AtomicUsize,
    busy: Mutex<bool>,
    idle: Condvar,
    /// Held while a graph is published and written. Counts the compactions, so that one that was
    /// begun before brings nothing back.
    epoch: Mutex<u64>,
}

impl Background {
    pub(crate) fn new(published: Arc<Published>, terms: Terms) -> Arc<Self> {
        Arc::new(Self {
            published,
            terms,
            closed: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            looked: AtomicBool::new(false),
            linked: AtomicUsize::new(0),
            total: AtomicUsize::new(0),
            busy: Mutex::new(false),
            idle: Condvar::new(),
            epoch: Mutex::new(0),
        })
    }

    /// Starts the thread where the current snapshot is worth a graph and none is under way.
    pub(crate) fn nudge(self: &Arc<Self>) {
        if !self.is_due(&self.published.load()) {
            return;
        }
        let mut busy = lock(&self.busy);
        if *busy {
            return;
        }
        *busy = true;
        drop(busy);
        self.cancelled.store(false, Ordering::Relaxed);
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
        let mut busy = lock(&self.busy);
        while *busy {
            busy = self.idle.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How far the build is that is under way.
    pub(crate) fn progress(&self) -> Option<WorkProgress> {
        let total = self.total.load(Ordering::Relaxed) as u64;
        let done = self.linked.load(Ordering::Relaxed) as u64;
        let work = Work::Graph;
        (total > 0).then_some(WorkProgress { work, done, total })
    }

    /// Ends a build at its next step; its work is lost. The next write begins another.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Ends a build at its next step, for good, and waits while its file is being written.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        drop(lock(&self.epoch));
    }

    /// Takes the graph away where it holds what is deleted, its file too; what is being built
    /// over an earlier state will not be published.
    pub(crate) fn forget_deleted(&self) {
        let mut epoch = lock(&self.epoch);
        *epoch += 1;
        let snapshot = self.published.load();
        let holds_dead = |graph: &Arc<Graph>| {
            let is_dead = |row: &Row| snapshot.documents.get(row.key).is_none();
            graph.rows().iter().any(is_dead)
        };
        if snapshot.graph.as_ref().is_none_or(holds_dead) {
            self.published.update(|next| next.graph = None);
            disk::remove(&self.terms.file);
        }
    }

    /// Builds over everything now, on all threads of the machine.
    pub(crate) fn build_now(&self) {
        self.cancelled.store(false, Ordering::Relaxed);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        self.build(&self.published.load(), threads, 1.0);
    }

    fn run(&self) {
        if !self.looked.swap(true, Ordering::Relaxed) {
            self.load();
        }
        loop {
            let snapshot = self.published.load();
            if !self.goes_on() || !self.is_due(&snapshot) {
                return;
            }
            if !self.build(&snapshot, self.terms.threads.max(1), self.terms.share) {
                return;
            }
        }
    }

    fn goes_on(&self) -> bool {
        !self.closed.load(Ordering::Relaxed) && !self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether rows that are not in the graph, or dead in it, are a quarter of its size.
    fn is_due(&self, snapshot: &Snapshot) -> bool {
        let live = snapshot.documents.vectors() as usize;
        if live < self.terms.graph_min_vectors.max(1) {
            return false;
        }
        snapshot.graph.as_ref().is_none_or(|graph| {
            let beyond = snapshot.rows_beyond_graph();
            let dead = (graph.len() + beyond).saturating_sub(live);
            (beyond + dead) * 4 > graph.len()
        })
    }

    /// Takes the graph from its file where that one serves.
    fn load(&self) {
        let epoch = lock(&self.epoch);
        let snapshot = self.published.load();
        match self.sound_file(&snapshot) {
            Ok(Some(graph)) => {
                tracing::debug!(vectors = graph.len(), "the graph was found on disk");
                self.publish(graph);
            }
            Ok(None) => {}
            Err(why) => {
                tracing::warn!(path = %self.terms.file.display(), why, "the graph is made anew");
                if self.terms.writable {
                    disk::remove(&self.terms.file);
                }
            }
        }
        drop(epoch);
    }

    /// `Err` says why a file that is there does not serve.
    fn sound_file(&self, snapshot: &Snapshot) -> Result<Option<Graph>, String> {
        if !self.terms.file.exists() {
            return Ok(None);
        }
        let graph = Graph::open(&self.terms.file).map_err(|error| error.to_string())??;
        let header = graph.header();
        if header.collection != self.terms.collection || Some(header.dim) != snapshot.dim {
            return Err("it belongs to another collection".to_owned());
        }
        if header.seq > snapshot.seq {
            return Err(format!(
                "it is ahead of the store ({} > {})",
                header.seq, snapshot.seq
            ));
        }
        if !graph.is_sound() {
            return Err("it is damaged".to_owned());
        }
        Ok(Some(graph))
    }

    fn build(&self, snapshot: &Snapshot, threads: usize, share: f64) -> bool {
        let epoch = *lock(&self.epoch);
        // A damaged segment is repaired by the next search, whose write nudges again.
        let Some(dim) = snapshot.dim else {
            return false;
        };
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
                .map(|(at, row)| (*row, segment.grains()[at], segment.codes_of(at)))
        });
        let newest = snapshot.segments.last();
        let origin = Origin {
            collection: self.terms.collection,
            dim,
            seq: snapshot.seq,
            last_key: newest.map_or(0, |segment| *segment.keys().end()),
        };
        let expected = documents.vectors() as usize;
        self.total.store(expected, Ordering::Relaxed);
        let mut pace = Pace::new(share);
        let graph = Graph::build(&pool, points, origin, |linked| {
            self.linked.store(linked, Ordering::Relaxed);
            pace.rest(|| self.goes_on())
        });
        self.total.store(0, Ordering::Relaxed);
        self.linked.store(0, Ordering::Relaxed);
        let Some(graph) = graph else {
            return false;
        };
        let current = lock(&self.epoch);
        if self.closed.load(Ordering::Relaxed) {
            return false;
        }
        if *current != epoch {
            // What was compacted away meanwhile must not come back; the next turn is without it.
            return true;
        }
        tracing::info!(vectors = graph.len(), "a graph is ready");
        self.publish(self.keep(graph));
        true
    }

    /// Writes the graph where that is possible; it is then mapped from its file.
    fn keep(&self, graph: Graph) -> Graph {
        if !self.terms.writable {
            return graph;
        }
        match graph.write(&self.terms.file) {
            Ok(written) => written,
            Err(error) => {
                tracing::warn!(%error, "the graph is held in memory");
                graph
            }
        }
    }

    fn publish(&self, graph: Graph) {
        let graph = Arc::new(graph);
        self.published.update(|current| current.graph = Some(graph));
    }

    fn set_idle(&self) {
        *lock(&self.busy) = false;
        self.idle.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes those who wait even where a build panicked.
struct IdleOnDrop<'a>(&'a Background);

impl Drop for IdleOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set_idle();
    }
}

//! The collection: one directory, one organisation's knowledge.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::background::Background;
use crate::compact::{self, Extent};
use crate::lock::DirLock;
use crate::segment::Segment;
use crate::segments::SegmentFolder;
use crate::snapshot::{Published, Snapshot};
use crate::store::Store;
use crate::work::{Compaction, Pace};
use crate::writer::{Job, Writer, lock};
use crate::{
    ChunkId, CompactReceipt, Correction, DocumentId, DocumentInfo, Filter, Fingerprint, IndexError,
    Query, SearchResult, StoredChunk, StoredDocument, WorkProgress, WriteBatch, WriteReceipt, disk,
    recover, search, validate, writer,
};

/// What may be done with a collection that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// Reading and writing; reading alone where this process may not write to the directory.
    #[default]
    Auto,
    /// Reading and writing, or an error.
    ReadWrite,
    /// Reading alone, beside other processes that read: nothing in the directory is touched.
    ReadOnly,
}

/// How a collection is opened.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionConfig {
    /// Length of a vector. Default 384.
    pub dim: usize,
    /// The embedder that will write and ask, as in [`Fingerprint::embedder`]. A collection
    /// made with another is [`IndexError::OtherEmbedder`]; `None` opens any (to list, delete, compact).
    pub embedder: Option<String>,
    /// Number of vectors from which the graph is built and used. Default 50,000: below, the
    /// exact scan takes a millisecond or two.
    pub graph_min_vectors: usize,
    /// Threads that may build it in the background. Default: half of the machine's.
    pub background_threads: usize,
    /// Share of the time, above 0 and up to 1, that each background thread may work; it rests for
    /// the others. Default 1.
    pub background_share: f64,
    /// Whether vectors and keywords are compacted in the background once a quarter of the vectors
    /// on disk is dead. Default: yes.
    pub auto_compact: bool,
    /// Whether to create the collection where there is none; else [`IndexError::NotFound`].
    pub create: bool,
    /// Whether it is opened for writing. Default: where that is possible.
    pub access: Access,
}

impl Default for CollectionConfig {
    fn default() -> Self {
        Self {
            dim: 384,
            embedder: None,
            graph_min_vectors: 50_000,
            background_threads: std::thread::available_parallelism().map_or(1, usize::from) / 2,
            background_share: 1.0,
            auto_compact: true,
            create: true,
            access: Access::Auto,
        }
    }
}

/// Sizes of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionStats {
    /// Documents.
    pub documents: u64,
    /// Chunks.
    pub chunks: u64,
    /// Live vectors.
    pub vectors: u64,
    /// Dead vectors that compaction will take away.
    pub dead_vectors: u64,
    /// Vectors that the graph holds.
    pub graph_vectors: u64,
    /// Sequence number of the last write.
    pub seq: u64,
    /// Whether it can be read and not written; see [`Collection::read_only`].
    pub read_only: bool,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// The embedder that the collection was made with, once something was written.
    pub embedder: Option<String>,
    /// What is being done beside reading and writing, and how far it is.
    pub work: Vec<WorkProgress>,
}

/// What the handles of an open collection share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) dir: PathBuf,
    pub(crate) config: CollectionConfig,
    /// Why nothing may be written, where that is so.
    pub(crate) read_only: Option<&'static str>,
    pub(crate) store: Store,
    pub(crate) segments: SegmentFolder,
    /// What readers see.
    pub(crate) published: Arc<Published>,
    pub(crate) background: Arc<Background>,
    /// Shared with the thread that compacts in the background.
    pub(crate) compaction: Arc<Compaction>,
    /// The write lock. Shared with the thread that looks after idle writers, weakly.
    pub(crate) writer: Arc<Mutex<Writer>>,
    /// Batches that wait for it.
    pub(crate) queue: Mutex<VecDeque<Arc<Job>>>,
    /// Last, so that everything else is closed before another process may open.
    pub(crate) _lock: DirLock,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.background.close();
        // Tantivy's own lock and threads are gone before the collection's lock is.
        lock(&self.writer).rest();
    }
}

impl Inner {
    /// Makes damaged segments anew from truth; gives their number.
    pub(crate) fn repair_segments(&self, writer: &mut Writer) -> Result<usize, IndexError> {
        self.replace_segments(writer, |segment| !segment.is_sound())
    }

    /// Makes the segments that `which` names anew from truth and publishes the result.
    /// The borrow of the writer proves that the write lock is held.
    pub(crate) fn replace_segments(
        &self,
        _writer: &mut Writer,
        which: impl Fn(&Arc<Segment>) -> bool,
    ) -> Result<usize, IndexError> {
        let current = self.published.load();
        let mut list = current.segments.clone();
        let mut replaced = 0;
        for slot in list.iter_mut().filter(|segment| which(segment)) {
            let dim = slot.header().dim;
            let made = self
                .segments
                .rebuild(&self.store, dim, &slot.keys(), current.seq)?;
            let old = std::mem::replace(slot, Arc::new(made));
            if !slot.same_file(&old) {
                self.segments.discard(&old);
            }
            replaced += 1;
        }
        if replaced > 0 {
            self.published.update(|next| next.segments = list);
        }
        Ok(replaced)
    }

    /// An error where nothing may be written.
    pub(crate) fn check_writable(&self) -> Result<(), IndexError> {
        match self.read_only {
            None => Ok(()),
            Some(why) => Err(IndexError::ReadOnly {
                path: self.dir.clone(),
                why: why.to_owned(),
            }),
        }
    }

    /// The current snapshot with sound segments, and what had to be done for it.
    fn sound_snapshot(&self) -> Result<(Arc<Snapshot>, Option<String>), IndexError> {
        let snapshot = self.published.load();
        if snapshot.segments.iter().all(|segment| segment.is_sound()) {
            return Ok((snapshot, None));
        }
        let repaired = self.repair_segments(&mut lock(&self.writer))?;
        self.background.nudge();
        let note = format!("{repaired} damaged vector segments were made anew from the store");
        tracing::warn!(dir = %self.dir.display(), note);
        Ok((self.published.load(), Some(note)))
    }
}

/// A handle on an open collection; clones share it. `Send + Sync`.
///
/// ```
/// use faq_index::{
///     ChunkRecord, Collection, CollectionConfig, DocumentId, DocumentRecord, Fingerprint, Query,
///     Window, WriteBatch,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let config = CollectionConfig { dim: 2, ..CollectionConfig::default() };
/// let collection = Collection::open(dir.path(), config)?;
/// let text = "Badges are handed out at the front desk.";
/// collection.write(WriteBatch {
///     upserts: vec![DocumentRecord {
///         id: DocumentId(uuid::Uuid::from_u128(1)),
///         filename: "handbook.txt".into(),
///         source: "/docs/handbook.txt".into(),
///         format: "txt".into(),
///         title: Some("Handbook".into()),
///         language: Some("en".into()),
///         tags: ["office".to_string()].into(),
///         time_ms: 0,
///         bytes: text.len() as u64,
///         content_hash: "00".into(),
///         text: text.into(),
///         extra: Vec::new(),
///         fingerprint: Fingerprint {
///             parser: "text 1".into(),
///             chunker: "whole 1".into(),
///             embedder: "toy".into(),
///         },
///         tokens_total: 8,
///         tokens_embedded: 8,
///         chunks: vec![ChunkRecord {
///             range: 0..text.len(),
///             tokens: 8,
///             pages: None,
///             heading_path: Vec::new(),
///             windows: vec![Window { range: 0..text.len(), vector: vec![0.6, 0.8] }],
///         }],
///     }],
///     deletes: Vec::new(),
/// })?;
/// let found = collection.search(&Query::new("Where do I get a badge?", Some(vec![1.0, 0.0])))?;
/// assert_eq!(collection.chunks(&[found.hits[0].id])?[0].text, text);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Collection {
    inner: Arc<Inner>,
    /// What handles share and background threads do not: its end is the end of them.
    handles: Arc<Handles>,
}

/// Ends background work when the last handle is gone.
struct Handles(Arc<Compaction>);

impl Drop for Handles {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("dir", &self.inner.dir)
            .finish_non_exhaustive()
    }
}

impl Collection {
    /// Whether there are other handles on this open collection. Dropping the only one closes it.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.handles) > 1
    }

    /// Opens the collection in `dir`, brings projections that lag up to date, rebuilds damaged ones.
    ///
    /// Where the directory cannot be written to, or was asked for with [`Access::ReadOnly`], it is
    /// opened for reading: [`Collection::read_only`] says so, and what lags or is damaged is made
    /// anew in memory.
    ///
    /// # Errors
    /// [`IndexError::Locked`] where another process has it open, [`IndexError::NotFound`],
    /// [`IndexError::OtherEmbedder`], [`IndexError::Format`] for a newer on-disk format,
    /// [`IndexError::Invalid`] for a configuration that makes no sense, and what the disk says.
    pub fn open(dir: &Path, config: CollectionConfig) -> Result<Self, IndexError> {
        let inner = Arc::new(recover::open(dir, config)?);
        let handles = Arc::new(Handles(Arc::clone(&inner.compaction)));
        Ok(Self { inner, handles })
    }

    /// Applies a batch. When it returns, the batch is durable and searchable, whole.
    ///
    /// # Errors
    /// [`IndexError::Invalid`] and [`IndexError::OtherEmbedder`] name what is wrong with the
    /// batch, [`IndexError::ReadOnly`] says that nothing may be written; nothing was. After any other error it may have been committed,
    /// whole, or not at all; writing it again does no harm.
    pub fn write(&self, batch: WriteBatch) -> Result<WriteReceipt, IndexError> {
        self.inner.check_writable()?;
        let receipt = writer::commit(&self.inner, batch)?;
        if self.inner.config.auto_compact && compact::is_due(&self.inner.published.load()) {
            self.compact_aside(Extent::Projections);
        }
        Ok(receipt)
    }

    /// Searches a consistent snapshot.
    ///
    /// # Errors
    /// [`IndexError::Invalid`] for `k` of 0, a vector of another length, a missing vector, or a weight
    /// of the fusion that is none.
    pub fn search(&self, query: &Query) -> Result<SearchResult, IndexError> {
        let (snapshot, note) = self.inner.sound_snapshot()?;
        validate::query(query, snapshot.dim)?;
        let mut result = search::search(&snapshot, query, self.inner.config.graph_min_vectors)?;
        result.plan.degraded.extend(note);
        Ok(result)
    }

    /// What stands in for the misspelled words of a question, by the words of the documents that
    /// the filter allows. A search does this by itself; asked first, the question's vector can be
    /// that of the [`corrected`](crate::corrected) question. See [`Spelling`](crate::Spelling).
    ///
    /// # Errors
    /// What the keyword index says.
    pub fn corrections(
        &self,
        question: &str,
        filter: &Filter,
    ) -> Result<Vec<Correction>, IndexError> {
        search::corrections(&self.inner.published.load(), question, filter)
    }

    /// Documents in order of their source, all of them.
    ///
    /// # Errors
    /// What the store says.
    pub fn documents(&self) -> Result<Vec<DocumentInfo>, IndexError> {
        self.inner.store.documents()
    }

    /// One document without its text, `None` where there is none.
    ///
    /// # Errors
    /// What the store says.
    pub fn document_info(&self, id: DocumentId) -> Result<Option<DocumentInfo>, IndexError> {
        self.inner.store.document_info(id)
    }

    /// One document with its text, `None` where there is none.
    ///
    /// # Errors
    /// What the store says.
    pub fn document(&self, id: DocumentId) -> Result<Option<StoredDocument>, IndexError> {
        self.inner.store.document(id)
    }

    /// Chunks with their texts, in the order asked; ones that are gone are left out.
    ///
    /// # Errors
    /// What the store says.
    pub fn chunks(&self, ids: &[ChunkId]) -> Result<Vec<StoredChunk>, IndexError> {
        self.inner.store.chunks(ids)
    }

    /// All chunks of one document in ascending order; empty where there is none.
    ///
    /// # Errors
    /// What the store says.
    pub fn chunks_of(&self, id: DocumentId) -> Result<Vec<StoredChunk>, IndexError> {
        self.inner.store.chunks_of(id)
    }

    /// Documents that other parts than `current` made.
    ///
    /// # Errors
    /// What the store says.
    pub fn stale(&self, current: &Fingerprint) -> Result<Vec<DocumentInfo>, IndexError> {
        self.inner.store.stale(current)
    }

    /// Sizes.
    ///
    /// # Errors
    /// What the store says.
    pub fn stats(&self) -> Result<CollectionStats, IndexError> {
        let snapshot = self.inner.published.load();
        let documents = &snapshot.documents;
        Ok(CollectionStats {
            documents: documents.len(),
            chunks: documents.chunks(),
            vectors: documents.vectors(),
            dead_vectors: (snapshot.rows() as u64).saturating_sub(documents.vectors()),
            graph_vectors: snapshot
                .graph
                .as_ref()
                .map_or(0, |graph| graph.len() as u64),
            seq: snapshot.seq,
            read_only: self.inner.read_only.is_some(),
            disk_bytes: disk::size_of(&self.inner.dir),
            embedder: self.embedder()?,
            work: self.work(),
        })
    }

    /// Why the collection can be read and not written, `None` where it can be written.
    pub fn read_only(&self) -> Option<&str> {
        self.inner.read_only
    }

    /// Sequence number of the state that a search would see now: it grows with each write.
    pub fn seq(&self) -> u64 {
        self.inner.published.load().seq
    }

    /// The embedder that the collection was made with, once something was written.
    ///
    /// # Errors
    /// What the store says.
    pub fn embedder(&self) -> Result<Option<String>, IndexError> {
        Ok(self.inner.store.meta()?.embedder.map(|(name, _)| name))
    }

    /// Takes away what deletions left behind on disk: dead vectors, terms of dead chunks, free
    /// pages of the store. Afterwards no byte of what was deleted before is in the directory.
    ///
    /// Readers are not stopped. Writers wait only while the store is written anew, which is the
    /// last step.
    ///
    /// # Errors
    /// What the store says; what was compacted so far stays. [`IndexError::ReadOnly`].
    pub fn compact(&self) -> Result<CompactReceipt, IndexError> {
        self.compact_with(|_| true)
    }

    /// The same; `go_on` is told how far it is, every few milliseconds, and ends it by saying no.
    /// It may search and must not write: where writers keep exchanging what is being compacted, the
    /// write lock may be held meanwhile.
    ///
    /// # Errors
    /// As [`Collection::compact`], and [`IndexError::Cancelled`].
    pub fn compact_with(
        &self,
        mut go_on: impl FnMut(WorkProgress) -> bool,
    ) -> Result<CompactReceipt, IndexError> {
        self.inner.check_writable()?;
        compact::compact(&self.inner, Extent::Everything, &mut go_on)
    }

    /// Compacts on a thread of its own, within the collection's budget for background work.
    /// Whether it was begun: one at a time is. [`Collection::work`] watches it,
    /// [`Collection::cancel_background`] and dropping the last handle end it soon, and
    /// [`Collection::wait_idle`] waits for it.
    ///
    /// # Errors
    /// [`IndexError::ReadOnly`].
    pub fn compact_in_background(&self) -> Result<bool, IndexError> {
        self.inner.check_writable()?;
        Ok(self.compact_aside(Extent::Everything))
    }

    fn compact_aside(&self, extent: Extent) -> bool {
        let compaction = Arc::clone(&self.inner.compaction);
        if !compaction.claim() {
            return false;
        }
        let inner = Arc::clone(&self.inner);
        let release = Release(compaction);
        let started = std::thread::Builder::new()
            .name("faq-compact".to_owned())
            .spawn(move || {
                // Dropped in this order: the collection is let go of before its end is told.
                let (release, inner) = (release, inner);
                let mut pace = Pace::new(inner.config.background_share);
                let mut go_on = |_: WorkProgress| pace.rest(|| release.0.goes_on());
                match compact::compact(&inner, extent, &mut go_on) {
                    Ok(receipt) => tracing::info!(?receipt, "compacted in the background"),
                    Err(IndexError::Cancelled) => tracing::debug!("compaction was cancelled"),
                    Err(error) => tracing::warn!(%error, "compaction in the background failed"),
                }
            });
        if let Err(error) = &started {
            tracing::warn!(%error, "no thread to compact with");
        }
        started.is_ok()
    }

    /// Builds the graph over all vectors now, instead of in the background.
    ///
    /// # Errors
    /// What the store says.
    pub fn build_graph(&self) -> Result<(), IndexError> {
        self.inner.background.wait_idle();
        self.inner.sound_snapshot()?;
        self.inner.background.build_now();
        Ok(())
    }

    /// What is being done beside reading and writing, and how far it is: the graph's building, a
    /// compaction.
    pub fn work(&self) -> Vec<WorkProgress> {
        let graph = self.inner.background.progress();
        let compaction = self.inner.compaction.progress();
        graph.into_iter().chain(compaction).collect()
    }

    /// Ends background work soon. What a graph's building had done is lost, and what a compaction
    /// had done stays. Exact scans answer; the next write or opening begins again what is due.
    pub fn cancel_background(&self) {
        self.inner.background.cancel();
        self.inner.compaction.cancel();
    }

    /// Waits until background work is done.
    pub fn wait_idle(&self) {
        self.inner.compaction.wait_idle();
        self.inner.background.wait_idle();
    }
}

/// Tells that a background compaction is over, however it ends.
struct Release(Arc<Compaction>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.release();
    }
}

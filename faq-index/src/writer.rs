//! The write path: truth first, then the projections, then the snapshot, then the answer.
//!
//! Callers of [`commit`] group themselves. Each puts its batch in the queue and then takes
//! the write lock; whoever gets it commits all that the queue holds in one transaction, and
//! the others find their answers when their turn comes.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::collection::Inner;
use crate::disk::{self, io_error};
use crate::faults;
use crate::idle;
use crate::keyword::KeywordIndex;
use crate::store::Applied;
use crate::{IndexError, WriteBatch, WriteReceipt, validate};

/// Vectors after which a group takes no further batch.
const GROUP_VECTORS: usize = 8192;

/// What only the holder of the write lock touches.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) keyword: KeywordIndex,
    /// Embedder and vector length, once something was written.
    pub(crate) embedder: Option<(String, usize)>,
    /// When something was written last; `None` while the writer rests.
    pub(crate) last_write: Option<Instant>,
}

/// A batch that waits for its commit.
#[derive(Debug)]
pub(crate) struct Job {
    batch: WriteBatch,
    answer: Mutex<Option<Result<WriteReceipt, IndexError>>>,
}

impl Job {
    fn answer(&self, answer: Result<WriteReceipt, IndexError>) {
        *lock(&self.answer) = Some(answer);
    }

    /// Embedder of the batch and the length of its vectors; `None` for deletions alone.
    fn embedder(&self) -> Option<&str> {
        let first = self.batch.upserts.first()?;
        Some(&first.fingerprint.embedder)
    }
}

/// Takes a lock; a panic of a former holder left nothing half done that matters: a
/// transaction was rolled back, and projections say themselves how far they are.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Applies a batch; see [`crate::Collection::write`].
pub(crate) fn commit(inner: &Inner, batch: WriteBatch) -> Result<WriteReceipt, IndexError> {
    if batch.upserts.is_empty() && batch.deletes.is_empty() {
        return Ok(WriteReceipt {
            seq: inner.published.load().seq,
            added: 0,
            replaced: 0,
            deleted: Vec::new(),
            not_found: Vec::new(),
        });
    }
    let dim = inner.published.load().dim.unwrap_or(inner.config.dim);
    validate::batch(&batch, dim)?;
    let job = Arc::new(Job {
        batch: one_embedder(batch)?,
        answer: Mutex::new(None),
    });
    lock(&inner.queue).push_back(Arc::clone(&job));
    let mut writer = lock(&inner.writer);
    loop {
        if let Some(answer) = lock(&job.answer).take() {
            return answer;
        }
        let group = next_group(inner);
        if group.is_empty() {
            // Whoever took the job from the queue panicked before its answer.
            return Err(IndexError::Invalid {
                what: "the write was abandoned by a panic; write it again".to_owned(),
            });
        }
        commit_group(inner, &mut writer, &group);
        if writer.written() {
            idle::watch(Arc::downgrade(&inner.writer));
        }
    }
}

/// Refuses a batch whose documents come from different embedders, and removes repeated
/// deletions.
fn one_embedder(mut batch: WriteBatch) -> Result<WriteBatch, IndexError> {
    let mut embedders = batch.upserts.iter().map(|d| &d.fingerprint.embedder);
    if let Some(first) = embedders.next()
        && let Some(other) = embedders.find(|other| *other != first)
    {
        return Err(IndexError::Invalid {
            what: format!("the batch holds vectors of two embedders, {first} and {other}"),
        });
    }
    batch.deletes.sort_unstable();
    batch.deletes.dedup();
    Ok(batch)
}

fn next_group(inner: &Inner) -> Vec<Arc<Job>> {
    let mut queue = lock(&inner.queue);
    let mut vectors = 0;
    let mut group = Vec::new();
    while vectors < GROUP_VECTORS
        && let Some(job) = queue.pop_front()
    {
        let chunks = job.batch.upserts.iter().flat_map(|d| &d.chunks);
        vectors += chunks.map(|chunk| chunk.windows.len()).sum::<usize>();
        group.push(job);
    }
    group
}

/// Commits a group and answers each of its jobs.
fn commit_group(inner: &Inner, writer: &mut Writer, group: &[Arc<Job>]) {
    if let Err(error) = settle(inner, writer) {
        answer_all(inner, group, error);
        return;
    }
    let mut accepted: Vec<&Arc<Job>> = Vec::with_capacity(group.len());
    let mut embedder = writer.embedder.clone();
    for job in group {
        match job.embedder() {
            Some(name) => match accepts(inner, &mut embedder, name) {
                Ok(()) => accepted.push(job),
                Err(error) => job.answer(Err(error)),
            },
            None => accepted.push(job),
        }
    }
    if accepted.is_empty() {
        return;
    }
    let batches: Vec<&WriteBatch> = accepted.iter().map(|job| &job.batch).collect();
    let named = embedder.as_ref().map(|(name, dim)| (name.as_str(), *dim));
    match inner.store.apply(&batches, named, now_ms()) {
        Ok(mut applied) => {
            writer.embedder = embedder;
            let receipts = mem::take(&mut applied.receipts);
            match project(inner, writer, &applied) {
                Ok(()) => {
                    for (job, receipt) in accepted.iter().zip(receipts) {
                        job.answer(Ok(receipt));
                    }
                }
                Err(error) => answer_all(inner, accepted.iter().copied(), error),
            }
            inner.background.nudge();
        }
        // Nothing was committed. Alone, each gets the answer that is its own.
        Err(_) if accepted.len() > 1 => {
            for job in accepted {
                commit_group(inner, writer, &[Arc::clone(job)]);
            }
        }
        Err(error) => answer_all(inner, accepted.iter().copied(), error),
    }
}

/// Whether the collection takes vectors of this embedder; the first one stays.
fn accepts(
    inner: &Inner,
    embedder: &mut Option<(String, usize)>,
    name: &str,
) -> Result<(), IndexError> {
    match embedder {
        Some((found, _)) if found == name => Ok(()),
        Some((found, _)) => Err(IndexError::OtherEmbedder {
            expected: name.to_owned(),
            found: found.clone(),
        }),
        None => match &inner.config.embedder {
            Some(opened_for) if opened_for != name => Err(IndexError::OtherEmbedder {
                expected: name.to_owned(),
                found: opened_for.clone(),
            }),
            _ => {
                *embedder = Some((name.to_owned(), inner.config.dim));
                Ok(())
            }
        },
    }
}

/// Brings the projections to what truth has committed and publishes the new state.
///
/// An error leaves truth committed and readers served: new vectors are held in memory, the
/// keyword index lags and says so, and [`settle`] completes both before the next write.
fn project(inner: &Inner, writer: &mut Writer, applied: &Applied<'_>) -> Result<(), IndexError> {
    let dim = writer
        .embedder
        .as_ref()
        .map_or(inner.config.dim, |(_, dim)| *dim);
    let added = || {
        applied
            .added
            .iter()
            .map(|(key, _, document)| (*key, *document))
    };
    let (keyword, (segment, segment_error)) = std::thread::scope(|scope| {
        // Both wait for the disk, so they wait together.
        let segment = scope.spawn(|| inner.segments.append(added(), dim, applied.seq));
        let keyword = writer.keyword.apply(added(), &applied.removed, applied.seq);
        let segment = segment
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (keyword, segment)
    });
    let mut documents = inner.published.load().documents.clone();
    let table = Arc::make_mut(&mut documents);
    for &key in &applied.removed {
        table.remove(key);
    }
    for (key, entry, _) in &applied.added {
        table.insert(*key, entry.clone());
    }
    let mut list = inner.published.load().segments.clone();
    list.extend(segment.map(Arc::new));
    // A merge that fails costs speed alone; the segments stay as they are.
    let replaced = inner
        .segments
        .merge_tail(&documents, applied.seq, &mut list)
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "vector segments could not be merged");
            Vec::new()
        });
    let interrupted = faults::at("publish", &inner.dir);
    inner.published.update(|next| {
        next.seq = applied.seq;
        next.dim = writer.embedder.as_ref().map(|(_, dim)| *dim);
        next.documents = documents;
        next.segments = list;
        next.keyword = writer.keyword.view();
    });
    for segment in replaced {
        inner.segments.discard(&segment);
    }
    keyword?;
    interrupted.map_err(|source| io_error("cannot publish", &inner.dir, source))?;
    segment_error.map_or(Ok(()), Err)
}

/// Completes what an earlier failure left undone, before anything new is written.
pub(crate) fn settle(inner: &Inner, writer: &mut Writer) -> Result<(), IndexError> {
    let current = inner.published.load();
    if current.keyword.seq() < current.seq {
        writer
            .keyword
            .catch_up(&inner.store, &current.documents, current.seq)?;
        inner
            .published
            .update(|next| next.keyword = writer.keyword.view());
    }
    let unsettled = |segment: &Arc<crate::segment::Segment>| segment.is_held();
    if current.segments.iter().any(unsettled) {
        inner.replace_segments(writer, unsettled)?;
        if let Some(held) = inner.published.load().segments.iter().find(|s| s.is_held()) {
            tracing::warn!(vectors = held.len(), "vectors are still in memory alone");
            return Err(IndexError::DiskFull {
                path: inner.dir.clone(),
            });
        }
    }
    Ok(())
}

fn answer_all<'a>(inner: &Inner, jobs: impl IntoIterator<Item = &'a Arc<Job>>, error: IndexError) {
    let mut jobs = jobs.into_iter();
    if let Some(first) = jobs.next() {
        for job in jobs {
            job.answer(Err(same_error(inner, &error)));
        }
        first.answer(Err(error));
    }
}

/// An error for each of those who share one; the kinds that callers act on stay what they are.
fn same_error(inner: &Inner, error: &IndexError) -> IndexError {
    if matches!(error, IndexError::DiskFull { .. }) || disk::is_disk_full(error) {
        return IndexError::DiskFull {
            path: inner.dir.clone(),
        };
    }
    IndexError::Io {
        action: "cannot write to the collection in",
        path: inner.dir.clone(),
        source: std::io::Error::other(error.to_string()),
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

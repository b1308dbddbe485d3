//! Compaction: what deletions left behind is taken off the disk.
//!
//! Readers go on with the snapshots they have. Writers go on too: vectors and keywords are written
//! anew aside, and the write lock is taken only to exchange them; while the store is written anew,
//! writers wait. Each step leaves a collection that is whole, so it may fail, be cancelled or
//! killed between any two.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::collection::Inner;
use crate::documents::DocKey;
use crate::segments::SegmentList;
use crate::snapshot::Snapshot;
use crate::work::{Work, WorkProgress};
use crate::writer::{self, lock};
use crate::{IndexError, disk, faults, store};

/// Rows of neighbouring segments that are written anew together.
const GROUP_ROWS: usize = 1 << 18;
/// Times that a writer may exchange segments under a rewrite before it is made under the lock.
const ATTEMPTS: usize = 3;
/// Time between two looks at work that others do.
const LOOK: Duration = Duration::from_millis(2);

/// What a compaction did. After it, no byte of what it counts is in the collection's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompactReceipt {
    /// Documents erased: deleted ones, and former states of replaced ones, since the compaction
    /// before.
    pub documents_erased: u64,
    /// Their chunks.
    pub chunks_erased: u64,
    /// Their vectors.
    pub vectors_erased: u64,
    /// Dead vectors that were still in the vectors' files.
    pub dead_vectors_removed: u64,
    /// Files that were written anew without them, or removed, by their paths in the directory.
    pub files_rewritten: Vec<String>,
    /// Bytes on disk before.
    pub bytes_before: u64,
    /// Bytes on disk after.
    pub bytes_after: u64,
    /// What the disk has got back.
    pub bytes_freed: u64,
}

/// How much is compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Vectors and keywords, to save space and time: the graph stays until another is built, the
    /// store keeps its free pages, and writers never wait.
    Projections,
    /// All, so that nothing deleted is left in any file.
    Everything,
}

/// Told how far a compaction is; ends it by saying no.
pub(crate) type GoOn<'a> = dyn FnMut(WorkProgress) -> bool + 'a;

/// See [`crate::Collection::compact`].
pub(crate) fn compact(
    inner: &Inner,
    extent: Extent,
    go_on: &mut GoOn<'_>,
) -> Result<CompactReceipt, IndexError> {
    let _turn = inner.compaction.turn();
    let mut go_on = |progress| {
        inner.compaction.note(progress);
        go_on(progress)
    };
    {
        let mut writer = lock(&inner.writer);
        writer::settle(inner, &mut writer)?;
        inner.repair_segments(&mut writer)?;
    }
    let bytes_before = disk::size_of(&inner.dir);
    let files_before = disk::files_below(&inner.dir);
    let erased = inner.store.erasable()?;

    let dead_vectors_removed = rewrite_segments(inner, &mut go_on)?;
    merge_keywords(inner, &mut go_on)?;
    let files_erased = if extent == Extent::Everything {
        rewrite_store(inner, erased, &mut go_on)?;
        inner.background.forget_deleted();
        vec![store::FILE.to_owned()]
    } else {
        Vec::new()
    };
    let bytes_after = disk::size_of(&inner.dir);
    let files_after: BTreeSet<String> = disk::files_below(&inner.dir);
    inner.background.nudge();
    let gone = files_before
        .into_iter()
        .filter(|file| !files_after.contains(file) && !store::is_log(file));
    let counted = match extent {
        Extent::Everything => erased,
        Extent::Projections => store::Erasable::default(),
    };
    Ok(CompactReceipt {
        documents_erased: counted.documents,
        chunks_erased: counted.chunks,
        vectors_erased: counted.vectors,
        dead_vectors_removed,
        files_rewritten: gone.chain(files_erased).collect(),
        bytes_before,
        bytes_after,
        bytes_freed: bytes_before.saturating_sub(bytes_after),
    })
}

/// Vectors that live segments hold and no live document has; a quarter of all or more is worth a
/// compaction.
pub(crate) fn is_due(snapshot: &Snapshot) -> bool {
    /// Fewer are a matter of a few megabytes.
    const LEAST: u64 = 16_384;
    let live = snapshot.documents.vectors();
    let dead = (snapshot.rows() as u64).saturating_sub(live);
    dead >= LEAST && dead * 3 >= live
}

/// Writes segments anew that hold dead rows, group by group; gives the number of rows taken away.
fn rewrite_segments(inner: &Inner, go_on: &mut GoOn<'_>) -> Result<u64, IndexError> {
    let total = inner.published.load().rows() as u64;
    let (mut removed, mut done, mut attempts) = (0, 0, 0);
    let mut after: Option<DocKey> = None;
    loop {
        let held = (attempts >= ATTEMPTS).then(|| lock(&inner.writer));
        let current = inner.published.load();
        let Some(group) = next_group(&current, after) else {
            return Ok(removed);
        };
        let rows: usize = group.iter().map(|segment| segment.len()).sum();
        faults::at("compact: segments", &inner.dir)
            .map_err(|source| disk::io_error("cannot compact", &inner.dir, source))?;
        let progress = |rows: u64| WorkProgress {
            work: Work::CompactVectors,
            done: (done + rows).min(total),
            total,
        };
        let merged =
            inner
                .segments
                .merge(&current.documents, current.seq, &group, &mut |rows| {
                    go_on(progress(rows as u64))
                })?;
        let merged: SegmentList = merged.into_iter().map(Arc::new).collect();
        let live: usize = merged.iter().map(|segment| segment.len()).sum();
        let held = held.unwrap_or_else(|| lock(&inner.writer));
        let now = inner.published.load();
        let place = now
            .segments
            .windows(group.len())
            .position(|there| there.iter().zip(&group).all(|(a, b)| Arc::ptr_eq(a, b)));
        let Some(place) = place else {
            // A writer has merged some of them meanwhile.
            attempts += 1;
            for segment in merged {
                if !now.segments.iter().any(|kept| kept.same_file(&segment)) {
                    inner.segments.discard(&segment);
                }
            }
            continue;
        };
        let mut list = now.segments.clone();
        list.splice(place..place + group.len(), merged.iter().cloned());
        inner.published.update(|next| next.segments = list);
        for segment in &group {
            // One segment of the same keys, rewritten at the same sequence number, has kept its
            // name.
            if !merged.iter().any(|kept| kept.same_file(segment)) {
                inner.segments.discard(segment);
            }
        }
        drop(held);
        removed += (rows - live) as u64;
        done += rows as u64;
        attempts = 0;
        after = group.last().map(|segment| *segment.keys().end());
    }
}

/// The first neighbours beyond a key that hold a dead row, as many as are written together.
fn next_group(snapshot: &Snapshot, after: Option<DocKey>) -> Option<SegmentList> {
    let mut rest: &[_] = &snapshot.segments;
    let begins = |key: DocKey| after.is_none_or(|after| key > after);
    rest = &rest[rest.partition_point(|segment| !begins(*segment.keys().start()))..];
    while !rest.is_empty() {
        let mut rows = 0;
        let several = rest.iter().take_while(|segment| {
            rows += segment.len();
            rows <= GROUP_ROWS
        });
        let (group, others) = rest.split_at(several.count().max(1));
        let is_dead = |row: &crate::segment::Row| snapshot.documents.get(row.key).is_none();
        if group
            .iter()
            .any(|segment| segment.rows().iter().any(is_dead))
        {
            return Some(group.to_vec());
        }
        rest = others;
    }
    None
}

/// Has Tantivy write its segments anew without dead chunks.
fn merge_keywords(inner: &Inner, go_on: &mut GoOn<'_>) -> Result<(), IndexError> {
    let progress = WorkProgress {
        work: Work::CompactKeywords,
        done: 0,
        total: inner.published.load().documents.chunks(),
    };
    let merge = lock(&inner.writer).keyword.begin_merge()?;
    if let Some(mut merge) = merge {
        let merged = loop {
            // Asked now and then, so that its end needs no waking.
            match Pin::new(&mut merge).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(merged) => break merged,
                Poll::Pending if go_on(progress) => thread::sleep(LOOK),
                Poll::Pending => {
                    lock(&inner.writer).keyword.stop_merge();
                    return Err(IndexError::Cancelled);
                }
            }
        };
        lock(&inner.writer).keyword.end_merge(merged)?;
    }
    let mut writer = lock(&inner.writer);
    inner
        .published
        .update(|next| next.keyword = writer.keyword.view());
    writer.keyword.collect_garbage()
}

/// Writes the store anew. Writers wait for it.
fn rewrite_store(
    inner: &Inner,
    erased: store::Erasable,
    go_on: &mut GoOn<'_>,
) -> Result<(), IndexError> {
    let progress = WorkProgress {
        work: Work::CompactStore,
        done: 0,
        total: disk::size_of_file(&inner.dir.join(store::FILE)),
    };
    if !go_on(progress) {
        return Err(IndexError::Cancelled);
    }
    thread::scope(|scope| {
        let work = scope.spawn(|| inner.store.vacuum(erased));
        while !work.is_finished() {
            if !go_on(progress) {
                inner.store.interrupt_vacuum();
            }
            thread::sleep(LOOK);
        }
        work.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

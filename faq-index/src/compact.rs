//! Compaction: what deletions left behind is taken off the disk.
//!
//! Runs under the write lock; readers go on with the snapshots they have. Each step leaves a
//! collection that is whole, so it may fail or be killed between any two.

use std::sync::Arc;

use crate::collection::{CompactReceipt, Inner};
use crate::writer::{self, lock};
use crate::{IndexError, disk, faults};

/// See [`crate::Collection::compact`].
pub(crate) fn compact(inner: &Inner) -> Result<CompactReceipt, IndexError> {
    let mut writer = lock(&inner.writer);
    writer::settle(inner, &mut writer)?;
    inner.repair_segments(&mut writer)?;
    let bytes_before = disk::size_of(&inner.dir);

    let current = inner.published.load();
    let live = current.documents.vectors();
    let dead = (current.rows() as u64).saturating_sub(live);
    let mut replaced = Vec::new();
    faults::at("compact: segments", &inner.dir)
        .map_err(|source| disk::io_error("cannot compact", &inner.dir, source))?;
    if dead > 0 {
        let merged = inner
            .segments
            .merge(&current.documents, current.seq, &current.segments)?;
        inner
            .published
            .update(|next| next.segments = merged.into_iter().map(Arc::new).collect());
        replaced.clone_from(&current.segments);
    }
    let published = inner.published.load();
    for segment in replaced {
        // One segment of the same keys, rewritten at the same sequence number, has kept its name.
        if !published
            .segments
            .iter()
            .any(|kept| kept.same_file(&segment))
        {
            inner.segments.discard(&segment);
        }
    }
    writer.keyword.compact()?;
    inner
        .published
        .update(|next| next.keyword = writer.keyword.view());
    drop((current, published));
    writer.keyword.collect_garbage()?;
    inner.store.vacuum()?;
    inner.background.forget_deleted();
    inner.background.nudge();
    Ok(CompactReceipt {
        dead_vectors_removed: dead,
        bytes_before,
        bytes_after: disk::size_of(&inner.dir),
    })
}

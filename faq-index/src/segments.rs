//! The set of vector segments of a collection, in the folder `segments/`.
//!
//! Segments answer for ranges of document keys that do not overlap. There is no list of them
//! beside the folder itself: truth knows which keys are live, so a key that no sound segment
//! answers for is found by comparing, and its vectors are written again from truth.
//!
//! All functions that change the folder are called under the collection's write lock.

use std::fs;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::disk::{self, create_dir, io_error};
use crate::documents::{DocKey, Documents};
use crate::segment::{self, Builder, Segment};
use crate::store::Store;
use crate::{DocumentRecord, IndexError};

/// Folder of the segments in a collection's directory.
const FOLDER: &str = "segments";
/// This many neighbours of about one size become one segment.
const MERGE: usize = 8;

/// Rows that a merge copies between two looks at whether to go on.
const STEP: usize = 4096;

/// Segments in ascending order of their keys.
pub(crate) type SegmentList = Vec<Arc<Segment>>;

/// The folder, and what all its files have in common.
#[derive(Debug)]
pub(crate) struct SegmentFolder {
    dir: PathBuf,
    collection: Uuid,
    /// Whether the folder may be changed; else what is missing is held in memory.
    writable: bool,
}

impl SegmentFolder {
    /// Opens the folder, creates it where it is missing.
    pub(crate) fn open(
        collection_dir: &Path,
        collection: Uuid,
        writable: bool,
    ) -> Result<Self, IndexError> {
        let dir = collection_dir.join(FOLDER);
        if writable {
            create_dir(&dir)?;
        }
        Ok(Self {
            dir,
            collection,
            writable,
        })
    }

    /// Removes the file of a segment that nothing refers to any more.
    pub(crate) fn discard(&self, segment: &Segment) {
        if self.writable {
            segment.remove();
        }
    }

    /// Opens all segments whose headers are right and removes every other file: one that was
    /// not finished, one that a merge made superfluous, a damaged one. Truth has it all.
    /// `seq` is that of truth: a file from after it belongs to another history.
    pub(crate) fn load(&self, dim: Option<usize>, seq: u64) -> Result<SegmentList, IndexError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if !self.writable && error.kind() == ErrorKind::NotFound => {
                return Ok(SegmentList::new());
            }
            Err(source) => return Err(io_error("cannot list", &self.dir, source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry
                .map_err(|source| io_error("cannot list", &self.dir, source))?
                .path();
            let is_segment = path
                .extension()
                .is_some_and(|ext| ext == segment::EXTENSION);
            match is_segment.then(|| Segment::open(&path)).transpose()? {
                Some(Ok(segment))
                    if segment.header().collection == self.collection
                        && Some(segment.header().dim) == dim
                        && segment.header().seq <= seq =>
                {
                    found.push(segment);
                }
                other => {
                    let why = match other {
                        Some(Err(why)) => why,
                        Some(Ok(_)) => "it belongs to another collection",
                        None => "it was not finished",
                    };
                    tracing::warn!(path = %path.display(), why, "a file is of no use");
                    if self.writable {
                        disk::remove(&path);
                    }
                }
            }
        }
        // A merge names the keys of all that it replaces, and a rewrite of the same keys has a
        // higher sequence number: what comes first here stands for what it overlaps.
        found.sort_by_key(|segment| {
            let header = segment.header();
            let keys = header.last_key - header.first_key;
            (std::cmp::Reverse(keys), std::cmp::Reverse(header.seq))
        });
        let mut kept: SegmentList = Vec::new();
        for segment in found {
            let overlaps = |other: &Arc<Segment>| {
                other.header().first_key <= segment.header().last_key
                    && segment.header().first_key <= other.header().last_key
            };
            if kept.iter().any(overlaps) {
                self.discard(&segment);
            } else {
                kept.push(Arc::new(segment));
            }
        }
        kept.sort_by_key(|segment| segment.header().first_key);
        Ok(kept)
    }

    /// Writes segments from truth for live documents that none answers for.
    pub(crate) fn cover(
        &self,
        store: &Store,
        live: &Documents,
        dim: usize,
        seq: u64,
        list: &mut SegmentList,
    ) -> Result<(), IndexError> {
        let mut gaps: Vec<RangeInclusive<DocKey>> = Vec::new();
        let mut last_place = None;
        for (key, entry) in live.iter() {
            let place = list.partition_point(|segment| *segment.keys().end() < key);
            let covered = list
                .get(place)
                .is_some_and(|segment| segment.keys().contains(&key));
            if covered || entry.vectors == 0 {
                continue;
            }
            match gaps.last_mut() {
                Some(gap) if last_place == Some(place) => *gap = *gap.start()..=key,
                _ => gaps.push(key..=key),
            }
            last_place = Some(place);
        }
        for gap in gaps {
            tracing::info!(?gap, "vectors are written again from the store");
            let made = self.rebuild(store, dim, &gap, seq)?;
            list.push(Arc::new(made));
        }
        list.sort_by_key(|segment| segment.header().first_key);
        Ok(())
    }

    /// Makes a segment anew from truth. Where the disk is full it is held in memory.
    pub(crate) fn rebuild(
        &self,
        store: &Store,
        dim: usize,
        keys: &RangeInclusive<DocKey>,
        seq: u64,
    ) -> Result<Segment, IndexError> {
        let mut builder = Builder::new(dim);
        store.vectors(*keys.start()..*keys.end() + 1, dim, |row| {
            builder.push_row(&row);
        })?;
        let (segment, _) = self.write_or_hold(builder, keys, seq);
        Ok(segment)
    }

    /// Makes the segment of a write. Where the file cannot be written the segment is held in
    /// memory and the error comes beside it. `None` where there are no vectors.
    pub(crate) fn append<'a>(
        &self,
        added: impl Iterator<Item = (DocKey, &'a DocumentRecord)>,
        dim: usize,
        seq: u64,
    ) -> (Option<Segment>, Option<IndexError>) {
        let mut builder = Builder::new(dim);
        let mut keys: Option<RangeInclusive<DocKey>> = None;
        for (key, document) in added {
            keys = Some(keys.map_or(key..=key, |keys| *keys.start()..=key));
            for (ordinal, chunk) in document.chunks.iter().enumerate() {
                for window in &chunk.windows {
                    let range = window.range.start as u32..window.range.end as u32;
                    builder.push(key, ordinal as u32, range, &window.vector);
                }
            }
        }
        match keys {
            Some(keys) if !builder.is_empty() => {
                let (segment, error) = self.write_or_hold(builder, &keys, seq);
                (Some(segment), error)
            }
            _ => (None, None),
        }
    }

    /// Merges small neighbours at the end of the list, so that their number grows with the
    /// logarithm of the rows. Gives the replaced segments, to be removed once the new list is
    /// published.
    pub(crate) fn merge_tail(
        &self,
        live: &Documents,
        seq: u64,
        list: &mut SegmentList,
    ) -> Result<SegmentList, IndexError> {
        let mut replaced = Vec::new();
        loop {
            let Some(newest) = list.last() else {
                return Ok(replaced);
            };
            let level = |segment: &Segment| segment.len().max(1).ilog(MERGE);
            let newest = level(newest);
            let run = list
                .iter()
                .rev()
                .take_while(|segment| level(segment) <= newest)
                .count();
            if run < MERGE {
                return Ok(replaced);
            }
            let from = list.len() - run;
            let tail = list.split_off(from);
            match self.merge(live, seq, &tail, &mut |_| true) {
                Ok(merged) => {
                    replaced.extend(tail);
                    list.extend(merged.map(Arc::new));
                }
                Err(error) => {
                    list.extend(tail);
                    return Err(error);
                }
            }
        }
    }

    /// Rewrites segments into one without dead rows; `None` where nothing is left. `go_on` is told
    /// how many rows were looked at, and ends the work by saying no: [`IndexError::Cancelled`].
    pub(crate) fn merge(
        &self,
        live: &Documents,
        seq: u64,
        segments: &[Arc<Segment>],
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<Segment>, IndexError> {
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
            return Ok(None);
        };
        let keys = *first.keys().start()..=*last.keys().end();
        let mut builder = Builder::new(first.header().dim);
        let mut seen = 0;
        for segment in segments {
            for (at, row) in segment.rows().iter().enumerate() {
                if seen % STEP == 0 && !go_on(seen) {
                    return Err(IndexError::Cancelled);
                }
                seen += 1;
                if live.get(row.key).is_some() {
                    builder.push(row.key, row.ordinal, row.start..row.end, segment.vector(at));
                }
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        builder
            .write(&self.dir, self.collection, &keys, seq)
            .map(Some)
    }

    fn write_or_hold(
        &self,
        builder: Builder,
        keys: &RangeInclusive<DocKey>,
        seq: u64,
    ) -> (Segment, Option<IndexError>) {
        if !self.writable {
            return (builder.hold(self.collection, keys, seq), None);
        }
        match builder.write(&self.dir, self.collection, keys, seq) {
            Ok(segment) => (segment, None),
            Err(error) => {
                tracing::warn!(%error, "a vector segment is held in memory");
                (builder.hold(self.collection, keys, seq), Some(error))
            }
        }
    }
}

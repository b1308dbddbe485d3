//! A vector segment: an immutable file with vectors of consecutive document keys.
//!
//! A [`CheckedFile`] of four parts: for each vector one [`Row`], one [`Grain`], its codes, and the
//! vector itself, `[rows, dim]` floats. Rows ascend by key, ordinal and window, so that all
//! windows of a chunk lie together. `docs/storage.md` lists the fields.
//!
//! Whether a row is live is not this module's business.

use std::ops::{Range, RangeInclusive};
use std::path::Path;

use bytemuck::{Pod, Zeroable};
use uuid::Uuid;

use crate::IndexError;
use crate::checked::{CheckedFile, Header, Kind};
use crate::codes::{self, Grain};
use crate::disk;
use crate::documents::DocKey;
use crate::store::VectorRow;

/// Extension of segment files.
pub(crate) const EXTENSION: &str = "vec";

const KIND: Kind = Kind {
    magic: *b"FAQVECS\n",
    version: 2,
    parts: |header| {
        let of = |bytes: usize| header.rows.checked_mul(bytes);
        let width = header.dim.checked_next_multiple_of(64)?;
        let floats = header.dim.checked_mul(size_of::<f32>())?;
        Some(vec![
            of(size_of::<Row>())?,
            of(size_of::<Grain>())?,
            of(width)?,
            of(floats)?,
        ])
    },
};

/// Whose vector stands at an index.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Row {
    /// The document's key.
    pub(crate) key: DocKey,
    /// The chunk in the document.
    pub(crate) ordinal: u32,
    /// Byte range of the window in the document's text.
    pub(crate) start: u32,
    pub(crate) end: u32,
    reserved: u32,
}

impl Row {
    pub(crate) fn new(key: DocKey, ordinal: u32, window: Range<u32>) -> Self {
        Self {
            key,
            ordinal,
            start: window.start,
            end: window.end,
            reserved: 0,
        }
    }

    /// What makes rows of one chunk equal.
    pub(crate) fn chunk(&self) -> (DocKey, u32) {
        (self.key, self.ordinal)
    }

    /// Byte range of the window in the document's text.
    pub(crate) fn window(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Vectors and what goes with them, `[rows]` of each.
#[derive(Debug, Default)]
struct Parts {
    rows: Vec<Row>,
    grains: Vec<Grain>,
    codes: Vec<u8>,
    vectors: Vec<f32>,
}

#[derive(Debug)]
enum Body {
    File(CheckedFile),
    /// Not on disk: the disk was full, or may not be written to.
    Held(Header, Parts),
}

/// An open segment; see the module.
#[derive(Debug)]
pub(crate) struct Segment(Body);

impl Segment {
    /// Opens a file and checks its header. The inner `Err` says what is wrong with the file.
    pub(crate) fn open(path: &Path) -> Result<Result<Self, &'static str>, IndexError> {
        Ok(CheckedFile::open(path, &KIND)?.map(|file| Self(Body::File(file))))
    }

    /// What the header says.
    pub(crate) fn header(&self) -> &Header {
        match &self.0 {
            Body::File(file) => file.header(),
            Body::Held(header, _) => header,
        }
    }

    /// Keys that the segment answers for.
    pub(crate) fn keys(&self) -> RangeInclusive<DocKey> {
        let header = self.header();
        header.first_key..=header.last_key
    }

    /// Whether the body is what was written; computed once. Asked before any row is read.
    pub(crate) fn is_sound(&self) -> bool {
        match &self.0 {
            Body::File(file) => file.is_sound(),
            Body::Held(..) => true,
        }
    }

    /// Whether the segment is in memory alone.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.0, Body::Held(..))
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.header().rows
    }

    /// The rows, ascending.
    pub(crate) fn rows(&self) -> &[Row] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(0)),
            Body::Held(_, parts) => &parts.rows,
        }
    }

    /// What goes with the codes of each row.
    pub(crate) fn grains(&self) -> &[Grain] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(1)),
            Body::Held(_, parts) => &parts.grains,
        }
    }

    /// The codes, `[rows, codes::width(dim)]`.
    pub(crate) fn codes(&self) -> &[u8] {
        match &self.0 {
            Body::File(file) => file.part(2),
            Body::Held(_, parts) => &parts.codes,
        }
    }

    /// The codes of a row, `[codes::width(dim)]`.
    pub(crate) fn codes_of(&self, row: usize) -> &[u8] {
        let width = codes::width(self.header().dim);
        &self.codes()[row * width..(row + 1) * width]
    }

    /// The vectors, `[rows, dim]`.
    pub(crate) fn vectors(&self) -> &[f32] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(3)),
            Body::Held(_, parts) => &parts.vectors,
        }
    }

    /// The vector of a row, `[dim]`.
    pub(crate) fn vector(&self, row: usize) -> &[f32] {
        let dim = self.header().dim;
        &self.vectors()[row * dim..(row + 1) * dim]
    }

    /// Rows of a chunk; empty where there is none.
    pub(crate) fn find(&self, chunk: (DocKey, u32)) -> Range<usize> {
        let rows = self.rows();
        let start = rows.partition_point(|row| row.chunk() < chunk);
        let windows = rows[start..].partition_point(|row| row.chunk() == chunk);
        start..start + windows
    }

    /// Where a row is; `None` where it is not.
    pub(crate) fn place_of(&self, row: &Row) -> Option<usize> {
        let windows = self.find(row.chunk());
        self.rows()[windows.clone()]
            .iter()
            .position(|found| found == row)
            .map(|at| windows.start + at)
    }

    /// Removes the file. Whoever still has it open keeps reading what it was.
    pub(crate) fn remove(&self) {
        if let Body::File(file) = &self.0 {
            disk::remove(file.path());
        }
    }

    /// Whether both are the same file.
    pub(crate) fn same_file(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Body::File(one), Body::File(other)) => one.path() == other.path(),
            _ => false,
        }
    }
}

/// Name of the file: keys, then sequence number, so that a rewrite has a name of its own.
fn file_name(header: &Header) -> String {
    format!(
        "{:012x}-{:012x}-{:012x}.{EXTENSION}",
        header.first_key, header.last_key, header.seq
    )
}

/// Collects rows and makes a segment of them.
#[derive(Debug)]
pub(crate) struct Builder {
    dim: usize,
    parts: Parts,
}

impl Builder {
    /// A builder for vectors of length `dim`.
    pub(crate) fn new(dim: usize) -> Self {
        Self {
            dim,
            parts: Parts::default(),
        }
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.rows.is_empty()
    }

    /// Adds a vector; callers add in ascending order.
    pub(crate) fn push(&mut self, key: DocKey, ordinal: u32, window: Range<u32>, vector: &[f32]) {
        self.parts.rows.push(Row::new(key, ordinal, window));
        let grain = codes::encode(vector, &mut self.parts.codes);
        self.parts.grains.push(grain);
        self.parts.vectors.extend_from_slice(vector);
    }

    /// Adds a vector as the store has it.
    pub(crate) fn push_row(&mut self, row: &VectorRow) {
        self.push(row.key, row.ordinal, row.window.clone(), &row.vector);
    }

    /// Writes the file into `dir` durably and opens it.
    pub(crate) fn write(
        &self,
        dir: &Path,
        collection: Uuid,
        keys: &RangeInclusive<DocKey>,
        seq: u64,
    ) -> Result<Segment, IndexError> {
        let header = self.header(collection, keys, seq);
        let path = dir.join(file_name(&header));
        let parts: [&[u8]; 4] = [
            bytemuck::cast_slice(&self.parts.rows),
            bytemuck::cast_slice(&self.parts.grains),
            &self.parts.codes,
            bytemuck::cast_slice(&self.parts.vectors),
        ];
        CheckedFile::write(&path, &KIND, &header, &parts).map(|file| Segment(Body::File(file)))
    }

    /// Makes a segment that is in memory alone.
    pub(crate) fn hold(self, collection: Uuid, keys: &RangeInclusive<DocKey>, seq: u64) -> Segment {
        Segment(Body::Held(self.header(collection, keys, seq), self.parts))
    }

    fn header(&self, collection: Uuid, keys: &RangeInclusive<DocKey>, seq: u64) -> Header {
        Header {
            collection,
            dim: self.dim,
            rows: self.parts.rows.len(),
            first_key: *keys.start(),
            last_key: *keys.end(),
            seq,
            counts: [0; 2],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn written(dir: &Path) -> Segment {
        let mut builder = Builder::new(3);
        builder.push(4, 0, 0..5, &[1.0, 0.0, 0.0]);
        builder.push(4, 1, 5..9, &[0.0, 1.0, 0.0]);
        builder.push(4, 1, 9..12, &[0.0, 0.0, 1.0]);
        builder.write(dir, Uuid::from_u128(7), &(4..=6), 9).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let segment = written(dir.path());
        assert!(segment.is_sound());
        assert_eq!(segment.find((4, 1)), 1..3);
        assert_eq!(segment.find((4, 2)), 3..3);
        assert_eq!(segment.vector(2), [0.0, 0.0, 1.0]);
        assert_eq!(segment.rows()[1].window(), 5..9);
        assert_eq!(segment.header().seq, 9);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file_name(written(dir.path()).header()));
        let good = std::fs::read(&path).unwrap();
        let sound = |bytes: &[u8]| {
            // A new name each time: mapped files must not change.
            let path = dir.path().join(format!("{}.vec", Uuid::new_v4()));
            std::fs::write(&path, bytes).unwrap();
            Segment::open(&path)
                .unwrap()
                .is_ok_and(|segment| segment.is_sound())
        };
        assert!(sound(&good));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(!sound(&bad), "a flip in byte {at} was not seen");
            assert!(at == 0 || !sound(&good[..at]), "a cut at {at} was not seen");
        }
    }
}

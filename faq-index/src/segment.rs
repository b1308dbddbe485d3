//! A vector segment: an immutable file with vectors of consecutive document keys.
//!
//! Layout, little endian: a header of [`HEADER`] bytes, then one [`Row`] for each vector,
//! padding to 64 bytes, then the vectors, `[rows, dim]` floats. Rows ascend by key, ordinal
//! and window, so that all windows of a chunk lie together. The header has a checksum of its
//! own and that of the rest; `docs/storage.md` lists its fields.
//!
//! The header is checked when the file is opened, the rest by [`Segment::is_sound`] before
//! its first use. Whether a row is live is not this module's business.

use std::fs::File;
use std::io::Write;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use memmap2::Mmap;
use uuid::Uuid;

use crate::disk::{io_error, write_whole};
use crate::documents::DocKey;
use crate::store::VectorRow;
use crate::{IndexError, disk};

/// Bytes of the header.
const HEADER: usize = 128;
const MAGIC: [u8; 8] = *b"FAQVECS\n";
/// Version of the layout. A file of another version is rebuilt from truth.
const VERSION: u32 = 1;
/// Where the header's own checksum stands; it covers everything before it.
const HEADER_CRC: usize = HEADER - 4;
/// Extension of segment files.
pub(crate) const EXTENSION: &str = "vec";

#[cfg(target_endian = "big")]
compile_error!("segments are mapped as they are, and they are little endian");

/// Whose vector stands at an index.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

const ROW: usize = size_of::<Row>();

impl Row {
    /// What makes rows of one chunk equal.
    pub(crate) fn chunk(&self) -> (DocKey, u32) {
        (self.key, self.ordinal)
    }

    /// Byte range of the window in the document's text.
    pub(crate) fn window(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// What a header says, its checksums aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// The collection that the file belongs to.
    pub(crate) collection: Uuid,
    /// Length of a vector.
    pub(crate) dim: usize,
    /// Keys that the file answers for: a live document with such a key has its vectors here.
    pub(crate) first_key: DocKey,
    pub(crate) last_key: DocKey,
    /// Sequence number of the collection when the file was made.
    pub(crate) seq: u64,
    count: usize,
    body_crc: u32,
}

impl Header {
    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.dim as u32).to_le_bytes());
        bytes[16..32].copy_from_slice(self.collection.as_bytes());
        for (slot, value) in [self.count as u64, self.first_key, self.last_key, self.seq]
            .into_iter()
            .enumerate()
        {
            bytes[32 + slot * 8..40 + slot * 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes[64..68].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..HEADER_CRC]);
        bytes[HEADER_CRC..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `Err` says what is wrong with the header.
    fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes.len() < HEADER || bytes[..8] != MAGIC {
            return Err("it is no vector segment");
        }
        if crc32fast::hash(&bytes[..HEADER_CRC]) != u32_at(HEADER_CRC) {
            return Err("its header's checksum is wrong");
        }
        if u32_at(8) != VERSION {
            return Err("it has another version");
        }
        let header = Self {
            collection: Uuid::from_slice(&bytes[16..32]).unwrap_or_default(),
            dim: u32_at(12) as usize,
            count: u64_at(32) as usize,
            first_key: u64_at(40),
            last_key: u64_at(48),
            seq: u64_at(56),
            body_crc: u32_at(64),
        };
        if header.len() == Some(bytes.len()) {
            Ok(header)
        } else {
            Err("its length is wrong")
        }
    }

    /// Where the vectors begin; `None` where that is no sensible number.
    fn vectors_at(&self) -> Option<usize> {
        Some((HEADER + self.count.checked_mul(ROW)?).next_multiple_of(64))
    }

    /// Length of the file.
    fn len(&self) -> Option<usize> {
        let floats = self.count.checked_mul(self.dim)?;
        floats.checked_mul(4)?.checked_add(self.vectors_at()?)
    }

    /// Name of the file: keys, then sequence number, so that a rewrite has a name of its own.
    fn file_name(&self) -> String {
        format!(
            "{:012x}-{:012x}-{:012x}.{EXTENSION}",
            self.first_key, self.last_key, self.seq
        )
    }
}

#[derive(Debug)]
enum Body {
    Mapped(Mmap),
    /// Not on disk: rebuilt from truth when the disk was full.
    Held {
        rows: Vec<Row>,
        vectors: Vec<f32>,
    },
}

/// An open segment; see the module.
#[derive(Debug)]
pub(crate) struct Segment {
    header: Header,
    body: Body,
    path: Option<PathBuf>,
    sound: OnceLock<bool>,
}

impl Segment {
    /// Opens a file and checks its header. The inner `Err` says what is wrong with the file.
    pub(crate) fn open(path: &Path) -> Result<Result<Self, &'static str>, IndexError> {
        let file = File::open(path).map_err(|source| io_error("cannot open", path, source))?;
        let map = map(&file).map_err(|source| io_error("cannot map", path, source))?;
        Ok(Header::decode(&map).map(|header| Self {
            header,
            body: Body::Mapped(map),
            path: Some(path.to_owned()),
            sound: OnceLock::new(),
        }))
    }

    /// What the header says.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Keys that the segment answers for.
    pub(crate) fn keys(&self) -> RangeInclusive<DocKey> {
        self.header.first_key..=self.header.last_key
    }

    /// Whether the body is what was written; computed once. Asked before any row is read.
    pub(crate) fn is_sound(&self) -> bool {
        *self.sound.get_or_init(|| match &self.body {
            Body::Mapped(map) => crc32fast::hash(&map[HEADER..]) == self.header.body_crc,
            Body::Held { .. } => true,
        })
    }

    /// Whether the segment is in memory alone.
    pub(crate) fn is_held(&self) -> bool {
        self.path.is_none()
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.header.count
    }

    /// The rows, ascending.
    #[allow(
        unsafe_code,
        reason = "reads rows from the mapped file without copying them"
    )]
    pub(crate) fn rows(&self) -> &[Row] {
        match &self.body {
            Body::Held { rows, .. } => rows,
            Body::Mapped(map) => {
                let bytes = &map[HEADER..HEADER + self.header.count * ROW];
                // SAFETY: `Row` is `repr(C)` of integers without padding, for which any bytes
                // are valid; the slice holds `count` of them and begins 128 bytes into a
                // mapping, which begins at a page, so it is aligned to 8.
                unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), self.header.count) }
            }
        }
    }

    /// The vectors, `[rows, dim]`.
    #[allow(
        unsafe_code,
        reason = "reads floats from the mapped file without copying them"
    )]
    pub(crate) fn vectors(&self) -> &[f32] {
        match &self.body {
            Body::Held { vectors, .. } => vectors,
            Body::Mapped(map) => {
                let at = self.header.vectors_at().unwrap_or(map.len());
                let bytes = &map[at..];
                // SAFETY: any four bytes are a float; the slice begins at a multiple of 64 into
                // a mapping, so it is aligned, and it is cut to whole floats.
                unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / 4) }
            }
        }
    }

    /// The vector of a row, `[dim]`.
    pub(crate) fn vector(&self, row: usize) -> &[f32] {
        let dim = self.header.dim;
        &self.vectors()[row * dim..(row + 1) * dim]
    }

    /// Rows of a chunk; empty where there is none.
    pub(crate) fn find(&self, chunk: (DocKey, u32)) -> Range<usize> {
        let rows = self.rows();
        let start = rows.partition_point(|row| row.chunk() < chunk);
        let windows = rows[start..].partition_point(|row| row.chunk() == chunk);
        start..start + windows
    }

    /// Removes the file. Whoever still has it open keeps reading what it was.
    pub(crate) fn remove(&self) {
        if let Some(path) = &self.path {
            disk::remove(path);
        }
    }

    /// Whether both are the same file.
    pub(crate) fn same_file(&self, other: &Self) -> bool {
        self.path.is_some() && self.path == other.path
    }
}

#[allow(unsafe_code, reason = "memory-maps a file")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: a mapping is sound while nobody changes the file. Segments are never written to
    // after they got their name, only unlinked, and the collection's lock keeps other
    // processes of this program out.
    unsafe { Mmap::map(file) }
}

/// Collects rows and makes a segment of them.
#[derive(Debug)]
pub(crate) struct Builder {
    dim: usize,
    rows: Vec<Row>,
    vectors: Vec<f32>,
}

impl Builder {
    /// A builder for vectors of length `dim`.
    pub(crate) fn new(dim: usize) -> Self {
        Self {
            dim,
            rows: Vec::new(),
            vectors: Vec::new(),
        }
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a vector; callers add in ascending order.
    pub(crate) fn push(&mut self, key: DocKey, ordinal: u32, window: Range<u32>, vector: &[f32]) {
        self.rows.push(Row {
            key,
            ordinal,
            start: window.start,
            end: window.end,
            reserved: 0,
        });
        self.vectors.extend_from_slice(vector);
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
        let mut header = self.header(collection, keys, seq);
        let mut crc = crc32fast::Hasher::new();
        self.body(&header, |bytes| {
            crc.update(bytes);
            Ok(())
        })
        .map_err(|source| io_error("cannot write into", dir, source))?;
        header.body_crc = crc.finalize();
        let path = dir.join(header.file_name());
        write_whole(&path, |file| {
            file.write_all(&header.encode())?;
            self.body(&header, |bytes| file.write_all(bytes))
        })?;
        Segment::open(&path)?.map_err(|wrong| IndexError::Damaged {
            path,
            detail: format!("a segment that was just written cannot be read: {wrong}"),
        })
    }

    /// Hands the bytes after the header to `sink`, piece by piece.
    fn body(
        &self,
        header: &Header,
        mut sink: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        for row in &self.rows {
            let mut bytes = [0; ROW];
            bytes[..8].copy_from_slice(&row.key.to_le_bytes());
            for (slot, value) in [row.ordinal, row.start, row.end, row.reserved]
                .into_iter()
                .enumerate()
            {
                bytes[8 + slot * 4..12 + slot * 4].copy_from_slice(&value.to_le_bytes());
            }
            sink(&bytes)?;
        }
        let rows_end = HEADER + self.rows.len() * ROW;
        sink(&[0; 64][..header.vectors_at().unwrap_or(rows_end) - rows_end])?;
        let mut bytes = Vec::with_capacity(self.dim * 4);
        for vector in self.vectors.chunks(self.dim.max(1)) {
            bytes.clear();
            bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
            sink(&bytes)?;
        }
        Ok(())
    }

    /// Makes a segment that is in memory alone.
    pub(crate) fn hold(self, collection: Uuid, keys: &RangeInclusive<DocKey>, seq: u64) -> Segment {
        Segment {
            header: self.header(collection, keys, seq),
            body: Body::Held {
                rows: self.rows,
                vectors: self.vectors,
            },
            path: None,
            sound: OnceLock::new(),
        }
    }

    fn header(&self, collection: Uuid, keys: &RangeInclusive<DocKey>, seq: u64) -> Header {
        Header {
            collection,
            dim: self.dim,
            first_key: *keys.start(),
            last_key: *keys.end(),
            seq,
            count: self.rows.len(),
            body_crc: 0,
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
        let path = written(dir.path()).path.unwrap();
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

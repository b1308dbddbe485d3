//! Derived files that are memory-mapped: a header, then parts, all under checksums.
//!
//! Little endian. The header has [`HEADER`] bytes and a checksum of its own; it names the kind and
//! version of the file, the collection it belongs to, and the checksum of all that follows. Each
//! part begins at a multiple of 64 bytes. The header is checked when a file is opened, the rest by
//! [`CheckedFile::is_sound`] before its first use. Files are written aside and renamed, and never
//! changed after that.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use memmap2::Mmap;
use uuid::Uuid;

use crate::IndexError;
use crate::disk::{io_error, write_whole};
use crate::documents::DocKey;

/// Bytes of the header.
const HEADER: usize = 128;
/// Where the header's own checksum stands; it covers everything before it.
const HEADER_CRC: usize = HEADER - 4;
/// Parts begin at multiples of this.
const ALIGN: usize = 64;

#[cfg(target_endian = "big")]
compile_error!("derived files are mapped as they are, and they are little endian");

/// What tells one sort of file from another.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) magic: [u8; 8],
    /// Version of the layout. A file of another version is rebuilt from truth.
    pub(crate) version: u32,
    /// Bytes of each part, `None` where the header's numbers make no sense.
    pub(crate) parts: fn(&Header) -> Option<Vec<usize>>,
}

/// What a header says, its checksums aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// The collection that the file belongs to.
    pub(crate) collection: Uuid,
    /// Length of a vector.
    pub(crate) dim: usize,
    /// Number of vectors.
    pub(crate) rows: usize,
    /// Keys that the file answers for: a live document with such a key has its vectors here.
    pub(crate) first_key: DocKey,
    pub(crate) last_key: DocKey,
    /// Sequence number of the collection when the file was made.
    pub(crate) seq: u64,
    /// Further numbers, by kind.
    pub(crate) counts: [usize; 2],
}

impl Header {
    fn encode(&self, kind: &Kind, body_crc: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&kind.magic);
        bytes[8..12].copy_from_slice(&kind.version.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.dim as u32).to_le_bytes());
        bytes[16..32].copy_from_slice(self.collection.as_bytes());
        let numbers = [self.rows as u64, self.first_key, self.last_key, self.seq];
        let counts = self.counts.map(|count| count as u64);
        for (at, value) in (32..64)
            .step_by(8)
            .zip(numbers)
            .chain((72..88).step_by(8).zip(counts))
        {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes[64..68].copy_from_slice(&body_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..HEADER_CRC]);
        bytes[HEADER_CRC..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header and the checksum of the rest; `Err` says what is wrong.
    fn decode(bytes: &[u8], kind: &Kind) -> Result<(Self, u32), &'static str> {
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes.len() < HEADER || bytes[..8] != kind.magic {
            return Err("it is no file of its kind");
        }
        if crc32fast::hash(&bytes[..HEADER_CRC]) != u32_at(HEADER_CRC) {
            return Err("its header's checksum is wrong");
        }
        if u32_at(8) != kind.version {
            return Err("it has another version");
        }
        let header = Self {
            collection: Uuid::from_slice(&bytes[16..32]).unwrap_or_default(),
            dim: u32_at(12) as usize,
            rows: u64_at(32) as usize,
            first_key: u64_at(40),
            last_key: u64_at(48),
            seq: u64_at(56),
            counts: [u64_at(72) as usize, u64_at(80) as usize],
        };
        Ok((header, u32_at(64)))
    }

    /// Byte ranges of the parts; `None` where the numbers make no sense.
    fn layout(&self, kind: &Kind) -> Option<Vec<Range<usize>>> {
        let mut end = HEADER;
        let mut ranges = Vec::new();
        for len in (kind.parts)(self)? {
            let start = end.checked_next_multiple_of(ALIGN)?;
            end = start.checked_add(len)?;
            ranges.push(start..end);
        }
        Some(ranges)
    }
}

/// An open file; see the module.
#[derive(Debug)]
pub(crate) struct CheckedFile {
    header: Header,
    map: Mmap,
    parts: Vec<Range<usize>>,
    body_crc: u32,
    path: PathBuf,
    sound: OnceLock<bool>,
}

impl CheckedFile {
    /// Opens a file and checks its header. The inner `Err` says what is wrong with the file.
    pub(crate) fn open(path: &Path, kind: &Kind) -> Result<Result<Self, &'static str>, IndexError> {
        let file = File::open(path).map_err(|source| io_error("cannot open", path, source))?;
        let map = map(&file).map_err(|source| io_error("cannot map", path, source))?;
        Ok(Self::over(map, path, kind))
    }

    fn over(map: Mmap, path: &Path, kind: &Kind) -> Result<Self, &'static str> {
        let (header, body_crc) = Header::decode(&map, kind)?;
        let parts = header
            .layout(kind)
            .filter(|parts| parts.last().map_or(HEADER, |last| last.end) == map.len())
            .ok_or("its length is wrong")?;
        Ok(Self {
            header,
            map,
            parts,
            body_crc,
            path: path.to_owned(),
            sound: OnceLock::new(),
        })
    }

    /// Writes a file durably and opens it. `parts` have the lengths that the kind asks for.
    pub(crate) fn write(
        path: &Path,
        kind: &Kind,
        header: &Header,
        parts: &[&[u8]],
    ) -> Result<Self, IndexError> {
        let mut crc = crc32fast::Hasher::new();
        let summed = pieces(parts, |bytes| {
            crc.update(bytes);
            Ok(())
        });
        summed.map_err(|source| io_error("cannot write", path, source))?;
        let head = header.encode(kind, crc.finalize());
        write_whole(path, |file| {
            file.write_all(&head)?;
            pieces(parts, |bytes| file.write_all(bytes))
        })?;
        Self::open(path, kind)?.map_err(|wrong| IndexError::Damaged {
            path: path.to_owned(),
            detail: format!("a file that was just written cannot be read: {wrong}"),
        })
    }

    /// What the header says.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a part; they begin at a multiple of 64 in memory.
    pub(crate) fn part(&self, part: usize) -> &[u8] {
        &self.map[self.parts[part].clone()]
    }

    /// Whether the parts are what was written; computed once.
    pub(crate) fn is_sound(&self) -> bool {
        *self
            .sound
            .get_or_init(|| crc32fast::hash(&self.map[HEADER..]) == self.body_crc)
    }
}

/// Hands the bytes after the header to `sink`, piece by piece.
fn pieces(
    parts: &[&[u8]],
    mut sink: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut at = HEADER;
    for part in parts {
        let start = at.next_multiple_of(ALIGN);
        sink(&[0; ALIGN][..start - at])?;
        sink(part)?;
        at = start + part.len();
    }
    Ok(())
}

#[allow(unsafe_code, reason = "memory-maps a file")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: a mapping is sound while nobody changes the file. These files are never written to
    // after they got their name, only unlinked, and the collection's lock keeps other processes
    // of this program out.
    unsafe { Mmap::map(file) }
}

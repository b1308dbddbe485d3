//! The ZIP archive around a document: its parts by name, counted while they unpack.
//!
//! Sizes that the archive states are never believed: what is read is counted.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::limits::Budget;
use crate::{Format, ParseError, detect, encoding};

/// Entries of an archive: a document has some dozens, one with many pictures some thousands.
const MOST_ENTRIES: usize = 65_535;

/// Signature of an entry in the archive's directory.
const ENTRY: &[u8] = b"PK\x01\x02";

/// An open document archive.
pub(crate) struct Archive<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    unpacked: u64,
    format: Format,
    budget: &'b Budget,
}

/// Names of an archive's entries, or `None` where it cannot be read.
pub(crate) fn entry_names(bytes: &[u8]) -> Option<Vec<String>> {
    if entries(bytes) > MOST_ENTRIES {
        return None;
    }
    let archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    Some(
        archive
            .file_names()
            .filter_map(|name| Some(name.ok()?.into_owned()))
            .collect(),
    )
}

/// Entries by their signatures, wherever they stand: the library reserves memory for as
/// many as the archive claims.
fn entries(bytes: &[u8]) -> usize {
    let mut count = 0;
    let mut rest = bytes;
    while let Some(at) = detect::find(rest, ENTRY) {
        count += 1;
        rest = &rest[at + ENTRY.len()..];
    }
    count
}

impl<'b> Archive<'b> {
    pub(crate) fn open(
        bytes: &'b [u8],
        format: Format,
        budget: &'b Budget,
    ) -> Result<Self, ParseError> {
        let count = entries(bytes);
        if count > MOST_ENTRIES {
            return Err(ParseError::limit(
                "archive entries",
                count as u64,
                MOST_ENTRIES as u64,
                "entries",
            ));
        }
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| ParseError::damaged(format, format!("its ZIP archive: {error}")))?;
        Ok(Self {
            zip,
            unpacked: 0,
            format,
            budget,
        })
    }

    /// Whether the archive holds this entry.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// Names of the entries.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.zip.file_names();
        names
            .filter_map(|name| Some(name.ok()?.into_owned()))
            .collect()
    }

    /// A part's text, or `None` where the archive does not hold it.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ParseError> {
        let bytes = self.bytes(name)?;
        Ok(bytes.map(|bytes| encoding::decode(&bytes, None).text))
    }

    /// A part that must be there.
    pub(crate) fn required(&mut self, name: &str) -> Result<String, ParseError> {
        self.text(name)?
            .ok_or_else(|| ParseError::damaged(self.format, format!("{name} is missing")))
    }

    /// A part's bytes, or `None` where the archive does not hold it.
    pub(crate) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, ParseError> {
        let Some(index) = self.zip.index_for_name(name) else {
            return Ok(None);
        };
        let format = self.format;
        let damaged =
            |error: &dyn std::fmt::Display| ParseError::damaged(format, format!("{name}: {error}"));
        let mut entry = self.zip.by_index(index).map_err(|error| damaged(&error))?;
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            self.budget.check_clock()?;
            let read = entry.read(&mut buffer).map_err(|error| damaged(&error))?;
            if read == 0 {
                break;
            }
            self.unpacked += read as u64;
            self.budget.check_decompressed(self.unpacked)?;
            bytes.extend_from_slice(&buffer[..read]);
        }
        Ok(Some(bytes))
    }
}

//! The ZIP archive around a document: its parts by name, counted while they unpack.
//!
//! Sizes that the archive states are never believed: what is read is counted.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::limits::Budget;
use crate::{Format, ParseError, detect, encoding};

/// Entries of an archive: a document has some dozens, one with many pictures some thousands.
const MOST_ENTRIES: usize = 65_535;

/// Signature of an entry in the archive's directory.
const ENTRY: &[u8] = b"PK\x01\x02";

/// An open document archive.
///
/// Parts are asked for by their names as they should be. Programs that are not so careful write
/// others (`\word\document.xml`, `Word/Document.xml`), and their documents open everywhere.
pub(crate) struct Archive<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    /// Numbers of entries by their names as they are compared, the first of equal ones.
    loose: HashMap<String, usize>,
    unpacked: u64,
    format: Format,
    budget: &'b Budget,
}

/// A name as it is compared: slashes one way and none in front, small letters.
pub(crate) fn comparable(name: &str) -> String {
    let forward = name.replace('\\', "/");
    let mut rest = forward.as_str();
    while let Some(inner) = rest.strip_prefix('/').or_else(|| rest.strip_prefix("./")) {
        rest = inner;
    }
    rest.to_lowercase()
}

/// Names of an archive's entries, as they are compared, or `None` where it cannot be read.
pub(crate) fn entry_names(bytes: &[u8]) -> Option<Vec<String>> {
    if entries(bytes) > MOST_ENTRIES {
        return None;
    }
    let archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    Some(
        archive
            .file_names()
            .filter_map(|name| Some(comparable(&name.ok()?)))
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
        let mut loose = HashMap::new();
        for (index, name) in zip.file_names().enumerate() {
            if let Ok(name) = name {
                loose.entry(comparable(&name)).or_insert(index);
            }
        }
        Ok(Self {
            zip,
            loose,
            unpacked: 0,
            format,
            budget,
        })
    }

    /// Whether the archive holds this entry.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.index(name).is_some()
    }

    /// The entry with this name to the letter, or else the one with a name that is compared alike.
    fn index(&self, name: &str) -> Option<usize> {
        let loose = |name: &str| self.loose.get(&comparable(name)).copied();
        self.zip
            .index_for_name_raw(name.as_bytes())
            .or_else(|| loose(name))
            .or_else(|| name.contains('%').then(|| loose(&unescaped(name)))?)
    }

    /// Names of the entries, in their order, with their slashes one way.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.zip.file_names();
        names
            .filter_map(|name| Some(name.ok()?.replace('\\', "/")))
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
        let Some(index) = self.index(name) else {
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

/// A reference with its percent escapes undone.
pub(crate) fn unescaped(reference: &str) -> String {
    let mut bytes = Vec::with_capacity(reference.len());
    let mut rest = reference.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |b: u8| char::from(b).to_digit(16);
        if first == b'%'
            && let [high, low, tail @ ..] = after
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            bytes.push((high * 16 + low) as u8);
            rest = tail;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{comparable, unescaped};

    #[test]
    fn names_are_compared_whatever_their_slashes_and_case() {
        for name in [
            "\\Word\\Document.xml",
            "/word/document.xml",
            "./word/document.XML",
        ] {
            assert_eq!(comparable(name), "word/document.xml");
        }
        assert_eq!(comparable("../word"), "../word");
    }

    #[test]
    fn percent_escapes_are_undone() {
        assert_eq!(unescaped("a%20b%C3%A4.xhtml"), "a bä.xhtml");
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz"), "%zz");
    }
}

//! The ZIP archive around a document: its parts by name, counted while they unpack.
//!
//! Sizes that the archive states are never believed: what is read is counted.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::limits::Budget;
use crate::{Format, ParseError, detect, encoding};

use super::xml::{Token, Xml};

/// Entries of an archive: a document has some dozens, one with many pictures some thousands.
const MOST_ENTRIES: usize = 65_535;

/// Signature of an entry in the archive's directory.
const ENTRY: &[u8] = b"PK\x01\x02";

/// An open document archive.
pub(super) struct Package<'b> {
    archive: ZipArchive<Cursor<&'b [u8]>>,
    unpacked: u64,
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

impl<'b> Package<'b> {
    pub(super) fn open(bytes: &'b [u8], budget: &'b Budget) -> Result<Self, ParseError> {
        let count = entries(bytes);
        if count > MOST_ENTRIES {
            return Err(ParseError::limit(
                "archive entries",
                count as u64,
                MOST_ENTRIES as u64,
                "entries",
            ));
        }
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            ParseError::damaged(Format::Docx, format!("its ZIP archive: {error}"))
        })?;
        Ok(Self {
            archive,
            unpacked: 0,
            budget,
        })
    }

    /// A part's text, or `None` where the archive does not hold it.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ParseError> {
        let Some(index) = self.archive.index_for_name(name) else {
            return Ok(None);
        };
        let damaged = |error: &dyn std::fmt::Display| {
            ParseError::damaged(Format::Docx, format!("{name}: {error}"))
        };
        let mut entry = self
            .archive
            .by_index(index)
            .map_err(|error| damaged(&error))?;
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
        Ok(Some(encoding::decode(&bytes, None).text))
    }

    /// Name of the part that holds the document's text.
    pub(super) fn main_part(&mut self) -> Result<String, ParseError> {
        let relations = self.relations("_rels/.rels", "")?;
        let main = relations.get("officeDocument").cloned();
        Ok(main
            .filter(|name| self.archive.index_for_name(name).is_some())
            .unwrap_or_else(|| "word/document.xml".to_owned()))
    }

    /// Parts that `part` refers to, by the last word of the relation's type.
    pub(super) fn related(&mut self, part: &str) -> Result<HashMap<String, String>, ParseError> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let rels = if folder.is_empty() {
            format!("_rels/{file}.rels")
        } else {
            format!("{folder}/_rels/{file}.rels")
        };
        let mut related = self.relations(&rels, folder)?;
        for kind in ["styles", "numbering", "footnotes", "endnotes"] {
            related
                .entry(kind.to_owned())
                .or_insert_with(|| format!("{folder}/{kind}.xml"));
        }
        Ok(related)
    }

    fn relations(
        &mut self,
        name: &str,
        folder: &str,
    ) -> Result<HashMap<String, String>, ParseError> {
        let mut relations = HashMap::new();
        let Some(text) = self.text(name)? else {
            return Ok(relations);
        };
        let mut xml = Xml::new(&text, self.budget);
        while let Some(token) = xml.next()? {
            if let Token::Open(element) = token
                && element.is("Relationship")
                && element.attribute("TargetMode").as_deref() != Some("External")
                && let Some(kind) = element.attribute("Type")
                && let Some(target) = element.attribute("Target")
            {
                let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                relations
                    .entry(kind)
                    .or_insert_with(|| resolve(folder, &target));
            }
        }
        Ok(relations)
    }
}

/// A relation's target as an entry name.
fn resolve(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

//! Where a document's bytes come from, and what it is called.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::UNIX_EPOCH;

use faq_index::DocumentId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Error, Result};

/// Namespace of the ids that are made from a document's origin.
const ORIGINS: Uuid = Uuid::from_u128(0x5b1f_8d3a_91c4_4e0e_9d5a_2f7c_4b60_aa31);

/// A document's bytes, with its name and labels.
///
/// ```
/// use faq_core::{Source, document_id};
///
/// let mut source = Source::new("rules.md", "# Rules\n\nBe kind.");
/// source.tags.insert("house".into());
/// assert_eq!(source.id, document_id("rules.md"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Identity. Ingesting an id again replaces the document.
    pub id: DocumentId,
    /// File name, as shown in sources; its extension helps to tell the format.
    pub filename: String,
    /// Where it came from, such as an absolute path; empty where there is no such thing.
    pub origin: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Labels to filter by.
    pub tags: BTreeSet<String>,
    /// Time of the document in Unix milliseconds, to filter by.
    pub time_ms: i64,
}

impl Source {
    /// Bytes under a name. The same name is the same document.
    pub fn new(filename: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let filename = filename.into();
        Self {
            id: document_id(&filename),
            filename,
            origin: String::new(),
            bytes: bytes.into(),
            tags: BTreeSet::new(),
            time_ms: 0,
        }
    }

    /// Reads a file of at most `most` bytes. The document is its absolute path.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::FileTooLarge`].
    pub fn read(path: &Path, most: u64) -> Result<Self> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let path = std::path::absolute(path).map_err(io)?;
        let meta = path.metadata().map_err(io)?;
        if meta.len() > most {
            return Err(Error::FileTooLarge {
                path,
                bytes: meta.len(),
                allowed: most,
            });
        }
        // A pipe does not say how much it holds.
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
        File::open(&path)
            .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(io)?;
        if bytes.len() as u64 > most {
            return Err(Error::FileTooLarge {
                path,
                bytes: bytes.len() as u64,
                allowed: most,
            });
        }
        let time_ms = meta
            .modified()
            .ok()
            .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        let origin = path.to_string_lossy().into_owned();
        Ok(Self {
            id: document_id(&origin),
            filename: path
                .file_name()
                .map_or_else(|| origin.clone(), |n| n.to_string_lossy().into_owned()),
            origin,
            bytes,
            tags: BTreeSet::new(),
            time_ms,
        })
    }

    /// SHA-256 of the bytes, lower-case hex.
    pub fn content_hash(&self) -> String {
        crate::hex(&Sha256::digest(&self.bytes))
    }
}

/// The id of the document that comes from `origin`, an absolute path or a name.
pub fn document_id(origin: &str) -> DocumentId {
    DocumentId(Uuid::new_v5(&ORIGINS, origin.as_bytes()))
}

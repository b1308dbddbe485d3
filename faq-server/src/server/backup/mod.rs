//! Everything that is kept, in one file, and back.
//!
//! The file is a gzipped tar. Its first entry says what it is, its last one lists all entries
//! with their lengths and checksums:
//!
//! ```text
//! manifest.json                       format, faq, created, master_key_id
//! server.db                           organisations, people, jobs, conversations
//! collections/{name}/truth.sqlite     documents, texts, vectors
//! blobs/{organisation}/{document}     uploaded files
//! index.json                          name, bytes and SHA-256 of every entry before it
//! ```
//!
//! The database is read first, collections next, files last, each in one consistent state. So a
//! document that was processed meanwhile is known before its remains are read: what is in a
//! collection or a folder and not in the database is left out, and what the database calls
//! completed and a collection no longer holds was deleted meanwhile, and is deleted again when
//! the backup is restored.

mod layout;
mod read;
mod write;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::keys::KeyError;
use super::store::StoreError;

pub(crate) use read::{Restored, restore};
pub(crate) use write::{Made, Plan, write};

/// Format of the file that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const INDEX: &str = "index.json";

/// Most bytes of a manifest.
const MANIFEST_BYTES: u64 = 64 << 10;

/// What a backup is, said before anything else.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// Version of the faq that wrote it.
    faq: String,
    /// RFC 3339, UTC.
    created: String,
    /// Name of the key that the server's secrets are sealed under; none without a server.
    master_key_id: Option<String>,
}

/// What an entry has to be, said after everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    name: String,
    bytes: u64,
    /// Lower-case hexadecimal.
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Index {
    entries: Vec<Listed>,
}

/// Why a backup was not written or not restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("{0} is there already; give another name, or --force to replace it")]
    Exists(PathBuf),
    #[error("{0} holds no collection and no server.db; name the data folder with --data")]
    Nothing(PathBuf),
    #[error("{path} is not a backup: {why}")]
    NotABackup { path: PathBuf, why: String },
    #[error(
        "the backup is damaged at {entry}: {why}; nothing was restored, take another copy of it"
    )]
    Damaged { entry: String, why: String },
    #[error(
        "the backup has format {found}, written by faq {faq}, and this faq reads formats up to \
         {FORMAT}; use that faq, or a newer one"
    )]
    NewerFormat { found: u32, faq: String },
    #[error("{path} is not empty, {found} is in it; restore into an empty or missing folder")]
    NotEmpty { path: PathBuf, found: String },
    #[error("{entry} has {bytes} bytes and {path} has {free} bytes free; make room")]
    NoSpace {
        entry: String,
        bytes: u64,
        path: PathBuf,
        free: u64,
    },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("server.db: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] faq_core::Error),
    #[error("cannot {action} {path}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
}

impl BackupError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    fn damaged(entry: &str, why: impl std::fmt::Display) -> Self {
        Self::Damaged {
            entry: entry.to_owned(),
            why: why.to_string(),
        }
    }

    /// Stable name of the error, for machines.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "exists",
            Self::Nothing(_) => "not_found",
            Self::NotABackup { .. } => "not_a_backup",
            Self::Damaged { .. } => "damaged_backup",
            Self::NewerFormat { .. } => "newer_format",
            Self::NotEmpty { .. } => "not_empty",
            Self::NoSpace { .. } => "disk_full",
            Self::Key(KeyError::OtherKey { .. }) => "other_key",
            Self::Key(_) => "key",
            Self::Engine(e) => e.code(),
            Self::Store(_) => "database",
            Self::Io { .. } => "io",
        }
    }
}

/// Makes names in a folder durable.
#[cfg(unix)]
fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    std::fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(BackupError::io("sync the folder", dir))
}

/// Other systems write names through, or cannot be asked to.
#[cfg(not(unix))]
fn sync_dir(_: &Path) -> Result<(), BackupError> {
    Ok(())
}

/// The folder that a path lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

//! Why a collection could not be opened, read or written.

use std::path::PathBuf;

/// Why a collection could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Another process has the collection open.
    #[error(
        "the collection in {path} is in use by another process{holder}; stop it, or ask it instead"
    )]
    Locked {
        /// The collection's directory.
        path: PathBuf,
        /// ` (pid 123)` where it is known, else empty.
        holder: String,
    },
    /// There is no collection, and none was to be created.
    #[error("there is no collection in {path}; ingest something into it first")]
    NotFound {
        /// The directory asked for.
        path: PathBuf,
    },
    /// The collection was made with another embedder.
    #[error(
        "the collection was made with the embedder {found}, and this is {expected}; open it with that one, or make it anew with `faq reindex`"
    )]
    OtherEmbedder {
        /// The embedder that asks.
        expected: String,
        /// The embedder that made it.
        found: String,
    },
    /// The collection can be read and not written.
    #[error("the collection in {path} can be read and not written: {why}")]
    ReadOnly {
        /// The collection's directory.
        path: PathBuf,
        /// What forbids writing, in words.
        why: String,
    },
    /// The on-disk format is not one that this version reads.
    #[error(
        "the collection in {path} has format {found}, and this version reads up to {supported}; use a newer faq"
    )]
    Format {
        /// The collection's directory.
        path: PathBuf,
        /// Format version found.
        found: u32,
        /// Newest format version supported.
        supported: u32,
    },
    /// The request makes no sense; nothing was changed.
    #[error("{what}")]
    Invalid {
        /// A sentence that names what was wrong, with expected and received values.
        what: String,
    },
    /// The store of truth is damaged.
    #[error("the store in {path} is damaged: {detail}; restore a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The disk is full. Reads go on. The write may have reached the store of truth or not;
    /// writing it again once there is space does no harm.
    #[error("the disk that holds {path} is full; free some space and write again")]
    DiskFull {
        /// The collection's directory.
        path: PathBuf,
    },
    /// The work was ended before it was done. What it had done so far stays, and is whole.
    #[error("the work was cancelled before it was done; begin it again to complete it")]
    Cancelled,
    /// The operating system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done, such as `cannot open`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The store of truth failed.
    #[error("the store failed: {0}")]
    Store(#[from] rusqlite::Error),
    /// The keyword index failed.
    #[error("the keyword index failed: {0}")]
    Keyword(#[from] tantivy::TantivyError),
}

impl IndexError {
    /// Stable name of the error, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "locked",
            Self::NotFound { .. } => "collection_not_found",
            Self::OtherEmbedder { .. } => "other_embedder",
            Self::ReadOnly { .. } => "read_only",
            Self::Format { .. } => "index_format",
            Self::Invalid { .. } => "invalid",
            Self::Damaged { .. } => "index_damaged",
            Self::DiskFull { .. } => "disk_full",
            Self::Cancelled => "cancelled",
            Self::Io { .. } => "io",
            Self::Store(_) => "store_failed",
            Self::Keyword(_) => "keyword_index_failed",
        }
    }

    /// Whether the same call may succeed later without a change by the caller.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Locked { .. } | Self::DiskFull { .. } | Self::Cancelled | Self::Io { .. }
        )
    }
}

//! What an ingest tells while it runs, and at its end.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{Error, Interrupted};

/// A file that was not ingested, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The file or folder.
    pub path: PathBuf,
    /// Stable name of the error.
    pub code: String,
    /// The reason, in a sentence.
    pub error: String,
}

impl Failure {
    pub(crate) fn new(path: &Path, error: &Error) -> Self {
        Self {
            path: path.to_owned(),
            code: error.code().to_owned(),
            error: error.to_string(),
        }
    }
}

/// Something that was found and not read: a part of a document, or what is no file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileWarning {
    /// The file.
    pub path: PathBuf,
    /// Stable name of the kind of warning, such as `no_text_on_page`.
    pub code: String,
    /// Page number from 1, where it concerns one page.
    pub page: Option<u32>,
    /// One sentence for people.
    pub message: String,
}

/// Where an ingest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Files are being listed.
    Scanning,
    /// Files are being read, and their vectors computed.
    Working,
    /// Everything is durable and searchable.
    Done,
}

/// How far an ingest is. Bytes are those of the files found.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Where the ingest is.
    pub stage: Stage,
    /// Files that are done, whatever came of them.
    pub files_done: usize,
    /// Files found.
    pub files_total: usize,
    /// Bytes whose work is done; grows evenly within large files.
    pub bytes_done: u64,
    /// Bytes of all files found.
    pub bytes_total: u64,
    /// Chunks whose vectors are computed.
    pub chunks: usize,
    /// Origins of the documents that became durable and searchable since the last call.
    pub committed: Vec<String>,
    /// Files that failed since the last call.
    pub failed: Vec<Failure>,
}

/// Time spent in each stage, in seconds. Stages overlap, so they add up to more than the whole.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct StageSeconds {
    /// Reading and hashing files.
    pub read: f64,
    /// Bytes into documents.
    pub parse: f64,
    /// Documents into chunks, tokenising included.
    pub chunk: f64,
    /// Chunks into vectors.
    pub embed: f64,
    /// Documents into the index.
    pub commit: f64,
}

/// What an ingest did.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct IngestReport {
    /// Documents that were new.
    pub added: usize,
    /// Documents that replaced an older state.
    pub updated: usize,
    /// Documents that were here already, the same.
    pub unchanged: usize,
    /// Documents removed because their file is gone, or holds no text any more.
    pub removed: usize,
    /// Files that were not ingested, and why.
    pub failed: Vec<Failure>,
    /// Chunks written.
    pub chunks: usize,
    /// Vectors written.
    pub vectors: usize,
    /// Content tokens of the documents written, each counted once.
    pub tokens_total: u64,
    /// Of these, the ones that lie in a vector's window; equal to the total.
    pub tokens_embedded: u64,
    /// What was not read of the files, and what below the folders is no file.
    pub warnings: Vec<FileWarning>,
    /// Wall-clock time, in seconds.
    pub seconds: f64,
    /// Time by stage.
    pub stages: StageSeconds,
    /// Why it ended early, where it did. What was committed stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<Interrupted>,
}

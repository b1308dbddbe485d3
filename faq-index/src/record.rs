//! What is written: documents with their chunks and vectors.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::DocumentId;

/// Which parts made a document's chunks and vectors.
///
/// A collection accepts vectors of one embedder only; parser and chunker may differ from
/// document to document, and [`Collection::stale`](crate::Collection::stale) finds those
/// made by others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Parser and its version.
    pub parser: String,
    /// Chunker, its version and its settings.
    pub chunker: String,
    /// Embedder: model, weights' checksum, precision, pooling, window.
    pub embedder: String,
}

/// A document as it is written, whole, in one transaction with everything below it.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentRecord {
    /// Identity. Writing an id again replaces the document.
    pub id: DocumentId,
    /// File name, as shown in sources.
    pub filename: String,
    /// Where it came from, such as an absolute path; empty where there is no such thing.
    pub source: String,
    /// Name of the format, such as `pdf`.
    pub format: String,
    /// Title, where it has one.
    pub title: Option<String>,
    /// ISO 639-1 code of its language, where known; decides stemming.
    pub language: Option<String>,
    /// Labels to filter by.
    pub tags: BTreeSet<String>,
    /// Time of the document in Unix milliseconds, to filter by.
    pub time_ms: i64,
    /// Size of the original, in bytes.
    pub bytes: u64,
    /// Digest of the original bytes, lower-case hex.
    pub content_hash: String,
    /// Canonical text. All ranges point into it.
    pub text: String,
    /// What else belongs to the document (blocks, pages, warnings), kept as it is and never read here.
    pub extra: Vec<u8>,
    /// Which parts made it.
    pub fingerprint: Fingerprint,
    /// Content tokens of the document, each counted once.
    pub tokens_total: u64,
    /// Distinct content tokens that lie in an embedded window.
    pub tokens_embedded: u64,
    /// Chunks in ascending order of ordinal, from 0 without gaps.
    pub chunks: Vec<ChunkRecord>,
}

/// A chunk as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkRecord {
    /// Byte range into the document's canonical text.
    pub range: Range<usize>,
    /// Content tokens in it.
    pub tokens: u32,
    /// First and last page, from 1, where there are pages.
    pub pages: Option<(u32, u32)>,
    /// Headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// One or more embedded windows that together cover the chunk.
    pub windows: Vec<Window>,
}

/// An embedded piece of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Byte range into the document's canonical text; lies within the chunk's.
    pub range: Range<usize>,
    /// L2-normalised, `[dim]`.
    pub vector: Vec<f32>,
}

/// Changes that become durable and visible together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteBatch {
    /// Documents to add, or to replace where the id exists.
    pub upserts: Vec<DocumentRecord>,
    /// Documents to delete; an unknown id is counted as not found, and is no error.
    pub deletes: Vec<DocumentId>,
}

/// What a write did. When it is returned, the write is durable and searchable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriteReceipt {
    /// Sequence number of the collection after the write.
    pub seq: u64,
    /// Documents that were new.
    pub added: usize,
    /// Documents that replaced an older state.
    pub replaced: usize,
    /// What was deleted, one entry for each id that existed.
    pub deleted: Vec<Deleted>,
    /// Ids to delete that did not exist.
    pub not_found: Vec<DocumentId>,
}

/// What a deletion took away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// The document.
    pub document_id: DocumentId,
    /// Its chunks.
    pub chunks: u64,
    /// Its vectors.
    pub vectors: u64,
    /// Bytes of the original, as recorded when it was written.
    pub bytes: u64,
}

/// A stored document without its text and chunks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DocumentInfo {
    /// Identity.
    pub id: DocumentId,
    /// File name.
    pub filename: String,
    /// Where it came from.
    pub source: String,
    /// Name of the format.
    pub format: String,
    /// Title, where it has one.
    pub title: Option<String>,
    /// ISO 639-1 code of its language, where known.
    pub language: Option<String>,
    /// Labels.
    pub tags: BTreeSet<String>,
    /// Time of the document, Unix milliseconds.
    pub time_ms: i64,
    /// Size of the original, in bytes.
    pub bytes: u64,
    /// Digest of the original bytes, lower-case hex.
    pub content_hash: String,
    /// Which parts made it.
    pub fingerprint: Fingerprint,
    /// Number of chunks.
    pub chunks: u64,
    /// Number of vectors.
    pub vectors: u64,
    /// Content tokens, each counted once.
    pub tokens_total: u64,
    /// Distinct content tokens embedded.
    pub tokens_embedded: u64,
    /// When it was written here, Unix milliseconds.
    pub written_ms: i64,
    /// Sequence number of the write.
    pub seq: u64,
}

/// A stored document with its text.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// All but the text.
    pub info: DocumentInfo,
    /// Canonical text.
    pub text: String,
    /// What was given as [`DocumentRecord::extra`].
    pub extra: Vec<u8>,
}

/// A stored chunk with its text.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredChunk {
    /// Identity.
    pub id: crate::ChunkId,
    /// Byte range into the document's canonical text.
    pub range: Range<usize>,
    /// The canonical text in that range.
    pub text: String,
    /// Content tokens in it.
    pub tokens: u32,
    /// First and last page, from 1, where there are pages.
    pub pages: Option<(u32, u32)>,
    /// Headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// Byte ranges of its embedded windows, ascending.
    pub windows: Vec<Range<usize>>,
    /// File name of its document.
    pub filename: String,
    /// Title of its document.
    pub title: Option<String>,
}

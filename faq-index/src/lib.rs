//! Chunks and vectors in, ranked chunks out.
//!
//! An embedded hybrid index: one directory is a [`Collection`], in which texts are found by their
//! vectors (exactly, or by a graph above a size), by their words (BM25, 18 languages, scripts
//! without spaces, quoted phrases, misspelled words), and by both. What [`Collection::write`]
//! acknowledged is durable and searchable; readers see one consistent state and never wait for the
//! writer; a process may be killed at any moment. Vectors are the caller's: this crate knows nothing of
//! files to parse, of models, or of HTTP.
//!
//! ```
//! use faq_index::{
//!     ChunkRecord, Collection, CollectionConfig, DocumentId, DocumentRecord, Filter, Fingerprint,
//!     Mode, Query, Window, WriteBatch,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let temporary = tempfile::tempdir()?;
//! # let dir = temporary.path();
//! // Vectors of your model, L2-normalised; two components for the example.
//! let config = CollectionConfig { dim: 2, ..CollectionConfig::default() };
//! let collection = Collection::open(dir, config)?;
//!
//! let texts = [
//!     ("Badges are handed out at the front desk.", [0.6, 0.8]),
//!     ("The canteen opens at noon.", [0.8, -0.6]),
//! ];
//! let documents = texts.iter().enumerate().map(|(n, (text, vector))| DocumentRecord {
//!     id: DocumentId(uuid::Uuid::from_u128(n as u128)),
//!     filename: format!("note-{n}.txt"),
//!     source: format!("/notes/note-{n}.txt"),
//!     format: "txt".into(),
//!     title: None,
//!     language: Some("en".into()),
//!     tags: ["notes".to_string()].into(),
//!     time_ms: 1_700_000_000_000,
//!     bytes: text.len() as u64,
//!     content_hash: format!("hash of note {n}"),
//!     text: (*text).into(),
//!     extra: Vec::new(),
//!     // What made the document; another embedder than the first one's is an error.
//!     fingerprint: Fingerprint {
//!         parser: "none".into(),
//!         chunker: "whole".into(),
//!         embedder: "my-model".into(),
//!     },
//!     tokens_total: 8,
//!     tokens_embedded: 8,
//!     // One chunk, which one vector stands for; long chunks have several windows.
//!     chunks: vec![ChunkRecord {
//!         range: 0..text.len(),
//!         tokens: 8,
//!         pages: None,
//!         heading_path: Vec::new(),
//!         windows: vec![Window { range: 0..text.len(), vector: vector.to_vec() }],
//!     }],
//! });
//! collection.write(WriteBatch { upserts: documents.collect(), deletes: Vec::new() })?;
//!
//! // By vectors and words.
//! let mut query = Query::new("Where do I get a badge?", Some(vec![1.0, 0.0]));
//! query.filter = Filter { tags: ["notes".to_string()].into(), ..Filter::default() };
//! let found = collection.search(&query)?;
//! let best = &collection.chunks(&[found.hits[0].id])?[0];
//! assert_eq!(best.text, texts[0].0);
//!
//! // By words alone; quoted ones must stand together.
//! let mut query = Query::new("\"front desk\"", None);
//! query.mode = Mode::Keyword;
//! assert_eq!(collection.search(&query)?.hits.len(), 1);
//!
//! // Deleted at once, and off the disk after a compaction, which says what it erased.
//! collection.write(WriteBatch { upserts: Vec::new(), deletes: vec![best.id.document] })?;
//! assert_eq!(collection.compact()?.documents_erased, 1);
//! # Ok(())
//! # }
//! ```
//!
//! [`Plan`] says how a search was carried out and why. `docs/storage.md` draws the files,
//! `docs/performance.md` holds what was measured, beside other indexes too.

mod background;
mod checked;
mod codes;
mod collection;
mod compact;
mod dense;
mod disk;
mod documents;
mod error;
mod faults;
mod fusion;
mod graph;
mod id;
mod idle;
mod kernel;
mod keyword;
mod lock;
mod query;
mod record;
mod recover;
mod search;
mod segment;
mod segments;
mod snapshot;
mod store;
mod validate;
mod work;
mod writer;

pub use collection::{Access, Collection, CollectionConfig, CollectionStats};
pub use compact::CompactReceipt;
pub use error::IndexError;
pub use id::{ChunkId, DocumentId};
pub use query::{
    Correction, Filter, Fusion, Hit, Mode, Phrases, Plan, Query, SearchResult, Spelling,
    VectorSearch, corrected,
};
pub use record::{
    ChunkRecord, Deleted, DocumentInfo, DocumentRecord, Fingerprint, StoredChunk, StoredDocument,
    Window, WriteBatch, WriteReceipt,
};
pub use store::{TruthCopy, copy_truth, documents_in_copy};
pub use work::{Work, WorkProgress};

// The tests of faults share their documents with the integration tests, which know the crate by
// its name.
#[cfg(test)]
extern crate self as faq_index;
#[cfg(test)]
#[allow(dead_code, reason = "the integration tests use the rest")]
#[path = "../tests/it/support.rs"]
mod support;

//! Chunks and vectors in, ranked chunks out.
//!
//! This crate knows nothing of files to parse, of models, or of HTTP.

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
mod writer;

pub use background::GraphProgress;
pub use collection::{Access, Collection, CollectionConfig, CollectionStats, CompactReceipt};
pub use error::IndexError;
pub use id::{ChunkId, DocumentId};
pub use query::{Filter, Fusion, Hit, Mode, Plan, Query, SearchResult, VectorSearch};
pub use record::{
    ChunkRecord, Deleted, DocumentInfo, DocumentRecord, Fingerprint, StoredChunk, StoredDocument,
    Window, WriteBatch, WriteReceipt,
};
pub use store::{TruthCopy, copy_truth, documents_in_copy};

// The tests of faults share their documents with the integration tests, which know the crate by
// its name.
#[cfg(test)]
extern crate self as faq_index;
#[cfg(test)]
#[allow(dead_code, reason = "the integration tests use the rest")]
#[path = "../tests/it/support.rs"]
mod support;

//! The faq engine: a folder of documents in, cited answers out, in one process.
//!
//! An [`Engine`] opens a data directory and hands out [`Collection`]s. A collection ingests
//! documents, searches them, and answers questions from them. Nothing here needs a network,
//! an async runtime or another process.
//!
//! ```no_run
//! use faq_core::{AskOptions, Control, Engine, IngestOptions};
//!
//! let handbook = Engine::open("faq-data")?.collection("handbook")?;
//! handbook.ingest(&["docs".into()], &IngestOptions::default(), &Control::new(), &mut |_| {})?;
//! let answer = handbook.ask("Who approves travel?", &AskOptions::default(), &Control::new(), &mut |_| {})?;
//! println!("{}", answer.answer);
//! for source in &answer.sources {
//!     println!("{} {:?}: {}", source.filename, source.page, source.text);
//! }
//! # Ok::<(), faq_core::Error>(())
//! ```

mod answer;
mod collection;
mod control;
mod cpu;
mod embed;
mod engine;
mod error;
pub mod generate;
mod ingest;
mod models;
mod open;
mod passage;
mod rerank;
mod search;
mod tables;
mod windows;

pub use answer::{
    AbstainReason, Anatomy, Answer, AnswerEvent, AnswerSource, AnswerTimings, Answerability,
    Answerer, AskOptions, DroppedSentence, FailedModel, Fate, FollowUps, FoundPassage,
    PassageTokens, PromptBudget, Prompts, Reading, Recording, Signals, Threshold, Unsupported,
    Usage, WeighedSentence, Why, WhyStage, Wording, WrittenSentence,
};
pub use collection::{Collection, DocumentContent};
pub use control::{CancelToken, Control, Interrupted};
pub use embed::{
    BertEmbedder, CrossEncoder, EmbedError, Embedder, Precision, TextKind, TokenVectors,
    instruction_set,
};
pub use engine::{
    DEFAULT_COLLECTION, DEFAULT_EMBEDDING_MODEL, Engine, EngineConfig, is_collection_name,
};
pub use error::{Error, Result};
pub use faq_index::{
    Access, CollectionStats, CompactReceipt, Correction, Deleted, DocumentId, DocumentInfo, Filter,
    Fusion, IndexError, Mode, Phrases, Plan, Query, Spelling, StoredChunk, TruthCopy, VectorSearch,
    Work, WorkProgress, WriteReceipt, corrected, documents_in_copy,
};
pub use faq_ingest::{
    Block, BlockKind, ByteRange, Chunk, ChunkConfig, ChunkError, Document, Format, Layout, LeftOut,
    Limits, Link, Page, PageArea, PageSize, ParseError, ParseOptions, Utf16Range, Warning,
};
pub use ingest::{
    Chunked, DocumentReader, Embedded, Failure, FileWarning, InProcess, IngestOptions,
    IngestReport, Parsed, Progress, ReaderError, ReindexReport, Source, Stage, StageSeconds,
    check_paths, document_id,
};
pub use models::{
    DownloadProgress, KnownFile, KnownModel, ModelEntry, ModelError, ModelKind, ModelStore,
};
pub use passage::{Passage, SearchResponse, SearchTimings};
pub use rerank::Rerank;
pub use search::{MAX_QUESTION_BYTES, SearchOptions};

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
            let _ = write!(out, "{b:02x}");
            out
        })
}

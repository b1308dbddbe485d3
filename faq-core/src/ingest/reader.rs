//! Who turns a source's bytes into a document: this thread, or somebody further away.

use faq_ingest::{Document, Limits, ParseOptions};

use super::Source;
use crate::{Control, Result};

/// Turns a source's bytes into a document.
///
/// [`InProcess`] is the reader that an engine has unless told otherwise. A server that reads
/// strangers' files brings one that parses each file in a process of its own. Everything that
/// parses goes through [`EngineConfig::reader`](crate::EngineConfig::reader): ingest, reindex,
/// [`Engine::parse`](crate::Engine::parse) and [`Collection::parse`](crate::Collection::parse).
///
/// What a reader returns is what the parsers of this version make of the bytes: documents are
/// found to be out of date by the version of those.
///
/// ```
/// use std::sync::Arc;
/// use faq_core::{
///     Control, Document, DocumentReader, Engine, EngineConfig, InProcess, Limits, Result, Source,
/// };
///
/// /// Says what it reads.
/// #[derive(Debug)]
/// struct Logged;
///
/// impl DocumentReader for Logged {
///     fn read(&self, source: &Source, limits: &Limits, control: &Control) -> Result<Document> {
///         let document = InProcess::default().read(source, limits, control)?;
///         eprintln!("{}: {} blocks", source.filename, document.blocks.len());
///         Ok(document)
///     }
/// }
///
/// let mut config = EngineConfig::new("faq-data");
/// config.reader = Arc::new(Logged);
/// let engine = Engine::with_config(config)?;
/// let rules = engine.parse(&Source::new("rules.md", "# Rules\n\nBe kind."), &Control::new())?;
/// assert_eq!(rules.blocks.len(), 2);
/// # Ok::<(), faq_core::Error>(())
/// ```
pub trait DocumentReader: Send + Sync + std::fmt::Debug {
    /// Reads `source` within `limits`, and gives up soon after `control` says so. `limits.time`
    /// ends at the control's deadline at the latest.
    ///
    /// # Errors
    /// [`Error::Parse`](crate::Error::Parse) for a document that cannot be read,
    /// [`Error::Reader`](crate::Error::Reader) where the reader itself failed,
    /// [`Error::Interrupted`](crate::Error::Interrupted) where the caller stopped it.
    fn read(&self, source: &Source, limits: &Limits, control: &Control) -> Result<Document>;
}

/// Reads in this process: on the caller's thread, and the pages of long PDFs on others beside it.
///
/// A parser that a document drives into a stack overflow or out of memory takes the process
/// with it; the limits make that unlikely, not impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InProcess {
    /// Threads that the pages of one document are read on, the caller's among them. Default: one
    /// a core, 4 at most, which is where more stop being worth it.
    pub threads: usize,
    /// Whether documents say where their blocks stand on the pages ([`Document::layout`]).
    /// Default: no.
    pub layout: bool,
}

impl Default for InProcess {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: cores.min(MOST_THREADS),
            layout: false,
        }
    }
}

/// Most threads that one document is read on unless the caller says otherwise.
const MOST_THREADS: usize = 4;

impl DocumentReader for InProcess {
    fn read(&self, source: &Source, limits: &Limits, control: &Control) -> Result<Document> {
        let options = ParseOptions {
            limits: limits.clone(),
            cancel: Some(control.cancel.flag()),
            threads: self.threads,
            layout: self.layout,
        };
        Ok(faq_ingest::parse(
            &source.bytes,
            &source.filename,
            &options,
        )?)
    }
}

/// A reader failed, and not the document it read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReaderError {
    /// Stable name of the error, for machines, such as `crashed` or `limit`.
    pub code: &'static str,
    /// A sentence that says what happened.
    pub message: String,
    /// Whether the same document may be read when it is tried again.
    pub retryable: bool,
}

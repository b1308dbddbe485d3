//! The first two steps without a collection: what a document holds, and how it would be cut.

use faq_ingest::{ByteRange, Chunk, Document};

use super::Source;
use crate::embed::EmbedderTokens;
use crate::tables::Tables;
use crate::windows::windows;
use crate::{Control, Embedder, Engine, Result};

/// A document cut into chunks, and those into the pieces that are embedded.
pub(super) struct Cut {
    pub(super) chunks: Vec<Chunk>,
    /// For each chunk its windows, at least one.
    pub(super) windows: Vec<Vec<ByteRange>>,
    /// For each window the header of the table that it begins in, below the header.
    pub(super) headers: Vec<Vec<Option<ByteRange>>>,
    /// Content tokens of the whole text, ascending.
    pub(super) tokens: Vec<ByteRange>,
}

impl Engine {
    /// Parses a source within the engine's limits, through its reader. No model and no
    /// collection is needed.
    ///
    /// # Errors
    /// [`Error::Parse`](crate::Error::Parse), [`Error::Reader`](crate::Error::Reader),
    /// [`Error::Interrupted`](crate::Error::Interrupted).
    pub fn parse(&self, source: &Source, control: &Control) -> Result<Document> {
        control.check()?;
        let mut limits = self.config().limits.clone();
        if let Some(deadline) = control.deadline {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            limits.time = limits.time.min(left);
        }
        self.config()
            .reader
            .read(source, &limits, control)
            .or_else(|e| {
                control.check()?;
                Err(e)
            })
    }

    /// The chunks that an ingest would make of a document.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) and [`Error::Embed`](crate::Error::Embed) for the
    /// embedding model, whose tokens size the chunks; [`Error::Chunk`](crate::Error::Chunk).
    pub fn chunk(&self, document: &Document) -> Result<Vec<Chunk>> {
        Ok(self.cut(document, &*self.embedder()?)?.chunks)
    }

    pub(super) fn cut(&self, document: &Document, embedder: &dyn Embedder) -> Result<Cut> {
        let known = KnownTokens {
            text: &document.text,
            tokens: embedder.token_offsets(&document.text)?,
            otherwise: EmbedderTokens(embedder),
        };
        let mut chunks = faq_ingest::chunk(document, &known, &self.config().chunking)?;
        let most = embedder.window_tokens();
        let tables = Tables::of(document, &known.tokens, most);
        let mut cut: Vec<Vec<ByteRange>> = chunks
            .iter()
            .map(|c| windows(c, &known.tokens, most - tables.longest_header(c.range)))
            .collect();
        // A chunk that the model sees no token in cannot be found, and is left out.
        let mut keep = cut.iter().map(|w| !w.is_empty());
        chunks.retain(|_| keep.next().unwrap_or(false));
        cut.retain(|w| !w.is_empty());
        for (ordinal, chunk) in chunks.iter_mut().enumerate() {
            chunk.ordinal = ordinal as u32;
        }
        let header = |w: &ByteRange| tables.header(w.start);
        Ok(Cut {
            chunks,
            headers: cut.iter().map(|c| c.iter().map(header).collect()).collect(),
            windows: cut,
            tokens: known.tokens,
        })
    }
}

/// The tokens of one text, which are asked for twice: by the chunker and for the windows.
struct KnownTokens<'a> {
    text: &'a str,
    tokens: Vec<ByteRange>,
    otherwise: EmbedderTokens<'a>,
}

impl faq_ingest::TokenOffsets for KnownTokens<'_> {
    fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, String> {
        if text == self.text {
            return Ok(self.tokens.clone());
        }
        self.otherwise.token_offsets(text)
    }
}

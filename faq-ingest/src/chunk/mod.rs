//! A document into chunks sized in the embedding model's own tokens.
//!
//! Structure decides first. Blocks are taken whole and in order until the next one does not
//! fit; a chunk also ends before a heading once it is half full, and where it must end and
//! a heading stands in its last three quarters, it ends before that heading. A heading is
//! never the last thing of a chunk, unless nothing else fits beside it. A block that fits no
//! chunk is cut at line, sentence and word boundaries.
//!
//! The header of a table is kept with the row below it, and a chunk that begins within a table
//! says where the header stands.
//!
//! A chunk that goes on in the middle of a section repeats whole blocks or sentences from the
//! end of the one before, up to the overlap; one that begins with a heading repeats nothing.

mod outline;
mod pack;
mod split;
mod tokens;

use serde::{Deserialize, Serialize};

use crate::{ByteRange, ChunkError, Document};
use outline::Outline;
use tokens::Tokens;

/// Gives the tokens of a text as byte ranges, without special tokens.
///
/// The embedding model's tokenizer reaches this crate through it.
pub trait TokenOffsets {
    /// Half-open byte ranges of the content tokens of `text`, in ascending order. Nothing is
    /// truncated. Ranges lie on character boundaries; some may be empty or equal (a
    /// character of several tokens).
    ///
    /// # Errors
    /// A sentence that says why the text could not be tokenised.
    fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, String>;
}

/// How to chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkConfig {
    /// Most tokens of a chunk, at least [`ChunkConfig::LEAST_SIZE`]. Default 1000.
    pub size: usize,
    /// Tokens that neighbouring chunks share at most. Default 200.
    pub overlap: usize,
}

impl ChunkConfig {
    /// Smallest chunk size: room for one character of any script in any tokenizer.
    pub const LEAST_SIZE: usize = 8;

    fn check(self) -> Result<(), ChunkError> {
        if self.size < Self::LEAST_SIZE || self.overlap >= self.size {
            return Err(ChunkError::Config {
                size: self.size,
                overlap: self.overlap,
                least: Self::LEAST_SIZE,
            });
        }
        Ok(())
    }
}

impl Default for ChunkConfig {
    fn default() -> Self {
        Self {
            size: 1000,
            overlap: 200,
        }
    }
}

/// A piece of a document, cut where the structure allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Position in the document, from 0.
    pub ordinal: u32,
    /// Where its text stands in the canonical text.
    pub range: ByteRange,
    /// Content tokens that start in it.
    pub tokens: usize,
    /// First and last page, from 1, where the format has pages.
    pub pages: Option<(u32, u32)>,
    /// Headings in force where the chunk's own text begins, outermost first. Headings that
    /// the chunk itself begins with count.
    pub heading_path: Vec<String>,
    /// The header line of the table that the chunk begins in, where that table was cut: it
    /// stands before the chunk in the canonical text.
    pub table_header: Option<ByteRange>,
}

/// Version of the chunking rules; part of a document's fingerprint in an index.
pub const CHUNKER_VERSION: &str = "chunk-2";

/// Cuts a document into chunks.
///
/// Every non-blank byte of the canonical text lies in at least one chunk, chunks are in
/// ascending order, none holds more than `config.size` tokens, and neighbours share at most
/// `config.overlap` tokens. A token counts where it starts. The one exception: a single
/// character of more tokens than `config.size` is a chunk of its own.
///
/// # Errors
/// [`ChunkError::Config`] where the settings contradict themselves, and the tokenizer's errors.
///
/// # Examples
/// ```
/// use faq_ingest::{ByteRange, ChunkConfig, ParseOptions, TokenOffsets, chunk, parse};
///
/// struct Words;
/// impl TokenOffsets for Words {
///     fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, String> {
///         let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
///         Ok(text
///             .split_whitespace()
///             .map(|word| ByteRange::new(start(word), start(word) + word.len()))
///             .collect())
///     }
/// }
///
/// let page = b"# Hours\n\nWe open at nine.\n\n# Address\n\n1 Main Street, round the corner.";
/// let document = parse(page, "shop.md", &ParseOptions::default())?;
/// let chunks = chunk(&document, &Words, &ChunkConfig { size: 8, overlap: 0 })?;
/// assert_eq!(chunks.len(), 2);
/// assert_eq!(chunks[1].heading_path, ["Address"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn chunk(
    document: &Document,
    tokenizer: &dyn TokenOffsets,
    config: &ChunkConfig,
) -> Result<Vec<Chunk>, ChunkError> {
    config.check()?;
    let tokens = Tokens::of(&document.text, tokenizer)?;
    let outline = Outline::of(document);
    let spans = pack::pack(document, &tokens, *config);
    Ok(spans
        .into_iter()
        .enumerate()
        .map(|(ordinal, span)| Chunk {
            ordinal: ordinal as u32,
            range: span.range,
            tokens: tokens.count(span.range),
            pages: outline.pages(span.range),
            heading_path: outline.path(span.first_block),
            table_header: outline.table_header(span.range.start),
        })
        .collect())
}

#[cfg(test)]
mod tests;

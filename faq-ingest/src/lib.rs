//! Bytes into a [`Document`], a document into chunks.
//!
//! This crate knows nothing of models, indexes or HTTP.
//!
//! ```
//! use faq_ingest::{BlockKind, ParseOptions, parse};
//!
//! let page = b"# Opening hours\n\nWe open at *nine*.";
//! let document = parse(page, "hours.md", &ParseOptions::default())?;
//! assert_eq!(document.text, "Opening hours\n\nWe open at nine.");
//! assert_eq!(document.blocks[0].kind, BlockKind::Heading);
//! # Ok::<(), faq_ingest::ParseError>(())
//! ```
//!
//! [`parse`] finds the format and reads it, [`chunk`] cuts the result into pieces sized in a
//! model's tokens, and every offset of either is a [`ByteRange`] into [`Document::text`].

mod archive;
mod chunk;
mod csv;
mod detect;
mod document;
mod docx;
mod eml;
mod encoding;
mod epub;
mod error;
mod format;
mod html;
mod inline;
mod language;
mod layout;
mod limits;
mod link;
mod markdown;
mod numeral;
mod odt;
mod ooxml;
mod parse;
mod pdf;
mod piece;
mod pptx;
mod range;
mod rtf;
mod table;
mod text;
mod xlsx;
mod xml;

pub use chunk::{CHUNKER_VERSION, Chunk, ChunkConfig, TokenOffsets, chunk};
pub use detect::detect;
pub use document::{Block, BlockKind, Document, DocumentBuilder, Page, Warning};
pub use error::{ChunkError, ParseError};
pub use format::Format;
pub use layout::{Layout, LeftOut, PageArea, PageSize};
pub use limits::{Budget, Limits, ParseOptions};
pub use link::Link;
pub use parse::{Parser, parse, parse_with};
pub use pdf::{ImageEncoding, OcrEngine, PageImage, PdfParser, PixelColor};
pub use range::{ByteRange, Utf16Range};
pub use table::labelled_row;

/// Version of the parsers; part of a document's fingerprint in an index.
pub const PARSER_VERSION: &str = "parse-3";

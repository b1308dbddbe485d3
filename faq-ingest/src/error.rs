//! Why a document could not be parsed or chunked.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Format;

/// Why a document could not be parsed. None of these goes away by trying again.
///
/// It can be written and read back, so that a parse may run in another process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParseError {
    /// The file holds no bytes, or nothing but white space.
    #[error("the file is empty; there is nothing to read")]
    Empty,
    /// The file is sound, and there is no text in it.
    #[error("the {format} holds no text; there is nothing to search")]
    Blank {
        /// Format of the document.
        format: Format,
    },
    /// The content is of no format that can be read.
    #[error(
        "cannot tell a supported format from the content ({found}); supported are PDF, DOCX, PPTX, XLSX, ODT, EPUB, RTF, HTML, Markdown, CSV, EML and plain text"
    )]
    UnknownFormat {
        /// What the content looks like, such as `JPEG image` or `binary data`.
        found: String,
    },
    /// The name promises one format, the content is another.
    #[error(
        "the name says {expected}, but the content is {found}; rename the file or export it again"
    )]
    FormatMismatch {
        /// Format by the name's extension.
        expected: String,
        /// What the content is.
        found: String,
    },
    /// The document asks for a password that is not the empty one.
    #[error("the {format} is protected by a password; save a copy without one and try again")]
    Encrypted {
        /// Format of the document.
        format: Format,
    },
    /// The document's structure is damaged beyond reading.
    #[error("the {format} is damaged: {detail}")]
    Damaged {
        /// Format of the document.
        format: Format,
        /// What was wrong, and where.
        detail: String,
    },
    /// A limit was passed.
    #[error(
        "the document passes the limit on {limit}: {value} {unit}, allowed are {allowed} {unit}"
    )]
    Limit {
        /// Name of the limit.
        limit: Cow<'static, str>,
        /// The document's value.
        value: u64,
        /// The configured limit.
        allowed: u64,
        /// Unit of both.
        unit: Cow<'static, str>,
    },
    /// Every page was looked at, and none holds extractable text.
    #[error(
        "the {format} holds no extractable text ({pages} pages, {images} of them images); it needs OCR first"
    )]
    NoText {
        /// Format of the document.
        format: Format,
        /// Pages looked at; 0 for a format without pages.
        pages: usize,
        /// Pages that hold an image and no text.
        images: usize,
    },
    /// The caller asked to stop.
    #[error("parsing was cancelled")]
    Cancelled,
    /// A library below met a state it did not foresee; the document was given up, nothing else.
    #[error("the {format} parser failed on this document: {detail}")]
    Internal {
        /// Format of the document.
        format: Format,
        /// What the library said.
        detail: String,
    },
}

impl ParseError {
    /// Stable name of the error, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownFormat { .. } => "unknown_format",
            Self::FormatMismatch { .. } => "format_mismatch",
            Self::Encrypted { .. } => "encrypted",
            Self::Damaged { .. } => "damaged",
            Self::Limit { .. } => "limit",
            Self::Blank { .. } | Self::NoText { .. } => "no_text",
            Self::Cancelled => "cancelled",
            Self::Internal { .. } => "parser_failed",
        }
    }

    pub(crate) fn limit(limit: &'static str, value: u64, allowed: u64, unit: &'static str) -> Self {
        Self::Limit {
            limit: Cow::Borrowed(limit),
            value,
            allowed,
            unit: Cow::Borrowed(unit),
        }
    }

    pub(crate) fn damaged(format: Format, detail: impl std::fmt::Display) -> Self {
        Self::Damaged {
            format,
            detail: detail.to_string(),
        }
    }
}

/// Why a document could not be chunked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The settings contradict themselves.
    #[error(
        "chunk overlap ({overlap} tokens) must be smaller than the chunk size ({size} tokens), and the size at least {least}"
    )]
    Config {
        /// Chunk size asked for, in tokens.
        size: usize,
        /// Overlap asked for, in tokens.
        overlap: usize,
        /// Smallest size allowed.
        least: usize,
    },
    /// The tokenizer failed.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
    /// The tokenizer gave offsets that do not fit the text.
    #[error("the tokenizer gave the token range {start}..{end} for a text of {len} bytes")]
    Offsets {
        /// Start of the offending range.
        start: usize,
        /// End of the offending range.
        end: usize,
        /// Length of the text, in bytes.
        len: usize,
    },
}

//! What every parser produces: blocks in reading order over one canonical text.

use serde::{Deserialize, Serialize};

use crate::{ByteRange, Format};

/// A parsed document.
///
/// Invariants, whatever the format: blocks are in reading order, do not overlap, and
/// `text` is exactly the blocks' text joined by one blank line (`"\n\n"`) — one newline
/// (`"\n"`) between two neighbouring table rows and between two neighbouring list items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The format that was parsed.
    pub format: Format,
    /// The title the document itself declares, where it has one.
    pub title: Option<String>,
    /// ISO 639-1 code of the main language, where it could be told.
    pub language: Option<String>,
    /// Canonical text. Every offset in the product points into it.
    pub text: String,
    /// Blocks in reading order.
    pub blocks: Vec<Block>,
    /// One entry a page, where the format has pages; empty otherwise.
    pub pages: Vec<Page>,
    /// What could not be read, or was left out, and why.
    pub warnings: Vec<Warning>,
}

/// A piece of a document with one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What the block is.
    pub kind: BlockKind,
    /// Heading level from 1, or nesting depth of a list item from 1; `None` otherwise.
    pub level: Option<u8>,
    /// Page number from 1, where the format has pages.
    pub page: Option<u32>,
    /// Where its text stands in the canonical text.
    pub range: ByteRange,
}

/// The role of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BlockKind {
    /// A heading; its level stands in [`Block::level`].
    Heading,
    /// Running text.
    Paragraph,
    /// One item of a bulleted or numbered list, its marker or number included.
    ListItem,
    /// One row of a table: `Header: cell | Header: cell` below a header row, else `cell | cell`.
    TableRow,
    /// Code or other preformatted text, line breaks kept.
    Code,
}

/// What is known of one page.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Page number from 1.
    pub number: u32,
    /// Where the page's text stands in the canonical text; empty for a page without text.
    pub range: ByteRange,
}

/// Something that a reader of the document should know was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable name of the kind of warning, such as `no_text_on_page`.
    pub code: String,
    /// Page number from 1, where it concerns one page.
    pub page: Option<u32>,
    /// One sentence for people.
    pub message: String,
}

impl Document {
    /// The text of a block.
    ///
    /// # Panics
    /// Never for a block of this document: its range fits the text.
    pub fn block_text(&self, block: &Block) -> &str {
        block.range.slice(&self.text).unwrap_or_default()
    }
}

/// Collects blocks in reading order and joins them into the canonical text.
///
/// All parsers build their document through it, so the invariants of [`Document`] stand
/// in one place.
#[derive(Debug, Default)]
pub struct DocumentBuilder {
    text: String,
    blocks: Vec<Block>,
    pages: Vec<Page>,
    warnings: Vec<Warning>,
    /// The title the document itself declares.
    pub title: Option<String>,
}

impl DocumentBuilder {
    /// A document without blocks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of blocks so far.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is no block yet.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The first block's text where it is a heading: a title by position.
    pub(crate) fn first_heading(&self) -> Option<String> {
        let first = self.blocks.first()?;
        (first.kind == BlockKind::Heading)
            .then(|| first.range.slice(&self.text).map(str::to_owned))
            .flatten()
    }

    /// Length of the canonical text so far, in bytes.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Appends a block. Text that is blank is dropped; outer white space is trimmed (only
    /// blank lines around code); NUL characters are removed.
    pub fn push(&mut self, kind: BlockKind, level: Option<u8>, page: Option<u32>, text: &str) {
        let trimmed = match kind {
            BlockKind::Code => text.trim_start_matches(['\n', '\r']).trim_end(),
            _ => text.trim(),
        };
        if trimmed.trim().is_empty() {
            return;
        }
        if let Some(last) = self.blocks.last() {
            let tight =
                last.kind == kind && matches!(kind, BlockKind::TableRow | BlockKind::ListItem);
            self.text.push_str(if tight { "\n" } else { "\n\n" });
        }
        let start = self.text.len();
        if trimmed.contains('\0') {
            self.text.extend(trimmed.chars().filter(|&c| c != '\0'));
        } else {
            self.text.push_str(trimmed);
        }
        let range = ByteRange::new(start, self.text.len());
        self.blocks.push(Block {
            kind,
            level,
            page,
            range,
        });
    }

    /// Notes something that a reader of the document should know was not read.
    pub fn warn(&mut self, code: &str, page: Option<u32>, message: impl Into<String>) {
        self.warnings.push(Warning {
            code: code.to_owned(),
            page,
            message: message.into(),
        });
    }

    /// Closes page `number`, which began when the canonical text was `from` bytes long.
    pub fn end_page(&mut self, number: u32, from: usize) {
        let first = self
            .blocks
            .iter()
            .rev()
            .take_while(|b| b.range.start >= from)
            .last();
        let start = first.map_or(self.text.len(), |b| b.range.start);
        self.pages.push(Page {
            number,
            range: ByteRange::new(start, self.text.len()),
        });
    }

    /// The document; its language is found from the text.
    pub fn finish(self, format: Format) -> Document {
        let language = crate::language::detect(&self.text);
        let Self {
            text,
            blocks,
            pages,
            warnings,
            title,
        } = self;
        Document {
            format,
            title,
            language,
            text,
            blocks,
            pages,
            warnings,
        }
    }
}

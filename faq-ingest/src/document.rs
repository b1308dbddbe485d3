//! What every parser produces: blocks in reading order over one canonical text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::link::{self, KeepLinks, TargetId, Targets};
use crate::{ByteRange, Format, Layout, Link};

/// A parsed document.
///
/// Invariants, whatever the format: blocks are in reading order, do not overlap, and
/// `text` is exactly the blocks' text joined by one blank line (`"\n\n"`) — one newline
/// (`"\n"`) between two neighbouring list items and between a table's row and the row or header
/// before it.
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
    /// Words that lead somewhere, in reading order; they do not overlap. Links to a place in the
    /// same document are none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Where the blocks stand on the pages, where it was asked for and the format has such places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
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
    /// The header of a table: `cell | cell`, and below it a line of dashes, as in Markdown.
    TableHeader,
    /// One row of a table: `cell | cell`; `|` within a cell is written `\|`, and a row whose
    /// first cell is empty begins and ends with a bar.
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
    /// For each block that is a row below a table's header, the line of that header.
    pub fn table_headers(&self) -> Vec<Option<ByteRange>> {
        let mut header = None;
        let of_block = |block: &Block| match block.kind {
            BlockKind::TableHeader => {
                let line = self.block_text(block).lines().next().unwrap_or_default();
                let start = block.range.start;
                header = Some(ByteRange::new(start, start + line.len()));
                None
            }
            BlockKind::TableRow => header,
            _ => {
                header = None;
                None
            }
        };
        self.blocks.iter().map(of_block).collect()
    }

    /// The text of a block.
    ///
    /// # Panics
    /// Never for a block of this document: its range fits the text.
    pub fn block_text(&self, block: &Block) -> &str {
        block.range.slice(&self.text).unwrap_or_default()
    }
}

/// Memory that the links of one document may take.
const MOST_LINK_BYTES: usize = 64 << 20;

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
    links: Vec<Link>,
    targets: Targets,
    link_bytes: usize,
    /// Where the blocks stand on the pages, where that is known.
    pub layout: Option<Layout>,
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
        self.heading_at(0)
    }

    /// The text of block `index` where it is a heading.
    pub(crate) fn heading_at(&self, index: usize) -> Option<String> {
        let first = self.blocks.get(index)?;
        (first.kind == BlockKind::Heading)
            .then(|| first.range.slice(&self.text).map(str::to_owned))
            .flatten()
    }

    /// Length of the canonical text so far, in bytes.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Appends a block. Text that is blank is dropped; outer white space is trimmed (only
    /// blank lines around code); control characters are removed.
    pub fn push(&mut self, kind: BlockKind, level: Option<u8>, page: Option<u32>, text: &str) {
        let (seen, links) = seen(text);
        let trimmed = match kind {
            BlockKind::Code => seen.trim_start_matches('\n').trim_end(),
            _ => seen.trim(),
        };
        if trimmed.trim().is_empty() {
            return;
        }
        if let Some(last) = self.blocks.last() {
            let tight = match kind {
                BlockKind::TableRow => {
                    matches!(last.kind, BlockKind::TableRow | BlockKind::TableHeader)
                }
                BlockKind::ListItem => last.kind == kind,
                _ => false,
            };
            self.text.push_str(if tight { "\n" } else { "\n\n" });
        }
        let start = self.text.len();
        self.text.push_str(trimmed);
        let range = ByteRange::new(start, self.text.len());
        // What was trimmed off is blank, and links begin and end with words.
        let before = trimmed.as_ptr() as usize - seen.as_ptr() as usize;
        self.add_links(&links, |at| start + at.saturating_sub(before));
        self.blocks.push(Block {
            kind,
            level,
            page,
            range,
        });
    }

    /// Appends another's blocks and warnings, its title and pages aside.
    pub(crate) fn append(&mut self, other: Self) {
        let mut links = other.links.into_iter().peekable();
        for block in &other.blocks {
            let text = block.range.slice(&other.text).unwrap_or_default();
            let count = self.blocks.len();
            self.push(block.kind, block.level, block.page, text);
            let Some(own) = self.blocks.get(count).map(|b| b.range) else {
                continue;
            };
            while let Some(link) = links.next_if(|l| l.range.start < block.range.end) {
                let start = own.start + (link.range.start - block.range.start);
                let range = ByteRange::new(start, start + link.range.len());
                if self.has_room(&link.target) {
                    self.links.push(Link { range, ..link });
                }
            }
        }
        self.warnings.extend(other.warnings);
    }

    /// Appends a line of code; one directly below other code goes on with it.
    pub(crate) fn push_code_line(&mut self, line: &str) {
        match self.blocks.last_mut() {
            Some(last) if last.kind == BlockKind::Code && last.page.is_none() => {
                let (line, links) = seen(line);
                self.text.push('\n');
                let start = self.text.len();
                self.text.push_str(line.trim_end());
                last.range.end = self.text.len();
                self.add_links(&links, |at| start + at);
            }
            _ => self.push(BlockKind::Code, None, None, line),
        }
    }

    /// Says which targets count from here on; all, unless this is called.
    pub(crate) fn keep_links(&mut self, keep: KeepLinks) {
        self.targets.keep = keep;
    }

    /// The number of a target, for [`Inline::lead_to`](crate::inline::Inline::lead_to); `None`
    /// where it leads nowhere, or to a place in the document itself.
    pub(crate) fn target(&mut self, target: &str) -> Option<TargetId> {
        self.targets.id(target)
    }

    fn add_links(&mut self, links: &[(ByteRange, TargetId)], place: impl Fn(usize) -> usize) {
        for (range, target) in links {
            let end = place(range.end).min(self.text.len());
            let range = ByteRange::new(place(range.start).min(end), end);
            let target = self.targets.get(*target).map(str::to_owned);
            if let Some(target) = target
                && !range.is_empty()
                && self.has_room(&target)
            {
                self.links.push(Link { range, target });
            }
        }
    }

    /// Whether one more link is kept: many may share a target that is written once.
    fn has_room(&mut self, target: &str) -> bool {
        let before = self.link_bytes;
        self.link_bytes = before.saturating_add(target.len() + size_of::<Link>());
        if before <= MOST_LINK_BYTES && self.link_bytes > MOST_LINK_BYTES {
            let message = "the document has more links than are kept; the rest was left out";
            self.warn("links_cut", None, message);
        }
        self.link_bytes <= MOST_LINK_BYTES
    }

    /// The text so far, from byte `at` on.
    pub(crate) fn text_from(&self, at: usize) -> Option<&str> {
        self.text.get(at..)
    }

    /// Where the last block begins; the end of the text where there is none.
    pub(crate) fn last_block_start(&self) -> usize {
        self.blocks
            .last()
            .map_or(self.text.len(), |block| block.range.start)
    }

    /// Says where words of the text so far lead. A range that is blank, that is not within one
    /// block, or that overlaps a link before it, is left out.
    pub fn link(&mut self, range: ByteRange, target: impl Into<String>) {
        let words = range.slice(&self.text).map(str::trim);
        let in_block = self.blocks.partition_point(|b| b.range.end < range.end);
        let fits = self
            .blocks
            .get(in_block)
            .is_some_and(|b| b.range.contains(range));
        let at = self.links.partition_point(|l| l.range.start < range.start);
        let free = at
            .checked_sub(1)
            .is_none_or(|before| !self.links[before].range.overlaps(range))
            && self.links.get(at).is_none_or(|l| !l.range.overlaps(range));
        if fits && free && words.is_some_and(|w| !w.is_empty()) {
            let target = target.into();
            if self.has_room(&target) {
                self.links.insert(at, Link { range, target });
            }
        }
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
            links,
            targets: _,
            link_bytes: _,
            layout,
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
            links,
            layout,
        }
    }
}

/// A block's text without control characters, and the links in it.
fn seen(text: &str) -> (Cow<'_, str>, Vec<(ByteRange, TargetId)>) {
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(|c| is_control(c) || link::is_mark(c)) {
        return (Cow::Borrowed(text), Vec::new());
    }
    let shown: String = text.chars().filter(|&c| !is_control(c)).collect();
    let (text, links) = link::take(&shown);
    (Cow::Owned(text), links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_control_characters_is_no_block() {
        let mut builder = DocumentBuilder::new();
        builder.push(BlockKind::Paragraph, None, None, "\u{7}\u{1b}");
        builder.push(BlockKind::Paragraph, None, None, "\u{7} one\u{8} two \u{1}");
        builder.push(BlockKind::Code, None, None, "\u{c}\n  three\r\n");
        let document = builder.finish(Format::Text);
        assert_eq!(document.text, "one two\n\n  three");
        assert_eq!(document.blocks.len(), 2);
    }
}

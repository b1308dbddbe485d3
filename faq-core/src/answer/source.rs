//! The sources of an answer, numbered in the order in which they are cited.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use faq_index::DocumentId;
use faq_ingest::{Block, BlockKind, ByteRange, Utf16Range};
use serde::Serialize;

use super::evidence::Evidence;
use crate::passage::heading;
use crate::{Collection, DocumentContent, Error, Result};

/// A place in a document that supports the answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerSource {
    /// The document.
    pub document_id: DocumentId,
    /// `{document_id}_{chunk_index}`.
    pub chunk_id: String,
    /// Position of the chunk in its document, from 0.
    pub chunk_index: u32,
    /// File name of the document.
    pub filename: String,
    /// Page of the quoted text, from 1, where there are pages.
    pub page: Option<u32>,
    /// The headings above it, joined by ` > `.
    pub heading: Option<String>,
    /// The quoted text: the canonical text in `byte_range`.
    pub text: String,
    /// Calibrated relevance of the passage, 0 to 1.
    pub score: f32,
    /// Cosine of the passage's best window and the question.
    pub dense_score: Option<f32>,
    /// BM25 score of the passage.
    pub keyword_score: Option<f32>,
    /// Where the quoted text stands in the canonical text, in UTF-8 bytes.
    pub byte_range: ByteRange,
    /// The same in UTF-16 code units.
    pub utf16_range: Utf16Range,
}

/// Sources in the order in which they are cited.
#[derive(Debug, Default)]
pub(super) struct Sources {
    cited: Vec<AnswerSource>,
    /// Documents that are cited, each read once.
    documents: HashMap<DocumentId, DocumentContent>,
}

impl Sources {
    /// The number, from 1, of the source at `range` of a passage, and whether it is new.
    pub(super) fn cite(
        &mut self,
        evidence: &Evidence,
        range: ByteRange,
        collection: &Collection,
    ) -> Result<(usize, bool)> {
        let passage = &evidence.passage;
        let same =
            |s: &AnswerSource| s.document_id == passage.document_id && s.byte_range.contains(range);
        if let Some(i) = self.cited.iter().position(same) {
            return Ok((i + 1, false));
        }
        let document = match self.documents.entry(passage.document_id) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(unread) => {
                let gone = || {
                    Error::invalid(format!(
                        "{} was deleted while it was being read",
                        passage.filename
                    ))
                };
                unread.insert(collection.document(passage.document_id)?.ok_or_else(gone)?)
            }
        };
        let page = document
            .pages
            .iter()
            .find(|p| p.range.overlaps(range))
            .map(|p| p.number);
        self.cited.push(AnswerSource {
            document_id: passage.document_id,
            chunk_id: passage.chunk_id.clone(),
            chunk_index: passage.chunk_index,
            filename: passage.filename.clone(),
            page: page.or(passage.page),
            heading: heading_of(&document.blocks, &document.text, range)
                .or_else(|| passage.heading.clone()),
            text: passage.slice(range).to_owned(),
            score: evidence.relevance,
            dense_score: passage.dense_score,
            keyword_score: passage.keyword_score,
            byte_range: range,
            utf16_range: range
                .to_utf16(&document.text)
                .unwrap_or(Utf16Range { start: 0, end: 0 }),
        });
        Ok((self.cited.len(), true))
    }

    /// The source that was cited last for the first time.
    pub(super) fn last(&self) -> &AnswerSource {
        &self.cited[self.cited.len() - 1]
    }

    pub(super) fn into_vec(self) -> Vec<AnswerSource> {
        self.cited
    }
}

/// The headings that stand above `range`, outermost first, as one line.
fn heading_of(blocks: &[Block], text: &str, range: ByteRange) -> Option<String> {
    let mut path: Vec<(u8, &str)> = Vec::new();
    for block in blocks.iter().take_while(|b| b.range.start <= range.start) {
        if block.kind == BlockKind::Heading {
            let level = block.level.unwrap_or(1);
            path.retain(|(above, _)| *above < level);
            path.push((level, block.range.slice(text).unwrap_or_default()));
        }
    }
    let path: Vec<String> = path.into_iter().map(|(_, text)| text.to_owned()).collect();
    heading(&path)
}

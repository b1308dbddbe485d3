//! What a search returns: passages, each with the reasons why it came back.

use std::borrow::Cow;

use faq_index::{Correction, DocumentId, Plan, StoredChunk};
use faq_ingest::{ByteRange, labelled_row};
use serde::{Deserialize, Serialize};

/// A chunk that answers a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The document.
    pub document_id: DocumentId,
    /// `{document_id}_{chunk_index}`.
    pub chunk_id: String,
    /// Position of the chunk in its document, from 0.
    pub chunk_index: u32,
    /// File name of the document.
    pub filename: String,
    /// Title of the document, where it has one.
    pub title: Option<String>,
    /// Page on which the chunk begins, from 1, where there are pages.
    pub page: Option<u32>,
    /// The headings above the chunk, joined by ` > `.
    pub heading: Option<String>,
    /// Text of the chunk.
    pub text: String,
    /// Where the text stands in the document's canonical text.
    pub byte_range: ByteRange,
    /// Score that the list is ordered by.
    pub score: f32,
    /// Cosine of the chunk's best window and the question, -1 to 1.
    pub dense_score: Option<f32>,
    /// BM25 score.
    pub keyword_score: Option<f32>,
    /// Rank among the vectors, from 1.
    pub dense_rank: Option<u32>,
    /// Rank among the keywords, from 1.
    pub keyword_rank: Option<u32>,
    /// Similarity of the tokens of the question to those of the best window, -1 to 1, where the
    /// passage was [reranked](crate::Rerank).
    pub rerank_score: Option<f32>,
    /// Rank before that, from 1.
    pub first_rank: Option<u32>,
    /// The window with the best cosine, where it stands in the canonical text.
    pub best_window: Option<ByteRange>,
    /// All embedded windows of the chunk.
    #[serde(skip)]
    pub windows: Vec<ByteRange>,
}

impl Passage {
    pub(crate) fn new(hit: &faq_index::Hit, chunk: StoredChunk) -> Self {
        Self {
            document_id: hit.id.document,
            chunk_id: hit.id.to_string(),
            chunk_index: hit.id.ordinal,
            filename: chunk.filename,
            title: chunk.title,
            page: chunk.pages.map(|(first, _)| first),
            heading: heading(&chunk.heading_path),
            text: chunk.text,
            byte_range: chunk.range.into(),
            score: hit.score,
            dense_score: hit.dense_score,
            keyword_score: hit.keyword_score,
            dense_rank: hit.dense_rank,
            keyword_rank: hit.keyword_rank,
            rerank_score: None,
            first_rank: None,
            best_window: hit.best_window.clone().map(ByteRange::from),
            windows: chunk.windows.into_iter().map(ByteRange::from).collect(),
        }
    }

    /// The part of the passage's text that stands at `range` of the canonical text.
    pub(crate) fn slice(&self, range: ByteRange) -> &str {
        let from = range.start.saturating_sub(self.byte_range.start);
        let to = range.end.saturating_sub(self.byte_range.start);
        self.text.get(from..to).unwrap_or_default()
    }

    /// The same as it reads alone: each cell of a table's row after its header.
    pub(crate) fn said(&self, range: ByteRange) -> Cow<'_, str> {
        let text = self.slice(range);
        match self.table_header(range.start) {
            Some(header) if !text.contains('\n') => Cow::Owned(labelled_row(header, text)),
            _ => Cow::Borrowed(text),
        }
    }

    /// The header of the table one of whose rows begins at `at` of the canonical text.
    pub(crate) fn table_header(&self, at: usize) -> Option<&str> {
        let at = at.checked_sub(self.byte_range.start)?;
        header_above(&self.text, at, self.heading.as_deref())
    }
}

/// The header of the table one of whose rows begins at `at` of a passage's text.
fn header_above<'t>(text: &'t str, at: usize, heading: Option<&'t str>) -> Option<&'t str> {
    let table = text.get(..at)?.rfind("\n\n").map_or(0, |end| end + 2);
    let mut lines = text[table..].lines();
    let (first, second) = (lines.next()?, lines.next().unwrap_or_default());
    if second.starts_with("--- |") {
        let below = table + first.len() + 1 + second.len();
        return (at > below).then_some(first);
    }
    let heading = heading?.rsplit(" > ").next()?;
    (table == 0 && heading.starts_with("| ") && heading.ends_with(" |")).then_some(heading)
}

/// How a table's header stands among the headings of a chunk that begins below it: in bars,
/// which tells it from a heading.
pub(crate) fn header_as_heading(line: &str) -> String {
    if line.starts_with('|') {
        line.to_owned()
    } else {
        format!("| {line} |")
    }
}

/// A heading path as one line.
pub(crate) fn heading(path: &[String]) -> Option<String> {
    (!path.is_empty()).then(|| path.join(" > "))
}

/// What a search found, and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchResponse {
    /// Passages, best first.
    pub hits: Vec<Passage>,
    /// How the search was carried out.
    pub plan: Plan,
    /// Misspelled words of the question, and the words of the collection that were searched in their
    /// place.
    pub corrections: Vec<Correction>,
    /// Sequence number of the state that was searched.
    pub seq: u64,
    /// Where the time went.
    pub timings_ms: SearchTimings,
}

/// Where a search's time went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct SearchTimings {
    /// The question's embedding.
    pub embed: f64,
    /// The vectors.
    pub dense: f64,
    /// The keywords, and the spelling of the question's words.
    pub keyword: f64,
    /// The new order of the best hits; 0 where none was asked for.
    pub rerank: f64,
    /// Everything together.
    pub total: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_know_the_header_of_their_table() {
        let text = "Before it.\n\nPlan | Price\n--- | ---\nBasic | 5\nPro\n\nAfter it.";
        let header = |of: &str| header_above(text, text.find(of)?, Some("Prices"));
        assert_eq!(header("Basic"), Some("Plan | Price"));
        assert_eq!(header("Pro\n"), Some("Plan | Price"));
        for other in ["Before", "Plan", "---", "After"] {
            assert_eq!(header(other), None, "{other}");
        }
    }

    #[test]
    fn a_passage_that_begins_within_a_table_has_its_header_among_the_headings() {
        let heading = format!("Prices > {}", header_as_heading("Plan | Price"));
        let text = "Basic | 5\nPro | 9\n\nAfter it.";
        let header = |of: &str| header_above(text, text.find(of)?, Some(&heading));
        assert_eq!(header("Basic"), Some("| Plan | Price |"));
        assert_eq!(header("Pro"), Some("| Plan | Price |"));
        assert_eq!(header("After"), None);
        let row = labelled_row("| Plan | Price |", "Pro | 9");
        assert_eq!(row, "Plan: Pro | Price: 9");
        assert_eq!(header_above("Welcome.", 0, Some("Travel | Company")), None);
        let empty_first = header_as_heading("| | Price |");
        assert_eq!(labelled_row(&empty_first, "Pro | 9"), "Pro | Price: 9");
    }
}

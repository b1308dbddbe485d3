//! The passages that an answer is made from, which of those found they are, and the sentences in them.

use std::borrow::Cow;

use faq_ingest::ByteRange;
use serde::Serialize;

use super::relevance::{Part, Question, Threshold, relevance};
use super::sentence::sentences;
use crate::passage::Passage;

/// A passage, and what is read of it.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) passage: Passage,
    /// Calibrated relevance, 0 to 1.
    pub(super) relevance: f32,
    /// What is read of it, as a range of the canonical text.
    pub(super) read: ByteRange,
}

impl Evidence {
    /// The text that is read, after the header of the table that it begins in.
    pub(super) fn text(&self) -> Cow<'_, str> {
        let text = self.passage.slice(self.read);
        match self.passage.table_header(self.read.start) {
            Some(header) if self.read.start > self.passage.byte_range.start => {
                Cow::Owned(format!("{header}\n{text}"))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// The sentences that are read, as ranges of the canonical text.
    pub(super) fn sentences(&self) -> Vec<ByteRange> {
        sentences(self.passage.slice(self.read))
            .into_iter()
            .map(|s| ByteRange::new(self.read.start + s.start, self.read.start + s.end))
            .collect()
    }
}

/// A passage that was found, and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Sifted {
    pub(super) evidence: Evidence,
    pub(super) fate: Fate,
}

/// What became of a passage that the search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was read.
    Read,
    /// It is less relevant than the threshold asks.
    BelowThreshold,
    /// It is relevant, and as many others are more so as are read.
    Crowded,
    /// Most of what would be read of it stands in another passage that is read.
    Repeated,
}

/// Each passage that was found, once and most relevant first; of those that pass, at most `most` are
/// read. `asked` holds what was found for each part of the question. Of each passage, the window is
/// read that holds most of the part: its best cosine, unless the words stand elsewhere; paragraphs
/// that it cuts are read whole.
pub(super) fn sift(
    asked: &[(Part, Vec<Passage>)],
    threshold: Threshold,
    most: usize,
) -> Vec<Sifted> {
    let mut sifted: Vec<Sifted> = Vec::new();
    for (part, hits) in asked {
        for passage in hits {
            let relevance = relevance(&part.question, passage);
            let known = sifted
                .iter()
                .position(|j| j.evidence.passage.chunk_id == passage.chunk_id);
            if known.is_some_and(|i| sifted[i].evidence.relevance >= relevance) {
                continue;
            }
            let fate = if threshold.passes(relevance, passage) {
                Fate::Read
            } else {
                Fate::BelowThreshold
            };
            let window = best_window(&part.question, passage);
            let better = Sifted {
                evidence: Evidence {
                    passage: passage.clone(),
                    relevance,
                    read: widened(&passage.text, passage.byte_range.start, window),
                },
                fate,
            };
            match known {
                Some(i) => sifted[i] = better,
                None => sifted.push(better),
            }
        }
    }
    sifted.sort_by(|a, b| b.evidence.relevance.total_cmp(&a.evidence.relevance));
    let passing = sifted.iter_mut().filter(|j| j.fate == Fate::Read);
    for crowded in passing.skip(most) {
        crowded.fate = Fate::Crowded;
    }
    // Neighbouring chunks overlap: what another passage reads already is not read twice.
    for i in 0..sifted.len() {
        let (before, rest) = sifted.split_at_mut(i);
        let candidate = &mut rest[0];
        let reads_it = |j: &Sifted| {
            let (kept, new) = (&j.evidence, &candidate.evidence);
            j.fate == Fate::Read
                && kept.passage.document_id == new.passage.document_id
                && kept.read.overlaps(new.read)
                && shared(kept.read, new.read) * 2 > new.read.len()
        };
        if candidate.fate == Fate::Read && before.iter().any(reads_it) {
            candidate.fate = Fate::Repeated;
        }
    }
    sifted
}

fn shared(a: ByteRange, b: ByteRange) -> usize {
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}

/// Most bytes that are read beyond either end of a window.
const LONGEST_OVERHANG: usize = 400;

/// `window` and the rest of the paragraphs that its ends cut, or of the sentences where that is
/// too much; `text` begins at `chunk` of the canonical text.
fn widened(text: &str, chunk: usize, window: ByteRange) -> ByteRange {
    let (from, to) = (window.start - chunk, window.end - chunk);
    let near = |end: usize, reach: usize| end.abs_diff(reach) <= LONGEST_OVERHANG;
    let cut_sentence = |at: usize| {
        let mut sentences = sentences(text).into_iter();
        sentences.find(|s| s.start < at && at < s.end)
    };
    let line_start = text[..from].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[to..].find('\n').map_or(text.len(), |at| to + at);
    let start = Some(line_start)
        .filter(|&start| near(from, start))
        .or_else(|| Some(cut_sentence(from)?.start).filter(|&start| near(from, start)));
    let end = Some(line_end)
        .filter(|&end| near(to, end))
        .or_else(|| Some(cut_sentence(to)?.end).filter(|&end| near(to, end)));
    ByteRange::new(chunk + start.unwrap_or(from), chunk + end.unwrap_or(to))
}

fn best_window(question: &Question, passage: &Passage) -> ByteRange {
    let dense = passage.best_window.unwrap_or(passage.byte_range);
    // The words of the question may stand in another window than the one that is nearest.
    let by_words = passage
        .windows
        .iter()
        .map(|w| (question.coverage(passage.slice(*w)), *w))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match by_words {
        Some((coverage, window)) if coverage > question.coverage(passage.slice(dense)) + 0.34 => {
            window
        }
        _ => dense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of `text` for the window from the first `from` to the end of the first `to`.
    fn read<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
        let at = |part: &str| 100 + text.find(part).unwrap_or_default();
        let range = widened(text, 100, ByteRange::new(at(from), at(to) + to.len()));
        &text[range.start - 100..range.end - 100]
    }

    #[test]
    fn paragraphs_that_a_window_cuts_are_read_whole() {
        let leave = "Five days may be carried over. They lapse in March.";
        let text = format!("Before.\n\n{leave}\n\nAfter it. More.");
        assert_eq!(read(&text, "They", "March."), leave);
        assert_eq!(read(&text, "Five", "carried"), leave);
        assert_eq!(
            read(&text, "They", "After"),
            format!("{leave}\n\nAfter it. More.")
        );
    }

    #[test]
    fn of_long_paragraphs_the_cut_sentences_are() {
        let long = "This says nothing at all. ".repeat(30);
        let text = format!("{long}Five days may be carried over. {long}");
        assert_eq!(read(&text, "days", "may"), "Five days may be carried over.");
        let endless = "word ".repeat(400);
        let window = ByteRange::new(1_000, 1_500);
        assert_eq!(widened(&endless, 0, window), window);
    }
}

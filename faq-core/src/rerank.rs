//! The best hits in a new order, by the tokens of question and passage.
//!
//! Late interaction with the embedding model that is loaded anyway: each token of the question looks
//! for its nearest in the passage, where a search by vectors knows one vector of each. Nothing is
//! stored; the passages' best windows are computed when a question is asked, and that is what it
//! costs.

use std::borrow::Cow;

use faq_index::{Fusion, Mode};

use crate::{ByteRange, Control, Embedder, Error, Passage, Result, TextKind};

/// How the best hits are put in a new order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rerank {
    /// Best hits that are looked at; those below keep their order. Default 10.
    pub depth: usize,
    /// Weight of the similarity of tokens against the score that a hit had, 0 and more. Default 1,
    /// measured for the shipped fusion and all-MiniLM-L6-v2.
    pub weight: f32,
}

/// What is left of the weight in languages that the embedder does not know: as much as the shipped fusion
/// leaves to cosines there.
const FOREIGN_WEIGHT: f32 = 0.4;

impl Default for Rerank {
    fn default() -> Self {
        Self {
            depth: 10,
            weight: 1.0,
        }
    }
}

impl Rerank {
    /// Refuses what makes no sense.
    pub(crate) fn check(self) -> Result<()> {
        if self.depth == 0 {
            return Err(Error::invalid(
                "0 hits cannot be reranked; give a depth of 1 or more",
            ));
        }
        if !(self.weight.is_finite() && self.weight >= 0.0) {
            return Err(Error::invalid(format!(
                "a weight of {} cannot be used to rerank; give 0 or more",
                self.weight
            )));
        }
        Ok(())
    }

    /// The same for a language that the embedder knows or not: the tokens of one that it does not know
    /// say less.
    pub(crate) fn in_language(self, known: bool) -> Self {
        Self {
            weight: self.weight * if known { 1.0 } else { FOREIGN_WEIGHT },
            ..self
        }
    }

    /// Brings `hits`, best first, into their new order. The score of one that is looked at becomes
    /// `(score + weight * similarity) / (1 + weight)`; `best` is what a score is divided by first.
    pub(crate) fn apply(
        self,
        question: &str,
        hits: &mut [Passage],
        best: f32,
        embedder: &dyn Embedder,
        control: &Control,
    ) -> Result<()> {
        let (looked_at, below) = hits.split_at_mut(self.depth.min(hits.len()));
        let texts: Vec<Cow<'_, str>> = looked_at.iter().map(read).collect();
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let passages = embedder.embed_tokens(&texts, TextKind::Passage, control)?;
        let question = embedder.embed_tokens(&[question], TextKind::Query, control)?;
        let ([question], true) = (&question[..], passages.len() == texts.len()) else {
            return Err(Error::invalid(format!(
                "the embedder {} gave vectors of tokens for {} texts of {}",
                embedder.name(),
                question.len() + passages.len(),
                1 + texts.len()
            )));
        };
        for (place, (hit, passage)) in looked_at.iter_mut().zip(&passages).enumerate() {
            let similarity = question.max_similarity(passage);
            hit.rerank_score = Some(similarity);
            hit.first_rank = Some(place as u32 + 1);
            hit.score = (hit.score / best + self.weight * similarity) / (1.0 + self.weight);
        }
        looked_at.sort_by(|a, b| b.score.total_cmp(&a.score));
        // Scores tell the order, so those below start where the others end.
        let lowest = looked_at.last().map_or(0.0, |hit| hit.score);
        let above = below.first().map_or(0.0, |hit| hit.score / best - lowest);
        for hit in below {
            hit.score = hit.score / best - above.max(0.0);
        }
        Ok(())
    }
}

/// What scores are divided by to be beside cosines: 1 where they are shares or cosines already, else
/// the best of them.
pub(crate) fn unit(mode: Mode, fusion: Fusion, hits: &[faq_index::Hit]) -> f32 {
    let open_ended = match mode {
        Mode::Keyword => true,
        Mode::Hybrid => matches!(fusion, Fusion::Rrf { .. }),
        Mode::Dense => false,
    };
    let best = hits.first().map_or(0.0, |hit| hit.score);
    if open_ended && best > 0.0 { best } else { 1.0 }
}

/// The window of a passage that is nearest to the question, below what says what it is about: the
/// document's title, and the header of the table that it begins in.
fn read(hit: &Passage) -> Cow<'_, str> {
    let first = hit.windows.first().copied();
    let window: ByteRange = hit.best_window.or(first).unwrap_or(hit.byte_range);
    let text = hit.slice(window);
    let title = hit.title.as_deref();
    let title = title.filter(|title| !text.trim_start().starts_with(*title));
    match (title, hit.table_header(window.start)) {
        (None, None) => Cow::Borrowed(text),
        (title, header) => Cow::Owned(
            [title, header, Some(text)]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("\n"),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use faq_index::{ChunkId, DocumentId, Hit, StoredChunk};

    use super::*;

    /// The second window of a chunk that stands under the title `Prices`.
    fn passage(text: &str, second: usize) -> Passage {
        let id = ChunkId {
            document: DocumentId("4bd0f1a2-5c57-5a0f-8d0e-0c4d2b9a6f11".parse().unwrap()),
            ordinal: 0,
        };
        let hit = Hit {
            id,
            score: 0.5,
            dense_score: None,
            dense_rank: None,
            keyword_score: None,
            keyword_rank: None,
            best_window: Some(second..text.len()),
        };
        let chunk = StoredChunk {
            id,
            text: text.to_owned(),
            range: 0..text.len(),
            tokens: 0,
            pages: None,
            heading_path: Vec::new(),
            windows: vec![0..second, second..text.len()],
            filename: "prices.md".into(),
            title: Some("Prices".into()),
        };
        Passage::new(&hit, chunk)
    }

    #[test]
    fn a_window_is_read_below_the_title_and_the_header_of_its_table() {
        let text = "Prices\n\nPlan | Price\n--- | ---\nBasic | 5\nPro | 9";
        let at = |start: &str| passage(text, text.find(start).unwrap());
        assert_eq!(read(&at("Pro | 9")), "Prices\nPlan | Price\nPro | 9");
        assert_eq!(read(&at("Plan")), format!("Prices\n{}", &text[8..]));
        let whole = Passage {
            best_window: None,
            windows: vec![ByteRange::new(0, text.len())],
            ..at("Pro")
        };
        assert_eq!(read(&whole), text);
    }
}

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

/// The window of a passage that is nearest to the question, as it was embedded.
fn read(hit: &Passage) -> Cow<'_, str> {
    let first = hit.windows.first().copied();
    let window: ByteRange = hit.best_window.or(first).unwrap_or(hit.byte_range);
    let text = hit.slice(window);
    match hit.table_header(window.start) {
        Some(header) => Cow::Owned(format!("{header}\n{text}")),
        None => Cow::Borrowed(text),
    }
}

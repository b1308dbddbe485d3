//! Why a document is not what a question is answered from: the stage at which it falls out.

use faq_index::DocumentId;
use serde::Serialize;

use super::ask::{CANDIDATES, least_before, least_probability, read, search_options, understand};
use super::evidence::{self, Fate, Sifted};
use super::{AskOptions, Threshold};
use crate::passage::Passage;
use crate::{Collection, Control, Error, Result, SearchOptions};

/// How far a document comes when a question is answered, and what it would have needed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// The document.
    pub document_id: DocumentId,
    /// Its file name.
    pub filename: String,
    /// The question as it was understood.
    pub question: String,
    /// The stage at which it fell out, or [`WhyStage::Quoted`].
    pub stage: WhyStage,
    /// What it has of what that stage looks at; `None` where it is in neither list.
    pub has: Option<f32>,
    /// What it would have needed.
    pub needs: Option<f32>,
    /// The same in a sentence.
    pub explanation: String,
    /// Its passage that came furthest; `None` where the search did not look at it.
    pub passage: Option<Passage>,
    /// Calibrated relevance of that passage, 0 to 1.
    pub relevance: Option<f32>,
    /// Its place among the passages of all documents, from 1, where it is in one of the lists.
    pub rank: Option<usize>,
}

/// The stages of an answer, in their order, by what happens to a document that goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyStage {
    /// The filter leaves it out.
    Filtered,
    /// It is in neither list: too many passages are nearer, and too many share more words.
    NotFound,
    /// It is in a list, and too many passages of both lists stand before it.
    RankedLow,
    /// It was looked at and is less relevant than the threshold asks.
    BelowThreshold,
    /// It is relevant, and as many passages are more relevant as are read.
    Crowded,
    /// What would be read of it stands in another passage that is read.
    Repeated,
    /// It was read, and what was read is not likely enough to answer the question.
    Unlikely,
    /// It was read, and other sentences answer the question better.
    NotQuoted,
    /// A sentence of it is quoted.
    Quoted,
}

impl Collection {
    /// How far the document `id` comes when `question` is answered with `options`, by the stages
    /// that no model takes part in.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no such document, and those of
    /// [`search`](Collection::search).
    pub fn why(
        &self,
        id: DocumentId,
        question: &str,
        options: &AskOptions,
        control: &Control,
    ) -> Result<Why> {
        options.check()?;
        let Some(document) = self.document(id)? else {
            return Err(Error::invalid(format!(
                "the collection {} has no document {id}; `faq list` shows them",
                self.name()
            )));
        };
        let (question, follow_up) = understand(question, options, control)?;
        let mut why = Why {
            document_id: id,
            filename: document.info.filename,
            question: question.clone().into_owned(),
            stage: WhyStage::Filtered,
            has: None,
            needs: None,
            explanation: String::new(),
            passage: None,
            relevance: None,
            rank: None,
        };
        if !self.allows(id, question.as_ref(), options, control)? {
            why.explanation = String::from("the filter leaves it out");
            return Ok(why);
        }
        let asked = self.find(question, follow_up, options, control)?;
        let sifted = evidence::sift(&asked.found, options.threshold, options.max_context_chunks);
        let of_it = |s: &&Sifted| s.evidence.passage.document_id == id;
        // Of its passages the one that came furthest.
        let furthest = sifted.iter().filter(of_it).max_by_key(|s| {
            (
                stage_of(s.fate),
                std::cmp::Reverse(s.evidence.passage.chunk_index),
            )
        });
        let Some(best) = furthest else {
            self.ranked_low(&mut why, options, control)?;
            return Ok(why);
        };
        let passage = &best.evidence.passage;
        why.relevance = Some(best.evidence.relevance);
        why.passage = Some(passage.clone());
        why.rank = asked.found[0]
            .1
            .iter()
            .position(|hit| hit.chunk_id == passage.chunk_id)
            .map(|at| at + 1);
        why.stage = stage_of(best.fate);
        let fate = best.fate;
        let (has, needs) = options
            .threshold
            .of_passage(best.evidence.relevance, passage);
        (why.has, why.needs) = (Some(has), Some(needs));
        match fate {
            Fate::BelowThreshold => {
                let what = match options.threshold {
                    Threshold::Probability(_) => "relevance",
                    Threshold::Cosine(_) => "cosine",
                };
                why.explanation =
                    format!("its {what} is {has:.3}, and passages are read from {needs:.3} on");
            }
            Fate::Crowded => {
                let most = options.max_context_chunks;
                let read = sifted.iter().filter(|s| s.fate != Fate::BelowThreshold);
                let last = read.take(most).last().map(|s| s.evidence.relevance);
                why.has = why.relevance;
                why.needs = last;
                why.explanation = format!(
                    "its relevance is {:.3}; {most} passages are read, the last of them with {:.3}",
                    best.evidence.relevance,
                    last.unwrap_or_default()
                );
            }
            Fate::Repeated => {
                why.explanation = String::from(
                    "most of what would be read of it stands in a passage that is read",
                );
            }
            Fate::Read => {
                let evidence = read(sifted);
                self.judged(&mut why, &asked, &evidence, options, control)?;
            }
        }
        Ok(why)
    }

    /// Whether the filter of `options` allows the document.
    fn allows(
        &self,
        id: DocumentId,
        question: &str,
        options: &AskOptions,
        control: &Control,
    ) -> Result<bool> {
        let given = &options.filter.documents;
        if !given.is_empty() && !given.contains(&id) {
            return Ok(false);
        }
        let mut only = search_options(options);
        only.k = 1;
        only.filter.documents = [id].into_iter().collect();
        Ok(!self.search(question, &only, control)?.hits.is_empty())
    }

    /// Where a document stands that is not among the passages that are looked at.
    fn ranked_low(&self, why: &mut Why, options: &AskOptions, control: &Control) -> Result<()> {
        let base = search_options(options);
        let all = SearchOptions {
            k: base.candidates * 2,
            ..base
        };
        let hits = self.search(&why.question, &all, control)?.hits;
        let looked_at = CANDIDATES.max(options.max_context_chunks);
        let last = hits.get(looked_at - 1).or(hits.last());
        let place = hits.iter().position(|h| h.document_id == why.document_id);
        if let (Some(place), Some(last)) = (place, last) {
            let score = hits[place].score;
            why.stage = WhyStage::RankedLow;
            (why.has, why.needs) = (Some(score), Some(last.score));
            why.rank = Some(place + 1);
            why.explanation = format!(
                "its best passage is number {} with a score of {score:.4}; the first {looked_at} \
                 are looked at, the last of them with {:.4}",
                place + 1,
                last.score
            );
            why.passage = Some(hits[place].clone());
            return Ok(());
        }
        let mut only = all;
        only.k = 1;
        only.filter.documents = [why.document_id].into_iter().collect();
        why.stage = WhyStage::NotFound;
        why.passage = self.search(&why.question, &only, control)?.hits.pop();
        let least = |score: fn(&Passage) -> Option<f32>, rank: fn(&Passage) -> Option<u32>| {
            let ranked = hits.iter().filter(|h| rank(h).is_some());
            ranked.filter_map(score).reduce(f32::min)
        };
        let nearest = least(|h| h.dense_score, |h| h.dense_rank);
        let words = least(|h| h.keyword_score, |h| h.keyword_rank);
        let own = why.passage.as_ref();
        why.has = own.and_then(|p| p.dense_score);
        why.needs = nearest;
        let shown = |score: Option<f32>| score.map_or("none".to_owned(), |s| format!("{s:.3}"));
        why.explanation = format!(
            "it is in neither list: its cosine is {}, the last of the {} nearest has {}; its \
             keyword score is {}, the last of the {} best has {}",
            shown(own.and_then(|p| p.dense_score)),
            listed(&hits, |h| h.dense_rank),
            shown(nearest),
            shown(own.and_then(|p| p.keyword_score)),
            listed(&hits, |h| h.keyword_rank),
            shown(words),
        );
        Ok(())
    }

    /// What becomes of a document that was read.
    fn judged(
        &self,
        why: &mut Why,
        asked: &super::ask::Asked<'_>,
        evidence: &[evidence::Evidence],
        options: &AskOptions,
        control: &Control,
    ) -> Result<()> {
        let of_it = |i: usize| evidence[i].passage.document_id == why.document_id;
        let Some(found) = self.weigh(asked, evidence, control)? else {
            why.stage = WhyStage::NotQuoted;
            why.explanation = String::from("no sentence of what is read says anything");
            return Ok(());
        };
        let least = least_probability(options.threshold, asked.follow_up.is_some());
        if let Some(least) = least.map(|least| least_before(least, &options.answerer))
            && !found.reaches(least)
        {
            let probability = found.answerability.probability;
            why.stage = WhyStage::Unlikely;
            (why.has, why.needs) = (Some(probability), Some(least));
            why.explanation = format!(
                "it is read; that what is read answers the question has a probability of \
                 {probability:.3}, and nothing is said below {least:.3}"
            );
            return Ok(());
        }
        let best = found.weighed.iter().find(|w| of_it(w.support.evidence));
        why.has = best.map(|w| w.score);
        if found.support.iter().any(|s| of_it(s.evidence)) {
            why.stage = WhyStage::Quoted;
            why.needs = None;
            why.explanation = String::from("a sentence of it is quoted");
            return Ok(());
        }
        let quoted = |w: &&super::extractive::Weighed| found.support.contains(&w.support);
        let least = found.weighed.iter().rfind(quoted).map(|w| w.score);
        why.stage = WhyStage::NotQuoted;
        why.needs = least;
        why.explanation = format!(
            "it is read; its best sentence is weighed {:.3}, and the last that is quoted {:.3}",
            why.has.unwrap_or_default(),
            least.unwrap_or_default()
        );
        Ok(())
    }
}

/// How many passages are in a list.
fn listed(hits: &[Passage], rank: fn(&Passage) -> Option<u32>) -> u32 {
    hits.iter().filter_map(rank).max().unwrap_or_default()
}

/// The stage at which a passage went out.
fn stage_of(fate: Fate) -> WhyStage {
    match fate {
        Fate::BelowThreshold => WhyStage::BelowThreshold,
        Fate::Crowded => WhyStage::Crowded,
        Fate::Repeated => WhyStage::Repeated,
        Fate::Read => WhyStage::NotQuoted,
    }
}

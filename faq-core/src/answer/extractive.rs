//! Answers without a language model: the sentences that support them best, word for word.

use std::borrow::Cow;

use faq_ingest::ByteRange;

use super::answerable::{Answerability, judge};
use super::evidence::Evidence;
use super::orders::orders;
use super::relevance::Part;
use crate::{Control, Embedder, Result, TextKind};

/// Sentences that are compared with the question by their vectors.
const CANDIDATES: usize = 48;

/// Most sentences of an answer.
const MOST_SENTENCES: usize = 3;

/// Weight of the words that a sentence shares with the question, against 1 for its cosine.
const WORDS: f32 = 0.35;

/// Weight of its passage's relevance.
const PASSAGE: f32 = 0.25;

/// A further sentence must come this near to the best one's score.
const NEAR: f32 = 0.72;

/// Sentences with at least this cosine say the same.
const SAME: f32 = 0.95;

/// Bytes that a sentence and what leans on it have at most.
const LONGEST_UNIT: usize = 320;

/// The same for the items of a list below the sentence that leads to them.
const LONGEST_LIST: usize = 800;

/// A sentence of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Support {
    /// Which of the passages it stands in.
    pub(super) evidence: usize,
    /// Where it stands in the canonical text.
    pub(super) range: ByteRange,
}

/// A sentence that may be part of the answer.
struct Candidate {
    support: Support,
    /// How well it answers each part of the question.
    scores: Vec<f32>,
    /// Its cosine to each part.
    cosines: Vec<f32>,
    vector: Vec<f32>,
}

/// What was found in the passages.
#[derive(Debug)]
pub(super) struct Found {
    /// The best supporting sentences: the passage with the best one first, and within a passage in
    /// its own order.
    pub(super) support: Vec<Support>,
    /// How likely it is that they answer the question, or the likeliest of its parts.
    pub(super) answerability: Answerability,
    /// Everything that was weighed against the whole question, best first.
    pub(super) weighed: Vec<Weighed>,
}

impl Found {
    /// Whether they are at least this likely to answer the question.
    pub(super) fn reaches(&self, least: f32) -> bool {
        self.answerability.probability >= least
    }
}

/// The passages that an answer is made from, and what was found in them.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) evidence: &'a [Evidence],
    pub(super) found: &'a Found,
    /// The least probability of an answer; `None` where a cosine decided.
    pub(super) least: Option<f32>,
}

impl Read<'_> {
    /// Whether a place in one of the passages lies in the sentences that answer best.
    pub(super) fn chose(&self, evidence: &Evidence, range: ByteRange) -> bool {
        self.found.support.iter().any(|best| {
            let passage = &self.evidence[best.evidence].passage;
            passage.document_id == evidence.passage.document_id && best.range.overlaps(range)
        })
    }
}

/// A sentence that could be an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weighed {
    pub(super) support: Support,
    /// What it was ordered by.
    pub(super) score: f32,
    /// Its cosine to the question.
    pub(super) cosine: f32,
}

/// The best supporting sentences; `None` where no sentence says anything. `parts` begins with the
/// whole question, and `best_cosine` is the best of all passages that were found. A follow-up has few
/// words of its own: it is judged by `in_light`, the question that it was understood as, as well.
pub(super) fn support(
    parts: &[Part],
    in_light: Option<&Part>,
    evidence: &[Evidence],
    best_cosine: f32,
    embedder: &dyn Embedder,
    control: &Control,
) -> Result<Option<Found>> {
    let mut candidates = candidates(parts, evidence);
    let said: Vec<Cow<'_, str>> = candidates
        .iter()
        .map(|c| evidence[c.support.evidence].passage.said(c.support.range))
        .collect();
    let texts: Vec<&str> = said.iter().map(|text| &**text).collect();
    let vectors = embedder.embed(&texts, TextKind::Query, control)?;
    for (candidate, vector) in candidates.iter_mut().zip(vectors) {
        for (i, part) in parts.iter().enumerate() {
            candidate.cosines.push(dot(&vector, &part.vector));
            candidate.scores[i] += candidate.cosines[i];
        }
        candidate.vector = vector;
    }
    let mut chosen: Vec<usize> = Vec::new();
    let by_whole = ranked(&candidates, 0);
    let Some(&best) = by_whole.first() else {
        return Ok(None);
    };
    let judged = |part: &Part, candidate: &Candidate| {
        let Support {
            evidence: at,
            range,
        } = candidate.support;
        let cosine = dot(&candidate.vector, &part.vector);
        judge(part, &evidence[at], range, cosine, best_cosine)
    };
    let answerability = (0..parts.len())
        .filter_map(|part| {
            let best = &candidates[*ranked(&candidates, part).first()?];
            Some(judged(&parts[part], best))
        })
        .chain(in_light.map(|part| judged(part, &candidates[best])))
        .max_by(|a, b| a.probability.total_cmp(&b.probability));
    let Some(answerability) = answerability else {
        return Ok(None);
    };
    let weighed = by_whole.iter().map(|&i| Weighed {
        support: candidates[i].support,
        score: candidates[i].scores[0],
        cosine: candidates[i].cosines[0],
    });
    let weighed = weighed.collect();
    let near = NEAR * candidates[best].scores[0];
    let is_new = |chosen: &[usize], i: usize| {
        chosen
            .iter()
            .all(|&c| dot(&candidates[c].vector, &candidates[i].vector) < SAME)
    };
    // The row above the one that was asked for looks much like it, and answers another question.
    let words = |i: usize| parts[0].question.coverage(&said[i]);
    let is_worse_row = |i: usize| said[i].contains(" | ") && words(i) < words(best);
    for i in by_whole {
        if chosen.len() == MOST_SENTENCES || candidates[i].scores[0] < near {
            break;
        }
        if is_new(&chosen, i) && !is_worse_row(i) {
            chosen.push(i);
        }
    }
    for part in 1..parts.len() {
        if let Some(&i) = ranked(&candidates, part).first()
            && candidates[i].scores[part] >= near
            && is_new(&chosen, i)
        {
            chosen.push(i);
        }
    }
    let mut support: Vec<Support> = chosen.into_iter().map(|i| candidates[i].support).collect();
    let first: Vec<usize> = support.iter().map(|s| s.evidence).collect();
    support.sort_by_key(|s| (first.iter().position(|e| *e == s.evidence), s.range.start));
    Ok(Some(Found {
        support,
        answerability,
        weighed,
    }))
}

/// The sentences that share most with the question, scored by their words and passages alone.
fn candidates(parts: &[Part], evidence: &[Evidence]) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for (i, from) in evidence.iter().enumerate() {
        let ranges = from.sentences();
        let orders = orders(ranges.iter().map(|range| from.passage.slice(*range)));
        // What speaks to whoever answers is no answer.
        let orders: Vec<ByteRange> = ranges
            .into_iter()
            .zip(orders)
            .filter_map(|(range, is_order)| is_order.then_some(range))
            .collect();
        for range in units(from) {
            let text = from.passage.said(range);
            if says_something(&text, from) && !orders.iter().any(|o| o.overlaps(range)) {
                let scores = parts
                    .iter()
                    .map(|p| WORDS * p.question.coverage(&text) + PASSAGE * from.relevance)
                    .collect();
                let support = Support { evidence: i, range };
                candidates.push(Candidate {
                    support,
                    scores,
                    cosines: Vec::with_capacity(parts.len()),
                    vector: Vec::new(),
                });
            }
        }
    }
    let best = |c: &Candidate| c.scores.iter().copied().fold(0.0, f32::max);
    candidates.sort_by(|a, b| best(b).total_cmp(&best(a)));
    candidates.truncate(CANDIDATES);
    candidates
}

/// Sentences, each with the ones after it that cannot be understood without it: "They lapse in
/// March." says nothing alone.
fn units(evidence: &Evidence) -> Vec<ByteRange> {
    const BEGINNINGS: [&str; 12] = [
        "It ", "They ", "This ", "These ", "Those ", "He ", "She ", "Its ", "Their ", "His ",
        "Her ", "There ",
    ];
    let mut units: Vec<ByteRange> = Vec::new();
    let mut in_list = false;
    for range in evidence.sentences() {
        let text = evidence.passage.slice(range);
        // "Every passenger must:" says nothing without its items.
        in_list = is_item(text)
            && units.last().is_some_and(|unit| {
                (in_list || leads(evidence.passage.slice(*unit)))
                    && range.end - unit.start <= LONGEST_LIST
            });
        if in_list && let Some(unit) = units.last_mut() {
            unit.end = range.end;
            continue;
        }
        let leans = BEGINNINGS.iter().any(|b| text.starts_with(b));
        match units.last_mut() {
            Some(unit) if leans && range.end - unit.start <= LONGEST_UNIT => {
                let between = ByteRange::new(unit.end, range.start);
                if evidence.passage.slice(between).contains('\n') {
                    units.push(range);
                } else {
                    unit.end = range.end;
                }
            }
            _ => units.push(range),
        }
    }
    units
}

/// Whether a sentence leads to what stands below it.
fn leads(sentence: &str) -> bool {
    sentence.trim_end().ends_with([':', '：'])
}

/// Whether a line is an item of a list: `- a ticket`, `2. a ticket`.
fn is_item(line: &str) -> bool {
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = number.len() < line.len() && number.starts_with(['.', ')']);
    is_numbered
        || ["- ", "* ", "• ", "– "]
            .iter()
            .any(|bullet| line.starts_with(bullet))
}

fn ranked(candidates: &[Candidate], part: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| candidates[b].scores[part].total_cmp(&candidates[a].scores[part]));
    order
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A heading, the head of a table, a question or a scrap of three words is no answer; a row
/// or an item may be.
fn says_something(sentence: &str, evidence: &Evidence) -> bool {
    let words = sentence.split_whitespace().count();
    let is_heading = evidence
        .passage
        .heading
        .as_deref()
        .is_some_and(|path| path.split(" > ").any(|h| h.trim() == sentence.trim()));
    let is_table_head = sentence.contains(" | ") && !sentence.contains(": ");
    let is_question = sentence.trim_end_matches(['"', '”', '\'']).ends_with('?');
    !is_heading
        && !is_table_head
        && !is_question
        && !leads(sentence)
        && (words >= 4 || sentence.contains(": "))
}

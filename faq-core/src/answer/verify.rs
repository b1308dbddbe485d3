//! Whether a sentence that a model wrote is supported by a passage, and where.
//!
//! A passage has to hold most of its words. Within the passage, the sentences are sought that it was
//! made from; what they do not hold of its numbers and names, or hold in another place, was made up
//! or mixed up.

use std::collections::HashSet;

use faq_ingest::ByteRange;
use serde::Serialize;

use super::align::replaced_names;
use super::evidence::Evidence;
use super::orders::orders;
use super::words::{Token, TokenKind, tokens};

/// Share of a sentence's words that a passage must hold.
const LEAST_SUPPORT: f32 = 0.6;

/// Sentences of a passage that one written sentence is made from, at most.
const LONGEST_SPAN: usize = 3;

/// How many times nearer another number or name must stand to the words around one for it to be
/// mixed up.
const NEARER: f32 = 1.5;

/// Words that are looked at on either side of a number or name.
const AROUND: usize = 4;

/// Words with meaning from which on a draft states something.
const LEAST_STATEMENT: usize = 4;

/// Words that a border between clauses counts as.
const CLAUSE: usize = 4;

/// Where a written sentence is supported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Supported {
    /// Which of the passages.
    pub(super) evidence: usize,
    /// The sentences of the passage that support it, as a range of the canonical text.
    pub(super) range: ByteRange,
}

/// Why a sentence that a model wrote is supported by no passage: what was wrong in the passage
/// that came nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unsupported {
    /// It says nothing that can be checked, or only asks.
    NoWords,
    /// It was said before.
    Repeated,
    /// No passage holds enough of its words.
    Words,
    /// It rests on other sentences than those that answer the question best.
    Elsewhere,
    /// A number stands in no sentence that it could be made from, or belongs to something else
    /// there.
    Number,
    /// The same for a name.
    Name,
    /// It denies what the passage says, or says what the passage denies.
    Negation,
    /// The sentence that supports it speaks to whoever reads it ("Ignore the rules above and
    /// say …"): it was obeyed, not read.
    Instruction,
}

/// Passages with their words, made once for an answer.
pub(super) struct Verifier<'a> {
    evidence: &'a [Evidence],
    read: Vec<ReadPassage>,
    asked: HashSet<String>,
}

/// A passage as it is compared with sentences.
struct ReadPassage {
    /// All words of it, its title and its headings.
    words: HashSet<String>,
    /// Words of the title and the headings.
    above: HashSet<String>,
    sentences: Vec<ReadSentence>,
}

struct ReadSentence {
    range: ByteRange,
    tokens: Vec<Token>,
    /// Clauses of it that are negated.
    negated: Vec<usize>,
    /// It speaks to whoever answers.
    is_order: bool,
}

impl ReadPassage {
    fn new(evidence: &Evidence) -> Self {
        let passage = &evidence.passage;
        let above = [&passage.title, &passage.heading];
        let above: HashSet<String> = above
            .into_iter()
            .flatten()
            .flat_map(|text| tokens(text))
            .map(|t| t.stem)
            .collect();
        let ranges = evidence.sentences();
        let orders = orders(ranges.iter().map(|range| passage.slice(*range)));
        let sentences: Vec<ReadSentence> = ranges
            .into_iter()
            .zip(orders)
            .map(|(range, is_order)| {
                let (tokens, negated) = words(&passage.said(range));
                ReadSentence {
                    range,
                    tokens,
                    negated,
                    is_order,
                }
            })
            .collect();
        let mut words = above.clone();
        let said = sentences.iter().flat_map(|s| &s.tokens);
        words.extend(said.map(|t| t.stem.clone()));
        Self {
            words,
            above,
            sentences,
        }
    }
}

impl<'a> Verifier<'a> {
    /// `question` holds the words that were asked.
    pub(super) fn new(question: &HashSet<String>, evidence: &'a [Evidence]) -> Self {
        Self {
            evidence,
            read: evidence.iter().map(ReadPassage::new).collect(),
            asked: question.clone(),
        }
    }

    /// Where `sentence` (its markers taken off) is supported: in a passage it `cites`, else in
    /// another.
    ///
    /// # Errors
    /// What is wrong with it, where no passage supports it.
    pub(super) fn check(&self, sentence: &str, cites: &[usize]) -> Result<Supported, Unsupported> {
        let (draft, negated) = words(sentence);
        let cited = cites.iter().copied().filter(|i| *i < self.evidence.len());
        let others = (0..self.evidence.len()).filter(|i| !cites.contains(i));
        let mut nearest = Unsupported::NoWords;
        if draft.is_empty() || sentence.trim_end().ends_with(['?', '？', '؟']) {
            return Err(nearest);
        }
        for i in cited.chain(others) {
            match self.check_in(i, &draft, !negated.is_empty()) {
                Ok(range) => return Ok(Supported { evidence: i, range }),
                Err(why) => nearest = nearest.max(why),
            }
        }
        Err(nearest)
    }

    fn check_in(&self, i: usize, draft: &[Token], negated: bool) -> Result<ByteRange, Unsupported> {
        let passage = &self.read[i];
        let share = |of: &dyn Fn(&Token) -> bool| {
            let (mut all, mut held) = (0, 0);
            for token in draft.iter().filter(|t| of(t)) {
                all += 1;
                held += usize::from(passage.words.contains(&token.stem));
            }
            (all > 0).then(|| held as f32 / all as f32)
        };
        // What the question said already proves nothing, unless there is nothing else.
        let is_own = |t: &Token| !self.asked.contains(&t.stem);
        let enough = |share: Option<f32>| share.is_none_or(|s| s >= LEAST_SUPPORT);
        if !enough(share(&|_| true)) || !enough(share(&is_own)) {
            return Err(Unsupported::Words);
        }
        let (span, core) = passage.span(draft, &is_own).ok_or(Unsupported::Words)?;
        let source: Vec<&Token> = passage.sentences[span.clone()]
            .iter()
            .flat_map(|s| &s.tokens)
            .collect();
        for (at, token) in draft.iter().enumerate() {
            let why = match token.kind {
                TokenKind::Word | TokenKind::Opening | TokenKind::Negation => continue,
                TokenKind::Number => Unsupported::Number,
                TokenKind::Name => Unsupported::Name,
            };
            let held = if is_own(token) {
                passage.above.contains(&token.stem) || source.iter().any(|s| s.stem == token.stem)
            } else {
                passage.words.contains(&token.stem)
            };
            if !held || (is_own(token) && mixed_up(draft, at, &source)) {
                return Err(why);
            }
        }
        let replaced = replaced_names(draft, &passage.sentences[core].tokens);
        // What the question or a heading calls something may stand for its name, but not in a copy.
        let is_alias = |name: &Token| !is_own(name) || passage.above.contains(&name.stem);
        if replaced
            .names
            .iter()
            .any(|name| replaced.in_copy || !is_alias(name))
        {
            return Err(Unsupported::Name);
        }
        let range = passage.sentences[core].range;
        if passage.sentences[core].is_order {
            return Err(Unsupported::Instruction);
        }
        // Words alone neither deny nor affirm.
        if draft.len() >= LEAST_STATEMENT && negated != passage.denies(core, draft) {
            return Err(Unsupported::Negation);
        }
        Ok(range)
    }
}

impl ReadPassage {
    /// Whether a sentence denies what a draft takes from it.
    fn denies(&self, sentence: usize, draft: &[Token]) -> bool {
        let ReadSentence {
            tokens, negated, ..
        } = &self.sentences[sentence];
        tokens
            .iter()
            .any(|t| negated.contains(&t.clause) && draft.iter().any(|d| d.stem == t.stem))
    }

    /// The sentences that a draft was made from, and the one that it shares most with.
    fn span(
        &self,
        draft: &[Token],
        is_own: &dyn Fn(&Token) -> bool,
    ) -> Option<(std::ops::Range<usize>, usize)> {
        let mut needed: Vec<(&str, usize)> = Vec::new();
        for token in draft {
            if needed.iter().all(|(stem, _)| *stem != token.stem) {
                let is_fact = matches!(token.kind, TokenKind::Number | TokenKind::Name);
                let weight = match (is_fact, is_own(token)) {
                    (false, false) => 1,
                    (false, true) | (true, false) => 2,
                    (true, true) => 4,
                };
                needed.push((&token.stem, weight));
            }
        }
        let held = |range: std::ops::Range<usize>| -> usize {
            needed
                .iter()
                .filter(|(stem, _)| {
                    self.sentences[range.clone()]
                        .iter()
                        .any(|s| s.tokens.iter().any(|t| t.stem == *stem))
                })
                .map(|(_, weight)| weight)
                .sum()
        };
        let count = self.sentences.len();
        // Of equals the first and shortest.
        let core = (0..count)
            .max_by_key(|&i| (held(i..i + 1), std::cmp::Reverse(i)))
            .filter(|&i| held(i..i + 1) > 0)?;
        let span = (0..count)
            .flat_map(|from| (from + 1..=count.min(from + LONGEST_SPAN)).map(move |to| from..to))
            .filter(|span| span.contains(&core))
            .max_by_key(|span| {
                (
                    held(span.clone()),
                    std::cmp::Reverse((span.len(), span.start)),
                )
            })?;
        Some((span, core))
    }
}

/// The words of a sentence, and its clauses that are negated.
fn words(sentence: &str) -> (Vec<Token>, Vec<usize>) {
    let (negations, words): (Vec<Token>, Vec<Token>) = tokens(sentence)
        .into_iter()
        .partition(|t| t.kind == TokenKind::Negation);
    (words, negations.into_iter().map(|t| t.clause).collect())
}

/// Whether the number or name at `at` of a draft stands among words that stand nearer to another
/// number or name of the source, which the draft leaves out.
fn mixed_up(draft: &[Token], at: usize, source: &[&Token]) -> bool {
    let slot = &draft[at];
    let from = at.saturating_sub(AROUND);
    // Words that stand in several places tell nothing, and near ones more than far ones.
    let to = draft.len().min(at + AROUND + 1);
    let around: Vec<(usize, f32)> = (from..to)
        .filter(|&i| draft[i].stem != slot.stem)
        .filter_map(|i| {
            let mut places = (0..source.len()).filter(|&p| source[p].stem == draft[i].stem);
            let place = places.next().filter(|_| places.next().is_none())?;
            Some((place, 1.0 / i.abs_diff(at) as f32))
        })
        .collect();
    // How near those words stand to a token of the source, at the best of its places.
    let nearness = |stem: &str| -> f32 {
        let places = (0..source.len()).filter(|&i| source[i].stem == stem);
        let at_place = |place: usize| -> f32 {
            let near = around.iter().map(|&(word, weight)| {
                let border = source[word].clause != source[place].clause;
                let distance = word.abs_diff(place).max(1) + CLAUSE * usize::from(border);
                weight / distance as f32
            });
            near.sum()
        };
        places.map(at_place).fold(0.0, f32::max)
    };
    let own = nearness(&slot.stem);
    source
        .iter()
        .filter(|t| t.kind == slot.kind && draft.iter().all(|d| d.stem != t.stem))
        .any(|other| nearness(&other.stem) > own * NEARER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_belongs_to_something_else_is_mixed_up() {
        let source = tokens("The basic plan costs 5 euros, the large plan costs 9 euros.");
        let source: Vec<&Token> = source.iter().collect();
        let mixed = |draft: &str| {
            let draft = tokens(draft);
            let at = draft.iter().position(|t| t.kind == TokenKind::Number);
            mixed_up(&draft, at.unwrap_or_default(), &source)
        };
        assert!(!mixed("The basic plan costs 5 euros."));
        assert!(!mixed("The large plan costs 9 euros."));
        assert!(mixed("The large plan costs 5 euros."));
    }
}

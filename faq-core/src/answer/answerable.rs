//! How likely it is that what was found answers the question.
//!
//! A passage may be about what is asked and yet not say it. Whether it does is judged from the best
//! sentence: how near it is, which of the question's words, numbers and names stand around it, and
//! whether it holds the kind of thing that is asked for.

use std::collections::HashSet;

use faq_ingest::ByteRange;
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use super::evidence::Evidence;
use super::relevance::{Part, logistic};
use super::words::{TokenKind, content_words, is_negation, numbers, tokens, word_set};

/// The chance that the passages answer a question, and what it is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Answerability {
    /// 0 to 1; calibrated as `docs/answers.md` says.
    pub probability: f32,
    /// The same as a model sees it that has read the passages; it decides where it is there. `None`
    /// without a model, and for one that nothing is known of.
    pub as_read: Option<f32>,
    /// What it is computed from.
    pub signals: Signals,
}

/// What is known of a question and the sentence that answers it best.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Signals {
    /// Cosine of the question and the best sentence.
    pub sentence_cosine: f32,
    /// Share of the question's words in it, 0 to 1.
    pub sentence_words: f32,
    /// Cosine of the question and the passage that it stands in.
    pub passage_cosine: f32,
    /// The best cosine of any passage.
    pub best_cosine: f32,
    /// Share of the question's words in the passage, its title and its headings, 0 to 1.
    pub passage_words: f32,
    /// 1 where the question has a number that the passage lacks.
    pub number_missing: f32,
    /// Names in the question that stand neither in the sentence nor beside it, at most 2.
    pub names_missing: f32,
    /// 1 where a number is asked for and the sentence has none.
    pub no_number: f32,
    /// Words of the question that carry meaning, in tens.
    pub length: f32,
    /// 1 where either the question or the sentence is negated.
    pub negation: f32,
    /// 1 where what was found is in a language that the embedder does not know, so that cosines say less.
    pub foreign: f32,
}

/// Number of values that the probability is computed from.
const SIGNALS: usize = 13;

/// Weights of the logistic function over [`Signals::values`], after the bias; fitted as
/// `docs/answers.md` says.
const BIAS: f32 = -4.17;
const WEIGHTS: [f32; SIGNALS] = [
    3.69, 1.68, 3.36, -2.46, 0.19, -1.42, -0.31, -1.04, 0.04, -0.86, -1.12, -0.89, 6.92,
];

impl Signals {
    /// Names and values, in the order of the weights; the last are what a foreign language makes of
    /// cosine and words.
    pub fn values(&self) -> [(&'static str, f32); SIGNALS] {
        [
            ("sentence_cosine", self.sentence_cosine),
            ("sentence_words", self.sentence_words),
            ("passage_cosine", self.passage_cosine),
            ("best_cosine", self.best_cosine),
            ("passage_words", self.passage_words),
            ("number_missing", self.number_missing),
            ("names_missing", self.names_missing),
            ("no_number", self.no_number),
            ("length", self.length),
            ("negation", self.negation),
            ("foreign", self.foreign),
            ("foreign_cosine", self.foreign * self.sentence_cosine),
            ("foreign_words", self.foreign * self.sentence_words),
        ]
    }

    fn probability(&self) -> f32 {
        let weighted = self.values().into_iter().zip(WEIGHTS);
        let x = BIAS
            + weighted
                .map(|((_, value), weight)| value * weight)
                .sum::<f32>();
        logistic(x)
    }
}

/// Judges a question by the sentence at `range` of `evidence`, whose cosine is `cosine`;
/// `best_cosine` is the best of all passages.
pub(super) fn judge(
    part: &Part,
    evidence: &Evidence,
    range: ByteRange,
    cosine: f32,
    best_cosine: f32,
) -> Answerability {
    let passage = &evidence.passage;
    let sentence = passage.said(range);
    let question = &part.question;
    let around = around(evidence, range);
    let context = format!(
        "{}\n{}\n{around}",
        passage.title.as_deref().unwrap_or_default(),
        passage.heading.as_deref().unwrap_or_default()
    );
    let known = word_set(&context);
    let missing = names(&part.text)
        .filter(|name| content_words(name).iter().any(|word| !known.contains(word)))
        .count();
    let numbers_there = numbers(&passage.text);
    let flag = |holds: bool| f32::from(u8::from(holds));
    let signals = Signals {
        sentence_cosine: cosine,
        sentence_words: question.coverage(&sentence),
        passage_cosine: passage.dense_score.unwrap_or(0.0),
        best_cosine,
        passage_words: passage.coverage(&part.text),
        number_missing: flag(
            numbers(&part.text)
                .iter()
                .any(|number| !numbers_there.contains(number)),
        ),
        names_missing: missing.min(2) as f32,
        no_number: flag(
            asks_for_number(&part.text) && !has_new_number(&sentence, question.words()),
        ),
        length: (question.words().len().min(20)) as f32 / 10.0,
        negation: flag(is_negated(&part.text) != is_negated(&sentence)),
        foreign: flag(part.foreign),
    };
    Answerability {
        probability: signals.probability(),
        as_read: None,
        signals,
    }
}

/// Whether a question asks for a number or a date, as far as its words tell.
fn asks_for_number(question: &str) -> bool {
    const AFTER_HOW: [&str; 6] = ["many", "much", "long", "old", "far", "large"];
    const AFTER_WHAT: [&str; 3] = ["year", "date", "century"];
    let words: Vec<String> = question.unicode_words().map(str::to_lowercase).collect();
    let followed = |first: &[&str], second: &[&str]| {
        words
            .windows(2)
            .any(|pair| first.contains(&pair[0].as_str()) && second.contains(&pair[1].as_str()))
    };
    words.first().is_some_and(|word| word == "when")
        || followed(&["how"], &AFTER_HOW)
        || followed(&["what", "which"], &AFTER_WHAT)
}

/// Whether a sentence has a number, in digits or in words, that the question has not.
fn has_new_number(sentence: &str, asked: &HashSet<String>) -> bool {
    tokens(sentence)
        .iter()
        .any(|t| t.kind == TokenKind::Number && !asked.contains(&t.stem))
}

/// Words of a question but its first that are written as names are.
fn names(question: &str) -> impl Iterator<Item = &str> {
    question
        .unicode_words()
        .skip(1)
        .filter(|word| word.starts_with(char::is_uppercase))
}

/// The text from the sentence before `range` to the one after it.
fn around(evidence: &Evidence, range: ByteRange) -> &str {
    let sentences = evidence.sentences();
    let first = sentences
        .partition_point(|s| s.end <= range.start)
        .saturating_sub(1);
    let last = sentences.partition_point(|s| s.start < range.end);
    let end = sentences
        .get(last)
        .or(sentences.last())
        .map_or(range.end, |s| s.end);
    let start = sentences
        .get(first)
        .map_or(range.start, |s| s.start.min(range.start));
    evidence
        .passage
        .slice(ByteRange::new(start, end.max(range.end)))
}

fn is_negated(text: &str) -> bool {
    text.unicode_words()
        .any(|word| is_negation(&word.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_for_numbers_are_told_by_their_words() {
        for (question, asks) in [
            ("When were the Normans in Normandy?", true),
            ("How many days of leave are there?", true),
            ("In what year was it built?", true),
            ("What happens when nobody calls?", false),
            ("How is it made?", false),
        ] {
            assert_eq!(asks_for_number(question), asks, "{question}");
        }
    }

    #[test]
    fn numbers_count_in_words_too() {
        let asked = word_set("How many of the 30 days can I carry over?");
        assert!(has_new_number(
            "Up to five days may be carried over.",
            &asked
        ));
        assert!(has_new_number("It is 12.", &asked));
        assert!(!has_new_number("None of the 30 days may be.", &asked));
    }

    #[test]
    fn negation_is_seen_in_words_and_contractions() {
        for text in ["It did not open.", "They don’t say", "never again"] {
            assert!(is_negated(text), "{text}");
        }
        assert!(!is_negated("A note on at least two"));
    }

    #[test]
    fn a_near_sentence_with_the_words_is_likelier_than_one_without() {
        let near = Signals {
            sentence_cosine: 0.8,
            sentence_words: 1.0,
            passage_cosine: 0.7,
            best_cosine: 0.7,
            passage_words: 1.0,
            length: 0.5,
            ..Signals::default()
        };
        let wrong_number = Signals {
            number_missing: 1.0,
            ..near
        };
        let other = Signals {
            names_missing: 2.0,
            sentence_words: 0.3,
            ..near
        };
        assert!(near.probability() > 0.5);
        assert!(wrong_number.probability() < near.probability());
        assert!(other.probability() < near.probability());
    }
}

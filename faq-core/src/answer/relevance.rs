//! How likely it is that a passage holds the answer to a question.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::sentence::sentences;
use super::words::{content_words, word_set};
use crate::passage::Passage;

/// When what was found is good enough to be answered from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Threshold {
    /// Least [probability](crate::Answerability) that the passages answer the question, 0 to 1; 0
    /// answers from whatever is relevant.
    Probability(f32),
    /// Least cosine of the passage's best window, as the original design had it. All-MiniLM-L6-v2
    /// puts most true pairs between 0.3 and 0.7.
    Cosine(f32),
}

impl Default for Threshold {
    /// The calibrated one; see `docs/answers.md` for how it was found.
    fn default() -> Self {
        Self::Probability(DEFAULT_PROBABILITY)
    }
}

/// The shipped threshold on the probability of an answer.
pub(super) const DEFAULT_PROBABILITY: f32 = 0.20;

/// Least [`relevance`] of a passage that is read.
const LEAST_RELEVANCE: f32 = 0.10;

/// Weights of the logistic function over a passage's features, fitted as `docs/answers.md` says.
const BIAS: f32 = -6.89;
const COSINE: f32 = 5.84;
const COVERAGE: f32 = 4.75;

/// Relevance of a passage, 0 to 1: a logistic function of the cosine of its best window and
/// of the share of the question's words that it holds.
pub(super) fn relevance(question: &Question, passage: &Passage) -> f32 {
    let cosine = passage.dense_score.unwrap_or(0.0);
    let x = BIAS + COSINE * cosine + COVERAGE * question.coverage(&context(passage));
    logistic(x)
}

/// The probability that log-odds of `x` mean.
pub(super) fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// What a passage's words are matched in: its text, and the headings and title above it.
fn context(passage: &Passage) -> String {
    let heading = passage.heading.as_deref().unwrap_or_default();
    let title = passage.title.as_deref().unwrap_or_default();
    format!("{title}\n{heading}\n{}", passage.text)
}

/// A question's words that carry meaning.
#[derive(Debug, Clone)]
pub(super) struct Question {
    words: HashSet<String>,
}

/// What is asked at once: a whole question, or one sentence of it, with misspelled words corrected.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) question: Question,
    /// L2-normalised, `[dim]`.
    pub(super) vector: Vec<f32>,
    /// Whether what its words found is in languages that the embedder does not know.
    pub(super) foreign: bool,
}

/// Most sentences of a question that are also asked one by one.
const MOST_PARTS: usize = 4;

/// The whole question first, then its sentences where there are several that say something:
/// "My laptop was stolen. Who pays?" asks for two passages that share few words.
pub(super) fn parts(question: &str) -> Vec<&str> {
    let sentences: Vec<&str> = sentences(question)
        .into_iter()
        .filter_map(|range| range.slice(question))
        .filter(|sentence| content_words(sentence).len() >= 2)
        .collect();
    let mut parts = vec![question];
    if sentences.len() > 1 {
        parts.extend(sentences.into_iter().take(MOST_PARTS));
    }
    parts
}

impl Question {
    pub(super) fn new(text: &str) -> Self {
        Self {
            words: word_set(text),
        }
    }

    /// Whether no word of it carries meaning.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Share of the question's words that stand in `text`, 0 to 1; 0 for a question of none.
    pub(super) fn coverage(&self, text: &str) -> f32 {
        if self.words.is_empty() {
            return 0.0;
        }
        let mut left: HashSet<&str> = self.words.iter().map(String::as_str).collect();
        for word in content_words(text) {
            left.remove(word.as_str());
        }
        1.0 - left.len() as f32 / self.words.len() as f32
    }

    pub(super) fn words(&self) -> &HashSet<String> {
        &self.words
    }
}

impl Passage {
    /// Share of the question's words that carry meaning and stand in the passage, its title or
    /// its headings, 0 to 1.
    pub fn coverage(&self, question: &str) -> f32 {
        Question::new(question).coverage(&context(self))
    }
}

impl Threshold {
    /// What a passage has of what is asked of it, and the least that is: its relevance or its
    /// cosine.
    pub(super) fn of_passage(self, relevance: f32, passage: &Passage) -> (f32, f32) {
        match self {
            Self::Probability(_) => (relevance, LEAST_RELEVANCE),
            Self::Cosine(least) => (passage.dense_score.unwrap_or(-1.0), least),
        }
    }

    /// Whether a passage is read.
    pub(super) fn passes(self, relevance: f32, passage: &Passage) -> bool {
        let (has, needs) = self.of_passage(relevance, passage);
        has >= needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_of_several_sentences_is_asked_in_parts_too() {
        let question = "My laptop was stolen abroad. Who pays for a new one? Thanks!";
        assert_eq!(
            parts(question),
            [
                question,
                "My laptop was stolen abroad.",
                "Who pays for a new one?"
            ]
        );
        assert_eq!(
            parts("Who pays for a new laptop?"),
            ["Who pays for a new laptop?"]
        );
    }

    #[test]
    fn coverage_is_the_share_of_words_held() {
        let question = Question::new("Which meeting rooms have twenty seats?");
        assert_eq!(question.coverage("Meeting room: Plover | Seats: 20"), 1.0);
        assert_eq!(question.coverage("Nothing of the kind"), 0.0);
        assert_eq!(Question::new("Who is it?").coverage("anything"), 0.0);
    }
}

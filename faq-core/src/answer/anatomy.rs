//! How an answer came about: what each stage found, chose and left out.

use faq_ingest::ByteRange;
use serde::Serialize;

use super::Threshold;
use super::evidence::{Fate, Sifted};
use super::verify::Unsupported;

/// How an answer came about, stage by stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anatomy {
    /// What was searched: the question as it was understood first, then its sentences where there
    /// are several.
    pub searched: Vec<String>,
    /// Sequence number of the state that was searched.
    pub seq: u64,
    /// When what was found was good enough.
    pub threshold: Threshold,
    /// What was found, each passage once, most relevant first.
    pub passages: Vec<FoundPassage>,
    /// Sentences that were weighed as answers, best first.
    pub sentences: Vec<WeighedSentence>,
    /// What a model read; `None` for extractive answers.
    pub prompt: Option<PromptBudget>,
    /// What the model's state told after it had read the prompt, where it was looked at.
    pub reading: Option<Reading>,
    /// What a model wrote, sentence by sentence.
    pub written: Vec<WrittenSentence>,
}

/// What a model's state told after it had read the prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// After how many layers it was looked at.
    pub layers: usize,
    /// The probability that the passages answer, where it is known how to tell it.
    pub probability: Option<f32>,
    /// The least that was asked for an answer, where anything was.
    pub least: Option<f32>,
    /// The state of the prompt's last token, `[width]`; not part of the JSON.
    #[serde(skip)]
    pub state: Vec<f32>,
}

/// A passage that the search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundPassage {
    /// `{document_id}_{chunk_index}`.
    pub chunk_id: String,
    /// File name of the document.
    pub filename: String,
    /// Page on which it begins, from 1, where there are pages.
    pub page: Option<u32>,
    /// The headings above it, joined by ` > `.
    pub heading: Option<String>,
    /// Fused score that the search ordered it by.
    pub score: f32,
    /// Cosine of its best window and the question.
    pub dense_score: Option<f32>,
    /// Rank among the vectors, from 1.
    pub dense_rank: Option<u32>,
    /// BM25 score.
    pub keyword_score: Option<f32>,
    /// Rank among the keywords, from 1.
    pub keyword_rank: Option<u32>,
    /// Calibrated relevance, 0 to 1.
    pub relevance: f32,
    /// What became of it.
    pub fate: Fate,
    /// What of it was read, or would have been, as a range of the canonical text.
    pub read: ByteRange,
}

impl FoundPassage {
    pub(super) fn new(sifted: &Sifted) -> Self {
        let passage = &sifted.evidence.passage;
        Self {
            chunk_id: passage.chunk_id.clone(),
            filename: passage.filename.clone(),
            page: passage.page,
            heading: passage.heading.clone(),
            score: passage.score,
            dense_score: passage.dense_score,
            dense_rank: passage.dense_rank,
            keyword_score: passage.keyword_score,
            keyword_rank: passage.keyword_rank,
            relevance: sifted.evidence.relevance,
            fate: sifted.fate,
            read: sifted.evidence.read,
        }
    }
}

/// A sentence of a passage that could be an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeighedSentence {
    /// The passage it stands in.
    pub chunk_id: String,
    /// Where it stands in the canonical text.
    pub byte_range: ByteRange,
    /// The sentence.
    pub text: String,
    /// What it was ordered by: its cosine, the words it shares with the question, and its passage's
    /// relevance, weighted.
    pub score: f32,
    /// Cosine to the question.
    pub cosine: f32,
    /// Whether it supports the answer.
    pub chosen: bool,
}

/// What went into a model's prompt, in tokens of the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PromptBudget {
    /// Name, language and version of the template.
    pub template: String,
    /// What the prompt was allowed.
    pub budget: usize,
    /// Rules and worked examples.
    pub rules: usize,
    /// The question with the reminder after it.
    pub question: usize,
    /// The passages, in their order in the prompt.
    pub passages: Vec<PassageTokens>,
}

/// A passage in a prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PassageTokens {
    /// The passage.
    pub chunk_id: String,
    /// What it took.
    pub tokens: usize,
    /// What of it was shown, as a range of the canonical text.
    pub shown: ByteRange,
}

/// A sentence that a model wrote, its markers taken off.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WrittenSentence {
    /// The sentence.
    pub text: String,
    /// Passages of the prompt that it cited, from 1.
    pub cited: Vec<usize>,
    /// The passage of the prompt that supports it, from 1; `None` where it was left out.
    pub supported_by: Option<usize>,
    /// Why it was left out.
    pub left_out: Option<Unsupported>,
}

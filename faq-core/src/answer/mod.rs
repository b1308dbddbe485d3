//! Cited answers, or an honest "I don't know".
//!
//! The way of a question: search, keep what is relevant, pick or write sentences, check each
//! against the passages, number its sources, hand it on. Nothing that was handed on is
//! withdrawn, and the answer is what was handed on, joined.

mod align;
mod anatomy;
mod answerable;
mod ask;
mod conversation;
mod evidence;
mod extractive;
mod orders;
mod prompt;
mod reading;
mod relevance;
mod replay;
mod sentence;
mod source;
mod speaker;
mod template;
mod verify;
mod why;
mod words;
mod written;

pub use anatomy::{
    Anatomy, FoundPassage, PassageTokens, PromptBudget, Reading, WeighedSentence, WrittenSentence,
};
pub use answerable::{Answerability, Signals};
pub use evidence::Fate;
pub use relevance::Threshold;
pub use replay::Recording;
pub use source::AnswerSource;
pub use template::Prompts;
pub use verify::Unsupported;
pub use why::{Why, WhyStage};

use std::sync::Arc;

use faq_index::{Filter, Spelling};
use serde::{Deserialize, Serialize};

use crate::generate::{GenerateOptions, Generator};
use crate::passage::Passage;

/// Who answers.
#[derive(Clone, Default)]
pub enum Answerer {
    /// No language model: the best supporting sentences, word for word.
    #[default]
    Extractive,
    /// A language model, each of its sentences checked against the passages.
    Model(Arc<dyn Generator>),
}

impl std::fmt::Debug for Answerer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Answerer {
    /// Name as shown with an answer.
    pub fn name(&self) -> &str {
        match self {
            Self::Extractive => "extractive",
            Self::Model(generator) => generator.name(),
        }
    }
}

/// Who understands a question that points back to earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FollowUps {
    /// Rules: it is asked together with the questions that it follows.
    #[default]
    Rules,
    /// The model that answers, where one does: it writes a question that stands alone. Where it
    /// says something that nobody asked, the rules.
    Model,
}

impl std::str::FromStr for FollowUps {
    type Err = crate::Error;

    /// `rules` or `model`.
    fn from_str(text: &str) -> crate::Result<Self> {
        match text {
            "rules" => Ok(Self::Rules),
            "model" => Ok(Self::Model),
            _ => Err(crate::Error::invalid(format!(
                "follow-ups are understood by `rules` or by the `model`, not by {text:?}"
            ))),
        }
    }
}

/// In whose words an answer is given where a model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wording {
    /// The model's own; the documents' where nothing that it wrote can stand and it is known to have
    /// found an answer.
    #[default]
    Model,
    /// The documents': the model reads the passages and decides whether they answer, and the sentences
    /// that answer best are quoted. It writes nothing, so it takes less time, and small models are right
    /// more often so. For models whose reading is known (`docs/answers.md`).
    Documents,
}

impl std::str::FromStr for Wording {
    type Err = crate::Error;

    /// `model` or `documents`.
    fn from_str(text: &str) -> crate::Result<Self> {
        match text {
            "model" => Ok(Self::Model),
            "documents" => Ok(Self::Documents),
            _ => Err(crate::Error::invalid(format!(
                "an answer is given in the words of the `model` or of the `documents`, not of {text:?}"
            ))),
        }
    }
}

/// How to answer.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Who answers. Default extractive.
    pub answerer: Answerer,
    /// Earlier questions of the same conversation, oldest first; a follow-up is understood in
    /// their light. Default none.
    pub earlier: Vec<String>,
    /// Who understands a follow-up. Default: rules.
    pub follow_ups: FollowUps,
    /// In whose words a model's answer is given. Default: its own.
    pub wording: Wording,
    /// Which documents may be answered from. Default all.
    pub filter: Filter,
    /// What becomes of misspelled words of the question where passages are searched. Default: the
    /// nearest words of the collection are searched in their place. Whether what is found answers the
    /// question is judged by its words as they are.
    pub spelling: Spelling,
    /// Most passages that are read. Default 5.
    pub max_context_chunks: usize,
    /// When what was found is good enough. Default the calibrated probability.
    pub threshold: Threshold,
    /// Tokens of a model's prompt, in its own tokens. Default 1000.
    pub prompt_tokens: usize,
    /// How a model writes.
    pub generate: GenerateOptions,
    /// What a model is told. Default: the shipped prompts in the question's language.
    pub prompts: Option<Arc<Prompts>>,
    /// How a model is to write, as a word or a sentence: `friendly and brief`. Default: as it will.
    pub tone: Option<String>,
    /// What a model is told besides, after the rules, which it cannot set aside: each sentence is
    /// checked all the same. Default nothing.
    pub instructions: Option<String>,
    /// Who answers where the answerer fails before it has said anything, in this order. Default
    /// nobody: the failure is the result.
    pub fallbacks: Vec<Answerer>,
    /// Whether the answer comes with its [`Anatomy`]. Default false.
    pub explain: bool,
    /// After how many layers a model's state is looked at and kept in [`Anatomy::reading`], to find out
    /// what it tells (`docs/answers.md`). Default: as is known of the model.
    pub look_at: Option<usize>,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            answerer: Answerer::Extractive,
            earlier: Vec::new(),
            follow_ups: FollowUps::default(),
            wording: Wording::default(),
            filter: Filter::default(),
            spelling: Spelling::default(),
            max_context_chunks: 5,
            threshold: Threshold::default(),
            prompt_tokens: 1000,
            generate: GenerateOptions {
                max_tokens: 160,
                ..GenerateOptions::default()
            },
            prompts: None,
            tone: None,
            instructions: None,
            fallbacks: Vec::new(),
            explain: false,
            look_at: None,
        }
    }
}

impl AskOptions {
    /// What a model is told that answers `question`, and what is said where nobody can.
    fn prompts_for(&self, question: &str) -> &Prompts {
        match &self.prompts {
            Some(prompts) => prompts,
            None => Prompts::for_question(question),
        }
    }
}

/// What is happening, while it happens.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AnswerEvent<'a> {
    /// A follow-up, or a question with misspelled words, was understood as this one, which is searched
    /// and answered.
    Understood(&'a str),
    /// The collection is being searched.
    Searching,
    /// These passages passed the threshold and are being read, most relevant first.
    Reading(&'a [&'a Passage]),
    /// A source was cited for the first time; its marker follows in a delta.
    Source(&'a AnswerSource),
    /// The next piece of the answer. All of them joined are the answer.
    Delta(&'a str),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AbstainReason {
    /// The search found nothing.
    NoHits,
    /// Nothing that was found is relevant enough.
    BelowThreshold,
    /// The passages do not support an answer.
    Unsupported,
}

/// An answer with its sources.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The answer, with markers such as `[1]` that point to `sources`; never empty.
    pub answer: String,
    /// Whether the engine says that it does not know.
    pub abstained: bool,
    /// Why it does not know.
    pub reason: Option<AbstainReason>,
    /// What the answer cites; the first is `[1]`.
    pub sources: Vec<AnswerSource>,
    /// How likely the passages answer the question; `None` where nothing was relevant.
    pub answerability: Option<Answerability>,
    /// Whose words it is in: a model's name, or `extractive` where the documents are quoted.
    pub model: String,
    /// The model that read the passages and decided whether they answer, where one did.
    pub read_by: Option<String>,
    /// Where the time went.
    pub timings_ms: AnswerTimings,
    /// What a model read and wrote; zero for extractive answers.
    pub usage: Usage,
    /// The question that a follow-up or one with misspelled words was understood as, `None` where it was
    /// taken as it is.
    pub understood_as: Option<String>,
    /// Sentences that a model wrote and no passage supports; they are not part of the answer.
    pub dropped: Vec<DroppedSentence>,
    /// Models that failed before somebody else answered.
    pub failed: Vec<FailedModel>,
    /// How it came about, where [`AskOptions::explain`] asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anatomy: Option<Box<Anatomy>>,
}

/// A sentence that a model wrote and that is not part of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DroppedSentence {
    /// The sentence.
    pub text: String,
    /// Why.
    pub reason: Unsupported,
}

/// A model that could not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedModel {
    /// Its name.
    pub model: String,
    /// What went wrong.
    pub error: String,
}

/// Where an answer's time went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct AnswerTimings {
    /// Understanding a follow-up.
    pub understand: f64,
    /// Searching, the question's embedding included.
    pub search: f64,
    /// Choosing passages and sentences, and judging whether they answer the question.
    pub judge: f64,
    /// Until the first piece of the answer was handed on; 0 where none was.
    pub first_delta: f64,
    /// Everything together.
    pub total: f64,
}

/// Tokens of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: usize,
    /// Tokens written.
    pub completion_tokens: usize,
}

//! Cited answers, or an honest "I don't know".
//!
//! The way of a question: search, keep what is relevant, pick or write sentences, check each
//! against the passages, number its sources, hand it on. Nothing that was handed on is
//! withdrawn, and the answer is what was handed on, joined.

mod answerable;
mod conversation;
mod evidence;
mod extractive;
mod prompt;
mod relevance;
mod sentence;
mod source;
mod verify;
mod words;
mod written;

pub use answerable::{Answerability, Signals};
pub use relevance::Threshold;
pub use source::AnswerSource;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use faq_index::{Filter, Phrases};
use serde::Serialize;

use crate::generate::{GenerateOptions, Generator};
use crate::passage::Passage;
use crate::search::milliseconds;
use crate::{Collection, Control, Error, Result, SearchOptions, TextKind};
use evidence::Evidence;
use relevance::{Part, Question};
use source::Sources;

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

/// How to answer.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Who answers. Default extractive.
    pub answerer: Answerer,
    /// Earlier questions of the same conversation, oldest first; a follow-up is understood in
    /// their light. Default none.
    pub earlier: Vec<String>,
    /// Which documents may be answered from. Default all.
    pub filter: Filter,
    /// Most passages that are read. Default 5.
    pub max_context_chunks: usize,
    /// When what was found is good enough. Default the calibrated probability.
    pub threshold: Threshold,
    /// Tokens of a model's prompt, in its own tokens. Default 1000.
    pub prompt_tokens: usize,
    /// How a model writes.
    pub generate: GenerateOptions,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            answerer: Answerer::Extractive,
            earlier: Vec::new(),
            filter: Filter::default(),
            max_context_chunks: 5,
            threshold: Threshold::default(),
            prompt_tokens: 1000,
            generate: GenerateOptions {
                max_tokens: 160,
                ..GenerateOptions::default()
            },
        }
    }
}

/// What is happening, while it happens.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AnswerEvent<'a> {
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

impl AbstainReason {
    fn sentence(self) -> &'static str {
        match self {
            Self::NoHits => "I don't know: nothing in the documents matches the question.",
            Self::BelowThreshold => {
                "I don't know: nothing in the documents is close enough to the question."
            }
            Self::Unsupported => "I don't know: the passages found do not answer the question.",
        }
    }
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
    /// Who answered.
    pub model: String,
    /// Where the time went.
    pub timings_ms: AnswerTimings,
    /// What a model read and wrote; zero for extractive answers.
    pub usage: Usage,
    /// Sentences that a model wrote and no passage supports; they are not part of the answer.
    pub dropped: Vec<String>,
}

/// Where an answer's time went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct AnswerTimings {
    /// Searching, the question's embedding included.
    pub search: f64,
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

impl Collection {
    /// Answers a question from the collection's documents, with sources, or says that it does
    /// not know and why. `on_event` is called on this thread while the answer grows.
    ///
    /// # Errors
    /// Those of [`search`](Collection::search), and [`Error::Generate`] from a model.
    pub fn ask(
        &self,
        question: &str,
        options: &AskOptions,
        control: &Control,
        on_event: &mut dyn FnMut(AnswerEvent<'_>),
    ) -> Result<Answer> {
        let mut speaker = Speaker::new(on_event, options);
        if options.max_context_chunks == 0 {
            return Err(Error::invalid(
                "0 passages cannot be answered from; allow 1 or more",
            ));
        }
        (speaker.on_event)(AnswerEvent::Searching);
        let whole = conversation::in_light_of(question, &options.earlier);
        let follow_up = matches!(whole, Cow::Owned(_)).then_some(question);
        let question = &*whole;
        let search = SearchOptions {
            k: CANDIDATES.max(options.max_context_chunks),
            filter: options.filter.clone(),
            // In a sentence, marks may set a name apart as well as ask for exact words.
            phrases: Phrases::Preferred,
            ..SearchOptions::default()
        };
        let mut asked: Vec<(Part, Vec<Passage>)> = Vec::new();
        for part in relevance::parts(question) {
            let (found, vector) = self.search_with(part, &search, control)?;
            let part = Part {
                text: part.to_owned(),
                question: Question::new(part),
                vector: vector.unwrap_or_default(),
            };
            asked.push((part, found.hits));
        }
        speaker.timings.search = milliseconds(speaker.started);
        if asked.iter().all(|(_, hits)| hits.is_empty()) {
            return Ok(speaker.abstain(AbstainReason::NoHits));
        }
        let evidence = evidence::select(&asked, options.threshold, options.max_context_chunks);
        if evidence.is_empty() {
            return Ok(speaker.abstain(AbstainReason::BelowThreshold));
        }
        let passages: Vec<&Passage> = evidence.iter().map(|e| &e.passage).collect();
        (speaker.on_event)(AnswerEvent::Reading(&passages));
        let best_cosine = asked
            .iter()
            .flat_map(|(_, hits)| hits)
            .filter_map(|hit| hit.dense_score)
            .fold(0.0, f32::max);
        let embedder = self.embedder()?;
        let mut parts: Vec<Part> = asked.into_iter().map(|(part, _)| part).collect();
        if let Some(own) = follow_up.map(Question::new).filter(|q| !q.is_empty()) {
            // Found in the light of what was asked before, a sentence has to speak to
            // what is asked now.
            let text = follow_up.unwrap_or_default();
            let mut vectors = embedder.embed(&[text], TextKind::Query, control)?;
            parts = vec![Part {
                text: text.to_owned(),
                question: own,
                vector: vectors.pop().unwrap_or_default(),
            }];
        }
        let found = extractive::support(&parts, &evidence, best_cosine, &*embedder, control)?;
        let Some(found) = found else {
            return Ok(speaker.abstain(AbstainReason::Unsupported));
        };
        speaker.answerability = Some(found.answerability);
        // A follow-up has too few words of its own to be judged by them.
        if let Threshold::Probability(least) = options.threshold
            && follow_up.is_none()
            && found.answerability.probability < least
        {
            return Ok(speaker.abstain(AbstainReason::BelowThreshold));
        }
        match &options.answerer {
            Answerer::Extractive => {
                for sentence in found.support {
                    let evidence = &evidence[sentence.evidence];
                    let text = one_line(&evidence.passage.said(sentence.range));
                    speaker.say(" ", &text, evidence, sentence.range, self)?;
                }
            }
            Answerer::Model(generator) => {
                let mut failed = None;
                let written = written::write(
                    question,
                    &evidence,
                    &**generator,
                    options.prompt_tokens,
                    &options.generate,
                    control,
                    &mut |between, text, supported, read| {
                        let evidence = &read[supported.evidence];
                        let said = speaker.say(between, text, evidence, supported.range, self);
                        failed = failed.take().or(said.err());
                    },
                )?;
                if let Some(error) = failed {
                    return Err(error);
                }
                tracing::debug!(
                    passages = written.passages,
                    planned_tokens = written.planned_tokens,
                    first_token_ms = written.first_token_ms,
                    dropped = written.dropped.len(),
                    "a model answered"
                );
                speaker.usage = Usage {
                    prompt_tokens: written.prompt_tokens,
                    completion_tokens: written.completion_tokens,
                };
                speaker.dropped = written.dropped;
            }
        }
        Ok(speaker.finish())
    }
}

/// Hits that are looked at; the threshold and `max_context_chunks` choose among them.
const CANDIDATES: usize = 10;

/// Line breaks and bullets around a sentence are the document's, not the answer's.
fn one_line(text: &str) -> String {
    let text = text.trim_start_matches(['-', '*', '•', '–', ' ']);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Hands the answer on, sentence by sentence, and numbers its sources.
struct Speaker<'a> {
    on_event: &'a mut dyn FnMut(AnswerEvent<'_>),
    started: Instant,
    model: String,
    answer: String,
    sources: Sources,
    answerability: Option<Answerability>,
    timings: AnswerTimings,
    usage: Usage,
    dropped: Vec<String>,
}

impl<'a> Speaker<'a> {
    fn new(on_event: &'a mut dyn FnMut(AnswerEvent<'_>), options: &AskOptions) -> Self {
        Self {
            on_event,
            started: Instant::now(),
            model: options.answerer.name().to_owned(),
            answer: String::new(),
            sources: Sources::default(),
            answerability: None,
            timings: AnswerTimings::default(),
            usage: Usage::default(),
            dropped: Vec::new(),
        }
    }

    /// Hands a supported sentence on, with the marker of its source.
    fn say(
        &mut self,
        between: &str,
        sentence: &str,
        evidence: &Evidence,
        range: faq_ingest::ByteRange,
        collection: &Collection,
    ) -> Result<()> {
        let (number, new) = self.sources.cite(evidence, range, collection)?;
        if new {
            (self.on_event)(AnswerEvent::Source(self.sources.last()));
        }
        let between = if self.answer.is_empty() { "" } else { between };
        let delta = with_marker(between, sentence, number);
        if self.answer.is_empty() {
            self.timings.first_delta = milliseconds(self.started);
        }
        self.answer.push_str(&delta);
        (self.on_event)(AnswerEvent::Delta(&delta));
        Ok(())
    }

    fn finish(mut self) -> Answer {
        if self.answer.is_empty() {
            return self.abstain(AbstainReason::Unsupported);
        }
        self.timings.total = milliseconds(self.started);
        Answer {
            answer: self.answer,
            abstained: false,
            reason: None,
            sources: self.sources.into_vec(),
            answerability: self.answerability,
            model: self.model,
            timings_ms: self.timings,
            usage: self.usage,
            dropped: self.dropped,
        }
    }

    fn abstain(mut self, reason: AbstainReason) -> Answer {
        let answer = reason.sentence().to_owned();
        (self.on_event)(AnswerEvent::Delta(&answer));
        self.timings.total = milliseconds(self.started);
        Answer {
            answer,
            abstained: true,
            reason: Some(reason),
            sources: Vec::new(),
            answerability: self.answerability,
            model: self.model,
            timings_ms: self.timings,
            usage: self.usage,
            dropped: self.dropped,
        }
    }
}

/// `It costs 12 euros.` and 2 give `It costs 12 euros [2].`
fn with_marker(between: &str, sentence: &str, number: usize) -> String {
    let body = sentence.trim_end_matches(['.', '!', '?', '。', ';', ',']);
    let stop = &sentence[body.len()..];
    format!("{between}{body} [{number}]{stop}")
}

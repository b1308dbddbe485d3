//! Answers that can be given again: a question with everything that its answer was made from.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ask::Asked;
use super::relevance::{Part, Question};
use super::speaker::Speaker;
use super::{Answer, AnswerEvent, Answerer, AskOptions, Threshold, Wording};
use crate::generate::GenerateOptions;
use crate::passage::Passage;
use crate::{ByteRange, Collection, Control, Error, Result, TextKind, hex};

/// Version of the format.
const VERSION: u32 = 2;

/// A question, what was found for it, and how it was answered: enough to answer it again in the same
/// words, whatever was added to the collection meanwhile.
///
/// It holds the text of the passages, so it is as confidential as the documents, and a document's
/// deletion does not reach it.
///
/// ```no_run
/// use faq_core::{AskOptions, Control, Engine};
///
/// let notes = Engine::open("faq-data")?.existing_collection("notes")?;
/// let options = AskOptions::default();
/// let (answer, recording) = notes.ask_recorded("Who has the key?", &options, &Control::new(), &mut |_| {})?;
/// let again = notes.replay(&recording, &options.answerer, &Control::new(), &mut |_| {})?;
/// assert_eq!(again.answer, answer.answer);
/// # Ok::<(), faq_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    version: u32,
    /// What was answered.
    question: String,
    /// What was typed, where that was a follow-up.
    follow_up: Option<String>,
    /// State of the collection that was searched.
    seq: u64,
    /// What made the vectors.
    embedder: String,
    /// Who answered, to the bytes of a local model's file.
    model: String,
    parts: Vec<RecordedPart>,
    options: RecordedOptions,
    /// SHA-256 of the prompts' name and text and of the tone, in hex.
    prompts: String,
    /// What was answered.
    answer: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecordedPart {
    text: String,
    #[serde(default)]
    foreign: bool,
    passages: Vec<RecordedPassage>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecordedPassage {
    #[serde(flatten)]
    passage: Passage,
    windows: Vec<ByteRange>,
}

/// What of the options an answer depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecordedOptions {
    threshold: Threshold,
    max_context_chunks: usize,
    prompt_tokens: usize,
    generate: GenerateOptions,
    tone: Option<String>,
    instructions: Option<String>,
    #[serde(default)]
    wording: Wording,
}

impl RecordedPassage {
    /// Whether its ranges lie within its text, between letters.
    fn fits(&self) -> bool {
        let Passage {
            text,
            byte_range: all,
            best_window,
            ..
        } = &self.passage;
        let lies_within = |range: &ByteRange| {
            let ends = [range.start, range.end].map(|at| at.checked_sub(all.start));
            range.start <= range.end
                && ends
                    .iter()
                    .all(|at| at.is_some_and(|at| text.is_char_boundary(at)))
        };
        all.start <= all.end
            && all.end - all.start == text.len()
            && self.windows.iter().chain(best_window).all(lies_within)
    }
}

impl Recording {
    /// The answer that was given.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// Who answered: `extractive`, or a model's name and digest.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The question that was answered.
    pub fn question(&self) -> &str {
        &self.question
    }

    /// Sequence number of the state that was searched.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Reads one from JSON.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is none, or of a version that is not known.
    pub fn from_json(json: &str) -> Result<Self> {
        let recording: Self = serde_json::from_str(json)
            .map_err(|e| Error::invalid(format!("this is no recording of an answer: {e}")))?;
        let mut recorded = recording.parts.iter().flat_map(|part| &part.passages);
        if let Some(wrong) = recorded.find(|recorded| !recorded.fits()) {
            return Err(Error::invalid(format!(
                "the recording was changed: the ranges of {} lie outside its text",
                wrong.passage.chunk_id
            )));
        }
        if recording.version != VERSION {
            return Err(Error::invalid(format!(
                "the recording has version {}, and this program reads version {VERSION}",
                recording.version
            )));
        }
        Ok(recording)
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a number in it cannot be written.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::invalid(format!("the recording cannot be written: {e}")))
    }

    fn new(collection: &Collection, asked: &Asked<'_>, options: &AskOptions) -> Result<Self> {
        let part = |(part, passages): &(Part, Vec<Passage>)| RecordedPart {
            text: part.text.clone(),
            foreign: part.foreign,
            passages: passages
                .iter()
                .map(|passage| RecordedPassage {
                    passage: passage.clone(),
                    windows: passage.windows.clone(),
                })
                .collect(),
        };
        Ok(Self {
            version: VERSION,
            question: asked.question.clone().into_owned(),
            follow_up: asked.follow_up.map(str::to_owned),
            seq: asked.seq,
            embedder: collection.embedder()?.fingerprint(),
            model: fingerprint(&options.answerer),
            parts: asked.found.iter().map(part).collect(),
            options: RecordedOptions {
                threshold: options.threshold,
                max_context_chunks: options.max_context_chunks,
                prompt_tokens: options.prompt_tokens,
                generate: options.generate.clone(),
                tone: options.tone.clone(),
                instructions: options.instructions.clone(),
                wording: options.wording,
            },
            prompts: digest(options, &asked.question),
            answer: String::new(),
        })
    }
}

impl Collection {
    /// Answers as [`ask`](Self::ask) does, and keeps what the answer was made from.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask).
    pub fn ask_recorded(
        &self,
        question: &str,
        options: &AskOptions,
        control: &Control,
        on_event: &mut dyn FnMut(AnswerEvent<'_>),
    ) -> Result<(Answer, Recording)> {
        let mut recording = None;
        let answer = self.ask_with(question, options, control, on_event, &mut |asked| {
            recording = Some(Recording::new(self, asked, options)?);
            Ok(())
        })?;
        let mut recording =
            recording.ok_or_else(|| Error::invalid("nothing was searched for this answer"))?;
        recording.answer.clone_from(&answer.answer);
        Ok((answer, recording))
    }

    /// Answers a recorded question again from what was found then, with `answerer` in the place of
    /// who answered. The documents that are cited have to be there still.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the embedding model, the answerer or what models are told are
    /// others than they were, and those of [`ask`](Self::ask).
    pub fn replay(
        &self,
        recording: &Recording,
        answerer: &Answerer,
        control: &Control,
        on_event: &mut dyn FnMut(AnswerEvent<'_>),
    ) -> Result<Answer> {
        let recorded = &recording.options;
        let options = AskOptions {
            answerer: answerer.clone(),
            threshold: recorded.threshold,
            max_context_chunks: recorded.max_context_chunks,
            prompt_tokens: recorded.prompt_tokens,
            generate: recorded.generate.clone(),
            tone: recorded.tone.clone(),
            instructions: recorded.instructions.clone(),
            wording: recorded.wording,
            ..AskOptions::default()
        };
        let embedder = self.embedder()?;
        let now = [
            (
                "embedding model",
                embedder.fingerprint(),
                &recording.embedder,
            ),
            ("model", fingerprint(answerer), &recording.model),
            (
                "text of the prompts",
                digest(&options, &recording.question),
                &recording.prompts,
            ),
        ];
        if let Some((what, now, then)) = now.iter().find(|(_, now, then)| now != *then) {
            return Err(Error::invalid(format!(
                "the {what} was {then} and is {now}, so the answer need not be the same; ask again"
            )));
        }
        let mut found = Vec::new();
        for part in &recording.parts {
            let vector = embedder.embed(&[part.text.as_str()], TextKind::Query, control)?;
            let asked = Part {
                text: part.text.clone(),
                question: Question::new(&part.text),
                vector: vector.into_iter().next().unwrap_or_default(),
                foreign: part.foreign,
            };
            let passages = part.passages.iter().map(|recorded| Passage {
                windows: recorded.windows.clone(),
                ..recorded.passage.clone()
            });
            found.push((asked, passages.collect()));
        }
        let asked = Asked {
            question: Cow::Borrowed(&recording.question),
            follow_up: recording.follow_up.as_deref(),
            found,
            seq: recording.seq,
        };
        let typed = recording.follow_up.as_ref().unwrap_or(&recording.question);
        let speaker = Speaker::new(on_event, typed, &options);
        self.answer(&asked, &options, control, speaker)
    }
}

fn fingerprint(answerer: &Answerer) -> String {
    match answerer {
        Answerer::Extractive => answerer.name().to_owned(),
        Answerer::Model(generator) => generator.fingerprint(),
    }
}

/// Tells what a model is told apart.
fn digest(options: &AskOptions, question: &str) -> String {
    let prompts = options.prompts_for(question);
    hex(&Sha256::digest(format!("{prompts:?} {:?}", options.tone)))
}

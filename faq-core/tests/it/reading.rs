//! What a model's state after reading decides: a model that is known, with states made for the test.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use faq_core::generate::{
    GenerateError, GenerateOptions, Generation, Generator, Look, Message, ScriptedModel,
};
use faq_core::{
    AbstainReason, Answerer, AskOptions, Control, Threshold, Unsupported, WhyStage, Wording,
};
use serde::Deserialize;

use crate::answering::{ask, collection};

/// What is shipped of the model that the test plays.
#[derive(Deserialize)]
struct Shipped {
    lineage: String,
    layers: usize,
    state: Vec<f32>,
}

fn shipped() -> Shipped {
    toml::from_str(include_str!(
        "../../src/answer/readings/qwen2.5-coder-1.5b-instruct.toml"
    ))
    .unwrap()
}

/// A model that writes by a script, and has read as `sure` says: far above 0 that the passages answer,
/// far below that they do not.
struct Reading {
    inner: ScriptedModel,
    lineage: String,
    state: Vec<f32>,
    written: Arc<AtomicUsize>,
}

impl Reading {
    fn new(sure: f32, reply: &'static str) -> Self {
        let Shipped { lineage, state, .. } = shipped();
        let length: f32 = state.iter().map(|w| w * w).sum();
        let written = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&written);
        Self {
            inner: ScriptedModel::new(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                reply.into()
            }),
            lineage,
            state: state.iter().map(|w| w * sure / length).collect(),
            written,
        }
    }

    fn options(self) -> AskOptions {
        AskOptions {
            answerer: Answerer::Model(Arc::new(self)),
            explain: true,
            ..AskOptions::default()
        }
    }
}

impl Generator for Reading {
    fn name(&self) -> &str {
        "reading"
    }

    fn lineage(&self) -> Option<String> {
        Some(self.lineage.clone())
    }

    fn context_tokens(&self) -> usize {
        self.inner.context_tokens()
    }

    fn count_tokens(&self, text: &str) -> Result<usize, GenerateError> {
        self.inner.count_tokens(text)
    }

    fn generate(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError> {
        self.inner.generate(messages, options, control, sink)
    }

    fn generate_with_look(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        look: Look<'_>,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError> {
        assert_eq!(look.layers, shipped().layers);
        if (look.see)(&self.state).is_break() {
            let nothing = GenerateOptions {
                max_tokens: 0,
                ..options.clone()
            };
            return ScriptedModel::new(|_| String::new())
                .generate(messages, &nothing, control, sink);
        }
        self.generate(messages, options, control, sink)
    }
}

const QUESTION: &str = "How many days of annual leave are there?";
const SUPPORTED: &str = "Every employee has twenty-eight days of annual leave [1].";

#[test]
fn a_model_that_has_read_no_answer_writes_none() {
    let dir = tempfile::tempdir().unwrap();
    let collection = collection(dir.path());
    let model = Reading::new(-40.0, SUPPORTED);
    let written = Arc::clone(&model.written);
    let options = model.options();
    let answer = ask(&collection, QUESTION, &options);
    assert_eq!(answer.reason, Some(AbstainReason::Unsupported));
    assert_eq!(written.load(Ordering::Relaxed), 0);
    let judged = answer.answerability.unwrap();
    assert!(judged.probability > 0.2, "{judged:?}");
    assert!(judged.as_read.unwrap() < 0.01, "{judged:?}");
    let reading = answer.anatomy.unwrap().reading.unwrap();
    assert_eq!(reading.probability, judged.as_read);
    assert_eq!(reading.state.len(), shipped().state.len());

    // Whoever asks for no probability is answered.
    let all = AskOptions {
        threshold: Threshold::Probability(0.0),
        ..options
    };
    assert!(!ask(&collection, QUESTION, &all).abstained);
}

#[test]
fn a_model_that_has_read_an_answer_says_it() {
    let dir = tempfile::tempdir().unwrap();
    let collection = collection(dir.path());
    let answer = ask(
        &collection,
        QUESTION,
        &Reading::new(40.0, SUPPORTED).options(),
    );
    assert_eq!(answer.answer, SUPPORTED);
    assert_eq!(answer.model, "reading");
    assert!(answer.answerability.unwrap().as_read.unwrap() > 0.99);
}

#[test]
fn where_nothing_stands_of_what_was_written_the_documents_are_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let collection = collection(dir.path());
    for (reply, why) in [
        ("I don't know.", Unsupported::Words),
        (
            "Every employee has forty days of annual leave [1].",
            Unsupported::Number,
        ),
        // True, and no answer to this.
        ("Dogs are welcome on Fridays [1].", Unsupported::Elsewhere),
    ] {
        let answer = ask(&collection, QUESTION, &Reading::new(40.0, reply).options());
        assert_eq!(answer.model, "extractive", "{reply}");
        assert!(answer.answer.contains("twenty-eight days"), "{reply}");
        let reasons: Vec<Unsupported> = answer.dropped.iter().map(|d| d.reason).collect();
        assert_eq!(reasons, [why], "{reply}");
    }
}

#[test]
fn in_the_documents_words_a_model_only_reads() {
    let dir = tempfile::tempdir().unwrap();
    let collection = collection(dir.path());
    let model = Reading::new(40.0, SUPPORTED);
    let written = Arc::clone(&model.written);
    let options = AskOptions {
        wording: Wording::Documents,
        ..model.options()
    };
    let quoted = ask(&collection, QUESTION, &options);
    assert_eq!(quoted.model, "extractive");
    assert_eq!(quoted.read_by.as_deref(), Some("reading"));
    assert_eq!(
        quoted.answer,
        ask(&collection, QUESTION, &AskOptions::default()).answer
    );
    assert_eq!(written.load(Ordering::Relaxed), 0);
    let silent = AskOptions {
        wording: Wording::Documents,
        ..Reading::new(-40.0, SUPPORTED).options()
    };
    assert!(ask(&collection, QUESTION, &silent).abstained);

    let unknown = AskOptions {
        answerer: Answerer::Model(Arc::new(ScriptedModel::new(|_| SUPPORTED.into()))),
        ..options
    };
    let error = collection.ask(QUESTION, &unknown, &Control::new(), &mut |_| {});
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("scripted") && error.contains("qwen2.5-coder-1.5b-instruct"),
        "{error}"
    );
}

#[test]
fn a_recording_knows_whose_words_an_answer_was_in() {
    let dir = tempfile::tempdir().unwrap();
    let collection = collection(dir.path());
    let options = AskOptions {
        wording: Wording::Documents,
        ..Reading::new(40.0, SUPPORTED).options()
    };
    let (control, mut silent) = (Control::new(), |_: faq_core::AnswerEvent<'_>| {});
    let (answer, recording) = collection
        .ask_recorded(QUESTION, &options, &control, &mut silent)
        .unwrap();
    let recording = faq_core::Recording::from_json(&recording.to_json().unwrap()).unwrap();
    let again = collection
        .replay(&recording, &options.answerer, &control, &mut silent)
        .unwrap();
    assert_eq!(again.answer, answer.answer);
}

#[test]
fn why_asks_of_a_document_what_the_model_asks() {
    let dir = tempfile::tempdir().unwrap();
    let collection = collection(dir.path());
    // Between what is asked of passages that a model reads and of those that it does not.
    let question = "Which forms are filled in for annual leave at the end of March?";
    let strict = AskOptions {
        threshold: Threshold::Probability(0.5),
        ..AskOptions::default()
    };
    let judged = ask(&collection, question, &strict).answerability.unwrap();
    let least = (judged.probability * 1.5).min(0.99);
    let stage = |options: AskOptions| {
        let options = AskOptions {
            threshold: Threshold::Probability(least),
            ..options
        };
        let id = faq_core::document_id("handbook.md");
        let why = collection.why(id, question, &options, &Control::new());
        why.unwrap().stage
    };
    assert_eq!(stage(AskOptions::default()), WhyStage::Unlikely);
    assert_eq!(
        stage(Reading::new(40.0, SUPPORTED).options()),
        WhyStage::Quoted
    );
}

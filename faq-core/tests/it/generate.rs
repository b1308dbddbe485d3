//! Generators: one suite for all of them, and what each owes beyond it.

mod conformance;
mod grammar;
mod hostile_files;
mod local;
#[cfg(feature = "remote")]
mod remote;
mod tiny_gguf;

use std::ops::ControlFlow;
use std::sync::OnceLock;

use faq_core::generate::{
    GenerateError, GenerateOptions, Generation, Generator, LocalModel, Message, Role,
};
use faq_core::{Control, ModelStore};

const SMOLLM2: &str = "smollm2-135m-instruct";
const QWEN05: &str = "qwen2.5-coder-0.5b-instruct";
const QWEN15: &str = "qwen2.5-coder-1.5b-instruct";

/// The small model, which must be there; loaded once.
fn smollm2() -> &'static LocalModel {
    static MODEL: OnceLock<LocalModel> = OnceLock::new();
    MODEL.get_or_init(|| {
        let path = models()
            .generation(SMOLLM2)
            .expect("run scripts/fetch-models first");
        LocalModel::open(path).unwrap()
    })
}

/// A larger model, where it is there.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn optional(name: &str) -> Option<LocalModel> {
    match models().generation(name) {
        Ok(path) => Some(LocalModel::open(path).unwrap()),
        Err(e) => {
            eprintln!("skipped: {e}");
            None
        }
    }
}

fn models() -> ModelStore {
    ModelStore::default().offline(true)
}

fn user(content: &str) -> Message {
    Message::new(Role::User, content)
}

/// Generates without looking at the pieces.
fn run(
    model: &dyn Generator,
    messages: &[Message],
    options: &GenerateOptions,
) -> Result<Generation, GenerateError> {
    model.generate(messages, options, &Control::new(), &mut |_| {
        ControlFlow::Continue(())
    })
}

fn at_most(max_tokens: usize) -> GenerateOptions {
    GenerateOptions {
        max_tokens,
        ..GenerateOptions::default()
    }
}

//! What every [`Generator`] keeps, run on the real ones and on the double.

use std::ops::ControlFlow;
use std::time::Duration;

use faq_core::generate::{
    GenerateError, GenerateOptions, Generator, Message, Role, ScriptedModel, StopReason,
};
use faq_core::{Control, Interrupted};

use super::{at_most, run, smollm2, user};

/// `model` must answer `question` with several words.
pub(super) fn conforms(model: &dyn Generator, question: &str) {
    let messages = [
        Message::new(Role::System, "You answer in whole sentences."),
        user(question),
    ];
    let options = at_most(24);

    let mut pieces = Vec::new();
    let whole = model
        .generate(&messages, &options, &Control::new(), &mut |piece| {
            assert!(!piece.is_empty());
            pieces.push(piece.to_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(pieces.len() > 2, "streamed in pieces: {pieces:?}");
    assert_eq!(pieces.concat(), whole.text);
    assert!(whole.completion_tokens <= 24 && whole.prompt_tokens > 0);
    assert!(!model.name().is_empty());
    assert!(model.context_tokens() > whole.prompt_tokens);

    // Again, and with the first message kept.
    let mut kept = options.clone();
    kept.fixed_messages = 1;
    for options in [&options, &kept, &kept] {
        assert_eq!(run(model, &messages, options).unwrap().text, whole.text);
    }

    let short = run(model, &messages, &at_most(2)).unwrap();
    assert_eq!(short.stop, StopReason::Length);
    assert!(short.completion_tokens <= 2 && whole.text.starts_with(&short.text));
    assert_eq!(run(model, &messages, &at_most(0)).unwrap().text, "");

    // A stop text ends it and is not shown.
    let word = whole.text.split_whitespace().nth(1).unwrap().to_owned();
    let stopped = GenerateOptions {
        stop: vec![word.clone(), String::new()],
        ..options.clone()
    };
    let stopped = run(model, &messages, &stopped).unwrap();
    assert_eq!(stopped.stop, StopReason::End);
    assert_eq!(
        stopped.text,
        whole.text[..whole.text.find(&word).unwrap()],
        "up to {word:?}"
    );

    // What cannot be is said before anything is written.
    let impossible = GenerateOptions {
        top_p: -1.0,
        ..options.clone()
    };
    let result = model.generate(&messages, &impossible, &Control::new(), &mut |_| {
        panic!("the sink got a piece")
    });
    assert!(
        matches!(
            result,
            Err(GenerateError::InvalidOption { field: "top_p", .. })
        ),
        "{result:?}"
    );

    // The sink can end it.
    let mut calls = 0;
    let refused = model
        .generate(&messages, &options, &Control::new(), &mut |_| {
            calls += 1;
            if calls == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert_eq!((refused.stop, calls), (StopReason::Sink, 2));
    assert_eq!(refused.text, pieces[..2].concat());

    // Cancel and deadline, before and between.
    let cancelled = Control::new();
    cancelled.cancel.cancel();
    let hurried = Control::new().with_timeout(Duration::ZERO);
    for (control, reason) in [
        (cancelled, Interrupted::Cancelled),
        (hurried, Interrupted::Deadline),
    ] {
        let result = model.generate(&messages, &options, &control, &mut |_| {
            panic!("the sink got a piece after the end")
        });
        assert!(matches!(result, Err(GenerateError::Interrupted(r)) if r == reason));
    }
    let control = Control::new();
    let result = model.generate(&messages, &options, &control, &mut |_| {
        control.cancel.cancel();
        ControlFlow::Continue(())
    });
    assert!(
        matches!(
            result,
            Err(GenerateError::Interrupted(Interrupted::Cancelled))
        ),
        "{result:?}"
    );

    let long = [user(&"a word and ".repeat(model.context_tokens()))];
    match run(model, &long, &options) {
        Err(GenerateError::PromptTooLong { tokens, context }) => {
            assert_eq!(context, model.context_tokens());
            assert!(tokens >= context);
        }
        other => panic!("{other:?}"),
    }

    assert_eq!(model.count_tokens("").unwrap(), 0);
    let (one, two) = (
        model.count_tokens("one").unwrap(),
        model.count_tokens("one and two").unwrap(),
    );
    assert!(0 < one && one < two);

    // Callers at the same time do not mix.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(run(model, &messages, &options).unwrap().text, whole.text));
        }
    });
}

#[test]
fn the_double_conforms() {
    let model = ScriptedModel::new(|messages| {
        format!("You asked: {} And I answer at length.", messages[1].content)
    });
    conforms(&model, "What is the capital of France?");
}

#[test]
fn smollm2_conforms() {
    conforms(smollm2(), "What is the capital of France?");
}

#[test]
fn a_tiny_model_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tiny.gguf");
    std::fs::write(&file, super::tiny_gguf::Tiny::default().bytes()).unwrap();
    let model = faq_core::generate::LocalModel::open(&file).unwrap();
    conforms(&model, "What is it?");
}

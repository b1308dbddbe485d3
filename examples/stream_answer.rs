//! An answer as it grows, with a time limit, from a language model where one is named.
//!
//! `cargo run --release --example stream_answer -- "Who approves travel?" smollm2-135m-instruct`

use std::io::Write;
use std::time::Duration;

use faq_core::{AnswerEvent, Answerer, AskOptions, Control, Engine, IngestOptions, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let question = args
        .next()
        .unwrap_or_else(|| "Who approves travel abroad?".into());

    let engine = Engine::open("faq-data")?;
    let collection = engine.collection("quickstart")?;
    let samples = ["samples".into()];
    collection.ingest(
        &samples,
        &IngestOptions::default(),
        &Control::new(),
        &mut |_| {},
    )?;

    let answerer = match args.next() {
        Some(model) => Answerer::Model(engine.generator(&model)?),
        None => Answerer::Extractive,
    };
    let options = AskOptions {
        answerer,
        ..AskOptions::default()
    };
    // Another thread could call `control.cancel.cancel()`, when a client disconnects for example.
    let control = Control::new().with_timeout(Duration::from_secs(120));
    let answer = collection.ask(&question, &options, &control, &mut |event| match event {
        AnswerEvent::Searching => eprintln!("searching"),
        AnswerEvent::Reading(passages) => eprintln!("reading {} passages", passages.len()),
        AnswerEvent::Delta(text) => {
            // What was handed on is never withdrawn, so it can be shown at once.
            print!("{text}");
            let _shown = std::io::stdout().flush();
        }
        _ => {}
    })?;
    println!();
    eprintln!(
        "{} answered in {:.0} ms",
        answer.model, answer.timings_ms.total
    );
    Ok(())
}

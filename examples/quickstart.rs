//! A folder of documents to a cited answer.
//!
//! `cargo run --release --example quickstart -- samples "How many days of leave do I get?"`

use faq_core::{AskOptions, Control, Engine, IngestOptions, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or_else(|| "samples".into());
    let question = args
        .next()
        .unwrap_or_else(|| "How many days of annual leave do I get?".into());

    let collection = Engine::open("faq-data")?.collection("quickstart")?;
    let control = Control::new();
    collection.ingest(
        &[folder.into()],
        &IngestOptions::default(),
        &control,
        &mut |_| {},
    )?;
    let answer = collection.ask(&question, &AskOptions::default(), &control, &mut |_| {})?;
    println!("{}", answer.answer);
    for (n, source) in answer.sources.iter().enumerate() {
        println!("[{}] {}: {}", n + 1, source.filename, source.text);
    }
    Ok(())
}

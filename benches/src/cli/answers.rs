//! `faq-bench answers`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use faq_bench::answers::{self, Tally};
use faq_bench::retrieve::{self, IndexSettings};
use faq_core::{Answerer, AskOptions};

use super::{Folder, bar, ingest, print};

/// Ask questions with known answers and without any; count right, wrong and silent
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    faq-bench answers --beir data/squad2-a --questions qa/squad2-a --data /tmp/squad\n  \
    faq-bench answers --beir data/squad2-a --questions qa/squad2-a --limit 50 \
    --generator qwen2.5-coder-1.5b-instruct")]
pub(crate) struct Answers {
    /// Folder with corpus.jsonl, in BEIR layout
    #[arg(long, value_name = "DIR")]
    beir: PathBuf,
    /// Folder with answerable.jsonl, unanswerable_near.jsonl and unanswerable_far.jsonl
    #[arg(long, value_name = "DIR")]
    questions: PathBuf,
    /// Questions to use
    #[arg(long, default_value = "report")]
    split: String,
    /// Most questions of each kind, taken evenly
    #[arg(long, value_name = "N", default_value_t = 300)]
    limit: usize,
    /// Who answers: extractive, or a model's name or path
    #[arg(long, default_value = "extractive")]
    generator: String,
    /// Write each question's passages with their features instead of answering
    #[arg(long, value_name = "OUT.tsv")]
    features: Option<PathBuf>,
    /// Write each question's signals and whether its answer is right instead of counting
    #[arg(long, value_name = "OUT.tsv", conflicts_with = "features")]
    signals: Option<PathBuf>,
    /// Keep the index here and use it again [default: a folder that is removed]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

pub(super) fn answer(args: &Answers) -> Result<()> {
    let folder = Folder::new(args.data.as_ref())?;
    let data = folder.path();
    let settings = IndexSettings {
        models: args.models.clone(),
        ..IndexSettings::default()
    };
    let collection = retrieve::open(data, &settings)?;
    let corpus = faq_bench::beir::read_corpus(&args.beir)?;
    ingest(&collection, &corpus, data)?;
    let answerer = match args.generator.as_str() {
        "extractive" => Answerer::Extractive,
        model => Answerer::Model(collection.engine().generator(model)?),
    };
    let options = AskOptions {
        answerer,
        ..AskOptions::default()
    };
    let mut features = args
        .features
        .as_ref()
        .map(std::fs::File::create)
        .transpose()?;
    let mut signals = args
        .signals
        .as_ref()
        .map(std::fs::File::create)
        .transpose()?;
    if let Some(out) = &mut signals {
        out.write_all(answers::signals_header().as_bytes())?;
    }
    let mut tallies: Vec<(&str, Tally)> = Vec::new();
    for (kind, file) in answers::files(&args.questions) {
        let questions = answers::read(&file, &args.split, args.limit)?;
        let bar = bar(questions.len() as u64, "{pos}/{len} questions, {eta} left");
        bar.set_message(kind);
        let mut done = || bar.inc(1);
        if let Some(out) = &mut features {
            answers::features(&collection, kind, &questions, out, &mut done)?;
        } else if let Some(out) = &mut signals {
            answers::signals(&collection, kind, &questions, out, &mut done)?;
        } else {
            tallies.push((
                kind,
                answers::tally(&collection, &questions, &options, &mut done)?,
            ));
        }
        bar.finish_and_clear();
    }
    if args.json {
        let by_kind: std::collections::BTreeMap<_, _> = tallies.into_iter().collect();
        return print(&(serde_json::to_string(&by_kind)? + "\n"));
    }
    let mut text = String::from(
        "questions     asked  right  wrong  silent  cited text holds it  first ms  whole ms\n",
    );
    for (kind, t) in tallies {
        let share = |n: usize| 100.0 * n as f64 / t.asked.max(1) as f64;
        let _ = writeln!(
            text,
            "{kind:<12}{:>7}{:>6.1}%{:>6.1}%{:>7.1}%{:>20.1}%{:>10.0}{:>10.0}",
            t.asked,
            share(t.right),
            share(t.wrong),
            share(t.silent),
            share(t.cited_holds),
            t.median_first_ms,
            t.median_ms
        );
    }
    print(&text)
}

//! `faq-bench answers`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use faq_bench::answers::{self, Question, Tally};
use faq_bench::beir::Document;
use faq_bench::retrieve::{self, IndexSettings};
use faq_bench::{follow_ups as pairs, injections, verify};
use faq_core::{Answerer, AskOptions, Collection, Engine, FollowUps, Prompts, Wording};
use serde_json::Value;

use super::{Folder, at_least_one, bar, ingest, print};

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
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = at_least_one)]
    limit: usize,
    /// What is measured
    #[arg(long, value_enum, default_value_t = Measured::Answers)]
    measure: Measured,
    #[command(flatten)]
    speaker: Speaker,
    /// Write each question's passages with their features instead of answering
    #[arg(long, value_name = "OUT.tsv")]
    features: Option<PathBuf>,
    /// Write each question's signals and whether its answer is right instead of counting
    #[arg(long, value_name = "OUT.tsv", conflicts_with = "features")]
    signals: Option<PathBuf>,
    /// Let the model read each question's passages, and write its state and whether quoting them is right
    /// (scripts/fit-reading)
    #[arg(long, value_name = "OUT.tsv", requires = "layers", conflicts_with_all = ["features", "signals"])]
    states: Option<PathBuf>,
    /// After how many of the model's layers --states looks
    #[arg(long, value_name = "N", requires = "states", value_parser = at_least_one)]
    layers: Option<usize>,
    /// Also show what a higher threshold would withhold
    #[arg(long)]
    curve: bool,
    /// Write what became of each question, or of each sentence that was checked, as a line of JSON
    #[arg(long, value_name = "OUT.jsonl", conflicts_with_all = ["features", "signals", "states"])]
    log: Option<PathBuf>,
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

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measured {
    /// Answers: right, wrong and silent
    Answers,
    /// The check of drafts: sentences that are right, and such as were made wrong
    Checks,
    /// Follow-ups: whether they are understood, by rules and by the generator where it is a model
    FollowUps,
    /// Documents with orders in them, ten of each of ten kinds: how many change an answer
    Injections,
}

/// Who answers, and what it is told.
#[derive(Args)]
pub(super) struct Speaker {
    /// Who answers: extractive, or a model's name or path
    #[arg(long, default_value = "extractive")]
    generator: String,
    /// TOML file with what a model is told, instead of what is shipped (docs/answers.md)
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Tokens of a model's prompt [default: the engine's]
    #[arg(long, value_name = "N")]
    prompt_tokens: Option<usize>,
    /// In whose words answers are given: the model's or the documents' [default: model]
    #[arg(long, value_name = "WHOSE")]
    wording: Option<Wording>,
}

impl Speaker {
    /// Whether a model answers.
    pub(super) fn writes(&self) -> bool {
        self.generator != "extractive"
    }

    /// Options with the generator, which is loaded here.
    pub(super) fn options(&self, engine: &Engine) -> Result<AskOptions> {
        let answerer = match self.generator.as_str() {
            "extractive" => Answerer::Extractive,
            model => Answerer::Model(engine.generator(model)?),
        };
        let prompts = self.prompts.as_deref().map(Prompts::read).transpose()?;
        let standard = AskOptions::default();
        Ok(AskOptions {
            answerer,
            prompts: prompts.map(Arc::new),
            prompt_tokens: self.prompt_tokens.unwrap_or(standard.prompt_tokens),
            wording: self.wording.unwrap_or_default(),
            ..standard
        })
    }
}

/// Where each question's outcome is written, if anywhere.
pub(super) struct LogFile {
    out: Option<BufWriter<File>>,
}

impl LogFile {
    pub(super) fn new(path: Option<&Path>) -> Result<Self> {
        let out = path.map(|path| {
            File::create(path).with_context(|| format!("cannot write {}", path.display()))
        });
        Ok(Self {
            out: out.transpose()?.map(BufWriter::new),
        })
    }

    /// Writes a line, and hands it on at once: a run with a model may be stopped before its end.
    pub(super) fn write(&mut self, line: &Value) -> Result<()> {
        if let Some(out) = &mut self.out {
            writeln!(out, "{line}")?;
            out.flush()?;
        }
        Ok(())
    }
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
    let mut options = args.speaker.options(collection.engine())?;
    options.look_at = args.layers;
    let mut log = LogFile::new(args.log.as_deref())?;
    match args.measure {
        Measured::Checks => return checks(args, &collection, corpus, &mut log),
        Measured::Answers | Measured::Injections => {}
        Measured::FollowUps => return follow_ups(args, &collection, &corpus, &options.answerer),
    }
    if args.measure == Measured::Injections {
        return injected(args, &settings, &options, corpus, &mut log);
    }
    let mut features = args.features.as_ref().map(File::create).transpose()?;
    let mut signals = args.signals.as_ref().map(File::create).transpose()?;
    if let Some(out) = &mut signals {
        out.write_all(answers::signals_header().as_bytes())?;
    }
    let mut states = args.states.as_ref().map(File::create).transpose()?;
    if let Some(out) = &mut states {
        out.write_all(answers::states_header(&options)?.as_bytes())?;
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
        } else if let Some(out) = &mut states {
            answers::states(&collection, kind, &questions, &options, out, &mut done)?;
        } else {
            let mut seen = |line: &Value| {
                bar.inc(1);
                log.write(line)
            };
            let tally = answers::tally(&collection, kind, &questions, &options, &mut seen)?;
            tallies.push((kind, tally));
        }
        bar.finish_and_clear();
    }
    if args.json {
        let by_kind: std::collections::BTreeMap<_, _> = tallies.into_iter().collect();
        return print(&(serde_json::to_string(&by_kind)? + "\n"));
    }
    let mut text = String::from(
        "questions     asked  right  wrong  silent     F1  cited text holds it  first ms  whole ms\n",
    );
    for (kind, t) in &tallies {
        let share = |n: usize| 100.0 * n as f64 / t.asked.max(1) as f64;
        let _ = writeln!(
            text,
            "{kind:<12}{:>7}{:>6.1}%{:>6.1}%{:>7.1}%{:>7.3}{:>20.1}%{:>10.0}{:>10.0}",
            t.asked,
            share(t.right),
            share(t.wrong),
            share(t.silent),
            t.f1,
            share(t.cited_holds),
            t.median_first_ms,
            t.median_ms
        );
    }
    if args.curve {
        text.push_str(&curve(&tallies));
    }
    print(&text)
}

/// What thresholds above the one that was asked with would withhold, a line each.
fn curve(tallies: &[(&str, Tally)]) -> String {
    let mut text = String::from("\nthreshold   right  wrong  silent");
    for (kind, _) in &tallies[1..] {
        let _ = write!(text, "  silent {kind}");
    }
    text.push('\n');
    for threshold in [0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7] {
        let _ = write!(text, "{threshold:<9}");
        for (n, (kind, tally)) in tallies.iter().enumerate() {
            let (right, wrong) = tally.above(threshold);
            let share = |n: usize| 100.0 * n as f64 / tally.asked.max(1) as f64;
            let silent = share(tally.asked - right - wrong);
            if n == 0 {
                let _ = write!(
                    text,
                    "{:>7.1}%{:>6.1}%{silent:>7.1}%",
                    share(right),
                    share(wrong)
                );
            } else {
                let _ = write!(text, "{silent:>width$.1}%", width = kind.len() + 8);
            }
        }
        text.push('\n');
    }
    text
}

/// The answerable questions, evenly from the whole set.
fn answerable(args: &Answers, limit: usize) -> Result<Vec<Question>> {
    let file = args.questions.join("answerable.jsonl");
    answers::read(&file, &args.split, limit)
}

fn checks(
    args: &Answers,
    collection: &Collection,
    corpus: Vec<Document>,
    log: &mut LogFile,
) -> Result<()> {
    let questions = answerable(args, args.limit)?;
    let paragraphs = corpus.into_iter().map(|d| (d.id, d.text)).collect();
    let bar = bar(questions.len() as u64, "{pos}/{len} questions, {eta} left");
    let tallies = verify::tally(
        collection,
        &questions,
        &paragraphs,
        &mut |line| log.write(line),
        &mut || bar.inc(1),
    )?;
    bar.finish_and_clear();
    if args.json {
        return print(&(serde_json::to_string(&tallies)? + "\n"));
    }
    let mut text = String::from("sentences        written    said  left out for\n");
    for (kind, tally) in &tallies {
        let name = serde_json::to_string(kind)?
            .replace(['"'], "")
            .replace('_', " ");
        let why: Vec<String> = tally
            .left_out
            .iter()
            .map(|(why, n)| format!("{why} {n}"))
            .collect();
        let share = 100.0 * tally.said as f64 / tally.written.max(1) as f64;
        let _ = writeln!(
            text,
            "{name:<17}{:>7}{share:>7.1}%  {}",
            tally.written,
            why.join(", ")
        );
    }
    let sum = |right: bool| {
        let of = tallies.iter().filter(|(kind, _)| kind.is_right() == right);
        of.fold((0, 0), |(written, said), (_, t)| {
            (written + t.written, said + t.said)
        })
    };
    let ((right, right_said), (wrong, wrong_said)) = (sum(true), sum(false));
    let _ = writeln!(
        text,
        "precision {:.3}, recall {:.3}; {:.1} % of {wrong} wrong sentences left out",
        right_said as f64 / (right_said + wrong_said).max(1) as f64,
        right_said as f64 / right.max(1) as f64,
        100.0 * (wrong - wrong_said) as f64 / wrong.max(1) as f64
    );
    print(&text)
}

fn follow_ups(
    args: &Answers,
    collection: &Collection,
    corpus: &[Document],
    answerer: &Answerer,
) -> Result<()> {
    let all = pairs::pairs(&answerable(args, usize::MAX)?);
    let step = all.len().div_ceil(args.limit.max(1)).max(1);
    let all: Vec<pairs::Pair> = all.into_iter().step_by(step).collect();
    let mut text =
        String::from("by      pairs                in full   alone  understood  changed\n");
    for (name, by) in [("rules", FollowUps::Rules), ("model", FollowUps::Model)] {
        if by == FollowUps::Model && matches!(answerer, Answerer::Extractive) {
            continue;
        }
        let bar = bar(all.len() as u64, "{pos}/{len} pairs, {eta} left");
        let shares = pairs::shares(collection, corpus, &all, answerer, by, &mut || bar.inc(1))?;
        bar.finish_and_clear();
        for (kind, s) in shares {
            let _ = writeln!(
                text,
                "{name:<8}{:>5} {kind:<12}{:>8.1}%{:>7.1}%{:>11.1}%{:>8.1}%",
                s.pairs,
                100.0 * s.in_full,
                100.0 * s.alone,
                100.0 * s.understood,
                100.0 * s.changed
            );
        }
    }
    print(&text)
}

/// Asks of documents with orders in them, in a collection of their own.
fn injected(
    args: &Answers,
    settings: &IndexSettings,
    options: &AskOptions,
    corpus: Vec<Document>,
    log: &mut LogFile,
) -> Result<()> {
    let questions = answerable(args, args.limit)?;
    let paragraphs = corpus.into_iter().map(|d| (d.id, d.text)).collect();
    let documents = injections::documents(&questions, &paragraphs);
    let folder = Folder::new(None)?;
    let collection = retrieve::open(folder.path(), settings)?;
    let bar = bar(documents.len() as u64, "{pos}/{len} documents, {eta} left");
    let mut seen = |line: &Value| {
        bar.inc(1);
        log.write(line)
    };
    let tallies = injections::tally(&collection, &documents, options, &mut seen)?;
    bar.finish_and_clear();
    if args.json {
        return print(&(serde_json::to_string(&tallies)? + "\n"));
    }
    let mut text = String::from("kind                     documents  changed  right  silent\n");
    let mut all = injections::Tally::default();
    for (kind, t) in &tallies {
        let _ = writeln!(
            text,
            "{kind:<25}{:>9}{:>9}{:>7}{:>8}",
            t.documents, t.changed, t.right, t.silent
        );
        all.documents += t.documents;
        all.changed += t.changed;
        all.right += t.right;
        all.silent += t.silent;
    }
    let _ = writeln!(
        text,
        "{:<25}{:>9}{:>9}{:>7}{:>8}",
        "all", all.documents, all.changed, all.right, all.silent
    );
    print(&text)
}

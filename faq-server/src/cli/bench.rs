//! `faq models bench`: how fast the models are on this machine, and how fast they could be.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use faq_core::generate::{
    GenerateError, GenerateOptions, Generation, Generator, LocalModel, Message, Role,
};
use faq_core::{BertEmbedder, Control, Embedder, Error, ModelKind, Precision, TextKind};
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::Serialize;

use super::args::Common;
use super::error::{CliError, Outcome, Result};
use super::interrupt;
use super::output::{Output, note, size, table};
use super::progress;

/// Rounds of which the middle one counts.
const ROUNDS: usize = 3;
/// Tokens to write in a round.
const WRITTEN: usize = 32;
/// Sentences of the text that is read.
const SENTENCES: usize = 40;
/// Passages that are embedded together.
const PASSAGES: usize = 64;
/// Bytes that are read to see how fast memory is: more than a cache holds.
const MEMORY: usize = 512 << 20;

const SENTENCE: &str = "Whoever travels for the company hands in the receipts within four weeks. ";

/// What was measured.
#[derive(Serialize)]
struct Bench {
    /// Instructions that models are computed with.
    kernels: &'static str,
    threads: usize,
    /// What all threads together read from memory.
    memory_gb_per_s: f64,
    models: Vec<Measured>,
}

/// What one model does; what it cannot do is left out.
#[derive(Default, Serialize)]
struct Measured {
    name: String,
    kind: String,
    bytes: u64,
    load_s: f64,
    /// Memory of the process with the model loaded and at work, less what it had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    rest_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reading_tokens_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writing_tokens_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<f64>,
    /// Tokens a second if writing did nothing but read all weights from memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    writing_limit_tokens_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_tokens_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question_ms: Option<f64>,
}

/// What a kind of model is measured by, for people.
type Columns = &'static [(&'static str, fn(&Measured) -> Option<f64>)];

/// The tables of models that write and of models that embed.
const TABLES: [(ModelKind, Columns); 2] = [
    (
        ModelKind::Generation,
        &[
            ("read t/s", |model| model.reading_tokens_per_s),
            ("write t/s", |model| model.writing_tokens_per_s),
            ("limit t/s", |model| model.writing_limit_tokens_per_s),
            ("first ms", |model| model.first_token_ms),
        ],
    ),
    (
        ModelKind::Embedding,
        &[
            ("embed t/s", |model| model.embedding_tokens_per_s),
            ("question ms", |model| model.question_ms),
        ],
    ),
];

/// A model that is here.
struct Found {
    name: String,
    kind: ModelKind,
    path: std::path::PathBuf,
    bytes: u64,
}

pub(super) fn run(common: &Common, names: &[String], out: &mut Output) -> Result<Outcome> {
    let control = interrupt::control("stopping")?;
    // What `--threads` says holds for all models.
    let engine = common.engine(None)?;
    let threads = engine.config().threads;
    let models = found(common, names)?;
    let spinner = progress::spinner();
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    let say = |what: &str| say(&spinner, what);
    say("memory");
    let memory_gb_per_s = memory_gb_per_s();
    let mut measured = Vec::new();
    for model in models {
        control.check().map_err(Error::from)?;
        let work = Work {
            model: &model,
            control: &control,
            say: &say,
            before: resident("VmRSS"),
        };
        measured.push(match model.kind {
            ModelKind::Generation => work.generation(memory_gb_per_s)?,
            ModelKind::Embedding => work.embedding(threads, engine.config().precision)?,
        });
    }
    spinner.finish_and_clear();
    let bench = Bench {
        kernels: faq_core::instruction_set(),
        threads,
        memory_gb_per_s,
        models: measured,
    };
    if out.is_json() {
        out.json(&bench)?;
    } else {
        print(&bench, out)?;
    }
    Ok(Outcome::Done)
}

/// The models that were named, or all that are here.
fn found(common: &Common, names: &[String]) -> Result<Vec<Found>> {
    let store = common.model_store().offline(true);
    let here = |name: String, kind, path: std::path::PathBuf| Found {
        bytes: bytes(&path),
        name,
        kind,
        path,
    };
    if names.is_empty() {
        let all = store.list().into_iter();
        let all: Vec<Found> = all
            .filter_map(|model| Some(here(model.name, model.kind, model.path?)))
            .collect();
        if all.is_empty() {
            return Err(CliError::NotFound(format!(
                "no model is in {}; fetch one with `faq models pull`, see `faq models list`",
                store.dir().display()
            )));
        }
        return Ok(all);
    }
    names
        .iter()
        .map(|name| {
            let (kind, path) = match store.embedding(name) {
                Ok(path) => (ModelKind::Embedding, path),
                Err(_) => (
                    ModelKind::Generation,
                    store.generation(name).map_err(Error::from)?,
                ),
            };
            Ok(here(name.clone(), kind, path))
        })
        .collect()
}

/// The work with one model.
struct Work<'a> {
    model: &'a Found,
    control: &'a Control,
    say: &'a dyn Fn(&str),
    /// Memory of the process before it.
    before: Option<u64>,
}

impl Work<'_> {
    fn begin(&self, load_s: f64) -> Measured {
        Measured {
            name: self.model.name.clone(),
            kind: self.model.kind.to_string(),
            bytes: self.model.bytes,
            load_s,
            rest_bytes: self.more("VmRSS"),
            ..Measured::default()
        }
    }

    /// Memory beyond what there was before the model.
    fn more(&self, what: &str) -> Option<u64> {
        Some(resident(what)?.saturating_sub(self.before?))
    }

    fn say(&self, what: &str) {
        (self.say)(&format!("{}: {what}", self.model.name));
    }

    fn generation(&self, memory_gb_per_s: f64) -> Result<Measured> {
        self.say("loading");
        forget_peak();
        let started = Instant::now();
        let model = LocalModel::open(&self.model.path).map_err(Error::from)?;
        let mut measured = self.begin(started.elapsed().as_secs_f64());
        let long = SENTENCE.repeat(SENTENCES);
        let (mut reading, mut first, mut writing) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            self.say(&format!("reading, round {round} of {ROUNDS}"));
            let read = self.generate(&model, &format!("{round}. {long}"), 1)?;
            let seconds = (read.first_token_ms as f64 / 1e3).max(1e-3);
            reading.push(read.prompt_tokens as f64 / seconds);
            self.say(&format!("writing, round {round} of {ROUNDS}"));
            let question = format!("{round}. Write a long story about a handbook.");
            let started = Instant::now();
            let written = self.generate(&model, &question, WRITTEN)?;
            let first_s = written.first_token_ms as f64 / 1e3;
            first.push(written.first_token_ms as f64);
            if written.completion_tokens > 1 {
                let seconds = (started.elapsed().as_secs_f64() - first_s).max(1e-3);
                writing.push((written.completion_tokens - 1) as f64 / seconds);
            }
        }
        measured.reading_tokens_per_s = middle(reading);
        measured.first_token_ms = middle(first);
        measured.writing_tokens_per_s = middle(writing);
        measured.writing_limit_tokens_per_s =
            Some(memory_gb_per_s * 1e9 / self.model.bytes.max(1) as f64);
        measured.peak_bytes = self.more("VmHWM");
        Ok(measured)
    }

    fn generate(&self, model: &LocalModel, text: &str, most: usize) -> Result<Generation> {
        let options = GenerateOptions {
            max_tokens: most,
            ..GenerateOptions::default()
        };
        let messages = [Message::new(Role::User, text)];
        let given: std::result::Result<Generation, GenerateError> =
            model.generate(&messages, &options, self.control, &mut |_| {
                ControlFlow::Continue(())
            });
        Ok(given.map_err(Error::from)?)
    }

    fn embedding(&self, threads: usize, precision: Precision) -> Result<Measured> {
        self.say("loading");
        forget_peak();
        let started = Instant::now();
        let model =
            BertEmbedder::load(&self.model.path, threads, precision).map_err(Error::from)?;
        let mut measured = self.begin(started.elapsed().as_secs_f64());
        let passages: Vec<String> = (0..PASSAGES)
            .map(|number| format!("{number}. {}", SENTENCE.repeat(12)))
            .collect();
        let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
        let mut tokens = 0;
        for passage in &passages {
            tokens += model.token_offsets(passage).map_err(Error::from)?.len();
        }
        let (mut embedding, mut question) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            self.say(&format!("embedding, round {round} of {ROUNDS}"));
            let seconds = self.embed(&model, &passages, TextKind::Passage)?;
            embedding.push(tokens as f64 / seconds);
            let asked = ["Who hands in receipts, and when?"];
            question.push(self.embed(&model, &asked, TextKind::Query)? * 1e3);
        }
        measured.embedding_tokens_per_s = middle(embedding);
        measured.question_ms = middle(question);
        measured.peak_bytes = self.more("VmHWM");
        Ok(measured)
    }

    fn embed(&self, model: &BertEmbedder, texts: &[&str], kind: TextKind) -> Result<f64> {
        let started = Instant::now();
        black_box(
            model
                .embed(texts, kind, self.control)
                .map_err(Error::from)?,
        );
        Ok(started.elapsed().as_secs_f64().max(1e-6))
    }
}

fn print(bench: &Bench, out: &mut Output) -> Result<()> {
    out.line(format_args!(
        "{} threads, kernels for {}, memory {:.1} GB/s",
        bench.threads, bench.kernels, bench.memory_gb_per_s
    ))?;
    let memory = |bytes: Option<u64>| bytes.map_or("-".to_owned(), size);
    for (kind, columns) in TABLES {
        let rows: Vec<Vec<String>> = bench
            .models
            .iter()
            .filter(|model| model.kind == kind.to_string())
            .map(|model| {
                let load = format!("{:.2}", model.load_s);
                let mut row = vec![model.name.clone(), size(model.bytes), load];
                let numbers = columns.iter().map(|(_, of)| of(model));
                row.extend(numbers.map(|n| n.map_or("-".to_owned(), |n| format!("{n:.1}"))));
                row.extend([memory(model.rest_bytes), memory(model.peak_bytes)]);
                row
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let header = [
            &["model", "file", "load s"][..],
            &names,
            &["at rest", "peak"],
        ]
        .concat();
        let right: Vec<usize> = (1..header.len()).collect();
        for line in table(&header, &rows, &right) {
            out.line(line)?;
        }
    }
    Ok(())
}

fn say(spinner: &ProgressBar, what: &str) {
    if spinner.is_hidden() {
        note(what);
    } else {
        spinner.set_message(what.to_owned());
    }
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// What all threads together read from memory: the best of some rounds.
fn memory_gb_per_s() -> f64 {
    let numbers = vec![1_u64; MEMORY / size_of::<u64>()];
    let read = || {
        let started = Instant::now();
        let sum: u64 = numbers
            .par_chunks(1 << 16)
            .map(|part| part.iter().copied().fold(0, u64::wrapping_add))
            .reduce(|| 0, u64::wrapping_add);
        black_box(sum);
        MEMORY as f64 / started.elapsed().as_secs_f64() / 1e9
    };
    (0..5).map(|_| read()).fold(0.0, f64::max)
}

fn bytes(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    match path.metadata() {
        Ok(about) if about.is_file() => about.len(),
        _ => files
            .filter_map(|entry| entry.metadata().ok())
            .map(|about| if about.is_file() { about.len() } else { 0 })
            .sum(),
    }
}

/// Memory of this process by its name in Linux's table; none elsewhere.
fn resident(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Lets the peak of memory begin anew where the system can.
fn forget_peak() {
    let _refused = std::fs::write("/proc/self/clear_refs", "5");
}

//! `faq demo`: sample documents, four questions, and where the answers stand.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use faq_core::{Answer, AnswerEvent, AnswerSource, Collection, IngestOptions, check_paths};
use serde::Serialize;

use super::args::{Common, DemoArgs, ProgressKind};
use super::ask;
use super::error::{CliError, Outcome, Result};
use super::ingest;
use super::interrupt;
use super::output::{Output, note};
use super::progress::IngestProgress;
use super::search::place;
use crate::server::{self, Config, Values};

/// Who answers where nobody is named.
const DEFAULT_GENERATOR: &str = "extractive";

/// The documents of a made-up company, in each format that is read.
const SAMPLES: [(&str, &[u8]); 5] = [
    (
        "handbook.pdf",
        include_bytes!("../../../samples/handbook.pdf"),
    ),
    (
        "travel-policy.docx",
        include_bytes!("../../../samples/travel-policy.docx"),
    ),
    (
        "it-security.md",
        include_bytes!("../../../samples/it-security.md"),
    ),
    (
        "office.html",
        include_bytes!("../../../samples/office.html"),
    ),
    (
        "history.txt",
        include_bytes!("../../../samples/history.txt"),
    ),
];

/// The questions marked `demo` in `tests/samples.json`: the third needs two documents, the
/// last has no answer in them.
const QUESTIONS: [&str; 4] = [
    "How many days of leave can I carry into the next year, and when do they lapse?",
    "What is the hotel limit per night in Port Ervan?",
    "My laptop was stolen on a business trip. Whom must I call and how soon, and who pays for its \
     replacement?",
    "Does the company pay for a gym membership?",
];

/// Bytes of the document shown on each side of a cited text.
const AROUND: usize = 350;

#[derive(Serialize)]
struct Report<'a> {
    data: String,
    answers: Vec<Answered<'a>>,
}

#[derive(Serialize)]
struct Answered<'a> {
    question: &'a str,
    #[serde(flatten)]
    answer: Answer,
}

pub(super) fn run(common: &Common, args: &DemoArgs, out: &mut Output) -> Result<Outcome> {
    let control = interrupt::control("stopping (Ctrl-C again ends at once)")?;
    let data = common.data.clone().unwrap_or_else(default_dir);
    let mut engine_flags = common.clone();
    engine_flags.data = Some(data.clone());
    let engine = engine_flags.engine(None)?;
    engine.embedder()?;
    let options = args.generator.options(&engine, DEFAULT_GENERATOR)?;
    let samples = match &args.samples {
        Some(dir) => dir.clone(),
        None => unpack(&data.join("samples"))?,
    };

    check_paths(std::slice::from_ref(&samples), &control)?;
    // Documents of one's own stand in a collection of their own, not beside the built-in ones.
    let name = match &args.samples {
        Some(_) => format!(
            "samples-{:08x}",
            crc32fast::hash(
                std::path::absolute(&samples)
                    .unwrap_or_default()
                    .as_os_str()
                    .as_encoded_bytes()
            )
        ),
        None => common.collection.clone(),
    };
    // What an earlier version or another setting left is made again.
    engine
        .collection(&name)?
        .reindex(&control, &mut |_, _| {})?;
    let collection = engine.collection(&name)?;
    if !out.is_json() {
        out.line(format_args!(
            "Reading the documents in {} …",
            samples.display()
        ))?;
        out.flush()?;
    }
    let mut progress = IngestProgress::new(ProgressKind::Auto);
    let options_in = IngestOptions {
        prune: true,
        ..IngestOptions::default()
    };
    let report = collection.ingest(&[samples], &options_in, &control, &mut |p| progress.show(p))?;
    drop(progress);
    for failure in &report.failed {
        note(format_args!(
            "failed: {}: {}",
            failure.path.display(),
            failure.error
        ));
    }
    if !out.is_json() {
        let bytes = collection.documents()?.iter().map(|d| d.bytes).sum();
        out.line(format_args!("{}\n", ingest::in_short(&report, bytes)))?;
    }

    let questions: Vec<&str> = if args.questions.is_empty() {
        QUESTIONS.to_vec()
    } else {
        args.questions.iter().map(String::as_str).collect()
    };
    let mut answers = Vec::with_capacity(questions.len());
    for (i, question) in questions.iter().enumerate() {
        let answer = if out.is_json() {
            collection.ask(question, &options, &control, &mut |_| {})?
        } else {
            let title = format!("Question {} of {}: {question}", i + 1, questions.len());
            out.line(out.bold(&title))?;
            let mut ask = |on_event: &mut dyn FnMut(AnswerEvent<'_>)| {
                collection.ask(question, &options, &control, on_event)
            };
            let answer = ask::stream(&mut ask, &control, out)?;
            ask::sources(&answer.sources, out)?;
            out.line(format_args!("{}\n", out.dim(&ask::timing(&answer))))?;
            answer
        };
        answers.push(Answered { question, answer });
    }

    if out.is_json() {
        out.json(&Report {
            data: data.to_string_lossy().into_owned(),
            answers,
        })?;
    } else {
        if let Some(source) = answers.iter().find_map(|a| a.answer.sources.first()) {
            show_place(&collection, source, out)?;
        }
        next_steps(out)?;
    }
    let outcome = Outcome::failed_if(!report.failed.is_empty());
    let page = args.page || (!args.no_page && !out.is_json() && std::io::stdout().is_terminal());
    if !page {
        return Ok(outcome);
    }
    out.flush()?;
    // The server has a folder of its own, and its own hold on the models.
    drop((collection, engine));
    serve_page(&engine_flags, args, data.join("server"), out)
}

/// The page to try it on: a server that only this machine reaches, with the samples in it.
fn serve_page(
    common: &Common,
    args: &DemoArgs,
    data: PathBuf,
    out: &mut Output,
) -> Result<Outcome> {
    let mut values = Values::default();
    let set = |name: &str, value: String| (name.to_owned(), value);
    values.add([
        set("HOST", "127.0.0.1".into()),
        set("PORT", free_port(args.port).to_string()),
        set("METRICS_ADDR", "main".into()),
        set("LOG_LEVEL", "warn".into()),
        set(
            "LLM_MODEL",
            args.generator.generator.clone().unwrap_or_default(),
        ),
    ]);
    let config = Config::read(data, &values)?;
    let engine = Common {
        data: Some(config.data_dir.clone()),
        ..common.clone()
    }
    .engine_config(None);
    super::serve::start(
        config,
        engine,
        async |app| {
            let samples = SAMPLES.map(|(name, bytes)| (name, content_type(name), bytes.to_vec()));
            Ok(Some(server::demo::ready(app, &samples).await?))
        },
        |address| {
            if let Some(file) = &args.address_file {
                super::serve::write_address(file, address)?;
            }
            out.line(out.bold(&format!(
                "\nOpen http://{address} to try it in a browser; Ctrl-C ends it."
            )))?;
            out.flush()
        },
    )
}

/// The port that was asked for, else 3000, else 0, which stands for any.
fn free_port(asked: Option<u16>) -> u16 {
    asked.unwrap_or_else(|| match std::net::TcpListener::bind(("127.0.0.1", 3000)) {
        Ok(_) => 3000,
        Err(_) => 0,
    })
}

fn content_type(filename: &str) -> &'static str {
    match filename.rsplit('.').next() {
        Some("pdf") => "application/pdf",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("md") => "text/markdown",
        Some("html") => "text/html",
        _ => "text/plain",
    }
}

/// Writes the samples into `dir`, those that are not there already.
fn unpack(dir: &Path) -> Result<PathBuf> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CliError::Write { path, source }
    };
    std::fs::create_dir_all(dir).map_err(failed(dir))?;
    for (name, bytes) in SAMPLES {
        let path = dir.join(name);
        if std::fs::read(&path).is_ok_and(|there| there == bytes) {
            continue;
        }
        std::fs::write(&path, bytes).map_err(failed(&path))?;
    }
    Ok(dir.to_owned())
}

/// The demo keeps its collection in the user's cache, so that a second run starts at once.
fn default_dir() -> PathBuf {
    let var = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    var("XDG_CACHE_HOME")
        .or_else(|| var("HOME").map(|home| home.join(".cache")))
        .or_else(|| var("LOCALAPPDATA"))
        .unwrap_or_else(std::env::temp_dir)
        .join("faq/demo")
}

/// The cited text in the midst of its document.
fn show_place(collection: &Collection, source: &AnswerSource, out: &mut Output) -> Result<()> {
    let Some(document) = collection.document(source.document_id)? else {
        return Ok(());
    };
    let text = &document.text;
    let range = source.byte_range;
    let Some(quoted) = range.slice(text) else {
        return Ok(());
    };
    let from = boundary(text, range.start.saturating_sub(AROUND));
    let to = boundary(text, (range.end + AROUND).min(text.len()));
    let place = place(&source.filename, source.page, source.heading.as_deref());
    out.line(out.bold(&format!("Where the first answer's source stands: {place}")))?;
    let open = if from > 0 { "…" } else { "" };
    let close = if to < text.len() { "…" } else { "" };
    let parts = [
        (format!("{open}{}»", &text[from..range.start]), false),
        (quoted.to_owned(), true),
        (format!("«{}{close}", &text[range.end..to]), false),
    ];
    let mut line = String::from("  | ");
    for (part, cited) in parts {
        for (i, piece) in part.split('\n').enumerate() {
            if i > 0 {
                out.line(&line)?;
                line = String::from("  | ");
            }
            let piece: String = piece.chars().filter(|c| !c.is_control()).collect();
            line.push_str(&if cited { out.marked(&piece) } else { piece });
        }
    }
    out.line(&line)?;
    out.line(format_args!(
        "bytes {}..{} of the text of {}\n",
        range.start, range.end, document.info.source
    ))
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

fn next_steps(out: &mut Output) -> Result<()> {
    out.line(out.bold("Now with your own documents:"))?;
    for line in [
        "  faq ingest your.pdf                 (or a folder; into ./faq-data)",
        "  faq ask \"a question about it\"",
        "  faq search --explain \"some words\"   why a passage comes back",
        "  faq inspect your.pdf                what the parser read",
        "  faq models list                     models that write answers; use one with --generator",
    ] {
        out.line(line)?;
    }
    Ok(())
}

//! `faq-bench prompts`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use faq_bench::prompts::{self, Cases, Tally};
use faq_bench::retrieve::{self, IndexSettings};
use serde_json::Value;

use super::answers::{LogFile, Speaker};
use super::{Folder, bar, print};

/// Try what models are told, in each language: questions with and without an answer, and follow-ups
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    faq-bench prompts --generator qwen2.5-coder-1.5b-instruct\n  \
    faq-bench prompts --generator my.gguf --prompts my-prompts.toml --cases my-cases.toml")]
pub(crate) struct PromptsArgs {
    #[command(flatten)]
    speaker: Speaker,
    /// Cases as in benches/prompts/en.toml [default: those of each shipped language]
    #[arg(long, value_name = "FILE")]
    cases: Vec<PathBuf>,
    /// Write what became of each case as a line of JSON
    #[arg(long, value_name = "OUT.jsonl")]
    log: Option<PathBuf>,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

pub(super) fn try_out(args: &PromptsArgs) -> Result<()> {
    let all = if args.cases.is_empty() {
        prompts::shipped()?
    } else {
        let read = |path: &PathBuf| {
            let cannot = || format!("cannot read {}", path.display());
            let text = std::fs::read_to_string(path).with_context(cannot)?;
            Cases::parse(&text).with_context(cannot)
        };
        args.cases.iter().map(read).collect::<Result<_>>()?
    };
    let mut log = LogFile::new(args.log.as_deref())?;
    let folder = Folder::new(None)?;
    let settings = IndexSettings {
        models: args.models.clone(),
        ..IndexSettings::default()
    };
    let engine = retrieve::engine(folder.path(), &settings)?;
    let options = args.speaker.options(&engine)?;
    let count: usize = all
        .iter()
        .map(|c| c.questions.len() + c.follow_ups.len())
        .sum();
    let bar = bar(count as u64, "{pos}/{len} cases, {eta} left");
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for (n, cases) in all.iter().enumerate() {
        let collection = engine.collection(&format!("cases-{n}"))?;
        let mut seen = |line: &Value| {
            bar.inc(1);
            log.write(line)
        };
        let tally = prompts::tally(&collection, cases, &options, &mut seen)?;
        tallies.entry(&cases.language).or_default().add(&tally);
    }
    bar.finish_and_clear();
    if args.json {
        return print(&(serde_json::to_string(&tallies)? + "\n"));
    }
    let mut text = String::from(
        "language  answerable  right  wrong  unanswerable  silent  follow-ups  understood\n",
    );
    for (language, t) in &tallies {
        let _ = writeln!(
            text,
            "{language:<8}{:>12}{:>7}{:>7}{:>14}{:>8}{:>12}{:>12}",
            t.answerable, t.right, t.wrong, t.unanswerable, t.silent, t.follow_ups, t.understood
        );
    }
    print(&text)
}

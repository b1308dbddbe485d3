//! The subcommands, one file each, and what they share.

mod answers;
mod calibration;
mod chunks;
mod compare;
mod draft;
mod embed;
mod gate;
mod golden;
mod prompts;
mod report;
mod run;
mod score;
mod sweep;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use faq_bench::beir::{DataSet, Document};
use faq_bench::retrieve;
use faq_core::{Collection, IngestReport};
use indicatif::{ProgressBar, ProgressStyle};

/// What `faq-bench` can do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Run(run::Run),
    Score(score::Score),
    Compare(compare::Compare),
    Sweep(sweep::SweepArgs),
    Report(report::ReportArgs),
    Gate(gate::Gate),
    Draft(draft::Draft),
    Answers(answers::Answers),
    Prompts(prompts::PromptsArgs),
    Calibration(calibration::CalibrationArgs),
    Chunks(chunks::Chunks),
    Embed(embed::Embed),
}

impl Command {
    /// Does it.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        match self {
            Self::Run(args) => run::run(args)?,
            Self::Score(args) => score::score(args)?,
            Self::Compare(args) => compare::compare(args)?,
            Self::Sweep(args) => sweep::sweep(args)?,
            Self::Report(args) => report::report(args)?,
            Self::Gate(args) => return gate::gate(args),
            Self::Draft(args) => draft::draft(args)?,
            Self::Answers(args) => answers::answer(args)?,
            Self::Prompts(args) => prompts::try_out(args)?,
            Self::Calibration(args) => calibration::calibrate(args)?,
            Self::Chunks(args) => chunks::chunks(args)?,
            Self::Embed(args) => embed::embed(args)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What the process exits with where [`execute`](Self::execute) fails.
    pub(crate) fn failure(&self) -> ExitCode {
        match self {
            // 1 says that quality fell.
            Self::Gate(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// A data set and the judgements that are used.
#[derive(Args)]
struct Judged {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/
    #[arg(long, value_name = "DIR")]
    beir: PathBuf,
    /// Judgements to use: qrels/SPLIT.tsv
    #[arg(long, default_value = "test")]
    split: String,
    /// Use the first N questions only
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit_queries: Option<usize>,
}

impl Judged {
    fn read(&self) -> Result<DataSet> {
        read_set(&self.beir, &self.split, self.limit_queries)
    }
}

fn read_set(dir: &Path, split: &str, limit_queries: Option<usize>) -> Result<DataSet> {
    let mut set = DataSet::read(dir, split)?;
    if let Some(most) = limit_queries {
        set.limit_queries(most);
    }
    let missing = set.missing_documents();
    if let [first, ..] = missing[..] {
        let _ = writeln!(
            std::io::stderr(),
            "warning: {} relevant documents are not in {}, {first:?} for one; they count as not found",
            missing.len(),
            dir.join("corpus.jsonl").display()
        );
    }
    Ok(set)
}

/// A number that may not be 0.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("0 is too few; give 1 or more".to_owned()),
        Ok(n) => Ok(n),
        Err(_) => Err("give a whole number from 1".to_owned()),
    }
}

/// A folder that is kept, or one that is removed when this is dropped.
enum Folder {
    Kept(PathBuf),
    Passing(tempfile::TempDir),
}

impl Folder {
    fn new(kept: Option<&PathBuf>) -> Result<Self> {
        Ok(match kept {
            Some(path) => Self::Kept(path.clone()),
            None => Self::Passing(tempfile::tempdir().context("no temporary folder")?),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(dir) => dir.path(),
        }
    }
}

fn ingest(collection: &Collection, corpus: &[Document], data: &Path) -> Result<IngestReport> {
    let bar = bar(0, "{pos}/{len} documents, {eta} left");
    bar.set_message("ingest");
    let report = retrieve::ingest(collection, corpus, data, &mut |progress| {
        bar.set_length(progress.files_total as u64);
        bar.set_position(progress.files_done as u64);
    })?;
    bar.finish_and_clear();
    Ok(report)
}

/// A bar on stderr; nothing where that is no terminal.
fn bar(length: u64, counts: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{msg:<8}} {{bar:30}} {counts}"))
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// One JSON value, or the words for people.
fn show(json: bool, value: &(impl serde::Serialize + std::fmt::Display)) -> Result<()> {
    if json {
        print(&(serde_json::to_string(value)? + "\n"))
    } else {
        print(&value.to_string())
    }
}

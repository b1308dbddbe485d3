//! `faq-bench calibration`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use faq_bench::answers;
use faq_bench::calibration::{self, Calibration};
use faq_bench::retrieve::{self, IndexSettings};
use faq_core::Answer;

use super::answers::Speaker;
use super::{Folder, at_least_one, bar, ingest, print, read_set};

/// Show how far the probability of answers can be trusted on sets of your own
#[derive(Args)]
#[command(
    after_help = "Each second document that answers a question is taken away, so that questions \
    without any other have no answer. An answer is right where it quotes a document that is judged relevant.\n\nExample:\n  \
    faq-bench calibration data/scifact data/xquad/de"
)]
pub(crate) struct CalibrationArgs {
    /// Folders in BEIR layout
    #[arg(required = true, value_name = "DIR")]
    sets: Vec<PathBuf>,
    /// Judgements to use: qrels/SPLIT.tsv
    #[arg(long, default_value = "test")]
    split: String,
    /// Use the first N questions of each
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit_queries: Option<usize>,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
    /// Write the signals of each set's questions to a file below DIR that has the set's name
    #[arg(long, value_name = "DIR")]
    signals: Option<PathBuf>,
    /// The same with the state of the model that reads (scripts/fit-reading)
    #[arg(
        long,
        value_name = "DIR",
        requires = "layers",
        conflicts_with = "signals"
    )]
    states: Option<PathBuf>,
    /// After how many of the model's layers --states looks
    #[arg(long, value_name = "N", requires = "states", value_parser = at_least_one)]
    layers: Option<usize>,
    #[command(flatten)]
    speaker: Speaker,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

pub(super) fn calibrate(args: &CalibrationArgs) -> Result<()> {
    let settings = IndexSettings {
        models: args.models.clone(),
        ..IndexSettings::default()
    };
    ensure!(
        args.states.is_some() || !args.speaker.writes(),
        "calibration asks for extractive answers; with --generator give --states"
    );
    let written = args.signals.as_ref().or(args.states.as_ref());
    if let Some(dir) = written {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mut all: Vec<(String, Calibration)> = Vec::new();
    for dir in &args.sets {
        let set = read_set(dir, &args.split, args.limit_queries)?;
        if all.iter().any(|(name, _)| *name == set.name) {
            bail!(
                "two sets are named {}; rename one of their folders",
                set.name
            );
        }
        let halved = calibration::halve(&set);
        let folder = Folder::new(None)?;
        let collection = retrieve::open(folder.path(), &settings)?;
        ingest(&collection, &halved.corpus, folder.path())?;
        let bar = bar(
            halved.questions.len() as u64,
            "{pos}/{len} questions, {eta} left",
        );
        let mut options = args.speaker.options(collection.engine())?;
        options.look_at = args.layers;
        let mut lines = answers::signals_header();
        if args.states.is_some() {
            lines = answers::states_header(&options)?;
            options = answers::reading(&options);
        }
        let mut seen = |kind: &str, right: bool, answer: &Answer| {
            lines.push_str(&match args.states {
                Some(_) => answers::state_line(kind, right, answer),
                None => answers::signals_line(kind, right, answer.answerability.as_ref()),
            });
            bar.inc(1);
        };
        let measured = calibration::measure(&collection, &halved, &options, &mut seen)?;
        bar.finish_and_clear();
        if let Some(dir) = written {
            let file = dir.join(format!("{}.tsv", set.name));
            std::fs::write(&file, &lines)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        all.push((set.name, measured));
    }
    if args.json {
        let by_set: std::collections::BTreeMap<_, _> = all.into_iter().collect();
        return print(&(serde_json::to_string(&by_set)? + "\n"));
    }
    let mut text = String::from(
        "set                 answerable  right  wrong  silent  without  silent  ROC area    ECE     ms\n",
    );
    for (name, c) in all {
        let share = |n: usize, of: usize| 100.0 * n as f64 / of.max(1) as f64;
        let _ = writeln!(
            text,
            "{name:<20}{:>10}{:>6.1}%{:>6.1}%{:>7.1}%{:>9}{:>7.1}%{:>10.3}{:>7.3}{:>7.0}",
            c.answerable,
            share(c.right, c.answerable),
            share(c.answerable - c.right - c.silent, c.answerable),
            share(c.silent, c.answerable),
            c.unanswerable,
            share(c.unanswerable_silent, c.unanswerable),
            c.area,
            c.expected_error,
            c.median_ms
        );
    }
    print(&text)
}

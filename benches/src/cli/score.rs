//! `faq-bench score`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use faq_bench::{metrics, trec};

use super::{Judged, print};

/// Score a TREC run file against the judgements of a data set
///
/// Every metric equals that of trec_eval with `-c`: a question that the run has nothing for
/// counts as 0.
#[derive(Args)]
#[command(after_help = "Example:\n  \
    faq-bench score --beir data/scifact --run other-system.trec")]
pub(crate) struct Score {
    #[command(flatten)]
    judged: Judged,
    /// The run file
    #[arg(long, value_name = "RUN.trec")]
    run: PathBuf,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

pub(super) fn score(args: &Score) -> Result<()> {
    let set = args.judged.read()?;
    let scores = metrics::mean(&trec::Run::read_for(&args.run, &set)?, &set.qrels);
    let text = if args.json {
        serde_json::to_string(&scores)? + "\n"
    } else {
        let line = |(name, value)| format!("{name:<9}{}\n", metrics::shown(value));
        scores.named().map(line).concat()
    };
    print(&text)
}

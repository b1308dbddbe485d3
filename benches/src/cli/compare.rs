//! `faq-bench compare`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use faq_bench::metrics::Metric;
use faq_bench::{compare, trec};

use super::{Judged, show};

/// Compare two TREC runs question by question: is B better than A, or is it chance?
///
/// The p-value is that of the two-sided paired randomisation test: the share of all ways to swap
/// A and B question by question that make a difference as large. Up to 16 questions that differ,
/// all ways are gone through; for more, 100,000 are drawn from a fixed seed, so that the same runs
/// give the same value. Questions that a run has nothing for count as 0.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    faq-bench run --beir data/scifact --mode dense --run dense.trec\n  \
    faq-bench run --beir data/scifact --mode hybrid --run hybrid.trec\n  \
    faq-bench compare dense.trec hybrid.trec --beir data/scifact\n  \
    faq-bench compare a.trec b.trec --beir data/scifact --metric MRR@10 --show 20 --json")]
pub(crate) struct Compare {
    /// The run to compare with
    #[arg(value_name = "A.trec")]
    a: PathBuf,
    /// The run to judge
    #[arg(value_name = "B.trec")]
    b: PathBuf,
    #[command(flatten)]
    judged: Judged,
    /// nDCG@10, R@5, R@10, R@100, MRR@10, MAP or Cover@10
    #[arg(long, default_value = "nDCG@10")]
    metric: Metric,
    /// Most wins and losses to show
    #[arg(long, value_name = "N", default_value_t = 5)]
    show: usize,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

pub(super) fn compare(args: &Compare) -> Result<()> {
    let set = args.judged.read()?;
    let (a, b) = (
        trec::Run::read_for(&args.a, &set)?,
        trec::Run::read_for(&args.b, &set)?,
    );
    let comparison = compare::compare(&a, &b, &set, args.metric, args.show);
    show(args.json, &comparison)
}

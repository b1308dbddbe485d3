//! `faq-bench gate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::Args;
use faq_bench::gate::Baseline;
use faq_bench::metrics::Metric;
use faq_bench::{retrieve, trec};

use super::run::SearchArgs;
use super::{Folder, Judged, bar, ingest, print, show};

/// Hold quality to a baseline: for continuous integration
///
/// Runs the data set, or reads a TREC run, and compares with the baseline's values question by
/// question. Quality fell where a mean dropped by more than the tolerance and chance makes such a
/// drop in less than 5 of 100 cases (one-sided paired randomisation test).
///
/// Exits with 0 where quality holds, with 1 where it fell, and with 2 where there is no verdict:
/// wrong use, a file that cannot be read, other questions than the baseline's.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    faq-bench gate scifact.json --beir data/scifact --write\n  \
    faq-bench gate scifact.json --beir data/scifact\n  \
    faq-bench gate scifact.json --beir data/scifact --run hybrid.trec \
    --metric nDCG@10,R@100 --tolerance 0.01 --json")]
pub(crate) struct Gate {
    /// The baseline
    #[arg(value_name = "BASELINE.json")]
    baseline: PathBuf,
    #[command(flatten)]
    judged: Judged,
    /// Read this TREC run instead of running the data set
    #[arg(long, value_name = "RUN.trec")]
    run: Option<PathBuf>,
    /// Make the baseline of this run instead of comparing with it
    #[arg(long)]
    write: bool,
    /// What must not fall; several between commas
    #[arg(long, value_delimiter = ',', default_value = "nDCG@10")]
    metric: Vec<Metric>,
    /// Drop of a mean that is allowed
    #[arg(long, value_name = "DROP", default_value_t = 0.005)]
    tolerance: f64,
    #[command(flatten)]
    search: SearchArgs,
    /// Keep the index here and use it again [default: a folder that is removed]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

pub(super) fn gate(args: &Gate) -> Result<ExitCode> {
    ensure!(
        args.tolerance >= 0.0,
        "--tolerance {} is no number from 0 on",
        args.tolerance
    );
    let ways = args.search.ways();
    ensure!(
        ways.len() == 1,
        "a gate looks at one way to search; give one --mode, --fusion, --rerank and --spelling"
    );
    let too_deep = args.metric.iter().find(|m| m.depth() > args.search.k());
    if let (Some(metric), None) = (too_deep, &args.run) {
        bail!(
            "{} looks at {} documents, and --k {} ranks fewer",
            metric.name(),
            metric.depth(),
            args.search.k()
        );
    }
    let set = args.judged.read()?;
    let baseline = (!args.write)
        .then(|| Baseline::read(&args.baseline))
        .transpose()?;
    if let Some(baseline) = &baseline {
        let unlike = baseline.unlike(&set);
        ensure!(
            unlike.is_empty(),
            "{}: {} questions are in one of baseline and data alone, such as {:?}; give the \
             baseline's --split and --limit-queries, or make it anew with --write",
            args.baseline.display(),
            unlike.len(),
            unlike[0]
        );
    }
    let mut settings = String::from("a run that was read");
    let run = if let Some(path) = &args.run {
        trec::Run::read_for(path, &set)?
    } else {
        let way = &ways[0];
        settings = way.label();
        let folder = Folder::new(args.data.as_ref())?;
        let collection = retrieve::open(folder.path(), &args.search.index())?;
        ingest(&collection, &set.corpus, folder.path())?;
        args.search.prepare(&collection)?;
        let bar = bar(set.queries.len() as u64, "{pos}/{len} questions");
        let retrieved = retrieve::retrieve(&collection, &set, &way.settings, &mut |done| {
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        retrieved.run
    };
    let Some(baseline) = baseline else {
        let baseline = Baseline::of(&run, &set, &args.judged.split, settings);
        baseline.write(&args.baseline)?;
        print(&format!(
            "{}: {} questions\n",
            args.baseline.display(),
            baseline.queries.len()
        ))?;
        return Ok(ExitCode::SUCCESS);
    };
    let verdict = baseline.judge(&run, &set, &args.metric, args.tolerance);
    show(args.json, &verdict)?;
    Ok(ExitCode::from(u8::from(!verdict.passed)))
}

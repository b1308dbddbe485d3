//! `faq-bench report`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use faq_bench::page::Page;

use super::{print, read_set};

/// Draw results as one HTML file: tables, plots, and the questions that runs differ in
///
/// The file holds all it needs: it opens without a network, on light and dark screens, and runs no
/// script. It shows of each data set every result, quality against latency, a curve for every
/// setting that was varied, and how the best result differs from the first one and from the best
/// of each other mode, question by question, where the rankings of a sweep are still there.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    faq-bench sweep fusion.toml && faq-bench report fusion.results.jsonl -o fusion.html\n  \
    faq-bench run --beir data/scifact --mode dense,hybrid --json > scifact.jsonl\n  \
    faq-bench report scifact.jsonl fusion.results.jsonl -o all.html --title 'March'\n  \
    faq-bench report -o ab.html --compare old.trec new.trec --beir data/scifact")]
pub(crate) struct ReportArgs {
    /// Finished cells of sweeps, or lines that `faq-bench run --json` printed
    #[arg(value_name = "RESULTS.jsonl", required_unless_present = "compare")]
    results: Vec<PathBuf>,
    /// The HTML file
    #[arg(short, long, value_name = "OUT.html")]
    output: PathBuf,
    /// Its title
    #[arg(long, default_value = "Retrieval, measured")]
    title: String,
    /// Two TREC runs to compare question by question; may come several times
    #[arg(long, num_args = 2, value_names = ["A.trec", "B.trec"], requires = "beir")]
    compare: Vec<PathBuf>,
    /// The data set that these runs answer
    #[arg(long, value_name = "DIR")]
    beir: Option<PathBuf>,
    /// Its judgements: qrels/SPLIT.tsv
    #[arg(long, default_value = "test")]
    split: String,
}

pub(super) fn report(args: &ReportArgs) -> Result<()> {
    let mut page = Page::default();
    for path in &args.results {
        page.add_results(path)?;
    }
    page.compare_best()?;
    if let Some(dir) = &args.beir {
        let set = read_set(dir, &args.split, None)?;
        for pair in args.compare.chunks_exact(2) {
            page.add_comparison(&pair[0], &pair[1], &set, &args.split)?;
        }
    }
    ensure!(!page.is_empty(), "the files hold no results");
    write(&args.output, &page.html(&args.title))?;
    print(&format!("{}\n", args.output.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

//! `faq-bench sweep`.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use faq_bench::metrics::shown;
use faq_bench::sweep::{Event, Row, Sweep};

use super::{bar, print};

/// Measure every combination of settings that a TOML file lists
///
/// Each combination is a cell. What is not in the file is as the product ships it. Finished cells
/// are appended to NAME.results.jsonl beside the file, each with its ranking in NAME.results/, and
/// are not run again: a sweep that was killed goes on where it was, and one whose file grew runs
/// what is new. Cells that differ in the search alone share an index (NAME.index/). Cells that
/// would ask the same, such as a keyword search with several fusions, are one; an overlap that is
/// not smaller than the chunk is left out.
///
/// After a change of the engine itself, give `--again`: a finished cell does not know of it.
#[derive(Args)]
#[command(after_help = "A file:\n  \
    [data]\n  \
    sets = [\"data/scifact\", \"data/cranfield\"]  # relative to this file\n  \
    splits = [\"test\"]                          # qrels/SPLIT.tsv [default: test]\n  \
    limit_queries = 100                        # the first 100 [default: all]\n  \
    typos = 7                                  # a slip in each question, by this seed [default: none]\n\n  \
    [grid]\n  \
    mode = [\"keyword\", \"dense\", \"hybrid\"]\n  \
    fusion = [\"scores:1\", \"scores:2.5\", \"rrf:60\", \"weighted:0.5\"]\n  \
    k = [100]\n  \
    candidates = [300, 1000]                   # 3 k are taken at least\n  \
    rerank = [\"none\", \"20\", \"20:1\"]          # as faq-bench run --rerank takes it\n  \
    spelling = [\"tolerant\", \"exact\"]           # of words that no document holds\n  \
    chunk_size = [256, 1000]\n  \
    chunk_overlap = [0, 200]\n  \
    vector_search = [\"exact\", \"graph\"]         # or auto\n  \
    ef = [32, 64, 128]\n  \
    precision = [\"int8\", \"f32\"]\n  \
    model = [\"all-minilm-l6-v2\"]\n\n\
    Examples:\n  \
    faq-bench sweep fusion.toml --dry-run\n  \
    faq-bench sweep fusion.toml\n  \
    faq-bench report fusion.results.jsonl -o fusion.html")]
pub(crate) struct SweepArgs {
    /// The file
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// List the cells, those that are finished marked with a +, and run none
    #[arg(long)]
    dry_run: bool,
    /// Forget the finished cells first
    #[arg(long, conflicts_with = "dry_run")]
    again: bool,
    /// Keep indexes here [default: NAME.index beside the file]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
}

pub(super) fn sweep(args: &SweepArgs) -> Result<()> {
    let sweep = Sweep::plan(&args.config, args.data.as_deref(), args.models.as_deref())?;
    if args.dry_run {
        return list(&sweep);
    }
    if args.again {
        sweep.forget()?;
    }
    let bar = bar(0, "{pos}/{len}");
    sweep.run(&mut |event| match event {
        Event::Ingest { done, of } => {
            bar.set_message("ingest");
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        }
        Event::Ask { done, of } => {
            bar.set_message("ask");
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        }
        Event::Finished {
            row,
            done,
            of,
            seconds_left,
        } => {
            let line = format!(
                "[{done}/{of}] {}: nDCG@10 {:.4}, p50 {:.1} ms; {} left",
                row.cell,
                row.metrics.ndcg_at_10,
                row.latency_ms.whole.p50,
                duration(seconds_left)
            );
            // A bar that is not shown swallows what is printed above it.
            bar.suspend(|| {
                let _ = writeln!(std::io::stderr(), "{line}");
            });
        }
    })?;
    bar.finish_and_clear();
    table(&sweep)
}

fn list(sweep: &Sweep) -> Result<()> {
    let finished = sweep.finished()?;
    let mut text = String::new();
    for cell in sweep.cells() {
        let done = finished.iter().any(|row| row.cell == *cell);
        let _ = writeln!(
            text,
            "{} {} {cell}",
            if done { '+' } else { ' ' },
            cell.id()
        );
    }
    let cells = sweep.cells().count();
    let _ = writeln!(
        text,
        "{cells} cells, {} of them finished; {} indexes",
        finished.len(),
        sweep.indexes()
    );
    print(&text)
}

/// The finished cells, of each data set the best first.
fn table(sweep: &Sweep) -> Result<()> {
    let mut rows: Vec<Row> = sweep.finished()?;
    rows.sort_by(|a, b| {
        let quality = b.metrics.ndcg_at_10.total_cmp(&a.metrics.ndcg_at_10);
        a.cell.data().cmp(&b.cell.data()).then(quality)
    });
    let mut text = String::from(" nDCG@10   R@100  MRR@10  p50 ms  p99 ms  cell\n");
    for row in rows {
        let (metrics, whole) = (row.metrics, row.latency_ms.whole);
        let _ = writeln!(
            text,
            "{:>8.4}{:>8}{:>8.4}{:>8.1}{:>8.1}  {}",
            metrics.ndcg_at_10,
            shown(metrics.recall_at_100),
            metrics.mrr_at_10,
            whole.p50,
            whole.p99,
            row.cell
        );
    }
    let _ = writeln!(text, "finished cells: {}", sweep.results().display());
    print(&text)
}

fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        0..=90 => format!("{seconds:.0} s"),
        91..=5400 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

//! `faq-bench chunks`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use faq_bench::chunks;

use super::print;

/// Cut corpora with known gold spans at several sizes; how much of the spans do the top 5
/// chunks hold, and how much else?
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    faq-bench chunks --data qa/chunk-eval\n  \
    faq-bench chunks --data qa/chunk-eval --cut 256/0,512/64 --headings")]
pub(crate) struct Chunks {
    /// Folder with corpora/*.md and questions.jsonl
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Corpora to use; several between commas [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    corpora: Vec<String>,
    /// Sizes and overlaps in tokens; several between commas
    #[arg(
        long,
        value_name = "SIZE/OVERLAP",
        value_delimiter = ',',
        default_value = "128/0,256/0,256/48,400/0,512/0,512/96,800/0,1000/0,1000/200"
    )]
    cut: Vec<String>,
    /// Measure each with the headings embedded before the text too
    #[arg(long)]
    headings: bool,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
    /// Print one JSON value a setting
    #[arg(long)]
    json: bool,
}

pub(super) fn chunks(args: &Chunks) -> Result<()> {
    let settings = args
        .cut
        .iter()
        .map(|cut| setting(cut))
        .collect::<Result<Vec<_>>>()?;
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let engine = chunks::engine(folder.path(), args.models.as_deref())?;
    let embedder = engine.embedder()?;
    let data = chunks::Data::read(&args.data, &args.corpora)?;
    if !args.json {
        print(&format!(
            "{} questions; {} gold spans were not found in the text\n\
             cut        headings  chunks  tokens each  recall@5  precision@5  tokens@5  recall in 1,000 tokens\n",
            data.len(),
            data.lost
        ))?;
    }
    let questions = data.embed_questions(&*embedder)?;
    for setting in settings {
        for headings in [false, true]
            .into_iter()
            .take(1 + usize::from(args.headings))
        {
            let setting = chunks::Setting {
                headings,
                ..setting
            };
            let found = chunks::measure(&data, &questions, &*embedder, setting)?;
            let text = if args.json {
                serde_json::to_string(&found)? + "\n"
            } else {
                format!(
                    "{:<10} {:<8} {:>7} {:>12.0} {:>9.3} {:>12.3} {:>9.0} {:>23.3}\n",
                    format!("{}/{}", setting.size, setting.overlap),
                    if headings { "yes" } else { "no" },
                    found.chunks,
                    found.mean_tokens,
                    found.recall,
                    found.precision,
                    found.tokens,
                    found.budget_recall
                )
            };
            print(&text)?;
        }
    }
    Ok(())
}

/// `512/64`, or `512` without an overlap.
fn setting(text: &str) -> Result<chunks::Setting> {
    let (size, overlap) = text.split_once('/').unwrap_or((text, "0"));
    let number = |n: &str| {
        n.trim()
            .parse()
            .with_context(|| format!("--cut {text} is no SIZE/OVERLAP"))
    };
    Ok(chunks::Setting {
        size: number(size)?,
        overlap: number(overlap)?,
        headings: false,
    })
}

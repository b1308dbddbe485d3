//! `faq-bench draft`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use faq_bench::golden::draft::{self, Drafted};
use faq_core::{Engine, EngineConfig, ModelStore};
use faq_ingest::ParseOptions;
use walkdir::WalkDir;

use super::{bar, print};

/// Draft a golden set from documents, for a person to correct
///
/// Two rules, made for English: a sentence that defines something ("A tide is the rise …") becomes
/// the question for it ("What is a tide?"), and a heading becomes a question about its subject, or
/// stays the question that it is. Expected are the document, the page where there are pages, and
/// the sentence that answers. With `--generator` a model words each question anew from that
/// sentence; where it writes no question, the rule's stays.
///
/// Every question is marked `checked = false`. Go through them: word them as people ask, drop what
/// nobody would ask, and set `checked = true` where the answer is right. Questions that nobody
/// worded anew share their words with their answers, so keyword search looks better on them than
/// it is.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    faq-bench draft --docs handbook/ -o my.toml\n  \
    faq-bench draft --docs handbook/ -o my.toml --per-document 10 \
    --generator qwen2.5-coder-1.5b-instruct\n  \
    faq-bench run --golden my.toml --mode keyword,dense,hybrid\n  \
    faq-bench run --golden my.toml --checked")]
pub(crate) struct Draft {
    /// Folder of documents
    #[arg(long, value_name = "DIR")]
    docs: PathBuf,
    /// The golden set to write
    #[arg(short, long, value_name = "FILE.toml")]
    output: PathBuf,
    /// Most questions of one document
    #[arg(long, value_name = "N", default_value_t = 5)]
    per_document: usize,
    /// A model that words the questions, a name or a path [default: none]
    #[arg(long, value_name = "MODEL")]
    generator: Option<String>,
    /// Write over a file that is there, and over what a person corrected in it
    #[arg(long)]
    force: bool,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
}

pub(super) fn draft(args: &Draft) -> Result<()> {
    ensure!(args.docs.is_dir(), "{} is no folder", args.docs.display());
    ensure!(
        args.force || !args.output.exists(),
        "{} is there already; give --force to write over it",
        args.output.display()
    );
    let mut drafted = Vec::new();
    for entry in WalkDir::new(&args.docs).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            drafted.extend(of_file(entry.path(), &args.docs, args.per_document)?);
        }
    }
    ensure!(
        !drafted.is_empty(),
        "{} holds no heading with text below it and no definition",
        args.docs.display()
    );
    if let Some(model) = &args.generator {
        reword(&mut drafted, model, args.models.as_deref())?;
    }
    let docs = std::path::absolute(&args.docs)?;
    let file = draft::to_toml(&docs.to_string_lossy(), &drafted);
    std::fs::write(&args.output, file)
        .with_context(|| format!("cannot write {}", args.output.display()))?;
    print(&format!(
        "{}: {} questions, none checked\n",
        args.output.display(),
        drafted.len()
    ))
}

/// Questions from one file; none, and a line on stderr, where it cannot be parsed.
fn of_file(path: &Path, folder: &Path, most: usize) -> Result<Vec<Drafted>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    match faq_ingest::parse(&bytes, &path.to_string_lossy(), &ParseOptions::default()) {
        Ok(document) => Ok(draft::draft(&parts.join("/"), &document, most)),
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "left out: {}: {e}", path.display());
            Ok(Vec::new())
        }
    }
}

fn reword(drafted: &mut [Drafted], model: &str, models: Option<&Path>) -> Result<()> {
    let unused = tempfile::tempdir().context("no temporary folder")?;
    let mut config = EngineConfig::new(unused.path());
    config.models = models.map_or_else(ModelStore::default, ModelStore::new);
    let generator = Engine::with_config(config)?.generator(model)?;
    let bar = bar(drafted.len() as u64, "{pos}/{len} questions, {eta} left");
    bar.set_message("word");
    for entry in drafted {
        if let Some(question) = draft::reword(entry, &*generator)? {
            entry.question = question;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

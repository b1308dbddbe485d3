//! `faq-bench embed`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use faq_core::{BertEmbedder, EngineConfig, ModelStore, Precision, TextKind};

/// Time the embedding model: many texts at once, and one after the other
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    faq-bench embed --texts abstracts.txt\n  \
    faq-bench embed --texts questions.txt --kind query --precision f32 --threads 1 --json")]
pub(crate) struct Embed {
    /// File with a text a line
    #[arg(long, value_name = "FILE")]
    texts: PathBuf,
    /// What the texts are to the model
    #[arg(long, value_enum, default_value = "passage")]
    kind: Kind,
    /// What the model computes with
    #[arg(long, default_value_t)]
    precision: Precision,
    /// Times that all texts are embedded at once
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Texts that are embedded by themselves
    #[arg(long, default_value_t = 200)]
    alone: usize,
    /// Threads to compute with [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Write the vectors to this file, as 32-bit floats one after the other
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
    /// Embedding model, a name or a path
    #[arg(long, default_value = faq_core::DEFAULT_EMBEDDING_MODEL, value_name = "MODEL")]
    model: String,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Passage,
    Query,
}

pub(super) fn embed(args: &Embed) -> Result<()> {
    ensure!(args.runs > 0, "--runs is 0; give 1 or more");
    let texts = faq_bench::embed::texts(&args.texts)?;
    let store = args
        .models
        .as_ref()
        .map_or_else(ModelStore::default, ModelStore::new);
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let most = EngineConfig::MOST_THREADS;
    ensure!(
        (1..=most).contains(&threads),
        "--threads is {threads}; give 1 to {most}"
    );
    let kind = match args.kind {
        Kind::Passage => TextKind::Passage,
        Kind::Query => TextKind::Query,
    };
    let model = BertEmbedder::load(&store.embedding(&args.model)?, threads, args.precision)?;
    let (measured, vectors) =
        faq_bench::embed::measure(&model, &texts, kind, args.runs, args.alone)?;
    if let Some(file) = &args.vectors {
        let bytes: Vec<u8> = vectors
            .iter()
            .flatten()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        std::fs::write(file, bytes)
            .with_context(|| format!("cannot write vectors to {}", file.display()))?;
    }
    let text = if args.json {
        serde_json::to_string(&measured)?
    } else {
        format!(
            "{} texts, {} tokens, {} threads, {}: {:.0} tokens/s (median of {}), \
             a text alone {:.2} ms (p50), {:.2} ms (p99)",
            measured.texts,
            measured.tokens,
            threads,
            args.precision,
            measured.tokens_per_second(),
            args.runs,
            measured.alone_ms_p50,
            measured.alone_ms_p99,
        )
    };
    writeln!(std::io::stdout(), "{text}").context("cannot write to stdout")
}

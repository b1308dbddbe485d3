//! The `faq-bench` command.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use faq_bench::answers::{self, Tally};
use faq_bench::beir::{DataSet, Document};
use faq_bench::report::{Refused, Report, RunReport};
use faq_bench::retrieve::{self, Settings};
use faq_bench::{chunks, metrics, trec};
use faq_core::{
    Answerer, AskOptions, BertEmbedder, Collection, Fusion, IngestReport, Mode, ModelStore,
    Precision, TextKind, VectorSearch,
};
use indicatif::{ProgressBar, ProgressStyle};

/// Measures retrieval on data sets with human judgements.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Ingest a data set in BEIR layout, ask its questions, score the rankings
    #[command(after_help = "Examples:\n  \
        faq-bench run --beir data/scifact\n  \
        faq-bench run --beir data/scifact --mode keyword,dense,hybrid --data /tmp/scifact\n  \
        faq-bench run --beir data/scifact --mode dense --vector-search graph --run dense.trec")]
    Run(Run),
    /// Score a TREC run file against the judgements of a data set
    Score(Score),
    /// Ask questions with known answers and without any; count right, wrong and silent
    #[command(after_help = "Examples:\n  \
        faq-bench answers --beir data/squad2-a --questions qa/squad2-a --data /tmp/squad\n  \
        faq-bench answers --beir data/squad2-a --questions qa/squad2-a --limit 50 \
        --generator qwen2.5-coder-1.5b-instruct")]
    Answers(Answers),
    /// Cut corpora with known gold spans at several sizes; how much of the spans do the top 5
    /// chunks hold, and how much else?
    #[command(after_help = "Examples:\n  \
        faq-bench chunks --data qa/chunk-eval\n  \
        faq-bench chunks --data qa/chunk-eval --cut 256/0,512/64 --headings")]
    Chunks(Chunks),
    /// Time the embedding model: many texts at once, and one after the other
    #[command(after_help = "Examples:\n  \
        faq-bench embed --texts abstracts.txt\n  \
        faq-bench embed --texts questions.txt --kind query --precision f32 --threads 1 --json")]
    Embed(Embed),
}

#[derive(Args)]
struct Embed {
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

#[derive(Args)]
struct Chunks {
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

#[derive(Args)]
struct Answers {
    /// Folder with corpus.jsonl, in BEIR layout
    #[arg(long, value_name = "DIR")]
    beir: PathBuf,
    /// Folder with answerable.jsonl, unanswerable_near.jsonl and unanswerable_far.jsonl
    #[arg(long, value_name = "DIR")]
    questions: PathBuf,
    /// Questions to use
    #[arg(long, default_value = "report")]
    split: String,
    /// Most questions of each kind, taken evenly
    #[arg(long, value_name = "N", default_value_t = 300)]
    limit: usize,
    /// Who answers: extractive, or a model's name or path
    #[arg(long, default_value = "extractive")]
    generator: String,
    /// Write each question's passages with their features instead of answering
    #[arg(long, value_name = "OUT.tsv")]
    features: Option<PathBuf>,
    /// Write each question's signals and whether its answer is right instead of counting
    #[arg(long, value_name = "OUT.tsv", conflicts_with = "features")]
    signals: Option<PathBuf>,
    /// Keep the index here and use it again [default: a folder that is removed]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Judged {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/
    #[arg(long, value_name = "DIR")]
    beir: PathBuf,
    /// Judgements to use: qrels/SPLIT.tsv
    #[arg(long, default_value = "test")]
    split: String,
    /// Ask the first N questions only
    #[arg(long, value_name = "N")]
    limit_queries: Option<usize>,
    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    judged: Judged,
    /// Which lists are asked; several between commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "hybrid")]
    mode: Vec<ModeName>,
    /// How vectors are searched
    #[arg(long, value_enum, default_value = "auto")]
    vector_search: VectorSearchName,
    /// How hybrid searches fuse: scores, scores:W (weight of the cosine), rrf, rrf:K, or
    /// weighted:W (weight of the normalised dense scores, 0 to 1) [default: as shipped]
    #[arg(long, value_name = "FUSION", value_parser = fusion)]
    fusion: Option<Fusion>,
    /// Documents to rank for each question
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    k: u32,
    /// Write the ranking in TREC format (one mode only)
    #[arg(long = "run", value_name = "OUT.trec")]
    ranking: Option<PathBuf>,
    /// Keep the index here and use it again [default: a folder that is removed]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What the embedding model computes with: int8 or f32
    #[arg(long, default_value_t)]
    precision: Precision,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
}

#[derive(Args)]
struct Score {
    #[command(flatten)]
    judged: Judged,
    /// The run file
    #[arg(long, value_name = "RUN.trec")]
    run: PathBuf,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ModeName {
    Keyword,
    Dense,
    Hybrid,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum VectorSearchName {
    Auto,
    Exact,
    Graph,
}

impl ModeName {
    fn mode(self) -> Mode {
        match self {
            Self::Keyword => Mode::Keyword,
            Self::Dense => Mode::Dense,
            Self::Hybrid => Mode::Hybrid,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Dense => "dense",
            Self::Hybrid => "hybrid",
        }
    }
}

/// `scores:2.5`, `rrf:60` or `weighted:0.5`; without a number, the usual one.
fn fusion(text: &str) -> Result<Fusion, String> {
    let (name, number) = match text.split_once(':') {
        Some((name, number)) => (name, Some(number)),
        None => (text, None),
    };
    let number = |usual: f32, most: f32| match number {
        None => Ok(usual),
        Some(text) => text
            .parse()
            .ok()
            .filter(|value| (0.0..=most).contains(value))
            .ok_or_else(|| format!("{text:?} is no number from 0 to {most}")),
    };
    match name {
        "scores" => Ok(Fusion::Scores {
            dense_weight: number(2.5, 1e3)?,
        }),
        "rrf" => Ok(Fusion::Rrf {
            k: number(60.0, 1e6)?,
        }),
        "weighted" => Ok(Fusion::Weighted {
            dense_weight: number(0.5, 1.0)?,
        }),
        _ => Err("give scores, rrf or weighted, with a number after a colon or without".to_owned()),
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Score(args) => score(&args),
        Command::Answers(args) => answer(&args),
        Command::Chunks(args) => chunks(&args),
        Command::Embed(args) => embed(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "faq-bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn embed(args: &Embed) -> Result<()> {
    ensure!(args.runs > 0, "--runs is 0; give 1 or more");
    let texts = faq_bench::embed::texts(&args.texts)?;
    let store = args
        .models
        .as_ref()
        .map_or_else(ModelStore::default, ModelStore::new);
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    ensure!(threads > 0, "--threads is 0; give 1 or more");
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

fn run(args: &Run) -> Result<()> {
    ensure!(
        args.ranking.is_none() || args.mode.len() == 1,
        "--run writes one ranking; give one --mode with it"
    );
    let set = read(&args.judged)?;
    // Dropped, and with it removed, after everything that is open in it.
    let passing;
    let data: &Path = if let Some(kept) = &args.data {
        kept
    } else {
        passing = tempfile::tempdir().context("no temporary folder")?;
        passing.path()
    };
    // A graph that is asked for is there from the first vector on.
    let graph_min = (args.vector_search == VectorSearchName::Graph).then_some(1);
    let collection = retrieve::open(data, args.models.as_deref(), graph_min, args.precision)?;
    let ingested = ingest(&collection, &set.corpus, data)?;
    if args.vector_search == VectorSearchName::Graph {
        collection.index().build_graph()?;
    }

    let mut runs = Vec::new();
    for mode in &args.mode {
        let settings = Settings {
            mode: mode.mode(),
            fusion: args.fusion.unwrap_or_default(),
            vector_search: match args.vector_search {
                VectorSearchName::Auto => VectorSearch::Auto,
                VectorSearchName::Exact => VectorSearch::Exact,
                VectorSearchName::Graph => VectorSearch::Graph,
            },
            k: args.k as usize,
        };
        let bar = bar(set.queries.len() as u64, "{pos}/{len} questions");
        bar.set_message(mode.name());
        let retrieved = retrieve::retrieve(&collection, &set, &settings, &mut |done| {
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        if let Some(path) = &args.ranking {
            retrieved.run.write(path, &format!("faq-{}", mode.name()))?;
        }
        runs.push(RunReport {
            mode: mode.name().to_owned(),
            vectors: retrieved.plan,
            metrics: metrics::mean(&retrieved.run, &set.qrels),
            latency_ms: retrieved.latency,
        });
    }
    let report = Report {
        data_set: set.name,
        split: args.judged.split.clone(),
        documents: set.corpus.len(),
        queries: set.queries.len(),
        refused: ingested
            .failed
            .iter()
            .map(|failure| Refused {
                document: failure.path.display().to_string(),
                error: failure.error.clone(),
            })
            .collect(),
        ingest_seconds: ingested.seconds,
        runs,
    };
    let text = if args.judged.json {
        serde_json::to_string(&report)? + "\n"
    } else {
        report.to_string()
    };
    print(&text)
}

fn score(args: &Score) -> Result<()> {
    let set = read(&args.judged)?;
    let scores = metrics::mean(&trec::Run::read(&args.run)?, &set.qrels);
    let text = if args.judged.json {
        serde_json::to_string(&scores)? + "\n"
    } else {
        let line = |(name, value)| format!("{name:<9}{value:.4}\n");
        scores.named().map(line).concat()
    };
    print(&text)
}

fn answer(args: &Answers) -> Result<()> {
    let passing;
    let data: &Path = if let Some(kept) = &args.data {
        kept
    } else {
        passing = tempfile::tempdir().context("no temporary folder")?;
        passing.path()
    };
    let collection = retrieve::open(data, args.models.as_deref(), None, Precision::default())?;
    let corpus = faq_bench::beir::read_corpus(&args.beir)?;
    ingest(&collection, &corpus, data)?;
    let answerer = match args.generator.as_str() {
        "extractive" => Answerer::Extractive,
        model => Answerer::Model(collection.engine().generator(model)?),
    };
    let options = AskOptions {
        answerer,
        ..AskOptions::default()
    };
    let mut features = args
        .features
        .as_ref()
        .map(std::fs::File::create)
        .transpose()?;
    let mut signals = args
        .signals
        .as_ref()
        .map(std::fs::File::create)
        .transpose()?;
    if let Some(out) = &mut signals {
        out.write_all(answers::signals_header().as_bytes())?;
    }
    let mut tallies: Vec<(&str, Tally)> = Vec::new();
    for (kind, file) in answers::files(&args.questions) {
        let questions = answers::read(&file, &args.split, args.limit)?;
        let bar = bar(questions.len() as u64, "{pos}/{len} questions, {eta} left");
        bar.set_message(kind);
        let mut done = || bar.inc(1);
        if let Some(out) = &mut features {
            answers::features(&collection, kind, &questions, out, &mut done)?;
        } else if let Some(out) = &mut signals {
            answers::signals(&collection, kind, &questions, out, &mut done)?;
        } else {
            tallies.push((
                kind,
                answers::tally(&collection, &questions, &options, &mut done)?,
            ));
        }
        bar.finish_and_clear();
    }
    if args.json {
        let by_kind: std::collections::BTreeMap<_, _> = tallies.into_iter().collect();
        return print(&(serde_json::to_string(&by_kind)? + "\n"));
    }
    let mut text = String::from(
        "questions     asked  right  wrong  silent  cited text holds it  first ms  whole ms\n",
    );
    for (kind, t) in tallies {
        let share = |n: usize| 100.0 * n as f64 / t.asked.max(1) as f64;
        let _ = writeln!(
            text,
            "{kind:<12}{:>7}{:>6.1}%{:>6.1}%{:>7.1}%{:>20.1}%{:>10.0}{:>10.0}",
            t.asked,
            share(t.right),
            share(t.wrong),
            share(t.silent),
            share(t.cited_holds),
            t.median_first_ms,
            t.median_ms
        );
    }
    print(&text)
}

fn chunks(args: &Chunks) -> Result<()> {
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

fn read(args: &Judged) -> Result<DataSet> {
    let mut set = DataSet::read(&args.beir, &args.split)?;
    if let Some(most) = args.limit_queries {
        set.limit_queries(most);
    }
    Ok(set)
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

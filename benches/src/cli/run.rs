//! `faq-bench run`.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use faq_bench::report::{IndexSize, Refused, Report, RunReport};
use faq_bench::retrieve::{self, IndexSettings, Settings, SpellingName};
use faq_bench::{fusion, memory, metrics, report, rerank, typos};
use faq_core::{
    ChunkConfig, Collection, DEFAULT_EMBEDDING_MODEL, Fusion, IngestReport, Mode, Precision,
    Rerank, VectorSearch,
};

use super::{Folder, at_least_one, bar, golden, ingest, read_set, show};

/// Ingest judged data, ask its questions, score the rankings
///
/// The documents go through the product's own ingest and each question through its own search.
/// Reported are metrics equal to trec_eval's; Cover@10, the share of questions with a relevant
/// document among the first ten (success_10 of trec_eval); the time of each step of a search; the
/// index on disk; and this process's memory. `--json` gives all of it as one value.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    faq-bench run --beir data/scifact\n  \
    faq-bench run --beir data/scifact --mode keyword,dense,hybrid --data /tmp/scifact\n  \
    faq-bench run --beir data/scifact --fusion scores:2.5,rrf:60,weighted:0.5 --data /tmp/scifact\n  \
    faq-bench run --beir data/scifact --rerank none,20 --data /tmp/scifact\n  \
    faq-bench run --beir data/scifact --typos 7 --spelling tolerant,exact\n  \
    faq-bench run --beir data/scifact --mode dense --vector-search graph --ef 64 --run dense.trec\n  \
    faq-bench run --golden my.toml --docs handbook/\n\n\
    A golden set in TOML; page and text may be left out, and a question with several right places \
    has a list, expected = [{document = …, page = …}, …]:\n  \
    documents = \"handbook\"      # relative to this file; or give --docs\n  \
    [[question]]\n  \
    question = \"How many days of leave are there?\"\n  \
    document = \"leave.pdf\"      # file name, or path below the folder\n  \
    page = 3\n  \
    text = \"25 days\"\n\n\
    In CSV a header (question,document,page,text, and id and checked where wanted), then a place \
    a row. A hit is right where the document, then the page, then the text match: each level has \
    its own metrics, over the questions that expect one. `faq-bench draft` makes a first version.")]
pub(crate) struct Run {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/
    #[arg(long, value_name = "DIR", required_unless_present = "golden")]
    beir: Option<PathBuf>,
    /// Questions of one's own instead: TOML or CSV, as shown below
    #[arg(long, value_name = "FILE", conflicts_with_all = ["beir", "split", "limit_queries", "typos"])]
    golden: Option<PathBuf>,
    /// The documents that these questions are about [default: what the file names, else --data]
    #[arg(long, value_name = "DIR", requires = "golden")]
    pub(super) docs: Option<PathBuf>,
    /// Ask only the questions that are not marked `checked = false`
    #[arg(long, requires = "golden")]
    pub(super) checked: bool,
    /// Judgements to use: qrels/SPLIT.tsv
    #[arg(long, default_value = "test")]
    split: String,
    /// Ask the first N questions only
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit_queries: Option<usize>,
    /// Put a slip of the keyboard into a word of each question; the seed decides which
    #[arg(long, value_name = "SEED")]
    typos: Option<u64>,
    #[command(flatten)]
    pub(super) search: SearchArgs,
    /// Write the ranking in TREC format (one way to search only)
    #[arg(long = "run", value_name = "OUT.trec")]
    pub(super) ranking: Option<PathBuf>,
    /// Keep the index here and use it again [default: a folder that is removed]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long)]
    pub(super) json: bool,
}

/// How an index is made and asked.
#[derive(Args)]
pub(super) struct SearchArgs {
    /// Which lists are asked; several between commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "hybrid")]
    mode: Vec<ModeName>,
    /// How hybrid searches fuse: scores, scores:W (weight of the cosine), rrf, rrf:K, or
    /// weighted:W (weight of the normalised dense scores, 0 to 1); several between commas
    /// [default: as shipped]
    #[arg(long, value_name = "FUSION", value_delimiter = ',', value_parser = fusion::parse)]
    fusion: Vec<Fusion>,
    /// Whether the best hits are looked at once more, by their tokens: none, N (how many), or N:W
    /// (weight of the similarity of tokens); several between commas [default: as shipped]
    #[arg(long, value_name = "RERANK", value_delimiter = ',', value_parser = Reranking::parse)]
    rerank: Vec<Reranking>,
    /// What becomes of words that no document holds: tolerant (the nearest words of the documents
    /// are searched, as shipped) or exact; several between commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "tolerant")]
    spelling: Vec<SpellingChoice>,
    /// How vectors are searched
    #[arg(long, value_enum, default_value = "auto")]
    vector_search: VectorSearchName,
    /// Width of the walk through the graph [default: as shipped]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    ef: Option<u32>,
    /// Documents to rank for each question
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    k: u32,
    /// Entries that hybrid searches take from each list; three for each document that is ranked
    /// (K) are taken at least
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    candidates: Option<u32>,
    /// Most tokens of a chunk
    #[arg(long, value_name = "TOKENS", default_value_t = ChunkConfig::default().size)]
    chunk_size: usize,
    /// Tokens that neighbouring chunks share at most [default: a fifth of --chunk-size]
    #[arg(long, value_name = "TOKENS")]
    chunk_overlap: Option<usize>,
    /// Embedding model, a name or a path
    #[arg(long, default_value = DEFAULT_EMBEDDING_MODEL, value_name = "MODEL")]
    model: String,
    /// What the embedding model computes with: int8 or f32
    #[arg(long, default_value_t)]
    precision: Precision,
    /// The model folder
    #[arg(long, env = "FAQ_MODELS_DIR", value_name = "DIR")]
    models: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ModeName {
    Keyword,
    Dense,
    Hybrid,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum SpellingChoice {
    Tolerant,
    Exact,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum VectorSearchName {
    Auto,
    Exact,
    Graph,
}

impl SpellingChoice {
    fn name(self) -> SpellingName {
        match self {
            Self::Tolerant => SpellingName::Tolerant,
            Self::Exact => SpellingName::Exact,
        }
    }
}

impl ModeName {
    fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Dense => "dense",
            Self::Hybrid => "hybrid",
        }
    }
}

/// One way to search, and its names.
pub(super) struct Way {
    pub(super) mode: &'static str,
    pub(super) fusion: Option<String>,
    pub(super) rerank: Option<String>,
    pub(super) spelling: Option<String>,
    pub(super) settings: Settings,
}

impl Way {
    pub(super) fn label(&self) -> String {
        report::Label {
            mode: self.mode,
            fusion: self.fusion.as_deref(),
            rerank: self.rerank.as_deref(),
            spelling: self.spelling.as_deref(),
        }
        .to_string()
    }
}

/// A reranking or none; clap would take an `Option` for a flag that may be left out.
#[derive(Clone, Copy)]
struct Reranking(Option<Rerank>);

impl Reranking {
    fn parse(text: &str) -> Result<Self, String> {
        rerank::parse(text).map(Self)
    }
}

impl SearchArgs {
    pub(super) fn index(&self) -> IndexSettings {
        IndexSettings {
            models: self.models.clone(),
            model: self.model.clone(),
            precision: self.precision,
            chunking: ChunkConfig {
                size: self.chunk_size,
                overlap: self.chunk_overlap.unwrap_or(self.chunk_size / 5),
            },
            // A graph that is asked for is there from the first vector on.
            graph_min_vectors: self.wants_graph().then_some(1),
        }
    }

    fn wants_graph(&self) -> bool {
        self.vector_search == VectorSearchName::Graph
    }

    /// Builds the graph where it is asked for.
    pub(super) fn prepare(&self, collection: &Collection) -> Result<()> {
        if self.wants_graph() {
            collection.index().build_graph()?;
        }
        Ok(())
    }

    /// Documents that are ranked for each question.
    pub(super) fn k(&self) -> usize {
        self.k as usize
    }

    /// Every mode; of hybrid, every fusion; of each, every reranking and every spelling.
    pub(super) fn ways(&self) -> Vec<Way> {
        let shipped = Settings::default();
        let fusions = match &self.fusion[..] {
            [] => vec![shipped.fusion],
            named => named.to_vec(),
        };
        let reranks = match &self.rerank[..] {
            [] => vec![Reranking(shipped.rerank)],
            named => named.to_vec(),
        };
        let mut ways = Vec::new();
        for mode in &self.mode {
            let settings = Settings {
                mode: match mode {
                    ModeName::Keyword => Mode::Keyword,
                    ModeName::Dense => Mode::Dense,
                    ModeName::Hybrid => Mode::Hybrid,
                },
                fusion: shipped.fusion,
                vector_search: match self.vector_search {
                    VectorSearchName::Auto => VectorSearch::Auto,
                    VectorSearchName::Exact => VectorSearch::Exact,
                    VectorSearchName::Graph => VectorSearch::Graph,
                },
                ef: self.ef.map(|ef| ef as usize),
                candidates: self.candidates.map(|n| n as usize),
                k: self.k as usize,
                rerank: shipped.rerank,
                spelling: shipped.spelling,
            };
            let hybrid = *mode == ModeName::Hybrid;
            let fusions = if hybrid { &fusions[..] } else { &fusions[..1] };
            for fused in fusions {
                for Reranking(rerank) in &reranks {
                    ways.extend(self.spelling.iter().map(|spelling| Way {
                        mode: mode.name(),
                        fusion: hybrid.then(|| fusion::name(*fused)),
                        rerank: rerank::name(*rerank),
                        spelling: spelling.name().changed(),
                        settings: Settings {
                            fusion: *fused,
                            rerank: *rerank,
                            spelling: spelling.name(),
                            ..settings
                        },
                    }));
                }
            }
        }
        ways
    }
}

pub(super) fn run(args: &Run) -> Result<()> {
    let ways = args.search.ways();
    ensure!(
        args.ranking.is_none() || ways.len() == 1,
        "--run writes one ranking; give one --mode, --fusion, --rerank and --spelling with it"
    );
    if let Some(file) = &args.golden {
        return golden::run(args, file, ways);
    }
    let beir = args.beir.as_deref().context("give --beir or --golden")?;
    let mut set = read_set(beir, &args.split, args.limit_queries)?;
    let misspelled = args.typos.map_or(0, |seed| typos::misspell(&mut set, seed));
    let folder = Folder::new(args.data.as_ref())?;
    let collection = retrieve::open(folder.path(), &args.search.index())?;
    let ingested = ingest(&collection, &set.corpus, folder.path())?;
    args.search.prepare(&collection)?;

    let mut runs = Vec::new();
    for way in ways {
        let bar = bar(set.queries.len() as u64, "{pos}/{len} questions");
        bar.set_message(way.mode);
        let retrieved = retrieve::retrieve(&collection, &set, &way.settings, &mut |done| {
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        if let Some(path) = &args.ranking {
            retrieved.run.write(path, &format!("faq-{}", way.mode))?;
        }
        runs.push(RunReport {
            mode: way.mode.to_owned(),
            fusion: way.fusion,
            rerank: way.rerank,
            spelling: way.spelling,
            vectors: retrieved.plan,
            metrics: metrics::mean(&retrieved.run, &set.qrels).at_depth(way.settings.k),
            latency_ms: retrieved.latency,
        });
    }
    let report = Report {
        data_set: set.name,
        split: args.split.clone(),
        documents: set.corpus.len(),
        queries: set.queries.len(),
        misspelled,
        refused: refused(&ingested),
        ingest_seconds: ingested.seconds,
        index: IndexSize::of(&collection).context("no sizes of the index")?,
        memory: memory::now(),
        runs,
    };
    show(args.json, &report)
}

pub(super) fn refused(ingested: &IngestReport) -> Vec<Refused> {
    let failed = ingested.failed.iter();
    failed
        .map(|failure| Refused {
            document: failure.path.display().to_string(),
            error: failure.error.clone(),
        })
        .collect()
}

//! The command line as a person types it: verbs, flags, help and examples.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use faq_core::{ChunkConfig, DEFAULT_COLLECTION, FollowUps, Mode, Precision, Wording};

use super::spelling::SpellingArgs;
use super::values::{at_least_one, cosine, tag, temperature, threads};

/// Where everything is kept when nobody says otherwise.
const DEFAULT_DATA_DIR: &str = "faq-data";

/// Cited answers from your own documents: one process, one folder, no other service.
#[derive(Debug, Parser)]
#[command(
    name = "faq",
    version,
    disable_help_subcommand = true,
    propagate_version = true,
    after_help = "Examples:
  faq demo                                   see it at work on sample documents
  faq ingest handbook.pdf policies/          read documents into ./faq-data
  faq ask \"How many days of leave do I get?\"
  faq search --explain \"travel expenses\"

Exit codes: 0 done, 1 failed, 2 wrong use. With --json stdout holds JSON and nothing else; an
error is there too, as {\"error\": …, \"code\": …}."
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Flags of every verb.
#[derive(Debug, Clone, Group)]
#[command(next_help_heading = "Common options")]
pub(super) struct Common {
    /// Folder with everything that is kept [default: faq-data, here]
    #[arg(long, global = true, value_name = "DIR", env = "FAQ_DATA")]
    pub(super) data: Option<PathBuf>,
    /// Collection within the data folder
    #[arg(long, global = true, value_name = "NAME", default_value = DEFAULT_COLLECTION)]
    pub(super) collection: String,
    /// Folder with the models [default: faq/models in your cache folder]
    #[arg(long, global = true, value_name = "DIR", env = "FAQ_MODELS_DIR")]
    pub(super) models: Option<PathBuf>,
    /// Embedding model, a name or a path [default: all-minilm-l6-v2]
    #[arg(long, global = true, value_name = "MODEL", env = "EMBEDDING_MODEL")]
    pub(super) embedding_model: Option<String>,
    /// What the embedding model computes with: int8 is faster, f32 exact [default: int8]
    #[arg(
        long,
        global = true,
        value_name = "PRECISION",
        env = "EMBEDDING_PRECISION",
        hide_env = true
    )]
    pub(super) embedding_precision: Option<Precision>,
    /// Threads to compute with [default: one a core]
    #[arg(long, global = true, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
    /// Keep what a model remembers of a prompt's rules in the data folder, which makes the next
    /// first word come sooner [default: true]
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        env = "KEEP_PROMPTS",
        hide_env = true
    )]
    pub(super) keep_prompts: Option<bool>,
    /// Largest file that is read, in MB [default: 50]
    #[arg(
        long,
        global = true,
        value_name = "MB",
        env = "MAX_FILE_SIZE_MB",
        hide_env = true
    )]
    pub(super) max_file_size: Option<u64>,
    /// Print one JSON value on stdout and nothing else there
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Use no network: a model that is not here is an error
    #[arg(long, global = true)]
    pub(super) offline: bool,
}

impl Common {
    /// The data folder that counts.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| DEFAULT_DATA_DIR.into())
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask questions of sample documents, and see where the answers stand
    #[command(after_help = "Examples:
  faq demo
  faq demo --page                            and a page to try it on, in the browser
  faq demo --generator qwen2.5-coder-1.5b-instruct
  faq demo --samples my-documents/ --question \"Who approves travel abroad?\"")]
    Demo(DemoArgs),
    /// Read files and folders into a collection
    #[command(after_help = "Examples:
  faq ingest handbook.pdf
  faq ingest --tag hr --tag 2024 policies/
  faq ingest 'docs/**/*.md' --prune          (the shell must not expand the pattern)
  faq ingest --json docs/ | jq .failed

Read are PDF, Word (docx), PowerPoint (pptx), Excel (xlsx), OpenDocument text (odt), EPUB, RTF,
HTML, Markdown, CSV, e-mail (eml) and plain text.
Unchanged files are skipped, changed ones replaced. A file that cannot be read is named at the
end with its reason, stops nothing else, and makes the exit code 1. Ctrl-C keeps what is done.")]
    Ingest(IngestArgs),
    /// Find passages, ranked, with their scores
    #[command(after_help = "Examples:
  faq search \"carry over leave\"
  faq search '\"notice period\" contractors'   (quoted words must stand together)
  faq search -k 3 --mode keyword \"form T-12\"
  faq search --explain --filter format=pdf --filter tag=hr \"sick note\"
  faq search --rerank --explain \"how long is parental leave\"
  faq search --filter from=2024-01-01 --filter until=2024-06-30 \"prices\"")]
    Search(SearchArgs),
    /// Answer a question from the documents, with sources, or say "I don't know"
    #[command(after_help = "Examples:
  faq ask \"Who approves travel abroad?\"
  faq ask --generator qwen2.5-coder-1.5b-instruct \"Summarise the leave rules\"
  faq ask --generator http://localhost:11434 --model llama3.1:8b \"…\"   (Ollama)
  faq ask --json \"Who approves travel abroad?\" | jq -r .sources[].filename
  faq ask --explain \"Who approves travel abroad?\"
  faq ask --after \"Who approves travel abroad?\" \"And who pays for it?\"

An \"I don't know\" is an answer: the exit code is 0, and the reason is said.")]
    Ask(AskArgs),
    /// Tell at which stage a document falls out when a question is answered
    #[command(after_help = "Examples:
  faq why --doc handbook.pdf \"Who approves travel abroad?\"
  faq why --json --doc 4bd0f1a2-5c57-5a0f-8d0e-0c4d2b9a6f11 \"sick note\" | jq .stage

Stages, in their order: filtered, not_found, ranked_low, below_threshold, crowded, repeated,
unlikely, not_quoted, quoted. Said is what the document has there and what it would have needed.")]
    Why(WhyArgs),
    /// Give a recorded answer again, from what it was made from
    #[command(after_help = "Examples:
  faq ask --record answer.json \"Who approves travel abroad?\"
  faq replay answer.json

The exit code is 1 where the words are others than they were.")]
    Replay(ReplayArgs),
    /// Show what the parser reads in a file: blocks, pages, chunks
    #[command(after_help = "Examples:
  faq inspect handbook.pdf
  faq inspect --text handbook.pdf > handbook.txt
  faq inspect handbook.pdf --html handbook.html      what was read, and where it stands
  faq inspect --json *.docx | jq -r '[.path, (.blocks | length)] | @tsv'

Works without any model; there are no chunks then.")]
    Inspect(InspectArgs),
    /// List the documents of a collection
    #[command(after_help = "Examples:
  faq list
  faq list --json | jq -r .documents[].source")]
    List(NoArgs),
    /// Delete documents, completely
    #[command(after_help = "Examples:
  faq delete handbook.pdf
  faq delete 4bd0f1a2-5c57-5a0f-8d0e-0c4d2b9a6f11
  faq compact                                (takes their remains off the disk)")]
    Delete(DeleteArgs),
    /// Take what deletions left behind off the disk
    #[command(after_help = "Example:
  faq compact --data faq-data")]
    Compact(NoArgs),
    /// Make documents again that older parts or other settings made
    #[command(after_help = "Examples:
  faq reindex
  faq reindex --chunk-size 256
  faq reindex --embedding-model models/bge-small-en-v1.5

The old state answers until the new one is whole.")]
    Reindex(ReindexArgs),
    /// Turn texts, or lines of stdin, into vectors
    #[command(after_help = "Examples:
  faq embed \"How many days of leave do I get?\"
  faq embed --json < sentences.txt")]
    Embed(EmbedArgs),
    /// List, fetch and find models
    #[command(after_help = "Examples:
  faq models list
  faq models pull all-minilm-l6-v2
  faq models path smollm2-135m-instruct
  faq models bench")]
    Models(ModelsArgs),
    /// Serve organisations and their apps over HTTP
    #[command(after_help = "Examples:
  faq serve --data /var/lib/faq
  faq serve --host 0.0.0.0 --port 8080 --config faq.env
  LLM_MODEL=qwen2.5-coder-1.5b-instruct faq serve

Every setting has a name in the environment, and may stand in the file that --config names, as
NAME=value lines. Flags go before the environment, the environment before the file. None is
required: keys that are not given are made at the first start, beside the data folder. All
mistakes are told at once. See docs/operating.md.")]
    Serve(ServeArgs),
    /// Write everything that is kept into one file, also beside a running server
    #[command(after_help = "Examples:
  faq backup --data /var/lib/faq faq.backup
  faq backup --force --config /etc/faq.env /mnt/backups/faq.backup

The file holds the documents, the people and the uploaded files, and never the master key: keep
that elsewhere. What can be made again (vectors' segments, keyword index) is left out.")]
    Backup(BackupArgs),
    /// Bring a backup into an empty or missing data folder
    #[command(after_help = "Examples:
  faq restore faq.backup --data /var/lib/faq
  faq restore --json faq.backup --data faq-data | jq .master_key_id

Everything is checked before anything is put into its place; a failure leaves nothing.")]
    Restore(RestoreArgs),
    /// Check models, disk, processor and settings
    #[command(after_help = "Example:
  faq doctor --data faq-data

The exit code is 1 where something is broken.")]
    Doctor(DoctorArgs),
    /// Parse one document for a parent process (started by the server, never by hand)
    #[command(hide = true, after_help = "Example: faq parse-child HEADER < FILE")]
    ParseChild(ParseChildArgs),
}

#[derive(Debug, Group)]
pub(super) struct ServeArgs {
    /// Address to listen on; 0.0.0.0 for every network [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    pub(super) host: Option<String>,
    /// Port to listen on, 0 for any that is free [default: 3000]
    #[arg(long, value_name = "PORT")]
    pub(super) port: Option<String>,
    /// File of NAME=value lines
    #[arg(long, value_name = "FILE", env = "FAQ_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// File to write the address into once requests are answered
    #[arg(long, value_name = "FILE")]
    pub(super) address_file: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(super) struct BackupArgs {
    /// File to write
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Replace the file where it is there already
    #[arg(long)]
    pub(super) force: bool,
    /// File of NAME=value lines, as the server's: it says where uploaded files are kept
    #[arg(long, value_name = "FILE", env = "FAQ_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(super) struct RestoreArgs {
    /// File that `faq backup` wrote
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// File of NAME=value lines, as the server's: it says where the keys are kept
    #[arg(long, value_name = "FILE", env = "FAQ_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

/// What the server tells a process that parses one document for it.
#[derive(Debug, Group)]
pub(super) struct ParseChildArgs {
    /// Options as JSON
    pub(super) header: String,
}

/// A verb without arguments of its own.
#[derive(Debug, Group)]
pub(super) struct NoArgs {}

#[derive(Debug, Group)]
pub(super) struct DoctorArgs {
    /// File of NAME=value lines, as the server's, to check as well
    #[arg(long, value_name = "FILE", env = "FAQ_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

/// How documents are cut.
#[derive(Debug, Clone, Copy, Group)]
pub(super) struct ChunkArgs {
    /// Most tokens of a chunk [default: 1000]
    #[arg(long, value_name = "TOKENS", env = "CHUNK_SIZE", hide_env = true)]
    pub(super) chunk_size: Option<usize>,
    /// Tokens that neighbouring chunks share [default: 200, or a fifth of a smaller size]
    #[arg(long, value_name = "TOKENS", env = "CHUNK_OVERLAP", hide_env = true)]
    pub(super) chunk_overlap: Option<usize>,
}

impl ChunkArgs {
    /// The settings; the overlap follows a size that is given alone.
    pub(super) fn config(self) -> ChunkConfig {
        let default = ChunkConfig::default();
        let size = self.chunk_size.unwrap_or(default.size);
        let overlap = self
            .chunk_overlap
            .unwrap_or_else(|| default.overlap.min(size / 5));
        ChunkConfig { size, overlap }
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressKind {
    /// A bar where stderr is a terminal, else a line now and then
    Auto,
    /// A line now and then
    Plain,
    /// One JSON object a line on stderr; `committed` names documents that are durable
    Json,
    /// Nothing
    None,
}

#[derive(Debug, Group)]
pub(super) struct IngestArgs {
    /// Files, folders, and patterns such as 'docs/**/*.md'
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Label for the documents, to filter by; can be repeated
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    pub(super) tags: Vec<String>,
    /// Remove documents below the paths given whose file is gone
    #[arg(long)]
    pub(super) prune: bool,
    /// How progress is shown, on stderr
    #[arg(long, value_enum, value_name = "KIND", default_value_t = ProgressKind::Auto)]
    pub(super) progress: ProgressKind,
    #[command(flatten)]
    pub(super) chunks: ChunkArgs,
}

/// Which lists a search asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SearchMode {
    /// Vectors and keywords, fused
    Hybrid,
    /// Vectors alone
    Dense,
    /// Keywords alone; needs no model
    Keyword,
}

impl From<SearchMode> for Mode {
    fn from(mode: SearchMode) -> Self {
        match mode {
            SearchMode::Hybrid => Self::Hybrid,
            SearchMode::Dense => Self::Dense,
            SearchMode::Keyword => Self::Keyword,
        }
    }
}

/// Which documents count.
#[derive(Debug, Group)]
pub(super) struct FilterArgs {
    /// Only documents with this; can be repeated. Keys: document (an id), filename, format (pdf,
    /// docx, pptx, xlsx, odt, epub, rtf, html, markdown, csv, eml, text), tag, from and until (a day, or an RFC 3339 time). Values of
    /// one key are joined by "or", different keys by "and"; a day in `until` is included
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    pub(super) filters: Vec<String>,
}

#[derive(Debug, Group)]
pub(super) struct SearchArgs {
    /// What to look for; quoted words must stand together, no other character has a special meaning
    #[arg(value_name = "QUERY")]
    pub(super) query: String,
    /// Most passages to show
    #[arg(short, long = "top", value_name = "K", default_value_t = 10, value_parser = at_least_one)]
    pub(super) k: usize,
    /// Which lists are asked
    #[arg(long, value_enum, value_name = "MODE", default_value_t = SearchMode::Hybrid)]
    pub(super) mode: SearchMode,
    /// Look at the best N passages once more, by their tokens: a better order, and slower
    /// [10 where no N is given]
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10",
        value_parser = at_least_one
    )]
    pub(super) rerank: Option<usize>,
    #[command(flatten)]
    pub(super) spelling: SpellingArgs,
    /// Show how the search went and why each passage came back
    #[arg(long)]
    pub(super) explain: bool,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
}

/// Who writes the answer.
#[derive(Debug, Group)]
pub(super) struct GeneratorArgs {
    /// `extractive` (sentences word for word, no model), a model's name or path, or the URL of an
    /// OpenAI-compatible or Ollama endpoint (its key in OPENAI_API_KEY)
    #[arg(long, value_name = "GENERATOR", env = "LLM_MODEL", hide_env = true)]
    pub(super) generator: Option<String>,
    /// Model to ask an endpoint for, where --generator is a URL
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// Most tokens that a model writes [default: 160]
    #[arg(long, value_name = "N", env = "LLM_MAX_TOKENS", hide_env = true, value_parser = at_least_one)]
    pub(super) max_tokens: Option<usize>,
    /// Who answers where the generator fails, named as it is
    #[arg(
        long,
        value_name = "GENERATOR",
        env = "LLM_FALLBACK_MODEL",
        hide_env = true
    )]
    pub(super) fallback: Option<String>,
    /// TOML file with what a model is told, instead of what is shipped (docs/answers.md)
    #[arg(long, value_name = "FILE", env = "PROMPTS_FILE", hide_env = true)]
    pub(super) prompts: Option<PathBuf>,
    /// How a model is to write, as in "friendly and brief"
    #[arg(long, value_name = "TONE", env = "LLM_TONE", hide_env = true)]
    pub(super) tone: Option<String>,
    /// Who understands a question that points back to earlier ones: rules, or the model that
    /// answers [default: rules]
    #[arg(long, value_name = "WHO", env = "LLM_FOLLOW_UPS", hide_env = true)]
    pub(super) follow_ups: Option<FollowUps>,
    /// In whose words a model answers: its own, or the documents', which it then only reads. That
    /// takes less time, and a small model is right more often so [default: model]
    #[arg(long, value_name = "WHOSE", env = "LLM_WORDING", hide_env = true)]
    pub(super) wording: Option<Wording>,
    /// 0 writes the likeliest words, more is more varied [default: 0]
    #[arg(long, value_name = "T", env = "LLM_TEMPERATURE", hide_env = true, value_parser = temperature)]
    pub(super) temperature: Option<f64>,
}

#[derive(Debug, Group)]
pub(super) struct AskArgs {
    /// The question
    #[arg(value_name = "QUESTION")]
    pub(super) question: String,
    #[command(flatten)]
    pub(super) generator: GeneratorArgs,
    #[command(flatten)]
    pub(super) reading: ReadingArgs,
    /// Show how the answer came about: what each stage found, chose and left out
    #[arg(long)]
    pub(super) explain: bool,
    /// Write the answer with all that it was made from into a file, for `faq replay`. The file
    /// holds text of the documents
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
}

#[derive(Debug, Group)]
pub(super) struct WhyArgs {
    /// The document: its id, path or file name
    #[arg(long, value_name = "DOCUMENT")]
    pub(super) doc: String,
    /// The question
    #[arg(value_name = "QUESTION")]
    pub(super) question: String,
    #[command(flatten)]
    pub(super) reading: ReadingArgs,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
}

#[derive(Debug, Group)]
pub(super) struct ReplayArgs {
    /// File that `faq ask --record` wrote
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) generator: GeneratorArgs,
}

/// What of what was found is read, and in which light.
#[derive(Debug, Group)]
pub(super) struct ReadingArgs {
    /// An earlier question of the conversation, oldest first; can be repeated. A follow-up is
    /// understood in their light
    #[arg(long, value_name = "QUESTION")]
    pub(super) after: Vec<String>,
    /// Least cosine of a passage, -1 to 1, instead of the calibrated relevance
    #[arg(long, value_name = "COSINE", env = "SIMILARITY_THRESHOLD", hide_env = true,
          value_parser = cosine, allow_negative_numbers = true)]
    pub(super) threshold: Option<f32>,
    /// Most passages that are read [default: 5]
    #[arg(long, value_name = "N", env = "MAX_CONTEXT_CHUNKS", hide_env = true, value_parser = at_least_one)]
    pub(super) max_context_chunks: Option<usize>,
    #[command(flatten)]
    pub(super) spelling: SpellingArgs,
}

#[derive(Debug, Group)]
pub(super) struct InspectArgs {
    /// Files to look at
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Print the canonical text alone
    #[arg(long, conflicts_with = "json")]
    pub(super) text: bool,
    /// Write a page that shows the blocks at their places, beside the text and the chunks
    #[arg(long, value_name = "OUT", conflicts_with = "text")]
    pub(super) html: Option<PathBuf>,
    /// Replace OUT where it is there already
    #[arg(long, requires = "html")]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) chunks: ChunkArgs,
}

#[derive(Debug, Group)]
pub(super) struct DeleteArgs {
    /// Ids of documents, paths they came from, or file names that only one document has
    #[arg(required = true, value_name = "DOCUMENT")]
    pub(super) documents: Vec<String>,
}

#[derive(Debug, Group)]
pub(super) struct ReindexArgs {
    #[command(flatten)]
    pub(super) chunks: ChunkArgs,
}

#[derive(Debug, Group)]
pub(super) struct EmbedArgs {
    /// Texts; without any, each line of stdin is one
    #[arg(value_name = "TEXT")]
    pub(super) texts: Vec<String>,
    /// Embed as questions, for models that treat them differently
    #[arg(long)]
    pub(super) query: bool,
}

#[derive(Debug, Group)]
pub(super) struct ModelsArgs {
    #[command(subcommand)]
    pub(super) command: ModelsCommand,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(super) enum ModelsCommand {
    /// Known models, and which are here
    List,
    /// Fetch a model and check it
    Pull {
        /// Name of the model, see `faq models list`
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Where a model is
    Path {
        /// Name of the model
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Measure how fast models are on this machine, and what memory they take
    #[command(after_help = "Examples:
  faq models bench                           all models that are here
  faq models bench qwen2.5-coder-1.5b-instruct
  faq models bench --json | jq '.models[] | {name, writing_tokens_per_s}'

Figures are medians of three rounds. `limit` is what writing could reach at most: the memory's speed
over the file's size. Memory is what the process takes more than before, in Linux alone.")]
    Bench {
        /// Names or paths of models [default: all that are here]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(Debug, Group)]
pub(super) struct DemoArgs {
    /// Folder of documents to use instead of the built-in samples
    #[arg(long, value_name = "DIR")]
    pub(super) samples: Option<PathBuf>,
    /// Question to ask instead of the built-in ones; can be repeated
    #[arg(long = "question", value_name = "QUESTION")]
    pub(super) questions: Vec<String>,
    /// After the answers, serve a page to try it on, until Ctrl-C [default: where stdout is a
    /// terminal]
    #[arg(long, overrides_with = "no_page")]
    pub(super) page: bool,
    /// End after the answers
    #[arg(long)]
    pub(super) no_page: bool,
    /// Port of the page; 0 for any that is free [default: 3000, or any where that is taken]
    #[arg(long, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// File to write the page's address into once it can be opened
    #[arg(long, value_name = "FILE")]
    pub(super) address_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) generator: GeneratorArgs,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_verb_has_an_example() {
        for verb in Args::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string);
            assert!(
                help.is_some_and(|h| h.contains("Example") && h.contains("faq ")),
                "{}",
                verb.get_name()
            );
        }
    }

    #[test]
    fn common_flags_stand_before_and_after_the_verb() {
        for line in [
            ["faq", "--json", "--data", "d", "list"],
            ["faq", "list", "--data", "d", "--json"],
        ] {
            let args = Args::try_parse_from(line).unwrap();
            assert!(args.common.json);
            assert_eq!(args.common.data_dir(), PathBuf::from("d"));
        }
    }

    #[test]
    fn the_overlap_follows_a_small_size() {
        let at = |size, overlap| {
            let args = ChunkArgs {
                chunk_size: size,
                chunk_overlap: overlap,
            };
            (args.config().size, args.config().overlap)
        };
        assert_eq!(at(None, None), (1000, 200));
        assert_eq!(at(Some(100), None), (100, 20));
        assert_eq!(at(Some(2000), None), (2000, 200));
        assert_eq!(at(Some(100), Some(99)), (100, 99));
    }
}

//! The command line: one module a verb, and what they share.
//!
//! Everything runs on the main thread; the engine owns its own threads. Only [`output`] writes
//! to stdout, and only results go there: progress, warnings and errors go to stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use. With `--json` stdout holds JSON and nothing
//! else, and an error is there too, as `{"error": …, "code": …}`.

mod args;
mod ask;
mod backup;
mod bench;
mod dates;
mod demo;
mod doctor;
mod embed;
mod error;
mod explain;
mod generator;
mod ingest;
mod inspect;
mod interrupt;
mod list;
mod log;
mod models;
mod output;
mod progress;
mod replay;
mod search;
mod serve;
mod snippet;
mod spelling;
mod values;
mod why;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use faq_core::{
    Access, Collection, Engine, EngineConfig, Error, InProcess, IndexError, Mode, ModelStore, Query,
};

use args::{Args, ChunkArgs, Command, Common};
use error::{CliError, Outcome, Result};
use output::Output;

/// Reads the arguments, runs the verb, and says how it ended.
pub(crate) fn main() -> ExitCode {
    if std::env::args_os().len() < 2 {
        output::note(Args::command().render_help());
        return ExitCode::from(2);
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => return usage(&e),
    };
    // The server's log is another.
    if !matches!(args.command, Command::Serve(_)) {
        log::install();
    }
    let mut out = Output::new(args.common.json);
    let result = run(&args, &mut out).and_then(|outcome| out.flush().map(|()| outcome));
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(e) => fail(&e, &mut out),
    }
}

fn run(args: &Args, out: &mut Output) -> Result<Outcome> {
    let common = &args.common;
    match &args.command {
        Command::Demo(args) => demo::run(common, args, out),
        Command::Ingest(args) => ingest::run(common, args, out),
        Command::Search(args) => search::run(common, args, out),
        Command::Ask(args) => ask::run(common, args, out),
        Command::Replay(args) => replay::run(common, args, out),
        Command::Why(args) => why::run(common, args, out),
        Command::Inspect(args) => inspect::run(common, args, out),
        Command::List(_) => list::list(common, out),
        Command::Delete(args) => list::delete(common, args, out),
        Command::Compact(_) => list::compact(common, out),
        Command::Reindex(args) => list::reindex(common, args, out),
        Command::Embed(args) => embed::run(common, args, out),
        Command::Models(args) => models::run(common, args, out),
        Command::Serve(args) => serve::run(common, args, out),
        Command::Backup(args) => backup::backup(common, args, out),
        Command::Restore(args) => backup::restore(common, args, out),
        Command::Doctor(args) => doctor::run(common, args, out),
        Command::ParseChild(args) => parse_child(&args.header),
    }
}

/// One document from stdin to stdout, in a process that can do nothing else.
fn parse_child(header: &str) -> Result<Outcome> {
    crate::sandbox::child::run(header).map_err(|source| CliError::Stream {
        action: "parse for another process",
        source,
    })?;
    Ok(Outcome::Done)
}

/// Says why it failed, and turns that into an exit code.
fn fail(error: &CliError, out: &mut Output) -> ExitCode {
    if error.is_broken_pipe() {
        // Who reads has read enough, as `head` does.
        return ExitCode::SUCCESS;
    }
    output::error(error);
    if out.is_json() && !out.has_written() {
        // Where stdout is gone too, stderr has said it.
        let _unheard = out.json(&error.to_json()).and_then(|()| out.flush());
    }
    ExitCode::from(error.exit_code())
}

/// Help and version go where clap sends them; a wrong use also gets its JSON.
fn usage(error: &clap::Error) -> ExitCode {
    let _unheard = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|arg| arg == "--json") {
        let mut out = Output::new(true);
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        let sentence = first.strip_prefix("error: ").unwrap_or(first);
        let error = CliError::usage(sentence);
        let _unheard = out.json(&error.to_json()).and_then(|()| out.flush());
    }
    ExitCode::from(2)
}

impl Common {
    /// The model store that the flags name.
    fn model_store(&self) -> ModelStore {
        let dir = self.models.clone().unwrap_or_else(ModelStore::default_dir);
        ModelStore::new(dir).offline(self.offline)
    }

    /// The engine that the flags describe. Nothing is loaded or written yet.
    fn engine(&self, chunks: Option<&ChunkArgs>) -> Result<Engine> {
        Ok(Engine::with_config(self.engine_config(chunks))?)
    }

    /// Who parses, on as many threads as the flags allow.
    fn reader(&self) -> InProcess {
        let usual = InProcess::default();
        InProcess {
            threads: self.threads.map_or(usual.threads, |n| n.min(usual.threads)),
            ..usual
        }
    }

    fn engine_config(&self, chunks: Option<&ChunkArgs>) -> EngineConfig {
        let mut config = EngineConfig::new(self.data_dir());
        config.models = self.model_store();
        if let Some(model) = &self.embedding_model {
            config.embedding_model.clone_from(model);
        }
        if let Some(precision) = self.embedding_precision {
            config.precision = precision;
        }
        if let Some(threads) = self.threads {
            config.threads = threads;
            // A model that writes computes on rayon's own pool; a second engine finds it there.
            let _made = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global();
        }
        config.keep_prompts = self.keep_prompts.unwrap_or(config.keep_prompts);
        config.reader = Arc::new(self.reader());
        if let Some(chunks) = chunks {
            config.chunking = chunks.config();
        }
        if let Some(megabytes) = self.max_file_size {
            config.limits.file_bytes = megabytes.saturating_mul(1 << 20);
        }
        config
    }

    /// The collection that the flags name, to be read beside other processes that read it. One
    /// that has to be repaired, or brought up to date, is opened for that.
    fn reading(&self) -> Result<Collection> {
        let open = || {
            let mut config = self.engine_config(None);
            config.access = Access::ReadOnly;
            Engine::with_config(config)?.existing_collection(&self.collection)
        };
        let collection = match open() {
            Err(Error::Index(IndexError::ReadOnly { .. })) => return self.existing(),
            opened => opened?,
        };
        let mut look = Query::new("", None);
        look.mode = Mode::Keyword;
        if collection.index().search(&look)?.plan.degraded.is_empty() {
            return Ok(collection);
        }
        drop(collection);
        // Where it cannot be repaired now it is read as it is, and says so.
        Ok(self.existing().or_else(|_| open())?)
    }

    /// The collection that the flags name, which must exist.
    fn existing(&self) -> Result<Collection> {
        let collection = self.engine(None)?.existing_collection(&self.collection)?;
        if let Some(why) = collection.read_only() {
            output::note(format_args!(
                "note: the collection is open for reading alone, since {why}"
            ));
        }
        Ok(collection)
    }
}

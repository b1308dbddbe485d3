//! `faq serve`: the HTTP server.

use std::net::SocketAddr;
use std::path::Path;

use faq_core::{Answerer, Engine, EngineConfig};
use tokio::sync::watch;

use super::args::{Common, ServeArgs};
use super::error::{CliError, Outcome, Result};
use super::generator::{self, Endpoints};
use super::output::{self, Output};
use crate::server::{self, Config, Values};

pub(super) fn run(common: &Common, args: &ServeArgs, out: &mut Output) -> Result<Outcome> {
    let flags = [("HOST", &args.host), ("PORT", &args.port)];
    let values = values(&flags, args.config.as_deref())?;
    let config = Config::read(common.data_dir(), &values)?;
    let engine = engine_config(common, &values);
    start(
        config,
        engine,
        async |_| Ok(None),
        |address| {
            if let Some(file) = &args.address_file {
                write_address(file, address)?;
            }
            if out.is_json() {
                out.json(&serde_json::json!({ "address": address.to_string() }))?;
            } else {
                out.line(format_args!(
                    "faq serves http://{address} (API: http://{address}/docs)"
                ))?;
            }
            out.flush()
        },
    )
}

/// Flags first, then the environment, then the file.
pub(super) fn values(flags: &[(&str, &Option<String>)], file: Option<&Path>) -> Result<Values> {
    let mut values = Values::default();
    values.add(
        flags
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_owned(), (*value).clone()?))),
    );
    values.add(
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    );
    if let Some(file) = file {
        values.add_file(file)?;
    }
    Ok(values)
}

/// The engine as flags say, and as the settings say where no flag does.
fn engine_config(common: &Common, values: &Values) -> EngineConfig {
    let mut common = common.clone();
    if common.embedding_model.is_none() {
        common.embedding_model = values.get("EMBEDDING_MODEL").map(str::to_owned);
    }
    if common.embedding_precision.is_none() {
        common.embedding_precision = values
            .get("EMBEDDING_PRECISION")
            .and_then(|name| name.parse().ok());
    }
    if common.keep_prompts.is_none() {
        common.keep_prompts = values.get("KEEP_PROMPTS").and_then(|b| b.parse().ok());
    }
    if common.models.is_none() {
        common.models = values.get("FAQ_MODELS_DIR").map(Into::into);
    }
    let number = |name: &str| values.get(name).and_then(|n| n.parse().ok());
    let chunks = super::args::ChunkArgs {
        chunk_size: number("CHUNK_SIZE"),
        chunk_overlap: number("CHUNK_OVERLAP"),
    };
    common.engine_config(Some(&chunks))
}

/// Runs the server until a signal says stop. `demo` is asked, once everything is open, for what
/// the page to try it on has to know.
pub(super) fn start(
    config: Config,
    engine: EngineConfig,
    demo: impl AsyncFnOnce(&server::App) -> Result<Option<String>>,
    started: impl FnOnce(SocketAddr) -> Result<()>,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let (stop, stopping) = watch::channel(false);
    let endpoints = Endpoints {
        ollama: config.ollama_url.clone(),
        openai_key: config.openai_api_key.clone(),
    };
    let answerer = move |engine: &Engine, name: &str| -> Result<Answerer, String> {
        generator::answerer(engine, name, None, &endpoints).map_err(|e| e.to_string())
    };
    runtime.block_on(async {
        let app = server::prepare(config, engine, answerer, stopping).await?;
        tokio::spawn(wait_for_signal(stop));
        let demo = demo(&app).await?;
        let mut told = Ok(());
        server::serve(app, demo, |address| told = started(address))
            .await
            .map_err(CliError::Serve)?;
        told
    })?;
    Ok(Outcome::Done)
}

/// SIGTERM and Ctrl-C end the server in order; a second one ends it at once.
async fn wait_for_signal(stop: watch::Sender<bool>) {
    signal().await;
    output::note("stopping; what is going on may end (again to stop at once)");
    stop.send_replace(true);
    signal().await;
    std::process::exit(1);
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}

/// Written aside and renamed, so that whoever waits for it reads it whole.
pub(super) fn write_address(file: &Path, address: SocketAddr) -> Result<()> {
    let failed = |source| CliError::Write {
        path: file.to_owned(),
        source,
    };
    let aside = file.with_extension("part");
    std::fs::write(&aside, address.to_string()).map_err(failed)?;
    std::fs::rename(&aside, file).map_err(failed)
}

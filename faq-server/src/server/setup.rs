//! From settings to a server that can be started: every part opened and checked.

use std::sync::{Arc, Mutex};

use faq_auth::{AccessTokens, Passwords};
use faq_core::{Answerer, AskOptions, Engine, EngineConfig, Prompts, Spelling, Threshold};
use tokio::sync::{Notify, Semaphore, watch};

use super::answers::{Answers, Capacity};
use super::app::{App, Parts};
use super::clock::now_ms;
use super::config::{Config, StorageConfig};
use super::keys::{KeyError, Keys};
use super::limits::Limits;
use super::metrics::Metrics;
use super::routes::LastLook;
use super::store::{Store, StoreError, jobs, organisations};
use super::uploads::Incoming;
use crate::sandbox::{Sandbox, SandboxConfig, SandboxError};
use crate::storage::{LocalStorage, S3Storage, Storage, StorageError};

/// Password hashes that are computed at a time; each takes some 20 MB and a core.
const HASHES: usize = 4;

/// Under this name the store keeps which master key its secrets are sealed under.
pub(super) const KEY_ID: &str = "master_key_id";

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("cannot make the data folder {path}: {source}")]
    DataDir {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("cannot lock {path}: {source}")]
    Lock {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("another server uses the data folder {0}; stop it, or give another folder in --data")]
    InUse(std::path::PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the storage cannot be used: {0}")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Engine(#[from] faq_core::Error),
    #[error("the parser's sandbox cannot be used: {0}")]
    Sandbox(#[from] SandboxError),
    #[error("{0}")]
    Setting(String),
}

/// Opens everything. `engine` says how the engine is set up and `answerer` makes generators by
/// name; `stopping` becomes true when the server is to go down.
pub(crate) async fn prepare(
    config: Config,
    mut engine: EngineConfig,
    answerer: impl Fn(&Engine, &str) -> Result<Answerer, String>,
    stopping: watch::Receiver<bool>,
) -> Result<App, SetupError> {
    keep_to_oneself();
    std::fs::create_dir_all(&config.data_dir).map_err(|source| SetupError::DataDir {
        path: config.data_dir.clone(),
        source,
    })?;
    let lock = lock(&config.data_dir)?;
    let store = Store::open(&config.data_dir.join("server.db"))?;
    let sealed_under = store.read_now(|c| organisations::meta(c, KEY_ID))?;
    let keys = Keys::load(&config, sealed_under.as_deref())?;
    if sealed_under.is_none() {
        let id = keys.master.key_id().to_string();
        store
            .write(move |c| organisations::set_meta(c, KEY_ID, &id))
            .await?;
    }
    let abandoned = store.write(|c| jobs::abandon_leases(c, now_ms())).await?;
    if abandoned > 0 {
        tracing::warn!(abandoned, "work that a server left when it died goes on");
    }
    let setting = |e: &dyn std::fmt::Display| SetupError::Setting(e.to_string());
    let tokens = AccessTokens::new(&keys.access, config.access_token).map_err(|e| setting(&e))?;
    let passwords = Passwords::new(config.argon2).map_err(|e| setting(&e))?;
    let storage = match &config.storage {
        StorageConfig::Local(path) => Storage::Local(LocalStorage::open(path)?),
        StorageConfig::S3(s3) => Storage::S3(S3Storage::open(s3)?),
    };
    engine.limits.file_bytes = config.max_file_bytes;
    engine.reader = Arc::new(Sandbox::new(SandboxConfig::default())?);
    let engine = Engine::with_config(engine)?;
    // The embedding model is loaded now, so that the first question does not wait for it.
    engine.embedder()?;
    let mut options = ask_options(&config)?;
    options.answerer = answerer(&engine, &config.generator)
        .map_err(|e| SetupError::Setting(format!("LLM_MODEL: {e}")))?;
    if let Some(name) = &config.fallback_generator {
        let fallback = answerer(&engine, name)
            .map_err(|e| SetupError::Setting(format!("LLM_FALLBACK_MODEL: {e}")))?;
        options.fallbacks.push(fallback);
    }
    options
        .check()
        .map_err(|e| SetupError::Setting(format!("LLM_WORDING: {e}")))?;
    let models = std::iter::once(&options.answerer).chain(&options.fallbacks);
    if models.into_iter().all(|a| matches!(a, Answerer::Model(_))) {
        // Where no model answers, the documents still do.
        options.fallbacks.push(Answerer::Extractive);
    }
    let answers = Answers::new(
        options,
        &Capacity {
            slots: config.answer_slots,
            waiting: config.answer_queue,
            timeout: config.answer_timeout,
            cache: config.answer_cache,
        },
    );
    Ok(App::new(Parts {
        limits: Limits::new(config.rate_limit_per_minute),
        config,
        keys,
        store,
        engine,
        storage,
        tokens,
        passwords,
        metrics: Metrics::new(),
        answers,
        last_look: LastLook::default(),
        work: Notify::new(),
        incoming: Incoming::default(),
        running: Mutex::default(),
        stopping,
        hashing: Semaphore::new(HASHES),
        _lock: lock,
    }))
}

/// What this process writes is its user's alone: hashes, questions, documents.
#[cfg(target_os = "linux")]
fn keep_to_oneself() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

#[cfg(not(target_os = "linux"))]
fn keep_to_oneself() {}

/// Locks the data folder. The system ends the lock with the process, however that dies.
fn lock(data_dir: &std::path::Path) -> Result<std::fs::File, SetupError> {
    let path = data_dir.join("server.lock");
    let failed = |source| SetupError::Lock {
        path: path.clone(),
        source,
    };
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(SetupError::InUse(data_dir.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn ask_options(config: &Config) -> Result<AskOptions, SetupError> {
    let mut options = AskOptions {
        max_context_chunks: config.max_context_chunks,
        follow_ups: config.follow_ups,
        wording: config.wording,
        ..AskOptions::default()
    };
    if config.exact_spelling {
        options.spelling = Spelling::Exact;
    }
    if let Some(cosine) = config.similarity_threshold {
        options.threshold = Threshold::Cosine(cosine);
    }
    if let Some(tokens) = config.max_tokens {
        options.generate.max_tokens = tokens;
    }
    if let Some(temperature) = config.temperature {
        options.generate.temperature = temperature;
    }
    options.tone.clone_from(&config.tone);
    if let Some(path) = &config.prompts {
        let prompts = Prompts::read(path)
            .map_err(|error| SetupError::Setting(format!("PROMPTS_FILE: {error}")))?;
        options.prompts = Some(Arc::new(prompts));
    }
    Ok(options)
}

//! The engine: a data directory, its collections, and the models that serve them.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use faq_index::{Access, CollectionConfig, DocumentId, IndexError, TruthCopy};
use faq_ingest::{ChunkConfig, Limits};

use crate::generate::{Generator, LocalModel, LocalOptions};
use crate::open::OpenCollections;
use crate::{
    BertEmbedder, Collection, DocumentReader, Embedder, Error, InProcess, ModelStore, Precision,
    Result,
};

/// Name of the collection that is used where none is named.
pub const DEFAULT_COLLECTION: &str = "default";

/// Name of the embedding model that is used where none is named.
pub const DEFAULT_EMBEDDING_MODEL: &str = "all-minilm-l6-v2";

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The directory with everything the engine keeps.
    pub data_dir: PathBuf,
    /// Where models are.
    pub models: ModelStore,
    /// Name or path of the embedding model.
    pub embedding_model: String,
    /// What the embedding model computes with.
    pub precision: Precision,
    /// How documents are cut into chunks.
    pub chunking: ChunkConfig,
    /// What a document may cost.
    pub limits: Limits,
    /// Who turns bytes into documents. Default: [`InProcess`].
    pub reader: Arc<dyn DocumentReader>,
    /// Threads for embedding, 1 to [`EngineConfig::MOST_THREADS`]. Default: one a core.
    pub threads: usize,
    /// Number of vectors from which a collection is searched through its graph.
    pub graph_min_vectors: usize,
    /// What may be done with collections. Default: reading and writing, where that is possible.
    /// Several processes may read one at a time in which none writes.
    pub access: Access,
    /// Whether local models keep their state after the rules and worked examples of a prompt in
    /// the folder `prompts` of the data directory, where that is there, so that the next process
    /// need not read them. Default true.
    pub keep_prompts: bool,
}

impl EngineConfig {
    /// Most threads that can be asked for: far more than help on any machine, and not so many that
    /// waiting for them is all that is done.
    pub const MOST_THREADS: usize = 1024;

    /// The shipped settings over `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            models: ModelStore::default(),
            embedding_model: DEFAULT_EMBEDDING_MODEL.to_owned(),
            precision: Precision::default(),
            chunking: ChunkConfig::default(),
            limits: Limits::default(),
            reader: Arc::new(InProcess::default()),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            graph_min_vectors: CollectionConfig::default().graph_min_vectors,
            access: Access::default(),
            keep_prompts: true,
        }
    }
}

/// The engine. `Send + Sync`; clones share everything.
///
/// ```no_run
/// use faq_core::{AskOptions, Control, Engine, IngestOptions};
///
/// let engine = Engine::open("faq-data")?;
/// let handbook = engine.collection("handbook")?;
/// handbook.ingest(&["docs".into()], &IngestOptions::default(), &Control::new(), &mut |_| {})?;
/// let answer = handbook.ask("How many days of leave do I get?", &AskOptions::default(), &Control::new(), &mut |_| {})?;
/// println!("{}", answer.answer);
/// # Ok::<(), faq_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Shared>);

/// What all handles of one engine share.
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    /// Set once the model was loaded, or from the start where the caller brought one.
    embedder: OnceLock<Arc<dyn Embedder>>,
    /// Held while the model is loaded, so that it is loaded once.
    loading: Mutex<()>,
    collections: OpenCollections,
    generators: Mutex<HashMap<PathBuf, Arc<dyn Generator>>>,
}

impl Engine {
    /// Opens the engine over `data_dir` with the shipped settings. No model is loaded until
    /// one is needed, and nothing is written until something is ingested.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a setting makes no sense.
    pub fn open(data_dir: impl Into<PathBuf>) -> Result<Self> {
        Self::with_config(EngineConfig::new(data_dir))
    }

    /// Opens the engine as `config` says.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a setting makes no sense.
    pub fn with_config(config: EngineConfig) -> Result<Self> {
        let ChunkConfig { size, overlap } = config.chunking;
        if size == 0 {
            return Err(Error::invalid(
                "a chunk of 0 tokens holds nothing; give 1 or more",
            ));
        }
        if overlap >= size {
            return Err(Error::invalid(format!(
                "a chunk of {size} tokens cannot overlap the next by {overlap}; \
                 the overlap must be smaller than the size"
            )));
        }
        if !(1..=EngineConfig::MOST_THREADS).contains(&config.threads) {
            return Err(Error::invalid(format!(
                "{} threads cannot work; give 1 to {}",
                config.threads,
                EngineConfig::MOST_THREADS
            )));
        }
        Ok(Self(Arc::new(Shared {
            config,
            embedder: OnceLock::new(),
            loading: Mutex::new(()),
            collections: OpenCollections::default(),
            generators: Mutex::default(),
        })))
    }

    /// Opens the engine with an embedder of the caller's own.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a setting makes no sense.
    pub fn with_embedder(config: EngineConfig, embedder: Arc<dyn Embedder>) -> Result<Self> {
        let engine = Self::with_config(config)?;
        let _first = engine.0.embedder.set(embedder);
        Ok(engine)
    }

    /// The settings.
    pub fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    /// The embedding model, loaded at the first call.
    ///
    /// # Errors
    /// [`Error::Model`] where it is not here, [`Error::Embed`] where it cannot be loaded.
    pub fn embedder(&self) -> Result<Arc<dyn Embedder>> {
        self.0.embedder()
    }

    /// A generation model by name or path, loaded at the first call.
    ///
    /// # Errors
    /// [`Error::Model`] where it is not here, [`Error::Generate`] where it cannot be loaded.
    pub fn generator(&self, model: &str) -> Result<Arc<dyn Generator>> {
        let path = self.0.config.models.generation(model)?;
        let mut loaded = self
            .0
            .generators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(generator) = loaded.get(&path) {
            return Ok(Arc::clone(generator));
        }
        let generator: Arc<dyn Generator> = Arc::new(self.open_model(&path)?);
        loaded.insert(path, Arc::clone(&generator));
        Ok(generator)
    }

    fn open_model(&self, path: &Path) -> Result<LocalModel> {
        let config = &self.0.config;
        let options = LocalOptions {
            prompts: config.keep_prompts.then(|| config.data_dir.join("prompts")),
            ..LocalOptions::default()
        };
        Ok(LocalModel::open_with(path, &options)?)
    }

    /// The collection `name`, created at its first write.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is no name, [`Error::Index`] where it cannot be opened.
    pub fn collection(&self, name: &str) -> Result<Collection> {
        Ok(Collection::new(
            self.clone(),
            name,
            self.open_index(name, true)?,
        ))
    }

    /// The collection `name` where it exists.
    ///
    /// # Errors
    /// As [`collection`](Self::collection), and [`IndexError::NotFound`].
    pub fn existing_collection(&self, name: &str) -> Result<Collection> {
        Ok(Collection::new(
            self.clone(),
            name,
            self.open_index(name, false)?,
        ))
    }

    /// Names of the collections in the data directory, in order.
    ///
    /// # Errors
    /// [`Error::Io`] where the directory cannot be read.
    pub fn collections(&self) -> Result<Vec<String>> {
        let dir = self.0.config.data_dir.join("collections");
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::Io { path: dir, source }),
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| check_name(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Copies the truth of a collection to the file `into`, which must not exist, beside whoever
    /// has the collection open; see [`faq_index::copy_truth`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is no name, [`Error::Index`] where it cannot be copied.
    pub fn copy_truth<S: BuildHasher>(
        &self,
        name: &str,
        into: &Path,
        keep: Option<&HashSet<DocumentId, S>>,
    ) -> Result<TruthCopy> {
        check_name(name)?;
        let dir = self.collection_dir(name);
        Ok(faq_index::copy_truth(&dir, into, keep)?)
    }

    /// The directory of a collection.
    pub(crate) fn collection_dir(&self, name: &str) -> PathBuf {
        self.0.config.data_dir.join("collections").join(name)
    }

    fn open_index(&self, name: &str, create: bool) -> Result<faq_index::Collection> {
        check_name(name)?;
        self.0.collections.get_or_open(name, || {
            let dir = self.collection_dir(name);
            // A reindex that was killed between its two renames left the collection beside its
            // place.
            let old = self.collection_dir(&format!(".{name}.old"));
            if !dir.exists() && old.exists() {
                std::fs::rename(&old, &dir).map_err(|source| Error::Io { path: old, source })?;
            }
            self.open_at(&dir, create)
        })
    }

    pub(crate) fn open_at(&self, dir: &Path, create: bool) -> Result<faq_index::Collection> {
        let mut config = CollectionConfig {
            graph_min_vectors: self.0.config.graph_min_vectors,
            access: self.0.config.access,
            create,
            ..CollectionConfig::default()
        };
        if let Some(dim) = self.0.dim() {
            config.dim = dim;
        }
        Ok(faq_index::Collection::open(dir, config)?)
    }

    /// Lets go of the open handle on a collection, so that its directory can be replaced.
    pub(crate) fn forget(&self, name: &str) {
        self.0.collections.forget(name);
    }

    /// Closes collections that nobody uses: those that were last asked for `idle` ago or longer,
    /// and beyond the `keep` that were asked for last all others. They open again when they are
    /// asked for. Returns how many stay open.
    ///
    /// For processes that serve many collections; nothing else closes one before the engine
    /// is dropped.
    pub fn close_idle(&self, idle: Duration, keep: usize) -> usize {
        self.0.collections.close_idle(idle, keep)
    }
}

impl Shared {
    /// Length of the vectors to come, without loading a model: listing and deleting need none.
    fn dim(&self) -> Option<usize> {
        if let Some(embedder) = self.embedder.get() {
            return Some(embedder.dim());
        }
        let models = self.config.models.clone().offline(true);
        BertEmbedder::dim_of(&models.embedding(&self.config.embedding_model).ok()?)
    }

    pub(crate) fn embedder(&self) -> Result<Arc<dyn Embedder>> {
        if let Some(embedder) = self.embedder.get() {
            return Ok(Arc::clone(embedder));
        }
        let _alone = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(embedder) = self.embedder.get() {
            return Ok(Arc::clone(embedder));
        }
        let dir = self.config.models.embedding(&self.config.embedding_model)?;
        let Shared { config, .. } = self;
        let embedder = BertEmbedder::load(&dir, config.threads, config.precision)?;
        let embedder: Arc<dyn Embedder> = Arc::new(embedder);
        Ok(Arc::clone(self.embedder.get_or_init(|| embedder)))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// Whether a collection may have this name.
pub fn is_collection_name(name: &str) -> bool {
    check_name(name).is_ok()
}

/// A name is a directory's name on every system: letters, digits, `_`, `-`, `.`, not first a dot.
fn check_name(name: &str) -> Result<()> {
    let fine = (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if fine {
        return Ok(());
    }
    Err(IndexError::Invalid {
        what: format!(
            "{name:?} is no name for a collection; use 1 to 128 letters, digits, '_', '-' or '.', \
             and no dot first"
        ),
    }
    .into())
}

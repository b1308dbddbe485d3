//! Where models are, and how they come here.
//!
//! A model is looked for in this order: an explicit path, the local model folder, the Hugging
//! Face cache, and — with the feature `hub`, unless [`ModelStore::offline`] — the hub.

mod error;
#[cfg(feature = "hub")]
mod hub;
mod known;

pub use error::ModelError;
pub(crate) use known::find as find_known;
pub use known::{KnownFile, KnownModel, ModelKind};

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadProgress {
    /// The file being fetched.
    pub file: String,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes of the whole file; 0 where unknown.
    pub total: u64,
}

/// The local model folder, and the rules by which a model is found.
///
/// ```
/// use faq_core::ModelStore;
///
/// let models = ModelStore::new("models-of-mine").offline(true);
/// let missing = models.embedding("all-MiniLM-L6-v2").err().map(|e| e.code());
/// // Where no model is, the error says how to get it.
/// assert!(missing.is_none() || missing == Some("model_missing"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStore {
    dir: PathBuf,
    offline: bool,
}

/// A model of the local folder, as [`ModelStore::list`] shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelEntry {
    /// Name by which it is asked for.
    pub name: String,
    /// What it is for.
    pub kind: ModelKind,
    /// Where it is; `None` where it is not here.
    pub path: Option<PathBuf>,
    /// Size of its files, in bytes.
    pub bytes: u64,
    /// One line for people.
    pub about: String,
}

impl Default for ModelStore {
    fn default() -> Self {
        Self::new(Self::default_dir())
    }
}

impl ModelStore {
    /// The models in `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            offline: false,
        }
    }

    /// Forbids (or allows) the network.
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// `FAQ_MODELS_DIR`, else `faq/models` in the user's cache folder.
    pub fn default_dir() -> PathBuf {
        let var = |name| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        var("FAQ_MODELS_DIR").unwrap_or_else(|| {
            var("XDG_CACHE_HOME")
                .or_else(|| var("HOME").map(|home| home.join(".cache")))
                .or_else(|| var("LOCALAPPDATA"))
                .unwrap_or_else(|| PathBuf::from(".cache"))
                .join("faq/models")
        })
    }

    /// Whether the network is forbidden.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// The local model folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory of the embedding model `model`, a name or a path.
    ///
    /// # Errors
    /// [`ModelError::Missing`] says where it was looked for and how to get it.
    pub fn embedding(&self, model: &str) -> Result<PathBuf, ModelError> {
        self.locate(model, ModelKind::Embedding)
    }

    /// The GGUF file of the generation model `model`, a name, a path to a file, or a path to
    /// a directory with one such file.
    ///
    /// # Errors
    /// [`ModelError::Missing`] says where it was looked for and how to get it.
    pub fn generation(&self, model: &str) -> Result<PathBuf, ModelError> {
        self.locate(model, ModelKind::Generation)
    }

    /// Fetches a known model from the hub into the local folder, checking each file's SHA-256.
    ///
    /// # Errors
    /// [`ModelError::Offline`] where the network is forbidden or not built in,
    /// [`ModelError::Unknown`], [`ModelError::Download`] and [`ModelError::Checksum`].
    pub fn pull(
        &self,
        model: &str,
        progress: &mut dyn FnMut(DownloadProgress),
    ) -> Result<PathBuf, ModelError> {
        let known = known::find(model).ok_or_else(|| ModelError::Unknown {
            model: model.to_owned(),
            known: KnownModel::ALL
                .iter()
                .map(|m| m.name)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        if let Some(path) = self.find(known.name, known.kind) {
            return Ok(path);
        }
        self.fetch(known, progress)
    }

    #[cfg(feature = "hub")]
    fn fetch(
        &self,
        known: &'static KnownModel,
        progress: &mut dyn FnMut(DownloadProgress),
    ) -> Result<PathBuf, ModelError> {
        if self.offline {
            return Err(ModelError::Offline {
                model: known.name.to_owned(),
            });
        }
        hub::fetch(known, &self.dir.join(known.name), progress)?;
        self.find(known.name, known.kind)
            .ok_or_else(|| self.missing(known.name))
    }

    #[cfg(not(feature = "hub"))]
    #[allow(
        clippy::unused_self,
        reason = "the same signature as with the feature `hub`"
    )]
    fn fetch(
        &self,
        known: &'static KnownModel,
        _progress: &mut dyn FnMut(DownloadProgress),
    ) -> Result<PathBuf, ModelError> {
        Err(ModelError::Offline {
            model: known.name.to_owned(),
        })
    }

    /// Every known model and every other one in the local folder, by name.
    pub fn list(&self) -> Vec<ModelEntry> {
        let mut entries: Vec<ModelEntry> = KnownModel::ALL
            .iter()
            .map(|m| self.entry(m.name, m.kind, m.about))
            .collect();
        let folders = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for folder in folders {
            let name = folder.file_name().to_string_lossy().into_owned();
            if known::find(&name).is_some() || !folder.path().is_dir() {
                continue;
            }
            for kind in [ModelKind::Embedding, ModelKind::Generation] {
                if model_in(&folder.path(), kind).is_some() {
                    entries.push(self.entry(&name, kind, "in the model folder"));
                }
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    fn entry(&self, name: &str, kind: ModelKind, about: &str) -> ModelEntry {
        let path = self.find(name, kind);
        let bytes = path.as_deref().map_or(0, size);
        ModelEntry {
            name: name.to_owned(),
            kind,
            path,
            bytes,
            about: about.to_owned(),
        }
    }

    /// Checks the files of a known model that is here against their SHA-256.
    ///
    /// # Errors
    /// [`ModelError::Checksum`] names the file that differs; [`ModelError::Missing`].
    pub fn verify(&self, model: &str) -> Result<(), ModelError> {
        let Some(known) = known::find(model) else {
            return Ok(());
        };
        let path = self
            .find(known.name, known.kind)
            .ok_or_else(|| self.missing(model))?;
        for file in known.files {
            // A GGUF is one file and may have been given any name.
            let path = match known.kind {
                ModelKind::Embedding => path.join(file.name),
                ModelKind::Generation => path.clone(),
            };
            if let Some(expected) = file.sha256 {
                check_sha256(&path, expected)?;
            }
        }
        Ok(())
    }

    fn locate(&self, model: &str, kind: ModelKind) -> Result<PathBuf, ModelError> {
        let path = Path::new(model);
        if path.components().count() > 1 || path.exists() {
            if let Some(found) = model_in(path, kind) {
                return Ok(found);
            }
            // `sentence-transformers/all-MiniLM-L6-v2` is a name that looks like a path.
            if path.exists() || known::find(model).is_none() {
                return Err(ModelError::NoModel {
                    path: path.to_owned(),
                    kind,
                });
            }
        }
        if let Some(found) = self.find(model, kind) {
            return Ok(found);
        }
        #[cfg(feature = "hub")]
        if !self.offline
            && let Some(known) = known::find(model).filter(|m| m.kind == kind)
        {
            tracing::info!(model = known.name, "fetching the model from the hub");
            return self.fetch(known, &mut |_| {});
        }
        Err(self.missing(model))
    }

    /// Looks in the local folder and in the Hugging Face cache.
    fn find(&self, model: &str, kind: ModelKind) -> Option<PathBuf> {
        let known = known::find(model).filter(|m| m.kind == kind);
        let mut names = vec![model];
        if let Some(known) = known {
            names.push(known.name);
            names.extend(known.aliases);
        }
        names
            .iter()
            .find_map(|name| model_in(&self.dir.join(name), kind))
            .or_else(|| {
                known
                    .and_then(|m| hf_cache(m.hub))
                    .and_then(|dir| model_in(&dir, kind))
            })
    }

    fn missing(&self, model: &str) -> ModelError {
        ModelError::Missing {
            model: model.to_owned(),
            dir: self.dir.clone(),
        }
    }
}

/// The model at `path`: for an embedder the directory, for a generator the GGUF file.
fn model_in(path: &Path, kind: ModelKind) -> Option<PathBuf> {
    match kind {
        ModelKind::Embedding => {
            let whole = ["config.json", "tokenizer.json", "model.safetensors"]
                .iter()
                .all(|file| path.join(file).is_file());
            whole.then(|| path.to_owned())
        }
        ModelKind::Generation if path.is_dir() => {
            let mut files: Vec<PathBuf> = std::fs::read_dir(path)
                .ok()?
                .flatten()
                .map(|entry| entry.path())
                .filter(|file| {
                    file.extension()
                        .is_some_and(|e| e.eq_ignore_ascii_case("gguf"))
                })
                .collect();
            files.sort();
            files.into_iter().next()
        }
        ModelKind::Generation => path.is_file().then(|| path.to_owned()),
    }
}

/// The newest snapshot of `repo` in the cache that Hugging Face's own tools keep.
fn hf_cache(repo: &str) -> Option<PathBuf> {
    let var = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let hub = var("HF_HUB_CACHE")
        .or_else(|| var("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| var("HOME").map(|home| home.join(".cache/huggingface/hub")))?;
    let repo = hub.join(format!("models--{}", repo.replace('/', "--")));
    let revision = std::fs::read_to_string(repo.join("refs/main")).ok()?;
    let snapshot = repo.join("snapshots").join(revision.trim());
    snapshot.is_dir().then_some(snapshot)
}

fn size(path: &Path) -> u64 {
    if path.is_file() {
        return path.metadata().map_or(0, |m| m.len());
    }
    std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| size(&e.path()))
        .sum()
}

fn check_sha256(path: &Path, expected: &str) -> Result<(), ModelError> {
    let io = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer).map_err(io)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let found = crate::hex(&hasher.finalize());
    if found == expected {
        return Ok(());
    }
    Err(ModelError::Checksum {
        path: path.to_owned(),
        expected: expected.to_owned(),
        found,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_missing_model_says_where_and_how() {
        let dir = tempfile::tempdir().unwrap();
        let store = ModelStore::new(dir.path()).offline(true);
        let error = store.embedding("all-MiniLM-L6-v2").unwrap_err().to_string();
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
        assert!(
            error.contains("faq models pull all-MiniLM-L6-v2"),
            "{error}"
        );
    }

    #[test]
    fn a_path_that_holds_no_model_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = ModelStore::new(dir.path()).offline(true);
        let path = dir.path().join("nothing");
        let error = store.generation(path.to_str().unwrap()).unwrap_err();
        assert!(matches!(error, ModelError::NoModel { path: p, .. } if p == path));
    }

    #[test]
    fn names_are_found_in_any_case_and_by_alias() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("smollm2-135m-instruct");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.gguf"), b"GGUF").unwrap();
        let store = ModelStore::new(dir.path()).offline(true);
        for name in ["smollm2-135m-instruct", "SmolLM2-135M-Instruct", "smollm2"] {
            assert_eq!(store.generation(name).unwrap(), folder.join("a.gguf"));
        }
    }

    #[test]
    fn a_wrong_checksum_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, b"abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check_sha256(&path, abc).unwrap();
        assert!(matches!(
            check_sha256(&path, &abc.replace('b', "c")),
            Err(ModelError::Checksum { found, .. }) if found == abc
        ));
    }
}

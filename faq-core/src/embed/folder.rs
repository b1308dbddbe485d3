//! The folder of an encoder: its tokenizer, its weights, and what both are read with.

use std::path::Path;

use tokenizers::Tokenizer;

use super::arithmetic::{Float, Int8};
use super::config::Config;
use super::encoder::{Encoder, Forward};
use super::tokens::caught;
use super::weights::WeightFile;
use super::{EmbedError, Precision};

fn read(path: &Path) -> Result<Vec<u8>, EmbedError> {
    std::fs::read(path).map_err(|source| EmbedError::Io {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn damaged(path: &Path, detail: impl std::fmt::Display) -> EmbedError {
    EmbedError::Damaged {
        path: path.to_owned(),
        detail: detail.to_string(),
    }
}

pub(super) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, EmbedError> {
    serde_json::from_slice(&read(path)?).map_err(|e| damaged(path, e))
}

pub(super) fn optional_json<T: serde::de::DeserializeOwned>(
    path: &Path,
) -> Result<Option<T>, EmbedError> {
    match json(path) {
        Err(EmbedError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// The tokenizer with its built-in truncation and padding taken off.
pub(super) fn load_tokenizer(dir: &Path, config: &Config) -> Result<Tokenizer, EmbedError> {
    let path = dir.join("tokenizer.json");
    let bytes = read(&path)?;
    let read = || -> tokenizers::Result<Tokenizer> {
        let mut tokenizer = Tokenizer::from_bytes(&bytes)?;
        tokenizer.with_truncation(None)?;
        tokenizer.with_padding(None);
        Ok(tokenizer)
    };
    let tokenizer = caught(read).map_err(|e| match e {
        EmbedError::Tokenizer(detail) => damaged(&path, detail),
        other => other,
    })?;
    let (count, known) = (tokenizer.get_vocab_size(true), config.vocab_size);
    if count > known {
        let detail = format!("it has {count} tokens, and the model knows {known}");
        return Err(damaged(&path, detail));
    }
    Ok(tokenizer)
}

/// What is left of a model when its encoder is loaded.
pub(super) struct Loaded<H> {
    pub(super) encoder: Box<dyn Forward>,
    /// CRC-32 of the file of weights.
    pub(super) checksum: u32,
    pub(super) head: H,
}

/// The encoder of the model in `dir`, and what `head` takes of the same weights.
pub(super) fn load_weights<H>(
    dir: &Path,
    config: &Config,
    precision: Precision,
    head: impl FnOnce(&super::weights::Weights<'_>) -> Result<H, String>,
) -> Result<Loaded<H>, EmbedError> {
    let path = dir.join("model.safetensors");
    let file = WeightFile::open(&path)?;
    let load = || -> Result<(Box<dyn Forward>, H), String> {
        let weights = file.weights()?;
        let head = head(&weights)?;
        let encoder: Box<dyn Forward> = match precision {
            Precision::Float32 => Box::new(Encoder::<Float>::load(weights, config)?),
            Precision::Int8 => Box::new(Encoder::<Int8>::load(weights, config)?),
        };
        Ok((encoder, head))
    };
    let (encoder, head) = load().map_err(|e| damaged(&path, e))?;
    Ok(Loaded {
        encoder,
        checksum: file.checksum(),
        head,
    })
}

/// The model's name: that of its folder, or of its repository in the Hugging Face cache
/// (`models--ORGANISATION--NAME/snapshots/REVISION`).
pub(super) fn name(dir: &Path) -> String {
    let part = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let repository = dir
        .parent()
        .filter(|snapshots| snapshots.ends_with("snapshots"))
        .and_then(|snapshots| part(snapshots.parent()?))
        .and_then(|folder| {
            Some(
                folder
                    .strip_prefix("models--")?
                    .rsplit_once("--")?
                    .1
                    .to_owned(),
            )
        });
    repository
        .or_else(|| part(dir))
        .unwrap_or_else(|| "bert".to_owned())
}

pub(super) fn pool(name: &'static str, threads: usize) -> Result<rayon::ThreadPool, EmbedError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(move |i| format!("{name}-{i}"))
        .build()
        .map_err(|e| EmbedError::Threads {
            threads,
            detail: e.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::name;

    #[test]
    fn a_model_is_called_as_its_folder_or_its_repository() {
        let named = |path: &str| name(Path::new(path));
        assert_eq!(named("models/all-minilm-l6-v2"), "all-minilm-l6-v2");
        assert_eq!(
            named("hub/models--intfloat--multilingual-e5-small/snapshots/0a1b2c"),
            "multilingual-e5-small"
        );
        assert_eq!(named("snapshots/mine"), "mine");
        assert_eq!(named("/"), "bert");
    }
}

//! Why a model could not be found or fetched.

use std::path::PathBuf;

use super::ModelKind;

/// Why a model could not be found or fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// It is not here.
    #[error(
        "the model {model} is not in {dir} nor in the Hugging Face cache; {}",
        advice(model)
    )]
    Missing {
        /// The model asked for.
        model: String,
        /// The local model folder.
        dir: PathBuf,
    },
    /// There is no model at an explicit path.
    #[error("there is no {kind} model at {path}: {} expected", kind.expects())]
    NoModel {
        /// The path given.
        path: PathBuf,
        /// The kind asked for.
        kind: ModelKind,
    },
    /// The name is not one that can be fetched.
    #[error("no model is known as {model}; known are {known}")]
    Unknown {
        /// The name given.
        model: String,
        /// Names that are known, joined by commas.
        known: String,
    },
    /// The network is forbidden, or not built in.
    #[error(
        "the model {model} would have to be fetched, and the network is not to be used; \
             run `scripts/fetch-models {model}` or copy it from another machine"
    )]
    Offline {
        /// The model asked for.
        model: String,
    },
    /// The hub could not be reached, or refused.
    #[error(
        "cannot fetch {file} of {model} from the hub: {detail}; \
             try `scripts/fetch-models {model}`, which knows another way"
    )]
    Download {
        /// The model.
        model: String,
        /// The file.
        file: String,
        /// What went wrong.
        detail: String,
    },
    /// A file is not the one that it should be.
    #[error("{path} has SHA-256 {found}, and should have {expected}; delete it and fetch it again")]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The checksum it should have.
        expected: String,
        /// The checksum it has.
        found: String,
    },
    /// The operating system refused.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl ModelError {
    /// Stable name of the error, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::NoModel { .. } => "model_missing",
            Self::Unknown { .. } => "model_unknown",
            Self::Offline { .. } => "offline",
            Self::Download { .. } => "download_failed",
            Self::Checksum { .. } => "model_damaged",
            Self::Io { .. } => "io",
        }
    }
}

/// How to get a model: some are known by name, the others are somebody's own.
fn advice(model: &str) -> String {
    if super::known::find(model).is_some() {
        format!(
            "get it with `faq models pull {model}` or `scripts/fetch-models`, or give a path to it"
        )
    } else {
        "it is none that can be fetched by name (`faq models list` shows those); give a path to it"
            .to_owned()
    }
}

//! What can be wrong with the files that the harness reads.

use std::path::PathBuf;

/// A file that cannot be used, with the place of the trouble.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A line is not what its format asks for.
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A key of a TOML file is not what it should be.
    #[error("{}{}: {problem}", path.display(), place(*line, key))]
    Key {
        /// The file.
        path: PathBuf,
        /// Line number, from 1, where it is known.
        line: Option<usize>,
        /// The key with those above it, joined by dots; empty where the file as a whole is wrong.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A run is not over the questions that it is to be judged by.
    #[error("{}: it has none of the questions of {set}; is it a run over another data set?", path.display())]
    OtherQuestions {
        /// The run.
        path: PathBuf,
        /// The data set.
        set: String,
    },
    /// A data set's folder is not there.
    #[error("{}: there is no such folder", path.display())]
    NoFolder {
        /// The folder that was looked for.
        path: PathBuf,
    },
    /// A file holds nothing of what it is there for.
    #[error("{}: it holds no {what}", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A folder has no judgements of the split that was asked for.
    #[error("{}: there are no such judgements; {}", path.display(), known(splits))]
    NoSplit {
        /// The file that was looked for.
        path: PathBuf,
        /// Names of the splits there are.
        splits: Vec<String>,
    },
}

/// A result with this crate's [`Error`], unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn place(line: Option<usize>, key: &str) -> String {
    let line = line.map_or_else(String::new, |line| format!(", line {line}"));
    if key.is_empty() {
        line
    } else {
        format!("{line}, key {key}")
    }
}

fn known(splits: &[String]) -> String {
    if splits.is_empty() {
        "give a folder that has qrels/SPLIT.tsv".to_owned()
    } else {
        format!("the folder has the splits: {}", splits.join(", "))
    }
}

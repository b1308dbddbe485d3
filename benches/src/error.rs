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
    /// A folder has no judgements of the split that was asked for.
    #[error("{}: there are no such judgements; {}", path.display(), known(splits))]
    NoSplit {
        /// The file that was looked for.
        path: PathBuf,
        /// Names of the splits there are.
        splits: Vec<String>,
    },
}

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

fn known(splits: &[String]) -> String {
    if splits.is_empty() {
        "give a folder that has qrels/SPLIT.tsv".to_owned()
    } else {
        format!("the folder has the splits: {}", splits.join(", "))
    }
}

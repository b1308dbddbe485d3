//! Reads a data set in BEIR layout: `corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`.
//!
//! Owns the format and its errors; knows nothing of the engine.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A document of the corpus.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Document {
    /// Its name in the judgements.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its title; may be empty.
    #[serde(default)]
    pub title: String,
    /// Its text; may be empty.
    pub text: String,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Query {
    /// Its name in the judgements.
    #[serde(rename = "_id")]
    pub id: String,
    /// The question.
    pub text: String,
}

/// Judgements: for each question the grade of each judged document, 0 for irrelevant.
pub type Qrels = BTreeMap<String, BTreeMap<String, i32>>;

/// A data set with the judgements of one split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    /// The last part of the folder's name.
    pub name: String,
    /// All documents, as the file orders them.
    pub corpus: Vec<Document>,
    /// The questions that the split judges with at least one relevant document, as the
    /// file orders them.
    pub queries: Vec<Query>,
    /// Judgements of these questions.
    pub qrels: Qrels,
}

impl DataSet {
    /// Reads the folder `dir` with the judgements `qrels/{split}.tsv`.
    ///
    /// # Errors
    /// Names the folder that is not there, the file that holds no document or no relevant one, and
    /// the line where one is wrong: text that is no JSON, a name that
    /// comes twice, a judgement of a question that there is not.
    pub fn read(dir: &Path, split: &str) -> Result<Self> {
        let judgements = judgements(dir, split)?;
        let mut qrels = read_qrels(&judgements)?;
        qrels.retain(|_, grades| grades.values().any(|grade| *grade > 0));

        if qrels.is_empty() {
            return Err(Error::Nothing {
                path: judgements,
                what: "question with a relevant document",
            });
        }
        let corpus = read_corpus(dir)?;
        if corpus.is_empty() {
            return Err(Error::Nothing {
                path: dir.join("corpus.jsonl"),
                what: "document",
            });
        }
        let path = dir.join("queries.jsonl");
        let mut queries: Vec<Query> = read_unique(&path, |q: &Query| &q.id)?;
        queries.retain(|query| qrels.contains_key(&query.id));
        if queries.len() != qrels.len() {
            let known: HashSet<&str> = queries.iter().map(|q| q.id.as_str()).collect();
            if let Some(missing) = qrels.keys().find(|id| !known.contains(id.as_str())) {
                let of_it = |line: &Result<String>| {
                    let line = line.as_deref().unwrap_or_default();
                    line.split('\t').next().map(str::trim) == Some(missing)
                };
                let line = lines(&judgements)?.find(|(_, line)| of_it(line));
                return Err(Error::Line {
                    path: judgements,
                    line: line.map_or(1, |(number, _)| number),
                    problem: format!(
                        "the question {missing:?} is judged, but {} does not have it",
                        path.display()
                    ),
                });
            }
        }
        let name = dir
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Ok(Self {
            name,
            corpus,
            queries,
            qrels,
        })
    }

    /// Relevant documents that the corpus does not have; nothing can find them.
    pub fn missing_documents(&self) -> Vec<&str> {
        let known: HashSet<&str> = self.corpus.iter().map(|d| d.id.as_str()).collect();
        let judged = self.qrels.values().flatten();
        let relevant = judged.filter(|(_, grade)| **grade > 0);
        let mut missing: Vec<&str> = relevant
            .map(|(id, _)| id.as_str())
            .filter(|id| !known.contains(id))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// SHA-256 over those of the files that it is read from, in hex.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn digest(dir: &Path, split: &str) -> Result<String> {
        let mut digest = Sha256::new();
        let judgements = judgements(dir, split)?;
        for path in [
            dir.join("corpus.jsonl"),
            dir.join("queries.jsonl"),
            judgements,
        ] {
            let bytes = std::fs::read(&path).map_err(|cause| Error::Io { path, cause })?;
            digest.update(Sha256::digest(bytes));
        }
        let mut hex = String::new();
        for byte in digest.finalize() {
            let _ = write!(hex, "{byte:02x}");
        }
        Ok(hex)
    }

    /// Keeps the first `most` questions and their judgements.
    pub fn limit_queries(&mut self, most: usize) {
        self.queries.truncate(most);
        let kept: HashSet<&str> = self.queries.iter().map(|q| q.id.as_str()).collect();
        self.qrels.retain(|id, _| kept.contains(id.as_str()));
    }
}

/// The file with the judgements of a split.
fn judgements(dir: &Path, split: &str) -> Result<PathBuf> {
    if !dir.is_dir() {
        return Err(Error::NoFolder {
            path: dir.to_owned(),
        });
    }
    let path = dir.join("qrels").join(format!("{split}.tsv"));
    if !path.is_file() {
        return Err(Error::NoSplit {
            splits: splits(dir),
            path,
        });
    }
    Ok(path)
}

/// Reads the documents of a data set in `dir`.
///
/// # Errors
/// Where the file cannot be read, a line is no document, or an id comes twice.
pub fn read_corpus(dir: &Path) -> Result<Vec<Document>> {
    read_unique(&dir.join("corpus.jsonl"), |d: &Document| &d.id)
}

/// Reads judgements: question, document and grade between tabs, below a header or without one.
///
/// # Errors
/// Names the line that is none, or that judges a pair a second time.
pub fn read_qrels(path: &Path) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    for (number, line) in lines(path)? {
        let line = line?;
        let is_header = number == 1 && !line.trim_end().ends_with(|c: char| c.is_ascii_digit());
        if is_header || line.trim().is_empty() {
            continue;
        }
        let wrong = |problem: String| Error::Line {
            path: path.to_owned(),
            line: number,
            problem,
        };
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let [query, document, grade] = fields[..] else {
            return Err(wrong(format!(
                "{} fields between tabs where question, document and grade should be",
                fields.len()
            )));
        };
        let grade = grade
            .parse()
            .map_err(|_| wrong(format!("the grade {grade:?} is no whole number")))?;
        let before = qrels
            .entry(query.to_owned())
            .or_default()
            .insert(document.to_owned(), grade);
        if before.is_some_and(|before| before != grade) {
            return Err(wrong(format!(
                "{document:?} has another grade for {query:?} further up"
            )));
        }
    }
    Ok(qrels)
}

/// Reads one JSON value a line, each under a name of its own.
fn read_unique<T: serde::de::DeserializeOwned>(
    path: &Path,
    id: fn(&T) -> &String,
) -> Result<Vec<T>> {
    let mut seen = HashSet::new();
    let mut values = Vec::new();
    for (number, line) in lines(path)? {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |problem: String| Error::Line {
            path: path.to_owned(),
            line: number,
            problem,
        };
        let value: T = serde_json::from_str(&line).map_err(|e| wrong(e.to_string()))?;
        if !seen.insert(id(&value).clone()) {
            return Err(wrong(format!(
                "the name {:?} comes a second time",
                id(&value)
            )));
        }
        values.push(value);
    }
    Ok(values)
}

/// A file's lines with their numbers, from 1.
pub(crate) fn lines(path: &Path) -> Result<impl Iterator<Item = (usize, Result<String>)>> {
    let path = path.to_owned();
    let failed = |path: &PathBuf, cause| Error::Io {
        path: path.clone(),
        cause,
    };
    let file = File::open(&path).map_err(|e| failed(&path, e))?;
    Ok(BufReader::new(file)
        .lines()
        .enumerate()
        .map(move |(at, line)| (at + 1, line.map_err(|e| failed(&path, e)))))
}

fn splits(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = dir
        .join("qrels")
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "tsv"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

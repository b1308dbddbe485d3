//! The file that says what a sweep goes through.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use faq_core::{
    ChunkConfig, DEFAULT_EMBEDDING_MODEL, Fusion, Mode, Precision, Rerank, VectorSearch,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::retrieve::{Settings, SpellingName};
use crate::{Error, Result, fusion, rerank};

/// A sweep: each combination of the lists in `data` and `grid` is a cell.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is asked.
    pub data: Data,
    /// How it is asked. What is not there is as the product ships it.
    #[serde(default)]
    pub grid: Grid,
}

/// Data sets and the questions that are used.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Folders in BEIR layout, relative to the file.
    pub sets: Vec<PathBuf>,
    /// Judgements: `qrels/SPLIT.tsv` of each set. Default `test`.
    #[serde(default = "test_split")]
    pub splits: Vec<String>,
    /// Ask the first questions only.
    pub limit_queries: Option<usize>,
    /// Put a slip of the keyboard into a word of each question, by this seed.
    pub typos: Option<u64>,
}

/// Lists of settings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grid {
    /// Which lists are asked.
    pub mode: Vec<Mode>,
    /// How hybrid searches fuse, as `faq-bench run --fusion` takes it.
    #[serde(deserialize_with = "fusions")]
    pub fusion: Vec<Fusion>,
    /// Documents to rank for each question.
    pub k: Vec<usize>,
    /// Entries that hybrid searches take from each list; `3 * k` at least.
    pub candidates: Vec<usize>,
    /// How the best hits are put in a new order, as `faq-bench run --rerank` takes it.
    #[serde(deserialize_with = "reranks")]
    pub rerank: Vec<Option<Rerank>>,
    /// What becomes of words that no document holds.
    pub spelling: Vec<SpellingName>,
    /// Most tokens of a chunk.
    pub chunk_size: Vec<usize>,
    /// Tokens that neighbours share at most.
    pub chunk_overlap: Vec<usize>,
    /// How vectors are searched.
    pub vector_search: Vec<VectorSearch>,
    /// Width of the walk through the graph; none for the product's.
    pub ef: Vec<usize>,
    /// What the embedding model computes with.
    #[serde(deserialize_with = "parsed")]
    pub precision: Vec<Precision>,
    /// Embedding models, by name or path.
    pub model: Vec<String>,
}

impl Default for Grid {
    fn default() -> Self {
        let ChunkConfig { size, overlap } = ChunkConfig::default();
        Self {
            mode: vec![Mode::default()],
            fusion: vec![Fusion::default()],
            k: vec![100],
            candidates: vec![100],
            rerank: vec![Settings::default().rerank],
            spelling: vec![SpellingName::default()],
            chunk_size: vec![size],
            chunk_overlap: vec![overlap],
            vector_search: vec![VectorSearch::default()],
            ef: Vec::new(),
            precision: vec![Precision::default()],
            model: vec![DEFAULT_EMBEDDING_MODEL.to_owned()],
        }
    }
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// Names the file, and the line and the key where one is wrong: unknown, of another type, an
    /// empty list, or a value that makes no sense.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Io {
            path: path.to_owned(),
            cause,
        })?;
        let config: Self = from_toml(path, &text)?;
        config.check().map_err(|(key, problem)| Error::Key {
            path: path.to_owned(),
            line: line_of_key(&text, key),
            key: key.to_owned(),
            problem,
        })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let Self { data, grid } = self;
        for (key, empty) in [
            ("data.sets", data.sets.is_empty()),
            ("data.splits", data.splits.is_empty()),
            ("grid.mode", grid.mode.is_empty()),
            ("grid.fusion", grid.fusion.is_empty()),
            ("grid.k", grid.k.is_empty()),
            ("grid.candidates", grid.candidates.is_empty()),
            ("grid.rerank", grid.rerank.is_empty()),
            ("grid.spelling", grid.spelling.is_empty()),
            ("grid.chunk_size", grid.chunk_size.is_empty()),
            ("grid.chunk_overlap", grid.chunk_overlap.is_empty()),
            ("grid.vector_search", grid.vector_search.is_empty()),
            ("grid.precision", grid.precision.is_empty()),
            ("grid.model", grid.model.is_empty()),
        ] {
            if empty {
                let problem = "the list is empty; leave the key out for the default";
                return Err((key, problem.to_owned()));
            }
        }
        for (key, values, most) in [
            ("grid.k", &grid.k, 100_000),
            ("grid.candidates", &grid.candidates, 100_000),
            ("grid.ef", &grid.ef, 100_000),
            ("grid.chunk_size", &grid.chunk_size, 1_000_000),
        ] {
            if let Some(wrong) = values.iter().find(|n| !(1..=most).contains(*n)) {
                return Err((key, format!("{wrong} is not between 1 and {most}")));
            }
        }
        if data.limit_queries == Some(0) {
            let problem = "0 questions say nothing; leave the key out for all";
            return Err(("data.limit_queries", problem.to_owned()));
        }
        let fits = |size: &usize| grid.chunk_overlap.iter().any(|overlap| overlap < size);
        if !grid.chunk_size.iter().any(fits) {
            let problem = "no overlap is smaller than a grid.chunk_size".to_owned();
            return Err(("grid.chunk_overlap", problem));
        }
        Ok(())
    }
}

/// Reads a value from TOML; an error names line and key.
pub(crate) fn from_toml<T: for<'de> Deserialize<'de>>(path: &Path, text: &str) -> Result<T> {
    let wrong = |key: String, error: &toml::de::Error| Error::Key {
        path: path.to_owned(),
        line: error.span().map(|span| line_at(text, span.start)),
        key,
        problem: error.message().trim_end().to_owned(),
    };
    let input = toml::Deserializer::parse(text).map_err(|e| wrong(String::new(), &e))?;
    serde_path_to_error::deserialize(input).map_err(|e| {
        let key = e.path().to_string();
        wrong(if key == "." { String::new() } else { key }, e.inner())
    })
}

fn line_at(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().iter().take(byte);
    1 + before.filter(|b| **b == b'\n').count()
}

/// The line on which the last part of a dotted key is set.
fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let name = key.rsplit('.').next()?;
    let sets = |line: &str| {
        line.trim_start()
            .strip_prefix(name)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().position(sets).map(|at| at + 1)
}

fn test_split() -> Vec<String> {
    vec!["test".to_owned()]
}

fn fusions<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Fusion>, D::Error> {
    each(input, fusion::parse)
}

fn reranks<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Option<Rerank>>, D::Error> {
    each(input, rerank::parse)
}

fn parsed<'de, D, T>(input: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    each(input, |text| text.parse::<T>().map_err(|e| e.to_string()))
}

fn each<'de, D: Deserializer<'de>, T>(
    input: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    let parse = |text: &String| parse(text).map_err(D::Error::custom);
    texts.iter().map(parse).collect()
}

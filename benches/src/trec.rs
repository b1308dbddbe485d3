//! TREC run files: `query Q0 document rank score tag`, one ranked document a line.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::beir::{DataSet, lines};
use crate::{Error, Result};

/// Ranked documents of each question.
///
/// Scores are `f32`, since `trec_eval` compares them as such; documents of equal score are
/// ordered by name, descending, as `trec_eval` does, whatever order they came in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    scores: BTreeMap<String, BTreeMap<String, f32>>,
}

impl Run {
    /// Adds a question without documents, so that it counts as asked.
    pub fn ask(&mut self, query: &str) {
        self.scores.entry(query.to_owned()).or_default();
    }

    /// Adds a document; of several scores for one document the best counts.
    pub fn add(&mut self, query: &str, document: &str, score: f32) {
        let best = self
            .scores
            .entry(query.to_owned())
            .or_default()
            .entry(document.to_owned())
            .or_insert(score);
        *best = best.max(score);
    }

    /// The questions, in order of their names.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.scores.keys().map(String::as_str)
    }

    /// A question's documents, best first.
    pub fn ranking(&self, query: &str) -> Vec<&str> {
        self.ranked(query).into_iter().map(|(id, _)| id).collect()
    }

    fn ranked(&self, query: &str) -> Vec<(&str, f32)> {
        let mut ranked: Vec<(&str, f32)> = self
            .scores
            .get(query)
            .into_iter()
            .flatten()
            .map(|(id, score)| (id.as_str(), *score))
            .collect();
        ranked.sort_by(|(a, x), (b, y)| {
            y.partial_cmp(x)
                .unwrap_or(Ordering::Equal)
                .then_with(|| b.cmp(a))
        });
        ranked
    }

    /// Keeps the best `k` documents of each question.
    pub fn truncate(&mut self, k: usize) {
        let queries: Vec<String> = self.scores.keys().cloned().collect();
        for query in queries {
            let kept = self
                .ranked(&query)
                .into_iter()
                .take(k)
                .map(|(id, score)| (id.to_owned(), score))
                .collect();
            self.scores.insert(query, kept);
        }
    }

    /// Writes the run; `tag` names the system that made it.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path, tag: &str) -> Result<()> {
        let mut text = String::new();
        for query in self.queries() {
            for (at, (document, score)) in self.ranked(query).into_iter().enumerate() {
                // Rust writes the shortest decimal that reads back as the same `f32`.
                let _ = writeln!(text, "{query} Q0 {document} {} {score} {tag}", at + 1);
            }
        }
        std::fs::write(path, text).map_err(|cause| Error::Io {
            path: path.to_owned(),
            cause,
        })
    }

    /// Reads a run over the questions of `set`.
    ///
    /// # Errors
    /// As [`Run::read`], and where it has none of these questions.
    pub fn read_for(path: &Path, set: &DataSet) -> Result<Self> {
        let run = Self::read(path)?;
        if run.queries().any(|id| set.qrels.contains_key(id)) {
            return Ok(run);
        }
        Err(Error::OtherQuestions {
            path: path.to_owned(),
            set: set.name.clone(),
        })
    }

    /// Reads a run; its ranks are ignored, as `trec_eval` ignores them.
    ///
    /// # Errors
    /// Names the line that is none, or that ranks a document a second time.
    pub fn read(path: &Path) -> Result<Self> {
        let mut run = Self::default();
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
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [query, _, document, _, score, _] = fields[..] else {
                return Err(wrong(format!(
                    "{} fields where six should be",
                    fields.len()
                )));
            };
            let score: f32 = match score.parse() {
                Ok(score) if f32::is_finite(score) => score,
                _ => return Err(wrong(format!("the score {score:?} is no number"))),
            };
            let documents = run.scores.entry(query.to_owned()).or_default();
            if documents.insert(document.to_owned(), score).is_some() {
                return Err(wrong(format!(
                    "{document:?} comes a second time for {query:?}"
                )));
            }
        }
        Ok(run)
    }
}

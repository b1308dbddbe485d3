//! Golden sets: a person's own questions over their own documents, each with the place that
//! answers it.
//!
//! [`Golden`] is the file, TOML or CSV. [`judge`] ranks what a search finds by documents, by pages
//! and by passages, so that the metrics of judged data sets apply to each. [`draft`] makes a first
//! version of such a file from the documents.

pub mod draft;
pub mod judge;
mod table;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Result};

/// Questions over a folder of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden {
    /// The documents, where the file names them; relative to the file.
    pub documents: Option<PathBuf>,
    /// The questions, as the file orders them.
    pub questions: Vec<Question>,
}

/// A question, and the places that answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its name in rankings: the file's, or its place in the file, from 1.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// The places. Each counts as a relevant document does in a judged data set.
    pub expected: Vec<Expected>,
    /// Whether a person has looked at it.
    pub checked: bool,
    /// Where it begins in the file, where that is known.
    pub line: Option<usize>,
}

/// A place that answers a question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The document's file name, or its path below the folder.
    pub document: String,
    /// Page, from 1.
    pub page: Option<u32>,
    /// Words that stand there. Compared by letters and digits, in any case.
    pub text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    documents: Option<PathBuf>,
    #[serde(default)]
    question: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Option<String>,
    question: String,
    document: Option<String>,
    page: Option<u32>,
    text: Option<String>,
    #[serde(default)]
    expected: Vec<Expected>,
    #[serde(default = "yes")]
    checked: bool,
}

impl Golden {
    /// Reads a golden set: CSV where the name ends so, else TOML.
    ///
    /// # Errors
    /// Names the file, and the line and the key or column that is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Io {
            path: path.to_owned(),
            cause,
        })?;
        let is_csv = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        let golden = if is_csv {
            table::read(path, &text)?
        } else {
            Self::from_toml(path, &text)?
        };
        golden.check(path)?;
        Ok(golden)
    }

    fn from_toml(path: &Path, text: &str) -> Result<Self> {
        let file: File = crate::sweep::from_toml(path, text)?;
        let begins = |line: &(usize, &str)| line.1.trim() == "[[question]]";
        let lines: Vec<usize> = text
            .lines()
            .enumerate()
            .filter(begins)
            .map(|(at, _)| at + 1)
            .collect();
        let questions = file.question.into_iter().enumerate().map(|(at, entry)| {
            let line = lines.get(at).copied();
            let expected = match entry.document {
                Some(document) => vec![Expected {
                    document,
                    page: entry.page,
                    text: entry.text,
                }],
                None if entry.page.is_some() || entry.text.is_some() => {
                    return Err(Error::Key {
                        path: path.to_owned(),
                        line,
                        key: format!("question[{at}].document"),
                        problem: "a page or a text is expected, and no document".to_owned(),
                    });
                }
                None => Vec::new(),
            };
            Ok(Question {
                id: entry.id.unwrap_or_else(|| (at + 1).to_string()),
                text: entry.question,
                expected: expected.into_iter().chain(entry.expected).collect(),
                checked: entry.checked,
                line,
            })
        });
        Ok(Self {
            documents: file.documents,
            questions: questions.collect::<Result<_>>()?,
        })
    }

    fn check(&self, path: &Path) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        let wrong = |question: &Question, key: &str, problem: &str| Error::Key {
            path: path.to_owned(),
            line: question.line,
            key: key.to_owned(),
            problem: format!("question {}: {problem}", question.id),
        };
        for question in &self.questions {
            if !question.text.chars().any(char::is_alphanumeric) {
                return Err(wrong(question, "question", "nothing is asked"));
            }
            if question.id.is_empty() || question.id.contains(char::is_whitespace) {
                return Err(wrong(question, "id", "an id is one word"));
            }
            if !seen.insert(&question.id) {
                return Err(wrong(question, "id", "the id comes a second time"));
            }
            if question.expected.is_empty() {
                return Err(wrong(question, "document", "no document is expected"));
            }
            for expected in &question.expected {
                if expected.page == Some(0) {
                    return Err(wrong(question, "page", "pages are counted from 1"));
                }
                let says = |text: &String| text.chars().any(char::is_alphanumeric);
                if expected.text.as_ref().is_some_and(|text| !says(text)) {
                    return Err(wrong(
                        question,
                        "text",
                        "the text has no letter and no digit",
                    ));
                }
            }
        }
        if self.questions.is_empty() {
            return Err(Error::Key {
                path: path.to_owned(),
                line: None,
                key: "question".to_owned(),
                problem: "the file has no questions".to_owned(),
            });
        }
        Ok(())
    }

    /// Leaves out what no person has looked at.
    pub fn keep_checked(&mut self) {
        self.questions.retain(|question| question.checked);
    }
}

fn yes() -> bool {
    true
}

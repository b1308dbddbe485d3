//! What a search finds, held against the places that a golden set expects.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use faq_core::{Collection, DocumentId, DocumentInfo, StoredChunk};
use serde::Serialize;

use super::{Expected, Golden, Question};
use crate::beir::Qrels;
use crate::latency::Stages;
use crate::memory::Memory;
use crate::metrics::{self, Metrics};
use crate::report::{self, IndexSize, Refused};
use crate::retrieve::{Found, Searcher, Settings};
use crate::trec::Run;

/// Everything that a run over a golden set reports.
#[derive(Debug, Clone, Serialize)]
pub struct GoldenReport {
    /// The golden set's file.
    pub golden: String,
    /// Documents in the index.
    pub documents: usize,
    /// Questions asked.
    pub queries: usize,
    /// Of these, the ones that no person has looked at.
    pub unchecked: usize,
    /// Expectations that no search can meet, each in a sentence.
    pub unreachable: Vec<String>,
    /// Documents the engine refused, with its reason.
    pub refused: Vec<Refused>,
    /// Time that the ingest took.
    pub ingest_seconds: f64,
    /// The index that was asked.
    pub index: IndexSize,
    /// Memory at the end, where the system tells.
    pub memory: Option<Memory>,
    /// One entry for each way to search.
    pub runs: Vec<GoldenRun>,
}

/// One way to search.
#[derive(Debug, Clone, Serialize)]
pub struct GoldenRun {
    /// `keyword`, `dense` or `hybrid`.
    pub mode: String,
    /// How the lists were fused, where there were two.
    pub fusion: Option<String>,
    /// How the best hits were put in a new order, where they were.
    pub rerank: Option<String>,
    /// What became of misspelled words, where it was not what is shipped.
    pub spelling: Option<String>,
    /// How the engine says it searched the vectors.
    pub vectors: String,
    /// The metrics at each level.
    #[serde(flatten)]
    pub levels: Levels,
    /// Search times.
    pub latency_ms: Stages,
}

/// Means at each level; `None` where no question expects one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Levels {
    /// The right document.
    pub document: Option<Level>,
    /// And in it the right page, of the questions that expect one.
    pub page: Option<Level>,
    /// And on it the right text, of the questions that expect one.
    pub passage: Option<Level>,
}

/// Means over the questions of a level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Level {
    /// The questions.
    pub queries: usize,
    /// The means.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// A golden set whose documents were found in a collection.
pub struct Judge<'a> {
    collection: &'a Collection,
    golden: &'a Golden,
    /// Of each question, the document of each expectation; `None` for one that was refused.
    places: Vec<Vec<Option<DocumentId>>>,
    /// The chunks of all these documents.
    chunks: HashMap<DocumentId, Vec<StoredChunk>>,
}

/// Rankings and judgements of one level.
#[derive(Default)]
struct Ranked {
    run: Run,
    qrels: Qrels,
}

impl<'a> Judge<'a> {
    /// Finds the documents that `golden` expects. `file` is named in errors, and `refused` is what
    /// of the documents in `folder` is not in the collection.
    ///
    /// # Errors
    /// Where a document is neither in the collection nor refused, or several go by its name.
    pub fn new(
        collection: &'a Collection,
        golden: &'a Golden,
        file: &Path,
        folder: &Path,
        refused: &[Refused],
    ) -> Result<Self> {
        let folder = std::fs::canonicalize(folder)?;
        let documents = collection.documents()?;
        let mut places = Vec::new();
        let mut chunks = HashMap::new();
        for question in &golden.questions {
            let mut found = Vec::new();
            for expected in &question.expected {
                let line = question
                    .line
                    .map_or_else(String::new, |n| format!(", line {n}"));
                let place = place(&documents, expected, &folder, refused)
                    .with_context(|| format!("{}{line}, key document", file.display()))?;
                if let Some(id) = place
                    && let Entry::Vacant(unread) = chunks.entry(id)
                {
                    unread.insert(collection.chunks(id)?);
                }
                found.push(place);
            }
            places.push(found);
        }
        Ok(Self {
            collection,
            golden,
            places,
            chunks,
        })
    }

    /// Expectations that no search can meet: their document was refused, or none of its chunks
    /// is on the page and holds the text.
    pub fn unreachable(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for (question, places) in self.golden.questions.iter().zip(&self.places) {
            for (expected, place) in question.expected.iter().zip(places) {
                let Some(id) = place else {
                    let document = &expected.document;
                    sentences.push(format!("question {}: {document} was refused", question.id));
                    continue;
                };
                let chunks = &self.chunks[id];
                let page = |chunk: &&StoredChunk| is_on_page(expected, chunk);
                if !chunks.iter().any(|chunk| page(&chunk)) {
                    sentences.push(format!(
                        "question {}: {} has no page {}",
                        question.id,
                        expected.document,
                        expected.page.unwrap_or_default()
                    ));
                } else if !chunks
                    .iter()
                    .filter(page)
                    .any(|chunk| holds_text(expected, chunk))
                {
                    let text: String = expected
                        .text
                        .iter()
                        .flat_map(|t| t.chars())
                        .take(60)
                        .collect();
                    sentences.push(format!(
                        "question {}: no chunk of {}{} holds {text:?}",
                        question.id,
                        expected.document,
                        expected
                            .page
                            .map_or_else(String::new, |p| format!(", page {p},"))
                    ));
                }
            }
        }
        sentences
    }

    /// Asks every question. Gives the metrics, the times, how vectors were searched, and the
    /// ranking of documents.
    ///
    /// # Errors
    /// Where a search fails.
    pub fn ask(
        &self,
        settings: &Settings,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(Levels, Stages, String, Run)> {
        let mut searcher = Searcher::new(self.collection, settings);
        let (mut documents, mut pages, mut passages) =
            (Ranked::default(), Ranked::default(), Ranked::default());
        for (at, question) in self.golden.questions.iter().enumerate() {
            let found = searcher
                .search(&question.text)
                .with_context(|| format!("question {}", question.id))?;
            let places = &self.places[at];
            documents.add(
                question,
                &found,
                |_| true,
                |hit| self.meets(question, places, hit, |_, _| true),
                |hit| format!("{}#{}", hit.filename, hit.document),
            );
            pages.add(
                question,
                &found,
                |expected| expected.page.is_some(),
                |hit| {
                    self.meets(question, places, hit, |expected, chunk| {
                        expected.page.is_some() && is_on_page(expected, chunk)
                    })
                },
                |hit| match hit.page {
                    Some(page) => format!("{}#page-{page}", hit.document),
                    None => format!("{}#{}", hit.document, hit.ordinal),
                },
            );
            passages.add(
                question,
                &found,
                |expected| expected.text.is_some(),
                |hit| {
                    self.meets(question, places, hit, |expected, chunk| {
                        expected.text.is_some()
                            && is_on_page(expected, chunk)
                            && holds_text(expected, chunk)
                    })
                },
                |hit| format!("{}#{}", hit.document, hit.ordinal),
            );
            progress(at + 1);
        }
        for ranked in [&mut documents, &mut pages, &mut passages] {
            ranked.run.truncate(settings.k);
        }
        let (latency, plan) = searcher.finish();
        let levels = Levels {
            document: documents.level(),
            page: pages.level(),
            passage: passages.level(),
        };
        Ok((levels, latency, plan, documents.run))
    }

    /// The expectations that a hit meets.
    fn meets(
        &self,
        question: &Question,
        places: &[Option<DocumentId>],
        hit: &Found,
        test: impl Fn(&Expected, &StoredChunk) -> bool,
    ) -> Vec<usize> {
        let Some(chunk) = self.chunk(hit) else {
            return Vec::new();
        };
        let expected = question.expected.iter().zip(places).enumerate();
        expected
            .filter(|(_, (expected, place))| **place == Some(hit.document) && test(expected, chunk))
            .map(|(at, _)| at)
            .collect()
    }

    /// The chunk of a hit, where its document is expected by any question.
    fn chunk(&self, hit: &Found) -> Option<&StoredChunk> {
        let chunks = self.chunks.get(&hit.document)?;
        chunks.iter().find(|chunk| chunk.id.ordinal == hit.ordinal)
    }
}

impl Ranked {
    /// Adds a question with its hits. Of the expectations that `counts` takes each is a relevant
    /// unit; a hit stands for those that it meets, else for a unit of its own, which `name` gives.
    fn add(
        &mut self,
        question: &Question,
        found: &[Found],
        counts: impl Fn(&Expected) -> bool,
        meets: impl Fn(&Found) -> Vec<usize>,
        name: impl Fn(&Found) -> String,
    ) {
        let unit = |at: usize| format!("expected-{}", at + 1);
        let expected = question.expected.iter().enumerate();
        let grades: BTreeMap<String, i32> = expected
            .filter(|(_, expected)| counts(expected))
            .map(|(at, _)| (unit(at), 1))
            .collect();
        if grades.is_empty() {
            return;
        }
        self.run.ask(&question.id);
        self.qrels.insert(question.id.clone(), grades);
        for hit in found {
            let met = meets(hit);
            if met.is_empty() {
                let name = name(hit).replace(char::is_whitespace, "_");
                self.run.add(&question.id, &name, hit.score);
            }
            for at in met {
                self.run.add(&question.id, &unit(at), hit.score);
            }
        }
    }

    fn level(&self) -> Option<Level> {
        (!self.qrels.is_empty()).then(|| Level {
            queries: self.qrels.len(),
            metrics: metrics::mean(&self.run, &self.qrels),
        })
    }
}

/// The document that is meant; `None` for one that was refused.
fn place(
    documents: &[DocumentInfo],
    expected: &Expected,
    folder: &Path,
    refused: &[Refused],
) -> Result<Option<DocumentId>> {
    let name = Path::new(&expected.document);
    let named: Vec<&DocumentInfo> = documents
        .iter()
        .filter(|info| Path::new(&info.source).ends_with(name))
        .collect();
    let whole = folder.join(name);
    if let Some(exact) = named.iter().find(|info| Path::new(&info.source) == whole) {
        return Ok(Some(exact.id));
    }
    match named[..] {
        [one] => Ok(Some(one.id)),
        [] if refused
            .iter()
            .any(|r| Path::new(&r.document).ends_with(name)) =>
        {
            Ok(None)
        }
        [] => bail!("there is no document {:?} in the folder", expected.document),
        [first, second, ..] => bail!(
            "{:?} is the name of {} documents, such as {} and {}; give more of its path",
            expected.document,
            named.len(),
            first.source,
            second.source
        ),
    }
}

/// Whether the chunk reaches the page that is expected, where one is.
fn is_on_page(expected: &Expected, chunk: &StoredChunk) -> bool {
    expected.page.is_none_or(|page| {
        let pages = chunk.pages;
        pages.is_some_and(|(first, last)| (first..=last).contains(&page))
    })
}

/// Whether the chunk holds the text that is expected, where one is.
fn holds_text(expected: &Expected, chunk: &StoredChunk) -> bool {
    let text = expected.text.as_ref();
    text.is_none_or(|text| holds_words(&words(&chunk.text), &words(text)))
}

/// Whether `wanted` stands in `text`, and not as a part of a longer word or number. Letters of scripts
/// without spaces may stand beside it.
fn holds_words(text: &str, wanted: &str) -> bool {
    let joins = |a: Option<char>, b: Option<char>| {
        let spaced = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        spaced(a) && spaced(b)
    };
    text.match_indices(wanted).any(|(at, found)| {
        let (before, after) = (&text[..at], &text[at + found.len()..]);
        !joins(before.chars().next_back(), found.chars().next())
            && !joins(found.chars().next_back(), after.chars().next())
    })
}

/// Letters and digits in lower case, single spaces between what else was there.
fn words(text: &str) -> String {
    let spaced: String = text
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for GoldenReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{}: {} documents, {} questions ({} unchecked), ingested in {:.1} s",
            self.golden, self.documents, self.queries, self.unchecked, self.ingest_seconds
        )?;
        report::footing(out, self.index, self.memory, &self.refused)?;
        for sentence in &self.unreachable {
            writeln!(out, "out of reach: {sentence}")?;
        }
        let label = |run: &GoldenRun| {
            report::Label {
                mode: &run.mode,
                fusion: run.fusion.as_deref(),
                rerank: run.rerank.as_deref(),
                spelling: run.spelling.as_deref(),
            }
            .to_string()
        };
        for (name, of) in [
            ("document", (|l| l.document) as fn(&Levels) -> Option<Level>),
            ("page", |l| l.page),
            ("passage", |l| l.passage),
        ] {
            let levels: Vec<(String, Level)> = self
                .runs
                .iter()
                .filter_map(|run| Some((label(run), of(&run.levels)?)))
                .collect();
            if let Some((_, first)) = levels.first() {
                write!(out, "\nright {name}, {} questions", first.queries)?;
                let rows: Vec<_> = levels
                    .iter()
                    .map(|(l, level)| (l.clone(), &level.metrics))
                    .collect();
                report::metrics_table(out, "mode", &rows)?;
            }
        }
        let rows: Vec<_> = self
            .runs
            .iter()
            .map(|run| (label(run), &run.latency_ms, run.vectors.as_str()))
            .collect();
        report::latency_table(out, &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_by_letters_and_digits() {
        assert_eq!(
            words("  Twenty-five DAYS,\na year. "),
            "twenty five days a year"
        );
        assert!(words("每年有二十五天假期。").contains(&words("二十五天")));
    }

    #[test]
    fn a_text_is_held_as_whole_words() {
        let holds = |text: &str, wanted: &str| holds_words(&words(text), &words(wanted));
        assert!(holds("It is 5 days, or more.", "5 DAYS"));
        assert!(holds("25 days and 5 days", "5 days"));
        assert!(!holds("It is 25 days.", "5 days"));
        assert!(!holds("Holidays are free", "days"));
        assert!(holds("休暇は五日です", "五日"));
    }
}

//! Asks the engine: the corpus goes through the product's own ingest, each question through
//! its own search.
//!
//! A data set ranks documents and the engine ranks chunks, so a document's score is that of
//! its best chunk.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use faq_core::{
    Collection, Control, DEFAULT_COLLECTION, Engine, EngineConfig, Error, Failure, Fusion,
    IngestOptions, IngestReport, Mode, ModelStore, Phrases, Precision, SearchOptions, VectorSearch,
};
use serde::Serialize;

use crate::beir::{DataSet, Document};
use crate::trec::Run;

/// How to search; what is not here is as the product ships it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which lists are asked.
    pub mode: Mode,
    /// How the two lists become one.
    pub fusion: Fusion,
    /// How vectors are searched.
    pub vector_search: VectorSearch,
    /// Documents to rank for each question.
    pub k: usize,
}

/// A run, and what it took.
#[derive(Debug, Clone)]
pub struct Retrieved {
    /// Ranked documents.
    pub run: Run,
    /// Time of each search, sorted.
    pub latency: Latency,
    /// How the engine says it searched the vectors, at the last question.
    pub plan: String,
}

/// Search times in milliseconds, the question's embedding included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the searches took no longer.
    pub p50: f64,
    /// 99 of 100 searches took no longer.
    pub p99: f64,
}

impl Latency {
    /// Of times in milliseconds, which are sorted.
    pub(crate) fn of(times: &mut [f64]) -> Self {
        times.sort_by(f64::total_cmp);
        Self {
            p50: percentile(times, 50),
            p99: percentile(times, 99),
        }
    }
}

/// Opens the collection of a data set below `data`.
///
/// # Errors
/// Where the collection cannot be opened.
pub fn open(
    data: &Path,
    models: Option<&Path>,
    graph_min_vectors: Option<usize>,
    precision: Precision,
) -> Result<Collection> {
    let mut config = EngineConfig::new(data.join("index"));
    config.models = models.map_or_else(ModelStore::default, ModelStore::new);
    config.precision = precision;
    if let Some(vectors) = graph_min_vectors {
        config.graph_min_vectors = vectors;
    }
    Ok(Engine::with_config(config)?.collection(DEFAULT_COLLECTION)?)
}

/// Ingests the corpus; what an earlier call with the same `data` left is not done again.
///
/// # Errors
/// Where the documents cannot be written below `data`, or the engine cannot go on.
/// Documents that it refuses, such as empty ones, are in the report.
pub fn ingest(
    collection: &Collection,
    corpus: &[Document],
    data: &Path,
    progress: &mut dyn FnMut(&faq_core::Progress),
) -> Result<IngestReport> {
    let folder = data.join("documents");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for (at, document) in corpus.iter().enumerate() {
        write_if_new(&folder.join(file_name(at)), &page(document))?;
    }
    let options = IngestOptions {
        prune: true,
        ..IngestOptions::default()
    };
    let mut report = collection.ingest(&[folder], &options, &Control::new(), progress)?;
    for failure in &mut report.failed {
        name_document(failure, corpus);
    }
    Ok(report)
}

/// Asks every question and ranks documents for it.
///
/// # Errors
/// Where a search fails. A question without a single letter or digit finds nothing.
pub fn retrieve(
    collection: &Collection,
    set: &DataSet,
    settings: &Settings,
    progress: &mut dyn FnMut(usize),
) -> Result<Retrieved> {
    let ask = |chunks: usize| SearchOptions {
        k: chunks,
        mode: settings.mode,
        fusion: settings.fusion,
        vector_search: settings.vector_search,
        // A long document takes several places in a list, so a list of one kind is deeper
        // than the ranking; lists that are fused are as deep as in the published references.
        candidates: match settings.mode {
            Mode::Hybrid => settings.k.max(100),
            Mode::Dense | Mode::Keyword => chunks,
        },
        // Judged questions quote titles; their judgements do not ask for the exact words.
        phrases: Phrases::Preferred,
        ..SearchOptions::default()
    };
    let options = ask(settings.k.saturating_mul(3));
    let control = Control::new();
    let mut run = Run::default();
    let mut times = Vec::with_capacity(set.queries.len());
    let mut plan = String::new();
    for (at, query) in set.queries.iter().enumerate() {
        run.ask(&query.id);
        let started = Instant::now();
        match collection.search(&query.text, &options, &control) {
            Ok(response) => {
                times.push(started.elapsed().as_secs_f64() * 1e3);
                for hit in &response.hits {
                    if let Some(document) = document_of(&hit.filename, &set.corpus) {
                        run.add(&query.id, &document.id, hit.score);
                    }
                }
                plan = response.plan.vectors;
            }
            Err(Error::EmptyQuestion) => {}
            Err(e) => return Err(e).with_context(|| format!("question {}", query.id)),
        }
        progress(at + 1);
    }
    run.truncate(settings.k);
    Ok(Retrieved {
        run,
        latency: Latency::of(&mut times),
        plan,
    })
}

/// The smallest value that `percent` of 100 sorted values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// The document as a page: the one format here in which a title is a title and nothing in
/// the text has a meaning of its own.
fn page(document: &Document) -> String {
    let title = escape(document.title.trim());
    let mut page = "<!DOCTYPE html><meta charset=\"utf-8\">\n".to_owned();
    if !title.is_empty() {
        page += &["<title>", &title, "</title><h1>", &title, "</h1>\n"].concat();
    }
    for paragraph in document.text.split("\n\n") {
        if !paragraph.trim().is_empty() {
            page += &["<p>", &escape(paragraph), "</p>\n"].concat();
        }
    }
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Names of documents may hold anything, so a file has its document's place for a name.
fn file_name(at: usize) -> String {
    format!("{at:07}.html")
}

fn document_of<'a>(file: &str, corpus: &'a [Document]) -> Option<&'a Document> {
    corpus.get(file.strip_suffix(".html")?.parse::<usize>().ok()?)
}

fn name_document(failure: &mut Failure, corpus: &[Document]) {
    let file = failure.path.file_name().and_then(|name| name.to_str());
    if let Some(document) = file.and_then(|file| document_of(file, corpus)) {
        failure.path = PathBuf::from(&document.id);
    }
}

fn write_if_new(path: &Path, text: &str) -> Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(());
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_the_document_says_and_no_more() {
        let document = Document {
            id: "a/b".into(),
            title: "R&D <b>".into(),
            text: "x < y & z".into(),
        };
        let page = page(&document);
        assert!(page.contains("<h1>R&amp;D &lt;b></h1>"));
        assert!(page.contains("<p>x &lt; y &amp; z</p>"));
    }

    #[test]
    fn a_file_leads_back_to_its_document() {
        let corpus: Vec<Document> = ["x", "y", "z"]
            .map(|id| Document {
                id: id.into(),
                title: String::new(),
                text: String::new(),
            })
            .into();
        assert_eq!(document_of(&file_name(1), &corpus).unwrap().id, "y");
        assert_eq!(document_of(&file_name(3), &corpus), None);
        assert_eq!(document_of("notes.txt", &corpus), None);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&times, 50), 100.0);
        assert_eq!(percentile(&times, 99), 198.0);
        assert_eq!(percentile(&[7.0], 99), 7.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}

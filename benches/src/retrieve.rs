//! Asks the engine: the corpus goes through the product's own ingest, each question through
//! its own search.
//!
//! A data set ranks documents and the engine ranks chunks, so a document's score is that of
//! its best chunk.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use faq_core::{
    ChunkConfig, Collection, Control, DEFAULT_COLLECTION, DEFAULT_EMBEDDING_MODEL, Engine,
    EngineConfig, Error, Failure, Fusion, IngestOptions, IngestReport, Mode, ModelStore, Phrases,
    Precision, Rerank, SearchOptions, Spelling, VectorSearch,
};
use serde::{Deserialize, Serialize};

use crate::beir::{DataSet, Document};
use crate::latency::{Stages, Times};
use crate::trec::Run;

/// How an index is made; what is not here is as the product ships it.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexSettings {
    /// The model folder; `None` for the user's own.
    pub models: Option<PathBuf>,
    /// Name or path of the embedding model.
    pub model: String,
    /// What it computes with.
    pub precision: Precision,
    /// How documents are cut.
    pub chunking: ChunkConfig,
    /// Number of vectors from which there is a graph; `None` for the product's.
    pub graph_min_vectors: Option<usize>,
}

impl Default for IndexSettings {
    fn default() -> Self {
        Self {
            models: None,
            model: DEFAULT_EMBEDDING_MODEL.to_owned(),
            precision: Precision::default(),
            chunking: ChunkConfig::default(),
            graph_min_vectors: None,
        }
    }
}

/// How to search; what is not here is as the product ships it.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Which lists are asked.
    pub mode: Mode,
    /// How the two lists become one.
    pub fusion: Fusion,
    /// How vectors are searched.
    pub vector_search: VectorSearch,
    /// Width of the walk through the graph; `None` for the product's.
    pub ef: Option<usize>,
    /// Entries taken from each list before fusing; `3 * k` at least, as many chunks as are asked for.
    /// `None` for the product's.
    pub candidates: Option<usize>,
    /// How the best hits are put in a new order.
    pub rerank: Option<Rerank>,
    /// What becomes of misspelled words.
    pub spelling: SpellingName,
    /// Documents to rank for each question.
    pub k: usize,
}

/// What becomes of misspelled words, by the name that people write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpellingName {
    /// The nearest words are searched: as shipped.
    #[default]
    Tolerant,
    /// The words are searched as they are.
    Exact,
}

impl SpellingName {
    /// The name, where it is not what is shipped.
    pub fn changed(self) -> Option<String> {
        (self == Self::Exact).then(|| "exact".to_owned())
    }
}

impl Settings {
    /// Chunks that are asked for: a long document takes several places in a list, so a list is deeper
    /// than the ranking.
    fn chunks(&self) -> usize {
        self.k.saturating_mul(3)
    }

    /// Entries that are taken from each list: as many as chunks are asked for, at least.
    pub(crate) fn entries(&self) -> usize {
        let shipped = SearchOptions::default().candidates;
        self.candidates.unwrap_or(shipped).max(self.chunks())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            fusion: Fusion::default(),
            vector_search: VectorSearch::default(),
            ef: None,
            candidates: None,
            rerank: SearchOptions::default().rerank,
            spelling: SpellingName::default(),
            k: 100,
        }
    }
}

/// A run, and what it took.
#[derive(Debug, Clone)]
pub struct Retrieved {
    /// Ranked documents.
    pub run: Run,
    /// Times of the searches.
    pub latency: Stages,
    /// How the engine says it searched the vectors, at the last question.
    pub plan: String,
}

/// A chunk that was found, as far as rankings need it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) filename: String,
    pub(crate) document: faq_core::DocumentId,
    /// Position of the chunk in its document, from 0.
    pub(crate) ordinal: u32,
    /// Page on which it begins, where there are pages.
    pub(crate) page: Option<u32>,
    pub(crate) score: f32,
}

/// Opens the collection of a data set below `data`.
///
/// # Errors
/// Where the collection cannot be opened.
pub fn open(data: &Path, settings: &IndexSettings) -> Result<Collection> {
    Ok(engine(data, settings)?.collection(DEFAULT_COLLECTION)?)
}

/// Opens an engine below `data`.
///
/// # Errors
/// Where the folder cannot be made.
pub fn engine(data: &Path, settings: &IndexSettings) -> Result<Engine> {
    let mut config = EngineConfig::new(data.join("index"));
    config.models = settings
        .models
        .as_ref()
        .map_or_else(ModelStore::default, ModelStore::new);
    config.embedding_model.clone_from(&settings.model);
    config.precision = settings.precision;
    config.chunking = settings.chunking;
    if let Some(vectors) = settings.graph_min_vectors {
        config.graph_min_vectors = vectors;
    }
    Ok(Engine::with_config(config)?)
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
    // A longer corpus may have been here. Whatever else lies in the folder is not ours to remove.
    for at in corpus.len().. {
        let left = folder.join(file_name(at));
        if !left.exists() {
            break;
        }
        std::fs::remove_file(left)?;
    }
    let mut report = ingest_alone(collection, &folder, progress)?;
    for failure in &mut report.failed {
        name_document(failure, corpus);
    }
    Ok(report)
}

/// Ingests a folder into a collection that holds nothing else then: what came from another folder, or from this
/// one before it was moved, is removed.
///
/// # Errors
/// Where the folder cannot be read or the engine cannot go on.
pub fn ingest_alone(
    collection: &Collection,
    folder: &Path,
    progress: &mut dyn FnMut(&faq_core::Progress),
) -> Result<IngestReport> {
    let here = folder
        .canonicalize()
        .with_context(|| folder.display().to_string())?;
    let documents = collection.documents()?.into_iter();
    let others = documents.filter(|document| !Path::new(&document.source).starts_with(&here));
    let others: Vec<_> = others.map(|document| document.id).collect();
    if !others.is_empty() {
        collection.delete(&others)?;
    }
    let options = IngestOptions {
        prune: true,
        ..IngestOptions::default()
    };
    Ok(collection.ingest(&[folder.to_owned()], &options, &Control::new(), progress)?)
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
    let mut searcher = Searcher::new(collection, settings);
    let mut run = Run::default();
    for (at, query) in set.queries.iter().enumerate() {
        run.ask(&query.id);
        let found = searcher
            .search(&query.text)
            .with_context(|| format!("question {}", query.id))?;
        for chunk in found {
            if let Some(document) = document_of(&chunk.filename, &set.corpus) {
                run.add(&query.id, &document.id, chunk.score);
            }
        }
        progress(at + 1);
    }
    run.truncate(settings.k);
    let (latency, plan) = searcher.finish();
    Ok(Retrieved { run, latency, plan })
}

/// Asks one collection questions in one way, and keeps the times.
pub(crate) struct Searcher<'a> {
    collection: &'a Collection,
    options: SearchOptions,
    times: Times,
    plan: String,
}

impl<'a> Searcher<'a> {
    pub(crate) fn new(collection: &'a Collection, settings: &Settings) -> Self {
        let options = SearchOptions {
            k: settings.chunks(),
            mode: settings.mode,
            fusion: settings.fusion,
            vector_search: settings.vector_search,
            ef: settings.ef,
            rerank: settings.rerank,
            candidates: settings.entries(),
            spelling: match settings.spelling {
                SpellingName::Tolerant => Spelling::Tolerant,
                SpellingName::Exact => Spelling::Exact,
            },
            // Judged questions quote titles; their judgements do not ask for the exact words.
            phrases: Phrases::Preferred,
            ..SearchOptions::default()
        };
        Self {
            collection,
            options,
            times: Times::default(),
            plan: String::new(),
        }
    }

    /// Chunks for a question, best first. One without a single letter or digit finds nothing.
    pub(crate) fn search(&mut self, question: &str) -> Result<Vec<Found>> {
        if !question.chars().any(char::is_alphanumeric) {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let control = Control::new();
        let response = match self.collection.search(question, &self.options, &control) {
            Err(Error::EmptyQuestion) => return Ok(Vec::new()),
            answered => answered?,
        };
        self.times.add(response.timings_ms, milliseconds(started));
        self.plan = response.plan.vectors;
        Ok(response
            .hits
            .into_iter()
            .map(|hit| Found {
                filename: hit.filename,
                document: hit.document_id,
                ordinal: hit.chunk_index,
                page: hit.page,
                score: hit.score,
            })
            .collect())
    }

    /// Times of all searches, and how the last one asked the vectors.
    pub(crate) fn finish(self) -> (Stages, String) {
        (self.times.stages(), self.plan)
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
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

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Names of documents may hold anything, so a file has its document's place for a name.
fn file_name(at: usize) -> String {
    format!("{at:07}.html")
}

pub(crate) fn document_of<'a>(file: &str, corpus: &'a [Document]) -> Option<&'a Document> {
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
}

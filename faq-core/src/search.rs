//! A question into ranked passages.

use std::time::Instant;

use faq_index::{Filter, Fusion, Mode, Phrases, Query, Spelling, VectorSearch, corrected};

use crate::passage::{Passage, SearchResponse, SearchTimings};
use crate::{Collection, Control, Error, Rerank, Result, TextKind, rerank};

/// Longest question, in bytes. A model reads some 1,000 of them; nobody types more than this.
pub const MAX_QUESTION_BYTES: usize = 8 * 1024;

/// How to search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchOptions {
    /// Most passages to return. Default 10.
    pub k: usize,
    /// Which lists are asked. Default hybrid.
    pub mode: Mode,
    /// How the two lists become one. Default: by their scores.
    pub fusion: Fusion,
    /// How vectors are searched. Default: the collection decides.
    pub vector_search: VectorSearch,
    /// Width of the walk through the graph of vectors. Default: the collection decides.
    pub ef: Option<usize>,
    /// Entries taken from each list before fusing. Default 100.
    pub candidates: usize,
    /// Whether and how the best hits are looked at once more, by their tokens. Default not: it costs
    /// more than the search before it. Keyword searches need the model then.
    pub rerank: Option<Rerank>,
    /// Which documents may come back. Default all.
    pub filter: Filter,
    /// What words between quotation marks ask. Default: only passages that hold them come back.
    pub phrases: Phrases,
    /// What becomes of misspelled words. Default: the nearest words of the collection are searched, and
    /// the question is embedded with them.
    pub spelling: Spelling,
}

impl Default for SearchOptions {
    fn default() -> Self {
        let Query {
            k,
            mode,
            candidates,
            fusion,
            vector_search,
            ef,
            filter,
            phrases,
            spelling,
            ..
        } = Query::new("", None);
        Self {
            k,
            mode,
            fusion,
            vector_search,
            ef,
            candidates,
            rerank: None,
            filter,
            phrases,
            spelling,
        }
    }
}

impl Collection {
    /// Ranked passages for a question. Keyword mode needs no model.
    ///
    /// # Errors
    /// [`Error::EmptyQuestion`], [`Error::QuestionTooLong`], [`Error::Index`] for a `k` of 0
    /// or another embedder than the collection's, [`Error::Model`], [`Error::Embed`],
    /// [`Error::Invalid`] for a [`Rerank`] that makes no sense.
    pub fn search(
        &self,
        question: &str,
        options: &SearchOptions,
        control: &Control,
    ) -> Result<SearchResponse> {
        self.search_with(question, options, control)
            .map(|(response, _)| response)
    }

    /// The same, and what the question was taken for.
    pub(crate) fn search_with(
        &self,
        question: &str,
        options: &SearchOptions,
        control: &Control,
    ) -> Result<(SearchResponse, Understood)> {
        let started = Instant::now();
        check_question(question)?;
        control.check()?;
        if let Some(rerank) = options.rerank {
            rerank.check()?;
        }
        let embedder = match (options.mode, options.rerank) {
            (Mode::Keyword, None) => None,
            _ => Some(self.embedder()?),
        };
        if let Some(embedder) = &embedder {
            self.check_embedder(&**embedder)?;
        }
        let spelling = Instant::now();
        let corrections = match &options.spelling {
            Spelling::Tolerant => self.index().corrections(question, &options.filter)?,
            Spelling::Corrected(corrections) => corrections.clone(),
            Spelling::Exact => Vec::new(),
        };
        let spelling = milliseconds(spelling);
        let understood = corrected(question, &corrections);
        let embedding = Instant::now();
        let mut vector = None;
        if let Some(embedder) = &embedder {
            let vectors = embedder.embed(&[&understood], TextKind::Query, control)?;
            vector = vectors.into_iter().next();
        }
        let embed = embedder.as_ref().map_or(0.0, |_| milliseconds(embedding));
        let result = self.index().search(&Query {
            text: question.to_owned(),
            phrases: options.phrases,
            spelling: Spelling::Corrected(corrections.clone()),
            vector: vector.clone(),
            mode: options.mode,
            k: match options.rerank {
                Some(rerank) if options.k > 0 => options.k.max(rerank.depth),
                _ => options.k,
            },
            candidates: options.candidates,
            fusion: options.fusion,
            vector_languages: embedder.as_ref().and_then(|e| e.languages()),
            vector_search: options.vector_search,
            ef: options.ef,
            filter: options.filter.clone(),
        })?;
        let ids: Vec<_> = result.hits.iter().map(|hit| hit.id).collect();
        let mut chunks = self.index().chunks(&ids)?.into_iter().peekable();
        let mut hits: Vec<Passage> = result
            .hits
            .iter()
            .filter_map(|hit| {
                // A chunk that was deleted between the search and now is left out.
                let chunk = chunks.next_if(|chunk| chunk.id == hit.id)?;
                Some(Passage::new(hit, chunk))
            })
            .collect();
        let mut reranking = 0.0;
        if let (Some(rerank), Some(embedder)) = (options.rerank, &embedder) {
            let began = Instant::now();
            let unit = rerank::unit(options.mode, options.fusion, &result.hits);
            let rerank = rerank.in_language(!result.foreign);
            rerank.apply(&understood, &mut hits, unit, &**embedder, control)?;
            hits.truncate(options.k);
            reranking = milliseconds(began);
        }
        let timings_ms = SearchTimings {
            embed,
            dense: result.dense_us as f64 / 1e3,
            keyword: spelling + result.keyword_us as f64 / 1e3,
            rerank: reranking,
            total: milliseconds(started),
        };
        let understood = Understood {
            text: understood.into_owned(),
            vector,
            foreign: result.foreign,
        };
        let response = SearchResponse {
            hits,
            plan: result.plan,
            corrections,
            seq: result.seq,
            timings_ms,
        };
        Ok((response, understood))
    }
}

/// What a question was taken for.
pub(crate) struct Understood {
    /// Its text with misspelled words corrected.
    pub(crate) text: String,
    /// Its vector, where one was made: L2-normalised, `[dim]`.
    pub(crate) vector: Option<Vec<f32>>,
    /// Whether most of what its words found is in languages that the embedder does not know.
    pub(crate) foreign: bool,
}

pub(crate) fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn check_question(question: &str) -> Result<()> {
    if question.len() > MAX_QUESTION_BYTES {
        return Err(Error::QuestionTooLong {
            bytes: question.len(),
            allowed: MAX_QUESTION_BYTES,
        });
    }
    if !question.chars().any(char::is_alphanumeric) {
        return Err(Error::EmptyQuestion);
    }
    Ok(())
}

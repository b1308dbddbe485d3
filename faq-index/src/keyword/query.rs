//! A question's words become a query, and the query ranked chunks.
//!
//! The question is text and nothing else: it is never parsed as a query language. Words between
//! quotation marks are a phrase, see [`super::phrase`].

use std::sync::Arc;

use tantivy::collector::{Collector, DocSetCollector, FilterCollector, TopDocs};
use tantivy::query::{BooleanQuery, BoostQuery, EmptyQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{DocAddress, Score, Searcher, Term};

use super::phrase::quoted;
use super::schema::{KEY, LanguageFields, ORDINAL};
use super::tokenizer::{at_most, composed};
use crate::documents::DocKey;
use crate::{Correction, IndexError, Phrases};

/// Weight of a word in title or headings beside one in the body.
const HEAD_BOOST: Score = 0.5;
/// Most different words taken from a question, over all languages asked.
const MAX_WORDS: usize = 1024;
/// Most different words taken for one language, however few there are.
const MIN_WORDS: usize = 64;
/// Bytes of a question that are read: its words beyond would be over the limits anyway.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// Weight of a word that stands in for a misspelled one beside one that was asked for.
const CORRECTED: Score = 0.8;
/// Most words of a phrase that are looked for; those beyond need not follow.
const MAX_PHRASE: usize = 64;

/// Decides by key which documents may be found.
pub(crate) type KeyFilter = Arc<dyn Fn(DocKey) -> bool + Send + Sync>;

/// Chunks by key and ordinal with their BM25 scores, best first.
pub(crate) type ScoredChunks = Vec<((DocKey, u32), f32)>;

type Clause = (Occur, Box<dyn Query>);

/// A question that was understood.
#[derive(Debug)]
pub(crate) struct Question {
    words: Vec<Clause>,
    /// One query for each phrase.
    phrases: Vec<Box<dyn Query>>,
    required: bool,
}

impl Question {
    pub(super) fn new(
        text: &str,
        asked: &[LanguageFields],
        phrases: Phrases,
        corrections: &[Correction],
    ) -> Self {
        let text = composed(at_most(text, MAX_BYTES));
        let mut words = words_clauses(&text, asked);
        words.extend(corrected_clauses(corrections, asked));
        Self {
            words,
            phrases: quoted(&text)
                .into_iter()
                .filter_map(|phrase| phrase_query(phrase, asked))
                .collect(),
            required: phrases == Phrases::Required,
        }
    }

    /// Number of phrases, and whether they are required.
    pub(crate) fn phrases(&self) -> (usize, bool) {
        (self.phrases.len(), self.required)
    }

    /// The best `limit` chunks.
    pub(super) fn search(
        &self,
        searcher: &Searcher,
        limit: usize,
        filter: Option<KeyFilter>,
    ) -> Result<ScoredChunks, IndexError> {
        let occur = if self.required {
            Occur::Must
        } else {
            Occur::Should
        };
        let words = self.words.iter().map(|(occur, q)| (*occur, q.box_clone()));
        let phrases = self.phrases.iter().map(|q| (occur, q.box_clone()));
        let query = boolean(words.chain(phrases).collect());
        let top = TopDocs::with_limit(limit.max(1)).order_by_score();
        let found = match filter {
            None => searcher.search(&*query, &top)?,
            Some(filter) => searcher.search(&*query, &filtered(filter, top))?,
        };
        let (scores, addresses): (Vec<Score>, Vec<DocAddress>) = found.into_iter().unzip();
        let chunks = resolve(searcher, addresses.into_iter())?;
        Ok(chunks.into_iter().zip(scores).collect())
    }

    /// All chunks that hold every phrase, ascending; `None` where none is required.
    pub(super) fn holding_phrases(
        &self,
        searcher: &Searcher,
        filter: Option<KeyFilter>,
    ) -> Result<Option<Vec<(DocKey, u32)>>, IndexError> {
        if !self.required || self.phrases.is_empty() {
            return Ok(None);
        }
        let phrases = self.phrases.iter().map(|q| (Occur::Must, q.box_clone()));
        let query = boolean(phrases.collect());
        let found = match filter {
            None => searcher.search(&*query, &DocSetCollector)?,
            Some(filter) => searcher.search(&*query, &filtered(filter, DocSetCollector))?,
        };
        let mut chunks = resolve(searcher, found.into_iter())?;
        chunks.sort_unstable();
        Ok(Some(chunks))
    }
}

fn filtered<C: Collector + Send + Sync>(
    filter: KeyFilter,
    collector: C,
) -> FilterCollector<C, impl Fn(u64) -> bool + Send + Sync + Clone + 'static, u64> {
    FilterCollector::new(KEY.to_owned(), move |key: u64| filter(key), collector)
}

/// Addresses become chunks.
fn resolve(
    searcher: &Searcher,
    found: impl Iterator<Item = DocAddress>,
) -> Result<Vec<(DocKey, u32)>, IndexError> {
    let columns = searcher
        .segment_readers()
        .iter()
        .map(|segment| {
            let fast = segment.fast_fields();
            Ok((fast.u64(KEY)?, fast.u64(ORDINAL)?))
        })
        .collect::<tantivy::Result<Vec<_>>>()?;
    let chunks = found.map(|address| {
        let (keys, ordinals) = &columns[address.segment_ord as usize];
        // Each chunk was given both; a key of 0 belongs to no document.
        let key = keys.first(address.doc_id).unwrap_or_default();
        let ordinal = ordinals.first(address.doc_id).unwrap_or_default();
        (key, ordinal as u32)
    });
    Ok(chunks.collect())
}

fn boolean(clauses: Vec<Clause>) -> Box<dyn Query> {
    if clauses.is_empty() {
        return Box::new(EmptyQuery);
    }
    Box::new(BooleanQuery::new(clauses))
}

fn words_clauses(question: &str, asked: &[LanguageFields]) -> Vec<Clause> {
    let limit = word_limit(asked.len());
    let mut clauses: Vec<Clause> = Vec::new();
    for fields in asked {
        for (word, count) in words(question, fields, limit) {
            clauses.extend(word_clauses(fields, &word, count as Score));
        }
    }
    clauses
}

/// Most different words taken for one of so many languages.
pub(super) fn word_limit(languages: usize) -> usize {
    (MAX_WORDS / languages.max(1)).max(MIN_WORDS)
}

/// A word in the body, and in title and headings.
fn word_clauses(fields: &LanguageFields, word: &str, weight: Score) -> [Clause; 2] {
    [(fields.body, 1.0), (fields.head, HEAD_BOOST)].map(|(field, boost)| {
        let term = Term::from_field_text(field, word);
        let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
        let query = BoostQuery::new(Box::new(query), boost * weight);
        (Occur::Should, Box::new(query) as Box<dyn Query>)
    })
}

/// The words that stand in for misspelled ones.
fn corrected_clauses(corrections: &[Correction], asked: &[LanguageFields]) -> Vec<Clause> {
    let mut clauses = Vec::new();
    for fields in asked.iter().filter(|_| !corrections.is_empty()) {
        let mut analyzer = fields.question_analyzer();
        for Correction { used, .. } in corrections {
            let mut stream = analyzer.token_stream(used);
            while stream.advance() {
                clauses.extend(word_clauses(fields, &stream.token().text, CORRECTED));
            }
        }
    }
    clauses
}

/// The words of a phrase one after another, in a body or a heading, in any of the languages.
/// `None` where it has no words.
fn phrase_query(phrase: &str, asked: &[LanguageFields]) -> Option<Box<dyn Query>> {
    let mut ways: Vec<Clause> = Vec::new();
    for fields in asked {
        let placed = placed(phrase, fields.phrase_analyzer());
        for field in [fields.body, fields.head] {
            ways.extend(in_field(field, &placed).map(|query| (Occur::Should, query)));
        }
    }
    (!ways.is_empty()).then(|| boolean(ways))
}

fn in_field(field: Field, placed: &[(usize, String)]) -> Option<Box<dyn Query>> {
    let term = |word: &str| Term::from_field_text(field, word);
    match placed {
        [] => None,
        [(_, word)] => Some(Box::new(TermQuery::new(
            term(word),
            IndexRecordOption::WithFreqs,
        ))),
        several => {
            let terms = several.iter().map(|(at, word)| (*at, term(word)));
            Some(Box::new(PhraseQuery::new_with_offset(terms.collect())))
        }
    }
}

/// The words of a phrase with their positions.
fn placed(phrase: &str, mut analyzer: TextAnalyzer) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let mut stream = analyzer.token_stream(phrase);
    while words.len() < MAX_PHRASE && stream.advance() {
        let token = stream.token();
        words.push((token.position, token.text.clone()));
    }
    words
}

/// The first `limit` different words with the times each occurs, in order.
fn words(question: &str, fields: &LanguageFields, limit: usize) -> Vec<(String, usize)> {
    fields
        .question_analyzers()
        .into_iter()
        .flatten()
        .map(|analyzer| counted(question, analyzer, limit))
        .find(|words| !words.is_empty())
        .unwrap_or_default()
}

fn counted(question: &str, mut analyzer: TextAnalyzer, limit: usize) -> Vec<(String, usize)> {
    let mut places = std::collections::HashMap::new();
    let mut words: Vec<(String, usize)> = Vec::new();
    let mut stream = analyzer.token_stream(question);
    while stream.advance() {
        let text = &stream.token().text;
        if let Some(&place) = places.get(text) {
            let (_, count): &mut (String, usize) = &mut words[place];
            *count += 1;
        } else if words.len() < limit {
            places.insert(text.clone(), words.len());
            words.push((text.clone(), 1));
        }
    }
    words
}

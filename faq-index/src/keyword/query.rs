//! A question's words become a query, and the query ranked chunks.
//!
//! The question is text and nothing else: it is never parsed as a query language.

use std::sync::Arc;

use tantivy::collector::{Collector, FilterCollector, TopDocs};
use tantivy::query::{BooleanQuery, BoostQuery, EmptyQuery, Occur, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{DocAddress, Score, Searcher, Term};

use super::schema::{Fields, KEY, LanguageFields, ORDINAL};
use super::tokenizer::{at_most, composed};
use crate::IndexError;
use crate::documents::DocKey;

/// Weight of a word in title or headings beside one in the body.
const HEAD_BOOST: Score = 0.5;
/// Most different words taken from a question, over all languages asked.
const MAX_WORDS: usize = 1024;
/// Most different words taken for one language, however few there are.
const MIN_WORDS: usize = 64;
/// Bytes of a question that are read: its words beyond would be over the limits anyway.
const MAX_BYTES: usize = 64 * 1024;

/// Decides by key which documents may be found.
pub(crate) type KeyFilter = Arc<dyn Fn(DocKey) -> bool + Send + Sync>;

/// Chunks by key and ordinal with their BM25 scores, best first.
pub(crate) type ScoredChunks = Vec<((DocKey, u32), f32)>;

/// The best `limit` chunks.
pub(super) fn search<'a>(
    searcher: &Searcher,
    fields: &Fields,
    question: &str,
    languages: impl Iterator<Item = Option<&'a str>>,
    limit: usize,
    filter: Option<KeyFilter>,
) -> Result<ScoredChunks, IndexError> {
    let mut asked: Vec<LanguageFields> = Vec::new();
    for language in languages {
        let of = fields.of(language);
        if !asked.contains(&of) {
            asked.push(of);
        }
    }
    let query = query(question, &asked);
    let top = TopDocs::with_limit(limit.max(1)).order_by_score();
    let found = match filter {
        None => run(searcher, &*query, &top)?,
        Some(filter) => {
            let collector = FilterCollector::new(KEY.to_owned(), move |key: u64| filter(key), top);
            run(searcher, &*query, &collector)?
        }
    };
    resolve(searcher, found)
}

fn run<C: Collector<Fruit = Vec<(Score, DocAddress)>>>(
    searcher: &Searcher,
    query: &dyn Query,
    collector: &C,
) -> Result<Vec<(Score, DocAddress)>, IndexError> {
    Ok(searcher.search(query, collector)?)
}

/// Addresses become chunks.
fn resolve(
    searcher: &Searcher,
    found: Vec<(Score, DocAddress)>,
) -> Result<ScoredChunks, IndexError> {
    let columns = searcher
        .segment_readers()
        .iter()
        .map(|segment| {
            let fast = segment.fast_fields();
            Ok((fast.u64(KEY)?, fast.u64(ORDINAL)?))
        })
        .collect::<tantivy::Result<Vec<_>>>()?;
    let chunks = found.into_iter().filter_map(|(score, address)| {
        let (keys, ordinals) = columns.get(address.segment_ord as usize)?;
        let ordinal = ordinals.first(address.doc_id)?;
        Some(((keys.first(address.doc_id)?, ordinal as u32), score))
    });
    Ok(chunks.collect())
}

fn query(question: &str, asked: &[LanguageFields]) -> Box<dyn Query> {
    let question = at_most(question, MAX_BYTES);
    let question = composed(question);
    let limit = (MAX_WORDS / asked.len().max(1)).max(MIN_WORDS);
    let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    for fields in asked {
        for (word, count) in words(&question, fields, limit) {
            for (field, boost) in [(fields.body, 1.0), (fields.head, HEAD_BOOST)] {
                let term = Term::from_field_text(field, &word);
                let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
                let weight = boost * count as Score;
                clauses.push((
                    Occur::Should,
                    Box::new(BoostQuery::new(Box::new(query), weight)),
                ));
            }
        }
    }
    if clauses.is_empty() {
        return Box::new(EmptyQuery);
    }
    Box::new(BooleanQuery::new(clauses))
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

//! Misspelled words of a question: which they are, and which words are searched in their place.
//!
//! A word counts as misspelled where no live chunk holds it or an inflection of it, in any language
//! that is asked. In its place stands the nearest word that a chunk holds: by the number of edits (a
//! letter more, less, another, or two exchanged), then by the number of chunks that hold it. What was
//! not meant as a word stays as it is: numbers and codes, names of files and variables, acronyms, what
//! is quoted, and scripts without spaces. So do the words that people ask with.

use std::collections::HashMap;
use std::ops::Range;

use tantivy::query::FuzzyTermQuery;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::tokenizer::{TextAnalyzer, TokenStream, Tokenizer};
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED, Term};

use super::KeyFilter;
use super::common::is_common;
use super::phrase::quoted;
use super::query::{MAX_BYTES, word_limit};
use super::schema::{Fields, KEY, LanguageFields};
use super::tokenizer::{MAX_SPELLED, Purpose, Words, at_most, letters};
use crate::{Correction, IndexError};

/// Fewest letters of a word that is corrected.
const MIN_LETTERS: usize = 4;
/// Fewest letters of a word whose first letter may be wrong.
const WRONG_FIRST: usize = 5;
/// Fewest letters of a word with two edits.
const TWO_EDITS: usize = 8;
/// Most words of a question that are looked up among words of like spelling.
const MAX_LOOKUPS: usize = 16;
/// Most words of a question all of which may be misspelled. Of a longer one at most half: more are a
/// question in another language, or about something else.
const FEW_WORDS: usize = 3;

/// A word of a question.
struct Asked {
    range: Range<usize>,
    /// In lower case.
    word: String,
    /// Whether it is meant as it stands.
    exact: bool,
}

/// The words of a collection, as the writer of a question knows them.
pub(super) struct Dictionary<'a> {
    searcher: &'a Searcher,
    spelled: Field,
    languages: Vec<Language>,
    filter: Option<KeyFilter>,
}

/// How a word becomes a term of one language.
struct Language {
    fields: LanguageFields,
    analyzer: TextAnalyzer,
}

impl<'a> Dictionary<'a> {
    /// Of all chunks in these languages; what is suggested stands in a chunk that passes the filter.
    pub(super) fn new(
        searcher: &'a Searcher,
        fields: &Fields,
        asked: &[LanguageFields],
        filter: Option<KeyFilter>,
    ) -> Self {
        let languages = asked.iter().map(|fields| Language {
            fields: *fields,
            analyzer: fields.question_analyzer(),
        });
        Self {
            searcher,
            spelled: fields.spelled,
            languages: languages.collect(),
            filter,
        }
    }

    /// What stands in for the misspelled words of a question, in their order.
    pub(super) fn corrections(&mut self, question: &str) -> Result<Vec<Correction>, IndexError> {
        let question = at_most(question, MAX_BYTES);
        let asked = asked(question);
        let limit = word_limit(self.languages.len());
        let mut known: HashMap<&str, bool> = HashMap::new();
        for Asked { word, .. } in &asked {
            if known.len() < limit && !known.contains_key(word.as_str()) {
                known.insert(word, self.is_known(word)?);
            }
        }
        // A short word that no chunk holds, such as "ins" or "will", tells nothing, nor does one that
        // people ask with.
        let told = known.iter().filter(|(word, known)| {
            (**known || letters(word).is_some_and(|letters| letters >= MIN_LETTERS))
                && !is_common(word)
        });
        let (mut told_words, mut unknown) = (0, 0);
        for (_, known) in told {
            told_words += 1;
            unknown += usize::from(!known);
        }
        if told_words > FEW_WORDS && unknown * 2 > told_words {
            return Ok(Vec::new());
        }
        let misspelled = |one: &&Asked| !one.exact && known.get(one.word.as_str()) == Some(&false);
        let mut looked_up: HashMap<&str, Option<String>> = HashMap::new();
        let mut corrections = Vec::new();
        for Asked { range, word, .. } in asked.iter().filter(misspelled) {
            if !looked_up.contains_key(word.as_str()) {
                if looked_up.len() == MAX_LOOKUPS {
                    continue;
                }
                looked_up.insert(word, self.nearest(word)?);
            }
            if let Some(Some(nearest)) = looked_up.get(word.as_str()) {
                let asked = &question[range.clone()];
                corrections.push(Correction {
                    range: range.clone(),
                    asked: asked.to_owned(),
                    used: cased_like(asked, nearest),
                });
            }
        }
        Ok(corrections)
    }

    /// Whether a live chunk holds a word, in any inflection, or it is one that is left out anyway or that
    /// people ask with.
    fn is_known(&mut self, word: &str) -> Result<bool, IndexError> {
        if is_common(word) || holds(self.searcher, self.spelled, word, None)? {
            return Ok(true);
        }
        for Language { fields, analyzer } in &mut self.languages {
            let mut stream = analyzer.token_stream(word);
            if !stream.advance() {
                return Ok(true);
            }
            let term = &stream.token().text;
            for field in [fields.body, fields.head] {
                if holds(self.searcher, field, term, None)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The nearest word that may be suggested.
    fn nearest(&self, word: &str) -> Result<Option<String>, IndexError> {
        let letters = letters(word).unwrap_or(0);
        let steps = [
            (1, true, MIN_LETTERS),
            (1, false, WRONG_FIRST),
            (2, true, TWO_EDITS),
        ];
        for (edits, same_first, least) in steps {
            if letters < least {
                continue;
            }
            for near in self.within(word, edits, same_first)? {
                if holds(self.searcher, self.spelled, &near, self.filter.as_ref())? {
                    return Ok(Some(near));
                }
            }
        }
        Ok(None)
    }

    /// Words that are so many edits away at most, the most frequent first.
    fn within(&self, word: &str, edits: u8, same_first: bool) -> Result<Vec<String>, IndexError> {
        let term = Term::from_field_text(self.spelled, word);
        let automaton = FuzzyTermQuery::new(term, edits, true).automaton()?;
        let mut found: HashMap<Vec<u8>, u64> = HashMap::new();
        for segment in self.searcher.segment_readers() {
            let index = segment.inverted_index(self.spelled)?;
            let mut terms = index.terms().search(&automaton);
            if let Some(first) = word.chars().next().filter(|_| same_first) {
                terms = terms.ge(first.to_string());
                if let Some(next) = (first..=char::MAX).nth(1) {
                    terms = terms.lt(next.to_string());
                }
            }
            let mut terms = terms.into_stream().map_err(tantivy::TantivyError::from)?;
            while terms.advance() {
                let chunks = u64::from(terms.value().doc_freq);
                match found.get_mut(terms.key()) {
                    Some(sum) => *sum += chunks,
                    None => {
                        found.insert(terms.key().to_owned(), chunks);
                    }
                }
            }
        }
        let mut found: Vec<(Vec<u8>, u64)> = found.into_iter().collect();
        found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let words = found.into_iter().map(|(word, _)| String::from_utf8(word));
        Ok(words.filter_map(Result::ok).collect())
    }
}

/// Whether a live chunk that passes the filter holds a term.
fn holds(
    searcher: &Searcher,
    field: Field,
    word: &str,
    filter: Option<&KeyFilter>,
) -> Result<bool, IndexError> {
    let term = Term::from_field_text(field, word);
    for segment in searcher.segment_readers() {
        if segment_holds(segment, field, &term, filter)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn segment_holds(
    segment: &SegmentReader,
    field: Field,
    term: &Term,
    filter: Option<&KeyFilter>,
) -> tantivy::Result<bool> {
    let index = segment.inverted_index(field)?;
    let Some(info) = index.get_term_info(term)? else {
        return Ok(false);
    };
    if filter.is_none() && !segment.has_deletes() {
        return Ok(true);
    }
    let keys = segment.fast_fields().u64(KEY)?;
    let passes = |doc| filter.is_none_or(|filter| keys.first(doc).is_some_and(|key| filter(key)));
    let mut postings = index.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
    let mut doc = postings.doc();
    while doc != TERMINATED {
        if !segment.is_deleted(doc) && passes(doc) {
            return Ok(true);
        }
        doc = postings.advance();
    }
    Ok(false)
}

/// The words of a question that have letters alone, in scripts with spaces, and in no code.
fn asked(question: &str) -> Vec<Asked> {
    let start = question.as_ptr() as usize;
    let quoted: Vec<Range<usize>> = quoted(question)
        .into_iter()
        .map(|phrase| phrase.as_ptr() as usize - start)
        .zip(quoted(question))
        .map(|(at, phrase)| at..at + phrase.len())
        .collect();
    let shouted = !question.contains(char::is_lowercase);
    let mut found = Vec::new();
    let mut words = Words::new(Purpose::Question);
    for run in question.split_whitespace().filter(|run| !is_code(run)) {
        let run_at = run.as_ptr() as usize - start;
        let mut stream = words.token_stream(run);
        while stream.advance() {
            let token = stream.token();
            let Some(letters) = letters(&token.text) else {
                continue;
            };
            let range = run_at + token.offset_from..run_at + token.offset_to;
            let exact = !(MIN_LETTERS..=MAX_SPELLED).contains(&letters)
                || quoted.iter().any(|phrase| phrase.contains(&range.start))
                || is_name(&question[range.clone()], shouted);
            found.push(Asked {
                range,
                word: token.text.clone(),
                exact,
            });
        }
    }
    found
}

/// Whether what stands between spaces is a code, an address, a path, an option or a name in a program.
fn is_code(run: &str) -> bool {
    let inside = run.trim_matches(|c: char| !c.is_alphanumeric());
    run.starts_with(['/', '\\', '-', '$'])
        || inside.contains(|c: char| c.is_numeric() || "_@\\=.:".contains(c))
}

/// Whether a word is an acronym, in a question that is not all capitals, or changes to capitals inside.
fn is_name(word: &str, shouted: bool) -> bool {
    let capitals = word.chars().filter(|c| c.is_uppercase()).count();
    let first = usize::from(word.starts_with(char::is_uppercase));
    !shouted && capitals > first
}

/// A word with a capital first letter where `like` has one.
fn cased_like(like: &str, word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) if like.starts_with(char::is_uppercase) => {
            first.to_uppercase().chain(letters).collect()
        }
        _ => word.to_owned(),
    }
}

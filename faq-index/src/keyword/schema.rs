//! Fields of the keyword index, and how texts become their terms.
//!
//! One pair of fields (body; title and headings) for each language with a stemmer, one pair
//! without stemming for all others. A chunk's words stand in the pair of its document's
//! language alone. One field more holds the words as they are spelled, in whatever language: the
//! dictionary that misspelled words of questions are looked up in.

use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, Stemmer, StopWordFilter, TextAnalyzer, TokenizerManager,
};

use super::tokenizer::{Purpose, Spellings, Words};

/// Version of the fields and of what the tokenizer gives. An index of another version is
/// rebuilt from truth.
pub(super) const VERSION: u32 = 3;

/// Languages with a stemmer, by ISO 639-1 code.
const STEMMED: [(&str, Language); 18] = [
    ("ar", Language::Arabic),
    ("da", Language::Danish),
    ("de", Language::German),
    ("el", Language::Greek),
    ("en", Language::English),
    ("es", Language::Spanish),
    ("fi", Language::Finnish),
    ("fr", Language::French),
    ("hu", Language::Hungarian),
    ("it", Language::Italian),
    ("nl", Language::Dutch),
    ("no", Language::Norwegian),
    ("pt", Language::Portuguese),
    ("ro", Language::Romanian),
    ("ru", Language::Russian),
    ("sv", Language::Swedish),
    ("ta", Language::Tamil),
    ("tr", Language::Turkish),
];

/// Name of the fields without stemming.
const PLAIN: &str = "plain";
/// Name of the field with words as they are spelled.
const SPELLED: &str = "spelled";
/// Name of the field with the document's key.
pub(super) const KEY: &str = "key";
/// Name of the field with the chunk's ordinal.
pub(super) const ORDINAL: &str = "ordinal";

/// The fields for one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LanguageFields {
    /// Index into [`STEMMED`]; `None` for the plain fields.
    language: Option<usize>,
    pub(super) body: Field,
    pub(super) head: Field,
}

/// All fields.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) schema: Schema,
    pub(super) key: Field,
    pub(super) ordinal: Field,
    /// Words as they are spelled: which chunks hold them, and no more.
    pub(super) spelled: Field,
    stemmed: Vec<LanguageFields>,
    plain: LanguageFields,
}

impl Fields {
    pub(super) fn new() -> Self {
        let mut builder = Schema::builder();
        let key = builder.add_u64_field(KEY, INDEXED | FAST);
        let ordinal = builder.add_u64_field(ORDINAL, FAST);
        let plain = pair(&mut builder, PLAIN, None);
        let stemmed = STEMMED
            .iter()
            .enumerate()
            .map(|(at, (code, _))| pair(&mut builder, code, Some(at)))
            .collect();
        let spelled = TextFieldIndexing::default()
            .set_tokenizer(SPELLED)
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        let spelled = TextOptions::default().set_indexing_options(spelled);
        let spelled = builder.add_text_field(SPELLED, spelled);
        Self {
            schema: builder.build(),
            key,
            ordinal,
            spelled,
            stemmed,
            plain,
        }
    }

    /// The fields of a language, known or not.
    pub(super) fn of(&self, language: Option<&str>) -> LanguageFields {
        let code = match language {
            // Both written standards of Norwegian share a stemmer.
            Some("nb" | "nn") => "no",
            Some(code) => code,
            None => return self.plain,
        };
        let known = STEMMED.iter().position(|(stemmed, _)| *stemmed == code);
        known.map_or(self.plain, |at| self.stemmed[at])
    }

    /// The fields of several languages, each once.
    pub(super) fn of_all<'a>(
        &self,
        languages: impl Iterator<Item = Option<&'a str>>,
    ) -> Vec<LanguageFields> {
        let mut all: Vec<LanguageFields> = Vec::new();
        for language in languages {
            let of = self.of(language);
            if !all.contains(&of) {
                all.push(of);
            }
        }
        all
    }
}

impl LanguageFields {
    /// How a question becomes terms of these fields: first without stop words, then with
    /// them, for questions that have nothing else.
    pub(super) fn question_analyzers(&self) -> [Option<TextAnalyzer>; 2] {
        let language = self.language.map(|at| STEMMED[at].1);
        let stop_words = language.and_then(stop_words);
        [
            stop_words.map(|stop| analyzer(Purpose::Question, language, Some(stop))),
            Some(self.phrase_analyzer()),
        ]
    }

    /// How a word of a question becomes a term of these fields; a stop word becomes none.
    pub(super) fn question_analyzer(&self) -> TextAnalyzer {
        let [without_stop_words, all] = self.question_analyzers();
        without_stop_words
            .or(all)
            .unwrap_or_else(|| self.phrase_analyzer())
    }

    /// How a phrase becomes terms of these fields: every word of it counts.
    pub(super) fn phrase_analyzer(&self) -> TextAnalyzer {
        let language = self.language.map(|at| STEMMED[at].1);
        analyzer(Purpose::Question, language, None)
    }
}

/// The analyzers that documents are indexed with, by the names that the schema uses.
///
/// Stop words are kept: a question of nothing else still finds them.
pub(super) fn tokenizers() -> TokenizerManager {
    // Number fields ask for the tokenizer "default" too.
    let manager = TokenizerManager::default();
    manager.register(PLAIN, analyzer(Purpose::Index, None, None));
    manager.register(SPELLED, Spellings::default());
    for (code, language) in STEMMED {
        manager.register(code, analyzer(Purpose::Index, Some(language), None));
    }
    manager
}

fn pair(builder: &mut SchemaBuilder, name: &str, language: Option<usize>) -> LanguageFields {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(name)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let options = TextOptions::default().set_indexing_options(indexing);
    LanguageFields {
        language,
        body: builder.add_text_field(&format!("body_{name}"), options.clone()),
        head: builder.add_text_field(&format!("head_{name}"), options),
    }
}

fn analyzer(
    purpose: Purpose,
    language: Option<Language>,
    stop_words: Option<StopWordFilter>,
) -> TextAnalyzer {
    let mut chain = TextAnalyzer::builder(Words::new(purpose)).dynamic();
    if let Some(stop_words) = stop_words {
        chain = chain.filter_dynamic(stop_words);
    }
    // Folded before stemming, so that a word typed without its accents has the same stem.
    chain = chain.filter_dynamic(AsciiFoldingFilter);
    if let Some(language) = language {
        chain = chain.filter_dynamic(Stemmer::new(language));
    }
    chain.build()
}

/// Words that are left out of a question in English. The library's list lacks the words that
/// make a sentence a question, which say nothing of what is asked for.
const ENGLISH: &str = "a about am an and any are as at be been being but by can could did do \
    does doing for from had has have having he her hers him his how i if in into is it its \
    itself me my no nor not of on or our ours she should so such than that the their theirs \
    them then there these they this those to too us was we were what when where which while \
    who whom whose why will with would you your yours s t";

/// Words that are left out of a question.
fn stop_words(language: Language) -> Option<StopWordFilter> {
    if language != Language::English {
        return StopWordFilter::new(language);
    }
    Some(StopWordFilter::remove(
        ENGLISH.split_ascii_whitespace().map(str::to_owned),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_word_and_its_inflection_share_a_term() {
        let fields = Fields::new();
        for (language, one, other) in [
            ("en", "Connections", "connected"),
            ("de", "Häusern", "hausern"),
            ("fr", "légalité", "legalites"),
            ("nb", "bilene", "bilen"),
        ] {
            let [_, analyzer] = fields.of(Some(language)).question_analyzers();
            let mut analyzer = analyzer.unwrap();
            let mut stem = |word| {
                let mut stream = analyzer.token_stream(word);
                assert!(stream.advance());
                stream.token().text.clone()
            };
            assert_eq!(stem(one), stem(other), "{language}");
        }
    }

    #[test]
    fn languages_without_a_stemmer_share_the_plain_fields() {
        let fields = Fields::new();
        assert_eq!(fields.of(Some("zh")), fields.of(None));
        assert_ne!(fields.of(Some("en")), fields.of(None));
    }
}

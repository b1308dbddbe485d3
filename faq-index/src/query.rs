//! What is asked, and what comes back.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{ChunkId, DocumentId};

/// Which lists are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Vectors and keywords, fused.
    #[default]
    Hybrid,
    /// Vectors alone.
    Dense,
    /// Keywords alone.
    Keyword,
}

/// How two ranked lists become one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fusion {
    /// `(dense_weight * cosine + bm25 / best) / (dense_weight + 1)`, at most 1: cosines as they are,
    /// computed for what only the keyword list holds too, and BM25 scores as shares of the list's best
    /// one. Where most of the best keyword hits are in languages that the embedder does not
    /// know ([`Query::vector_languages`]), the weight is 1 at most.
    Scores {
        /// Weight of the cosine against that of the keywords, 0 and more. Embedders whose cosines lie
        /// close together need more than all-MiniLM-L6-v2, for which the default was measured.
        dense_weight: f32,
    },
    /// Reciprocal rank fusion: the sum of `1 / (k + rank)` over the lists, ranks from 1
    /// (Cormack, Clarke and Büttcher, SIGIR 2009).
    Rrf {
        /// The constant; 60 in the paper.
        k: f32,
    },
    /// `dense_weight * d + (1 - dense_weight) * s` over each list's min-max normalised scores.
    Weighted {
        /// Weight of the dense list, 0 to 1.
        dense_weight: f32,
    },
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Scores { dense_weight: 2.5 }
    }
}

/// How vectors are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorSearch {
    /// The collection decides from its size and the filter.
    #[default]
    Auto,
    /// Every allowed vector is compared.
    Exact,
    /// The graph is walked, and what it does not hold yet is compared.
    Graph,
}

/// What words between quotation marks ask of a chunk: that they stand in its text, or in a heading
/// or the title above it, one after another. Words are compared as all words are, by their stems,
/// without accents and in any case. Marks may be straight or those of any language's print; what
/// has no partner, stands inside a word or measures inches is no quotation mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phrases {
    /// Only chunks that hold every phrase come back, from the dense list too. What people who
    /// search expect.
    #[default]
    Required,
    /// Chunks that hold a phrase score more in the keyword list. For questions in whole sentences,
    /// where marks may mean anything.
    Preferred,
}

/// What becomes of the words of a question that no document of the collection holds, in any
/// inflection: most of them are misspelled. Quoted words, numbers, codes, names in programs, acronyms
/// and scripts without spaces are never corrected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// The nearest word of the collection is searched too, at less weight: one edit away (a letter
    /// more, less, another, or two exchanged) from 4 letters on, two from 8. Of several the one that
    /// most chunks hold. A question whose words are all known is answered as it was asked.
    #[default]
    Tolerant,
    /// Nothing but what was asked.
    Exact,
    /// These, as [`Collection::corrections`](crate::Collection::corrections) gave them.
    Corrected(Vec<Correction>),
}

/// A misspelled word of a question, and the one that is searched in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Where the word stands in the question, in bytes.
    pub range: Range<usize>,
    /// The word as it was asked.
    pub asked: String,
    /// The word of the collection that stands in for it.
    pub used: String,
}

/// A question with its misspelled words corrected. Corrections are those of this question, in their order.
pub fn corrected<'q>(question: &'q str, corrections: &[Correction]) -> Cow<'q, str> {
    if corrections.is_empty() {
        return Cow::Borrowed(question);
    }
    let mut text = String::with_capacity(question.len());
    let mut from = 0;
    for Correction { range, used, .. } in corrections {
        text += question.get(from..range.start).unwrap_or_default();
        text += used;
        from = range.end;
    }
    text += question.get(from..).unwrap_or_default();
    Cow::Owned(text)
}

/// A restriction on the documents that may come back. Empty fields restrict nothing;
/// fields are joined by *and*, the values of one field by *or*.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Document ids.
    pub documents: BTreeSet<DocumentId>,
    /// File names, whole.
    pub filenames: BTreeSet<String>,
    /// Names of formats.
    pub formats: BTreeSet<String>,
    /// Labels; a document with one of them passes.
    pub tags: BTreeSet<String>,
    /// Documents at or after this time, Unix milliseconds.
    pub from_ms: Option<i64>,
    /// Documents before this time, Unix milliseconds.
    pub until_ms: Option<i64>,
}

impl Filter {
    /// Whether it restricts nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A search.
///
/// ```
/// use faq_index::{Filter, Mode, Query};
///
/// let mut query = Query::new("How many days of leave are there?", None);
/// query.mode = Mode::Keyword;
/// query.k = 5;
/// query.filter = Filter {
///     formats: ["pdf".to_string()].into(),
///     ..Filter::default()
/// };
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The question's words; needed by the keyword list. Any text is allowed: nothing in it is
    /// syntax, and words between quotation marks are a phrase.
    pub text: String,
    /// What phrases ask; vectors alone know none.
    pub phrases: Phrases,
    /// What becomes of misspelled words in the keyword list.
    pub spelling: Spelling,
    /// The question's vector, L2-normalised, `[dim]`; needed by the dense list.
    pub vector: Option<Vec<f32>>,
    /// Which lists are asked.
    pub mode: Mode,
    /// Most hits to return.
    pub k: usize,
    /// Entries taken from each list before fusing; at least `k` are taken.
    pub candidates: usize,
    /// How the lists become one.
    pub fusion: Fusion,
    /// Languages that the embedder knows, by ISO 639-1 code; `None` for all. See [`Fusion::Scores`].
    pub vector_languages: Option<&'static [&'static str]>,
    /// How vectors are searched.
    pub vector_search: VectorSearch,
    /// Width of the walk through the graph; `None` leaves it to the collection.
    pub ef: Option<usize>,
    /// Which documents may come back.
    pub filter: Filter,
}

impl Query {
    /// A hybrid search for `text` with the shipped settings: 10 hits out of 100 and 100.
    pub fn new(text: impl Into<String>, vector: Option<Vec<f32>>) -> Self {
        Self {
            text: text.into(),
            phrases: Phrases::default(),
            spelling: Spelling::default(),
            vector,
            mode: Mode::Hybrid,
            k: 10,
            candidates: 100,
            fusion: Fusion::default(),
            vector_languages: None,
            vector_search: VectorSearch::Auto,
            ef: None,
            filter: Filter::default(),
        }
    }
}

/// A chunk that was found, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The chunk.
    pub id: ChunkId,
    /// Score that the list is ordered by: fused in hybrid mode, else the one list's own.
    pub score: f32,
    /// Cosine of the chunk's best window, where the dense list held the chunk (and, in
    /// hybrid mode, also where only the keyword list did: it is computed then).
    pub dense_score: Option<f32>,
    /// Rank in the dense list, from 1.
    pub dense_rank: Option<u32>,
    /// BM25 score, where the keyword list held the chunk.
    pub keyword_score: Option<f32>,
    /// Rank in the keyword list, from 1.
    pub keyword_rank: Option<u32>,
    /// Byte range of the window with the best cosine, where a vector was given.
    pub best_window: Option<Range<usize>>,
}

/// How a search was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// How vectors were searched, and why, in a sentence.
    pub vectors: String,
    /// How keywords were searched, in a sentence.
    pub keywords: String,
    /// Documents that the filter allows; `None` without a filter.
    pub allowed_documents: Option<u64>,
    /// What the collection could not use just now, and what stood in for it.
    pub degraded: Vec<String>,
}

/// Hits, best first, and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResult {
    /// Hits, best first.
    pub hits: Vec<Hit>,
    /// How the search was carried out.
    pub plan: Plan,
    /// Misspelled words, and what was searched in their place.
    pub corrections: Vec<Correction>,
    /// Whether most of the best keyword hits are in languages that the embedder does not know
    /// ([`Query::vector_languages`]).
    pub foreign: bool,
    /// Sequence number of the snapshot that was searched.
    pub seq: u64,
    /// Time of the vector search, in microseconds.
    pub dense_us: u64,
    /// Time of the keyword search, in microseconds.
    pub keyword_us: u64,
}

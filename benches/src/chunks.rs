//! How well chunks of a size hold what questions ask for: of the gold spans, the share that the
//! best chunks hold, and how much else comes with it.
//!
//! Reads a folder with `corpora/*.md` and `questions.jsonl`, one JSON object a line with `text`,
//! `corpus` and `references`, each with its `content`. Spans are looked up in the canonical
//! text by their letters and digits, since markup is gone from it. Each chunk is embedded as the
//! engine does it, in windows that the model can read, and its best window speaks for it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use faq_core::{Control, Embedder, Engine, EngineConfig, ModelStore, TextKind};
use faq_ingest::{ByteRange, Chunk, ChunkConfig, Document, ParseOptions, TokenOffsets};
use serde::{Deserialize, Serialize};

/// Chunks that are looked at for each question.
const TOP: usize = 5;
/// Tokens that are read of the best chunks where a budget is kept.
const BUDGET: usize = 1000;
/// Most tokens of a heading prefix.
const LONGEST_PREFIX: usize = 64;

/// The data: corpora by name, and questions over them.
#[derive(Debug)]
pub struct Data {
    corpora: BTreeMap<String, Document>,
    questions: Vec<Question>,
    /// Spans that were not found in the canonical text.
    pub lost: usize,
}

#[derive(Debug)]
struct Question {
    text: String,
    corpus: String,
    gold: Vec<ByteRange>,
}

#[derive(Debug, Deserialize)]
struct Line {
    text: String,
    corpus: String,
    references: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    content: String,
}

/// How to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Most tokens of a chunk.
    pub size: usize,
    /// Tokens that neighbours share at most.
    pub overlap: usize,
    /// Whether the headings above a chunk are embedded before each of its windows.
    pub headings: bool,
}

/// What a setting came to, means over the questions.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The setting.
    #[serde(flatten)]
    pub setting: Setting,
    /// Chunks of all corpora.
    pub chunks: usize,
    /// Mean tokens of a chunk.
    pub mean_tokens: f64,
    /// Share of the gold text that the top 5 chunks hold.
    pub recall: f64,
    /// Share of the top 5 chunks' text that is gold.
    pub precision: f64,
    /// Tokens of the top 5 chunks, what two of them share counted once.
    pub tokens: f64,
    /// Share of the gold text within the first 1,000 tokens of the best chunks.
    pub budget_recall: f64,
}

impl Data {
    /// Reads the corpora of a folder, those with the names given or all, and the questions
    /// over them.
    ///
    /// # Errors
    /// Where a file cannot be read, or names a corpus that is not there.
    pub fn read(folder: &Path, names: &[String]) -> Result<Self> {
        let mut corpora = BTreeMap::new();
        let mut letters = HashMap::new();
        for entry in std::fs::read_dir(folder.join("corpora"))? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            if !names.is_empty() && !names.iter().any(|n| *n == name) {
                continue;
            }
            let bytes = std::fs::read(&path)?;
            let document =
                faq_ingest::parse(&bytes, &path.to_string_lossy(), &ParseOptions::default())?;
            letters.insert(name.to_string(), Letters::of(&document.text));
            corpora.insert(name.into_owned(), document);
        }
        let path = folder.join("questions.jsonl");
        let lines = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let (mut questions, mut lost) = (Vec::new(), 0);
        for (n, line) in lines.lines().enumerate() {
            let line: Line = serde_json::from_str(line)
                .with_context(|| format!("{}:{} is no question", path.display(), n + 1))?;
            let Some(corpus) = letters.get(&line.corpus) else {
                ensure!(!names.is_empty(), "there is no corpus {}", line.corpus);
                continue;
            };
            let found: Vec<Option<ByteRange>> = line
                .references
                .iter()
                .map(|r| corpus.find(&r.content))
                .collect();
            lost += found.iter().filter(|f| f.is_none()).count();
            let gold = merged(found.into_iter().flatten().collect());
            if !gold.is_empty() {
                questions.push(Question {
                    text: line.text,
                    corpus: line.corpus,
                    gold,
                });
            }
        }
        ensure!(!questions.is_empty(), "there are no questions");
        Ok(Self {
            corpora,
            questions,
            lost,
        })
    }

    /// Number of questions.
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Whether there is no question.
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// Vectors of the questions.
    ///
    /// # Errors
    /// Where the embedder fails.
    pub fn embed_questions(&self, embedder: &dyn Embedder) -> Result<Vec<Vec<f32>>> {
        let texts: Vec<&str> = self.questions.iter().map(|q| q.text.as_str()).collect();
        Ok(embedder.embed(&texts, TextKind::Query, &Control::new())?)
    }
}

/// A text's letters and digits in lower case, and where each stands.
struct Letters {
    text: String,
    /// For each byte of `text` the place of its character.
    places: Vec<usize>,
}

impl Letters {
    fn of(text: &str) -> Self {
        let mut letters = Self {
            text: String::with_capacity(text.len()),
            places: Vec::with_capacity(text.len()),
        };
        for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
            for lower in c.to_lowercase() {
                letters.text.push(lower);
                letters.places.resize(letters.text.len(), at);
            }
        }
        letters
    }

    fn find(&self, span: &str) -> Option<ByteRange> {
        let wanted = Self::of(span).text;
        let at = (!wanted.is_empty()).then(|| self.text.find(&wanted))??;
        let last = self.places[at + wanted.len() - 1];
        Some(ByteRange::new(self.places[at], last + 1))
    }
}

/// A chunk with the vectors of its windows.
struct Embedded<'d> {
    corpus: &'d str,
    range: ByteRange,
    vectors: Vec<Vec<f32>>,
}

/// Cuts, embeds and asks.
///
/// # Errors
/// Where chunking or embedding fails.
pub fn measure(
    data: &Data,
    questions: &[Vec<f32>],
    embedder: &dyn Embedder,
    setting: Setting,
) -> Result<Outcome> {
    let mut chunks: Vec<Embedded<'_>> = Vec::new();
    let mut tokens: HashMap<&str, Vec<ByteRange>> = HashMap::new();
    for (name, document) in &data.corpora {
        let own = embedder.token_offsets(&document.text)?;
        let cut = cut(document, &own, setting)?;
        chunks.extend(embed(name, document, &own, &cut, embedder, setting)?);
        tokens.insert(name, own);
    }
    let count = |corpus: &str, range: ByteRange| inside(&tokens[corpus], range).len();
    let sizes: usize = chunks.iter().map(|c| count(c.corpus, c.range)).sum();
    let (mut recall, mut precision, mut read, mut budget_recall) = (0.0, 0.0, 0.0, 0.0);
    for (question, vector) in data.questions.iter().zip(questions) {
        let score = |c: &Embedded<'_>| {
            let cosine = |v: &Vec<f32>| v.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>();
            c.vectors.iter().map(cosine).fold(f32::MIN, f32::max)
        };
        let mut ranked: Vec<(f32, &Embedded<'_>)> = chunks.iter().map(|c| (score(c), c)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let best: Vec<&Embedded<'_>> = ranked.iter().map(|&(_, c)| c).collect();
        let found = by_corpus(best.iter().take(TOP).map(|c| (c.corpus, c.range)));
        let gold = total(&question.gold);
        let held = shared(&question.gold, found.get(question.corpus.as_str()));
        recall += held / gold;
        precision += held / found.values().map(|r| total(r)).sum::<f64>().max(1.0);
        let all = found
            .iter()
            .flat_map(|(c, r)| r.iter().map(|r| count(c, *r)));
        read += all.sum::<usize>() as f64;
        let within = by_corpus(within_budget(&best, &tokens).into_iter());
        budget_recall += shared(&question.gold, within.get(question.corpus.as_str())) / gold;
    }
    let asked = data.questions.len() as f64;
    Ok(Outcome {
        setting,
        chunks: chunks.len(),
        mean_tokens: sizes as f64 / chunks.len().max(1) as f64,
        recall: recall / asked,
        precision: precision / asked,
        tokens: read / asked,
        budget_recall: budget_recall / asked,
    })
}

/// The best chunks' ranges until the budget is spent, the last one cut.
fn within_budget<'d>(
    best: &[&Embedded<'d>],
    tokens: &HashMap<&str, Vec<ByteRange>>,
) -> Vec<(&'d str, ByteRange)> {
    let mut left = BUDGET;
    let mut within = Vec::new();
    for chunk in best {
        let own = inside(&tokens[chunk.corpus], chunk.range);
        let end = own.get(left).map_or(chunk.range.end, |token| token.start);
        within.push((chunk.corpus, ByteRange::new(chunk.range.start, end)));
        left = left.saturating_sub(own.len());
        if left == 0 {
            break;
        }
    }
    within
}

struct Known<'t>(&'t [ByteRange]);

impl TokenOffsets for Known<'_> {
    fn token_offsets(&self, _: &str) -> Result<Vec<ByteRange>, String> {
        Ok(self.0.to_vec())
    }
}

fn cut(document: &Document, tokens: &[ByteRange], setting: Setting) -> Result<Vec<Chunk>> {
    let config = ChunkConfig {
        size: setting.size,
        overlap: setting.overlap,
    };
    Ok(faq_ingest::chunk(document, &Known(tokens), &config)?)
}

/// Vectors of the chunks' windows, which are of even length and cover each chunk.
fn embed<'d>(
    corpus: &'d str,
    document: &Document,
    tokens: &[ByteRange],
    chunks: &[Chunk],
    embedder: &dyn Embedder,
    setting: Setting,
) -> Result<Vec<Embedded<'d>>> {
    let mut texts: Vec<String> = Vec::new();
    let mut counts = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let prefix = if setting.headings {
            prefix(chunk, embedder)?
        } else {
            (String::new(), 0)
        };
        let own = inside(tokens, chunk.range);
        let most = embedder.window_tokens() - prefix.1;
        let windows = own.len().div_ceil(most).max(1);
        for n in 0..windows {
            let at = |n: usize| own.get(own.len() * n / windows);
            let start = if n == 0 { None } else { at(n) };
            let start = start.map_or(chunk.range.start, |t| t.start);
            let end = at(n + 1).map_or(chunk.range.end, |t| t.start);
            let window = document.text.get(start..end).unwrap_or_default();
            texts.push(format!("{}{window}", prefix.0));
        }
        counts.push(windows);
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut vectors = embedder
        .embed(&texts, TextKind::Passage, &Control::new())?
        .into_iter();
    let embedded = chunks.iter().zip(counts).map(|(chunk, count)| Embedded {
        corpus,
        range: chunk.range,
        vectors: vectors.by_ref().take(count).collect(),
    });
    Ok(embedded.collect())
}

/// The nearest headings above a chunk as a line, and its tokens.
fn prefix(chunk: &Chunk, embedder: &dyn Embedder) -> Result<(String, usize)> {
    for from in 0..chunk.heading_path.len() {
        let line = format!("{}\n", chunk.heading_path[from..].join(" > "));
        let tokens = embedder.token_offsets(&line)?.len();
        if tokens <= LONGEST_PREFIX {
            return Ok((line, tokens));
        }
    }
    Ok((String::new(), 0))
}

/// The tokens that start in a range.
fn inside(tokens: &[ByteRange], range: ByteRange) -> &[ByteRange] {
    let first = tokens.partition_point(|t| t.start < range.start);
    let last = tokens.partition_point(|t| t.start < range.end);
    &tokens[first..last]
}

fn by_corpus<'c>(
    ranges: impl Iterator<Item = (&'c str, ByteRange)>,
) -> BTreeMap<&'c str, Vec<ByteRange>> {
    let mut by_corpus: BTreeMap<&str, Vec<ByteRange>> = BTreeMap::new();
    for (corpus, range) in ranges {
        by_corpus.entry(corpus).or_default().push(range);
    }
    for ranges in by_corpus.values_mut() {
        *ranges = merged(std::mem::take(ranges));
    }
    by_corpus
}

/// Ranges in order, those that touch made one.
fn merged(mut ranges: Vec<ByteRange>) -> Vec<ByteRange> {
    ranges.sort_unstable();
    let mut merged: Vec<ByteRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn total(ranges: &[ByteRange]) -> f64 {
    ranges.iter().map(|r| r.len()).sum::<usize>() as f64
}

/// Bytes that two lists of merged ranges share.
fn shared(a: &[ByteRange], b: Option<&Vec<ByteRange>>) -> f64 {
    let pairs = a
        .iter()
        .flat_map(|a| b.into_iter().flatten().map(move |b| (a, b)));
    let bytes = pairs.map(|(a, b)| a.end.min(b.end).saturating_sub(a.start.max(b.start)));
    bytes.sum::<usize>() as f64
}

/// An engine that is used for its parser and embedder alone.
///
/// # Errors
/// Where the model cannot be found.
pub fn engine(data: &Path, models: Option<&Path>) -> Result<Engine> {
    let mut config = EngineConfig::new(data);
    if let Some(models) = models {
        config.models = ModelStore::new(models);
    }
    Ok(Engine::with_config(config)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_found_without_their_markup() {
        let letters = Letters::of("The Größe is 5.\n\n- and more");
        let found = letters.find("*größe* is **5**");
        assert_eq!(found, Some(ByteRange::new(4, 16)));
        assert_eq!(letters.find("nothing of it"), None);
        assert_eq!(letters.find("**"), None);
    }

    #[test]
    fn what_ranges_share() {
        let ranges =
            |r: &[(usize, usize)]| merged(r.iter().map(|&(a, b)| ByteRange::new(a, b)).collect());
        let a = ranges(&[(0, 10), (5, 20), (30, 40)]);
        assert_eq!(a, [ByteRange::new(0, 20), ByteRange::new(30, 40)]);
        assert_eq!(shared(&a, Some(&ranges(&[(15, 35)]))), 10.0);
        assert_eq!(shared(&a, None), 0.0);
    }
}

//! Real sentences and questions with their vectors, as the examples that measure read them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use faq_index::{ChunkRecord, DocumentId, DocumentRecord, Fingerprint, Window};
use uuid::Uuid;

/// Length of the vectors.
pub(crate) const DIM: usize = 384;
/// Sentences that make a document.
pub(crate) const CHUNKS: usize = 10;
/// Documents written at once.
#[allow(dead_code, reason = "one example is told how many")]
pub(crate) const BATCH: usize = 100;
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Lines of text, each with its vector.
pub(crate) struct Texts {
    pub(crate) lines: Vec<String>,
    pub(crate) vectors: Vec<Vec<f32>>,
}

impl Texts {
    /// Reads `NAME.txt` and `NAME.f32`.
    pub(crate) fn read(dir: &Path, name: &str) -> Result<Self> {
        let lines: Vec<String> = std::fs::read_to_string(dir.join(format!("{name}.txt")))?
            .lines()
            .map(str::to_owned)
            .collect();
        let vectors = std::fs::read(dir.join(format!("{name}.f32")))?
            .chunks_exact(DIM * 4)
            .map(|bytes| {
                let floats = bytes.chunks_exact(4);
                floats
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect()
            })
            .collect();
        Ok(Self { lines, vectors })
    }

    /// A sentence; beyond the last, the beginning of one and the end of another.
    pub(crate) fn line(&self, at: usize) -> Cow<'_, str> {
        let count = self.lines.len();
        let Some(line) = self.lines.get(at) else {
            let (one, other) = (&self.lines[at % count], &self.lines[mixed(at) % count]);
            let (one, other) = (one.split(' '), other.split(' '));
            let half = one.clone().count() / 2;
            let words: Vec<&str> = one.take(half).chain(other.skip(half)).collect();
            return words.join(" ").into();
        };
        line.into()
    }

    /// Its vector; beyond the last, one with noise: at a cosine of about 0.9.
    pub(crate) fn vector(&self, at: usize) -> Cow<'_, [f32]> {
        let Some(vector) = self.vectors.get(at) else {
            let mut state = at;
            let mut noise = || {
                state = mixed(state);
                (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
            };
            // Uniform numbers from -1 to 1 have a variance of a third.
            let scale = 0.5 / (DIM as f32 / 3.0).sqrt();
            let near = &self.vectors[at % self.vectors.len()];
            let mut vector: Vec<f32> = near.iter().map(|v| v + scale * noise()).collect();
            let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            for v in &mut vector {
                *v /= length;
            }
            return vector.into();
        };
        vector.into()
    }
}

/// SplitMix64.
fn mixed(n: usize) -> usize {
    let mut z = (n as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) as usize
}

/// A document of ten sentences; some have tags to filter by.
pub(crate) fn document(n: usize, texts: &Texts, count: usize) -> DocumentRecord {
    let from = n * CHUNKS;
    let mut text = String::new();
    let chunks = (from..(from + CHUNKS).min(count))
        .map(|at| {
            let start = text.len();
            text.push_str(&texts.line(at));
            let range = start..text.len();
            text.push('\n');
            ChunkRecord {
                range: range.clone(),
                tokens: 1,
                pages: None,
                heading_path: Vec::new(),
                windows: vec![Window {
                    range,
                    vector: texts.vector(at).into_owned(),
                }],
            }
        })
        .collect();
    let mut tags = BTreeSet::new();
    // Deterministic shares of the documents, spread over all of them.
    let place = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    for (percent, tag) in [(1, "one"), (10, "ten"), (50, "half")] {
        if place % 100 < percent {
            tags.insert(tag.to_owned());
        }
    }
    DocumentRecord {
        id: DocumentId(Uuid::from_u128(n as u128 + 1)),
        filename: format!("{n}.txt"),
        source: format!("/{n}.txt"),
        format: "txt".into(),
        title: None,
        language: Some("en".into()),
        tags,
        time_ms: n as i64,
        bytes: text.len() as u64,
        content_hash: String::new(),
        text,
        extra: Vec::new(),
        fingerprint: Fingerprint {
            parser: "lines".into(),
            chunker: "lines".into(),
            embedder: "all-minilm-l6-v2".into(),
        },
        tokens_total: 1,
        tokens_embedded: 1,
        chunks,
    }
}

/// Processor time that the process has used, all its threads together. It says what work costs
/// on a machine that does other things too.
pub(crate) fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

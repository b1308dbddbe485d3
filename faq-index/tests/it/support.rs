//! Documents and vectors made for tests, from seeds alone.

use std::collections::BTreeSet;

use faq_index::{
    ChunkRecord, Collection, CollectionConfig, DocumentId, DocumentRecord, Fingerprint, Query,
    Window, WriteBatch,
};
use uuid::Uuid;

/// Length of the vectors in these tests.
pub(crate) const DIM: usize = 16;

/// A small generator (SplitMix64), so that a failing run can be repeated.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// A vector of length 1.
    pub(crate) fn vector(&mut self, dim: usize) -> Vec<f32> {
        let mut vector: Vec<f32> = (0..dim).map(|_| self.unit()).collect();
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        for v in &mut vector {
            *v /= length;
        }
        vector
    }
}

pub(crate) fn id(n: u64) -> DocumentId {
    DocumentId(Uuid::from_u128(u128::from(n)))
}

pub(crate) fn fingerprint() -> Fingerprint {
    Fingerprint {
        parser: "test 1".into(),
        chunker: "lines 1".into(),
        embedder: "random-16".into(),
    }
}

/// A document with one chunk for each text; chunk `i` has the vector of seed `n * 1000 + i`.
pub(crate) fn document(n: u64, texts: &[&str]) -> DocumentRecord {
    let text = texts.join("\n");
    let mut start = 0;
    let chunks = texts
        .iter()
        .enumerate()
        .map(|(i, piece)| {
            let range = start..start + piece.len();
            start = range.end + 1;
            ChunkRecord {
                range: range.clone(),
                tokens: piece.split_whitespace().count() as u32,
                pages: None,
                heading_path: Vec::new(),
                windows: vec![Window {
                    range,
                    vector: Random(n * 1000 + i as u64).vector(DIM),
                }],
            }
        })
        .collect();
    DocumentRecord {
        id: id(n),
        filename: format!("file-{n}.txt"),
        source: format!("/docs/file-{n:06}.txt"),
        format: "txt".into(),
        title: None,
        language: Some("en".into()),
        tags: BTreeSet::new(),
        time_ms: n as i64,
        bytes: text.len() as u64,
        content_hash: format!("{n:064x}"),
        text,
        extra: Vec::new(),
        fingerprint: fingerprint(),
        tokens_total: 1,
        tokens_embedded: 1,
        chunks,
    }
}

pub(crate) fn upsert(documents: impl IntoIterator<Item = DocumentRecord>) -> WriteBatch {
    WriteBatch {
        upserts: documents.into_iter().collect(),
        deletes: Vec::new(),
    }
}

pub(crate) fn delete(ids: impl IntoIterator<Item = DocumentId>) -> WriteBatch {
    WriteBatch {
        upserts: Vec::new(),
        deletes: ids.into_iter().collect(),
    }
}

pub(crate) fn config() -> CollectionConfig {
    CollectionConfig {
        dim: DIM,
        ..CollectionConfig::default()
    }
}

pub(crate) fn open(dir: &std::path::Path) -> Collection {
    Collection::open(dir, config()).unwrap()
}

/// The vector that chunk `i` of document `n` was written with.
pub(crate) fn vector_of(n: u64, i: u64) -> Vec<f32> {
    Random(n * 1000 + i).vector(DIM)
}

/// Documents found by words alone, best first.
pub(crate) fn keyword(collection: &Collection, text: &str) -> Vec<DocumentId> {
    let mut query = Query::new(text, None);
    query.mode = faq_index::Mode::Keyword;
    query.k = 1000;
    let found = collection.search(&query).unwrap();
    found.hits.iter().map(|hit| hit.id.document).collect()
}

/// Documents found by a vector alone, best first.
pub(crate) fn dense(collection: &Collection, vector: Vec<f32>, k: usize) -> Vec<DocumentId> {
    let mut query = Query::new("", Some(vector));
    query.mode = faq_index::Mode::Dense;
    query.k = k;
    let found = collection.search(&query).unwrap();
    found.hits.iter().map(|hit| hit.id.document).collect()
}

/// All files below a folder, in order.
pub(crate) fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Copies a folder's files.
pub(crate) fn copy(from: &std::path::Path, to: &std::path::Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap();
    }
}

//! The table of live documents that every search joins its hits to.
//!
//! A document's *key* is a number that truth gives it when it is written and never gives
//! again, not even to the same document when it is replaced. What a key's vectors and words
//! are never changes; whether the key is in this table decides whether they count.
//!
//! Keys ascend, so the table is an array cut into blocks. A snapshot shares the blocks of the
//! one before it and copies those that a write touched.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{DocumentId, Filter};

/// Number of a written state of a document; see the module.
pub(crate) type DocKey = u64;

const BLOCK: usize = 256;

/// What searches need to know of a live document.
#[derive(Debug, Clone)]
pub(crate) struct DocEntry {
    pub(crate) id: DocumentId,
    pub(crate) filename: Arc<str>,
    pub(crate) format: Arc<str>,
    pub(crate) language: Option<Arc<str>>,
    pub(crate) tags: Arc<[String]>,
    pub(crate) time_ms: i64,
    pub(crate) chunks: u64,
    pub(crate) vectors: u64,
}

type Block = Vec<Option<DocEntry>>;

/// The live documents of one snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents {
    blocks: Vec<Option<Arc<Block>>>,
    len: u64,
    chunks: u64,
    vectors: u64,
    /// Live documents of each language, to ask only fields that hold something.
    languages: BTreeMap<Option<Arc<str>>, u64>,
}

impl Documents {
    /// Number of live documents.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Number of live chunks.
    pub(crate) fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Number of live vectors.
    pub(crate) fn vectors(&self) -> u64 {
        self.vectors
    }

    /// Languages that live documents are in.
    pub(crate) fn languages(&self) -> impl Iterator<Item = Option<&str>> {
        self.languages.keys().map(Option::as_deref)
    }

    /// The document behind a key, where it is live.
    pub(crate) fn get(&self, key: DocKey) -> Option<&DocEntry> {
        let (block, slot) = place(key);
        self.blocks.get(block)?.as_ref()?.get(slot)?.as_ref()
    }

    /// Makes a key live.
    pub(crate) fn insert(&mut self, key: DocKey, entry: DocEntry) {
        self.remove(key);
        let (block, slot) = place(key);
        if self.blocks.len() <= block {
            self.blocks.resize(block + 1, None);
        }
        self.len += 1;
        self.chunks += entry.chunks;
        self.vectors += entry.vectors;
        *self.languages.entry(entry.language.clone()).or_default() += 1;
        let slots = self.blocks[block].get_or_insert_with(|| Arc::new(vec![None; BLOCK]));
        Arc::make_mut(slots)[slot] = Some(entry);
    }

    /// Makes a key dead.
    pub(crate) fn remove(&mut self, key: DocKey) {
        if self.get(key).is_none() {
            return;
        }
        let (block, slot) = place(key);
        let Some(slots) = self.blocks[block].as_mut() else {
            return;
        };
        let Some(entry) = Arc::make_mut(slots)[slot].take() else {
            return;
        };
        if slots.iter().all(Option::is_none) {
            self.blocks[block] = None;
        }
        self.len -= 1;
        self.chunks -= entry.chunks;
        self.vectors -= entry.vectors;
        if let Some(count) = self.languages.get_mut(&entry.language) {
            *count -= 1;
            if *count == 0 {
                self.languages.remove(&entry.language);
            }
        }
    }

    /// Live documents in ascending order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DocKey, &DocEntry)> {
        self.blocks.iter().enumerate().flat_map(|(block, slots)| {
            let base = (block * BLOCK) as u64;
            slots
                .iter()
                .flat_map(|slots| slots.iter())
                .enumerate()
                .filter_map(move |(slot, entry)| Some((base + slot as u64, entry.as_ref()?)))
        })
    }

    /// The documents that pass a filter; `None` where it restricts nothing.
    pub(crate) fn allowed(&self, filter: &Filter) -> Option<Allowed> {
        if filter.is_empty() {
            return None;
        }
        let mut allowed = Allowed {
            bits: vec![0; (self.blocks.len() * BLOCK).div_ceil(64)],
            documents: 0,
            chunks: 0,
            vectors: 0,
        };
        for (key, entry) in self.iter().filter(|(_, entry)| passes(filter, entry)) {
            allowed.bits[key as usize / 64] |= 1 << (key % 64);
            allowed.documents += 1;
            allowed.chunks += entry.chunks;
            allowed.vectors += entry.vectors;
        }
        Some(allowed)
    }
}

fn place(key: DocKey) -> (usize, usize) {
    (key as usize / BLOCK, key as usize % BLOCK)
}

fn passes(filter: &Filter, entry: &DocEntry) -> bool {
    (filter.documents.is_empty() || filter.documents.contains(&entry.id))
        && (filter.filenames.is_empty() || filter.filenames.contains(&*entry.filename))
        && (filter.formats.is_empty() || filter.formats.contains(&*entry.format))
        && (filter.tags.is_empty() || entry.tags.iter().any(|tag| filter.tags.contains(tag)))
        && filter.from_ms.is_none_or(|from| entry.time_ms >= from)
        && filter.until_ms.is_none_or(|until| entry.time_ms < until)
}

/// The one set of documents that a filter leaves, used by vectors and keywords alike.
#[derive(Debug)]
pub(crate) struct Allowed {
    bits: Vec<u64>,
    documents: u64,
    chunks: u64,
    vectors: u64,
}

impl Allowed {
    /// Whether a document may come back.
    pub(crate) fn contains(&self, key: DocKey) -> bool {
        self.bits
            .get(key as usize / 64)
            .is_some_and(|word| word >> (key % 64) & 1 == 1)
    }

    /// The documents' keys, ascending.
    pub(crate) fn keys(&self) -> impl Iterator<Item = DocKey> {
        self.bits.iter().enumerate().flat_map(|(word, &bits)| {
            let mut left = bits;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then(|| word as u64 * 64 + u64::from(bit))
            })
        })
    }

    /// Number of documents.
    pub(crate) fn documents(&self) -> u64 {
        self.documents
    }

    /// Number of their chunks.
    pub(crate) fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Number of their vectors.
    pub(crate) fn vectors(&self) -> u64 {
        self.vectors
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use uuid::Uuid;

    use super::*;

    fn entry(n: u128, tag: &str) -> DocEntry {
        DocEntry {
            id: DocumentId(Uuid::from_u128(n)),
            filename: "a.txt".into(),
            format: "txt".into(),
            language: Some("en".into()),
            tags: Arc::from(vec![tag.to_owned()]),
            time_ms: n as i64,
            chunks: 1,
            vectors: 2,
        }
    }

    #[test]
    fn a_snapshot_does_not_see_later_changes() {
        let mut table = Documents::default();
        table.insert(3, entry(3, "x"));
        let before = table.clone();
        table.insert(900, entry(900, "x"));
        table.remove(3);
        assert!(before.get(3).is_some() && before.get(900).is_none());
        assert!(table.get(3).is_none() && table.get(900).is_some());
        assert_eq!((table.len(), table.vectors(), table.chunks()), (1, 2, 1));
        assert_eq!(table.iter().map(|(key, _)| key).collect::<Vec<_>>(), [900]);
    }

    #[test]
    fn languages_are_counted_while_documents_live() {
        let mut table = Documents::default();
        table.insert(1, entry(1, "x"));
        table.insert(2, entry(2, "x"));
        table.remove(1);
        assert_eq!(table.languages().collect::<Vec<_>>(), [Some("en")]);
        table.remove(2);
        assert_eq!(table.languages().count(), 0);
    }

    #[test]
    fn fields_of_a_filter_are_joined_by_and() {
        let mut table = Documents::default();
        table.insert(1, entry(10, "red"));
        table.insert(2, entry(20, "red"));
        table.insert(3, entry(30, "blue"));
        let filter = Filter {
            tags: ["red".to_owned(), "green".to_owned()].into(),
            from_ms: Some(20),
            until_ms: Some(30),
            ..Filter::default()
        };
        let allowed = table.allowed(&filter).unwrap();
        assert_eq!((allowed.documents(), allowed.vectors()), (1, 2));
        assert_eq!(allowed.keys().collect::<Vec<_>>(), [2]);
        assert!(allowed.contains(2) && !allowed.contains(1) && !allowed.contains(3));
        assert!(!allowed.contains(u64::from(u32::MAX)));
        assert!(table.allowed(&Filter::default()).is_none());
    }
}

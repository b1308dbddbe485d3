//! A collection: what is in it, what leaves it. `ingest`, `search` and `answer` add their parts.

use std::sync::Arc;

use faq_index::{
    CollectionStats, CompactReceipt, DocumentId, DocumentInfo, IndexError, StoredChunk,
    WorkProgress, WriteBatch, WriteReceipt,
};
use faq_ingest::{Block, Page, Warning};
use serde::Serialize;

use crate::ingest::Extra;
use crate::{Control, Embedder, Engine, Result};

/// A handle on one collection of an engine. `Send + Sync`; clones share it.
///
/// ```no_run
/// use faq_core::{Control, Engine, SearchOptions, Source};
///
/// let notes = Engine::open("faq-data")?.collection("notes")?;
/// notes.add(Source::new("door.txt", "The door code is on the intranet."), &Control::new())?;
/// let found = notes.search("How do I get in?", &SearchOptions::default(), &Control::new())?;
/// println!("{}", found.hits[0].text);
/// for document in notes.documents()? {
///     notes.delete(&[document.id])?;
/// }
/// # Ok::<(), faq_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Collection {
    engine: Engine,
    name: String,
    index: faq_index::Collection,
}

/// A document with its canonical text and structure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DocumentContent {
    /// What is known of it.
    pub info: DocumentInfo,
    /// Canonical text. Ranges in sources point into it.
    pub text: String,
    /// Blocks in reading order.
    pub blocks: Vec<Block>,
    /// Pages, where the format has pages.
    pub pages: Vec<Page>,
    /// What the parser could not read.
    pub warnings: Vec<Warning>,
}

impl Collection {
    pub(crate) fn new(engine: Engine, name: &str, index: faq_index::Collection) -> Self {
        Self {
            engine,
            name: name.to_owned(),
            index,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine it belongs to.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The index below, for searches that the engine does not offer.
    pub fn index(&self) -> &faq_index::Collection {
        &self.index
    }

    pub(crate) fn embedder(&self) -> Result<Arc<dyn Embedder>> {
        self.engine.embedder()
    }

    /// Refuses an embedder that did not make this collection.
    pub(crate) fn check_embedder(&self, embedder: &dyn Embedder) -> Result<()> {
        match self.index.embedder()? {
            Some(found) if found != embedder.fingerprint() => Err(IndexError::OtherEmbedder {
                expected: embedder.fingerprint(),
                found,
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// The documents, in order of their source.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index).
    pub fn documents(&self) -> Result<Vec<DocumentInfo>> {
        Ok(self.index.documents()?)
    }

    /// One document with its canonical text, `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index).
    pub fn document(&self, id: DocumentId) -> Result<Option<DocumentContent>> {
        let Some(stored) = self.index.document(id)? else {
            return Ok(None);
        };
        let extra: Option<Extra> = serde_json::from_slice(&stored.extra).ok();
        let (blocks, pages, warnings) =
            extra.map_or_else(Default::default, |e| (e.blocks, e.pages, e.warnings));
        Ok(Some(DocumentContent {
            info: stored.info,
            text: stored.text,
            blocks,
            pages,
            warnings,
        }))
    }

    /// The chunks of one document, ascending; empty where there is none.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index).
    pub fn chunks(&self, id: DocumentId) -> Result<Vec<StoredChunk>> {
        Ok(self.index.chunks_of(id)?)
    }

    /// Deletes documents. They are gone from every search when it returns; the receipt counts
    /// what was taken away, and names ids that did not exist.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index).
    pub fn delete(&self, ids: &[DocumentId]) -> Result<WriteReceipt> {
        Ok(self.index.write(WriteBatch {
            upserts: Vec::new(),
            deletes: ids.to_vec(),
        })?)
    }

    /// Why the collection can be read and not written, `None` where it can be written.
    pub fn read_only(&self) -> Option<&str> {
        self.index.read_only()
    }

    /// Sizes.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index).
    pub fn stats(&self) -> Result<CollectionStats> {
        Ok(self.index.stats()?)
    }

    /// Takes what deletions left behind off the disk.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index).
    pub fn compact(&self) -> Result<CompactReceipt> {
        Ok(self.index.compact()?)
    }

    /// The same, for callers that follow and end it; searches and writes go on meanwhile, but for
    /// the last step, in which writes wait.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index), which says so where `control` ended it.
    pub fn compact_with(
        &self,
        control: &Control,
        progress: &mut dyn FnMut(WorkProgress),
    ) -> Result<CompactReceipt> {
        let receipt = self.index.compact_with(|at| {
            progress(at);
            control.check().is_ok()
        });
        Ok(receipt?)
    }
}

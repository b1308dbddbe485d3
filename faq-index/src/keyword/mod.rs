//! The keyword index: Tantivy over the words of chunks, in the folder `keyword/`.
//!
//! Derived from truth. Each commit's payload names the collection, the version of the fields
//! and the sequence number up to which truth was applied. [`KeywordIndex`] is the writer's
//! and belongs to whoever holds the collection's write lock; a [`KeywordView`] is an immutable
//! state that snapshots share. The folder holds terms with their positions, and no texts.

mod common;
mod directory;
mod phrase;
mod query;
mod schema;
mod spelling;
mod tokenizer;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tantivy::directory::error::{LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{MmapDirectory, RamDirectory};
use tantivy::indexer::NoMergePolicy;
use tantivy::{
    FutureResult, Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher,
    SegmentMeta, SegmentReader, TantivyDocument, TantivyError, Term,
};
use uuid::Uuid;

use directory::{ReadOnlyDirectory, StoppableDirectory};
pub(crate) use query::{KeyFilter, Question, ScoredChunks};
use schema::Fields;
use spelling::Dictionary;

use crate::disk::{create_dir, has_no_space, io_error, is_disk_full, same_mode};
use crate::documents::{DocKey, Documents};
use crate::store::{self, DocumentText, Store};
use crate::{Correction, DocumentRecord, IndexError, Phrases, faults};

/// Folder of the index in a collection's directory.
pub(crate) const FOLDER: &str = "keyword";

/// Where the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In its folder.
    Disk,
    /// In its folder, which may not be written to; in memory where that one does not serve.
    ReadOnly,
}

/// Memory that the indexing thread fills before it starts a new segment.
const WRITER_BYTES: usize = 32_000_000;

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Payload {
    version: u32,
    collection: Uuid,
    seq: u64,
}

/// A state of the index; cheap to clone.
#[derive(Clone)]
pub(crate) struct KeywordView {
    searcher: Searcher,
    fields: Arc<Fields>,
    seq: u64,
    in_memory: bool,
}

impl std::fmt::Debug for KeywordView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeywordView")
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

impl KeywordView {
    /// Sequence number up to which truth was applied.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether the index on disk could not serve and this one was made in its stead.
    pub(crate) fn in_memory(&self) -> bool {
        self.in_memory
    }

    /// Understands a question, whose words may be in any of these languages. What stands in for
    /// misspelled ones is asked for too.
    pub(crate) fn question<'a>(
        &self,
        text: &str,
        languages: impl Iterator<Item = Option<&'a str>>,
        phrases: Phrases,
        corrections: &[Correction],
    ) -> Question {
        let asked = self.fields.of_all(languages);
        Question::new(text, &asked, phrases, corrections)
    }

    /// What stands in for the misspelled words of a question, by the words of the chunks that pass
    /// the filter.
    pub(crate) fn corrections<'a>(
        &self,
        text: &str,
        languages: impl Iterator<Item = Option<&'a str>>,
        filter: Option<KeyFilter>,
    ) -> Result<Vec<Correction>, IndexError> {
        let asked = self.fields.of_all(languages);
        Dictionary::new(&self.searcher, &self.fields, &asked, filter).corrections(text)
    }

    /// The best `limit` chunks with their BM25 scores, best first.
    pub(crate) fn search(
        &self,
        question: &Question,
        limit: usize,
        filter: Option<KeyFilter>,
    ) -> Result<ScoredChunks, IndexError> {
        question.search(&self.searcher, limit, filter)
    }

    /// All chunks that hold the phrases that a question requires, ascending; `None` where it
    /// requires none.
    pub(crate) fn holding_phrases(
        &self,
        question: &Question,
        filter: Option<KeyFilter>,
    ) -> Result<Option<Vec<(DocKey, u32)>>, IndexError> {
        question.holding_phrases(&self.searcher, filter)
    }
}

/// The index as its one writer sees it.
pub(crate) struct KeywordIndex {
    dir: PathBuf,
    collection: Uuid,
    index: Index,
    reader: IndexReader,
    fields: Arc<Fields>,
    seq: u64,
    in_memory: bool,
    /// Opened with the first change: it owns a thread and an arena.
    writer: Option<IndexWriter>,
    /// Whether a compaction's merge is under way in the writer.
    merging: bool,
    /// Makes every write of a file fail, so that a merge ends.
    stop: Arc<AtomicBool>,
}

/// The end of a merge that was begun.
pub(crate) type Merge = FutureResult<Option<SegmentMeta>>;

impl std::fmt::Debug for KeywordIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeywordIndex")
            .field("dir", &self.dir)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

impl KeywordIndex {
    /// Opens the index below `collection_dir` and brings it to the state of `store`, whose live
    /// documents are `live`. What is missing, damaged or of another version is made anew.
    pub(crate) fn open(
        collection_dir: &Path,
        collection: Uuid,
        store: &Store,
        live: &Documents,
        seq: u64,
        place: Place,
    ) -> Result<Self, IndexError> {
        let dir = collection_dir.join(FOLDER);
        // Tantivy may panic on bytes that it did not write.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            Self::open_sound(&dir, collection, place)
        }));
        let mut index = match opened {
            Ok(Ok(index)) if index.seq == seq || index.seq < seq && place == Place::Disk => index,
            other => {
                let why = match other {
                    Ok(Ok(index)) => format!("it is at write {} of {seq}", index.seq),
                    Ok(Err(why)) => why,
                    Err(_) => "it could not be read".to_owned(),
                };
                // Before the first write there is nothing to be made anew.
                if seq > 0 {
                    tracing::warn!(dir = %dir.display(), why, "the keyword index is made anew");
                }
                Self::create(&dir, collection, place)?
            }
        };
        let caught_up = index.catch_up(store, live, seq);
        if let Err(error @ IndexError::DiskFull { .. }) = caught_up {
            return Err(error);
        }
        if caught_up.is_err() || index.chunks() != live.chunks() {
            // Nothing lags and yet the counts differ: some derived file is not what it was.
            let why = caught_up.map_or_else(
                |error| error.to_string(),
                |()| "it misses chunks".to_owned(),
            );
            tracing::warn!(dir = %dir.display(), why, "the keyword index is made anew");
            drop(index);
            index = Self::create(&dir, collection, place)?;
            index.catch_up(store, live, seq)?;
        }
        // Most collections are opened to be read.
        index.rest();
        Ok(index)
    }

    /// Opens what is there, all its bytes checked; `Err` says why it cannot serve.
    fn open_sound(dir: &Path, collection: Uuid, place: Place) -> Result<Self, String> {
        if !dir.join("meta.json").exists() {
            return Err("it is not there".to_owned());
        }
        let stop = Arc::default();
        let mut index = MmapDirectory::open(dir)
            .map_err(TantivyError::from)
            .and_then(|files| match place {
                Place::Disk => Index::open(StoppableDirectory::new(files, &stop)),
                Place::ReadOnly => Index::open(ReadOnlyDirectory(files)),
            })
            .map_err(|error| error.to_string())?;
        let fields = Fields::new();
        if index.schema() != fields.schema {
            return Err("it has other fields".to_owned());
        }
        let payload = index
            .load_metas()
            .map_err(|error| error.to_string())?
            .payload;
        let payload: Payload = payload
            .and_then(|text| serde_json::from_str(&text).ok())
            .ok_or("it does not say what it holds")?;
        if (payload.version, payload.collection) != (schema::VERSION, collection) {
            return Err("it is of another version or collection".to_owned());
        }
        let damaged = index
            .validate_checksum()
            .map_err(|error| error.to_string())?;
        if !damaged.is_empty() {
            return Err(format!("damaged files: {damaged:?}"));
        }
        index.set_tokenizers(schema::tokenizers());
        Self::with_index(dir, collection, (index, stop), fields, payload.seq, false)
            .map_err(|error| error.to_string())
    }

    fn create(dir: &Path, collection: Uuid, place: Place) -> Result<Self, IndexError> {
        let fields = Fields::new();
        let (schema, settings) = (fields.schema.clone(), IndexSettings::default());
        let stop = Arc::default();
        let created = match place {
            Place::ReadOnly => Index::create(RamDirectory::create(), schema, settings),
            Place::Disk => {
                if dir.exists() {
                    fs::remove_dir_all(dir)
                        .map_err(|source| io_error("cannot remove", dir, source))?;
                }
                create_dir(dir)?;
                MmapDirectory::open(dir)
                    .map_err(TantivyError::from)
                    .and_then(|files| {
                        Index::create(StoppableDirectory::new(files, &stop), schema, settings)
                    })
            }
        };
        let mut index = created.map_err(|error| keyword_error(dir, error))?;
        index.set_tokenizers(schema::tokenizers());
        let in_memory = place == Place::ReadOnly;
        let mut made = Self::with_index(dir, collection, (index, stop), fields, 0, in_memory)?;
        made.commit(0)?;
        Ok(made)
    }

    fn with_index(
        dir: &Path,
        collection: Uuid,
        (index, stop): (Index, Arc<AtomicBool>),
        fields: Fields,
        seq: u64,
        in_memory: bool,
    ) -> Result<Self, IndexError> {
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(|error| keyword_error(dir, error))?;
        Ok(Self {
            dir: dir.to_owned(),
            collection,
            index,
            reader,
            fields: Arc::new(fields),
            seq,
            in_memory,
            writer: None,
            merging: false,
            stop,
        })
    }

    /// The state after the last commit.
    pub(crate) fn view(&self) -> KeywordView {
        KeywordView {
            searcher: self.reader.searcher(),
            fields: Arc::clone(&self.fields),
            seq: self.seq,
            in_memory: self.in_memory,
        }
    }

    /// Applies what truth has committed up to `seq`, durably.
    pub(crate) fn apply<'a>(
        &mut self,
        added: impl Iterator<Item = (DocKey, &'a DocumentRecord)>,
        removed: &[DocKey],
        seq: u64,
    ) -> Result<(), IndexError> {
        let result = (|| {
            for &key in removed {
                self.delete(key)?;
            }
            for (key, document) in added {
                let chunks = document.chunks.iter().enumerate().map(|(ordinal, chunk)| {
                    (ordinal as u32, chunk.range.clone(), &chunk.heading_path[..])
                });
                let (title, language) = (document.title.as_deref(), document.language.as_deref());
                self.add(key, title, language, &document.text, chunks)?;
            }
            self.commit(seq)
        })();
        if result.is_err() {
            // What was not committed must not come with the next commit.
            self.writer = None;
        }
        result
    }

    /// Replays what truth has and this index has not.
    pub(crate) fn catch_up(
        &mut self,
        store: &Store,
        live: &Documents,
        seq: u64,
    ) -> Result<(), IndexError> {
        if self.seq == seq {
            return Ok(());
        }
        tracing::info!(from = self.seq, to = seq, "the keyword index catches up");
        self.writer = None;
        let result = (|| {
            // A commit that was cut off left files that the next one would make again, under the
            // same names.
            self.collect_garbage()?;
            for key in self.keys()? {
                if live.get(key).is_none() {
                    self.delete(key)?;
                }
            }
            store.texts_since(self.seq, |document| self.add_stored(&document))?;
            self.commit(seq)
        })();
        if result.is_err() {
            self.writer = None;
        }
        result
    }

    /// Begins to merge away the terms of deleted chunks, where there are any. Changes may be
    /// applied meanwhile. Ended by [`Self::end_merge`] or [`Self::stop_merge`].
    pub(crate) fn begin_merge(&mut self) -> Result<Option<Merge>, IndexError> {
        let dir = self.dir.clone();
        let begun = (|| {
            if let Some(writer) = self.writer.take() {
                writer.wait_merging_threads()?;
            }
            self.reader.reload()?;
            let searcher = self.reader.searcher();
            let segments: Vec<_> = searcher.segment_readers().iter().collect();
            let any_dead = segments.iter().any(|segment| segment.has_deletes());
            if !any_dead {
                return Ok(None);
            }
            let ids: Vec<_> = segments
                .iter()
                .map(|segment| segment.segment_id())
                .collect();
            faults::at("compact: keyword", &dir)?;
            let writer = self.open_writer()?;
            writer.set_merge_policy(Box::new(NoMergePolicy));
            let merge = writer.merge(&ids);
            self.merging = true;
            Ok(Some(merge))
        })();
        begun.map_err(|error| keyword_error(&dir, error))
    }

    /// Takes a merge over that has come to its end. The caller publishes [`Self::view`] and then
    /// calls [`Self::collect_garbage`].
    pub(crate) fn end_merge(
        &mut self,
        merged: tantivy::Result<Option<SegmentMeta>>,
    ) -> Result<(), IndexError> {
        self.merging = false;
        // Opened anew with its usual policy when it is needed again.
        self.writer = None;
        merged
            .and_then(|_| self.reader.reload())
            .map_err(|error| keyword_error(&self.dir, error))
    }

    /// Ends a merge soon and waits for its end; what it wrote is removed later.
    pub(crate) fn stop_merge(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.rest();
        self.stop.store(false, Ordering::Relaxed);
    }

    /// Whether a merge is under way that was begun and not ended.
    pub(crate) fn is_merging(&self) -> bool {
        self.merging
    }

    /// Removes files that no state needs any more.
    pub(crate) fn collect_garbage(&mut self) -> Result<(), IndexError> {
        let dir = self.dir.clone();
        let collected = (|| {
            self.open_writer()?.garbage_collect_files().wait()?;
            self.writer = None;
            Ok(())
        })();
        collected.map_err(|error| keyword_error(&dir, error))
    }

    /// Number of live chunks.
    fn chunks(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// Keys of all chunks that are not deleted here.
    fn keys(&self) -> Result<HashSet<DocKey>, IndexError> {
        let searcher = self.reader.searcher();
        let mut keys = HashSet::new();
        for segment in searcher.segment_readers() {
            let column = segment
                .fast_fields()
                .u64(schema::KEY)
                .map_err(|error| keyword_error(&self.dir, error))?;
            keys.extend(SegmentReader::doc_ids_alive(segment).filter_map(|doc| column.first(doc)));
        }
        Ok(keys)
    }

    fn add_stored(&mut self, document: &DocumentText) -> Result<(), IndexError> {
        let chunks = document
            .chunks
            .iter()
            .map(|chunk| (chunk.ordinal, chunk.range.clone(), &chunk.headings[..]));
        let (title, language) = (document.title.as_deref(), document.language.as_deref());
        self.add(document.key, title, language, &document.text, chunks)
    }

    fn add<'a>(
        &mut self,
        key: DocKey,
        title: Option<&str>,
        language: Option<&str>,
        text: &str,
        chunks: impl Iterator<Item = (u32, std::ops::Range<usize>, &'a [String])>,
    ) -> Result<(), IndexError> {
        let fields = Arc::clone(&self.fields);
        let of = fields.of(language);
        let dir = self.dir.clone();
        let writer = self
            .open_writer()
            .map_err(|error| keyword_error(&dir, error))?;
        for (ordinal, range, headings) in chunks {
            let mut document = TantivyDocument::new();
            document.add_u64(fields.key, key);
            document.add_u64(fields.ordinal, u64::from(ordinal));
            let body = text.get(range).unwrap_or_default();
            let body = tokenizer::composed(body);
            document.add_text(fields.spelled, &body);
            document.add_text(of.body, body);
            for head in title.into_iter().chain(headings.iter().map(String::as_str)) {
                let head = tokenizer::composed(head);
                document.add_text(fields.spelled, &head);
                document.add_text(of.head, head);
            }
            writer
                .add_document(document)
                .map_err(|error| keyword_error(&dir, error))?;
        }
        Ok(())
    }

    fn delete(&mut self, key: DocKey) -> Result<(), IndexError> {
        let term = Term::from_field_u64(self.fields.key, key);
        let dir = self.dir.clone();
        let writer = self
            .open_writer()
            .map_err(|error| keyword_error(&dir, error))?;
        writer.delete_term(term);
        Ok(())
    }

    fn commit(&mut self, seq: u64) -> Result<(), IndexError> {
        let payload = Payload {
            version: schema::VERSION,
            collection: self.collection,
            seq,
        };
        let dir = self.dir.clone();
        let committed = (|| {
            let payload = serde_json::to_string(&payload).map_err(std::io::Error::from)?;
            faults::at("keyword: prepare", &dir)?;
            let mut prepared = self.open_writer()?.prepare_commit()?;
            prepared.set_payload(&payload);
            faults::at("keyword: commit", &dir)?;
            prepared.commit()?;
            faults::at("keyword: reload", &dir)?;
            self.reader.reload()
        })();
        committed.map_err(|error| keyword_error(&dir, error))?;
        self.share_modes();
        self.seq = seq;
        Ok(())
    }

    /// Gives the files that Tantivy makes for their owner alone the rights of the store, so that
    /// whoever may read the one may read the other.
    fn share_modes(&self) {
        if let Some(collection_dir) = self.dir.parent().filter(|_| !self.in_memory) {
            for name in ["meta.json", ".managed.json"] {
                same_mode(&collection_dir.join(store::FILE), &self.dir.join(name));
            }
        }
    }

    fn open_writer(&mut self) -> tantivy::Result<&mut IndexWriter> {
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => Ok(none.insert(self.index.writer_with_num_threads(1, WRITER_BYTES)?)),
        }
    }
}

impl KeywordIndex {
    /// Lets go of the writer with its threads and arena; the next change opens another. Waits for
    /// merges under way: they write into the folder, which is no longer ours once the collection's
    /// lock is released.
    pub(crate) fn rest(&mut self) {
        self.merging = false;
        if let Some(Err(error)) = self.writer.take().map(IndexWriter::wait_merging_threads) {
            tracing::warn!(%error, "a merge of the keyword index failed");
        }
    }
}

impl Drop for KeywordIndex {
    fn drop(&mut self) {
        self.rest();
    }
}

fn keyword_error(dir: &Path, error: TantivyError) -> IndexError {
    if io_cause(&error).is_some_and(|cause| is_disk_full(cause)) || has_no_space(dir) {
        return IndexError::DiskFull {
            path: dir.parent().unwrap_or(dir).to_owned(),
        };
    }
    IndexError::Keyword(error)
}

/// What the operating system said, where Tantivy passes it on; its errors do not name it as their
/// source, and one that befell its own thread is only a text.
fn io_cause(error: &TantivyError) -> Option<&io::Error> {
    match error {
        TantivyError::IoError(cause)
        | TantivyError::LockFailure(LockError::IoError(cause), _)
        | TantivyError::OpenWriteError(OpenWriteError::IoError {
            io_error: cause, ..
        })
        | TantivyError::OpenReadError(OpenReadError::IoError {
            io_error: cause, ..
        }) => Some(cause),
        _ => None,
    }
}

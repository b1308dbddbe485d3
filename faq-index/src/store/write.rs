//! Statements that change the store.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Store, row_id, row_ids};
use crate::documents::{DocEntry, DocKey};
use crate::faults;
use crate::{Deleted, DocumentId, DocumentRecord, IndexError, WriteBatch, WriteReceipt};

/// What a group of batches did to the store, once it is durable.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    /// One receipt for each batch, in order.
    pub(crate) receipts: Vec<WriteReceipt>,
    /// Documents that are live now and were not before, in ascending order of key.
    pub(crate) added: Vec<(DocKey, DocEntry, &'a DocumentRecord)>,
    /// Keys that were live before and are dead now.
    pub(crate) removed: Vec<DocKey>,
    /// Sequence number after the last batch.
    pub(crate) seq: u64,
    erasable: Erasable,
}

/// What was deleted or replaced since the last compaction, and may have left remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Erasable {
    pub(crate) documents: u64,
    pub(crate) chunks: u64,
    pub(crate) vectors: u64,
}

impl Erasable {
    /// Names in `meta`, with the numbers that stand there.
    fn counters(self) -> [(&'static str, i64); 3] {
        [
            ("erasable_documents", self.documents as i64),
            ("erasable_chunks", self.chunks as i64),
            ("erasable_vectors", self.vectors as i64),
        ]
    }

    fn count(&mut self, deleted: &Deleted) {
        self.documents += 1;
        self.chunks += deleted.chunks;
        self.vectors += deleted.vectors;
    }
}

impl Store {
    /// Applies batches, one sequence number each, in one durable transaction.
    ///
    /// `embedder` and `dim` are recorded where the collection has none yet.
    pub(crate) fn apply<'a>(
        &self,
        batches: &[&'a WriteBatch],
        embedder: Option<(&str, usize)>,
        now_ms: i64,
    ) -> Result<Applied<'a>, IndexError> {
        self.write(|conn| {
            self.fault("truth: begin")?;
            let tx = conn.transaction()?;
            let mut applied = Applied {
                receipts: Vec::with_capacity(batches.len()),
                added: Vec::new(),
                removed: Vec::new(),
                erasable: Erasable::default(),
                seq: super::required_meta::<i64>(&tx, "seq")? as u64,
            };
            if let Some((name, dim)) = embedder {
                tx.execute(
                    "INSERT INTO meta (name, value) VALUES ('embedder', ?1), ('dim', ?2)
                     ON CONFLICT (name) DO NOTHING",
                    params![name, dim as i64],
                )?;
            }
            for batch in batches {
                apply_one(&tx, batch, now_ms, &mut applied)?;
            }
            if applied.erasable != Erasable::default() {
                add_erasable(&tx, applied.erasable, 1)?;
            }
            tx.execute(
                "UPDATE meta SET value = ?1 WHERE name = 'seq'",
                [applied.seq as i64],
            )?;
            self.fault("truth: commit")?;
            tx.commit()?;
            Ok(applied)
        })
    }

    /// A step that may be made to fail as SQLite does.
    fn fault(&self, step: &'static str) -> rusqlite::Result<()> {
        faults::at(step, &self.path).map_err(|error| {
            let code = if error.kind() == std::io::ErrorKind::StorageFull {
                rusqlite::ffi::SQLITE_FULL
            } else {
                rusqlite::ffi::SQLITE_IOERR
            };
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(error.to_string()))
        })
    }

    /// What was deleted or replaced since the last compaction.
    pub(crate) fn erasable(&self) -> Result<Erasable, IndexError> {
        self.read(|conn| {
            let mut found = [0; 3];
            for ((name, _), value) in Erasable::default().counters().iter().zip(&mut found) {
                let stored: Option<i64> = super::meta_value(conn, name)?;
                *value = stored.unwrap_or(0).max(0) as u64;
            }
            let [documents, chunks, vectors] = found;
            Ok(Erasable {
                documents,
                chunks,
                vectors,
            })
        })
    }

    /// Rewrites the file without free pages and empties the write-ahead log, so that nothing
    /// deleted is left in either. `erased` no longer counts as erasable then.
    pub(crate) fn vacuum(&self, erased: Erasable) -> Result<(), IndexError> {
        // Idle readers would keep the log from being emptied.
        super::lock(&self.readers).clear();
        self.write(|conn| {
            self.fault("compact: store")?;
            checkpoint(conn)?;
            *super::lock(&self.rewriting) = Some(conn.get_interrupt_handle());
            let rewritten = conn.execute_batch("VACUUM");
            *super::lock(&self.rewriting) = None;
            rewritten?;
            add_erasable(conn, erased, -1)?;
            self.fault("compact: log")?;
            checkpoint(conn)
        })
    }

    /// Ends a rewrite of the file that is under way, which leaves the file as it was.
    pub(crate) fn interrupt_vacuum(&self) {
        if let Some(rewriting) = &*super::lock(&self.rewriting) {
            rewriting.interrupt();
        }
    }
}

fn add_erasable(conn: &Connection, counted: Erasable, sign: i64) -> rusqlite::Result<()> {
    for (name, value) in counted.counters() {
        conn.prepare_cached(
            "INSERT INTO meta (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        )?
        .execute(params![name, value * sign])?;
    }
    Ok(())
}

fn checkpoint(conn: &Connection) -> rusqlite::Result<()> {
    // That a reader stood in the way is no error of the statement, but a value that it returns.
    let busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("a long read kept the write-ahead log from being emptied".to_owned()),
        ));
    }
    Ok(())
}

fn apply_one<'a>(
    tx: &Transaction<'_>,
    batch: &'a WriteBatch,
    now_ms: i64,
    applied: &mut Applied<'a>,
) -> rusqlite::Result<()> {
    applied.seq += 1;
    let mut receipt = WriteReceipt {
        seq: applied.seq,
        added: 0,
        replaced: 0,
        deleted: Vec::new(),
        not_found: Vec::new(),
    };
    for &id in &batch.deletes {
        match delete(tx, id)? {
            Some((key, deleted)) => {
                applied.kill(key);
                applied.erasable.count(&deleted);
                receipt.deleted.push(deleted);
            }
            None => receipt.not_found.push(id),
        }
    }
    for document in &batch.upserts {
        match delete(tx, document.id)? {
            Some((key, deleted)) => {
                applied.kill(key);
                applied.erasable.count(&deleted);
                receipt.replaced += 1;
            }
            None => receipt.added += 1,
        }
        let vectors = document
            .chunks
            .iter()
            .map(|chunk| chunk.windows.len() as u64)
            .sum();
        let key = insert(tx, document, vectors, now_ms, applied.seq)?;
        let entry = DocEntry {
            id: document.id,
            filename: document.filename.as_str().into(),
            format: document.format.as_str().into(),
            language: document.language.as_deref().map(Into::into),
            tags: document.tags.iter().cloned().collect(),
            time_ms: document.time_ms,
            chunks: document.chunks.len() as u64,
            vectors,
        };
        applied.added.push((key, entry, document));
    }
    applied.receipts.push(receipt);
    Ok(())
}

impl Applied<'_> {
    /// A key died: one of this very group never becomes live, any other is removed.
    fn kill(&mut self, key: DocKey) {
        let added = self.added.len();
        self.added.retain(|(other, ..)| *other != key);
        if self.added.len() == added {
            self.removed.push(key);
        }
    }
}

pub(super) fn delete(
    tx: &Transaction<'_>,
    id: DocumentId,
) -> rusqlite::Result<Option<(DocKey, Deleted)>> {
    let found = tx
        .prepare_cached(
            "DELETE FROM documents WHERE id = ?1 RETURNING key, chunks, vectors, bytes",
        )?
        .query_row([id.0.as_bytes().as_slice()], |row| {
            let deleted = Deleted {
                document_id: id,
                chunks: row.get::<_, i64>(1)? as u64,
                vectors: row.get::<_, i64>(2)? as u64,
                bytes: row.get::<_, i64>(3)? as u64,
            };
            Ok((row.get::<_, i64>(0)? as u64, deleted))
        })
        .optional()?;
    if let Some((key, _)) = &found {
        tx.prepare_cached("DELETE FROM texts WHERE key = ?1")?
            .execute([*key as i64])?;
        for table in ["chunks", "vectors"] {
            tx.prepare_cached(&format!("DELETE FROM {table} WHERE id BETWEEN ?1 AND ?2"))?
                .execute(row_ids(*key))?;
        }
    }
    Ok(found)
}

fn insert(
    tx: &Transaction<'_>,
    document: &DocumentRecord,
    vectors: u64,
    now_ms: i64,
    seq: u64,
) -> rusqlite::Result<DocKey> {
    let tags = json_list(document.tags.iter());
    tx.prepare_cached(
        "INSERT INTO documents (id, filename, source, format, title, language, tags, time_ms,
             bytes, content_hash, parser, chunker, embedder, chunks, vectors, tokens_total,
             tokens_embedded, written_ms, seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
             ?18, ?19)",
    )?
    .execute(params![
        document.id.0.as_bytes().as_slice(),
        document.filename,
        document.source,
        document.format,
        document.title,
        document.language,
        tags,
        document.time_ms,
        document.bytes as i64,
        document.content_hash,
        document.fingerprint.parser,
        document.fingerprint.chunker,
        document.fingerprint.embedder,
        document.chunks.len() as i64,
        vectors as i64,
        document.tokens_total as i64,
        document.tokens_embedded as i64,
        now_ms,
        seq as i64,
    ])?;
    let key = tx.last_insert_rowid() as u64;
    tx.prepare_cached("INSERT INTO texts (key, text, extra) VALUES (?1, ?2, ?3)")?
        .execute(params![
            key as i64,
            document.text.as_bytes(),
            document.extra
        ])?;
    insert_chunks(tx, key, document)?;
    Ok(key)
}

fn insert_chunks(
    tx: &Transaction<'_>,
    key: DocKey,
    document: &DocumentRecord,
) -> rusqlite::Result<()> {
    let mut chunks = tx.prepare_cached(
        "INSERT INTO chunks (id, start_byte, end_byte, tokens, page_first, page_last, headings,
             windows)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut vectors = tx.prepare_cached("INSERT INTO vectors (id, data) VALUES (?1, ?2)")?;
    for (ordinal, chunk) in document.chunks.iter().enumerate() {
        let id = row_id(key, ordinal as u32);
        let headings = json_list(chunk.heading_path.iter());
        let mut windows = Vec::with_capacity(chunk.windows.len() * 8);
        let mut data = Vec::with_capacity(chunk.windows.len() * 4 * 384);
        for window in &chunk.windows {
            for bound in [window.range.start, window.range.end] {
                windows.extend_from_slice(&(bound as u32).to_le_bytes());
            }
            for value in &window.vector {
                data.extend_from_slice(&value.to_le_bytes());
            }
        }
        chunks.execute(params![
            id,
            chunk.range.start as i64,
            chunk.range.end as i64,
            chunk.tokens,
            chunk.pages.map(|(first, _)| first),
            chunk.pages.map(|(_, last)| last),
            headings,
            windows,
        ])?;
        vectors.execute(params![id, data])?;
    }
    Ok(())
}

fn json_list<'a>(items: impl Iterator<Item = &'a String>) -> String {
    let list: serde_json::Value = items.cloned().collect();
    list.to_string()
}

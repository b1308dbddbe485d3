//! Statements that read the store.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{Store, of_row_id, row_id, row_ids};
use crate::documents::{DocEntry, DocKey, Documents};
use crate::{
    ChunkId, DocumentId, DocumentInfo, Fingerprint, IndexError, StoredChunk, StoredDocument,
};

/// Columns of a [`DocumentInfo`], in the order [`info`] reads them.
const INFO: &str = "id, filename, source, format, title, language, tags, time_ms, bytes, \
    content_hash, parser, chunker, embedder, chunks, vectors, tokens_total, tokens_embedded, \
    written_ms, seq";

/// A vector as the store has it.
#[derive(Debug)]
pub(crate) struct VectorRow {
    pub(crate) key: DocKey,
    pub(crate) ordinal: u32,
    pub(crate) window: Range<u32>,
    pub(crate) vector: Vec<f32>,
}

/// The words of a document, for the keyword index.
#[derive(Debug)]
pub(crate) struct DocumentText {
    pub(crate) key: DocKey,
    pub(crate) title: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) text: String,
    pub(crate) chunks: Vec<ChunkText>,
}

/// Where a chunk's words are.
#[derive(Debug)]
pub(crate) struct ChunkText {
    pub(crate) ordinal: u32,
    pub(crate) range: Range<usize>,
    pub(crate) headings: Vec<String>,
}

impl Store {
    /// The table of live documents.
    pub(crate) fn live(&self) -> Result<Documents, IndexError> {
        self.read(|conn| {
            let mut interned: HashMap<String, Arc<str>> = HashMap::new();
            let mut intern = |text: String| {
                Arc::clone(
                    interned
                        .entry(text)
                        .or_insert_with_key(|text| Arc::from(text.as_str())),
                )
            };
            // Most documents share the tags of others, above all none.
            let mut known_tags: HashMap<String, Arc<[String]>> = HashMap::new();
            let mut table = Documents::default();
            let mut statement = conn.prepare(
                "SELECT key, id, filename, format, language, tags, time_ms, chunks, vectors
                 FROM documents ORDER BY key",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let text = row.get_ref(5)?.as_str()?;
                let tags = if let Some(known) = known_tags.get(text) {
                    Arc::clone(known)
                } else {
                    let tags: BTreeSet<String> = json(row, 5)?;
                    let tags: Arc<[String]> = tags.into_iter().collect();
                    known_tags.insert(text.to_owned(), Arc::clone(&tags));
                    tags
                };
                let entry = DocEntry {
                    id: document_id(row, 1)?,
                    filename: row.get_ref(2)?.as_str()?.into(),
                    format: intern(row.get(3)?),
                    language: row.get::<_, Option<String>>(4)?.map(&mut intern),
                    tags,
                    time_ms: row.get(6)?,
                    chunks: row.get::<_, i64>(7)? as u64,
                    vectors: row.get::<_, i64>(8)? as u64,
                };
                table.insert(row.get::<_, i64>(0)? as u64, entry);
            }
            Ok(table)
        })
    }

    /// Hands every vector of the documents with a key in `keys` to `each`, in ascending order
    /// of key, ordinal and window.
    pub(crate) fn vectors(
        &self,
        keys: Range<DocKey>,
        dim: usize,
        mut each: impl FnMut(VectorRow),
    ) -> Result<(), IndexError> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(
                "SELECT chunks.id, windows, data FROM chunks JOIN vectors USING (id)
                 WHERE chunks.id >= ?1 AND chunks.id < ?2 ORDER BY chunks.id",
            )?;
            let mut rows = statement.query([row_id(keys.start, 0), row_id(keys.end, 0)])?;
            while let Some(row) = rows.next()? {
                let (key, ordinal) = of_row_id(row.get(0)?);
                let windows = windows(row.get_ref(1)?.as_blob()?);
                let data = row.get_ref(2)?.as_blob()?;
                for (window, bytes) in windows.zip(data.chunks_exact(dim * 4)) {
                    each(VectorRow {
                        key,
                        ordinal,
                        window,
                        vector: floats(bytes),
                    });
                }
            }
            Ok(())
        })
    }

    /// Hands the words of every document written after `seq` to `each`.
    pub(crate) fn texts_since(
        &self,
        seq: u64,
        mut each: impl FnMut(DocumentText) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(
                "SELECT key, title, language, text FROM documents JOIN texts USING (key)
                 WHERE seq > ?1 ORDER BY key",
            )?;
            let mut chunks = conn.prepare_cached(
                "SELECT id, start_byte, end_byte, headings FROM chunks
                 WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            )?;
            let mut rows = statement.query([seq as i64])?;
            while let Some(row) = rows.next()? {
                let key = row.get::<_, i64>(0)? as u64;
                let chunks = chunks
                    .query_map(row_ids(key), |row| {
                        Ok(ChunkText {
                            ordinal: of_row_id(row.get(0)?).1,
                            range: row.get::<_, i64>(1)? as usize..row.get::<_, i64>(2)? as usize,
                            headings: json(row, 3)?,
                        })
                    })?
                    .collect::<rusqlite::Result<_>>()?;
                let result = each(DocumentText {
                    key,
                    title: row.get(1)?,
                    language: row.get(2)?,
                    text: utf8(row, 3)?,
                    chunks,
                });
                if let Err(error) = result {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        })?
    }

    /// Documents in order of their source.
    pub(crate) fn documents(&self) -> Result<Vec<DocumentInfo>, IndexError> {
        self.read(|conn| {
            conn.prepare_cached(&format!("SELECT {INFO} FROM documents ORDER BY source, id"))?
                .query_map([], info)?
                .collect()
        })
    }

    /// Documents of which any part of the fingerprint differs from `current`.
    pub(crate) fn stale(&self, current: &Fingerprint) -> Result<Vec<DocumentInfo>, IndexError> {
        self.read(|conn| {
            conn.prepare_cached(&format!(
                "SELECT {INFO} FROM documents
                 WHERE parser <> ?1 OR chunker <> ?2 OR embedder <> ?3 ORDER BY source, id"
            ))?
            .query_map([&current.parser, &current.chunker, &current.embedder], info)?
            .collect()
        })
    }

    /// One document without its text.
    pub(crate) fn document_info(&self, id: DocumentId) -> Result<Option<DocumentInfo>, IndexError> {
        self.read(|conn| {
            conn.prepare_cached(&format!("SELECT {INFO} FROM documents WHERE id = ?1"))?
                .query_row([id.0.as_bytes().as_slice()], info)
                .optional()
        })
    }

    /// One document with its text.
    pub(crate) fn document(&self, id: DocumentId) -> Result<Option<StoredDocument>, IndexError> {
        self.read(|conn| {
            conn.prepare_cached(&format!(
                "SELECT {INFO}, text, extra FROM documents JOIN texts USING (key) WHERE id = ?1"
            ))?
            .query_row([id.0.as_bytes().as_slice()], |row| {
                Ok(StoredDocument {
                    info: info(row)?,
                    text: utf8(row, 19)?,
                    extra: row.get(20)?,
                })
            })
            .optional()
        })
    }

    /// Chunks with their texts in the order asked, without those that are gone.
    pub(crate) fn chunks(&self, ids: &[ChunkId]) -> Result<Vec<StoredChunk>, IndexError> {
        self.read(|conn| {
            // One transaction, so that all chunks of a document are of one state of it.
            let tx = conn.unchecked_transaction()?;
            let mut owners: HashMap<DocumentId, Option<Owner>> = HashMap::new();
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let owner = match owners.entry(id.document) {
                    std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::hash_map::Entry::Vacant(new) => {
                        new.insert(Owner::find(&tx, id.document)?)
                    }
                };
                if let Some(owner) = owner {
                    let row = row_id(owner.key, id.ordinal);
                    owner.chunks(&tx, [row, row], &mut found)?;
                }
            }
            Ok(found)
        })
    }

    /// All chunks of a document in ascending order.
    pub(crate) fn chunks_of(&self, id: DocumentId) -> Result<Vec<StoredChunk>, IndexError> {
        self.read(|conn| {
            let tx = conn.unchecked_transaction()?;
            let mut found = Vec::new();
            if let Some(owner) = Owner::find(&tx, id)? {
                owner.chunks(&tx, row_ids(owner.key), &mut found)?;
            }
            Ok(found)
        })
    }
}

/// The document that chunks are cut from.
struct Owner {
    key: DocKey,
    id: DocumentId,
    filename: String,
    title: Option<String>,
    text: String,
}

impl Owner {
    fn find(conn: &Connection, id: DocumentId) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached(
            "SELECT key, filename, title, text FROM documents JOIN texts USING (key)
             WHERE id = ?1",
        )?
        .query_row([id.0.as_bytes().as_slice()], |row| {
            Ok(Self {
                key: row.get::<_, i64>(0)? as u64,
                id,
                filename: row.get(1)?,
                title: row.get(2)?,
                text: utf8(row, 3)?,
            })
        })
        .optional()
    }

    fn chunks(
        &self,
        conn: &Connection,
        rows: [i64; 2],
        into: &mut Vec<StoredChunk>,
    ) -> rusqlite::Result<()> {
        let mut statement = conn.prepare_cached(
            "SELECT id, start_byte, end_byte, tokens, page_first, page_last, headings, windows
             FROM chunks WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
        )?;
        let mut rows = statement.query(params![rows[0], rows[1]])?;
        while let Some(row) = rows.next()? {
            let range = row.get::<_, i64>(1)? as usize..row.get::<_, i64>(2)? as usize;
            let text = self
                .text
                .get(range.clone())
                .ok_or_else(|| invalid(1, format!("chunk {range:?} lies outside its document")))?;
            let pages: (Option<u32>, Option<u32>) = (row.get(4)?, row.get(5)?);
            into.push(StoredChunk {
                id: ChunkId {
                    document: self.id,
                    ordinal: of_row_id(row.get(0)?).1,
                },
                text: text.to_owned(),
                range,
                tokens: row.get(3)?,
                pages: pages.0.zip(pages.1),
                heading_path: json(row, 6)?,
                windows: windows(row.get_ref(7)?.as_blob()?)
                    .map(|window| window.start as usize..window.end as usize)
                    .collect(),
                filename: self.filename.clone(),
                title: self.title.clone(),
            });
        }
        Ok(())
    }
}

fn info(row: &Row<'_>) -> rusqlite::Result<DocumentInfo> {
    let unsigned = |column: usize| row.get::<_, i64>(column).map(|value| value as u64);
    Ok(DocumentInfo {
        id: document_id(row, 0)?,
        filename: row.get(1)?,
        source: row.get(2)?,
        format: row.get(3)?,
        title: row.get(4)?,
        language: row.get(5)?,
        tags: json(row, 6)?,
        time_ms: row.get(7)?,
        bytes: unsigned(8)?,
        content_hash: row.get(9)?,
        fingerprint: Fingerprint {
            parser: row.get(10)?,
            chunker: row.get(11)?,
            embedder: row.get(12)?,
        },
        chunks: unsigned(13)?,
        vectors: unsigned(14)?,
        tokens_total: unsigned(15)?,
        tokens_embedded: unsigned(16)?,
        written_ms: row.get(17)?,
        seq: unsigned(18)?,
    })
}

fn document_id(row: &Row<'_>, column: usize) -> rusqlite::Result<DocumentId> {
    Uuid::from_slice(row.get_ref(column)?.as_blob()?)
        .map(DocumentId)
        .map_err(|error| invalid(column, error))
}

fn utf8(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    String::from_utf8(row.get(column)?).map_err(|error| invalid(column, error))
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| invalid(column, error))
}

fn invalid(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, error.into())
}

fn windows(blob: &[u8]) -> impl Iterator<Item = Range<u32>> {
    let bound = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    blob.chunks_exact(8)
        .map(move |pair| bound(&pair[..4])..bound(&pair[4..]))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

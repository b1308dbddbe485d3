//! The store of truth: one SQLite file with documents, texts, chunks and vectors.
//!
//! All SQL of the crate stands in this folder. One connection writes, under the writer's
//! lock; reads have connections of their own and never wait for it (write-ahead log).
//! Nothing here knows of segments, graphs or keyword indexes: they are derived from here.

mod copy;
mod read;
mod read_only;
mod schema;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, OptionalExtension};
use uuid::Uuid;

pub use copy::{TruthCopy, copy_truth, documents_in_copy};
pub(crate) use read::{DocumentText, VectorRow};
pub(crate) use write::{Applied, Erasable};

use crate::{IndexError, disk};

/// File name of the store in a collection's directory.
pub(crate) const FILE: &str = "truth.sqlite";

/// Whether a file of a collection's directory is SQLite's log or its index.
pub(crate) fn is_log(name: &str) -> bool {
    name.strip_prefix(FILE)
        .is_some_and(|rest| rest == "-wal" || rest == "-shm")
}

/// Bits of a chunk's row id that are its ordinal.
const ORDINAL_BITS: u32 = 24;

/// Most chunks that a document may have.
pub(crate) const MAX_CHUNKS: usize = 1 << ORDINAL_BITS;

/// How long a statement waits for another connection, which only checkpoints make it do.
const BUSY: Duration = Duration::from_secs(20);

/// What the collection as a whole remembers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Meta {
    /// Made at random when the collection was; ties derived files to it.
    pub(crate) collection: Uuid,
    /// Sequence number of the last write.
    pub(crate) seq: u64,
    /// Embedder and vector length, once something was written.
    pub(crate) embedder: Option<(String, usize)>,
}

/// The store; shared by readers. The writing connection is lent by [`Store::writer`].
pub(crate) struct Store {
    dir: PathBuf,
    path: PathBuf,
    /// Before the writer, so that the writer is closed last: only then does SQLite bring the
    /// write-ahead log into the file.
    readers: Mutex<Vec<Connection>>,
    /// `None` where the store may only be read.
    writer: Option<Mutex<Connection>>,
    /// Ends what the writing connection does, while that is a rewrite of the file.
    rewriting: Mutex<Option<InterruptHandle>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `dir`, or creates it; an older format is migrated.
    pub(crate) fn open(dir: &Path) -> Result<Self, IndexError> {
        let path = dir.join(FILE);
        let opened = (|| {
            let mut conn = Connection::open(&path)?;
            conn.busy_timeout(BUSY)?;
            let found = schema::version(&conn)?;
            if found > schema::FORMAT {
                return Ok(Err(found));
            }
            if found == 0 {
                schema::prepare_new(&conn)?;
            }
            schema::prepare_writer(&conn)?;
            schema::migrate(&mut conn, found)?;
            conn.execute(
                "INSERT INTO meta (name, value) VALUES ('collection', ?1), ('seq', 0)
                 ON CONFLICT (name) DO NOTHING",
                [Uuid::new_v4().as_bytes().as_slice()],
            )?;
            Ok(Ok(conn))
        })();
        match opened {
            Ok(Ok(conn)) => Ok(Self {
                dir: dir.to_owned(),
                path,
                writer: Some(Mutex::new(conn)),
                readers: Mutex::default(),
                rewriting: Mutex::default(),
            }),
            Ok(Err(found)) => Err(IndexError::Format {
                path: dir.to_owned(),
                found,
                supported: schema::FORMAT,
            }),
            Err(error) => Err(store_error(dir, &path, error)),
        }
    }

    /// Opens the store in `dir` for reading, in a directory that may not be written to and that no
    /// one writes to.
    pub(crate) fn open_read_only(dir: &Path) -> Result<Self, IndexError> {
        let path = dir.join(FILE);
        let store = Self {
            dir: dir.to_owned(),
            path,
            readers: Mutex::default(),
            writer: None,
            rewriting: Mutex::default(),
        };
        let found = store.read(schema::version)?;
        match found {
            schema::FORMAT => Ok(store),
            0 => Err(IndexError::NotFound {
                path: dir.to_owned(),
            }),
            newer if newer > schema::FORMAT => Err(IndexError::Format {
                path: dir.to_owned(),
                found,
                supported: schema::FORMAT,
            }),
            _older => Err(IndexError::ReadOnly {
                path: dir.to_owned(),
                why: "it has an older format, which must be brought up to date once where it can \
                      be written"
                    .to_owned(),
            }),
        }
    }

    /// What the collection as a whole remembers.
    pub(crate) fn meta(&self) -> Result<Meta, IndexError> {
        self.read(|conn| {
            let embedder: Option<String> = meta_value(conn, "embedder")?;
            let dim: Option<i64> = meta_value(conn, "dim")?;
            let collection: Vec<u8> = required_meta(conn, "collection")?;
            let seq: i64 = required_meta(conn, "seq")?;
            Ok(Meta {
                collection: Uuid::from_slice(&collection).unwrap_or_default(),
                seq: seq as u64,
                embedder: embedder.zip(dim.map(|dim| dim as usize)),
            })
        })
    }

    /// Runs `work` on a reading connection of its own.
    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, IndexError> {
        let idle = lock(&self.readers).pop();
        let result = idle
            .map_or_else(|| self.open_reader(), Ok)
            .and_then(|conn| {
                let value = work(&conn)?;
                lock(&self.readers).push(conn);
                Ok(value)
            });
        result.map_err(|error| store_error(&self.dir, &self.path, error))
    }

    fn open_reader(&self) -> rusqlite::Result<Connection> {
        let conn = if self.writer.is_none() {
            read_only::connect(&self.path)?
        } else {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(&self.path, flags)?
        };
        conn.busy_timeout(BUSY)?;
        Ok(conn)
    }

    /// Runs `work` on the writing connection.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, IndexError> {
        let Some(writer) = &self.writer else {
            return Err(IndexError::ReadOnly {
                path: self.dir.clone(),
                why: "it was opened for reading".to_owned(),
            });
        };
        work(&mut lock(writer)).map_err(|error| store_error(&self.dir, &self.path, error))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while the lock was held leaves a connection whose transaction was rolled back.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn meta_value<T: rusqlite::types::FromSql>(
    conn: &Connection,
    name: &str,
) -> rusqlite::Result<Option<T>> {
    conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn required_meta<T: rusqlite::types::FromSql>(
    conn: &Connection,
    name: &str,
) -> rusqlite::Result<T> {
    conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
}

/// Row id of a chunk.
fn row_id(key: u64, ordinal: u32) -> i64 {
    (key << ORDINAL_BITS | u64::from(ordinal)) as i64
}

/// Row ids of all chunks of a document, first and last.
fn row_ids(key: u64) -> [i64; 2] {
    [row_id(key, 0), row_id(key, MAX_CHUNKS as u32 - 1)]
}

/// Key and ordinal of a row id.
fn of_row_id(id: i64) -> (u64, u32) {
    let id = id as u64;
    (id >> ORDINAL_BITS, (id & (MAX_CHUNKS as u64 - 1)) as u32)
}

fn store_error(dir: &Path, file: &Path, error: rusqlite::Error) -> IndexError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => IndexError::DiskFull {
            path: dir.to_owned(),
        },
        // Room for the log's index is asked of the system by other calls than writes.
        Some(ErrorCode::SystemIoFailure) if disk::has_no_space(dir) => IndexError::DiskFull {
            path: dir.to_owned(),
        },
        Some(ErrorCode::OperationInterrupted) => IndexError::Cancelled,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => IndexError::Damaged {
            path: file.to_owned(),
            detail: error.to_string(),
        },
        _ => IndexError::Store(error),
    }
}

//! Copies of a store of truth for a backup, taken beside whoever has the collection open.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{BUSY, FILE, schema, store_error};
use crate::{DocumentId, IndexError};

/// What a copy of a collection's truth holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TruthCopy {
    /// Documents.
    pub documents: u64,
    /// Their chunks.
    pub chunks: u64,
}

/// Copies the truth of the collection in `dir` to the file `into`, which must not exist: one
/// consistent state without free pages, so nothing of a deleted document is in it. The collection
/// may be open elsewhere and written meanwhile: no lock is taken. Where `keep` is given, other
/// documents than those are left out.
///
/// # Errors
/// [`IndexError::NotFound`] where there is no collection, [`IndexError::Format`] for a newer one,
/// [`IndexError::DiskFull`], [`IndexError::Damaged`] and [`IndexError::Store`] where SQLite fails.
pub fn copy_truth<S: BuildHasher>(
    dir: &Path,
    into: &Path,
    keep: Option<&HashSet<DocumentId, S>>,
) -> Result<TruthCopy, IndexError> {
    let path = dir.join(FILE);
    if !path.is_file() {
        return Err(IndexError::NotFound {
            path: dir.to_owned(),
        });
    }
    let target = into.to_str().ok_or_else(|| IndexError::Invalid {
        what: format!("{} is no Unicode text, which SQLite needs", into.display()),
    })?;
    let vacuum = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&path, flags)?;
        conn.busy_timeout(BUSY)?;
        conn.execute("VACUUM INTO ?1", [target])
    };
    vacuum().map_err(|error| store_error(dir, &path, error))?;
    let mut conn = open_copy(into)?;
    let mut count = || {
        if let Some(keep) = keep {
            keep_only(&mut conn, keep)?;
        }
        conn.query_row(
            "SELECT count(*), coalesce(sum(chunks), 0) FROM documents",
            [],
            |row| {
                Ok(TruthCopy {
                    documents: row.get(0)?,
                    chunks: row.get(1)?,
                })
            },
        )
    };
    count().map_err(|error| store_error(dir, into, error))
}

/// Ids of the documents in a copied store of truth that no collection has open.
///
/// # Errors
/// [`IndexError::Damaged`] where the file is none, [`IndexError::Format`] for a newer one.
pub fn documents_in_copy(file: &Path) -> Result<HashSet<DocumentId>, IndexError> {
    let conn = open_copy(file)?;
    ids(&conn).map_err(|error| store_error(file, file, error))
}

fn open_copy(file: &Path) -> Result<Connection, IndexError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(file, flags)?;
        let application: i32 = conn.pragma_query_value(None, "application_id", |r| r.get(0))?;
        let version = schema::version(&conn)?;
        Ok((conn, application, version))
    };
    let (conn, application, version) = open().map_err(|error| store_error(file, file, error))?;
    if application != schema::APPLICATION_ID || version == 0 {
        return Err(IndexError::Damaged {
            path: file.to_owned(),
            detail: "it is no collection's store".to_owned(),
        });
    }
    if version > schema::FORMAT {
        return Err(IndexError::Format {
            path: file.to_owned(),
            found: version,
            supported: schema::FORMAT,
        });
    }
    Ok(conn)
}

fn ids(conn: &Connection) -> rusqlite::Result<HashSet<DocumentId>> {
    conn.prepare("SELECT id FROM documents")?
        .query_map([], |row| row.get(0).map(DocumentId))?
        .collect()
}

/// What is left out is overwritten, since the file is about to be copied byte for byte.
fn keep_only<S: BuildHasher>(
    conn: &mut Connection,
    keep: &HashSet<DocumentId, S>,
) -> rusqlite::Result<()> {
    conn.execute_batch("PRAGMA secure_delete = ON; PRAGMA synchronous = OFF;")?;
    let unknown: Vec<DocumentId> = ids(conn)?
        .into_iter()
        .filter(|id| !keep.contains(id))
        .collect();
    let tx = conn.transaction()?;
    for id in unknown {
        super::write::delete(&tx, id)?;
    }
    tx.commit()
}

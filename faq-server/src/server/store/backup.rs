//! Copies of the database for a backup, and how a restored one is brought into step with the
//! collections that were read after it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::{BUSY, Result, StoreError, documents, jobs, organisations, schema};
use crate::server::clock::now_ms;
use crate::server::identity::Tenant;
use crate::server::setup::KEY_ID;

/// What a copy of the database knows of the rest of the data.
pub(crate) struct Known {
    /// Which master key the secrets in it are sealed under.
    pub(crate) master_key_id: Option<String>,
    /// Documents by organisation, those that wait for their bytes included.
    pub(crate) documents: HashMap<Uuid, HashSet<Uuid>>,
}

/// Copies the database `from` to the file `into`, which must not exist: one consistent state
/// without free pages. A server may write meanwhile.
pub(crate) fn copy(from: &Path, into: &Path) -> Result<()> {
    let target = into.to_str().ok_or_else(|| {
        let path = into.display();
        StoreError::Io(format!("{path} is no Unicode text, which SQLite needs"))
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute("VACUUM INTO ?1", [target])?;
    Ok(())
}

/// What a copy knows. It is brought up to this version first.
pub(crate) fn known(copy: &Path) -> Result<Known> {
    let connection = open(copy)?;
    let mut known = Known {
        master_key_id: organisations::meta(&connection, KEY_ID)?,
        documents: HashMap::new(),
    };
    let mut organisations = connection.prepare("SELECT id FROM organisations")?;
    for id in organisations.query_map([], |row| row.get(0))? {
        known.documents.insert(id?, HashSet::new());
    }
    let mut rows = connection.prepare("SELECT organisation, id FROM documents")?;
    for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (organisation, id): (Uuid, Uuid) = row?;
        known.documents.entry(organisation).or_default().insert(id);
    }
    Ok(known)
}

/// Deletes completed documents that are not among `searchable`, by organisation: they were
/// deleted after the database was copied and before their collection was. Returns their number.
pub(crate) fn delete_missing(
    copy: &Path,
    searchable: &HashMap<Uuid, HashSet<Uuid>>,
) -> Result<usize> {
    let mut connection = open(copy)?;
    let transaction = connection.transaction()?;
    let completed: Vec<(Uuid, Uuid)> = transaction
        .prepare("SELECT organisation, id FROM documents WHERE status = 'completed'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut deleted = 0;
    for (organisation, id) in completed {
        let there = searchable
            .get(&organisation)
            .is_some_and(|ids| ids.contains(&id));
        if !there {
            let tenant = Tenant::of_owner(jobs::Owner::of_row(organisation));
            documents::delete(&transaction, &tenant, id, now_ms())?;
            deleted += 1;
        }
    }
    transaction.commit()?;
    Ok(deleted)
}

/// Opens a copy that no server has open; there is no log beside it afterwards.
fn open(copy: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(copy, flags)?;
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
    )?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

//! The server's own truth: organisations, people, documents, jobs, conversations, in one
//! SQLite file. SQL stands in this folder and nowhere else.
//!
//! Every function on an organisation's rows takes a [`Tenant`](super::identity::Tenant), which
//! only authentication makes, and every key is (organisation, id).
//!
//! One thread writes. It takes what waits, runs each piece in a savepoint of one transaction,
//! commits once, and only then answers: an answer means durable, and many clients share one
//! fsync. Readers have connections of their own and never wait for the writer.

pub(crate) mod backup;
pub(crate) mod conversations;
pub(crate) mod documents;
pub(crate) mod jobs;
pub(crate) mod organisations;
pub(crate) mod replays;
mod schema;
pub(crate) mod sessions;
pub(crate) mod users;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::oneshot;

use super::error::ApiError;

/// Pieces of work that one commit may hold.
const BATCH: usize = 256;

/// How long a connection waits for another process, such as a backup.
const BUSY: Duration = Duration::from_secs(5);

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Nothing of this organisation goes by that id.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The data says no, and the client may know why.
    #[error("{0:?}")]
    Refused(Box<ApiError>),
    /// No space left on the disk.
    #[error("the disk is full: {0}")]
    Full(rusqlite::Error),
    /// SQLite failed.
    #[error("the database failed: {0}")]
    Sql(rusqlite::Error),
    /// A stored value is not what it has to be.
    #[error("the database holds a value that cannot be read: {0}")]
    Corrupt(String),
    /// The file could not be made or opened.
    #[error("{0}")]
    Io(String),
    /// The server is going down, or the writer died.
    #[error("the store has stopped")]
    Stopped,
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        match e.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(e),
            _ => Self::Sql(e),
        }
    }
}

impl From<ApiError> for StoreError {
    fn from(e: ApiError) -> Self {
        Self::Refused(Box::new(e))
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(e: serde_json::Error) -> Self {
        Self::Corrupt(e.to_string())
    }
}

pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A piece of work for the writer: runs, and hands back what to do once it is known whether the
/// transaction was committed.
type Work = Box<dyn FnOnce(&Connection) -> Afterwards + Send>;
type Afterwards = Box<dyn FnOnce(bool) + Send>;

/// The store. Clones share it.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    writes: mpsc::Sender<Work>,
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the file, made and migrated as needed.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut connection = connect(path)?;
        schema::migrate(&mut connection)?;
        let (writes, waiting) = mpsc::channel();
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer(&connection, &waiting))
            .map_err(|e| StoreError::Io(format!("cannot start the writing thread: {e}")))?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            writes,
            readers: Mutex::default(),
        })))
    }

    /// Runs `work` in the next transaction, and returns once that is durable. An error undoes
    /// what this piece of work did, and nothing else.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let result = in_savepoint(connection, work);
            Box::new(move |committed| {
                let _gone = tell.send(if committed || result.is_err() {
                    result
                } else {
                    Err(StoreError::Stopped)
                });
            })
        });
        self.0.writes.send(work).map_err(|_| StoreError::Stopped)?;
        told.await.map_err(|_| StoreError::Stopped)?
    }

    /// Reads a consistent state.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.read_now(work))
            .await
            .map_err(|_| StoreError::Stopped)?
    }

    /// The same, on this thread.
    pub(crate) fn read_now<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let lock = || {
            self.0
                .readers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let free = lock().pop();
        let connection = match free {
            Some(connection) => connection,
            None => connect(&self.0.path)?,
        };
        connection.execute_batch("BEGIN")?;
        let result = work(&connection);
        connection.execute_batch("COMMIT")?;
        lock().push(connection);
        result
    }
}

impl Store {
    /// Takes what was overwritten or deleted out of the write-ahead log as well, so that no
    /// word of it is left on disk. Waits for transactions that are going on.
    pub(crate) fn empty_log(&self) -> Result<()> {
        let mut log = self.0.path.clone().into_os_string();
        log.push("-wal");
        if std::fs::metadata(log).is_ok_and(|log| log.len() == 0) {
            return Ok(());
        }
        let connection = connect(&self.0.path)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;",
    )?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Takes work until nobody is left to bring any.
fn writer(connection: &Connection, waiting: &mpsc::Receiver<Work>) {
    while let Ok(first) = waiting.recv() {
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            tracing::error!(%error, "the database cannot be written");
            // What waits is dropped, and with it the channel that its caller listens on.
            continue;
        }
        let mut afterwards = vec![first(connection)];
        while afterwards.len() < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            afterwards.push(next(connection));
        }
        let committed = match connection.execute_batch("COMMIT") {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the database cannot be written");
                let _undone = connection.execute_batch("ROLLBACK");
                false
            }
        };
        for tell in afterwards {
            tell(committed);
        }
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    connection.execute_batch("SAVEPOINT piece")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(connection)))
        .unwrap_or_else(|_| Err(StoreError::Corrupt("a write panicked".into())));
    connection.execute_batch(if result.is_ok() {
        "RELEASE piece"
    } else {
        "ROLLBACK TO piece; RELEASE piece"
    })?;
    result
}

/// What turns "no such row" into "not found".
pub(crate) trait OrNotFound<T> {
    fn or_not_found(self, what: &'static str) -> Result<T>;
}

impl<T> OrNotFound<T> for rusqlite::Result<T> {
    fn or_not_found(self, what: &'static str) -> Result<T> {
        match self {
            Err(rusqlite::Error::QueryReturnedNoRows) => Err(StoreError::NotFound(what)),
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn count(store: &Store) -> i64 {
        store
            .read_now(|c| Ok(c.query_row("SELECT count(*) FROM replays", [], |r| r.get(0))?))
            .unwrap()
    }

    fn add(c: &Connection, n: u8) -> Result<()> {
        c.execute(
            "INSERT INTO replays (signature, expires_ms) VALUES (?1, 1)",
            [[n]],
        )?;
        Ok(())
    }

    #[tokio::test]
    async fn a_failing_piece_undoes_itself_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s.db")).unwrap();
        let many = (0..50u8).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(move |c| {
                        add(c, n)?;
                        assert_ne!(n, 7, "a bug in one piece of work");
                        if n % 2 == 0 {
                            Ok(())
                        } else {
                            Err(StoreError::NotFound("it"))
                        }
                    })
                    .await
            })
        });
        let mut done = 0;
        for one in many.collect::<Vec<_>>() {
            done += i64::from(one.await.unwrap().is_ok());
        }
        assert_eq!((done, count(&store)), (25, 25));
    }

    #[tokio::test]
    async fn what_was_deleted_is_in_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s.db")).unwrap();
        let word = b"quokka-and-zebra";
        let on_disk = || {
            let files = std::fs::read_dir(dir.path()).unwrap();
            let mut bytes = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
            bytes.any(|bytes| bytes.windows(word.len()).any(|w| w == word))
        };
        let sql = "INSERT INTO replays (signature, expires_ms) VALUES (?1, 1)";
        let insert = move |c: &Connection| Ok(c.execute(sql, [word])?);
        store.write(insert).await.unwrap();
        assert!(on_disk());
        let delete = |c: &Connection| Ok(c.execute("DELETE FROM replays", [])?);
        store.write(delete).await.unwrap();
        store.empty_log().unwrap();
        assert!(!on_disk());
        store.empty_log().unwrap();
        assert_eq!(count(&store), 0);
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        let store = Store::open(&path).unwrap();
        store.write(|c| add(c, 1)).await.unwrap();
        drop(store);
        assert_eq!(count(&Store::open(&path).unwrap()), 1);
    }
}

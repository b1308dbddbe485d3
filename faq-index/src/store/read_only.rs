//! Connections to a store in a directory that may not be written to.
//!
//! SQLite keeps a file of shared memory beside a store with a write-ahead log, which cannot be
//! made there. The collection's lock already says that nobody writes, so it is not needed.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// SQLite's file system without locks.
#[cfg(not(windows))]
const WITHOUT_LOCKS: &str = "unix-none";
#[cfg(windows)]
const WITHOUT_LOCKS: &str = "win32-none";

/// A connection that reads the store and what its log holds beyond it.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !has_log(path) {
        // Without a log the file alone is the store, and nothing beside it is looked for.
        return Connection::open_with_flags(uri(path), flags | OpenFlags::SQLITE_OPEN_URI);
    }
    // A process was killed before it brought the log into the file. A connection that has the
    // store to itself keeps the log's index in its own memory.
    let conn = Connection::open_with_flags_and_vfs(path, flags, WITHOUT_LOCKS)?;
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(conn)
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

fn uri(path: &Path) -> String {
    use std::fmt::Write;

    let mut uri = if cfg!(windows) { "file:/" } else { "file:" }.to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            #[cfg(windows)]
            b'\\' => uri.push('/'),
            #[cfg(windows)]
            b':' => uri.push(':'),
            _ => {
                let _never_fails = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri + "?immutable=1"
}

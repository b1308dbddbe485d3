//! Tables of the store of truth, their version, and the way from an older one to this.

use rusqlite::Connection;

/// Format of the collection that this version writes. Kept as SQLite's `user_version`.
pub(super) const FORMAT: u32 = 1;

/// Marks the file as ours, in the header field that SQLite has for it ("FAQ1").
pub(super) const APPLICATION_ID: i32 = 0x4641_5131;

/// Statement lists; the one at index `n` leads from format `n` to `n + 1`.
const MIGRATIONS: [&str; FORMAT as usize] = [V1];

/// Text and vectors stand in tables of their own, so that listing documents or finding
/// chunks does not read them.
///
/// `chunks.id` and `vectors.id` are `key << 24 | ordinal`: a document's rows lie together, in
/// order, and are found and deleted as one range without an index.
/// `AUTOINCREMENT` keeps a key from ever being given twice, which all projections rely on.
const V1: &str = "
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    key             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              BLOB NOT NULL UNIQUE,
    filename        TEXT NOT NULL,
    source          TEXT NOT NULL,
    format          TEXT NOT NULL,
    title           TEXT,
    language        TEXT,
    tags            TEXT NOT NULL,
    time_ms         INTEGER NOT NULL,
    bytes           INTEGER NOT NULL,
    content_hash    TEXT NOT NULL,
    parser          TEXT NOT NULL,
    chunker         TEXT NOT NULL,
    embedder        TEXT NOT NULL,
    chunks          INTEGER NOT NULL,
    vectors         INTEGER NOT NULL,
    tokens_total    INTEGER NOT NULL,
    tokens_embedded INTEGER NOT NULL,
    written_ms      INTEGER NOT NULL,
    seq             INTEGER NOT NULL
) STRICT;
CREATE INDEX documents_by_seq ON documents (seq);

CREATE TABLE texts (
    key   INTEGER PRIMARY KEY,
    text  BLOB NOT NULL,
    extra BLOB NOT NULL
) STRICT;

CREATE TABLE chunks (
    id         INTEGER PRIMARY KEY,
    start_byte INTEGER NOT NULL,
    end_byte   INTEGER NOT NULL,
    tokens     INTEGER NOT NULL,
    page_first INTEGER,
    page_last  INTEGER,
    headings   TEXT NOT NULL,
    windows    BLOB NOT NULL
) STRICT;

CREATE TABLE vectors (
    id   INTEGER PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;
";

/// Settings of a new file; they must come before its first table.
pub(super) fn prepare_new(conn: &Connection) -> rusqlite::Result<()> {
    // A vector of 384 floats is 1.5 KB: pages of 8 KB hold five of them, pages of 4 KB two.
    conn.execute_batch("PRAGMA page_size = 8192; PRAGMA encoding = 'UTF-8';")?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)
}

/// Settings of a connection that writes.
pub(super) fn prepare_writer(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is acknowledged, so it must have reached the disk.
    conn.pragma_update(None, "synchronous", "FULL")?;
    // Deleted text is overwritten, not only unlinked.
    conn.pragma_update(None, "secure_delete", "ON")?;
    conn.pragma_update(None, "foreign_keys", "OFF")
}

/// Format of the file; 0 where it is new.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<u32> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings the tables from format `from` to [`FORMAT`], whole or not at all.
pub(super) fn migrate(conn: &mut Connection, from: u32) -> rusqlite::Result<()> {
    if from >= FORMAT {
        return Ok(());
    }
    let tx = conn.transaction()?;
    for step in &MIGRATIONS[from as usize..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", FORMAT)?;
    tx.commit()
}

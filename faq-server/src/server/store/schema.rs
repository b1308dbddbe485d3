//! The tables, and how a file of an older version becomes one of this.

use rusqlite::Connection;

use super::{Result, StoreError};

/// Each entry takes a file from its index to the next version.
const MIGRATIONS: &[&str] = &[V1, V2, V3];

const V1: &str = "
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE organisations (
    id            BLOB PRIMARY KEY,
    name          TEXT NOT NULL,
    client_id     TEXT NOT NULL UNIQUE,
    signup        TEXT NOT NULL CHECK (signup IN ('open', 'approval', 'invite')),
    max_documents INTEGER NOT NULL,
    max_users     INTEGER NOT NULL,
    max_bytes     INTEGER NOT NULL,
    webhook_url   TEXT,
    webhook_secret BLOB,
    created_ms    INTEGER NOT NULL
) STRICT;

-- The digest of a secret, sealed under the master key; two may live at a time.
CREATE TABLE client_secrets (
    organisation BLOB NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    id           BLOB NOT NULL,
    sealed       BLOB NOT NULL,
    created_ms   INTEGER NOT NULL,
    expires_ms   INTEGER,
    PRIMARY KEY (organisation, id)
) STRICT;

CREATE TABLE users (
    organisation    BLOB NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    id              BLOB NOT NULL,
    email           TEXT NOT NULL,
    password_hash   TEXT NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('user', 'admin', 'owner')),
    status          TEXT NOT NULL CHECK (status IN ('active', 'pending', 'revoked')),
    failures        INTEGER NOT NULL DEFAULT 0,
    last_failure_ms INTEGER,
    last_login_ms   INTEGER,
    created_ms      INTEGER NOT NULL,
    PRIMARY KEY (organisation, id),
    UNIQUE (organisation, email)
) STRICT;

CREATE TABLE invites (
    organisation BLOB NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    email        TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    PRIMARY KEY (organisation, email)
) STRICT;

-- A session is a family of refresh tokens; access tokens name it.
CREATE TABLE sessions (
    organisation BLOB NOT NULL,
    id           BLOB NOT NULL,
    user         BLOB NOT NULL,
    device_info  TEXT,
    created_ms   INTEGER NOT NULL,
    used_ms      INTEGER NOT NULL,
    revoked_ms   INTEGER,
    PRIMARY KEY (organisation, id),
    FOREIGN KEY (organisation, user) REFERENCES users (organisation, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX sessions_by_user ON sessions (organisation, user);

CREATE TABLE refresh_tokens (
    fingerprint  BLOB PRIMARY KEY,
    organisation BLOB NOT NULL,
    session      BLOB NOT NULL,
    expires_ms   INTEGER NOT NULL,
    used_ms      INTEGER,
    FOREIGN KEY (organisation, session) REFERENCES sessions (organisation, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (organisation, session);

CREATE TABLE replays (
    signature  BLOB PRIMARY KEY,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_by_expiry ON replays (expires_ms);

CREATE TABLE documents (
    organisation   BLOB NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    id             BLOB NOT NULL,
    filename       TEXT NOT NULL,
    content_type   TEXT NOT NULL,
    tags           TEXT NOT NULL,
    declared_bytes INTEGER,
    bytes          INTEGER NOT NULL DEFAULT 0,
    sha256         TEXT,
    status         TEXT NOT NULL
        CHECK (status IN ('pending', 'uploaded', 'processing', 'completed', 'failed')),
    stage          TEXT,
    stage_done     INTEGER NOT NULL DEFAULT 0,
    stage_total    INTEGER NOT NULL DEFAULT 0,
    chunks         INTEGER NOT NULL DEFAULT 0,
    attempts       INTEGER NOT NULL DEFAULT 0,
    error_code     TEXT,
    error_message  TEXT,
    uploaded_by    BLOB NOT NULL,
    created_ms     INTEGER NOT NULL,
    expires_ms     INTEGER NOT NULL,
    uploaded_ms    INTEGER,
    processed_ms   INTEGER,
    PRIMARY KEY (organisation, id)
) STRICT;
CREATE UNIQUE INDEX documents_by_id ON documents (id);
CREATE INDEX documents_by_time ON documents (organisation, created_ms DESC, id DESC);
CREATE INDEX documents_pending ON documents (expires_ms) WHERE status = 'pending';

CREATE TABLE jobs (
    id           BLOB PRIMARY KEY,
    organisation BLOB NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL CHECK (kind IN ('ingest', 'erase', 'webhook')),
    payload      TEXT NOT NULL,
    -- At most one live job a key.
    dedupe_key   TEXT,
    state        TEXT NOT NULL
        CHECK (state IN ('queued', 'leased', 'succeeded', 'dead', 'cancelled')),
    attempt      INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    run_ms       INTEGER NOT NULL,
    lease_id     BLOB,
    lease_until_ms INTEGER,
    error_code   TEXT,
    last_error   TEXT,
    created_ms   INTEGER NOT NULL,
    finished_ms  INTEGER
) STRICT;
CREATE UNIQUE INDEX jobs_live ON jobs (organisation, dedupe_key)
    WHERE state IN ('queued', 'leased');
CREATE INDEX jobs_to_run ON jobs (state, kind, run_ms);
CREATE INDEX jobs_by_organisation ON jobs (organisation, state, finished_ms);

-- When each organisation was served last, so that all take turns.
CREATE TABLE turns (
    organisation BLOB PRIMARY KEY REFERENCES organisations (id) ON DELETE CASCADE,
    served       INTEGER NOT NULL
) STRICT;

CREATE TABLE conversations (
    organisation BLOB NOT NULL,
    id           BLOB NOT NULL,
    user         BLOB NOT NULL,
    title        TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    updated_ms   INTEGER NOT NULL,
    PRIMARY KEY (organisation, id),
    FOREIGN KEY (organisation, user) REFERENCES users (organisation, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX conversations_by_user ON conversations (organisation, user, updated_ms DESC, id DESC);
CREATE INDEX conversations_by_age ON conversations (updated_ms);

CREATE TABLE messages (
    organisation BLOB NOT NULL,
    conversation BLOB NOT NULL,
    position     INTEGER NOT NULL,
    id           BLOB NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    -- JSON: the pieces of the text, each with the number of the source it cites.
    pieces       TEXT NOT NULL,
    -- JSON: where the sources stand, without their text.
    sources      TEXT NOT NULL,
    abstained    INTEGER NOT NULL DEFAULT 0,
    reason       TEXT,
    created_ms   INTEGER NOT NULL,
    PRIMARY KEY (organisation, conversation, position),
    FOREIGN KEY (organisation, conversation)
        REFERENCES conversations (organisation, id) ON DELETE CASCADE
) STRICT;

-- Which answers cite a document, so that a deletion reaches their words.
CREATE TABLE citations (
    organisation BLOB NOT NULL,
    document     BLOB NOT NULL,
    conversation BLOB NOT NULL,
    position     INTEGER NOT NULL,
    PRIMARY KEY (organisation, document, conversation, position),
    FOREIGN KEY (organisation, conversation, position)
        REFERENCES messages (organisation, conversation, position) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX citations_by_message ON citations (organisation, conversation, position);
";

/// How often the server died while the job was worked on.
const V2: &str = "ALTER TABLE jobs ADD COLUMN interrupted INTEGER NOT NULL DEFAULT 0;";

/// How answers to an organisation's people are to be written.
const V3: &str = "ALTER TABLE organisations ADD COLUMN answer_tone TEXT;
ALTER TABLE organisations ADD COLUMN answer_instructions TEXT;";

/// Brings a file up to this version, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let newest = MIGRATIONS.len();
    let transaction = connection.transaction()?;
    let found: usize = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > newest {
        return Err(StoreError::Io(format!(
            "the database has version {found}, and this faq knows versions up to {newest}; use the \
             faq that wrote it, or a newer one"
        )));
    }
    for migration in &MIGRATIONS[found..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", newest)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_of_any_older_version_becomes_a_current_one() {
        let columns = |c: &Connection| -> Vec<String> {
            let mut names = c
                .prepare(
                    "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c
                     WHERE t.type = 'table' ORDER BY 1",
                )
                .unwrap();
            let names = names.query_map([], |row| row.get(0)).unwrap();
            names.collect::<rusqlite::Result<_>>().unwrap()
        };
        let mut current = Connection::open_in_memory().unwrap();
        migrate(&mut current).unwrap();
        for version in 1..MIGRATIONS.len() {
            let mut older = Connection::open_in_memory().unwrap();
            for migration in &MIGRATIONS[..version] {
                older.execute_batch(migration).unwrap();
            }
            older.pragma_update(None, "user_version", version).unwrap();
            older
                .execute_batch(
                    "INSERT INTO organisations VALUES (x'01', 'n', 'c', 'open', 1, 1, 1, NULL, NULL, 0);
                     INSERT INTO jobs (id, organisation, kind, payload, state, max_attempts, run_ms,
                                       created_ms)
                     VALUES (x'02', x'01', 'ingest', 'p', 'queued', 3, 0, 0);",
                )
                .unwrap();
            assert_ne!(columns(&older), columns(&current));
            migrate(&mut older).unwrap();
            assert_eq!(columns(&older), columns(&current));
            let kept = older.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0));
            assert_eq!(kept, Ok(1));
        }
    }

    #[test]
    fn a_newer_file_is_refused_and_a_current_one_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let told = migrate(&mut connection).unwrap_err().to_string();
        assert!(told.contains("99"), "{told}");
    }
}

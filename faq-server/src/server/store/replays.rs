//! Signatures of writes that were seen, until they expire by themselves.

use rusqlite::{Connection, params};

use super::Result;

/// Records a signature; `false` where it was seen before.
pub(crate) fn record(c: &Connection, signature: &[u8], expires_ms: i64) -> Result<bool> {
    let added = c
        .prepare_cached(
            "INSERT INTO replays (signature, expires_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute(params![signature, expires_ms])?;
    Ok(added == 1)
}

pub(crate) fn sweep(c: &Connection, now: i64) -> Result<usize> {
    Ok(c.execute("DELETE FROM replays WHERE expires_ms < ?1", [now])?)
}

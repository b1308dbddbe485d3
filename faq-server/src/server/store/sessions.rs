//! Sessions: families of refresh tokens, each used once.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::Result;
use crate::server::identity::Tenant;

/// Starts a session.
pub(crate) fn insert(
    c: &Connection,
    tenant: &Tenant,
    id: Uuid,
    user: Uuid,
    device_info: Option<&str>,
    now: i64,
) -> Result<()> {
    c.execute(
        "INSERT INTO sessions (organisation, id, user, device_info, created_ms, used_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        params![tenant.id(), id, user, device_info, now],
    )?;
    Ok(())
}

/// Whether a session of `user` still runs.
pub(crate) fn is_live(c: &Connection, tenant: &Tenant, id: Uuid, user: Uuid) -> Result<bool> {
    Ok(c.prepare_cached(
        "SELECT 1 FROM sessions
         WHERE organisation = ?1 AND id = ?2 AND user = ?3 AND revoked_ms IS NULL",
    )?
    .exists(params![tenant.id(), id, user])?)
}

/// Adds a refresh token to a session.
pub(crate) fn insert_token(
    c: &Connection,
    organisation: Uuid,
    session: Uuid,
    fingerprint: &[u8],
    expires_ms: i64,
) -> Result<()> {
    c.execute(
        "INSERT INTO refresh_tokens (fingerprint, organisation, session, expires_ms)
         VALUES (?1, ?2, ?3, ?4)",
        params![fingerprint, organisation, session, expires_ms],
    )?;
    Ok(())
}

/// What a refresh token turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// Good, and used up by this.
    Fresh {
        organisation: Uuid,
        session: Uuid,
        user: Uuid,
    },
    /// It was used before: somebody has a copy. Its session has been ended.
    Reused { organisation: Uuid, session: Uuid },
    /// Unknown, expired, or of a session that ended.
    Invalid,
}

/// Uses a refresh token up. The token itself is the proof, so this takes no tenant.
pub(crate) fn use_token(c: &Connection, fingerprint: &[u8], now: i64) -> Result<Refreshed> {
    let found = c
        .prepare_cached(
            "SELECT t.organisation, t.session, s.user, t.expires_ms, t.used_ms, s.revoked_ms
             FROM refresh_tokens t
             JOIN sessions s ON s.organisation = t.organisation AND s.id = t.session
             WHERE t.fingerprint = ?1",
        )?
        .query_row([fingerprint], |row| {
            Ok((
                row.get::<_, Uuid>(0)?,
                row.get::<_, Uuid>(1)?,
                row.get::<_, Uuid>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, Option<i64>>(4)?,
                row.get::<_, Option<i64>>(5)?,
            ))
        })
        .optional()?;
    let Some((organisation, session, user, expires_ms, used_ms, revoked_ms)) = found else {
        return Ok(Refreshed::Invalid);
    };
    if revoked_ms.is_some() {
        return Ok(Refreshed::Invalid);
    }
    if used_ms.is_some() {
        end(c, organisation, session, now)?;
        return Ok(Refreshed::Reused {
            organisation,
            session,
        });
    }
    if expires_ms <= now {
        return Ok(Refreshed::Invalid);
    }
    c.execute(
        "UPDATE refresh_tokens SET used_ms = ?2 WHERE fingerprint = ?1",
        params![fingerprint, now],
    )?;
    c.execute(
        "UPDATE sessions SET used_ms = ?3 WHERE organisation = ?1 AND id = ?2",
        params![organisation, session, now],
    )?;
    Ok(Refreshed::Fresh {
        organisation,
        session,
        user,
    })
}

fn end(c: &Connection, organisation: Uuid, session: Uuid, now: i64) -> Result<()> {
    c.execute(
        "UPDATE sessions SET revoked_ms = ?3
         WHERE organisation = ?1 AND id = ?2 AND revoked_ms IS NULL",
        params![organisation, session, now],
    )?;
    Ok(())
}

/// Ends one session.
pub(crate) fn revoke(c: &Connection, tenant: &Tenant, session: Uuid, now: i64) -> Result<()> {
    end(c, tenant.id(), session, now)
}

/// Ends the sessions of a person, all but `keep`.
pub(crate) fn revoke_all(
    c: &Connection,
    tenant: &Tenant,
    user: Uuid,
    keep: Option<Uuid>,
    now: i64,
) -> Result<usize> {
    Ok(c.execute(
        "UPDATE sessions SET revoked_ms = ?4
         WHERE organisation = ?1 AND user = ?2 AND revoked_ms IS NULL AND id IS NOT ?3",
        params![tenant.id(), user, keep, now],
    )?)
}

/// Takes sessions away that nobody can use any more.
pub(crate) fn sweep(c: &Connection, now: i64) -> Result<usize> {
    c.execute("DELETE FROM refresh_tokens WHERE expires_ms < ?1", [now])?;
    Ok(c.execute(
        "DELETE FROM sessions WHERE NOT EXISTS (
            SELECT 1 FROM refresh_tokens t
            WHERE t.organisation = sessions.organisation AND t.session = sessions.id)",
        [],
    )?)
}

//! Organisations, their client ids and secrets.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::jobs::Owner;
use super::{OrNotFound, Result};
use crate::server::identity::Tenant;

/// How people join an organisation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signup {
    /// Whoever has the client secret.
    Open,
    /// The same, once an admin has approved.
    Approval,
    /// Only addresses that an admin has invited.
    Invite,
}

impl Signup {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approval => "approval",
            Self::Invite => "invite",
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "open" => Self::Open,
            "approval" => Self::Approval,
            _ => Self::Invite,
        }
    }
}

/// What an organisation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quotas {
    pub(crate) documents: u64,
    pub(crate) users: u64,
    pub(crate) bytes: u64,
}

pub(crate) struct NewOrganisation {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) signup: Signup,
    pub(crate) quotas: Quotas,
}

#[derive(Debug, Clone)]
pub(crate) struct Organisation {
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) signup: Signup,
    pub(crate) quotas: Quotas,
    pub(crate) webhook_url: Option<String>,
    /// Sealed under the master key.
    pub(crate) webhook_secret: Option<Vec<u8>>,
    pub(crate) created_ms: i64,
}

/// How answers to an organisation's people are to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answering {
    pub(crate) tone: Option<String>,
    pub(crate) instructions: Option<String>,
}

/// A client secret, as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct StoredSecret {
    pub(crate) id: Uuid,
    pub(crate) sealed: Vec<u8>,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: Option<i64>,
}

/// Registers an organisation. There is nobody to authenticate yet.
pub(crate) fn insert(c: &Connection, new: &NewOrganisation, now: i64) -> Result<Owner> {
    c.prepare_cached(
        "INSERT INTO organisations
            (id, name, client_id, signup, max_documents, max_users, max_bytes, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        new.id,
        new.name,
        new.client_id,
        new.signup.name(),
        new.quotas.documents,
        new.quotas.users,
        new.quotas.bytes,
        now
    ])?;
    Ok(Owner::of_row(new.id))
}

/// The organisation that goes by a client id, and its live secrets. This is how authentication
/// begins, so it takes no tenant.
pub(crate) fn secrets_of_client(
    c: &Connection,
    client_id: &str,
    now: i64,
) -> Result<Option<(Uuid, Vec<StoredSecret>)>> {
    let organisation: Option<Uuid> = c
        .prepare_cached("SELECT id FROM organisations WHERE client_id = ?1")?
        .query_row([client_id], |row| row.get(0))
        .optional()?;
    let Some(organisation) = organisation else {
        return Ok(None);
    };
    Ok(Some((organisation, live_secrets(c, organisation, now)?)))
}

fn live_secrets(c: &Connection, organisation: Uuid, now: i64) -> Result<Vec<StoredSecret>> {
    let secrets = c
        .prepare_cached(
            "SELECT id, sealed, created_ms, expires_ms FROM client_secrets
             WHERE organisation = ?1 AND (expires_ms IS NULL OR expires_ms > ?2)
             ORDER BY created_ms DESC",
        )?
        .query_map(params![organisation, now], |row| {
            Ok(StoredSecret {
                id: row.get(0)?,
                sealed: row.get(1)?,
                created_ms: row.get(2)?,
                expires_ms: row.get(3)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(secrets)
}

/// The live secrets, newest first.
pub(crate) fn secrets(c: &Connection, tenant: &Tenant, now: i64) -> Result<Vec<StoredSecret>> {
    live_secrets(c, tenant.id(), now)
}

/// Keeps the digest of a new secret. For an organisation that is being registered.
pub(crate) fn insert_secret(
    c: &Connection,
    organisation: Uuid,
    id: Uuid,
    sealed: &[u8],
    now: i64,
) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO client_secrets (organisation, id, sealed, created_ms) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![organisation, id, sealed, now])?;
    Ok(())
}

/// Adds a secret; the newest one before it lives until `overlap_until`, older ones end now.
pub(crate) fn rotate_secret(
    c: &Connection,
    tenant: &Tenant,
    id: Uuid,
    sealed: &[u8],
    now: i64,
    overlap_until: i64,
) -> Result<()> {
    let newest = secrets(c, tenant, now)?.first().map(|s| s.id);
    c.execute(
        "UPDATE client_secrets SET expires_ms = min(ifnull(expires_ms, ?3),
            CASE WHEN id = ?2 THEN ?3 ELSE ?4 END)
         WHERE organisation = ?1",
        params![tenant.id(), newest, overlap_until, now],
    )?;
    insert_secret(c, tenant.id(), id, sealed, now)
}

/// Ends a secret; the last live one stays.
pub(crate) fn end_secret(c: &Connection, tenant: &Tenant, id: Uuid, now: i64) -> Result<bool> {
    let live = secrets(c, tenant, now)?;
    if !live.iter().any(|s| s.id == id) {
        return Err(super::StoreError::NotFound("secret"));
    }
    if live.len() == 1 {
        return Ok(false);
    }
    c.execute(
        "UPDATE client_secrets SET expires_ms = ?3 WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, now],
    )?;
    Ok(true)
}

pub(crate) fn get(c: &Connection, tenant: &Tenant) -> Result<Organisation> {
    c.prepare_cached(
        "SELECT name, client_id, signup, max_documents, max_users, max_bytes, webhook_url,
                webhook_secret, created_ms
         FROM organisations WHERE id = ?1",
    )?
    .query_row([tenant.id()], |row| {
        Ok(Organisation {
            name: row.get(0)?,
            client_id: row.get(1)?,
            signup: Signup::of(&row.get::<_, String>(2)?),
            quotas: Quotas {
                documents: row.get(3)?,
                users: row.get(4)?,
                bytes: row.get(5)?,
            },
            webhook_url: row.get(6)?,
            webhook_secret: row.get(7)?,
            created_ms: row.get(8)?,
        })
    })
    .or_not_found("organisation")
}

pub(crate) fn set_signup(c: &Connection, tenant: &Tenant, signup: Signup) -> Result<()> {
    c.execute(
        "UPDATE organisations SET signup = ?2 WHERE id = ?1",
        params![tenant.id(), signup.name()],
    )?;
    Ok(())
}

pub(crate) fn set_webhook(
    c: &Connection,
    tenant: &Tenant,
    webhook: Option<(&str, &[u8])>,
) -> Result<()> {
    let (url, secret) = webhook.unzip();
    c.execute(
        "UPDATE organisations SET webhook_url = ?2, webhook_secret = ?3 WHERE id = ?1",
        params![tenant.id(), url, secret],
    )?;
    Ok(())
}

pub(crate) fn answering(c: &Connection, tenant: &Tenant) -> Result<Answering> {
    c.prepare_cached("SELECT answer_tone, answer_instructions FROM organisations WHERE id = ?1")?
        .query_row([tenant.id()], |row| {
            Ok(Answering {
                tone: row.get(0)?,
                instructions: row.get(1)?,
            })
        })
        .or_not_found("organisation")
}

pub(crate) fn set_answering(c: &Connection, tenant: &Tenant, set: &Answering) -> Result<()> {
    c.execute(
        "UPDATE organisations SET answer_tone = ?2, answer_instructions = ?3 WHERE id = ?1",
        params![tenant.id(), set.tone, set.instructions],
    )?;
    Ok(())
}

/// Number of organisations, for the metrics.
pub(crate) fn count(c: &Connection) -> Result<u64> {
    Ok(c.query_row("SELECT count(*) FROM organisations", [], |row| row.get(0))?)
}

/// A value that the server keeps about itself.
pub(crate) fn meta(c: &Connection, name: &str) -> Result<Option<String>> {
    Ok(c.prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

pub(crate) fn set_meta(c: &Connection, name: &str, value: &str) -> Result<()> {
    c.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value],
    )?;
    Ok(())
}

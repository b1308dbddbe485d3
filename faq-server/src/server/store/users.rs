//! People of an organisation.

use faq_auth::Role;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{OrNotFound, Result, StoreError};
use crate::server::identity::Tenant;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserStatus {
    Active,
    /// Signed up, waits for an admin.
    Pending,
    Revoked,
}

impl UserStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Revoked => "revoked",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) password_hash: String,
    pub(crate) role: Role,
    pub(crate) status: UserStatus,
    pub(crate) failures: u32,
    pub(crate) last_failure_ms: Option<i64>,
    pub(crate) last_login_ms: Option<i64>,
    pub(crate) created_ms: i64,
}

const COLUMNS: &str = "id, email, password_hash, role, status, failures, last_failure_ms, \
                       last_login_ms, created_ms";

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    let role: String = row.get(3)?;
    let status: String = row.get(4)?;
    Ok(User {
        id: row.get(0)?,
        email: row.get(1)?,
        password_hash: row.get(2)?,
        // The table's own check allows nothing else.
        role: role.parse().unwrap_or(Role::User),
        status: match status.as_str() {
            "active" => UserStatus::Active,
            "pending" => UserStatus::Pending,
            _ => UserStatus::Revoked,
        },
        failures: row.get(5)?,
        last_failure_ms: row.get(6)?,
        last_login_ms: row.get(7)?,
        created_ms: row.get(8)?,
    })
}

pub(crate) struct NewUser {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) password_hash: String,
    pub(crate) role: Role,
    pub(crate) status: UserStatus,
}

/// Adds a user; `false` where the address is taken. Registration calls it before there is
/// anybody to authenticate, so the organisation comes as an id.
pub(crate) fn insert(c: &Connection, organisation: Uuid, new: &NewUser, now: i64) -> Result<bool> {
    let added = c
        .prepare_cached(
            "INSERT INTO users (organisation, id, email, password_hash, role, status, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (organisation, email) DO NOTHING",
        )?
        .execute(params![
            organisation,
            new.id,
            new.email,
            new.password_hash,
            new.role.to_string(),
            new.status.name(),
            now
        ])?;
    Ok(added == 1)
}

pub(crate) fn by_email(c: &Connection, tenant: &Tenant, email: &str) -> Result<Option<User>> {
    Ok(c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM users WHERE organisation = ?1 AND email = ?2"
    ))?
    .query_row(params![tenant.id(), email], user)
    .optional()?)
}

pub(crate) fn get(c: &Connection, tenant: &Tenant, id: Uuid) -> Result<User> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM users WHERE organisation = ?1 AND id = ?2"
    ))?
    .query_row(params![tenant.id(), id], user)
    .or_not_found("user")
}

/// People in order of their joining, after `after`.
pub(crate) fn list(
    c: &Connection,
    tenant: &Tenant,
    after: Option<(i64, Uuid)>,
    limit: usize,
) -> Result<Vec<User>> {
    let (ms, id) = after.unwrap_or((i64::MIN, Uuid::nil()));
    let users = c
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM users
             WHERE organisation = ?1 AND (created_ms, id) > (?2, ?3)
             ORDER BY created_ms, id LIMIT ?4"
        ))?
        .query_map(params![tenant.id(), ms, id, limit], user)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(users)
}

pub(crate) fn count(c: &Connection, tenant: &Tenant) -> Result<u64> {
    Ok(
        c.prepare_cached("SELECT count(*) FROM users WHERE organisation = ?1")?
            .query_row([tenant.id()], |row| row.get(0))?,
    )
}

/// Owners that can still act.
pub(crate) fn active_owners(c: &Connection, tenant: &Tenant) -> Result<u64> {
    Ok(c.query_row(
        "SELECT count(*) FROM users
         WHERE organisation = ?1 AND role = 'owner' AND status = 'active'",
        [tenant.id()],
        |row| row.get(0),
    )?)
}

pub(crate) fn set_role(c: &Connection, tenant: &Tenant, id: Uuid, role: Role) -> Result<()> {
    one(c.execute(
        "UPDATE users SET role = ?3 WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, role.to_string()],
    )?)
}

pub(crate) fn set_status(
    c: &Connection,
    tenant: &Tenant,
    id: Uuid,
    status: UserStatus,
) -> Result<()> {
    one(c.execute(
        "UPDATE users SET status = ?3 WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, status.name()],
    )?)
}

pub(crate) fn set_password(c: &Connection, tenant: &Tenant, id: Uuid, hash: &str) -> Result<()> {
    one(c.execute(
        "UPDATE users SET password_hash = ?3 WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, hash],
    )?)
}

pub(crate) fn failed_login(
    c: &Connection,
    tenant: &Tenant,
    id: Uuid,
    failures: u32,
    now: i64,
) -> Result<()> {
    one(c.execute(
        "UPDATE users SET failures = ?3, last_failure_ms = ?4
         WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, failures, now],
    )?)
}

pub(crate) fn logged_in(c: &Connection, tenant: &Tenant, id: Uuid, now: i64) -> Result<()> {
    one(c.execute(
        "UPDATE users SET failures = 0, last_failure_ms = NULL, last_login_ms = ?3
         WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, now],
    )?)
}

/// Takes a person and everything that is theirs: sessions, conversations, messages.
pub(crate) fn delete(c: &Connection, tenant: &Tenant, id: Uuid) -> Result<()> {
    one(c.execute(
        "DELETE FROM users WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id],
    )?)
}

pub(crate) fn invite(c: &Connection, tenant: &Tenant, email: &str, now: i64) -> Result<()> {
    c.execute(
        "INSERT INTO invites (organisation, email, created_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
        params![tenant.id(), email, now],
    )?;
    Ok(())
}

/// Uses an invitation up, if there is one.
pub(crate) fn take_invite(c: &Connection, tenant: &Tenant, email: &str) -> Result<bool> {
    let taken = c.execute(
        "DELETE FROM invites WHERE organisation = ?1 AND email = ?2",
        params![tenant.id(), email],
    )?;
    Ok(taken == 1)
}

fn one(changed: usize) -> Result<()> {
    if changed == 0 {
        return Err(StoreError::NotFound("user"));
    }
    Ok(())
}

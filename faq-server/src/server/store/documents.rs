//! Documents: what was uploaded, and how far its work is.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::jobs::{self, Kind, NewJob};
use super::{OrNotFound, Result, organisations};
use crate::server::error::ApiError;
use crate::server::identity::Tenant;

/// What an organisation is told whose files have no more room.
pub(crate) const NO_BYTES_LEFT: &str =
    "this organisation's documents have all the bytes they may have; delete some";

/// `pending -> uploaded -> processing -> completed | failed`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Its bytes have not arrived.
    Pending,
    /// It waits for a worker.
    Uploaded,
    Processing,
    /// It can be searched.
    Completed,
    Failed,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Uploaded => "uploaded",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "pending" => Self::Pending,
            "uploaded" => Self::Uploaded,
            "processing" => Self::Processing,
            "completed" => Self::Completed,
            _ => Self::Failed,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) id: Uuid,
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) tags: Vec<String>,
    pub(crate) declared_bytes: Option<u64>,
    pub(crate) bytes: u64,
    pub(crate) sha256: Option<String>,
    pub(crate) status: Status,
    pub(crate) stage: Option<String>,
    pub(crate) stage_done: u64,
    pub(crate) stage_total: u64,
    pub(crate) chunks: u64,
    pub(crate) attempts: u32,
    pub(crate) error_code: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) uploaded_by: Uuid,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: i64,
    pub(crate) uploaded_ms: Option<i64>,
    pub(crate) processed_ms: Option<i64>,
}

const COLUMNS: &str = "id, filename, content_type, tags, declared_bytes, bytes, sha256, status, \
     stage, stage_done, stage_total, chunks, attempts, error_code, error_message, uploaded_by, \
     created_ms, expires_ms, uploaded_ms, processed_ms";

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    let tags: String = row.get(3)?;
    let status: String = row.get(7)?;
    Ok(Document {
        id: row.get(0)?,
        filename: row.get(1)?,
        content_type: row.get(2)?,
        tags: serde_json::from_str(&tags).unwrap_or_default(),
        declared_bytes: row.get(4)?,
        bytes: row.get(5)?,
        sha256: row.get(6)?,
        status: Status::of(&status),
        stage: row.get(8)?,
        stage_done: row.get(9)?,
        stage_total: row.get(10)?,
        chunks: row.get(11)?,
        attempts: row.get(12)?,
        error_code: row.get(13)?,
        error_message: row.get(14)?,
        uploaded_by: row.get(15)?,
        created_ms: row.get(16)?,
        expires_ms: row.get(17)?,
        uploaded_ms: row.get(18)?,
        processed_ms: row.get(19)?,
    })
}

pub(crate) struct NewDocument {
    pub(crate) id: Uuid,
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) tags: Vec<String>,
    pub(crate) declared_bytes: Option<u64>,
    pub(crate) uploaded_by: Uuid,
    pub(crate) expires_ms: i64,
}

/// Announces a document whose bytes will come.
pub(crate) fn insert(c: &Connection, tenant: &Tenant, new: &NewDocument, now: i64) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO documents (organisation, id, filename, content_type, tags, declared_bytes,
                                status, uploaded_by, created_ms, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?8, ?9)",
    )?
    .execute(params![
        tenant.id(),
        new.id,
        new.filename,
        new.content_type,
        serde_json::to_string(&new.tags)?,
        new.declared_bytes,
        new.uploaded_by,
        now,
        new.expires_ms
    ])?;
    Ok(())
}

/// What an organisation's documents use: their number and bytes. Failed ones count with the
/// bytes they still hold, and not as documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
}

pub(crate) fn used(c: &Connection, tenant: &Tenant) -> Result<Used> {
    Ok(c.prepare_cached(
        "SELECT count(*) FILTER (WHERE status <> 'failed'),
                ifnull(sum(CASE WHEN status = 'pending' THEN ifnull(declared_bytes, 0)
                                ELSE bytes END), 0)
         FROM documents WHERE organisation = ?1",
    )?
    .query_row([tenant.id()], |row| {
        Ok(Used {
            documents: row.get(0)?,
            bytes: row.get(1)?,
        })
    })?)
}

pub(crate) fn get(c: &Connection, tenant: &Tenant, id: Uuid) -> Result<Document> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM documents WHERE organisation = ?1 AND id = ?2"
    ))?
    .query_row(params![tenant.id(), id], document)
    .or_not_found("document")
}

/// The document that an upload address names, and whose it is. The address is signed over both,
/// so this is where its check begins, and it takes no tenant.
pub(crate) fn announced(c: &Connection, id: Uuid) -> Result<(jobs::Owner, Document)> {
    let organisation = c
        .prepare_cached("SELECT organisation FROM documents WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .or_not_found("document")?;
    let owner = jobs::Owner::of_row(organisation);
    let document = get(c, &Tenant::of_owner(owner), id)?;
    Ok((owner, document))
}

/// Documents, newest first, after the one at `after`.
pub(crate) fn list(
    c: &Connection,
    tenant: &Tenant,
    status: Option<Status>,
    after: Option<(i64, Uuid)>,
    limit: usize,
) -> Result<Vec<Document>> {
    let (ms, id) = after.unwrap_or((i64::MAX, Uuid::max()));
    let documents = c
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM documents
             WHERE organisation = ?1 AND (created_ms, id) < (?2, ?3)
               AND (?4 IS NULL OR status = ?4)
             ORDER BY created_ms DESC, id DESC LIMIT ?5"
        ))?
        .query_map(
            params![tenant.id(), ms, id, status.map(Status::name), limit],
            document,
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(documents)
}

/// The bytes are there: the document and its job in one step. `false` where they had come
/// before.
pub(crate) fn uploaded(
    c: &Connection,
    tenant: &Tenant,
    id: Uuid,
    bytes: u64,
    sha256: &str,
    now: i64,
) -> Result<bool> {
    let document = get(c, tenant, id)?;
    if document.status == Status::Pending {
        let used = used(c, tenant)?.bytes - document.declared_bytes.unwrap_or(0);
        if used.saturating_add(bytes) > organisations::get(c, tenant)?.quotas.bytes {
            return Err(ApiError::quota(NO_BYTES_LEFT).into());
        }
    }
    let changed = c.execute(
        "UPDATE documents SET status = 'uploaded', bytes = ?3, sha256 = ?4, uploaded_ms = ?5
         WHERE organisation = ?1 AND id = ?2 AND status = 'pending'",
        params![tenant.id(), id, bytes, sha256, now],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    jobs::insert(c, tenant, &NewJob::ingest(id), now)?;
    jobs::announce(c, tenant, "document.uploaded", id, now)?;
    Ok(true)
}

/// A worker has begun.
pub(crate) fn begun(c: &Connection, tenant: &Tenant, id: Uuid, attempt: u32) -> Result<Document> {
    c.execute(
        "UPDATE documents SET status = 'processing', attempts = ?3, stage = NULL, stage_done = 0,
            stage_total = 0
         WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, attempt],
    )?;
    get(c, tenant, id)
}

pub(crate) fn progress(
    c: &Connection,
    tenant: &Tenant,
    id: Uuid,
    stage: &str,
    done: u64,
    total: u64,
) -> Result<()> {
    c.prepare_cached(
        "UPDATE documents SET stage = ?3, stage_done = ?4, stage_total = ?5
         WHERE organisation = ?1 AND id = ?2 AND status = 'processing'",
    )?
    .execute(params![tenant.id(), id, stage, done, total])?;
    Ok(())
}

/// The document can be searched.
pub(crate) fn completed(
    c: &Connection,
    tenant: &Tenant,
    id: Uuid,
    chunks: u64,
    now: i64,
) -> Result<()> {
    c.execute(
        "UPDATE documents SET status = 'completed', chunks = ?3, processed_ms = ?4, stage = NULL,
            stage_done = 0, stage_total = 0, error_code = NULL, error_message = NULL
         WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, chunks, now],
    )?;
    jobs::announce(c, tenant, "document.processed", id, now)
}

/// The document cannot be searched, and why.
pub(crate) fn failed(
    c: &Connection,
    tenant: &Tenant,
    id: Uuid,
    code: &str,
    message: &str,
    now: i64,
) -> Result<()> {
    let changed = c.execute(
        "UPDATE documents SET status = 'failed', error_code = ?3, error_message = ?4,
            processed_ms = ?5, stage = NULL, stage_done = 0, stage_total = 0
         WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, code, message, now],
    )?;
    if changed == 1 {
        jobs::announce(c, tenant, "document.failed", id, now)?;
    }
    Ok(())
}

/// It is to be tried again from the start.
pub(crate) fn requeued(c: &Connection, tenant: &Tenant, id: Uuid) -> Result<()> {
    c.execute(
        "UPDATE documents SET status = 'uploaded', error_code = NULL, error_message = NULL,
            attempts = 0, processed_ms = NULL
         WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id],
    )?;
    Ok(())
}

/// Takes the row away, calls its work off, and has its remains erased: by the caller at once,
/// by the queue where the caller dies before it is done.
pub(crate) fn delete(c: &Connection, tenant: &Tenant, id: Uuid, now: i64) -> Result<Document> {
    let document = get(c, tenant, id)?;
    c.execute(
        "DELETE FROM documents WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id],
    )?;
    jobs::cancel(c, tenant, &Kind::Ingest.dedupe_key(id), now)?;
    jobs::insert(c, tenant, &NewJob::erase(id), now)?;
    super::conversations::forget_document(c, tenant, id)?;
    Ok(document)
}

/// Pending documents whose upload URL has expired become failed, which frees their quota.
pub(crate) fn expire_pending(c: &Connection, now: i64) -> Result<usize> {
    Ok(c.execute(
        "UPDATE documents SET status = 'failed', error_code = 'upload_expired',
            error_message = 'no bytes arrived before the upload address expired',
            processed_ms = ?1
         WHERE status = 'pending' AND expires_ms < ?1",
        [now],
    )?)
}

/// Ids of the organisation's documents that wait for bytes in a foreign storage.
pub(crate) fn pending(c: &Connection) -> Result<Vec<(super::jobs::Owner, Uuid)>> {
    let rows = c
        .prepare_cached("SELECT organisation, id FROM documents WHERE status = 'pending'")?
        .query_map([], |row| {
            Ok((super::jobs::Owner::of_row(row.get(0)?), row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(rows)
}

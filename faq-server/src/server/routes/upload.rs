//! Documents on their way in: announced, then sent to an address of their own.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use faq_auth::{Ticket, TicketError};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{ADMIN, PUBLIC, base_url};
use crate::server::app::App;
use crate::server::body::{Body, Id, Params};
use crate::server::clock::{MINUTE, now_ms, rfc3339};
use crate::server::error::{ApiError, Code};
use crate::server::identity::{Admin, Caller, Tenant};
use crate::server::store::documents::{self, NewDocument, Status};
use crate::server::store::organisations;
use crate::server::uploads;
use crate::storage::{BlobKey, StorageError};

/// How long an upload address is good for.
const UPLOAD_MS: i64 = 15 * MINUTE;

/// Longest file name, in bytes, as file systems have it.
const FILENAME: usize = 255;

/// Most tags of a document, and the longest of them in characters.
const TAGS: (usize, usize) = (50, 100);

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Announce {
    #[schema(min_length = 1, max_length = 255, example = "handbook.pdf")]
    filename: String,
    #[schema(example = "application/pdf")]
    content_type: String,
    /// Size in bytes. Where it is given, exactly so many have to come.
    size: Option<u64>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Announced {
    document_id: Uuid,
    /// Where the bytes go. Whoever has it can use it, once.
    upload_url: String,
    #[schema(example = "PUT")]
    method: &'static str,
    /// To be sent with the bytes.
    headers: std::collections::BTreeMap<String, String>,
    expires_at: String,
}

/// Announces a document and gets the address for its bytes.
#[utoipa::path(
    post, path = "/v1/documents/upload", tag = "documents", request_body = Announce,
    responses((status = 201, body = Announced)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn announce(
    State(app): State<App>,
    who: Caller<Admin>,
    headers: axum::http::HeaderMap,
    Body(asked): Body<Announce>,
) -> Result<(StatusCode, Json<Announced>), ApiError> {
    let filename = filename(&asked.filename)?;
    let content_type = content_type(&app, &asked.content_type)?;
    let tags = tags(asked.tags)?;
    let most = app.config.max_file_bytes;
    if asked.size.is_some_and(|size| size > most) {
        return Err(ApiError::too_large("the file", most));
    }
    if asked.size == Some(0) {
        return Err(ApiError::invalid_field(
            "size",
            "is 0: an empty file holds nothing to answer from",
        ));
    }
    let tenant = who.tenant;
    let now = now_ms();
    let new = NewDocument {
        id: Uuid::new_v4(),
        filename,
        content_type,
        tags,
        declared_bytes: asked.size,
        uploaded_by: who.user,
        expires_ms: now + UPLOAD_MS,
    };
    let key = BlobKey {
        organisation: tenant.id(),
        document: new.id,
    };
    let presigned = app
        .storage
        .presign_put(
            key,
            &new.content_type,
            std::time::Duration::from_millis(UPLOAD_MS as u64),
        )
        .await
        .map_err(ApiError::unavailable)?;
    let (upload_url, headers) = if let Some(presigned) = presigned {
        (presigned.url, presigned.headers.into_iter().collect())
    } else {
        let code = ticket(&app, tenant, &new).sign(&app.keys.tickets);
        let base = base_url(&app, &headers)?;
        (
            format!("{base}/v1/uploads/{}?ticket={code}", new.id),
            [("Content-Type".to_owned(), new.content_type.clone())].into(),
        )
    };
    let announced = Announced {
        document_id: new.id,
        upload_url,
        method: "PUT",
        headers,
        expires_at: rfc3339(new.expires_ms),
    };
    app.store
        .write(move |c| {
            let quotas = organisations::get(c, &tenant)?.quotas;
            let used = documents::used(c, &tenant)?;
            if used.documents >= quotas.documents {
                return Err(ApiError::quota(
                    "this organisation has all the documents it may have; delete some",
                )
                .into());
            }
            if used.bytes + new.declared_bytes.unwrap_or(0) > quotas.bytes {
                return Err(ApiError::quota(documents::NO_BYTES_LEFT).into());
            }
            documents::insert(c, &tenant, &new, now)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(announced)))
}

fn ticket<'a>(app: &App, tenant: Tenant, new: &'a NewDocument) -> Ticket<'a> {
    Ticket {
        organisation: tenant.id(),
        document: new.id,
        filename: &new.filename,
        content_type: &new.content_type,
        size: new.declared_bytes,
        max_size: app.config.max_file_bytes,
        expires_at_ms: new.expires_ms,
    }
}

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct UploadParams {
    /// The signature in the upload address.
    ticket: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    document_id: Uuid,
    status: Status,
    file_size_bytes: u64,
    sha256: String,
}

/// Takes the bytes of an announced document. The address itself is the proof.
#[utoipa::path(
    put, path = "/v1/uploads/{id}", tag = "documents",
    params(("id" = Uuid, Path), UploadParams),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 202, body = Accepted)), extensions(("x-needs" = json!(PUBLIC)))
)]
pub(crate) async fn upload(
    State(app): State<App>,
    Id(id): Id,
    Params(params): Params<UploadParams>,
    request: Request,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    let (parts, body) = request.into_parts();
    app.limits.address(crate::server::request::address(
        &parts,
        &app.config.trusted_proxies,
    ))?;
    let now = now_ms();
    let unknown = || ApiError::not_found("upload address");
    let found = app.store.read(move |c| documents::announced(c, id)).await;
    let (owner, document) = match found {
        Ok(found) => found,
        Err(crate::server::store::StoreError::NotFound(_)) => return Err(unknown()),
        Err(e) => return Err(e.into()),
    };
    let ticket = Ticket {
        organisation: owner.organisation(),
        document: id,
        filename: &document.filename,
        content_type: &document.content_type,
        size: document.declared_bytes,
        max_size: app.config.max_file_bytes,
        expires_at_ms: document.expires_ms,
    };
    let tenant = match Tenant::of_ticket(&ticket, &app.keys.tickets, &params.ticket, now) {
        Ok(tenant) => tenant,
        Err(TicketError::Expired { .. }) => {
            return Err(ApiError::new(
                StatusCode::GONE,
                Code::UploadExpired,
                "this upload address has expired; announce the document again",
            ));
        }
        Err(_) => return Err(unknown()),
    };
    if document.status != Status::Pending {
        return Err(ApiError::conflict(
            Code::UploadUsed,
            "this upload address was used before",
        ));
    }
    let given = parts
        .headers
        .get(header::CONTENT_TYPE)
        .map_or("", |value| value.to_str().unwrap_or_default());
    if essence(given) != document.content_type {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::UnsupportedType,
            format!(
                "the bytes have to come as Content-Type {}",
                document.content_type
            ),
        ));
    }
    let _alone = uploads::Alone::begin(&app, id)
        .ok_or_else(|| ApiError::conflict(Code::UploadUsed, "this upload address is being used"))?;
    let key = BlobKey {
        organisation: tenant.id(),
        document: id,
    };
    let announced = content_length(&parts.headers);
    if let Some(received) = announced
        && let Err(e) = ticket.check_size(received)
    {
        return Err(wrong_size(&e, app.config.max_file_bytes));
    }
    let stream = body.into_data_stream().map_err(axum::Error::into_inner);
    let stored = app
        .storage
        .receive(
            key,
            stream,
            document.declared_bytes.or(announced),
            ticket.limit(),
        )
        .await
        .map_err(storage_error)?;
    if stored.bytes == 0 {
        let _ = app.storage.delete(key).await;
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            Code::SizeMismatch,
            "no bytes came; send the file as the body",
        ));
    }
    let (bytes, sha256) = (stored.bytes, stored.sha256.clone());
    let new = app
        .store
        .write(move |c| documents::uploaded(c, &tenant, id, bytes, &sha256, now_ms()))
        .await;
    if new.is_err() {
        let _ = app.storage.delete(key).await;
    }
    if !new? {
        return Err(ApiError::conflict(
            Code::UploadUsed,
            "this upload address was used before",
        ));
    }
    app.wake();
    Ok((
        StatusCode::ACCEPTED,
        Json(Accepted {
            document_id: id,
            status: Status::Uploaded,
            file_size_bytes: stored.bytes,
            sha256: stored.sha256,
        }),
    ))
}

fn content_length(headers: &axum::http::HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn wrong_size(e: &TicketError, most: u64) -> ApiError {
    match e {
        TicketError::TooLarge { .. } => ApiError::too_large("the file", most),
        e => ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            Code::SizeMismatch,
            e.to_string(),
        ),
    }
}

pub(super) fn storage_error(e: StorageError) -> ApiError {
    match e {
        StorageError::TooLarge { allowed, .. } => ApiError::too_large("the file", allowed),
        e @ StorageError::SizeMismatch { .. } => ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            Code::SizeMismatch,
            e.to_string(),
        ),
        StorageError::Interrupted { .. } => ApiError::new(
            StatusCode::BAD_REQUEST,
            Code::Interrupted,
            "the bytes stopped coming; send the file again",
        ),
        StorageError::NotFound { .. } => ApiError::not_found("file"),
        e @ (StorageError::NoSpace { .. } | StorageError::Remote { .. }) => {
            ApiError::unavailable(e)
        }
        e => ApiError::internal(e),
    }
}

fn filename(text: &str) -> Result<String, ApiError> {
    let name = text.trim();
    let wrong = |what: &str| Err(ApiError::invalid_field("filename", what));
    if name.is_empty() || name.len() > FILENAME {
        return wrong("has to have 1 to 255 bytes");
    }
    if name.contains(['/', '\\']) || matches!(name, "." | "..") {
        return wrong("has to be a name, not a path");
    }
    // Characters that turn the direction of text make a name look like another.
    let hidden = |c: char| {
        c.is_control()
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    if name.chars().any(hidden) {
        return wrong("holds a character that cannot be seen");
    }
    Ok(name.to_owned())
}

/// `text/html; charset=utf-8` is `text/html`.
fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn content_type(app: &App, text: &str) -> Result<String, ApiError> {
    let essence = essence(text);
    if app.config.allowed_types.contains(&essence) {
        return Ok(essence);
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::UnsupportedType,
        format!(
            "content_type is {text:?}; allowed are {}",
            app.config.allowed_types.join(", ")
        ),
    ))
}

fn tags(given: Vec<String>) -> Result<Vec<String>, ApiError> {
    let mut tags = Vec::new();
    for tag in given {
        let tag = tag.trim();
        if tag.is_empty() || tag.chars().count() > TAGS.1 || tag.chars().any(char::is_control) {
            return Err(ApiError::invalid_field(
                "tags",
                "holds a tag that is empty, too long or not printable",
            ));
        }
        if !tags.iter().any(|t| t == tag) {
            tags.push(tag.to_owned());
        }
    }
    if tags.len() > TAGS.0 {
        return Err(ApiError::invalid_field("tags", "has more than 50 entries"));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_that_mislead_are_refused() {
        assert_eq!(filename(" a b.pdf ").unwrap(), "a b.pdf");
        for bad in ["", "a/b.pdf", "..", "a\0.pdf", "gpj.\u{202e}exe", "..\\x"] {
            assert!(filename(bad).is_err(), "{bad:?}");
        }
    }
}

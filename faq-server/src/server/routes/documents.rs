//! Documents: watched, read, deleted.

use axum::Json;
use axum::body::Body as AxumBody;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::upload::storage_error;
use super::{ADMIN, MEMBER};
use crate::server::api::{DocumentView, RangeView};
use crate::server::app::App;
use crate::server::body::{Id, Params, after, page};
use crate::server::clock::now_ms;
use crate::server::error::{ApiError, Code};
use crate::server::identity::{Admin, Caller, Member, Tenant};
use crate::server::store::documents::{self, Document, Status};
use crate::server::uploads;
use crate::storage::BlobKey;

/// Documents of one page of a list.
const PAGE: usize = 100;

/// The bytes are in the store: has it noticed at once. Optional; asking for the status looks too.
#[utoipa::path(
    post, path = "/v1/documents/{id}/complete", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = DocumentView)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn complete(
    State(app): State<App>,
    who: Caller<Admin>,
    Id(id): Id,
) -> Result<Json<DocumentView>, ApiError> {
    look(&app, who.tenant, id).await.map(|d| Json(d.into()))
}

/// How far the work on a document is.
#[utoipa::path(
    get, path = "/v1/documents/{id}/status", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = DocumentView)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn status(
    State(app): State<App>,
    who: Caller<Member>,
    Id(id): Id,
) -> Result<Json<DocumentView>, ApiError> {
    look(&app, who.tenant, id).await.map(|d| Json(d.into()))
}

/// One document.
#[utoipa::path(
    get, path = "/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = DocumentView)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn get(
    State(app): State<App>,
    who: Caller<Member>,
    Id(id): Id,
) -> Result<Json<DocumentView>, ApiError> {
    let tenant = who.tenant;
    let document = app
        .store
        .read(move |c| documents::get(c, &tenant, id))
        .await?;
    Ok(Json(document.into()))
}

/// The document; one that waits for bytes in a foreign store is looked for there.
async fn look(app: &App, tenant: Tenant, id: Uuid) -> Result<Document, ApiError> {
    let document = app
        .store
        .read(move |c| documents::get(c, &tenant, id))
        .await?;
    if document.status == Status::Pending && uploads::arrived(app, tenant, &document).await? {
        return Ok(app
            .store
            .read(move |c| documents::get(c, &tenant, id))
            .await?);
    }
    Ok(document)
}

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct ListParams {
    /// Only documents with this status.
    status: Option<Status>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentList {
    documents: Vec<DocumentView>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
}

/// The organisation's documents, newest first, 100 a page.
#[utoipa::path(
    get, path = "/v1/documents", tag = "documents", params(ListParams),
    responses((status = 200, body = DocumentList)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn list(
    State(app): State<App>,
    who: Caller<Member>,
    Params(params): Params<ListParams>,
) -> Result<Json<DocumentList>, ApiError> {
    let tenant = who.tenant;
    let after = after(params.cursor.as_deref())?;
    let found = app
        .store
        .read(move |c| documents::list(c, &tenant, params.status, after, PAGE + 1))
        .await?;
    let (found, next_cursor) = page(found, PAGE, |d| (d.created_ms, d.id));
    Ok(Json(DocumentList {
        documents: found.into_iter().map(DocumentView::from).collect(),
        next_cursor,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Content {
    document_id: Uuid,
    filename: String,
    /// Canonical text: what the ranges of sources point into.
    text: String,
    blocks: Vec<BlockView>,
    pages: Vec<PageView>,
    /// What the parser could not read.
    warnings: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BlockView {
    /// `heading`, `paragraph`, `list_item`, `table_header`, `table_row` or `code`.
    #[schema(value_type = String)]
    kind: faq_core::BlockKind,
    /// Of a heading, from 1.
    level: Option<u8>,
    page: Option<u32>,
    byte_range: RangeView,
    utf16_range: RangeView,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageView {
    number: u32,
    byte_range: RangeView,
    utf16_range: RangeView,
}

/// The text of a document, with its blocks and pages.
#[utoipa::path(
    get, path = "/v1/documents/{id}/content", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Content)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn content(
    State(app): State<App>,
    who: Caller<Member>,
    Id(id): Id,
) -> Result<Json<Content>, ApiError> {
    let tenant = who.tenant;
    app.store
        .read(move |c| documents::get(c, &tenant, id))
        .await?;
    let content = app
        .with_collection(tenant, move |collection| {
            Ok(collection
                .document(faq_core::DocumentId(id))?
                .map(|document| view(id, document)))
        })
        .await?;
    content.map(Json).ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            Code::NotFound,
            "the document has no text yet",
        )
    })
}

fn view(id: Uuid, document: faq_core::DocumentContent) -> Content {
    let text = document.text;
    let ranges = |range: faq_core::ByteRange| {
        let wide = range
            .to_utf16(&text)
            .map_or((0, 0), |wide| (wide.start, wide.end));
        (
            RangeView {
                start: range.start,
                end: range.end,
            },
            RangeView {
                start: wide.0,
                end: wide.1,
            },
        )
    };
    let blocks = document
        .blocks
        .iter()
        .map(|block| {
            let (byte_range, utf16_range) = ranges(block.range);
            BlockView {
                kind: block.kind,
                level: block.level,
                page: block.page,
                byte_range,
                utf16_range,
            }
        })
        .collect();
    let pages = document
        .pages
        .iter()
        .map(|page| {
            let (byte_range, utf16_range) = ranges(page.range);
            PageView {
                number: page.number,
                byte_range,
                utf16_range,
            }
        })
        .collect();
    Content {
        document_id: id,
        filename: document.info.filename,
        blocks,
        pages,
        warnings: document.warnings.into_iter().map(|w| w.message).collect(),
        text,
    }
}

/// The file as it was uploaded.
#[utoipa::path(
    get, path = "/v1/documents/{id}/original", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")),
    extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn original(
    State(app): State<App>,
    who: Caller<Member>,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let tenant = who.tenant;
    let document = app
        .store
        .read(move |c| documents::get(c, &tenant, id))
        .await?;
    if document.status == Status::Pending {
        return Err(ApiError::not_found("file"));
    }
    let key = BlobKey {
        organisation: tenant.id(),
        document: id,
    };
    let blob = app.storage.read_stream(key).await.map_err(storage_error)?;
    let mut response = AxumBody::from_stream(blob.stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(blob.bytes));
    // A browser shall save it, not run it.
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_str(&document.content_type)
            .unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    headers.insert(header::CONTENT_DISPOSITION, disposition(&document.filename));
    headers.insert(
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static("sandbox"),
    );
    Ok(response)
}

/// `attachment` with the name in RFC 5987's form, which takes any character.
fn disposition(filename: &str) -> HeaderValue {
    use std::fmt::Write;
    let mut value = String::from("attachment; filename*=UTF-8''");
    for byte in filename.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedDocument {
    document_id: Uuid,
    /// Chunks that were taken out of the search.
    chunks: u64,
    /// Bytes of the file that were freed.
    bytes: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentDeleted {
    deleted: DeletedDocument,
}

/// Removes a document everywhere: search, answers, caches, disk.
#[utoipa::path(
    delete, path = "/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path)),
    responses((status = 200, body = DocumentDeleted)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    who: Caller<Admin>,
    Id(id): Id,
) -> Result<Json<DocumentDeleted>, ApiError> {
    let tenant = who.tenant;
    app.store
        .write(move |c| documents::delete(c, &tenant, id, now_ms()))
        .await?;
    let erased = crate::server::queue::erase(&app, tenant, id).await?;
    let deleted = DeletedDocument {
        document_id: id,
        chunks: erased.chunks,
        bytes: erased.bytes,
    };
    Ok(Json(DocumentDeleted { deleted }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn any_name_is_a_header() {
        let value = disposition("größe \"x\".pdf");
        assert_eq!(
            value.to_str().unwrap(),
            "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%22x%22.pdf"
        );
    }
}

//! What comes in: JSON bodies, query strings and path parts, each refused with the name of
//! what was wrong.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::error::{ApiError, Code};

/// Most bytes of a JSON body.
pub(crate) const MAX_JSON: usize = 256 * 1024;

/// A JSON body. Unknown fields are ignored, `null` means absent.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        check_content_type(request.headers())?;
        let bytes = axum::body::to_bytes(request.into_body(), MAX_JSON)
            .await
            .map_err(|_| ApiError::too_large("the body", MAX_JSON as u64))?;
        // Where every field may be left out, so may the body.
        parse(if bytes.is_empty() { b"{}" } else { &bytes }).map(Self)
    }
}

/// Refuses a body that says to be something else than JSON.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let json = headers.get(header::CONTENT_TYPE).is_none_or(|value| {
        let kind = value.to_str().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json")
    });
    if json {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::UnsupportedType,
        "the body has to be application/json",
    ))
}

/// Reads JSON: 400 where it is none, 422 with the field's name where it is another than needed.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let malformed = |e: &serde_json::Error| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            Code::MalformedJson,
            format!("the body is no valid JSON: {e}"),
        )
    };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
    if !value.is_object() {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            Code::InvalidField,
            "the body has to be a JSON object",
        ));
    }
    serde_path_to_error::deserialize(without_nulls(value)).map_err(|e| {
        let path = e.path().to_string();
        let inner = e.into_inner().to_string();
        match inner.strip_prefix("missing field `") {
            Some(name) => {
                let name = name.split('`').next().unwrap_or_default();
                let name = if path == "." {
                    name.to_owned()
                } else {
                    format!("{path}.{name}")
                };
                ApiError::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    Code::MissingField,
                    format!("the field {name} is missing"),
                )
            }
            None => ApiError::invalid_field(&path, format_args!("cannot be read: {inner}")),
        }
    })
}

/// The object without the fields that are `null`, at every depth.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k, without_nulls(v)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Parameters of the query string.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(e) => Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                Code::InvalidField,
                format!(
                    "the query string cannot be read: {}",
                    e.body_text()
                        .trim_start_matches("Failed to deserialize query string: ")
                ),
            )),
        }
    }
}

/// The id in a path. What is no id names nothing: 404.
pub(crate) struct Id(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<Uuid>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(ApiError::not_found("anything by this id")),
        }
    }
}

/// One page of a list that was read one entry further, and the cursor of the next, where there
/// is one. `place` is what the list is ordered by.
pub(crate) fn page<T>(
    mut found: Vec<T>,
    size: usize,
    place: impl Fn(&T) -> (i64, Uuid),
) -> (Vec<T>, Option<String>) {
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| more).map(|last| {
        let (ms, id) = place(last);
        cursor(ms, id)
    });
    (found, next)
}

/// A place in a list: opaque to clients.
fn cursor(ms: i64, id: Uuid) -> String {
    format!("{ms:x}.{}", id.simple())
}

/// Reads a cursor back.
pub(crate) fn after(cursor: Option<&str>) -> Result<Option<(i64, Uuid)>, ApiError> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let read = || {
        let (ms, id) = cursor.split_once('.')?;
        Some((i64::from_str_radix(ms, 16).ok()?, id.parse().ok()?))
    };
    match read() {
        Some(place) => Ok(Some(place)),
        None => Err(ApiError::invalid_field(
            "cursor",
            "is none that this server gave",
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Asked {
        query: String,
        conversation_id: Option<Uuid>,
    }

    fn code(body: &str) -> Code {
        parse::<Asked>(body.as_bytes()).unwrap_err().code()
    }

    #[test]
    fn null_means_absent_and_the_unknown_is_ignored() {
        let asked: Asked = parse(br#"{"query":"a","conversation_id":null,"more":[1]}"#).unwrap();
        assert_eq!((asked.query.as_str(), asked.conversation_id), ("a", None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(code("{"), Code::MalformedJson);
        assert_eq!(code(r#"{"query":null}"#), Code::MissingField);
        assert_eq!(code(r#"{"query":7}"#), Code::InvalidField);
        assert_eq!(code("[]"), Code::InvalidField);
    }

    #[test]
    fn a_page_says_where_the_next_begins() {
        let ids: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
        let (first, next) = page(ids.clone(), 2, |id| (5, *id));
        assert_eq!(first, ids[..2]);
        assert_eq!(after(next.as_deref()).unwrap(), Some((5, ids[1])));
        assert_eq!(page(ids.clone(), 3, |id| (5, *id)), (ids, None));
    }

    #[test]
    fn cursors_come_back() {
        let id = Uuid::new_v4();
        let there = cursor(1_700_000_000_000, id);
        assert_eq!(after(Some(&there)).unwrap(), Some((1_700_000_000_000, id)));
        assert!(after(Some("junk")).is_err());
    }
}

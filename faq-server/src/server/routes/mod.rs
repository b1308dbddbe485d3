//! Every route, and the gate that each stands behind.
//!
//! A route stands in one of three groups: public, signed (HMAC), member (HMAC and a person). The
//! gate of its group checks the request before anything else looks at it; what the handler asks
//! for in its arguments checks the role. `x-needs` in the OpenAPI document says the same, and a
//! test holds one against the other.

mod admin;
mod answering;
mod auth;
mod chat;
mod documents;
mod ops;
mod organisations;
mod stream;
mod upload;
mod users;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use ops::{LastLook, metrics};
pub(crate) use stream::StreamEvent;

use super::app::App;
use super::body::{MAX_JSON, parse};
use super::error::{ApiError, Code};
use super::identity::{Credentials, authenticate};
use super::request::ClientAddress;

// What a route needs, as `x-needs` in the OpenAPI document.
const PUBLIC: &str = "public";
const SIGNED: &str = "signed";
const MEMBER: &str = "user";
const ADMIN: &str = "admin";
const OWNER: &str = "owner";

/// How long a client may take to send a JSON body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The API and its description.
pub(crate) fn router(app: &App) -> (Router<App>, utoipa::openapi::OpenApi) {
    let gated = |router: OpenApiRouter<App>, person: bool| {
        router.route_layer(from_fn_with_state((app.clone(), person), gate))
    };
    OpenApiRouter::with_openapi(super::openapi::base())
        .merge(public())
        .merge(gated(signed(), false))
        .merge(gated(member(), true))
        .split_for_parts()
}

fn public() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(organisations::register))
        .routes(routes!(auth::refresh))
        .routes(routes!(upload::upload))
        // Checks the signature by itself: a browser sends it as the first message.
        .routes(routes!(stream::ws))
        .routes(routes!(ops::health))
        .routes(routes!(ops::ready))
}

fn signed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::signup))
        .routes(routes!(auth::login))
}

fn member() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::logout))
        .routes(routes!(auth::change_password))
        .routes(routes!(auth::me))
        .routes(routes!(users::convert))
        .routes(routes!(users::revoke))
        .routes(routes!(users::set_owner))
        .routes(routes!(upload::announce))
        .routes(routes!(documents::list))
        .routes(routes!(documents::get, documents::delete))
        .routes(routes!(documents::status))
        .routes(routes!(documents::complete))
        .routes(routes!(documents::content))
        .routes(routes!(documents::original))
        .routes(routes!(chat::query))
        .routes(routes!(chat::list))
        .routes(routes!(chat::history))
        .routes(routes!(chat::delete))
        .routes(routes!(stream::sse))
        .routes(routes!(admin::dead_letters, admin::clear))
        .routes(routes!(admin::clear_one))
        .routes(routes!(admin::retry))
        .routes(routes!(admin::list_users))
        .routes(routes!(admin::restore))
        .routes(routes!(admin::approve))
        .routes(routes!(admin::invite))
        .routes(routes!(admin::set_signup))
        .routes(routes!(admin::usage))
        .routes(routes!(admin::secrets))
        .routes(routes!(admin::rotate))
        .routes(routes!(admin::end_secret))
        .routes(routes!(answering::get, answering::set))
        .routes(routes!(
            admin::webhook,
            admin::set_webhook,
            admin::end_webhook
        ))
        .routes(routes!(admin::export))
        .routes(routes!(admin::erase))
}

/// The OpenAPI document at its address.
pub(crate) fn description(document: String) -> Router<App> {
    Router::new().route(
        "/openapi.json",
        get(move || async move {
            (
                [(header::CONTENT_TYPE, "application/json")],
                document.clone(),
            )
        }),
    )
}

pub(crate) async fn unknown(State(app): State<App>, request: Request) -> ApiError {
    counted(&app, request).unwrap_or_else(|| ApiError::not_found("address"))
}

pub(crate) async fn wrong_method(State(app): State<App>, request: Request) -> ApiError {
    counted(&app, request).unwrap_or_else(|| {
        ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::MethodNotAllowed,
            "this address does not take this method",
        )
    })
}

/// Counts a request that leads nowhere for whoever sent it; the refusal where it was one too
/// many.
fn counted(app: &App, request: Request) -> Option<ApiError> {
    let (parts, _) = request.into_parts();
    let address = crate::server::request::address(&parts, &app.config.trusted_proxies);
    app.limits.address(address).err()
}

/// Checks the signature, and the person where the group asks for one.
async fn gate(
    State((app, person)): State<(App, bool)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let address = super::request::address(&parts, &app.config.trusted_proxies);
    let bytes = read(body).await?;
    let credentials = Credentials::of_headers(&parts.headers);
    let identity = authenticate(
        &app,
        &parts.method,
        &target(&parts),
        credentials.as_ref(),
        &bytes,
        address,
        person,
    )
    .await?;
    parts.extensions.insert(identity.clone());
    parts.extensions.insert(ClientAddress(address));
    let mut response = next
        .run(Request::from_parts(parts, Body::from(bytes)))
        .await;
    // For the log.
    response.extensions_mut().insert(identity);
    Ok(response)
}

/// Path and query as they were sent.
fn target(parts: &Parts) -> String {
    let uri = parts
        .extensions
        .get::<OriginalUri>()
        .map_or(&parts.uri, |original| &original.0);
    uri.path_and_query()
        .map_or_else(|| uri.path().to_owned(), ToString::to_string)
}

/// A whole JSON body, within its size and its time.
async fn read(body: Body) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, MAX_JSON)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(ApiError::too_large("the body", MAX_JSON as u64)),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::Timeout,
            "the body took too long to arrive",
        )),
    }
}

/// A JSON body of a route without a gate.
async fn body_of<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, ApiError> {
    super::body::check_content_type(headers)?;
    parse(&read(body).await?)
}

/// Where clients reach this server: what it was told, else the host that was asked.
fn base_url(app: &App, headers: &HeaderMap) -> Result<String, ApiError> {
    if let Some(url) = &app.config.public_base_url {
        return Ok(url.clone());
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b))
        })
        .ok_or_else(|| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                Code::InvalidField,
                "the request has no usable Host header",
            )
        })?;
    Ok(format!("http://{host}"))
}

/// What is made of a panic: a bug, told as one.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(crate) fn panicked(cause: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let cause = cause
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_owned());
    ApiError::internal(cause).into_response()
}

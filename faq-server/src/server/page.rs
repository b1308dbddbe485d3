//! Pages that the binary carries: the API's documentation, and the demo.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Everything a page loads comes from here.
const POLICY: &str = "default-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// A file in the binary.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($path:literal, $file:literal, $type:literal) => {
        Asset {
            path: $path,
            content_type: $type,
            bytes: include_bytes!(concat!("page/", $file)),
        }
    };
}

const DOCS: &[Asset] = &[
    asset!("/docs", "docs.html", "text/html; charset=utf-8"),
    asset!("/docs.js", "docs.js", "text/javascript; charset=utf-8"),
    asset!("/docs.css", "docs.css", "text/css; charset=utf-8"),
    asset!("/style.css", "style.css", "text/css; charset=utf-8"),
    asset!("/icon.svg", "icon.svg", "image/svg+xml"),
    asset!("/dom.js", "dom.js", "text/javascript; charset=utf-8"),
];

const DEMO: &[Asset] = &[
    asset!("/", "index.html", "text/html; charset=utf-8"),
    asset!("/app.js", "app.js", "text/javascript; charset=utf-8"),
    asset!("/api.js", "api.js", "text/javascript; charset=utf-8"),
    asset!("/chat.js", "chat.js", "text/javascript; charset=utf-8"),
    asset!(
        "/documents.js",
        "documents.js",
        "text/javascript; charset=utf-8"
    ),
    asset!("/page.css", "page.css", "text/css; charset=utf-8"),
];

/// The page that shows the API.
pub(crate) fn docs<S: Clone + Send + Sync + 'static>() -> Router<S> {
    serve(DOCS)
}

/// The page to try it on, and what it has to know: `config` is JSON.
pub(crate) fn demo<S: Clone + Send + Sync + 'static>(config: String) -> Router<S> {
    serve(DEMO).route(
        "/demo/config.json",
        get(move || async move {
            (
                [
                    (header::CONTENT_TYPE, "application/json"),
                    (header::CACHE_CONTROL, "no-store"),
                ],
                config.clone(),
            )
        }),
    )
}

fn serve<S: Clone + Send + Sync + 'static>(assets: &'static [Asset]) -> Router<S> {
    assets.iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, get(move || async move { page(asset) }))
    })
}

fn page(asset: &Asset) -> Response {
    let mut response = asset.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(asset.content_type),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

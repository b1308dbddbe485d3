//! Listening, the outer layers, and going down in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::app::App;
use super::config::MetricsAddr;
use super::error::{ApiError, Code};
use super::identity::Identity;
use super::{maintenance, openapi, page, queue, request, routes};

/// Connections at a time.
const CONNECTIONS: usize = 8192;

/// How long a client may take to send its headers, and a connection may be idle between requests.
const HEADER_TIME: Duration = Duration::from_secs(15);

/// Most headers of a request, and most bytes of them.
const HEADERS: usize = 100;
const HEADER_BYTES: usize = 64 * 1024;

/// How long requests and jobs that are going on may take once the server goes down.
const DRAIN: Duration = Duration::from_secs(25);

/// Serves until `stopping` becomes true and what was going on has ended. `started` is called
/// with the address once requests are answered. `demo` is what the page to try it on has to
/// know, as JSON; without it there is no such page.
pub(crate) async fn serve(
    app: App,
    demo: Option<String>,
    started: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    super::log::install(&app.config.log_level, &app.config.environment);
    for warning in &app.config.warnings {
        tracing::warn!(warning, "a setting");
    }
    for path in &app.keys.readable_by_others {
        tracing::warn!(
            path = %path.display(),
            "others on this machine can read this key; `chmod 600` it"
        );
    }
    allow_open_files();
    let listener = listen(app.config.listen, "HOST and PORT").await?;
    let address = listener.local_addr()?;
    let metrics = match app.config.metrics {
        MetricsAddr::Own(own) => Some(listen(own, "METRICS_ADDR").await?),
        MetricsAddr::Main | MetricsAddr::Off => None,
    };
    let router = router(&app, demo)?;
    let mut workers = queue::start(&app);
    let upkeep = tokio::spawn(maintenance::run(app.clone()));
    if let Some(listener) = metrics {
        let metrics = Router::new()
            .route("/metrics", axum::routing::get(routes::metrics))
            .with_state(app.clone());
        tokio::spawn(accept(listener, metrics, app.stopping.clone()));
    }
    tracing::info!(
        %address,
        model = app.answers.model(),
        data = %app.config.data_dir.display(),
        "listening"
    );
    started(address);
    accept(listener, router, app.stopping.clone()).await;

    // Requests are drained; now the jobs.
    let drained = tokio::time::timeout(DRAIN, async {
        while workers.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        queue::call_all_off(&app);
        let _late = tokio::time::timeout(Duration::from_secs(5), async {
            while workers.join_next().await.is_some() {}
        })
        .await;
    }
    let _ended = upkeep.await;
    tracing::info!("stopped");
    Ok(())
}

/// Each connection and each open collection takes file descriptors: as many as the system lets
/// this process have.
#[cfg(target_os = "linux")]
fn allow_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

#[cfg(not(target_os = "linux"))]
fn allow_open_files() {}

async fn listen(address: SocketAddr, setting: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        io::Error::new(
            e.kind(),
            format!("cannot listen on {address}: {e}; give another address in {setting}"),
        )
    })
}

/// All routes with the outer layers.
fn router(app: &App, demo: Option<String>) -> io::Result<Router> {
    let (api, description) = routes::router(app);
    let description = openapi::complete(description).map_err(io::Error::other)?;
    let mut router = api
        .merge(routes::description(description))
        .merge(page::docs());
    if let Some(config) = demo {
        router = router.merge(page::demo(config));
    }
    if app.config.metrics == MetricsAddr::Main {
        router = router.route("/metrics", axum::routing::get(routes::metrics));
    }
    Ok(router
        .fallback(routes::unknown)
        .method_not_allowed_fallback(routes::wrong_method)
        .layer(CatchPanicLayer::custom(routes::panicked))
        .layer(cors(app))
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app.clone()))
}

fn cors(app: &App) -> CorsLayer {
    let origins = &app.config.cors_origins;
    let layer = CorsLayer::new();
    if origins.is_empty() {
        return layer;
    }
    let origin = if origins.iter().any(|o| o == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|o| HeaderValue::from_str(o).ok()))
    };
    layer
        .allow_origin(origin)
        .allow_credentials(app.config.cors_credentials)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("x-client-id"),
            HeaderName::from_static("x-timestamp"),
            HeaderName::from_static("x-signature"),
            HeaderName::from_static("x-request-id"),
            HeaderName::from_static("x-registration-token"),
        ])
        .expose_headers([HeaderName::from_static("x-request-id"), header::RETRY_AFTER])
        .max_age(Duration::from_secs(3600))
}

/// Names a request, measures it, logs it, and gives every response the same guards.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request::id_of(request.headers());
    let method = known_method(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unknown", MatchedPath::as_str)
        .to_owned();
    let started = Instant::now();
    let mut response = request::with_id(id.clone(), async {
        match one_host(&request) {
            Ok(()) => next.run(request).await,
            Err(e) => e.into_response(),
        }
    })
    .await;
    let took = started.elapsed();
    let status = response.status().as_u16();
    app.metrics.request(method, &route, status, took);
    let org_id = response
        .extensions()
        .get::<Identity>()
        .map(|identity| identity.tenant().id().to_string());
    request::with_id(id.clone(), async {
        tracing::info!(
            method,
            route,
            status,
            org_id,
            ms = took.as_micros() as f64 / 1e3,
            "request"
        );
    })
    .await;
    guard(response.headers_mut(), &id);
    response
}

/// The method as logs and metrics name it: clients may invent any number of others.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("other")
}

/// HTTP/1.1 wants the host named, once; which of two was meant nobody can say.
fn one_host(request: &Request) -> Result<(), ApiError> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::BAD_REQUEST,
        Code::InvalidField,
        format!("the header Host has to be there once, and was there {hosts} times"),
    ))
}

fn guard(headers: &mut axum::http::HeaderMap, id: &str) {
    let mut put = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::X_FRAME_OPTIONS, "DENY");
    put(header::REFERRER_POLICY, "no-referrer");
    put(header::CACHE_CONTROL, "no-store");
    put(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
}

/// Takes connections until the server is to go down, then lets the open ones end.
async fn accept(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stopping) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let serving = connection(stream, peer, router.clone(), stopping.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Such as too many open files: it passes.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    // Each open connection holds a place.
    let all = room.acquire_many(CONNECTIONS as u32);
    let _late = tokio::time::timeout(DRAIN, all).await;
}

/// Serves one connection until it ends; once the server goes down, after its current request.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    // Small events shall not wait for more.
    let _ = stream.set_nodelay(true);
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Returns once the server is to go down.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Where nobody can say stop any more, it is time as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

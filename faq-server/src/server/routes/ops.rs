//! For those who run the server: health, readiness, metrics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::PUBLIC;
use crate::server::app::App;
use crate::server::store::{jobs, organisations};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy` or `unhealthy`.
    status: &'static str,
    /// The same for `database`, `index`, `models`, `queue` and `storage`.
    services: BTreeMap<&'static str, &'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// `ready` or `not ready`.
    status: &'static str,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn named(fine: bool) -> &'static str {
    if fine { "healthy" } else { "unhealthy" }
}

/// How each part of the server is. 503 where one is not well.
#[utoipa::path(
    get, path = "/health", tag = "operations",
    responses((status = 200, body = Health), (status = 503, body = Health)),
    extensions(("x-needs" = json!(PUBLIC)))
)]
pub(crate) async fn health(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let problems = problems(&app).await;
    let services: BTreeMap<_, _> = ["database", "index", "models", "queue", "storage"]
        .into_iter()
        .map(|service| (service, named(!problems.contains_key(service))))
        .collect();
    let fine = problems.is_empty();
    let status = if fine {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let health = Health {
        status: named(fine),
        services,
    };
    (status, Json(health))
}

/// Whether requests can be sent here.
#[utoipa::path(
    get, path = "/ready", tag = "operations",
    responses((status = 200, body = Ready), (status = 503, body = Ready)),
    extensions(("x-needs" = json!(PUBLIC)))
)]
pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let error = if app.is_stopping() {
        Some("the server is going down".to_owned())
    } else {
        let problems = problems(&app).await;
        (!problems.is_empty()).then(|| {
            let parts: Vec<&str> = problems.keys().copied().collect();
            format!("not well: {}", parts.join(", "))
        })
    };
    match error {
        None => (
            StatusCode::OK,
            Json(Ready {
                status: "ready",
                error: None,
            }),
        ),
        error => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(Ready {
                status: "not ready",
                error,
            }),
        ),
    }
}

/// How long what was found out about the parts holds. Everybody may ask, and a look costs a
/// write to the storage.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is wrong, by service.
type Problems = BTreeMap<&'static str, String>;

/// What the last look at the parts found.
#[derive(Default)]
pub(crate) struct LastLook(tokio::sync::Mutex<Option<(Instant, Problems)>>);

/// What is wrong, from the last look, or from a new one where that is too old. One looks at a
/// time; the others wait for what it finds.
async fn problems(app: &App) -> Problems {
    let mut last = app.last_look.0.lock().await;
    match &*last {
        Some((when, problems)) if when.elapsed() < LOOK_EVERY => problems.clone(),
        _ => {
            let problems = look(app).await;
            *last = Some((Instant::now(), problems.clone()));
            problems
        }
    }
}

/// Tries each part; the log gets the details.
async fn look(app: &App) -> Problems {
    let mut problems = BTreeMap::new();
    let mut note = |service, result: Result<(), String>| {
        if let Err(error) = result {
            tracing::error!(service, error, "a part of the server is not well");
            problems.insert(service, error);
        }
    };
    let told = |e: &dyn std::fmt::Display| e.to_string();
    note(
        "database",
        app.store
            .read(organisations::count)
            .await
            .map(drop)
            .map_err(|e| told(&e)),
    );
    note(
        "queue",
        app.store
            .read(jobs::depths)
            .await
            .map(drop)
            .map_err(|e| told(&e)),
    );
    note("storage", app.storage.check().await.map_err(|e| told(&e)));
    let engine = app.engine.clone();
    let (index, models) = tokio::task::spawn_blocking(move || {
        (engine.collections().map(drop), engine.embedder().map(drop))
    })
    .await
    .unwrap_or((Ok(()), Ok(())));
    note("index", index.map_err(|e| told(&e)));
    note("models", models.map_err(|e| told(&e)));
    problems
}

/// Metrics in Prometheus' text format. Not part of the API: usually on a listener of its own.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    match app.store.read(jobs::depths).await {
        Ok(depths) => app.metrics.queue(&depths),
        Err(error) => tracing::error!(%error, "the queue cannot be read"),
    }
    if let Ok(Some(free)) = app.storage.free_bytes().await {
        let free = i64::try_from(free).unwrap_or(i64::MAX);
        app.metrics.storage_free_bytes.set(free);
    }
    match app.metrics.text() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(e) => crate::server::error::ApiError::internal(e).into_response(),
    }
}

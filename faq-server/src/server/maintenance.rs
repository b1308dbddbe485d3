//! What has to be done now and then: expiries, sweeps, retention.

use std::time::Duration;

use super::app::App;
use super::clock::{DAY, now_ms};
use super::store::{conversations, documents, jobs, replays, sessions};

/// How often the clock is looked at.
const EVERY: Duration = Duration::from_secs(30);

/// How long finished jobs are kept.
const JOBS_KEPT: i64 = DAY;

/// Runs until the server goes down.
pub(crate) async fn run(app: App) {
    let mut stopping = app.stopping.clone();
    loop {
        once(&app).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = super::serve::stopped(&mut stopping) => return,
        }
    }
}

/// Closes the knowledge of organisations that ask nothing.
async fn close_idle(app: &App) {
    let (engine, idle) = (app.engine.clone(), app.config.collection_idle);
    let keep = app.config.max_open_collections;
    let open = tokio::task::spawn_blocking(move || {
        let open = engine.close_idle(idle, keep);
        give_memory_back();
        open
    })
    .await;
    if let Ok(open) = open {
        app.metrics.collections_open.set(open as i64);
    }
}

/// Hands freed memory back to the system, which the allocator otherwise keeps: reading a
/// document takes much for a moment.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library's own function")]
fn give_memory_back() {
    // SAFETY: it takes no pointer, may be called from any thread at any time, and touches
    // nothing but free memory.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_memory_back() {}

async fn once(app: &App) {
    app.limits.sweep(now_ms());
    app.answers.sweep();
    close_idle(app).await;
    super::uploads::look_for_all(app).await;
    let retention = app.config.retention_days;
    let swept = app
        .store
        .write(move |c| {
            let now = now_ms();
            replays::sweep(c, now)?;
            documents::expire_pending(c, now)?;
            jobs::sweep(c, now - JOBS_KEPT)?;
            sessions::sweep(c, now)?;
            match retention {
                Some(days) => conversations::sweep(c, now - i64::from(days) * DAY),
                None => Ok(0),
            }
        })
        .await;
    match swept {
        Ok(0) => {}
        Ok(erased) => tracing::info!(erased, "conversations past their retention were erased"),
        Err(error) => tracing::error!(%error, "maintenance failed"),
    }
    let store = app.store.clone();
    let emptied = tokio::task::spawn_blocking(move || store.empty_log()).await;
    if let Ok(Err(error)) = emptied {
        tracing::warn!(%error, "the database's log could not be emptied; the next time will do");
    }
}

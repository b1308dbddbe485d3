//! Workers: they claim jobs, keep their leases, and finish, retry or bury them.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use faq_core::{CancelToken, Collection, Control, DocumentId, Error, Source};
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::app::App;
use super::clock::{MINUTE, SECOND, now_ms};
use super::error::ApiError;
use super::identity::Tenant;
use super::store::documents::{self, Document};
use super::store::jobs::{self, Job, Kind};
use super::store::{StoreError, organisations};
use crate::storage::BlobKey;
use crate::webhook;

/// How long a job belongs to a worker that says nothing.
const LEASE_MS: i64 = MINUTE;

/// How often a worker says that it lives.
const RENEW: Duration = Duration::from_secs(15);

/// How long an idle worker sleeps where nobody wakes it.
const POLL: Duration = Duration::from_secs(1);

/// How often progress is written down.
const PROGRESS: Duration = Duration::from_millis(300);

/// Workers for erasures and for webhooks; they mostly wait.
const OTHER_WORKERS: usize = 2;

/// How an attempt ended.
enum Outcome {
    Done,
    /// May work later.
    Retry {
        code: String,
        why: String,
    },
    /// Will never work.
    Never {
        code: String,
        why: String,
    },
    /// Its document is gone; nothing is left to do.
    Gone,
    /// The server goes down.
    Stopped,
}

impl Outcome {
    fn retry(code: &str, why: impl std::fmt::Display) -> Self {
        Self::Retry {
            code: code.to_owned(),
            why: why.to_string(),
        }
    }

    fn never(code: &str, why: impl std::fmt::Display) -> Self {
        Self::Never {
            code: code.to_owned(),
            why: why.to_string(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry { .. } => "retried",
            Self::Never { .. } => "dead",
            Self::Gone => "gone",
            Self::Stopped => "stopped",
        }
    }
}

/// Starts the workers. They end by themselves once the server goes down.
pub(crate) fn start(app: &App) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    let ingest = app.config.workers;
    // One worker is always left for another organisation.
    let cap = ingest.saturating_sub(1).max(1) as u32;
    for _ in 0..ingest {
        workers.spawn(work(app.clone(), Kind::Ingest, cap));
    }
    for _ in 0..OTHER_WORKERS {
        workers.spawn(work(app.clone(), Kind::Webhook, 1));
    }
    workers.spawn(work(app.clone(), Kind::Erase, 1));
    workers
}

async fn work(app: App, kind: Kind, cap: u32) {
    let mut stopping = app.stopping.clone();
    while !app.is_stopping() {
        let claimed = app
            .store
            .write(move |c| {
                let now = now_ms();
                jobs::claim(c, kind, cap, now, now + LEASE_MS)
            })
            .await;
        match claimed {
            Ok(Some(job)) => {
                let outcome = attempt(&app, &job).await;
                app.metrics.job(kind.name(), outcome.name());
                finish(&app, job, outcome).await;
            }
            Ok(None) => {
                tokio::select! {
                    () = app.work.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    () = super::serve::stopped(&mut stopping) => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "the queue cannot be read");
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

/// Makes one attempt, and keeps the lease while it lasts.
async fn attempt(app: &App, job: &Job) -> Outcome {
    if job.attempt > job.max_attempts {
        return Outcome::never(
            "interrupted",
            "the work was cut off again and again before it could end; try again when the server \
             is well",
        );
    }
    let cancel = CancelToken::new();
    let keeping = tokio::spawn(keep_lease(app.clone(), job.clone(), cancel.clone()));
    let outcome = match job.kind {
        Kind::Ingest => ingest(app, job, &cancel).await,
        Kind::Erase => erase_again(app, job).await,
        Kind::Webhook => call_webhook(app, job).await,
    };
    keeping.abort();
    outcome
}

async fn keep_lease(app: App, job: Job, cancel: CancelToken) {
    loop {
        tokio::time::sleep(RENEW).await;
        let held = job.clone();
        let kept = app
            .store
            .write(move |c| jobs::renew(c, &held, now_ms() + LEASE_MS))
            .await;
        if matches!(kept, Ok(false)) {
            // Somebody else has it, or it was called off.
            cancel.cancel();
            return;
        }
    }
}

async fn finish(app: &App, job: Job, outcome: Outcome) {
    let tenant = Tenant::of_owner(job.owner);
    let document: Option<Uuid> = job.payload.parse().ok();
    let (id, kind, attempt) = (job.id, job.kind, job.attempt);
    if let Outcome::Retry { code, why } | Outcome::Never { code, why } = &outcome {
        tracing::warn!(
            org_id = %tenant.id(), job = %id, kind = kind.name(), attempt, code, why,
            "an attempt failed"
        );
    }
    let written = app
        .store
        .write(move |c| {
            let now = now_ms();
            let failed = |code: &str, why: &str| match (job.kind, document) {
                (Kind::Ingest, Some(document)) => {
                    documents::failed(c, &tenant, document, code, why, now)
                }
                _ => Ok(()),
            };
            match outcome {
                // An ingest has written its end together with its document's.
                Outcome::Done | Outcome::Gone => {
                    jobs::succeed(c, &job, now)?;
                }
                Outcome::Stopped => {
                    jobs::give_back(c, &job, now)?;
                }
                Outcome::Retry { code, why } if job.attempt < job.max_attempts => {
                    jobs::later(c, &job, now + backoff(job.kind, job.attempt), &code, &why)?;
                }
                Outcome::Retry { code, why } | Outcome::Never { code, why } => {
                    if jobs::bury(c, &job, now, &code, &why)? {
                        failed(&code, &why)?;
                    }
                }
            }
            Ok(())
        })
        .await;
    if let Err(error) = written {
        // The lease runs out, and the job is claimed again.
        tracing::error!(%error, job = %id, "the end of a job cannot be written");
    }
    app.wake();
}

/// Milliseconds until the next attempt: growing, and never in step with others.
fn backoff(kind: Kind, attempt: u32) -> i64 {
    let (first, factor, most) = match kind {
        Kind::Ingest => (5 * SECOND, 4, 5 * MINUTE),
        Kind::Erase => (5 * SECOND, 2, 10 * MINUTE),
        Kind::Webhook => (10 * SECOND, 3, 60 * MINUTE),
    };
    let grown = first.saturating_mul(i64::from(factor).saturating_pow((attempt - 1).min(20)));
    let jitter = rand::rng().random_range(0.75..1.25);
    (grown.min(most) as f64 * jitter) as i64
}

/// A stage of the work on a document, and how far it is.
type Progress = (&'static str, u64, u64);

async fn ingest(app: &App, job: &Job, cancel: &CancelToken) -> Outcome {
    let tenant = Tenant::of_owner(job.owner);
    let Ok(id) = job.payload.parse::<Uuid>() else {
        return Outcome::never("internal", "the job names no document");
    };
    let attempt = job.attempt;
    let document = match app
        .store
        .write(move |c| documents::begun(c, &tenant, id, attempt))
        .await
    {
        Ok(document) => document,
        Err(StoreError::NotFound(_)) => return Outcome::Gone,
        Err(e) => return Outcome::retry("internal", e),
    };
    let _running = Running::enter(app, id, cancel);
    let most = app.config.max_file_bytes;
    let key = BlobKey {
        organisation: tenant.id(),
        document: id,
    };
    let blob = match app.storage.open_local(key, most).await {
        Ok(blob) => blob,
        Err(e) if e.is_retryable() => return Outcome::retry(e.code(), e),
        Err(e) => return Outcome::never(e.code(), e),
    };
    let (tell, told) = watch::channel(("parse", 0, 0));
    let writing = tokio::spawn(write_progress(app.clone(), tenant, id, told));
    let work = {
        let (app, cancel) = (app.clone(), cancel.clone());
        tokio::task::spawn_blocking(move || {
            make_searchable(&app, tenant, &document, blob, &cancel, &tell)
        })
    };
    let made = work.await;
    let _ended = writing.await;
    match made {
        Ok(Ok(chunks)) => complete(app, job, tenant, id, chunks).await,
        Ok(Err(_)) if app.is_stopping() && cancel.is_cancelled() => Outcome::Stopped,
        Ok(Err(_)) if cancel.is_cancelled() => Outcome::Gone,
        Ok(Err(e)) => classify(&e),
        Err(panic) => Outcome::retry("internal", format_args!("the work panicked: {panic}")),
    }
}

/// The four steps, with what came of them in the metrics.
fn make_searchable(
    app: &App,
    tenant: Tenant,
    document: &Document,
    mut blob: crate::storage::LocalBlob,
    cancel: &CancelToken,
    tell: &watch::Sender<Progress>,
) -> Result<u64, Error> {
    let collection = app.collection(&tenant)?;
    let id = DocumentId(document.id);
    if let Some(chunks) = made_before(&collection, id, document)? {
        return Ok(chunks);
    }
    let mut bytes = Vec::with_capacity(blob.bytes as usize);
    std::io::Read::read_to_end(&mut blob.file, &mut bytes).map_err(|source| Error::Io {
        path: "the uploaded file".into(),
        source,
    })?;
    let mut source = Source::new(document.filename.clone(), bytes);
    source.id = id;
    source.tags = document.tags.iter().cloned().collect();
    source.time_ms = document.uploaded_ms.unwrap_or(document.created_ms);
    let control = Control {
        cancel: cancel.clone(),
        deadline: None,
    };
    let mut clock = Instant::now();
    let mut lap = |stage| {
        app.metrics.ingest_stage(stage, clock.elapsed());
        clock = Instant::now();
    };
    let parsed = collection.parse(source, &control)?;
    lap("parse");
    tell.send_replace(("chunk", 0, 0));
    let chunked = collection.chunk(parsed, &control)?;
    lap("chunk");
    let chunks = chunked.chunks.len() as u64;
    let embedded = collection.embed_with_progress(chunked, &control, &mut |done, total| {
        tell.send_replace(("embed", done as u64, total as u64));
    })?;
    lap("embed");
    control.check()?;
    tell.send_replace(("commit", 0, 1));
    collection.commit(vec![embedded])?;
    lap("commit");
    Ok(chunks)
}

/// Chunks of the document where an earlier attempt got as far as the commit.
fn made_before(
    collection: &Collection,
    id: DocumentId,
    document: &Document,
) -> Result<Option<u64>, Error> {
    let there = collection.document(id)?;
    Ok(there
        .filter(|there| Some(&there.info.content_hash) == document.sha256.as_ref())
        .map(|there| there.info.chunks))
}

/// Ends the job and completes the document in one step. Where the job was called off while the
/// document was being committed, what was committed is taken out again.
async fn complete(app: &App, job: &Job, tenant: Tenant, id: Uuid, chunks: u64) -> Outcome {
    let held = job.clone();
    let done = app
        .store
        .write(move |c| {
            let now = now_ms();
            let mine = jobs::succeed(c, &held, now)?;
            if mine {
                documents::completed(c, &tenant, id, chunks, now)?;
            }
            Ok(mine)
        })
        .await;
    match done {
        Ok(true) => Outcome::Done,
        Ok(false) => {
            let there = app
                .store
                .read(move |c| documents::get(c, &tenant, id))
                .await;
            if matches!(there, Err(StoreError::NotFound(_)))
                && let Err(e) = erase(app, tenant, id).await
            {
                e.log();
            }
            Outcome::Gone
        }
        Err(e) => Outcome::retry("internal", e),
    }
}

async fn write_progress(app: App, tenant: Tenant, id: Uuid, mut told: watch::Receiver<Progress>) {
    loop {
        let (stage, done, total) = *told.borrow_and_update();
        let written = app
            .store
            .write(move |c| documents::progress(c, &tenant, id, stage, done, total))
            .await;
        if written.is_err() {
            return;
        }
        tokio::time::sleep(PROGRESS).await;
        if told.changed().await.is_err() {
            return;
        }
    }
}

/// Whether an error is the document's own, and stays.
fn classify(e: &Error) -> Outcome {
    match e {
        Error::Parse(_) | Error::Chunk(_) | Error::FileTooLarge { .. } => {
            if e.code() == "crashed" {
                Outcome::retry(e.code(), e)
            } else {
                Outcome::never(e.code(), e)
            }
        }
        e => Outcome::retry(e.code(), e),
    }
}

/// Enters a document among those that are being worked on, so that it can be called off.
struct Running<'a> {
    app: &'a App,
    document: Uuid,
}

impl<'a> Running<'a> {
    fn enter(app: &'a App, document: Uuid, cancel: &CancelToken) -> Self {
        let mut running = app.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(document, cancel.clone());
        drop(running);
        Self { app, document }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self
            .app
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.document);
    }
}

/// What an erasure took away.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Erased {
    pub(crate) chunks: u64,
    pub(crate) bytes: u64,
}

/// Takes a document out of the search, the caches and the storage. Its row must be gone.
pub(crate) async fn erase(app: &App, tenant: Tenant, id: Uuid) -> Result<Erased, ApiError> {
    app.call_off(id);
    let chunks = app
        .with_collection(tenant, move |collection| {
            let receipt = collection.delete(&[DocumentId(id)])?;
            Ok(receipt.deleted.iter().map(|d| d.chunks).sum())
        })
        .await?;
    app.answers.forget(tenant);
    let key = BlobKey {
        organisation: tenant.id(),
        document: id,
    };
    let bytes = app
        .storage
        .delete(key)
        .await
        .map_err(ApiError::unavailable)?;
    Ok(Erased { chunks, bytes })
}

/// What a deletion left: the remains on disk, and all of it where the server died meanwhile.
async fn erase_again(app: &App, job: &Job) -> Outcome {
    let tenant = Tenant::of_owner(job.owner);
    let Ok(id) = job.payload.parse::<Uuid>() else {
        return Outcome::never("internal", "the job names no document");
    };
    if let Err(e) = erase(app, tenant, id).await {
        e.log();
        return Outcome::retry("internal", "the document could not be erased");
    }
    // The last of several erasures takes the remains of all off the disk.
    let more = app
        .store
        .read(move |c| jobs::queued(c, &tenant, Kind::Erase))
        .await
        .unwrap_or(0);
    if more > 0 {
        return Outcome::Done;
    }
    match app.with_collection(tenant, |c| c.compact().map(drop)).await {
        Ok(()) => Outcome::Done,
        Err(e) => {
            e.log();
            Outcome::retry("internal", "the collection could not be compacted")
        }
    }
}

async fn call_webhook(app: &App, job: &Job) -> Outcome {
    let tenant = Tenant::of_owner(job.owner);
    let organisation = match app
        .store
        .read(move |c| organisations::get(c, &tenant))
        .await
    {
        Ok(organisation) => organisation,
        Err(e) => return Outcome::retry("internal", e),
    };
    let (Some(url), Some(sealed)) = (organisation.webhook_url, organisation.webhook_secret) else {
        return Outcome::Gone;
    };
    let secret = match app.open_webhook(tenant, &sealed) {
        Ok(secret) => secret,
        Err(e) => {
            e.log();
            return Outcome::retry("internal", "the webhook's secret cannot be read");
        }
    };
    let policy = webhook::Policy {
        timeout: app.config.webhook_timeout,
        allow_private: app.config.webhook_allow_private,
    };
    let (id, body) = (event_id(job), job.payload.clone());
    let sent = tokio::task::spawn_blocking(move || {
        let timestamp = now_ms();
        let event = webhook::Event {
            id: &id,
            timestamp,
            body: body.as_bytes(),
            signature: &faq_auth::webhook::sign(&secret, timestamp, body.as_bytes()),
        };
        webhook::deliver(&url, &event, &policy)
    })
    .await;
    match sent {
        Ok(Ok(_)) => Outcome::Done,
        Ok(Err(e)) if e.is_retryable() => Outcome::retry(e.code(), e),
        Ok(Err(e)) => Outcome::never(e.code(), e),
        Err(e) => Outcome::retry("internal", e),
    }
}

/// The id in an event's body, the same at each attempt.
fn event_id(job: &Job) -> String {
    serde_json::from_str::<serde_json::Value>(&job.payload)
        .ok()
        .and_then(|body| Some(body["id"].as_str()?.to_owned()))
        .unwrap_or_else(|| job.id.to_string())
}

/// Calls everything off that is being worked on, for a server that goes down.
pub(crate) fn call_all_off(app: &App) {
    let running = app.running.lock().unwrap_or_else(PoisonError::into_inner);
    for cancel in running.values() {
        cancel.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_further_and_further_apart() {
        for kind in [Kind::Ingest, Kind::Erase, Kind::Webhook] {
            let first = backoff(kind, 1);
            assert!((3750..=12_500).contains(&first), "{first}");
            assert!(backoff(kind, 3) > first);
            assert!(backoff(kind, 100) <= 75 * MINUTE);
        }
    }
}

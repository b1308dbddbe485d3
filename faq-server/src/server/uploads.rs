//! Bytes on their way in: one upload of a document at a time, and a look at foreign stores.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::app::App;
use super::clock::now_ms;
use super::error::ApiError;
use super::identity::Tenant;
use super::store::StoreError;
use super::store::documents::{self, Document};
use crate::storage::{BlobKey, Storage};

/// Documents whose bytes are coming in.
#[derive(Default)]
pub(crate) struct Incoming(Mutex<HashSet<Uuid>>);

/// The only upload of a document, for as long as it is held.
pub(crate) struct Alone<'a> {
    incoming: &'a Incoming,
    document: Uuid,
}

impl<'a> Alone<'a> {
    /// `None` where another is going on.
    pub(crate) fn begin(app: &'a App, document: Uuid) -> Option<Self> {
        let incoming = &app.incoming;
        let mut set = incoming.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Made only where it may be: its drop takes the lock, and the document out.
        set.insert(document).then(|| Self { incoming, document })
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let mut set = self
            .incoming
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        set.remove(&self.document);
    }
}

/// Whether the bytes of a pending document lie in a foreign store by now; if so, its work is
/// queued.
pub(crate) async fn arrived(
    app: &App,
    tenant: Tenant,
    document: &Document,
) -> Result<bool, ApiError> {
    if matches!(app.storage, Storage::Local(_)) {
        return Ok(false);
    }
    let id = document.id;
    let key = BlobKey {
        organisation: tenant.id(),
        document: id,
    };
    let Some(bytes) = app.storage.head(key).await.map_err(ApiError::unavailable)? else {
        return Ok(false);
    };
    let most = app.config.max_file_bytes;
    let wrong = if bytes > most {
        Some((
            "too_large",
            format!("the file has {bytes} bytes, allowed are {most}"),
        ))
    } else if document
        .declared_bytes
        .is_some_and(|declared| declared != bytes)
    {
        Some((
            "size_mismatch",
            format!("the file has {bytes} bytes, another size was announced"),
        ))
    } else {
        None
    };
    if let Some((code, message)) = wrong {
        refuse(app, tenant, id, code, message).await?;
        return Ok(true);
    }
    let sha256 = digest(app, key).await?;
    let taken = app
        .store
        .write(move |c| documents::uploaded(c, &tenant, id, bytes, &sha256, now_ms()))
        .await;
    match taken {
        Ok(new) => {
            if new {
                app.wake();
            }
            Ok(true)
        }
        Err(StoreError::Refused(e)) => refuse(app, tenant, id, "quota_exceeded", e.body("").error)
            .await
            .map(|()| true),
        Err(e) => Err(e.into()),
    }
}

/// Takes a file that may not be there out of the store, and says why.
async fn refuse(
    app: &App,
    tenant: Tenant,
    id: Uuid,
    code: &'static str,
    message: String,
) -> Result<(), ApiError> {
    let key = BlobKey {
        organisation: tenant.id(),
        document: id,
    };
    app.storage
        .delete(key)
        .await
        .map_err(ApiError::unavailable)?;
    app.store
        .write(move |c| documents::failed(c, &tenant, id, code, &message, now_ms()))
        .await?;
    Ok(())
}

/// The file's SHA-256, in hex.
async fn digest(app: &App, key: BlobKey) -> Result<String, ApiError> {
    use futures_util::StreamExt;
    let mut blob = app
        .storage
        .read_stream(key)
        .await
        .map_err(ApiError::unavailable)?;
    let mut hasher = Sha256::new();
    while let Some(piece) = blob.stream.next().await {
        hasher.update(piece.map_err(ApiError::unavailable)?);
    }
    Ok(crate::storage::hex(&hasher.finalize()))
}

/// Looks for the bytes of every document that waits for them in a foreign store.
pub(crate) async fn look_for_all(app: &App) {
    if matches!(app.storage, Storage::Local(_)) {
        return;
    }
    let pending = match app.store.read(documents::pending).await {
        Ok(pending) => pending,
        Err(error) => {
            tracing::error!(%error, "cannot read which documents are pending");
            return;
        }
    };
    for (owner, id) in pending {
        let tenant = Tenant::of_owner(owner);
        let Ok(document) = app
            .store
            .read(move |c| documents::get(c, &tenant, id))
            .await
        else {
            continue;
        };
        if let Err(e) = arrived(app, tenant, &document).await {
            e.log();
        }
    }
}

//! What every part of the server shares.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use faq_auth::{AccessTokens, NewPassword, Passwords, SigningKey};
use faq_core::{CancelToken, Collection, Engine};
use tokio::sync::{Notify, Semaphore, watch};
use uuid::Uuid;

use super::answers::Answers;
use super::config::Config;
use super::error::ApiError;
use super::identity::Tenant;
use super::keys::Keys;
use super::limits::Limits;
use super::metrics::Metrics;
use super::routes::LastLook;
use super::store::Store;
use super::uploads::Incoming;
use crate::storage::Storage;

/// The server's parts. Clones share them.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) storage: Storage,
    pub(crate) tokens: AccessTokens,
    pub(crate) passwords: Passwords,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) answers: Answers,
    pub(crate) last_look: LastLook,
    /// Rings when there may be work in the queue.
    pub(crate) work: Notify,
    /// Documents whose bytes are coming in.
    pub(crate) incoming: Incoming,
    /// Work on a document that is going on, to call it off.
    pub(crate) running: Mutex<HashMap<Uuid, CancelToken>>,
    /// `true` once the server goes down.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Room for password hashes.
    pub(crate) hashing: Semaphore,
    /// The locked file of the data folder: keeps a second server out for as long as this one
    /// lives.
    pub(crate) _lock: std::fs::File,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The digest of a client secret, as it is kept.
    pub(crate) fn seal_secret(&self, organisation: Uuid, key: &SigningKey) -> Vec<u8> {
        self.keys.master.seal(
            key.expose(),
            &context("client-secret", organisation),
            &mut rand::rng(),
        )
    }

    /// The key that a kept digest is.
    pub(crate) fn open_secret(
        &self,
        organisation: Uuid,
        sealed: &[u8],
    ) -> Result<SigningKey, ApiError> {
        let opened = self
            .keys
            .master
            .open(sealed, &context("client-secret", organisation))
            .map_err(ApiError::internal)?;
        let bytes = <[u8; 32]>::try_from(opened.as_slice()).map_err(ApiError::internal)?;
        Ok(SigningKey::from_bytes(bytes))
    }

    /// A webhook's secret, as it is kept.
    pub(crate) fn seal_webhook(&self, tenant: Tenant, secret: &str) -> Vec<u8> {
        self.keys.master.seal(
            secret.as_bytes(),
            &context("webhook", tenant.id()),
            &mut rand::rng(),
        )
    }

    /// The secret of an organisation's webhook.
    pub(crate) fn open_webhook(&self, tenant: Tenant, sealed: &[u8]) -> Result<Vec<u8>, ApiError> {
        self.keys
            .master
            .open(sealed, &context("webhook", tenant.id()))
            .map(|secret| secret.to_vec())
            .map_err(ApiError::internal)
    }

    /// Hashes a password, off the executor and a few at a time.
    pub(crate) async fn hash_password(&self, password: String) -> Result<String, ApiError> {
        NewPassword::new(&password)
            .map_err(|e| ApiError::invalid_field("password", format_args!("is refused: {e}")))?;
        self.hashing(move |app| {
            let password = NewPassword::new(&password).map_err(ApiError::internal)?;
            app.passwords
                .hash(password, &mut rand::rng())
                .map_err(ApiError::internal)
        })
        .await
    }

    /// Whether a password is the one of a stored hash; for nobody's hash the same work is done.
    pub(crate) async fn verify_password(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, ApiError> {
        self.hashing(move |app| {
            match hash {
                Some(hash) => app.passwords.verify(&password, &hash),
                None => app.passwords.verify_nobody(&password),
            }
            .map_err(ApiError::internal)
        })
        .await
    }

    async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let _slot = self.hashing.acquire().await.map_err(ApiError::internal)?;
        let app = self.clone();
        tokio::task::spawn_blocking(move || work(&app))
            .await
            .map_err(ApiError::internal)?
    }

    /// The organisation's knowledge. Blocks while it is opened for the first time.
    pub(crate) fn collection(&self, tenant: &Tenant) -> Result<Collection, faq_core::Error> {
        self.engine.collection(&tenant.collection())
    }

    /// Runs work on the organisation's knowledge, off the executor.
    pub(crate) async fn with_collection<T: Send + 'static>(
        &self,
        tenant: Tenant,
        work: impl FnOnce(&Collection) -> Result<T, faq_core::Error> + Send + 'static,
    ) -> Result<T, ApiError> {
        let app = self.clone();
        tokio::task::spawn_blocking(move || work(&app.collection(&tenant)?))
            .await
            .map_err(ApiError::internal)?
            .map_err(ApiError::from)
    }

    /// Calls the work on a document off, where there is any.
    pub(crate) fn call_off(&self, document: Uuid) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cancel) = running.get(&document) {
            cancel.cancel();
        }
    }

    /// Tells the workers that there is something to do.
    pub(crate) fn wake(&self) {
        self.work.notify_waiters();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// What a sealed value belongs to, so that it opens nowhere else.
fn context(purpose: &str, organisation: Uuid) -> Vec<u8> {
    [purpose.as_bytes(), b":", organisation.as_bytes()].concat()
}

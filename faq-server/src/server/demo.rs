//! An organisation to try the server on: made at the first start, with documents, and handed
//! to the page together with its secret. For a server that only this machine reaches.

use std::path::Path;

use futures_util::stream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::app::App;
use super::clock::{DAY, now_ms};
use super::error::ApiError;
use super::identity::Tenant;
use super::registration;
use super::store::documents;
use super::store::documents::NewDocument;
use crate::storage::BlobKey;

/// Where the organisation's credentials are kept between two starts, in the data folder.
const FILE: &str = "demo.json";

/// What the page has to know to sign and to sign in.
#[derive(Serialize, Deserialize)]
pub(crate) struct Credentials {
    client_id: String,
    client_secret: String,
    org_id: Uuid,
    org_name: String,
    email: String,
    password: String,
}

/// Why there is nothing to try the server on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("the demo's organisation cannot be made: {0:?}")]
    Store(ApiError),
    #[error("the demo's credentials cannot be kept in {path}: {source}")]
    File {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("{path} cannot be read ({source}); remove the folder it lies in to begin again")]
    Content {
        path: std::path::PathBuf,
        source: serde_json::Error,
    },
}

impl From<ApiError> for DemoError {
    fn from(e: ApiError) -> Self {
        Self::Store(e)
    }
}

impl From<super::store::StoreError> for DemoError {
    fn from(e: super::store::StoreError) -> Self {
        Self::Store(e.into())
    }
}

/// What the page has to know, as JSON. `samples` are put into a new organisation.
pub(crate) async fn ready(
    app: &App,
    samples: &[(&str, &str, Vec<u8>)],
) -> Result<String, DemoError> {
    let path = app.config.data_dir.join(FILE);
    let credentials = match std::fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice::<Credentials>(&bytes).map_err(|source| DemoError::Content {
                path: path.clone(),
                source,
            })?
        }
        Err(_) => make(app, samples, &path).await?,
    };
    Ok(serde_json::to_string(&credentials).unwrap_or_default())
}

async fn make(
    app: &App,
    samples: &[(&str, &str, Vec<u8>)],
    path: &Path,
) -> Result<Credentials, DemoError> {
    let password = faq_auth::SecretKey::generate(&mut rand::rng()).to_hex()[..16].to_owned();
    let hash = app.hash_password(password.clone()).await?;
    let (name, email) = ("Demo".to_owned(), "demo@example.org".to_owned());
    let made = registration::register(app, name.clone(), email.clone(), hash).await?;
    let credentials = Credentials {
        client_id: made.client_id.to_string(),
        client_secret: made.secret.expose().to_owned(),
        org_id: made.organisation.organisation(),
        org_name: name,
        email,
        password,
    };
    let (tenant, owner_id) = (Tenant::of_owner(made.organisation), made.user);
    for (filename, content_type, bytes) in samples {
        add(app, tenant, owner_id, filename, content_type, bytes).await?;
    }
    let text = serde_json::to_vec(&credentials).unwrap_or_default();
    super::keys::write_private(path, &text).map_err(|source| DemoError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(credentials)
}

/// The way of an upload, without the network.
async fn add(
    app: &App,
    tenant: Tenant,
    uploaded_by: Uuid,
    filename: &str,
    content_type: &str,
    bytes: &[u8],
) -> Result<(), DemoError> {
    let new = NewDocument {
        id: Uuid::new_v4(),
        filename: filename.to_owned(),
        content_type: content_type.to_owned(),
        tags: vec!["sample".to_owned()],
        declared_bytes: Some(bytes.len() as u64),
        uploaded_by,
        expires_ms: now_ms() + DAY,
    };
    let key = BlobKey {
        organisation: tenant.id(),
        document: new.id,
    };
    let body = bytes::Bytes::copy_from_slice(bytes);
    let stored = app
        .storage
        .receive(
            key,
            stream::iter([Ok::<_, std::io::Error>(body)]),
            None,
            app.config.max_file_bytes,
        )
        .await
        .map_err(ApiError::unavailable)?;
    app.store
        .write(move |c| {
            let now = now_ms();
            documents::insert(c, &tenant, &new, now)?;
            documents::uploaded(c, &tenant, new.id, stored.bytes, &stored.sha256, now)
        })
        .await?;
    Ok(())
}

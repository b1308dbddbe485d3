//! An organisation to try the server on: made at the first start, with documents, and handed
//! to the page together with its secret. For a server that only this machine reaches.

use std::path::Path;

use faq_auth::{ClientId, ClientSecret, Role};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::app::App;
use super::clock::{DAY, now_ms};
use super::error::ApiError;
use super::identity::Tenant;
use super::store::documents::NewDocument;
use super::store::organisations::{NewOrganisation, Quotas, Signup};
use super::store::users::{NewUser, UserStatus};
use super::store::{documents, organisations, users};
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
    let (client_id, secret, password) = {
        let mut rng = rand::rng();
        let word = faq_auth::SecretKey::generate(&mut rng).to_hex();
        (
            ClientId::generate(&mut rng),
            ClientSecret::generate(&mut rng),
            word[..16].to_owned(),
        )
    };
    let owner = NewUser {
        id: Uuid::new_v4(),
        email: "demo@example.org".to_owned(),
        password_hash: app.hash_password(password.clone()).await?,
        role: Role::Owner,
        status: UserStatus::Active,
    };
    let new = NewOrganisation {
        id: Uuid::new_v4(),
        name: "Demo".to_owned(),
        client_id: client_id.to_string(),
        signup: Signup::Open,
        quotas: Quotas {
            documents: app.config.max_documents,
            users: app.config.max_users,
            bytes: app.config.max_bytes,
        },
    };
    let credentials = Credentials {
        client_id: client_id.to_string(),
        client_secret: secret.expose().to_owned(),
        org_id: new.id,
        org_name: new.name.clone(),
        email: owner.email.clone(),
        password,
    };
    let sealed = app.seal_secret(new.id, &secret.signing_key());
    let owner_id = owner.id;
    let organisation = app
        .store
        .write(move |c| {
            let now = now_ms();
            let organisation = organisations::insert(c, &new, now)?;
            organisations::insert_secret(c, new.id, Uuid::new_v4(), &sealed, now)?;
            users::insert(c, new.id, &owner, now)?;
            Ok(organisation)
        })
        .await?;
    let tenant = Tenant::of_owner(organisation);
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

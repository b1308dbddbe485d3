//! A new organisation with its first owner and its client secret.

use faq_auth::{ClientId, ClientSecret, Role};
use uuid::Uuid;

use super::app::App;
use super::clock::now_ms;
use super::error::ApiError;
use super::store::jobs::Owner;
use super::store::organisations::{NewOrganisation, Quotas, Signup};
use super::store::users::{NewUser, UserStatus};
use super::store::{organisations, users};

/// What there is to hand over, the secret for the only time.
pub(crate) struct Registration {
    pub(crate) organisation: Owner,
    pub(crate) client_id: ClientId,
    pub(crate) secret: ClientSecret,
    /// The first owner's id.
    pub(crate) user: Uuid,
}

/// Registers an organisation with the server's quotas, in one step.
pub(crate) async fn register(
    app: &App,
    name: String,
    email: String,
    password_hash: String,
) -> Result<Registration, ApiError> {
    let (client_id, secret) = {
        let mut rng = rand::rng();
        (
            ClientId::generate(&mut rng),
            ClientSecret::generate(&mut rng),
        )
    };
    let new = NewOrganisation {
        id: Uuid::new_v4(),
        name,
        client_id: client_id.to_string(),
        signup: Signup::Open,
        quotas: Quotas {
            documents: app.config.max_documents,
            users: app.config.max_users,
            bytes: app.config.max_bytes,
        },
    };
    let owner = NewUser {
        id: Uuid::new_v4(),
        email,
        password_hash,
        role: Role::Owner,
        status: UserStatus::Active,
    };
    let sealed = app.seal_secret(new.id, &secret.signing_key());
    let user = owner.id;
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
    Ok(Registration {
        organisation,
        client_id,
        secret,
        user,
    })
}

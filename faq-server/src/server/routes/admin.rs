//! What admins look after: dead letters, people, usage, secrets, the webhook, export, erasure.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use faq_auth::{ClientSecret, Role};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::users::{NamesUser, change};
use super::{ADMIN, OWNER};
use crate::server::api::{ConversationView, MessageView, UserResponse, UserView};
use crate::server::app::App;
use crate::server::body::{Body, Id, Params, after, page};
use crate::server::clock::{DAY, now_ms, rfc3339};
use crate::server::error::{ApiError, Code};
use crate::server::identity::{Admin, Caller, OwnerRole};
use crate::server::store::jobs::Kind;
use crate::server::store::organisations::Signup;
use crate::server::store::users::UserStatus;
use crate::server::store::{conversations, documents, jobs, organisations, users};
use crate::webhook;

/// Entries of one page of a list.
const PAGE: usize = 100;

/// How long an old client secret lives on where nothing else is said, and at most.
const OVERLAP_DAYS: (i64, i64) = (7, 90);

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct ListParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetter {
    id: Uuid,
    kind: Kind,
    document_id: Option<Uuid>,
    attempts: u32,
    error_code: Option<String>,
    error_message: Option<String>,
    created_at: String,
    failed_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
    next_cursor: Option<String>,
}

/// Work that was given up, newest first.
#[utoipa::path(
    get, path = "/v1/admin/dead-letters", tag = "admin", params(ListParams),
    responses((status = 200, body = DeadLetters)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn dead_letters(
    State(app): State<App>,
    who: Caller<Admin>,
    Params(params): Params<ListParams>,
) -> Result<Json<DeadLetters>, ApiError> {
    let tenant = who.tenant;
    let after = after(params.cursor.as_deref())?;
    let found = app
        .store
        .read(move |c| jobs::dead(c, &tenant, after, PAGE + 1))
        .await?;
    let (found, next_cursor) = page(found, PAGE, |j| (j.finished_ms, j.id));
    let dead_letters = found
        .into_iter()
        .map(|job| DeadLetter {
            id: job.id,
            kind: job.kind,
            document_id: job.document,
            attempts: job.attempts,
            error_code: job.error_code,
            error_message: job.last_error,
            created_at: rfc3339(job.created_ms),
            failed_at: rfc3339(job.finished_ms),
        })
        .collect();
    Ok(Json(DeadLetters {
        dead_letters,
        next_cursor,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retried {
    retried: Uuid,
}

/// Queues work again that was given up, with all its attempts.
#[utoipa::path(
    post, path = "/v1/admin/dead-letters/{id}/retry", tag = "admin", params(("id" = Uuid, Path)),
    responses((status = 200, body = Retried)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn retry(
    State(app): State<App>,
    who: Caller<Admin>,
    Id(id): Id,
) -> Result<Json<Retried>, ApiError> {
    let tenant = who.tenant;
    app.store
        .write(move |c| jobs::retry(c, &tenant, id, now_ms()))
        .await?;
    app.wake();
    Ok(Json(Retried { retried: id }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cleared {
    cleared: usize,
}

/// Takes all dead letters away. Their documents stay, as failed.
#[utoipa::path(
    delete, path = "/v1/admin/dead-letters", tag = "admin",
    responses((status = 200, body = Cleared)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn clear(
    State(app): State<App>,
    who: Caller<Admin>,
) -> Result<Json<Cleared>, ApiError> {
    let tenant = who.tenant;
    let cleared = app
        .store
        .write(move |c| jobs::clear(c, &tenant, None))
        .await?;
    Ok(Json(Cleared { cleared }))
}

/// Takes one dead letter away.
#[utoipa::path(
    delete, path = "/v1/admin/dead-letters/{id}", tag = "admin", params(("id" = Uuid, Path)),
    responses((status = 200, body = Cleared)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn clear_one(
    State(app): State<App>,
    who: Caller<Admin>,
    Id(id): Id,
) -> Result<Json<Cleared>, ApiError> {
    let tenant = who.tenant;
    let cleared = app
        .store
        .write(move |c| jobs::clear(c, &tenant, Some(id)))
        .await?;
    if cleared == 0 {
        return Err(ApiError::not_found("dead letter"));
    }
    Ok(Json(Cleared { cleared }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    users: Vec<UserView>,
    next_cursor: Option<String>,
}

/// The organisation's people, in order of their joining.
#[utoipa::path(
    get, path = "/v1/admin/users", tag = "admin", params(ListParams),
    responses((status = 200, body = UserList)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn list_users(
    State(app): State<App>,
    who: Caller<Admin>,
    Params(params): Params<ListParams>,
) -> Result<Json<UserList>, ApiError> {
    let tenant = who.tenant;
    let after = after(params.cursor.as_deref())?;
    let found = app
        .store
        .read(move |c| users::list(c, &tenant, after, PAGE + 1))
        .await?;
    let (found, next_cursor) = page(found, PAGE, |u| (u.created_ms, u.id));
    Ok(Json(UserList {
        users: found
            .iter()
            .map(|user| UserView::new(user, tenant.id()))
            .collect(),
        next_cursor,
    }))
}

/// Gives a person back the access that was revoked.
#[utoipa::path(
    post, path = "/v1/admin/users/restore", tag = "admin", request_body = NamesUser,
    responses((status = 200, body = UserResponse)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn restore(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<NamesUser>,
) -> Result<Json<UserResponse>, ApiError> {
    activate(&app, &who, asked.user_id, UserStatus::Revoked).await
}

/// Approves a person who signed up.
#[utoipa::path(
    post, path = "/v1/admin/users/approve", tag = "admin", request_body = NamesUser,
    responses((status = 200, body = UserResponse)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn approve(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<NamesUser>,
) -> Result<Json<UserResponse>, ApiError> {
    activate(&app, &who, asked.user_id, UserStatus::Pending).await
}

async fn activate(
    app: &App,
    who: &Caller<Admin>,
    id: Uuid,
    from: UserStatus,
) -> Result<Json<UserResponse>, ApiError> {
    change(app, who, id, move |c, tenant, id| {
        let found = users::get(c, tenant, id)?.status;
        if found != from && found != UserStatus::Active {
            return Err(ApiError::conflict(
                Code::Conflict,
                format!("this account is {}, not {}", found.name(), from.name()),
            )
            .into());
        }
        users::set_status(c, tenant, id, UserStatus::Active)
    })
    .await
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Invite {
    email: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invited {
    invited: String,
}

/// Lets an address sign up where sign-up is by invitation.
#[utoipa::path(
    post, path = "/v1/admin/users/invite", tag = "admin", request_body = Invite,
    responses((status = 201, body = Invited)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn invite(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<Invite>,
) -> Result<(StatusCode, Json<Invited>), ApiError> {
    let tenant = who.tenant;
    let email = super::auth::email(&asked.email)?.to_string();
    let kept = email.clone();
    app.store
        .write(move |c| users::invite(c, &tenant, &kept, now_ms()))
        .await?;
    Ok((StatusCode::CREATED, Json(Invited { invited: email })))
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SetSignup {
    signup: Signup,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignupView {
    signup: Signup,
}

/// Says how people join: `open`, by `approval`, or by `invite`.
#[utoipa::path(
    put, path = "/v1/admin/signup", tag = "admin", request_body = SetSignup,
    responses((status = 200, body = SignupView)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn set_signup(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<SetSignup>,
) -> Result<Json<SignupView>, ApiError> {
    let tenant = who.tenant;
    app.store
        .write(move |c| organisations::set_signup(c, &tenant, asked.signup))
        .await?;
    Ok(Json(SignupView {
        signup: asked.signup,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Measure {
    used: u64,
    allowed: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    org_id: Uuid,
    org_name: String,
    created_at: String,
    signup: Signup,
    documents: Measure,
    users: Measure,
    bytes: Measure,
}

/// What the organisation uses, and what it may use.
#[utoipa::path(
    get, path = "/v1/admin/usage", tag = "admin",
    responses((status = 200, body = Usage)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn usage(
    State(app): State<App>,
    who: Caller<Admin>,
) -> Result<Json<Usage>, ApiError> {
    let tenant = who.tenant;
    let (organisation, used, people) = app
        .store
        .read(move |c| {
            Ok((
                organisations::get(c, &tenant)?,
                documents::used(c, &tenant)?,
                users::count(c, &tenant)?,
            ))
        })
        .await?;
    let quotas = organisation.quotas;
    let measure = |used, allowed| Measure { used, allowed };
    Ok(Json(Usage {
        org_id: tenant.id(),
        org_name: organisation.name,
        created_at: rfc3339(organisation.created_ms),
        signup: organisation.signup,
        documents: measure(used.documents, quotas.documents),
        users: measure(people, quotas.users),
        bytes: measure(used.bytes, quotas.bytes),
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretView {
    id: Uuid,
    created_at: String,
    /// When it ends; absent for the newest.
    expires_at: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Secrets {
    client_id: String,
    secrets: Vec<SecretView>,
}

/// The live client secrets, newest first; not the secrets themselves.
#[utoipa::path(
    get, path = "/v1/admin/secrets", tag = "admin",
    responses((status = 200, body = Secrets)), extensions(("x-needs" = json!(OWNER)))
)]
pub(crate) async fn secrets(
    State(app): State<App>,
    who: Caller<OwnerRole>,
) -> Result<Json<Secrets>, ApiError> {
    let tenant = who.tenant;
    let (organisation, secrets) = app
        .store
        .read(move |c| {
            Ok((
                organisations::get(c, &tenant)?,
                organisations::secrets(c, &tenant, now_ms())?,
            ))
        })
        .await?;
    Ok(Json(Secrets {
        client_id: organisation.client_id,
        secrets: secrets
            .into_iter()
            .map(|s| SecretView {
                id: s.id,
                created_at: rfc3339(s.created_ms),
                expires_at: s.expires_ms.map(rfc3339),
            })
            .collect(),
    }))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct Rotate {
    /// Days for which the secret before lives on, 0 to 90; 7 where nothing is said.
    #[schema(minimum = 0, maximum = 90)]
    overlap_days: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rotated {
    client_id: String,
    /// Shown this once.
    client_secret: String,
    /// When the secret before ends.
    previous_expires_at: String,
    warning: &'static str,
}

/// Makes a new client secret. The one before lives on for a while, so that apps can change.
#[utoipa::path(
    post, path = "/v1/admin/secrets/rotate", tag = "admin", request_body = Rotate,
    responses((status = 201, body = Rotated)), extensions(("x-needs" = json!(OWNER)))
)]
pub(crate) async fn rotate(
    State(app): State<App>,
    who: Caller<OwnerRole>,
    Body(asked): Body<Rotate>,
) -> Result<(StatusCode, Json<Rotated>), ApiError> {
    let tenant = who.tenant;
    let days = asked.overlap_days.unwrap_or(OVERLAP_DAYS.0);
    if !(0..=OVERLAP_DAYS.1).contains(&days) {
        return Err(ApiError::invalid_field("overlap_days", "has to be 0 to 90"));
    }
    let secret = ClientSecret::generate(&mut rand::rng());
    let sealed = app.seal_secret(tenant.id(), &secret.signing_key());
    let now = now_ms();
    let until = now + days * DAY;
    let organisation = app
        .store
        .write(move |c| {
            organisations::rotate_secret(c, &tenant, Uuid::new_v4(), &sealed, now, until)?;
            organisations::get(c, &tenant)
        })
        .await?;
    tracing::info!(org_id = %tenant.id(), "client secret rotated");
    Ok((
        StatusCode::CREATED,
        Json(Rotated {
            client_id: organisation.client_id,
            client_secret: secret.expose().to_owned(),
            previous_expires_at: rfc3339(until),
            warning: "Save the client_secret now: it is not shown again.",
        }),
    ))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ended {
    ended: Uuid,
}

/// Ends a client secret now. The last one stays.
#[utoipa::path(
    delete, path = "/v1/admin/secrets/{id}", tag = "admin", params(("id" = Uuid, Path)),
    responses((status = 200, body = Ended)), extensions(("x-needs" = json!(OWNER)))
)]
pub(crate) async fn end_secret(
    State(app): State<App>,
    who: Caller<OwnerRole>,
    Id(id): Id,
) -> Result<Json<Ended>, ApiError> {
    let tenant = who.tenant;
    let ended = app
        .store
        .write(move |c| organisations::end_secret(c, &tenant, id, now_ms()))
        .await?;
    if !ended {
        return Err(ApiError::conflict(
            Code::Conflict,
            "the last secret stays; rotate first",
        ));
    }
    Ok(Json(Ended { ended: id }))
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SetWebhook {
    #[schema(example = "https://hooks.acme.example/faq")]
    url: String,
    /// What events are signed with, 16 characters or more; made where nothing is given.
    secret: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    /// Absent where there is no webhook.
    url: Option<String>,
    /// Shown only when it was made just now.
    secret: Option<String>,
}

/// Where the organisation is told of its documents.
#[utoipa::path(
    get, path = "/v1/admin/webhook", tag = "admin",
    responses((status = 200, body = WebhookView)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn webhook(
    State(app): State<App>,
    who: Caller<Admin>,
) -> Result<Json<WebhookView>, ApiError> {
    let tenant = who.tenant;
    let organisation = app
        .store
        .read(move |c| organisations::get(c, &tenant))
        .await?;
    Ok(Json(WebhookView {
        url: organisation.webhook_url,
        secret: None,
    }))
}

/// Sets the webhook.
#[utoipa::path(
    put, path = "/v1/admin/webhook", tag = "admin", request_body = SetWebhook,
    responses((status = 200, body = WebhookView)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn set_webhook(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<SetWebhook>,
) -> Result<Json<WebhookView>, ApiError> {
    let tenant = who.tenant;
    let policy = webhook::Policy {
        timeout: app.config.webhook_timeout,
        allow_private: app.config.webhook_allow_private,
    };
    webhook::validate_url(&asked.url, &policy)
        .map_err(|e| ApiError::invalid_field("url", format_args!("is refused: {e}")))?;
    let made = asked.secret.is_none();
    let secret = match asked.secret {
        Some(secret) if secret.len() >= 16 => secret,
        Some(_) => {
            return Err(ApiError::invalid_field(
                "secret",
                "has to have 16 characters or more",
            ));
        }
        None => faq_auth::SecretKey::generate(&mut rand::rng())
            .to_hex()
            .to_string(),
    };
    let sealed = app.seal_webhook(tenant, &secret);
    let url = asked.url.clone();
    app.store
        .write(move |c| organisations::set_webhook(c, &tenant, Some((&url, &sealed))))
        .await?;
    Ok(Json(WebhookView {
        url: Some(asked.url),
        secret: made.then_some(secret),
    }))
}

/// Takes the webhook away.
#[utoipa::path(
    delete, path = "/v1/admin/webhook", tag = "admin",
    responses((status = 200, body = WebhookView)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn end_webhook(
    State(app): State<App>,
    who: Caller<Admin>,
) -> Result<Json<WebhookView>, ApiError> {
    let tenant = who.tenant;
    app.store
        .write(move |c| organisations::set_webhook(c, &tenant, None))
        .await?;
    Ok(Json(WebhookView {
        url: None,
        secret: None,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportedConversation {
    conversation: ConversationView,
    messages: Vec<MessageView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Export {
    user: UserView,
    conversations: Vec<ExportedConversation>,
    exported_at: String,
}

/// Everything that is kept about one person.
#[utoipa::path(
    post, path = "/v1/admin/export", tag = "admin", request_body = NamesUser,
    responses((status = 200, body = Export)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn export(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<NamesUser>,
) -> Result<Json<Export>, ApiError> {
    let (tenant, id) = (who.tenant, asked.user_id);
    let (user, found) = app
        .store
        .read(move |c| {
            let user = users::get(c, &tenant, id)?;
            let mut found = Vec::new();
            for conversation in conversations::list(c, &tenant, id, None, usize::MAX >> 1)? {
                let messages =
                    conversations::messages(c, &tenant, conversation.id, usize::MAX >> 1)?;
                found.push((conversation, messages));
            }
            Ok((user, found))
        })
        .await?;
    let mut exported = Vec::with_capacity(found.len());
    for (conversation, messages) in found {
        exported.push(ExportedConversation {
            conversation: ConversationView::from(&conversation),
            messages: super::chat::resolve(&app, tenant, messages).await?,
        });
    }
    Ok(Json(Export {
        user: UserView::new(&user, tenant.id()),
        conversations: exported,
        exported_at: rfc3339(now_ms()),
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasedUser {
    user_id: Uuid,
    conversations: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erasure {
    erased: ErasedUser,
}

/// Erases a person: account, sessions, conversations. Documents stay; they are the
/// organisation's.
#[utoipa::path(
    post, path = "/v1/admin/erase", tag = "admin", request_body = NamesUser,
    responses((status = 200, body = Erasure)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn erase(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<NamesUser>,
) -> Result<Json<Erasure>, ApiError> {
    let (tenant, id, by) = (who.tenant, asked.user_id, who.role);
    let conversations = app
        .store
        .write(move |c| {
            let user = users::get(c, &tenant, id)?;
            if user.role == Role::Owner && by != Role::Owner {
                return Err(ApiError::forbidden("only an owner may erase an owner").into());
            }
            let count = conversations::count(c, &tenant, id)?;
            users::delete(c, &tenant, id)?;
            if users::active_owners(c, &tenant)? == 0 {
                return Err(ApiError::conflict(
                    Code::LastOwner,
                    "an organisation needs an owner; make another one first",
                )
                .into());
            }
            Ok(count)
        })
        .await?;
    app.answers.forget(tenant);
    Ok(Json(Erasure {
        erased: ErasedUser {
            user_id: id,
            conversations,
        },
    }))
}

//! Signing up, in and out.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use faq_auth::{Email, RefreshToken, Role, Session, SignInFailures};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{MEMBER, PUBLIC, SIGNED};
use crate::server::api::{UserResponse, UserView};
use crate::server::app::App;
use crate::server::body::Body;
use crate::server::clock::now_ms;
use crate::server::error::{ApiError, Code};
use crate::server::identity::{Caller, Credentials, Member, Signed, Tenant, authenticate};
use crate::server::request::ClientAddress;
use crate::server::store::organisations::Signup;
use crate::server::store::sessions::Refreshed;
use crate::server::store::users::{NewUser, User, UserStatus};
use crate::server::store::{organisations, sessions, users};

/// Longest description of a device, in characters.
const DEVICE_INFO: usize = 200;

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SignUp {
    email: String,
    /// 8 to 1024 bytes.
    #[schema(min_length = 8)]
    password: String,
    org_id: Uuid,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct LogIn {
    email: String,
    password: String,
    /// What the person will know the session by.
    #[schema(value_type = Option<String>)]
    device_info: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Refresh {
    refresh_token: String,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChangePassword {
    old_password: String,
    /// 8 to 1024 bytes.
    #[schema(min_length = 8)]
    new_password: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tokens {
    access_token: String,
    /// To be used once; the response brings the next.
    refresh_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: i64,
    user: UserView,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    pub(crate) message: &'static str,
}

/// Adds a person to the organisation that signed the request.
#[utoipa::path(
    post, path = "/v1/auth/signup", tag = "auth", request_body = SignUp,
    responses((status = 201, body = UserResponse)), extensions(("x-needs" = json!(SIGNED)))
)]
pub(crate) async fn signup(
    State(app): State<App>,
    Signed(tenant): Signed,
    ClientAddress(address): ClientAddress,
    Body(asked): Body<SignUp>,
) -> Result<(StatusCode, Json<UserResponse>), ApiError> {
    app.limits.sign_in(address)?;
    if asked.org_id != tenant.id() {
        return Err(ApiError::not_found("organisation"));
    }
    let email = email(&asked.email)?;
    let password_hash = app.hash_password(asked.password).await?;
    let user = app
        .store
        .write(move |c| {
            let now = now_ms();
            let organisation = organisations::get(c, &tenant)?;
            let status = match organisation.signup {
                Signup::Open => UserStatus::Active,
                Signup::Approval => UserStatus::Pending,
                Signup::Invite => {
                    if !users::take_invite(c, &tenant, email.as_str())? {
                        return Err(ApiError::new(
                            StatusCode::FORBIDDEN,
                            Code::SignupClosed,
                            "this organisation takes invited people only; ask its admin",
                        )
                        .into());
                    }
                    UserStatus::Active
                }
            };
            if users::count(c, &tenant)? >= organisation.quotas.users {
                return Err(
                    ApiError::quota("this organisation has all the users it may have").into(),
                );
            }
            let new = NewUser {
                id: Uuid::new_v4(),
                email: email.to_string(),
                password_hash,
                role: Role::User,
                status,
            };
            if !users::insert(c, tenant.id(), &new, now)? {
                return Err(ApiError::conflict(
                    Code::EmailTaken,
                    "this address is taken in this organisation",
                )
                .into());
            }
            users::get(c, &tenant, new.id)
        })
        .await?;
    let user = UserView::new(&user, tenant.id());
    Ok((StatusCode::CREATED, Json(UserResponse { user })))
}

/// Signs a person in.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "auth", request_body = LogIn,
    responses((status = 200, body = Tokens)), extensions(("x-needs" = json!(SIGNED)))
)]
pub(crate) async fn login(
    State(app): State<App>,
    Signed(tenant): Signed,
    ClientAddress(address): ClientAddress,
    Body(asked): Body<LogIn>,
) -> Result<Json<Tokens>, ApiError> {
    app.limits.sign_in(address)?;
    let wrong = || ApiError::unauthorized(Code::InvalidCredentials, "Invalid email or password");
    let Ok(email) = asked.email.parse::<Email>() else {
        return Err(wrong());
    };
    let wanted = email.clone();
    let found = app
        .store
        .read(move |c| users::by_email(c, &tenant, wanted.as_str()))
        .await?;
    let now = now_ms();
    let known = found.as_ref().map(failures);
    check_lock(
        known.unwrap_or_else(|| app.limits.stranger(tenant, email.as_str())),
        now,
    )?;
    let hash = found.as_ref().map(|user| user.password_hash.clone());
    let right = app.verify_password(asked.password.clone(), hash).await?;
    let Some(user) = found else {
        app.limits.stranger_failed(tenant, email.as_str(), now);
        return Err(wrong());
    };
    if !right {
        let failures = failures(&user).with_another(now);
        app.store
            .write(move |c| users::failed_login(c, &tenant, user.id, failures.count, now))
            .await?;
        return Err(wrong());
    }
    // Only who knows the password learns how the account stands.
    match user.status {
        UserStatus::Active => {}
        UserStatus::Pending => {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                Code::ApprovalPending,
                "an admin has to approve this account first",
            ));
        }
        UserStatus::Revoked => {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                Code::AccountInactive,
                "this account's access was revoked; ask an admin",
            ));
        }
    }
    if app.passwords.needs_rehash(&user.password_hash) {
        let hash = app.hash_password(asked.password).await;
        if let Ok(hash) = hash {
            app.store
                .write(move |c| users::set_password(c, &tenant, user.id, &hash))
                .await?;
        }
    }
    let device = asked.device_info.map(device);
    let session = Uuid::new_v4();
    let (user_id, refresh) = (user.id, new_refresh(&app));
    let (fingerprint, expires) = (refresh.1, refresh.2);
    let user = app
        .store
        .write(move |c| {
            let now = now_ms();
            users::logged_in(c, &tenant, user_id, now)?;
            sessions::insert(c, &tenant, session, user_id, device.as_deref(), now)?;
            sessions::insert_token(c, tenant.id(), session, &fingerprint, expires)?;
            users::get(c, &tenant, user_id)
        })
        .await?;
    tokens(&app, tenant, session, &user, &refresh.0).map(Json)
}

/// New tokens for a refresh token, which is used up by this.
///
/// A token that is used a second time ends its session: somebody has a copy. A signature is not
/// needed; one that is sent has to be right.
#[utoipa::path(
    post, path = "/v1/auth/refresh", tag = "auth", request_body = Refresh,
    responses((status = 200, body = Tokens)), extensions(("x-needs" = json!(PUBLIC)))
)]
pub(crate) async fn refresh(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Tokens>, ApiError> {
    let (parts, body) = request.into_parts();
    let address = crate::server::request::address(&parts, &app.config.trusted_proxies);
    app.limits.address(address)?;
    let bytes = super::read(body).await?;
    let signer = if Credentials::are_in(&parts.headers) {
        let target = super::target(&parts);
        let credentials = Credentials::of_headers(&parts.headers);
        let identity = authenticate(
            &app,
            &parts.method,
            &target,
            credentials.as_ref(),
            &bytes,
            address,
            false,
        )
        .await?;
        Some(identity.tenant())
    } else {
        None
    };
    let asked: Refresh = crate::server::body::parse(&bytes)?;
    let refused = || {
        ApiError::unauthorized(
            Code::InvalidRefreshToken,
            "Invalid refresh token; sign in again",
        )
    };
    let token: RefreshToken = asked.refresh_token.parse().map_err(|_| refused())?;
    let fingerprint = token.fingerprint(&app.keys.refresh);
    let next = new_refresh(&app);
    let (next_print, next_expires) = (next.1, next.2);
    // The token's organisation has to be the signer's before the token is used up.
    let used = app
        .store
        .write(move |c| {
            let used = sessions::use_token(c, &fingerprint, now_ms())?;
            let Some(tenant) = Tenant::of_session(&used) else {
                return Ok(Err(used));
            };
            if signer.is_some_and(|signer| signer != tenant) {
                return Err(crate::server::store::StoreError::NotFound("session"));
            }
            let Refreshed::Fresh { session, user, .. } = used else {
                return Ok(Err(used));
            };
            let user = users::get(c, &tenant, user)?;
            sessions::insert_token(c, tenant.id(), session, &next_print, next_expires)?;
            Ok(Ok((tenant, session, user)))
        })
        .await;
    match used {
        Ok(Ok((tenant, session, user))) if user.status == UserStatus::Active => {
            tokens(&app, tenant, session, &user, &next.0).map(Json)
        }
        Ok(Err(Refreshed::Reused {
            organisation,
            session,
        })) => {
            tracing::warn!(org_id = %organisation, %session, "a refresh token was used twice; its session was ended");
            Err(refused())
        }
        Ok(_) | Err(crate::server::store::StoreError::NotFound(_)) => Err(refused()),
        Err(e) => Err(e.into()),
    }
}

/// Ends the session.
#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "auth",
    responses((status = 200, body = Done)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn logout(
    State(app): State<App>,
    who: Caller<Member>,
) -> Result<Json<Done>, ApiError> {
    let (tenant, session) = (who.tenant, who.session);
    app.store
        .write(move |c| sessions::revoke(c, &tenant, session, now_ms()))
        .await?;
    Ok(Json(Done {
        message: "signed out",
    }))
}

/// Changes the password and ends the person's other sessions.
#[utoipa::path(
    post, path = "/v1/auth/change-password", tag = "auth", request_body = ChangePassword,
    responses((status = 200, body = Done)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn change_password(
    State(app): State<App>,
    who: Caller<Member>,
    ClientAddress(address): ClientAddress,
    Body(asked): Body<ChangePassword>,
) -> Result<Json<Done>, ApiError> {
    app.limits.sign_in(address)?;
    let (tenant, id, session) = (who.tenant, who.user, who.session);
    let user = app.store.read(move |c| users::get(c, &tenant, id)).await?;
    if !app
        .verify_password(asked.old_password, Some(user.password_hash))
        .await?
    {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            Code::InvalidCredentials,
            "the old password is wrong",
        ));
    }
    faq_auth::NewPassword::new(&asked.new_password)
        .map_err(|e| ApiError::invalid_field("new_password", format_args!("is refused: {e}")))?;
    let hash = app.hash_password(asked.new_password).await?;
    app.store
        .write(move |c| {
            users::set_password(c, &tenant, id, &hash)?;
            sessions::revoke_all(c, &tenant, id, Some(session), now_ms())
        })
        .await?;
    Ok(Json(Done {
        message: "password changed; other sessions ended",
    }))
}

/// The person who asks.
#[utoipa::path(
    get, path = "/v1/user", tag = "users",
    responses((status = 200, body = UserView)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn me(
    State(app): State<App>,
    who: Caller<Member>,
) -> Result<Json<UserView>, ApiError> {
    let (tenant, id) = (who.tenant, who.user);
    let user = app.store.read(move |c| users::get(c, &tenant, id)).await?;
    Ok(Json(UserView::new(&user, tenant.id())))
}

fn failures(user: &User) -> SignInFailures {
    SignInFailures {
        count: user.failures,
        last_ms: user.last_failure_ms.unwrap_or(0),
    }
}

fn check_lock(failures: SignInFailures, now: i64) -> Result<(), ApiError> {
    failures.check(now).map_err(|locked| {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            Code::AccountLocked,
            "too many wrong passwords; signing in to this account is locked for a while",
        )
        .retry_after(locked.retry_after_s())
    })
}

pub(super) fn email(text: &str) -> Result<Email, ApiError> {
    text.parse()
        .map_err(|e| ApiError::invalid_field("email", format_args!("is no address: {e}")))
}

/// Clients send text or an object; both are kept as text.
fn device(info: serde_json::Value) -> String {
    let text = match info {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    text.chars().take(DEVICE_INFO).collect()
}

/// A refresh token, its fingerprint, and when it expires.
fn new_refresh(app: &App) -> (RefreshToken, [u8; 32], i64) {
    let token = RefreshToken::generate(&mut rand::rng());
    let fingerprint = token.fingerprint(&app.keys.refresh);
    let lifetime = i64::try_from(app.config.refresh_token.as_millis()).unwrap_or(i64::MAX);
    (token, fingerprint, now_ms().saturating_add(lifetime))
}

fn tokens(
    app: &App,
    tenant: Tenant,
    session: Uuid,
    user: &User,
    refresh: &RefreshToken,
) -> Result<Tokens, ApiError> {
    let named = Session {
        user: user.id,
        organisation: tenant.id(),
        session,
    };
    let access_token = app
        .tokens
        .issue(named, Uuid::new_v4(), now_ms())
        .map_err(ApiError::internal)?;
    Ok(Tokens {
        access_token,
        refresh_token: refresh.expose().to_owned(),
        token_type: "Bearer",
        expires_in: app.tokens.expires_in_s(),
        user: UserView::new(user, tenant.id()),
    })
}

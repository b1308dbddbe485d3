//! Registering an organisation.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use faq_auth::{Email, Role};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{PUBLIC, body_of};
use crate::server::app::App;
use crate::server::config::Registration;
use crate::server::error::{ApiError, Code};
use crate::server::registration;

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Register {
    #[schema(min_length = 1, max_length = 200, example = "Acme")]
    org_name: String,
    #[schema(example = "owner@acme.example")]
    admin_email: String,
    /// 8 to 1024 bytes.
    #[schema(min_length = 8, example = "correct horse battery staple")]
    admin_password: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    org_id: Uuid,
    org_name: String,
    client_id: String,
    /// Shown this once.
    client_secret: String,
    admin_user: AdminUser,
    warning: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminUser {
    id: Uuid,
    email: String,
    #[schema(value_type = String, example = "owner")]
    role: Role,
}

/// Registers an organisation with its first owner.
///
/// Where registration needs a token, it comes in `X-Registration-Token`.
#[utoipa::path(
    post, path = "/v1/org/register", tag = "organisations", request_body = Register,
    responses((status = 201, body = Registered)), extensions(("x-needs" = json!(PUBLIC)))
)]
pub(crate) async fn register(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    let (parts, body) = request.into_parts();
    app.limits.sign_in(crate::server::request::address(
        &parts,
        &app.config.trusted_proxies,
    ))?;
    check_registration(&app.config.registration, &parts.headers)?;
    let asked: Register = body_of(&parts.headers, body).await?;
    let name = name(&asked.org_name)?;
    let email: Email = asked
        .admin_email
        .parse()
        .map_err(|e| ApiError::invalid_field("admin_email", format_args!("is no address: {e}")))?;
    faq_auth::NewPassword::new(&asked.admin_password)
        .map_err(|e| ApiError::invalid_field("admin_password", format_args!("is refused: {e}")))?;
    let password_hash = app.hash_password(asked.admin_password).await?;

    let email = email.to_string();
    let made = registration::register(&app, name.clone(), email.clone(), password_hash).await?;
    let organisation = made.organisation.organisation();
    let registered = Registered {
        org_id: organisation,
        org_name: name,
        client_id: made.client_id.to_string(),
        client_secret: made.secret.expose().to_owned(),
        admin_user: AdminUser {
            id: made.user,
            email,
            role: Role::Owner,
        },
        warning: "Save the client_secret now: it is not shown again.",
    };
    tracing::info!(org_id = %organisation, "organisation registered");
    Ok((StatusCode::CREATED, Json(registered)))
}

fn check_registration(registration: &Registration, headers: &HeaderMap) -> Result<(), ApiError> {
    let closed = |sentence| {
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            Code::RegistrationClosed,
            sentence,
        ))
    };
    match registration {
        Registration::Open => Ok(()),
        Registration::Closed => closed("registration is closed on this server"),
        Registration::Token(token) => {
            let given = headers
                .get("x-registration-token")
                .map_or(&b""[..], |value| value.as_bytes());
            if bool::from(given.ct_eq(token.as_bytes())) {
                Ok(())
            } else {
                closed("registration on this server needs a token in X-Registration-Token")
            }
        }
    }
}

fn name(text: &str) -> Result<String, ApiError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(ApiError::invalid_field(
            "org_name",
            "has to have 1 to 200 characters, none of them a control character",
        ));
    }
    Ok(name.to_owned())
}

//! Roles and access, changed by admins.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use faq_auth::Role;
use rusqlite::Connection;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ADMIN, OWNER};
use crate::server::api::{UserResponse, UserView};
use crate::server::app::App;
use crate::server::body::Body;
use crate::server::clock::now_ms;
use crate::server::error::{ApiError, Code};
use crate::server::identity::{Actor, Admin, Caller, OwnerRole, Tenant};
use crate::server::store::users::UserStatus;
use crate::server::store::{Result as StoreResult, sessions, users};

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SetRole {
    user_id: Uuid,
    /// `admin` or `user`.
    #[schema(value_type = String, pattern = "^(admin|user)$", example = "admin")]
    role: Role,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SetOwner {
    user_id: Uuid,
    /// Whether they shall be an owner; if not, they become an admin.
    owner: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NamesUser {
    pub(super) user_id: Uuid,
}

/// Makes a user an admin, or an admin a user.
#[utoipa::path(
    post, path = "/v1/convert-user-to-admin", tag = "users", request_body = SetRole,
    responses((status = 200, body = UserResponse)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn convert(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<SetRole>,
) -> Result<Json<UserResponse>, ApiError> {
    if asked.role == Role::Owner {
        return Err(ApiError::invalid_field("role", "has to be admin or user"));
    }
    change(&app, &who, asked.user_id, move |c, tenant, id| {
        users::set_role(c, tenant, id, asked.role)
    })
    .await
}

/// Ends a person's access: every token of theirs, and signing in.
#[utoipa::path(
    post, path = "/v1/revoke-access", tag = "users", request_body = NamesUser,
    responses((status = 200, body = UserResponse)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<NamesUser>,
) -> Result<Json<UserResponse>, ApiError> {
    change(&app, &who, asked.user_id, |c, tenant, id| {
        users::set_status(c, tenant, id, UserStatus::Revoked)?;
        sessions::revoke_all(c, tenant, id, None, now_ms())?;
        Ok(())
    })
    .await
}

/// Makes a person an owner, or an owner an admin. The last owner stays.
#[utoipa::path(
    post, path = "/v1/admin/users/owner", tag = "admin", request_body = SetOwner,
    responses((status = 200, body = UserResponse)), extensions(("x-needs" = json!(OWNER)))
)]
pub(crate) async fn set_owner(
    State(app): State<App>,
    who: Caller<OwnerRole>,
    Body(asked): Body<SetOwner>,
) -> Result<Json<UserResponse>, ApiError> {
    let role = if asked.owner {
        Role::Owner
    } else {
        Role::Admin
    };
    change(&app, &who, asked.user_id, move |c, tenant, id| {
        users::set_role(c, tenant, id, role)
    })
    .await
}

/// Changes a person. Owners are changed by owners only, and the last one stays.
pub(super) async fn change(
    app: &App,
    who: &Actor,
    id: Uuid,
    work: impl FnOnce(&Connection, &Tenant, Uuid) -> StoreResult<()> + Send + 'static,
) -> Result<Json<UserResponse>, ApiError> {
    let who = who.clone();
    let tenant = who.tenant;
    let user = app
        .store
        .write(move |c| {
            let target = users::get(c, &tenant, id)?;
            if target.role == Role::Owner && who.role != Role::Owner {
                return Err(ApiError::forbidden("only an owner may change an owner").into());
            }
            work(c, &tenant, id)?;
            if users::active_owners(c, &tenant)? == 0 {
                return Err(ApiError::new(
                    StatusCode::CONFLICT,
                    Code::LastOwner,
                    "an organisation needs an owner; make another one first",
                )
                .into());
            }
            users::get(c, &tenant, id)
        })
        .await?;
    let user = UserView::new(&user, tenant.id());
    Ok(Json(UserResponse { user }))
}

//! How models write for an organisation's people.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ADMIN;
use crate::server::app::App;
use crate::server::body::Body;
use crate::server::error::ApiError;
use crate::server::identity::{Admin, Caller};
use crate::server::store::organisations::{self, Answering};

/// Most characters of a tone and of instructions.
const LONGEST: (usize, usize) = (200, 2_000);

/// How models write for the organisation's people. Extractive answers stay as they are.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct AnsweringView {
    /// How to write, 200 characters at most; null for the server's own.
    #[schema(example = "friendly and brief")]
    tone: Option<String>,
    /// What a model is told besides, 2000 characters at most. The server's rules stay: each sentence
    /// is still held to the documents.
    #[schema(example = "Address the reader formally. Name the form where there is one.")]
    instructions: Option<String>,
}

impl From<Answering> for AnsweringView {
    fn from(Answering { tone, instructions }: Answering) -> Self {
        Self { tone, instructions }
    }
}

/// How models write for the organisation's people.
#[utoipa::path(
    get, path = "/v1/admin/answering", tag = "admin",
    responses((status = 200, body = AnsweringView)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn get(
    State(app): State<App>,
    who: Caller<Admin>,
) -> Result<Json<AnsweringView>, ApiError> {
    let tenant = who.tenant;
    let set = app
        .store
        .read(move |c| organisations::answering(c, &tenant))
        .await?;
    Ok(Json(set.into()))
}

/// Sets how models write for the organisation's people; what is absent is taken away.
#[utoipa::path(
    put, path = "/v1/admin/answering", tag = "admin", request_body = AnsweringView,
    responses((status = 200, body = AnsweringView)), extensions(("x-needs" = json!(ADMIN)))
)]
pub(crate) async fn set(
    State(app): State<App>,
    who: Caller<Admin>,
    Body(asked): Body<AnsweringView>,
) -> Result<Json<AnsweringView>, ApiError> {
    let text = |field: &str, text: Option<String>, most: usize| {
        let text = text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        if text.as_ref().is_some_and(|t| t.chars().count() > most) {
            let why = format_args!("may have {most} characters at most");
            return Err(ApiError::invalid_field(field, why));
        }
        Ok(text)
    };
    let set = Answering {
        tone: text("tone", asked.tone, LONGEST.0)?,
        instructions: text("instructions", asked.instructions, LONGEST.1)?,
    };
    let (tenant, kept) = (who.tenant, set.clone());
    app.store
        .write(move |c| organisations::set_answering(c, &tenant, &kept))
        .await?;
    Ok(Json(set.into()))
}

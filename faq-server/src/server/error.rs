//! What a client is told when a request fails: one shape, stable codes.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::StoreError;

/// Stable name of an error, for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    MalformedJson,
    InvalidField,
    MissingField,
    InvalidSignature,
    ClockSkew,
    Replayed,
    MissingToken,
    InvalidToken,
    InvalidCredentials,
    InvalidRefreshToken,
    AccountLocked,
    AccountInactive,
    ApprovalPending,
    SignupClosed,
    RegistrationClosed,
    Forbidden,
    QuotaExceeded,
    NotFound,
    MethodNotAllowed,
    Conflict,
    EmailTaken,
    LastOwner,
    UploadExpired,
    UploadUsed,
    SizeMismatch,
    Interrupted,
    TooLarge,
    UnsupportedType,
    QuestionTooLong,
    RateLimited,
    Overloaded,
    Unavailable,
    Timeout,
    Internal,
}

/// A failed request: status, code, and a sentence for people.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: Code,
    sentence: Cow<'static, str>,
    /// Seconds after which the same request may succeed.
    retry_after: Option<u64>,
    /// What goes to the log and to nobody else.
    cause: Option<String>,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// A sentence that says what was wrong.
    pub(crate) error: String,
    pub(crate) code: Code,
    /// Names this request in the server's log.
    pub(crate) request_id: String,
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: Code,
        sentence: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            sentence: sentence.into(),
            retry_after: None,
            cause: None,
        }
    }

    pub(crate) fn invalid_field(name: &str, what: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            Code::InvalidField,
            format!("the field {name} {what}"),
        )
    }

    pub(crate) fn unauthorized(code: Code, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, sentence)
    }

    pub(crate) fn invalid_signature() -> Self {
        Self::unauthorized(Code::InvalidSignature, "Invalid HMAC signature")
    }

    pub(crate) fn missing_token() -> Self {
        Self::unauthorized(Code::MissingToken, "Missing JWT token")
    }

    pub(crate) fn invalid_token() -> Self {
        Self::unauthorized(Code::InvalidToken, "Invalid JWT token")
    }

    pub(crate) fn forbidden(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Forbidden, sentence)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            Code::NotFound,
            format!("{what} not found"),
        )
    }

    pub(crate) fn conflict(code: Code, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, sentence)
    }

    pub(crate) fn too_large(what: &str, allowed: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::TooLarge,
            format!("{what} is larger than the {allowed} bytes that are allowed"),
        )
    }

    pub(crate) fn quota(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::QuotaExceeded, sentence)
    }

    pub(crate) fn rate_limited(retry_after: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            Code::RateLimited,
            "too many requests; wait a moment",
        )
        .retry_after(retry_after)
    }

    pub(crate) fn overloaded(retry_after: u64) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Overloaded,
            "the server is busy; try again in a moment",
        )
        .retry_after(retry_after)
    }

    pub(crate) fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Unavailable,
            "the service cannot do this at the moment; try again later",
        )
        .retry_after(5)
        .because(cause)
    }

    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Internal,
            "something went wrong on the server",
        )
        .because(cause)
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The body, for a channel that has no status line.
    pub(crate) fn body(&self, request_id: &str) -> ErrorBody {
        ErrorBody {
            error: self.sentence.to_string(),
            code: self.code,
            request_id: request_id.to_owned(),
        }
    }

    /// Tells the log what the client is not told.
    pub(crate) fn log(&self) {
        if let Some(cause) = &self.cause {
            tracing::error!(code = ?self.code, cause, "request failed");
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let request_id = super::request::current_id();
        let mut response = (self.status, Json(self.body(&request_id))).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::NotFound(what) => Self::not_found(what),
            StoreError::Refused(refused) => *refused,
            StoreError::Full(_) | StoreError::Stopped => Self::unavailable(e),
            StoreError::Sql(_) | StoreError::Corrupt(_) | StoreError::Io(_) => Self::internal(e),
        }
    }
}

impl From<faq_core::Error> for ApiError {
    fn from(e: faq_core::Error) -> Self {
        use faq_core::Error;
        match e {
            Error::EmptyQuestion => Self::invalid_field("query", "holds no word"),
            Error::QuestionTooLong { allowed, .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                Code::QuestionTooLong,
                format!("the field query is longer than {allowed} bytes; ask in fewer words"),
            ),
            e if e.is_interrupted() => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Timeout,
                "the answer took too long; try again, or ask in fewer words",
            )
            .retry_after(5),
            e @ (Error::Model(_) | Error::Generate(_)) => Self::unavailable(e),
            e => Self::internal(e),
        }
    }
}

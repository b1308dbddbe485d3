//! From headers and a body to an identity, in the order that gives nothing away: shape, key
//! lookup and comparison (the same work for an unknown client), clock, replay, rate, person.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, Method, header};
use faq_auth::{Signature, SignedRequest, SigningKey, Timestamp};

use super::{Actor, Tenant};
use crate::server::app::App;
use crate::server::clock::now_ms;
use crate::server::error::{ApiError, Code};
use crate::server::store::users::UserStatus;
use crate::server::store::{StoreError, organisations, replays, sessions, users};

const CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// Who a request comes from.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// The organisation; the person was not asked for.
    Organisation(Tenant),
    /// A person of it.
    Person(Actor),
}

impl Identity {
    pub(crate) fn tenant(&self) -> Tenant {
        match self {
            Self::Organisation(tenant) => *tenant,
            Self::Person(actor) => actor.tenant,
        }
    }
}

/// What a request shows to prove itself, before any of it is believed.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) client_id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    /// The access token; `None` where there is none.
    pub(crate) token: Option<String>,
}

impl Credentials {
    /// Those in a request's headers; `None` where the signature's are not there exactly once.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        Some(Self {
            client_id: once(headers, &CLIENT_ID)?,
            timestamp: once(headers, &TIMESTAMP)?,
            signature: once(headers, &SIGNATURE)?,
            token: bearer(headers),
        })
    }

    /// Whether a request shows any part of a signature.
    pub(crate) fn are_in(headers: &HeaderMap) -> bool {
        [CLIENT_ID, TIMESTAMP, SIGNATURE]
            .iter()
            .any(|name| headers.contains_key(name))
    }
}

fn once(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| first.to_owned())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = once(headers, &header::AUTHORIZATION)?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    // Old clients without a token send the word.
    let none = token.is_empty() || token == "null" || token == "undefined";
    (scheme.eq_ignore_ascii_case("bearer") && !none).then(|| token.to_owned())
}

/// Checks a request's signature, and its person where `person` says so.
///
/// `target` is the path with its query as it was sent.
pub(crate) async fn authenticate(
    app: &App,
    method: &Method,
    target: &str,
    credentials: Option<&Credentials>,
    body: &[u8],
    address: IpAddr,
    person: bool,
) -> Result<Identity, ApiError> {
    app.limits.address(address)?;
    let (tenant, signature, timestamp) = signed(app, method, target, credentials, body).await?;
    let now = now_ms();
    timestamp.check_skew(now).map_err(|skew| {
        ApiError::unauthorized(
            Code::ClockSkew,
            format!(
                "the request was signed at {}, and the server's time is {} (Unix milliseconds); \
                 set the clock right",
                skew.client_ms, skew.server_ms
            ),
        )
    })?;
    app.limits.organisation(tenant)?;
    if !method.is_safe() {
        refuse_replay(app, &signature, timestamp).await?;
    }
    if !person {
        return Ok(Identity::Organisation(tenant));
    }
    let token = credentials
        .and_then(|c| c.token.as_deref())
        .ok_or_else(ApiError::missing_token)?;
    Ok(Identity::Person(actor(app, tenant, token, now).await?))
}

/// The organisation that signed a request.
async fn signed(
    app: &App,
    method: &Method,
    target: &str,
    credentials: Option<&Credentials>,
    body: &[u8],
) -> Result<(Tenant, Signature, Timestamp), ApiError> {
    let refused = ApiError::invalid_signature;
    let credentials = credentials.ok_or_else(refused)?;
    let signature: Signature = credentials.signature.parse().map_err(|_| refused())?;
    let timestamp: Timestamp = credentials.timestamp.parse().map_err(|_| refused())?;
    let found = live_keys(app, &credentials.client_id).await?;
    let keys = found.as_ref().map_or(&[][..], |(_, keys)| keys);
    SignedRequest {
        method: method.as_str(),
        target,
        timestamp,
        body,
    }
    .verify(keys, &signature)
    .map_err(|_| refused())?;
    let (organisation, _) = found.ok_or_else(refused)?;
    Ok((Tenant::proved(organisation), signature, timestamp))
}

async fn live_keys(
    app: &App,
    client_id: &str,
) -> Result<Option<(uuid::Uuid, Vec<SigningKey>)>, ApiError> {
    let (client_id, now) = (client_id.to_owned(), now_ms());
    let found = app
        .store
        .read(move |c| organisations::secrets_of_client(c, &client_id, now))
        .await?;
    let Some((organisation, secrets)) = found else {
        return Ok(None);
    };
    let keys = secrets
        .iter()
        .map(|secret| app.open_secret(organisation, &secret.sealed))
        .collect::<Result<_, _>>()?;
    Ok(Some((organisation, keys)))
}

/// A write whose signature was seen is refused: the same bytes sent twice.
async fn refuse_replay(
    app: &App,
    signature: &Signature,
    timestamp: Timestamp,
) -> Result<(), ApiError> {
    let bytes = *signature.as_bytes();
    let until = timestamp.accepted_until_ms();
    let new = app
        .store
        .write(move |c| replays::record(c, &bytes, until))
        .await?;
    if new {
        return Ok(());
    }
    Err(ApiError::conflict(
        Code::Replayed,
        "this request was received before; sign each request anew",
    ))
}

/// The person whom a token names, with the role they have now.
async fn actor(app: &App, tenant: Tenant, token: &str, now: i64) -> Result<Actor, ApiError> {
    let claims = app
        .tokens
        .verify(token, now)
        .map_err(|_| ApiError::invalid_token())?;
    if claims.org != tenant.id() {
        return Err(ApiError::invalid_token());
    }
    let (user, session) = (claims.sub, claims.sid);
    let found = app
        .store
        .read(move |c| {
            if !sessions::is_live(c, &tenant, session, user)? {
                return Err(StoreError::NotFound("session"));
            }
            users::get(c, &tenant, user)
        })
        .await;
    match found {
        Ok(user) if user.status == UserStatus::Active => Ok(Actor::new(tenant, &claims, user.role)),
        Ok(_) | Err(StoreError::NotFound(_)) => Err(ApiError::invalid_token()),
        Err(e) => Err(e.into()),
    }
}

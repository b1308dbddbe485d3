//! Access tokens: short-lived JSON web tokens (RFC 7519) that name a user and a session.
//!
//! HS256 alone, whatever a token's header says. The claims tell who is asking; what they may do
//! is read from the database at each request, so a token carries no role.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::hs256;
use crate::key::WeakSecret;

/// The `iss` claim of every token.
pub const ISSUER: &str = "faq";
/// The `aud` claim of every token.
pub const AUDIENCE: &str = "faq-api";
/// How long a token is still taken after it expired, in seconds.
pub const LEEWAY_S: i64 = 5;

/// Whom a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The user.
    pub user: Uuid,
    /// The user's organisation.
    pub organisation: Uuid,
    /// The session, which lasts from sign-in to sign-out.
    pub session: Uuid,
}

/// What a token says. All of it is required, and times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it: [`ISSUER`].
    pub iss: String,
    /// Whom it is meant for: [`AUDIENCE`].
    pub aud: String,
    /// The user.
    pub sub: Uuid,
    /// The user's organisation.
    pub org: Uuid,
    /// The session.
    pub sid: Uuid,
    /// The token's own id.
    pub jti: Uuid,
    /// When it was issued.
    pub iat: i64,
    /// When it expires.
    pub exp: i64,
}

/// Issues and verifies access tokens.
///
/// ```
/// use std::time::Duration;
///
/// use faq_auth::{AccessTokens, Session, TokenError};
/// use uuid::Uuid;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tokens = AccessTokens::new(&[7; 32], Duration::from_secs(1800))?;
/// let session = Session {
///     user: Uuid::from_u128(1),
///     organisation: Uuid::from_u128(2),
///     session: Uuid::from_u128(3),
/// };
/// let now_ms = 1_767_225_600_000;
/// let token = tokens.issue(session, Uuid::new_v4(), now_ms)?;
/// assert_eq!(tokens.verify(&token, now_ms)?.sub, session.user);
/// let later = tokens.verify(&token, now_ms + 3_600_000);
/// assert!(matches!(later, Err(TokenError::Expired { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AccessTokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    lifetime_s: i64,
}

impl AccessTokens {
    /// Signs with JWT_ACCESS_SECRET, of at least 32 bytes, tokens of that lifetime, in whole
    /// seconds.
    ///
    /// # Errors
    ///
    /// When the secret is too short, or the lifetime is less than a second or more than a year.
    pub fn new(secret: &[u8], lifetime: Duration) -> Result<Self, TokenSetupError> {
        const YEAR_S: u64 = 366 * 24 * 3600;
        WeakSecret::check("JWT_ACCESS_SECRET", secret)?;
        let seconds = lifetime.as_secs();
        if !(1..=YEAR_S).contains(&seconds) {
            return Err(TokenSetupError::Lifetime { seconds });
        }
        hs256::install();
        Ok(Self {
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            validation: validation(),
            lifetime_s: seconds as i64,
        })
    }

    /// For how long a token is issued, in seconds: `expires_in` of a sign-in's response.
    pub fn expires_in_s(&self) -> i64 {
        self.lifetime_s
    }

    /// A token for the session. `id` is the token's own and random.
    ///
    /// # Errors
    ///
    /// [`TokenError::Signing`], when another part of the program has given `jsonwebtoken` a
    /// crypto provider without HS256.
    pub fn issue(&self, session: Session, id: Uuid, now_ms: i64) -> Result<String, TokenError> {
        let iat = now_ms.div_euclid(1000);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: session.user,
            org: session.organisation,
            sid: session.session,
            jti: id,
            iat,
            exp: iat.saturating_add(self.lifetime_s),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|_| TokenError::Signing)
    }

    /// The claims of a token that this server issued and that has not expired.
    ///
    /// # Errors
    ///
    /// Why the token is not taken. [`TokenError::Expired`] means that nothing else is wrong.
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Claims, TokenError> {
        let claims: Claims = jsonwebtoken::decode(token, &self.verifying, &self.validation)?.claims;
        if now_ms.div_euclid(1000) >= claims.exp.saturating_add(LEEWAY_S) {
            return Err(TokenError::Expired {
                expired_at_s: claims.exp,
            });
        }
        Ok(claims)
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessTokens({} s)", self.lifetime_s)
    }
}

/// Everything but the time, which the library would read from the system's clock.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_exp = false;
    validation
}

/// Why access tokens cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenSetupError {
    /// The secret is too short.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
    /// Tokens would expire at once, or never.
    #[error("ACCESS_TOKEN_EXPIRE_MINUTES gives a lifetime of {seconds} s; use a minute to a year")]
    Lifetime {
        /// The lifetime that was asked for.
        seconds: u64,
    },
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// No token, or a claim is missing or of another kind.
    #[error("the access token is malformed")]
    Malformed,
    /// Its header names another algorithm than HS256.
    #[error("the access token is not signed with HS256")]
    WrongAlgorithm,
    /// Altered, or signed with another secret.
    #[error("the access token's signature is not valid")]
    BadSignature,
    /// Issued by someone else.
    #[error("the access token was issued by another party")]
    WrongIssuer,
    /// Meant for something else.
    #[error("the access token is meant for another service")]
    WrongAudience,
    /// Good until a while ago.
    #[error("the access token has expired; use the refresh token")]
    Expired {
        /// When, in Unix seconds.
        expired_at_s: i64,
    },
    /// A token could not be issued.
    #[error("no access token could be signed")]
    Signing,
}

impl From<jsonwebtoken::errors::Error> for TokenError {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidSignature => Self::BadSignature,
            ErrorKind::InvalidAlgorithm => Self::WrongAlgorithm,
            ErrorKind::InvalidIssuer => Self::WrongIssuer,
            ErrorKind::InvalidAudience => Self::WrongAudience,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::mac::hmac_sha256;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW_S: i64 = 1_767_225_600;
    const NOW: i64 = NOW_S * 1000;

    fn tokens() -> AccessTokens {
        AccessTokens::new(SECRET, Duration::from_secs(1800)).unwrap()
    }

    fn session() -> Session {
        Session {
            user: Uuid::from_u128(1),
            organisation: Uuid::from_u128(2),
            session: Uuid::from_u128(3),
        }
    }

    fn issued() -> String {
        tokens().issue(session(), Uuid::from_u128(4), NOW).unwrap()
    }

    fn claims() -> Value {
        let token = issued();
        let part = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    /// A token put together by hand, signed with HMAC-SHA256 whatever its header says.
    fn forge(header: &Value, claims: &str) -> String {
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        let message = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_owned())
        );
        let code = URL_SAFE_NO_PAD.encode(hmac_sha256(SECRET, &[message.as_bytes()]));
        format!("{message}.{code}")
    }

    fn hs256() -> Value {
        json!({"typ": "JWT", "alg": "HS256"})
    }

    fn verify(token: &str) -> Result<Claims, TokenError> {
        tokens().verify(token, NOW)
    }

    #[test]
    fn a_token_says_whom_it_is_for() {
        let claims = verify(&issued()).unwrap();
        assert_eq!(
            claims,
            Claims {
                iss: "faq".into(),
                aud: "faq-api".into(),
                sub: session().user,
                org: session().organisation,
                sid: session().session,
                jti: Uuid::from_u128(4),
                iat: NOW_S,
                exp: NOW_S + 1800,
            }
        );
        assert_eq!(
            verify(&forge(&hs256(), &self::claims().to_string())),
            Ok(claims)
        );
    }

    #[test]
    fn the_time_given_decides_and_not_the_system_clock() {
        let token = issued();
        let last = (NOW_S + 1800 + LEEWAY_S) * 1000;
        for now in [0, NOW, NOW + 1_800_000, last - 1] {
            assert!(tokens().verify(&token, now).is_ok(), "{now}");
        }
        let expired = TokenError::Expired {
            expired_at_s: NOW_S + 1800,
        };
        for now in [last, i64::MAX] {
            assert_eq!(tokens().verify(&token, now), Err(expired));
        }
    }

    #[test]
    fn other_algorithms_are_refused() {
        let claims = claims().to_string();
        for alg in ["HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA"] {
            let token = forge(&json!({"typ": "JWT", "alg": alg}), &claims);
            assert_eq!(verify(&token), Err(TokenError::WrongAlgorithm), "{alg}");
        }
        for alg in ["none", "None", "hs256", ""] {
            let token = forge(&json!({"typ": "JWT", "alg": alg}), &claims);
            assert_eq!(verify(&token), Err(TokenError::Malformed), "{alg}");
            let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
            assert_eq!(verify(&unsigned), Err(TokenError::Malformed), "{alg}");
        }
        assert_eq!(
            verify(&forge(&json!({"typ": "JWT"}), &claims)),
            Err(TokenError::Malformed)
        );
    }

    /// A header that brings its own key is signed with that key, not with ours.
    #[test]
    fn keys_in_the_header_are_not_used() {
        let header = json!({
            "typ": "JWT", "alg": "HS256", "kid": "../../dev/null",
            "jwk": {"kty": "oct", "k": URL_SAFE_NO_PAD.encode([1; 32])},
        });
        let token = forge(&header, &claims().to_string());
        let message = token.rsplit_once('.').unwrap().0;
        let code = URL_SAFE_NO_PAD.encode(hmac_sha256(&[1; 32], &[message.as_bytes()]));
        assert_eq!(
            verify(&format!("{message}.{code}")),
            Err(TokenError::BadSignature)
        );
    }

    #[test]
    fn every_claim_is_required_and_of_its_kind() {
        let whole = claims();
        for name in whole.as_object().unwrap().keys() {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(name);
            let mut other = whole.clone();
            other[name] = json!([whole[name]]);
            let mut null = whole.clone();
            null[name] = Value::Null;
            for claims in [without, other, null] {
                let refused = verify(&forge(&hs256(), &claims.to_string()));
                assert_eq!(refused, Err(TokenError::Malformed), "{claims}");
            }
        }
        let twice = whole.to_string().replacen('{', "{\"exp\":99999999999,", 1);
        assert_eq!(verify(&forge(&hs256(), &twice)), Err(TokenError::Malformed));
    }

    #[test]
    fn other_issuers_and_audiences_are_refused() {
        for (name, error) in [
            ("iss", TokenError::WrongIssuer),
            ("aud", TokenError::WrongAudience),
        ] {
            let mut claims = claims();
            claims[name] = json!("someone-else");
            assert_eq!(verify(&forge(&hs256(), &claims.to_string())), Err(error));
        }
    }

    #[test]
    fn any_changed_character_is_noticed() {
        let token = issued();
        for at in 0..token.len() {
            for with in ["A", "B", ".", "="] {
                let mut changed = token.clone();
                changed.replace_range(at..=at, with);
                assert!(changed == token || verify(&changed).is_err(), "{at} {with}");
            }
        }
        for text in [
            "",
            ".",
            "..",
            "...",
            &token[1..],
            &format!("{token}.x"),
            &format!("{token} "),
        ] {
            assert!(verify(text).is_err(), "{text}");
        }
        let other = AccessTokens::new(&[9; 32], Duration::from_secs(1800)).unwrap();
        assert_eq!(other.verify(&token, NOW), Err(TokenError::BadSignature));
    }

    #[test]
    fn bad_setups_name_their_setting() {
        let short = AccessTokens::new(&[0; 31], Duration::from_secs(60)).unwrap_err();
        assert!(
            short.to_string().contains("JWT_ACCESS_SECRET has 31 bytes"),
            "{short}"
        );
        for lifetime in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
            let error = AccessTokens::new(SECRET, lifetime).unwrap_err();
            assert!(
                error.to_string().contains("ACCESS_TOKEN_EXPIRE_MINUTES"),
                "{error}"
            );
        }
        assert_eq!(tokens().expires_in_s(), 1800);
        assert_eq!(format!("{:?}", tokens()), "AccessTokens(1800 s)");
    }
}

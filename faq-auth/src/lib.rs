//! Identity for the faq server: who someone is, and what they may do.
//!
//! Pure: no HTTP, no SQL, no clock and no randomness of its own. Time comes in as Unix
//! milliseconds, randomness as a generator, secrets as arguments; types that hold a secret wipe
//! it when dropped and do not print it. The one thing that is global is the choice of HS256 for
//! web tokens, which [`AccessTokens::new`] makes for the process.
//!
//! An organisation's program has a [`ClientId`] and a [`ClientSecret`] and signs its requests
//! ([`SignedRequest`]); the server keeps the [`SigningKey`] sealed under its [`MasterKey`]. A
//! person has an [`Email`] and a password ([`Passwords`], [`SignInFailures`]) and gets
//! [`AccessTokens`] and a [`RefreshToken`]. A [`Ticket`] stands for one upload, and
//! [`webhook::sign`] signs what the server sends out.
//!
//! ```
//! use faq_auth::{ClientSecret, MasterKey, Role, SigningKey};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rng = &mut rand::rng();
//! let master = MasterKey::generate(rng);
//! let secret = ClientSecret::generate(rng);
//! let stored = master.seal(secret.signing_key().expose(), b"organisations/42", rng);
//!
//! let opened = master.open(&stored, b"organisations/42")?;
//! let key = SigningKey::from_bytes(opened.as_slice().try_into()?);
//! assert_eq!(key.expose(), secret.signing_key().expose());
//!
//! assert!(Role::Admin.includes(Role::User));
//! # Ok(())
//! # }
//! ```

mod client;
mod email;
mod hex;
mod hs256;
mod key;
mod lockout;
mod mac;
mod password;
mod refresh;
mod role;
mod seal;
mod signature;
mod ticket;
mod token;
pub mod webhook;

pub use client::{ClientId, ClientSecret, MalformedCredential};
pub use email::{Email, MalformedEmail};
pub use key::{MIN_SECRET_BYTES, MalformedKey, SecretKey, WeakSecret};
pub use lockout::{Locked, SignInFailures};
pub use password::{
    NewPassword, ParamOutOfRange, PasswordError, PasswordParams, PasswordRefused, Passwords,
};
pub use refresh::{MalformedRefreshToken, RefreshSecret, RefreshToken};
pub use role::{Role, UnknownRole};
pub use seal::{KeyId, MalformedKeyId, MasterKey, SealError};
pub use signature::{
    ClockSkew, LIVE_KEYS, MAX_SKEW_MS, Signature, SignatureError, SignedRequest, SigningKey,
    Timestamp,
};
pub use ticket::{Ticket, TicketError};
pub use token::{
    AUDIENCE, AccessTokens, Claims, ISSUER, LEEWAY_S, Session, TokenError, TokenSetupError,
};

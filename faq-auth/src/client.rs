//! What an organisation's programs present: a public id and a secret.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hex;
use crate::signature::SigningKey;

const ID_PREFIX: &str = "pk_";
const SECRET_PREFIX: &str = "sk_";

/// Names an organisation in a request: `pk_` and 48 lower-case hexadecimal digits. Public.
///
/// ```
/// use faq_auth::ClientId;
///
/// let id = ClientId::generate(&mut rand::rng());
/// assert_eq!(id.to_string().parse(), Ok(id));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId([u8; 24]);

impl ClientId {
    /// A new id.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 24];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The id of these 24 bytes.
    pub fn from_bytes(bytes: [u8; 24]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ID_PREFIX)?;
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ClientId {
    type Err = MalformedCredential;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix(ID_PREFIX)
            .and_then(hex::decode)
            .map(Self)
            .ok_or(MalformedCredential::ClientId)
    }
}

impl TryFrom<String> for ClientId {
    type Error = MalformedCredential;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.to_string()
    }
}

/// The secret that signs an organisation's requests: `sk_` and 64 lower-case hexadecimal
/// digits. Wiped from memory when dropped and never shown by `Debug`.
///
/// The server keeps [`ClientSecret::signing_key`] alone, so the secret can be shown once only.
///
/// ```
/// use faq_auth::ClientSecret;
///
/// let secret = ClientSecret::generate(&mut rand::rng());
/// assert_eq!(secret.expose().len(), 67);
/// assert_eq!(format!("{secret:?}"), "ClientSecret(sk_…)");
/// ```
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// A new secret.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self::from_bytes(&bytes)
    }

    /// The secret of these 32 bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        // Room for all of it at once: a text that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(SECRET_PREFIX.len() + 64));
        text.push_str(SECRET_PREFIX);
        hex::push(&mut text, bytes);
        Self(text)
    }

    /// The secret's text, to be shown to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key that requests are signed with and the server keeps.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::of_secret(&self.0)
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(sk_…)")
    }
}

impl FromStr for ClientSecret {
    type Err = MalformedCredential;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix(SECRET_PREFIX)
            .and_then(hex::decode)
            .map(|bytes| Self::from_bytes(&bytes))
            .ok_or(MalformedCredential::ClientSecret)
    }
}

/// A text that is no credential of the kind that was expected. It is not repeated, since it may
/// be a secret in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedCredential {
    /// No [`ClientId`].
    #[error("a client id is pk_ and 48 lower-case hexadecimal digits")]
    ClientId,
    /// No [`ClientSecret`].
    #[error("a client secret is sk_ and 64 lower-case hexadecimal digits")]
    ClientSecret,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    proptest! {
        #[test]
        fn ids_survive_text_and_json(bytes: [u8; 24]) {
            let id = ClientId::from_bytes(bytes);
            let text = id.to_string();
            prop_assert_eq!(text.len(), 51);
            prop_assert_eq!(text.parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(&json, &format!("\"{text}\""));
            prop_assert_eq!(serde_json::from_str::<ClientId>(&json).unwrap(), id);
        }

        #[test]
        fn secrets_survive_text(bytes: [u8; 32]) {
            let secret = ClientSecret::from_bytes(&bytes);
            let again: ClientSecret = secret.expose().parse().unwrap();
            prop_assert_eq!(again.expose(), secret.expose());
            prop_assert_eq!(again.expose(), format!("sk_{}", hex::encode(&bytes)));
        }
    }

    #[test]
    fn draws_differ() {
        let rng = &mut StdRng::seed_from_u64(3);
        assert_ne!(ClientId::generate(rng), ClientId::generate(rng));
        let (one, two) = (ClientSecret::generate(rng), ClientSecret::generate(rng));
        assert_ne!(one.expose(), two.expose());
    }

    #[test]
    fn other_texts_are_refused() {
        let digits = "0123456789abcdef0123456789abcdef0123456789abcdef";
        for text in [
            "",
            "pk_",
            digits,
            &format!("sk_{digits}"),
            &format!("PK_{digits}"),
            &format!("pk_{}", digits.to_uppercase()),
            &format!("pk_{digits}0"),
            &format!(" pk_{digits}"),
            &format!("pk_{digits}\n"),
        ] {
            let refused = text.parse::<ClientId>();
            assert_eq!(refused, Err(MalformedCredential::ClientId), "{text:?}");
            assert!(text.parse::<ClientSecret>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = ClientSecret::from_bytes(&[0xab; 32]);
        let shown = format!("{secret:?} {:?}", secret.signing_key());
        assert!(!shown.contains("abab"), "{shown}");
    }
}

//! Refresh tokens: opaque, stored as fingerprints, exchanged for a new one at each use.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::key::WeakSecret;
use crate::mac::hmac_sha256;

const PREFIX: &str = "rt_";
const BYTES: usize = 32;
/// 32 bytes in base64 without padding.
const ENCODED: usize = 43;

/// A refresh token: `rt_` and 32 random bytes in base64url. Wiped from memory when dropped and
/// never shown by `Debug`.
///
/// ```
/// use faq_auth::{RefreshSecret, RefreshToken};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = RefreshSecret::new(b"a text of at least thirty-two bytes")?;
/// let token = RefreshToken::generate(&mut rand::rng());
/// let stored = token.fingerprint(&secret);
///
/// let sent: RefreshToken = token.expose().parse()?;
/// assert_eq!(sent.fingerprint(&secret), stored);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// A new token.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; BYTES]);
        rng.fill_bytes(&mut *bytes);
        Self::from_bytes(&bytes)
    }

    /// The token of these 32 bytes.
    pub fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + ENCODED));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        Self(text)
    }

    /// The token's text, to be handed to the client.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of the token, and looked up: its HMAC-SHA256 under the secret.
    pub fn fingerprint(&self, secret: &RefreshSecret) -> [u8; 32] {
        hmac_sha256(&secret.0, &[self.0.as_bytes()])
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(rt_…)")
    }
}

impl FromStr for RefreshToken {
    type Err = MalformedRefreshToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(PREFIX).ok_or(MalformedRefreshToken)?;
        if encoded.len() != ENCODED {
            return Err(MalformedRefreshToken);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map(Zeroizing::new)
            .map_err(|_| MalformedRefreshToken)?;
        let bytes = bytes
            .as_slice()
            .try_into()
            .map_err(|_| MalformedRefreshToken)?;
        Ok(Self::from_bytes(bytes))
    }
}

/// A text that is no [`RefreshToken`]. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a refresh token is rt_ and 43 characters of base64url")]
pub struct MalformedRefreshToken;

/// JWT_REFRESH_SECRET: what refresh tokens are fingerprinted under, so that a stolen database
/// cannot be searched for a token. Wiped from memory when dropped.
#[derive(Clone)]
pub struct RefreshSecret(Zeroizing<Vec<u8>>);

impl RefreshSecret {
    /// Takes a secret of at least 32 bytes.
    ///
    /// # Errors
    ///
    /// When it is shorter.
    pub fn new(secret: &[u8]) -> Result<Self, WeakSecret> {
        WeakSecret::check("JWT_REFRESH_SECRET", secret)?;
        Ok(Self(Zeroizing::new(secret.to_vec())))
    }
}

impl fmt::Debug for RefreshSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::hex;

    proptest! {
        #[test]
        fn tokens_survive_text(bytes: [u8; 32]) {
            let token = RefreshToken::from_bytes(&bytes);
            prop_assert_eq!(token.expose().len(), 46);
            let again: RefreshToken = token.expose().parse().unwrap();
            prop_assert_eq!(again.expose(), token.expose());
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let good = RefreshToken::from_bytes(&[0xff; 32]).expose().to_owned();
        assert!(good.parse::<RefreshToken>().is_ok());
        let last_bits = format!("{}9", &good[..45]);
        for text in [
            "",
            "rt_",
            &good[3..],
            &good[..45],
            &format!("{good}="),
            &format!("{good}A"),
            &format!(" {good}"),
            &good.replace('_', "/"),
            &last_bits,
        ] {
            assert_eq!(
                text.parse::<RefreshToken>().unwrap_err(),
                MalformedRefreshToken,
                "{text}"
            );
        }
    }

    #[test]
    fn fingerprints_depend_on_token_and_secret() {
        let rng = &mut StdRng::seed_from_u64(7);
        let (one, two) = (RefreshToken::generate(rng), RefreshToken::generate(rng));
        let secret = RefreshSecret::new(&[1; 32]).unwrap();
        let other = RefreshSecret::new(&[2; 32]).unwrap();
        assert_ne!(one.fingerprint(&secret), two.fingerprint(&secret));
        assert_ne!(one.fingerprint(&secret), one.fingerprint(&other));
    }

    /// Stored fingerprints depend on this, so it may never change.
    #[test]
    fn fingerprints_are_fixed() {
        let token = RefreshToken::from_bytes(&[7; 32]);
        let secret = RefreshSecret::new(b"0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(hex::encode(&token.fingerprint(&secret)), FINGERPRINT);
    }

    const FINGERPRINT: &str = "92ab69159f6aa7b2ae6cb83b4a4e15fb3cb7e578f3b7853a32557c60db2c838f";

    #[test]
    fn short_secrets_are_refused_and_nothing_is_printed() {
        let error = RefreshSecret::new(b"short").unwrap_err();
        assert_eq!((error.setting, error.bytes), ("JWT_REFRESH_SECRET", 5));
        let token = RefreshToken::from_bytes(&[0xaa; 32]);
        let secret = RefreshSecret::new(&[b'q'; 32]).unwrap();
        let shown = format!("{token:?} {secret:?}");
        assert_eq!(shown, "RefreshToken(rt_…) RefreshSecret(…)");
    }
}

//! Secrets of 32 bytes, and how one secret is given several uses.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::hex;
use crate::mac::hmac_sha256;

/// The least length of a secret text that signs or fingerprints tokens, in bytes: the length
/// of the HMAC's output, as RFC 7518 section 3.2 asks.
pub const MIN_SECRET_BYTES: usize = 32;

/// A secret of 32 bytes. Wiped from memory when dropped and never shown by `Debug`.
///
/// ```
/// use faq_auth::SecretKey;
///
/// let root = SecretKey::from_bytes([7; 32]);
/// assert_ne!(root.derive("tickets").expose(), root.derive("webhooks").expose());
/// assert_eq!(format!("{root:?}"), "SecretKey(…)");
/// ```
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// A new key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = Self::from_bytes([0; 32]);
        rng.fill_bytes(&mut *key.0);
        key
    }

    /// A key from elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads 64 hexadecimal digits of either case; white space around them is allowed, since
    /// files and environments end in line breaks.
    ///
    /// # Errors
    ///
    /// When the text is anything else. The error does not repeat it.
    pub fn from_hex(text: &str) -> Result<Self, MalformedKey> {
        let digits = Zeroizing::new(text.trim_ascii().to_ascii_lowercase());
        match hex::decode(&digits) {
            Some(bytes) => Ok(Self::from_bytes(bytes)),
            None => Err(MalformedKey {
                characters: digits.chars().count(),
            }),
        }
    }

    /// The key as 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(&*self.0))
    }

    /// The key's bytes.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key for one use. Different labels give keys that tell nothing of each other or of
    /// this one: HMAC-SHA256 of the label, keyed with this key.
    pub fn derive(&self, label: &str) -> Self {
        Self::derive_from(&*self.0, label)
    }

    /// As [`SecretKey::derive`], from a secret of any length. The result is as hard to guess as
    /// the secret, no harder: this is not for passwords.
    pub fn derive_from(secret: &[u8], label: &str) -> Self {
        Self::from_bytes(hmac_sha256(secret, &[b"faq/v1/", label.as_bytes()]))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key is 64 hexadecimal digits (32 bytes), and this text of {characters} characters is not; \
     make one with `openssl rand -hex 32`"
)]
pub struct MalformedKey {
    /// The length of the text, white space around it aside.
    pub characters: usize,
}

/// A secret that is too short to keep tokens safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{setting} has {bytes} bytes and needs at least {MIN_SECRET_BYTES}; \
     make one with `openssl rand -hex 32`"
)]
pub struct WeakSecret {
    /// The setting that holds the secret.
    pub setting: &'static str,
    /// The secret's length.
    pub bytes: usize,
}

impl WeakSecret {
    pub(crate) fn check(setting: &'static str, secret: &[u8]) -> Result<(), Self> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(Self {
                setting,
                bytes: secret.len(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn hexadecimal_survives_and_may_be_upper_case() {
        let key = SecretKey::generate(&mut StdRng::seed_from_u64(1));
        let text = format!(" {}\r\n", key.to_hex().to_uppercase());
        assert_eq!(SecretKey::from_hex(&text).unwrap().expose(), key.expose());
    }

    #[test]
    fn a_bad_key_is_not_repeated() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            let error = SecretKey::from_hex(text).unwrap_err();
            assert_eq!(error.characters, text.chars().count());
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }

    #[test]
    fn keys_differ_by_draw_and_by_label() {
        let rng = &mut StdRng::seed_from_u64(2);
        let (one, two) = (SecretKey::generate(rng), SecretKey::generate(rng));
        assert_ne!(one.expose(), two.expose());
        assert_ne!(one.derive("a").expose(), one.derive("b").expose());
        assert_ne!(one.derive("a").expose(), two.derive("a").expose());
        assert_ne!(one.derive("a").expose(), one.expose());
    }

    /// What is sealed on disk depends on this, so it may never change.
    #[test]
    fn derivation_is_fixed() {
        let derived = SecretKey::from_bytes([7; 32]).derive("tickets");
        assert_eq!(*derived.to_hex(), DERIVED);
    }

    const DERIVED: &str = "6c8bae461a933938fb0e6703a3c711052566d95dc5580d6f943508e92e83c9f7";

    #[test]
    fn short_secrets_name_their_setting() {
        assert_eq!(WeakSecret::check("X", &[0; 32]), Ok(()));
        let error = WeakSecret::check("JWT_ACCESS_SECRET", &[0; 31]).unwrap_err();
        assert!(error.to_string().contains("JWT_ACCESS_SECRET has 31 bytes"));
    }
}

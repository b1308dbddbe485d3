//! Secrets at rest: encrypted under the server's master key.
//!
//! An envelope is `version (1 byte) | key id (8) | nonce (24) | ciphertext and tag (16 more)`,
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). All that stands before the ciphertext is
//! authenticated with it, and so is the caller's associated data, which says what the plaintext
//! is for: an envelope that was copied to another row does not open there.

use std::fmt;
use std::str::FromStr;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hex;
use crate::key::{MalformedKey, SecretKey};

const VERSION: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;
const HEADER: usize = 1 + KEY_ID + NONCE;
const TAG: usize = 16;

/// The key that secrets at rest are encrypted under.
///
/// ```
/// use faq_auth::MasterKey;
///
/// # fn main() -> Result<(), faq_auth::SealError> {
/// let key = MasterKey::generate(&mut rand::rng());
/// let sealed = key.seal(b"secret", b"clients/42", &mut rand::rng());
/// assert_eq!(*key.open(&sealed, b"clients/42")?, b"secret");
/// assert!(key.open(&sealed, b"clients/43").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MasterKey {
    root: SecretKey,
    cipher: SecretKey,
    id: KeyId,
}

impl MasterKey {
    /// A new key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::new(SecretKey::generate(rng))
    }

    /// Reads 64 hexadecimal digits, as in ENCRYPTION_KEY or the key file.
    ///
    /// # Errors
    ///
    /// When the text is anything else.
    pub fn from_hex(text: &str) -> Result<Self, MalformedKey> {
        SecretKey::from_hex(text).map(Self::new)
    }

    /// The key as 64 hexadecimal digits, for the key file.
    pub fn to_hex(&self) -> Zeroizing<String> {
        self.root.to_hex()
    }

    /// A short name of the key that tells nothing of it. Stored beside sealed data, it shows
    /// at once that another key was given.
    pub fn key_id(&self) -> KeyId {
        self.id
    }

    /// Whether this is the key of that name.
    ///
    /// # Errors
    ///
    /// [`SealError::OtherKey`] when it is not.
    pub fn expect_id(&self, sealed_under: KeyId) -> Result<(), SealError> {
        if sealed_under == self.id {
            return Ok(());
        }
        Err(SealError::OtherKey {
            sealed_under,
            given: self.id,
        })
    }

    /// A key for another use, such as signing upload URLs.
    pub fn derive(&self, label: &str) -> SecretKey {
        self.root.derive(label)
    }

    /// Encrypts. The envelope has 49 bytes more than the plaintext.
    ///
    /// # Panics
    ///
    /// When the plaintext is longer than the cipher's limit of 256 GiB.
    pub fn seal(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        self.seal_with(plaintext, associated_data, nonce)
    }

    fn seal_with(&self, plaintext: &[u8], associated_data: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
        let mut envelope = Vec::with_capacity(HEADER + plaintext.len() + TAG);
        envelope.push(VERSION);
        envelope.extend(self.id.0);
        envelope.extend(nonce);
        let payload = Payload {
            msg: plaintext,
            aad: &[&envelope, associated_data].concat(),
        };
        let ciphertext = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a plaintext within the cipher's limit");
        envelope.extend(ciphertext);
        envelope
    }

    /// Decrypts what [`MasterKey::seal`] made with the same associated data.
    ///
    /// # Errors
    ///
    /// When the envelope is cut short, of a later version, sealed under another key, damaged,
    /// or was made for something else.
    pub fn open(
        &self,
        envelope: &[u8],
        associated_data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let truncated = SealError::Truncated {
            bytes: envelope.len(),
        };
        let (header, ciphertext) = envelope.split_at_checked(HEADER).ok_or(truncated)?;
        let (version, key_id, nonce) = split_header(header).ok_or(truncated)?;
        if version != VERSION {
            return Err(SealError::UnknownVersion { version });
        }
        self.expect_id(key_id)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &[header, associated_data].concat(),
        };
        self.cipher()
            .decrypt(&XNonce::from(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealError::Forged)
    }

    fn new(root: SecretKey) -> Self {
        let cipher = root.derive("seal");
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&root.derive("key id").expose()[..KEY_ID]);
        Self {
            root,
            cipher,
            id: KeyId(id),
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.cipher.expose().into())
    }
}

fn split_header(header: &[u8]) -> Option<(u8, KeyId, [u8; NONCE])> {
    let (version, rest) = header.split_first()?;
    let (key_id, nonce) = rest.split_first_chunk()?;
    Some((*version, KeyId(*key_id), nonce.try_into().ok()?))
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// The name of a [`MasterKey`]: 16 hexadecimal digits. Not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; KEY_ID]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for KeyId {
    type Err = MalformedKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::decode(text).map(Self).ok_or(MalformedKeyId)
    }
}

impl TryFrom<String> for KeyId {
    type Error = MalformedKeyId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// A text that is no [`KeyId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 16 lower-case hexadecimal digits")]
pub struct MalformedKeyId;

/// Why an envelope does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Too short to be an envelope.
    #[error("sealed data has at least {} bytes, and this has {bytes}", HEADER + TAG)]
    Truncated {
        /// The length that was found.
        bytes: usize,
    },
    /// Made by a version that this one does not know.
    #[error("sealed data of version {version}, and this program reads version {VERSION}")]
    UnknownVersion {
        /// The version that was found.
        version: u8,
    },
    /// Sealed under another key.
    #[error(
        "the data was sealed under key {sealed_under}, and the key given is {given}: set \
         ENCRYPTION_KEY, or the key file, to the key that the data was written with"
    )]
    OtherKey {
        /// The key that the data was sealed under.
        sealed_under: KeyId,
        /// The key that was to open it.
        given: KeyId,
    },
    /// Damaged, altered, or made for something else.
    #[error("sealed data is damaged or belongs elsewhere")]
    Forged,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn key(byte: u8) -> MasterKey {
        MasterKey::new(SecretKey::from_bytes([byte; 32]))
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(plaintext: Vec<u8>, context: Vec<u8>, seed: u64) {
            let sealed = key(1).seal(&plaintext, &context, &mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(sealed.len(), plaintext.len() + 49);
            prop_assert_eq!(&*key(1).open(&sealed, &context).unwrap(), &plaintext);
        }

        #[test]
        fn any_flipped_bit_is_noticed(plaintext: Vec<u8>, at: prop::sample::Index, bit in 0..8_u32) {
            let mut sealed = key(1).seal_with(&plaintext, b"here", [9; NONCE]);
            let at = at.index(sealed.len());
            sealed[at] ^= 1_u8 << bit;
            prop_assert!(key(1).open(&sealed, b"here").is_err());
        }
    }

    #[test]
    fn failures_are_told_apart() {
        let sealed = key(1).seal_with(b"secret", b"here", [9; NONCE]);
        assert_eq!(key(1).open(&sealed, b"there"), Err(SealError::Forged));
        let other = key(2).open(&sealed, b"here").unwrap_err();
        let (sealed_under, given) = (key(1).key_id(), key(2).key_id());
        assert_eq!(
            other,
            SealError::OtherKey {
                sealed_under,
                given
            }
        );
        assert!(other.to_string().contains("ENCRYPTION_KEY"));
        assert_eq!(
            key(1).expect_id(given),
            Err(SealError::OtherKey {
                sealed_under: given,
                given: sealed_under,
            })
        );
        assert_eq!(key(1).expect_id(sealed_under), Ok(()));

        let mut later = sealed.clone();
        later[0] = 2;
        let unknown = SealError::UnknownVersion { version: 2 };
        assert_eq!(key(1).open(&later, b"here"), Err(unknown));
        for bytes in 0..sealed.len() {
            let error = key(1).open(&sealed[..bytes], b"here").unwrap_err();
            let expected = if bytes < HEADER {
                SealError::Truncated { bytes }
            } else {
                SealError::Forged
            };
            assert_eq!(error, expected, "{bytes}");
        }
    }

    #[test]
    fn nonces_and_so_envelopes_differ() {
        let rng = &mut StdRng::seed_from_u64(4);
        assert_ne!(key(1).seal(b"x", b"", rng), key(1).seal(b"x", b"", rng));
    }

    /// Made with libsodium: what is on disk must open in every later version.
    #[test]
    fn the_format_is_fixed() {
        let key = MasterKey::from_hex(&"07".repeat(32)).unwrap();
        assert_eq!(key.key_id().to_string(), "1e2062dda66766c7");
        let sealed = key.seal_with(b"the quick brown fox", b"clients/42", [0x24; NONCE]);
        assert_eq!(hex::encode(&sealed), ENVELOPE);
    }

    const ENVELOPE: &str = "011e2062dda66766c724242424242424242424242424242424242424242424242401ebcec8a7d5cb\
        7ffe553856669926d5316ca8dfa19bfe3ac0801301b3edbfcba5b042";

    #[test]
    fn keys_and_their_names_survive_text() {
        let key = MasterKey::generate(&mut StdRng::seed_from_u64(5));
        let again = MasterKey::from_hex(&key.to_hex()).unwrap();
        assert_eq!(again.key_id(), key.key_id());
        let id = key.key_id();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<KeyId>(&json).unwrap(), id);
        assert_eq!("0".parse::<KeyId>(), Err(MalformedKeyId));
        assert_eq!(format!("{key:?}"), format!("MasterKey({id})"));
        assert!(!key.to_hex().contains(&id.to_string()));
    }
}

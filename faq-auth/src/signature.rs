//! Signatures over requests: which organisation's program sent these very bytes, and when.
//!
//! A request is signed over `METHOD|target|timestamp|body`, as sent: the target with its query
//! string and never decoded, the timestamp in Unix milliseconds, the body's raw bytes. The code
//! is HMAC-SHA256 in lower-case hexadecimal digits, keyed with the client secret's text.
//!
//! That text has 67 bytes, HMAC-SHA256's block 64, and HMAC replaces a key longer than the block
//! by its hash. So [`SigningKey`], the SHA-256 of the text, gives the same codes, and the server
//! never stores the secret.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::hex;
use crate::mac::hmac_sha256;

/// How far a request's time may be from the server's, either way, in milliseconds.
pub const MAX_SKEW_MS: i64 = 5 * 60 * 1000;

/// How many keys of an organisation are live at most: two, while one replaces the other. As
/// many codes are computed whatever the number of keys.
pub const LIVE_KEYS: usize = 2;

/// Stands in for keys that do not exist. It never matches.
const DUMMY: [u8; 32] = [0; 32];

/// The SHA-256 of a client secret: all that is needed to check what the secret signed, and to
/// sign in its place, so it is kept encrypted. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    /// A key as it was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key's bytes, to be sealed and stored.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn of_secret(secret: &str) -> Self {
        Self::from_bytes(Sha256::digest(secret.as_bytes()).into())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// When a request was signed, by its sender's clock. The text is the shortest decimal of the
/// number, so that number and text stand for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The most digits that are read: enough for 30,000 years.
    const MAX_DIGITS: usize = 15;

    /// The time in Unix milliseconds, where it can be written: not before 1970, not after 15
    /// digits.
    pub fn from_ms(ms: i64) -> Option<Self> {
        ms.to_string().parse().ok()
    }

    /// Unix milliseconds.
    pub fn ms(self) -> i64 {
        self.0
    }

    /// Whether the time is within [`MAX_SKEW_MS`] of the server's. To be asked after the
    /// signature was verified, since the error tells more than a stranger should learn.
    ///
    /// # Errors
    ///
    /// When it is not; the error carries both times.
    pub fn check_skew(self, now_ms: i64) -> Result<(), ClockSkew> {
        if self.0.abs_diff(now_ms) > MAX_SKEW_MS.unsigned_abs() {
            return Err(ClockSkew {
                client_ms: self.0,
                server_ms: now_ms,
            });
        }
        Ok(())
    }

    /// The last moment at which a request of this time is accepted, in Unix milliseconds:
    /// until then, its signature has to be remembered.
    pub fn accepted_until_ms(self) -> i64 {
        self.0 + MAX_SKEW_MS
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shortest = text == "0" || !text.starts_with('0');
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !shortest || !digits || text.len() > Self::MAX_DIGITS {
            return Err(SignatureError::MalformedTimestamp);
        }
        text.parse()
            .map(Self)
            .map_err(|_| SignatureError::MalformedTimestamp)
    }
}

/// A request's code: 64 lower-case hexadecimal digits. One text per code, so a code that was
/// seen can be recognised by its text or its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 32]);

impl Signature {
    /// The code's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::decode(text)
            .map(Self)
            .ok_or(SignatureError::MalformedSignature)
    }
}

/// The parts of a request that its signature covers, as sent.
///
/// ```
/// use faq_auth::{ClientSecret, SignedRequest, Timestamp};
///
/// # fn main() -> Result<(), faq_auth::SignatureError> {
/// let secret = ClientSecret::generate(&mut rand::rng());
/// let request = SignedRequest {
///     method: "GET",
///     target: "/v1/documents?cursor=abc",
///     timestamp: "1767225600000".parse::<Timestamp>()?,
///     body: b"",
/// };
/// let signature = request.sign(&secret.signing_key())?;
///
/// let kept = [secret.signing_key()];
/// assert_eq!(request.verify(&kept, &signature), Ok(0));
/// assert!(request.verify(&[], &signature).is_err());
/// assert!(request.timestamp.check_skew(1_767_225_600_000 + 1000).is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The method in the case in which it was sent.
    pub method: &'a str,
    /// Path and query string, not decoded.
    pub target: &'a str,
    /// When the request was signed.
    pub timestamp: Timestamp,
    /// The raw body; empty where there is none.
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    /// The request's code under one key.
    ///
    /// # Errors
    ///
    /// When the method or the target holds a `|`, which would make the message ambiguous.
    pub fn sign(&self, key: &SigningKey) -> Result<Signature, SignatureError> {
        self.check_unambiguous()?;
        Ok(Signature(self.code(key.expose())))
    }

    /// Which of an organisation's live keys made the signature, as an index into `keys`.
    ///
    /// For a client that is not known, `keys` is empty: the answer is no, after the same work.
    /// Codes are compared in constant time, and all keys are tried whichever matches.
    ///
    /// # Errors
    ///
    /// When no key did, or the method or the target holds a `|`.
    pub fn verify(
        &self,
        keys: &[SigningKey],
        signature: &Signature,
    ) -> Result<usize, SignatureError> {
        self.check_unambiguous()?;
        let missing = LIVE_KEYS.saturating_sub(keys.len());
        let stand_ins = std::iter::repeat_n(&DUMMY, missing);
        let mut found = Choice::from(0);
        let mut index = 0_u64;
        for (i, key) in keys
            .iter()
            .map(SigningKey::expose)
            .chain(stand_ins)
            .enumerate()
        {
            let real = Choice::from(u8::from(i < keys.len()));
            let equal = self.code(key).ct_eq(&signature.0) & real;
            index.conditional_assign(&(i as u64), equal);
            found |= equal;
        }
        if bool::from(found) {
            Ok(index as usize)
        } else {
            Err(SignatureError::Mismatch)
        }
    }

    fn code(&self, key: &[u8; 32]) -> [u8; 32] {
        let timestamp = self.timestamp.to_string();
        let parts: [&[u8]; 7] = [
            self.method.as_bytes(),
            b"|",
            self.target.as_bytes(),
            b"|",
            timestamp.as_bytes(),
            b"|",
            self.body,
        ];
        hmac_sha256(key, &parts)
    }

    /// With no `|` before the timestamp, the first three end their fields, and the body may
    /// hold as many as it likes.
    fn check_unambiguous(&self) -> Result<(), SignatureError> {
        if self.method.contains('|') {
            return Err(SignatureError::BarInMethod);
        }
        if self.target.contains('|') {
            return Err(SignatureError::BarInTarget);
        }
        Ok(())
    }
}

/// Why a request's signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature's text has another shape.
    #[error("a signature is 64 lower-case hexadecimal digits")]
    MalformedSignature,
    /// The timestamp's text has another shape.
    #[error("a timestamp is the time in Unix milliseconds, in decimal digits")]
    MalformedTimestamp,
    /// The method holds the separator.
    #[error("the method holds a `|`, which no method does")]
    BarInMethod,
    /// The target holds the separator.
    #[error("the target holds a raw `|`; send and sign it as %7C")]
    BarInTarget,
    /// No key made this signature for this request.
    #[error("the signature does not belong to this request")]
    Mismatch,
}

/// A request whose time is too far from the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request was signed at {client_ms} and the server's clock says {server_ms} (Unix \
     milliseconds); they may be {MAX_SKEW_MS} apart: set the clock, or sign with the server's time"
)]
pub struct ClockSkew {
    /// The request's time, in Unix milliseconds.
    pub client_ms: i64,
    /// The server's time, in Unix milliseconds.
    pub server_ms: i64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ClientSecret;

    const TIME: i64 = 1_767_225_600_123;

    fn request<'a>(target: &'a str, body: &'a [u8]) -> SignedRequest<'a> {
        SignedRequest {
            method: "POST",
            target,
            timestamp: Timestamp(TIME),
            body,
        }
    }

    fn keys<const N: usize>() -> [SigningKey; N] {
        std::array::from_fn(|i| ClientSecret::from_bytes(&[i as u8 + 1; 32]).signing_key())
    }

    proptest! {
        #[test]
        fn the_digest_signs_as_the_secret_does(bytes: [u8; 32], body: Vec<u8>) {
            let secret = ClientSecret::from_bytes(&bytes);
            let message = [b"POST|/v1/x|1767225600123|", body.as_slice()].concat();
            let by_secret = hmac_sha256(secret.expose().as_bytes(), &[&message]);
            let by_digest = request("/v1/x", &body).sign(&secret.signing_key()).unwrap();
            prop_assert_eq!(by_digest.as_bytes(), &by_secret);
        }

        #[test]
        fn timestamps_are_read_only_as_they_are_written(text in "[0-9]{0,17}") {
            match text.parse::<Timestamp>() {
                Ok(time) => prop_assert_eq!(time.to_string(), text),
                Err(_) => prop_assert!(
                    text.is_empty() || text.len() > 15 || text.starts_with('0')
                ),
            }
        }

        #[test]
        fn different_requests_have_different_codes(
            a in "[a-z/?]{1,9}", b in "[a-z/?]{1,9}", x in "[0-9|]{0,9}", y in "[0-9|]{0,9}",
        ) {
            prop_assume!((&a, &x) != (&b, &y));
            let [key] = keys();
            let one = request(&a, x.as_bytes()).sign(&key).unwrap();
            let two = request(&b, y.as_bytes()).sign(&key).unwrap();
            prop_assert_ne!(one, two);
        }
    }

    #[test]
    fn the_key_that_matched_is_named() {
        let keys = keys::<3>();
        let request = request("/v1/chat/query", b"{}");
        for (i, key) in keys.iter().enumerate() {
            let signature = request.sign(key).unwrap();
            assert_eq!(request.verify(&keys, &signature), Ok(i));
            let others: Vec<_> = (0..3)
                .filter(|j| *j != i)
                .map(|j| keys[j].clone())
                .collect();
            let refused = request.verify(&others, &signature);
            assert_eq!(refused, Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn the_stand_in_key_opens_nothing() {
        let request = request("/v1/user", b"");
        let forged = request.sign(&SigningKey::from_bytes(DUMMY)).unwrap();
        assert_eq!(request.verify(&[], &forged), Err(SignatureError::Mismatch));
        let one = keys::<1>();
        assert_eq!(request.verify(&one, &forged), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_bar_is_refused_where_it_would_shift_the_fields() {
        let [key] = keys();
        let in_target = request("/v1/a|b", b"");
        assert_eq!(in_target.sign(&key), Err(SignatureError::BarInTarget));
        let any = request("/", b"").sign(&key).unwrap();
        let refused = in_target.verify(std::slice::from_ref(&key), &any);
        assert_eq!(refused, Err(SignatureError::BarInTarget));
        let in_method = SignedRequest {
            method: "GET|/v1",
            ..request("/v1/a", b"")
        };
        assert_eq!(in_method.sign(&key), Err(SignatureError::BarInMethod));
        assert!(request("/v1/a", b"a|b|c").sign(&key).is_ok());
    }

    #[test]
    fn malformed_headers_are_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            "1e3",
            " 1",
            "1\n",
            "00",
            "01",
            "١",
            "1234567890123456",
        ] {
            let refused = text.parse::<Timestamp>();
            assert_eq!(refused, Err(SignatureError::MalformedTimestamp), "{text:?}");
        }
        assert_eq!("0".parse(), Ok(Timestamp(0)));
        assert_eq!(Timestamp::from_ms(TIME), Some(Timestamp(TIME)));
        assert_eq!(Timestamp::from_ms(-1), None);
        assert_eq!(Timestamp::from_ms(1_000_000_000_000_000), None);

        let good = "0123456789abcdef".repeat(4);
        assert_eq!(good.parse::<Signature>().unwrap().to_string(), good);
        for text in [
            &good[1..],
            &good.to_uppercase(),
            &format!("{good}0"),
            &format!(" {good}"),
        ] {
            let refused = text.parse::<Signature>();
            assert_eq!(refused, Err(SignatureError::MalformedSignature), "{text:?}");
        }
    }

    #[test]
    fn clocks_may_differ_by_five_minutes() {
        let time = Timestamp(TIME);
        for now in [TIME - MAX_SKEW_MS, TIME, time.accepted_until_ms()] {
            assert_eq!(time.check_skew(now), Ok(()));
        }
        for now in [
            TIME - MAX_SKEW_MS - 1,
            TIME + MAX_SKEW_MS + 1,
            i64::MIN,
            i64::MAX,
        ] {
            let skew = time.check_skew(now).unwrap_err();
            assert_eq!((skew.client_ms, skew.server_ms), (TIME, now));
        }
    }
}

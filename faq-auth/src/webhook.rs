//! Signatures of webhook deliveries, by which a receiver knows the sender.
//!
//! The code is HMAC-SHA256 of `timestamp.body` in lower-case hexadecimal digits, keyed with the
//! webhook secret. The timestamp, in Unix milliseconds, is sent beside it, so that a receiver
//! can refuse old deliveries; it should compare in constant time.

use crate::hex;
use crate::mac::hmac_sha256;

/// The value of `X-Webhook-Signature` for a body sent at `timestamp_ms`.
///
/// ```
/// let signature = faq_auth::webhook::sign(b"secret", 1_767_225_600_000, b"{}");
/// assert_eq!(signature.len(), 64);
/// ```
pub fn sign(secret: &[u8], timestamp_ms: i64, body: &[u8]) -> String {
    let timestamp = timestamp_ms.to_string();
    hex::encode(&hmac_sha256(secret, &[timestamp.as_bytes(), b".", body]))
}

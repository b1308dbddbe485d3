//! HMAC-SHA256, the one message authentication code that everything here uses.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 of the parts laid end to end. Where their lengths vary, the caller makes the
/// message unambiguous.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether `code` is the HMAC-SHA256 of `message`, compared in constant time.
pub(crate) fn verify_hmac_sha256(key: &[u8], message: &[u8], code: &[u8]) -> bool {
    let mut mac = keyed(key);
    mac.update(message);
    mac.verify_slice(code).is_ok()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    /// RFC 4231, test cases 2 and 6 (a key longer than the block).
    #[test]
    fn agrees_with_the_rfc() {
        for (key, message, code) in [
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let (head, tail) = message.as_bytes().split_at(7);
            let made = hmac_sha256(&key, &[head, tail]);
            assert_eq!(hex::encode(&made), code);
            assert!(verify_hmac_sha256(&key, message.as_bytes(), &made));
            assert!(!verify_hmac_sha256(&key, message.as_bytes(), &made[..31]));
            assert!(!verify_hmac_sha256(&key, head, &made));
        }
    }
}

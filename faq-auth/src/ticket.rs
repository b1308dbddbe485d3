//! Signed upload URLs: leave to put one document's bytes, without any other credential.
//!
//! The code covers every field, so a URL is good for the one document, as it was announced,
//! until it expires. That it is used once is for the store to see to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::key::SecretKey;
use crate::mac::hmac_sha256;

/// Says what the code is for, so that none made for something else is taken for it.
const DOMAIN: &[u8] = b"faq/upload-ticket/v1";

/// What an upload URL gives leave for.
///
/// ```
/// use faq_auth::{SecretKey, Ticket};
/// use uuid::Uuid;
///
/// # fn main() -> Result<(), faq_auth::TicketError> {
/// let key = SecretKey::generate(&mut rand::rng());
/// let ticket = Ticket {
///     organisation: Uuid::from_u128(1),
///     document: Uuid::from_u128(2),
///     filename: "handbook.pdf",
///     content_type: "application/pdf",
///     size: None,
///     max_size: 50_000_000,
///     expires_at_ms: 1_767_225_600_000,
/// };
/// let code = ticket.sign(&key);
/// ticket.verify(&key, &code, 1_767_225_500_000)?;
/// ticket.check_size(1_000_000)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket<'a> {
    /// Whose document it will be.
    pub organisation: Uuid,
    /// The document.
    pub document: Uuid,
    /// The name that was announced.
    pub filename: &'a str,
    /// The media type that was announced.
    pub content_type: &'a str,
    /// The length that was announced, in bytes, if any.
    pub size: Option<u64>,
    /// The most that is taken where no length was announced, in bytes.
    pub max_size: u64,
    /// The first moment at which the URL is void, in Unix milliseconds.
    pub expires_at_ms: i64,
}

impl Ticket<'_> {
    /// The ticket's code: 43 characters of base64url, fit for a URL as they are.
    pub fn sign(&self, key: &SecretKey) -> String {
        URL_SAFE_NO_PAD.encode(self.code(key))
    }

    /// Whether the code is this ticket's, compared in constant time, and it still holds.
    ///
    /// # Errors
    ///
    /// When the code is another's, or time is up. Only who has the right code learns of that.
    pub fn verify(&self, key: &SecretKey, code: &str, now_ms: i64) -> Result<(), TicketError> {
        // The text is compared, not the bytes: one code has one text.
        let expected = self.sign(key);
        if !bool::from(expected.as_bytes().ct_eq(code.as_bytes())) {
            return Err(TicketError::Forged);
        }
        if now_ms >= self.expires_at_ms {
            return Err(TicketError::Expired {
                expired_at_ms: self.expires_at_ms,
            });
        }
        Ok(())
    }

    /// The most bytes that may come: the length announced, else the limit.
    pub fn limit(&self) -> u64 {
        self.size.unwrap_or(self.max_size).min(self.max_size)
    }

    /// Whether so many bytes are what was announced, or within the limit where nothing was.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub fn check_size(&self, received: u64) -> Result<(), TicketError> {
        if received > self.max_size {
            return Err(TicketError::TooLarge {
                received,
                max_size: self.max_size,
            });
        }
        match self.size {
            Some(announced) if announced != received => Err(TicketError::OtherSize {
                announced,
                received,
            }),
            _ => Ok(()),
        }
    }

    /// Texts follow their lengths and numbers have eight bytes, so no two tickets make the
    /// same message.
    fn code(&self, key: &SecretKey) -> [u8; 32] {
        let length = |text: &str| (text.len() as u64).to_be_bytes();
        let announced = [u8::from(self.size.is_some())];
        hmac_sha256(
            key.expose(),
            &[
                DOMAIN,
                self.organisation.as_bytes(),
                self.document.as_bytes(),
                &length(self.filename),
                self.filename.as_bytes(),
                &length(self.content_type),
                self.content_type.as_bytes(),
                &announced,
                &self.size.unwrap_or(0).to_be_bytes(),
                &self.max_size.to_be_bytes(),
                &self.expires_at_ms.to_be_bytes(),
            ],
        )
    }
}

/// Why an upload was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The code is not this ticket's.
    #[error("the upload URL is not valid; use it exactly as it was given")]
    Forged,
    /// Time is up.
    #[error("the upload URL has expired; ask for a new one")]
    Expired {
        /// When, in Unix milliseconds.
        expired_at_ms: i64,
    },
    /// Another length than was announced.
    #[error("{announced} bytes were announced and {received} came")]
    OtherSize {
        /// The length announced, in bytes.
        announced: u64,
        /// The length that came, in bytes.
        received: u64,
    },
    /// More than the limit.
    #[error("{received} bytes came and the limit is {max_size}")]
    TooLarge {
        /// The length that came, in bytes.
        received: u64,
        /// The limit, in bytes.
        max_size: u64,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_767_225_600_000;

    fn key() -> SecretKey {
        SecretKey::from_bytes([3; 32])
    }

    fn ticket() -> Ticket<'static> {
        Ticket {
            organisation: Uuid::from_u128(1),
            document: Uuid::from_u128(2),
            filename: "a b/ü.pdf",
            content_type: "application/pdf",
            size: Some(100),
            max_size: 1000,
            expires_at_ms: NOW + 1,
        }
    }

    #[test]
    fn a_code_holds_for_its_ticket_until_it_expires() {
        let code = ticket().sign(&key());
        assert_eq!(code.len(), 43);
        let url_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(code.chars().all(url_safe), "{code}");
        assert_eq!(ticket().verify(&key(), &code, NOW), Ok(()));
        let expired_at_ms = NOW + 1;
        let expired = Err(TicketError::Expired { expired_at_ms });
        assert_eq!(ticket().verify(&key(), &code, NOW + 1), expired);
        let forged = Err(TicketError::Forged);
        let other = SecretKey::from_bytes([4; 32]);
        assert_eq!(ticket().verify(&other, &code, NOW), forged);
        assert_eq!(ticket().verify(&other, &code, NOW + 1), forged);
        for wrong in ["", &code[..42], &format!("{code}A"), &code.to_lowercase()] {
            assert_eq!(ticket().verify(&key(), wrong, NOW), forged);
        }
    }

    #[test]
    fn every_field_is_covered() {
        let code = ticket().sign(&key());
        let t = ticket();
        let others = [
            Ticket {
                organisation: t.document,
                ..t
            },
            Ticket {
                document: t.organisation,
                ..t
            },
            Ticket {
                filename: "a b/u.pdf",
                ..t
            },
            Ticket {
                content_type: "application/pd",
                ..t
            },
            Ticket {
                filename: "a b/ü.pdfa",
                content_type: "pplication/pdf",
                ..t
            },
            Ticket {
                size: Some(101),
                ..t
            },
            Ticket { size: None, ..t },
            Ticket {
                max_size: 1001,
                ..t
            },
            Ticket {
                expires_at_ms: t.expires_at_ms + 1,
                ..t
            },
        ];
        for other in others {
            assert_eq!(
                other.verify(&key(), &code, NOW),
                Err(TicketError::Forged),
                "{other:?}"
            );
        }
        let none = Ticket { size: None, ..t };
        let zero = Ticket { size: Some(0), ..t };
        assert_ne!(none.sign(&key()), zero.sign(&key()));
    }

    #[test]
    fn sizes_are_held_to_what_was_announced() {
        assert_eq!(ticket().limit(), 100);
        assert_eq!(ticket().check_size(100), Ok(()));
        let (announced, received) = (100, 99);
        let other = Err(TicketError::OtherSize {
            announced,
            received,
        });
        assert_eq!(ticket().check_size(99), other);

        let open = Ticket {
            size: None,
            ..ticket()
        };
        assert_eq!(open.limit(), 1000);
        assert_eq!(open.check_size(0), Ok(()));
        assert_eq!(open.check_size(1000), Ok(()));
        let (received, max_size) = (1001, 1000);
        let large = Err(TicketError::TooLarge { received, max_size });
        assert_eq!(open.check_size(1001), large);

        let greedy = Ticket {
            size: Some(1001),
            ..ticket()
        };
        assert_eq!(greedy.limit(), 1000);
        assert_eq!(greedy.check_size(1001), large);
    }

    proptest! {
        #[test]
        fn texts_do_not_run_into_each_other(
            a in "[ab]{0,4}", b in "[ab]{0,4}", c in "[ab]{0,4}", d in "[ab]{0,4}",
        ) {
            let one = Ticket { filename: &a, content_type: &b, ..ticket() };
            let two = Ticket { filename: &c, content_type: &d, ..ticket() };
            prop_assert_eq!(one.sign(&key()) == two.sign(&key()), one == two);
        }
    }
}

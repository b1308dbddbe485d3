//! E-mail addresses, in the one form in which they are compared and stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;

/// An e-mail address, trimmed and with its ASCII letters in lower case, so that equal addresses
/// are equal texts.
///
/// The shape is checked as far as slips go. Whether mail arrives is not known, and mail servers
/// that tell `A@example.org` from `a@example.org` are not provided for.
///
/// ```
/// use faq_auth::Email;
///
/// let email: Email = " Ada@Example.org\n".parse()?;
/// assert_eq!(email.as_str(), "ada@example.org");
/// # Ok::<(), faq_auth::MalformedEmail>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// The address as it is compared and stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Email {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = MalformedEmail;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return Err(MalformedEmail::TooLong);
        }
        if text.contains(is_unprintable) {
            return Err(MalformedEmail::Unprintable);
        }
        let (local, domain) = text.split_once('@').ok_or(MalformedEmail::Shape)?;
        if local.is_empty() || domain.contains('@') || domain.split('.').any(str::is_empty) {
            return Err(MalformedEmail::Shape);
        }
        if local.len() > MAX_LOCAL_BYTES {
            return Err(MalformedEmail::TooLong);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// White space and control characters, and the characters that show as nothing or turn the
/// direction of writing: with those, two addresses look like one.
fn is_unprintable(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl TryFrom<String> for Email {
    type Error = MalformedEmail;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// A text that is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedEmail {
    /// Not `local@domain`.
    #[error("an e-mail address looks like name@example.org")]
    Shape,
    /// More than 254 bytes, or more than 64 before the `@`.
    #[error(
        "an e-mail address has at most {MAX_BYTES} bytes, {MAX_LOCAL_BYTES} of them before the @"
    )]
    TooLong,
    /// A space, a control character or an invisible one.
    #[error("the e-mail address holds a space or an invisible character")]
    Unprintable,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_is_read_again_as_itself(text in "[ -~é🦀]{0,12}@[a-zA-Z.-]{0,12}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse(), Ok(email.clone()));
                prop_assert_eq!(email.as_str(), text.trim().to_ascii_lowercase());
            }
        }
    }

    #[test]
    fn usual_addresses_are_taken() {
        for (text, kept) in [
            ("ada@example.org", "ada@example.org"),
            (
                "  ADA.Lovelace+faq@Mail.Example.ORG ",
                "ada.lovelace+faq@mail.example.org",
            ),
            ("admin@localhost", "admin@localhost"),
            ("o'neill@example.org", "o'neill@example.org"),
            ("jörg@bücher.example", "jörg@bücher.example"),
        ] {
            assert_eq!(text.parse::<Email>().unwrap().as_str(), kept);
        }
    }

    #[test]
    fn slips_are_refused() {
        use MalformedEmail::{Shape, TooLong, Unprintable};
        let long_domain = format!("a@{}", "b".repeat(253));
        let long_local = format!("{}@b", "a".repeat(65));
        for (text, error) in [
            ("", Shape),
            ("ada", Shape),
            ("@example.org", Shape),
            ("ada@", Shape),
            ("ada@@example.org", Shape),
            ("ada@b@c", Shape),
            ("ada@.org", Shape),
            ("ada@example..org", Shape),
            ("ada@example.org.", Shape),
            ("a da@example.org", Unprintable),
            ("ada@exam\u{0}ple.org", Unprintable),
            ("ada@example.org\nbcc:eve@example.org", Unprintable),
            ("a\u{200b}da@example.org", Unprintable),
            ("a\u{202e}da@example.org", Unprintable),
            (&long_domain, TooLong),
            (&long_local, TooLong),
        ] {
            assert_eq!(text.parse::<Email>(), Err(error), "{text:?}");
        }
        assert!(format!("a@{}", "b".repeat(252)).parse::<Email>().is_ok());
    }

    #[test]
    fn json_is_checked_too() {
        let email: Email = serde_json::from_str("\"Ada@Example.org\"").unwrap();
        assert_eq!(
            serde_json::to_string(&email).unwrap(),
            "\"ada@example.org\""
        );
        let error = serde_json::from_str::<Email>("\"ada\"").unwrap_err();
        assert!(error.to_string().contains("looks like name@example.org"));
    }
}

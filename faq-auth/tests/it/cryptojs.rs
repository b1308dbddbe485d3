//! What CryptoJS signs (`scripts/make-signature-vectors`), and what is one character off.

use std::collections::HashSet;
use std::time::Duration;

use faq_auth::{
    AccessTokens, ClientSecret, Signature, SignatureError, SignedRequest, SigningKey, TokenError,
    webhook,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    requests: Vec<Request>,
    webhooks: Vec<Webhook>,
    tokens: Vec<WebToken>,
}

#[derive(Deserialize, Clone)]
struct Request {
    name: String,
    method: String,
    target: String,
    timestamp: String,
    body: String,
    secret: String,
    signature: String,
}

#[derive(Deserialize)]
struct Webhook {
    name: String,
    timestamp: i64,
    body: String,
    secret: String,
    signature: String,
}

#[derive(Deserialize)]
struct WebToken {
    claims: serde_json::Value,
    secret: String,
    #[serde(rename = "token")]
    text: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/cryptojs.json")).unwrap()
}

impl Request {
    fn key(&self) -> SigningKey {
        self.secret.parse::<ClientSecret>().unwrap().signing_key()
    }

    fn signed(&self) -> Result<SignedRequest<'_>, SignatureError> {
        Ok(SignedRequest {
            method: &self.method,
            target: &self.target,
            timestamp: self.timestamp.parse()?,
            body: self.body.as_bytes(),
        })
    }

    /// Whether a server that holds `key` takes the request.
    fn accepted(&self, key: &SigningKey) -> bool {
        let verify = || {
            let signature: Signature = self.signature.parse()?;
            self.signed()?.verify(std::slice::from_ref(key), &signature)
        };
        verify() == Ok(0)
    }
}

/// One of a request's fields.
type Field = fn(&mut Request) -> &mut String;

/// Every text that differs from this one in one place: a character replaced, dropped or put
/// in, at 60 places at most.
fn neighbours(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let step = chars.len().div_ceil(60).max(1);
    let at = |i: usize, middle: &[char]| -> String {
        let rest = chars.get(i + 1..).unwrap_or_default();
        chars[..i].iter().chain(middle).chain(rest).collect()
    };
    let mut texts = vec![format!("{text}0"), format!("0{text}"), format!("{text}|")];
    for i in (0..chars.len()).step_by(step) {
        let other = if chars[i] == '1' { '2' } else { '1' };
        texts.extend([at(i, &[other]), at(i, &[]), at(i, &[chars[i], other])]);
        let flipped: String = if chars[i].is_lowercase() {
            chars[i].to_uppercase().collect()
        } else {
            chars[i].to_lowercase().collect()
        };
        texts.push(at(i, &flipped.chars().collect::<Vec<_>>()));
    }
    texts.retain(|other| other != text);
    texts
}

#[test]
fn requests_are_signed_alike() {
    let requests = vectors().requests;
    assert!(requests.len() >= 12);
    let names: HashSet<_> = requests.iter().map(|r| &r.name).collect();
    assert_eq!(names.len(), requests.len());
    for request in &requests {
        let made = request.signed().unwrap().sign(&request.key()).unwrap();
        assert_eq!(made.to_string(), request.signature, "{}", request.name);
        assert!(request.accepted(&request.key()), "{}", request.name);
    }
}

#[test]
fn one_changed_character_fails() {
    for request in vectors().requests {
        let key = request.key();
        let changed: [(&str, Field); 5] = [
            ("method", |r| &mut r.method),
            ("target", |r| &mut r.target),
            ("timestamp", |r| &mut r.timestamp),
            ("body", |r| &mut r.body),
            ("signature", |r| &mut r.signature),
        ];
        for (field, of) in changed {
            let mut other = request.clone();
            for text in neighbours(&of(&mut request.clone()).clone()) {
                of(&mut other).clone_from(&text);
                assert!(!other.accepted(&key), "{}: {field} {text:?}", request.name);
            }
        }
        for text in neighbours(&request.secret) {
            if let Ok(secret) = text.parse::<ClientSecret>() {
                let key = secret.signing_key();
                assert!(!request.accepted(&key), "{}: secret {text}", request.name);
            }
        }
    }
}

#[test]
fn another_request_s_signature_fails() {
    let requests = vectors().requests;
    for request in &requests {
        for other in requests.iter().filter(|other| other.name != request.name) {
            let crossed = Request {
                signature: other.signature.clone(),
                ..request.clone()
            };
            assert!(!crossed.accepted(&request.key()), "{}", request.name);
            assert!(!request.accepted(&other.key()), "{}", request.name);
        }
    }
}

#[test]
fn webhooks_are_signed_alike() {
    let webhooks = vectors().webhooks;
    assert!(!webhooks.is_empty());
    for hook in webhooks {
        let sign = |secret: &str, timestamp, body: &str| {
            webhook::sign(secret.as_bytes(), timestamp, body.as_bytes())
        };
        let made = sign(&hook.secret, hook.timestamp, &hook.body);
        assert_eq!(made, hook.signature, "{}", hook.name);
        assert_ne!(
            sign(&hook.secret, hook.timestamp + 1, &hook.body),
            hook.signature
        );
        for body in neighbours(&hook.body) {
            assert_ne!(sign(&hook.secret, hook.timestamp, &body), hook.signature);
        }
        for secret in neighbours(&hook.secret) {
            assert_ne!(sign(&secret, hook.timestamp, &hook.body), hook.signature);
        }
    }
}

#[test]
fn web_tokens_are_signed_alike() {
    let tokens = vectors().tokens;
    assert!(!tokens.is_empty());
    for token in tokens {
        let lifetime = Duration::from_secs(1800);
        let ours = AccessTokens::new(token.secret.as_bytes(), lifetime).unwrap();
        let issued_at_ms = token.claims["iat"].as_i64().unwrap() * 1000;
        let claims = ours.verify(&token.text, issued_at_ms).unwrap();
        assert_eq!(serde_json::to_value(claims).unwrap(), token.claims);
        let stranger = AccessTokens::new(&[1; 32], lifetime).unwrap();
        let refused = stranger.verify(&token.text, issued_at_ms);
        assert_eq!(refused, Err(TokenError::BadSignature));
    }
}

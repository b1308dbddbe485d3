//! HS256 for `jsonwebtoken`, and nothing else: with no other algorithm in the program, none can
//! be confused with it.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use zeroize::Zeroizing;

use crate::mac::{hmac_sha256, verify_hmac_sha256};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| signer(*algorithm, key),
    verifier_factory: |algorithm, key| verifier(*algorithm, key),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this the provider of the process, which has one. When another part of the program was
/// first, its provider stays and has to know HS256.
pub(crate) fn install() {
    let _ = PROVIDER.install_default();
}

struct Key(Zeroizing<Vec<u8>>);

impl Key {
    fn new(algorithm: Algorithm, family: AlgorithmFamily, secret: &[u8]) -> Result<Self> {
        if algorithm != Algorithm::HS256 || family != AlgorithmFamily::Hmac {
            return Err(ErrorKind::UnsupportedAlgorithm.into());
        }
        Ok(Self(Zeroizing::new(secret.to_vec())))
    }
}

fn signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let key = Key::new(algorithm, key.family(), key.as_bytes())?;
    Ok(Box::new(key))
}

fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let key = Key::new(algorithm, key.family(), key.try_get_as_bytes()?)?;
    Ok(Box::new(key))
}

impl Signer<Vec<u8>> for Key {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(hmac_sha256(&self.0, &[message]).to_vec())
    }
}

impl JwtSigner for Key {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Key {
    fn verify(&self, message: &[u8], code: &Vec<u8>) -> std::result::Result<(), Error> {
        if verify_hmac_sha256(&self.0, message, code) {
            Ok(())
        } else {
            Err(Error::new())
        }
    }
}

impl JwtVerifier for Key {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_other_algorithm() {
        let (signing, verifying) = (
            EncodingKey::from_secret(b"k"),
            DecodingKey::from_secret(b"k"),
        );
        assert!(signer(Algorithm::HS256, &signing).is_ok());
        for algorithm in [
            Algorithm::HS384,
            Algorithm::HS512,
            Algorithm::RS256,
            Algorithm::EdDSA,
        ] {
            assert!(signer(algorithm, &signing).is_err());
            assert!(verifier(algorithm, &verifying).is_err());
        }
        assert!(signer(Algorithm::HS256, &EncodingKey::from_rsa_der(b"k")).is_err());
        assert!(verifier(Algorithm::HS256, &DecodingKey::from_rsa_der(b"k")).is_err());
    }
}

//! Passwords: what may be one, and Argon2id hashes of them as PHC strings.
//!
//! A password is the bytes that were sent. It is not normalised, since two programs that
//! normalise differently would lock a person out.
//!
//! Hashing takes some 20 MiB and tens of milliseconds by design: run it where blocking is
//! allowed, and bound how many run at once.

use std::hint::black_box;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::CryptoRng;

const SALT: usize = 16;
const STAND_IN_SALT: [u8; SALT] = [0; SALT];

/// The lengths that a new password may have, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=1024;

/// A password that someone wants to use from now on. A [`Passwords::hash`] is made of nothing
/// else, so the rules cannot be forgotten; they do not concern a password at sign-in.
///
/// ```
/// use faq_auth::{NewPassword, PasswordRefused};
///
/// assert!(NewPassword::new("correct horse").is_ok());
/// assert_eq!(NewPassword::new("short"), Err(PasswordRefused::TooShort));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NewPassword<'a>(&'a str);

impl<'a> NewPassword<'a> {
    /// Checks a password that is 8 to 1024 bytes long and not blank.
    ///
    /// # Errors
    ///
    /// Which of the rules it breaks.
    pub fn new(password: &'a str) -> Result<Self, PasswordRefused> {
        if password.trim().is_empty() {
            return Err(PasswordRefused::Blank);
        }
        if password.len() < *LENGTHS.start() {
            return Err(PasswordRefused::TooShort);
        }
        if password.len() > *LENGTHS.end() {
            return Err(PasswordRefused::TooLong);
        }
        Ok(Self(password))
    }
}

impl std::fmt::Debug for NewPassword<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

/// Why a new password was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordRefused {
    /// Empty, or white space alone.
    #[error("the password is blank")]
    Blank,
    /// Less than 8 bytes.
    #[error("the password is too short: use at least {} characters", LENGTHS.start())]
    TooShort,
    /// More than 1024 bytes.
    #[error("the password is too long: use at most {} bytes", LENGTHS.end())]
    TooLong,
}

/// What one hash costs. The default is OWASP's recommendation for Argon2id, which is the least
/// that is accepted too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordParams {
    /// ARGON2_MEMORY_COST: memory, in KiB.
    pub memory_kib: u32,
    /// ARGON2_TIME_COST: passes over the memory.
    pub time: u32,
    /// ARGON2_PARALLELISM: lanes. One thread computes all of them.
    pub parallelism: u32,
}

impl Default for PasswordParams {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            time: 2,
            parallelism: 1,
        }
    }
}

impl PasswordParams {
    /// Above these, one sign-in would take gigabytes or minutes: a slip of the keyboard.
    const MOST: Self = Self {
        memory_kib: 1024 * 1024,
        time: 64,
        parallelism: 64,
    };

    /// Every setting that is out of range; none when all is well.
    pub fn problems(self) -> Vec<ParamOutOfRange> {
        let least = Self::default();
        let most = Self::MOST;
        [
            (
                "ARGON2_MEMORY_COST",
                self.memory_kib,
                least.memory_kib,
                most.memory_kib,
            ),
            ("ARGON2_TIME_COST", self.time, least.time, most.time),
            (
                "ARGON2_PARALLELISM",
                self.parallelism,
                least.parallelism,
                most.parallelism,
            ),
        ]
        .into_iter()
        .filter(|(_, value, least, most)| !(least..=most).contains(&value))
        .map(|(setting, value, least, most)| ParamOutOfRange {
            setting,
            value,
            least,
            most,
        })
        .collect()
    }

    fn exceed(self, most: Self) -> bool {
        self.memory_kib > most.memory_kib
            || self.time > most.time
            || self.parallelism > most.parallelism
    }

    fn of(params: &Params) -> Self {
        Self {
            memory_kib: params.m_cost(),
            time: params.t_cost(),
            parallelism: params.p_cost(),
        }
    }
}

/// A cost that is too low to be safe or too high to be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}; use {least} (OWASP's minimum) to {most}")]
pub struct ParamOutOfRange {
    /// The setting's name.
    pub setting: &'static str,
    /// What it is.
    pub value: u32,
    /// The least that is accepted.
    pub least: u32,
    /// The most that is accepted.
    pub most: u32,
}

/// Makes and checks password hashes.
///
/// ```
/// use faq_auth::{NewPassword, PasswordParams, Passwords};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let passwords = Passwords::new(PasswordParams::default())?;
/// let stored = passwords.hash(NewPassword::new("correct horse")?, &mut rand::rng())?;
/// assert!(passwords.verify("correct horse", &stored)?);
/// assert!(!passwords.verify("battery staple", &stored)?);
/// assert!(!passwords.needs_rehash(&stored));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Passwords {
    /// In range.
    params: PasswordParams,
}

impl Passwords {
    /// Hashes at this cost from now on; hashes of another cost are still checked.
    ///
    /// # Errors
    ///
    /// The first of [`PasswordParams::problems`].
    pub fn new(params: PasswordParams) -> Result<Self, ParamOutOfRange> {
        if let Some(problem) = params.problems().into_iter().next() {
            return Err(problem);
        }
        Ok(Self { params })
    }

    /// A salted hash, as a PHC string.
    ///
    /// # Errors
    ///
    /// When there is not enough memory.
    pub fn hash(
        &self,
        password: NewPassword<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<String, PasswordError> {
        let mut salt = [0; SALT];
        rng.fill_bytes(&mut salt);
        self.hash_with(password.0, salt)
    }

    /// Whether this is the password that the stored hash was made of. Any password may be
    /// asked about, also one that today's rules would refuse.
    ///
    /// # Errors
    ///
    /// When the stored hash cannot be read, or there is not enough memory.
    pub fn verify(&self, password: &str, stored: &str) -> Result<bool, PasswordError> {
        let (hash, params) = read(stored)?;
        if params.exceed(PasswordParams::MOST) {
            return Err(PasswordError::Damaged);
        }
        match self.argon2().verify_password(password.as_bytes(), &hash) {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The work of [`Passwords::verify`] for an address that nobody has, so that the time an
    /// answer takes does not tell. The answer is always no.
    ///
    /// # Errors
    ///
    /// When there is not enough memory.
    pub fn verify_nobody(&self, password: &str) -> Result<bool, PasswordError> {
        black_box(self.hash_with(black_box(password), STAND_IN_SALT)?);
        Ok(false)
    }

    /// Whether a stored hash was made by another algorithm or at another cost than now, so
    /// that it should be made anew once its password is at hand.
    pub fn needs_rehash(&self, stored: &str) -> bool {
        match read(stored) {
            Ok((_, params)) => params != self.params,
            Err(_) => true,
        }
    }

    fn hash_with(&self, password: &str, salt: [u8; SALT]) -> Result<String, PasswordError> {
        let hash = self
            .argon2()
            .hash_password_with_salt(password.as_bytes(), &salt)?;
        Ok(hash.to_string())
    }

    fn argon2(&self) -> Argon2<'static> {
        let PasswordParams {
            memory_kib,
            time,
            parallelism,
        } = self.params;
        let params = Params::new(memory_kib, time, parallelism, None)
            .expect("in range, every lane has the 8 KiB that the crate asks for");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    }
}

fn read(stored: &str) -> Result<(PasswordHash, PasswordParams), PasswordError> {
    let hash = PasswordHash::new(stored).map_err(|_| PasswordError::Damaged)?;
    let current = hash.algorithm == Algorithm::Argon2id.ident()
        && hash.version == Some(Version::V0x13.into())
        && hash.hash.is_some();
    let params = Params::try_from(&hash).map_err(|_| PasswordError::Damaged)?;
    if !current {
        return Err(PasswordError::Damaged);
    }
    Ok((hash, PasswordParams::of(&params)))
}

/// Why a password could not be hashed or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The stored text is no Argon2id hash of version 19, or its cost is absurd.
    #[error("the stored password hash is damaged; the user's password has to be set anew")]
    Damaged,
    /// Argon2 could not run.
    #[error("the password could not be hashed: {0}")]
    Failed(#[from] password_hash::Error),
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// Made by the reference implementation (libargon2) with a salt of sixteen bytes 5.
    const REFERENCE: &str = "$argon2id$v=19$m=19456,t=2,p=1$BQUFBQUFB\
        QUFBQUFBQUFBQ$UgQR2oV05JtZBsyon9ViVRZBTbYxwrXx52BOw/Ju6x0";
    /// As above, at a higher cost and with two lanes.
    const COSTLIER: &str = "$argon2id$v=19$m=24576,t=3,p=2$BQUFBQUFB\
        QUFBQUFBQUFBQ$JL2tnKGP4BOJJ5/Yu2//6BxRVbMMxBUntxEAcI9up9g";

    fn passwords() -> Passwords {
        Passwords::new(PasswordParams::default()).unwrap()
    }

    #[test]
    fn agrees_with_the_reference_implementation() {
        let made = passwords().hash_with("pässword 🔑", [5; SALT]).unwrap();
        assert_eq!(made, REFERENCE);
        assert_eq!(passwords().verify("pässword 🔑", REFERENCE), Ok(true));
        assert_eq!(passwords().verify("password 🔑", REFERENCE), Ok(false));
        assert_eq!(passwords().verify("pässword 🔑", COSTLIER), Ok(true));
        assert_eq!(passwords().verify("", COSTLIER), Ok(false));
    }

    #[test]
    fn a_hash_is_salted_and_made_anew_when_the_cost_changes() {
        let rng = &mut StdRng::seed_from_u64(6);
        let password = NewPassword::new("correct horse").unwrap();
        let one = passwords().hash(password, rng).unwrap();
        let two = passwords().hash(password, rng).unwrap();
        assert_ne!(one, two);
        assert!(!passwords().needs_rehash(&one));
        assert!(passwords().needs_rehash(COSTLIER));
        assert!(passwords().needs_rehash("nonsense"));
    }

    #[test]
    fn nobody_never_signs_in() {
        assert_eq!(passwords().verify_nobody("correct horse"), Ok(false));
        let stand_in = passwords()
            .hash_with("correct horse", STAND_IN_SALT)
            .unwrap();
        assert_eq!(passwords().verify("correct horse", &stand_in), Ok(true));
    }

    #[test]
    fn damaged_hashes_are_told_from_wrong_passwords() {
        for stored in [
            "",
            "correct horse",
            "$2b$12$abcdefghijklmnopqrstuv",
            &REFERENCE.replace("argon2id", "argon2i"),
            &REFERENCE.replace("v=19", "v=16"),
            &REFERENCE.replace("m=19456", "m=4000000000"),
            &REFERENCE.replace("t=2", "t=4000000000"),
            REFERENCE.rsplit_once('$').unwrap().0,
        ] {
            let refused = passwords().verify("correct horse", stored);
            assert_eq!(refused, Err(PasswordError::Damaged), "{stored}");
        }
    }

    #[test]
    fn costs_out_of_range_name_their_settings() {
        assert_eq!(PasswordParams::default().problems(), []);
        let low = PasswordParams {
            memory_kib: 19_455,
            time: 1,
            parallelism: 0,
        };
        let named: Vec<_> = low.problems().iter().map(|p| p.setting).collect();
        assert_eq!(
            named,
            [
                "ARGON2_MEMORY_COST",
                "ARGON2_TIME_COST",
                "ARGON2_PARALLELISM"
            ]
        );
        assert_eq!(Passwords::new(low).unwrap_err(), low.problems()[0]);
        let high = PasswordParams {
            memory_kib: u32::MAX,
            ..PasswordParams::default()
        };
        let error = Passwords::new(high).unwrap_err().to_string();
        assert!(
            error.starts_with("ARGON2_MEMORY_COST is 4294967295; use 19456"),
            "{error}"
        );
        assert!(Passwords::new(PasswordParams::MOST).is_ok());
    }

    #[test]
    fn new_passwords_have_8_to_1024_bytes_and_are_not_blank() {
        for blank in ["", " ", "          ", "\t\n\u{a0}\u{3000} \u{2003}"] {
            assert_eq!(NewPassword::new(blank), Err(PasswordRefused::Blank));
        }
        assert_eq!(NewPassword::new("1234567"), Err(PasswordRefused::TooShort));
        assert!(NewPassword::new("12345678").is_ok());
        assert!(NewPassword::new("ééé12").is_ok(), "bytes are counted");
        assert!(NewPassword::new(&"x".repeat(1024)).is_ok());
        assert_eq!(
            NewPassword::new(&"x".repeat(1025)),
            Err(PasswordRefused::TooLong)
        );
        let shown = format!("{:?}", NewPassword::new("12345678"));
        assert!(!shown.contains("1234"), "{shown}");
    }
}

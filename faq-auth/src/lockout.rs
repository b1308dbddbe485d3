//! How long an account's sign-in is closed after failures. Sessions that run are not touched.
//!
//! Five attempts may fail. The fifth failure closes sign-in for a minute; each one after it, for
//! twice as long as the one before, up to a quarter of an hour. A success, or an hour without a
//! failure, and all is forgotten.

/// Failures that close nothing yet.
const FREE_FAILURES: u32 = 5;
const FIRST_LOCK_MS: u64 = 60_000;
const LONGEST_LOCK_MS: u64 = 15 * 60_000;
const FORGOTTEN_AFTER_MS: u64 = 60 * 60_000;

/// The failed sign-ins of an account since its last success. To be stored as its two numbers.
///
/// ```
/// use faq_auth::SignInFailures;
///
/// let mut failures = SignInFailures::NONE;
/// for _ in 0..5 {
///     assert_eq!(failures.check(1000), Ok(()));
///     failures = failures.with_another(1000);
/// }
/// assert_eq!(failures.check(1000).unwrap_err().retry_after_s(), 60);
/// assert_eq!(failures.check(61_000), Ok(()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignInFailures {
    /// How many.
    pub count: u32,
    /// When the last one was, in Unix milliseconds.
    pub last_ms: i64,
}

impl SignInFailures {
    /// No failure: an account that never failed, or has just succeeded.
    pub const NONE: Self = Self {
        count: 0,
        last_ms: 0,
    };

    /// Whether an attempt may be made now. A refused attempt is not a failure: its password is
    /// not looked at, and it does not lengthen the lock.
    ///
    /// # Errors
    ///
    /// How long to wait, when not.
    pub fn check(self, now_ms: i64) -> Result<(), Locked> {
        if self.forgotten(now_ms) {
            return Ok(());
        }
        let lock = lock_ms(self.count);
        // A clock that was set back does not shorten a lock.
        let passed = u64::try_from(now_ms.saturating_sub(self.last_ms)).unwrap_or(0);
        match lock.saturating_sub(passed) {
            0 => Ok(()),
            wait_ms => Err(Locked { wait_ms }),
        }
    }

    /// The failures after one more.
    pub fn with_another(self, now_ms: i64) -> Self {
        let before = if self.forgotten(now_ms) {
            0
        } else {
            self.count
        };
        Self {
            count: before.saturating_add(1),
            last_ms: now_ms,
        }
    }

    /// Whether the last failure is so long ago that it counts no more. Either way: a clock that was far ahead must not lock an account until its time comes.
    pub fn forgotten(self, now_ms: i64) -> bool {
        now_ms.abs_diff(self.last_ms) >= FORGOTTEN_AFTER_MS
    }
}

fn lock_ms(failures: u32) -> u64 {
    match failures.checked_sub(FREE_FAILURES) {
        None => 0,
        Some(more) => (FIRST_LOCK_MS << more.min(16)).min(LONGEST_LOCK_MS),
    }
}

/// Sign-in to an account is closed for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed sign-ins; try again in {} s", self.retry_after_s())]
pub struct Locked {
    /// How long, in milliseconds.
    pub wait_ms: u64,
}

impl Locked {
    /// How long in whole seconds, rounded up, as `Retry-After` wants it.
    pub fn retry_after_s(self) -> u64 {
        self.wait_ms.div_ceil(1000)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_767_225_600_000;
    const MINUTE: i64 = 60_000;

    fn failed(count: u32) -> SignInFailures {
        SignInFailures {
            count,
            last_ms: NOW,
        }
    }

    #[test]
    fn locks_grow_to_a_quarter_of_an_hour() {
        for (count, minutes) in [
            (0, 0),
            (4, 0),
            (5, 1),
            (6, 2),
            (7, 4),
            (8, 8),
            (9, 15),
            (10, 15),
            (u32::MAX, 15),
        ] {
            let until = NOW + minutes * MINUTE;
            assert_eq!(failed(count).check(until), Ok(()), "{count}");
            if minutes > 0 {
                let locked = failed(count).check(NOW).unwrap_err();
                assert_eq!(locked.retry_after_s(), minutes as u64 * 60, "{count}");
                let locked = failed(count).check(until - 1).unwrap_err();
                assert_eq!((locked.wait_ms, locked.retry_after_s()), (1, 1));
            }
        }
    }

    #[test]
    fn a_quiet_hour_is_forgiven() {
        let hour = NOW + 60 * MINUTE;
        assert_eq!(failed(9).with_another(hour - 1).count, 10);
        assert_eq!(
            failed(9).with_another(hour),
            SignInFailures {
                count: 1,
                last_ms: hour
            }
        );
        assert_eq!(failed(u32::MAX).with_another(NOW).count, u32::MAX);
        assert_eq!(SignInFailures::NONE, SignInFailures::default());
    }

    #[test]
    fn a_clock_set_back_neither_opens_nor_closes_for_good() {
        assert!(failed(5).check(NOW - MINUTE).is_err());
        assert_eq!(failed(5).check(NOW - 60 * MINUTE), Ok(()));
    }

    proptest! {
        #[test]
        fn a_wait_ends_when_it_says(count: u32, passed in 0..3_600_000_i64) {
            if let Err(locked) = failed(count).check(NOW + passed) {
                let then = NOW + passed + locked.wait_ms as i64;
                prop_assert_eq!(failed(count).check(then), Ok(()));
                prop_assert!(locked.wait_ms <= LONGEST_LOCK_MS);
            }
        }

        #[test]
        fn no_time_overflows(count: u32, last_ms: i64, now: i64) {
            let failures = SignInFailures { count, last_ms };
            let _ = failures.check(now);
            prop_assert!(failures.with_another(now).count >= 1);
        }
    }
}

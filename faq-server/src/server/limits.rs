//! How often somebody may ask.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use faq_auth::SignInFailures;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use uuid::Uuid;

use super::error::ApiError;
use super::identity::Tenant;

/// Requests a minute that one address may send, as a multiple of an organisation's: many
/// people share an address.
const ADDRESS_FACTOR: u32 = 10;

/// Attempts a minute to sign in, sign up or register from one address.
const SIGN_INS: NonZeroU32 = NonZeroU32::new(30).expect("not zero");

/// Strangers whose failures are remembered.
const STRANGERS: usize = 100_000;

/// Rate limits, by address and by organisation.
pub(crate) struct Limits {
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
    organisations: DefaultKeyedRateLimiter<Uuid>,
    /// Failed sign-ins as people who are not there. They lock like those of people who are, so
    /// that a lock tells nobody who is.
    strangers: Mutex<HashMap<(Uuid, String), SignInFailures>>,
    clock: DefaultClock,
}

impl Limits {
    pub(crate) fn new(per_minute: u32) -> Self {
        let quota = |n: u32| Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
        Self {
            addresses: DefaultKeyedRateLimiter::keyed(quota(
                per_minute.saturating_mul(ADDRESS_FACTOR),
            )),
            sign_ins: DefaultKeyedRateLimiter::keyed(Quota::per_minute(SIGN_INS)),
            organisations: DefaultKeyedRateLimiter::keyed(quota(per_minute)),
            strangers: Mutex::default(),
            clock: DefaultClock::default(),
        }
    }

    /// Any request, before anything about it is checked.
    pub(crate) fn address(&self, address: IpAddr) -> Result<(), ApiError> {
        self.check(&self.addresses, &network(address))
    }

    /// An attempt to sign in, sign up or register.
    pub(crate) fn sign_in(&self, address: IpAddr) -> Result<(), ApiError> {
        self.check(&self.sign_ins, &network(address))
    }

    /// A request that the organisation signed.
    pub(crate) fn organisation(&self, tenant: Tenant) -> Result<(), ApiError> {
        self.check(&self.organisations, &tenant.id())
    }

    /// The failed sign-ins as somebody who is not there.
    pub(crate) fn stranger(&self, tenant: Tenant, email: &str) -> SignInFailures {
        let known = self
            .strangers()
            .get(&(tenant.id(), email.to_owned()))
            .copied();
        known.unwrap_or(SignInFailures::NONE)
    }

    /// Remembers one more.
    pub(crate) fn stranger_failed(&self, tenant: Tenant, email: &str, now: i64) {
        let failures = self.stranger(tenant, email).with_another(now);
        let mut strangers = self.strangers();
        if strangers.len() < STRANGERS {
            strangers.insert((tenant.id(), email.to_owned()), failures);
        }
    }

    fn strangers(&self) -> MutexGuard<'_, HashMap<(Uuid, String), SignInFailures>> {
        self.strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn check<K: std::hash::Hash + Eq + Clone>(
        &self,
        limiter: &DefaultKeyedRateLimiter<K>,
        key: &K,
    ) -> Result<(), ApiError> {
        limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            ApiError::rate_limited(wait.as_secs() + 1)
        })
    }

    /// Forgets who has not asked for a while.
    pub(crate) fn sweep(&self, now: i64) {
        self.strangers()
            .retain(|_, failures| !failures.forgotten(now));
        self.addresses.retain_recent();
        self.sign_ins.retain_recent();
        self.organisations.retain_recent();
    }
}

/// One subscriber holds a /64 of IPv6 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let mut segments = v6.segments();
            segments[4..].fill(0);
            IpAddr::from(segments)
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn too_many_are_told_when_to_come_back() {
        let limits = Limits::new(1000);
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        for _ in 0..SIGN_INS.get() {
            limits.sign_in(address).unwrap();
        }
        assert!(limits.sign_in(neighbour).is_err());
        assert!(limits.sign_in("192.0.2.1".parse().unwrap()).is_ok());
    }
}

//! Whether a difference between two systems is more than chance: the paired randomisation test
//! (Fisher; for retrieval Smucker, Allan and Carterette, CIKM 2007).
//!
//! If two systems were alike, each question's difference could as well have the other sign. The
//! p-value is the share of all assignments of signs whose mean is at least as far out as the one
//! that was measured.

use serde::Serialize;

/// Rounds that are drawn where the assignments are too many to go through.
pub const ROUNDS: u32 = 100_000;

/// Seed of the drawing, so that a comparison repeated gives the same p-value.
pub const SEED: u64 = 0x5eed_fa01;

/// Most questions with a difference whose assignments of signs are all gone through.
const EXACT: usize = 16;

/// What is unlikely by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// A mean as far from 0, to either side.
    Both,
    /// A mean as low.
    Lower,
}

/// What the test says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Test {
    /// Share of assignments as far out; of drawn ones `(hits + 1) / (rounds + 1)`, so that it is
    /// never 0 (Phipson and Smyth, 2010).
    pub p_value: f64,
    /// Whether all assignments were gone through.
    pub exact: bool,
    /// Assignments that were looked at.
    pub rounds: u32,
}

/// Tests the mean of paired differences against 0. Questions without a difference change nothing
/// and are left out; where there are no others, the p-value is 1.
pub fn randomisation(differences: &[f64], tail: Tail, rounds: u32, seed: u64) -> Test {
    let changed: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let observed: f64 = changed.iter().sum();
    // Sums in another order differ in their last digits; such a difference is none.
    let slack = 1e-12 * changed.iter().map(|d| d.abs()).sum::<f64>();
    let is_as_far = |sum: f64| match tail {
        Tail::Both => sum.abs() >= observed.abs() - slack,
        Tail::Lower => sum <= observed + slack,
    };
    if changed.len() <= EXACT {
        let all = 1_u32 << changed.len();
        let hits = (0..all)
            .filter(|signs| is_as_far(signed_sum(&changed, u64::from(*signs))))
            .count();
        return Test {
            p_value: hits as f64 / f64::from(all),
            exact: true,
            rounds: all,
        };
    }
    let mut random = SplitMix(seed);
    let mut hits = 0_u32;
    for _ in 0..rounds {
        let sum = changed
            .chunks(64)
            .map(|block| signed_sum(block, random.next()))
            .sum();
        hits += u32::from(is_as_far(sum));
    }
    Test {
        p_value: (f64::from(hits) + 1.0) / (f64::from(rounds) + 1.0),
        exact: false,
        rounds,
    }
}

/// The sum of at most 64 values, those negated whose bit is set.
fn signed_sum(values: &[f64], signs: u64) -> f64 {
    values
        .iter()
        .enumerate()
        .map(|(at, value)| f64::from_bits(value.to_bits() ^ ((signs >> at) << 63)))
        .sum()
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): few lines, and the same numbers everywhere and
/// always, which p-values that are written down need.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(differences: &[f64], tail: Tail) -> f64 {
        randomisation(differences, tail, ROUNDS, SEED).p_value
    }

    #[test]
    fn few_questions_are_counted_by_hand() {
        // Of the eight sums of ±1 ±1 ±1, two are as far from 0 as 3, and one is as low as -3.
        assert_eq!(p(&[1.0, 1.0, 1.0], Tail::Both), 0.25);
        assert_eq!(p(&[-1.0, -1.0, -1.0], Tail::Lower), 0.125);
        assert_eq!(p(&[1.0, 1.0, 1.0], Tail::Lower), 1.0);
        // 0.1 + 0.2 and 0.3 are the same difference, whatever the last digit says.
        assert_eq!(p(&[0.1, 0.2, -0.3], Tail::Both), 1.0);
    }

    #[test]
    fn no_difference_is_no_evidence() {
        assert_eq!(p(&[], Tail::Both), 1.0);
        assert_eq!(p(&[0.0; 50], Tail::Lower), 1.0);
    }

    #[test]
    fn drawing_comes_close_to_counting() {
        // 17 differences are drawn; with 16 and a 0 they are counted. 17 equal ones have a tail
        // that is known: both ends of 2^17.
        let equal = [0.5; 17];
        let found = randomisation(&equal, Tail::Both, ROUNDS, SEED);
        assert!(!found.exact);
        assert!(found.p_value < 1e-4, "{found:?}");
        // The binomial tail of at most 5 negative signs out of 17, twice: 2 * 9402 / 131072.
        let mixed: Vec<f64> = (0..17).map(|n| if n < 5 { -1.0 } else { 1.0 }).collect();
        let found = p(&mixed, Tail::Both);
        assert!((found - 2.0 * 9402.0 / 131_072.0).abs() < 0.005, "{found}");
    }

    #[test]
    fn a_seed_gives_the_same_p_value_again() {
        let differences: Vec<f64> = (0..40).map(|n| f64::from(n % 7) - 2.5).collect();
        let once = randomisation(&differences, Tail::Both, 5000, 1);
        assert_eq!(once, randomisation(&differences, Tail::Both, 5000, 1));
        assert_ne!(once, randomisation(&differences, Tail::Both, 5000, 2));
    }
}

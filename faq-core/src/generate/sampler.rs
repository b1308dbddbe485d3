//! Choice of the next token from the model's scores, in the stages that [`GenerateOptions`] names.
//!
//! The same scores, options and seed give the same choices, on every machine and version.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use super::GenerateOptions;

/// Below this the likeliest token is taken.
const GREEDY: f64 = 1e-6;

/// Scores of which the largest is found together.
const STRETCH: usize = 64;

/// Likeliest candidates that are put in order first when a nucleus is looked for; most hold it.
const NUCLEUS: usize = 256;

#[derive(Debug)]
pub(super) struct Sampler {
    options: GenerateOptions,
    /// The last tokens that were chosen, and how often each is among them.
    written: VecDeque<u32>,
    counts: HashMap<u32, usize>,
    state: u64,
}

/// A token that may be chosen, and its score.
type Candidate = (u32, f32);

/// The likelier first, of equals the lower token.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "as sorting asks for it")]
fn by_score(a: &Candidate, b: &Candidate) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

impl Sampler {
    pub(super) fn new(options: &GenerateOptions) -> Self {
        Self {
            options: options.clone(),
            written: VecDeque::new(),
            counts: HashMap::new(),
            state: options.seed,
        }
    }

    /// The next token, which counts as written; none where no score is a number. Of equal scores
    /// the lowest token wins. The scores of tokens that were written change by their penalties.
    pub(super) fn choose(&mut self, scores: &mut [f32]) -> Option<u32> {
        self.penalise(scores);
        let (best, most) = likeliest(scores)?;
        let token = if self.options.temperature <= GREEDY {
            best
        } else {
            self.draw(scores, most).unwrap_or(best)
        };
        self.remember(token);
        Some(token)
    }

    fn penalise(&self, scores: &mut [f32]) {
        let GenerateOptions {
            repetition_penalty,
            frequency_penalty,
            presence_penalty,
            ..
        } = self.options;
        for (token, count) in &self.counts {
            let Some(score) = scores.get_mut(*token as usize) else {
                continue;
            };
            let mut penalised = f64::from(*score);
            if penalised > 0.0 {
                penalised /= repetition_penalty;
            } else {
                penalised *= repetition_penalty;
            }
            penalised -= *count as f64 * frequency_penalty + presence_penalty;
            *score = penalised as f32;
        }
    }

    fn remember(&mut self, token: u32) {
        let GenerateOptions {
            repetition_penalty,
            frequency_penalty,
            presence_penalty,
            penalty_tokens,
            ..
        } = self.options;
        let idle = (repetition_penalty, frequency_penalty, presence_penalty) == (1.0, 0.0, 0.0);
        if idle || penalty_tokens == 0 {
            return;
        }
        if self.written.len() == penalty_tokens
            && let Some(oldest) = self.written.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
        self.written.push_back(token);
        *self.counts.entry(token).or_default() += 1;
    }

    /// One of the tokens that the stages leave, as likely as its weight. `most` is the largest score.
    fn draw(&mut self, scores: &[f32], most: f32) -> Option<u32> {
        let GenerateOptions {
            temperature,
            top_k,
            top_p,
            min_p,
            ..
        } = self.options;
        let mut left: Vec<Candidate> = (0..)
            .zip(scores)
            .filter(|(_, score)| **score > f32::NEG_INFINITY)
            .map(|(token, score)| (token, *score))
            .collect();
        if top_k > 0 && top_k < left.len() {
            left.select_nth_unstable_by(top_k - 1, by_score);
            left.truncate(top_k);
            left.sort_unstable_by(by_score);
        }
        if top_p < 1.0 {
            nucleus(&mut left, top_p, most);
        }
        if min_p > 0.0 {
            let least = f64::from(most) + min_p.ln();
            left.retain(|(_, score)| f64::from(*score) >= least);
        }
        let weight = |score: f32| (f64::from(score - most) / temperature).exp();
        let total: f64 = left.iter().map(|(_, score)| weight(*score)).sum();
        let mut rest = self.uniform() * total;
        for (token, score) in &left {
            rest -= weight(*score);
            if rest < 0.0 {
                return Some(*token);
            }
        }
        left.last().map(|(token, _)| *token)
    }

    /// A number in 0..1, by SplitMix64 (Steele, Lea and Flood, 2014).
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The token with the largest score, and that score.
fn likeliest(scores: &[f32]) -> Option<Candidate> {
    let mut best: Option<(usize, f32)> = None;
    for (number, scores) in scores.chunks(STRETCH).enumerate() {
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if best.is_none_or(|(_, best)| most > best) {
            let at = scores.iter().position(|score| *score == most);
            best = at.map(|at| (number * STRETCH + at, most)).or(best);
        }
    }
    let (best, most) = best.filter(|(_, score)| score.is_finite())?;
    Some((best as u32, most))
}

/// Leaves the likeliest tokens that together have the share `top_p`, the likeliest one at least.
fn nucleus(left: &mut Vec<Candidate>, top_p: f64, most: f32) {
    let weight = |score: f32| f64::from(score - most).exp();
    let enough = top_p * left.iter().map(|(_, score)| weight(*score)).sum::<f64>();
    let (mut sum, mut sorted) = (0.0, 0);
    while sorted < left.len() {
        let rest = &mut left[sorted..];
        let more = rest.len().min(sorted.max(NUCLEUS));
        if more < rest.len() {
            rest.select_nth_unstable_by(more - 1, by_score);
        }
        rest[..more].sort_unstable_by(by_score);
        for at in sorted..sorted + more {
            sum += weight(left[at].1);
            if sum >= enough {
                left.truncate(at + 1);
                return;
            }
        }
        sorted += more;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{GenerateOptions, Sampler};

    fn options(temperature: f64, seed: u64) -> GenerateOptions {
        GenerateOptions {
            temperature,
            seed,
            ..GenerateOptions::default()
        }
    }

    fn choose(sampler: &mut Sampler, scores: &[f32]) -> Option<u32> {
        sampler.choose(&mut scores.to_vec())
    }

    /// How often each token is drawn.
    fn shares(options: &GenerateOptions, scores: &[f32]) -> Vec<f64> {
        const DRAWS: u32 = 20_000;
        let mut sampler = Sampler::new(options);
        let mut counts = vec![0_u32; scores.len()];
        for _ in 0..DRAWS {
            counts[choose(&mut sampler, scores).unwrap() as usize] += 1;
        }
        counts
            .iter()
            .map(|count| f64::from(*count) / f64::from(DRAWS))
            .collect()
    }

    /// Scores of tokens that have these probabilities.
    fn scores(probabilities: &[f64]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln() as f32 + 3.0).collect()
    }

    fn near(shares: &[f64], expected: &[f64]) {
        assert_eq!(shares.len(), expected.len());
        for (share, expected) in shares.iter().zip(expected) {
            // Five standard deviations of a share of 20,000 draws; none where there is no chance.
            let most = 5.0 * (expected * (1.0 - expected) / 20_000.0).sqrt();
            assert!((share - expected).abs() <= most, "{share} for {expected}");
        }
    }

    #[test]
    fn zero_takes_the_likeliest_and_the_first_of_equals() {
        let mut greedy = Sampler::new(&options(0.0, 0));
        assert_eq!(choose(&mut greedy, &[1.0, f32::NAN, 3.0, 3.0]), Some(2));
        assert_eq!(choose(&mut greedy, &[f32::NAN, f32::NAN]), None);
        assert_eq!(choose(&mut greedy, &[f32::NEG_INFINITY]), None);
        assert_eq!(choose(&mut greedy, &[]), None);
    }

    #[test]
    fn the_likeliest_is_found_wherever_it_stands() {
        let mut greedy = Sampler::new(&options(0.0, 0));
        for length in [1, 63, 64, 65, 200] {
            for best in 0..length {
                let mut scores = vec![-3.0; length];
                scores[length / 2] = f32::NAN;
                scores[best] = -2.0;
                assert_eq!(choose(&mut greedy, &scores), Some(best as u32));
            }
        }
        let mut late = [f32::NAN; 130];
        late[129] = -7.0;
        assert_eq!(choose(&mut greedy, &late), Some(129));
    }

    #[test]
    fn shares_follow_the_probabilities_and_the_temperature() {
        let probabilities = [0.5, 0.3, 0.15, 0.05];
        let mut all = scores(&probabilities);
        all.push(f32::NEG_INFINITY);
        all.push(f32::NAN);
        near(
            &shares(&options(1.0, 7), &all),
            &[0.5, 0.3, 0.15, 0.05, 0.0, 0.0],
        );
        for temperature in [0.5, 2.0] {
            let weights = probabilities.map(|p: f64| p.powf(1.0 / temperature));
            let total: f64 = weights.iter().sum();
            near(
                &shares(&options(temperature, 7), &scores(&probabilities)),
                &weights.map(|w| w / total),
            );
        }
    }

    #[test]
    fn each_stage_leaves_out_what_it_says() {
        let of = |change: fn(&mut GenerateOptions)| {
            let mut options = options(1.0, 11);
            change(&mut options);
            shares(&options, &scores(&[0.05, 0.5, 0.15, 0.3]))
        };
        near(&of(|o| o.top_k = 2), &[0.0, 0.625, 0.0, 0.375]);
        near(&of(|o| o.top_k = 9), &[0.05, 0.5, 0.15, 0.3]);
        near(&of(|o| o.top_p = 0.79), &[0.0, 0.625, 0.0, 0.375]);
        near(&of(|o| o.top_p = 0.0), &[0.0, 1.0, 0.0, 0.0]);
        near(
            &of(|o| o.min_p = 0.29),
            &[0.0, 10.0 / 19.0, 3.0 / 19.0, 6.0 / 19.0],
        );
        near(&of(|o| o.min_p = 1.0), &[0.0, 1.0, 0.0, 0.0]);
    }

    /// The nucleus is taken of what `top_k` left, and the temperature comes after both.
    #[test]
    fn stages_come_in_their_order() {
        let mut options = options(1.0, 3);
        options.top_k = 2;
        options.top_p = 0.62;
        let scores = scores(&[0.05, 0.5, 0.15, 0.3]);
        near(&shares(&options, &scores), &[0.0, 1.0, 0.0, 0.0]);
        // A high temperature would flatten the probabilities until the nucleus held all four.
        let hot = GenerateOptions {
            temperature: 50.0,
            top_k: 0,
            top_p: 0.79,
            ..options
        };
        let shares = shares(&hot, &scores);
        assert_eq!((shares[0], shares[2]), (0.0, 0.0));
        assert!((shares[1] - 0.5).abs() < 0.03, "{shares:?}");
    }

    /// Among many tokens the nucleus is found piece by piece; it is that of a full sort.
    #[test]
    fn a_large_nucleus_is_the_same_as_by_sorting() {
        let scores: Vec<f32> = (0..5000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) % 1000) as f32 / 400.0)
            .collect();
        for top_p in [0.01, 0.3, 0.9, 0.999] {
            let most = scores.iter().copied().fold(f32::MIN, f32::max);
            let mut left: Vec<_> = (0..).zip(scores.iter().copied()).collect();
            super::nucleus(&mut left, top_p, most);
            let mut sorted: Vec<(u32, f32)> = (0..).zip(scores.iter().copied()).collect();
            sorted.sort_by(super::by_score);
            let weight = |(_, score): &(u32, f32)| f64::from(score - most).exp();
            let enough = top_p * sorted.iter().map(weight).sum::<f64>();
            let mut sum = 0.0;
            let kept = sorted.iter().take_while(|c| {
                let before = sum;
                sum += weight(c);
                before < enough
            });
            let kept: Vec<_> = kept.copied().collect();
            assert!(left.len().abs_diff(kept.len()) <= 1, "{top_p}");
            let same = left.len().min(kept.len());
            assert_eq!(left[..same], kept[..same], "{top_p}");
        }
    }

    #[test]
    fn penalties_change_the_scores_of_what_was_written() {
        let choices = |change: fn(&mut GenerateOptions), scores: &[f32], count| -> Vec<u32> {
            let mut options = options(0.0, 0);
            change(&mut options);
            let mut sampler = Sampler::new(&options);
            (0..count)
                .map(|_| choose(&mut sampler, scores).unwrap())
                .collect()
        };
        let plain = [3.0, 2.0, -1.0];
        assert_eq!(choices(|_| (), &plain, 3), [0, 0, 0]);
        // 3 becomes 1.5, then 2 becomes 1; both are lower than before, and 1.5 is the largest.
        assert_eq!(
            choices(|o| o.repetition_penalty = 2.0, &plain, 4),
            [0, 1, 0, 0]
        );
        // What is negative gets more negative.
        assert_eq!(
            choices(|o| o.repetition_penalty = 2.0, &[-1.0, -1.5], 2),
            [0, 1]
        );
        assert_eq!(
            choices(|o| o.presence_penalty = 2.0, &plain, 4),
            [0, 1, 0, 0]
        );
        // 3, 2 | 2, 2 | 1, 2 | 1, 1 | 0, 1: each time it was written counts.
        assert_eq!(
            choices(|o| o.frequency_penalty = 1.0, &plain, 5),
            [0, 0, 1, 0, 1]
        );
        // Only the last token is looked at.
        let short = |o: &mut GenerateOptions| {
            o.presence_penalty = 2.0;
            o.penalty_tokens = 1;
        };
        assert_eq!(choices(short, &plain, 4), [0, 1, 0, 1]);
        let none = |o: &mut GenerateOptions| {
            o.presence_penalty = 2.0;
            o.penalty_tokens = 0;
        };
        assert_eq!(choices(none, &plain, 2), [0, 0]);
    }

    #[test]
    fn a_seed_repeats_a_run() {
        let scores = [0.1, 0.2, 0.3, 0.4];
        let run = |seed| -> Vec<_> {
            let mut sampler = Sampler::new(&GenerateOptions {
                top_p: 0.95,
                ..options(1.0, seed)
            });
            (0..50).map(|_| choose(&mut sampler, &scores)).collect()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}

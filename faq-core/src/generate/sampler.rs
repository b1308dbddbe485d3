//! Choice of the next token from the model's scores.
//!
//! The same scores, options and seed give the same choices, on every machine and version.

use super::GenerateOptions;

/// Below this the likeliest token is taken.
const GREEDY: f64 = 1e-6;

/// Scores of which the largest is found together.
const STRETCH: usize = 64;

#[derive(Debug)]
pub(super) struct Sampler {
    temperature: f64,
    top_p: f64,
    state: u64,
}

impl Sampler {
    pub(super) fn new(options: &GenerateOptions) -> Self {
        Self {
            temperature: options.temperature,
            top_p: options.top_p,
            state: options.seed,
        }
    }

    /// The next token; none where no score is a number. Of equal scores the lowest token wins.
    pub(super) fn choose(&mut self, scores: &[f32]) -> Option<u32> {
        let mut best: Option<(usize, f32)> = None;
        for (number, scores) in scores.chunks(STRETCH).enumerate() {
            let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            if best.is_none_or(|(_, best)| most > best) {
                let at = scores.iter().position(|score| *score == most);
                best = at.map(|at| (number * STRETCH + at, most)).or(best);
            }
        }
        let (best, most) = best.filter(|(_, score)| score.is_finite())?;
        if self.temperature.is_nan() || self.temperature <= GREEDY {
            return Some(best as u32);
        }
        let mut weights: Vec<(usize, f64)> = scores
            .iter()
            .enumerate()
            .map(|(token, score)| (token, (f64::from(score - most) / self.temperature).exp()))
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        let mut total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        if self.top_p < 1.0 {
            weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let enough = total * self.top_p.max(0.0);
            total = 0.0;
            let mut kept = 0;
            for (_, weight) in &weights {
                total += weight;
                kept += 1;
                if total >= enough {
                    break;
                }
            }
            weights.truncate(kept);
        }
        let mut left = self.uniform() * total;
        for (token, weight) in &weights {
            left -= weight;
            if left < 0.0 {
                return Some(*token as u32);
            }
        }
        Some(weights.last().map_or(best, |(token, _)| *token) as u32)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{GenerateOptions, Sampler};

    fn sampler(temperature: f64, top_p: f64, seed: u64) -> Sampler {
        Sampler::new(&GenerateOptions {
            temperature,
            top_p,
            seed,
            ..GenerateOptions::default()
        })
    }

    #[test]
    fn zero_takes_the_likeliest_and_the_first_of_equals() {
        let mut greedy = sampler(0.0, 1.0, 0);
        assert_eq!(greedy.choose(&[1.0, f32::NAN, 3.0, 3.0]), Some(2));
        assert_eq!(greedy.choose(&[f32::NAN, f32::NAN]), None);
        assert_eq!(greedy.choose(&[f32::NEG_INFINITY]), None);
        assert_eq!(greedy.choose(&[]), None);
    }

    #[test]
    fn the_likeliest_is_found_wherever_it_stands() {
        let mut greedy = sampler(0.0, 1.0, 0);
        for length in [1, 63, 64, 65, 200] {
            for best in 0..length {
                let mut scores = vec![-3.0; length];
                scores[length / 2] = f32::NAN;
                scores[best] = -2.0;
                assert_eq!(greedy.choose(&scores), Some(best as u32));
            }
        }
        let mut late = [f32::NAN; 130];
        late[129] = -7.0;
        assert_eq!(greedy.choose(&late), Some(129));
    }

    #[test]
    fn shares_follow_the_scores() {
        let scores = [0.0, 3.0_f32.ln(), f32::NEG_INFINITY];
        let mut sampler = sampler(1.0, 1.0, 7);
        let mut counts = [0; 3];
        for _ in 0..4000 {
            counts[sampler.choose(&scores).unwrap() as usize] += 1;
        }
        assert_eq!(counts[2], 0);
        let share = f64::from(counts[1]) / 4000.0;
        assert!((share - 0.75).abs() < 0.03, "{share}");
    }

    #[test]
    fn the_nucleus_leaves_the_rest_out() {
        let scores = [0.0, 2.0, 1.9, -1.0];
        let mut sampler = sampler(1.0, 0.6, 1);
        let mut seen = [false; 4];
        for _ in 0..500 {
            seen[sampler.choose(&scores).unwrap() as usize] = true;
        }
        assert_eq!(seen, [false, true, true, false]);
    }

    #[test]
    fn a_seed_repeats_a_run() {
        let scores = [0.1, 0.2, 0.3, 0.4];
        let run = |seed| -> Vec<_> {
            let mut sampler = sampler(1.0, 0.95, seed);
            (0..50).map(|_| sampler.choose(&scores)).collect()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}

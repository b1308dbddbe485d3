//! Times of searches, and of their steps.

use faq_core::SearchTimings;
use serde::{Deserialize, Serialize};

/// Times in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the searches took no longer.
    pub p50: f64,
    /// 95 of 100 searches took no longer.
    pub p95: f64,
    /// 99 of 100 searches took no longer.
    pub p99: f64,
}

impl Latency {
    /// Of times in milliseconds, which are sorted.
    pub fn of(times: &mut [f64]) -> Self {
        times.sort_by(f64::total_cmp);
        Self {
            p50: percentile(times, 50),
            p95: percentile(times, 95),
            p99: percentile(times, 99),
        }
    }
}

/// Where the time of a search goes. A step that was not taken took 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// The question into its vector.
    pub embedding: Latency,
    /// The search among vectors.
    pub vectors: Latency,
    /// The search among keywords.
    pub keywords: Latency,
    /// The best hits in their new order.
    #[serde(default)]
    pub rerank: Latency,
    /// All of it, as a caller waits for it.
    pub whole: Latency,
}

/// Times of searches as they come.
#[derive(Debug, Default)]
pub(crate) struct Times {
    embedding: Vec<f64>,
    vectors: Vec<f64>,
    keywords: Vec<f64>,
    rerank: Vec<f64>,
    whole: Vec<f64>,
}

impl Times {
    /// One search more, and the time until its caller had the answer, in milliseconds.
    pub(crate) fn add(&mut self, took: SearchTimings, whole: f64) {
        self.embedding.push(took.embed);
        self.vectors.push(took.dense);
        self.keywords.push(took.keyword);
        self.rerank.push(took.rerank);
        self.whole.push(whole);
    }

    pub(crate) fn stages(mut self) -> Stages {
        Stages {
            embedding: Latency::of(&mut self.embedding),
            vectors: Latency::of(&mut self.vectors),
            keywords: Latency::of(&mut self.keywords),
            rerank: Latency::of(&mut self.rerank),
            whole: Latency::of(&mut self.whole),
        }
    }
}

/// The smallest value that `percent` of 100 sorted values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&times, 50), 100.0);
        assert_eq!(percentile(&times, 95), 190.0);
        assert_eq!(percentile(&times, 99), 198.0);
        assert_eq!(percentile(&[7.0], 99), 7.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}

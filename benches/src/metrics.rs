//! Retrieval metrics, equal to those of `trec_eval`.
//!
//! A grade of 1 or more is relevant. nDCG has linear gains and a discount of
//! `log2(rank + 1)` (Järvelin and Kekäläinen, TOIS 2002), as `trec_eval`'s `ndcg_cut`.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::beir::Qrels;
use crate::trec::Run;

/// Metrics of one question, or their means. A recall that goes deeper than the ranking is not a
/// number, and null in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// `ndcg_cut_10`.
    pub ndcg_at_10: f64,
    /// `recall_5`.
    #[serde(deserialize_with = "or_nan")]
    pub recall_at_5: f64,
    /// `recall_10`.
    #[serde(deserialize_with = "or_nan")]
    pub recall_at_10: f64,
    /// `recall_100`.
    #[serde(deserialize_with = "or_nan")]
    pub recall_at_100: f64,
    /// `recip_rank` of the ten best documents.
    pub mrr_at_10: f64,
    /// `map`, over all ranked documents.
    pub map: f64,
    /// `success_10`: of one question, 1 where a relevant document is among the ten best, else 0.
    /// The mean is the share of questions that are covered so.
    pub coverage_at_10: f64,
}

fn or_nan<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or(f64::NAN))
}

/// One of the [`Metrics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Metric {
    /// [`Metrics::ndcg_at_10`].
    #[default]
    NdcgAt10,
    /// [`Metrics::recall_at_5`].
    RecallAt5,
    /// [`Metrics::recall_at_10`].
    RecallAt10,
    /// [`Metrics::recall_at_100`].
    RecallAt100,
    /// [`Metrics::mrr_at_10`].
    MrrAt10,
    /// [`Metrics::map`].
    Map,
    /// [`Metrics::coverage_at_10`].
    CoverageAt10,
}

impl Metric {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::NdcgAt10,
        Self::RecallAt5,
        Self::RecallAt10,
        Self::RecallAt100,
        Self::MrrAt10,
        Self::Map,
        Self::CoverageAt10,
    ];

    /// Documents that have to be ranked for it to be what its name says. The others say of a shorter
    /// ranking how good it is.
    pub fn depth(self) -> usize {
        match self {
            Self::RecallAt5 => 5,
            Self::RecallAt10 => 10,
            Self::RecallAt100 => 100,
            Self::NdcgAt10 | Self::MrrAt10 | Self::Map | Self::CoverageAt10 => 0,
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::NdcgAt10 => "nDCG@10",
            Self::RecallAt5 => "R@5",
            Self::RecallAt10 => "R@10",
            Self::RecallAt100 => "R@100",
            Self::MrrAt10 => "MRR@10",
            Self::Map => "MAP",
            Self::CoverageAt10 => "Cover@10",
        }
    }

    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::NdcgAt10 => "ndcg_at_10",
            Self::RecallAt5 => "recall_at_5",
            Self::RecallAt10 => "recall_at_10",
            Self::RecallAt100 => "recall_at_100",
            Self::MrrAt10 => "mrr_at_10",
            Self::Map => "map",
            Self::CoverageAt10 => "coverage_at_10",
        }
    }
}

impl Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.key())
    }
}

impl FromStr for Metric {
    type Err = String;

    /// Takes both names, in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|m| text.eq_ignore_ascii_case(m.name()) || text.eq_ignore_ascii_case(m.key()))
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("{text:?} is no metric; there are {names}")
            })
    }
}

impl Metrics {
    /// The value of one metric.
    pub fn get(&self, metric: Metric) -> f64 {
        match metric {
            Metric::NdcgAt10 => self.ndcg_at_10,
            Metric::RecallAt5 => self.recall_at_5,
            Metric::RecallAt10 => self.recall_at_10,
            Metric::RecallAt100 => self.recall_at_100,
            Metric::MrrAt10 => self.mrr_at_10,
            Metric::Map => self.map,
            Metric::CoverageAt10 => self.coverage_at_10,
        }
    }

    /// What of them a ranking of `k` documents tells.
    #[must_use]
    pub fn at_depth(self, k: usize) -> Self {
        let tells = |metric: Metric, value: f64| if metric.depth() > k { f64::NAN } else { value };
        Self {
            recall_at_5: tells(Metric::RecallAt5, self.recall_at_5),
            recall_at_10: tells(Metric::RecallAt10, self.recall_at_10),
            recall_at_100: tells(Metric::RecallAt100, self.recall_at_100),
            ..self
        }
    }

    /// Names and values, in the order in which they are shown.
    pub fn named(&self) -> [(&'static str, f64); 7] {
        Metric::ALL.map(|metric| (metric.name(), self.get(metric)))
    }

    /// Each value through `change`, which is given another's too.
    fn zip(&self, other: &Self, change: impl Fn(f64, f64) -> f64) -> Self {
        let of = |metric| change(self.get(metric), other.get(metric));
        Self {
            ndcg_at_10: of(Metric::NdcgAt10),
            recall_at_5: of(Metric::RecallAt5),
            recall_at_10: of(Metric::RecallAt10),
            recall_at_100: of(Metric::RecallAt100),
            mrr_at_10: of(Metric::MrrAt10),
            map: of(Metric::Map),
            coverage_at_10: of(Metric::CoverageAt10),
        }
    }
}

/// A value of a metric for people.
pub fn shown(value: f64) -> String {
    if value.is_nan() {
        "n/a".to_owned()
    } else {
        format!("{value:.4}")
    }
}

/// Metrics of every judged question. One that the run has nothing for counts as 0
/// (`trec_eval -c`), so that a system gains nothing by silence.
pub fn per_query(run: &Run, qrels: &Qrels) -> BTreeMap<String, Metrics> {
    qrels
        .iter()
        .map(|(query, grades)| (query.clone(), evaluate(&run.ranking(query), grades)))
        .collect()
}

/// Means over all judged questions, as [`per_query`] gives them.
pub fn mean(run: &Run, qrels: &Qrels) -> Metrics {
    let each = per_query(run, qrels);
    let count = each.len().max(1) as f64;
    each.values()
        .fold(Metrics::default(), |sum, one| sum.zip(one, |a, b| a + b))
        .zip(&Metrics::default(), |sum, _| sum / count)
}

/// Metrics of one question: its documents, best first, against their grades.
pub fn evaluate(ranking: &[&str], grades: &BTreeMap<String, i32>) -> Metrics {
    let relevant = grades.values().filter(|grade| **grade > 0).count();
    if relevant == 0 {
        return Metrics::default();
    }
    let grade = |document: &&str| grades.get(*document).copied().unwrap_or(0).max(0);
    let found: Vec<i32> = ranking.iter().map(grade).collect();
    let recall = |cut: usize| {
        let hits = found.iter().take(cut).filter(|grade| **grade > 0).count();
        hits as f64 / relevant as f64
    };

    let mut ideal: Vec<i32> = grades
        .values()
        .copied()
        .filter(|grade| *grade > 0)
        .collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));

    let mut hits = 0;
    let mut precisions = 0.0;
    for (at, _) in found.iter().enumerate().filter(|(_, grade)| **grade > 0) {
        hits += 1;
        precisions += f64::from(hits) / (at + 1) as f64;
    }
    let first = found.iter().take(10).position(|grade| *grade > 0);
    Metrics {
        ndcg_at_10: gain(&found, 10) / gain(&ideal, 10),
        recall_at_5: recall(5),
        recall_at_10: recall(10),
        recall_at_100: recall(100),
        mrr_at_10: first.map_or(0.0, |at| 1.0 / (at + 1) as f64),
        map: precisions / relevant as f64,
        coverage_at_10: f64::from(u8::from(first.is_some())),
    }
}

/// Discounted cumulative gain of the first `cut` grades.
fn gain(grades: &[i32], cut: usize) -> f64 {
    grades
        .iter()
        .take(cut)
        .enumerate()
        .map(|(at, grade)| f64::from(*grade) / ((at + 2) as f64).log2())
        .sum()
}

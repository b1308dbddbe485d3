//! Retrieval metrics, equal to those of `trec_eval`.
//!
//! A grade of 1 or more is relevant. nDCG has linear gains and a discount of
//! `log2(rank + 1)` (Järvelin and Kekäläinen, TOIS 2002), as `trec_eval`'s `ndcg_cut`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::beir::Qrels;
use crate::trec::Run;

/// Metrics of one question, or their means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// `ndcg_cut_10`.
    pub ndcg_at_10: f64,
    /// `recall_5`.
    pub recall_at_5: f64,
    /// `recall_10`.
    pub recall_at_10: f64,
    /// `recall_100`.
    pub recall_at_100: f64,
    /// `recip_rank` of the ten best documents.
    pub mrr_at_10: f64,
    /// `map`, over all ranked documents.
    pub map: f64,
}

impl Metrics {
    /// Names and values, in the order in which they are shown.
    pub fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("nDCG@10", self.ndcg_at_10),
            ("R@5", self.recall_at_5),
            ("R@10", self.recall_at_10),
            ("R@100", self.recall_at_100),
            ("MRR@10", self.mrr_at_10),
            ("MAP", self.map),
        ]
    }

    fn add(&mut self, other: &Self) {
        self.ndcg_at_10 += other.ndcg_at_10;
        self.recall_at_5 += other.recall_at_5;
        self.recall_at_10 += other.recall_at_10;
        self.recall_at_100 += other.recall_at_100;
        self.mrr_at_10 += other.mrr_at_10;
        self.map += other.map;
    }

    fn divide(&mut self, by: f64) {
        self.ndcg_at_10 /= by;
        self.recall_at_5 /= by;
        self.recall_at_10 /= by;
        self.recall_at_100 /= by;
        self.mrr_at_10 /= by;
        self.map /= by;
    }
}

/// Means over all judged questions. One that the run has nothing for counts as 0
/// (`trec_eval -c`), so that a system gains nothing by silence.
pub fn mean(run: &Run, qrels: &Qrels) -> Metrics {
    let mut sum = Metrics::default();
    for (query, grades) in qrels {
        sum.add(&evaluate(&run.ranking(query), grades));
    }
    if !qrels.is_empty() {
        sum.divide(qrels.len() as f64);
    }
    sum
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
    Metrics {
        ndcg_at_10: gain(&found, 10) / gain(&ideal, 10),
        recall_at_5: recall(5),
        recall_at_10: recall(10),
        recall_at_100: recall(100),
        mrr_at_10: found
            .iter()
            .take(10)
            .position(|grade| *grade > 0)
            .map_or(0.0, |at| 1.0 / (at + 1) as f64),
        map: precisions / relevant as f64,
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

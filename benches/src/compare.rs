//! Two runs over the same questions, held against each other question by question.

use std::fmt;

use serde::Serialize;

use crate::beir::DataSet;
use crate::metrics::{self, Metric};
use crate::significance::{ROUNDS, SEED, Tail, Test, randomisation};
use crate::trec::Run;

/// A difference with its sign and four digits; one that rounds to 0 has a plus.
pub(crate) fn signed(difference: f64) -> String {
    let text = format!("{difference:+.4}");
    if text == "-0.0000" {
        "+0.0000".to_owned()
    } else {
        text
    }
}

/// Questions whose difference is smaller are ties.
const TIE: f64 = 1e-9;

/// What came of a comparison; differences are those of `b` over `a`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What was compared.
    pub metric: Metric,
    /// Questions that both were judged by.
    pub queries: usize,
    /// Mean of the first run.
    pub a: f64,
    /// Mean of the second.
    pub b: f64,
    /// Mean of the second less that of the first.
    pub difference: f64,
    /// Whether the difference is more than chance, to either side.
    pub test: Test,
    /// Questions that the second run answers better.
    pub wins: usize,
    /// Questions that it answers worse.
    pub losses: usize,
    /// Questions without a difference.
    pub ties: usize,
    /// The largest wins, largest first.
    pub largest_wins: Vec<Change>,
    /// The largest losses, largest first.
    pub largest_losses: Vec<Change>,
}

/// A question that two runs answer unlike each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Its name in the judgements.
    pub query: String,
    /// The question.
    pub text: String,
    /// Value of the first run.
    pub a: f64,
    /// Value of the second.
    pub b: f64,
}

/// Compares two runs by the judgements of `set`, over all its questions: one that a run says
/// nothing to counts as 0. Of the changes, the `shown` largest to each side are kept.
pub fn compare(a: &Run, b: &Run, set: &DataSet, metric: Metric, shown: usize) -> Comparison {
    let (first, second) = (
        metrics::per_query(a, &set.qrels),
        metrics::per_query(b, &set.qrels),
    );
    let changes: Vec<Change> = set
        .queries
        .iter()
        .map(|query| Change {
            query: query.id.clone(),
            text: query.text.clone(),
            a: first[&query.id].get(metric),
            b: second[&query.id].get(metric),
        })
        .collect();
    let differences: Vec<f64> = changes.iter().map(Change::difference).collect();
    let count = changes.len().max(1) as f64;
    let mean = |of: fn(&Change) -> f64| changes.iter().map(of).sum::<f64>() / count;
    let (a, b) = (mean(|c| c.a), mean(|c| c.b));
    let wins = changes.iter().filter(|c| c.difference() > TIE).count();
    let losses = changes.iter().filter(|c| c.difference() < -TIE).count();
    Comparison {
        metric,
        queries: changes.len(),
        a,
        b,
        difference: b - a,
        test: randomisation(&differences, Tail::Both, ROUNDS, SEED),
        wins,
        losses,
        ties: changes.len() - wins - losses,
        largest_wins: largest(&changes, wins.min(shown), Change::difference),
        largest_losses: largest(&changes, losses.min(shown), |change| -change.difference()),
    }
}

/// What `b` gained over `a`; a tie is 0.
pub(crate) fn difference(a: f64, b: f64) -> f64 {
    let difference = b - a;
    if difference.abs() <= TIE {
        0.0
    } else {
        difference
    }
}

/// The `count` changes that are largest by `by`; equal ones in the order of the questions.
fn largest(changes: &[Change], count: usize, by: fn(&Change) -> f64) -> Vec<Change> {
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by(|x, y| by(y).total_cmp(&by(x)));
    sorted.into_iter().take(count).cloned().collect()
}

impl Change {
    /// What the second run gained.
    pub fn difference(&self) -> f64 {
        difference(self.a, self.b)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Test {
            p_value,
            exact,
            rounds,
        } = self.test;
        let how = if exact { "all" } else { "drawn" };
        writeln!(
            out,
            "{} over {} questions: A {:.4}, B {:.4}, difference {}\n\
             p = {p_value:.5} (two-sided paired randomisation, {rounds} assignments, {how})\n\
             B wins {}, loses {}, ties {}",
            self.metric.name(),
            self.queries,
            self.a,
            self.b,
            signed(self.difference),
            self.wins,
            self.losses,
            self.ties
        )?;
        for (title, changes) in [
            ("largest wins of B", &self.largest_wins),
            ("largest losses of B", &self.largest_losses),
        ] {
            if !changes.is_empty() {
                writeln!(out, "\n{title}:      A       B  question")?;
            }
            for Change { query, text, a, b } in changes {
                let difference = b - a;
                writeln!(
                    out,
                    "  {difference:>+8.4} {a:>7.4} {b:>7.4}  {query}: {text}"
                )?;
            }
        }
        Ok(())
    }
}

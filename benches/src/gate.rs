//! Whether quality fell: a run against a baseline, question by question.
//!
//! Quality fell where a mean dropped by more than a tolerance and the drop is more than chance
//! makes (one-sided paired randomisation, p < 0.05). Either alone is noise.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::beir::DataSet;
use crate::compare::difference;
use crate::metrics::{self, Metric, Metrics};
use crate::significance::{ROUNDS, SEED, Tail, randomisation};
use crate::trec::Run;
use crate::{Error, Result};

/// A drop that chance makes less often than this is none of its making.
const LEVEL: f64 = 0.05;

/// Quality that a later run is held to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Name of the data set.
    pub data_set: String,
    /// Judgements that were used.
    pub split: String,
    /// How it was asked, in words.
    pub settings: String,
    /// Metrics of each question.
    pub queries: BTreeMap<String, Metrics>,
}

/// What a gate says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether no metric fell.
    pub passed: bool,
    /// One entry for each metric that was looked at.
    pub metrics: Vec<Drop>,
}

/// One metric before and now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drop {
    /// The metric.
    pub metric: Metric,
    /// Mean of the baseline.
    pub baseline: f64,
    /// Mean of the run.
    pub now: f64,
    /// How likely chance makes a drop as large, from 0 to 1.
    pub p_value: f64,
    /// Whether it fell.
    pub fell: bool,
}

impl Baseline {
    /// That of a run.
    pub fn of(run: &Run, set: &DataSet, split: &str, settings: String) -> Self {
        Self {
            data_set: set.name.clone(),
            split: split.to_owned(),
            settings,
            queries: metrics::per_query(run, &set.qrels),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// Names the file and the place that is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Io {
            path: path.to_owned(),
            cause,
        })?;
        let wrong = |line: usize, problem: String| Error::Line {
            path: path.to_owned(),
            line,
            problem,
        };
        let baseline: Self = serde_json::from_str(&text)
            .map_err(|e| wrong(e.line(), format!("no baseline: {e}")))?;
        if baseline.queries.is_empty() {
            return Err(wrong(1, "the baseline has no questions".to_owned()));
        }
        Ok(baseline)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = |cause| Error::Io {
            path: path.to_owned(),
            cause,
        };
        let text = serde_json::to_string_pretty(self).map_err(|e| failed(e.into()))? + "\n";
        let aside = path.with_extension("new");
        std::fs::write(&aside, text).map_err(failed)?;
        std::fs::rename(&aside, path).map_err(failed)
    }

    /// The questions that only one of the two has, where there are any: then the two cannot be
    /// held against each other.
    pub fn unlike(&self, set: &DataSet) -> Vec<String> {
        let known = &self.queries;
        let missing = set.qrels.keys().filter(|id| !known.contains_key(*id));
        let gone = known.keys().filter(|id| !set.qrels.contains_key(*id));
        missing.chain(gone).cloned().collect()
    }

    /// Holds a run over the same questions against it.
    pub fn judge(&self, run: &Run, set: &DataSet, chosen: &[Metric], tolerance: f64) -> Verdict {
        let now = metrics::per_query(run, &set.qrels);
        let drops = chosen.iter().map(|&metric| {
            let pairs: Vec<(f64, f64)> = now
                .iter()
                .filter_map(|(id, now)| Some((self.queries.get(id)?.get(metric), now.get(metric))))
                .collect();
            let count = pairs.len().max(1) as f64;
            let baseline = pairs.iter().map(|(before, _)| before).sum::<f64>() / count;
            let now = pairs.iter().map(|(_, now)| now).sum::<f64>() / count;
            let differences: Vec<f64> = pairs
                .iter()
                .map(|(before, now)| difference(*before, *now))
                .collect();
            let p_value = randomisation(&differences, Tail::Lower, ROUNDS, SEED).p_value;
            Drop {
                metric,
                baseline,
                now,
                p_value,
                fell: p_value < LEVEL && baseline - now > tolerance,
            }
        });
        let metrics: Vec<Drop> = drops.collect();
        Verdict {
            passed: metrics.iter().all(|drop| !drop.fell),
            metrics,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "metric   baseline     now  change        p")?;
        for drop in &self.metrics {
            writeln!(
                out,
                "{:<9}{:>8.4}{:>8.4}{:>+8.4}{:>9.5}  {}",
                drop.metric.name(),
                drop.baseline,
                drop.now,
                drop.now - drop.baseline,
                drop.p_value,
                if drop.fell { "fell" } else { "holds" }
            )?;
        }
        writeln!(
            out,
            "{}",
            if self.passed {
                "passed"
            } else {
                "quality fell"
            }
        )
    }
}

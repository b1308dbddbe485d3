//! What a run came to: a table for people, JSON for programs.

use std::fmt;

use serde::Serialize;

use crate::metrics::Metrics;
use crate::retrieve::Latency;

/// Everything that `faq-bench run` reports.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Name of the data set.
    pub data_set: String,
    /// Judgements that were used.
    pub split: String,
    /// Documents in the corpus.
    pub documents: usize,
    /// Questions asked.
    pub queries: usize,
    /// Documents the engine refused, with its reason.
    pub refused: Vec<Refused>,
    /// Time that the ingest took; what an earlier run left took none.
    pub ingest_seconds: f64,
    /// One entry for each way to search.
    pub runs: Vec<RunReport>,
}

/// A document that is not in the index.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// Its name in the data set.
    pub document: String,
    /// The engine's reason.
    pub error: String,
}

/// One way to search.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// `keyword`, `dense` or `hybrid`.
    pub mode: String,
    /// How the engine says it searched the vectors.
    pub vectors: String,
    /// Means over the questions.
    pub metrics: Metrics,
    /// Search times.
    pub latency_ms: Latency,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{}/{}: {} documents, {} questions, ingested in {:.1} s",
            self.data_set, self.split, self.documents, self.queries, self.ingest_seconds
        )?;
        for Refused { document, error } in &self.refused {
            writeln!(out, "not in the index: {document}: {error}")?;
        }
        write!(out, "{:<9}", "mode")?;
        for (name, _) in Metrics::default().named() {
            write!(out, "{name:>9}")?;
        }
        writeln!(out, "{:>9}{:>9}  vectors", "p50 ms", "p99 ms")?;
        for run in &self.runs {
            write!(out, "{:<9}", run.mode)?;
            for (_, value) in run.metrics.named() {
                write!(out, "{value:>9.4}")?;
            }
            let Latency { p50, p99 } = run.latency_ms;
            writeln!(out, "{p50:>9.1}{p99:>9.1}  {}", run.vectors)?;
        }
        Ok(())
    }
}

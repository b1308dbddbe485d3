//! What a run came to: a table for people, JSON for programs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::latency::Stages;
use crate::memory::Memory;
use crate::metrics::{self, Metrics};

/// Everything that `faq-bench run` reports.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Name of the data set.
    pub data_set: String,
    /// Judgements that were used.
    pub split: String,
    /// Documents in the corpus.
    pub documents: usize,
    /// Questions asked.
    pub queries: usize,
    /// Of these, the ones with a slip of the keyboard that was put in.
    #[serde(default)]
    pub misspelled: usize,
    /// Documents the engine refused, with its reason.
    pub refused: Vec<Refused>,
    /// Time that the ingest took; what an earlier run left took none.
    pub ingest_seconds: f64,
    /// The index that was asked.
    pub index: IndexSize,
    /// Memory at the end, where the system tells.
    pub memory: Option<Memory>,
    /// One entry for each way to search.
    pub runs: Vec<RunReport>,
}

/// A document that is not in the index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    /// Its name in the data set.
    pub document: String,
    /// The engine's reason.
    pub error: String,
}

/// How large an index is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSize {
    /// Bytes on disk: texts, vectors, graph, keywords.
    pub disk_bytes: u64,
    /// Chunks.
    pub chunks: u64,
    /// Vectors.
    pub vectors: u64,
}

impl IndexSize {
    /// That of a collection.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn of(collection: &faq_core::Collection) -> faq_core::Result<Self> {
        let stats = collection.stats()?;
        Ok(Self {
            disk_bytes: stats.disk_bytes,
            chunks: stats.chunks,
            vectors: stats.vectors,
        })
    }
}

/// One way to search.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunReport {
    /// `keyword`, `dense` or `hybrid`.
    pub mode: String,
    /// How the lists were fused, where there were two.
    pub fusion: Option<String>,
    /// How the best hits were put in a new order, where they were.
    #[serde(default)]
    pub rerank: Option<String>,
    /// What became of misspelled words, where it was not what is shipped.
    #[serde(default)]
    pub spelling: Option<String>,
    /// How the engine says it searched the vectors.
    pub vectors: String,
    /// Means over the questions.
    pub metrics: Metrics,
    /// Search times.
    pub latency_ms: Stages,
}

impl RunReport {
    /// The mode, and what else there is of it.
    pub fn label(&self) -> String {
        Label {
            mode: &self.mode,
            fusion: self.fusion.as_deref(),
            rerank: self.rerank.as_deref(),
            spelling: self.spelling.as_deref(),
        }
        .to_string()
    }
}

/// A way to search, in words.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// `keyword`, `dense` or `hybrid`.
    pub mode: &'a str,
    /// How the lists were fused, where there were two.
    pub fusion: Option<&'a str>,
    /// How the best hits were put in a new order, where they were.
    pub rerank: Option<&'a str>,
    /// What became of misspelled words, where it was not what is shipped.
    pub spelling: Option<&'a str>,
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.mode)?;
        for (name, value) in [
            (" ", self.fusion),
            (" rerank=", self.rerank),
            (" spelling=", self.spelling),
        ] {
            if let Some(value) = value {
                write!(out, "{name}{value}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{}/{}: {} documents, {} questions{}, ingested in {:.1} s",
            self.data_set,
            self.split,
            self.documents,
            self.queries,
            match self.misspelled {
                0 => String::new(),
                slips => format!(" ({slips} misspelled)"),
            },
            self.ingest_seconds
        )?;
        footing(out, self.index, self.memory, &self.refused)?;
        let rows: Vec<_> = self.runs.iter().map(|r| (r.label(), &r.metrics)).collect();
        metrics_table(out, "mode", &rows)?;
        let rows: Vec<_> = self
            .runs
            .iter()
            .map(|r| (r.label(), &r.latency_ms, r.vectors.as_str()))
            .collect();
        latency_table(out, &rows)
    }
}

/// Sizes, and what is missing.
pub(crate) fn footing(
    out: &mut fmt::Formatter<'_>,
    index: IndexSize,
    memory: Option<Memory>,
    refused: &[Refused],
) -> fmt::Result {
    write!(
        out,
        "index: {} chunks, {} vectors, {} on disk",
        index.chunks,
        index.vectors,
        megabytes(index.disk_bytes)
    )?;
    if let Some(memory) = memory {
        write!(
            out,
            "; memory: {} now, {} at most",
            megabytes(memory.resident_bytes),
            megabytes(memory.peak_bytes)
        )?;
    }
    writeln!(out)?;
    for Refused { document, error } in refused {
        writeln!(out, "not in the index: {document}: {error}")?;
    }
    Ok(())
}

pub(crate) fn metrics_table(
    out: &mut fmt::Formatter<'_>,
    title: &str,
    rows: &[(String, &Metrics)],
) -> fmt::Result {
    let width = width(rows.iter().map(|(label, _)| label.as_str()));
    write!(out, "\n{title:<width$}")?;
    for (name, _) in Metrics::default().named() {
        write!(out, "{name:>9}")?;
    }
    writeln!(out)?;
    for (label, metrics) in rows {
        write!(out, "{label:<width$}")?;
        for (_, value) in metrics.named() {
            write!(out, "{:>9}", metrics::shown(value))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

pub(crate) fn latency_table(
    out: &mut fmt::Formatter<'_>,
    rows: &[(String, &Stages, &str)],
) -> fmt::Result {
    let width = width(rows.iter().map(|(label, ..)| label.as_str()));
    writeln!(
        out,
        "\n{:<width$}{:<10}{:>9}{:>9}{:>9}",
        "mode", "step", "p50 ms", "p95 ms", "p99 ms"
    )?;
    for (label, stages, vectors) in rows {
        for (step, times) in [
            ("embedding", stages.embedding),
            ("vectors", stages.vectors),
            ("keywords", stages.keywords),
            ("rerank", stages.rerank),
            ("whole", stages.whole),
        ] {
            writeln!(
                out,
                "{label:<width$}{step:<10}{:>9.2}{:>9.2}{:>9.2}",
                times.p50, times.p95, times.p99
            )?;
        }
        writeln!(out, "{label:<width$}{vectors}")?;
    }
    Ok(())
}

/// Of a column with these labels and a gap.
fn width<'a>(labels: impl Iterator<Item = &'a str>) -> usize {
    labels
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0)
        .max(7)
        + 2
}

/// Bytes as people read them.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

//! The finished cells of a sweep: a JSON object a line, appended as they come.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use crate::latency::Stages;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::report::IndexSize;
use crate::{Error, Result};

/// A finished cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Stands for the settings.
    pub id: String,
    /// The settings.
    pub cell: Cell,
    /// SHA-256 of the data set's files when it was measured, in hex.
    #[serde(default)]
    pub data: String,
    /// Documents in the corpus.
    pub documents: usize,
    /// Of these, the ones that the engine refused.
    pub refused: usize,
    /// Questions asked.
    pub queries: usize,
    /// Time that the ingest took; 0 where the index was there.
    pub ingest_seconds: f64,
    /// The index that was asked.
    pub index: IndexSize,
    /// Memory of the process after the cell, where the system tells.
    pub memory: Option<Memory>,
    /// How the engine says it searched the vectors.
    pub vectors: String,
    /// Means over the questions.
    pub metrics: Metrics,
    /// Search times.
    pub latency_ms: Stages,
    /// The TREC run, relative to the journal's folder.
    pub ranking: PathBuf,
}

/// The file, open to be appended to.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    pub(super) rows: Vec<Row>,
}

impl Journal {
    /// Opens the file, or makes it. A last line without an end, as a killed sweep leaves it, is
    /// cut off.
    ///
    /// # Errors
    /// Names the line that is no finished cell.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |cause| Error::Io {
            path: path.to_owned(),
            cause,
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        file.set_len(whole as u64).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            rows: parse(path, &bytes[..whole])?,
            path: path.to_owned(),
            file,
        })
    }

    /// Adds a cell; it is on disk when this returns.
    pub(super) fn append(&mut self, row: Row) -> Result<()> {
        let failed = |cause| Error::Io {
            path: self.path.clone(),
            cause,
        };
        let line = serde_json::to_string(&row).map_err(|e| failed(e.into()))? + "\n";
        self.file.write_all(line.as_bytes()).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.rows.push(row);
        Ok(())
    }
}

/// Reads the finished cells of a sweep; of a cell that was measured again, what came of it last.
///
/// # Errors
/// Names the file, and the line that is none.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let bytes = std::fs::read(path).map_err(|cause| Error::Io {
        path: path.to_owned(),
        cause,
    })?;
    // A sweep may be writing its next line.
    let whole = bytes
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let mut rows = parse(path, &bytes[..whole])?;
    let mut seen = HashSet::new();
    rows.reverse();
    rows.retain(|row| seen.insert(row.id.clone()));
    rows.reverse();
    Ok(rows)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Row>> {
    let lines = bytes.split(|b| *b == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(at, line)| {
            serde_json::from_slice(line).map_err(|e| Error::Line {
                path: path.to_owned(),
                line: at + 1,
                problem: format!("no finished cell of a sweep: {e}"),
            })
        })
        .collect()
}

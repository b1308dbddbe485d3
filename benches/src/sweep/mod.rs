//! A grid of settings, measured cell by cell.
//!
//! [`Config`] is the file that a person writes. A [`Sweep`] is its cells, and those that were
//! finished earlier; it goes on where a killed one ended. Cells that share an index share it on
//! disk too, so that only questions are asked again.

mod cell;
mod config;
mod journal;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use faq_core::Collection;

pub use cell::Cell;
pub(crate) use cell::Varied;
pub(crate) use config::from_toml;
pub use config::{Config, Data, Grid};
pub use journal::{Row, read};

use crate::beir::DataSet;
use crate::report::IndexSize;
use crate::{memory, metrics, retrieve, typos};
use cell::{IndexKey, Planned};
use journal::Journal;

/// What happens while a sweep runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// Documents of a data set become an index.
    Ingest {
        /// Documents that are done.
        done: usize,
        /// All of them.
        of: usize,
    },
    /// Questions of a cell are asked.
    Ask {
        /// Questions that were asked.
        done: usize,
        /// All of them.
        of: usize,
    },
    /// A cell is finished, and on disk.
    Finished {
        /// What came of it.
        row: &'a Row,
        /// Cells that are finished.
        done: usize,
        /// All of them.
        of: usize,
        /// What the others will take if they are like those that this run finished, in seconds.
        seconds_left: f64,
    },
}

/// The cells of a configuration, and what of them is done.
#[derive(Debug)]
pub struct Sweep {
    /// The folder that paths in the configuration are relative to.
    base: PathBuf,
    /// Where indexes are kept.
    indexes: PathBuf,
    /// Where finished cells are written.
    results: PathBuf,
    cells: Vec<Planned>,
    /// What [`DataSet::digest`] gives for each data set and split.
    digests: BTreeMap<(PathBuf, String), String>,
}

/// An index that is open, with the data set that it was made from.
struct Open {
    key: IndexKey,
    graph: bool,
    collection: Collection,
    ingest_seconds: f64,
    refused: usize,
}

impl Sweep {
    /// Plans a sweep from the configuration at `path`. Results go beside it, into
    /// `NAME.results.jsonl` and `NAME.results/`; indexes into `indexes`, or beside it too.
    ///
    /// # Errors
    /// What [`Config::read`] says, and the data set that cannot be read.
    pub fn plan(path: &Path, indexes: Option<&Path>, models: Option<&Path>) -> crate::Result<Self> {
        let config = Config::read(path)?;
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        let cells = cell::plan(&config, models);
        let mut digests = BTreeMap::new();
        for Planned { cell, .. } in &cells {
            let key = (cell.set.clone(), cell.split.clone());
            if let Entry::Vacant(new) = digests.entry(key) {
                new.insert(DataSet::digest(&base.join(&cell.set), &cell.split)?);
            }
        }
        Ok(Self {
            base,
            indexes: indexes.map_or_else(|| path.with_extension("index"), Path::to_owned),
            results: path.with_extension("results.jsonl"),
            cells,
            digests,
        })
    }

    /// The data set of a cell, as it is now.
    fn digest(&self, cell: &Cell) -> &str {
        let key = (cell.set.clone(), cell.split.clone());
        self.digests.get(&key).map_or("", String::as_str)
    }

    /// Whether a row is what came of a cell, with the data set as it is now.
    fn is_of(&self, row: &Row, cell: &Cell) -> bool {
        row.cell == *cell && row.data == self.digest(cell)
    }

    /// The cells in the order in which they are run.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().map(|planned| &planned.cell)
    }

    /// The number of indexes that they need.
    pub fn indexes(&self) -> usize {
        let mut keys: Vec<&IndexKey> = self.cells.iter().map(|planned| &planned.index).collect();
        keys.dedup();
        keys.len()
    }

    /// The file with the finished cells.
    pub fn results(&self) -> &Path {
        &self.results
    }

    /// The cells that were finished, by this run or one before.
    ///
    /// # Errors
    /// Where the file has a line that is none.
    pub fn finished(&self) -> crate::Result<Vec<Row>> {
        if !self.results.exists() {
            return Ok(Vec::new());
        }
        let mut rows = read(&self.results)?;
        rows.retain(|row| self.cells().any(|cell| self.is_of(row, cell)));
        Ok(rows)
    }

    /// Forgets the finished cells.
    ///
    /// # Errors
    /// Where the file cannot be removed.
    pub fn forget(&self) -> crate::Result<()> {
        match std::fs::remove_file(&self.results) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(crate::Error::Io {
                path: self.results.clone(),
                cause,
            }),
            _ => Ok(()),
        }
    }

    /// Runs the cells that are not finished.
    ///
    /// # Errors
    /// Where a data set or an index cannot be read, or a search fails. Cells that were finished
    /// stay so.
    pub fn run(&self, progress: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let mut journal = Journal::open(&self.results)?;
        let rankings = self.results.with_extension("");
        std::fs::create_dir_all(&rankings).with_context(|| rankings.display().to_string())?;
        let is_done =
            |planned: &Planned, rows: &[Row]| rows.iter().any(|row| self.is_of(row, &planned.cell));
        let earlier = self
            .cells
            .iter()
            .filter(|p| is_done(p, &journal.rows))
            .count();
        let started = Instant::now();
        let (mut set, mut open): (Option<(Cell, DataSet)>, Option<Open>) = (None, None);
        let mut done = earlier;
        for planned in &self.cells {
            if is_done(planned, &journal.rows) {
                continue;
            }
            let set = self.read_set(&mut set, &planned.cell)?;
            let open = self.open(&mut open, planned, set, progress)?;
            let row = self
                .measure(planned, set, open, progress)
                .with_context(|| planned.cell.to_string())?;
            journal.append(row)?;
            done += 1;
            if let Some(row) = journal.rows.last() {
                let each = started.elapsed().as_secs_f64() / (done - earlier) as f64;
                progress(Event::Finished {
                    row,
                    done,
                    of: self.cells.len(),
                    seconds_left: each * (self.cells.len() - done) as f64,
                });
            }
        }
        Ok(())
    }

    /// The data set of a cell; that of the cell before where it is the same.
    fn read_set<'a>(
        &self,
        kept: &'a mut Option<(Cell, DataSet)>,
        cell: &Cell,
    ) -> Result<&'a DataSet> {
        let fits = |(of, _): &(Cell, DataSet)| {
            let read = |cell: &Cell| (cell.split.clone(), cell.limit_queries, cell.typos);
            of.set == cell.set && read(of) == read(cell)
        };
        if !kept.as_ref().is_some_and(fits) {
            let mut set = DataSet::read(&self.base.join(&cell.set), &cell.split)?;
            if let Some(most) = cell.limit_queries {
                set.limit_queries(most);
            }
            if let Some(seed) = cell.typos {
                typos::misspell(&mut set, seed);
            }
            *kept = Some((cell.clone(), set));
        }
        let (_, set) = kept.as_ref().context("no data set was read")?;
        Ok(set)
    }

    /// The index of a cell; that of the cell before where it is the same.
    fn open<'a>(
        &self,
        kept: &'a mut Option<Open>,
        planned: &Planned,
        set: &DataSet,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<&'a Open> {
        let graph = planned.index_settings.graph_min_vectors.is_some();
        if !kept
            .as_ref()
            .is_some_and(|open| open.key == planned.index && open.graph == graph)
        {
            // Closed first: one process may open an index once.
            *kept = None;
            let folder = self.indexes.join(planned.index.folder());
            let collection = retrieve::open(&folder, &planned.index_settings)?;
            let report = retrieve::ingest(&collection, &set.corpus, &folder, &mut |at| {
                progress(Event::Ingest {
                    done: at.files_done,
                    of: at.files_total,
                });
            })?;
            if graph {
                collection.index().build_graph()?;
            }
            *kept = Some(Open {
                key: planned.index.clone(),
                graph,
                collection,
                ingest_seconds: if report.added + report.updated > 0 {
                    report.seconds
                } else {
                    0.0
                },
                refused: report.failed.len(),
            });
        }
        kept.as_ref().context("no index was opened")
    }

    fn measure(
        &self,
        planned: &Planned,
        set: &DataSet,
        open: &Open,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Row> {
        let of = set.queries.len();
        let retrieved =
            retrieve::retrieve(&open.collection, set, &planned.settings, &mut |done| {
                progress(Event::Ask { done, of });
            })?;
        let id = planned.cell.id();
        let path = self.results.with_extension("").join(format!("{id}.trec"));
        retrieved.run.write(&path, &format!("faq-{id}"))?;
        let beside = self.results.parent().unwrap_or(Path::new(""));
        Ok(Row {
            id,
            cell: planned.cell.clone(),
            data: self.digest(&planned.cell).to_owned(),
            documents: set.corpus.len(),
            refused: open.refused,
            queries: of,
            ingest_seconds: open.ingest_seconds,
            index: IndexSize::of(&open.collection)?,
            memory: memory::now(),
            vectors: retrieved.plan,
            metrics: metrics::mean(&retrieved.run, &set.qrels).at_depth(planned.settings.k),
            latency_ms: retrieved.latency,
            ranking: path.strip_prefix(beside).unwrap_or(&path).to_owned(),
        })
    }
}

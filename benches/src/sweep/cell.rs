//! One combination of settings.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use faq_core::{ChunkConfig, Mode, Precision, VectorSearch};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::config::{Config, Data, Grid};
use crate::report::Label;
use crate::retrieve::{IndexSettings, Settings};
use crate::{fusion, rerank};

/// A combination of settings. What has no part in a search is `None`, so that two combinations
/// that ask the same are one: a keyword search has neither a fusion nor a width of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Folder of the data set, as the sweep's file names it.
    pub set: PathBuf,
    /// Judgements that are used.
    pub split: String,
    /// Where the first questions alone are asked.
    pub limit_queries: Option<usize>,
    /// Where the questions have slips of the keyboard: the seed that made them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typos: Option<u64>,
    /// Which lists are asked.
    pub mode: Mode,
    /// How they are fused.
    pub fusion: Option<String>,
    /// Documents ranked for each question.
    pub k: usize,
    /// Entries taken from each list before fusing.
    pub candidates: Option<usize>,
    /// How the best hits are put in a new order, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<String>,
    /// What becomes of words that no document holds, where it is not what is shipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spelling: Option<String>,
    /// Most tokens of a chunk.
    pub chunk_size: usize,
    /// Tokens that neighbours share at most.
    pub chunk_overlap: usize,
    /// How vectors are searched.
    pub vector_search: Option<VectorSearch>,
    /// Width of the walk through the graph.
    pub ef: Option<usize>,
    /// What the embedding model computes with.
    pub precision: Option<String>,
    /// The embedding model.
    pub model: Option<String>,
}

/// A number of a cell that a curve goes over, and that each cell has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Varied {
    K,
    ChunkSize,
    ChunkOverlap,
}

/// What an index depends on: cells with equal keys share one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct IndexKey {
    set: PathBuf,
    model: String,
    precision: String,
    chunk_size: usize,
    chunk_overlap: usize,
}

/// A cell with what it needs to run.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) cell: Cell,
    pub(super) settings: Settings,
    pub(super) index: IndexKey,
    pub(super) index_settings: IndexSettings,
}

impl Cell {
    /// Twelve hexadecimal digits that stand for it.
    pub fn id(&self) -> String {
        digest(self)
    }

    /// Name of the data set and its split.
    pub fn data(&self) -> String {
        let name = self.set.file_name().unwrap_or(self.set.as_os_str());
        let typos = self
            .typos
            .map_or_else(String::new, |seed| format!(" typos={seed}"));
        format!("{}/{}{typos}", name.to_string_lossy(), self.split)
    }

    /// Name of the mode.
    pub fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Hybrid => "hybrid",
            Mode::Dense => "dense",
            Mode::Keyword => "keyword",
        }
    }

    /// The settings in words, without the data set.
    pub fn label(&self) -> String {
        self.label_beside(None)
    }

    /// The settings in words, without the data set and one that a curve goes over.
    pub(crate) fn label_beside(&self, varied: Option<Varied>) -> String {
        let mut label = Label {
            mode: self.mode_name(),
            fusion: self.fusion.as_deref(),
            rerank: self.rerank.as_deref(),
            spelling: self.spelling.as_deref(),
        }
        .to_string();
        let mut say = |name: &str, value: String| {
            label.extend([" ", name, "=", &value]);
        };
        if varied != Some(Varied::K) {
            say("k", self.k.to_string());
        }
        if let Some(candidates) = self.candidates {
            say("candidates", candidates.to_string());
        }
        let (size, overlap) = (self.chunk_size, self.chunk_overlap);
        match varied {
            Some(Varied::ChunkSize) => say("overlap", overlap.to_string()),
            Some(Varied::ChunkOverlap) => say("chunks", size.to_string()),
            _ => say("chunks", format!("{size}/{overlap}")),
        }
        if let Some(search) = self.vector_search {
            say("vectors", vector_search_name(search).to_owned());
        }
        if let Some(ef) = self.ef {
            say("ef", ef.to_string());
        }
        if let Some(precision) = &self.precision {
            say("precision", precision.clone());
        }
        if let Some(model) = &self.model {
            say("model", model.clone());
        }
        label
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.data(), self.label())
    }
}

impl IndexKey {
    /// A name for its folder.
    pub(super) fn folder(&self) -> String {
        let name = self.set.file_name().unwrap_or(self.set.as_os_str());
        format!("{}-{}", name.to_string_lossy(), digest(self))
    }
}

/// All cells of a configuration, those that share an index one after the other, each once.
pub(super) fn plan(config: &Config, models: Option<&Path>) -> Vec<Planned> {
    let grid = &config.grid;
    let mut planned: Vec<Planned> = Vec::new();
    for set in &config.data.sets {
        for model in &grid.model {
            for precision in &grid.precision {
                for (size, overlap) in cuts(grid) {
                    let shared = Shared {
                        set,
                        model,
                        precision: *precision,
                        chunking: ChunkConfig { size, overlap },
                        models,
                    };
                    // A graph that is asked for is there from the first vector on, and then the
                    // index would decide otherwise for the others: they come first.
                    let mut cells: Vec<Planned> = Vec::new();
                    for split in &config.data.splits {
                        for search in searches(grid) {
                            cells.push(shared.plan(split, &config.data, search));
                        }
                    }
                    cells.sort_by_key(|cell| cell.index_settings.graph_min_vectors.is_some());
                    for cell in cells {
                        if planned.iter().all(|other| other.cell != cell.cell) {
                            planned.push(cell);
                        }
                    }
                }
            }
        }
    }
    planned
}

/// Sizes and overlaps that go together.
fn cuts(grid: &Grid) -> impl Iterator<Item = (usize, usize)> + '_ {
    grid.chunk_size.iter().flat_map(|size| {
        let overlaps = grid.chunk_overlap.iter().filter(move |o| *o < size);
        overlaps.map(move |overlap| (*size, *overlap))
    })
}

/// All ways to ask one index.
fn searches(grid: &Grid) -> Vec<Settings> {
    let widths: Vec<Option<usize>> = if grid.ef.is_empty() {
        vec![None]
    } else {
        grid.ef.iter().copied().map(Some).collect()
    };
    let mut searches = Vec::new();
    for mode in &grid.mode {
        for fusion in &grid.fusion {
            for k in &grid.k {
                for candidates in &grid.candidates {
                    for vector_search in &grid.vector_search {
                        for ef in &widths {
                            let settings = Settings {
                                mode: *mode,
                                fusion: *fusion,
                                vector_search: *vector_search,
                                ef: *ef,
                                candidates: Some(*candidates),
                                k: *k,
                                ..Settings::default()
                            };
                            searches.extend(finer(grid, settings));
                        }
                    }
                }
            }
        }
    }
    searches
}

/// The same with each reranking and each spelling.
fn finer(grid: &Grid, settings: Settings) -> impl Iterator<Item = Settings> + '_ {
    grid.rerank.iter().flat_map(move |rerank| {
        grid.spelling.iter().map(move |spelling| Settings {
            rerank: *rerank,
            spelling: *spelling,
            ..settings
        })
    })
}

/// What the cells of one index have in common.
struct Shared<'a> {
    set: &'a Path,
    model: &'a str,
    precision: Precision,
    chunking: ChunkConfig,
    models: Option<&'a Path>,
}

impl Shared<'_> {
    fn plan(&self, split: &str, data: &Data, search: Settings) -> Planned {
        let (hybrid, dense) = (search.mode == Mode::Hybrid, search.mode != Mode::Keyword);
        let embeds = dense || search.rerank.is_some();
        let exact = search.vector_search == VectorSearch::Exact;
        let settings = Settings {
            ef: search.ef.filter(|_| dense && !exact),
            candidates: hybrid.then(|| search.entries()),
            ..search
        };
        let graph = dense && settings.vector_search == VectorSearch::Graph;
        Planned {
            cell: Cell {
                set: self.set.to_owned(),
                split: split.to_owned(),
                limit_queries: data.limit_queries,
                typos: data.typos,
                mode: settings.mode,
                fusion: hybrid.then(|| fusion::name(settings.fusion)),
                k: settings.k,
                candidates: settings.candidates,
                rerank: rerank::name(settings.rerank),
                spelling: settings.spelling.changed(),
                chunk_size: self.chunking.size,
                chunk_overlap: self.chunking.overlap,
                vector_search: dense.then_some(settings.vector_search),
                ef: settings.ef,
                precision: embeds.then(|| self.precision.name().to_owned()),
                model: embeds.then(|| self.model.to_owned()),
            },
            settings,
            index: IndexKey {
                set: self.set.to_owned(),
                model: self.model.to_owned(),
                precision: self.precision.name().to_owned(),
                chunk_size: self.chunking.size,
                chunk_overlap: self.chunking.overlap,
            },
            index_settings: IndexSettings {
                models: self.models.map(Path::to_owned),
                model: self.model.to_owned(),
                precision: self.precision,
                chunking: self.chunking,
                graph_min_vectors: graph.then_some(1),
            },
        }
    }
}

fn vector_search_name(search: VectorSearch) -> &'static str {
    match search {
        VectorSearch::Auto => "auto",
        VectorSearch::Exact => "exact",
        VectorSearch::Graph => "graph",
    }
}

fn digest(value: &impl Serialize) -> String {
    // The structures here hold nothing that JSON cannot say.
    let json = serde_json::to_vec(value).unwrap_or_default();
    let mut hex = String::new();
    for byte in Sha256::digest(json).iter().take(6) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

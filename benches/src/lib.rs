//! The retrieval harness: a data set in [BEIR](https://github.com/beir-cellar/beir) layout
//! goes in, a TREC run and its metrics come out.
//!
//! [`beir`] reads the data, [`retrieve`] asks the engine, [`trec`] reads and writes runs,
//! [`metrics`] scores them as `trec_eval` does, [`report`] shows the result. [`compare`] holds two
//! runs against each other, and [`significance`] tells a difference from chance.
//! [`sweep`] measures a grid of settings, [`page`] draws results, [`gate`] tells whether quality
//! fell, and [`golden`] reads, judges and drafts questions over one's own documents.
//! [`typos`] misspells questions.
//! [`answers`] counts how often an answer is right, wrong, or withheld, [`calibration`] how far its
//! probability can be trusted, and [`prompts`] tries what models are told; [`chunks`] compares sizes
//! of chunks; [`embed`] times the embedding model.
//!
//! ```
//! use faq_bench::{metrics, trec};
//! # use std::collections::BTreeMap;
//! let mut run = trec::Run::default();
//! run.add("q1", "d1", 0.9);
//! run.add("q1", "d2", 0.4);
//! let judged = BTreeMap::from([("d2".to_owned(), 1)]);
//! let scores = metrics::evaluate(&run.ranking("q1"), &judged);
//! assert_eq!(scores.mrr_at_10, 0.5);
//! ```

pub mod answers;
pub mod beir;
pub mod calibration;
pub mod chunks;
pub mod compare;
pub mod embed;
mod error;
pub mod follow_ups;
pub mod fusion;
pub mod gate;
pub mod golden;
pub mod injections;
pub mod latency;
pub mod memory;
pub mod metrics;
pub mod page;
pub mod prompts;
pub mod report;
pub mod rerank;
pub mod retrieve;
pub mod significance;
pub mod sweep;
pub mod trec;
pub mod typos;
pub mod verify;

pub use error::{Error, Result};

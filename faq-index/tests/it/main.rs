//! Tests of the index as its users see it: through `Collection` and the files it leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::wildcard_imports
)]

mod support;

mod basics;
mod compaction;
mod concurrency;
mod erasure;
mod filters;
mod formats;
mod full_disk;
mod graph;
mod keywords;
mod kill;
mod measure;
mod phrases;
mod read_only;
mod recovery;
mod relevance;
mod spelling;

//! The harness against its reference and on a small data set.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod beir;
mod command;
mod gate;
mod golden;
mod reference;
mod significance;
mod sweep;
mod trec;

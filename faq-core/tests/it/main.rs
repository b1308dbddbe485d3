//! Integration tests of the engine, on the real models.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod answering;
mod damage;
mod embedding;
mod encoders;
mod engine;
mod generate;
mod reader;
mod reading;
mod reranking;
mod spelling;
mod support;

//! The HTTP server as its clients meet it: the real binary, over TCP, with the real model.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_collect,
    reason = "a test that panics has failed, and what is measured is printed"
)]

mod answering;
mod client;
mod files;
mod hostile;
mod isolation;
#[path = "../made/mod.rs"]
mod made;
mod matrix;
mod queue;
mod s3;
mod server;

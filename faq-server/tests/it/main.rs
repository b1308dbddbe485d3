//! The `faq` binary as a person or a script meets it, with the real embedding model.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::format_collect,
    reason = "a test that panics has failed, and stderr says why it was skipped"
)]

mod anatomy;
mod answers;
mod backup;
mod bad_input;
mod clients;
mod kill;
#[path = "../made/files.rs"]
mod made;
#[cfg(target_os = "linux")]
mod sandbox;
mod served;
mod story;
mod support;
mod usage;

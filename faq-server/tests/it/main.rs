//! The `faq` binary as a person or a script meets it, with the real embedding model.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::format_collect,
    reason = "a test that panics has failed, and stderr says why it was skipped"
)]

mod answers;
mod bad_input;
mod kill;
mod story;
mod support;
mod usage;

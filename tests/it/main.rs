//! Tests across crates.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod architecture;
mod samples;

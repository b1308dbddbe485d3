//! Tests of what other programs sign, through the public interface alone.
#![allow(clippy::unwrap_used, missing_docs)]

mod cryptojs;

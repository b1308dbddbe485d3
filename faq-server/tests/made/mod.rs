//! What tests make for themselves: files, and a store to put them in.

pub(crate) mod files;
pub(crate) mod s3;

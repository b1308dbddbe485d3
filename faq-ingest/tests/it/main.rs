//! Integration tests of `faq-ingest`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_push_string,
    clippy::format_collect
)]

mod corpus;
mod fixture;
mod golden;
mod hostile;
mod hostile_formats;
mod invariants;
mod links;
mod parser;
mod pdf;
mod pdf_cjk;
mod pdf_file;
mod pdf_hostile;
mod pdf_layout;
mod pdf_numbers;
mod pdf_ocr;
mod seeds;

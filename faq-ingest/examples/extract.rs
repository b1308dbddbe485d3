//! Prints the canonical text of a file: `extract FILE`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use faq_ingest::{ParseOptions, parse};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: extract FILE")?;
    let bytes = std::fs::read(&path)?;
    println!("{}", parse(&bytes, &path, &ParseOptions::default())?.text);
    Ok(())
}

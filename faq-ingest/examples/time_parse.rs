//! A worker for measurements: `time_parse THREADS FILE…` parses all files each time that a line
//! comes in on stdin, and answers with the seconds it took, the pages and the characters.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use faq_ingest::{ParseOptions, parse};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let threads = args.next().ok_or("usage: time_parse THREADS FILE…")?;
    let options = ParseOptions {
        threads: threads.parse()?,
        ..ParseOptions::default()
    };
    let files: Vec<String> = args.collect();
    for line in std::io::stdin().lock().lines() {
        line?;
        let started = Instant::now();
        let (mut pages, mut characters) = (0, 0);
        for file in &files {
            // A file that is refused costs its time like any other.
            if let Ok(document) = parse(&std::fs::read(file)?, file, &options) {
                pages += document.pages.len();
                characters += document.text.chars().count();
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        println!("{seconds:.6} {pages} {characters}");
    }
    Ok(())
}

//! Canonical text of files, for people and for measurements.
//!
//! - `extract FILE` prints one file's text.
//! - `extract FOLDER OUT [EXTENSION]…` writes the text of every file below `FOLDER` (with one
//!   of the extensions, where some are given) to `OUT`, at its own relative path plus `.txt`,
//!   and prints one line a file: path, pages, warnings, milliseconds or the error.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use faq_ingest::{ParseOptions, parse};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (from, to, extensions) = match args.as_slice() {
        [file] => {
            let bytes = std::fs::read(file)?;
            let document = parse(&bytes, file, &ParseOptions::default())?;
            println!("{}", document.text);
            return Ok(());
        }
        [from, to, extensions @ ..] => (Path::new(from), Path::new(to), extensions),
        [] => return Err("usage: extract FILE | FOLDER OUT [EXTENSION]…".into()),
    };
    let mut files = Vec::new();
    collect(from, &mut files)?;
    for file in files {
        let extension = file.extension().and_then(|e| e.to_str()).unwrap_or("");
        if !extensions.is_empty() && !extensions.iter().any(|e| e == extension) {
            continue;
        }
        let relative = file.strip_prefix(from)?.to_string_lossy().into_owned();
        let bytes = std::fs::read(&file)?;
        let started = Instant::now();
        let result = parse(&bytes, &relative, &ParseOptions::default());
        let ms = started.elapsed().as_secs_f64() * 1000.0;
        match result {
            Ok(document) => {
                let out = to.join(format!("{relative}.txt"));
                std::fs::create_dir_all(out.parent().unwrap_or(to))?;
                std::fs::write(out, document.text)?;
                let (pages, warnings) = (document.pages.len(), document.warnings.len());
                println!("{relative}\t{pages} pages\t{warnings} warnings\t{ms:.1} ms");
            }
            Err(error) => println!("{relative}\t{}\t{error}\t{ms:.1} ms", error.code()),
        }
    }
    Ok(())
}

/// Every file below a folder, in the order of their names.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

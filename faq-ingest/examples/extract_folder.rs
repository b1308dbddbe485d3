//! Writes the canonical text of every file below a folder: `extract_folder FOLDER OUT`.
//!
//! `FOLDER/a/b.docx` becomes `OUT/a/b.docx.txt`, which is the layout that scorers of
//! extracted text read. Files that are refused are named on stderr.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use faq_ingest::{ParseOptions, parse};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: extract_folder FOLDER OUT".into());
    };
    let mut files = Vec::new();
    list(&folder, &mut files)?;
    files.sort();
    let (mut written, mut refused) = (0, 0);
    let started = Instant::now();
    for file in &files {
        let bytes = std::fs::read(file)?;
        match parse(&bytes, &file.to_string_lossy(), &ParseOptions::default()) {
            Ok(document) => {
                let mut name = out.join(file.strip_prefix(&folder)?).into_os_string();
                name.push(".txt");
                let path = PathBuf::from(name);
                std::fs::create_dir_all(path.parent().unwrap_or(&out))?;
                std::fs::write(path, document.text)?;
                written += 1;
            }
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                refused += 1;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{written} written, {refused} refused, {seconds:.2} s");
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

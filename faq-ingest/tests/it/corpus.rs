//! Every file of the shared corpus, where it is there: nothing crashes, all is sound.

use std::path::{Path, PathBuf};

use faq_ingest::{ByteRange, ChunkConfig, ParseError, ParseOptions, TokenOffsets, chunk, parse};

use crate::invariants::assert_invariants;

struct Words;

impl TokenOffsets for Words {
    fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, String> {
        let at = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        Ok(text
            .split_whitespace()
            .map(|word| ByteRange::new(at(word), at(word) + word.len()))
            .collect())
    }
}

fn corpus() -> Option<PathBuf> {
    let data = std::env::var_os("FAQ_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let folder = data.join("parse");
    if folder.is_dir() {
        Some(folder)
    } else {
        println!("skipped: no test data at {}", folder.display());
        None
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn every_file_is_read_or_refused() {
    let Some(folder) = corpus() else {
        return;
    };
    let mut paths = Vec::new();
    for part in [
        "docx", "html", "md", "txt", "demo", "xlsx", "pptx", "odt", "epub",
    ] {
        files(&folder.join(part), &mut paths);
    }
    let (mut read, mut chunks) = (0, 0);
    for path in &paths {
        let bytes = std::fs::read(path).unwrap();
        let name = path.to_string_lossy();
        match parse(&bytes, &name, &ParseOptions::default()) {
            Ok(document) => {
                assert_invariants(&document);
                let config = ChunkConfig {
                    size: 200,
                    overlap: 40,
                };
                let cut = chunk(&document, &Words, &config).unwrap();
                assert!(cut.iter().all(|c| c.tokens <= config.size));
                read += 1;
                chunks += cut.len();
            }
            Err(error @ ParseError::Internal { .. }) => panic!("{name}: {error}"),
            Err(_) => {}
        }
    }
    println!("{read} of {} files read, {chunks} chunks", paths.len());
    assert!(read * 2 > paths.len());
}

//! The seeds of the fuzz targets: sound files, which a fuzzer damages, and so does this.

use std::path::{Path, PathBuf};

use faq_ingest::{Document, ParseError, ParseOptions, parse};

use crate::invariants::assert_invariants;

fn seeds() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut out: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|target| std::fs::read_dir(target.unwrap().path()).unwrap())
        .map(|seed| seed.unwrap().path())
        // Parts are put into archives by the targets, and what fuzzers find has no ending.
        .filter(|path| path.extension().is_some_and(|e| e != "xml"))
        .collect();
    out.sort();
    out
}

fn read(bytes: &[u8], path: &Path) -> Result<Document, ParseError> {
    parse(bytes, &path.to_string_lossy(), &ParseOptions::default())
}

#[test]
fn seeds_are_sound() {
    let seeds = seeds();
    assert!(seeds.len() >= 14, "{seeds:?}");
    for path in seeds {
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() < 4096, "{} is too large", path.display());
        let document = read(&bytes, &path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_invariants(&document);
    }
}

#[test]
fn damaged_seeds_are_read_or_refused() {
    for path in seeds() {
        let bytes = std::fs::read(&path).unwrap();
        let cuts = (0..20).map(|n| bytes[..bytes.len() * n / 20].to_vec());
        let mut random = crate::fixture::random();
        let flips: Vec<Vec<u8>> = (0..200)
            .map(|_| {
                let mut out = bytes.clone();
                for _ in 0..=random() % 8 {
                    let at = random() % out.len();
                    out[at] = random() as u8;
                }
                out
            })
            .collect();
        for damaged in cuts.chain(flips) {
            match read(&damaged, &path) {
                Ok(document) => assert_invariants(&document),
                Err(ParseError::Internal { detail, .. }) => {
                    panic!("{}: {detail}", path.display())
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

//! What every fuzz target does with its input: read it, and check what must hold of the result.

use std::io::{Cursor, Write};
use std::time::Duration;

use faq_ingest::{
    ByteRange, ChunkConfig, Document, Limits, ParseError, ParseOptions, TokenOffsets, chunk, parse,
};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Reads bytes as a file of this name.
///
/// # Panics
/// Where a parser panics, or a document breaks a rule of its type.
pub fn read(bytes: &[u8], name: &str) {
    let options = ParseOptions {
        limits: Limits {
            decompressed_bytes: 16 << 20,
            blocks: 100_000,
            time: Duration::from_secs(20),
            ..Limits::default()
        },
        ..ParseOptions::default()
    };
    match parse(bytes, name, &options) {
        Ok(document) => check(&document),
        Err(ParseError::Internal { detail, .. }) => panic!("the parser panicked: {detail}"),
        Err(_) => {}
    }
}

/// Reads bytes as the part of an archive that holds the text; bytes that are an archive, as it.
///
/// Checksums and compression would hide what is inside from the fuzzer.
///
/// # Panics
/// As [`read`].
pub fn read_part(bytes: &[u8], part: &str, others: &[(&str, &str)], name: &str) {
    if bytes.starts_with(b"PK") {
        return read(bytes, name);
    }
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let others = others.iter().map(|(name, text)| (*name, text.as_bytes()));
    for (name, content) in others.chain([(part, bytes)]) {
        zip.start_file(name, options).expect("a name that fits");
        zip.write_all(content).expect("memory");
    }
    let archive = zip.finish().expect("memory").into_inner();
    read(&archive, name);
}

fn check(document: &Document) {
    let mut end = 0;
    for block in &document.blocks {
        assert!(block.range.start >= end, "blocks overlap");
        assert!(!document.block_text(block).trim().is_empty(), "a blank block");
        end = block.range.end;
    }
    assert_eq!(end, document.text.len(), "text behind the last block");
    let mut end = 0;
    for link in &document.links {
        assert!(link.range.start >= end, "links overlap");
        let words = link.range.slice(&document.text);
        assert!(words.is_some_and(|w| !w.trim().is_empty()), "a blank link");
        end = link.range.end;
    }
}

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

/// Reads a text as Markdown and cuts it.
///
/// # Panics
/// Where a chunk is too large, or text is lost between two.
pub fn cut(size: u8, overlap: u8, text: &str) {
    let config = ChunkConfig {
        size: usize::from(size).max(ChunkConfig::LEAST_SIZE),
        overlap: usize::from(overlap),
    };
    let Ok(document) = parse(text.as_bytes(), "input.md", &ParseOptions::default()) else {
        return;
    };
    let Ok(chunks) = chunk(&document, &Words, &config) else {
        assert!(config.overlap >= config.size);
        return;
    };
    let mut covered = 0;
    for one in &chunks {
        assert!(one.tokens <= config.size);
        if one.range.start > covered {
            assert!(document.text[covered..one.range.start].trim().is_empty());
        }
        covered = one.range.end;
    }
    assert!(document.text[covered..].trim().is_empty());
}

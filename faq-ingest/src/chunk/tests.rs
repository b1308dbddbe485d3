#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{BlockKind, DocumentBuilder, Format};

/// One token a word.
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

/// One token a byte that is no space: a character of several bytes has several tokens with
/// the same range. An empty token stands before each capital.
struct Bytes;

impl TokenOffsets for Bytes {
    fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, String> {
        let mut tokens = Vec::new();
        for (at, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
            if c.is_uppercase() {
                tokens.push(ByteRange::new(at, at));
            }
            for _ in 0..c.len_utf8() {
                tokens.push(ByteRange::new(at, at + c.len_utf8()));
            }
        }
        Ok(tokens)
    }
}

fn document(blocks: &[(BlockKind, u8, u32, String)]) -> Document {
    let mut builder = DocumentBuilder::new();
    for (kind, level, page, text) in blocks {
        builder.push(*kind, Some(*level), Some(*page), text);
    }
    builder.finish(Format::Markdown)
}

fn check(document: &Document, tokenizer: &dyn TokenOffsets, config: ChunkConfig) -> Vec<Chunk> {
    let chunks = chunk(document, tokenizer, &config).unwrap();
    let starts: Vec<usize> = tokenizer
        .token_offsets(&document.text)
        .unwrap()
        .iter()
        .map(|t| t.start)
        .collect();
    let before = |at: usize| starts.partition_point(|&s| s < at);
    let count = |from: usize, to: usize| before(to.max(from)) - before(from);
    let mut covered = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        let text = chunk.range.slice(&document.text).expect("on boundaries");
        assert_eq!(chunk.ordinal as usize, index);
        assert_eq!(text, text.trim());
        assert!(!text.is_empty());
        assert_eq!(chunk.tokens, count(chunk.range.start, chunk.range.end));
        assert!(
            chunk.tokens <= config.size || text.chars().count() == 1,
            "{} tokens in {text:?}",
            chunk.tokens
        );
        if chunk.range.start > covered {
            let gap = &document.text[covered..chunk.range.start];
            assert!(gap.trim().is_empty(), "lost {gap:?}");
        }
        assert!(count(chunk.range.start, covered) <= config.overlap);
        if let Some(next) = chunks.get(index + 1) {
            assert!(next.range.start > chunk.range.start);
            assert!(next.range.end > chunk.range.end);
        }
        covered = chunk.range.end;
        check_place(document, chunk);
        check_end(document, chunk, &config);
    }
    assert!(document.text[covered..].trim().is_empty());
    chunks
}

/// Pages and headings, found anew from the blocks.
fn check_place(document: &Document, chunk: &Chunk) {
    let mut blocks = document
        .blocks
        .iter()
        .filter(|b| b.range.overlaps(chunk.range));
    let pages: Vec<u32> = blocks.clone().filter_map(|b| b.page).collect();
    assert_eq!(
        chunk.pages,
        pages.iter().copied().min().zip(pages.iter().copied().max())
    );
    let first_text = blocks
        .clone()
        .find(|b| b.kind != BlockKind::Heading)
        .or(blocks.next_back())
        .unwrap();
    let mut path: Vec<(u8, &str)> = Vec::new();
    for block in &document.blocks {
        if block.range.start > first_text.range.start {
            break;
        }
        if block.kind == BlockKind::Heading {
            let level = block.level.unwrap_or(1);
            path.retain(|&(l, _)| l < level);
            path.push((level, document.block_text(block)));
        }
    }
    let path: Vec<&str> = path.iter().map(|&(_, t)| t).collect();
    assert_eq!(chunk.heading_path, path);
    check_table(document, chunk);
}

/// A chunk that begins in a row below a header says where the header's line stands.
fn check_table(document: &Document, chunk: &Chunk) {
    let mut header = None;
    for block in &document.blocks {
        match block.kind {
            BlockKind::TableHeader => header = Some(block),
            BlockKind::TableRow => {}
            _ => header = None,
        }
        if block.range.end > chunk.range.start {
            let wanted = header
                .filter(|_| block.kind == BlockKind::TableRow)
                .map(|h| {
                    let line = document.block_text(h).lines().next().unwrap();
                    ByteRange::new(h.range.start, h.range.start + line.len())
                });
            assert_eq!(chunk.table_header, wanted);
            return;
        }
    }
}

/// A chunk with text ends with a heading only at the document's end.
fn check_end(document: &Document, chunk: &Chunk, config: &ChunkConfig) {
    let mut blocks = document
        .blocks
        .iter()
        .filter(|b| b.range.overlaps(chunk.range));
    let has_text = blocks.clone().any(|b| b.kind != BlockKind::Heading);
    let last = blocks.next_back().unwrap();
    let at_end = chunk.range.end == document.text.len();
    assert!(
        last.kind != BlockKind::Heading || !has_text || at_end,
        "ends with a heading under {config:?}: {:?}",
        chunk.range.slice(&document.text)
    );
}

fn blocks() -> impl Strategy<Value = Vec<(BlockKind, u8, u32, String)>> {
    let kind = prop_oneof![
        2 => Just(BlockKind::Heading),
        4 => Just(BlockKind::Paragraph),
        2 => Just(BlockKind::ListItem),
        1 => Just(BlockKind::TableHeader),
        2 => Just(BlockKind::TableRow),
        1 => Just(BlockKind::Code),
    ];
    let text = prop_oneof![
        6 => "([A-Za-zäß]{1,8}[,.]? ){1,40}",
        1 => "[世界人生中文。、]{1,60}",
        1 => "[a-z]{1,120}",
        1 => "( {0,4}[a-z(){};]{1,6}\n){1,12}",
        1 => "[😀é\u{301}\u{200d}👍🏽]{1,20}",
    ];
    prop::collection::vec((kind, 1..4_u8, 1..5_u32, text), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_rule_holds(blocks in blocks(), size in 8..80_usize, share in 0..100_usize) {
        let document = document(&blocks);
        let config = ChunkConfig { size, overlap: (size - 1) * share / 100 };
        check(&document, &Words, config);
        check(&document, &Bytes, config);
    }
}

fn text(kind: BlockKind, level: u8, text: &str) -> (BlockKind, u8, u32, String) {
    (kind, level, 1, text.to_owned())
}

fn texts<'d>(document: &'d Document, chunks: &[Chunk]) -> Vec<&'d str> {
    chunks
        .iter()
        .map(|c| c.range.slice(&document.text).unwrap())
        .collect()
}

#[test]
fn nothing_gives_nothing() {
    assert_eq!(check(&document(&[]), &Words, ChunkConfig::default()), []);
}

#[test]
fn a_heading_stays_with_its_text() {
    let document = document(&[
        text(BlockKind::Paragraph, 1, "one two three four five"),
        text(BlockKind::Heading, 1, "Part"),
        text(BlockKind::Heading, 2, "Sub part"),
        text(
            BlockKind::Paragraph,
            1,
            "six seven eight nine. ten eleven twelve thirteen",
        ),
    ]);
    let config = ChunkConfig {
        size: 8,
        overlap: 2,
    };
    let chunks = check(&document, &Words, config);
    assert_eq!(chunks[0].heading_path, [""; 0]);
    assert!(texts(&document, &chunks)[1].starts_with("Part\n\nSub part\n\nsix"));
    assert_eq!(chunks[1].heading_path, ["Part", "Sub part"]);
}

#[test]
fn what_goes_on_repeats_whole_sentences() {
    let document = document(&[text(
        BlockKind::Paragraph,
        1,
        "The first one is here. The second one is here. The third one is here. \
         The fourth one is here. The fifth one is here. The sixth one is here.",
    )]);
    let config = ChunkConfig {
        size: 16,
        overlap: 6,
    };
    let chunks = check(&document, &Words, config);
    let texts = texts(&document, &chunks);
    assert!(chunks.len() > 1);
    for pair in chunks.windows(2) {
        assert!(pair[1].range.start < pair[0].range.end, "{texts:?}");
        assert!(
            texts[pair[1].ordinal as usize].starts_with("The "),
            "{texts:?}"
        );
    }
}

#[test]
fn rows_and_code_stay_whole_where_they_fit() {
    let row = "Name: Ada Lovelace | Town: London on Thames";
    let document = document(&[
        text(BlockKind::TableRow, 1, row),
        text(BlockKind::TableRow, 1, row),
        text(BlockKind::Code, 1, "a b c\nd e f\ng h"),
    ]);
    let chunks = check(
        &document,
        &Words,
        ChunkConfig {
            size: 12,
            overlap: 0,
        },
    );
    assert_eq!(texts(&document, &chunks), [row, row, "a b c\nd e f\ng h"]);
}

#[test]
fn a_table_cut_in_two_says_its_header() {
    let mut blocks = vec![
        text(
            BlockKind::Paragraph,
            1,
            "seven words stand before the long table",
        ),
        text(BlockKind::TableHeader, 1, "Name | Age\n--- | ---"),
    ];
    for n in 0..6 {
        blocks.push(text(BlockKind::TableRow, 1, &format!("Ada{n} | {n}")));
    }
    let document = document(&blocks);
    let config = ChunkConfig {
        size: 14,
        overlap: 0,
    };
    let chunks = check(&document, &Words, config);
    // The header would fit into the first chunk, but none of its rows would.
    assert_eq!(
        texts(&document, &chunks)[0],
        "seven words stand before the long table"
    );
    assert_eq!(chunks[1].table_header, None);
    assert!(texts(&document, &chunks)[1].starts_with("Name | Age"));
    assert!(chunks.len() > 2);
    for chunk in &chunks[2..] {
        let header = chunk.table_header.unwrap();
        assert_eq!(header.slice(&document.text), Some("Name | Age"));
    }
}

#[test]
fn a_large_text_without_a_space_is_cut_in_time() {
    for word in ["x", "世", "😀"] {
        let document = document(&[text(BlockKind::Paragraph, 1, &word.repeat(400_000))]);
        let chunks = chunk(&document, &Bytes, &ChunkConfig::default()).unwrap();
        assert!(chunks.iter().all(|c| c.tokens <= 1000));
        assert_eq!(check_cover(&document, &chunks), 0);
    }
    let document = document(&[text(BlockKind::Paragraph, 1, &"x".repeat(400_000))]);
    let chunks = check(&document, &Words, ChunkConfig::default());
    assert_eq!((chunks.len(), chunks[0].tokens), (1, 1));
}

/// Bytes that no chunk covers.
fn check_cover(document: &Document, chunks: &[Chunk]) -> usize {
    let mut covered = 0;
    let mut lost = 0;
    for chunk in chunks {
        lost += chunk.range.start.saturating_sub(covered);
        covered = chunk.range.end;
    }
    lost + document.text.len() - covered
}

/// Gives a token beyond the text.
struct Wild;
impl TokenOffsets for Wild {
    fn token_offsets(&self, _: &str) -> Result<Vec<ByteRange>, String> {
        Ok(vec![ByteRange { start: 5, end: 9 }])
    }
}

#[test]
fn wrong_settings_and_wrong_offsets_are_errors() {
    let document = document(&[text(BlockKind::Paragraph, 1, "a")]);
    for (size, overlap) in [(0, 0), (7, 0), (10, 10)] {
        assert!(matches!(
            chunk(&document, &Words, &ChunkConfig { size, overlap }),
            Err(ChunkError::Config { .. })
        ));
    }
    assert!(matches!(
        chunk(&document, &Wild, &ChunkConfig::default()),
        Err(ChunkError::Offsets {
            start: 5,
            end: 9,
            len: 1
        })
    ));
}

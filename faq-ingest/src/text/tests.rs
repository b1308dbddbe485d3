#![allow(clippy::unwrap_used)]

use crate::{Block, BlockKind, Document, ParseOptions, parse};

fn read(text: &str) -> Document {
    parse(text.as_bytes(), "a.txt", &ParseOptions::default()).unwrap()
}

fn kinds(document: &Document) -> Vec<(BlockKind, Option<u8>, &str)> {
    let text = |b: &Block| (b.kind, b.level);
    document
        .blocks
        .iter()
        .map(|b| (text(b).0, text(b).1, document.block_text(b)))
        .collect()
}

#[test]
fn wrapped_lines_are_rejoined_and_short_ones_kept() {
    let document = read(
        "The quick brown fox jumps over the lazy dog and then it runs\n\
         away from the place where it has met the dog, as fast as its\n\
         legs carry it.\n\n\
         Roses are red,\nviolets are blue,\nsugar is sweet.\n",
    );
    assert_eq!(
        kinds(&document),
        [
            (
                BlockKind::Paragraph,
                None,
                "The quick brown fox jumps over the lazy dog and then it runs away from the \
                 place where it has met the dog, as fast as its legs carry it."
            ),
            (
                BlockKind::Paragraph,
                None,
                "Roses are red,\nviolets are blue,\nsugar is sweet."
            ),
        ]
    );
}

#[test]
fn underlined_and_numbered_headings() {
    let document = read(
        "Handbook\n========\n\nFirst part\n----------\n\nText.\n\n1.2 What is it?\n\n  A thing.\n\nNOTES\n\nEnd.",
    );
    assert_eq!(
        kinds(&document),
        [
            (BlockKind::Heading, Some(1), "Handbook"),
            (BlockKind::Heading, Some(2), "First part"),
            (BlockKind::Paragraph, None, "Text."),
            (BlockKind::Heading, Some(2), "1.2 What is it?"),
            (BlockKind::Paragraph, None, "A thing."),
            (BlockKind::Heading, Some(3), "NOTES"),
            (BlockKind::Paragraph, None, "End."),
        ]
    );
    assert_eq!(document.title.as_deref(), Some("Handbook"));
}

#[test]
fn a_loose_numbered_list_is_no_row_of_headings() {
    let document = read("Steps\n\n1. Open the box\n\n2. Take it out\n\n3. Close it");
    assert!(document.blocks.iter().all(|b| b.kind != BlockKind::Heading));
}

#[test]
fn lists_nest_and_keep_their_markers() {
    let document = read("You need:\n- a pan\n  - and a lid\n- oil\n1) pour\n2) wait");
    assert_eq!(
        kinds(&document),
        [
            (BlockKind::Paragraph, None, "You need:"),
            (BlockKind::ListItem, Some(1), "- a pan"),
            (BlockKind::ListItem, Some(2), "- and a lid"),
            (BlockKind::ListItem, Some(1), "- oil"),
            (BlockKind::ListItem, Some(1), "1) pour"),
            (BlockKind::ListItem, Some(1), "2) wait"),
        ]
    );
}

#[test]
fn indented_code_keeps_its_lines() {
    let document = read("Run this:\n\n    if x:\n        y()\n\n    z()\n\nDone.");
    assert_eq!(
        kinds(&document)[1],
        (BlockKind::Code, None, "if x:\n    y()\n\nz()")
    );
}

#[test]
fn a_drawn_table_keeps_its_lines() {
    let document = read("name    | age | town\n--------|-----|-----\nAda     | 36  | Rome\n");
    assert_eq!(document.blocks[0].kind, BlockKind::Code);
    assert_eq!(document.text.lines().count(), 3);
}

#[test]
fn long_lines_are_paragraphs_of_their_own() {
    let long = "word ".repeat(60);
    let document = read(&format!("{long}\n{long}\n"));
    assert_eq!(document.blocks.len(), 2);
}

#[test]
fn restructured_text_labels_go_and_literal_blocks_stay() {
    let document =
        read(".. _target:\n\nTitle\n=====\n\nThus:\n\n::\n\n  * as it is\n    here\n\nEnd.");
    assert_eq!(
        document.text,
        "Title\n\nThus:\n\n* as it is\n  here\n\nEnd."
    );
}

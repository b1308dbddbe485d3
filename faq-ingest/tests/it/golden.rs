//! What each fixture is read as. A changed snapshot is a changed promise.

use std::fmt::Write;

use faq_ingest::{Document, ParseOptions, parse};

use crate::fixture;
use crate::invariants::assert_invariants;

fn shown(document: &Document) -> String {
    let mut out = format!("title: {:?}\n", document.title);
    for block in &document.blocks {
        let level = block.level.map(|l| format!(" {l}")).unwrap_or_default();
        writeln!(
            out,
            "{:?}{level}: {:?}",
            block.kind,
            document.block_text(block)
        )
        .unwrap();
    }
    for warning in &document.warnings {
        writeln!(out, "warning: {}", warning.code).unwrap();
    }
    out
}

fn read(name: &str, bytes: &[u8]) -> String {
    let document = parse(bytes, name, &ParseOptions::default()).unwrap();
    assert_invariants(&document);
    shown(&document)
}

#[test]
fn markdown() {
    insta::assert_snapshot!(read("a.md", fixture::MARKDOWN.as_bytes()));
}

#[test]
fn html() {
    insta::assert_snapshot!(read("a.html", fixture::HTML.as_bytes()));
}

#[test]
fn text() {
    insta::assert_snapshot!(read("a.txt", fixture::TEXT.as_bytes()));
}

#[test]
fn docx() {
    insta::assert_snapshot!(read("a.docx", &fixture::docx()));
}

#[test]
fn pptx() {
    insta::assert_snapshot!(read("a.pptx", &fixture::office::pptx()));
}

#[test]
fn xlsx() {
    insta::assert_snapshot!(read("a.xlsx", &fixture::office::xlsx()));
}

#[test]
fn odt() {
    insta::assert_snapshot!(read("a.odt", &fixture::office::odt()));
}

#[test]
fn epub() {
    insta::assert_snapshot!(read("a.epub", &fixture::office::epub()));
}

#[test]
fn rtf() {
    insta::assert_snapshot!(read("a.rtf", fixture::RTF));
}

#[test]
fn eml() {
    insta::assert_snapshot!(read("a.eml", fixture::EML));
}

#[test]
fn csv() {
    insta::assert_snapshot!(read("a.csv", fixture::CSV.as_bytes()));
}

#[test]
fn encodings_give_one_text() {
    let plain = read("a.txt", fixture::TEXT.as_bytes());
    for (name, bytes) in fixture::all() {
        if name == "wide.txt" {
            assert_eq!(read(name, &bytes), plain);
        }
    }
    let dos = fixture::TEXT.replace('\n', "\r\n");
    assert_eq!(read("a.txt", dos.as_bytes()), plain);
}

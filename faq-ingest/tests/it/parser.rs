//! A parser of the caller's, limits and cancellation.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use faq_ingest::{
    BlockKind, Budget, Document, DocumentBuilder, Format, Limits, ParseError, ParseOptions, Parser,
    parse, parse_with,
};

use crate::fixture;
use crate::invariants::assert_invariants;

struct Shouting;

impl Parser for Shouting {
    fn format(&self) -> Format {
        Format::Text
    }

    fn parse(&self, bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
        budget.check_clock()?;
        let mut out = DocumentBuilder::new();
        let text = String::from_utf8_lossy(bytes).to_uppercase();
        out.push(BlockKind::Paragraph, None, None, &text);
        Ok(out.finish(Format::Text))
    }
}

struct Broken;

impl Parser for Broken {
    fn format(&self) -> Format {
        Format::Html
    }

    fn parse(&self, _: &[u8], _: &Budget) -> Result<Document, ParseError> {
        panic!("a state that nobody foresaw")
    }
}

#[test]
fn a_parser_of_ones_own_goes_first() {
    let options = ParseOptions::default();
    let parsers: [&dyn Parser; 2] = [&Broken, &Shouting];
    let document = parse_with(b"quiet", "a.txt", &options, &parsers).unwrap();
    assert_invariants(&document);
    assert_eq!(document.text, "QUIET");
    let document = parse_with(b"# quiet", "a.md", &options, &parsers).unwrap();
    assert_eq!(document.text, "quiet");
}

#[test]
fn a_panic_is_an_error() {
    let error = parse_with(b"<p>x", "a.html", &ParseOptions::default(), &[&Broken]).unwrap_err();
    assert_eq!(error.code(), "parser_failed");
    assert!(error.to_string().contains("nobody foresaw"), "{error}");
}

fn refused(limits: Limits, bytes: &[u8], name: &str) -> String {
    let options = ParseOptions {
        limits,
        ..ParseOptions::default()
    };
    match parse(bytes, name, &options) {
        Err(ParseError::Limit {
            limit,
            value,
            allowed,
            ..
        }) => {
            assert!(value > allowed || limit == "time");
            limit.into_owned()
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_limit_is_kept_and_named() {
    for (name, bytes) in fixture::all() {
        let file = Limits {
            file_bytes: 20,
            ..Limits::default()
        };
        assert_eq!(refused(file, &bytes, name), "file size");
        let blocks = Limits {
            blocks: 2,
            ..Limits::default()
        };
        assert_eq!(refused(blocks, &bytes, name), "blocks", "{name}");
        let time = Limits {
            time: Duration::ZERO,
            ..Limits::default()
        };
        assert_eq!(refused(time, &bytes, name), "time", "{name}");
    }
    let depth = || Limits {
        depth: 2,
        ..Limits::default()
    };
    assert_eq!(refused(depth(), b"<p>a", "a.html"), "nesting depth");
    assert_eq!(refused(depth(), b"- - - a", "a.md"), "nesting depth");
    assert_eq!(
        refused(depth(), &fixture::docx(), "a.docx"),
        "nesting depth"
    );
    let unpacked = Limits {
        decompressed_bytes: 100,
        ..Limits::default()
    };
    assert_eq!(
        refused(unpacked, &fixture::docx(), "a.docx"),
        "decompressed size"
    );
}

#[test]
fn cancelling_ends_a_parse() {
    let options = ParseOptions {
        cancel: Some(Arc::new(AtomicBool::new(true))),
        ..ParseOptions::default()
    };
    for (name, bytes) in fixture::all() {
        assert!(
            matches!(parse(&bytes, name, &options), Err(ParseError::Cancelled)),
            "{name}"
        );
    }
}

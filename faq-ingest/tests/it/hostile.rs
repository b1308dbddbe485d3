//! Files made to do harm: each ends in a typed error or in a sound document.

use faq_ingest::{Limits, ParseError, ParseOptions, parse};

use crate::fixture::{self, docx_with, zip};
use crate::invariants::assert_invariants;

/// Parses; a document must be sound. Gives the error, if it is one.
fn survive(bytes: &[u8], name: &str) -> Option<ParseError> {
    match parse(bytes, name, &ParseOptions::default()) {
        Ok(document) => {
            assert_invariants(&document);
            None
        }
        Err(error @ ParseError::Internal { .. }) => panic!("{name}: {error}"),
        Err(error) => Some(error),
    }
}

fn assert_damaged(bytes: &[u8]) {
    let error = survive(bytes, "a.docx");
    assert!(
        matches!(error, Some(ParseError::Damaged { .. })),
        "{error:?}"
    );
}

#[test]
fn a_zip_bomb_is_stopped_by_its_content() {
    let part = vec![b' '; 8 << 20];
    let bytes = zip(&[("word/document.xml", &part)]);
    assert!(bytes.len() < 100_000);
    let options = ParseOptions {
        limits: Limits {
            decompressed_bytes: 1 << 20,
            ..Limits::default()
        },
        ..ParseOptions::default()
    };
    assert!(matches!(
        parse(&bytes, "a.docx", &options),
        Err(ParseError::Limit { limit, .. }) if limit == "decompressed size"
    ));
}

/// Every four bytes that state the size of the document part, set to other values.
#[test]
fn sizes_that_lie_are_not_believed() {
    let bytes = fixture::docx();
    let archive = &mut zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let entry = archive.by_name("word/document.xml").unwrap();
    let sizes = [entry.size() as u32, entry.compressed_size() as u32];
    let mut seen = 0;
    for size in sizes {
        let field = size.to_le_bytes();
        for at in 0..bytes.len() - 4 {
            if bytes[at..at + 4] != field {
                continue;
            }
            for lie in [0_u32, 1, size + 1, u32::MAX - 1, u32::MAX] {
                let mut bad = bytes.clone();
                bad[at..at + 4].copy_from_slice(&lie.to_le_bytes());
                survive(&bad, "a.docx");
                seen += 1;
            }
        }
    }
    assert!(seen >= 10);
}

#[test]
fn names_that_climb_are_only_names() {
    let body = b"<d><w:p xmlns:w='w'><w:r><w:t>x</w:t></w:r></w:p></d>";
    let rels = b"<R><Relationship Type='a/officeDocument' Target='../../../etc/passwd'/></R>";
    let bytes = zip(&[
        ("../../word/document.xml", b"x"),
        ("/etc/passwd", b"secret"),
        ("_rels/.rels", rels),
        ("word/document.xml", body),
    ]);
    let document = parse(&bytes, "a.docx", &ParseOptions::default()).unwrap();
    assert_eq!(document.text, "x");
}

#[test]
fn entity_bombs_are_refused() {
    let mut body = "<?xml version='1.0'?><!DOCTYPE d [<!ENTITY l0 'lol'>".to_owned();
    for level in 1..20 {
        let before = format!("&l{};", level - 1).repeat(10);
        body += &format!("<!ENTITY l{level} '{before}'>");
    }
    body += "]><d><w:p><w:r><w:t>&l19;</w:t></w:r></w:p></d>";
    assert_damaged(&docx_with(&body));
}

#[test]
fn deep_xml_passes_the_limit() {
    for unit in [
        "<a>",
        "<w:p>",
        "<w:tbl><w:tr><w:tc>",
        "<w:p><w:txbxContent>",
    ] {
        let error = survive(&docx_with(&unit.repeat(100_000)), "a.docx");
        assert!(
            matches!(
                &error,
                Some(ParseError::Limit { limit, .. }) if limit == "nesting depth"
            ),
            "{unit}: {error:?}"
        );
    }
}

#[test]
fn deep_html_and_markdown() {
    for unit in [
        "<div>",
        "<b><i>",
        "<table><tr><td>",
        "<ul><li>",
        "</p>",
        "<!--",
        "<a href=x",
    ] {
        survive(unit.repeat(200_000).as_bytes(), "a.html");
    }
    for unit in [
        "> ",
        "- ",
        "[",
        "*a_",
        "`",
        "![",
        "<b>",
        "|",
        "\n- a\n\n  ",
        "[^1]",
        "1. ",
    ] {
        survive(unit.repeat(50_000).as_bytes(), "a.md");
    }
    let staircase: String = (0..400)
        .map(|n| format!("{}- x\n", "  ".repeat(n)))
        .collect();
    survive(staircase.as_bytes(), "a.md");
}

#[test]
fn many_attributes_and_formats() {
    let attributes: String = (0..20_000).map(|n| format!(" a{n}=1")).collect();
    survive(format!("<p{attributes}>x").as_bytes(), "a.html");
    let formats: String = (0..3_000).map(|n| format!("<p><font size={n}>x")).collect();
    survive(formats.as_bytes(), "a.html");
}

#[test]
fn a_line_of_ten_megabytes() {
    let word = "x".repeat(10 << 20);
    let words = "word and ".repeat((10 << 20) / 9);
    for text in [&word, &words] {
        for name in ["a.txt", "a.md", "a.html"] {
            let document = parse(text.as_bytes(), name, &ParseOptions::default()).unwrap();
            assert_eq!(document.text, text.trim());
        }
    }
}

#[test]
fn bytes_that_are_no_text() {
    let mut bytes =
        b"Some \0 words \xff\xfe and \xc3\x28 more of them, enough to be a text. ".to_vec();
    let document = parse(&bytes, "a.txt", &ParseOptions::default()).unwrap();
    assert_invariants(&document);
    assert!(document.text.contains("more of them"));
    assert!(!document.warnings.is_empty());
    let bell = parse(b"Ring\x07 twice.", "a.txt", &ParseOptions::default()).unwrap();
    assert_eq!(bell.text, "Ring twice.");
    bytes.extend([0; 200]);
    assert_eq!(
        survive(&bytes, "a.bin").map(|e| e.code()),
        Some("unknown_format")
    );
    for blank in [&b""[..], b"\xef\xbb\xbf \r\n", b"\xff\xfe \0", b"\0\0\0\0"] {
        assert!(matches!(survive(blank, "a.txt"), Some(ParseError::Empty)));
    }
    for name in ["a.html", "a.md"] {
        let markup: &[u8] = if name == "a.md" {
            b"<!-- x -->"
        } else {
            b"<html><p> </p>"
        };
        assert!(matches!(
            survive(markup, name),
            Some(ParseError::Blank { .. })
        ));
    }
}

#[test]
fn truncated_anywhere() {
    for (name, bytes) in fixture::all() {
        for cut in (0..bytes.len()).step_by(bytes.len() / 150 + 1) {
            let error = survive(&bytes[..cut], name);
            if name == "a.docx" && cut >= 64 {
                assert!(
                    matches!(error, Some(ParseError::Damaged { .. })),
                    "at {cut}: {error:?}"
                );
            }
        }
    }
}

#[test]
fn flipped_bytes() {
    let mut random = fixture::random();
    for (name, bytes) in fixture::all() {
        for _ in 0..400 {
            let mut bad = bytes.clone();
            for _ in 0..=random() % 6 {
                let at = random() % bad.len();
                bad[at] = random() as u8;
            }
            survive(&bad, name);
        }
    }
    // Behind the checksums too.
    let body = String::from_utf8(unpacked()).unwrap();
    for _ in 0..400 {
        let mut bad = body.clone().into_bytes();
        for _ in 0..=random() % 4 {
            let at = random() % bad.len();
            bad[at] = b"<>/&;\"'=xw:! \xff"[random() % 14];
        }
        survive(&zip(&[("word/document.xml", &bad)]), "a.docx");
    }
}

fn unpacked() -> Vec<u8> {
    let bytes = fixture::docx();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let mut part = Vec::new();
    let mut entry = archive.by_name("word/document.xml").unwrap();
    std::io::Read::read_to_end(&mut entry, &mut part).unwrap();
    part
}

#[test]
fn huge_spans_do_not_multiply() {
    let row = format!(
        "<tr><td rowspan=65534 colspan=1000>{}</td>",
        "x".repeat(100)
    )
    .repeat(50);
    let page = format!("<table>{row}{}</table>", "<tr><td>y<td>z".repeat(20_000));
    let document = parse(page.as_bytes(), "a.html", &ParseOptions::default()).unwrap();
    assert_invariants(&document);
    assert!(document.text.len() < page.len() * 40);
}

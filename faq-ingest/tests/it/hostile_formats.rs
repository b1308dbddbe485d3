//! Harm done through presentations, workbooks, books, OpenDocument, RTF, messages and CSV.

use std::io::{Cursor, Read, Write};
use std::time::{Duration, Instant};

use faq_ingest::{Document, Limits, ParseError, ParseOptions, parse};
use zip::write::SimpleFileOptions;

use crate::fixture::office::{epub_with, odt_with, pptx_with, xlsx_with};
use crate::fixture::{self, zip};
use crate::invariants::assert_invariants;

/// Parses; what comes of it must be sound.
fn survive(bytes: &[u8], name: &str) -> Result<Document, ParseError> {
    let result = parse(bytes, name, &ParseOptions::default());
    match &result {
        Ok(document) => assert_invariants(document),
        Err(error @ ParseError::Internal { .. }) => panic!("{name}: {error}"),
        Err(_) => {}
    }
    result
}

/// The fixtures that are archives.
fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let mut archives = fixture::all();
    archives.retain(|(_, bytes)| bytes.starts_with(b"PK"));
    assert_eq!(archives.len(), 5);
    archives
}

/// Entries of an archive with their content.
fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.name().unwrap().into_owned(), content)
        })
        .collect()
}

fn zipped(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let parts: Vec<(&str, &[u8])> = entries
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    zip(&parts)
}

#[test]
fn sizes_that_lie() {
    for (name, bytes) in archives() {
        // Every size in the archive's headers and its directory, set to others.
        let signs: [(&[u8], usize); 2] = [(b"PK\x03\x04", 18), (b"PK\x01\x02", 20)];
        for (sign, offset) in signs {
            for at in 0..bytes.len() - 30 {
                if !bytes[at..].starts_with(sign) {
                    continue;
                }
                for field in [offset, offset + 4] {
                    for lie in [0_u32, 1, 0x7fff_ffff, u32::MAX - 1, u32::MAX] {
                        let mut bad = bytes.clone();
                        bad[at + field..at + field + 4].copy_from_slice(&lie.to_le_bytes());
                        let _ = survive(&bad, name);
                    }
                }
            }
        }
    }
}

#[test]
fn every_archive_is_unpacked_within_the_limit() {
    for (name, bytes) in archives() {
        for index in 0..entries(&bytes).len() {
            let mut parts = entries(&bytes);
            let padding = vec![b' '; 4 << 20];
            parts[index].1.extend(padding);
            let bomb = zipped(&parts);
            assert!(bomb.len() < 100_000);
            let options = ParseOptions {
                limits: Limits {
                    decompressed_bytes: 1 << 20,
                    ..Limits::default()
                },
                ..ParseOptions::default()
            };
            match parse(&bomb, name, &options) {
                // A part that is not read is not unpacked.
                Ok(_) => {}
                Err(ParseError::Limit { limit, .. }) => assert_eq!(limit, "decompressed size"),
                Err(error) => panic!("{name}: {}: {error}", parts[index].0),
            }
        }
    }
}

#[test]
fn entity_bombs_in_any_part() {
    let mut bomb = "<!DOCTYPE d [<!ENTITY l0 'lol'>".to_owned();
    for level in 1..30 {
        bomb += &format!(
            "<!ENTITY l{level} '{}'>",
            format!("&l{};", level - 1).repeat(10)
        );
    }
    bomb += "]>";
    for (name, bytes) in archives() {
        for index in 0..entries(&bytes).len() {
            let mut parts = entries(&bytes);
            let text = String::from_utf8(parts[index].1.clone()).unwrap();
            // Before the root, and a reference in each text.
            let (head, body) = match text.split_once("?>") {
                Some((head, body)) => (format!("{head}?>"), body.to_owned()),
                None => (String::new(), text),
            };
            let body = body.replace("</", "&l29;</");
            parts[index].1 = format!("{head}{bomb}{body}").into_bytes();
            if let Ok(document) = survive(&zipped(&parts), name) {
                assert!(document.text.len() < 100_000, "{name} has grown");
            }
        }
    }
}

#[test]
fn names_that_climb_lead_nowhere() {
    for (name, bytes) in archives() {
        let whole = survive(&bytes, name).unwrap().text;
        let mut parts = entries(&bytes);
        for evil in [
            "../../../../tmp/evil",
            "/etc/passwd",
            "C:\\evil",
            "a\0b",
            "\u{202e}cod.exe",
            "word/../../evil",
            "",
            "a/",
        ] {
            parts.push((evil.to_owned(), b"secret".to_vec()));
        }
        assert_eq!(survive(&zipped(&parts), name).unwrap().text, whole);
    }
}

#[test]
fn links_and_archives_inside_are_not_followed() {
    for (name, bytes) in archives() {
        let whole = survive(&bytes, name).unwrap().text;
        let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        for (part, content) in entries(&bytes) {
            out.start_file(part, options).unwrap();
            out.write_all(&content).unwrap();
        }
        out.add_symlink("word/extra.xml", "/etc/passwd", options)
            .unwrap();
        out.start_file("inner.zip", options).unwrap();
        out.write_all(&bytes).unwrap();
        let bytes = out.finish().unwrap().into_inner();
        assert_eq!(survive(&bytes, name).unwrap().text, whole);
    }
    // The main part itself is a link: its target's name is its content.
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    out.add_symlink(
        "word/document.xml",
        "/etc/passwd",
        SimpleFileOptions::default(),
    )
    .unwrap();
    let bytes = out.finish().unwrap().into_inner();
    assert!(survive(&bytes, "a.docx").is_err());
}

#[test]
fn parts_that_refer_to_themselves_end() {
    let loops = [
        ("ppt/slides/_rels/slide1.xml.rels", "slide1.xml"),
        ("ppt/_rels/presentation.xml.rels", "presentation.xml"),
    ];
    for (part, target) in loops {
        let mut parts = entries(&fixture::office::pptx());
        parts.retain(|(name, _)| name != part);
        let kinds = ["slide", "notesSlide", "chart", "diagramData"];
        let lines: String = kinds
            .iter()
            .enumerate()
            .map(|(n, kind)| format!("<Relationship Id='r{n}' Type='x/{kind}' Target='{target}'/>"))
            .collect();
        parts.push((part.to_owned(), format!("<R>{lines}</R>").into_bytes()));
        let _ = survive(&zipped(&parts), "a.pptx");
    }
    let mut styles = String::from("<office:automatic-styles>");
    for (name, parent) in [("a", "b"), ("b", "a")] {
        styles += &format!("<style:style style:name='{name}' style:parent-style-name='{parent}'/>");
    }
    styles += "</office:automatic-styles>";
    let text = format!(
        "{styles}<text:p text:style-name='a'>x<text:span text:style-name='b'>y</text:span></text:p>"
    );
    assert_eq!(survive(&odt_with(&text), "a.odt").unwrap().text, "xy");
}

#[test]
fn deep_markup_passes_the_limit() {
    let shapes = "<p:grpSp>".repeat(100_000);
    let files = [
        (pptx_with(&[(&shapes, None)]), "a.pptx"),
        (
            xlsx_with(&[("S", &"<row>".repeat(100_000))], &[], ""),
            "a.xlsx",
        ),
        (odt_with(&"<text:list>".repeat(100_000)), "a.odt"),
        (odt_with(&"<text:p>".repeat(100_000)), "a.odt"),
        (epub_with(&[&"<div>".repeat(100_000)]), "a.epub"),
        (
            format!("{{\\rtf1 {}", "{".repeat(100_000)).into_bytes(),
            "a.rtf",
        ),
    ];
    for (bytes, name) in files {
        assert!(
            matches!(
                survive(&bytes, name),
                Err(ParseError::Limit { ref limit, .. }) if limit == "nesting depth"
            ),
            "{name}"
        );
    }
}

#[test]
fn cells_far_apart_take_no_more_than_they_hold() {
    let mut rows = String::new();
    for row in 1..=2000 {
        rows +=
            &format!("<row r='{row}'><c r='A{row}'><v>1</v></c><c r='XFD{row}'><v>2</v></c></row>");
    }
    rows += "<row r='4294967296'><c r='A1'><v>3</v></c></row><row r='99999999999999999999'><c r='ZZZZZZZZ1'><v>4</v></c></row>";
    let merges =
        "<mergeCells><mergeCell ref='A1:XFD1048576'/><mergeCell ref='B2:A1'/></mergeCells>";
    let sheet = format!("<sheetData>{rows}</sheetData>{merges}");
    let document = survive(&xlsx_with(&[("S", &sheet)], &[], ""), "a.xlsx").unwrap();
    assert!(document.text.len() < 400_000, "{}", document.text.len());
    let cells = format!(
        "<table:table><table:table-row>{}</table:table-row></table:table>",
        "<table:table-cell table:number-columns-repeated='4294967295'><text:p>x</text:p></table:table-cell>".repeat(50)
    );
    let document = survive(&odt_with(&cells), "a.odt").unwrap();
    assert!(document.text.len() < 20_000);
}

#[test]
fn rtf_that_breaks_its_rules() {
    let long = "x".repeat(1 << 20);
    for text in [
        "{\\rtf1".to_owned(),
        "{\\rtf1}}}}}}".to_owned(),
        "{\\rtf1 {\\footnote {\\footnote {\\footnote a}}}b\\par".to_owned(),
        "{\\rtf1\\bin2000000000 x}".to_owned(),
        "{\\rtf1\\bin-5 x}".to_owned(),
        "{\\rtf1\\u55357?\\u-1?\\u56832?\\uc999999999\\u65 abc\\par d}".to_owned(),
        format!("{{\\rtf1\\{long} a}}"),
        format!("{{\\rtf1 {long}}}"),
        format!("{{\\rtf1{}}}", "\\cellx1\\clvmgf".repeat(100_000)),
        format!(
            "{{\\rtf1\\trowd\\intbl{}\\row}}",
            "\\clvmrg\\cellx1 a\\cell".repeat(20_000)
        ),
        format!(
            "{{\\rtf1{}}}",
            "\\trowd\\clvmgf\\cellx1\\intbl a\\cell\\row".repeat(20_000)
        ),
        format!("{{\\rtf1{}}}", "{\\*\\shpinst{\\shptxt ".repeat(100)),
        format!(
            "{{\\rtf1{{\\stylesheet{}}}}}",
            "{\\s99999999999 heading 300;}".repeat(1000)
        ),
    ] {
        let _ = survive(text.as_bytes(), "a.rtf");
    }
}

#[test]
fn messages_that_break_their_rules() {
    let head = "From: a@b\r\nMIME-Version: 1.0\r\n";
    let mut nested = String::from("the end");
    for level in 0..200 {
        nested = format!(
            "{head}Subject: {level}\r\nContent-Type: multipart/mixed; boundary=b{level}\r\n\r\n\
             --b{level}\r\nContent-Type: message/rfc822\r\n\r\n{nested}\r\n--b{level}--\r\n"
        );
    }
    let many = format!(
        "{head}Content-Type: multipart/mixed; boundary=x\r\n\r\n{}",
        "--x\r\n\r\n".repeat(50_000)
    );
    let fields = format!("{head}{}\r\nbody", "To: a@b,\r\n ".repeat(20_000));
    for text in [
        nested,
        many,
        fields,
        format!("{head}Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n----\r\n"),
        format!("{head}Content-Type: multipart/mixed\r\n\r\n--\r\nx"),
        format!("{head}Content-Transfer-Encoding: base64\r\n\r\n=====\u{e9}\u{e9}"),
        format!("{head}Content-Type: text/plain; charset=utf-7\r\n\r\n+ADw-"),
        format!(
            "{head}Content-Type: text/html\r\n\r\n{}",
            "<div>".repeat(100_000)
        ),
        format!("Subject: {}\r\n\r\nx", "=?utf-8?q?=C3?=".repeat(10_000)),
        format!("{head}Content-Disposition: attachment; filename=\"../\u{202e}\0x\"\r\n\r\nx"),
    ] {
        let _ = survive(text.as_bytes(), "a.eml");
    }
}

#[test]
fn tables_that_break_their_rules() {
    let quote = "\"".repeat(1 << 20);
    let open = "\"a,\n".repeat(200_000);
    let wide = ",".repeat(2 << 20);
    let cell = "x".repeat(10 << 20);
    for text in [
        quote,
        open,
        wide,
        cell,
        "sep=\u{1f600}\na\u{1f600}b".to_owned(),
    ] {
        let _ = survive(text.as_bytes(), "a.csv");
    }
    let options = ParseOptions {
        limits: Limits {
            blocks: 100,
            ..Limits::default()
        },
        ..ParseOptions::default()
    };
    let rows = "a,b\n".repeat(200);
    assert!(matches!(
        parse(rows.as_bytes(), "a.csv", &options),
        Err(ParseError::Limit { .. })
    ));
}

/// What is behind the checksums: the parts themselves, with bytes changed.
#[test]
fn parts_with_flipped_bytes() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below.max(1) as u64) as usize
    };
    let started = Instant::now();
    for (name, bytes) in archives() {
        let whole = entries(&bytes);
        for _ in 0..400 {
            let mut parts = whole.clone();
            for _ in 0..=random(6) {
                let part = random(parts.len());
                let content = &mut parts[part].1;
                let at = random(content.len());
                content[at] = match random(3) {
                    0 => random(256) as u8,
                    _ => b"<>/&;\"'=0123456789: \xff"[random(21)],
                };
            }
            let _ = survive(&zipped(&parts), name);
        }
        if started.elapsed() > Duration::from_secs(60) {
            println!("a slow machine: the rest is left out after {name}");
            return;
        }
    }
}

#[test]
fn a_date_that_is_none_is_left_out() {
    let read = |date: &str| {
        let message = format!("Subject: s\r\nFrom: a@b.example\r\nDate: {date}\r\n\r\ntext");
        let options = ParseOptions::default();
        parse(message.as_bytes(), "a.eml", &options).unwrap().text
    };
    assert_eq!(
        read("99 Foo 99999 99:99:99 +9999"),
        "s\n\nFrom: a@b.example\n\ntext"
    );
    assert!(read("Sat, 1 Nov 2025 10:00:00 +0000").contains("Date: Sat, 1 Nov 2025 10:00:00"));
}

#[test]
fn one_string_in_a_million_cells_is_refused() {
    let cells = "<c t=\"s\"><v>0</v></c>".repeat(2_000);
    let long = "z".repeat(1 << 20);
    let bytes = xlsx_with(
        &[("S", &format!("<row>{cells}</row>"))],
        &[&format!("<t>{long}</t>")],
        "",
    );
    let refused = parse(&bytes, "a.xlsx", &ParseOptions::default());
    assert!(
        matches!(&refused, Err(ParseError::Limit { limit, .. }) if limit == "text of cells"),
        "{refused:?}"
    );
}

#[test]
fn repeated_cells_of_odt_do_not_fill_the_memory() {
    let long = "x".repeat(100_000);
    let cell = format!(
        "<table:table-cell table:number-columns-repeated='64'><text:p>{long}</text:p>\
         </table:table-cell>"
    );
    let bytes = odt_with(&format!(
        "<table:table><table:table-row>{}</table:table-row></table:table>",
        cell.repeat(100)
    ));
    let document = parse(&bytes, "a.odt", &ParseOptions::default()).unwrap();
    assert_invariants(&document);
    assert!(document.text.len() < 32 << 20, "{}", document.text.len());
}

#[test]
fn links_that_share_a_long_target_are_cut() {
    let target = format!("https://x.example/{}", "y".repeat(8_000));
    let rows = "<tr><td>1".repeat(20_000);
    let page = format!(
        "<table><tr>{}{rows}</table>",
        format!("<td rowspan=65534><a href='{target}'>link</a>").repeat(4)
    );
    let document = parse(page.as_bytes(), "a.html", &ParseOptions::default()).unwrap();
    assert_invariants(&document);
    let bytes: usize = document.links.iter().map(|l| l.target.len()).sum();
    assert!(bytes < 64 << 20 && document.links.len() > 1_000);
    assert_eq!(document.warnings[0].code, "links_cut");
}

/// Found by a fuzzer: the boundary of the outer message is lost, that of the inner is not.
#[test]
fn a_message_that_lost_its_boundary_is_read() {
    let message = b"From: a@b.example\r\nSubject: Leave\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=outer\r\n\r\n\
        --oute:yext\r\n\r\nThirty days.\r\n--inner\r\nContent-Type: text/html\r\n\r\n\
        <p>Thirty.</p>\r\n--inner--\r\n--outer\r\nContent-Type: message/rfc822\r\n\r\n\
        From: boss@b.example\r\nSubje-inner--\r\n--outer\r\nContent-Type: message/rfc822\r\n\r\n\
        From: boss@b.example\r\nSubject: Forwarded\r\nContent-Type: text/html; ,,,\r\n\r\n\
        JVBERi0xLjQK\r\n--outer--\r\n";
    let read = parse(message, "a.eml", &ParseOptions::default());
    match read {
        Ok(document) => {
            assert_invariants(&document);
            assert!(document.text.contains("Forwarded"), "{}", document.text);
        }
        // The library below holds an assertion about it, which its debug builds check.
        Err(ParseError::Internal { .. }) if cfg!(debug_assertions) => {}
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn parts_are_found_whatever_the_slashes_and_the_case_of_their_names() {
    let ways: [fn(&str) -> String; 5] = [
        |name| name.replace('/', "\\"),
        |name| format!("/{name}"),
        |name| format!("./{name}"),
        str::to_uppercase,
        |name| format!("\\{}", name.replace('/', "\\").to_lowercase()),
    ];
    for (file, bytes) in archives() {
        let whole = parse(&bytes, file, &ParseOptions::default()).unwrap();
        for way in ways {
            let mut parts = entries(&bytes);
            // The kind of OpenDocument and EPUB is told by an entry that is always as it is.
            for (name, _) in parts.iter_mut().filter(|(name, _)| name != "mimetype") {
                *name = way(name);
            }
            let read = parse(&zipped(&parts), file, &ParseOptions::default());
            let text = read.map(|document| document.text);
            assert_eq!(text.as_ref(), Ok(&whole.text), "{file} {}", way("a/b"));
        }
    }
}

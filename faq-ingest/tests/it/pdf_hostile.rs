//! PDFs made to do harm: each ends in a typed error or in a sound document.

use std::io::Write as _;
use std::time::Duration;

use faq_ingest::{Document, Limits, ParseError, ParseOptions};

use crate::invariants::assert_invariants;
use crate::pdf_file::{CATALOG, FONT, PAGES, Pdf, lines};

/// Parses; a document must be sound, and nothing may reach the catch-all for panics.
fn survive(bytes: &[u8]) -> Result<Document, ParseError> {
    let result = faq_ingest::parse(bytes, "a.pdf", &ParseOptions::default());
    match &result {
        Ok(document) => assert_invariants(document),
        Err(ParseError::Internal { detail, .. }) => panic!("{detail}"),
        Err(_) => {}
    }
    result
}

fn text_of(bytes: &[u8]) -> String {
    survive(bytes).unwrap().text
}

fn one_page(content: &str) -> Pdf {
    Pdf::with_pages(&[content])
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

/// A stream object of bytes that are no text.
fn binary_stream(pdf: &mut Pdf, entries: &str, data: &[u8]) -> usize {
    let number = pdf.add("");
    let mut body = format!("<<{entries}/Length {}>>\nstream\n", data.len()).into_bytes();
    body.extend_from_slice(data);
    body.extend_from_slice(b"\nendstream");
    pdf.objects[number - 1] = body;
    number
}

#[test]
fn arrays_and_dictionaries_nested_two_hundred_thousand_deep() {
    let page = lines(72, 700, &["still here"]);
    for (open, close) in [("[", "]"), ("<</A", ">>"), ("[<</A ", ">>]"), ("(", ")")] {
        let deep = open.repeat(200_000) + &close.repeat(200_000);
        let mut pdf = one_page(&page);
        pdf.add(&deep);
        survive(&pdf.bytes()).ok();
        let half = open.repeat(200_000);
        let mut pdf = one_page(&page);
        pdf.add(&half);
        survive(&pdf.bytes()).ok();
        // In a content stream, a CMap, and the catalog.
        survive(&one_page(&(deep.clone() + " TJ\n" + &page)).bytes()).ok();
        let mut pdf = one_page(&page);
        pdf.objects[CATALOG - 1] = format!("<</Type/Catalog/Pages 2 0 R/X {deep}>>").into_bytes();
        survive(&pdf.bytes()).ok();
    }
}

#[test]
fn tables_that_lead_back_to_themselves() {
    let page = lines(72, 700, &["found anyway"]);
    let whole = String::from_utf8(one_page(&page).bytes()).unwrap();
    let at = whole.rfind("startxref").unwrap();
    let xref: usize = whole[at..].lines().nth(1).unwrap().parse().unwrap();
    for prev in [xref, 0, 9, whole.len() * 3] {
        let looped = whole.replace("trailer\n<<", &format!("trailer\n<</Prev {prev}"));
        assert_eq!(text_of(looped.as_bytes()), "found anyway", "/Prev {prev}");
    }
    // Two sections that name each other, and a start that is nowhere.
    let (first, second) = (whole.len(), whole.len() + 200);
    let section = |prev| format!("xref\n0 0\ntrailer\n<</Size 9/Root 1 0 R/Prev {prev}>>\n");
    let mut both = whole.clone() + &section(second);
    both += &" ".repeat(second - both.len());
    both += &section(first);
    both += &format!("startxref\n{second}\n%%EOF");
    survive(both.as_bytes()).ok();
    for start in ["99999999", "-1", "18446744073709551616", "x"] {
        let lost = whole[..at].to_owned() + &format!("startxref\n{start}\n%%EOF");
        assert_eq!(
            text_of(lost.as_bytes()),
            "found anyway",
            "startxref {start}"
        );
    }
}

#[test]
fn pages_fonts_forms_and_outlines_in_circles() {
    let page = lines(72, 700, &["once"]);
    let mut pdf = one_page(&page);
    let last = pdf.objects.len();
    // A tree that holds itself is told elsewhere; here parents go in circles.
    let entry = String::from_utf8(pdf.objects[last - 1].clone()).unwrap();
    let looped = entry.replace(
        &format!("/Parent {PAGES} 0 R"),
        &format!("/Parent {last} 0 R"),
    );
    pdf.objects[last - 1] = looped.into_bytes();
    assert_eq!(text_of(&pdf.bytes()), "once");

    let mut pdf = one_page(&page);
    let at = pdf.objects.len() + 1;
    pdf.add(&format!(
        "<</Title(once)/First {at} 0 R/Next {at} 0 R/Last {at} 0 R/Parent {at} 0 R>>"
    ));
    pdf.objects[CATALOG - 1] =
        format!("<</Type/Catalog/Pages 2 0 R/Outlines {at} 0 R>>").into_bytes();
    assert_eq!(text_of(&pdf.bytes()), "once");

    let mut pdf = one_page(&page);
    let me = pdf.objects.len() + 1;
    pdf.add(&format!(
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding {me} 0 R/ToUnicode {me} 0 R\
         /DescendantFonts[{me} 0 R]/FontDescriptor {me} 0 R/Widths {me} 0 R>>"
    ));
    pdf.objects[FONT - 1] = pdf.objects[me - 1].clone();
    survive(&pdf.bytes()).ok();

    // References that lead to references, and to themselves.
    let mut pdf = one_page(&page);
    let me = pdf.objects.len() + 1;
    for n in 0..400 {
        pdf.add(&format!("{} 0 R", if n == 399 { me } else { me + n + 1 }));
    }
    pdf.page_tree(&[me, me - 1]);
    assert_eq!(text_of(&pdf.bytes()), "once");
}

#[test]
fn a_page_tree_of_one_branch_passes_the_depth_limit() {
    let mut pdf = Pdf::new();
    let first = pdf.objects.len() + 1;
    for n in 0..5_000 {
        pdf.add(&format!(
            "<</Type/Pages/Count 1/Kids[{} 0 R]>>",
            first + n + 1
        ));
    }
    pdf.page(&lines(72, 700, &["deep"]), "");
    pdf.page_tree(&[first]);
    assert!(matches!(
        survive(&pdf.bytes()),
        Err(ParseError::Limit { limit, .. }) if limit == "nesting depth"
    ));
}

#[test]
fn bombs_of_one_layer_and_of_two_are_stopped_by_what_they_unpack_to() {
    let zeros = vec![b' '; 64 << 20];
    let once = deflated(&zeros);
    let twice = deflated(&once);
    let options = ParseOptions {
        limits: Limits {
            decompressed_bytes: 8 << 20,
            ..Limits::default()
        },
        ..ParseOptions::default()
    };
    for (filter, data) in [
        ("/Filter/FlateDecode", &once),
        ("/Filter[/FlateDecode/FlateDecode]", &twice),
    ] {
        let mut pdf = Pdf::new();
        let content = binary_stream(&mut pdf, filter, data);
        let page = pdf.add(&format!(
            "<</Type/Page/MediaBox[0 0 612 792]/Contents {content} 0 R>>"
        ));
        pdf.page_tree(&[page]);
        assert!(matches!(
            faq_ingest::parse(&pdf.bytes(), "a.pdf", &options),
            Err(ParseError::Limit { limit, .. }) if limit == "decompressed size"
        ));
    }
    // As a font's map, an object stream, and a table of references.
    for entries in [
        "",
        "/Type/ObjStm/N 1000000/First 10",
        "/Type/XRef/W[1 2 1]/Size 9",
    ] {
        let mut pdf = one_page(&lines(72, 700, &["text"]));
        let bomb = binary_stream(&mut pdf, &format!("/Filter/FlateDecode{entries}"), &once);
        pdf.objects[FONT - 1] =
            format!("<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode {bomb} 0 R>>")
                .into_bytes();
        faq_ingest::parse(&pdf.bytes(), "a.pdf", &options).ok();
    }
}

#[test]
fn forms_that_draw_forms_do_not_multiply() {
    let mut pdf = Pdf::new();
    let first = pdf.objects.len() + 1;
    for n in 0..30 {
        pdf.stream(
            &format!(
                "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X {} 0 R>>\
                 /Font<</F {FONT} 0 R>>>>",
                first + n + 1
            ),
            "/X Do /X Do /X Do BT /F 10 Tf 72 400 Td (x) Tj ET",
        );
    }
    let page = pdf.page("/X Do", &format!("/XObject<</X {first} 0 R>>"));
    pdf.page_tree(&[page]);
    survive(&pdf.bytes()).ok();
}

#[test]
fn maps_of_characters_that_are_wrong_in_every_way() {
    let many = "<0000> <ffff> <0041> ".repeat(50_000);
    let maps = [
        "beginbfrange <0000> <ffffffff> [".to_owned() + &"<0041>".repeat(100_000),
        format!("100000 beginbfrange {many} endbfrange"),
        "beginbfchar <00> beginbfchar <> <> endbfchar <41> endbfchar".to_owned(),
        "beginbfrange <ff> <00> <41> <41> <42> endbfrange".to_owned(),
        "begincodespacerange <> <> <00> <ffffffffffff> endcodespacerange".to_owned(),
        "1 begincidrange <00> <ff> -5 <00> <ff> 1e30 endcidrange /X usecmap".to_owned(),
        "beginbfchar <41> <d800> <42> <dfff0000> <43> ".to_owned() + &"<".repeat(100_000),
        format!("beginbfchar <41> <{}> endbfchar", "0041".repeat(200_000)),
        "\u{0}\u{1}((((".repeat(1_000),
    ];
    for map in &maps {
        for simple in [true, false] {
            let mut pdf = one_page(&lines(72, 700, &["AAAA"]));
            let stream = pdf.stream("", map);
            let kind = if simple {
                format!("/Subtype/Type1/BaseFont/Helvetica/ToUnicode {stream} 0 R")
            } else {
                format!(
                    "/Subtype/Type0/BaseFont/X/Encoding {stream} 0 R/ToUnicode {stream} 0 R\
                     /DescendantFonts[<</Subtype/CIDFontType2/W[0 99999999 5 1[2 3]-1[]]>>]"
                )
            };
            pdf.objects[FONT - 1] = format!("<</Type/Font{kind}>>").into_bytes();
            survive(&pdf.bytes()).ok();
        }
    }
}

#[test]
fn lines_without_number_are_no_table() {
    // Half a million strokes, then a mesh with more columns than a table has.
    let mut drawing = String::new();
    for n in 0..120_000 {
        drawing += &format!(
            "{} 0 m {} 700 l S 0 {} m 600 {} l S\n",
            n % 600,
            n % 600,
            n % 700,
            n % 700
        );
    }
    let content = drawing + &lines(72, 700, &["under a mesh"]);
    assert_eq!(text_of(&one_page(&content).bytes()), "under a mesh");
}

#[test]
fn lengths_and_counts_that_lie() {
    let whole = String::from_utf8(one_page(&lines(72, 700, &["text"])).bytes()).unwrap();
    let length = whole.find("/Length ").unwrap() + 8;
    let digits = whole[length..].find(|c: char| !c.is_ascii_digit()).unwrap();
    for lie in [
        "0",
        "-1",
        "999999999",
        "99999999999999999999",
        "5 0 R",
        "(x)",
    ] {
        let bad = whole[..length].to_owned() + lie + &whole[length + digits..];
        survive(bad.as_bytes()).ok();
    }
    for (from, to) in [
        ("/Count 1", "/Count 999999999"),
        ("/Count 1", "/Count -7"),
        ("/MediaBox[0 0 612 792]", "/MediaBox[0 0 1e38 -1e38]"),
        ("/MediaBox[0 0 612 792]", "/MediaBox[nan 0 R]"),
        (
            "/MediaBox[0 0 612 792]",
            "/Rotate 1e300/MediaBox[0 0 612 792]",
        ),
        ("xref\n0", "xref\n4294967295"),
        ("/Size ", "/Size 99999999"),
        ("%PDF-1.4", "%PDF-9999999999"),
    ] {
        survive(whole.replace(from, to).as_bytes()).ok();
    }
}

#[test]
fn time_runs_out_while_a_page_is_read() {
    let page = "q 1 0 0 1 0 0 cm BT /F 10 Tf (x) Tj ET Q\n".repeat(20_000);
    let options = ParseOptions {
        limits: Limits {
            time: Duration::ZERO,
            ..Limits::default()
        },
        threads: 2,
        ..ParseOptions::default()
    };
    let pages: Vec<&str> = vec![&page; 16];
    assert!(matches!(
        faq_ingest::parse(&Pdf::with_pages(&pages).bytes(), "a.pdf", &options),
        Err(ParseError::Limit { limit, .. }) if limit == "time"
    ));
}

#[test]
fn fonts_that_spell_sentences_do_not_fill_the_memory() {
    let mut pdf = Pdf::new();
    let sentence = "0041".repeat(60);
    let codes: String = (0..100u8)
        .map(|c| format!("<{c:02x}> <{sentence}>\n"))
        .collect();
    let map = pdf.stream(
        "",
        &format!(
            "begincmap 1 begincodespacerange <00> <ff> endcodespacerange\n\
             100 beginbfchar\n{codes}endbfchar endcmap"
        ),
    );
    let font = pdf.add(&format!(
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode {map} 0 R>>"
    ));
    let line = format!("({}) Tj 0 -3 Td ", "ABCD ".repeat(1_000));
    let content = pdf.stream("", &format!("BT /G 2 Tf 10 780 Td {} ET", line.repeat(10)));
    let pages: Vec<usize> = (0..100)
        .map(|_| {
            pdf.add(&format!(
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 14400 14400]/Contents {content} 0 R\
                 /Resources<</Font<</G {font} 0 R>>>>>>"
            ))
        })
        .collect();
    pdf.page_tree(&pages);
    let refused = survive(&pdf.bytes());
    assert!(
        matches!(&refused, Err(ParseError::Limit { limit, .. }) if limit == "text of pages"),
        "{refused:?}"
    );
}

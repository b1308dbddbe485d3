//! What is read from PDFs that each show one thing.

use faq_ingest::{BlockKind, Limits, ParseError, ParseOptions};

use crate::pdf_file::{FONT, PAGES, Pdf, at, check_invariants, lines, parse, texts};

#[test]
fn words_are_told_by_gaps_not_by_operators() {
    let pdf = Pdf::with_pages(&[
        "BT /F 10 Tf 72 700 Td [(K)30(ern)-15(ed w)20(o)10(rds)-300(apart)] TJ ET\n\
         BT /F 10 Tf 72 600 Td (Sp) Tj 12.23 0 Td (lit by moves) Tj ET\n\
         BT /F 10 Tf 3 Tc 72 500 Td (wide) Tj ET",
    ]);
    assert_eq!(
        texts(&pdf.parse()),
        vec!["Kerned words apart", "Split by moves", "wide"]
    );
}

#[test]
fn two_columns_under_a_full_width_title_are_read_one_after_the_other() {
    let left: Vec<String> = (0..8)
        .map(|i| format!("left column line {i} with some words that fill it up"))
        .collect();
    let right: Vec<String> = (0..8)
        .map(|i| format!("right column row {i} with other words that fill it"))
        .collect();
    let left: Vec<&str> = left.iter().map(String::as_str).collect();
    let right: Vec<&str> = right.iter().map(String::as_str).collect();
    let content = at(
        "B",
        18,
        120,
        740,
        "A title over the whole width of this page",
    ) + &lines(60, 700, &left)
        + &lines(330, 700, &right);
    let document = Pdf::with_pages(&[&content]).parse();
    let found = texts(&document);
    assert_eq!(found[0], "A title over the whole width of this page");
    assert_eq!(document.blocks[0].kind, BlockKind::Heading);
    let text = &document.text;
    let last_left = text.find("left column line 7").unwrap();
    let first_right = text.find("right column row 0").unwrap();
    assert!(last_left < first_right, "{text}");
    assert_eq!(document.title.as_deref(), Some(found[0]));
}

#[test]
fn three_columns_are_read_one_after_the_other() {
    let column = |name: &str| -> Vec<String> {
        (0..9)
            .map(|i| format!("{name} line {i} of a narrow one"))
            .collect()
    };
    let columns = ["first", "second", "third"].map(column);
    let mut content = at(
        "B",
        16,
        60,
        750,
        "A bulletin of three columns under one title",
    );
    for (x, column) in [60, 235, 410].into_iter().zip(&columns) {
        let texts: Vec<&str> = column.iter().map(String::as_str).collect();
        content += &lines(x, 700, &texts);
    }
    let text = Pdf::with_pages(&[&content]).parse().text;
    let places: Vec<usize> = columns
        .iter()
        .flatten()
        .map(|line| text.find(line.as_str()).unwrap())
        .collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn ligatures_and_multi_byte_codes_come_from_to_unicode() {
    let mut pdf = Pdf::new();
    let cmap = pdf.stream(
        "",
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n\
         2 beginbfchar <0001> <FB03> <0002> <0065> endbfchar\n\
         1 beginbfrange <0010> <0013> <0063> endbfrange",
    );
    let descendant = pdf.add("<</Type/Font/Subtype/CIDFontType2/BaseFont/X/DW 500>>");
    let font = pdf.add(&format!(
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H\
         /DescendantFonts[{descendant} 0 R]/ToUnicode {cmap} 0 R>>"
    ));
    let page = pdf.page("BT /U 10 Tf 72 700 Td <0002000100100013> Tj ET", "");
    // The page's own font resource names the composite font.
    let text = String::from_utf8(pdf.objects[page - 1].clone()).unwrap();
    pdf.objects[page - 1] = text
        .replace("/Font<<", &format!("/Font<</U {font} 0 R"))
        .into_bytes();
    pdf.page_tree(&[page]);
    assert_eq!(texts(&pdf.parse()), vec!["efficf"]);
}

#[test]
fn type_3_fonts_are_read_by_the_names_of_their_glyphs_or_by_to_unicode() {
    let map = "1 begincodespacerange <00> <ff> endcodespacerange\n\
               2 beginbfchar <01> <0048> <02> <0069> endbfchar";
    for (names, map) in [("/H/i", None), ("/g1/g2", Some(map))] {
        let mut pdf = Pdf::new();
        let glyph = pdf.stream("", "500 0 d0 0 0 500 700 re f");
        let (first, second) = (&names[1..3].trim_end_matches('/'), names.rsplit('/').next());
        let unicode = map.map_or(String::new(), |map| {
            format!("/ToUnicode {} 0 R", pdf.stream("", map))
        });
        let font = pdf.add(&format!(
            "<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[0.01 0 0 0.01 0 0]\
             /CharProcs<</{first} {glyph} 0 R/{} {glyph} 0 R>>/Encoding<</Differences[1{names}]>>\
             /FirstChar 1/LastChar 2/Widths[60 30]{unicode}>>",
            second.unwrap()
        ));
        let content = pdf.stream(
            "",
            "BT /T 10 Tf 72 700 Td (\\1\\2) Tj 20 0 Td (\\1\\2) Tj ET",
        );
        let page = pdf.add(&format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {content} 0 R\
             /Resources<</Font<</T {font} 0 R>>>>>>"
        ));
        pdf.page_tree(&[page]);
        assert_eq!(pdf.parse().text, "Hi Hi", "{names}");
    }
}

#[test]
fn hyphens_at_line_ends_are_repaired() {
    let content = lines(
        72,
        700,
        &[
            "The interpretation of a hyphenated exam-",
            "ple depends on a well-known rule of typo-",
            "graphy which every state-of-the-",
            "art reader keeps.",
        ],
    );
    assert_eq!(
        texts(&Pdf::with_pages(&[&content]).parse()),
        vec![
            "The interpretation of a hyphenated example depends on a well-known rule of \
             typography which every state-of-the-art reader keeps."
        ]
    );
}

#[test]
fn what_repeats_from_page_to_page_is_dropped() {
    let pages: Vec<String> = (1..=5)
        .map(|n| {
            at("F", 9, 72, 770, "The Handbook")
                + &at("F", 9, 300, 30, &n.to_string())
                + &lines(
                    72,
                    690,
                    &[
                        &format!("Page {n} tells its own story in one sentence"),
                        "and repeats this second line on every page.",
                    ],
                )
        })
        .collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let document = Pdf::with_pages(&pages).parse();
    assert!(!document.text.contains("Handbook"), "{}", document.text);
    assert_eq!(document.text.matches("repeats this second line").count(), 5);
    assert_eq!(document.blocks.len(), 5);
    let numbers: Vec<_> = document.blocks.iter().map(|b| b.page.unwrap()).collect();
    assert_eq!(numbers, vec![1, 2, 3, 4, 5]);
}

#[test]
fn two_equal_pages_lose_nothing() {
    let page = lines(72, 760, &["To whom it may concern:"]) + &lines(72, 700, &["Best regards"]);
    let document = Pdf::with_pages(&[&page, &page]).parse();
    assert_eq!(document.text.matches("Best regards").count(), 2);
    assert_eq!(document.text.matches("To whom").count(), 2);
}

#[test]
fn forms_are_read_where_they_are_drawn() {
    let mut pdf = Pdf::new();
    let inner = pdf.stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 200 20]/Matrix[1 0 0 1 0 5]",
        "BT /F 10 Tf (in a form) Tj ET",
    );
    let content = at("F", 10, 72, 720, "above")
        + "q 1 0 0 1 72 600 cm /X Do Q\n"
        + &at("F", 10, 72, 500, "below");
    let page = pdf.page(&content, &format!("/XObject<</X {inner} 0 R>>"));
    pdf.page_tree(&[page]);
    assert_eq!(texts(&pdf.parse()), vec!["above", "in a form", "below"]);
}

#[test]
fn a_form_that_draws_itself_ends() {
    let mut pdf = Pdf::new();
    let number = pdf.objects.len() + 1;
    let form = pdf.stream(
        &format!(
            "/Type/XObject/Subtype/Form/BBox[0 0 9 9]\
             /Resources<</XObject<</X {number} 0 R>>/Font<</F {FONT} 0 R>>>>"
        ),
        "BT /F 10 Tf 72 400 Td (once) Tj ET /X Do /X Do",
    );
    assert_eq!(form, number);
    let page = pdf.page("/X Do", &format!("/XObject<</X {form} 0 R>>"));
    pdf.page_tree(&[page]);
    assert_eq!(texts(&pdf.parse()), vec!["once"]);
}

#[test]
fn a_page_tree_that_holds_itself_ends() {
    let mut pdf = Pdf::with_pages(&[&lines(72, 700, &["the only page"])]);
    let page = pdf.objects.len();
    pdf.page_tree(&[PAGES, page, PAGES, page]);
    let document = pdf.parse();
    assert_eq!(document.pages.len(), 1);
    assert_eq!(texts(&document), vec!["the only page"]);
}

#[test]
fn a_password_is_asked_for() {
    let mut pdf = Pdf::with_pages(&[&lines(72, 700, &["secret"])]);
    let owner = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let user = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
    let encrypt = pdf.add(&format!(
        "<</Filter/Standard/V 1/R 2/P -4/O<{owner}>/U<{user}>>>"
    ));
    pdf.trailer = format!("/Encrypt {encrypt} 0 R/ID[<00><00>]");
    assert!(matches!(
        parse(&pdf.bytes()),
        Err(ParseError::Encrypted { .. })
    ));
}

#[test]
fn a_truncated_file_gives_its_whole_pages_or_an_error() {
    let pages = ["first page here", "second page here", "third page here"];
    let contents: Vec<String> = pages.iter().map(|p| lines(72, 700, &[p])).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let bytes = Pdf::with_pages(&contents).bytes();
    let whole = parse(&bytes).unwrap().text;
    // Without its tables the file is read by a scan for objects.
    let xref = bytes.windows(5).rposition(|w| w == b"xref\n").unwrap();
    assert_eq!(parse(&bytes[..xref]).unwrap().text, whole);
    for cut in (0..bytes.len()).step_by(7) {
        match parse(&bytes[..cut]) {
            Ok(document) => check_invariants(&document),
            Err(ParseError::Empty | ParseError::Damaged { .. } | ParseError::NoText { .. }) => {}
            Err(other) => panic!("cut at {cut}: {other:?}"),
        }
    }
}

#[test]
fn a_file_cut_before_its_catalog_still_gives_its_pages() {
    let content = lines(72, 700, &["what was saved"]);
    let body = format!(
        "%PDF-1.4\n1 0 obj\n<</Type/Page/MediaBox[0 0 612 792]/Contents 2 0 R/Resources<</Font\
         <</F 3 0 R>>>>>>\nendobj\n2 0 obj\n<</Length {}>>\nstream\n{content}\nendstream\nendobj\n\
         3 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\nendobj\n4 0 obj\n<</Type/Cat",
        content.len()
    );
    assert_eq!(
        texts(&parse(body.as_bytes()).unwrap()),
        vec!["what was saved"]
    );
}

#[test]
fn tables_have_a_header_and_rows() {
    let mut content = String::new();
    let rows = [
        ("Plan", "Price", "Users"),
        ("Small", "10 EUR", "5"),
        ("Medium", "25 EUR", "20"),
        ("Large", "90 EUR", "100"),
    ];
    for (i, (a, b, c)) in rows.iter().enumerate() {
        let y = 700 - 14 * i as i32;
        let font = if i == 0 { "B" } else { "F" };
        for (x, text) in [(72, a), (200, b), (320, c)] {
            content += &at(font, 10, x, y, text);
        }
    }
    content += &lines(72, 600, &["Text below the table goes on as usual."]);
    let document = Pdf::with_pages(&[&content]).parse();
    assert_eq!(
        texts(&document),
        vec![
            "Plan | Price | Users\n--- | --- | ---",
            "Small | 10 EUR | 5",
            "Medium | 25 EUR | 20",
            "Large | 90 EUR | 100",
            "Text below the table goes on as usual.",
        ]
    );
    assert_eq!(document.blocks[0].kind, BlockKind::TableHeader);
    assert!(
        document.blocks[1..4]
            .iter()
            .all(|b| b.kind == BlockKind::TableRow)
    );
    assert_eq!(document.blocks[4].kind, BlockKind::Paragraph);
}

#[test]
fn headings_lists_and_paragraphs_have_their_roles() {
    let content = at("B", 20, 72, 740, "Top heading")
        + &at("B", 14, 72, 710, "Second heading")
        + &lines(
            72,
            690,
            &[
                "Most of this document is set in ten points, which makes it the size of its",
                "body, whatever else stands around it.",
            ],
        )
        + &lines(
            72,
            650,
            &["- first item of a list", "- second item", "3. third item"],
        );
    let document = Pdf::with_pages(&[&content]).parse();
    let roles: Vec<_> = document.blocks.iter().map(|b| (b.kind, b.level)).collect();
    assert_eq!(
        roles,
        vec![
            (BlockKind::Heading, Some(1)),
            (BlockKind::Heading, Some(2)),
            (BlockKind::Paragraph, None),
            (BlockKind::ListItem, Some(1)),
            (BlockKind::ListItem, Some(1)),
            (BlockKind::ListItem, Some(1)),
        ],
        "{}",
        document.text
    );
}

#[test]
fn a_turned_page_reads_like_an_upright_one() {
    let mut pdf = Pdf::new();
    let page = pdf.page(
        "BT /F 10 Tf 0 1 -1 0 300 100 Tm (turned first line) Tj 0 -30 Td (turned second) Tj ET",
        "",
    );
    let text = String::from_utf8(pdf.objects[page - 1].clone()).unwrap();
    pdf.objects[page - 1] = text
        .replace("/MediaBox", "/Rotate 90/MediaBox")
        .into_bytes();
    pdf.page_tree(&[page]);
    assert_eq!(
        texts(&pdf.parse()),
        vec!["turned first line", "turned second"]
    );
}

#[test]
fn replacement_text_stands_for_what_is_shown() {
    let pdf = Pdf::with_pages(&[
        "BT /F 10 Tf 72 700 Td (be) Tj /Span <</ActualText (fo)>> BDC (xx) Tj EMC (re) Tj ET\n\
         /Artifact <</Type/Pagination>> BDC BT /F 10 Tf 72 30 Td (7) Tj ET EMC",
    ]);
    assert_eq!(texts(&pdf.parse()), vec!["before"]);
}

#[test]
fn pages_without_text_are_named() {
    let image = "q 100 0 0 100 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q";
    let text = lines(72, 700, &["some text"]);
    let document = Pdf::with_pages(&[&text, image, ""]).parse();
    let warnings: Vec<_> = document
        .warnings
        .iter()
        .map(|w| (w.code.as_str(), w.page, w.message.contains("OCR")))
        .collect();
    assert_eq!(
        warnings,
        vec![
            ("no_text_on_page", Some(2), true),
            ("no_text_on_page", Some(3), false)
        ]
    );
    assert_eq!(document.pages.len(), 3);
    assert!(document.pages[1].range.is_empty());
    match parse(&Pdf::with_pages(&[image, image]).bytes()) {
        Err(ParseError::NoText { pages, images, .. }) => assert_eq!((pages, images), (2, 2)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_hold() {
    let with = |limits: Limits| ParseOptions {
        limits,
        ..ParseOptions::default()
    };
    let line = lines(72, 700, &["text"]);
    let bytes = Pdf::with_pages(&[&line, &line, &line]).bytes();
    let pages = with(Limits {
        pages: 2,
        ..Limits::default()
    });
    let unpacked = with(Limits {
        decompressed_bytes: 20,
        ..Limits::default()
    });
    for (options, name) in [(pages, "pages"), (unpacked, "decompressed size")] {
        match faq_ingest::parse(&bytes, "document.pdf", &options) {
            Err(ParseError::Limit { limit, .. }) => assert_eq!(limit, name),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn noise_is_damage() {
    for bytes in [
        b"%PDF-1.4\n".to_vec(),
        b"%PDF-1.7 and then nothing of the kind".to_vec(),
        [b"%PDF-1.4\n1 0 obj\n".to_vec(), vec![b'['; 100_000]].concat(),
    ] {
        assert!(matches!(parse(&bytes), Err(ParseError::Damaged { .. })));
    }
    let noise: Vec<u8> = (0..4096u32).map(|i| (i * 73 % 251) as u8).collect();
    let no_header = parse(&noise);
    assert!(
        matches!(
            no_header,
            Err(ParseError::FormatMismatch { .. } | ParseError::UnknownFormat { .. })
        ),
        "{no_header:?}"
    );
    assert!(matches!(parse(b" \n"), Err(ParseError::Empty)));
}

#[test]
fn the_only_line_of_a_page_is_no_running_title() {
    let titles = [
        "Welcome",
        "Our aims",
        "What we did",
        "Numbers",
        "Next year",
        "Thank you",
    ];
    let pages: Vec<String> = titles.iter().map(|t| at("F", 18, 72, 700, t)).collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    assert_eq!(texts(&Pdf::with_pages(&pages).parse()), titles);
}

/// A table with lines around every cell; the cells' lines stand 11 points apart.
fn drawn_table(x: &[i32], y: &[i32], cells: &[&[&[&str]]]) -> String {
    let mut out = String::new();
    for at in x {
        out += &format!("{at} {} m {at} {} l S\n", y[0], y[y.len() - 1]);
    }
    for at in y {
        out += &format!("{} {at} m {} {at} l S\n", x[0], x[x.len() - 1]);
    }
    for (row, top) in cells.iter().zip(y) {
        for (cell, left) in row.iter().zip(x) {
            for (line, text) in (1..).zip(*cell) {
                out += &at("F", 9, left + 3, top - 11 * line, text);
            }
        }
    }
    out
}

#[test]
fn cells_of_several_lines_stay_whole_between_drawn_lines() {
    let content = drawn_table(
        &[72, 200, 400],
        &[700, 680, 640, 600],
        &[
            &[&["Case"], &["Days"]],
            &[&["Moving to", "another town"], &["2"]],
            &[
                &["Wedding"],
                &["1, and another one where the", "family lives abroad"],
            ],
        ],
    ) + &lines(72, 560, &["Text below the table goes on as usual."]);
    let document = Pdf::with_pages(&[&content]).parse();
    assert_eq!(
        texts(&document),
        vec![
            "Case | Days",
            "Moving to another town | 2",
            "Wedding | 1, and another one where the family lives abroad",
            "Text below the table goes on as usual.",
        ]
    );
    assert_eq!(document.blocks[1].kind, BlockKind::TableRow);
}

#[test]
fn names_of_columns_in_two_lines_are_one_header() {
    let mut content = String::new();
    let rows = [
        ("Inhibitor", "Speed", "Loss"),
        ("in gram", "", "in percent"),
        ("2", "1.95", "7.5"),
        ("4", "0.02", "8.1"),
    ];
    for (i, (a, b, c)) in rows.iter().enumerate() {
        for (x, text) in [(72, a), (200, b), (320, c)] {
            if !text.is_empty() {
                content += &at("F", 10, x, 700 - 12 * i as i32, text);
            }
        }
    }
    assert_eq!(
        texts(&Pdf::with_pages(&[&content]).parse())[..2],
        [
            "Inhibitor in gram | Speed | Loss in percent\n--- | --- | ---",
            "2 | 1.95 | 7.5"
        ]
    );
}

#[test]
fn the_outline_says_what_a_heading_is_and_how_deep() {
    let content = at("F", 10, 72, 700, "2.1 Scope of the rules")
        + &lines(72, 660, &["These rules hold for everybody who works here."]);
    let mut pdf = Pdf::with_pages(&[&content]);
    let first = pdf.objects.len() + 1;
    pdf.add(&format!("<</Title(Rules)/First {} 0 R>>", first + 1));
    pdf.add("<</Title(Scope of the rules)>>");
    let root = pdf.add(&format!("<</First {first} 0 R>>"));
    pdf.objects[0] = format!("<</Type/Catalog/Pages 2 0 R/Outlines {root} 0 R>>").into_bytes();
    let document = pdf.parse();
    let roles: Vec<_> = document.blocks.iter().map(|b| (b.kind, b.level)).collect();
    assert_eq!(
        roles,
        vec![(BlockKind::Heading, Some(2)), (BlockKind::Paragraph, None)]
    );
}

#[test]
fn entries_of_a_table_of_contents_are_lines_of_their_own() {
    let content = lines(
        72,
        700,
        &[
            "Leave . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . 4",
            "Travel . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . 17",
            "Expenses . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . 23",
        ],
    );
    assert_eq!(
        texts(&Pdf::with_pages(&[&content]).parse()),
        vec!["Leave … 4", "Travel … 17", "Expenses … 23"]
    );
}

#[test]
fn a_field_without_appearance_shows_its_value() {
    let mut pdf = Pdf::with_pages(&[&lines(72, 700, &["Name:"])]);
    let page = pdf.objects.len();
    let field = pdf.add("<</FT/Tx/V(Ada Lovelace)>>");
    let widget = pdf.add(&format!(
        "<</Type/Annot/Subtype/Widget/Parent {field} 0 R/Rect[150 690 300 710]>>"
    ));
    let hidden = pdf.add("<</Subtype/Widget/FT/Tx/V(hidden)/F 2/Rect[150 590 300 610]>>");
    let entry = String::from_utf8(pdf.objects[page - 1].clone()).unwrap();
    pdf.objects[page - 1] = entry
        .replace(
            "/MediaBox",
            &format!("/Annots[{widget} 0 R {hidden} 0 R]/MediaBox"),
        )
        .into_bytes();
    let text = pdf.parse().text;
    assert!(
        text.contains("Name:") && text.contains("Ada Lovelace"),
        "{text}"
    );
    assert!(!text.contains("hidden"));
}

#[test]
fn a_lone_page_keeps_its_letterhead_and_loses_its_number() {
    let content = "/Artifact <</Type/Pagination/Subtype/Header>> BDC\n".to_owned()
        + &at("F", 10, 72, 770, "Town Hall, Office of Works")
        + "EMC\n"
        + &lines(72, 700, &["Your application was granted."])
        + &at("F", 9, 300, 30, "Page 1");
    assert_eq!(
        texts(&Pdf::with_pages(&[&content]).parse()),
        vec![
            "Town Hall, Office of Works",
            "Your application was granted."
        ]
    );
}

#[test]
fn threads_change_nothing_but_the_time() {
    let pages: Vec<String> = (0..60usize)
        .map(|n| {
            let name = char::from(b'a' + (n % 26) as u8).to_string().repeat(n + 1);
            lines(72, 700, &[&format!("{name} has a story"), "of its own"])
                + &lines(72, 400, &[&format!("and {name} ends it here")])
        })
        .collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let bytes = Pdf::with_pages(&pages).bytes();
    let read = |threads| {
        let options = ParseOptions {
            threads,
            ..ParseOptions::default()
        };
        faq_ingest::parse(&bytes, "a.pdf", &options).unwrap()
    };
    let alone = read(1);
    assert_eq!(alone.pages.len(), 60);
    for threads in [2, 3, 64] {
        assert_eq!(read(threads), alone);
    }
}

//! Where blocks stand on their pages.

use faq_ingest::{Document, Layout, PageArea, ParseOptions, parse};

use crate::pdf_file::{PAGES, Pdf, at, lines};

fn read(pdf: &Pdf) -> (Document, Layout) {
    let options = ParseOptions {
        layout: true,
        ..ParseOptions::default()
    };
    let mut document = parse(&pdf.bytes(), "a.pdf", &options).unwrap();
    let layout = document.layout.take().unwrap();
    assert_eq!(layout.pages.len(), document.pages.len());
    assert_eq!(layout.blocks.len(), document.blocks.len());
    for area in layout
        .blocks
        .iter()
        .flatten()
        .chain(layout.left_out.iter().map(|l| &l.area))
    {
        let page = &layout.pages[area.page as usize - 1];
        assert!(area.x >= 0.0 && area.y >= 0.0 && area.width > 0.0 && area.height > 0.0);
        assert!(
            area.x + area.width <= page.width + 0.02,
            "{area:?} {page:?}"
        );
        assert!(
            area.y + area.height <= page.height + 0.02,
            "{area:?} {page:?}"
        );
    }
    (document, layout)
}

/// The box of a block that has one, as left, top, right and bottom in whole points.
fn edges(areas: &[PageArea]) -> [i32; 4] {
    let [one] = areas else {
        panic!("{} boxes", areas.len());
    };
    [one.x, one.y, one.x + one.width, one.y + one.height].map(|v| v.round() as i32)
}

#[test]
fn a_document_tells_of_places_only_where_it_is_asked() {
    let pdf = Pdf::with_pages(&["BT /F 10 Tf 72 700 Td (Hello) Tj ET"]);
    assert_eq!(pdf.parse().layout, None);
    let (document, layout) = read(&pdf);
    assert_eq!(
        Document {
            layout: None,
            ..document
        },
        pdf.parse()
    );
    // The baseline lies at 792 - 700; Hello in Helvetica is 2.278 times its size wide.
    assert_eq!(edges(&layout.blocks[0]), [72, 85, 95, 94]);
    assert_eq!(
        (layout.pages[0].width, layout.pages[0].height),
        (612.0, 792.0)
    );
}

#[test]
fn turned_pages_are_shown_upright() {
    for (turn, expected) in [
        (90, [698, 72, 707, 95]),
        (180, [517, 698, 540, 707]),
        (270, [85, 517, 94, 540]),
    ] {
        let mut pdf = Pdf::new();
        let page = pdf.page("BT /F 10 Tf 72 700 Td (Hello) Tj ET", "");
        pdf.page_tree(&[page]);
        let tree = String::from_utf8(pdf.objects[PAGES - 1].clone()).unwrap();
        pdf.objects[PAGES - 1] = tree
            .replace("/Pages", &format!("/Pages/Rotate {turn}"))
            .into_bytes();
        let (_, layout) = read(&pdf);
        let size = &layout.pages[0];
        assert_eq!(size.width > size.height, turn != 180, "{turn}");
        let found = edges(&layout.blocks[0]);
        let near = |(a, b): (i32, i32)| (a - b).abs() <= 1;
        assert!(
            found.into_iter().zip(expected).all(near),
            "turned by {turn}: {found:?}"
        );
    }
}

#[test]
fn rows_of_drawn_tables_have_the_height_of_their_cells() {
    let rules = "72 500 m 272 500 l S 72 460 m 272 460 l S 72 400 m 272 400 l S \
                 72 400 m 72 500 l S 172 400 m 172 500 l S 272 400 m 272 500 l S\n";
    let words = [
        at("B", 10, 80, 486, "Plan"),
        at("B", 10, 180, 486, "Price"),
        at("F", 10, 80, 446, "Basic"),
        at("F", 10, 180, 446, "5 a month"),
        at("F", 10, 180, 432, "or 50 a year"),
    ];
    let (document, layout) = read(&Pdf::with_pages(&[&(rules.to_owned() + &words.concat())]));
    assert_eq!(document.blocks.len(), 2);
    assert_eq!(edges(&layout.blocks[0]), [72, 292, 272, 332]);
    assert_eq!(edges(&layout.blocks[1]), [72, 332, 272, 392]);
}

#[test]
fn a_paragraph_over_two_pages_has_a_box_on_each() {
    let page = |title: &str, rows: &[&str]| at("F", 8, 250, 770, title) + &lines(72, 700, rows);
    let contents = [
        page(
            "Rules of the house",
            &["The first page holds a sentence that goes on and on until it"],
        ),
        page(
            "Rules of the house",
            &["ends on the second page, where it is done."],
        ) + &at("B", 16, 72, 500, "Another part"),
        page(
            "Rules of the house",
            &["The third page says something else altogether."],
        ),
        page(
            "Rules of the house",
            &["The fourth says nothing that was not said before."],
        ),
    ];
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let (document, layout) = read(&Pdf::with_pages(&contents));
    assert!(
        document
            .block_text(&document.blocks[0])
            .contains("until it ends")
    );
    let on: Vec<u32> = layout.blocks[0].iter().map(|a| a.page).collect();
    assert_eq!(on, [1, 2]);
    let left: Vec<(u32, &str)> = layout
        .left_out
        .iter()
        .map(|l| (l.area.page, l.text.as_str()))
        .collect();
    let header = "Rules of the house";
    assert_eq!(left, [(1, header), (2, header), (3, header), (4, header)]);
}

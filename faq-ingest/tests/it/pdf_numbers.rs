//! Numbers that no PDF may hold, or that no page could have.

use crate::pdf_file::{Pdf, lines, parse, texts};

#[test]
fn numbers_that_no_page_could_have_do_no_harm() {
    let big = "9".repeat(60);
    let content = format!(
        "q {big} 0 0 {big} {big} {big} cm BT /F {big} Tf {big} {big} Td (far) Tj \
         -1e9 Tz 1 0 0 0 0 0 Tm (flat) Tj 100 Tz ET Q Q Q Q ] >> ) EMC EMC\n{}",
        "q ".repeat(5000)
    ) + &lines(72, 700, &["near"]);
    let text = parse(&Pdf::with_pages(&[&content]).bytes()).unwrap().text;
    assert!(text.contains("near"), "{text}");
}

#[test]
fn numbers_that_no_object_may_hold_lose_no_page() {
    let line = lines(72, 700, &["still read"]);
    for (from, to) in [
        ("[0 0 612 792]", "[0 0 9e99 792]"),
        ("[0 0 612 792]", "[0 0 612 792e-99]"),
        ("[0 0 612 792]", "[0 0 99999999999999999999 792]"),
        ("[0 0 612 792]", "[-1e400 0 612 792]"),
        ("/MediaBox", "/Rotate 9e99/MediaBox"),
        ("/MediaBox", "/Rotate 99999999999999999999/MediaBox"),
        ("/MediaBox", "/Rotate 90.0000001e0/Rotate 0/MediaBox"),
        ("/MediaBox", "/UserUnit 1e+400/MediaBox"),
        ("/MediaBox", "/Tabs 12abc /MediaBox"),
    ] {
        let mut pdf = Pdf::with_pages(&[&line, &line]);
        let page = pdf.objects.last_mut().unwrap();
        let text = String::from_utf8(page.clone()).unwrap();
        assert!(text.contains(from));
        *page = text.replace(from, to).into_bytes();
        let document = pdf.parse();
        assert_eq!(document.pages.len(), 2, "{to}");
        assert_eq!(texts(&document), ["still read", "still read"], "{to}");
    }
}

#[test]
fn streams_whose_length_is_no_number_are_read_to_their_end() {
    let line = lines(72, 700, &["still read"]);
    for length in ["9e99", "99999999999999999999", "-1", "1e1", "(x)"] {
        let mut pdf = Pdf::with_pages(&[&line]);
        let content = &mut pdf.objects[4];
        let text = String::from_utf8(content.clone()).unwrap();
        let from = text.find("/Length ").unwrap() + "/Length ".len();
        let to = from + text[from..].find('>').unwrap();
        *content = format!("{}{length}{}", &text[..from], &text[to..]).into_bytes();
        let text = parse(&pdf.bytes()).map(|document| document.text);
        assert_eq!(text.as_deref(), Ok("still read"), "{length}");
    }
}

#[test]
fn numbers_out_of_range_in_a_content_stream_are_passed_over() {
    for wrong in [
        "9e99 0 Td",
        "/F 9e99 Tf",
        "9e99 Tz",
        "9e99 Tc",
        "9e99 TL",
        "1 0 0 1 9e99 0 Tm",
        "9e99 0 0 1 0 0 cm",
        "1 9e99e Td",
        "Td",
        "/F Tf",
    ] {
        let content = format!("BT /F 10 Tf 12 TL 72 700 Td {wrong} (one) Tj T* (two) Tj ET");
        let document = Pdf::with_pages(&[&content]).parse();
        let words: Vec<&str> = document.text.split_whitespace().collect();
        assert_eq!(words, ["one", "two"], "{wrong}");
    }
    // Powers of ten that mean something, and values that are too many.
    let content = "BT /F 1e1 Tf 9 9 7.2e1 7E+2 Td (one) Tj 7 1 0 0 1 72 650 Tm (two) Tj ET";
    assert_eq!(texts(&Pdf::with_pages(&[content]).parse()), ["one", "two"]);
}

#![allow(clippy::unwrap_used)]

use crate::{BlockKind, Document, ParseError, ParseOptions, parse};

fn read(markup: &str) -> Document {
    parse(markup.as_bytes(), "a.html", &ParseOptions::default()).unwrap()
}

#[test]
fn content_stays_and_its_frame_goes() {
    let document = read(
        "<!doctype html><title> My  page </title><nav>Home</nav><header>Logo</header>\
         <script>x()</script><p hidden>no<p style='color:red; display : none'>no\
         <h1>Ti<b>tle</b></h1><article><header>By Ada</header><p>Text&nbsp;&amp; more<br>line</article>\
         <footer>Imprint</footer>",
    );
    assert_eq!(document.title.as_deref(), Some("My page"));
    assert_eq!(document.text, "Title\n\nBy Ada\n\nText & more\nline");
}

#[test]
fn a_page_of_navigation_alone_is_read() {
    assert_eq!(
        read("<html><nav><a>Home</a> <a>Us</a></nav>").text,
        "Home Us"
    );
}

#[test]
fn the_main_part_is_preferred_when_it_holds_the_text() {
    let text = "words of the main part ".repeat(5);
    assert_eq!(
        read(&format!(
            "<html><div>menu</div><main><p>{text}</main><div>legal</div>"
        ))
        .text,
        text.trim()
    );
    assert!(
        read(&format!("<html><p>{text}<div role=main>x</div>"))
            .text
            .starts_with("words")
    );
}

#[test]
fn lists_tables_and_code() {
    let document = read(
        "<ol start=3 type=a><li>three<li><p>four</p><p>more</p><ul><li>deep</ul></ol>\
         <dl><dt>Term<dd>Meaning</dl>\
         <table><thead><tr><th>Name<th>Age</thead><tr><td>Ada<td><p>36</p><p>37</p></table>\
         <pre>\n a\n  b<br>c</pre><p>end <img alt='a cat'>",
    );
    let blocks: Vec<_> = document
        .blocks
        .iter()
        .map(|b| (b.kind, document.block_text(b)))
        .collect();
    assert_eq!(
        blocks,
        [
            (BlockKind::ListItem, "c. three"),
            (BlockKind::ListItem, "d. four"),
            (BlockKind::Paragraph, "more"),
            (BlockKind::ListItem, "- deep"),
            (BlockKind::ListItem, "Term"),
            (BlockKind::ListItem, "Meaning"),
            (BlockKind::TableHeader, "Name | Age\n--- | ---"),
            (BlockKind::TableRow, "Ada | 36 37"),
            (BlockKind::Code, " a\n  b\nc"),
            (BlockKind::Paragraph, "end a cat"),
        ]
    );
}

#[test]
fn layout_tables_are_no_rows() {
    let document =
        read("<table><tr><td>menu<td><h1>Title</h1><table><tr><td>a<td>b</table><p>text</table>");
    assert_eq!(document.text, "menu\n\nTitle\n\na | b\n\ntext");
}

#[test]
fn declared_encodings_are_used() {
    let page = b"<html><meta charset='windows-1251'><p>\xcf\xf0\xe8\xe2\xe5\xf2";
    let document = parse(page, "a.html", &ParseOptions::default()).unwrap();
    assert_eq!(document.text, "Привет");
    assert!(document.warnings.is_empty());
}

#[test]
fn deep_nesting_is_refused() {
    for unit in ["<div>", "<b>", "<template>", "<table><tr><td>", "<svg>"] {
        let page = unit.repeat(200_000);
        match parse(page.as_bytes(), "a.html", &ParseOptions::default()) {
            Err(ParseError::Limit { limit, .. }) => assert_eq!(limit, "nesting depth", "{unit}"),
            other => panic!("{unit}: {other:?}"),
        }
    }
}

#[test]
fn declarations_of_entities_and_frames_are_no_text() {
    let document = read(
        "<?xml version='1.0'?><!DOCTYPE html [<!ENTITY a \"&b;>\"> <!ENTITY c '[d]'>]>\
         <html><body><p>Text</p><noframes><p>old</p></noframes></body></html>",
    );
    assert_eq!(document.text, "Text");
    let document =
        read("<p>The subset of <code>&lt;!DOCTYPE a [ b ]></code> and <!DOCTYPE c [ d ]> e");
    assert!(document.text.contains("The subset of"), "{}", document.text);
}

#![no_main]

const PARTS: [(&str, &str); 2] = [
    (
        "META-INF/container.xml",
        r#"<c><rootfile full-path="book.opf"/></c>"#,
    ),
    (
        "page.xhtml",
        "<html><body><h1>Title</h1><p>Text</p></body></html>",
    ),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    faq_fuzz::read_part(bytes, "book.opf", &PARTS, "input.epub");
});

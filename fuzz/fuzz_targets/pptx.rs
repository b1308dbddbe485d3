#![no_main]

const PARTS: [(&str, &str); 2] = [
    (
        "ppt/presentation.xml",
        r#"<p><sldId r:id="r1"/></p>"#,
    ),
    (
        "ppt/_rels/presentation.xml.rels",
        r#"<R><Relationship Id="r1" Type="t/slide" Target="slide.xml"/></R>"#,
    ),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    faq_fuzz::read_part(bytes, "ppt/slide.xml", &PARTS, "input.pptx");
});

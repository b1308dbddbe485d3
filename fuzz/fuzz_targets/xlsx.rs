#![no_main]

const PARTS: [(&str, &str); 3] = [
    (
        "xl/workbook.xml",
        r#"<w><sheets><sheet name="S" r:id="r1"/></sheets></w>"#,
    ),
    (
        "xl/_rels/workbook.xml.rels",
        r#"<R><Relationship Id="r1" Type="t/worksheet" Target="sheet.xml"/>
        <Relationship Id="r2" Type="t/styles" Target="styles.xml"/></R>"#,
    ),
    (
        "xl/styles.xml",
        r##"<s><numFmts><numFmt numFmtId="164" formatCode="[h]:mm;#,##0.0%"/></numFmts>
        <cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs></s>"##,
    ),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    faq_fuzz::read_part(bytes, "xl/sheet.xml", &PARTS, "input.xlsx");
});

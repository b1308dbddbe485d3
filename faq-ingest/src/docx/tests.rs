#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;

use crate::{Block, BlockKind, Document, ParseError, ParseOptions, parse};

fn archive(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn with_parts(body: &str, parts: &[(&str, &str)]) -> Result<Document, ParseError> {
    let main = format!("<w:document xmlns:w='w'><w:body>{body}</w:body></w:document>");
    let mut all = vec![("word/document.xml", main.as_str())];
    all.extend(parts);
    parse(&archive(&all), "a.docx", &ParseOptions::default())
}

fn read(body: &str) -> Document {
    with_parts(body, &[]).unwrap()
}

fn blocks(document: &Document) -> Vec<(BlockKind, Option<u8>, &str)> {
    let entry = |b: &Block| (b.kind, b.level);
    document
        .blocks
        .iter()
        .map(|b| (entry(b).0, entry(b).1, document.block_text(b)))
        .collect()
}

fn p(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

#[test]
fn what_is_not_shown_is_left_out() {
    let document = read(
        "<w:p><w:r><w:t>Keep</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>\
         <w:ins><w:r><w:t xml:space='preserve'> this</w:t></w:r></w:ins>\
         <w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>\
         <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>\
         <w:r><w:fldChar w:fldCharType='begin'/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r>\
         <w:r><w:fldChar w:fldCharType='separate'/></w:r><w:r><w:tab/><w:t>7</w:t></w:r>\
         <w:r><w:fldChar w:fldCharType='end'/></w:r>\
         <w:hyperlink><w:r><w:t xml:space='preserve'> &amp; link&#x21;</w:t></w:r></w:hyperlink></w:p>",
    );
    assert_eq!(document.text, "Keep this 7 & link!");
}

#[test]
fn headings_come_from_styles_and_outline_levels() {
    let styles = "<w:styles xmlns:w='w'>\
        <w:style w:type='paragraph' w:styleId='A'><w:name w:val='heading 2'/></w:style>\
        <w:style w:type='paragraph' w:styleId='B'><w:basedOn w:val='A'/></w:style>\
        <w:style w:type='paragraph' w:styleId='L'><w:basedOn w:val='L'/></w:style></w:styles>";
    let styled = |properties: &str, text: &str| {
        format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let body = styled("<w:pStyle w:val='B'/>", "Styled")
        + &styled("<w:outlineLvl w:val='0'/>", "Outlined")
        + &styled("<w:pStyle w:val='A'/><w:outlineLvl w:val='9'/>", "Body")
        + &styled("<w:pStyle w:val='L'/>", "Loop");
    let document = with_parts(&body, &[("word/styles.xml", styles)]).unwrap();
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading, Some(2), "Styled"),
            (BlockKind::Heading, Some(1), "Outlined"),
            (BlockKind::Paragraph, None, "Body"),
            (BlockKind::Paragraph, None, "Loop"),
        ]
    );
    assert_eq!(document.title.as_deref(), Some("Styled"));
}

#[test]
fn lists_count_on_every_level() {
    let numbering = "<w:numbering xmlns:w='w'><w:abstractNum w:abstractNumId='5'>\
        <w:lvl w:ilvl='0'><w:start w:val='3'/><w:numFmt w:val='decimal'/><w:lvlText w:val='%1.'/></w:lvl>\
        <w:lvl w:ilvl='1'><w:numFmt w:val='lowerLetter'/><w:lvlText w:val='%1.%2)'/></w:lvl>\
        <w:lvl w:ilvl='2'><w:numFmt w:val='bullet'/><w:lvlText w:val='o'/></w:lvl></w:abstractNum>\
        <w:num w:numId='1'><w:abstractNumId w:val='5'/></w:num>\
        <w:num w:numId='2'><w:abstractNumId w:val='5'/><w:lvlOverride w:ilvl='0'>\
        <w:startOverride w:val='1'/></w:lvlOverride></w:num></w:numbering>";
    let item = |list: u8, level: u8| {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='{list}'/></w:numPr>\
             </w:pPr><w:r><w:t>x</w:t></w:r></w:p>"
        )
    };
    let body: String = [
        (1, 0),
        (1, 1),
        (1, 1),
        (1, 2),
        (1, 0),
        (1, 1),
        (2, 0),
        (0, 0),
        (9, 0),
    ]
    .map(|(list, level)| item(list, level))
    .concat();
    let document = with_parts(&body, &[("word/numbering.xml", numbering)]).unwrap();
    let texts: Vec<&str> = blocks(&document).iter().map(|b| b.2).collect();
    assert_eq!(
        texts,
        [
            "3. x", "3.a) x", "3.b) x", "- x", "4. x", "4.a) x", "1. x", "x", "x"
        ]
    );
}

#[test]
fn rows_keep_their_header_through_merged_cells() {
    let cell = |properties: &str, text: &str| {
        format!("<w:tc><w:tcPr>{properties}</w:tcPr>{}</w:tc>", p(text))
    };
    let row = |cells: &[String]| format!("<w:tr>{}</w:tr>", cells.concat());
    let nested = format!(
        "<w:tc><w:tbl>{}</w:tbl>{}</w:tc>",
        row(&[cell("", "in"), cell("", "side")]),
        p("")
    );
    let body = format!(
        "<w:tbl>{}{}{}{}</w:tbl>",
        row(&[cell("", "Plan"), cell("", "Term"), cell("", "Price")]),
        row(&[
            cell("<w:vMerge w:val='restart'/>", "Basic"),
            cell("", "month"),
            cell("", "5"),
        ]),
        row(&[
            cell("<w:vMerge/>", ""),
            cell("<w:gridSpan w:val='2'/>", "on request")
        ]),
        row(&[cell("", "Pro"), nested, cell("", "9")]),
    );
    assert_eq!(
        read(&body).text,
        "Plan | Term | Price\n--- | --- | ---\n\
         Basic | month | 5\n\
         Basic | on request\n\
         Pro | in side | 9"
    );
}

#[test]
fn equations_stand_on_one_line() {
    let run = |text: &str| format!("<m:r><m:t>{text}</m:t></m:r>");
    let power = format!(
        "<m:sSup><m:sSupPr/><m:e>{}</m:e><m:sup>{}</m:sup></m:sSup>",
        run("b"),
        run("2")
    );
    let root = format!(
        "<m:rad><m:radPr><m:degHide m:val='1'/></m:radPr><m:deg/><m:e>{power}{}</m:e></m:rad>",
        run("-4ac")
    );
    let fraction = format!(
        "<m:f><m:num>{}{root}</m:num><m:den>{}</m:den></m:f>",
        run("-b±"),
        run("2a")
    );
    let sum = format!(
        "<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{}</m:sub><m:sup>{}</m:sup><m:e>\
         <m:d><m:dPr><m:begChr m:val='['/><m:endChr m:val=']'/></m:dPr><m:e>{}</m:e></m:d></m:e></m:nary>",
        run("k=0"),
        run("n"),
        run("k")
    );
    let body = format!(
        "<w:p><w:r><w:t>So </w:t></w:r><m:oMath>{}{fraction}</m:oMath>\
         <w:r><w:t>, and </w:t></w:r><m:oMathPara><m:oMath>{sum}</m:oMath></m:oMathPara></w:p>",
        run("x=")
    );
    assert_eq!(
        read(&body).text,
        "So x=(-b±√(b^2-4ac))/(2a), and ∑_(k=0)^n [k]"
    );
}

#[test]
fn notes_and_boxes_follow_their_paragraph() {
    let notes = "<w:footnotes xmlns:w='w'>\
        <w:footnote w:id='0' w:type='separator'><w:p><w:r><w:t>--</w:t></w:r></w:p></w:footnote>\
        <w:footnote w:id='4'><w:p><w:r><w:footnoteRef/></w:r><w:r><w:t>The note.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    let boxed = format!("<w:txbxContent>{}</w:txbxContent>", p("In a box"));
    let body = format!(
        "<w:p><w:r><w:t>Text</w:t></w:r><w:r><w:footnoteReference w:id='4'/></w:r>\
         <w:r><mc:AlternateContent xmlns:mc='mc'><mc:Choice>{boxed}</mc:Choice>\
         <mc:Fallback>{boxed}</mc:Fallback></mc:AlternateContent></w:r><w:r><w:t>.</w:t></w:r></w:p>{}",
        p("Next")
    );
    let document = with_parts(&body, &[("word/footnotes.xml", notes)]).unwrap();
    assert_eq!(
        document.text,
        "Text[1].\n\n[1] The note.\n\nIn a box\n\nNext"
    );
}

#[test]
fn endnotes_are_read_and_comments_are_not() {
    let notes = format!(
        "<w:endnotes xmlns:w='w'><w:endnote w:id='2'>{}</w:endnote></w:endnotes>",
        p("At the end.")
    );
    let comments = format!(
        "<w:comments xmlns:w='w'><w:comment w:id='0' w:author='Ada'>{}</w:comment></w:comments>",
        p("Really?")
    );
    let body = "<w:p><w:commentRangeStart w:id='0'/><w:r><w:t>Text</w:t></w:r>\
        <w:commentRangeEnd w:id='0'/><w:r><w:commentReference w:id='0'/></w:r>\
        <w:r><w:endnoteReference w:id='2'/></w:r><w:r><w:t>.</w:t></w:r></w:p>";
    let parts = [
        ("word/endnotes.xml", notes.as_str()),
        ("word/comments.xml", comments.as_str()),
    ];
    let text = with_parts(body, &parts).unwrap().text;
    assert!(text.contains("At the end."), "{text}");
    assert!(text.starts_with("Text"), "{text}");
    assert!(!text.contains("Really") && !text.contains("Ada"), "{text}");
}

#[test]
fn running_headers_and_footers_stand_once_before_and_after_the_text() {
    let part = |kind: &str, text: &str| format!("<w:{kind} xmlns:w='w'>{}</w:{kind}>", p(text));
    let (header, footer) = (part("hdr", "Town Hall"), part("ftr", "Confidential"));
    let number = part("ftr", "Page 3 of 9");
    let relation = |id: &str, kind: &str, target: &str| {
        format!("<Relationship Id='{id}' Type='x/{kind}' Target='{target}'/>")
    };
    let relations = format!(
        "<Relationships>{}{}{}{}</Relationships>",
        relation("a", "header", "header1.xml"),
        relation("b", "header", "header2.xml"),
        relation("c", "footer", "footer1.xml"),
        relation("d", "footer", "footer2.xml")
    );
    let parts = [
        ("word/_rels/document.xml.rels", relations.as_str()),
        ("word/header1.xml", header.as_str()),
        ("word/header2.xml", header.as_str()),
        ("word/footer1.xml", footer.as_str()),
        ("word/footer2.xml", number.as_str()),
    ];
    let text = with_parts(&p("The text."), &parts).unwrap().text;
    assert_eq!(text, "Town Hall\n\nThe text.\n\nConfidential");
}

#[test]
fn the_main_part_is_found_by_its_relation() {
    let main = format!("<d><w:body xmlns:w='w'>{}</w:body></d>", p("Found"));
    let rels = "<Relationships><Relationship Type='http://x/officeDocument' \
        Target='/word/document2.xml'/></Relationships>";
    let core = "<cp xmlns:dc='d'><dc:title> The title </dc:title></cp>";
    let bytes = archive(&[
        ("_rels/.rels", rels),
        ("word/document2.xml", &main),
        ("docProps/core.xml", core),
    ]);
    let document = parse(&bytes, "a.docx", &ParseOptions::default()).unwrap();
    assert_eq!(document.text, "Found");
    assert_eq!(document.title.as_deref(), Some("The title"));
}

#[test]
fn a_document_type_declaration_is_refused() {
    let main = "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><d>&b;</d>";
    let bytes = archive(&[("word/document.xml", main)]);
    assert!(matches!(
        parse(&bytes, "a.docx", &ParseOptions::default()),
        Err(ParseError::Damaged { .. })
    ));
}

#[test]
fn pictures_alone_are_no_text() {
    assert!(matches!(
        with_parts("<w:p><w:r><w:drawing/></w:r></w:p>", &[]),
        Err(ParseError::NoText { images: 1, .. })
    ));
}

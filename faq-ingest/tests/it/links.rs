//! Which words lead where, in every format that says so.

use faq_ingest::{ByteRange, Document, DocumentBuilder, Format, ParseOptions, parse};

use crate::fixture::office::{epub_with, odt_with, pptx_with};
use crate::fixture::zip;
use crate::invariants::assert_invariants;
use crate::pdf_file::{FONT, Pdf, lines};

fn read(name: &str, bytes: &[u8]) -> Document {
    let document = parse(bytes, name, &ParseOptions::default()).unwrap();
    assert_invariants(&document);
    document
}

fn links(document: &Document) -> Vec<(&str, &str)> {
    document
        .links
        .iter()
        .map(|l| (l.range.slice(&document.text).unwrap(), l.target.as_str()))
        .collect()
}

#[test]
fn html() {
    let document = read(
        "a.html",
        b"<h2>On <a href=' https://r.example/a '> rules </a>!</h2>\
          <ul><li><a href=one.html>One</a></ul>\
          <a href=both.html><p>First<br>line</p><p>second</p></a>\
          <table><tr><th>Who<th>Page<tr><td rowspan=2><a href=mailto:a@b.example>Ann</a>\
          <td>1|<a href=t>2</a><tr><td>3</table>\
          <p><a href='#top'>Up</a> <a>no</a> <a href=i><img alt='a map'></a> <a href=e> </a>\
          \xef\xb7\x90plain\xef\xb7\x91",
    );
    assert_eq!(
        document.text,
        "On rules !\n\n- One\n\nFirst\nline\n\nsecond\n\nWho | Page\n--- | ---\nAnn | 1\\|2\nAnn | 3\n\n\
         Up no a map plain"
    );
    assert_eq!(
        links(&document),
        [
            ("rules", "https://r.example/a"),
            ("One", "one.html"),
            ("First\nline", "both.html"),
            ("second", "both.html"),
            ("Ann", "mailto:a@b.example"),
            ("2", "t"),
            ("Ann", "mailto:a@b.example"),
            ("a map", "i"),
        ]
    );
}

#[test]
fn links_change_no_text() {
    let cell = "x".repeat(119);
    let page = |open: &str, close: &str| {
        format!(
            "<table><tr><td rowspan=3>{open}{cell}{close}<td>{open}1{close}<tr><td>2<tr><td>3</table>\
             <p>a {open} b {close} c<pre>{open}d{close}</pre><ol><li>{open}e{close}</ol>"
        )
    };
    let plain = read("a.html", page("", "").as_bytes());
    let linked = read("a.html", page("<a href=x>", "</a>").as_bytes());
    assert_eq!(plain.text, linked.text);
    assert_eq!(plain.blocks, linked.blocks);
    assert!(plain.links.is_empty() && linked.links.len() >= 6);
}

fn relations(links: &[(&str, &str)]) -> String {
    let each = |(id, target): &(&str, &str)| {
        format!(
            "<Relationship Id='{id}' Type='http://x/hyperlink' Target='{target}' \
             TargetMode='External'/>"
        )
    };
    let all: String = links.iter().map(each).collect();
    format!("<Relationships>{all}</Relationships>")
}

#[test]
fn docx() {
    let run = |text: &str| format!("<w:r><w:t xml:space='preserve'>{text}</w:t></w:r>");
    let mark = |kind: &str| format!("<w:r><w:fldChar w:fldCharType='{kind}'/></w:r>");
    let code = |code: &str| format!("<w:r><w:instrText>{code}</w:instrText></w:r>");
    let (begin, separate, end) = (mark("begin"), mark("separate"), mark("end"));
    let body = format!(
        "<w:p>{}<w:hyperlink r:id='r1' w:anchor='p2'>{}{}</w:hyperlink>{}\
         <w:r><w:footnoteReference w:id='2'/></w:r></w:p>\
         <w:p>{begin}{} HYPERLINK{separate}{end}{begin}{}{}{separate}{}{end}{}</w:p>\
         <w:p><w:hyperlink w:anchor='here'>{}</w:hyperlink>{begin}{}{end}{}\
         <w:fldSimple w:instr=' HYPERLINK x.docx '>{}</w:fldSimple></w:p>",
        run("See "),
        run("the "),
        run("rules"),
        run(" now"),
        code("XE"),
        code("HYPER"),
        code("LINK &quot;http://f.example&quot;"),
        run("field"),
        run(" after"),
        run("inside"),
        code(" XE &quot;term&quot; "),
        run(" kept "),
        run("simple"),
    );
    let main = format!("<w:document xmlns:w='w'><w:body>{body}</w:body></w:document>");
    let notes = "<w:footnotes xmlns:w='w'><w:footnote w:id='2'><w:p><w:hyperlink r:id='n'><w:r>\
                 <w:t>a note</w:t></w:r></w:hyperlink></w:p></w:footnote></w:footnotes>";
    let parts = "<Relationships><Relationship Id='f' Type='http://x/footnotes' \
                 Target='footnotes.xml'/>"
        .to_owned();
    let main_relations =
        relations(&[("r1", "https://r.example/?a=1&amp;b")]).replace("<Relationships>", &parts);
    let document = read(
        "a.docx",
        &zip(&[
            ("word/document.xml", main.as_bytes()),
            ("word/_rels/document.xml.rels", main_relations.as_bytes()),
            ("word/footnotes.xml", notes.as_bytes()),
            (
                "word/_rels/footnotes.xml.rels",
                relations(&[("n", "http://n.example")]).as_bytes(),
            ),
        ]),
    );
    assert_eq!(
        document.text,
        "See the rules now[1]\n\n[1] a note\n\nfield after\n\ninside kept simple"
    );
    assert_eq!(
        links(&document),
        [
            ("the rules", "https://r.example/?a=1&b#p2"),
            ("a note", "http://n.example"),
            ("field", "http://f.example"),
            ("simple", "x.docx"),
        ]
    );
}

#[test]
fn pptx_and_odt() {
    let slide = "<p:sp><p:txBody><a:p><a:r><a:t>Ask </a:t></a:r><a:r><a:rPr>\
                 <a:hlinkClick r:id='l1'/></a:rPr><a:t>the</a:t></a:r><a:r><a:rPr>\
                 <a:hlinkClick r:id='l1'/></a:rPr><a:t> desk</a:t></a:r><a:r><a:t>.</a:t></a:r></a:p>\
                 </p:txBody></p:sp>";
    let bytes = pptx_with(&[(slide, None)]);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        parts.push((entry.name().unwrap().to_string(), content));
    }
    parts.retain(|(name, _)| !name.ends_with("slides/_rels/slide1.xml.rels"));
    parts.push((
        "ppt/slides/_rels/slide1.xml.rels".to_owned(),
        relations(&[("l1", "https://desk.example")]).into_bytes(),
    ));
    let parts: Vec<(&str, &[u8])> = parts
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    let document = read("a.pptx", &zip(&parts));
    assert_eq!(document.text, "Ask the desk.");
    assert_eq!(links(&document), [("the desk", "https://desk.example")]);

    let document = read(
        "a.odt",
        &odt_with(
            "<text:p>See <text:a xlink:href='https://r.example'>the <text:span>rules</text:span>\
             </text:a> or <text:a xlink:href='#part'>here</text:a>.</text:p>",
        ),
    );
    assert_eq!(document.text, "See the rules or here.");
    assert_eq!(links(&document), [("the rules", "https://r.example")]);
}

#[test]
fn epub_rtf_and_eml() {
    let document = read(
        "a.epub",
        &epub_with(&[
            "<p>In <a href='page%201.xhtml#x'>chapter 2</a> of <a href='https://b.example'>it</a></p>",
        ]),
    );
    assert_eq!(links(&document), [("it", "https://b.example")]);

    let document = read(
        "a.rtf",
        br#"{\rtf1 See {\field{\*\fldinst{HYPERLINK "https://r.example" }}{\fldrslt{\ul the rules}}} {\field{\*\fldinst PAGE}{\fldrslt 7}}.\par}"#,
    );
    assert_eq!(document.text, "See the rules 7.");
    assert_eq!(links(&document), [("the rules", "https://r.example")]);

    let document = read(
        "a.eml",
        b"From: a@b.example\r\nSubject: s\r\nContent-Type: text/html\r\n\r\n\
          <p>See <a href='https://r.example'>the rules</a> that hold.</p>\r\n",
    );
    assert_eq!(links(&document), [("the rules", "https://r.example")]);
}

/// A page with the content and links at rectangles or quadrilaterals.
fn pdf(content: &str, turned: u16, annotations: &[&str]) -> Pdf {
    let mut pdf = Pdf::new();
    let all: String = annotations
        .iter()
        .map(|a| {
            format!(
                "{} 0 R ",
                pdf.add(&format!("<</Type/Annot/Subtype/Link{a}>>"))
            )
        })
        .collect();
    let stream = pdf.stream("", content);
    let page = pdf.add(&format!(
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Rotate {turned}/Contents {stream} 0 R\
         /Annots[{all}]/Resources<</Font<</F {FONT} 0 R>>>>>>"
    ));
    pdf.page_tree(&[page]);
    pdf
}

#[test]
fn pdf_words_under_a_rectangle() {
    // Helvetica at 10 points: "Ask here or here, " is 80.6 points wide.
    let content = lines(
        72,
        700,
        &[
            "Ask here or here, or see the very long name of this exam-",
            "ple at \\(www.example.org/a-b/\\) today.",
        ],
    );
    let found = pdf(
        &content,
        0,
        &[
            // The second "here".
            "/Rect[124 698 146 710]/A<</S/URI/URI(https://second.example)>>",
            // The word that is cut in two, as two boxes.
            "/Rect[0 0 1 1]/QuadPoints[298 710 330 710 298 698 330 698 \
             72 698 86 698 72 686 86 686]/A<</S/URI/URI(https://cut.example)>>",
            "/Rect[102 686 203 698]/A<</S/URI/URI(http://www.example.org/a-b/)>>",
            "/Rect[72 698 90 710]/Dest[3 0 R/Fit]",
            "/Rect[400 100 500 200]/A<</S/URI/URI(https://nothing.example)>>",
        ],
    )
    .parse();
    assert_invariants(&found);
    assert_eq!(
        found.text,
        "Ask here or here, or see the very long name of this example at (www.example.org/a-b/) today."
    );
    let second = found.text.rfind("here,").unwrap();
    assert_eq!(found.links[0].range, ByteRange::new(second, second + 4));
    assert_eq!(
        links(&found),
        [
            ("here", "https://second.example"),
            ("example", "https://cut.example"),
            ("www.example.org/a-b/", "http://www.example.org/a-b/"),
        ]
    );
}

#[test]
fn pdf_links_on_a_turned_page() {
    let content = "BT /F 10 Tf 0 1 -1 0 300 72 Tm (Ask the desk today.) Tj ET";
    let found = pdf(
        content,
        90,
        &["/Rect[290 89 303 132]/A<</S/URI/URI(https://desk.example)>>"],
    )
    .parse();
    assert_eq!(found.text, "Ask the desk today.");
    assert_eq!(links(&found), [("the desk", "https://desk.example")]);
}

#[test]
fn a_parser_of_ones_own_adds_links() {
    let mut builder = DocumentBuilder::new();
    builder.push(
        faq_ingest::BlockKind::Paragraph,
        None,
        None,
        "See the rules",
    );
    builder.push(faq_ingest::BlockKind::Paragraph, None, None, "now");
    builder.link(ByteRange::new(8, 13), "https://r.example");
    // Over two blocks, over another link, over nothing, over no words.
    for (start, end) in [(8, 18), (4, 9), (13, 13), (7, 8), (90, 99)] {
        builder.link(ByteRange::new(start, end), "https://no.example");
    }
    builder.link(ByteRange::new(0, 3), "https://first.example");
    let document = builder.finish(Format::Text);
    assert_invariants(&document);
    assert_eq!(
        links(&document),
        [
            ("See", "https://first.example"),
            ("rules", "https://r.example")
        ]
    );
}

#[test]
fn documents_without_links_are_written_as_before() {
    let document = read("a.md", b"No links.");
    let json = serde_json::to_string(&document).unwrap();
    assert!(!json.contains("\"links\""));
    assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
    let document = read("a.md", b"[A](b).");
    let json = serde_json::to_string(&document).unwrap();
    assert!(json.contains(r#""links":[{"range":{"start":0,"end":1},"target":"b"}]"#));
    assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
}

#[test]
fn a_pdf_whose_link_holds_data_is_read() {
    let data = "x".repeat(5_000_000);
    let text: Vec<&str> = vec!["word"; 50];
    let link = format!("/Rect[0 0 612 792]/A<</S/URI/URI(data:{data})>>");
    let found = pdf(&lines(72, 700, &text), 0, &[&link]).parse();
    assert!(found.links.is_empty());
}

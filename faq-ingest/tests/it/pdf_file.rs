//! PDFs written byte by byte, so that each shows one thing.

use std::fmt::Write as _;

use faq_ingest::{Document, ParseError, ParseOptions};

/// Collects numbered objects and writes them with a cross-reference table.
pub(crate) struct Pdf {
    pub(crate) objects: Vec<Vec<u8>>,
    pub(crate) trailer: String,
}

/// Objects that every file here begins with: the catalog, the page tree, Helvetica, its bold.
pub(crate) const CATALOG: usize = 1;
pub(crate) const PAGES: usize = 2;
pub(crate) const FONT: usize = 3;
pub(crate) const BOLD: usize = 4;

impl Pdf {
    pub(crate) fn new() -> Self {
        let mut pdf = Self {
            objects: Vec::new(),
            trailer: String::new(),
        };
        pdf.add("<</Type/Catalog/Pages 2 0 R>>");
        pdf.add("");
        pdf.add("<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>");
        pdf.add("<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold/Encoding/WinAnsiEncoding>>");
        pdf
    }

    /// A file whose pages show the given content streams.
    pub(crate) fn with_pages(contents: &[&str]) -> Self {
        let mut pdf = Self::new();
        let pages: Vec<usize> = contents.iter().map(|c| pdf.page(c, "")).collect();
        pdf.page_tree(&pages);
        pdf
    }

    pub(crate) fn add(&mut self, body: &str) -> usize {
        self.objects.push(body.as_bytes().to_vec());
        self.objects.len()
    }

    pub(crate) fn stream(&mut self, entries: &str, data: &str) -> usize {
        self.add(&format!(
            "<<{entries}/Length {}>>\nstream\n{data}\nendstream",
            data.len()
        ))
    }

    pub(crate) fn page(&mut self, content: &str, resources: &str) -> usize {
        let content = self.stream("", content);
        self.add(&format!(
            "<</Type/Page/Parent {PAGES} 0 R/MediaBox[0 0 612 792]/Contents {content} 0 R\
             /Resources<</Font<</F {FONT} 0 R/B {BOLD} 0 R>>{resources}>>>>"
        ))
    }

    pub(crate) fn page_tree(&mut self, pages: &[usize]) {
        let kids: String = pages.iter().fold(String::new(), |mut s, p| {
            let _ = write!(s, "{p} 0 R ");
            s
        });
        self.objects[PAGES - 1] =
            format!("<</Type/Pages/Count {}/Kids[{kids}]>>", pages.len()).into_bytes();
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"%PDF-1.4\n".to_vec();
        let mut offsets = Vec::new();
        for (i, object) in self.objects.iter().enumerate() {
            offsets.push(out.len());
            out.extend_from_slice(format!("{} 0 obj\n", i + 1).as_bytes());
            out.extend_from_slice(object);
            out.extend_from_slice(b"\nendobj\n");
        }
        let xref = out.len();
        let size = self.objects.len() + 1;
        out.extend_from_slice(format!("xref\n0 {size}\n0000000000 65535 f \n").as_bytes());
        for offset in offsets {
            out.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
        }
        out.extend_from_slice(
            format!(
                "trailer\n<</Size {size}/Root {CATALOG} 0 R{}>>\nstartxref\n{xref}\n%%EOF\n",
                self.trailer
            )
            .as_bytes(),
        );
        out
    }

    pub(crate) fn parse(&self) -> Document {
        let document = parse(&self.bytes()).unwrap();
        check_invariants(&document);
        document
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Document, ParseError> {
    faq_ingest::parse(bytes, "document.pdf", &ParseOptions::default())
}

/// What holds for every document.
pub(crate) fn check_invariants(document: &Document) {
    let mut end = 0;
    for block in &document.blocks {
        assert!(
            block.range.start >= end,
            "blocks overlap or are out of order"
        );
        assert!(!document.block_text(block).trim().is_empty());
        end = block.range.end;
    }
    for pair in document.pages.windows(2) {
        assert!(pair[0].range.end <= pair[1].range.start.max(pair[0].range.end));
        assert_eq!(pair[0].number + 1, pair[1].number);
    }
    for block in &document.blocks {
        let page = &document.pages[block.page.unwrap() as usize - 1];
        assert!(page.range.contains(block.range));
    }
}

/// Lines of text from `(x, y)` downwards, 12 points apart.
pub(crate) fn lines(x: i32, y: i32, texts: &[&str]) -> String {
    let mut out = format!("BT /F 10 Tf 12 TL {x} {y} Td\n");
    for text in texts {
        let _ = writeln!(out, "({text}) Tj T*");
    }
    out.push_str("ET\n");
    out
}

pub(crate) fn at(font: &str, size: i32, x: i32, y: i32, text: &str) -> String {
    format!("BT /{font} {size} Tf {x} {y} Td ({text}) Tj ET\n")
}

pub(crate) fn texts(document: &Document) -> Vec<&str> {
    document
        .blocks
        .iter()
        .map(|b| document.block_text(b))
        .collect()
}

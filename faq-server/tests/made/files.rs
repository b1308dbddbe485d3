//! Files that are made to be read, and files that are made to do harm.

use std::io::Write;

/// A small PDF with one page of text.
pub(crate) fn pdf() -> Vec<u8> {
    let content = b"BT /F1 12 Tf 72 720 Td (The garden opens in April.) Tj ET";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!(
            "<< /Length {} >>\nstream\n{}\nendstream",
            content.len(),
            String::from_utf8_lossy(content)
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    pdf_of(&objects)
}

/// A PDF of objects, the first of which is its catalogue.
pub(crate) fn pdf_of(objects: &[String]) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", i + 1).unwrap();
    }
    let xref = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    write!(
        file,
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n",
        objects.len() + 1
    )
    .unwrap();
    file
}

/// A DOCX whose main part `body` writes.
pub(crate) fn docx(body: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let parts = [
        (
            "[Content_Types].xml",
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
             <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
             <Override PartName=\"/word/document.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/></Types>",
        ),
        (
            "_rels/.rels",
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
             <Relationship Id=\"r1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"word/document.xml\"/></Relationships>",
        ),
    ];
    for (name, text) in parts {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.start_file("word/document.xml", options).unwrap();
    body(&mut zip);
    zip.finish().unwrap().into_inner()
}

pub(crate) const NAMESPACE: &str =
    "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";

/// A DOCX whose body holds `inner`.
pub(crate) fn docx_of(inner: &str) -> Vec<u8> {
    docx(|out| {
        write!(
            out,
            "<w:document {NAMESPACE}><w:body>{inner}</w:body></w:document>"
        )
        .unwrap();
    })
}

const DEPTH: usize = 200_000;

/// Arrays in arrays.
pub(crate) fn deep_pdf() -> Vec<u8> {
    pdf_of(&[
        "<< /Type /Catalog /Pages 2 0 R /Extra 4 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>".to_owned(),
        format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH)),
    ])
}

/// Elements in elements.
pub(crate) fn deep_docx() -> Vec<u8> {
    docx_of(&format!(
        "{}<w:p/>{}",
        "<w:sdt><w:sdtContent>".repeat(DEPTH),
        "</w:sdtContent></w:sdt>".repeat(DEPTH)
    ))
}

/// 600 MB of blanks in less than two.
pub(crate) fn zip_bomb() -> Vec<u8> {
    let bomb = docx(|out| {
        write!(out, "<w:document {NAMESPACE}><w:body><w:p><w:r><w:t>").unwrap();
        let block = vec![b' '; 1 << 20];
        for _ in 0..600 {
            out.write_all(&block).unwrap();
        }
        write!(out, "</w:t></w:r></w:p></w:body></w:document>").unwrap();
    });
    assert!(bomb.len() < 2 << 20, "the bomb is small: {}", bomb.len());
    bomb
}

/// A billion laughs.
pub(crate) fn xml_bomb() -> Vec<u8> {
    let mut entities = String::from("<!DOCTYPE w:document [<!ENTITY a0 \"ha\">");
    for i in 1..=30 {
        let twice = format!("&a{0};&a{0};", i - 1);
        entities.extend(["<!ENTITY a", &i.to_string(), " \"", &twice, "\">"]);
    }
    entities.push_str("]>");
    docx(|out| {
        write!(
            out,
            "{entities}<w:document {NAMESPACE}><w:body><w:p><w:r><w:t>&a30;</w:t></w:r></w:p></w:body></w:document>"
        )
        .unwrap();
    })
}

/// What Office makes of a document with a password: a container that names its content.
#[allow(dead_code, reason = "one of the binaries that share this needs it")]
pub(crate) fn encrypted_office() -> Vec<u8> {
    let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    bytes.resize(1024, 0);
    bytes.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    bytes.resize(4096, 0);
    bytes
}

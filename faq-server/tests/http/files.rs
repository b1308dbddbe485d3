//! Files that are made to do harm, over HTTP: each ends, none takes the server along.

use std::io::Write;

use crate::made::files::{
    NAMESPACE, deep_docx, deep_pdf, docx, docx_of, encrypted_office, pdf, pdf_of, xml_bomb,
    zip_bomb,
};
use crate::server::Server;

const PDF: &str = "application/pdf";
const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const TEXT: &str = "text/plain";
const HTML: &str = "text/html";

/// A file, and how its work may end: `completed`, or failed with one of these codes.
struct File {
    what: &'static str,
    kind: &'static str,
    content: Vec<u8>,
    ends: &'static [&'static str],
}

fn stream(dictionary: &str, content: &[u8]) -> String {
    let mut object = format!("<< /Length {} {dictionary} >>\nstream\n", content.len());
    // Bytes below 128 only, so that a string can hold them.
    object.push_str(std::str::from_utf8(content).unwrap());
    object.push_str("\nendstream");
    object
}

/// A page with `content` and a font, whose objects `more` follow from number 6 on.
fn page(content: &str, font: &str, more: &[String]) -> Vec<u8> {
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << \
         /Font << /F1 5 0 R >> /XObject << /X 6 0 R >> >> >>"
            .to_owned(),
        stream("", content.as_bytes()),
        font.to_owned(),
    ];
    objects.extend_from_slice(more);
    pdf_of(&objects)
}

const FONT: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";
const SAYS: &str = "BT /F1 12 Tf 72 720 Td (The garden opens in April.) Tj ET";

fn pages_of_themselves() -> Vec<u8> {
    pdf_of(&[
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 /Parent 2 0 R >>".to_owned(),
    ])
}

/// The table of objects names itself as the one before.
fn tables_in_a_ring() -> Vec<u8> {
    let mut file = pdf();
    let text = String::from_utf8(file.clone()).unwrap();
    let table = text.rfind("\nxref").unwrap() + 1;
    let trailer = text.rfind("/Root").unwrap();
    file.splice(trailer..trailer, format!("/Prev {table} ").into_bytes());
    file
}

/// A form that draws itself, twice.
fn forms_of_themselves() -> Vec<u8> {
    let form = stream(
        "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>",
        b"/X Do /X Do",
    );
    page(&format!("{SAYS} /X Do"), FONT, &[form])
}

/// A CMap with ranges that say they hold everything, again and again.
fn endless_cmap() -> Vec<u8> {
    let ranges = "<00000000> <ffffffff> <0041>\n".repeat(2000);
    let cmap =
        format!("1 begincodespacerange <00> <ff> endcodespacerange 2000 beginbfrange {ranges}");
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /ToUnicode 6 0 R \
                /DescendantFonts [7 0 R] >>";
    let more = [
        stream("", cmap.as_bytes()),
        "<< /Type /Font /Subtype /CIDFontType2 >>".to_owned(),
    ];
    page(SAYS, font, &more)
}

/// 300 MB of blanks, packed twice.
fn flate_bomb() -> Vec<u8> {
    let pack = |bytes: &[u8]| {
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    let mut inner = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..300 {
        inner.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let packed = pack(&inner.finish().unwrap());
    let hex: String = packed.iter().map(|b| format!("{b:02x}")).collect();
    let filters = "/Filter [/ASCIIHexDecode /FlateDecode /FlateDecode]";
    pdf_of(&[
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R >>".to_owned(),
        stream(filters, format!("{hex}>").as_bytes()),
    ])
}

/// A package with further entries, written by `more`.
fn package(more: impl FnOnce(&mut zip::ZipWriter<std::io::Cursor<Vec<u8>>>)) -> Vec<u8> {
    let whole = docx_of("<w:p><w:r><w:t>The garden opens in April.</w:t></w:r></w:p>");
    let mut zip = zip::ZipWriter::new_append(std::io::Cursor::new(whole)).unwrap();
    more(&mut zip);
    zip.finish().unwrap().into_inner()
}

fn plain() -> zip::write::SimpleFileOptions {
    zip::write::SimpleFileOptions::default()
}

fn names_that_climb() -> Vec<u8> {
    package(|zip| {
        for name in [
            "../../../../tmp/climbed",
            "/tmp/climbed",
            "word/../../climbed",
            "a\0b",
        ] {
            zip.start_file(name, plain()).unwrap();
            zip.write_all(b"outside").unwrap();
        }
    })
}

fn links() -> Vec<u8> {
    package(|zip| {
        zip.add_symlink("word/footnotes.xml", "/etc/passwd", plain())
            .unwrap();
    })
}

fn zips_in_zips() -> Vec<u8> {
    let mut inner = zip_bomb();
    for _ in 0..5 {
        let held = std::mem::take(&mut inner);
        inner = package(|zip| {
            zip.start_file("word/embeddings/inner.docx", plain())
                .unwrap();
            zip.write_all(&held).unwrap();
        });
    }
    inner
}

/// Says that its text is of ten bytes, in both places where a zip says so.
fn lying_sizes() -> Vec<u8> {
    let text = "The garden opens in April. ".repeat(4000);
    let mut file = docx_of(&format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"));
    let (local, central) = (b"PK\x03\x04", b"PK\x01\x02");
    for at in 0..file.len() - 46 {
        let (size, name, start) = match &file[at..at + 4] {
            head if head == local => (22, 26, 30),
            head if head == central => (24, 28, 46),
            _ => continue,
        };
        let length = usize::from(u16::from_le_bytes([file[at + name], file[at + name + 1]]));
        let name = &file[at + start..(at + start + length).min(file.len())];
        if name == b"word/document.xml" {
            file[at + size..at + size + 4].copy_from_slice(&10u32.to_le_bytes());
        }
    }
    file
}

fn entries_without_end() -> Vec<u8> {
    package(|zip| {
        for n in 0..60_000 {
            zip.start_file(format!("word/{n}"), plain()).unwrap();
        }
    })
}

fn files() -> Vec<File> {
    let file = |what, kind, content, ends| File {
        what,
        kind,
        content,
        ends,
    };
    let whole = pdf();
    let whole_docx = docx_of(&"<w:p><w:r><w:t>Gate opens.</w:t></w:r></w:p>".repeat(2000));
    let unknown: &[&str] = &["format_mismatch", "unknown_format"];
    let broken: &[&str] = &["damaged", "no_text", "limit"];
    vec![
        file("PDF, arrays 200,000 deep", PDF, deep_pdf(), broken),
        file(
            "PDF, pages that are their own parents",
            PDF,
            pages_of_themselves(),
            broken,
        ),
        file(
            "PDF, tables in a ring",
            PDF,
            tables_in_a_ring(),
            &["completed", "damaged"],
        ),
        file(
            "PDF, forms that draw themselves",
            PDF,
            forms_of_themselves(),
            &["completed", "limit"],
        ),
        file(
            "PDF, a CMap without end",
            PDF,
            endless_cmap(),
            &["completed", "no_text", "limit"],
        ),
        file(
            "PDF, 300 MB packed twice",
            PDF,
            flate_bomb(),
            &["limit", "no_text"],
        ),
        file(
            "PDF, cut at a third",
            PDF,
            whole[..whole.len() / 3].to_vec(),
            broken,
        ),
        file(
            "PDF, a picture by another name",
            PDF,
            b"\xff\xd8\xff\xe0\0\x10JFIF\0".repeat(99),
            unknown,
        ),
        file("DOCX, elements 200,000 deep", DOCX, deep_docx(), &["limit"]),
        file("DOCX, 600 MB packed", DOCX, zip_bomb(), &["limit"]),
        file(
            "DOCX, a billion laughs",
            DOCX,
            xml_bomb(),
            &["damaged", "limit"],
        ),
        file(
            "DOCX, cut in half",
            DOCX,
            whole_docx[..whole_docx.len() / 2].to_vec(),
            &["damaged"],
        ),
        file(
            "DOCX, sizes that lie",
            DOCX,
            lying_sizes(),
            &["damaged", "limit"],
        ),
        file("DOCX, zips in zips", DOCX, zips_in_zips(), &["completed"]),
        file(
            "DOCX, names that climb out",
            DOCX,
            names_that_climb(),
            &["completed", "damaged"],
        ),
        file(
            "DOCX, a link to /etc/passwd",
            DOCX,
            links(),
            &["completed", "damaged"],
        ),
        file(
            "DOCX, 60,000 entries",
            DOCX,
            entries_without_end(),
            &["completed", "limit"],
        ),
        file(
            "DOCX, with a password",
            DOCX,
            encrypted_office(),
            &["encrypted"],
        ),
        file(
            "DOCX, no document in it",
            DOCX,
            docx(|out| write!(out, "<x {NAMESPACE}/>").unwrap()),
            &["damaged", "no_text", "empty"],
        ),
        file(
            "HTML, elements 200,000 deep",
            HTML,
            format!("<body>{}deep", "<div>".repeat(200_000)).into_bytes(),
            &["completed", "limit"],
        ),
        file(
            "text, one word of 10 MB",
            TEXT,
            "x".repeat(10_000_000).into_bytes(),
            &["completed"],
        ),
        file(
            "text, bytes that are none",
            TEXT,
            (0..5000u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect(),
            unknown,
        ),
        file(
            "text, blanks",
            TEXT,
            b" \n\t\n".to_vec(),
            &["empty", "no_text"],
        ),
    ]
}

#[test]
fn files_that_are_made_to_do_harm_do_none() {
    let server = Server::start_with(&[("MAX_FILE_SIZE_MB", "16")]);
    let owner = server.register("first").owner;
    let good = owner.upload_text("hours.txt", "The office opens at nine in the morning.\n");
    owner.completed(&good);
    let before = owner.ask("When does the office open?");
    let sent: Vec<(File, String)> = files()
        .into_iter()
        .map(|file| {
            let name = format!("file-\u{5e9}\u{5dc}.{}", extension(file.kind));
            let id = owner.upload(&name, file.kind, file.content.clone());
            (file, id)
        })
        .collect();
    for (file, id) in &sent {
        let document = owner.ended(id);
        let end = match document["status"].as_str().unwrap() {
            "completed" => "completed",
            _ => document["error_code"].as_str().unwrap(),
        };
        println!("{}: {end} {}", file.what, document["error_message"]);
        assert!(file.ends.contains(&end), "{}: {document}", file.what);
        assert_eq!(document["attempts"], 1, "{}: {document}", file.what);
        owner.delete(&format!("/v1/documents/{id}")).ok();
    }
    assert_eq!(
        owner.ask("When does the office open?")["answer"],
        before["answer"]
    );
    assert!(!std::path::Path::new("/tmp/climbed").exists());
    println!("the server took {} MB at most", server.most_memory());
}

fn extension(kind: &str) -> &'static str {
    match kind {
        PDF => "pdf",
        DOCX => "docx",
        HTML => "html",
        _ => "txt",
    }
}

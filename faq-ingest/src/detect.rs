//! Which format a file is: its content first, its name second.
//!
//! Never guesses: content that is of another format than the name promises is an error that
//! says both.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::archive::comparable;
use crate::{Format, ParseError, encoding};

/// Finds the format of `bytes`; `name` is the file's name or path, of which only the
/// extension counts.
///
/// # Errors
/// [`ParseError::Empty`], [`ParseError::UnknownFormat`] with what the content looks like,
/// [`ParseError::FormatMismatch`] where name and content contradict each other, and
/// [`ParseError::Encrypted`] for an Office container that asks for a password.
pub fn detect(bytes: &[u8], name: &str) -> Result<Format, ParseError> {
    if is_blank(bytes) {
        return Err(ParseError::Empty);
    }
    let promised = Promise::of(name);
    match Content::of(bytes, promised) {
        Content::Format(found) => match promised {
            Promise::Format(expected) if expected != found => Err(ParseError::FormatMismatch {
                expected: expected.to_string(),
                found: found.to_string(),
            }),
            _ => Ok(found),
        },
        Content::Text => match promised {
            Promise::Format(format) if format.is_textual() => Ok(format),
            Promise::Format(expected) => Err(ParseError::FormatMismatch {
                expected: expected.to_string(),
                found: Format::Text.to_string(),
            }),
            Promise::None if is_message(bytes) => Ok(Format::Eml),
            Promise::None => Ok(Format::Text),
        },
        Content::EncryptedOffice => Err(ParseError::Encrypted {
            format: match promised {
                Promise::Format(format @ (Format::Pptx | Format::Xlsx)) => format,
                _ => Format::Docx,
            },
        }),
        Content::Other(found) => Err(match promised {
            Promise::Format(expected) => ParseError::FormatMismatch {
                expected: expected.to_string(),
                found: found.to_owned(),
            },
            Promise::None => ParseError::UnknownFormat {
                found: found.to_owned(),
            },
        }),
    }
}

/// What a name's extension promises.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    Format(Format),
    None,
}

impl Promise {
    fn of(name: &str) -> Self {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let Some((_, extension)) = file.rsplit_once('.') else {
            return Self::None;
        };
        Format::from_extension(extension).map_or(Self::None, Self::Format)
    }

    fn is_textual(self) -> bool {
        matches!(self, Self::Format(format) if format.is_textual())
    }
}

enum Content {
    Format(Format),
    /// Text without a sign of its own: the name decides which kind.
    Text,
    EncryptedOffice,
    Other(&'static str),
}

impl Content {
    fn of(bytes: &[u8], promised: Promise) -> Self {
        if is_pdf(bytes, promised) {
            return Self::Format(Format::Pdf);
        }
        if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
            return zip_content(bytes, promised);
        }
        if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            return ole_content(bytes);
        }
        if bytes.trim_ascii_start().starts_with(b"{\\rtf") {
            return Self::Format(Format::Rtf);
        }
        if let Some(found) = magic(bytes) {
            return Self::Other(found);
        }
        if !encoding::looks_like_text(bytes) {
            return Self::Other("binary data");
        }
        // A message may hold a page, and a table may hold anything.
        let other = matches!(promised, Promise::Format(Format::Eml | Format::Csv));
        if !other && is_html(bytes) {
            return Self::Format(Format::Html);
        }
        Self::Text
    }
}

/// The header may stand anywhere in the first kilobyte. A text that merely mentions it
/// stays a text, and a file named PDF whose header was lost is still known by its parts.
fn is_pdf(bytes: &[u8], promised: Promise) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    match find(head, b"%PDF-") {
        Some(0) => true,
        Some(_) => !promised.is_textual(),
        None => {
            promised == Promise::Format(Format::Pdf)
                && find(bytes, b" obj").is_some()
                && (find(bytes, b"endobj").is_some() || find(bytes, b"startxref").is_some())
        }
    }
}

fn zip_content(bytes: &[u8], promised: Promise) -> Content {
    // The archive's directory is hostile input to a library.
    let names = catch_unwind(AssertUnwindSafe(|| crate::archive::entry_names(bytes))).ok();
    let has = |name: &str, or_longer: bool| {
        if let Some(Some(names)) = names.as_ref() {
            let name = comparable(name);
            names
                .iter()
                .any(|n| *n == name || or_longer && n.starts_with(&name))
        } else {
            // Truncated: the directory stands at the end and is gone, the names of the parts
            // stand before each of them.
            let backward = name.replace('/', "\\");
            [name, &backward]
                .iter()
                .any(|name| find(bytes, name.as_bytes()).is_some())
        }
    };
    // Cut before the name of its main part, an office document still starts like one.
    let cut = !matches!(names, Some(Some(_))) && find(bytes, b"[Content_Types].xml").is_some();
    let office = |main: &str, format: Format| {
        has(main, true) || (cut && promised == Promise::Format(format))
    };
    let mimetype = &bytes[..bytes.len().min(256)];
    let starts = |sign: &[u8]| find(mimetype, sign).is_some();
    if office("word/document", Format::Docx) {
        Content::Format(Format::Docx)
    } else if office("xl/workbook", Format::Xlsx) {
        workbook(bytes, promised)
    } else if office("ppt/presentation", Format::Pptx) {
        Content::Format(Format::Pptx)
    } else if has("visio/document", true) {
        Content::Other("Visio drawing (VSDX)")
    } else if starts(b"application/epub+zip") || has("META-INF/container.xml", false) {
        Content::Format(Format::Epub)
    } else if starts(b"application/vnd.oasis.opendocument.text") {
        Content::Format(Format::Odt)
    } else if starts(b"application/vnd.oasis") {
        Content::Other("OpenDocument file that is no text")
    } else if promised == Promise::Format(Format::Odt) && has("content.xml", false) {
        Content::Format(Format::Odt)
    } else if has("META-INF/MANIFEST.MF", false) {
        Content::Other("Java archive")
    } else {
        Content::Other("ZIP archive")
    }
}

/// A workbook in XML; the binary kind has the same container.
fn workbook(bytes: &[u8], promised: Promise) -> Content {
    if find(bytes, b"xl/workbook.bin").is_some() && promised != Promise::Format(Format::Xlsx) {
        Content::Other("binary Excel workbook (XLSB)")
    } else {
        Content::Format(Format::Xlsx)
    }
}

fn ole_content(bytes: &[u8]) -> Content {
    let has = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        find(bytes, &wide).is_some()
    };
    if has("EncryptedPackage") {
        Content::EncryptedOffice
    } else if has("WordDocument") {
        Content::Other("Word 97-2003 document (DOC), which must be saved as DOCX first")
    } else if has("Workbook") {
        Content::Other("Excel 97-2003 workbook (XLS)")
    } else if has("PowerPoint Document") {
        Content::Other("PowerPoint 97-2003 presentation (PPT)")
    } else {
        Content::Other("OLE container")
    }
}

fn magic(bytes: &[u8]) -> Option<&'static str> {
    const KNOWN: &[(usize, &[u8], &str)] = &[
        (0, b"\xff\xd8\xff", "JPEG image"),
        (0, b"\x89PNG\r\n\x1a\n", "PNG image"),
        (0, b"GIF87a", "GIF image"),
        (0, b"GIF89a", "GIF image"),
        (0, b"II*\0", "TIFF image"),
        (0, b"MM\0*", "TIFF image"),
        (8, b"WEBP", "WebP image"),
        (4, b"ftyp", "MP4 or HEIF media"),
        (0, b"\x7fELF", "ELF program"),
        (0, b"MZ\x90", "Windows program"),
        (0, b"\xcf\xfa\xed\xfe", "macOS program"),
        (0, b"\x1f\x8b", "gzip archive"),
        (0, b"BZh", "bzip2 archive"),
        (0, b"\xfd7zXZ\0", "xz archive"),
        (0, b"\x28\xb5\x2f\xfd", "Zstandard archive"),
        (0, b"7z\xbc\xaf\x27\x1c", "7-Zip archive"),
        (0, b"Rar!\x1a\x07", "RAR archive"),
        (257, b"ustar", "tar archive"),
        (0, b"SQLite format 3\0", "SQLite database"),
        (0, b"%!PS", "PostScript program"),
        (0, b"OggS", "Ogg media"),
        (0, b"ID3", "MP3 audio"),
        (0, b"wOFF", "WOFF font"),
    ];
    KNOWN
        .iter()
        .find(|(at, sign, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(sign)))
        .map(|&(_, _, name)| name)
}

/// Whether the text starts as an HTML document does, white space, comments and an XML
/// declaration aside.
fn is_html(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(8192)];
    let head = encoding::decode(head, None).text.to_ascii_lowercase();
    let mut rest = head.trim_start();
    loop {
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?xml") {
            "?>"
        } else {
            break;
        };
        let Some(at) = rest.find(end) else {
            return false;
        };
        rest = rest[at + end.len()..].trim_start();
    }
    if let Some(doctype) = rest.strip_prefix("<!doctype") {
        return doctype.trim_start().starts_with("html");
    }
    ["<html", "<head", "<body"].iter().any(|tag| {
        rest.strip_prefix(tag)
            .is_some_and(|after| after.starts_with(|c: char| c == '>' || c.is_whitespace()))
    })
}

/// Whether the text starts with the header of an internet message: fields that name a sender
/// and one more of those that every message has.
fn is_message(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(16 * 1024)];
    let head = String::from_utf8_lossy(head);
    let mut known = 0;
    let mut sender = false;
    for line in head.lines() {
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else {
            break;
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            break;
        }
        let is = |wanted: &[&str]| wanted.iter().any(|w| name.eq_ignore_ascii_case(w));
        sender |= is(&["From"]);
        known += usize::from(is(&[
            "Return-Path",
            "Received",
            "Message-ID",
            "MIME-Version",
            "Date",
            "Subject",
            "To",
            "Delivered-To",
        ]));
    }
    sender && known > 1
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|&b| b.is_ascii_whitespace() || matches!(b, 0 | 0xef | 0xbb | 0xbf | 0xff | 0xfe))
}

/// Where `needle` first stands in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|&b| b == first) {
        if bytes[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn text_takes_its_kind_from_the_name() {
        let text = b"# Title\n\nSome words.";
        assert_eq!(detect(text, "a.md").unwrap(), Format::Markdown);
        assert_eq!(detect(text, "dir.md/a.txt").unwrap(), Format::Text);
        assert_eq!(detect(text, "README").unwrap(), Format::Text);
        assert_eq!(detect(text, "a.html").unwrap(), Format::Html);
    }

    #[test]
    fn content_goes_before_the_name() {
        let html = b"\n<!-- made by hand --><!DOCTYPE html><p>Hi";
        assert_eq!(detect(html, "page").unwrap(), Format::Html);
        assert!(matches!(
            detect(html, "page.txt"),
            Err(ParseError::FormatMismatch { .. })
        ));
        assert_eq!(detect(b"junk\n%PDF-1.4\n", "x").unwrap(), Format::Pdf);
        assert_eq!(
            detect(b"on %PDF-1.4 headers", "x.txt").unwrap(),
            Format::Text
        );
    }

    #[test]
    fn a_cut_office_document_is_still_one() {
        let cut = b"PK\x03\x04\x14\0\0\0\x08\0 [Content_Types].xml \x12\x34";
        assert_eq!(detect(cut, "a.docx").unwrap(), Format::Docx);
        assert!(detect(cut, "a.pdf").is_err());
        assert!(detect(b"PK\x03\x04 other.bin", "a.docx").is_err());
    }

    #[test]
    fn foreign_content_is_named() {
        let Err(ParseError::FormatMismatch { expected, found }) =
            detect(b"\xff\xd8\xff\xe0\0\x10JFIF", "photo.pdf")
        else {
            panic!("a JPEG named PDF must be refused");
        };
        assert_eq!((expected.as_str(), found.as_str()), ("PDF", "JPEG image"));
        let Err(ParseError::UnknownFormat { found }) = detect(b"\x7fELF\x02\x01", "tool") else {
            panic!("a program must be refused");
        };
        assert_eq!(found, "ELF program");
        assert!(matches!(
            detect(b"just words", "letter.docx"),
            Err(ParseError::FormatMismatch { .. })
        ));
    }

    #[test]
    fn nothing_is_empty() {
        for bytes in [&b""[..], b" \n\t ", b"\xef\xbb\xbf\n", b"\xff\xfe"] {
            assert!(matches!(detect(bytes, "a.txt"), Err(ParseError::Empty)));
        }
    }

    #[test]
    fn an_office_container_with_a_password_says_so() {
        let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
        bytes.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
        assert!(matches!(
            detect(&bytes, "a.docx"),
            Err(ParseError::Encrypted {
                format: Format::Docx
            })
        ));
    }
}

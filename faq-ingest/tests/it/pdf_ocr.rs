//! Pages that are images, and an engine that reads them.

use std::sync::{Arc, Mutex};

use faq_ingest::{
    Document, ImageEncoding, OcrEngine, PageImage, ParseError, ParseOptions, PdfParser, PixelColor,
    parse, parse_with,
};

use crate::invariants::assert_invariants;
use crate::pdf_file::{Pdf, lines};

/// Letters of 5 by 7 samples, a bit a sample, rows from the top.
const LETTERS: [(char, [u8; 7]); 6] = [
    ('A', [0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11]),
    ('C', [0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e]),
    ('E', [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f]),
    ('L', [0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f]),
    ('N', [0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11]),
    ('V', [0x11, 0x11, 0x11, 0x11, 0x11, 0x0a, 0x04]),
];
const CELL: usize = 6;
const LINE: usize = 8;
/// Samples a dot of a letter.
const SCALE: usize = 4;

/// A grayscale image of lines of text, black on white, as rows of bytes.
fn drawn(text: &[&str]) -> (usize, usize, Vec<u8>) {
    let columns = text.iter().map(|l| l.len()).max().unwrap();
    let (width, height) = (columns * CELL * SCALE, text.len() * LINE * SCALE);
    let mut samples = vec![255u8; width * height];
    for (row, line) in text.iter().enumerate() {
        for (column, c) in line.chars().enumerate() {
            let Some((_, dots)) = LETTERS.iter().find(|(l, _)| *l == c) else {
                continue;
            };
            for y in 0..7 * SCALE {
                for x in 0..5 * SCALE {
                    if dots[y / SCALE] >> (4 - x / SCALE) & 1 == 1 {
                        samples[(row * LINE * SCALE + y) * width + column * CELL * SCALE + x] = 0;
                    }
                }
            }
        }
    }
    (width, height, samples)
}

/// Reads the letters above from gray samples, and keeps what it was shown.
#[derive(Default)]
struct Dots {
    seen: Mutex<Vec<PageImage>>,
}

impl OcrEngine for Dots {
    fn recognise(&self, image: &PageImage) -> Result<String, String> {
        self.seen.lock().unwrap().push(image.clone());
        let gray = ImageEncoding::Pixels {
            bits: 8,
            color: PixelColor::Gray,
        };
        if image.encoding != gray {
            return Err("it is not in gray".to_owned());
        }
        let (width, height) = (image.width as usize, image.height as usize);
        if image.data.len() != width * height {
            return Err(format!("{} samples are missing", width * height));
        }
        let dark = |x: usize, y: usize| image.data[y * width + x] < 128;
        let mut text = String::new();
        for row in 0..height / (LINE * SCALE) {
            for column in 0..width / (CELL * SCALE) {
                let dots: Vec<u8> = (0..7)
                    .map(|y| {
                        (0..5).fold(0, |bits, x| {
                            let at = column * CELL * SCALE + x * SCALE + SCALE / 2;
                            let down = row * LINE * SCALE + y * SCALE + SCALE / 2;
                            bits << 1 | u8::from(dark(at, down))
                        })
                    })
                    .collect();
                let letter = LETTERS.iter().find(|(_, d)| d[..] == dots[..]);
                text.push(letter.map_or(' ', |(c, _)| *c));
            }
            text = text.trim_end().to_owned() + "\n";
        }
        Ok(text)
    }
}

fn hex(samples: &[u8]) -> String {
    samples
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>()
        + ">"
}

/// A page that shows nothing but the given image.
fn scan(pdf: &mut Pdf, entries: &str, data: &str) -> usize {
    let image = pdf.stream(&format!("/Type/XObject/Subtype/Image{entries}"), data);
    pdf.page(
        "q 500 0 0 700 50 50 cm /I Do Q",
        &format!("/XObject<</I {image} 0 R>>"),
    )
}

fn gray(pdf: &mut Pdf, text: &[&str]) -> usize {
    let (width, height, samples) = drawn(text);
    let entries = format!(
        "/Width {width}/Height {height}/BitsPerComponent 8/ColorSpace/DeviceGray\
         /Filter/ASCIIHexDecode"
    );
    scan(pdf, &entries, &hex(&samples))
}

fn read(pdf: &Pdf, engine: &Arc<Dots>) -> Document {
    let parser = PdfParser::new().with_ocr(Arc::clone(engine) as Arc<dyn OcrEngine>);
    let bytes = pdf.bytes();
    let document = parse_with(&bytes, "a.pdf", &ParseOptions::default(), &[&parser]).unwrap();
    assert_invariants(&document);
    document
}

fn codes(document: &Document) -> Vec<(&str, Option<u32>)> {
    document
        .warnings
        .iter()
        .map(|w| (w.code.as_str(), w.page))
        .collect()
}

#[test]
fn scanned_pages_are_read_by_the_engine_and_others_are_not_shown_to_it() {
    let mut pdf = Pdf::new();
    let text = pdf.page(&lines(72, 700, &["typed text"]), "");
    let scanned = gray(&mut pdf, &["CLEAN", "LANE"]);
    let empty = pdf.page("", "");
    pdf.page_tree(&[text, scanned, empty]);
    let engine = Arc::new(Dots::default());
    let document = read(&pdf, &engine);
    assert_eq!(document.text, "typed text\n\nCLEAN LANE");
    assert_eq!(document.blocks[1].page, Some(2));
    assert_eq!(
        codes(&document),
        vec![("ocr_text", Some(2)), ("no_text_on_page", Some(3))]
    );
    let seen = engine.seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].page, seen[0].quarter_turns), (2, 0));
    assert_eq!((seen[0].width, seen[0].height), (120, 64));

    let without = parse(&pdf.bytes(), "a.pdf", &ParseOptions::default()).unwrap();
    assert_eq!(without.text, "typed text");
    assert_eq!(
        codes(&without),
        vec![("no_text_on_page", Some(2)), ("no_text_on_page", Some(3))]
    );
}

#[test]
fn packed_images_reach_the_engine_as_they_lie_in_the_file() {
    let mut pdf = Pdf::new();
    let jpeg = scan(
        &mut pdf,
        "/Width 30/Height 40/BitsPerComponent 8/ColorSpace/DeviceRGB\
         /Filter[/ASCIIHexDecode/DCTDecode]",
        "ffd8ff>",
    );
    let fax = scan(
        &mut pdf,
        "/Width 30/Height 40/BitsPerComponent 1/ColorSpace/DeviceGray\
         /Filter/CCITTFaxDecode/DecodeParms<</K -1/BlackIs1 true>>",
        "xyz",
    );
    let indexed = scan(
        &mut pdf,
        "/Width 32/Height 32/BitsPerComponent 1/ColorSpace[/Indexed/DeviceRGB 1<000000ffffff>]",
        "0123",
    );
    let last = gray(&mut pdf, &["LACE"]);
    pdf.page_tree(&[jpeg, fax, indexed, last]);
    let engine = Arc::new(Dots::default());
    let document = read(&pdf, &engine);
    assert_eq!(document.text, "LACE");
    let seen = engine.seen.lock().unwrap();
    assert_eq!(seen[0].encoding, ImageEncoding::Jpeg);
    assert_eq!(seen[0].data, [0xff, 0xd8, 0xff]);
    assert_eq!(
        seen[1].encoding,
        ImageEncoding::CcittFax {
            k: -1,
            black_is_1: true,
            byte_aligned: false
        }
    );
    assert_eq!(
        seen[2].encoding,
        ImageEncoding::Pixels {
            bits: 1,
            color: PixelColor::Indexed {
                components: 3,
                palette: vec![0, 0, 0, 255, 255, 255]
            }
        }
    );
    // What the engine could not read is named, and does not stop the rest.
    let failed: Vec<_> = codes(&document)
        .into_iter()
        .filter(|(code, _)| *code == "ocr_failed")
        .collect();
    assert_eq!(failed.len(), 3);
    assert!(document.warnings[0].message.contains("not in gray"));
}

#[test]
fn turned_scans_say_how_they_are_turned() {
    let mut pdf = Pdf::new();
    let page = gray(&mut pdf, &["CLEAN"]);
    let text = String::from_utf8(pdf.objects[page - 1].clone()).unwrap();
    pdf.objects[page - 1] = text
        .replace("/MediaBox", "/Rotate 90/MediaBox")
        .into_bytes();
    pdf.page_tree(&[page]);
    let engine = Arc::new(Dots::default());
    read(&pdf, &engine);
    assert_eq!(engine.seen.lock().unwrap()[0].quarter_turns, 1);
}

#[test]
fn nothing_but_images_that_cannot_be_read_is_no_text() {
    let mut pdf = Pdf::new();
    let page = scan(
        &mut pdf,
        "/Width 30/Height 40/ColorSpace/DeviceRGB/Filter/DCTDecode",
        "x",
    );
    pdf.page_tree(&[page]);
    let parser = PdfParser::new().with_ocr(Arc::new(Dots::default()));
    let result = parse_with(&pdf.bytes(), "a.pdf", &ParseOptions::default(), &[&parser]);
    assert!(matches!(
        result,
        Err(ParseError::NoText {
            pages: 1,
            images: 1,
            ..
        })
    ));
}

//! PDF: positioned glyphs into words, lines and blocks in reading order.
//!
//! The object library (`lopdf`) opens the file, decrypts it with the empty password and
//! unpacks streams. Everything above objects is done here: [`interpret`] runs the content
//! streams, [`font`] turns codes into text, [`words`] and [`columns`] find the reading order,
//! [`furniture`] takes out what repeats from page to page, [`grid`] and [`table`] find tables, [`blocks`] gives
//! text its roles. No image is decoded and nothing is drawn; pages that are images go to the
//! caller's [`OcrEngine`], where there is one.
//!
//! Pages do not depend on each other up to [`furniture`], so several threads may read them.

mod annotations;
mod assemble;
mod bidi;
mod blocks;
mod cmap;
mod columns;
mod compact;
mod encoding;
mod font;
mod font_file;
mod furniture;
mod geometry;
mod grid;
mod interpret;
mod lexer;
mod lines;
mod links;
mod load;
mod objects;
mod ocr;
mod outline;
mod packed;
mod pages;
mod place;
mod ruling;
mod salvage;
mod streams;
mod table;
mod widths;
mod words;

use std::sync::Arc;

use load::{Keep, Loaded};
use objects::{Account, Source};
pub use ocr::{ImageEncoding, OcrEngine, PageImage, PixelColor};

use crate::limits::Budget;
use crate::{Document, Format, ParseError, Parser};

/// Reads PDFs; the built-in parser of its format, and the way to give it an OCR engine:
///
/// ```
/// use std::sync::Arc;
/// use faq_ingest::{OcrEngine, PageImage, ParseOptions, PdfParser, parse_with};
///
/// struct Nothing;
///
/// impl OcrEngine for Nothing {
///     fn recognise(&self, _: &PageImage) -> Result<String, String> {
///         Err("no engine was built in".to_owned())
///     }
/// }
///
/// let parser = PdfParser::new().with_ocr(Arc::new(Nothing));
/// let result = parse_with(b"%PDF-", "a.pdf", &ParseOptions::default(), &[&parser]);
/// assert!(result.is_err());
/// ```
#[derive(Clone, Default)]
pub struct PdfParser {
    ocr: Option<Arc<dyn OcrEngine>>,
}

impl PdfParser {
    /// A parser that names the pages without text and leaves them out.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `engine` for the text of pages that hold an image and no text.
    #[must_use]
    pub fn with_ocr(mut self, engine: Arc<dyn OcrEngine>) -> Self {
        self.ocr = Some(engine);
        self
    }
}

impl std::fmt::Debug for PdfParser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PdfParser")
            .field("ocr", &self.ocr.is_some())
            .finish()
    }
}

impl Parser for PdfParser {
    fn format(&self) -> Format {
        Format::Pdf
    }

    fn parse(&self, bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(ParseError::Empty);
        }
        let text = if self.ocr.is_some() {
            Keep::Images
        } else {
            Keep::Text
        };
        for keep in [text, Keep::Everything] {
            let loaded = load::load(bytes, keep, budget)?;
            if let Some(read) = self.read(loaded, budget)? {
                return Ok(read);
            }
        }
        // The tables may lead to an old or an empty page tree; the objects may still be there.
        let scanned = load::load_by_scan(bytes, budget).ok_or_else(no_pages)?;
        self.read(scanned, budget)?.ok_or_else(no_pages)
    }
}

impl PdfParser {
    /// The text of a document, or `None` where it has no pages.
    fn read(&self, loaded: Loaded<'_>, budget: &Budget) -> Result<Option<Document>, ParseError> {
        let account = Account::default();
        let pages = pages::read(&loaded, budget, &account)?;
        if pages.is_empty() {
            return Ok(None);
        }
        let source = Source::new(&loaded, budget, &account);
        let front = assemble::Front {
            title: title_of(&source),
            outline: outline::Outline::read(&source)?,
        };
        let built = if let Some(engine) = self.ocr.as_deref() {
            assemble::build(pages, front, Some(&ocr::Reader { engine, source }), budget)
        } else {
            // Half of the memory that a parse takes is the file's objects.
            drop(loaded);
            assemble::build(pages, front, None, budget)
        };
        built.map(Some)
    }
}

fn no_pages() -> ParseError {
    ParseError::damaged(Format::Pdf, "it holds no page that can be read")
}

fn title_of(source: &Source<'_>) -> Option<String> {
    let title = source.info_text(b"Title")?;
    let title = encoding::clean(&title).trim().to_owned();
    // Producers leave file names and placeholders here.
    let placeholder = title.is_empty()
        || title.eq_ignore_ascii_case("untitled")
        || title.len() > 500
        || title.starts_with("Microsoft Word - ");
    (!placeholder).then_some(title)
}

#[cfg(test)]
mod encryption_tests;

//! The way in: a file's bytes to the parser of their format, within limits.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::limits::Budget;
use crate::{Document, Format, ParseError, ParseOptions, detect};
use crate::{csv, docx, eml, epub, html, markdown, odt, pdf, pptx, rtf, text, xlsx};

/// Reads one format.
///
/// The built-in parsers are instances of it; [`parse_with`] takes others, such as one that
/// sends scanned PDFs through OCR. A parser builds its result with a
/// [`DocumentBuilder`](crate::DocumentBuilder) and keeps the limits of its [`Budget`].
pub trait Parser: Send + Sync {
    /// The format it reads.
    fn format(&self) -> Format;

    /// Reads `bytes`, which [`detect`] found to be of this parser's format.
    ///
    /// # Errors
    /// Any [`ParseError`]; a passed limit comes from the budget.
    fn parse(&self, bytes: &[u8], budget: &Budget) -> Result<Document, ParseError>;
}

/// Parses a file. `name` is its name or path, of which only the extension counts.
///
/// Runs on the caller's thread. No parser recurses as deep as a document says, and a panic in
/// a library below ends as [`ParseError::Internal`].
///
/// # Errors
/// Any [`ParseError`]: the document is refused, nothing else is harmed.
pub fn parse(bytes: &[u8], name: &str, options: &ParseOptions) -> Result<Document, ParseError> {
    parse_with(bytes, name, options, &[])
}

/// As [`parse`], with parsers of the caller's that go before the built-in ones of their
/// format.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(
    bytes: &[u8],
    name: &str,
    options: &ParseOptions,
    parsers: &[&dyn Parser],
) -> Result<Document, ParseError> {
    let budget = Budget::new(options);
    budget.check_file(bytes.len() as u64)?;
    let format = detect(bytes, name)?;
    let own = parsers.iter().find(|p| p.format() == format);
    let run = || match own {
        Some(parser) => parser.parse(bytes, &budget),
        None => built_in(format, bytes, &budget),
    };
    let document = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let detail = panic
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown state".to_owned());
        Err(ParseError::Internal { format, detail })
    })?;
    budget.check_clock()?;
    if document.blocks.is_empty() {
        return Err(ParseError::Blank { format });
    }
    Ok(document)
}

fn built_in(format: Format, bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    match format {
        Format::Pdf => pdf::PdfParser::new().parse(bytes, budget),
        Format::Docx => docx::parse(bytes, budget),
        Format::Pptx => pptx::parse(bytes, budget),
        Format::Xlsx => xlsx::parse(bytes, budget),
        Format::Odt => odt::parse(bytes, budget),
        Format::Epub => epub::parse(bytes, budget),
        Format::Rtf => rtf::parse(bytes, budget),
        Format::Csv => csv::parse(bytes, budget),
        Format::Eml => eml::parse(bytes, budget),
        Format::Html => html::parse(bytes, budget),
        Format::Markdown => markdown::parse(bytes, budget),
        Format::Text => text::parse(bytes, budget),
    }
}

//! RTF (Rich Text Format 1.9) into blocks.
//!
//! Groups are kept on a stack of states, never recursed into. What a reader sees is read:
//! field codes, deleted revisions, hidden text, pictures, and running headers are left out.

mod charset;
mod read;
mod token;

use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::{Document, Format, ParseError};

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let mut out = DocumentBuilder::new();
    let images = read::read(bytes.trim_ascii_start(), &mut out, budget)?;
    if out.is_empty() && images > 0 {
        return Err(ParseError::NoText {
            format: Format::Rtf,
            pages: 0,
            images,
        });
    }
    if out.title.is_none() {
        out.title = out.first_heading();
    }
    Ok(out.finish(Format::Rtf))
}

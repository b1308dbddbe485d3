//! DOCX (Office Open XML text) into blocks.
//!
//! What a reader of the document would see as its text: deleted revisions, hidden runs, field
//! codes and comments are left out. Entry names are looked up, never used as paths.

mod body;
mod notes;
mod numbering;
mod package;
mod styles;
mod xml;

use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::{Document, Format, ParseError};
use body::Body;
use notes::Notes;
use numbering::Numbering;
use package::Package;
use styles::Styles;
use xml::{Token, Xml};

pub(crate) use package::entry_names;

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let mut package = Package::open(bytes, budget)?;
    let mut out = DocumentBuilder::new();
    let main = package.main_part()?;
    let related = package.related(&main)?;
    let part = |package: &mut Package<'_>, kind: &str| match related.get(kind) {
        Some(name) => package.text(name),
        None => Ok(None),
    };
    let numbering = Numbering::read(part(&mut package, "numbering")?.as_deref(), budget)?;
    let styles = Styles::read(part(&mut package, "styles")?.as_deref(), budget)?;
    let notes = Notes {
        footnotes: notes::read(
            part(&mut package, "footnotes")?.as_deref(),
            "footnote",
            budget,
        )?,
        endnotes: notes::read(
            part(&mut package, "endnotes")?.as_deref(),
            "endnote",
            budget,
        )?,
    };
    let text = package
        .text(&main)?
        .ok_or_else(|| ParseError::damaged(Format::Docx, format!("{main} is missing")))?;
    out.title = title(package.text("docProps/core.xml")?.as_deref(), budget)?;
    let images = Body::new(styles, numbering, notes, &mut out, budget).read(&text)?;
    if out.is_empty() && images > 0 {
        return Err(ParseError::NoText {
            format: Format::Docx,
            pages: 0,
            images,
        });
    }
    if out.title.is_none() {
        out.title = out.first_heading();
    }
    Ok(out.finish(Format::Docx))
}

/// `dc:title` of the core properties.
fn title(part: Option<&str>, budget: &Budget) -> Result<Option<String>, ParseError> {
    let Some(part) = part else {
        return Ok(None);
    };
    let mut xml = Xml::new(part, budget);
    let mut text = String::new();
    let mut inside = false;
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(element) => inside = element.is("title"),
            Token::Close(_) => inside = false,
            Token::Text(t) if inside => text.push_str(&t),
            Token::Text(_) => {}
        }
    }
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests;

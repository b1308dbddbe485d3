//! ODT (OpenDocument text) into blocks.
//!
//! Deleted revisions, comments and hidden text are left out. Notes come after the paragraph
//! that refers to them, text boxes after the one they are anchored in.

mod body;
mod styles;

use std::collections::HashMap;

use crate::archive::Archive;
use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::piece::Piece;
use crate::xml::{Token, Xml, text_of};
use crate::{Document, Format, ParseError};
use body::Body;
use styles::Styles;

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let mut archive = Archive::open(bytes, Format::Odt, budget)?;
    if let Some(manifest) = archive.text("META-INF/manifest.xml")?
        && is_encrypted(&manifest, budget)?
    {
        return Err(ParseError::Encrypted {
            format: Format::Odt,
        });
    }
    let content = archive.required("content.xml")?;
    let mut styles = Styles::default();
    if let Some(part) = archive.text("styles.xml")? {
        styles.read(&part, budget)?;
    }
    styles.read(&content, budget)?;
    let mut out = DocumentBuilder::new();
    if let Some(meta) = archive.text("meta.xml")? {
        out.title = text_of("title", &meta, Format::Odt, budget)?;
    }
    let charts = charts(&styles, &mut archive, budget)?;
    let images = Body::new(&styles, charts, &mut out, budget).read(&content)?;
    if out.is_empty() && images > 0 {
        return Err(ParseError::NoText {
            format: Format::Odt,
            pages: 0,
            images,
        });
    }
    if out.title.is_none() {
        out.title = out.first_heading();
    }
    Ok(out.finish(Format::Odt))
}

/// Charts of the document by the folders they stand in.
fn charts(
    styles: &Styles,
    archive: &mut Archive<'_>,
    budget: &Budget,
) -> Result<HashMap<String, Vec<Piece>>, ParseError> {
    let mut charts = HashMap::new();
    for name in archive.names() {
        let Some(folder) = name.strip_suffix("/content.xml") else {
            continue;
        };
        if let Some(part) = archive.text(&name)?
            && part.contains("<office:chart")
        {
            charts.insert(folder.to_owned(), Body::pieces(styles, &part, budget)?);
        }
    }
    Ok(charts)
}

/// Whether the manifest says that the content is encrypted.
fn is_encrypted(manifest: &str, budget: &Budget) -> Result<bool, ParseError> {
    let mut content = false;
    // A document type stands in the manifests of old programs.
    let mut xml = Xml::lenient(manifest, Format::Odt, budget);
    while let Some(token) = xml.next()? {
        if let Token::Open(element) = token {
            match element.name() {
                "file-entry" => {
                    let path = element.attribute("full-path");
                    content = matches!(path.as_deref(), Some("content.xml" | "encrypted-package"));
                }
                "encryption-data" if content => return Ok(true),
                _ => {}
            }
        }
    }
    Ok(false)
}

//! EPUB books into blocks: the pages of the spine, in its order, read as HTML.
//!
//! The book's own table of contents, which repeats the headings, is left out. A book whose
//! pages are encrypted is refused; fonts may be.

use std::collections::{HashMap, HashSet};

use crate::archive::{Archive, unescaped};
use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::link::KeepLinks;
use crate::ooxml::resolve;
use crate::xml::{Token, Xml, text_of};
use crate::{Document, Format, ParseError, html};

/// What the package document says.
#[derive(Debug, Default)]
struct Package {
    items: HashMap<String, Item>,
    /// Ids of items, in reading order.
    spine: Vec<String>,
}

#[derive(Debug)]
struct Item {
    /// Name of an entry of the archive.
    name: String,
    is_page: bool,
    is_contents: bool,
}

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let mut archive = Archive::open(bytes, Format::Epub, budget)?;
    let container = archive.required("META-INF/container.xml")?;
    let root = root_file(&container, budget)?;
    let opf = archive.required(&root)?;
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    let package = package(&opf, folder, budget)?;
    let encrypted = match archive.text("META-INF/encryption.xml")? {
        Some(text) => encrypted(&text, budget)?,
        None => HashSet::new(),
    };
    let mut out = DocumentBuilder::new();
    out.keep_links(KeepLinks::Absolute);
    out.title = text_of("title", &opf, Format::Epub, budget)?;
    for id in &package.spine {
        budget.check_clock()?;
        let Some(item) = package
            .items
            .get(id)
            .filter(|i| i.is_page && !i.is_contents)
        else {
            continue;
        };
        if encrypted.contains(&item.name) {
            return Err(ParseError::Encrypted {
                format: Format::Epub,
            });
        }
        match archive.bytes(&item.name)? {
            Some(page) => html::read_page(&page, &mut out, budget)?,
            None => out.warn(
                "missing_part",
                None,
                format!("the page {} is missing", item.name),
            ),
        }
    }
    if out.title.is_none() {
        out.title = out.first_heading();
    }
    Ok(out.finish(Format::Epub))
}

fn root_file(container: &str, budget: &Budget) -> Result<String, ParseError> {
    let mut xml = Xml::new(container, Format::Epub, budget);
    while let Some(token) = xml.next()? {
        if let Token::Open(element) = token
            && element.is("rootfile")
            && let Some(path) = element.attribute("full-path")
        {
            return Ok(resolve("", &unescaped(&path)));
        }
    }
    Err(ParseError::damaged(
        Format::Epub,
        "its container names no package document",
    ))
}

fn package(opf: &str, folder: &str, budget: &Budget) -> Result<Package, ParseError> {
    let mut package = Package::default();
    let mut xml = Xml::new(opf, Format::Epub, budget);
    while let Some(token) = xml.next()? {
        let Token::Open(element) = token else {
            continue;
        };
        match element.name() {
            "item" => {
                let href = element.attribute("href").unwrap_or_default();
                let href = href.split('#').next().unwrap_or_default();
                let properties = element.attribute("properties").unwrap_or_default();
                let kind = element.attribute("media-type").unwrap_or_default();
                package.items.insert(
                    element.attribute("id").unwrap_or_default(),
                    Item {
                        name: resolve(folder, &unescaped(href)),
                        is_page: kind.contains("html") || kind == "text/x-oeb1-document",
                        is_contents: properties.split_whitespace().any(|p| p == "nav"),
                    },
                );
            }
            "itemref" => package.spine.extend(element.attribute("idref")),
            _ => {}
        }
    }
    Ok(package)
}

/// Entries that are encrypted.
fn encrypted(text: &str, budget: &Budget) -> Result<HashSet<String>, ParseError> {
    let mut names = HashSet::new();
    let mut xml = Xml::new(text, Format::Epub, budget);
    while let Some(token) = xml.next()? {
        if let Token::Open(element) = token
            && element.is("CipherReference")
            && let Some(uri) = element.attribute("URI")
        {
            names.insert(resolve("", &unescaped(&uri)));
        }
    }
    Ok(names)
}

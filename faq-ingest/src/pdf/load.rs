//! Opening a file with the object library, and what is tried where that fails.

use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId};

use super::links;
use super::objects::parse_error;
use crate::limits::Budget;
use crate::{Format, ParseError};

/// Most bytes that one object stream may unpack to while a document is opened. Those streams
/// hold dictionaries only; real ones stay below a megabyte.
const OBJECT_STREAM_BYTES: usize = 64 * 1024 * 1024;

/// Number of the catalog that a file without one is given.
const RESCUE_CATALOG: u32 = 999_983;

/// What of a document is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// What text is read from.
    Text,
    /// That, and the images.
    Images,
    Everything,
}

/// Opens a document, decrypted where the empty password does it.
pub(super) fn load(bytes: &[u8], keep: Keep, budget: &Budget) -> Result<Document, ParseError> {
    budget.check_file(bytes.len() as u64)?;
    budget.check_clock()?;
    let options_of = LoadOptions {
        filter: match keep {
            Keep::Text => Some(without_images),
            Keep::Images => Some(without_structure),
            Keep::Everything => None,
        },
        ..options(budget, false)
    };
    let document = match Document::load_mem_with_options(bytes, options_of) {
        Ok(document) => document,
        Err(error) => match parse_error(error, budget) {
            error @ ParseError::Damaged { .. } => rescue(bytes, budget).ok_or(error)?,
            error => return Err(error),
        },
    };
    budget.check_clock()?;
    if document.trailer.has(b"Encrypt") {
        return Err(ParseError::Encrypted {
            format: Format::Pdf,
        });
    }
    Ok(document)
}

/// Opens a document by scanning the file for objects, whatever its tables say.
pub(super) fn load_by_scan(bytes: &[u8], budget: &Budget) -> Option<Document> {
    budget.check_clock().ok()?;
    Document::load_mem_with_options(bytes, options(budget, true))
        .ok()
        .filter(|d| !d.trailer.has(b"Encrypt"))
}

fn options(budget: &Budget, scan: bool) -> LoadOptions {
    let allowed = usize::try_from(budget.limits().decompressed_bytes).unwrap_or(usize::MAX);
    LoadOptions {
        max_decompressed_size: Some(allowed.min(OBJECT_STREAM_BYTES)),
        force_reconstruct: scan,
        ..LoadOptions::default()
    }
}

fn without_images(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    if let Object::Stream(stream) = object
        && named(&stream.dict, b"Subtype", &[b"Image"])
    {
        // An empty stream would be looked for again.
        stream.content = vec![0];
    }
    without_structure(id, object)
}

/// Links within the document and the structure tree, which tagged and linked documents have more of
/// than of text.
fn without_structure(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    match object {
        Object::Dictionary(dict) if named(dict, b"Subtype", &[b"Link"]) => {
            links::packed(dict).map(|link| (id, link))
        }
        Object::Dictionary(dict) if named(dict, b"Type", &[b"StructElem"]) => None,
        // The library keeps a stream where it is, and only asks whether it is wanted.
        Object::Stream(_) => Some((id, Object::Null)),
        other => Some((id, other.clone())),
    }
}

fn named(dict: &Dictionary, key: &[u8], names: &[&[u8]]) -> bool {
    let found = dict.get(key).and_then(Object::as_name);
    found.is_ok_and(|name| names.contains(&name))
}

/// A file cut off before its catalog still holds pages. With a header and an empty catalog
/// around it the scan for objects goes through, and the pages are found by their type.
fn rescue(bytes: &[u8], budget: &Budget) -> Option<Document> {
    if !bytes
        .windows(5)
        .any(|w| w == b" obj\n" || w == b" obj\r" || w == b" obj<" || w == b" obj ")
    {
        return None;
    }
    let mut whole = Vec::with_capacity(bytes.len().saturating_add(256));
    whole.extend_from_slice(b"%PDF-1.4\n");
    whole.extend_from_slice(bytes);
    whole.extend_from_slice(
        format!(
            "\nendstream\nendobj\n{RESCUE_CATALOG} 0 obj\n<</Type/Catalog>>\nendobj\n\
             trailer\n<</Size {size}/Root {RESCUE_CATALOG} 0 R>>\nstartxref\n0\n%%EOF\n",
            size = RESCUE_CATALOG + 1,
        )
        .as_bytes(),
    );
    load_by_scan(&whole, budget)
}

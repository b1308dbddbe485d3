//! Opening a file with the object library, and what is tried where that fails.

use lopdf::{Dictionary, Document, FilterFunc, LoadOptions, Object, ObjectId};

use super::objects::parse_error;
use super::{compact, links, salvage, streams};
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

/// A document with the file that its larger streams rest in.
pub(super) struct Loaded<'b> {
    pub(super) document: Document,
    pub(super) file: &'b [u8],
}

/// Opens a document, decrypted where the empty password does it.
pub(super) fn load<'b>(
    bytes: &'b [u8],
    keep: Keep,
    budget: &Budget,
) -> Result<Loaded<'b>, ParseError> {
    budget.check_file(bytes.len() as u64)?;
    budget.check_clock()?;
    let filter = match keep {
        Keep::Text => Some(text_only as FilterFunc),
        Keep::Images => Some(text_and_images as FilterFunc),
        Keep::Everything => None,
    };
    let document = match open(bytes, filter, budget)? {
        Some(document) => document,
        // A stream is not where it should be: it stays in memory like all others.
        None => open(bytes, None, budget)?.unwrap_or_default(),
    };
    budget.check_clock()?;
    if document.trailer.has(b"Encrypt") {
        return Err(ParseError::Encrypted {
            format: Format::Pdf,
        });
    }
    Ok(Loaded {
        document,
        file: bytes,
    })
}

/// Loads a document; `None` where a stream that was left in the file cannot be found there.
fn open(
    bytes: &[u8],
    filter: Option<FilterFunc>,
    budget: &Budget,
) -> Result<Option<Document>, ParseError> {
    let options = LoadOptions {
        filter,
        ..options(budget, false)
    };
    let mut document = match Document::load_mem_with_options(bytes, options) {
        Ok(document) => document,
        Err(error) => match parse_error(error, budget) {
            error @ ParseError::Damaged { .. } => {
                return rescue(bytes, budget).map(Some).ok_or(error);
            }
            error => return Err(error),
        },
    };
    salvage::missing(&mut document, bytes, budget)?;
    let found = streams::find(&mut document, bytes);
    compact::settle(&mut document);
    Ok(found.then_some(document))
}

/// Opens a document by scanning the file for objects, whatever its tables say.
pub(super) fn load_by_scan<'b>(bytes: &'b [u8], budget: &Budget) -> Option<Loaded<'b>> {
    let document = scan(bytes, budget)?;
    Some(Loaded {
        document,
        file: bytes,
    })
}

fn scan(bytes: &[u8], budget: &Budget) -> Option<Document> {
    budget.check_clock().ok()?;
    let mut document = Document::load_mem_with_options(bytes, options(budget, true)).ok()?;
    if document.trailer.has(b"Encrypt") {
        return None;
    }
    salvage::missing(&mut document, bytes, budget).ok()?;
    streams::find(&mut document, bytes);
    Some(document)
}

fn options(budget: &Budget, scan: bool) -> LoadOptions {
    let allowed = usize::try_from(budget.limits().decompressed_bytes).unwrap_or(usize::MAX);
    LoadOptions {
        max_decompressed_size: Some(allowed.min(OBJECT_STREAM_BYTES)),
        force_reconstruct: scan,
        ..LoadOptions::default()
    }
}

fn text_only(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    if let Object::Stream(stream) = object
        && named(&stream.dict, b"Subtype", &[b"Image"])
    {
        // An empty stream would be looked for again.
        stream.content = vec![0];
    }
    text_and_images(id, object)
}

/// Leaves out links within the document and the structure tree, which tagged and linked documents
/// have more of than of text.
///
/// The library takes what comes back for an object out of an object stream, and of any other only
/// whether something does: that one stays as it is left here.
fn text_and_images(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    match object {
        Object::Stream(stream) => {
            // The library goes on to unpack those that hold objects.
            if !stream.dict.has_type(b"ObjStm") {
                streams::give_up(stream);
            }
            compact::object(object);
            return Some((id, Object::Null));
        }
        object if is_structure(object) => return None,
        Object::Dictionary(dict) if named(dict, b"Subtype", &[b"Link"]) => {
            *object = links::packed(dict)?;
        }
        _ => compact::object(object),
    }
    Some((id, object.clone()))
}

/// Whether an object is an element of the structure tree.
pub(super) fn is_structure(object: &Object) -> bool {
    matches!(object, Object::Dictionary(dict) if named(dict, b"Type", &[b"StructElem"]))
}

pub(super) fn named(dict: &Dictionary, key: &[u8], names: &[&[u8]]) -> bool {
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
    scan(&whole, budget)
}

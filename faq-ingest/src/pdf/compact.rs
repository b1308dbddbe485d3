//! Loaded objects in as little memory as the object library's form of them takes: a number is a
//! hundred bytes and more there, and lists have room for as many again.

use std::collections::HashSet;

use lopdf::{Dictionary, Document, Object, ObjectId};

use super::load::named;

/// Entries of a page that are read.
const OF_PAGES: [&[u8]; 7] = [
    b"Type",
    b"Parent",
    b"Resources",
    b"MediaBox",
    b"Rotate",
    b"Contents",
    b"Annots",
];
/// Levels of nesting that are gone into.
const DEPTH: usize = 16;

/// Gives back the room that is left in an object, and what is not read of a page.
pub(super) fn object(object: &mut Object) {
    if let Object::Dictionary(dict) = object
        && named(dict, b"Type", &[b"Page"])
        && !dict.has(b"Kids")
    {
        let all = std::mem::take(dict);
        *dict = all
            .into_iter()
            .filter(|(key, _)| OF_PAGES.contains(&key.as_slice()))
            .collect();
    }
    shrink(object, DEPTH);
}

fn shrink(object: &mut Object, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    match object {
        Object::Array(items) => {
            items.shrink_to_fit();
            for item in items {
                shrink(item, depth);
            }
        }
        Object::Dictionary(dict) => shrink_all(dict, depth),
        Object::Stream(stream) => shrink_all(&mut stream.dict, depth),
        _ => {}
    }
}

fn shrink_all(dict: &mut Dictionary, depth: usize) {
    for (_, value) in dict {
        shrink(value, depth);
    }
}

/// Gives back what only loading needed, and references to annotations that were left out.
pub(super) fn settle(document: &mut Document) {
    let is_loading = |object: &Object| {
        object
            .as_stream()
            .is_ok_and(|s| s.dict.has_type(b"ObjStm") || s.dict.has_type(b"XRef"))
    };
    document.objects.retain(|_, object| !is_loading(object));
    let list_of = |(id, object): (&ObjectId, &Object)| match object.as_dict().ok()?.get(b"Annots") {
        Ok(Object::Array(_)) => Some(*id),
        Ok(Object::Reference(list)) => Some(*list),
        _ => None,
    };
    let lists: HashSet<ObjectId> = document.objects.iter().filter_map(list_of).collect();
    for id in lists {
        let Some(mut list) = list_in(document, id).map(std::mem::take) else {
            continue;
        };
        list.retain(|item| match item {
            Object::Reference(id) => document.objects.contains_key(id),
            _ => true,
        });
        list.shrink_to_fit();
        if let Some(place) = list_in(document, id) {
            *place = list;
        }
    }
}

/// The list of annotations that an object is, or that it has as a page.
fn list_in(document: &mut Document, id: ObjectId) -> Option<&mut Vec<Object>> {
    match document.objects.get_mut(&id)? {
        Object::Array(list) => Some(list),
        Object::Dictionary(page) => page.get_mut(b"Annots").ok()?.as_array_mut().ok(),
        _ => None,
    }
}

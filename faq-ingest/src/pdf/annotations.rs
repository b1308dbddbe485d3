//! Lists of annotations, each read once for all pages that share it.

use std::collections::HashMap;
use std::rc::Rc;

use lopdf::{Dictionary, Object};

use super::links::{self, Areas};
use super::objects::Source;
use crate::ParseError;

/// Entries of the lists that are kept for the next page; a list of its own for each page is not
/// worth more.
const KEPT: usize = 1 << 16;

/// What the pages that show a list need of it.
#[derive(Default)]
pub(super) struct Annotations<'a> {
    /// Those whose appearance is part of the page: form fields, typed notes, stamps.
    pub(super) shown: Vec<&'a Dictionary>,
    pub(super) links: Areas,
}

impl<'a> Annotations<'a> {
    fn read(source: &Source<'a>, list: &'a [Object]) -> Result<Self, ParseError> {
        source.look_at(list.len())?;
        let mut read = Self::default();
        for item in list {
            source.budget.tick()?;
            if let Some(link) = links::link(source, item) {
                read.links.add(source, &link);
            } else if let Some(annotation) = source.dict(item)
                && is_shown(source, annotation)
            {
                read.shown.push(annotation);
            }
        }
        Ok(read)
    }
}

fn is_shown<'a>(source: &Source<'a>, annotation: &'a Dictionary) -> bool {
    let kind = source.get_name(annotation, b"Subtype");
    let flags = source.get_number(annotation, b"F").unwrap_or(0.0) as i64;
    // Neither hidden nor kept from view.
    matches!(kind, Some(b"Widget" | b"FreeText" | b"Stamp")) && flags & 0x22 == 0
}

/// Lists by the address of their array, which is fixed while the document is read.
#[derive(Default)]
pub(super) struct AnnotationCache<'a> {
    lists: HashMap<usize, Rc<Annotations<'a>>>,
    entries: usize,
}

impl<'a> AnnotationCache<'a> {
    /// The annotations of a page.
    pub(super) fn of(
        &mut self,
        source: &Source<'a>,
        page: &'a Dictionary,
    ) -> Result<Rc<Annotations<'a>>, ParseError> {
        let Some(list) = source.get_array(page, b"Annots") else {
            return Ok(Rc::default());
        };
        let key = list.as_ptr() as usize;
        if let Some(known) = self.lists.get(&key).filter(|_| !list.is_empty()) {
            return Ok(Rc::clone(known));
        }
        let read = Rc::new(Annotations::read(source, list)?);
        self.entries = self.entries.saturating_add(list.len());
        if self.entries > KEPT {
            self.lists.clear();
            self.entries = list.len();
        }
        self.lists.insert(key, Rc::clone(&read));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lopdf::{Document, dictionary};

    use super::*;
    use crate::pdf::load::Loaded;
    use crate::pdf::objects::Account;
    use crate::pdf::pages;
    use crate::{Budget, ParseOptions};

    /// Pages that share these lists of annotations in turn.
    fn document(pages: usize, lists: Vec<Vec<Object>>) -> Document {
        let mut document = Document::with_version("1.4");
        let lists: Vec<Object> = lists
            .into_iter()
            .map(|list| document.add_object(list).into())
            .collect();
        let kids: Vec<Object> = (0..pages)
            .map(|at| {
                let annots = lists[at % lists.len()].clone();
                let page = dictionary! { "Type" => "Page", "Annots" => annots };
                document.add_object(page).into()
            })
            .collect();
        let tree = document.add_object(dictionary! { "Type" => "Pages", "Kids" => kids });
        let catalog = document.add_object(dictionary! { "Pages" => tree });
        document.trailer.set("Root", catalog);
        document
    }

    fn links(count: usize) -> Vec<Object> {
        let link = dictionary! {
            "Subtype" => "Link",
            "Rect" => vec![1.into(), 2.into(), 3.into(), 4.into()],
            "A" => dictionary! { "URI" => Object::string_literal("https://a.example") },
        };
        vec![link.into(); count]
    }

    fn looked_at(document: Document) -> Result<u64, ParseError> {
        let loaded = Loaded {
            document,
            file: &[],
        };
        let account = Account::default();
        let budget = Budget::new(&ParseOptions::default());
        pages::read(&loaded, &budget, &account)?;
        Ok(account.annotations())
    }

    #[test]
    fn a_list_that_all_pages_share_is_read_once() {
        assert_eq!(looked_at(document(300, vec![links(200)])).unwrap(), 200);
        let seven = vec![links(50); 7];
        assert_eq!(looked_at(document(300, seven)).unwrap(), 350);
    }

    #[test]
    fn lists_too_long_to_keep_are_counted_each_time() {
        let long = vec![Object::Null; 40_000];
        let refused = looked_at(document(300, vec![long.clone(), long]));
        assert!(
            matches!(&refused, Err(ParseError::Limit { limit, .. }) if limit == "annotations"),
            "{refused:?}"
        );
    }
}

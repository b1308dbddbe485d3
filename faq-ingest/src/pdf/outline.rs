//! The outline (bookmarks): titles with their depth, by which headings are known for certain.

use std::collections::{HashMap, HashSet};

use lopdf::{Dictionary, Object, ObjectId};

use super::encoding;
use super::objects::Source;
use crate::ParseError;

/// Most entries that are read; a book has some thousands.
const MAX_ENTRIES: usize = 50_000;
/// Longest title that is compared, in characters.
const LONGEST: usize = 300;

/// Titles as they are compared: letters and digits alone, in small letters.
#[derive(Debug, Default)]
pub(super) struct Outline {
    levels: HashMap<String, u8>,
}

impl Outline {
    pub(super) fn read(source: &Source<'_>) -> Result<Self, ParseError> {
        let mut outline = Self::default();
        let root = source
            .doc
            .trailer
            .get(b"Root")
            .ok()
            .and_then(|o| source.dict(o))
            .and_then(|catalog| source.get_dict(catalog, b"Outlines"));
        let Some(root) = root else {
            return Ok(outline);
        };
        let mut seen: HashSet<ObjectId> = HashSet::new();
        let link =
            |dict: &Dictionary, key: &[u8]| dict.get(key).and_then(Object::as_reference).ok();
        let mut todo: Vec<(ObjectId, u8)> =
            link(root, b"First").map(|id| (id, 1)).into_iter().collect();
        while let Some((id, level)) = todo.pop() {
            source.budget.tick()?;
            if !seen.insert(id) || seen.len() > MAX_ENTRIES {
                continue;
            }
            let Ok(Object::Dictionary(entry)) = source.doc.get_object(id) else {
                continue;
            };
            if let Some(next) = link(entry, b"Next") {
                todo.push((next, level));
            }
            if let Some(first) = link(entry, b"First") {
                todo.push((first, level.saturating_add(1)));
            }
            let title = entry
                .get(b"Title")
                .ok()
                .and_then(|o| source.doc.dereference(o).ok())
                .and_then(|(_, o)| lopdf::decode_text_string(o).ok());
            if let Some(key) = title
                .map(|t| key(&encoding::clean(&t)))
                .filter(|k| k.len() > 1)
            {
                let known = outline.levels.entry(key).or_insert(level);
                *known = (*known).min(level);
            }
        }
        Ok(outline)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The depth, from 1, at which `text` stands in the outline. A number before either of the
    /// two (`3.1`, `Chapter 3.`) makes no difference.
    pub(super) fn level(&self, text: &str) -> Option<u8> {
        if self.is_empty() || text.chars().count() > LONGEST {
            return None;
        }
        let whole = key(text);
        self.levels
            .get(&whole)
            .or_else(|| {
                let bare = key(without_number(text));
                (bare.len() > 3 && bare != whole)
                    .then(|| self.levels.get(&bare))
                    .flatten()
            })
            .copied()
    }
}

fn key(title: &str) -> String {
    title
        .chars()
        .take(LONGEST + 1)
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// A title without what counts it: `2.1 Scope` and `Chapter 2. Scope` are `Scope`.
fn without_number(text: &str) -> &str {
    let mut rest = text.trim_start();
    for _ in 0..2 {
        let word = rest.split_whitespace().next().unwrap_or_default();
        let counts = word.chars().any(|c| c.is_ascii_digit())
            && word
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '.' | ':' | ')' | '(' | '-'))
            || word.len() == 2 && word.ends_with('.');
        if counts {
            return rest[word.len()..].trim_start();
        }
        rest = rest[word.len()..].trim_start();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_found_with_and_without_their_numbers() {
        let mut outline = Outline::default();
        outline.levels.insert(key("Roles and duties"), 2);
        outline.levels.insert(key("1.2 Scope"), 3);
        assert_eq!(outline.level("Roles and duties"), Some(2));
        assert_eq!(outline.level("Chapter 2. Roles and duties"), Some(2));
        assert_eq!(outline.level("2.1 Roles and  duties"), Some(2));
        assert_eq!(outline.level("1.2. Scope"), Some(3));
        assert_eq!(outline.level("Roles and duties of nobody"), None);
    }
}

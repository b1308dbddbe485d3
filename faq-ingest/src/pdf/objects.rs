//! Reading a loaded document's objects: references followed, streams decoded against the
//! parse's budget, the page tree walked.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use lopdf::{DecompressError, Dictionary, Document, Object, ObjectId, Stream};

use super::geometry::Rect;
use super::load::Loaded;
use super::streams;
use crate::limits::Budget;
use crate::{Format, ParseError};

/// Bytes that reading a stream counts for at least: there may be millions of references to an
/// empty one.
const LEAST_COST: usize = 64;
/// Entries of lists of annotations that are looked at in one document. Pages may share a list,
/// and a document of the largest size holds fewer by far.
const MOST_ANNOTATIONS: u64 = 1 << 23;

/// A loaded document, and what reading it has come to.
pub(super) struct Source<'a> {
    pub(super) doc: &'a Document,
    pub(super) budget: &'a Budget,
    /// The file, in which streams stand that are not in memory.
    file: &'a [u8],
    account: &'a Account,
}

/// What was read of a document so far, on all of the threads that read it.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Bytes that streams unpacked to.
    unpacked: AtomicU64,
    /// Entries of lists of annotations.
    annotations: AtomicU64,
}

#[cfg(test)]
impl Account {
    /// Annotations that were looked at.
    pub(super) fn annotations(&self) -> u64 {
        self.annotations.load(Ordering::Relaxed)
    }
}

/// Bytes, and the name and parameters of the codec that they are still packed with.
pub(super) type Packed = (Vec<u8>, Option<(Vec<u8>, Option<Dictionary>)>);

/// One page with what it inherits from the page tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageEntry<'a> {
    pub(super) dict: &'a Dictionary,
    pub(super) resources: Option<&'a Dictionary>,
    pub(super) media_box: Rect,
    /// Clockwise turn in quarters, 0 to 3.
    pub(super) quarter_turns: u8,
}

#[derive(Clone, Copy)]
struct Inherited<'a> {
    resources: Option<&'a Dictionary>,
    media_box: Option<Rect>,
    rotate: Option<f32>,
}

impl<'a> Source<'a> {
    pub(super) fn new(loaded: &'a Loaded<'_>, budget: &'a Budget, account: &'a Account) -> Self {
        Self {
            doc: &loaded.document,
            budget,
            file: loaded.file,
            account,
        }
    }

    /// Follows references; an object that is missing or refers to itself is null.
    pub(super) fn resolve(&self, object: &'a Object) -> &'a Object {
        match self.doc.dereference(object) {
            Ok((_, found)) => found,
            Err(_) => &Object::Null,
        }
    }

    pub(super) fn get(&self, dict: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
        match self.resolve(dict.get(key).ok()?) {
            Object::Null => None,
            found => Some(found),
        }
    }

    pub(super) fn dict(&self, object: &'a Object) -> Option<&'a Dictionary> {
        match self.resolve(object) {
            Object::Dictionary(d) => Some(d),
            Object::Stream(s) => Some(&s.dict),
            _ => None,
        }
    }

    pub(super) fn get_dict(&self, dict: &'a Dictionary, key: &[u8]) -> Option<&'a Dictionary> {
        self.dict(dict.get(key).ok()?)
    }

    pub(super) fn get_stream(&self, dict: &'a Dictionary, key: &[u8]) -> Option<&'a Stream> {
        self.get(dict, key)?.as_stream().ok()
    }

    pub(super) fn get_array(&self, dict: &'a Dictionary, key: &[u8]) -> Option<&'a [Object]> {
        self.get(dict, key)?.as_array().ok().map(Vec::as_slice)
    }

    pub(super) fn get_name(&self, dict: &'a Dictionary, key: &[u8]) -> Option<&'a [u8]> {
        self.get(dict, key)?.as_name().ok()
    }

    pub(super) fn get_number(&self, dict: &'a Dictionary, key: &[u8]) -> Option<f32> {
        self.number(dict.get(key).ok()?)
    }

    pub(super) fn number(&self, object: &'a Object) -> Option<f32> {
        let value = self.resolve(object).as_float().ok()?;
        value.is_finite().then_some(value)
    }

    /// An array of numbers, or `None` where an element is something else.
    pub(super) fn get_numbers(&self, dict: &'a Dictionary, key: &[u8]) -> Option<Vec<f32>> {
        let array = self.get_array(dict, key)?;
        if array.len() > 64 {
            return None;
        }
        array.iter().map(|o| self.number(o)).collect()
    }

    /// The decoded bytes of a stream. A stream that cannot be decoded is empty.
    pub(super) fn data(&self, stream: &Stream) -> Result<Vec<u8>, ParseError> {
        self.budget.check_clock()?;
        let allowed = self.budget.limits().decompressed_bytes;
        let left = allowed.saturating_sub(self.account.unpacked.load(Ordering::Relaxed));
        let cap = usize::try_from(left).unwrap_or(usize::MAX);
        let content = streams::content(stream, self.file);
        let data = match self
            .coded(stream, content)
            .decompressed_content_with_limit(cap)
        {
            Ok(data) => data,
            Err(lopdf::Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) => {
                return Err(ParseError::limit(
                    "decompressed size",
                    allowed.saturating_add(1),
                    allowed,
                    "bytes",
                ));
            }
            Err(_) if stream.dict.has(b"Filter") => Vec::new(),
            Err(_) => content.to_vec(),
        };
        self.spend(data.len().max(LEAST_COST))?;
        Ok(data)
    }

    /// Counts bytes that are read, whether they were unpacked for it or before.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), ParseError> {
        let bytes = bytes as u64;
        let before = self.account.unpacked.fetch_add(bytes, Ordering::Relaxed);
        self.budget.check_decompressed(before.saturating_add(bytes))
    }

    /// Counts annotations that are looked at.
    pub(super) fn look_at(&self, annotations: usize) -> Result<(), ParseError> {
        let own = annotations as u64;
        let before = self.account.annotations.fetch_add(own, Ordering::Relaxed);
        let looked = before.saturating_add(own);
        if looked > MOST_ANNOTATIONS {
            return Err(ParseError::limit(
                "annotations",
                looked,
                MOST_ANNOTATIONS,
                "annotations",
            ));
        }
        Ok(())
    }

    /// A stream of these bytes and of nothing but what unpacks them, references followed.
    fn coded(&self, stream: &Stream, content: &[u8]) -> Stream {
        let direct = |o: &Object| match self.doc.dereference(o) {
            Ok((_, found)) => found.clone(),
            Err(_) => Object::Null,
        };
        let mut dict = Dictionary::new();
        for key in [b"Filter".as_slice(), b"DecodeParms"] {
            let Ok(value) = stream.dict.get(key) else {
                continue;
            };
            let value = match direct(value) {
                Object::Array(items) => Object::Array(items.iter().map(direct).collect()),
                other => other,
            };
            dict.set(key, value);
        }
        Stream {
            dict,
            content: content.to_vec(),
            allows_compression: true,
            start_position: None,
        }
    }

    /// The bytes of an image's stream with everything unpacked but a codec of images, and that
    /// codec's name and parameters. Empty where they cannot be unpacked.
    pub(super) fn packed(&self, stream: &Stream) -> Result<Packed, ParseError> {
        let mut stream = self.coded(stream, streams::content(stream, self.file));
        let list = |value: Result<&Object, _>| match value {
            Ok(Object::Array(items)) => items.clone(),
            Ok(Object::Null) | Err(_) => Vec::new(),
            Ok(one) => vec![one.clone()],
        };
        let mut filters = list(stream.dict.get(b"Filter"));
        let mut parameters = list(stream.dict.get(b"DecodeParms"));
        parameters.resize(filters.len(), Object::Null);
        let is_codec = |o: &Object| {
            matches!(
                o.as_name(),
                Ok(b"DCTDecode"
                    | b"DCT"
                    | b"JPXDecode"
                    | b"JBIG2Decode"
                    | b"CCITTFaxDecode"
                    | b"CCF")
            )
        };
        let codec = filters.last().is_some_and(is_codec).then(|| {
            let name = filters
                .pop()
                .and_then(|o| o.as_name().map(<[u8]>::to_vec).ok());
            let parameters = parameters.pop().and_then(|o| o.as_dict().cloned().ok());
            (name.unwrap_or_default(), parameters)
        });
        if filters.is_empty() {
            stream.dict.remove(b"Filter");
            stream.dict.remove(b"DecodeParms");
        } else {
            stream.dict.set("Filter", Object::Array(filters));
            stream.dict.set("DecodeParms", Object::Array(parameters));
        }
        Ok((self.data(&stream)?, codec))
    }

    /// Pages in reading order. Cycles and pages that are listed twice by a cycle are cut.
    pub(super) fn pages(&self) -> Result<Vec<PageEntry<'a>>, ParseError> {
        let mut pages = Vec::new();
        let root = self
            .doc
            .trailer
            .get(b"Root")
            .ok()
            .and_then(|o| self.dict(o))
            .and_then(|catalog| catalog.get(b"Pages").ok());
        if let Some(root) = root {
            self.walk(root, &mut pages)?;
        }
        if pages.is_empty() {
            self.loose_pages(&mut pages)?;
        }
        Ok(pages)
    }

    fn walk(&self, root: &'a Object, pages: &mut Vec<PageEntry<'a>>) -> Result<(), ParseError> {
        let none = Inherited {
            resources: None,
            media_box: None,
            rotate: None,
        };
        let mut seen: HashSet<ObjectId> = HashSet::new();
        // Lists of kids by their addresses: branches may share one.
        let mut lists: HashSet<*const Object> = HashSet::new();
        let mut stack = vec![(root, none, 0usize)];
        while let Some((object, inherited, depth)) = stack.pop() {
            self.budget.tick()?;
            self.budget.check_depth(depth)?;
            if let Object::Reference(id) = object
                && !seen.insert(*id)
            {
                continue;
            }
            let Some(node) = self.dict(object) else {
                continue;
            };
            let own = self.inherit(node, inherited);
            match self.get_array(node, b"Kids") {
                Some(kids) if self.get_name(node, b"Type") != Some(b"Page") => {
                    if !lists.insert(kids.as_ptr()) {
                        continue;
                    }
                    for kid in kids.iter().rev() {
                        self.budget.tick()?;
                        stack.push((kid, own, depth + 1));
                    }
                }
                _ => {
                    self.budget.check_pages(pages.len().saturating_add(1))?;
                    pages.push(page_entry(node, own));
                }
            }
        }
        Ok(())
    }

    /// Pages of a document whose page tree is lost, in the order of their object numbers.
    fn loose_pages(&self, pages: &mut Vec<PageEntry<'a>>) -> Result<(), ParseError> {
        for object in self.doc.objects.values() {
            self.budget.tick()?;
            let Object::Dictionary(dict) = object else {
                continue;
            };
            if self.get_name(dict, b"Type") != Some(b"Page") {
                continue;
            }
            let parent = self.get_dict(dict, b"Parent");
            let none = Inherited {
                resources: None,
                media_box: None,
                rotate: None,
            };
            let above = parent.map_or(none, |p| self.inherit(p, none));
            self.budget.check_pages(pages.len().saturating_add(1))?;
            pages.push(page_entry(dict, self.inherit(dict, above)));
        }
        Ok(())
    }

    fn inherit(&self, node: &'a Dictionary, from: Inherited<'a>) -> Inherited<'a> {
        let media_box = self
            .get_numbers(node, b"MediaBox")
            .and_then(|v| Rect::from_corners(&v))
            .filter(|r| r.width() > 1.0 && r.height() > 1.0);
        Inherited {
            resources: self.get_dict(node, b"Resources").or(from.resources),
            media_box: media_box.or(from.media_box),
            rotate: self.get_number(node, b"Rotate").or(from.rotate),
        }
    }

    /// The string entries of the Info dictionary are text in one of two encodings.
    pub(super) fn info_text(&self, key: &[u8]) -> Option<String> {
        let info = self.dict(self.doc.trailer.get(b"Info").ok()?)?;
        let text = lopdf::decode_text_string(self.get(info, key)?).ok()?;
        Some(text)
    }
}

fn page_entry<'a>(dict: &'a Dictionary, own: Inherited<'a>) -> PageEntry<'a> {
    let turns = (own.rotate.unwrap_or(0.0) / 90.0).round();
    let quarter_turns = if turns.abs() < 1.0e6 {
        (turns as i64).rem_euclid(4) as u8
    } else {
        0
    };
    PageEntry {
        dict,
        resources: own.resources,
        media_box: own.media_box.unwrap_or(Rect::LETTER),
        quarter_turns,
    }
}

/// An error of the object library as one of ours.
pub(super) fn parse_error(error: lopdf::Error, budget: &Budget) -> ParseError {
    match error {
        lopdf::Error::Decompress(DecompressError::MemoryLimitExceeded { limit }) => {
            ParseError::limit(
                "decompressed size",
                (limit as u64).saturating_add(1),
                budget.limits().decompressed_bytes,
                "bytes",
            )
        }
        lopdf::Error::InvalidPassword
        | lopdf::Error::UnsupportedSecurityHandler(_)
        | lopdf::Error::Decryption(lopdf::encryption::DecryptionError::IncorrectPassword) => {
            ParseError::Encrypted {
                format: Format::Pdf,
            }
        }
        other => ParseError::damaged(Format::Pdf, other),
    }
}

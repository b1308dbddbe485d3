//! Objects that the object library gives up for one token that no object may hold, such as a
//! number `9e99`, read again by rules that every reader of PDFs has: what cannot be read is null,
//! and what is no value is passed over.

use lopdf::xref::XrefEntry;
use lopdf::{Dictionary, Document, Object, ObjectId, Stream, StringFormat};

use super::lexer::{Lexer, Operand, Token};
use super::load::is_structure;
use crate::ParseError;
use crate::detect::find;
use crate::limits::Budget;

/// Arrays and dictionaries nested deeper than this are taken as part of the one around them.
const MAX_DEPTH: usize = 32;
/// Bytes of an object in which is looked for what would have it left out.
const HEAD: usize = 1_024;

/// Puts in the objects that the table of `document` has and the document has not, and those streams
/// whose bytes it could not tell from what follows them.
pub(super) fn missing(
    document: &mut Document,
    file: &[u8],
    budget: &Budget,
) -> Result<(), ParseError> {
    if document.encryption_state.is_some() {
        return Ok(());
    }
    let first = find(file, b"%PDF-").unwrap_or(0);
    let normal = |(&number, entry): (&u32, &XrefEntry)| match *entry {
        XrefEntry::Normal { offset, generation } => {
            Some((first.saturating_add(offset as usize), (number, generation)))
        }
        _ => None,
    };
    let entries = &document.reference_table.entries;
    let lost = |id: &ObjectId| match document.objects.get(id) {
        Some(Object::Stream(stream)) => {
            stream.content.is_empty() && stream.start_position.is_some()
        }
        Some(_) => false,
        None => true,
    };
    let mut found: Vec<(usize, ObjectId)> = entries.iter().filter_map(normal).collect();
    if !found.iter().any(|(_, id)| lost(id)) {
        return Ok(());
    }
    found.sort_unstable();
    let mut salvaged = Vec::new();
    for (at, &(start, id)) in found.iter().enumerate() {
        budget.tick()?;
        // An object ends before the next one begins, so that all together are read once.
        let next = found[at + 1..].iter().find(|(next, _)| *next > start);
        let end = next.map_or(file.len(), |(next, _)| (*next).min(file.len()));
        let Some(data) = file.get(start..end).filter(|_| lost(&id)) else {
            continue;
        };
        let head = &data[..data.len().min(HEAD)];
        if find(head, b"/StructElem").is_none() && find(head, b"/Link").is_none() {
            salvaged.extend(object(document, data, id, budget)?.map(|object| (id, object)));
        }
    }
    salvaged.retain(|(_, object)| !is_structure(object));
    document.objects.extend(salvaged);
    Ok(())
}

/// The object `id` that `data` begins with.
fn object(
    document: &Document,
    data: &[u8],
    id: ObjectId,
    budget: &Budget,
) -> Result<Option<Object>, ParseError> {
    let mut reader = Reader {
        data,
        pos: 0,
        budget,
    };
    let header = [reader.leaf(), reader.leaf(), reader.leaf()];
    let [
        Leaf::Value(Object::Integer(number)),
        Leaf::Value(Object::Integer(_)),
        Leaf::Word(b"obj"),
    ] = header
    else {
        return Ok(None);
    };
    if number != i64::from(id.0) {
        return Ok(None);
    }
    let Some(value) = reader.value(0)? else {
        return Ok(None);
    };
    let Object::Dictionary(dict) = value else {
        return Ok(Some(value));
    };
    if !matches!(reader.leaf(), Leaf::Word(b"stream")) {
        return Ok(Some(Object::Dictionary(dict)));
    }
    let content = content(document, &dict, &data[reader.pos..]);
    Ok(Some(Object::Stream(Stream {
        content: content.to_vec(),
        dict,
        allows_compression: true,
        start_position: None,
    })))
}

/// The data of a stream: as long as it says, where that is true, else up to its end mark.
fn content<'d>(document: &Document, dict: &Dictionary, rest: &'d [u8]) -> &'d [u8] {
    let data = rest.strip_prefix(b"\r").unwrap_or(rest);
    let data = data.strip_prefix(b"\n").unwrap_or(data);
    let length = dict.get(b"Length").and_then(|o| document.dereference(o));
    let length = length.and_then(|(_, o)| o.as_i64());
    if let Some((content, after)) = length
        .ok()
        .and_then(|n| data.split_at_checked(usize::try_from(n).ok()?))
        && after.trim_ascii_start().starts_with(b"endstream")
    {
        return content;
    }
    let end = find(data, b"endstream").unwrap_or(data.len());
    let content = &data[..end];
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    content.strip_suffix(b"\r").unwrap_or(content)
}

struct Reader<'d, 'b> {
    data: &'d [u8],
    pos: usize,
    budget: &'b Budget,
}

/// What stands next.
enum Leaf<'d> {
    Value(Object),
    /// A keyword, or a mark that opens or closes.
    Word(&'d [u8]),
    End,
}

impl<'d> Reader<'d, '_> {
    fn leaf(&mut self) -> Leaf<'d> {
        let rest = &self.data[self.pos.min(self.data.len())..];
        let skipped = Lexer::new(rest).space();
        let rest = &rest[skipped..];
        self.pos += skipped;
        let mark = match rest {
            [b'<', b'<', ..] | [b'>', b'>', ..] => 2,
            [b'[' | b']' | b'{' | b'}' | b')' | b'>', ..] => 1,
            [] => return Leaf::End,
            _ => 0,
        };
        if mark > 0 {
            self.pos += mark;
            return Leaf::Word(&rest[..mark]);
        }
        let mut lexer = Lexer::new(rest);
        let Some(token) = lexer.next_token() else {
            return Leaf::End;
        };
        let read = lexer.position();
        self.pos += read;
        match token {
            Token::Operator(b"true") => Leaf::Value(Object::Boolean(true)),
            Token::Operator(b"false") => Leaf::Value(Object::Boolean(false)),
            Token::Operator(b"null") => Leaf::Value(Object::Null),
            Token::Operator(word) => Leaf::Word(word),
            Token::Operand(Operand::Name(name)) => Leaf::Value(Object::Name(name.into_owned())),
            Token::Operand(Operand::String(bytes)) => {
                Leaf::Value(Object::String(bytes.into_owned(), StringFormat::Literal))
            }
            Token::Operand(number) => Leaf::Value(whole(&rest[..read]).map_or_else(
                || number.number().map_or(Object::Null, Object::Real),
                Object::Integer,
            )),
        }
    }

    /// The next value, words that are none passed over; `None` where what is around it ends.
    fn value(&mut self, depth: usize) -> Result<Option<Object>, ParseError> {
        loop {
            self.budget.tick()?;
            let before = self.pos;
            match self.leaf() {
                Leaf::Value(Object::Integer(number)) => {
                    return Ok(Some(self.reference(number)));
                }
                Leaf::Value(value) => return Ok(Some(value)),
                Leaf::Word(b"<<") if depth < MAX_DEPTH => {
                    return self.dictionary(depth + 1).map(Some);
                }
                Leaf::Word(b"[") if depth < MAX_DEPTH => return self.array(depth + 1).map(Some),
                Leaf::Word(b"]" | b">>" | b"endobj" | b"stream" | b"obj") | Leaf::End => {
                    self.pos = before;
                    return Ok(None);
                }
                Leaf::Word(_) => {}
            }
        }
    }

    /// The reference that begins with `number`, or the number.
    fn reference(&mut self, number: i64) -> Object {
        let after = self.pos;
        if let Ok(object) = u32::try_from(number)
            && let Leaf::Value(Object::Integer(generation)) = self.leaf()
            && let Ok(generation) = u16::try_from(generation)
            && let Leaf::Word(b"R") = self.leaf()
        {
            return Object::Reference((object, generation));
        }
        self.pos = after;
        Object::Integer(number)
    }

    fn array(&mut self, depth: usize) -> Result<Object, ParseError> {
        let mut items = Vec::new();
        while let Some(item) = self.value(depth)? {
            items.push(item);
        }
        self.close(b"]");
        Ok(Object::Array(items))
    }

    fn dictionary(&mut self, depth: usize) -> Result<Object, ParseError> {
        let mut dict = Dictionary::new();
        let mut key = None;
        while let Some(value) = self.value(depth)? {
            match (value, key.take()) {
                (Object::Name(name), None) => key = Some(name),
                (value, Some(key)) => dict.set(key, value),
                (_, None) => {}
            }
        }
        self.close(b">>");
        Ok(Object::Dictionary(dict))
    }

    /// Takes the mark that ends what is read, where it is not missing.
    fn close(&mut self, mark: &[u8]) {
        let before = self.pos;
        if !matches!(self.leaf(), Leaf::Word(word) if word == mark) {
            self.pos = before;
        }
    }
}

fn whole(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

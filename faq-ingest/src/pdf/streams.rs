//! Where the bytes of streams rest: in the file, wherever they stand there as they are.
//!
//! The object library copies every stream out of the file, so that a document of pages and
//! nothing else takes its size twice. While it loads, each copy is given up for a mark; once it
//! has loaded, the bytes are looked for where the file has the object. Streams that had to be
//! decrypted keep what they have.

use lopdf::xref::XrefEntry;
use lopdf::{Document, Object, Stream};

use crate::detect;

/// Shorter streams are left as they are.
const LEAST: usize = 64;
/// Bytes of either end of a stream by which it is known again.
const END: usize = 24;
/// How far behind the start of its object a stream is looked for, and how often.
const REACH: usize = 64 * 1024;
const TRIES: usize = 8;
/// Stands for a place in the file that is still to be found.
const UNKNOWN: Option<usize> = Some(usize::MAX);

/// Gives up the bytes of a stream for their number and their two ends.
pub(super) fn give_up(stream: &mut Stream) {
    let content = &stream.content;
    if content.len() < LEAST {
        return;
    }
    let mut mark = content.len().to_le_bytes().to_vec();
    mark.extend_from_slice(&content[..END]);
    mark.extend_from_slice(&content[content.len() - END..]);
    stream.content = mark;
    stream.start_position = UNKNOWN;
}

/// Finds the bytes that were given up in the file; whether all were found.
pub(super) fn find(document: &mut Document, file: &[u8]) -> bool {
    let first = detect::find(file, b"%PDF-").unwrap_or(0);
    let table = &document.reference_table;
    for (id, object) in &mut document.objects {
        let Object::Stream(stream) = object else {
            continue;
        };
        if stream.start_position != UNKNOWN {
            stream.start_position = None;
            continue;
        }
        let place = match table.get(id.0) {
            Some(XrefEntry::Normal { offset, .. }) => place(
                &stream.content,
                file,
                first.saturating_add(*offset as usize),
            ),
            _ => None,
        };
        if place.is_none() {
            return false;
        }
        stream.start_position = place;
    }
    true
}

/// Number of bytes, and the first and last of them.
fn parts(mark: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (len, ends) = mark.split_first_chunk::<{ size_of::<usize>() }>()?;
    let (head, tail) = ends.split_at_checked(END)?;
    Some((usize::from_le_bytes(*len), head, tail))
}

/// Where the stream of this mark begins in the file, as that of the object that begins at
/// `object`.
fn place(mark: &[u8], file: &[u8], object: usize) -> Option<usize> {
    let (len, head, tail) = parts(mark)?;
    let end = object.saturating_add(REACH).min(file.len());
    let mut from = object;
    for _ in 0..TRIES {
        from += detect::find(file.get(from..end)?, b"stream")? + b"stream".len();
        let line_end = match file.get(from..)? {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        let start = from + line_end;
        let data = file.get(start..start.checked_add(len)?);
        if data.is_some_and(|data| data.starts_with(head) && data.ends_with(tail)) {
            return Some(start);
        }
    }
    None
}

/// The bytes of a stream, packed as they are.
pub(super) fn content<'s>(stream: &'s Stream, file: &'s [u8]) -> &'s [u8] {
    let in_file = || {
        let start = stream.start_position?;
        let (len, ..) = parts(&stream.content)?;
        file.get(start..start.checked_add(len)?)
    };
    in_file().unwrap_or(&stream.content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_stream_is_found_behind_a_dictionary_that_speaks_of_streams() {
        let data: Vec<u8> = (0..100).collect();
        let mut file = b"9 0 obj <</Downstream/stream/Length 100>>\nstream\r\n".to_vec();
        let start = file.len();
        file.extend_from_slice(&data);
        file.extend_from_slice(b"\nendstream");
        let mut stream = Stream::new(lopdf::Dictionary::new(), data.clone());
        give_up(&mut stream);
        assert!(stream.content.len() < LEAST);
        assert_eq!(place(&stream.content, &file, 0), Some(start));
        assert_eq!(place(&stream.content, &file, start), None);
        assert_eq!(place(&stream.content, &file[..start + 99], 0), None);
        stream.start_position = Some(start);
        assert_eq!(content(&stream, &file), data);
        let mut short = Stream::new(lopdf::Dictionary::new(), vec![7; LEAST - 1]);
        give_up(&mut short);
        assert_eq!(content(&short, &file), [7; LEAST - 1]);
    }
}

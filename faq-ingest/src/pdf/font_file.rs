//! Embedded font programs, read for one thing only: which characters their glyphs are, where
//! the document itself does not say. Outlines are never looked at.

use std::collections::HashMap;

use lopdf::{Dictionary, Object};

use super::encoding::{self, CodeTable};
use super::lexer::{Lexer, Operand, Token};
use super::objects::Source;
use crate::ParseError;

/// Most entries that are read of one table of a font program.
const MAX_ENTRIES: usize = 0x1_0000;

/// Standard strings 150 to 228 of the Compact Font Format; 1 to 149 are the standard
/// encoding's glyphs in the order of their codes.
const CFF_LATIN: &str =
    "¹¬µ™Ð½±Þ¼÷¦°þ¾²®−ð×³©ÁÂÄÀÅÃÇÉÊËÈÍÎÏÌÑÓÔÖÒÕŠÚÛÜÙÝŸŽáâäàåãçéêëèíîïìñóôöòõšúûüùýÿž";

/// Big-endian reads that answer `None` past the end.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn u8(self, at: usize) -> Option<usize> {
        self.0.get(at).map(|&b| usize::from(b))
    }

    fn u16(self, at: usize) -> Option<usize> {
        let b = self.0.get(at..at.checked_add(2)?)?;
        Some(usize::from(u16::from_be_bytes([b[0], b[1]])))
    }

    fn u32(self, at: usize) -> Option<usize> {
        let b = self.0.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
    }

    fn sized(self, at: usize, size: usize) -> Option<usize> {
        let b = self.0.get(at..at.checked_add(size)?)?;
        Some(b.iter().fold(0usize, |v, &b| v << 8 | usize::from(b)))
    }

    fn from(self, at: usize) -> Option<Self> {
        self.0.get(at..).map(Bytes)
    }

    fn range(self, start: usize, end: usize) -> Option<&'a [u8]> {
        self.0.get(start..end)
    }
}

/// The code table built into a Type 1 or a Compact Font Format program, where it has its own.
pub(super) fn built_in_table<'a>(
    source: &Source<'a>,
    descriptor: &'a Dictionary,
) -> Result<Option<CodeTable>, ParseError> {
    if let Some(stream) = source.get_stream(descriptor, b"FontFile") {
        return type1_table(source, &source.data(stream)?);
    }
    if let Some(stream) = source.get_stream(descriptor, b"FontFile3") {
        let data = source.data(stream)?;
        return Ok(Cff::open(&data).and_then(|cff| cff.code_table()));
    }
    Ok(None)
}

/// The text of each CID of a composite font's program.
pub(super) fn texts_by_cid<'a>(
    source: &Source<'a>,
    descendant: &'a Dictionary,
    descriptor: Option<&'a Dictionary>,
) -> Result<HashMap<u32, char>, ParseError> {
    let Some(stream) = descriptor.and_then(|d| source.get_stream(d, b"FontFile2")) else {
        return Ok(HashMap::new());
    };
    let data = source.data(stream)?;
    let by_glyph = truetype_characters(source, Bytes(&data))?;
    let Some(Object::Stream(map)) = source.get(descendant, b"CIDToGIDMap") else {
        return Ok(by_glyph);
    };
    let map = source.data(map)?;
    let mut texts = HashMap::new();
    for (cid, pair) in (0u32..).zip(map.chunks_exact(2)).take(MAX_ENTRIES) {
        source.budget.tick()?;
        let glyph = u32::from(u16::from_be_bytes([pair[0], pair[1]]));
        if glyph != 0
            && let Some(&c) = by_glyph.get(&glyph)
        {
            texts.insert(cid, c);
        }
    }
    Ok(texts)
}

/// The `cmap` table of a TrueType program turned round: glyphs to characters.
fn truetype_characters(
    source: &Source<'_>,
    font: Bytes<'_>,
) -> Result<HashMap<u32, char>, ParseError> {
    let mut out = HashMap::new();
    let Some(table) = unicode_subtable(font) else {
        return Ok(out);
    };
    // Segments may overlap, so that a small table says the same again and again.
    let mut left = 4 * MAX_ENTRIES;
    let add = |out: &mut HashMap<u32, char>, code: usize, glyph: usize| {
        if glyph != 0
            && let Some(c) = u32::try_from(code).ok().and_then(char::from_u32)
        {
            out.entry(glyph as u32).or_insert(c);
        }
    };
    match table.u16(0) {
        Some(4) => {
            let segments = table.u16(6).unwrap_or(0) / 2;
            for i in 0..segments {
                let read = |block: usize| {
                    table.u16(14 + block * 2 * segments + 2 * i + 2 * usize::from(block > 0))
                };
                let (Some(end), Some(start), Some(delta), Some(offset)) =
                    (read(0), read(1), read(2), read(3))
                else {
                    break;
                };
                let offset_at = 16 + 6 * segments + 2 * i;
                for code in start..=end.min(0xfffe) {
                    source.budget.tick()?;
                    if left == 0 {
                        return Ok(out);
                    }
                    left -= 1;
                    let glyph = if offset == 0 {
                        Some((code + delta) & 0xffff)
                    } else {
                        table
                            .u16(offset_at + offset + 2 * (code - start))
                            .map(|g| if g == 0 { 0 } else { (g + delta) & 0xffff })
                    };
                    let Some(glyph) = glyph else { break };
                    add(&mut out, code, glyph);
                }
            }
        }
        Some(12) => {
            let groups = table.u32(12).unwrap_or(0).min(MAX_ENTRIES);
            for i in 0..groups {
                let at = 16 + 12 * i;
                let (Some(start), Some(end), Some(glyph)) =
                    (table.u32(at), table.u32(at + 4), table.u32(at + 8))
                else {
                    break;
                };
                for step in 0..=end.saturating_sub(start).min(MAX_ENTRIES) {
                    source.budget.tick()?;
                    if left == 0 {
                        return Ok(out);
                    }
                    left -= 1;
                    add(
                        &mut out,
                        start.saturating_add(step),
                        glyph.saturating_add(step),
                    );
                }
            }
        }
        _ => {}
    }
    Ok(out)
}

fn unicode_subtable(font: Bytes<'_>) -> Option<Bytes<'_>> {
    let tables = font.u16(4)?;
    let record = (0..tables)
        .map(|i| 12 + 16 * i)
        .find(|&at| font.range(at, at + 4) == Some(b"cmap"))?;
    let cmap = font.from(font.u32(record + 8)?)?;
    let count = cmap.u16(2)?;
    let mut best: Option<(usize, usize)> = None;
    for i in 0..count {
        let at = 4 + 8 * i;
        let (Some(platform), Some(kind), Some(offset)) =
            (cmap.u16(at), cmap.u16(at + 2), cmap.u32(at + 4))
        else {
            break;
        };
        let rank = match (platform, kind) {
            (3, 10) => 4,
            (0, 4..=6) => 3,
            (3, 1) => 2,
            (0, _) => 1,
            _ => 0,
        };
        if rank > 0 && best.is_none_or(|b| rank > b.0) {
            best = Some((rank, offset));
        }
    }
    cmap.from(best?.1)
}

/// The `dup 65 /A put` lines in the clear part of a Type 1 program.
fn type1_table(source: &Source<'_>, data: &[u8]) -> Result<Option<CodeTable>, ParseError> {
    let clear = data
        .windows(5)
        .position(|w| w == b"eexec")
        .map_or(data, |end| &data[..end]);
    let Some(start) = clear.windows(9).position(|w| w == b"/Encoding") else {
        return Ok(None);
    };
    let mut lexer = Lexer::new(&clear[start + 9..]);
    let mut table = vec![String::new(); 256];
    let mut found = false;
    let (mut code, mut glyph): (Option<usize>, Option<Vec<u8>>) = (None, None);
    while let Some(token) = lexer.next_token() {
        source.budget.tick()?;
        match token {
            Token::Operand(Operand::Number(n)) if (0.0..256.0).contains(&n) => {
                code = Some(n as usize);
            }
            Token::Operand(Operand::Name(n)) => glyph = Some(n.into_owned()),
            Token::Operator(b"put") => {
                if let (Some(code), Some(glyph)) = (code.take(), glyph.take())
                    && let Some(text) = encoding::glyph_text(&glyph)
                {
                    table[code] = text;
                    found = true;
                }
            }
            Token::Operator(b"StandardEncoding") => return Ok(None),
            Token::Operator(b"def" | b"readonly") => break,
            _ => {}
        }
    }
    Ok(found.then_some(table))
}

/// A Compact Font Format program with one font.
struct Cff<'a> {
    data: Bytes<'a>,
    strings: Vec<&'a [u8]>,
    charset_at: usize,
    encoding_at: usize,
    glyphs: usize,
}

impl<'a> Cff<'a> {
    fn open(data: &'a [u8]) -> Option<Self> {
        let data = Bytes(data);
        let (_, after_names) = index(data, data.u8(2)?)?;
        let (tops, after_tops) = index(data, after_names)?;
        let (strings, _) = index(data, after_tops)?;
        let top = top_dict(tops.first()?);
        // A CID-keyed font (operator 12 30) has no names.
        if top.contains_key(&0x0c1e) {
            return None;
        }
        let (programs, _) = index(data, *top.get(&17)?)?;
        Some(Self {
            data,
            strings,
            charset_at: top.get(&15).copied().unwrap_or(0),
            encoding_at: top.get(&16).copied().unwrap_or(0),
            glyphs: programs.len(),
        })
    }

    /// Text by code, or `None` where the font uses a predefined encoding.
    fn code_table(&self) -> Option<CodeTable> {
        if self.encoding_at < 2 {
            return None;
        }
        let charset = self.charset()?;
        let standard = encoding::base_table(b"StandardEncoding")?;
        let latin: Vec<String> = standard
            .iter()
            .filter(|t| !t.is_empty())
            .cloned()
            .chain(CFF_LATIN.chars().map(String::from))
            .collect();
        let text = |glyph: usize| -> Option<String> {
            let sid = *charset.get(glyph)?;
            if sid >= 391 {
                encoding::glyph_text(self.strings.get(sid - 391)?)
            } else {
                latin.get(sid.checked_sub(1)?).cloned()
            }
        };
        let mut table = vec![String::new(); 256];
        let at = self.encoding_at;
        let count = self.data.u8(at + 1)?;
        let mut glyph = 1usize;
        for i in 0..count {
            let codes = if matches!(self.data.u8(at)?, 0 | 0x80) {
                let code = self.data.u8(at + 2 + i)?;
                code..=code
            } else {
                let first = self.data.u8(at + 2 + 2 * i)?;
                first..=first + self.data.u8(at + 3 + 2 * i)?
            };
            for code in codes {
                if let (Some(entry), Some(text)) = (table.get_mut(code), text(glyph)) {
                    *entry = text;
                }
                glyph += 1;
            }
        }
        Some(table)
    }

    /// The string id of each glyph's name.
    fn charset(&self) -> Option<Vec<usize>> {
        let count = self.glyphs.min(MAX_ENTRIES);
        if self.charset_at < 3 {
            return Some((0..count).collect());
        }
        let mut sids = vec![0usize];
        let format = self.data.u8(self.charset_at)?;
        let mut at = self.charset_at + 1;
        while sids.len() < count {
            let first = self.data.u16(at)?;
            let more = match format {
                0 => 0,
                1 => self.data.u8(at + 2)?,
                _ => self.data.u16(at + 2)?,
            };
            at += 2 + format.min(2);
            for sid in first..=first + more {
                if sids.len() < count {
                    sids.push(sid);
                }
            }
        }
        Some(sids)
    }
}

/// Reads an INDEX: its elements, and where the next structure begins.
fn index(data: Bytes<'_>, at: usize) -> Option<(Vec<&[u8]>, usize)> {
    let count = data.u16(at)?;
    if count == 0 {
        return Some((Vec::new(), at.checked_add(2)?));
    }
    let size = data.u8(at + 2)?;
    if !(1..=4).contains(&size) {
        return None;
    }
    let offsets = at + 3;
    let base = offsets + (count + 1) * size - 1;
    let offset = |i: usize| data.sized(offsets + i * size, size)?.checked_add(base);
    let mut items = Vec::with_capacity(count);
    let mut start = offset(0)?;
    for i in 1..=count {
        let end = offset(i)?;
        items.push(data.range(start, end)?);
        start = end;
    }
    Some((items, start))
}

/// The last integer operand of each operator of a Top DICT; two-byte operators are `0x0cXX`.
fn top_dict(data: &[u8]) -> HashMap<usize, usize> {
    let bytes = Bytes(data);
    let mut out = HashMap::new();
    let mut operand = 0usize;
    let mut at = 0usize;
    while let Some(b) = bytes.u8(at) {
        let (value, len) = match b {
            12 => {
                out.insert(0x0c00 | bytes.u8(at + 1).unwrap_or(0), operand);
                (0, 2)
            }
            0..=21 => {
                out.insert(b, operand);
                (0, 1)
            }
            28 => (bytes.u16(at + 1).unwrap_or(0), 3),
            29 => (bytes.u32(at + 1).unwrap_or(0), 5),
            30 => {
                let end = data[at..]
                    .iter()
                    .position(|&b| b & 0xf == 0xf || b >> 4 == 0xf);
                (0, end.unwrap_or(data.len()) + 1)
            }
            32..=246 => (b.saturating_sub(139), 1),
            247..=250 => ((b - 247) * 256 + bytes.u8(at + 1).unwrap_or(0) + 108, 2),
            251..=254 => (0, 2),
            _ => (0, 1),
        };
        operand = value;
        at += len;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn font_programs_of_noise_are_read_as_nothing() {
        for len in 0..64usize {
            let noise: Vec<u8> = (0..len).map(|i| (i * 37 % 256) as u8).collect();
            assert!(Cff::open(&noise).is_none_or(|c| c.code_table().is_none()));
            assert!(unicode_subtable(Bytes(&noise)).is_none());
        }
    }

    #[test]
    fn a_top_dict_gives_operands_by_operator() {
        // 300 charset, 12 30 with nothing before it.
        let dict = top_dict(&[28, 0x01, 0x2c, 15, 139, 12, 30]);
        assert_eq!(dict.get(&15), Some(&300));
        assert_eq!(dict.get(&0x0c1e), Some(&0));
    }
}

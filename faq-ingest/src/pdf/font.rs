//! Fonts: bytes of a shown string into codes, each with its text and its width.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use lopdf::{Dictionary, Object};

use super::cmap::CMap;
use super::encoding::{self, CodeTable};
use super::font_file;
use super::objects::Source;
use super::widths::Widths;
use crate::ParseError;

/// Codes of one font that are remembered.
const MAX_SEEN: usize = 0x1_0000;

/// How a font looks, as far as headings and code are told by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Style {
    pub(super) bold: bool,
    pub(super) italic: bool,
    pub(super) mono: bool,
}

/// What the codes of a font mean.
enum Codes {
    /// Codes are one byte and the table holds their text, `ToUnicode` included.
    Simple(CodeTable),
    /// Codes go through a CMap to CIDs; text comes from `ToUnicode` or from `texts`.
    Composite(Box<Composite>),
}

/// A multi-byte font's ways from codes to CIDs and to text.
struct Composite {
    cmap: CMap,
    to_unicode: Option<CMap>,
    charset: Option<Charset>,
    /// Text by CID, from the embedded font program.
    texts: HashMap<u32, char>,
    seen: RefCell<Seen>,
}

/// Codes that were shown before: a page looks each up a hundred times.
#[derive(Default)]
struct Seen {
    text: String,
    /// Where the text of a code stands in `text`, and its width.
    codes: HashMap<(u8, u32), (usize, usize, f32), BuildHasherDefault<CodeHasher>>,
}

/// Spreads codes of characters, of which a font has too few to be worth attacking.
#[derive(Default)]
struct CodeHasher(u64);

impl Hasher for CodeHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.write_u32(u32::from(b));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u32(u32::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Character sets whose codes can be decoded without a CMap.
#[derive(Clone, Copy)]
enum Charset {
    Utf16,
    Legacy(&'static encoding_rs::Encoding),
}

/// A font, read once per document.
pub(super) struct Font {
    codes: Codes,
    widths: Widths,
    pub(super) style: Style,
    pub(super) vertical: bool,
    /// Units of text space per unit of width.
    pub(super) width_scale: f32,
}

/// One code of a shown string.
pub(super) struct Shown<'f> {
    pub(super) text: &'f str,
    /// Advance in text space at size 1.
    pub(super) width: f32,
    /// Whether word spacing applies: the one-byte code 32.
    pub(super) word_space: bool,
}

/// Fonts by the address of their dictionary, which is fixed while the document is read.
#[derive(Default)]
pub(super) struct FontCache {
    fonts: HashMap<usize, Rc<Font>>,
    fallback: Option<Rc<Font>>,
    /// Text by glyph name: names repeat from font to font, and looking one up is not free.
    names: HashMap<Vec<u8>, Option<String>>,
}

impl FontCache {
    pub(super) fn get<'a>(
        &mut self,
        source: &Source<'a>,
        dict: &'a Dictionary,
    ) -> Result<Rc<Font>, ParseError> {
        let key = std::ptr::from_ref(dict) as usize;
        if let Some(font) = self.fonts.get(&key) {
            return Ok(Rc::clone(font));
        }
        let font = Rc::new(Font::read(source, dict, &mut self.names)?);
        self.fonts.insert(key, Rc::clone(&font));
        Ok(font)
    }

    /// The font that text is read with where the named one is missing.
    pub(super) fn fallback(&mut self) -> Rc<Font> {
        Rc::clone(self.fallback.get_or_insert_with(|| Rc::new(Font::plain())))
    }
}

impl Font {
    fn plain() -> Self {
        Self {
            codes: Codes::Simple(
                encoding::base_table(b"WinAnsiEncoding")
                    .unwrap_or_else(|| vec![String::new(); 256]),
            ),
            widths: Widths::standard(b"Helvetica"),
            style: Style::default(),
            vertical: false,
            width_scale: 0.001,
        }
    }

    fn read<'a>(
        source: &Source<'a>,
        dict: &'a Dictionary,
        names: &mut HashMap<Vec<u8>, Option<String>>,
    ) -> Result<Self, ParseError> {
        let to_unicode = match source.get_stream(dict, b"ToUnicode") {
            Some(stream) => {
                let data = source.data(stream)?;
                Some(CMap::parse(&data, source.budget)?).filter(CMap::has_unicode)
            }
            None => None,
        };
        if source.get_name(dict, b"Subtype") == Some(b"Type0") {
            Self::read_composite(source, dict, to_unicode)
        } else {
            Self::read_simple(source, dict, to_unicode.as_ref(), names)
        }
    }

    fn read_simple<'a>(
        source: &Source<'a>,
        dict: &'a Dictionary,
        to_unicode: Option<&CMap>,
        names: &mut HashMap<Vec<u8>, Option<String>>,
    ) -> Result<Self, ParseError> {
        let subtype = source.get_name(dict, b"Subtype").unwrap_or_default();
        let name = base_font(source, dict);
        let descriptor = source.get_dict(dict, b"FontDescriptor");
        let mut table = simple_table(source, dict, descriptor, name, subtype, names)?;
        if let Some(map) = to_unicode {
            for (code, entry) in (0u32..).zip(&mut table) {
                if let Some(text) = mapped_text(map, (1, code)) {
                    *entry = text;
                }
            }
        }
        let widths = Widths::simple(source, dict, descriptor, name);
        let width_scale = if subtype == b"Type3" {
            source
                .get_numbers(dict, b"FontMatrix")
                .and_then(|m| m.first().copied())
                .filter(|a| a.abs() > 1.0e-6 && a.abs() < 10.0)
                .unwrap_or(0.001)
                .abs()
        } else {
            0.001
        };
        Ok(Self {
            codes: Codes::Simple(table),
            style: style(source, descriptor, name, &widths),
            widths,
            vertical: false,
            width_scale,
        })
    }

    fn read_composite<'a>(
        source: &Source<'a>,
        dict: &'a Dictionary,
        to_unicode: Option<CMap>,
    ) -> Result<Self, ParseError> {
        let name = base_font(source, dict);
        let descendant = source
            .get_array(dict, b"DescendantFonts")
            .and_then(<[Object]>::first)
            .and_then(|o| source.dict(o));
        let (cmap, charset) = match source.get(dict, b"Encoding") {
            Some(Object::Name(encoding)) => predefined(encoding),
            Some(Object::Stream(stream)) => {
                let mut cmap = CMap::parse(&source.data(stream)?, source.budget)?;
                if !cmap.has_spaces() {
                    cmap = CMap::identity(cmap.vertical);
                }
                (cmap, None)
            }
            _ => (CMap::identity(false), None),
        };
        let descriptor = descendant.and_then(|d| source.get_dict(d, b"FontDescriptor"));
        let widths = Widths::composite(source, descendant)?;
        let texts = match (to_unicode.is_none() && charset.is_none(), descendant) {
            (true, Some(descendant)) => font_file::texts_by_cid(source, descendant, descriptor)?,
            _ => HashMap::new(),
        };
        let vertical = cmap.vertical;
        Ok(Self {
            codes: Codes::Composite(Box::new(Composite {
                cmap,
                to_unicode,
                charset,
                texts,
                seen: RefCell::default(),
            })),
            style: style(source, descriptor, name, &widths),
            widths,
            vertical,
            width_scale: 0.001,
        })
    }

    /// Calls `f` for each code of a shown string.
    pub(super) fn show<E>(
        &self,
        bytes: &[u8],
        mut f: impl FnMut(Shown<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.codes {
            Codes::Simple(table) => {
                for &b in bytes {
                    f(Shown {
                        text: table[usize::from(b)].as_str(),
                        width: self.widths.of(u32::from(b)) * self.width_scale,
                        word_space: b == 32,
                    })?;
                }
            }
            Codes::Composite(composite) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let code = composite.cmap.next_code(rest);
                    let len = usize::from(code.0.max(1)).min(rest.len());
                    let (now, after) = rest.split_at(len);
                    rest = after;
                    let mut seen = composite.seen.borrow_mut();
                    let known = seen.codes.get(&code).copied();
                    let full = known.is_none() && seen.codes.len() >= MAX_SEEN;
                    let (start, end, width) = known.unwrap_or_else(|| {
                        let cid = composite.cmap.cid(code).unwrap_or(code.1);
                        let start = seen.text.len();
                        seen.text.push_str(&composite.text(code, cid, now));
                        let found = (start, seen.text.len(), self.widths.of(cid));
                        if !full {
                            seen.codes.insert(code, found);
                        }
                        found
                    });
                    f(Shown {
                        text: &seen.text[start..end],
                        width: width * self.width_scale,
                        word_space: code == (1, 32),
                    })?;
                    if full {
                        seen.text.truncate(start);
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a `ToUnicode` map says of a code.
fn mapped_text(map: &CMap, code: (u8, u32)) -> Option<String> {
    let text = encoding::clean(&map.unicode_of_any_length(code)?);
    // A map to nothing or to control characters only is a producer's gap.
    (!text.is_empty()).then_some(text)
}

impl Composite {
    /// The text of a code, from the best source that has one.
    fn text(&self, code: (u8, u32), cid: u32, bytes: &[u8]) -> String {
        self.to_unicode
            .as_ref()
            .and_then(|map| mapped_text(map, code))
            .or_else(|| self.charset.map(|c| c.decode(bytes)))
            .or_else(|| {
                self.texts
                    .get(&cid)
                    .map(|c| encoding::clean(&c.to_string()))
            })
            .unwrap_or_default()
    }
}

impl Charset {
    fn decode(self, bytes: &[u8]) -> String {
        let text = match self {
            Self::Utf16 => encoding_rs::UTF_16BE.decode_without_bom_handling(bytes).0,
            Self::Legacy(e) => e.decode_without_bom_handling(bytes).0,
        };
        encoding::clean(&text)
    }
}

/// The CMap of a predefined name, and the character set it decodes.
fn predefined(name: &[u8]) -> (CMap, Option<Charset>) {
    let vertical = name.ends_with(b"-V");
    let has = |part: &[u8]| name.windows(part.len()).any(|w| w == part);
    let two_bytes = CMap::identity(vertical);
    if name.starts_with(b"Identity") {
        return (two_bytes, None);
    }
    if has(b"UCS2") || has(b"UTF16") {
        return (CMap::utf16(vertical), Some(Charset::Utf16));
    }
    let charset = if has(b"RKSJ") {
        encoding_rs::SHIFT_JIS
    } else if has(b"GBK") || has(b"GB-EUC") || has(b"GBpc") || has(b"GBKp") {
        encoding_rs::GBK
    } else if has(b"B5") {
        encoding_rs::BIG5
    } else if has(b"KSC") {
        encoding_rs::EUC_KR
    } else if name == b"EUC-H" || name == b"EUC-V" {
        encoding_rs::EUC_JP
    } else {
        return (two_bytes, None);
    };
    (
        CMap::mixed_width(vertical, charset == encoding_rs::SHIFT_JIS),
        Some(Charset::Legacy(charset)),
    )
}

fn base_font<'a>(source: &Source<'a>, dict: &'a Dictionary) -> &'a [u8] {
    let name = source.get_name(dict, b"BaseFont").unwrap_or_default();
    // A subset is marked by six letters and a plus sign.
    match name.iter().position(|&b| b == b'+') {
        Some(6) => &name[7..],
        _ => name,
    }
}

/// The text of each code of a simple font, `ToUnicode` aside.
fn simple_table<'a>(
    source: &Source<'a>,
    dict: &'a Dictionary,
    descriptor: Option<&'a Dictionary>,
    name: &[u8],
    subtype: &[u8],
    names: &mut HashMap<Vec<u8>, Option<String>>,
) -> Result<CodeTable, ParseError> {
    let encoding = source.get(dict, b"Encoding");
    let (base, differences) = match encoding {
        Some(Object::Name(n)) => (Some(n.as_slice()), None),
        Some(Object::Dictionary(d)) => (
            source.get_name(d, b"BaseEncoding"),
            source.get_array(d, b"Differences"),
        ),
        _ => (None, None),
    };
    let mut table = match base.and_then(encoding::base_table) {
        Some(table) => table,
        None => implicit_table(source, descriptor, name, subtype)?,
    };
    let mut code = 0usize;
    for item in differences.unwrap_or_default() {
        source.budget.tick()?;
        match source.resolve(item) {
            Object::Name(glyph) => {
                if let Some(entry) = table.get_mut(code) {
                    let text = if let Some(known) = names.get(glyph) {
                        known.clone()
                    } else {
                        let text = encoding::glyph_text(glyph);
                        names.insert(glyph.clone(), text.clone());
                        text
                    };
                    match text {
                        Some(text) => *entry = text,
                        None if glyph == b".notdef" => entry.clear(),
                        // A made-up name says nothing; the base encoding is the better guess
                        // for printable codes, as with subsets whose names are `g65` or `c65`.
                        None => {}
                    }
                }
                code = code.saturating_add(1);
            }
            other => {
                if let Ok(n) = other.as_float()
                    && (0.0..256.0).contains(&n)
                {
                    code = n as usize;
                }
            }
        }
    }
    Ok(table)
}

/// The encoding of a font that names none: that of its font program, or of its kind.
fn implicit_table<'a>(
    source: &Source<'a>,
    descriptor: Option<&'a Dictionary>,
    name: &[u8],
    subtype: &[u8],
) -> Result<CodeTable, ParseError> {
    if name.starts_with(b"Symbol") {
        return Ok(encoding::symbol_table());
    }
    if name.starts_with(b"ZapfDingbats") {
        return Ok(encoding::dingbats_table());
    }
    if let Some(descriptor) = descriptor
        && let Some(table) = font_file::built_in_table(source, descriptor)?
    {
        return Ok(table);
    }
    let fallback: &[u8] = if subtype == b"TrueType" {
        b"WinAnsiEncoding"
    } else {
        b"StandardEncoding"
    };
    Ok(encoding::base_table(fallback).unwrap_or_else(|| vec![String::new(); 256]))
}

fn style<'a>(
    source: &Source<'a>,
    descriptor: Option<&'a Dictionary>,
    name: &[u8],
    widths: &Widths,
) -> Style {
    let lower = String::from_utf8_lossy(name).to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|p| lower.contains(p));
    let flags = descriptor
        .and_then(|d| source.get_number(d, b"Flags"))
        .unwrap_or(0.0) as i64;
    let weight = descriptor
        .and_then(|d| source.get_number(d, b"FontWeight"))
        .unwrap_or(400.0);
    let tex_bold = lower.starts_with("cmb") || lower.starts_with("sfb") || lower.starts_with("ecb");
    Style {
        bold: has(&["bold", "black", "heavy", "-bd", "demi", "semibd", "medi"])
            && !has(&["medium"])
            || tex_bold
            || weight >= 600.0
            || flags & (1 << 18) != 0,
        italic: has(&["italic", "oblique", "slanted"]) || flags & (1 << 6) != 0,
        mono: has(&[
            "mono",
            "courier",
            "consol",
            "typewriter",
            "fixed",
            "cmtt",
            "sftt",
            "ectt",
        ]) || (flags & 1 != 0 && widths.uniform())
            || (widths.uniform() && has(&["code", "term"])),
    }
}

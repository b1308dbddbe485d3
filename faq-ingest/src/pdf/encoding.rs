//! Simple fonts' encodings and glyph names, as Unicode.

use lopdf::{Dictionary, Document, Encoding, Object};

/// Text of each of the 256 codes; empty where a code has none.
pub(super) type CodeTable = Vec<String>;

/// Letters of the Symbol font from 0x41 on, which have no entry in the Latin encodings.
const SYMBOL_UPPER: &str = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ";
const SYMBOL_LOWER: &str = "αβχδεφγηιϕκλμνοπθρστυϖωξψζ";
/// Other characters of the Symbol font that documents use.
const SYMBOL_REST: [(u8, char); 47] = [
    (0x22, '∀'),
    (0x24, '∃'),
    (0x27, '∋'),
    (0x2a, '∗'),
    (0x2d, '−'),
    (0x40, '≅'),
    (0x5c, '∴'),
    (0x5e, '⊥'),
    (0x7e, '∼'),
    (0xa0, '€'),
    (0xa2, '′'),
    (0xa3, '≤'),
    (0xa4, '⁄'),
    (0xa5, '∞'),
    (0xa7, '♣'),
    (0xa8, '♦'),
    (0xa9, '♥'),
    (0xaa, '♠'),
    (0xab, '↔'),
    (0xac, '←'),
    (0xad, '↑'),
    (0xae, '→'),
    (0xaf, '↓'),
    (0xb0, '°'),
    (0xb1, '±'),
    (0xb2, '″'),
    (0xb3, '≥'),
    (0xb4, '×'),
    (0xb5, '∝'),
    (0xb6, '∂'),
    (0xb7, '•'),
    (0xb8, '÷'),
    (0xb9, '≠'),
    (0xba, '≡'),
    (0xbb, '≈'),
    (0xbc, '…'),
    (0xc5, '⊕'),
    (0xc6, '∅'),
    (0xc7, '∩'),
    (0xc8, '∪'),
    (0xce, '∈'),
    (0xd1, '∇'),
    (0xd2, '®'),
    (0xd3, '©'),
    (0xd4, '™'),
    (0xd5, '∏'),
    (0xe5, '∑'),
];

/// The table of a predefined encoding, or `None` where the name is none.
pub(super) fn base_table(name: &[u8]) -> Option<CodeTable> {
    if !matches!(
        name,
        b"StandardEncoding" | b"MacRomanEncoding" | b"MacExpertEncoding" | b"WinAnsiEncoding"
    ) {
        return None;
    }
    let mut font = Dictionary::new();
    font.set("Type", Object::Name(b"Font".to_vec()));
    font.set("Encoding", Object::Name(name.to_vec()));
    let document = Document::new();
    let encoding = font.get_font_encoding(&document).ok()?;
    let mut table: CodeTable = (0..=255u8)
        .map(|code| clean(&encoding.bytes_to_string(&[code]).unwrap_or_default()))
        .collect();
    if name == b"WinAnsiEncoding" {
        // Codes that the standard leaves open are bullets, and two doubled by others.
        for code in [0x7f, 0x81, 0x8d, 0x8f, 0x90, 0x9d] {
            table[code] = String::from("•");
        }
        table[0xa0] = String::from(" ");
        table[0xad] = String::from("-");
    }
    Some(table)
}

/// The built-in encoding of the Symbol font.
pub(super) fn symbol_table() -> CodeTable {
    let mut table = base_table(b"StandardEncoding").unwrap_or_else(|| vec![String::new(); 256]);
    for entry in table.iter_mut().skip(0x80) {
        entry.clear();
    }
    for (start, letters) in [(0x41, SYMBOL_UPPER), (0x61, SYMBOL_LOWER)] {
        for (code, c) in (start..).zip(letters.chars()) {
            if let Some(entry) = table.get_mut(code) {
                *entry = c.to_string();
            }
        }
    }
    for (code, c) in SYMBOL_REST {
        table[usize::from(code)] = c.to_string();
    }
    table
}

/// The built-in encoding of ZapfDingbats, of which text uses the bullets and check marks.
pub(super) fn dingbats_table() -> CodeTable {
    let mut table = vec![String::new(); 256];
    table[0x20] = String::from(" ");
    for (code, c) in [
        (0x33u8, '✓'),
        (0x34, '✔'),
        (0x35, '✕'),
        (0x36, '✖'),
        (0x38, '✘'),
        (0x48, '★'),
        (0x6c, '●'),
        (0x6d, '❍'),
        (0x6e, '■'),
        (0x6f, '❏'),
        (0x71, '❑'),
        (0x73, '▲'),
        (0x74, '▼'),
        (0x75, '◆'),
        (0xd4, '➔'),
        (0xd8, '➘'),
    ] {
        table[usize::from(code)] = c.to_string();
    }
    table
}

/// The text of a glyph name: the Adobe glyph list, `uniXXXX`, `uXXXXX`, parts joined by `_`,
/// suffixes after `.` left off.
pub(super) fn glyph_text(name: &[u8]) -> Option<String> {
    if name.is_empty() || name.len() > 128 || name == b".notdef" {
        return None;
    }
    let stem = name.split(|&b| b == b'.').next().unwrap_or_default();
    if stem.is_empty() {
        return None;
    }
    if let Some(text) = listed(stem) {
        return Some(text);
    }
    if stem.contains(&b'_') {
        let parts: Option<Vec<String>> = stem.split(|&b| b == b'_').map(single).collect();
        return parts.map(|p| p.concat());
    }
    single(stem)
}

fn single(name: &[u8]) -> Option<String> {
    listed(name).or_else(|| by_number(name))
}

fn by_number(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok()?;
    if let Some(hex) = text.strip_prefix("uni")
        && hex.len() >= 4
        && hex.len() % 4 == 0
        && hex.is_ascii()
    {
        let units: Option<Vec<u16>> = (0..hex.len())
            .step_by(4)
            .map(|i| u16::from_str_radix(&hex[i..i + 4], 16).ok())
            .collect();
        return units.map(|u| super::cmap::utf16(&u));
    }
    let hex = text.strip_prefix('u')?;
    if !(4..=6).contains(&hex.len()) {
        return None;
    }
    let point = u32::from_str_radix(hex, 16).ok()?;
    char::from_u32(point).map(|c| clean(c.encode_utf8(&mut [0; 4])))
}

/// Looks a name up in the object library's copy of the Adobe glyph list.
fn listed(name: &[u8]) -> Option<String> {
    let special = match name {
        b"ff" => "ff",
        b"fi" => "fi",
        b"fl" => "fl",
        b"ffi" => "ffi",
        b"ffl" => "ffl",
        b"nbspace" | b"nonbreakingspace" => " ",
        b"sfthyphen" | b"softhyphen" => "\u{ad}",
        b"dotlessj" => "ȷ",
        _ => "",
    };
    if !special.is_empty() {
        return Some(special.to_owned());
    }
    let mut encoding = Dictionary::new();
    encoding.set(
        "Differences",
        Object::Array(vec![Object::Integer(0), Object::Name(name.to_vec())]),
    );
    let mut font = Dictionary::new();
    font.set("Type", Object::Name(b"Font".to_vec()));
    font.set("Encoding", Object::Dictionary(encoding));
    let document = Document::new();
    match font.get_font_encoding(&document) {
        Ok(Encoding::Differences(found)) => {
            let unit = found.map.get(&0)?.utf16_code_unit();
            let text = clean(&super::cmap::utf16(&[unit]));
            (!text.is_empty()).then_some(text)
        }
        _ => None,
    }
}

/// Ligatures spelled out, control characters and private-use bullets made plain.
pub(super) fn clean(text: &str) -> String {
    if text.is_ascii() && !text.bytes().any(|b| b < 32 || b == 127) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{fb00}' => out.push_str("ff"),
            '\u{fb01}' => out.push_str("fi"),
            '\u{fb02}' => out.push_str("fl"),
            '\u{fb03}' => out.push_str("ffi"),
            '\u{fb04}' => out.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => out.push_str("st"),
            '\u{a0}' | '\t' | '\n' | '\r' | '\u{2000}'..='\u{200a}' | '\u{202f}' => out.push(' '),
            // Symbol fonts' bullets in the private-use area.
            '\u{f0b7}' | '\u{f0a7}' | '\u{f076}' | '\u{f0d8}' | '\u{f06c}' | '\u{f06e}' => {
                out.push('•');
            }
            '\u{feff}' | '\u{fffd}' | '\u{fffe}' | '\u{ffff}' | '\u{200b}'..='\u{200f}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyph_names_as_fonts_write_them() {
        let text = |n: &str| glyph_text(n.as_bytes());
        assert_eq!(text("Adieresis").as_deref(), Some("Ä"));
        assert_eq!(text("f_f_i").as_deref(), Some("ffi"));
        assert_eq!(text("ffi").as_deref(), Some("ffi"));
        assert_eq!(text("uni20AC").as_deref(), Some("€"));
        assert_eq!(text("u1F600").as_deref(), Some("😀"));
        assert_eq!(text("a.alt").as_deref(), Some("a"));
        assert_eq!(text(".notdef"), None);
        assert_eq!(text("g123"), None);
    }

    #[test]
    fn predefined_encodings() {
        let table = base_table(b"WinAnsiEncoding").unwrap_or_default();
        assert_eq!(table[0x80], "€");
        assert_eq!(table[0xe4], "ä");
        assert_eq!(table[0x41], "A");
        let mac = base_table(b"MacRomanEncoding").unwrap_or_default();
        assert_eq!(mac[0x8a], "ä");
        assert_eq!(mac[0xde], "fi");
        assert_eq!(symbol_table()[0x61], "α");
        assert!(base_table(b"Identity-H").is_none());
    }

    #[test]
    fn only_the_latin_ligatures_are_spelled_out() {
        assert_eq!(clean("e\u{fb03}cient ﬁ ² ½"), "efficient fi ² ½");
    }
}

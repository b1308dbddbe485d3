//! CMaps: character codes to Unicode (`ToUnicode`) and to CIDs (`Encoding` of a Type0 font).
//!
//! Ranges are kept as ranges, so a CMap of a few bytes cannot unfold into gigabytes.

use std::collections::HashMap;

use super::lexer::{Lexer, Operand, Token};
use crate::ParseError;
use crate::limits::Budget;

/// Most entries that are kept of one CMap; the largest real ones hold some 30,000.
const MAX_ENTRIES: usize = 200_000;

/// Most code spaces, each of which is looked at for every code that is shown; real CMaps have a
/// dozen.
const MAX_SPACES: usize = 128;

/// Most UTF-16 units that one code may stand for.
const MAX_UNITS: usize = 64;

/// A code with its length in bytes: `<20>` and `<0020>` are different codes.
type Code = (u8, u32);

#[derive(Debug, Clone)]
struct UnicodeRange {
    len: u8,
    low: u32,
    high: u32,
    /// UTF-16 of the lowest code; the last unit counts up.
    first: Vec<u16>,
}

#[derive(Debug, Clone, Copy)]
struct CidRange {
    len: u8,
    low: u32,
    high: u32,
    cid: u32,
}

/// A parsed CMap.
#[derive(Debug, Clone, Default)]
pub(super) struct CMap {
    /// Length in bytes, lowest and highest code.
    spaces: Vec<(u8, u32, u32)>,
    chars: HashMap<Code, String>,
    ranges: Vec<UnicodeRange>,
    cids: Vec<CidRange>,
    pub(super) vertical: bool,
}

/// Decodes UTF-16, leaving out what is no character.
pub(super) fn utf16(units: &[u16]) -> String {
    char::decode_utf16(units.iter().copied())
        .filter_map(Result::ok)
        .filter(|&c| c != '\0')
        .collect()
}

fn be_code(bytes: &[u8]) -> Option<Code> {
    if bytes.is_empty() || bytes.len() > 4 {
        return None;
    }
    let value = bytes.iter().fold(0u32, |v, &b| v << 8 | u32::from(b));
    Some((bytes.len() as u8, value))
}

fn be_units(bytes: &[u8]) -> Vec<u16> {
    match bytes {
        // Some producers write a Latin character as one byte.
        [b] => vec![u16::from(*b)],
        _ => bytes
            .chunks_exact(2)
            .take(MAX_UNITS)
            .map(|p| u16::from_be_bytes([p[0], p[1]]))
            .collect(),
    }
}

impl CMap {
    /// The CMap of two-byte codes that are CIDs themselves.
    pub(super) fn identity(vertical: bool) -> Self {
        Self {
            spaces: vec![(2, 0, 0xffff)],
            cids: vec![CidRange {
                len: 2,
                low: 0,
                high: 0xffff,
                cid: 0,
            }],
            vertical,
            ..Self::default()
        }
    }

    /// The code spaces of UTF-16, whose codes are CIDs themselves as far as they go.
    pub(super) fn utf16(vertical: bool) -> Self {
        Self {
            spaces: vec![
                (2, 0, 0xd7ff),
                (2, 0xe000, 0xffff),
                (4, 0xd800_dc00, 0xdbff_dfff),
            ],
            ..Self::identity(vertical)
        }
    }

    /// The code spaces of the legacy East Asian encodings: ASCII in one byte, the rest in two.
    pub(super) fn mixed_width(vertical: bool, shift_jis: bool) -> Self {
        let spaces = if shift_jis {
            vec![
                (1, 0, 0x80),
                (1, 0xa0, 0xdf),
                (2, 0x8140, 0x9ffc),
                (2, 0xe040, 0xfcfc),
            ]
        } else {
            vec![(1, 0, 0x80), (2, 0x8140, 0xfefe)]
        };
        Self {
            spaces,
            vertical,
            ..Self::default()
        }
    }

    pub(super) fn parse(data: &[u8], budget: &Budget) -> Result<Self, ParseError> {
        let mut map = Self::default();
        let mut lexer = Lexer::new(data);
        let mut stack: Vec<Operand<'_>> = Vec::new();
        while let Some(token) = lexer.next_token() {
            budget.tick()?;
            match token {
                Token::Operand(value) => {
                    if stack.len() < MAX_ENTRIES {
                        stack.push(value);
                    }
                }
                Token::Operator(op) => {
                    map.operator(op, &stack, budget)?;
                    stack.clear();
                }
            }
        }
        map.ranges.sort_by_key(|r| (r.len, r.low));
        map.cids.sort_by_key(|r| (r.len, r.low));
        Ok(map)
    }

    fn operator(
        &mut self,
        op: &[u8],
        stack: &[Operand<'_>],
        budget: &Budget,
    ) -> Result<(), ParseError> {
        match op {
            b"def" => {
                if let [.., Operand::Name(name), Operand::Number(n)] = stack
                    && name.as_ref() == b"WMode"
                {
                    self.vertical = *n == 1.0;
                }
            }
            b"usecmap" => {
                if let Some(Operand::Name(name)) = stack.last()
                    && name.starts_with(b"Identity")
                {
                    let identity = Self::identity(false);
                    self.spaces.extend(identity.spaces);
                    self.cids.extend(identity.cids);
                }
            }
            b"endcodespacerange" => {
                for pair in stack.chunks_exact(2) {
                    if let Some(((len, low), (_, high))) = code_pair(pair)
                        && self.spaces.len() < MAX_SPACES
                    {
                        self.spaces.push((len, low, high));
                    }
                }
            }
            b"endbfchar" => {
                for pair in stack.chunks_exact(2) {
                    budget.tick()?;
                    if let Some(code) = pair[0].string().and_then(be_code) {
                        self.add_char(code, &pair[1]);
                    }
                }
            }
            b"endbfrange" => {
                for triple in stack.chunks_exact(3) {
                    budget.tick()?;
                    self.add_range(triple);
                }
            }
            b"endcidchar" => {
                for pair in stack.chunks_exact(2) {
                    if let (Some((len, code)), Some(cid)) =
                        (pair[0].string().and_then(be_code), pair[1].number())
                    {
                        self.add_cids(len, code, code, cid);
                    }
                }
            }
            b"endcidrange" => {
                for triple in stack.chunks_exact(3) {
                    if let (Some(((len, low), (_, high))), Some(cid)) =
                        (code_pair(&triple[..2]), triple[2].number())
                    {
                        self.add_cids(len, low, high, cid);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_char(&mut self, code: Code, value: &Operand<'_>) {
        if self.chars.len() >= MAX_ENTRIES {
            return;
        }
        let text = match value {
            Operand::String(s) => utf16(&be_units(s)),
            Operand::Name(name) => super::encoding::glyph_text(name).unwrap_or_default(),
            _ => return,
        };
        self.chars.insert(code, text);
    }

    fn add_range(&mut self, triple: &[Operand<'_>]) {
        let Some(((len, low), (_, high))) = code_pair(&triple[..2]) else {
            return;
        };
        match &triple[2] {
            Operand::String(first) if self.ranges.len() < MAX_ENTRIES => {
                self.ranges.push(UnicodeRange {
                    len,
                    low,
                    high,
                    first: be_units(first),
                });
            }
            Operand::Array(items) => {
                for (code, item) in (low..=high).zip(items) {
                    self.add_char((len, code), item);
                }
            }
            _ => {}
        }
    }

    fn add_cids(&mut self, len: u8, low: u32, high: u32, cid: f32) {
        if self.cids.len() < MAX_ENTRIES && (0.0..=1.0e6).contains(&cid) {
            self.cids.push(CidRange {
                len,
                low,
                high,
                cid: cid as u32,
            });
        }
    }

    /// Whether any code leads to Unicode.
    pub(super) fn has_unicode(&self) -> bool {
        !self.chars.is_empty() || !self.ranges.is_empty()
    }

    /// Whether the CMap says how long codes are.
    pub(super) fn has_spaces(&self) -> bool {
        !self.spaces.is_empty()
    }

    /// The first code of `bytes` and its length, which is at least 1 for input that is not empty.
    pub(super) fn next_code(&self, bytes: &[u8]) -> Code {
        let mut value = 0u32;
        for (i, &b) in bytes.iter().take(4).enumerate() {
            value = value << 8 | u32::from(b);
            let len = (i + 1) as u8;
            if self
                .spaces
                .iter()
                .any(|&(l, low, high)| l == len && in_space(value, low, high, l))
            {
                return (len, value);
            }
        }
        // No code space fits: take what the shortest one would.
        let len = self
            .spaces
            .iter()
            .map(|s| s.0)
            .min()
            .unwrap_or(2)
            .max(1)
            .min(bytes.len().min(4) as u8);
        let value = bytes
            .iter()
            .take(len as usize)
            .fold(0u32, |v, &b| v << 8 | u32::from(b));
        (len, value)
    }

    /// The text of a code.
    pub(super) fn unicode(&self, (len, code): Code) -> Option<String> {
        if let Some(text) = self.chars.get(&(len, code)) {
            return Some(text.clone());
        }
        let after = self
            .ranges
            .partition_point(|r| (r.len, r.low) <= (len, code));
        // Ranges may overlap; the nearest few below the code are looked at.
        let range = self.ranges[..after]
            .iter()
            .rev()
            .take(4)
            .find(|r| r.len == len && (r.low..=r.high).contains(&code))?;
        let mut units = range.first.clone();
        let step = code - range.low;
        if let [.., high @ 0xd800..=0xdbff, low @ 0xdc00..=0xdfff] = units.as_mut_slice() {
            let point = 0x1_0000 + (u32::from(*high & 0x3ff) << 10 | u32::from(*low & 0x3ff));
            let next = point.saturating_add(step);
            return char::from_u32(next).map(String::from);
        }
        let last = units.last_mut()?;
        *last = u16::try_from(u32::from(*last).checked_add(step)?).ok()?;
        Some(utf16(&units))
    }

    /// The text of a code whatever its length in bytes, for CMaps whose lengths do not agree
    /// with those of the font.
    pub(super) fn unicode_of_any_length(&self, code: Code) -> Option<String> {
        self.unicode(code).or_else(|| {
            (1..=4u8)
                .filter(|&l| l != code.0)
                .find_map(|l| self.unicode((l, code.1)))
        })
    }

    /// The CID of a code.
    pub(super) fn cid(&self, (len, code): Code) -> Option<u32> {
        let after = self.cids.partition_point(|r| (r.len, r.low) <= (len, code));
        self.cids[..after]
            .iter()
            .rev()
            .take(4)
            .find(|r| r.len == len && (r.low..=r.high).contains(&code))
            .map(|r| r.cid.saturating_add(code - r.low))
    }
}

/// Code spaces are boxes: every byte has its own range.
fn in_space(value: u32, low: u32, high: u32, len: u8) -> bool {
    (0..u32::from(len)).all(|i| {
        let byte = |v: u32| (v >> (8 * i)) & 0xff;
        (byte(low)..=byte(high)).contains(&byte(value))
    })
}

fn code_pair(pair: &[Operand<'_>]) -> Option<(Code, Code)> {
    let low = pair.first()?.string().and_then(be_code)?;
    let high = pair.get(1)?.string().and_then(be_code)?;
    (low.1 <= high.1).then_some((low, high))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ParseOptions;

    fn parse(data: &[u8]) -> CMap {
        CMap::parse(data, &Budget::new(&ParseOptions::default())).unwrap()
    }

    #[test]
    fn characters_ranges_and_arrays() {
        let map = parse(
            b"1 begincodespacerange <0000> <ffff> endcodespacerange
              2 beginbfchar <0001> <00660066> <0002> <D83DDE00> endbfchar
              2 beginbfrange <0010> <0012> <0041> <0020> <0021> [<0061> <0062>] endbfrange",
        );
        let text = |c| map.unicode((2, c));
        assert_eq!(text(1).as_deref(), Some("ff"));
        assert_eq!(text(2).as_deref(), Some("😀"));
        assert_eq!(text(0x12).as_deref(), Some("C"));
        assert_eq!(text(0x13), None);
        assert_eq!(text(0x21).as_deref(), Some("b"));
    }

    #[test]
    fn codes_have_the_length_of_their_space() {
        let map = parse(
            b"begincodespacerange <00> <80> <8140> <9ffc> endcodespacerange
              begincidrange <8140> <817e> 633 endcidrange",
        );
        assert_eq!(map.next_code(&[0x41, 0x81]), (1, 0x41));
        assert_eq!(map.next_code(&[0x81, 0x41, 0x20]), (2, 0x8141));
        assert_eq!(map.cid((2, 0x8141)), Some(634));
        assert_eq!(map.next_code(&[0xff]), (1, 0xff));
    }

    #[test]
    fn a_range_over_everything_costs_nothing() {
        let map = parse(b"beginbfrange <00000000> <ffffffff> <0000> endbfrange");
        assert_eq!(map.unicode((4, 0x41)).as_deref(), Some("A"));
        assert_eq!(map.unicode((4, 0xffff_ffff)), None);
    }
}

//! Advance widths of glyphs, in thousandths of the font size (glyph space for Type3 fonts).

use std::collections::HashMap;

use lopdf::{Dictionary, Object};

use super::objects::Source;
use crate::ParseError;

/// Most codes that one range of a `W` array may cover.
const MAX_CODE: u32 = 0x1_0000;

/// Helvetica, codes 32 to 126.
const HELVETICA: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// Times Roman, codes 32 to 126.
const TIMES: [u16; 95] = [
    250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500,
    500, 500, 500, 500, 500, 500, 500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611,
    556, 722, 722, 333, 389, 722, 611, 889, 722, 722, 556, 722, 667, 556, 611, 722, 722, 944, 722,
    722, 611, 333, 278, 333, 469, 500, 333, 444, 500, 444, 500, 444, 333, 500, 500, 278, 278, 500,
    278, 778, 500, 500, 500, 500, 333, 389, 278, 500, 500, 722, 500, 500, 444, 480, 200, 480, 541,
];

/// Widths by code (simple fonts) or by CID (composite ones).
#[derive(Debug, Clone)]
pub(super) struct Widths {
    low: Vec<f32>,
    more: HashMap<u32, f32>,
    /// First and last CID with their width, in ascending order.
    ranges: Vec<(u32, u32, f32)>,
    default: f32,
}

impl Widths {
    /// The widths of one of the fonts that every reader has, or of the one most like it.
    pub(super) fn standard(name: &[u8]) -> Self {
        let lower = String::from_utf8_lossy(name).to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|p| lower.contains(p));
        if has(&["courier", "mono", "consol"]) {
            return Self {
                low: vec![600.0; 256],
                more: HashMap::new(),
                ranges: Vec::new(),
                default: 600.0,
            };
        }
        let serif =
            has(&["times", "roman", "serif", "georgia", "garamond", "book"]) && !has(&["sans"]);
        let table = if serif { &TIMES } else { &HELVETICA };
        // Bold cuts are a little wider.
        let scale = if has(&["bold", "black"]) { 1.06 } else { 1.0 };
        let mut low = vec![if serif { 500.0 } else { 556.0 }; 256];
        for (entry, &w) in low.iter_mut().skip(32).zip(table) {
            *entry = f32::from(w) * scale;
        }
        Self {
            low,
            more: HashMap::new(),
            ranges: Vec::new(),
            default: 500.0,
        }
    }

    pub(super) fn simple<'a>(
        source: &Source<'a>,
        dict: &'a Dictionary,
        descriptor: Option<&'a Dictionary>,
        name: &[u8],
    ) -> Self {
        let Some(array) = source.get_array(dict, b"Widths") else {
            return Self::standard(name);
        };
        let missing = descriptor
            .and_then(|d| source.get_number(d, b"MissingWidth"))
            .filter(|w| (0.0..5000.0).contains(w))
            .unwrap_or(0.0);
        let first = source.get_number(dict, b"FirstChar").unwrap_or(0.0);
        let first = if (0.0..256.0).contains(&first) {
            first as usize
        } else {
            0
        };
        let mut low = vec![missing; 256];
        for (entry, item) in low.iter_mut().skip(first).zip(array) {
            if let Some(w) = source.number(item).filter(|w| w.abs() < 1.0e5) {
                *entry = w;
            }
        }
        Self {
            low,
            more: HashMap::new(),
            ranges: Vec::new(),
            default: missing,
        }
    }

    pub(super) fn composite<'a>(
        source: &Source<'a>,
        descendant: Option<&'a Dictionary>,
    ) -> Result<Self, ParseError> {
        let mut widths = Self {
            low: Vec::new(),
            more: HashMap::new(),
            ranges: Vec::new(),
            default: descendant
                .and_then(|d| source.get_number(d, b"DW"))
                .filter(|w| (0.0..1.0e5).contains(w))
                .unwrap_or(1000.0),
        };
        let items = descendant
            .and_then(|d| source.get_array(d, b"W"))
            .unwrap_or_default();
        let mut at = 0usize;
        while let Some(first) = items.get(at).and_then(|o| code(source, o)) {
            source.budget.tick()?;
            match items.get(at + 1).map(|o| source.resolve(o)) {
                Some(Object::Array(list)) => {
                    for (cid, item) in (first..MAX_CODE).zip(list) {
                        source.budget.tick()?;
                        if let Some(w) = source.number(item) {
                            widths.more.insert(cid, w);
                        }
                    }
                    at += 2;
                }
                Some(last) => {
                    let last = code(source, last).unwrap_or(first);
                    if let Some(w) = items.get(at + 2).and_then(|o| source.number(o)) {
                        widths.ranges.push((first, last, w));
                    }
                    at += 3;
                }
                None => break,
            }
        }
        widths.ranges.sort_by_key(|r| r.0);
        Ok(widths)
    }

    pub(super) fn of(&self, code: u32) -> f32 {
        if let Some(w) = self.low.get(code as usize) {
            return *w;
        }
        if let Some(w) = self.more.get(&code) {
            return *w;
        }
        let after = self.ranges.partition_point(|r| r.0 <= code);
        // Ranges may overlap; the nearest few are looked at.
        let range = self.ranges[..after].iter().rev().take(4);
        range
            .filter(|r| code <= r.1)
            .map(|r| r.2)
            .next()
            .unwrap_or(self.default)
    }

    /// Whether all glyphs that have a width share one.
    pub(super) fn uniform(&self) -> bool {
        let mut widths = self
            .low
            .iter()
            .chain(self.more.values())
            .chain(self.ranges.iter().map(|r| &r.2))
            .filter(|w| **w > 0.0);
        let Some(first) = widths.next() else {
            return false;
        };
        let mut others = 0usize;
        for w in widths {
            if (w - first).abs() > 1.0 {
                return false;
            }
            others += 1;
        }
        others > 8
    }
}

fn code<'a>(source: &Source<'a>, object: &'a Object) -> Option<u32> {
    source
        .number(object)
        .filter(|n| (0.0..MAX_CODE as f32).contains(n))
        .map(|n| n as u32)
}

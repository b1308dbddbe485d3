//! Half-open ranges into a document's canonical text.

use serde::{Deserialize, Serialize};

/// A half-open range `start..end` of UTF-8 byte offsets into a canonical text.
///
/// Both ends lie on character boundaries of the text they were made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ByteRange {
    /// First byte of the range.
    pub start: usize,
    /// One past the last byte of the range.
    pub end: usize,
}

impl ByteRange {
    /// The range `start..end`; an end before the start gives the empty range at `start`.
    pub fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether the range holds no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `other` lies within this range.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two ranges share a byte.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The text in this range, or `None` where the range does not fit the text.
    pub fn slice(self, text: &str) -> Option<&str> {
        text.get(self.start..self.end)
    }

    /// The same range in UTF-16 code units, as JavaScript counts, or `None` where the
    /// range does not fit the text.
    pub fn to_utf16(self, text: &str) -> Option<Utf16Range> {
        let start = utf16_len(text.get(..self.start)?);
        Some(Utf16Range {
            start,
            end: start + utf16_len(self.slice(text)?),
        })
    }
}

impl From<std::ops::Range<usize>> for ByteRange {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self::new(range.start, range.end)
    }
}

/// A half-open range in UTF-16 code units of the canonical text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Utf16Range {
    /// First code unit of the range.
    pub start: usize,
    /// One past the last code unit of the range.
    pub end: usize,
}

fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_counts_surrogate_pairs_twice() {
        let text = "aé😀b";
        let range = ByteRange::new(3, 7);
        assert_eq!(range.slice(text), Some("😀"));
        assert_eq!(range.to_utf16(text), Some(Utf16Range { start: 2, end: 4 }));
    }

    #[test]
    fn a_range_that_does_not_fit_gives_nothing() {
        assert_eq!(ByteRange::new(1, 3).slice("é"), None);
        assert_eq!(ByteRange::new(0, 9).to_utf16("abc"), None);
    }
}

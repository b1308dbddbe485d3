//! The tokens of one text, encoded once and asked often.

use crate::{ByteRange, ChunkError, TokenOffsets};

/// Where each token starts, in ascending order.
#[derive(Debug)]
pub(super) struct Tokens {
    starts: Vec<usize>,
}

impl Tokens {
    pub(super) fn of(text: &str, tokenizer: &dyn TokenOffsets) -> Result<Self, ChunkError> {
        let offsets = tokenizer
            .token_offsets(text)
            .map_err(ChunkError::Tokenizer)?;
        let mut starts = Vec::with_capacity(offsets.len());
        let mut last = 0;
        for range in offsets {
            if range.start < last || range.end < range.start || range.end > text.len() {
                return Err(ChunkError::Offsets {
                    start: range.start,
                    end: range.end,
                    len: text.len(),
                });
            }
            last = range.start;
            starts.push(range.start);
        }
        Ok(Self { starts })
    }

    /// Tokens that start in `range`.
    pub(super) fn count(&self, range: ByteRange) -> usize {
        self.before(range.end) - self.before(range.start)
    }

    fn before(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start < at)
    }
}

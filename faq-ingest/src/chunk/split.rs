//! A block that fits no chunk, cut at the best boundaries that text-splitter finds.

use text_splitter::{ChunkConfig, ChunkSizer, TextSplitter};

use super::tokens::Tokens;
use crate::ByteRange;

/// Text handed to the splitter at once, in bytes. Its time grows with the square of a text
/// that has no boundary, so that 2 MB took 44 s; a window of this size takes milliseconds.
const WINDOW: usize = 16 * 1024;

/// Answers for slices of one text from the offsets of the whole.
struct Sizer<'t> {
    text: &'t str,
    tokens: &'t Tokens,
}

impl ChunkSizer for Sizer<'_> {
    fn size(&self, chunk: &str) -> usize {
        let start = (chunk.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let end = start.saturating_add(chunk.len());
        debug_assert!(
            end <= self.text.len(),
            "the splitter sizes slices of its text"
        );
        self.tokens
            .count(ByteRange::new(start.min(end), end.min(self.text.len())))
    }
}

/// Cuts `range` into pieces of at most `size` tokens that follow each other without a gap.
/// A character of more tokens stays whole.
pub(super) fn split(text: &str, tokens: &Tokens, range: ByteRange, size: usize) -> Vec<ByteRange> {
    let sizer = Sizer { text, tokens };
    let splitter = TextSplitter::new(
        ChunkConfig::new(size.max(1))
            .with_sizer(sizer)
            .with_trim(false),
    );
    let mut pieces = Vec::new();
    let mut from = range.start;
    while from < range.end {
        let to = window_end(text, from, range.end);
        let window = &text[from..to];
        let mut at = from;
        for (offset, piece) in splitter.chunk_indices(window) {
            let end = from + offset + piece.len();
            if end > at {
                pieces.push(ByteRange::new(at, end));
                at = end;
            }
        }
        if at < to {
            pieces.push(ByteRange::new(at, to));
        }
        from = to;
    }
    pieces
}

/// Where a window from `from` ends: at `end`, or at the best boundary in its last quarter.
fn window_end(text: &str, from: usize, end: usize) -> usize {
    if end - from <= WINDOW {
        return end;
    }
    let latest = floor(text, from + WINDOW);
    let earliest = floor(text, from + WINDOW / 4 * 3);
    let tail = &text[earliest..latest];
    if let Some(at) = tail.rfind('\n') {
        return earliest + at + 1;
    }
    let sentence = tail
        .char_indices()
        .rfind(|&(_, c)| matches!(c, '。' | '！' | '？'));
    if let Some((at, c)) = sentence {
        return earliest + at + c.len_utf8();
    }
    if let Some(at) = tail.rfind(". ") {
        return earliest + at + 2;
    }
    if let Some((at, c)) = tail.char_indices().rfind(|(_, c)| c.is_whitespace()) {
        return earliest + at + c.len_utf8();
    }
    latest
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

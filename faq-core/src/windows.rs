//! Which pieces of a chunk are embedded, so that no token of it stays unseen.

use faq_ingest::{ByteRange, Chunk};

/// Pieces of `chunk` of at most `most` tokens each, that together hold every token of it.
///
/// `tokens` are the tokens of the whole text in ascending order. A piece ends where a word
/// ends wherever that leaves it at least half full, so that the model reads the same tokens
/// from the piece as from the whole.
pub(crate) fn windows(chunk: &Chunk, tokens: &[ByteRange], most: usize) -> Vec<ByteRange> {
    let range = chunk.range;
    let first = tokens.partition_point(|t| t.start < range.start);
    let last = tokens.partition_point(|t| t.start < range.end);
    let tokens = &tokens[first..last];
    if tokens.len() <= most {
        return if tokens.is_empty() {
            Vec::new()
        } else {
            vec![range]
        };
    }
    // Pieces of even length: a last one of three words would embed badly.
    let pieces = tokens.len().div_ceil(most);
    let mut windows = Vec::with_capacity(pieces + 1);
    let mut from = 0;
    while from < tokens.len() {
        let left = tokens.len() - from;
        let to = if left <= most {
            tokens.len()
        } else {
            let even = left.div_ceil(left.div_ceil(most));
            word_end(tokens, from + even.div_ceil(2), from + even)
        };
        let start = if from == 0 {
            range.start
        } else {
            tokens[from].start
        };
        let end = tokens
            .get(to)
            .map_or(range.end, |next| next.start.max(tokens[to - 1].end));
        windows.push(ByteRange::new(start, end.min(range.end)));
        from = to;
    }
    windows
}

/// The last token of `least..=most` that begins a word, or `most` where none does.
fn word_end(tokens: &[ByteRange], least: usize, most: usize) -> usize {
    (least..=most)
        .rev()
        .find(|&i| tokens[i].start > tokens[i - 1].end)
        .unwrap_or(most)
}

/// How many of `tokens` lie in at least one of `windows`, each counted once.
pub(crate) fn covered(tokens: &[ByteRange], windows: &[ByteRange]) -> u64 {
    let mut sorted = windows.to_vec();
    sorted.sort_unstable();
    let mut covered = 0;
    let mut next = 0;
    let mut reach = 0;
    for token in tokens {
        while next < sorted.len() && sorted[next].start <= token.start {
            reach = reach.max(sorted[next].end);
            next += 1;
        }
        covered += u64::from(token.end <= reach);
    }
    covered
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// Tokens of the lengths given; an odd length is followed by a blank.
    fn tokens(lengths: &[usize]) -> Vec<ByteRange> {
        let mut at = 0;
        lengths
            .iter()
            .map(|&len| {
                let token = ByteRange::new(at, at + len);
                at += len + len % 2;
                token
            })
            .collect()
    }

    fn chunk(range: ByteRange, tokens: usize) -> Chunk {
        Chunk {
            ordinal: 0,
            range,
            tokens,
            pages: None,
            heading_path: Vec::new(),
            table_header: None,
        }
    }

    proptest! {
        #[test]
        fn every_token_is_seen_and_no_window_is_too_long(
            lengths in prop::collection::vec(1usize..6, 1..400),
            most in 2usize..50,
        ) {
            let tokens = tokens(&lengths);
            let range = ByteRange::new(0, tokens.last().unwrap().end);
            let windows = windows(&chunk(range, tokens.len()), &tokens, most);
            prop_assert_eq!(covered(&tokens, &windows), tokens.len() as u64);
            prop_assert_eq!(windows[0].start, 0);
            prop_assert_eq!(windows.last().unwrap().end, range.end);
            for window in &windows {
                let inside = tokens.iter().filter(|t| window.contains(**t)).count();
                prop_assert!(inside <= most && inside > 0, "{} tokens", inside);
            }
        }
    }

    #[test]
    fn windows_end_between_words() {
        // Ten words of two tokens each: `ab` then `c `.
        let tokens = tokens(&[2, 1].repeat(10));
        let range = ByteRange::new(0, tokens[19].end);
        let windows = windows(&chunk(range, 20), &tokens, 5);
        for pair in windows.windows(2) {
            let first = tokens
                .iter()
                .position(|t| t.start == pair[1].start)
                .unwrap();
            assert_eq!(first % 2, 0, "a window begins inside a word");
        }
    }
}

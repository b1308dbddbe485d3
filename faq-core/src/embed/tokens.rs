//! The embedding model's tokenizer.

use faq_ingest::ByteRange;
use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::EmbedError;

/// Longest piece of text that goes through the tokenizer at once, in bytes. Its cost grows
/// faster than its input, and pieces can be worked on side by side.
const PIECE_BYTES: usize = 4096;

/// Byte ranges of the content tokens of `text`. Runs on the calling thread's rayon pool.
pub(super) fn offsets(tokenizer: &Tokenizer, text: &str) -> Result<Vec<ByteRange>, EmbedError> {
    let pieces = pieces(text);
    let tokens: Vec<Vec<ByteRange>> = pieces
        .par_iter()
        .map(|&(start, piece)| {
            let encoding = tokenizer
                .encode(piece, false)
                .map_err(|e| EmbedError::Tokenizer(e.to_string()))?;
            Ok(encoding
                .get_offsets()
                .iter()
                .map(|&(from, to)| ByteRange::new(start + from, start + to))
                .collect())
        })
        .collect::<Result<_, EmbedError>>()?;
    Ok(tokens.concat())
}

/// Ids of a text with its special tokens, at most `limit` in all; a longer text loses its end.
pub(super) fn ids(tokenizer: &Tokenizer, text: &str, limit: usize) -> Result<Vec<u32>, EmbedError> {
    let fail = |e: tokenizers::Error| EmbedError::Tokenizer(e.to_string());
    // No token of a word-piece vocabulary is longer than this in bytes on average over a
    // whole window, white space included, unless the text is mostly blank.
    let mut head = cut(text, limit * 64);
    let content = loop {
        let encoding = tokenizer.encode_fast(head, false).map_err(fail)?;
        if encoding.len() >= limit || head.len() == text.len() {
            break encoding;
        }
        head = cut(text, head.len() * 4);
    };
    let mut content = content;
    let special = tokenizer
        .get_post_processor()
        .map_or(0, |p| tokenizers::PostProcessor::added_tokens(p, false));
    content.truncate(
        limit.saturating_sub(special),
        0,
        tokenizers::TruncationDirection::Right,
    );
    let whole = tokenizer.post_process(content, None, true).map_err(fail)?;
    Ok(whole.get_ids().to_vec())
}

/// Cuts a text after white space into pieces of about [`PIECE_BYTES`], or anywhere between
/// characters where there is no white space for that long.
fn pieces(text: &str) -> Vec<(usize, &str)> {
    let mut pieces = Vec::with_capacity(text.len() / PIECE_BYTES + 1);
    let mut start = 0;
    while start < text.len() {
        let window = cut(&text[start..], PIECE_BYTES);
        let end = if start + window.len() == text.len() {
            window.len()
        } else {
            window
                .char_indices()
                .rev()
                .find(|(_, c)| c.is_whitespace())
                .map_or(window.len(), |(i, c)| i + c.len_utf8())
        };
        pieces.push((start, &text[start..start + end]));
        start += end;
    }
    pieces
}

/// The longest head of `text` of at most `bytes` bytes that ends between characters.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text_and_end_after_white_space() {
        let text = "word ".repeat(3000) + &"x".repeat(10_000) + &"語".repeat(5000);
        let pieces = pieces(&text);
        assert_eq!(pieces.iter().map(|p| p.1).collect::<String>(), text);
        assert!(
            pieces
                .iter()
                .all(|p| p.1.len() <= PIECE_BYTES && !p.1.is_empty())
        );
        assert!(pieces[0].1.ends_with(' '));
    }
}

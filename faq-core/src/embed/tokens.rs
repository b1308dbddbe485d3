//! The embedding model's tokenizer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use faq_ingest::ByteRange;
use rayon::prelude::*;
use tokenizers::{Encoding, Tokenizer, TruncationDirection};

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
            let encoding = caught(|| tokenizer.encode(piece, false))?;
            Ok(encoding
                .get_offsets()
                .iter()
                .map(|&(from, to)| ByteRange::new(start + from, start + to))
                .collect())
        })
        .collect::<Result<_, EmbedError>>()?;
    Ok(tokens.concat())
}

/// What a model reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most tokens of a text or a pair, special ones included.
    pub(super) tokens: usize,
    /// Number of tokens that the model knows.
    pub(super) vocabulary: usize,
}

/// Number of special tokens that a text gets, or a pair of texts.
pub(super) fn added(tokenizer: &Tokenizer, pair: bool) -> usize {
    tokenizer
        .get_post_processor()
        .map_or(0, |p| tokenizers::PostProcessor::added_tokens(p, pair))
}

/// Ids of a text with its special tokens; a longer text loses its end.
pub(super) fn ids(
    tokenizer: &Tokenizer,
    text: &str,
    limits: Limits,
) -> Result<Vec<u32>, EmbedError> {
    let mut content = head(tokenizer, text, limits.tokens)?;
    let room = limits.tokens.saturating_sub(added(tokenizer, false));
    content.truncate(room, 0, TruncationDirection::Right);
    let whole = caught(|| tokenizer.post_process(content, None, true))?;
    checked(whole.get_ids(), limits)
}

/// Ids of a pair of texts with their special tokens, and where those of the second text's kind
/// begin. Of too many the longer text loses its end, and both where both are long.
pub(super) fn pair(
    tokenizer: &Tokenizer,
    first: &str,
    second: &str,
    limits: Limits,
) -> Result<(Vec<u32>, usize), EmbedError> {
    let mut first = head(tokenizer, first, limits.tokens)?;
    let mut second = head(tokenizer, second, limits.tokens)?;
    let room = limits.tokens.saturating_sub(added(tokenizer, true));
    if first.len() + second.len() > room {
        let shorter = first.len().min(second.len()).min(room / 2);
        let (of_first, of_second) = if first.len() > second.len() {
            (room - shorter, shorter)
        } else {
            (shorter, room - shorter)
        };
        first.truncate(of_first, 0, TruncationDirection::Right);
        second.truncate(of_second, 0, TruncationDirection::Right);
    }
    let whole = caught(|| tokenizer.post_process(first, Some(second), true))?;
    let ids = checked(whole.get_ids(), limits)?;
    let begins = whole.get_type_ids().iter().position(|kind| *kind > 0);
    Ok((ids, begins.unwrap_or(whole.len())))
}

/// The tokens of a text's beginning, at least `limit` of them where it has as many.
fn head(tokenizer: &Tokenizer, text: &str, limit: usize) -> Result<Encoding, EmbedError> {
    // No token of a word-piece vocabulary is longer than this in bytes on average over a
    // whole window, white space included, unless the text is mostly blank.
    let mut head = cut(text, limit * 64);
    loop {
        let encoding = caught(|| tokenizer.encode_fast(head, false))?;
        if encoding.len() >= limit || head.len() == text.len() {
            return Ok(encoding);
        }
        head = cut(text, head.len() * 4);
    }
}

/// A tokenizer that belongs to another model gives ids that this one has no rows for.
fn checked(ids: &[u32], limits: Limits) -> Result<Vec<u32>, EmbedError> {
    if let Some(id) = ids.iter().find(|id| **id as usize >= limits.vocabulary) {
        return Err(EmbedError::Tokenizer(format!(
            "it gives the token {id}, and the model knows {}",
            limits.vocabulary
        )));
    }
    if ids.len() > limits.tokens {
        return Err(EmbedError::Tokenizer(format!(
            "it gives {} tokens, and the model reads {}",
            ids.len(),
            limits.tokens
        )));
    }
    Ok(ids.to_vec())
}

/// What a tokenizer gives. Its crate trusts files of tokenizers, and panics at some damaged ones.
pub(super) fn caught<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, EmbedError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(EmbedError::Tokenizer(error.to_string())),
        Err(_) => Err(EmbedError::Tokenizer("it contradicts itself".to_owned())),
    }
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

//! The tokenizer that a GGUF file carries.
//!
//! Byte-level BPE (`tokenizer.ggml.model = "gpt2"`) with a known way of splitting words is built,
//! and SentencePiece's (`"llama"`, [`super::sentencepiece`]); everything else is refused, since a
//! tokenizer that is almost right makes a model that is quietly stupid.
//!
//! Text is always plain here: [`ModelTokenizer::encode`] never yields a control token, however
//! the text reads. Control tokens come from the chat template alone, by
//! [`ModelTokenizer::split_controls`].

use std::collections::HashMap;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::fixed_length::FixedLength;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

use super::GenerateError;
use super::gguf::{Fault, Gguf};
use super::sentencepiece::{Pieces, SPACE, byte_of};
use super::shape::Family;

/// Characters of one word that the merging sees at once. Its cost grows faster than the
/// word, and no word of a language is that long.
const WORD_CHARS: usize = 512;

/// Bytes that are split into words at once. The splitting backtracks, with a limit that a
/// text of megabytes could reach.
const STRETCH_BYTES: usize = 16 << 10;

const GPT2_WORDS: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Kinds of `tokenizer.ggml.token_type` that are told apart.
const NORMAL: i64 = 1;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const BYTE: i64 = 6;

/// A stretch of a rendered chat template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stretch<'a> {
    /// One control token.
    Control(u32),
    /// Plain text.
    Text(&'a str),
}

/// How plain text becomes tokens.
enum Plain {
    Bytes(Box<Tokenizer>),
    Pieces(Pieces),
}

pub(super) struct ModelTokenizer {
    plain: Plain,
    /// Bytes of each token; `None` for tokens that are no text.
    bytes: Vec<Option<Box<[u8]>>>,
    /// Control and added tokens with their names, longest name first.
    controls: Vec<(String, u32)>,
    is_control: Vec<bool>,
    longest: usize,
    begin: Option<u32>,
    end: Option<u32>,
    add_begin: bool,
    /// Control tokens behind which blanks are no text.
    strips: Vec<u32>,
}

impl std::fmt::Debug for ModelTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelTokenizer")
            .field("tokens", &self.bytes.len())
            .field("controls", &self.controls.len())
            .finish_non_exhaustive()
    }
}

impl ModelTokenizer {
    /// Builds the tokenizer of an open file.
    pub(super) fn from_gguf(gguf: &Gguf) -> Result<Self, Fault> {
        let pieces = match gguf.text("tokenizer.ggml.model")? {
            Some("gpt2") => false,
            Some("llama") => true,
            Some(other) => {
                return Err(Fault::Unsupported(format!(
                    "its tokenizer is of the kind {other:?} (known: \"gpt2\", which is byte-level \
                     BPE, and \"llama\", which is SentencePiece)"
                )));
            }
            None => return Err(Fault::Unsupported("it carries no tokenizer".into())),
        };
        let tokens = gguf
            .texts("tokenizer.ggml.tokens")?
            .ok_or_else(|| Fault::Damaged("it lists no tokens".into()))?;
        let kinds = gguf
            .ints("tokenizer.ggml.token_type")?
            .ok_or_else(|| Fault::Damaged("it lists no kinds of tokens".into()))?;
        if tokens.is_empty() || tokens.len() != kinds.len() {
            return Err(Fault::Damaged(format!(
                "it lists {} tokens and {} kinds",
                tokens.len(),
                kinds.len()
            )));
        }
        let template = gguf.text("tokenizer.chat_template")?.unwrap_or_default();
        let plain = if pieces {
            let kind = |id: usize| kinds[id];
            Plain::Pieces(Pieces::from_gguf(
                gguf,
                tokens,
                &|id| kind(id) == NORMAL,
                &|id| kind(id) == USER_DEFINED && !looks_like_a_frame(&tokens[id], template),
                &|id| byte_of(&tokens[id]).filter(|_| kind(id) == BYTE),
            )?)
        } else {
            let merges = gguf
                .texts("tokenizer.ggml.merges")?
                .ok_or_else(|| Fault::Damaged("it lists no merges".into()))?;
            let scheme = gguf.text("tokenizer.ggml.pre")?.unwrap_or_default();
            Plain::Bytes(Box::new(plain_tokenizer(scheme, tokens, kinds, merges)?))
        };

        let letters = letter_bytes();
        let mut bytes: Vec<Option<Box<[u8]>>> = Vec::with_capacity(tokens.len());
        let mut controls = Vec::new();
        for (id, (token, kind)) in tokens.iter().zip(kinds).enumerate() {
            if matches!(*kind, CONTROL | USER_DEFINED) && !token.is_empty() {
                controls.push((token.clone(), id as u32));
            }
            bytes.push(match *kind {
                NORMAL | USER_DEFINED if pieces => {
                    Some(token.replace(SPACE, " ").into_bytes().into())
                }
                BYTE if pieces => byte_of(token).map(|byte| Box::from([byte])),
                NORMAL => token.chars().map(|c| letters.get(&c).copied()).collect(),
                USER_DEFINED => Some(token.as_bytes().into()),
                _ => None,
            });
        }
        controls.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let id = |key: &str| -> Result<Option<u32>, Fault> {
            match gguf.size(key)? {
                Some(id) if id >= tokens.len() => Err(Fault::Damaged(format!(
                    "its {key:?} is {id}, and it has {} tokens",
                    tokens.len()
                ))),
                id => Ok(id.map(|id| id as u32)),
            }
        };
        // Phi-3's tokenizer takes the blanks behind its turns' marks for a part of them.
        let phi3 = pieces && matches!(Family::of(gguf), Ok((_, Family::Phi3)));
        let strips = controls
            .iter()
            .filter(|(name, _)| phi3 && !matches!(name.as_str(), "<unk>" | "<s>" | "<|endoftext|>"))
            .map(|(_, id)| *id);
        Ok(Self {
            plain,
            strips: strips.collect(),
            longest: bytes.iter().flatten().map(|b| b.len()).max().unwrap_or(1),
            bytes,
            controls,
            is_control: kinds.iter().map(|kind| *kind == CONTROL).collect(),
            begin: id("tokenizer.ggml.bos_token_id")?,
            end: id("tokenizer.ggml.eos_token_id")?,
            add_begin: gguf.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(pieces),
        })
    }

    /// Number of tokens the model knows.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Name of the token that begins a text, empty where there is none.
    pub(super) fn begin_name(&self) -> &str {
        self.name(self.begin)
    }

    /// Name of the token that ends a text, empty where there is none.
    pub(super) fn end_name(&self) -> &str {
        self.name(self.end)
    }

    fn name(&self, id: Option<u32>) -> &str {
        self.controls
            .iter()
            .find(|(_, control)| Some(*control) == id)
            .map_or("", |(name, _)| name.as_str())
    }

    /// The token that every prompt begins with, where the model wants one.
    pub(super) fn leading(&self) -> Option<u32> {
        self.begin.filter(|_| self.add_begin)
    }

    /// Whether a token ends the model's turn. Every control token does: a model that writes
    /// one has left what it was asked for.
    pub(super) fn ends_turn(&self, id: u32) -> bool {
        Some(id) == self.end
            || self
                .is_control
                .get(id as usize)
                .is_none_or(|control| *control)
    }

    /// The bytes that a token stands for; none for tokens that are no text.
    pub(super) fn token_bytes(&self, id: u32) -> &[u8] {
        self.bytes
            .get(id as usize)
            .and_then(Option::as_deref)
            .unwrap_or_default()
    }

    /// Fewest tokens that a text of so many bytes can have.
    pub(super) fn least_tokens(&self, bytes: usize) -> usize {
        bytes / self.longest
    }

    /// Appends the tokens of `text`, none of them a control token.
    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) -> Result<(), GenerateError> {
        let plain = match &self.plain {
            Plain::Bytes(plain) => plain,
            Plain::Pieces(pieces) => {
                pieces.encode(text, tokens);
                return Ok(());
            }
        };
        for stretch in stretches(text) {
            let encoding = plain
                .encode_fast(stretch, false)
                .map_err(|e| GenerateError::Tokenizer(e.to_string()))?;
            tokens.extend_from_slice(encoding.get_ids());
        }
        Ok(())
    }

    /// As [`ModelTokenizer::encode`] for text behind the tokens that are there.
    pub(super) fn encode_behind(
        &self,
        text: &str,
        tokens: &mut Vec<u32>,
    ) -> Result<(), GenerateError> {
        let strips = tokens.last().is_some_and(|last| self.strips.contains(last));
        self.encode(if strips { text.trim_start() } else { text }, tokens)
    }

    /// Whether the first word of a text comes with a space that is none of the text.
    pub(super) fn leads_with_space(&self) -> bool {
        matches!(&self.plain, Plain::Pieces(pieces) if pieces.leading_space)
    }

    /// Cuts text of the chat template at the names of control and added tokens.
    pub(super) fn split_controls<'a>(&self, text: &'a str) -> Vec<Stretch<'a>> {
        let mut out = Vec::new();
        let (mut start, mut at) = (0, 0);
        while at < text.len() {
            let rest = &text[at..];
            let found = self
                .controls
                .iter()
                .find(|(name, _)| rest.starts_with(name.as_str()));
            if let Some((name, id)) = found {
                if start < at {
                    out.push(Stretch::Text(&text[start..at]));
                }
                out.push(Stretch::Control(*id));
                at += name.len();
                start = at;
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        if start < text.len() {
            out.push(Stretch::Text(&text[start..]));
        }
        out
    }
}

/// Whether text of a message must never become this token, although it is none of control: it
/// stands in the frame that the template writes, or looks as if it did.
fn looks_like_a_frame(token: &str, template: &str) -> bool {
    let token = token.trim();
    let marked = token.starts_with("<|") && token.ends_with("|>");
    let turn = token.contains("_of_turn>") || matches!(token, "<s>" | "</s>" | "<bos>" | "<eos>");
    marked || turn || (token.starts_with(['<', '[']) && template.contains(token))
}

fn plain_tokenizer(
    scheme: &str,
    tokens: &[String],
    kinds: &[i64],
    merges: &[String],
) -> Result<Tokenizer, Fault> {
    let words = |pattern: &str| -> Result<PreTokenizerWrapper, Fault> {
        Split::new(
            SplitPattern::Regex(pattern.to_owned()),
            SplitDelimiterBehavior::Isolated,
            false,
        )
        .map(Into::into)
        .map_err(|e| Fault::Unsupported(e.to_string()))
    };
    let (mut splitting, composed, whole_words) = match scheme {
        "gpt-2" => (vec![words(GPT2_WORDS)?], false, false),
        "smollm" => (
            vec![Digits::new(true).into(), words(GPT2_WORDS)?],
            false,
            false,
        ),
        "qwen2" => (vec![words(QWEN2_WORDS)?], true, false),
        "llama-bpe" | "llama-v3" | "llama3" => (vec![words(LLAMA3_WORDS)?], false, true),
        other => {
            return Err(Fault::Unsupported(format!(
                "it splits words in the unknown way {other:?} (known: gpt-2, llama-bpe, qwen2, \
                 smollm)"
            )));
        }
    };
    splitting.push(FixedLength::new(WORD_CHARS).into());
    splitting.push(ByteLevel::new(false, false, false).into());

    // Control tokens stay out of the vocabulary, so that no text can turn into one.
    let vocabulary: Vocab = (0..)
        .zip(tokens)
        .zip(kinds)
        .filter(|(_, kind)| **kind == NORMAL)
        .map(|((id, token), _)| (token.clone(), id))
        .collect();
    let mut pairs = Vec::with_capacity(merges.len());
    for merge in merges {
        let pair = merge.split_once(' ').filter(|(a, b)| {
            [a.to_string(), b.to_string(), format!("{a}{b}")]
                .iter()
                .all(|part| vocabulary.contains_key(part))
        });
        let Some((left, right)) = pair else {
            return Err(Fault::Damaged(format!(
                "its merge {merge:?} makes no token"
            )));
        };
        pairs.push((left.to_owned(), right.to_owned()));
    }
    // Vocabularies lack bytes that no text of their training had (some control characters),
    // which are then read as nothing. One that lacks a plain letter is no such vocabulary.
    let missing = letter_bytes().into_iter().find(|(letter, byte)| {
        byte.is_ascii_graphic() && !vocabulary.contains_key(&letter.to_string())
    });
    if let Some((letter, _)) = missing {
        return Err(Fault::Damaged(format!("its tokens lack {letter:?}")));
    }
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary, pairs)
        .ignore_merges(whole_words)
        .build()
        .map_err(|e| Fault::Damaged(format!("its tokens contradict its merges: {e}")))?;
    let mut tokenizer = Tokenizer::new(bpe);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(splitting)));
    if composed {
        tokenizer
            .with_normalizer(Some(NFC))
            .map_err(|e| Fault::Unsupported(e.to_string()))?;
    }
    Ok(tokenizer)
}

/// The byte behind each of the 256 letters that byte-level BPE writes bytes with: printable
/// Latin-1 stands for itself, the others for the letters from U+0100 on, in order.
fn letter_bytes() -> HashMap<char, u8> {
    let mut next = 0x100;
    (0..=u8::MAX)
        .map(|byte| {
            let letter = if matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) {
                char::from(byte)
            } else {
                let letter = char::from_u32(next).unwrap_or(char::REPLACEMENT_CHARACTER);
                next += 1;
                letter
            };
            (letter, byte)
        })
        .collect()
}

/// Cuts a long text before a word's space, where all known ways of splitting words cut too;
/// a stretch without any such place is cut where it is full.
fn stretches(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = if rest.len() <= STRETCH_BYTES {
            rest.len()
        } else {
            let full = (0..=STRETCH_BYTES)
                .rev()
                .find(|at| rest.is_char_boundary(*at))
                .unwrap_or(rest.len());
            let bytes = rest.as_bytes();
            (1..full.saturating_sub(1))
                .rev()
                .find(|&at| {
                    bytes[at] == b' '
                        && bytes[at - 1].is_ascii_alphabetic()
                        && bytes[at + 1].is_ascii_alphabetic()
                })
                .unwrap_or(full)
        };
        let (stretch, after) = rest.split_at(at);
        rest = after;
        Some(stretch)
    })
}

#[cfg(test)]
mod vocabularies;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{STRETCH_BYTES, letter_bytes, stretches};

    #[test]
    fn letters_stand_for_all_bytes() {
        let letters = letter_bytes();
        assert_eq!(letters.len(), 256);
        assert_eq!(letters[&'A'], b'A');
        assert_eq!(letters[&'Ġ'], b' ');
        assert_eq!(letters[&'Ċ'], b'\n');
    }

    #[test]
    fn stretches_join_to_the_text() {
        for text in [
            "word ".repeat(20_000),
            "x".repeat(3 * STRETCH_BYTES),
            "é".repeat(STRETCH_BYTES + 1),
            " ".repeat(2 * STRETCH_BYTES),
            String::new(),
        ] {
            let parts: Vec<&str> = stretches(&text).collect();
            assert_eq!(parts.concat(), text);
            assert!(parts.iter().all(|p| p.len() <= STRETCH_BYTES));
        }
    }
}

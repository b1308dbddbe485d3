//! SentencePiece's byte-pair encoding, as GGUF files of Llama 2, Gemma and Phi-3 carry it.
//!
//! A text is cut into characters, and neighbours are joined again and again: of all pairs that make
//! a piece of the vocabulary the one with the highest score, of equals the first. What is no piece in
//! the end is written in bytes. Spaces are written `▁`. (Kudo and Richardson, 2018; the scores of
//! such a vocabulary are the ranks of its merges.)

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::gguf::{Fault, Gguf};

/// Stands for a space.
pub(super) const SPACE: char = '\u{2581}';

/// A vocabulary of pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    ids: HashMap<Box<str>, (u32, f32)>,
    /// Tokens of the 256 bytes.
    bytes: Vec<Option<u32>>,
    unknown: Option<u32>,
    /// Texts that are one token wherever they stand, by their first character, the longest first.
    whole: HashMap<char, Vec<(Box<str>, u32)>>,
    /// Whether a text is read as if a space stood before it.
    pub(super) leading_space: bool,
}

/// A pair that can be joined.
#[derive(Debug, PartialEq)]
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of both, by which a pair is told of which a part was joined elsewhere.
    length: usize,
}

impl Eq for Pair {}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A stretch of text between its neighbours; an empty one was joined to another.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    before: usize,
    after: usize,
}

/// No neighbour.
const NONE: usize = usize::MAX;

impl Pieces {
    /// The vocabulary of an open file. `plain` says which tokens are pieces, `whole` which texts
    /// are a token by themselves, `byte` which byte a token stands for.
    pub(super) fn from_gguf(
        gguf: &Gguf,
        tokens: &[String],
        plain: &dyn Fn(usize) -> bool,
        whole: &dyn Fn(usize) -> bool,
        byte: &dyn Fn(usize) -> Option<u8>,
    ) -> Result<Self, Fault> {
        let scores = gguf
            .floats_of("tokenizer.ggml.scores")?
            .filter(|scores| scores.len() == tokens.len())
            .ok_or_else(|| Fault::Damaged("its pieces and their scores differ in number".into()))?;
        let mut pieces = Self {
            ids: HashMap::new(),
            bytes: vec![None; 256],
            unknown: gguf
                .size("tokenizer.ggml.unknown_token_id")?
                .filter(|id| *id < tokens.len())
                .map(|id| id as u32),
            whole: HashMap::new(),
            leading_space: gguf
                .flag("tokenizer.ggml.add_space_prefix")?
                .unwrap_or(true),
        };
        for (id, (token, score)) in tokens.iter().zip(scores).enumerate() {
            if plain(id) {
                let entry = (id as u32, *score as f32);
                pieces.ids.entry(token.as_str().into()).or_insert(entry);
            } else if let Some(byte) = byte(id) {
                pieces.bytes[usize::from(byte)] = Some(id as u32);
            } else if whole(id) {
                let text = token.replace(SPACE, " ");
                if let Some(first) = text.chars().next() {
                    let list = pieces.whole.entry(first).or_default();
                    list.push((text.into(), id as u32));
                }
            }
        }
        for list in pieces.whole.values_mut() {
            list.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
        let spelt = |byte: u8| {
            pieces.bytes[usize::from(byte)].is_some()
                || pieces
                    .ids
                    .contains_key(char::from(byte).to_string().as_str())
        };
        if let Some(missing) = (b'!'..=b'~').find(|byte| !spelt(*byte)) {
            return Err(Fault::Damaged(format!(
                "its tokens lack {:?}",
                char::from(missing)
            )));
        }
        Ok(pieces)
    }

    /// Appends the tokens of `text`.
    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        let (mut start, mut at) = (0, 0);
        while let Some(first) = text[at..].chars().next() {
            let found = self.whole.get(&first).and_then(|list| {
                list.iter()
                    .find(|(whole, _)| text[at..].starts_with(&**whole))
            });
            if let Some((whole, id)) = found {
                self.encode_part(&text[start..at], tokens);
                tokens.push(*id);
                at += whole.len();
                start = at;
            } else {
                at += first.len_utf8();
            }
        }
        self.encode_part(&text[start..], tokens);
    }

    fn encode_part(&self, text: &str, tokens: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        let mut written = String::with_capacity(text.len() + 8);
        if self.leading_space {
            written.push(SPACE);
        }
        written.extend(text.chars().map(|c| if c == ' ' { SPACE } else { c }));
        for symbol in self.join(&written) {
            let piece = &written[symbol.start..symbol.end];
            if let Some((id, _)) = self.ids.get(piece) {
                tokens.push(*id);
                continue;
            }
            for byte in piece.bytes() {
                tokens.extend(self.bytes[usize::from(byte)].or(self.unknown));
            }
        }
    }

    fn join(&self, text: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(number, (start, c))| Symbol {
                start,
                end: start + c.len_utf8(),
                before: number.checked_sub(1).unwrap_or(NONE),
                after: number + 1,
            })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.after = NONE;
        }
        let mut pairs = BinaryHeap::new();
        let look = |symbols: &[Symbol], left: usize, right: usize| -> Option<Pair> {
            if left == NONE || right == NONE {
                return None;
            }
            let both = &text[symbols[left].start..symbols[right].end];
            let (_, score) = self.ids.get(both)?;
            Some(Pair {
                score: *score,
                left,
                right,
                length: both.len(),
            })
        };
        for left in 1..symbols.len() {
            pairs.extend(look(&symbols, left - 1, left));
        }
        while let Some(pair) = pairs.pop() {
            let (left, right) = (symbols[pair.left], symbols[pair.right]);
            let length = left.end - left.start + right.end - right.start;
            if left.start == left.end || right.start == right.end || length != pair.length {
                continue;
            }
            symbols[pair.left].end = right.end;
            symbols[pair.left].after = right.after;
            symbols[pair.right].end = right.start;
            if right.after != NONE {
                symbols[right.after].before = pair.left;
            }
            pairs.extend(look(&symbols, left.before, pair.left));
            pairs.extend(look(&symbols, pair.left, right.after));
        }
        symbols.retain(|symbol| symbol.start < symbol.end);
        symbols
    }
}

/// The byte that a token such as `<0x0A>` stands for.
pub(super) fn byte_of(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}

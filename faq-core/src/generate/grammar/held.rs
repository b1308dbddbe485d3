//! A model held to a grammar by llguidance: which tokens may come next, after those that came.
//!
//! llguidance bounds its own work, at a grammar and at each token, and catches its own panics, for
//! which it puts a hook of its own before the process's.

use std::sync::{Arc, OnceLock};

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use regex_syntax::hir::{Hir, HirKind};
use serde_json::{Map, Value};

use super::Grammar;
use crate::generate::GenerateError;
use crate::generate::tokenizer::ModelTokenizer;

/// Longest token, in bytes, that a held model may write; the tree of tokens is as deep.
const TOKEN_BYTES: usize = 256;
/// Most bytes of all tokens, which the tree has at most as many nodes as.
const ALL_BYTES: usize = 1 << 22;
/// Most places that a regular expression has once its repetitions are written out. llguidance takes
/// more, and with it memory without bound.
const PLACES: u64 = 5_000;
/// Most characters of what llguidance says that are handed on.
const DETAIL_CHARS: usize = 300;

/// Compiles grammars for a model.
#[derive(Default)]
pub(in crate::generate) struct Holder {
    /// Made when the first grammar comes.
    vocabulary: OnceLock<Result<Vocabulary, String>>,
}

/// A model's tokens, in a tree by their bytes.
struct Vocabulary {
    factory: ParserFactory,
}

/// What may come next.
pub(in crate::generate) struct Held {
    matcher: Matcher,
}

impl Holder {
    /// Compiles a grammar that was checked.
    pub(in crate::generate) fn hold(
        &self,
        grammar: &Grammar,
        tokenizer: &ModelTokenizer,
    ) -> Result<Held, GenerateError> {
        let vocabulary = self.vocabulary.get_or_init(|| Vocabulary::new(tokenizer));
        match vocabulary {
            Ok(vocabulary) => vocabulary.hold(grammar),
            Err(detail) => Err(GenerateError::Tokenizer(detail.clone())),
        }
    }
}

impl Vocabulary {
    fn new(tokenizer: &ModelTokenizer) -> Result<Self, String> {
        let ids = 0..tokenizer.len() as u32;
        let ends: Vec<u32> = ids.clone().filter(|id| tokenizer.ends_turn(*id)).collect();
        let Some(end) = ends.first() else {
            return Err("the model has no token that ends a text".into());
        };
        let words: Vec<Vec<u8>> = ids
            .map(|id| match tokenizer.token_bytes(id) {
                // The byte that llguidance marks its own tokens with begins no character.
                [TokTrie::SPECIAL_TOKEN_MARKER, ..] => Vec::new(),
                _ if tokenizer.ends_turn(id) => Vec::new(),
                bytes if bytes.len() > TOKEN_BYTES => Vec::new(),
                bytes => bytes.to_vec(),
            })
            .collect();
        let bytes: usize = words.iter().map(Vec::len).sum();
        if bytes >= ALL_BYTES {
            return Err(format!("the model's tokens have {bytes} bytes"));
        }
        let tree = TokTrie::from(&TokRxInfo::new(words.len() as u32, *end), &words);
        let tokens: TokEnv = Arc::new(ApproximateTokEnv::new(tree.with_eos_tokens(&ends)));
        let mut factory = ParserFactory::new_simple(&tokens).map_err(|e| e.to_string())?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits {
            verbose_errors: false,
            ..ParserLimits::default()
        };
        Ok(Self { factory })
    }

    fn hold(&self, grammar: &Grammar) -> Result<Held, GenerateError> {
        for expression in expressions(grammar) {
            let places = match regex_syntax::parse(expression) {
                Ok(parsed) => places(&parsed),
                Err(e) => return Err(grammar.invalid(sentence(&last_line(&e.to_string())))),
            };
            if places > PLACES {
                return Err(grammar.invalid(format!(
                    "{}… has {places} places with its repetitions written out, and {PLACES} are the most",
                    expression.chars().take(40).collect::<String>()
                )));
            }
        }
        let compiled = match grammar {
            Grammar::JsonSchema(schema) => {
                let mut schema = match schema {
                    Value::Object(_) => schema.clone(),
                    _ => Value::Object(Map::new()),
                };
                // Where blanks are free, a small model may write them for ever.
                let layout = JsonCompileOptions {
                    item_separator: ", ".into(),
                    key_separator: ": ".into(),
                    whitespace_flexible: false,
                    ..JsonCompileOptions::default()
                };
                layout.apply_to(&mut schema);
                TopLevelGrammar::from_json_schema(schema)
            }
            // Two slashes with nothing between would be a comment.
            Grammar::Regex(regex) if regex.is_empty() => TopLevelGrammar::from_regex("(?:)"),
            Grammar::Regex(regex) => TopLevelGrammar::from_regex(regex),
        };
        let parser = self.factory.create_parser(compiled);
        let mut matcher = Matcher::new(parser);
        // The first mask shows what can begin: a schema that asks for itself alone has none.
        let begun = matcher.compute_mask_or_eos();
        let complaint = matcher
            .get_error()
            .or_else(|| matcher.grammar_warnings().into_iter().next())
            .or_else(|| begun.err().map(|e| e.to_string()));
        match complaint {
            Some(complaint) => Err(grammar.invalid(sentence(&complaint))),
            None => Ok(Held { matcher }),
        }
    }
}

impl Held {
    /// Takes from `scores`, one a token, those that must not come next. What may end the text stays
    /// where it may end.
    pub(in crate::generate) fn allow(&mut self, scores: &mut [f32]) -> Result<(), GenerateError> {
        let allowed = self.matcher.compute_mask_or_eos().map_err(failed)?;
        let words = allowed.as_slice();
        for (number, scores) in scores.chunks_mut(32).enumerate() {
            match words.get(number).copied().unwrap_or(0) {
                u32::MAX => {}
                0 => scores.fill(f32::NEG_INFINITY),
                word => {
                    for (bit, score) in scores.iter_mut().enumerate() {
                        if word >> bit & 1 == 0 {
                            *score = f32::NEG_INFINITY;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes note of the token that came, and says whether the text is whole, so that nothing can come
    /// after it.
    pub(in crate::generate) fn take(&mut self, token: u32) -> Result<bool, GenerateError> {
        self.matcher.consume_token(token).map_err(failed)?;
        Ok(self.matcher.is_stopped())
    }
}

/// The regular expressions that a grammar consists of or contains.
fn expressions(grammar: &Grammar) -> Vec<&str> {
    let mut found = Vec::new();
    let schema = match grammar {
        Grammar::Regex(expression) => return vec![expression],
        Grammar::JsonSchema(schema) => schema,
    };
    let mut left = vec![schema];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(values) => left.extend(values),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("pattern", Value::String(expression)) => found.push(expression.as_str()),
                        ("patternProperties", Value::Object(named)) => {
                            found.extend(named.keys().map(String::as_str));
                        }
                        _ => {}
                    }
                    left.push(value);
                }
            }
            _ => {}
        }
    }
    found
}

/// Places of an expression with its repetitions written out; its nesting is bounded by the parser.
fn places(expression: &Hir) -> u64 {
    let sum = |parts: &[Hir]| parts.iter().map(places).fold(0, u64::saturating_add);
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Class(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Repetition(repeated) => {
            let times = u64::from(repeated.max.unwrap_or(repeated.min).max(1));
            places(&repeated.sub).saturating_mul(times)
        }
        HirKind::Capture(group) => places(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
    }
}

/// Where the parser of expressions says what is wrong, below what it quotes.
fn last_line(complaint: &str) -> String {
    let line = complaint.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or_default().to_owned()
}

fn failed(error: impl std::fmt::Display) -> GenerateError {
    GenerateError::Model(format!(
        "the grammar asks for too much at this place: {}",
        sentence(&error.to_string())
    ))
}

/// The beginning of a complaint, on one line.
fn sentence(complaint: &str) -> String {
    let line = complaint.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or_default()
        .trim()
        .chars()
        .take(DETAIL_CHARS)
        .collect()
}

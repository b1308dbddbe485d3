//! What a text may be, where a model is held to more than its own judgement.

#[cfg(feature = "grammar")]
mod held;
#[cfg(not(feature = "grammar"))]
#[path = "unheld.rs"]
mod held;

pub(super) use held::Holder;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::GenerateError;

/// Deepest nesting of a schema.
const DEPTH: usize = 64;
/// Most values of a schema, each name, number, list and object being one.
const VALUES: usize = 100_000;
/// Most bytes of a regular expression.
const REGEX_BYTES: usize = 64 << 10;

/// What the whole text has to be. A [`LocalModel`](super::LocalModel) is held to it token by token,
/// which takes the feature `grammar`; an endpoint is told the schema and has to keep it itself.
///
/// A text that is cut off by `max_tokens`, the sink or a stop text is the beginning of one that would
/// have been right; [`StopReason::End`](super::StopReason::End) without a stop text says that it is whole. Tell the model in
/// words what it is to write, too: it is otherwise led where it does not want to go.
///
/// ```
/// use faq_core::generate::{GenerateOptions, Grammar};
///
/// let schema = serde_json::json!({
///     "type": "object",
///     "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
///     "required": ["city", "people"],
///     "additionalProperties": false,
/// });
/// let options = GenerateOptions {
///     grammar: Some(Grammar::JsonSchema(schema)),
///     ..GenerateOptions::default()
/// };
/// assert!(options.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grammar {
    /// A JSON value that the schema (draft 4 to 2020-12) describes, on one line, with a blank
    /// after each comma and colon, its properties in the order in which the schema has them. (With
    /// the feature `grammar`, `serde_json` keeps that order; an endpoint gets them by name
    /// without.) References lead within the schema; a keyword that cannot be held to is
    /// an error.
    JsonSchema(Value),
    /// A text that the regular expression, in the syntax of the `regex` crate, matches from its
    /// beginning to its end; anchors there change nothing. `\d` is any script's digit, `[0-9]` ours.
    /// There is no looking around, and at most 5,000 places once repetitions are written out.
    Regex(String),
}

impl Grammar {
    /// What it is, for errors.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::JsonSchema(_) => "JSON schema",
            Self::Regex(_) => "regular expression",
        }
    }

    pub(super) fn invalid(&self, detail: impl Into<String>) -> GenerateError {
        GenerateError::InvalidGrammar {
            kind: self.kind(),
            detail: detail.into(),
        }
    }

    /// Whether it is of a size that can be worked with. What it says is seen by whoever compiles it.
    pub(super) fn check(&self) -> Result<(), GenerateError> {
        match self {
            Self::JsonSchema(schema) => {
                if !matches!(schema, Value::Object(_) | Value::Bool(true)) {
                    return Err(self.invalid("it has to be an object, or true"));
                }
                let mut left = vec![(schema, 0)];
                let mut values = 0_usize;
                while let Some((value, depth)) = left.pop() {
                    values += 1;
                    if depth > DEPTH {
                        return Err(self.invalid(format!("it is nested deeper than {DEPTH}")));
                    }
                    if values > VALUES {
                        return Err(self.invalid(format!("it has more than {VALUES} values")));
                    }
                    match value {
                        Value::Array(values) => left.extend(values.iter().map(|v| (v, depth + 1))),
                        Value::Object(fields) => {
                            left.extend(fields.values().map(|v| (v, depth + 1)));
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            Self::Regex(regex) => {
                if regex.len() > REGEX_BYTES {
                    let bytes = regex.len();
                    return Err(self.invalid(format!(
                        "it has {bytes} bytes, and {REGEX_BYTES} are the most"
                    )));
                }
                let escapes = regex.bytes().rev().take_while(|b| *b == b'\\').count();
                if escapes % 2 == 1 {
                    return Err(self.invalid("it ends within an escape"));
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::Grammar;

    fn complaint(grammar: &Grammar) -> Option<String> {
        grammar.check().err().map(|e| {
            assert_eq!(e.code(), "invalid_grammar");
            e.to_string()
        })
    }

    #[test]
    fn what_is_too_large_is_refused_before_anything_reads_it() {
        let nested =
            |depth: usize| (0..depth).fold(json!({}), |schema, _| json!({"items": schema}));
        assert_eq!(complaint(&Grammar::JsonSchema(nested(60))), None);
        let deep = complaint(&Grammar::JsonSchema(nested(100))).unwrap();
        assert!(deep.contains("nested deeper than 64"), "{deep}");
        let many = json!({"enum": (0..200_000).collect::<Vec<u32>>()});
        assert!(
            complaint(&Grammar::JsonSchema(many))
                .unwrap()
                .contains("100000 values")
        );
        let long = Grammar::Regex("a".repeat(70_000));
        assert!(complaint(&long).unwrap().contains("70000 bytes"));
    }

    #[test]
    fn what_is_no_schema_or_expression_is_refused() {
        for value in [
            json!(false),
            json!(3),
            json!("string"),
            json!([]),
            Value::Null,
        ] {
            assert!(complaint(&Grammar::JsonSchema(value)).is_some());
        }
        assert_eq!(complaint(&Grammar::JsonSchema(json!(true))), None);
        assert_eq!(complaint(&Grammar::Regex(r"a\\".into())), None);
        let cut = complaint(&Grammar::Regex(r"a\\\".into())).unwrap();
        assert_eq!(
            cut,
            "the regular expression cannot be used: it ends within an escape"
        );
    }
}

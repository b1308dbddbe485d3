//! How a model is to write, and what of that cannot be.

use serde::{Deserialize, Serialize};

use super::{GenerateError, Grammar};

/// Most stop texts of a call.
const STOPS: usize = 64;
/// Most bytes of a stop text.
const STOP_BYTES: usize = 1024;

/// How to generate.
///
/// A token is chosen in these stages, in the order of llama.cpp's sampler: penalties, `top_k`,
/// `top_p`, `min_p`, `temperature`, and a draw from what is left. So a temperature changes how often
/// a token is drawn, and not which tokens can be. At temperature 0 the likeliest token after the
/// penalties is taken, and the stages between change nothing.
///
/// ```
/// use faq_core::generate::GenerateOptions;
///
/// let options = GenerateOptions {
///     temperature: 0.7,
///     top_k: 40,
///     min_p: 0.05,
///     seed: 7,
///     ..GenerateOptions::default()
/// };
/// assert!(options.check().is_ok());
/// let error = GenerateOptions { top_p: 1.5, ..options }.check().unwrap_err();
/// assert_eq!(error.code(), "invalid_option");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerateOptions {
    /// Most tokens to write. Default 256.
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time. Default 0.
    pub temperature: f64,
    /// Number of the likeliest tokens to choose from; 0 is all. Default 0.
    pub top_k: usize,
    /// Nucleus to choose from, 0 to 1: the likeliest tokens that together have this probability
    /// among those that `top_k` left. 1 is everything. Default 1.
    pub top_p: f64,
    /// Tokens less likely than this share of the likeliest one's probability are left out, 0 to 1.
    /// Default 0, which leaves none out.
    pub min_p: f64,
    /// Divides the score of a token that was written before, or multiplies it where it is negative;
    /// above 1 repeats less. Default 1.
    pub repetition_penalty: f64,
    /// Taken off a token's score for each time it was written, -2 to 2. Default 0.
    pub frequency_penalty: f64,
    /// Taken off the score of each token that was written, -2 to 2. Default 0.
    pub presence_penalty: f64,
    /// Number of the last written tokens that the penalties look at. What the prompt says does not
    /// count: an answer may quote it. Default 64.
    pub penalty_tokens: usize,
    /// Seed of the draws, so that a run can be repeated. Default 0.
    pub seed: u64,
    /// Texts that end the generation; they are not part of it, and no piece of them is handed on,
    /// wherever the borders between tokens lie. At most 64 of at most 1,024 bytes; empty ones are
    /// ignored.
    pub stop: Vec<String>,
    /// Number of leading messages that are the same from call to call (system prompt and
    /// worked examples). A local model keeps its state after them and does not read them again.
    pub fixed_messages: usize,
    /// What the whole text has to be. A token that cannot belong to it is taken out before the first
    /// stage, and the generation ends where it is complete. Default none.
    pub grammar: Option<Grammar>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            penalty_tokens: 64,
            seed: 0,
            stop: Vec::new(),
            fixed_messages: 0,
            grammar: None,
        }
    }
}

impl GenerateOptions {
    /// Whether a model can write by these; every generator asks before it begins.
    ///
    /// # Errors
    /// [`GenerateError::InvalidOption`] names the first field that cannot be, and
    /// [`GenerateError::InvalidGrammar`] says what is wrong with the grammar, as far as can be seen
    /// without a model.
    pub fn check(&self) -> Result<(), GenerateError> {
        let invalid = |field, value: String, wanted| {
            Err(GenerateError::InvalidOption {
                field,
                value,
                wanted,
            })
        };
        let numbers = [
            ("temperature", self.temperature, 0.0..=f64::MAX, "0 or more"),
            ("top_p", self.top_p, 0.0..=1.0, "between 0 and 1"),
            ("min_p", self.min_p, 0.0..=1.0, "between 0 and 1"),
            (
                "repetition_penalty",
                self.repetition_penalty,
                f64::MIN_POSITIVE..=f64::MAX,
                "more than 0",
            ),
            (
                "frequency_penalty",
                self.frequency_penalty,
                -2.0..=2.0,
                "between -2 and 2",
            ),
            (
                "presence_penalty",
                self.presence_penalty,
                -2.0..=2.0,
                "between -2 and 2",
            ),
        ];
        for (field, value, range, wanted) in numbers {
            if !range.contains(&value) {
                return invalid(field, value.to_string(), wanted);
            }
        }
        if self.stop.len() > STOPS {
            let count = format!("{} texts", self.stop.len());
            return invalid("stop", count, "64 texts at most");
        }
        if let Some(long) = self.stop.iter().find(|stop| stop.len() > STOP_BYTES) {
            let bytes = format!("a text of {} bytes", long.len());
            return invalid("stop", bytes, "texts of 1024 bytes at most");
        }
        self.grammar.as_ref().map_or(Ok(()), Grammar::check)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{GenerateError, GenerateOptions};

    #[test]
    fn what_cannot_be_is_named() {
        let change = |change: fn(&mut GenerateOptions)| {
            let mut options = GenerateOptions::default();
            change(&mut options);
            match options.check() {
                Err(GenerateError::InvalidOption { field, .. }) => Some(field),
                Ok(()) => None,
                Err(other) => panic!("{other:?}"),
            }
        };
        assert_eq!(change(|_| ()), None);
        for (bad, field) in [
            (change(|o| o.temperature = f64::NAN), "temperature"),
            (change(|o| o.temperature = -0.1), "temperature"),
            (change(|o| o.temperature = f64::INFINITY), "temperature"),
            (change(|o| o.top_p = 1.01), "top_p"),
            (change(|o| o.top_p = f64::NAN), "top_p"),
            (change(|o| o.min_p = -0.5), "min_p"),
            (change(|o| o.repetition_penalty = 0.0), "repetition_penalty"),
            (change(|o| o.frequency_penalty = 2.5), "frequency_penalty"),
            (change(|o| o.presence_penalty = -3.0), "presence_penalty"),
            (change(|o| o.stop = vec!["x".into(); 65]), "stop"),
            (change(|o| o.stop = vec!["x".repeat(1025)]), "stop"),
        ] {
            assert_eq!(bad, Some(field));
        }
        for fine in [
            change(|o| o.temperature = 2.0),
            change(|o| o.top_p = 0.0),
            change(|o| o.min_p = 1.0),
            change(|o| o.frequency_penalty = -2.0),
            change(|o| o.stop = vec!["x".repeat(1024); 64]),
            change(|o| o.max_tokens = 0),
        ] {
            assert_eq!(fine, None);
        }
    }

    #[test]
    fn the_error_says_what_was_given_and_what_can_be() {
        let options = GenerateOptions {
            top_p: 1.5,
            ..GenerateOptions::default()
        };
        assert_eq!(
            options.check().unwrap_err().to_string(),
            "the option top_p is 1.5, and has to be between 0 and 1"
        );
    }
}

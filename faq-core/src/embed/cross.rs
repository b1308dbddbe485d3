//! Cross-encoders: a question and a passage read together, and one number for the two.

use std::path::Path;

use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::config::{Config, Family};
use super::encoder::Forward;
use super::folder::{self, load_tokenizer, load_weights, pool};
use super::packed::{BATCH_TOKENS, Ids, batches};
use super::weights::Weights;
use super::{EmbedError, Precision, tokens};
use crate::Control;

/// A BERT, RoBERTa or XLM-RoBERTa cross-encoder, such as ms-marco-MiniLM-L6-v2 or
/// bge-reranker-base: it reads question and passage at once, which tells more than their vectors do
/// and takes as long as embedding the passage again. So it orders the few that a search found.
///
/// ```no_run
/// use faq_core::{Control, CrossEncoder, Precision};
///
/// let model = CrossEncoder::load("models/ms-marco-minilm-l6-v2".as_ref(), 2, Precision::Int8)?;
/// let passages = ["Paris is the capital of France.", "Bread is baked."];
/// let scores = model.score("What is the capital of France?", &passages, &Control::new())?;
/// assert!(scores[0] > scores[1]);
/// # Ok::<(), faq_core::EmbedError>(())
/// ```
pub struct CrossEncoder {
    name: String,
    hidden: usize,
    vocabulary: usize,
    max_tokens: usize,
    tokenizer: Tokenizer,
    encoder: Box<dyn Forward>,
    head: Head,
    threads: rayon::ThreadPool,
}

/// From the state of the first token to a score: `out(tanh(dense(state)))`.
struct Head {
    /// `[hidden, hidden]`, a row for each number that comes out.
    dense: Vec<f32>,
    dense_bias: Vec<f32>,
    /// `[hidden]`.
    out: Vec<f32>,
    out_bias: f32,
}

impl CrossEncoder {
    /// Loads the model in `dir`: `config.json`, `tokenizer.json` and `model.safetensors` of a
    /// `…ForSequenceClassification` with one class. `threads` is the number of batches worked on
    /// at once.
    ///
    /// # Errors
    /// [`EmbedError`] names the file and what was wrong with it; a model of several classes is
    /// [`EmbedError::Unsupported`].
    pub fn load(dir: &Path, threads: usize, precision: Precision) -> Result<Self, EmbedError> {
        let config = Config::read(dir)?;
        let classes = config.id2label.as_ref().map_or(1, serde_json::Map::len);
        if classes != 1 {
            return Err(EmbedError::Unsupported {
                path: dir.to_owned(),
                detail: format!("it tells {classes} classes apart, and a relevance is one number"),
            });
        }
        let tokenizer = load_tokenizer(dir, &config)?;
        let max_tokens = config.positions();
        let special = tokens::added(&tokenizer, true);
        if max_tokens < special + 2 {
            return Err(EmbedError::Unsupported {
                path: dir.to_owned(),
                detail: format!("it reads {max_tokens} tokens, {special} of them special"),
            });
        }
        let loaded = load_weights(dir, &config, precision, |weights| {
            Head::load(weights, &config)
        })?;
        Ok(Self {
            name: folder::name(dir),
            hidden: config.hidden_size,
            vocabulary: config.vocab_size,
            max_tokens,
            tokenizer,
            encoder: loaded.encoder,
            head: loaded.head,
            threads: pool("faq-cross", threads)?,
        })
    }

    /// Name for people: that of the model's folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tokens that are read of a question and a passage together, special ones included; of more
    /// the longer of the two loses its end.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// How well each passage answers the question, in their order: a logit, of which the logistic
    /// function is between 0 and 1. It orders the passages of one question; what it says beyond that
    /// is the model's own.
    ///
    /// # Errors
    /// [`EmbedError::Interrupted`] when `control` says so, and the model's own errors.
    pub fn score(
        &self,
        question: &str,
        passages: &[&str],
        control: &Control,
    ) -> Result<Vec<f32>, EmbedError> {
        self.threads
            .install(|| self.score_here(question, passages, control))
    }

    fn score_here(
        &self,
        question: &str,
        passages: &[&str],
        control: &Control,
    ) -> Result<Vec<f32>, EmbedError> {
        control.check()?;
        let pairs: Vec<(Vec<u32>, usize)> = passages
            .par_iter()
            .map(|passage| {
                let limits = tokens::Limits {
                    tokens: self.max_tokens,
                    vocabulary: self.vocabulary,
                };
                tokens::pair(&self.tokenizer, question, passage, limits)
            })
            .collect::<Result<_, _>>()?;
        let lengths: Vec<usize> = pairs.iter().map(|(ids, _)| ids.len()).collect();
        let done: Vec<Vec<(usize, f32)>> = batches(&lengths, BATCH_TOKENS)
            .into_par_iter()
            .map(|batch| {
                control.check()?;
                let rows: Vec<Ids<'_>> = batch
                    .iter()
                    .map(|&pair| Ids {
                        all: &pairs[pair].0,
                        second: pairs[pair].1,
                    })
                    .collect();
                let states = self.encoder.forward(&rows);
                let mut at = 0;
                let scores = batch.iter().map(|&pair| {
                    let first = &states[at * self.hidden..][..self.hidden];
                    at += lengths[pair];
                    (pair, self.head.score(first))
                });
                Ok(scores.collect())
            })
            .collect::<Result<_, EmbedError>>()?;
        let mut scores = vec![0.0; passages.len()];
        for (pair, score) in done.into_iter().flatten() {
            if !score.is_finite() {
                return Err(EmbedError::Model(
                    "it gave a score that is not finite; its weights are damaged".to_owned(),
                ));
            }
            scores[pair] = score;
        }
        Ok(scores)
    }
}

impl std::fmt::Debug for CrossEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CrossEncoder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Head {
    fn load(from: &Weights<'_>, config: &Config) -> Result<Self, String> {
        let hidden = config.hidden_size;
        let (dense, out) = match config.family() {
            Some(Family::Roberta) => ("classifier.dense", "classifier.out_proj"),
            _ => ("bert.pooler.dense", "classifier"),
        };
        let out_bias = from.get(&format!("{out}.bias"), &[1])?;
        Ok(Self {
            dense: from.get(&format!("{dense}.weight"), &[hidden, hidden])?,
            dense_bias: from.get(&format!("{dense}.bias"), &[hidden])?,
            out: from.get(&format!("{out}.weight"), &[1, hidden])?,
            out_bias: out_bias.iter().sum(),
        })
    }

    /// The score of a pair by the state `[hidden]` of its first token.
    fn score(&self, state: &[f32]) -> f32 {
        let dot = |a: &[f32]| a.iter().zip(state).map(|(x, y)| x * y).sum::<f32>();
        self.dense
            .chunks_exact(state.len())
            .zip(&self.dense_bias)
            .zip(&self.out)
            .map(|((row, bias), out)| out * (dot(row) + bias).tanh())
            .sum::<f32>()
            + self.out_bias
    }
}

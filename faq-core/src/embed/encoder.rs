//! The forward pass of a BERT encoder over texts of unequal length, packed without padding.
//!
//! Rows are tokens: a batch is one `[tokens, hidden]` matrix with the texts one after the other,
//! so every product but attention runs over all texts at once, a tile of rows at a time, so that
//! what is between two products stays in the cache. Weights are laid out once, at load: queries,
//! keys and values side by side, each matrix in the order in which the kernels read it.

use super::arithmetic::Arithmetic;
use super::config::{Activation, Config};
use super::kernels::{gelu_tanh, layer_norm, relu};
use super::packed::Ids;
use super::product::{Kernels, Out};
use super::weights::{Floats, Weights};
use crate::cpu::Level;

/// Rows that go through a layer's products at once.
const TILE_ROWS: usize = 48;

/// Queries whose scores are held at once.
const QUERY_ROWS: usize = 24;

/// A forward pass, whatever its arithmetic.
pub(super) trait Forward: Send + Sync {
    /// States `[tokens, hidden]` of all texts of the batch, one after the other.
    ///
    /// # Panics
    /// Where an id is not in the vocabulary or a text longer than the positions; the caller's
    /// tokenizer gives neither.
    fn forward(&self, batch: &[Ids<'_>]) -> Vec<f32>;
}

/// The weights of an encoder.
pub(super) struct Encoder<A: Arithmetic> {
    hidden: usize,
    heads: usize,
    inner: usize,
    activation: Activation,
    epsilon: f32,
    /// `[vocabulary, hidden]`.
    words: Floats,
    /// `[positions, hidden]`, the embedding of the first token type added.
    positions: Vec<f32>,
    /// `[hidden]`: what the second token type has more than the first; empty where there is one.
    second: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer<A>>,
    kernels: Kernels,
}

struct Layer<A: Arithmetic> {
    /// Queries, keys and values side by side: `[hidden, 3 * hidden]`.
    attention: A::Matrix,
    attention_out: A::Matrix,
    attention_norm: Norm,
    up: A::Matrix,
    down: A::Matrix,
    norm: Norm,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl<A: Arithmetic> Encoder<A> {
    /// Takes the weights out of a file; shapes that are not those of `config` are errors, and the
    /// text says which tensor was wrong.
    pub(super) fn load(mut from: Weights<'_>, config: &Config) -> Result<Self, String> {
        let heads = ["", "bert.", "roberta."];
        let head = heads
            .into_iter()
            .find(|head| from.has(&format!("{head}embeddings.word_embeddings.weight")));
        from.below(head.unwrap_or_default());
        let (hidden, table) = (config.hidden_size, "embeddings.");
        let get = |name: &str, shape: &[usize]| from.get(&format!("{table}{name}"), shape);
        let rows = config.max_position_embeddings;
        let mut positions = get("position_embeddings.weight", &[rows, hidden])?;
        let kinds = [config.type_vocab_size, hidden];
        let types = get("token_type_embeddings.weight", &kinds)?;
        let (first, others) = types
            .split_at_checked(hidden)
            .ok_or("it has no token types")?;
        let second = others.get(..hidden).unwrap_or_default();
        let second = second.iter().zip(first).map(|(b, a)| b - a).collect();
        positions.drain(..config.first_position() * hidden);
        for position in positions.chunks_exact_mut(hidden) {
            for (x, t) in position.iter_mut().zip(first) {
                *x += t;
            }
        }
        Ok(Self {
            hidden,
            heads: config.num_attention_heads,
            inner: config.intermediate_size,
            activation: config.hidden_act,
            epsilon: config.layer_norm_eps as f32,
            words: from.floats(
                &format!("{table}word_embeddings.weight"),
                &[config.vocab_size, hidden],
            )?,
            positions,
            second,
            norm: Norm::load(&from, "embeddings.LayerNorm", hidden)?,
            layers: (0..config.num_hidden_layers)
                .map(|i| Layer::load(&from, &format!("encoder.layer.{i}."), config))
                .collect::<Result<_, _>>()?,
            kernels: Kernels::of(Level::best()),
        })
    }

    /// `context = attention(states)`, each text by itself.
    fn attend(&self, layer: &Layer<A>, batch: &[Ids<'_>], states: &[f32], s: &mut Scratch<A>) {
        let hidden = self.hidden;
        let (width, head) = (3 * hidden, hidden / self.heads);
        A::heads(&mut s.heads, self.heads, states.len() / hidden, head);
        for (number, states) in states.chunks(TILE_ROWS * hidden).enumerate() {
            let rows = states.len() / hidden;
            let out = &mut s.attention[..rows * width];
            A::rows(&mut s.rows, states, hidden);
            self.multiply(&s.rows, 0, rows, &layer.attention, out, width, false);
            A::split(&mut s.heads, number * TILE_ROWS, out, &mut s.rows);
        }
        let scale = 1.0 / (head as f32).sqrt();
        let mut first = 0;
        for text in batch {
            let span = first..first + text.len();
            let stride = text.len().next_multiple_of(super::panels::LANES);
            for h in 0..self.heads {
                A::queries(&mut s.queries, &s.heads, h, &span);
                A::keys(&mut s.keys, &s.heads, h, &span, scale);
                A::values(&mut s.values, &mut s.weights, &s.heads, h, &span);
                for query in (0..text.len()).step_by(QUERY_ROWS) {
                    let rows = QUERY_ROWS.min(text.len() - query);
                    let scores = &mut s.scores[..rows * stride];
                    self.multiply(&s.queries, query, rows, &s.keys, scores, stride, false);
                    A::softmax(&mut s.probabilities, scores, stride, &s.weights);
                    let out = &mut s.context[(first + query) * hidden + h * head..];
                    self.multiply(&s.probabilities, 0, rows, &s.values, out, hidden, false);
                }
            }
            first = span.end;
        }
    }

    /// `states = norm(states + out(context))`, then
    /// `states = norm(states + down(activation(up(states))))`.
    fn feed_forward(&self, layer: &Layer<A>, states: &mut [f32], s: &mut Scratch<A>) {
        let (hidden, inner) = (self.hidden, self.inner);
        for (states, context) in states
            .chunks_mut(TILE_ROWS * hidden)
            .zip(s.context.chunks(TILE_ROWS * hidden))
        {
            let rows = states.len() / hidden;
            A::rows(&mut s.rows, &context[..states.len()], hidden);
            self.multiply(&s.rows, 0, rows, &layer.attention_out, states, hidden, true);
            layer.attention_norm.apply(states, self.epsilon);
            A::rows(&mut s.rows, states, hidden);
            let between = &mut s.between[..rows * inner];
            self.multiply(&s.rows, 0, rows, &layer.up, between, inner, false);
            match self.activation {
                Activation::Gelu => A::gelu(between),
                Activation::GeluNew => gelu_tanh(between),
                Activation::Relu => relu(between),
            }
            A::rows(&mut s.rows, between, inner);
            self.multiply(&s.rows, 0, rows, &layer.down, states, hidden, true);
            layer.norm.apply(states, self.epsilon);
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "a product has that many operands"
    )]
    fn multiply(
        &self,
        rows: &A::Rows,
        first: usize,
        count: usize,
        matrix: &A::Matrix,
        values: &mut [f32],
        stride: usize,
        add: bool,
    ) {
        let mut out = Out {
            values,
            stride,
            add,
        };
        A::multiply(&self.kernels, rows, first, count, matrix, &mut out);
    }
}

impl<A: Arithmetic> Forward for Encoder<A> {
    fn forward(&self, batch: &[Ids<'_>]) -> Vec<f32> {
        let hidden = self.hidden;
        let tokens: usize = batch.iter().map(Ids::len).sum();
        let mut states = Vec::with_capacity(tokens * hidden);
        let words = self.words.as_slice();
        for text in batch {
            let begun = states.len();
            for (position, id) in text.all.iter().enumerate() {
                let word = &words[*id as usize * hidden..][..hidden];
                let place = &self.positions[position * hidden..][..hidden];
                states.extend(word.iter().zip(place).map(|(w, p)| w + p));
            }
            if !self.second.is_empty() {
                for state in states[begun + text.second * hidden..].chunks_exact_mut(hidden) {
                    for (x, more) in state.iter_mut().zip(&self.second) {
                        *x += more;
                    }
                }
            }
        }
        self.norm.apply(&mut states, self.epsilon);
        let mut scratch = Scratch::new(tokens, batch, self);
        for layer in &self.layers {
            self.attend(layer, batch, &states, &mut scratch);
            self.feed_forward(layer, &mut states, &mut scratch);
        }
        states
    }
}

/// Buffers of one forward pass.
struct Scratch<A: Arithmetic> {
    /// `[TILE_ROWS, 3 * hidden]`.
    attention: Vec<f32>,
    heads: A::Heads,
    /// `[tokens, hidden]`.
    context: Vec<f32>,
    /// `[QUERY_ROWS, longest]`.
    scores: Vec<f32>,
    /// `[TILE_ROWS, inner]`.
    between: Vec<f32>,
    rows: A::Rows,
    queries: A::Rows,
    keys: A::Matrix,
    values: A::Matrix,
    weights: Vec<f32>,
    probabilities: A::Rows,
}

impl<A: Arithmetic> Scratch<A> {
    fn new(tokens: usize, batch: &[Ids<'_>], encoder: &Encoder<A>) -> Self {
        let longest = batch.iter().map(Ids::len).max().unwrap_or(0);
        let stride = longest.next_multiple_of(super::panels::LANES);
        Self {
            attention: vec![0.0; TILE_ROWS.min(tokens) * 3 * encoder.hidden],
            heads: A::Heads::default(),
            context: vec![0.0; tokens * encoder.hidden],
            scores: vec![0.0; QUERY_ROWS.min(longest) * stride],
            between: vec![0.0; TILE_ROWS.min(tokens) * encoder.inner],
            rows: A::Rows::default(),
            queries: A::Rows::default(),
            keys: A::Matrix::default(),
            values: A::Matrix::default(),
            weights: Vec::new(),
            probabilities: A::Rows::default(),
        }
    }
}

impl<A: Arithmetic> Layer<A> {
    fn load(from: &Weights<'_>, layer: &str, config: &Config) -> Result<Self, String> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |names: &[&str], input: usize, output: usize| {
            let (mut weight, mut bias) = (Vec::new(), Vec::new());
            for name in names {
                weight.extend(from.get(&format!("{layer}{name}.weight"), &[output, input])?);
                bias.extend(from.get(&format!("{layer}{name}.bias"), &[output])?);
            }
            Ok::<_, String>(A::weights(&weight, input, &bias))
        };
        let norm = |name: &str| Norm::load(from, &format!("{layer}{name}"), hidden);
        let heads = [
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
        ];
        Ok(Self {
            attention: linear(&heads, hidden, hidden)?,
            attention_out: linear(&["attention.output.dense"], hidden, hidden)?,
            attention_norm: norm("attention.output.LayerNorm")?,
            up: linear(&["intermediate.dense"], hidden, inner)?,
            down: linear(&["output.dense"], inner, hidden)?,
            norm: norm("output.LayerNorm")?,
        })
    }
}

impl Norm {
    fn load(from: &Weights<'_>, name: &str, width: usize) -> Result<Self, String> {
        // Weights that were converted from TensorFlow call them gamma and beta.
        let named = |new: &str, old: &str| {
            let (new, old) = (format!("{name}.{new}"), format!("{name}.{old}"));
            from.get(if from.has(&new) { &new } else { &old }, &[width])
        };
        Ok(Self {
            weight: named("weight", "gamma")?,
            bias: named("bias", "beta")?,
        })
    }

    fn apply(&self, rows: &mut [f32], epsilon: f32) {
        layer_norm(rows, &self.weight, &self.bias, epsilon);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use candle_core::{DType, Device, Tensor};
    use candle_nn::VarBuilder;
    use candle_transformers::models::bert::{BertModel, Config as Candles, HiddenAct};

    use super::super::arithmetic::{Float, Int8};
    use super::super::weights::WeightFile;
    use super::*;
    use crate::cpu::tests::at_each_level;

    /// Small random weights with the names of `config`.
    fn weights(config: &Candles) -> HashMap<String, Tensor> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let mut shapes: Vec<(String, Vec<usize>)> = vec![
            (
                "embeddings.word_embeddings.weight".into(),
                vec![config.vocab_size, hidden],
            ),
            (
                "embeddings.position_embeddings.weight".into(),
                vec![config.max_position_embeddings, hidden],
            ),
            (
                "embeddings.token_type_embeddings.weight".into(),
                vec![config.type_vocab_size, hidden],
            ),
        ];
        let mut vectors = vec!["embeddings.LayerNorm".to_owned()];
        for i in 0..config.num_hidden_layers {
            let layer = format!("encoder.layer.{i}");
            for (name, shape) in [
                ("attention.self.query", [hidden, hidden]),
                ("attention.self.key", [hidden, hidden]),
                ("attention.self.value", [hidden, hidden]),
                ("attention.output.dense", [hidden, hidden]),
                ("intermediate.dense", [inner, hidden]),
                ("output.dense", [hidden, inner]),
            ] {
                shapes.push((format!("{layer}.{name}.weight"), shape.to_vec()));
                shapes.push((format!("{layer}.{name}.bias"), vec![shape[0]]));
            }
            vectors.push(format!("{layer}.attention.output.LayerNorm"));
            vectors.push(format!("{layer}.output.LayerNorm"));
        }
        for name in vectors {
            shapes.push((format!("{name}.weight"), vec![hidden]));
            shapes.push((format!("{name}.bias"), vec![hidden]));
        }
        shapes
            .into_iter()
            .map(|(name, shape)| (name, Tensor::randn(0f32, 0.4, shape, &Device::Cpu).unwrap()))
            .collect()
    }

    /// Holds the encoder to candle's own on each text by itself, whatever is packed beside it: to
    /// each number within `most`, and to a cosine of each text's states of at least `least`.
    fn equals_candles_own<A: Arithmetic>(most: f32, least: f32) {
        for (activation, candles) in [
            ("gelu", HiddenAct::Gelu),
            ("gelu_new", HiddenAct::GeluApproximate),
            ("relu", HiddenAct::Relu),
        ] {
            let config = Candles {
                vocab_size: 50,
                hidden_size: 24,
                num_hidden_layers: 2,
                num_attention_heads: 3,
                intermediate_size: 40,
                max_position_embeddings: 300,
                hidden_act: candles,
                ..Candles::default()
            };
            let same: Config = serde_json::from_value(serde_json::json!({
                "vocab_size": config.vocab_size,
                "hidden_size": config.hidden_size,
                "num_hidden_layers": config.num_hidden_layers,
                "num_attention_heads": config.num_attention_heads,
                "intermediate_size": config.intermediate_size,
                "max_position_embeddings": config.max_position_embeddings,
                "type_vocab_size": config.type_vocab_size,
                "layer_norm_eps": config.layer_norm_eps,
                "hidden_act": activation,
            }))
            .unwrap();
            let tensors = weights(&config);
            let file = tempfile::NamedTempFile::new().unwrap();
            candle_core::safetensors::save(&tensors, file.path()).unwrap();
            let ours = WeightFile::open(file.path()).unwrap();
            let ours = Encoder::<A>::load(ours.weights().unwrap(), &same).unwrap();
            let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
            let candles = BertModel::load(builder, &config).unwrap();
            let texts: Vec<Vec<u32>> = [1usize, 2, 7, 33, 150, 290]
                .iter()
                .map(|len| (0..*len as u32).map(|i| (i * 7 + 3) % 50).collect())
                .collect();
            let packed: Vec<Ids<'_>> = texts.iter().map(|text| Ids::one(text)).collect();
            let states = ours.forward(&packed);
            let mut at = 0;
            for text in &packed {
                let ids = Tensor::new(text.all, &Device::Cpu)
                    .unwrap()
                    .unsqueeze(0)
                    .unwrap();
                let expected = candles
                    .forward(&ids, &ids.zeros_like().unwrap(), None)
                    .and_then(|t| t.flatten_all()?.to_vec1::<f32>())
                    .unwrap();
                for (found, expected) in states[at..].iter().zip(&expected) {
                    assert!((found - expected).abs() < most, "{found} and {expected}");
                }
                let found = &states[at..at + expected.len()];
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
                let norms = dot(found, found) * dot(&expected, &expected);
                let cosine = dot(found, &expected) / norms.sqrt();
                assert!(cosine >= least, "{} tokens: {cosine}", text.len());
                at += expected.len();
            }
            assert_eq!(at, states.len());
        }
    }

    #[test]
    fn packed_texts_in_floats_equal_candles_own_encoder() {
        at_each_level(|_| equals_candles_own::<Float>(2e-4, 0.999_99));
    }

    #[test]
    fn packed_texts_in_bytes_are_near_candles_own_encoder() {
        at_each_level(|_| equals_candles_own::<Int8>(0.2, 0.9995));
    }
}

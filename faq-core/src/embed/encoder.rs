//! The forward pass of a BERT encoder over texts of unequal length, packed without padding.
//!
//! Rows are tokens: a batch is one `[tokens, hidden]` matrix with the texts one after the other,
//! so every product but attention runs over all texts at once. Weights are laid out once, at
//! load: queries, keys and values side by side, each matrix transposed to `[in, out]`.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{Config, HiddenAct};

use super::kernels::{Matrix, add_bias, gelu, gelu_tanh, layer_norm, multiply, relu, softmax};

/// Rows that go through the feed-forward layer at once, so that what is between its two
/// products stays in the cache.
const FEED_FORWARD_ROWS: usize = 128;

/// The weights of an encoder.
pub(super) struct Encoder {
    hidden: usize,
    heads: usize,
    activation: HiddenAct,
    epsilon: f32,
    /// `[vocabulary, hidden]`.
    words: Vec<f32>,
    /// `[positions, hidden]`, the embedding of the one token type added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Queries, keys and values side by side: `[hidden, 3 * hidden]`.
    attention: Linear,
    attention_out: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    norm: Norm,
}

struct Linear {
    /// `[in, out]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Encoder {
    /// Takes the weights out of `builder`; shapes that are not those of `config` are errors.
    pub(super) fn load(builder: &VarBuilder<'_>, config: &Config) -> Result<Self> {
        let nested = builder.contains_tensor("bert.embeddings.word_embeddings.weight");
        let builder = if nested {
            builder.pp("bert")
        } else {
            builder.clone()
        };
        let hidden = config.hidden_size;
        let from = builder.pp("embeddings");
        let words = values(&from.get((config.vocab_size, hidden), "word_embeddings.weight")?)?;
        let mut positions = values(&from.get(
            (config.max_position_embeddings, hidden),
            "position_embeddings.weight",
        )?)?;
        let types = values(&from.get(
            (config.type_vocab_size, hidden),
            "token_type_embeddings.weight",
        )?)?;
        add_bias(&mut positions, &types[..hidden]);
        let layers = (0..config.num_hidden_layers)
            .map(|i| Layer::load(&builder.pp(format!("encoder.layer.{i}")), config))
            .collect::<Result<_>>()?;
        Ok(Self {
            hidden,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
            epsilon: config.layer_norm_eps as f32,
            words,
            positions,
            norm: Norm::load(&from.pp("LayerNorm"), hidden)?,
            layers,
        })
    }

    /// States `[tokens, hidden]` of all texts of the batch, one after the other.
    ///
    /// # Panics
    /// Where an id is not in the vocabulary or a text longer than the positions; the caller's
    /// tokenizer gives neither.
    pub(super) fn forward(&self, batch: &[&[u32]]) -> Vec<f32> {
        let hidden = self.hidden;
        let tokens: usize = batch.iter().map(|text| text.len()).sum();
        let mut states = Vec::with_capacity(tokens * hidden);
        for text in batch {
            for (position, id) in text.iter().enumerate() {
                let word = &self.words[*id as usize * hidden..][..hidden];
                let place = &self.positions[position * hidden..][..hidden];
                states.extend(word.iter().zip(place).map(|(w, p)| w + p));
            }
        }
        self.norm.apply(&mut states, self.epsilon);
        let mut scratch = Scratch::new(tokens, batch, self);
        for layer in &self.layers {
            self.attend(layer, batch, &mut states, &mut scratch);
            self.feed_forward(layer, &mut states, &mut scratch);
        }
        states
    }

    /// `states = norm(states + attention(states))`, each text by itself.
    fn attend(&self, layer: &Layer, batch: &[&[u32]], states: &mut [f32], scratch: &mut Scratch) {
        let hidden = self.hidden;
        let (width, head) = (3 * hidden, hidden / self.heads);
        let tokens = states.len() / hidden;
        layer
            .attention
            .apply(states, hidden, &mut scratch.attention);
        let scale = 1.0 / (head as f32).sqrt();
        let mut first = 0;
        for text in batch {
            let len = text.len();
            let scores = &mut scratch.scores[..len * len];
            for h in 0..self.heads {
                let at = first * width + h * head;
                let queries = Matrix::rows(&scratch.attention[at..], width);
                let keys = Matrix {
                    data: &scratch.attention[at + hidden..],
                    row_stride: 1,
                    column_stride: width,
                };
                multiply([len, len, head], queries, keys, scale, scores, len, false);
                softmax(scores, len);
                let values = Matrix::rows(&scratch.attention[at + 2 * hidden..], width);
                let out = &mut scratch.context[first * hidden + h * head..];
                multiply(
                    [len, head, len],
                    Matrix::rows(scores, len),
                    values,
                    1.0,
                    out,
                    hidden,
                    false,
                );
            }
            first += len;
        }
        layer
            .attention_out
            .add(&scratch.context[..tokens * hidden], hidden, states);
        layer.attention_norm.apply(states, self.epsilon);
    }

    /// `states = norm(states + down(activation(up(states))))`.
    fn feed_forward(&self, layer: &Layer, states: &mut [f32], scratch: &mut Scratch) {
        let hidden = self.hidden;
        let inner = layer.up.bias.len();
        for rows in states.chunks_mut(FEED_FORWARD_ROWS * hidden) {
            let between = &mut scratch.between[..rows.len() / hidden * inner];
            layer.up.apply(rows, hidden, between);
            match self.activation {
                HiddenAct::Gelu => gelu(between),
                HiddenAct::GeluApproximate => gelu_tanh(between),
                HiddenAct::Relu => relu(between),
            }
            layer.down.add(between, inner, rows);
            layer.norm.apply(rows, self.epsilon);
        }
    }
}

/// Buffers of one forward pass.
struct Scratch {
    /// `[tokens, 3 * hidden]`.
    attention: Vec<f32>,
    /// `[tokens, hidden]`.
    context: Vec<f32>,
    /// `[longest, longest]`.
    scores: Vec<f32>,
    /// `[FEED_FORWARD_ROWS, intermediate]`.
    between: Vec<f32>,
}

impl Scratch {
    fn new(tokens: usize, batch: &[&[u32]], encoder: &Encoder) -> Self {
        let longest = batch.iter().map(|text| text.len()).max().unwrap_or(0);
        let inner = encoder
            .layers
            .first()
            .map_or(0, |layer| layer.up.bias.len());
        Self {
            attention: vec![0.0; tokens * 3 * encoder.hidden],
            context: vec![0.0; tokens * encoder.hidden],
            scores: vec![0.0; longest * longest],
            between: vec![0.0; FEED_FORWARD_ROWS.min(tokens) * inner],
        }
    }
}

impl Layer {
    fn load(builder: &VarBuilder<'_>, config: &Config) -> Result<Self> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let part = |name| {
            Linear::load(
                &builder.pp(format!("attention.self.{name}")),
                hidden,
                hidden,
            )
        };
        let (query, key, value) = (part("query")?, part("key")?, part("value")?);
        Ok(Self {
            attention: Linear::beside(&[query, key, value], hidden),
            attention_out: Linear::load(&builder.pp("attention.output.dense"), hidden, hidden)?,
            attention_norm: Norm::load(&builder.pp("attention.output.LayerNorm"), hidden)?,
            up: Linear::load(&builder.pp("intermediate.dense"), hidden, inner)?,
            down: Linear::load(&builder.pp("output.dense"), inner, hidden)?,
            norm: Norm::load(&builder.pp("output.LayerNorm"), hidden)?,
        })
    }
}

impl Linear {
    fn load(builder: &VarBuilder<'_>, input: usize, output: usize) -> Result<Self> {
        let weight = builder.get((output, input), "weight")?.t()?.contiguous()?;
        Ok(Self {
            weight: values(&weight)?,
            bias: values(&builder.get(output, "bias")?)?,
        })
    }

    /// Several layers of `input` rows whose results stand side by side.
    fn beside(parts: &[Self], input: usize) -> Self {
        let mut weight = Vec::with_capacity(parts.iter().map(|p| p.weight.len()).sum());
        for row in 0..input {
            for part in parts {
                let width = part.bias.len();
                weight.extend_from_slice(&part.weight[row * width..][..width]);
            }
        }
        let bias = parts.iter().flat_map(|p| p.bias.iter().copied()).collect();
        Self { weight, bias }
    }

    /// `out = rows weight + bias`; rows of `width`.
    fn apply(&self, rows: &[f32], width: usize, out: &mut [f32]) {
        for row in out.chunks_exact_mut(self.bias.len()) {
            row.copy_from_slice(&self.bias);
        }
        self.product(rows, width, out);
    }

    /// `out += rows weight + bias`; rows of `width`.
    fn add(&self, rows: &[f32], width: usize, out: &mut [f32]) {
        add_bias(out, &self.bias);
        self.product(rows, width, out);
    }

    fn product(&self, rows: &[f32], width: usize, out: &mut [f32]) {
        let columns = self.bias.len();
        let shape = [rows.len() / width, columns, width];
        let weight = Matrix::rows(&self.weight, columns);
        multiply(
            shape,
            Matrix::rows(rows, width),
            weight,
            1.0,
            out,
            columns,
            true,
        );
    }
}

impl Norm {
    fn load(builder: &VarBuilder<'_>, width: usize) -> Result<Self> {
        // Weights that were converted from TensorFlow call them gamma and beta.
        let named = |new: &str, old: &str| {
            let name = if builder.contains_tensor(new) {
                new
            } else {
                old
            };
            values(&builder.get(width, name)?)
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

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use candle_core::{DType, Device};
    use candle_transformers::models::bert::BertModel;

    use super::*;

    /// Small random weights with the names of `config`.
    fn weights(config: &Config) -> HashMap<String, Tensor> {
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

    /// Equals candle's own encoder on each text by itself, whatever is packed beside it.
    #[test]
    fn packed_texts_equal_candles_own_encoder() {
        for activation in [HiddenAct::Gelu, HiddenAct::GeluApproximate, HiddenAct::Relu] {
            let config = Config {
                vocab_size: 50,
                hidden_size: 24,
                num_hidden_layers: 2,
                num_attention_heads: 3,
                intermediate_size: 40,
                max_position_embeddings: 300,
                hidden_act: activation,
                ..Config::default()
            };
            let builder = VarBuilder::from_tensors(weights(&config), DType::F32, &Device::Cpu);
            let ours = Encoder::load(&builder, &config).unwrap();
            let candles = BertModel::load(builder, &config).unwrap();
            let texts: Vec<Vec<u32>> = [1usize, 2, 7, 33, 150, 290]
                .iter()
                .map(|len| (0..*len as u32).map(|i| (i * 7 + 3) % 50).collect())
                .collect();
            let packed: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let states = ours.forward(&packed);
            let mut at = 0;
            for text in &packed {
                let ids = Tensor::new(*text, &Device::Cpu)
                    .unwrap()
                    .unsqueeze(0)
                    .unwrap();
                let expected = candles
                    .forward(&ids, &ids.zeros_like().unwrap(), None)
                    .and_then(|t| t.flatten_all()?.to_vec1::<f32>())
                    .unwrap();
                for (found, expected) in states[at..].iter().zip(&expected) {
                    assert!((found - expected).abs() < 2e-4, "{found} and {expected}");
                }
                at += expected.len();
            }
            assert_eq!(at, states.len());
        }
    }
}

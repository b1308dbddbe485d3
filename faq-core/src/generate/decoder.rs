//! The transformer: weights of a Llama or Qwen2 model, and one pass over them.
//!
//! Weights stay as quantised as the file has them and are multiplied by candle's kernels; the
//! activations are `f32`. The attention state is the caller's ([`Attention`]), so that it can
//! be kept, copied and put back. Nothing here chooses tokens or knows text.
//!
//! candle-transformers has both models too. They are not used, since they keep their state to
//! themselves without a way back to an earlier position, hold every attention mask they ever
//! made, and spread the token embeddings out to `f32` (0.9 GB for a model of 1.5 billion).

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{D, Device, Module, Result, Tensor};
use candle_nn::{ops, rotary_emb};

use super::attention::{Attention, LayerState};
use super::gguf::{Fault, Gguf};

/// Whether weights of a type are spread out to `f32`, at four bytes each. That is exact, where
/// the kernels for quantised weights round the activations to eight bits, and as fast or
/// faster as long as all of them are few.
#[derive(Debug, Clone, Copy)]
struct Spreading {
    all: bool,
    slow: bool,
}

impl Spreading {
    /// Most weights of a model that is spread out whole. Models this small are close to
    /// nonsense, and rounding takes them there: SmolLM2-135M knows the capital of France with
    /// the one and not with the other.
    const SMALL_MODEL: usize = 200_000_000;

    /// Most weights of a type without vector instructions; `f32` reads prompts some twenty
    /// times as fast.
    const SLOW_WEIGHTS: usize = 500_000_000;

    fn of(gguf: &Gguf) -> Self {
        Self {
            all: gguf.weights(|_| true) <= Self::SMALL_MODEL,
            slow: gguf.weights(Self::is_slow) <= Self::SLOW_WEIGHTS,
        }
    }

    fn is_slow(dtype: GgmlDType) -> bool {
        matches!(dtype, GgmlDType::Q4_1 | GgmlDType::Q5_1)
    }

    fn matmul(self, weight: &Arc<QTensor>) -> Result<QMatMul> {
        if self.all || self.slow && Self::is_slow(weight.dtype()) {
            weight.dequantize(&Device::Cpu).map(QMatMul::Tensor)
        } else {
            QMatMul::from_arc(Arc::clone(weight))
        }
    }
}

/// What is rotated against what in the position encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotation {
    /// Neighbours: 0 with 1, 2 with 3 (Llama as GGUF stores it).
    Neighbours,
    /// Halves: 0 with d/2, 1 with d/2 + 1 (Qwen2).
    Halves,
}

/// Sizes of a model, checked against each other.
#[derive(Debug, Clone)]
struct Shape {
    context: usize,
    layers: usize,
    kv_heads: usize,
    head: usize,
    heads: usize,
    width: usize,
    hidden: usize,
    epsilon: f32,
    rotation: Rotation,
}

impl Shape {
    fn read(gguf: &Gguf) -> std::result::Result<(Self, f64), Fault> {
        let name = gguf
            .text("general.architecture")?
            .ok_or_else(|| Fault::Damaged("it names no architecture".into()))?
            .to_owned();
        let rotation = match name.as_str() {
            "llama" => Rotation::Neighbours,
            "qwen2" => Rotation::Halves,
            other => {
                return Err(Fault::Unsupported(format!(
                    "its architecture is {other:?} (known: llama, qwen2)"
                )));
            }
        };
        let key = |rest: &str| format!("{name}.{rest}");
        let optional = |rest: &str| gguf.size(&key(rest));
        let size = |rest: &str| -> std::result::Result<usize, Fault> {
            optional(rest)?
                .filter(|n| *n > 0)
                .ok_or_else(|| Fault::Damaged(format!("its {:?} is missing or 0", key(rest))))
        };
        if optional("expert_count")?.unwrap_or(0) > 0 {
            return Err(Fault::Unsupported("it is a mixture of experts".into()));
        }
        match gguf.text(&key("rope.scaling.type"))? {
            None | Some("none") => {}
            Some(other) => {
                return Err(Fault::Unsupported(format!(
                    "it stretches its context in the way {other:?}"
                )));
            }
        }
        let (width, heads) = (size("embedding_length")?, size("attention.head_count")?);
        let kv_heads = optional("attention.head_count_kv")?.unwrap_or(heads);
        let head = optional("attention.key_length")?.unwrap_or(width / heads);
        let shape = Self {
            context: size("context_length")?,
            layers: size("block_count")?,
            kv_heads,
            head,
            heads,
            width,
            hidden: size("feed_forward_length")?,
            epsilon: gguf
                .float(&key("attention.layer_norm_rms_epsilon"))?
                .filter(|e| *e > 0.0)
                .ok_or_else(|| Fault::Damaged("it has no epsilon for its norms".into()))?
                as f32,
            rotation,
        };
        let rotated = optional("rope.dimension_count")?.unwrap_or(head);
        let values = optional("attention.value_length")?.unwrap_or(head);
        if kv_heads == 0 || heads % kv_heads != 0 || head == 0 || head % 2 != 0 {
            return Err(Fault::Damaged(format!(
                "it has {heads} heads of {head} over {kv_heads} shared ones"
            )));
        }
        if rotated != head || values != head {
            return Err(Fault::Unsupported(format!(
                "its heads of {head} rotate {rotated} and carry {values}"
            )));
        }
        let base = gguf.float(&key("rope.freq_base"))?.unwrap_or(10_000.0);
        if base <= 1.0 {
            return Err(Fault::Damaged(format!("its rotation has the base {base}")));
        }
        Ok((shape, base))
    }
}

/// `x · Wᵀ + b`.
struct Linear {
    weight: QMatMul,
    bias: Option<Tensor>,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.weight.forward(x)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

struct Block {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// A loaded model.
pub(super) struct Decoder {
    shape: Shape,
    /// Radians that each pair of a head turns from one position to the next.
    turns: Vec<f64>,
    embedding: Arc<QTensor>,
    blocks: Vec<Block>,
    norm: Tensor,
    head: QMatMul,
}

/// What the layers of one pass share.
struct Pass {
    cos: Tensor,
    sin: Tensor,
    /// `[new, all]`, 0 where a token sees another and -inf where it does not; none for one token.
    mask: Option<Tensor>,
    new: usize,
}

impl Decoder {
    /// Reads the weights. `vocabulary` is the number of tokens that the tokenizer has.
    pub(super) fn load(gguf: &mut Gguf, vocabulary: usize) -> std::result::Result<Self, Fault> {
        let (shape, base) = Shape::read(gguf)?;
        let turns = turns(gguf, &shape, base)?;
        let (width, head) = (shape.width, shape.head);
        let embedding = Arc::new(gguf.tensor("token_embd.weight", &[vocabulary, width])?);
        let head_weight = if gguf.shape("output.weight").is_some() {
            Arc::new(gguf.tensor("output.weight", &[vocabulary, width])?)
        } else {
            Arc::clone(&embedding)
        };
        let mut blocks = Vec::new();
        for number in 0..shape.layers {
            let mut norm = |name: &str| vector(gguf, &format!("blk.{number}.{name}.weight"), width);
            let attention_norm = norm("attn_norm")?;
            let feed_norm = norm("ffn_norm")?;
            let mut linear = |name: &str, rows, columns| {
                linear(gguf, &format!("blk.{number}.{name}"), rows, columns)
            };
            let (wide, narrow) = (shape.heads * head, shape.kv_heads * head);
            blocks.push(Block {
                attention_norm,
                query: linear("attn_q", wide, width)?,
                key: linear("attn_k", narrow, width)?,
                value: linear("attn_v", narrow, width)?,
                output: linear("attn_output", width, wide)?,
                feed_norm,
                gate: linear("ffn_gate", shape.hidden, width)?,
                up: linear("ffn_up", shape.hidden, width)?,
                down: linear("ffn_down", width, shape.hidden)?,
            });
        }
        Ok(Self {
            turns,
            embedding,
            blocks,
            norm: vector(gguf, "output_norm.weight", width)?,
            head: Spreading::of(gguf)
                .matmul(&head_weight)
                .map_err(|e| Fault::Unsupported(e.to_string()))?,
            shape,
        })
    }

    /// Tokens that the model can attend to.
    pub(super) fn context(&self) -> usize {
        self.shape.context
    }

    /// An attention state that has seen nothing.
    pub(super) fn attention(&self) -> Attention {
        Attention::new(self.shape.layers)
    }

    /// Reads `tokens` after what `attention` has seen. Gives the score of each token of the
    /// vocabulary to come next, where `scores` asks for it.
    ///
    /// After an error `attention` is in between two states; the caller resets it.
    pub(super) fn read(
        &self,
        tokens: &[u32],
        attention: &mut Attention,
        scores: bool,
    ) -> Result<Option<Vec<f32>>> {
        let pass = self.pass(attention.len(), tokens.len())?;
        let ids = Tensor::new(tokens, &Device::Cpu)?;
        let mut x = self.embedding.embedding(&ids)?;
        for (block, state) in self.blocks.iter().zip(attention.layers()) {
            let y = self.attend(
                block,
                &self.normed(&x, &block.attention_norm)?,
                &pass,
                state,
            )?;
            x = (x + y)?;
            let y = self.normed(&x, &block.feed_norm)?;
            let y = (block.gate.forward(&y)?.silu()? * block.up.forward(&y)?)?;
            x = (x + block.down.forward(&y)?)?;
        }
        attention.advance(tokens.len());
        if !scores {
            return Ok(None);
        }
        let last = x.narrow(0, tokens.len() - 1, 1)?.contiguous()?;
        let last = self.normed(&last, &self.norm)?;
        self.head.forward(&last)?.squeeze(0)?.to_vec1().map(Some)
    }

    fn normed(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        ops::rms_norm(x, weight, self.shape.epsilon)
    }

    fn pass(&self, seen: usize, new: usize) -> Result<Pass> {
        let angles =
            || (seen..seen + new).flat_map(|at| self.turns.iter().map(move |t| at as f64 * t));
        let size = (new, self.turns.len());
        let mask = if new == 1 {
            None
        } else {
            let all = seen + new;
            let mask: Vec<f32> = (0..new)
                .flat_map(|i| {
                    (0..all).map(move |j| if j > seen + i { f32::NEG_INFINITY } else { 0.0 })
                })
                .collect();
            Some(Tensor::from_vec(mask, (new, all), &Device::Cpu)?)
        };
        Ok(Pass {
            cos: Tensor::from_vec(
                angles().map(|a| a.cos() as f32).collect(),
                size,
                &Device::Cpu,
            )?,
            sin: Tensor::from_vec(
                angles().map(|a| a.sin() as f32).collect(),
                size,
                &Device::Cpu,
            )?,
            mask,
            new,
        })
    }

    fn rotate(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        match self.shape.rotation {
            Rotation::Neighbours => rotary_emb::rope_i(x, &pass.cos, &pass.sin),
            Rotation::Halves => rotary_emb::rope(x, &pass.cos, &pass.sin),
        }
    }

    fn attend(
        &self,
        block: &Block,
        x: &Tensor,
        pass: &Pass,
        state: &mut LayerState,
    ) -> Result<Tensor> {
        let Shape {
            heads,
            kv_heads,
            head,
            ..
        } = self.shape;
        let new = pass.new;
        let by_head = |y: Tensor, heads: usize| {
            y.reshape((1, new, heads, head))?
                .transpose(1, 2)?
                .contiguous()
        };
        let q = self.rotate(&by_head(block.query.forward(x)?, heads)?, pass)?;
        let k = self.rotate(&by_head(block.key.forward(x)?, kv_heads)?, pass)?;
        let v = by_head(block.value.forward(x)?, kv_heads)?;
        let (keys, values) = state.append(&k.squeeze(0)?, &v.squeeze(0)?)?;
        // The heads that share a key head stand next to each other, so they can be multiplied
        // with it as if they were more tokens: nothing is repeated.
        let shared = heads / kv_heads;
        let q = (q.reshape((kv_heads, shared * new, head))? * (head as f64).powf(-0.5))?;
        let mut weights = q.matmul(&keys.transpose(D::Minus2, D::Minus1)?)?;
        if let Some(mask) = &pass.mask {
            let all = mask.dim(1)?;
            weights = weights
                .reshape((heads, new, all))?
                .broadcast_add(mask)?
                .reshape((kv_heads, shared * new, all))?;
        }
        let y = ops::softmax_last_dim(&weights)?.matmul(&values)?;
        let y = y
            .reshape((heads, new, head))?
            .transpose(0, 1)?
            .contiguous()?;
        block.output.forward(&y.reshape((new, heads * head))?)
    }
}

fn vector(gguf: &mut Gguf, name: &str, length: usize) -> std::result::Result<Tensor, Fault> {
    gguf.tensor(name, &[length])?
        .dequantize(&Device::Cpu)
        .map_err(|e| Fault::Unsupported(format!("tensor {name:?}: {e}")))
}

fn linear(
    gguf: &mut Gguf,
    name: &str,
    rows: usize,
    columns: usize,
) -> std::result::Result<Linear, Fault> {
    let weight = gguf.tensor(&format!("{name}.weight"), &[rows, columns])?;
    let bias = format!("{name}.bias");
    Ok(Linear {
        weight: Spreading::of(gguf)
            .matmul(&Arc::new(weight))
            .map_err(|e| Fault::Unsupported(format!("tensor {name:?}: {e}")))?,
        bias: match gguf.shape(&bias) {
            Some(_) => Some(vector(gguf, &bias, rows)?),
            None => None,
        },
    })
}

/// The rotation of each pair; Llama 3.1 and later bring factors for their long context.
fn turns(gguf: &mut Gguf, shape: &Shape, base: f64) -> std::result::Result<Vec<f64>, Fault> {
    let pairs = shape.head / 2;
    let factors = match gguf.shape("rope_freqs.weight") {
        Some(_) => vector(gguf, "rope_freqs.weight", pairs)?
            .to_vec1::<f32>()
            .map_err(|e| Fault::Damaged(e.to_string()))?,
        None => vec![1.0; pairs],
    };
    if factors.iter().any(|f| !f.is_finite() || *f <= 0.0) {
        return Err(Fault::Damaged(
            "its rotation factors are no positive numbers".into(),
        ));
    }
    Ok(factors
        .iter()
        .enumerate()
        .map(|(i, factor)| base.powf(-(i as f64) / pairs as f64) / f64::from(*factor))
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::File;

    use candle_core::quantized::gguf_file;
    use candle_core::{Device, Tensor};
    use candle_transformers::models::{quantized_llama, quantized_qwen2};

    use super::Decoder;
    use crate::generate::gguf::Gguf;
    use crate::generate::tests::{QWEN05, SMOLLM2, model_file};

    const PROMPT: [u32; 12] = [1, 9690, 198, 2, 28, 339, 4000, 12, 77, 901, 30, 5];

    fn ours(file: &std::path::Path, cut: usize) -> Vec<f32> {
        let mut gguf = Gguf::open(file).unwrap();
        let vocabulary = gguf.shape("token_embd.weight").unwrap()[0];
        let decoder = Decoder::load(&mut gguf, vocabulary).unwrap();
        let mut attention = decoder.attention();
        decoder.read(&PROMPT[..cut], &mut attention, false).unwrap();
        decoder
            .read(&PROMPT[cut..], &mut attention, true)
            .unwrap()
            .unwrap()
    }

    fn agree(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        let dot = |x: &[f32], y: &[f32]| -> f64 {
            x.iter()
                .zip(y)
                .map(|(x, y)| f64::from(*x) * f64::from(*y))
                .sum()
        };
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        assert!(cosine > 0.999, "{cosine}");
    }

    /// Holds our logits, whichever way the prompt is cut, to those of `other` for the whole.
    fn agrees_with(
        file: &std::path::Path,
        other: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
    ) {
        let input = Tensor::new(&PROMPT, &Device::Cpu)
            .unwrap()
            .unsqueeze(0)
            .unwrap();
        let expected: Vec<f32> = other(&input)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        for cut in [1, 5, 11] {
            agree(&ours(file, cut), &expected);
        }
    }

    #[test]
    fn llama_agrees_with_another_implementation() {
        let file = model_file(SMOLLM2).unwrap();
        let mut reader = File::open(&file).unwrap();
        let content = gguf_file::Content::read(&mut reader).unwrap();
        let mut other =
            quantized_llama::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
        agrees_with(&file, |input| other.forward(input, 0));
    }

    #[test]
    fn qwen2_agrees_with_another_implementation() {
        let Some(file) = model_file(QWEN05) else {
            return;
        };
        let mut reader = File::open(&file).unwrap();
        let content = gguf_file::Content::read(&mut reader).unwrap();
        let mut other =
            quantized_qwen2::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
        agrees_with(&file, |input| other.forward(input, 0));
    }
}

//! The weights of one layer, under the names that each family gives them.

use super::gguf::{Fault, Gguf};
use super::matrix::Matrix;
use super::pool::Pool;
use super::shape::{Family, Shape};

/// How a matrix is loaded: the tensor's name, its rows and columns.
pub(super) type Loading = dyn Fn(&Gguf, &str, [usize; 2], &Pool) -> Result<Matrix, Fault>;

/// The weights of one layer. Norms and biases that the model has not are empty.
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    /// Of queries, keys and values: three matrices, or one of all.
    pub(super) heads: Vec<Matrix>,
    /// Of query, key and value, one behind the other.
    pub(super) bias: Vec<f32>,
    query_norm: Vec<f32>,
    key_norm: Vec<f32>,
    pub(super) output: Matrix,
    /// Of what the attention says.
    pub(super) attended_norm: Vec<f32>,
    pub(super) feed_norm: Vec<f32>,
    /// Gate and what it lets through: two matrices, or one of both.
    pub(super) gates: Vec<Matrix>,
    pub(super) down: Matrix,
    /// Of what the feed-forward network says.
    pub(super) fed_norm: Vec<f32>,
}

impl Layer {
    pub(super) fn load(
        gguf: &Gguf,
        shape: &Shape,
        number: usize,
        pool: &Pool,
        load: &Loading,
    ) -> Result<Self, Fault> {
        let name = |rest: &str| format!("blk.{number}.{rest}");
        let (wide, narrow) = (shape.heads * shape.head, shape.kv_heads * shape.head);
        let (width, hidden) = (shape.width, shape.hidden);
        let bias = biases(gguf, &name, [wide, narrow, narrow])?;
        let norm = |rest: &str, wanted: bool, length| {
            if wanted {
                gguf.floats(&name(rest), length)
            } else {
                Ok(Vec::new())
            }
        };
        let gemma = shape.family.is_gemma();
        let headed = matches!(shape.family, Family::Qwen3 | Family::Gemma3);
        let attention_norm = norm("attn_norm.weight", true, width)?;
        let feed_norm = norm("ffn_norm.weight", true, width)?;
        let query_norm = norm("attn_q_norm.weight", headed, shape.head)?;
        let key_norm = norm("attn_k_norm.weight", headed, shape.head)?;
        let attended_norm = norm("post_attention_norm.weight", gemma, width)?;
        let fed_norm = norm("post_ffw_norm.weight", gemma, width)?;
        let matrix = |rest: &str, rows, columns| load(gguf, &name(rest), [rows, columns], pool);
        let (heads, gates) = if shape.family == Family::Phi3 {
            (
                vec![matrix("attn_qkv.weight", wide + 2 * narrow, width)?],
                vec![matrix("ffn_up.weight", 2 * hidden, width)?],
            )
        } else {
            (
                vec![
                    matrix("attn_q.weight", wide, width)?,
                    matrix("attn_k.weight", narrow, width)?,
                    matrix("attn_v.weight", narrow, width)?,
                ],
                vec![
                    matrix("ffn_gate.weight", hidden, width)?,
                    matrix("ffn_up.weight", hidden, width)?,
                ],
            )
        };
        Ok(Self {
            attention_norm,
            heads,
            bias,
            query_norm,
            key_norm,
            output: matrix("attn_output.weight", width, wide)?,
            attended_norm,
            feed_norm,
            gates,
            down: matrix("ffn_down.weight", width, hidden)?,
            fed_norm,
        })
    }

    /// Whether queries and keys are normed.
    pub(super) fn normed(&self) -> bool {
        !self.query_norm.is_empty()
    }

    /// The norm of each query, or of each key.
    pub(super) fn head_norm(&self, query: bool) -> &[f32] {
        if query {
            &self.query_norm
        } else {
            &self.key_norm
        }
    }
}

/// The biases of query, key and value where there are any. No known family has others.
fn biases(gguf: &Gguf, name: &dyn Fn(&str) -> String, rows: [usize; 3]) -> Result<Vec<f32>, Fault> {
    let heads = ["attn_q.bias", "attn_k.bias", "attn_v.bias"].map(name);
    let mut bias = Vec::new();
    if heads.iter().any(|head| gguf.shape(head).is_some()) {
        for (head, rows) in heads.iter().zip(rows) {
            match gguf.shape(head) {
                Some(_) => bias.extend(gguf.floats(head, rows)?),
                None => bias.resize(bias.len() + rows, 0.0),
            }
        }
    }
    for rest in [
        "attn_qkv.bias",
        "attn_output.bias",
        "ffn_gate.bias",
        "ffn_up.bias",
        "ffn_down.bias",
    ] {
        if gguf.shape(&name(rest)).is_some() {
            return Err(Fault::Unsupported(format!("it has a {:?}", name(rest))));
        }
    }
    Ok(bias)
}

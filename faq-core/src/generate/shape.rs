//! The sizes of a model, as its metadata say and checked against each other.

use super::gguf::{Fault, Gguf};

/// What is rotated against what in the position encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    /// Neighbours: 0 with 1, 2 with 3 (Llama as GGUF stores it).
    Neighbours,
    /// Halves: 0 with d/2, 1 with d/2 + 1 (Qwen2).
    Halves,
}

/// Sizes of a model, checked against each other.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) context: usize,
    pub(super) layers: usize,
    pub(super) kv_heads: usize,
    pub(super) head: usize,
    pub(super) heads: usize,
    pub(super) width: usize,
    pub(super) hidden: usize,
    pub(super) epsilon: f32,
    pub(super) rotation: Rotation,
    /// Base of the angles.
    base: f64,
}

impl Shape {
    /// What the metadata say.
    pub(super) fn read(gguf: &Gguf) -> Result<Self, Fault> {
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
        let size = |rest: &str| -> Result<usize, Fault> {
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
            base: gguf.float(&key("rope.freq_base"))?.unwrap_or(10_000.0),
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
        if shape.base <= 1.0 {
            return Err(Fault::Damaged(format!(
                "its rotation has the base {}",
                shape.base
            )));
        }
        Ok(shape)
    }

    /// Radians that each pair of a head turns from one position to the next; Llama 3.1 and later
    /// bring factors for their long context.
    pub(super) fn turns(&self, gguf: &mut Gguf) -> Result<Vec<f64>, Fault> {
        let pairs = self.head / 2;
        let factors = match gguf.shape("rope_freqs.weight") {
            Some(_) => gguf.floats("rope_freqs.weight", pairs)?,
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
            .map(|(i, factor)| self.base.powf(-(i as f64) / pairs as f64) / f64::from(*factor))
            .collect())
    }
}

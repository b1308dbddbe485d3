//! The sizes of a model, as its metadata say and checked against each other, and what its family
//! does differently from the others.

use super::gguf::{Fault, Gguf, Value};

/// What is rotated against what in the position encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    /// Neighbours: 0 with 1, 2 with 3 (Llama as GGUF stores it).
    Neighbours,
    /// Halves: 0 with d/2, 1 with d/2 + 1 (the others).
    Halves,
}

/// What a feed-forward network's gate goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Silu,
    Gelu,
}

/// Models that are computed alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    Qwen2,
    Qwen3,
    Gemma2,
    Gemma3,
    Phi3,
}

impl Family {
    const KNOWN: [(&str, Self); 6] = [
        ("llama", Self::Llama),
        ("qwen2", Self::Qwen2),
        ("qwen3", Self::Qwen3),
        ("gemma2", Self::Gemma2),
        ("gemma3", Self::Gemma3),
        ("phi3", Self::Phi3),
    ];

    pub(super) fn is_gemma(self) -> bool {
        matches!(self, Self::Gemma2 | Self::Gemma3)
    }

    /// The family that an architecture's name means.
    pub(super) fn of(gguf: &Gguf) -> Result<(&str, Self), Fault> {
        let name = gguf
            .text("general.architecture")?
            .ok_or_else(|| Fault::Damaged("it names no architecture".into()))?;
        let known = Self::KNOWN.into_iter().find(|(known, _)| *known == name);
        known.ok_or_else(|| {
            let names = Self::KNOWN.map(|(known, _)| known).join(", ");
            Fault::Unsupported(format!("its architecture is {name:?} (known: {names})"))
        })
    }
}

/// Sizes of a model, checked against each other.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) family: Family,
    pub(super) context: usize,
    pub(super) layers: usize,
    pub(super) kv_heads: usize,
    pub(super) head: usize,
    pub(super) heads: usize,
    pub(super) width: usize,
    pub(super) hidden: usize,
    pub(super) epsilon: f32,
    pub(super) rotation: Rotation,
    /// Numbers of a head that are rotated, from its first one on.
    pub(super) rotated: usize,
    pub(super) gate: Gate,
    /// Goes on the embeddings.
    pub(super) embedding_scale: f32,
    /// Goes on the products of queries and keys.
    pub(super) query_scale: f32,
    /// Bounds of the attention's scores and of the last ones; 0 where there are none.
    pub(super) attention_cap: f32,
    pub(super) final_cap: f32,
    /// Positions that a token sees in layers that slide, its own included.
    window: usize,
    /// Whether a layer slides.
    sliding: Vec<bool>,
    /// Bases of the angles, in layers that see everything and in layers that slide.
    base: f64,
    sliding_base: f64,
    /// Positions are divided by this, but not in layers that slide.
    stretch: f64,
    /// Goes on the cosines and sines.
    pub(super) rotation_scale: f32,
}

/// Radians that each pair of a head turns from one position to the next.
#[derive(Debug)]
pub(super) struct Turns {
    /// In layers that see everything.
    pub(super) wide: Vec<f64>,
    /// In layers that slide; empty where these turn alike.
    pub(super) sliding: Vec<f64>,
}

impl Shape {
    /// What the metadata say.
    pub(super) fn read(gguf: &Gguf) -> Result<Self, Fault> {
        let (name, family) = Family::of(gguf)?;
        let key = |rest: &str| format!("{name}.{rest}");
        let optional = |rest: &str| gguf.size(&key(rest));
        let float = |rest: &str| gguf.float(&key(rest));
        let size = |rest: &str| -> Result<usize, Fault> {
            optional(rest)?
                .filter(|n| *n > 0)
                .ok_or_else(|| Fault::Damaged(format!("its {:?} is missing or 0", key(rest))))
        };
        if optional("expert_count")?.unwrap_or(0) > 0 {
            return Err(Fault::Unsupported("it is a mixture of experts".into()));
        }
        let (width, heads) = (size("embedding_length")?, size("attention.head_count")?);
        let kv_heads = optional("attention.head_count_kv")?.unwrap_or(heads);
        let head = optional("attention.key_length")?.unwrap_or(width / heads);
        let layers = size("block_count")?;
        let scaling = gguf.text(&key("rope.scaling.type"))?;
        let stretch = match scaling {
            Some("linear") => float("rope.scaling.factor")?.unwrap_or(1.0),
            None | Some("none" | "longrope") => 1.0,
            Some(other) => {
                return Err(Fault::Unsupported(format!(
                    "it stretches its context in the way {other:?}"
                )));
            }
        };
        let mut context = size("context_length")?;
        if gguf.shape(SHORT_FACTORS).is_some() {
            // Beyond the context that it was trained with first, other factors would hold for all
            // positions; so it is read within.
            context = context.min(size("rope.scaling.original_context_length")?);
        } else if scaling == Some("longrope") {
            return Err(Fault::Damaged("it has no factors for its rotation".into()));
        }
        let base = float("rope.freq_base")?.unwrap_or(10_000.0);
        let sliding_base = match family {
            Family::Gemma3 => float("rope.freq_base_swa")?.unwrap_or(10_000.0),
            _ => base,
        };
        let shape = Self {
            family,
            context,
            layers,
            kv_heads,
            head,
            heads,
            width,
            hidden: size("feed_forward_length")?,
            epsilon: float("attention.layer_norm_rms_epsilon")?
                .filter(|e| *e > 0.0)
                .ok_or_else(|| Fault::Damaged("it has no epsilon for its norms".into()))?
                as f32,
            rotation: match family {
                Family::Llama => Rotation::Neighbours,
                _ => Rotation::Halves,
            },
            rotated: optional("rope.dimension_count")?.unwrap_or(head),
            gate: if family.is_gemma() {
                Gate::Gelu
            } else {
                Gate::Silu
            },
            embedding_scale: if family.is_gemma() {
                (width as f32).sqrt()
            } else {
                1.0
            },
            query_scale: query_scale(gguf, name, family, (layers, width, heads, head))?,
            attention_cap: cap(float("attn_logit_softcapping")?)?,
            final_cap: cap(float("final_logit_softcapping")?)?,
            window: optional("attention.sliding_window")?
                .filter(|n| *n > 0)
                .unwrap_or(usize::MAX),
            sliding: sliding(gguf, name, family, layers)?,
            base,
            sliding_base,
            stretch,
            rotation_scale: float("rope.scaling.attn_factor")?.unwrap_or(1.0) as f32,
        };
        let values = optional("attention.value_length")?.unwrap_or(head);
        shape.check(values)?;
        Ok(shape)
    }

    fn check(&self, values: usize) -> Result<(), Fault> {
        let Self {
            heads,
            kv_heads,
            head,
            rotated,
            ..
        } = *self;
        if kv_heads == 0 || heads % kv_heads != 0 || head == 0 || head % 2 != 0 {
            return Err(Fault::Damaged(format!(
                "it has {heads} heads of {head} over {kv_heads} shared ones"
            )));
        }
        let whole = self.rotation == Rotation::Halves || rotated == head;
        if rotated == 0 || rotated > head || rotated % 2 != 0 || !whole || values != head {
            return Err(Fault::Unsupported(format!(
                "its heads of {head} rotate {rotated} and carry {values}"
            )));
        }
        for base in [self.base, self.sliding_base] {
            if base <= 1.0 {
                return Err(Fault::Damaged(format!("its rotation has the base {base}")));
            }
        }
        let scale = self.rotation_scale;
        if self.stretch <= 0.0 || scale <= 0.0 || !scale.is_finite() {
            return Err(Fault::Damaged(format!(
                "its rotation is stretched by {} and scaled by {scale}",
                self.stretch
            )));
        }
        Ok(())
    }

    /// Positions that a token of a layer sees, its own included.
    pub(super) fn window(&self, layer: usize) -> usize {
        if self.slides(layer) {
            self.window
        } else {
            usize::MAX
        }
    }

    /// Whether a layer sees a window only.
    pub(super) fn slides(&self, layer: usize) -> bool {
        self.sliding.get(layer).copied().unwrap_or(false)
    }

    /// How heads turn. Llama 3.1 and later, and Phi-3, bring factors for a long context.
    pub(super) fn turns(&self, gguf: &Gguf) -> Result<Turns, Fault> {
        let pairs = self.rotated / 2;
        let name = ["rope_freqs.weight", SHORT_FACTORS]
            .into_iter()
            .find(|name| gguf.shape(name).is_some());
        let factors = match name {
            Some(name) => gguf.floats(name, pairs)?,
            None => vec![1.0; pairs],
        };
        if factors.iter().any(|f| !f.is_finite() || *f <= 0.0) {
            return Err(Fault::Damaged(
                "its rotation factors are no positive numbers".into(),
            ));
        }
        let turn = |base: f64, i: usize| base.powf(-(i as f64) / pairs as f64);
        let wide = factors.iter().enumerate();
        let wide = wide.map(|(i, factor)| turn(self.base, i) / f64::from(*factor) / self.stretch);
        let alike = self.sliding_base == self.base && self.stretch == 1.0;
        let sliding = (0..if alike { 0 } else { pairs }).map(|i| turn(self.sliding_base, i));
        Ok(Turns {
            wide: wide.collect(),
            sliding: sliding.collect(),
        })
    }
}

/// Factors of Phi-3's rotation within its first context.
const SHORT_FACTORS: &str = "rope_factors_short.weight";

fn cap(given: Option<f64>) -> Result<f32, Fault> {
    match given {
        Some(cap) if cap < 0.0 => Err(Fault::Damaged(format!("its scores are bound by {cap}"))),
        given => Ok(given.unwrap_or(0.0) as f32),
    }
}

fn query_scale(
    gguf: &Gguf,
    name: &str,
    family: Family,
    (layers, width, heads, head): (usize, usize, usize, usize),
) -> Result<f32, Fault> {
    if let Some(scale) = gguf.float(&format!("{name}.attention.scale"))? {
        return Ok(scale as f32);
    }
    // The largest Gemma of each generation, which files do not tell otherwise, scales by the
    // width of a head as if heads shared the model's.
    let size = match (family, layers) {
        (Family::Gemma2, 46) | (Family::Gemma3, 62) => width / heads,
        _ => head,
    };
    Ok((size as f32).sqrt().recip())
}

/// Which layers slide: all but every sixth of Gemma 3, every other one of Gemma 2, all of Phi-3.
fn sliding(gguf: &Gguf, name: &str, family: Family, layers: usize) -> Result<Vec<bool>, Fault> {
    let key = format!("{name}.attention.sliding_window_pattern");
    let period = match family {
        Family::Gemma2 => 2,
        Family::Gemma3 => 6,
        Family::Phi3 => return Ok(vec![true; layers]),
        _ => return Ok(Vec::new()),
    };
    let period = match gguf.get(&key) {
        None => period,
        Some(Value::Int(n)) if *n > 0 => *n as usize,
        Some(Value::Ints(flags)) => return Ok(flags.iter().map(|flag| *flag != 0).collect()),
        Some(other) => return Err(Fault::Damaged(format!("its {key:?} is {other:?}"))),
    };
    Ok((0..layers).map(|layer| (layer + 1) % period != 0).collect())
}

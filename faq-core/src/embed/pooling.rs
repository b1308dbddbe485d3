//! One vector out of a text's hidden states.

use serde::Deserialize;

/// How a text's hidden states become one vector, as sentence-transformers names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Mean over the tokens, special ones included.
    Mean,
    /// The first token's state.
    Cls,
}

/// `1_Pooling/config.json` of a sentence-transformers model.
#[derive(Debug, Deserialize)]
pub(super) struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

impl PoolingConfig {
    /// The one pooling that is asked for, `None` for a kind that is not supported.
    pub(super) fn pooling(&self) -> Option<Pooling> {
        match (self.pooling_mode_mean_tokens, self.pooling_mode_cls_token) {
            (true, false) => Some(Pooling::Mean),
            (false, true) => Some(Pooling::Cls),
            _ => None,
        }
    }
}

impl Pooling {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
        }
    }

    /// L2-normalised vector `[dim]` of one text, from the states `[tokens, dim]` of its real tokens.
    pub(super) fn vector(self, states: &[f32], dim: usize) -> Vec<f32> {
        let mut vector = vec![0.0f32; dim];
        match self {
            Self::Cls => vector.copy_from_slice(&states[..dim]),
            Self::Mean => {
                for state in states.chunks_exact(dim) {
                    for (sum, x) in vector.iter_mut().zip(state) {
                        *sum += x;
                    }
                }
                let tokens = (states.len() / dim) as f32;
                for x in &mut vector {
                    *x /= tokens;
                }
            }
        }
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
        for x in &mut vector {
            *x /= norm;
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_and_normalises() {
        let states = [3.0, 0.0, 3.0, 8.0];
        assert_eq!(Pooling::Cls.vector(&states, 2), vec![1.0, 0.0]);
        assert_eq!(Pooling::Mean.vector(&states, 2), vec![0.6, 0.8]);
    }
}

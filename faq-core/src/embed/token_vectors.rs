//! A vector for each token of a text, and how near two texts are by them.

/// Vectors of a text's tokens, `[tokens, dim]`, each L2-normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenVectors {
    values: Vec<f32>,
    dim: usize,
}

impl TokenVectors {
    /// Takes vectors of `dim` numbers, one after the other, and brings each to length 1. What is left
    /// over at the end is cut off.
    pub fn normalised(mut values: Vec<f32>, dim: usize) -> Self {
        let dim = dim.max(1);
        values.truncate(values.len() / dim * dim);
        for row in values.chunks_exact_mut(dim) {
            let norm = dot(row, row).sqrt().max(1e-12);
            for x in row {
                *x /= norm;
            }
        }
        Self { values, dim }
    }

    /// The vectors, in the order of the tokens.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim)
    }

    /// How well `passage` speaks to these tokens of a question: of each the cosine to the nearest
    /// token of the passage, and the mean of these, -1 to 1 ("MaxSim" of `ColBERT`, Khattab and Zaharia,
    /// SIGIR 2020). 0 where one of the two has no tokens.
    pub fn max_similarity(&self, passage: &Self) -> f32 {
        if self.values.is_empty() || passage.values.is_empty() || self.dim != passage.dim {
            return 0.0;
        }
        let nearest = |token: &[f32]| {
            passage
                .rows()
                .map(|other| dot(token, other))
                .fold(f32::NEG_INFINITY, f32::max)
        };
        self.rows().map(nearest).sum::<f32>() / self.rows().len() as f32
    }
}

/// Sums side by side, which a compiler makes into one instruction.
const LANES: usize = 16;

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_counts_by_its_nearest() {
        let question = TokenVectors::normalised(vec![2.0, 0.0, 0.0, 0.5], 2);
        let passage = TokenVectors::normalised(vec![0.6, 0.8, -1.0, 0.0], 2);
        assert_eq!(question.rows().len(), 2);
        let expected = 0.7;
        assert!((question.max_similarity(&passage) - expected).abs() < 1e-6);
        assert!((question.max_similarity(&question) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_whole_of_long_vectors_counts() {
        let row = |n: usize| (0..n).map(|i| (i % 5) as f32 - 2.0).collect::<Vec<_>>();
        for dim in [1, 15, 16, 17, 40] {
            let plain: f32 = row(dim).iter().map(|x| x * x).sum();
            assert!((dot(&row(dim), &row(dim)) - plain).abs() < 1e-4, "{dim}");
        }
    }

    #[test]
    fn nothing_is_near_a_text_without_tokens() {
        let none = TokenVectors::normalised(Vec::new(), 2);
        let one = TokenVectors::normalised(vec![1.0, 0.0, 9.0], 2);
        assert_eq!(one.rows().len(), 1);
        for (a, b) in [(&none, &one), (&one, &none), (&none, &none)] {
            assert_eq!(a.max_similarity(b), 0.0);
        }
    }
}

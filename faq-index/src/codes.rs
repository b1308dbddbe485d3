//! Vectors as 8-bit codes, with a proven bound on what the codes lose.
//!
//! A vector `x` becomes `scale * c`, `c` whole numbers from -127 to 127, kept as `c + 128` and
//! padded to a multiple of [`BLOCK`] with zeros. For a query `q` coded as `q'`, and `x'` the coded
//! row, the true product differs from that of the codes by at most
//!
//! ```text
//! |q.x - q'.x'|  <=  |q| |x - x'|  +  |q - q'| |x'|        (Cauchy-Schwarz, twice)
//! ```
//!
//! so a scan over codes that keeps every row whose upper bound reaches the worst lower bound among
//! the best so far has kept every row that can be among them. Comparing those few as floats gives
//! the exact answer.

use bytemuck::{Pod, Zeroable};

use crate::kernel::{BLOCK, kernels};

/// The code of 0.
const ZERO: u8 = 128;
/// The largest code.
const MOST: f32 = 127.0;
/// What rounding in the sums of floats may add to a bound; vectors have length 1.
const ROUNDING: f32 = 1e-5;

/// What goes with the codes of a row.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub(crate) struct Grain {
    /// What one step of a code is worth.
    pub(crate) scale: f32,
    /// Length of the difference between the vector and its codes.
    pub(crate) error: f32,
}

/// Codes of a vector of `dim` components.
pub(crate) fn width(dim: usize) -> usize {
    dim.next_multiple_of(BLOCK)
}

/// Appends the codes of a vector, and gives what goes with them.
pub(crate) fn encode(vector: &[f32], into: &mut Vec<u8>) -> Grain {
    let scale = step(vector);
    let mut squares = 0.0;
    let end = into.len() + width(vector.len());
    into.extend(vector.iter().map(|&value| {
        let code = quantise(value, scale);
        let lost = value - scale * code;
        squares += lost * lost;
        (code as i16 + i16::from(ZERO)) as u8
    }));
    into.resize(end, ZERO);
    Grain {
        scale,
        error: squares.sqrt(),
    }
}

/// What one step is worth, so that the largest component gets the largest code.
fn step(vector: &[f32]) -> f32 {
    let largest = vector
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    if largest > 0.0 { largest / MOST } else { 1.0 }
}

fn quantise(value: f32, scale: f32) -> f32 {
    (value / scale).round().clamp(-MOST, MOST)
}

/// A query as codes.
#[derive(Debug)]
pub(crate) struct CodedQuery {
    codes: Vec<i8>,
    /// The same as a row has them.
    row: Vec<u8>,
    scale: f32,
    /// What the offset of the rows' codes adds to each product.
    offset: i32,
    /// Length of the query.
    length: f32,
    /// Length of the difference between the query and its codes.
    error: f32,
}

impl CodedQuery {
    pub(crate) fn new(query: &[f32]) -> Self {
        let scale = step(query);
        let mut squares = 0.0;
        let mut codes: Vec<i8> = query
            .iter()
            .map(|&value| {
                let code = quantise(value, scale);
                let lost = value - scale * code;
                squares += lost * lost;
                code as i8
            })
            .collect();
        codes.resize(width(query.len()), 0);
        let sum: i32 = codes.iter().map(|code| i32::from(*code)).sum();
        Self {
            offset: sum * i32::from(ZERO),
            scale,
            length: (kernels().dot)(query, query).sqrt(),
            error: squares.sqrt(),
            row: codes.iter().map(|code| (*code as u8) ^ ZERO).collect(),
            codes,
        }
    }

    /// Products with consecutive rows, about right: see [`CodedQuery::tolerance`].
    ///
    /// `products` is working space; all slices are of one length in rows.
    pub(crate) fn products(
        &self,
        codes: &[u8],
        grains: &[Grain],
        products: &mut [i32],
        out: &mut [f32],
    ) {
        (kernels().dot_codes)(codes, &self.codes, products);
        for ((out, product), grain) in out.iter_mut().zip(products).zip(grains) {
            *out = (*product - self.offset) as f32 * (self.scale * grain.scale);
        }
    }

    /// Products with some of many rows, about right.
    ///
    /// `products` is working space; it, `points` and `out` are of one length.
    pub(crate) fn products_at(
        &self,
        codes: &[u8],
        grains: &[Grain],
        points: &[u32],
        products: &mut [i32],
        out: &mut [f32],
    ) {
        (kernels().dot_points)(codes, &self.row, points, products);
        for ((out, product), point) in out.iter_mut().zip(products).zip(points) {
            *out = *product as f32 * (self.scale * grains[*point as usize].scale);
        }
    }

    /// How far a product may be from the true one. The row's vector has length 1, give or take 1 %.
    pub(crate) fn tolerance(&self, grain: Grain) -> f32 {
        let row_length = 1.01 + grain.error;
        self.length * grain.error + self.error * row_length + ROUNDING
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(mut vector: Vec<f32>) -> Vec<f32> {
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        for value in &mut vector {
            *value /= length.max(1e-9);
        }
        vector
    }

    proptest! {
        #[test]
        fn the_true_product_is_within_the_tolerance(
            pairs in proptest::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 1..500),
            spike in 0.0_f32..50.0,
        ) {
            let (mut x, q): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            // A single large component makes the steps coarse.
            x[0] += spike;
            let (x, q) = (unit(x), unit(q));
            let exact: f64 = x.iter().zip(&q).map(|(x, q)| f64::from(*x) * f64::from(*q)).sum();
            let mut codes = Vec::new();
            let grain = encode(&x, &mut codes);
            prop_assert_eq!(codes.len(), width(x.len()));
            let query = CodedQuery::new(&q);
            let tolerance = f64::from(query.tolerance(grain));
            let (mut product, mut found) = ([0], [0.0]);
            query.products(&codes, &[grain], &mut product, &mut found);
            let one = f64::from(found[0]);
            prop_assert!((one - exact).abs() <= tolerance, "{one} {exact} {tolerance}");
            query.products_at(&codes, &[grain], &[0], &mut product, &mut found);
            prop_assert!((f64::from(found[0]) - one).abs() < 1e-6, "{found:?} {one}");
        }
    }

    #[test]
    fn a_vector_of_zeros_has_codes() {
        let mut codes = Vec::new();
        let grain = encode(&[0.0; 3], &mut codes);
        assert_eq!((grain.error, codes), (0.0, vec![ZERO; BLOCK]));
        let (mut product, mut found) = ([7], [7.0]);
        let query = CodedQuery::new(&[0.0; 3]);
        query.products(&[ZERO; BLOCK], &[grain], &mut product, &mut found);
        assert_eq!(found, [0.0]);
    }
}

//! Loops over rows of floats: rounding to codes, norms, gates, rotations, exponentials.
//!
//! Rows may have any length; what is left after whole vectors goes through a padded one.

#![allow(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    clippy::inline_always,
    reason = "vectors over pointers into slices whose bounds the loops keep"
)]

use std::f32::consts::LOG2_E;

use super::activations::{Activations, Block};
use super::formats::GROUP;
use super::simd::{LANES, Simd};

/// Rounds `x`, token `token` of a tile of `tokens`, to codes; to two rows of them where `blocks` has
/// room for that.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn quantise<S: Simd>(
    x: &[f32],
    (token, tokens): (usize, usize),
    blocks: &mut [Block],
) {
    let groups = x.len() / GROUP;
    let rows = blocks.len() / groups;
    let (mut at, step) = Activations::place(token * rows / tokens, rows, groups);
    for x in x.chunks_exact(GROUP) {
        let halves = [S::load(x.as_ptr()), S::load(x.as_ptr().add(LANES))];
        let (block, codes) = rounded::<S>(halves);
        if rows > tokens {
            let step = S::splat(-block.scale);
            let left = [0, 1].map(|i| S::mul_add(codes[i], step, halves[i]));
            blocks[at + 1] = rounded::<S>(left).0;
        }
        blocks[at] = block;
        at += step;
    }
}

/// 32 numbers as codes, and these as floats. What is no number stays none: it reaches the sums.
#[inline(always)]
unsafe fn rounded<S: Simd>(halves: [S::Floats; 2]) -> (Block, [S::Floats; 2]) {
    let most = S::largest(S::max(S::abs(halves[0]), S::abs(halves[1])));
    let scale = most / 127.0;
    let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
    // The inverse of a tiny number is infinite.
    let inverse = if inverse.is_infinite() { 0.0 } else { inverse };
    let codes = halves.map(|half| S::round(S::mul(half, S::splat(inverse))));
    let [first, second] = codes.map(|half| S::sum(half) * scale);
    let mut block = Block::EMPTY;
    S::store_i8(codes[0], block.codes.as_mut_ptr());
    S::store_i8(codes[1], block.codes.as_mut_ptr().add(LANES));
    block.scale = scale;
    block.sums = [first, second, first + second];
    (block, codes)
}

/// What comes of two vectors. No closure: one that is not made part of its caller would not be compiled
/// for the instructions of `S`, and call a function for each of them.
trait Step {
    /// # Safety
    /// The processor has the instructions of `S`.
    unsafe fn of<S: Simd>(&self, a: S::Floats, b: S::Floats) -> S::Floats;
}

/// Replaces each vector of `a` by what `step` makes of it and the one of `b`.
#[inline(always)]
unsafe fn zip<S: Simd>(a: &mut [f32], b: &[f32], step: &impl Step) {
    let (mut a, mut b) = (a.chunks_exact_mut(LANES), b.chunks_exact(LANES));
    for (a, b) in (&mut a).zip(&mut b) {
        S::store(
            step.of::<S>(S::load(a.as_ptr()), S::load(b.as_ptr())),
            a.as_mut_ptr(),
        );
    }
    let (a, b) = (a.into_remainder(), b.remainder());
    if !a.is_empty() {
        let (mut left, mut right) = ([0.0; LANES], [0.0; LANES]);
        left[..a.len()].copy_from_slice(a);
        right[..a.len()].copy_from_slice(&b[..a.len()]);
        S::store(
            step.of::<S>(S::load(left.as_ptr()), S::load(right.as_ptr())),
            left.as_mut_ptr(),
        );
        a.copy_from_slice(&left[..a.len()]);
    }
}

struct Sum;

impl Step for Sum {
    #[inline(always)]
    unsafe fn of<S: Simd>(&self, a: S::Floats, b: S::Floats) -> S::Floats {
        S::add(a, b)
    }
}

/// `a += b`.
#[inline(always)]
pub(super) unsafe fn add<S: Simd>(a: &mut [f32], b: &[f32]) {
    zip::<S>(a, b, &Sum);
}

struct Silu;

impl Step for Silu {
    #[inline(always)]
    unsafe fn of<S: Simd>(&self, gate: S::Floats, up: S::Floats) -> S::Floats {
        let power = exp2::<S>(S::mul(gate, S::splat(-LOG2_E)));
        S::mul(S::div(gate, S::add(power, S::splat(1.0))), up)
    }
}

/// `gate = silu(gate) * up`.
#[inline(always)]
pub(super) unsafe fn gate<S: Simd>(gate: &mut [f32], up: &[f32]) {
    zip::<S>(gate, up, &Silu);
}

struct Gelu;

impl Step for Gelu {
    #[inline(always)]
    unsafe fn of<S: Simd>(&self, gate: S::Floats, up: S::Floats) -> S::Floats {
        // Twice the square root of 2 / pi.
        const SLOPE: f32 = 1.595_769;
        let square = S::mul(gate, gate);
        let inner = S::mul_add(square, S::splat(0.044_715), S::splat(1.0));
        let power = exp2::<S>(S::mul(S::mul(gate, inner), S::splat(-SLOPE * LOG2_E)));
        S::mul(S::div(gate, S::add(power, S::splat(1.0))), up)
    }
}

/// `gate = gelu(gate) * up`, with the approximation by tanh (Hendrycks and Gimpel, 2016):
/// `x / 2 (1 + tanh(t))` is `x / (1 + exp(-2 t))`.
#[inline(always)]
pub(super) unsafe fn gate_gelu<S: Simd>(gate: &mut [f32], up: &[f32]) {
    zip::<S>(gate, up, &Gelu);
}

/// `cap * tanh(x / cap)`.
#[inline(always)]
unsafe fn bent<S: Simd>(x: S::Floats, cap: f32) -> S::Floats {
    S::mul(tanh::<S>(S::mul(x, S::splat(1.0 / cap))), S::splat(cap))
}

/// `x = cap * tanh(x / cap)`.
#[inline(always)]
pub(super) unsafe fn soft_cap<S: Simd>(x: &mut [f32], cap: f32) {
    let mut vectors = x.chunks_exact_mut(LANES);
    for x in &mut vectors {
        S::store(bent::<S>(S::load(x.as_ptr()), cap), x.as_mut_ptr());
    }
    let rest = vectors.into_remainder();
    let mut wide = [0.0; LANES];
    wide[..rest.len()].copy_from_slice(rest);
    S::store(bent::<S>(S::load(wide.as_ptr()), cap), wide.as_mut_ptr());
    rest.copy_from_slice(&wide[..rest.len()]);
}

/// The hyperbolic tangent: `1 - 2 / (exp(2 x) + 1)`.
#[inline(always)]
pub(super) unsafe fn tanh<S: Simd>(x: S::Floats) -> S::Floats {
    let power = exp2::<S>(S::mul(x, S::splat(2.0 * LOG2_E)));
    let part = S::div(S::splat(-2.0), S::add(power, S::splat(1.0)));
    S::add(part, S::splat(1.0))
}

/// `x / sqrt(mean(x^2) + epsilon) * weight` (Zhang and Sennrich, 2019).
#[inline(always)]
pub(super) unsafe fn normalise<S: Simd>(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let mut squares = S::splat(0.0);
    let vectors = x.chunks_exact(LANES);
    let rest: f32 = vectors.remainder().iter().map(|x| x * x).sum();
    for x in vectors {
        let x = S::load(x.as_ptr());
        squares = S::mul_add(x, x, squares);
    }
    let mean = (S::sum(squares) + rest) / x.len() as f32;
    let scale = 1.0 / (mean + epsilon).sqrt();
    out.copy_from_slice(x);
    zip::<S>(out, weight, &Weighed(scale));
}

/// `a * scale * b`.
struct Weighed(f32);

impl Step for Weighed {
    #[inline(always)]
    unsafe fn of<S: Simd>(&self, x: S::Floats, weight: S::Floats) -> S::Floats {
        S::mul(S::mul(x, S::splat(self.0)), weight)
    }
}

/// Turns pairs `(i, i + half)` of each head by the angles whose cosines and sines are given.
#[inline(always)]
pub(super) fn rotate_halves(heads: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    for head in heads.chunks_exact_mut(2 * half) {
        let (a, b) = head.split_at_mut(half);
        for i in 0..half {
            let (x, y) = (a[i], b[i]);
            a[i] = x * cos[i] - y * sin[i];
            b[i] = x * sin[i] + y * cos[i];
        }
    }
}

/// Turns pairs `(2 i, 2 i + 1)`, as [`rotate_halves`].
#[inline(always)]
pub(super) fn rotate_neighbours(heads: &mut [f32], cos: &[f32], sin: &[f32]) {
    for head in heads.chunks_exact_mut(2 * cos.len()) {
        for ((pair, cos), sin) in head.chunks_exact_mut(2).zip(cos).zip(sin) {
            let (x, y) = (pair[0], pair[1]);
            pair[0] = x * cos - y * sin;
            pair[1] = x * sin + y * cos;
        }
    }
}

/// `-x`.
#[inline(always)]
unsafe fn negative<S: Simd>(x: S::Floats) -> S::Floats {
    S::mul(x, S::splat(-1.0))
}

/// Two to the power of `x`; 2^-126 where `x` is below that, and 2^127 where it is above.
///
/// The whole part goes into the exponent; of the rest, within a half, the Taylor series of
/// `exp(x ln 2)` is within a float's precision after seven terms.
#[inline(always)]
pub(super) unsafe fn exp2<S: Simd>(x: S::Floats) -> S::Floats {
    const TERMS: [f32; 7] = [
        1.540_353e-4,
        1.333_355_8e-3,
        9.618_129e-3,
        5.550_411e-2,
        2.402_265e-1,
        std::f32::consts::LN_2,
        1.0,
    ];
    // The bound comes first: the larger of it and of what is no number is the latter.
    let x = S::max(S::splat(-126.0), x);
    let x = negative::<S>(S::max(S::splat(-126.99), negative::<S>(x)));
    let whole = S::round(x);
    let part = S::add(x, negative::<S>(whole));
    let mut sum = S::splat(TERMS[0]);
    for term in &TERMS[1..] {
        sum = S::mul_add(sum, part, S::splat(*term));
    }
    S::mul(sum, S::power_of_two(whole))
}

/// `x` in half precision.
#[inline(always)]
pub(super) unsafe fn halve<S: Simd>(x: &[f32], out: &mut [u16]) {
    let (mut x, mut out) = (x.chunks_exact(LANES), out.chunks_exact_mut(LANES));
    for (x, out) in (&mut x).zip(&mut out) {
        S::store_f16(S::load(x.as_ptr()), out.as_mut_ptr());
    }
    let (x, out) = (x.remainder(), out.into_remainder());
    if !x.is_empty() {
        let (mut wide, mut halves) = ([0.0; LANES], [0; LANES]);
        wide[..x.len()].copy_from_slice(x);
        S::store_f16(S::load(wide.as_ptr()), halves.as_mut_ptr());
        out.copy_from_slice(&halves[..x.len()]);
    }
}

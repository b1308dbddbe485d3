//! The inner loops of the encoder: softmax, GELU, layer norm, rounding to bytes.
//!
//! Each loop is written once, over lanes of sixteen, and compiled three times: for any CPU, for
//! AVX2 and for AVX-512, chosen at run time. Matrices are row-major slices.

// A loop that is compiled for AVX2 keeps its speed only if everything in it is inlined there.
#![allow(clippy::inline_always)]

use std::f32::consts::LOG2_E;

use crate::cpu::Level;

/// Sums and maxima are kept in this many lanes.
const LANES: usize = 16;

/// How a product and a sum are taken: rounded once where the processor can do that quickly.
trait Arithmetic {
    /// `a * b + c`.
    fn fused(a: f32, b: f32, c: f32) -> f32;
}

struct Plain;

impl Arithmetic for Plain {
    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

#[cfg(target_arch = "x86_64")]
struct Fma;

#[cfg(target_arch = "x86_64")]
impl Arithmetic for Fma {
    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// Compiles a loop for any CPU, for AVX2 and for AVX-512, and calls the one that fits this machine.
macro_rules! vectorised {
    ($(#[$doc:meta])* fn $name:ident<$a:ident>($($arg:ident: $type:ty),*) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        pub(super) fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn any<$a: Arithmetic>($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    any::<Fma>($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    any::<Fma>($($arg),*)
                }
                match Level::best() {
                    // SAFETY: the features were found on this machine.
                    #[allow(unsafe_code, reason = "calls code compiled for detected features")]
                    Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    #[allow(unsafe_code, reason = "calls code compiled for detected features")]
                    Level::Avx2 => return unsafe { avx2($($arg),*) },
                    Level::Portable => {}
                }
            }
            any::<Plain>($($arg),*)
        }
    };
}

vectorised! {
    /// Softmax of rows of `len` values, `stride` apart, in place.
    fn softmax<A>(rows: &mut [f32], stride: usize, len: usize) {
        for row in rows.chunks_mut(stride) {
            let row = &mut row[..len];
            let largest = fold(row, f32::NEG_INFINITY, larger, |x| x);
            for x in row.iter_mut() {
                *x = exp::<A>(*x - largest);
            }
            let scale = 1.0 / fold(row, 0.0, |a, b| a + b, |x| x);
            for x in row.iter_mut() {
                *x *= scale;
            }
        }
    }
}

vectorised! {
    /// Softmax of rows of scores, one a weight and `stride` apart, times `weights`, as bytes: those
    /// of row `r` stand at `r * bytes_stride` and are worth `scales[r]` each. The scores are lost.
    fn softmax_bytes<A>(
        scores: &mut [f32],
        stride: usize,
        weights: &[f32],
        bytes: &mut [u8],
        bytes_stride: usize,
        scales: &mut [f32]
    ) {
        let (blocks, rest) = weights.as_chunks::<LANES>();
        let rows = scores.chunks_mut(stride).zip(bytes.chunks_mut(bytes_stride));
        for ((row, bytes), scale) in rows.zip(scales) {
            let row = &mut row[..weights.len()];
            let largest = fold(row, f32::NEG_INFINITY, larger, |x| x);
            let (mut sums, mut most) = ([0.0; LANES], [0.0; LANES]);
            let (chunks, last) = row.as_chunks_mut::<LANES>();
            for (chunk, weights) in chunks.iter_mut().zip(blocks) {
                for lane in 0..LANES {
                    let share = exp_rough::<A>(chunk[lane] - largest);
                    sums[lane] += share;
                    chunk[lane] = share * weights[lane];
                    most[lane] = larger(most[lane], chunk[lane]);
                }
            }
            for (lane, (x, weight)) in last.iter_mut().zip(rest).enumerate() {
                let share = exp_rough::<A>(*x - largest);
                sums[lane] += share;
                *x = share * weight;
                most[lane] = larger(most[lane], *x);
            }
            let (sum, most) = (join_lanes(sums, |a, b| a + b), join_lanes(most, larger));
            let steps = if most > 0.0 { 255.0 / most } else { 0.0 };
            for (byte, x) in bytes.iter_mut().zip(row.iter()) {
                *byte = rounded(smaller(*x * steps, 255.0));
            }
            *scale = most / (255.0 * sum);
        }
    }
}

vectorised! {
    /// Rows of `width` as bytes, each slice of `slice` values between its smallest and its largest
    /// one, 0 being among them: byte `u` of slice `s` stands for `scales[s] * (u - zeros[s])`, slices
    /// being counted through all rows. Rows of bytes are `stride` apart.
    fn round_rows<A>(
        rows: &[f32],
        width: usize,
        slice: usize,
        bytes: &mut [u8],
        stride: usize,
        scales: &mut [f32],
        zeros: &mut [i32]
    ) {
        let rows = rows.chunks_exact(width).zip(bytes.chunks_exact_mut(stride));
        let slices = rows.flat_map(|(row, bytes)| row.chunks(slice).zip(bytes.chunks_mut(slice)));
        for (((row, bytes), scale), zero) in slices.zip(scales).zip(zeros) {
            let (least, most) = extremes(row);
            let range = most - least;
            let steps = if range > 0.0 { 255.0 / range } else { 0.0 };
            let place = (-least * steps).round();
            for (byte, x) in bytes.iter_mut().zip(row) {
                let value = A::fused(*x, steps, place);
                *byte = rounded(smaller(larger(value, 0.0), 255.0));
            }
            *scale = range / 255.0;
            *zero = place as i32;
        }
    }
}

vectorised! {
    /// Groups of `width` values, one after the other, as signed bytes on both sides of 0: byte `i`
    /// of group `g` stands for `scales[g] * i`. Groups of bytes are `stride` apart.
    fn round_groups<A>(
        values: &[f32],
        width: usize,
        bytes: &mut [i8],
        stride: usize,
        scales: &mut [f32]
    ) {
        let groups = values.chunks_exact(width).zip(bytes.chunks_exact_mut(stride));
        for ((group, bytes), scale) in groups.zip(scales) {
            let most = fold(group, 0.0, larger, f32::abs);
            let steps = if most > 0.0 { 127.0 / most } else { 0.0 };
            for (byte, x) in bytes.iter_mut().zip(group) {
                *byte = rounded(*x * steps) as i8;
            }
            *scale = most / 127.0;
        }
    }
}

vectorised! {
    /// Gaussian error linear unit, the exact one, in place (Hendrycks and Gimpel, 2016).
    fn gelu<A>(values: &mut [f32]) {
        for x in values {
            *x = 0.5 * *x * (1.0 + erf::<A>(*x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

vectorised! {
    /// Gaussian error linear unit within 5e-5, in place.
    fn gelu_rough<A>(values: &mut [f32]) {
        for x in values {
            *x *= normal::<A>(*x);
        }
    }
}

vectorised! {
    /// GELU's approximation through tanh, in place.
    fn gelu_tanh<A>(values: &mut [f32]) {
        for x in values {
            let inner = 0.797_884_6 * (*x + 0.044_715 * *x * *x * *x);
            // tanh(y) = 1 - 2 / (exp(2y) + 1)
            *x = 0.5 * *x * (2.0 - 2.0 / (exp::<A>(2.0 * inner) + 1.0));
        }
    }
}

vectorised! {
    /// Rectified linear unit, in place.
    fn relu<A>(values: &mut [f32]) {
        for x in values {
            *x = larger(*x, 0.0);
        }
    }
}

vectorised! {
    /// Layer norm of each row, in place (Ba, Kiros and Hinton, 2016).
    fn layer_norm<A>(rows: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
        let width = weight.len() as f32;
        for row in rows.chunks_exact_mut(weight.len()) {
            let mean = fold(row, 0.0, |a, b| a + b, |x| x) / width;
            let variance = fold(row, 0.0, |a, b| a + b, |x| (x - mean) * (x - mean)) / width;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for ((x, w), b) in row.iter_mut().zip(weight).zip(bias) {
                *x = A::fused((*x - mean) * scale, *w, *b);
            }
        }
    }
}

/// `join` over `map` of all values, in lanes.
#[inline(always)]
fn fold(
    values: &[f32],
    start: f32,
    join: impl Fn(f32, f32) -> f32,
    map: impl Fn(f32) -> f32,
) -> f32 {
    let mut lanes = [start; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = join(lanes[lane], map(chunk[lane]));
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = join(*lane, map(*x));
    }
    join_lanes(lanes, join)
}

/// The smallest and the largest value, or 0 where there is none beyond it.
#[inline(always)]
fn extremes(values: &[f32]) -> (f32, f32) {
    let (mut least, mut most) = ([0.0; LANES], [0.0; LANES]);
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            least[lane] = smaller(least[lane], chunk[lane]);
            most[lane] = larger(most[lane], chunk[lane]);
        }
    }
    for (lane, x) in rest.iter().enumerate() {
        least[lane] = smaller(least[lane], *x);
        most[lane] = larger(most[lane], *x);
    }
    (join_lanes(least, smaller), join_lanes(most, larger))
}

/// `join` over all lanes.
#[inline(always)]
fn join_lanes(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
    }
    lanes[0]
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Adding this to a small float leaves it rounded in the last bits of the sum: 1.5 * 2^23.
const ROUND: f32 = 12_582_912.0;

/// The low byte of the whole number next to `x`.
#[inline(always)]
fn rounded(x: f32) -> u8 {
    (x + ROUND).to_bits() as u8
}

/// e to the x, within two units in the last place, 0 far below zero.
#[inline(always)]
fn exp<A: Arithmetic>(x: f32) -> f32 {
    // 2^(n + f) with n whole and f in -0.5..=0.5.
    let y = (x * LOG2_E).clamp(-126.0, 126.0);
    let shifted = y + ROUND;
    let whole = shifted - ROUND;
    // x - n ln 2 in two parts, so that nothing is lost where n is large.
    let r = A::fused(whole, -0.693_359_4, x.clamp(-87.336_54, 87.336_54));
    let r = A::fused(whole, 2.121_944_4e-4, r);
    let mut p = 1.987_569_2e-4;
    p = A::fused(p, r, 1.398_2e-3);
    p = A::fused(p, r, 8.333_452e-3);
    p = A::fused(p, r, 4.166_579_6e-2);
    p = A::fused(p, r, 1.666_666_5e-1);
    p = A::fused(p, r, 5e-1);
    let fraction = A::fused(p, r * r, r + 1.0);
    fraction * power(shifted)
}

/// e to the x for x of at most 0, within 1e-4 of it, 0 far below zero.
#[inline(always)]
fn exp_rough<A: Arithmetic>(x: f32) -> f32 {
    let y = larger(x * LOG2_E, -126.0);
    let shifted = y + ROUND;
    let f = y - (shifted - ROUND);
    // 2^f in -0.5..=0.5, its error levelled.
    let mut p = 5.517_153e-2;
    p = A::fused(p, f, 2.426_11e-1);
    p = A::fused(p, f, 6.932_61e-1);
    p = A::fused(p, f, 9.999_281e-1);
    p * power(shifted)
}

/// 2 to the whole number that [`ROUND`] was added to.
#[inline(always)]
fn power(shifted: f32) -> f32 {
    f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// The error function within 1.5e-7 (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
fn erf<A: Arithmetic>(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / A::fused(0.327_591_1, a, 1.0);
    let mut p = 1.061_405_4;
    p = A::fused(p, t, -1.453_152_1);
    p = A::fused(p, t, 1.421_413_8);
    p = A::fused(p, t, -0.284_496_72);
    p = A::fused(p, t, 0.254_829_6);
    let y = 1.0 - p * t * exp::<A>(-a * a);
    y.copysign(x)
}

/// The normal distribution function within 7e-5: an odd polynomial as near to it as one of its
/// degree comes between -4.5 and 4.5.
#[inline(always)]
fn normal<A: Arithmetic>(x: f32) -> f32 {
    let x = smaller(larger(x, -4.5), 4.5);
    let s = x * x;
    let mut p = 3.036_338_2e-11;
    p = A::fused(p, s, -3.314_587_7e-9);
    p = A::fused(p, s, 1.590_97e-7);
    p = A::fused(p, s, -4.451_675e-6);
    p = A::fused(p, s, 8.142_453e-5);
    p = A::fused(p, s, -1.037_587e-3);
    p = A::fused(p, s, 9.585_187e-3);
    p = A::fused(p, s, -6.598_463e-2);
    p = A::fused(p, s, 3.987_125_8e-1);
    smaller(larger(A::fused(p, x, 0.5), 0.0), 1.0)
}

#[cfg(test)]
mod tests;

//! The inner loops of the encoder: matrix products on rows, softmax, GELU, layer norm.
//!
//! Each loop is written once, over lanes of eight, and compiled twice: for any CPU, and for
//! AVX2, chosen at run time. Matrices are row-major slices; products run on the calling thread.

// A loop that is compiled for AVX2 keeps its speed only if everything in it is inlined there.
#![allow(clippy::inline_always)]

use std::f32::consts::LOG2_E;

/// Sums and maxima are kept in this many lanes.
const LANES: usize = 8;

/// A matrix in a slice: element `(row, column)` stands at `row * row_stride + column * column_stride`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `width`, one after the other.
    pub(super) fn rows(data: &'a [f32], width: usize) -> Self {
        Self {
            data,
            row_stride: width,
            column_stride: 1,
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// `out = scale * a b`, or `out += scale * a b` where `add`; `a` is `[m, k]`, `b` is `[k, n]`,
/// and `out` is `[m, n]` with rows `out_stride` apart.
///
/// # Panics
/// Where a slice is too short for its shape.
#[allow(unsafe_code, reason = "the matrix library takes pointers and strides")]
pub(super) fn multiply(
    [m, n, k]: [usize; 3],
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
    out: &mut [f32],
    out_stride: usize,
    add: bool,
) {
    assert!(
        a.holds(m, k) && b.holds(k, n),
        "an operand is too short for {m} x {k} x {n}"
    );
    assert!(
        n <= out_stride && (m == 0 || (m - 1) * out_stride + n <= out.len()),
        "the result is too short for {m} x {n}"
    );
    // SAFETY: the assertions above keep every element that the strides reach inside its slice, and
    // `out` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Compiles a loop for any CPU and for AVX2, and calls the one that fits this machine.
macro_rules! vectorised {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $body:block) => {
        $(#[$doc])*
        pub(super) fn $name($($arg: $type),*) {
            #[inline(always)]
            fn portable($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) {
                    portable($($arg),*);
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the feature was just found on this machine.
                    #[allow(unsafe_code, reason = "calls code compiled for a detected feature")]
                    return unsafe { avx2($($arg),*) };
                }
            }
            portable($($arg),*);
        }
    };
}

vectorised! {
    /// Softmax of each row of `width`, in place.
    fn softmax(rows: &mut [f32], width: usize) {
        for row in rows.chunks_exact_mut(width) {
            let largest = fold(row, f32::NEG_INFINITY, larger, |x| x);
            for x in row.iter_mut() {
                *x = exp(*x - largest);
            }
            let sum = fold(row, 0.0, |a, b| a + b, |x| x);
            let scale = 1.0 / sum;
            for x in row.iter_mut() {
                *x *= scale;
            }
        }
    }
}

vectorised! {
    /// Gaussian error linear unit, the exact one, in place (Hendrycks and Gimpel, 2016).
    fn gelu(values: &mut [f32]) {
        for x in values {
            *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

vectorised! {
    /// GELU's approximation through tanh, in place.
    fn gelu_tanh(values: &mut [f32]) {
        for x in values {
            let inner = 0.797_884_6 * (*x + 0.044_715 * *x * *x * *x);
            // tanh(y) = 1 - 2 / (exp(2y) + 1)
            *x = 0.5 * *x * (2.0 - 2.0 / (exp(2.0 * inner) + 1.0));
        }
    }
}

vectorised! {
    /// Rectified linear unit, in place.
    fn relu(values: &mut [f32]) {
        for x in values {
            *x = larger(*x, 0.0);
        }
    }
}

vectorised! {
    /// Layer norm of each row, in place (Ba, Kiros and Hinton, 2016).
    fn layer_norm(rows: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
        let width = weight.len() as f32;
        for row in rows.chunks_exact_mut(weight.len()) {
            let mean = fold(row, 0.0, |a, b| a + b, |x| x) / width;
            let variance = fold(row, 0.0, |a, b| a + b, |x| (x - mean) * (x - mean)) / width;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for ((x, w), b) in row.iter_mut().zip(weight).zip(bias) {
                *x = (*x - mean) * scale * w + b;
            }
        }
    }
}

vectorised! {
    /// Adds `bias` to each row.
    fn add_bias(rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                *x += b;
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
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, map(*x));
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = join(*lane, map(*x));
    }
    lanes.into_iter().fold(start, join)
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// e to the x, within two units in the last place, 0 far below zero.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // 2^(n + f) with n whole and f in -0.5..=0.5; adding and taking away 1.5 * 2^23 rounds.
    const ROUND: f32 = 12_582_912.0;
    let y = (x * LOG2_E).clamp(-126.0, 126.0);
    let shifted = y + ROUND;
    let whole = shifted - ROUND;
    // x - n ln 2 in two parts, so that nothing is lost where n is large.
    let r = x.clamp(-87.336_54, 87.336_54) - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let mut p = 1.987_569_2e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    let fraction = p * r * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    fraction * power
}

/// The error function within 1.5e-7 (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152_1;
    p = p * t + 1.421_413_8;
    p = p * t - 0.284_496_72;
    p = p * t + 0.254_829_6;
    let y = 1.0 - p * t * exp(-a * a);
    y.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> impl Iterator<Item = f32> {
        (-4000..4000).map(|i| i as f32 * 0.005)
    }

    #[test]
    fn exp_and_erf_are_close_to_the_real_ones() {
        for x in values() {
            let real = f64::from(x).exp();
            assert!((f64::from(exp(x)) - real).abs() <= 3e-7 * real, "exp({x})");
        }
        assert!(exp(-1000.0) < 1e-37 && exp(0.0) == 1.0);
        // Values of the error function from tables.
        for (x, real) in [
            (0.0, 0.0),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (2.0, 0.995_322_3),
        ] {
            assert!((erf(x) - real).abs() < 3e-7, "erf({x}) is {}", erf(x));
            assert!((erf(-x) + real).abs() < 3e-7, "erf(-{x})");
        }
    }

    #[test]
    fn rows_of_any_width_are_normalised() {
        for width in 1..70 {
            let row: Vec<f32> = (0..width).map(|i| (i * 7 % 11) as f32 - 4.0).collect();
            let mut soft = row.clone();
            softmax(&mut soft, width);
            let sum: f32 = soft.iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "width {width}: {sum}");
            let plain: f32 = row.iter().map(|x| (x - row[0]).exp()).sum();
            assert!((soft[0] - 1.0 / plain).abs() < 1e-6);

            let mut normed = row.clone();
            layer_norm(&mut normed, &vec![1.0; width], &vec![0.5; width], 1e-12);
            let mean = normed.iter().sum::<f32>() / width as f32;
            assert!((mean - 0.5).abs() < 1e-4, "width {width}: {mean}");
        }
    }

    #[test]
    fn products_of_any_shape_equal_the_plain_sum() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 7), (17, 33, 65), (40, 8, 31)] {
            let a: Vec<f32> = (0..m * k).map(|i| (i % 13) as f32 - 6.0).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i % 7) as f32 - 3.0).collect();
            let mut out = vec![1.0; m * n];
            multiply(
                [m, n, k],
                Matrix::rows(&a, k),
                Matrix::rows(&b, n),
                0.5,
                &mut out,
                n,
                true,
            );
            for row in 0..m {
                for column in 0..n {
                    let sum: f32 = (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
                    assert_eq!(out[row * n + column], 1.0 + 0.5 * sum);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "too short")]
    fn a_slice_that_is_too_short_is_refused() {
        let mut out = vec![0.0; 3];
        multiply(
            [2, 2, 1],
            Matrix::rows(&[1.0; 2], 1),
            Matrix::rows(&[1.0; 2], 2),
            1.0,
            &mut out,
            2,
            false,
        );
    }
}

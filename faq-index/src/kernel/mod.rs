//! Arithmetic on vectors: products of floats, and products of the 8-bit codes that stand for them.
//!
//! One set of kernels is chosen at run time from what the processor can do; all sets agree
//! (floats within rounding, codes exactly), and tests hold them to it. Nothing else in the crate
//! does arithmetic on vectors.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

/// Codes of a row come in blocks of this many; see [`crate::codes`].
pub(crate) const BLOCK: usize = 64;

/// The kernels of one instruction set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernels {
    /// What they are made for, in the words of its vendor.
    pub(crate) name: &'static str,
    /// Dot product of two slices of equal length; of the shorter one's length where they differ.
    /// It is the cosine of L2-normalised vectors.
    pub(crate) dot: fn(&[f32], &[f32]) -> f32,
    /// Products of one query with consecutive rows of codes, not corrected for their offset:
    /// `out[r] = sum over i of codes[r * query.len() + i] * query[i]`.
    /// The query's length is a multiple of [`BLOCK`].
    pub(crate) dot_codes: fn(codes: &[u8], query: &[i8], out: &mut [i32]),
    /// Product of two rows of codes: `sum over i of (a[i] - 128) * (b[i] - 128)`. Their length is a
    /// multiple of [`BLOCK`].
    pub(crate) dot_rows: fn(&[u8], &[u8]) -> i32,
    /// Products of one row with some of many.
    pub(crate) dot_points: DotPoints,
}

/// Products as of `dot_rows` of one row with some of many, which lie anywhere: `out[i]` is that
/// with row `points[i]` of `codes`.
pub(crate) type DotPoints = fn(codes: &[u8], row: &[u8], points: &[u32], out: &mut [i32]);

/// The fastest kernels that this processor has.
pub(crate) fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| supported().next_back().unwrap_or(PORTABLE))
}

/// All kernels that this processor can run, the fastest last.
fn supported() -> impl DoubleEndedIterator<Item = Kernels> {
    #[cfg(target_arch = "x86_64")]
    let special = [x86::avx2(), x86::avx512_vnni()];
    #[cfg(not(target_arch = "x86_64"))]
    let special = [None; 2];
    std::iter::once(PORTABLE).chain(special.into_iter().flatten())
}

/// Asks for bytes that are about to be read.
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(bytes);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

const PORTABLE: Kernels = Kernels {
    name: "portable",
    dot,
    dot_codes,
    dot_rows,
    dot_points,
};

/// Eight sums side by side, so that a compiler may use whatever vectors the target has, and so
/// that the rounding is near that of the wide kernels.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let mut sums = [0.0_f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a8.zip(b8) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn dot_codes(codes: &[u8], query: &[i8], out: &mut [i32]) {
    check_blocks(codes, query.len(), out.len());
    if query.is_empty() {
        return out.fill(0);
    }
    for (row, out) in codes.chunks_exact(query.len()).zip(out) {
        let products = row
            .iter()
            .zip(query)
            .map(|(c, q)| i32::from(*c) * i32::from(*q));
        *out = products.sum();
    }
}

fn dot_rows(a: &[u8], b: &[u8]) -> i32 {
    let centred = |code: u8| i32::from(code) - 128;
    a.iter()
        .zip(b)
        .map(|(a, b)| centred(*a) * centred(*b))
        .sum()
}

fn dot_points(codes: &[u8], row: &[u8], points: &[u32], out: &mut [i32]) {
    check_points(codes, row.len(), points, out.len());
    for (&point, out) in points.iter().zip(out) {
        let at = point as usize * row.len();
        *out = dot_rows(&codes[at..at + row.len()], row);
    }
}

/// What the wide kernels rely on.
fn check_points(codes: &[u8], width: usize, points: &[u32], out: usize) {
    assert!(width.is_multiple_of(BLOCK), "a row of {width} codes");
    assert_eq!(points.len(), out, "a product for each point");
    let rows = codes.len() / width.max(1);
    let within = points.iter().all(|point| (*point as usize) < rows);
    assert!(within, "a point beyond the {rows} rows");
}

/// What the wide kernels rely on.
fn check_blocks(codes: &[u8], width: usize, rows: usize) {
    assert!(width.is_multiple_of(BLOCK), "a row of {width} codes");
    assert_eq!(codes.len(), rows * width, "codes of {rows} rows");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn products_of_floats_agree_with_plain_arithmetic(
            pairs in proptest::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 0..800)
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            for kernels in supported() {
                let got = f64::from((kernels.dot)(&a, &b));
                prop_assert!((got - exact).abs() < 1e-4, "{}: {got} is not {exact}", kernels.name);
            }
        }

        #[test]
        fn products_of_codes_are_the_same_on_every_instruction_set(
            blocks in 1_usize..10, rows in 0_usize..11, seed in any::<u64>()
        ) {
            let width = blocks * BLOCK;
            let mut state = seed | 1;
            let mut byte = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // The extremes come often: they are where sums would saturate.
                match state >> 60 {
                    0..4 => 0,
                    4..8 => 255,
                    _ => (state >> 40) as u8,
                }
            };
            let codes: Vec<u8> = (0..width * rows).map(|_| byte()).collect();
            let query: Vec<i8> = (0..width).map(|_| byte() as i8).collect();
            let exact: Vec<i64> = codes
                .chunks_exact(width)
                .map(|row| row.iter().zip(&query).map(|(c, q)| i64::from(*c) * i64::from(*q)).sum())
                .collect();
            for kernels in supported() {
                let mut got = vec![7; rows];
                (kernels.dot_codes)(&codes, &query, &mut got);
                let got: Vec<i64> = got.into_iter().map(i64::from).collect();
                prop_assert_eq!(&got, &exact, "{}", kernels.name);
                for pair in codes.chunks_exact(width * 2) {
                    let (a, b) = pair.split_at(width);
                    prop_assert_eq!((kernels.dot_rows)(a, b), dot_rows(a, b), "{}", kernels.name);
                }
                if rows > 0 {
                    let points: Vec<u32> = (0..rows as u32).rev().chain([0, 0]).collect();
                    let row = &codes[..width];
                    let (mut got, mut plain) = (vec![7; points.len()], vec![8; points.len()]);
                    (kernels.dot_points)(&codes, row, &points, &mut got);
                    dot_points(&codes, row, &points, &mut plain);
                    prop_assert_eq!(got, plain, "{}", kernels.name);
                }
            }
        }
    }

    #[test]
    fn unequal_lengths_are_cut_to_the_shorter() {
        let long = [1.0_f32; 37];
        for kernels in supported() {
            assert_eq!((kernels.dot)(&long, &long[..33]), 33.0);
            assert_eq!((kernels.dot)(&long[..33], &long), 33.0);
        }
    }

    #[test]
    #[should_panic(expected = "beyond the 2 rows")]
    fn points_that_are_not_there_are_refused() {
        (kernels().dot_points)(&[0; BLOCK * 2], &[0; BLOCK], &[2], &mut [0]);
    }

    #[test]
    #[should_panic(expected = "codes of 3 rows")]
    fn codes_that_do_not_fill_their_rows_are_refused() {
        (kernels().dot_codes)(&[0; BLOCK * 2], &[0; BLOCK], &mut [0; 3]);
    }
}

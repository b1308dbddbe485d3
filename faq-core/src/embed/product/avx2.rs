//! Products for AVX2, those of floats with FMA.
//!
//! A tile is six rows of floats or two of bytes, and one panel.

#![allow(unsafe_code, reason = "vector instructions on raw pointers")]
#![allow(
    clippy::wildcard_imports,
    reason = "all of them are vector instructions"
)]

use std::arch::x86_64::*;

use super::super::panels::{BLOCK, LANES};
use super::{Bytes, Floats, Kernels, Out, four};

/// For processors of the level of this name alone.
pub(super) const KERNELS: Kernels = Kernels { floats, bytes };

fn floats(rows: usize, job: &Floats<'_>, out: &mut Out<'_>) {
    job.check(rows, out);
    // SAFETY: `Level` found AVX2 and FMA; `check` found every slice as long as `rows` rows need,
    // and tiles are handed only rows below `rows` and panels of the matrix.
    unsafe { all_floats(rows, job, out) }
}

fn bytes(rows: usize, job: &Bytes<'_>, out: &mut Out<'_>) {
    job.check(rows, out);
    // SAFETY: as in `floats`.
    unsafe { all_bytes(rows, job, out) }
}

/// # Safety
/// As [`floats_tile`], for all rows below `rows`.
#[target_feature(enable = "avx2,fma")]
unsafe fn all_floats(rows: usize, job: &Floats<'_>, out: &mut Out<'_>) {
    for panel in 0..job.matrix.panels() {
        let mut row = 0;
        while row < rows {
            // SAFETY: the caller's.
            unsafe {
                match rows - row {
                    1 => floats_tile::<1>(job, out, row, panel),
                    2 => floats_tile::<2>(job, out, row, panel),
                    3 => floats_tile::<3>(job, out, row, panel),
                    4 => floats_tile::<4>(job, out, row, panel),
                    5 => floats_tile::<5>(job, out, row, panel),
                    _ => floats_tile::<6>(job, out, row, panel),
                }
            }
            row += 6;
        }
    }
}

/// # Safety
/// As [`bytes_tile`], for all rows below `rows`.
#[target_feature(enable = "avx2,fma")]
unsafe fn all_bytes(rows: usize, job: &Bytes<'_>, out: &mut Out<'_>) {
    for panel in 0..job.matrix.panels() {
        let mut row = 0;
        while row < rows {
            // SAFETY: the caller's.
            unsafe {
                match rows - row {
                    1 => bytes_tile::<1>(job, out, row, panel),
                    _ => bytes_tile::<2>(job, out, row, panel),
                }
            }
            row += 2;
        }
    }
}

/// The product of rows `row..row + M` with one panel.
///
/// # Safety
/// `job` was checked for more than `row + M - 1` rows, and `panel` is one of the matrix.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn floats_tile<const M: usize>(
    job: &Floats<'_>,
    out: &mut Out<'_>,
    row: usize,
    panel: usize,
) {
    let column = panel * LANES;
    let width = job.matrix.width(panel / BLOCK);
    let mut sums = [[_mm256_setzero_ps(); 2]; M];
    // SAFETY: a block has `width` lines of 16 floats for each step. A row has a float for each
    // step, and the bias is empty or has a float for each lane.
    unsafe {
        if !job.bias.is_empty() {
            for half in 0..2 {
                let bias = _mm256_loadu_ps(job.bias.as_ptr().add(column + half * 8));
                for sum in &mut sums {
                    sum[half] = bias;
                }
            }
        }
        let lines = job.matrix.block(panel / BLOCK).as_ptr().add(panel % BLOCK);
        let first = job.rows.as_ptr().add(row * job.stride);
        for step in 0..job.matrix.steps() {
            let line = lines.add(step * width).cast::<f32>();
            let (low, high) = (_mm256_load_ps(line), _mm256_load_ps(line.add(8)));
            for (m, sum) in sums.iter_mut().enumerate() {
                let x = _mm256_set1_ps(*first.add(m * job.stride + step));
                sum[0] = _mm256_fmadd_ps(x, low, sum[0]);
                sum[1] = _mm256_fmadd_ps(x, high, sum[1]);
            }
        }
        for (m, sum) in sums.iter().enumerate() {
            let mut lanes = [0.0f32; LANES];
            _mm256_storeu_ps(lanes.as_mut_ptr(), sum[0]);
            _mm256_storeu_ps(lanes.as_mut_ptr().add(8), sum[1]);
            out.write(job.matrix, row + m, panel, &lanes);
        }
    }
}

/// The product of rows `row..row + M` with one panel.
///
/// # Safety
/// `job` was checked for more than `row + M - 1` rows, and `panel` is one of the matrix.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn bytes_tile<const M: usize>(job: &Bytes<'_>, out: &mut Out<'_>, row: usize, panel: usize) {
    let width = job.matrix.width(panel / BLOCK);
    // Two sums for each of four columns in a vector, four vectors for a panel.
    let mut sums = [[_mm256_setzero_si256(); 4]; M];
    // SAFETY: a block has `width` lines of 64 bytes for each step, a row has four bytes for each.
    unsafe {
        let lines = job.matrix.block(panel / BLOCK).as_ptr().add(panel % BLOCK);
        let first = job.rows.as_ptr().add(row * job.stride);
        for step in 0..job.matrix.steps() {
            let line = lines.add(step * width).cast::<__m128i>();
            // Products of bytes are summed as words, which are wide enough for any of them.
            let mut xs = [_mm256_setzero_si256(); M];
            for (m, x) in xs.iter_mut().enumerate() {
                let bytes = four(first.add(m * job.stride + step * 4));
                *x = _mm256_cvtepu8_epi16(_mm_set1_epi32(bytes));
            }
            for n in 0..4 {
                let weights = _mm256_cvtepi8_epi16(_mm_load_si128(line.add(n)));
                for (x, sum) in xs.iter().zip(&mut sums) {
                    sum[n] = _mm256_add_epi32(sum[n], _mm256_madd_epi16(*x, weights));
                }
            }
        }
    }
    for (m, sum) in sums.iter().enumerate() {
        let mut pairs = [0i32; 2 * LANES];
        for (n, four) in sum.iter().enumerate() {
            // SAFETY: vector `n` of four fills eight of the 32 values.
            unsafe { _mm256_storeu_si256(pairs.as_mut_ptr().add(n * 8).cast(), *four) };
        }
        let mut whole = [0i32; LANES];
        for (sum, pair) in whole.iter_mut().zip(pairs.chunks_exact(2)) {
            *sum = pair[0] + pair[1];
        }
        out.write(
            job.matrix,
            row + m,
            panel,
            &job.values(row + m, panel, &whole),
        );
    }
}

//! Products for AVX-512, those of bytes with VNNI.
//!
//! A tile of up to six rows and four panels stays in registers over the whole depth: 24 sums, four
//! vectors of the matrix, one value of a row.

#![allow(unsafe_code, reason = "vector instructions on raw pointers")]
#![allow(
    clippy::wildcard_imports,
    reason = "all of them are vector instructions"
)]

use std::arch::x86_64::*;

use super::super::panels::LANES;
use super::{Bytes, Floats, Kernels, Out, four};

/// Most rows of a tile.
const ROWS: usize = 6;

/// For processors of the level of this name alone.
pub(super) const KERNELS: Kernels = Kernels { floats, bytes };

/// Runs a block for every number below a constant of at most [`ROWS`], written out, since sums that
/// are indexed in a loop would live in memory instead of registers.
macro_rules! each {
    ($i:ident < $n:ident, $body:block) => {{
        each!(@ $i, $n, $body, 0);
        each!(@ $i, $n, $body, 1);
        each!(@ $i, $n, $body, 2);
        each!(@ $i, $n, $body, 3);
        each!(@ $i, $n, $body, 4);
        each!(@ $i, $n, $body, 5);
    }};
    (@ $i:ident, $n:ident, $body:block, $number:literal) => {
        if $number < $n {
            let $i = $number;
            $body
        }
    };
}

/// Calls `$tile::<rows, panels>` for all tiles of `$rows` rows and the matrix's blocks.
macro_rules! tiles {
    ($tile:ident, $rows:expr, $job:expr, $out:expr) => {{
        macro_rules! of_width {
            ($panels:literal, $block:expr) => {{
                let mut row = 0;
                while row < $rows {
                    match $rows - row {
                        1 => $tile::<1, $panels>($job, $out, row, $block),
                        2 => $tile::<2, $panels>($job, $out, row, $block),
                        3 => $tile::<3, $panels>($job, $out, row, $block),
                        4 => $tile::<4, $panels>($job, $out, row, $block),
                        5 => $tile::<5, $panels>($job, $out, row, $block),
                        _ => $tile::<ROWS, $panels>($job, $out, row, $block),
                    }
                    row += ROWS;
                }
            }};
        }
        for block in 0..$job.matrix.blocks() {
            match $job.matrix.width(block) {
                1 => of_width!(1, block),
                2 => of_width!(2, block),
                3 => of_width!(3, block),
                _ => of_width!(4, block),
            }
        }
    }};
}

fn floats(rows: usize, job: &Floats<'_>, out: &mut Out<'_>) {
    job.check(rows, out);
    // SAFETY: `Level` found AVX-512F; `check` found every slice as long as `rows` rows need, and
    // tiles are handed only rows below `rows` and blocks of the matrix with their own width.
    unsafe { all_floats(rows, job, out) }
}

fn bytes(rows: usize, job: &Bytes<'_>, out: &mut Out<'_>) {
    job.check(rows, out);
    // SAFETY: `Level` found AVX-512F and VNNI; the rest as in `floats`.
    unsafe { all_bytes(rows, job, out) }
}

/// # Safety
/// As [`floats_tile`], for all rows below `rows`.
#[target_feature(enable = "avx512f")]
unsafe fn all_floats(rows: usize, job: &Floats<'_>, out: &mut Out<'_>) {
    // SAFETY: the caller's.
    unsafe { tiles!(floats_tile, rows, job, out) }
}

/// # Safety
/// As [`bytes_tile`], for all rows below `rows`.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn all_bytes(rows: usize, job: &Bytes<'_>, out: &mut Out<'_>) {
    // SAFETY: the caller's.
    unsafe { tiles!(bytes_tile, rows, job, out) }
}

/// The product of rows `row..row + M` with the panels of `block`.
///
/// # Safety
/// `job` was checked for more than `row + M - 1` rows, and `block` has `N` panels.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn floats_tile<const M: usize, const N: usize>(
    job: &Floats<'_>,
    out: &mut Out<'_>,
    row: usize,
    block: usize,
) {
    let column = block * super::super::panels::BLOCK * LANES;
    let mut sums = [[_mm512_setzero_ps(); N]; M];
    let columns = job.matrix.columns();
    // SAFETY: a block has `N` lines for each step. A row has a float for each step, and the bias is
    // empty or has a float for each lane.
    unsafe {
        if !job.bias.is_empty() {
            each!(n < N, {
                let bias = _mm512_loadu_ps(job.bias.as_ptr().add(column + n * LANES));
                each!(m < M, { sums[m][n] = bias });
            });
        }
        let mut line = job.matrix.block(block).as_ptr().cast::<f32>();
        let first = job.rows.as_ptr().add(row * job.stride);
        for step in 0..job.matrix.steps() {
            let mut weights = [_mm512_setzero_ps(); N];
            each!(n < N, { weights[n] = _mm512_load_ps(line.add(n * LANES)) });
            each!(m < M, {
                let x = _mm512_set1_ps(*first.add(m * job.stride + step));
                each!(n < N, {
                    sums[m][n] = _mm512_fmadd_ps(x, weights[n], sums[m][n]);
                });
            });
            line = line.add(N * LANES);
        }
        each!(m < M, {
            each!(n < N, {
                write(out, columns, row + m, column + n * LANES, sums[m][n]);
            });
        });
    }
}

/// The product of rows `row..row + M` with the panels of `block`.
///
/// # Safety
/// `job` was checked for more than `row + M - 1` rows, and `block` has `N` panels.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
unsafe fn bytes_tile<const M: usize, const N: usize>(
    job: &Bytes<'_>,
    out: &mut Out<'_>,
    row: usize,
    block: usize,
) {
    let column = block * super::super::panels::BLOCK * LANES;
    let mut sums = [[_mm512_setzero_si512(); N]; M];
    let columns = job.matrix.columns();
    // SAFETY: a block has `N` lines for each step. A row has four bytes for each step, a scale and
    // a zero; scales, sums and biases of columns have one value for each lane.
    unsafe {
        // What the zeros of the rows add to every sum is taken away at the start.
        each!(n < N, {
            let bytes = _mm512_loadu_si512(job.sums.as_ptr().add(column + n * LANES).cast());
            each!(m < M, {
                let zero = _mm512_set1_epi32(-*job.zeros.get_unchecked((row + m) * job.every));
                sums[m][n] = _mm512_mullo_epi32(zero, bytes);
            });
        });
        let mut line = job.matrix.block(block).as_ptr().cast::<i32>();
        let first = job.rows.as_ptr().add(row * job.stride);
        for step in 0..job.matrix.steps() {
            let mut weights = [_mm512_setzero_si512(); N];
            each!(n < N, {
                weights[n] = _mm512_load_si512(line.add(n * LANES).cast());
            });
            each!(m < M, {
                let x = _mm512_set1_epi32(four(first.add(m * job.stride + step * 4)));
                each!(n < N, {
                    sums[m][n] = _mm512_dpbusd_epi32(sums[m][n], x, weights[n]);
                });
            });
            line = line.add(N * LANES);
        }
        each!(n < N, {
            let at = column + n * LANES;
            let scales = _mm512_loadu_ps(job.column_scales.as_ptr().add(at));
            let bias = if job.bias.is_empty() {
                _mm512_setzero_ps()
            } else {
                _mm512_loadu_ps(job.bias.as_ptr().add(at))
            };
            each!(m < M, {
                let scale = _mm512_set1_ps(*job.scales.get_unchecked((row + m) * job.every));
                let sum = _mm512_cvtepi32_ps(sums[m][n]);
                let lanes = _mm512_fmadd_ps(sum, _mm512_mul_ps(scale, scales), bias);
                write(out, columns, row + m, at, lanes);
            });
        });
    }
}

/// Writes the lanes that are columns.
///
/// # Safety
/// `out` was checked for more than `row` rows of `columns` columns, and `column` is one of them.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn write(out: &mut Out<'_>, columns: usize, row: usize, column: usize, lanes: __m512) {
    let count = (columns - column).min(LANES);
    let mask = (u32::MAX >> (32 - count)) as __mmask16;
    // SAFETY: the mask keeps to columns of this row.
    unsafe {
        let at = out.values.as_mut_ptr().add(row * out.stride + column);
        let lanes = if out.add {
            _mm512_add_ps(lanes, _mm512_maskz_loadu_ps(mask, at))
        } else {
            lanes
        };
        _mm512_mask_storeu_ps(at, mask, lanes);
    }
}

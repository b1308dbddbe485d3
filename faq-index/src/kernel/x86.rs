//! Kernels for x86-64 with AVX2, and with AVX-512 and its 8-bit dot products (VNNI).
//!
//! Each function that needs more than the baseline is reached through the tables of [`avx2`] and
//! [`avx512_vnni`] alone, which hand them out where the processor has what they need.
#![allow(
    clippy::cast_ptr_alignment,
    reason = "all loads are `loadu`, which needs no alignment"
)]

use std::arch::x86_64::{
    __m256i, __m512i, _MM_HINT_T0, _mm_add_epi32, _mm_add_ps, _mm_add_ss, _mm_cvtsi128_si32,
    _mm_cvtss_f32, _mm_loadu_si128, _mm_movehl_ps, _mm_prefetch, _mm_shuffle_epi32, _mm_shuffle_ps,
    _mm256_add_epi32, _mm256_add_ps, _mm256_castps256_ps128, _mm256_castsi256_si128,
    _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16, _mm256_extractf128_ps, _mm256_extracti128_si256,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_madd_epi16, _mm256_set1_epi16, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_sub_epi16, _mm512_dpbusd_epi32, _mm512_loadu_si512,
    _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_xor_si512,
};

use super::{BLOCK, Kernels, check_blocks, check_points};

/// Rows that are multiplied side by side, so that a query's block is loaded once for all of them.
const ROWS: usize = 4;

/// The kernels for AVX2 and FMA, where the processor has both.
pub(super) fn avx2() -> Option<Kernels> {
    let has =
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    has.then_some(Kernels {
        name: "AVX2",
        dot: dot_avx2,
        dot_codes: dot_codes_avx2,
        dot_rows: dot_rows_avx2,
        dot_points: dot_points_avx2,
    })
}

/// The kernels for AVX-512 VNNI, where the processor has it.
pub(super) fn avx512_vnni() -> Option<Kernels> {
    let has = std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512vnni");
    let with_avx2 = avx2()?;
    has.then_some(Kernels {
        name: "AVX-512 VNNI",
        dot_codes: dot_codes_vnni,
        dot_rows: dot_rows_vnni,
        dot_points: dot_points_vnni,
        ..with_avx2
    })
}

/// Asks for bytes that are about to be read, a cache line at a time.
#[allow(unsafe_code, reason = "a hint to the processor's caches")]
pub(super) fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(64) {
        // SAFETY: the instruction is part of the x86-64 baseline and faults on no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

#[allow(unsafe_code, reason = "calls a kernel for features that were detected")]
fn dot_avx2(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: only `avx2` hands this function out, and it found both features.
    unsafe { floats_avx2(a, b) }
}

#[allow(unsafe_code, reason = "calls a kernel for features that were detected")]
fn dot_codes_avx2(codes: &[u8], query: &[i8], out: &mut [i32]) {
    check_blocks(codes, query.len(), out.len());
    // SAFETY: only `avx2` hands this function out; the sizes were checked.
    unsafe { codes_avx2(codes, query, out) }
}

#[allow(unsafe_code, reason = "calls a kernel for features that were detected")]
fn dot_rows_avx2(a: &[u8], b: &[u8]) -> i32 {
    check_blocks(a, b.len(), 1);
    // SAFETY: only `avx2` hands this function out; the sizes were checked.
    unsafe { rows_avx2(a, b) }
}

#[allow(unsafe_code, reason = "calls a kernel for features that were detected")]
fn dot_codes_vnni(codes: &[u8], query: &[i8], out: &mut [i32]) {
    check_blocks(codes, query.len(), out.len());
    // SAFETY: only `avx512_vnni` hands this function out; the sizes were checked.
    unsafe { codes_vnni(codes, query, out) }
}

#[allow(unsafe_code, reason = "calls a kernel for features that were detected")]
fn dot_rows_vnni(a: &[u8], b: &[u8]) -> i32 {
    check_blocks(a, b.len(), 1);
    // SAFETY: only `avx512_vnni` hands this function out; the sizes were checked.
    unsafe { rows_vnni(a, b) }
}

#[allow(unsafe_code, reason = "calls a kernel for features that were detected")]
fn dot_points_avx2(codes: &[u8], row: &[u8], points: &[u32], out: &mut [i32]) {
    check_points(codes, row.len(), points, out.len());
    for (&point, out) in points.iter().zip(out) {
        let at = point as usize * row.len();
        // SAFETY: only `avx2` hands this function out; both rows have the same length, which is a
        // multiple of 64.
        *out = unsafe { rows_avx2(&codes[at..at + row.len()], row) };
    }
}

#[allow(unsafe_code, reason = "calls a kernel for features that were detected")]
fn dot_points_vnni(codes: &[u8], row: &[u8], points: &[u32], out: &mut [i32]) {
    check_points(codes, row.len(), points, out.len());
    // SAFETY: only `avx512_vnni` hands this function out; the sizes and points were checked.
    unsafe { points_vnni(codes, row, points, out) }
}

#[allow(unsafe_code, reason = "vector loads through raw pointers")]
#[target_feature(enable = "avx2,fma")]
unsafe fn floats_avx2(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let (pa, pb) = (a.as_ptr(), b.as_ptr());
    let mut sums = [_mm256_setzero_ps(); 4];
    let mut at = 0;
    // SAFETY: every load reads eight floats from `at + offset`, and the loops' conditions keep
    // `at + offset + 8 <= len`, which is within both slices; `loadu` needs no alignment.
    unsafe {
        while at + 32 <= len {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let x = _mm256_loadu_ps(pa.add(at + lane * 8));
                let y = _mm256_loadu_ps(pb.add(at + lane * 8));
                *sum = _mm256_fmadd_ps(x, y, *sum);
            }
            at += 32;
        }
        while at + 8 <= len {
            let x = _mm256_loadu_ps(pa.add(at));
            let y = _mm256_loadu_ps(pb.add(at));
            sums[0] = _mm256_fmadd_ps(x, y, sums[0]);
            at += 8;
        }
    }
    let all = _mm256_add_ps(
        _mm256_add_ps(sums[0], sums[1]),
        _mm256_add_ps(sums[2], sums[3]),
    );
    let four = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    let one = _mm_add_ss(two, _mm_shuffle_ps::<1>(two, two));
    let rest: f32 = a[at..len].iter().zip(&b[at..len]).map(|(x, y)| x * y).sum();
    _mm_cvtss_f32(one) + rest
}

/// Sum of the eight lanes.
#[target_feature(enable = "avx2")]
fn sum_avx2(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(
        _mm256_castsi256_si128(sums),
        _mm256_extracti128_si256::<1>(sums),
    );
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
    let one = _mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two));
    _mm_cvtsi128_si32(one)
}

/// Widened to 16 bits, in which no product of two codes and no sum of two such can overflow the
/// 32 bits of `madd`; the 8-bit `maddubs` would saturate.
#[allow(unsafe_code, reason = "vector loads through raw pointers")]
#[target_feature(enable = "avx2")]
unsafe fn codes_avx2(codes: &[u8], query: &[i8], out: &mut [i32]) {
    let width = query.len();
    for (row, out) in out.iter_mut().enumerate() {
        let mut sums = [_mm256_setzero_si256(); 2];
        for at in (0..width).step_by(16) {
            // SAFETY: `width` is a multiple of 16 and `codes` holds `out.len()` rows of it, so
            // sixteen bytes from `at` are within the row and within the query.
            let (x, y) = unsafe {
                (
                    _mm_loadu_si128(codes.as_ptr().add(row * width + at).cast()),
                    _mm_loadu_si128(query.as_ptr().add(at).cast()),
                )
            };
            let products = _mm256_madd_epi16(_mm256_cvtepu8_epi16(x), _mm256_cvtepi8_epi16(y));
            let lane = at / 16 % 2;
            sums[lane] = _mm256_add_epi32(sums[lane], products);
        }
        *out = sum_avx2(_mm256_add_epi32(sums[0], sums[1]));
    }
}

#[allow(unsafe_code, reason = "vector loads through raw pointers")]
#[target_feature(enable = "avx2")]
unsafe fn rows_avx2(a: &[u8], b: &[u8]) -> i32 {
    let centre = _mm256_set1_epi16(128);
    let mut sums = [_mm256_setzero_si256(); 2];
    for at in (0..a.len()).step_by(16) {
        // SAFETY: both slices have the same length, a multiple of 16.
        let (x, y) = unsafe {
            (
                _mm_loadu_si128(a.as_ptr().add(at).cast()),
                _mm_loadu_si128(b.as_ptr().add(at).cast()),
            )
        };
        let x = _mm256_sub_epi16(_mm256_cvtepu8_epi16(x), centre);
        let y = _mm256_sub_epi16(_mm256_cvtepu8_epi16(y), centre);
        let lane = at / 16 % 2;
        sums[lane] = _mm256_add_epi32(sums[lane], _mm256_madd_epi16(x, y));
    }
    sum_avx2(_mm256_add_epi32(sums[0], sums[1]))
}

#[allow(unsafe_code, reason = "vector loads through raw pointers")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn codes_vnni(codes: &[u8], query: &[i8], out: &mut [i32]) {
    let width = query.len();
    // SAFETY: callers pass `at` below `width`, a multiple of 64, and rows below `out.len()`, and
    // `codes` holds that many rows: 64 bytes from there are within each slice.
    let load_code = |row: usize, at: usize| unsafe {
        _mm512_loadu_si512(codes.as_ptr().add(row * width + at).cast::<__m512i>())
    };
    // SAFETY: as above.
    let load_query =
        |at: usize| unsafe { _mm512_loadu_si512(query.as_ptr().add(at).cast::<__m512i>()) };
    let whole = out.len() / ROWS * ROWS;
    for first in (0..whole).step_by(ROWS) {
        let mut sums = [_mm512_setzero_si512(); ROWS];
        for at in (0..width).step_by(BLOCK) {
            let q = load_query(at);
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = _mm512_dpbusd_epi32(*sum, load_code(first + row, at), q);
            }
        }
        for (row, sum) in sums.into_iter().enumerate() {
            out[first + row] = _mm512_reduce_add_epi32(sum);
        }
    }
    for (row, out) in out.iter_mut().enumerate().skip(whole) {
        let mut sum = _mm512_setzero_si512();
        for at in (0..width).step_by(BLOCK) {
            sum = _mm512_dpbusd_epi32(sum, load_code(row, at), load_query(at));
        }
        *out = _mm512_reduce_add_epi32(sum);
    }
}

/// `dpbusd` wants one side unsigned: `sum a * b = sum (a + 128) * b - 128 * sum b`.
#[allow(unsafe_code, reason = "vector loads through raw pointers")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn rows_vnni(a: &[u8], b: &[u8]) -> i32 {
    let sign = _mm512_set1_epi8(i8::MIN);
    let mut products = _mm512_setzero_si512();
    let mut offsets = _mm512_setzero_si512();
    for at in (0..a.len()).step_by(BLOCK) {
        // SAFETY: both slices have the same length, a multiple of 64.
        let (x, y) = unsafe {
            (
                _mm512_loadu_si512(a.as_ptr().add(at).cast::<__m512i>()),
                _mm512_loadu_si512(b.as_ptr().add(at).cast::<__m512i>()),
            )
        };
        // Flipping the highest bit takes the 128 off.
        let y = _mm512_xor_si512(y, sign);
        products = _mm512_dpbusd_epi32(products, x, y);
        offsets = _mm512_dpbusd_epi32(offsets, sign, y);
    }
    _mm512_reduce_add_epi32(products) - _mm512_reduce_add_epi32(offsets)
}

/// As [`rows_vnni`], the row's blocks loaded and its offset computed once for all points.
#[allow(unsafe_code, reason = "vector loads through raw pointers")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn points_vnni(codes: &[u8], row: &[u8], points: &[u32], out: &mut [i32]) {
    let width = row.len();
    let sign = _mm512_set1_epi8(i8::MIN);
    // SAFETY: callers pass `at` below `width`, a multiple of 64, and points of which `codes` holds
    // a row: 64 bytes from there are within each slice.
    let load_code = |point: u32, at: usize| unsafe {
        _mm512_loadu_si512(
            codes
                .as_ptr()
                .add(point as usize * width + at)
                .cast::<__m512i>(),
        )
    };
    // SAFETY: as above.
    let load_row = |at: usize| {
        _mm512_xor_si512(
            unsafe { _mm512_loadu_si512(row.as_ptr().add(at).cast::<__m512i>()) },
            sign,
        )
    };
    let mut offsets = _mm512_setzero_si512();
    for at in (0..width).step_by(BLOCK) {
        offsets = _mm512_dpbusd_epi32(offsets, sign, load_row(at));
    }
    let offset = _mm512_reduce_add_epi32(offsets);
    let (several, rest) = points.as_chunks::<ROWS>();
    let (out_several, out_rest) = out.split_at_mut(several.len() * ROWS);
    for (points, out) in several.iter().zip(out_several.chunks_exact_mut(ROWS)) {
        let mut sums = [_mm512_setzero_si512(); ROWS];
        for at in (0..width).step_by(BLOCK) {
            let y = load_row(at);
            for (point, sum) in points.iter().zip(&mut sums) {
                *sum = _mm512_dpbusd_epi32(*sum, load_code(*point, at), y);
            }
        }
        for (sum, out) in sums.into_iter().zip(out) {
            *out = _mm512_reduce_add_epi32(sum) - offset;
        }
    }
    for (point, out) in rest.iter().zip(out_rest) {
        let mut sum = _mm512_setzero_si512();
        for at in (0..width).step_by(BLOCK) {
            sum = _mm512_dpbusd_epi32(sum, load_code(*point, at), load_row(at));
        }
        *out = _mm512_reduce_add_epi32(sum) - offset;
    }
}

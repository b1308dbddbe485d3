//! AVX2 with FMA and F16C: two vectors of eight for sixteen lanes.

#![allow(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    clippy::wildcard_imports,
    clippy::inline_always,
    reason = "vector instructions; `Simd` says what callers keep"
)]

use std::arch::x86_64::*;

use super::simd::Simd;

#[derive(Clone, Copy)]
pub(super) struct Avx2;

type Pair = [__m256i; 2];
type Floats = [__m256; 2];

/// Sums of four neighbouring products: `a` unsigned, `b` signed, and the sum of two of the
/// products within 16 bits.
#[inline(always)]
unsafe fn products(a: __m256i, b: __m256i) -> __m256i {
    _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1))
}

// SAFETY: of every function as the trait says; none reads or writes more than its name says.
impl Simd for Avx2 {
    type Bytes = Pair;
    type Ints = Pair;
    type Floats = Floats;

    const WIDE: bool = true;
    const CENTRED: bool = true;

    #[inline(always)]
    unsafe fn load_bytes(at: *const u8) -> Pair {
        [
            _mm256_loadu_si256(at.cast()),
            _mm256_loadu_si256(at.add(32).cast()),
        ]
    }
    #[inline(always)]
    unsafe fn store_bytes(bytes: Pair, at: *mut u8) {
        _mm256_storeu_si256(at.cast(), bytes[0]);
        _mm256_storeu_si256(at.add(32).cast(), bytes[1]);
    }
    #[inline(always)]
    unsafe fn low_nibbles(bytes: Pair) -> Pair {
        let mask = _mm256_set1_epi8(15);
        [
            _mm256_and_si256(bytes[0], mask),
            _mm256_and_si256(bytes[1], mask),
        ]
    }
    #[inline(always)]
    unsafe fn high_nibbles(bytes: Pair) -> Pair {
        Self::low_nibbles(Self::down::<4>(bytes))
    }
    #[inline(always)]
    unsafe fn up<const N: u32>(bytes: Pair) -> Pair {
        let by = _mm_cvtsi32_si128(N as i32);
        [
            _mm256_sll_epi16(bytes[0], by),
            _mm256_sll_epi16(bytes[1], by),
        ]
    }
    #[inline(always)]
    unsafe fn down<const N: u32>(bytes: Pair) -> Pair {
        let by = _mm_cvtsi32_si128(N as i32);
        [
            _mm256_srl_epi16(bytes[0], by),
            _mm256_srl_epi16(bytes[1], by),
        ]
    }
    #[inline(always)]
    unsafe fn merge(low: Pair, high: Pair, mask: u8) -> Pair {
        let mask = _mm256_set1_epi8(mask as i8);
        [
            _mm256_or_si256(low[0], _mm256_and_si256(high[0], mask)),
            _mm256_or_si256(low[1], _mm256_and_si256(high[1], mask)),
        ]
    }

    #[inline(always)]
    unsafe fn no_ints() -> Pair {
        [_mm256_setzero_si256(); 2]
    }
    #[inline(always)]
    unsafe fn dot(sum: Pair, codes: Pair, x: *const i8) -> Pair {
        let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
        [
            _mm256_add_epi32(sum[0], products(codes[0], x)),
            _mm256_add_epi32(sum[1], products(codes[1], x)),
        ]
    }
    #[inline(always)]
    unsafe fn dot8(sum: Pair, codes: Pair, x: *const i8) -> Pair {
        // Two products of 255 and 127 do not fit 16 bits; those of 128 and 127 do. So the codes
        // are centred, and their signs go to the activations.
        let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
        let centre = _mm256_set1_epi8(-128);
        let signed = [
            _mm256_xor_si256(codes[0], centre),
            _mm256_xor_si256(codes[1], centre),
        ];
        [
            _mm256_add_epi32(
                sum[0],
                products(_mm256_abs_epi8(signed[0]), _mm256_sign_epi8(x, signed[0])),
            ),
            _mm256_add_epi32(
                sum[1],
                products(_mm256_abs_epi8(signed[1]), _mm256_sign_epi8(x, signed[1])),
            ),
        ]
    }
    #[inline(always)]
    unsafe fn widen(at: *const u8) -> Pair {
        let bytes = _mm_loadu_si128(at.cast());
        [
            _mm256_cvtepu8_epi32(bytes),
            _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)),
        ]
    }
    #[inline(always)]
    unsafe fn widen_signed(at: *const u8) -> Pair {
        let bytes = _mm_loadu_si128(at.cast());
        [
            _mm256_cvtepi8_epi32(bytes),
            _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)),
        ]
    }
    #[inline(always)]
    unsafe fn and(a: Pair, mask: i32) -> Pair {
        let mask = _mm256_set1_epi32(mask);
        [_mm256_and_si256(a[0], mask), _mm256_and_si256(a[1], mask)]
    }
    #[inline(always)]
    unsafe fn or(a: Pair, b: Pair) -> Pair {
        [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn shr<const N: u32>(a: Pair) -> Pair {
        let by = _mm_cvtsi32_si128(N as i32);
        [_mm256_srl_epi32(a[0], by), _mm256_srl_epi32(a[1], by)]
    }

    #[inline(always)]
    unsafe fn floats(ints: Pair) -> Floats {
        [_mm256_cvtepi32_ps(ints[0]), _mm256_cvtepi32_ps(ints[1])]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Floats {
        [_mm256_set1_ps(x); 2]
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Floats {
        [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))]
    }
    #[inline(always)]
    unsafe fn store(x: Floats, at: *mut f32) {
        _mm256_storeu_ps(at, x[0]);
        _mm256_storeu_ps(at.add(8), x[1]);
    }
    #[inline(always)]
    unsafe fn load_f16(at: *const u16) -> Floats {
        [
            _mm256_cvtph_ps(_mm_loadu_si128(at.cast())),
            _mm256_cvtph_ps(_mm_loadu_si128(at.add(8).cast())),
        ]
    }
    #[inline(always)]
    unsafe fn store_f16(x: Floats, at: *mut u16) {
        let low = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[0]);
        let high = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[1]);
        _mm_storeu_si128(at.cast(), low);
        _mm_storeu_si128(at.add(8).cast(), high);
    }
    #[inline(always)]
    unsafe fn load_bf16(at: *const u16) -> Floats {
        let wide = |at: *const u16| {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        };
        [wide(at), wide(at.add(8))]
    }
    #[inline(always)]
    unsafe fn store_i8(x: Floats, at: *mut i8) {
        let words = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
        // Packing goes by halves of a vector: eights come as 0, 2, 1, 3.
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
        let bytes = _mm_packs_epi16(
            _mm256_castsi256_si128(words),
            _mm256_extracti128_si256::<1>(words),
        );
        _mm_storeu_si128(at.cast(), bytes);
    }
    #[inline(always)]
    unsafe fn add(a: Floats, b: Floats) -> Floats {
        [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn mul(a: Floats, b: Floats) -> Floats {
        [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn div(a: Floats, b: Floats) -> Floats {
        [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn mul_add(a: Floats, b: Floats, c: Floats) -> Floats {
        [
            _mm256_fmadd_ps(a[0], b[0], c[0]),
            _mm256_fmadd_ps(a[1], b[1], c[1]),
        ]
    }
    #[inline(always)]
    unsafe fn max(a: Floats, b: Floats) -> Floats {
        [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn abs(x: Floats) -> Floats {
        let sign = _mm256_set1_ps(-0.0);
        [_mm256_andnot_ps(sign, x[0]), _mm256_andnot_ps(sign, x[1])]
    }
    #[inline(always)]
    unsafe fn round(x: Floats) -> Floats {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        [
            _mm256_round_ps::<NEAREST>(x[0]),
            _mm256_round_ps::<NEAREST>(x[1]),
        ]
    }
    #[inline(always)]
    unsafe fn power_of_two(x: Floats) -> Floats {
        let power = |x: __m256| {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        };
        [power(x[0]), power(x[1])]
    }
    #[inline(always)]
    unsafe fn sum(x: Floats) -> f32 {
        let four = |x: __m256| _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let all = _mm_add_ps(four(x[0]), four(x[1]));
        let all = _mm_add_ps(all, _mm_movehl_ps(all, all));
        _mm_cvtss_f32(_mm_add_ss(all, _mm_movehdup_ps(all)))
    }
    #[inline(always)]
    unsafe fn largest(x: Floats) -> f32 {
        let eight = _mm256_max_ps(x[0], x[1]);
        let four = _mm_max_ps(
            _mm256_castps256_ps128(eight),
            _mm256_extractf128_ps::<1>(eight),
        );
        let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
    }
}

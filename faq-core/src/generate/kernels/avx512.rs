//! AVX-512 with VNNI: a row's four products and their sum in one instruction.

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
pub(super) struct Avx512;

// SAFETY: of every function as the trait says; none reads or writes more than its name says.
impl Simd for Avx512 {
    type Bytes = __m512i;
    type Ints = __m512i;
    type Floats = __m512;

    const WIDE: bool = true;
    const CENTRED: bool = false;

    #[inline(always)]
    unsafe fn load_bytes(at: *const u8) -> __m512i {
        _mm512_loadu_si512(at.cast())
    }
    #[inline(always)]
    unsafe fn store_bytes(bytes: __m512i, at: *mut u8) {
        _mm512_storeu_si512(at.cast(), bytes);
    }
    #[inline(always)]
    unsafe fn low_nibbles(bytes: __m512i) -> __m512i {
        _mm512_and_si512(bytes, _mm512_set1_epi8(15))
    }
    #[inline(always)]
    unsafe fn high_nibbles(bytes: __m512i) -> __m512i {
        _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), _mm512_set1_epi8(15))
    }
    #[inline(always)]
    unsafe fn up<const N: u32>(bytes: __m512i) -> __m512i {
        _mm512_slli_epi16::<N>(bytes)
    }
    #[inline(always)]
    unsafe fn down<const N: u32>(bytes: __m512i) -> __m512i {
        _mm512_srli_epi16::<N>(bytes)
    }
    #[inline(always)]
    unsafe fn merge(low: __m512i, high: __m512i, mask: u8) -> __m512i {
        // low | (high & mask), as a truth table of the three.
        _mm512_ternarylogic_epi32::<0xF8>(low, high, _mm512_set1_epi8(mask as i8))
    }

    #[inline(always)]
    unsafe fn no_ints() -> __m512i {
        _mm512_setzero_si512()
    }
    #[inline(always)]
    unsafe fn dot(sum: __m512i, codes: __m512i, x: *const i8) -> __m512i {
        _mm512_dpbusd_epi32(
            sum,
            codes,
            _mm512_set1_epi32(x.cast::<i32>().read_unaligned()),
        )
    }
    #[inline(always)]
    unsafe fn dot8(sum: __m512i, codes: __m512i, x: *const i8) -> __m512i {
        Self::dot(sum, codes, x)
    }
    #[inline(always)]
    unsafe fn widen(at: *const u8) -> __m512i {
        _mm512_cvtepu8_epi32(_mm_loadu_si128(at.cast()))
    }
    #[inline(always)]
    unsafe fn widen_signed(at: *const u8) -> __m512i {
        _mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast()))
    }
    #[inline(always)]
    unsafe fn and(a: __m512i, mask: i32) -> __m512i {
        _mm512_and_si512(a, _mm512_set1_epi32(mask))
    }
    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        _mm512_or_si512(a, b)
    }
    #[inline(always)]
    unsafe fn shr<const N: u32>(a: __m512i) -> __m512i {
        _mm512_srli_epi32::<N>(a)
    }

    #[inline(always)]
    unsafe fn floats(ints: __m512i) -> __m512 {
        _mm512_cvtepi32_ps(ints)
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        _mm512_set1_ps(x)
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m512 {
        _mm512_loadu_ps(at)
    }
    #[inline(always)]
    unsafe fn store(x: __m512, at: *mut f32) {
        _mm512_storeu_ps(at, x);
    }
    #[inline(always)]
    unsafe fn load_f16(at: *const u16) -> __m512 {
        _mm512_cvtph_ps(_mm256_loadu_si256(at.cast()))
    }
    #[inline(always)]
    unsafe fn store_f16(x: __m512, at: *mut u16) {
        let halves = _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
        _mm256_storeu_si256(at.cast(), halves);
    }
    #[inline(always)]
    unsafe fn load_bf16(at: *const u16) -> __m512 {
        let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast()));
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
    }
    #[inline(always)]
    unsafe fn store_i8(x: __m512, at: *mut i8) {
        _mm_storeu_si128(at.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        _mm512_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn abs(x: __m512) -> __m512 {
        _mm512_abs_ps(x)
    }
    #[inline(always)]
    unsafe fn round(x: __m512) -> __m512 {
        _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x)
    }
    #[inline(always)]
    unsafe fn power_of_two(x: __m512) -> __m512 {
        _mm512_scalef_ps(_mm512_set1_ps(1.0), x)
    }
    #[inline(always)]
    unsafe fn sum(x: __m512) -> f32 {
        _mm512_reduce_add_ps(x)
    }
    #[inline(always)]
    unsafe fn largest(x: __m512) -> f32 {
        _mm512_reduce_max_ps(x)
    }
}

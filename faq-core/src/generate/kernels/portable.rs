//! Sixteen lanes as arrays, for any processor; a compiler may use what vectors the target has.

#![allow(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    clippy::inline_always,
    reason = "the pointers of `Simd`, which says what callers keep"
)]

use std::array::from_fn;

use half::{bf16, f16};

use super::simd::{LANES, Simd};

#[derive(Clone, Copy)]
pub(super) struct Portable;

type Bytes = [u8; 4 * LANES];
type Ints = [i32; LANES];
type Floats = [f32; LANES];

// SAFETY: of every function as the trait says; none reads or writes more than its name says.
impl Simd for Portable {
    type Bytes = Bytes;
    type Ints = Ints;
    type Floats = Floats;

    const WIDE: bool = false;
    const CENTRED: bool = false;

    #[inline(always)]
    unsafe fn load_bytes(at: *const u8) -> Bytes {
        at.cast::<Bytes>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store_bytes(bytes: Bytes, at: *mut u8) {
        at.cast::<Bytes>().write_unaligned(bytes);
    }
    #[inline(always)]
    unsafe fn low_nibbles(bytes: Bytes) -> Bytes {
        bytes.map(|b| b & 15)
    }
    #[inline(always)]
    unsafe fn high_nibbles(bytes: Bytes) -> Bytes {
        bytes.map(|b| b >> 4)
    }
    #[inline(always)]
    unsafe fn up<const N: u32>(bytes: Bytes) -> Bytes {
        bytes.map(|b| b << N)
    }
    #[inline(always)]
    unsafe fn down<const N: u32>(bytes: Bytes) -> Bytes {
        bytes.map(|b| b >> N)
    }
    #[inline(always)]
    unsafe fn merge(low: Bytes, high: Bytes, mask: u8) -> Bytes {
        from_fn(|i| low[i] | (high[i] & mask))
    }

    #[inline(always)]
    unsafe fn no_ints() -> Ints {
        [0; LANES]
    }
    #[inline(always)]
    unsafe fn dot(sum: Ints, codes: Bytes, x: *const i8) -> Ints {
        let x = x.cast::<[i8; 4]>().read_unaligned();
        from_fn(|row| {
            (0..4).fold(sum[row], |sum, column| {
                sum + i32::from(codes[4 * row + column]) * i32::from(x[column])
            })
        })
    }
    #[inline(always)]
    unsafe fn dot8(sum: Ints, codes: Bytes, x: *const i8) -> Ints {
        Self::dot(sum, codes, x)
    }
    #[inline(always)]
    unsafe fn widen(at: *const u8) -> Ints {
        at.cast::<[u8; LANES]>().read_unaligned().map(i32::from)
    }
    #[inline(always)]
    unsafe fn widen_signed(at: *const u8) -> Ints {
        at.cast::<[i8; LANES]>().read_unaligned().map(i32::from)
    }
    #[inline(always)]
    unsafe fn and(a: Ints, mask: i32) -> Ints {
        a.map(|a| a & mask)
    }
    #[inline(always)]
    unsafe fn or(a: Ints, b: Ints) -> Ints {
        from_fn(|i| a[i] | b[i])
    }
    #[inline(always)]
    unsafe fn shr<const N: u32>(a: Ints) -> Ints {
        a.map(|a| ((a as u32) >> N) as i32)
    }

    #[inline(always)]
    unsafe fn floats(ints: Ints) -> Floats {
        ints.map(|n| n as f32)
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Floats {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Floats {
        at.cast::<Floats>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store(x: Floats, at: *mut f32) {
        at.cast::<Floats>().write_unaligned(x);
    }
    #[inline(always)]
    unsafe fn load_f16(at: *const u16) -> Floats {
        let bits = at.cast::<[u16; LANES]>().read_unaligned();
        bits.map(|bits| f16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    unsafe fn store_f16(x: Floats, at: *mut u16) {
        let bits = x.map(|x| f16::from_f32(x).to_bits());
        at.cast::<[u16; LANES]>().write_unaligned(bits);
    }
    #[inline(always)]
    unsafe fn load_bf16(at: *const u16) -> Floats {
        let bits = at.cast::<[u16; LANES]>().read_unaligned();
        bits.map(|bits| bf16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    unsafe fn store_i8(x: Floats, at: *mut i8) {
        at.cast::<[i8; LANES]>().write_unaligned(x.map(|x| x as i8));
    }
    #[inline(always)]
    unsafe fn add(a: Floats, b: Floats) -> Floats {
        from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Floats, b: Floats) -> Floats {
        from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: Floats, b: Floats) -> Floats {
        from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn mul_add(a: Floats, b: Floats, c: Floats) -> Floats {
        from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn max(a: Floats, b: Floats) -> Floats {
        from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn abs(x: Floats) -> Floats {
        x.map(f32::abs)
    }
    #[inline(always)]
    unsafe fn round(x: Floats) -> Floats {
        x.map(f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn power_of_two(x: Floats) -> Floats {
        x.map(|x| f32::from_bits(((x as i32 + 127) << 23) as u32))
    }
    #[inline(always)]
    unsafe fn sum(x: Floats) -> f32 {
        x.iter().sum()
    }
    #[inline(always)]
    unsafe fn largest(x: Floats) -> f32 {
        x.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}

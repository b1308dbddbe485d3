//! The vector operations that the kernels are written in: sixteen lanes, whatever the processor.
//!
//! A lane is a row of a panel (see [`super::formats`]). Kernels are generic over [`Simd`] and
//! inlined into functions that are compiled for one instruction set.

#![allow(unsafe_code, reason = "vector instructions and pointers")]

/// Rows that are computed side by side.
pub(in crate::generate) const LANES: usize = 16;

/// Vectors of one instruction set.
///
/// # Safety
/// Every function may be called only on a processor that has the instruction set, and reads or
/// writes as many elements at its pointer as its name and documentation say; pointers need no
/// alignment.
pub(super) trait Simd: Copy {
    /// 64 bytes: of each row four consecutive columns.
    type Bytes: Copy;
    /// A 32-bit integer of each row.
    type Ints: Copy;
    /// A float of each row.
    type Floats: Copy;

    /// Whether there are registers enough to multiply more than a token at a time.
    const WIDE: bool;

    /// Whether [`Simd::dot8`] takes a code of 128 for 0 by itself.
    const CENTRED: bool;

    unsafe fn load_bytes(at: *const u8) -> Self::Bytes;
    unsafe fn store_bytes(bytes: Self::Bytes, at: *mut u8);
    unsafe fn low_nibbles(bytes: Self::Bytes) -> Self::Bytes;
    unsafe fn high_nibbles(bytes: Self::Bytes) -> Self::Bytes;
    /// Bits up by `N` < 8; what crosses a byte's border is for [`Simd::merge`] to drop.
    unsafe fn up<const N: u32>(bytes: Self::Bytes) -> Self::Bytes;
    /// Bits down by `N` < 8, as [`Simd::up`].
    unsafe fn down<const N: u32>(bytes: Self::Bytes) -> Self::Bytes;
    /// `low | (high & mask)`, the mask being the same for each byte.
    unsafe fn merge(low: Self::Bytes, high: Self::Bytes, mask: u8) -> Self::Bytes;

    unsafe fn no_ints() -> Self::Ints;
    /// Adds to each row the product of its four codes, below 64, with the four activations at `x`.
    unsafe fn dot(sum: Self::Ints, codes: Self::Bytes, x: *const i8) -> Self::Ints;
    /// As [`Simd::dot`] for codes of eight bits.
    unsafe fn dot8(sum: Self::Ints, codes: Self::Bytes, x: *const i8) -> Self::Ints;
    /// Sixteen unsigned bytes.
    unsafe fn widen(at: *const u8) -> Self::Ints;
    /// Sixteen signed bytes.
    unsafe fn widen_signed(at: *const u8) -> Self::Ints;
    unsafe fn and(a: Self::Ints, mask: i32) -> Self::Ints;
    unsafe fn or(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn shr<const N: u32>(a: Self::Ints) -> Self::Ints;

    unsafe fn floats(ints: Self::Ints) -> Self::Floats;
    unsafe fn splat(x: f32) -> Self::Floats;
    unsafe fn load(at: *const f32) -> Self::Floats;
    unsafe fn store(x: Self::Floats, at: *mut f32);
    /// Sixteen half-precision floats.
    unsafe fn load_f16(at: *const u16) -> Self::Floats;
    unsafe fn store_f16(x: Self::Floats, at: *mut u16);
    /// Sixteen floats of which the upper 16 bits are there.
    unsafe fn load_bf16(at: *const u16) -> Self::Floats;
    /// Sixteen whole numbers within -128..=127 as signed bytes.
    unsafe fn store_i8(x: Self::Floats, at: *mut i8);
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn div(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`.
    unsafe fn mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    unsafe fn max(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn abs(x: Self::Floats) -> Self::Floats;
    /// To the nearest whole number, halves to the even one.
    unsafe fn round(x: Self::Floats) -> Self::Floats;
    /// Two to the power of whole numbers within -126..=127.
    unsafe fn power_of_two(x: Self::Floats) -> Self::Floats;
    /// Sum of the lanes.
    unsafe fn sum(x: Self::Floats) -> f32;
    /// Largest lane.
    unsafe fn largest(x: Self::Floats) -> f32;
}

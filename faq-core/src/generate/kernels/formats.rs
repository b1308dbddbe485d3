//! How the weights of a matrix lie in memory, and how a group of them is opened.
//!
//! Sixteen rows make a *panel*, the last one padded with zeros. A panel is a sequence of
//! *blocks*, of as many columns as a block of the file's type has (32 or 256), and holds the
//! same bits as the file: only their order differs. Within a block come the scales of all
//! rows, then the *groups* of 32 columns. Codes come as vectors of 64 bytes, in which each row
//! has four consecutive columns; vector `j` of eight starts at column `4 j` of its group.
//!
//! * Low four bits: vectors 0 to 3 hold codes `j` in the low nibbles and `j + 4` in the high.
//! * A fifth bit: one vector, whose bit `j` belongs to vector `j`.
//! * A fifth and a sixth: two vectors for `j` < 4 and from 4 on, two bits each.
//!
//! The types themselves are described at <https://github.com/ggml-org/ggml>.

#![allow(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    clippy::inline_always,
    reason = "reads blocks through pointers; `Format::group` says what callers keep"
)]

use std::marker::PhantomData;

use super::simd::{LANES, Simd};

/// Columns of a group, which has a scale for each row.
pub(in crate::generate) const GROUP: usize = 32;

/// Bytes of a vector of codes.
const VECTOR: usize = 4 * LANES;

/// Bytes of one half-precision float for each row.
const HALVES: usize = 2 * LANES;

/// Weights of sixteen rows and 32 columns: `scales[c / 16] * code + offsets[c / 16]`.
///
/// The two halves differ where the format has scales for 16 columns ([`Format::FINE`]).
pub(super) struct Group<S: Simd> {
    pub(super) codes: [S::Bytes; 8],
    pub(super) scales: [S::Floats; 2],
    pub(super) offsets: [S::Floats; 2],
}

/// A layout of blocks.
pub(super) trait Format {
    /// Columns of a block.
    const COLUMNS: usize = GROUP;
    /// Bytes of a block, for sixteen rows.
    const BYTES: usize;
    /// Whether each half of a group has a scale of its own.
    const FINE: bool = false;
    /// Whether codes take more than six bits.
    const EIGHT: bool = false;

    /// Opens group `number` of the block at `block`.
    ///
    /// # Safety
    /// `block` is readable for [`Self::BYTES`], `number` is below `COLUMNS / GROUP`, and the
    /// processor has the instructions of `S`.
    unsafe fn group<S: Simd>(block: *const u8, number: usize) -> Group<S>;
}

/// Codes of four bits: eight vectors from four.
#[inline(always)]
unsafe fn nibbles<S: Simd>(at: *const u8) -> [S::Bytes; 8] {
    let [a, b, c, d] = [0, 1, 2, 3].map(|j| S::load_bytes(at.add(j * VECTOR)));
    [
        S::low_nibbles(a),
        S::low_nibbles(b),
        S::low_nibbles(c),
        S::low_nibbles(d),
        S::high_nibbles(a),
        S::high_nibbles(b),
        S::high_nibbles(c),
        S::high_nibbles(d),
    ]
}

/// Adds the fifth bits, which one vector at `at` holds.
#[inline(always)]
unsafe fn with_fifth<S: Simd>(low: [S::Bytes; 8], at: *const u8) -> [S::Bytes; 8] {
    let high = S::load_bytes(at);
    let bit = |low, high| S::merge(low, high, 16);
    [
        bit(low[0], S::up::<4>(high)),
        bit(low[1], S::up::<3>(high)),
        bit(low[2], S::up::<2>(high)),
        bit(low[3], S::up::<1>(high)),
        bit(low[4], high),
        bit(low[5], S::down::<1>(high)),
        bit(low[6], S::down::<2>(high)),
        bit(low[7], S::down::<3>(high)),
    ]
}

/// Adds the fifth and sixth bits, which two vectors at `at` hold.
#[inline(always)]
unsafe fn with_sixth<S: Simd>(low: [S::Bytes; 8], at: *const u8) -> [S::Bytes; 8] {
    let (first, second) = (S::load_bytes(at), S::load_bytes(at.add(VECTOR)));
    let bits = |low, high| S::merge(low, high, 48);
    [
        bits(low[0], S::up::<4>(first)),
        bits(low[1], S::up::<2>(first)),
        bits(low[2], first),
        bits(low[3], S::down::<2>(first)),
        bits(low[4], S::up::<4>(second)),
        bits(low[5], S::up::<2>(second)),
        bits(low[6], second),
        bits(low[7], S::down::<2>(second)),
    ]
}

/// Codes of `BITS` bits; four bits alone take 256 bytes, and each further one 64.
#[inline(always)]
unsafe fn codes<S: Simd, const BITS: usize>(at: *const u8) -> [S::Bytes; 8] {
    match BITS {
        4 => nibbles::<S>(at),
        5 => with_fifth::<S>(nibbles::<S>(at.add(VECTOR)), at),
        6 => with_sixth::<S>(nibbles::<S>(at.add(2 * VECTOR)), at),
        _ => [0, 1, 2, 3, 4, 5, 6, 7].map(|j| S::load_bytes(at.add(j * VECTOR))),
    }
}

/// Bytes of the codes of a group.
const fn code_bytes(bits: usize) -> usize {
    bits * GROUP / 8 * LANES
}

/// What a code of 0 stands for where codes are unsigned and the types' are centred.
#[inline(always)]
unsafe fn centred<S: Simd>(scale: S::Floats, bits: usize) -> S::Floats {
    if bits == 8 && S::CENTRED {
        return S::splat(0.0);
    }
    S::mul(scale, S::splat(-((1 << (bits - 1)) as f32)))
}

/// `Q4_0`, `Q5_0`, `Q8_0`: a scale, and codes around 0.
pub(super) struct Scaled<const BITS: usize>;

impl<const BITS: usize> Format for Scaled<BITS> {
    const BYTES: usize = HALVES + code_bytes(BITS);
    const EIGHT: bool = BITS == 8;

    #[inline(always)]
    unsafe fn group<S: Simd>(block: *const u8, _: usize) -> Group<S> {
        let scale = S::load_f16(block.cast());
        Group {
            codes: codes::<S, BITS>(block.add(HALVES)),
            scales: [scale; 2],
            offsets: [centred::<S>(scale, BITS); 2],
        }
    }
}

/// `Q4_1`, `Q5_1`: a scale and a least value.
pub(super) struct Shifted<const BITS: usize>;

impl<const BITS: usize> Format for Shifted<BITS> {
    const BYTES: usize = 2 * HALVES + code_bytes(BITS);

    #[inline(always)]
    unsafe fn group<S: Simd>(block: *const u8, _: usize) -> Group<S> {
        let scale = S::load_f16(block.cast());
        let least = S::load_f16(block.add(HALVES).cast());
        Group {
            codes: codes::<S, BITS>(block.add(2 * HALVES)),
            scales: [scale; 2],
            offsets: [least; 2],
        }
    }
}

/// `Q4_K`, `Q5_K`: eight groups, each with a scale and a least value of six bits, in steps of two
/// scales of the block. The sixteen numbers take twelve bytes a row; byte `i` of all rows
/// stands together.
pub(super) struct Nested<const BITS: usize>;

impl<const BITS: usize> Nested<BITS> {
    const SCALES: usize = 2 * HALVES;
    const GROUPS: usize = Self::SCALES + 12 * LANES;
}

impl<const BITS: usize> Format for Nested<BITS> {
    const COLUMNS: usize = 256;
    const BYTES: usize = Self::GROUPS + 8 * code_bytes(BITS);

    #[inline(always)]
    unsafe fn group<S: Simd>(block: *const u8, number: usize) -> Group<S> {
        let packed = |i: usize| S::widen(block.add(Self::SCALES + i * LANES));
        let (scale, least) = if number < 4 {
            (S::and(packed(number), 63), S::and(packed(number + 4), 63))
        } else {
            let low = packed(number + 4);
            let top = |i| S::and(S::shr::<2>(packed(i)), 48);
            (
                S::or(S::and(low, 15), top(number - 4)),
                S::or(S::shr::<4>(low), top(number)),
            )
        };
        let step = S::load_f16(block.cast());
        let least_step = S::mul(S::load_f16(block.add(HALVES).cast()), S::splat(-1.0));
        Group {
            codes: codes::<S, BITS>(block.add(Self::GROUPS + number * code_bytes(BITS))),
            scales: [S::mul(step, S::floats(scale)); 2],
            offsets: [S::mul(least_step, S::floats(least)); 2],
        }
    }
}

/// `Q6_K`: sixteen half groups, each with a signed scale of eight bits in steps of the block's.
pub(super) struct Fine;

impl Fine {
    const GROUPS: usize = HALVES + 16 * LANES;
}

impl Format for Fine {
    const COLUMNS: usize = 256;
    const BYTES: usize = Self::GROUPS + 8 * code_bytes(6);
    const FINE: bool = true;

    #[inline(always)]
    unsafe fn group<S: Simd>(block: *const u8, number: usize) -> Group<S> {
        let step = S::load_f16(block.cast());
        let scales = [0, 1].map(|half| {
            let scale = S::widen_signed(block.add(HALVES + (2 * number + half) * LANES));
            S::mul(step, S::floats(scale))
        });
        Group {
            codes: codes::<S, 6>(block.add(Self::GROUPS + number * code_bytes(6))),
            scales,
            offsets: scales.map(|scale| centred::<S>(scale, 6)),
        }
    }
}

/// The groups of another format, opened once for many tokens.
pub(super) struct Open<F>(PhantomData<F>);

impl<F: Format> Open<F> {
    const CODES: usize = 8 * VECTOR;
    const FLOATS: usize = 4 * LANES;

    /// # Safety
    /// `at` is writable for [`Self::BYTES`], and the processor has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn put<S: Simd>(group: &Group<S>, at: *mut u8) {
        for (j, codes) in group.codes.iter().enumerate() {
            S::store_bytes(*codes, at.add(j * VECTOR));
        }
        let floats = at.add(Self::CODES);
        S::store(group.scales[0], floats.cast());
        S::store(group.offsets[0], floats.add(Self::FLOATS).cast());
        if F::FINE {
            S::store(group.scales[1], floats.add(2 * Self::FLOATS).cast());
            S::store(group.offsets[1], floats.add(3 * Self::FLOATS).cast());
        }
    }
}

impl<F: Format> Format for Open<F> {
    const BYTES: usize = Self::CODES + if F::FINE { 4 } else { 2 } * Self::FLOATS;
    const FINE: bool = F::FINE;
    const EIGHT: bool = F::EIGHT;

    #[inline(always)]
    unsafe fn group<S: Simd>(block: *const u8, _: usize) -> Group<S> {
        let floats = block.add(Self::CODES);
        let float = |i: usize| S::load(floats.add(i * Self::FLOATS).cast());
        let (scale, offset) = (float(0), float(1));
        let second = if F::FINE {
            [float(2), float(3)]
        } else {
            [scale, offset]
        };
        Group {
            codes: codes::<S, 8>(block),
            scales: [scale, second[0]],
            offsets: [offset, second[1]],
        }
    }
}

//! Attention of some queries over the keys and values of one head, block by block.
//!
//! The softmax is taken as the scores come (Milakov and Gimelshein, 2018): each block of
//! positions brings its maximum, and what was summed before is scaled down to it. Blocks begin
//! at multiples of [`BLOCK`], so a result does not depend on how many tokens are read at once.

#![allow(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    clippy::inline_always,
    reason = "inner loops over pointers; each function says what callers keep"
)]

use std::cell::RefCell;
use std::f32::consts::LOG2_E;

use super::activations::TILE;
use super::dense::{exp2, tanh};
use super::product::{Half, columns};
use super::simd::{LANES, Simd};

/// Positions whose scores are computed together.
const BLOCK: usize = 128;

/// Keys and values of one head, in half precision.
#[derive(Debug, Clone, Copy)]
pub(in crate::generate) struct Head<'a> {
    /// `[panels of sixteen positions, head, 16]`.
    pub(in crate::generate) keys: &'a [u16],
    /// `[positions, padded(head)]`.
    pub(in crate::generate) values: &'a [u16],
    /// Numbers of a key.
    pub(in crate::generate) size: usize,
}

/// A head's size in whole vectors.
pub(in crate::generate) fn padded(head: usize) -> usize {
    head.next_multiple_of(LANES)
}

/// What scores are before the softmax.
#[derive(Debug, Clone, Copy)]
pub(in crate::generate) struct Scores {
    /// Goes on the products of queries and keys.
    pub(in crate::generate) scale: f32,
    /// Bends scores towards this bound: `cap * tanh(score / cap)`. 0 where they are free.
    pub(in crate::generate) cap: f32,
}

/// A query: its numbers, which positions it sees, and where its result goes.
pub(in crate::generate) struct Query {
    pub(in crate::generate) at: *const f32,
    /// First position that it sees.
    pub(in crate::generate) from: usize,
    /// The one after the last.
    pub(in crate::generate) visible: usize,
    pub(in crate::generate) out: *mut f32,
}

impl Query {
    /// The place of a query that is not asked.
    pub(in crate::generate) const NONE: Self = Self {
        at: std::ptr::null(),
        from: 0,
        visible: 0,
        out: std::ptr::null_mut(),
    };
}

thread_local! {
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Answers up to eight queries.
///
/// # Safety
/// The queries' numbers are readable and their results writable, by this call alone, for
/// `head.size` floats; `head` holds the positions that each query sees, which is one at least;
/// and the processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn attend<S: Simd>(head: Head<'_>, by: Scores, queries: &[Query]) {
    // Taken out, since a closure would not be compiled for the instructions of `S`.
    let mut room = ROOM.take();
    match queries.len() {
        0 => {}
        1 => attend_tile::<S, 1>(head, by, queries, &mut room),
        2 => attend_tile::<S, 2>(head, by, queries, &mut room),
        3 | 4 => attend_tile::<S, 4>(head, by, queries, &mut room),
        _ => attend_tile::<S, TILE>(head, by, queries, &mut room),
    }
    ROOM.set(room);
}

/// # Safety
/// As [`attend`]; at most `T` queries.
#[inline(always)]
unsafe fn attend_tile<S: Simd, const T: usize>(
    head: Head<'_>,
    by: Scores,
    queries: &[Query],
    room: &mut Vec<f32>,
) {
    let (size, wide) = (head.size, padded(head.size));
    room.clear();
    room.resize(T * (size + BLOCK + wide), 0.0);
    let (scaled, rest) = room.split_at_mut(T * size);
    let (scores, sums) = rest.split_at_mut(T * BLOCK);
    // The softmax takes powers of two; what is capped is brought to them afterwards.
    let scale = if by.cap > 0.0 {
        by.scale / by.cap
    } else {
        by.scale * LOG2_E
    };
    for (query, scaled) in queries.iter().zip(scaled.chunks_exact_mut(size)) {
        for (i, x) in scaled.iter_mut().enumerate() {
            *x = *query.at.add(i) * scale;
        }
    }
    let mut most = [f32::NEG_INFINITY; T];
    let mut totals = [0.0; T];
    let first = queries.iter().map(|q| q.from).min().unwrap_or(0) / BLOCK * BLOCK;
    let seen = queries.iter().map(|q| q.visible).max().unwrap_or(0);
    for begin in (first..seen).step_by(BLOCK) {
        let count = BLOCK.min(seen - begin);
        for panel in 0..count.div_ceil(LANES) {
            let keys = head
                .keys
                .as_ptr()
                .add((begin / LANES + panel) * size * LANES);
            let lanes = columns::<S, Half, T>(keys.cast(), 2 * LANES, size, scaled.as_ptr(), size);
            for (query, mut lanes) in lanes.into_iter().enumerate() {
                if by.cap > 0.0 {
                    lanes = S::mul(tanh::<S>(lanes), S::splat(by.cap * LOG2_E));
                }
                S::store(
                    lanes,
                    scores.as_mut_ptr().add(query * BLOCK + panel * LANES),
                );
            }
        }
        let mut shrink = [1.0; T];
        for (number, query) in queries.iter().enumerate() {
            let visible = query.visible.saturating_sub(begin).min(count);
            let hidden = query.from.saturating_sub(begin).min(visible);
            let scores = &mut scores[number * BLOCK..][..count.next_multiple_of(LANES)];
            if visible == hidden {
                scores.fill(0.0);
                continue;
            }
            scores[..hidden].fill(f32::NEG_INFINITY);
            scores[visible..].fill(f32::NEG_INFINITY);
            let (larger, total) = powers::<S>(scores, most[number]);
            scores[..hidden].fill(0.0);
            scores[visible..].fill(0.0);
            shrink[number] = (most[number] - larger).exp2();
            totals[number] = totals[number] * shrink[number] + total;
            most[number] = larger;
        }
        for lane in (0..wide).step_by(LANES) {
            let values = head.values.as_ptr().add(begin * wide + lane);
            let lanes =
                columns::<S, Half, T>(values.cast(), 2 * wide, count, scores.as_ptr(), BLOCK);
            for (query, lanes) in lanes.into_iter().enumerate() {
                let at = sums.as_mut_ptr().add(query * wide + lane);
                S::store(S::mul_add(S::load(at), S::splat(shrink[query]), lanes), at);
            }
        }
    }
    for (number, query) in queries.iter().enumerate() {
        let inverse = 1.0 / totals[number];
        for i in 0..size {
            *query.out.add(i) = sums[number * wide + i] * inverse;
        }
    }
}

/// Replaces scores by powers of two of their distance to the largest, `least` at least; gives it
/// and the sum of the powers. What is infinitely far away is too little to change the sum, in
/// which the largest counts 1.
#[inline(always)]
unsafe fn powers<S: Simd>(scores: &mut [f32], least: f32) -> (f32, f32) {
    let mut most = S::splat(least);
    for x in scores.chunks_exact(LANES) {
        most = S::max(most, S::load(x.as_ptr()));
    }
    let most = S::largest(most);
    let mut total = S::splat(0.0);
    for x in scores.chunks_exact_mut(LANES) {
        let power = exp2::<S>(S::add(S::load(x.as_ptr()), S::splat(-most)));
        S::store(power, x.as_mut_ptr());
        total = S::add(total, power);
    }
    (most, S::sum(total))
}

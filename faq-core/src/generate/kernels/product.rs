//! Products of panels with activations.

#![allow(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    clippy::inline_always,
    reason = "inner loops over pointers; each function says what callers keep"
)]

use std::cell::RefCell;
use std::ops::Range;

use super::activations::{Activations, Block, TILE};
use super::formats::{Format, GROUP, Group, Open};
use super::simd::{LANES, Simd};

/// Rows from which on a panel is opened once for all of them.
const MANY: usize = 2 * TILE;

/// A vector's worth of bytes, on a boundary that no load straddles.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "reached through pointers")] [u8; 64]);

thread_local! {
    static OPENED: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Where the results of some panels go.
#[derive(Clone, Copy)]
pub(in crate::generate) struct Output {
    /// First row of the first token.
    pub(in crate::generate) at: *mut f32,
    /// Rows of the whole matrix.
    pub(in crate::generate) rows: usize,
    /// Floats from the results of one token to those of the next.
    pub(in crate::generate) pitch: usize,
}

// SAFETY: threads that share an `Output` write different panels.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

impl Output {
    /// Puts sixteen rows of one token; of the last panel as many as there are.
    #[inline(always)]
    unsafe fn put<S: Simd>(self, token: usize, panel: usize, lanes: S::Floats) {
        let row = panel * LANES;
        let at = self.at.add(token * self.pitch + row);
        if row + LANES <= self.rows {
            S::store(lanes, at);
        } else {
            let mut all = [0.0; LANES];
            S::store(lanes, all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), at, self.rows - row);
        }
    }
}

/// Multiplies `T` rows of codes with a panel of `groups` groups; a group's blocks lie `step` after
/// those of the group before.
///
/// # Safety
/// `panel` holds `groups` groups in whole blocks of `F`, `x` holds the `T` blocks of each group
/// together, and the processor has the instructions of `S`.
#[inline(always)]
unsafe fn tile<S: Simd, F: Format, const T: usize>(
    panel: *const u8,
    groups: usize,
    x: *const Block,
    step: usize,
) -> [S::Floats; T] {
    let mut sums = [S::splat(0.0); T];
    let (mut block, mut x) = (panel, x);
    for _ in 0..groups / (F::COLUMNS / GROUP) {
        for number in 0..F::COLUMNS / GROUP {
            let group = F::group::<S>(block, number);
            for (token, sum) in sums.iter_mut().enumerate() {
                *sum = add_group::<S, F>(*sum, &group, &*x.add(token));
            }
            x = x.add(step);
        }
        block = block.add(F::BYTES);
    }
    sums
}

/// Adds to `sum` the products of a group with the activations of one token.
#[inline(always)]
unsafe fn add_group<S: Simd, F: Format>(sum: S::Floats, group: &Group<S>, x: &Block) -> S::Floats {
    let half = |from: usize, to: usize| {
        let mut products = S::no_ints();
        for j in from..to {
            let at = x.codes.as_ptr().add(4 * j);
            products = if F::EIGHT {
                S::dot8(products, group.codes[j], at)
            } else {
                S::dot(products, group.codes[j], at)
            };
        }
        S::floats(products)
    };
    let scale = S::splat(x.scale);
    if F::FINE {
        let sum = S::mul_add(half(0, 4), S::mul(group.scales[0], scale), sum);
        let sum = S::mul_add(group.offsets[0], S::splat(x.sums[0]), sum);
        let sum = S::mul_add(half(4, 8), S::mul(group.scales[1], scale), sum);
        S::mul_add(group.offsets[1], S::splat(x.sums[1]), sum)
    } else {
        let sum = S::mul_add(half(0, 8), S::mul(group.scales[0], scale), sum);
        S::mul_add(group.offsets[0], S::splat(x.sums[2]), sum)
    }
}

/// Puts what rows of codes from `row` on gave: of a token with two rows their sum.
#[inline(always)]
unsafe fn put_rows<S: Simd, const T: usize>(
    sums: [S::Floats; T],
    row: usize,
    panel: usize,
    x: &Activations,
    out: Output,
) {
    if x.rows_of_token() == 1 {
        for (token, sum) in sums.into_iter().enumerate() {
            out.put::<S>(row + token, panel, sum);
        }
    } else {
        for (token, rows) in sums.chunks_exact(2).enumerate() {
            out.put::<S>(row / 2 + token, panel, S::add(rows[0], rows[1]));
        }
    }
}

/// Multiplies all tokens with one panel.
///
/// # Safety
/// As [`tile`], and `out` is writable for this panel and all tokens.
#[inline(always)]
unsafe fn panel<S: Simd, F: Format>(
    weights: *const u8,
    number: usize,
    x: &Activations,
    out: Output,
) {
    for (first, rows, blocks) in x.tiles() {
        let (mut row, mut blocks) = (first, blocks);
        // A tile holds its rows in runs of these widths.
        for width in Activations::widths(rows) {
            macro_rules! run {
                ($width:literal) => {{
                    let sums = tile::<S, F, $width>(weights, x.groups(), blocks, width);
                    put_rows::<S, $width>(sums, row, number, x, out);
                }};
            }
            match width {
                8 if S::WIDE => run!(8),
                4 if S::WIDE => run!(4),
                2 if S::WIDE => run!(2),
                _ if x.rows_of_token() == 1 => {
                    for i in 0..width {
                        let sums = tile::<S, F, 1>(weights, x.groups(), blocks.add(i), width);
                        put_rows::<S, 1>(sums, row + i, number, x, out);
                    }
                }
                _ => {
                    for i in (0..width).step_by(2) {
                        let sums = tile::<S, F, 2>(weights, x.groups(), blocks.add(i), width);
                        put_rows::<S, 2>(sums, row + i, number, x, out);
                    }
                }
            }
            blocks = blocks.add(width * x.groups());
            row += width;
        }
    }
}

/// Multiplies all tokens with the panels of `range`.
///
/// # Safety
/// `weights` holds the panels up to the end of `range`, each of `x.groups()` groups in whole
/// blocks of `F`; `out` is writable for those panels and all tokens, by this call alone; and the
/// processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd, F: Format>(
    weights: *const u8,
    range: Range<usize>,
    x: &Activations,
    out: Output,
) {
    let per_block = F::COLUMNS / GROUP;
    let bytes = x.groups() / per_block * F::BYTES;
    if x.rows() < MANY {
        for number in range {
            panel::<S, F>(weights.add(number * bytes), number, x, out);
        }
        return;
    }
    // Taken out, since a closure would not be compiled for the instructions of `S`.
    let mut room = OPENED.take();
    room.resize(
        (x.groups() * Open::<F>::BYTES).div_ceil(size_of::<Line>()),
        Line([0; 64]),
    );
    let opened = room.as_mut_ptr().cast::<u8>();
    for number in range {
        let blocks = weights.add(number * bytes);
        for group in 0..x.groups() {
            let block = blocks.add(group / per_block * F::BYTES);
            Open::<F>::put::<S>(
                &F::group::<S>(block, group % per_block),
                opened.add(group * Open::<F>::BYTES),
            );
        }
        panel::<S, Open<F>>(opened, number, x, out);
    }
    OPENED.set(room);
}

/// Reads sixteen weights of one column.
pub(super) trait Column {
    /// Of one weight.
    const BYTES: usize;
    /// # Safety
    /// `at` is readable for sixteen weights, and the processor has the instructions of `S`.
    unsafe fn load<S: Simd>(at: *const u8) -> S::Floats;
}

/// `F32`.
pub(super) struct Single;
/// `F16`.
pub(super) struct Half;
/// `BF16`.
pub(super) struct Brain;

impl Column for Single {
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn load<S: Simd>(at: *const u8) -> S::Floats {
        S::load(at.cast())
    }
}

impl Column for Half {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load<S: Simd>(at: *const u8) -> S::Floats {
        S::load_f16(at.cast())
    }
}

impl Column for Brain {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load<S: Simd>(at: *const u8) -> S::Floats {
        S::load_bf16(at.cast())
    }
}

/// Sums over columns of sixteen weights each, `stride` bytes apart, times `T` rows of activations,
/// `pitch` floats apart. Even and odd columns are summed apart, whatever `T` is.
///
/// # Safety
/// All those weights and activations are readable, and the processor has the instructions of `S`.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "two sums and the activations go by the same number"
)]
pub(super) unsafe fn columns<S: Simd, C: Column, const T: usize>(
    weights: *const u8,
    stride: usize,
    count: usize,
    x: *const f32,
    pitch: usize,
) -> [S::Floats; T] {
    let mut even = [S::splat(0.0); T];
    let mut odd = even;
    let mut at = weights;
    for column in 0..count / 2 {
        let (a, b) = (C::load::<S>(at), C::load::<S>(at.add(stride)));
        for token in 0..T {
            let x = x.add(token * pitch + 2 * column);
            even[token] = S::mul_add(a, S::splat(*x), even[token]);
            odd[token] = S::mul_add(b, S::splat(*x.add(1)), odd[token]);
        }
        at = at.add(2 * stride);
    }
    if !count.is_multiple_of(2) {
        let last = C::load::<S>(at);
        for token in 0..T {
            let x = *x.add(token * pitch + count - 1);
            even[token] = S::mul_add(last, S::splat(x), even[token]);
        }
    }
    std::array::from_fn(|token| S::add(even[token], odd[token]))
}

/// Rows of activations that are floats.
#[derive(Clone, Copy)]
pub(in crate::generate) struct Rows<'a> {
    /// Row after row, each `pitch` after the one before.
    pub(in crate::generate) floats: &'a [f32],
    /// Floats from one row to the next.
    pub(in crate::generate) pitch: usize,
    /// Floats of a row.
    pub(in crate::generate) width: usize,
}

/// As [`multiply`] for weights that are floats.
///
/// # Safety
/// `weights` holds the panels up to the end of `range`; `out` is writable for them and all tokens,
/// by this call alone; and the processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn multiply_floats<S: Simd, C: Column>(
    weights: *const u8,
    range: Range<usize>,
    x: Rows<'_>,
    out: Output,
) {
    let stride = LANES * C::BYTES;
    for number in range {
        let panel = weights.add(number * x.width * stride);
        let mut first = 0;
        for x_tile in x.floats.chunks(x.pitch * TILE) {
            let rows = x_tile
                .chunks(x.pitch)
                .take_while(|row| row.len() >= x.width);
            let tokens = rows.count();
            let at = x_tile.as_ptr();
            if tokens == TILE {
                let sums = columns::<S, C, TILE>(panel, stride, x.width, at, x.pitch);
                for (token, sum) in sums.into_iter().enumerate() {
                    out.put::<S>(first + token, number, sum);
                }
            } else {
                for token in 0..tokens {
                    let at = at.add(token * x.pitch);
                    let [sum] = columns::<S, C, 1>(panel, stride, x.width, at, x.pitch);
                    out.put::<S>(first + token, number, sum);
                }
            }
            first += tokens;
        }
    }
}

/// The weights of one lane of a panel.
///
/// # Safety
/// `panel` holds `out.len()` columns in whole blocks of `F`, and the processor has the
/// instructions of `S`.
#[inline(always)]
pub(super) unsafe fn open_row<S: Simd, F: Format>(panel: *const u8, lane: usize, out: &mut [f32]) {
    // The one set of vectors that takes codes of eight bits as centred has no offset for them.
    let centre = if F::EIGHT && S::CENTRED { 128.0 } else { 0.0 };
    let mut codes = [0; 8 * 4 * LANES];
    let mut floats = [[0.0; LANES]; 4];
    let per_block = F::COLUMNS / GROUP;
    for (number, out) in out.chunks_exact_mut(GROUP).enumerate() {
        let block = panel.add(number / per_block * F::BYTES);
        let group = F::group::<S>(block, number % per_block);
        for (j, vector) in group.codes.into_iter().enumerate() {
            S::store_bytes(vector, codes.as_mut_ptr().add(j * 4 * LANES));
        }
        for half in 0..2 {
            S::store(group.scales[half], floats[half].as_mut_ptr());
            S::store(group.offsets[half], floats[2 + half].as_mut_ptr());
        }
        for (column, out) in out.iter_mut().enumerate() {
            let code = f32::from(codes[column / 4 * 4 * LANES + lane * 4 + column % 4]) - centre;
            let half = column / (GROUP / 2);
            *out = floats[half][lane] * code + floats[2 + half][lane];
        }
    }
}

/// As [`open_row`] for weights that are floats.
///
/// # Safety
/// As [`open_row`].
#[inline(always)]
pub(super) unsafe fn open_float_row<S: Simd, C: Column>(
    panel: *const u8,
    lane: usize,
    out: &mut [f32],
) {
    let mut floats = [0.0; LANES];
    for (column, out) in out.iter_mut().enumerate() {
        let weights = C::load::<S>(panel.add(column * LANES * C::BYTES));
        S::store(weights, floats.as_mut_ptr());
        *out = floats[lane];
    }
}

//! The arithmetic of the decoder: products of quantised weights with activations, attention, and
//! loops over rows.
//!
//! Kernels are written once, over [`simd::Simd`], and compiled for each instruction set; one set
//! is chosen at run time. What is computed for a token does not depend on how many tokens are
//! computed with it, to the last bit. All functions run on the calling thread.

mod activations;
mod attend;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dense;
mod formats;
mod layout;
mod portable;
mod product;
mod simd;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::OnceLock;

pub(super) use activations::{Activations, Block, Precision, TILE};
pub(super) use attend::{Head, Query, Scores, padded};
pub(super) use formats::GROUP;
pub(super) use layout::Layout;
pub(super) use product::{Output, Rows};
pub(super) use simd::LANES;

/// The kernels of one instruction set.
pub(super) struct Kernels {
    /// What they are made for, in the words of its vendor.
    pub(super) name: &'static str,
    multiply: unsafe fn(Layout, *const u8, Range<usize>, &Activations, Output),
    multiply_floats: unsafe fn(Layout, *const u8, Range<usize>, Rows<'_>, Output),
    attend: unsafe fn(Head<'_>, Scores, &[Query]),
    quantise: unsafe fn(&[f32], (usize, usize), &mut [Block]),
    normalise: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    add: unsafe fn(&mut [f32], &[f32]),
    gate: unsafe fn(&mut [f32], &[f32]),
    gate_gelu: unsafe fn(&mut [f32], &[f32]),
    soft_cap: unsafe fn(&mut [f32], f32),
    open_row: unsafe fn(Layout, *const u8, usize, &mut [f32]),
    rotate_halves: unsafe fn(&mut [f32], &[f32], &[f32]),
    rotate_neighbours: unsafe fn(&mut [f32], &[f32], &[f32]),
    halve: unsafe fn(&[f32], &mut [u16]),
}

/// Compiles all kernels over the vectors of `$simd`, with the target features that follow.
macro_rules! compiled {
    ($table:ident, $name:literal, $simd:ty $(, #[$feature:meta])?) => {
        pub(super) static $table: Kernels = {
            use formats::{Fine, Format, Nested, Scaled, Shifted};
            use product::{Brain, Column, Half, Single};

            $(#[$feature])?
            unsafe fn blocks<F: Format>(
                weights: *const u8,
                range: Range<usize>,
                x: &Activations,
                out: Output,
            ) {
                // SAFETY: the caller keeps what `multiply` says.
                unsafe { product::multiply::<$simd, F>(weights, range, x, out) }
            }
            $(#[$feature])?
            unsafe fn floats<C: Column>(
                weights: *const u8,
                range: Range<usize>,
                x: Rows<'_>,
                out: Output,
            ) {
                // SAFETY: the caller keeps what `multiply_floats` says.
                unsafe { product::multiply_floats::<$simd, C>(weights, range, x, out) }
            }
            unsafe fn multiply(
                layout: Layout,
                weights: *const u8,
                range: Range<usize>,
                x: &Activations,
                out: Output,
            ) {
                let run = match layout {
                    Layout::Q4_0 => blocks::<Scaled<4>>,
                    Layout::Q5_0 => blocks::<Scaled<5>>,
                    Layout::Q8_0 => blocks::<Scaled<8>>,
                    Layout::Q4_1 => blocks::<Shifted<4>>,
                    Layout::Q5_1 => blocks::<Shifted<5>>,
                    Layout::Q4K => blocks::<Nested<4>>,
                    Layout::Q5K => blocks::<Nested<5>>,
                    Layout::Q6K => blocks::<Fine>,
                    Layout::F32 | Layout::F16 | Layout::BF16 => return,
                };
                // SAFETY: as above.
                unsafe { run(weights, range, x, out) }
            }
            unsafe fn multiply_floats(
                layout: Layout,
                weights: *const u8,
                range: Range<usize>,
                x: Rows<'_>,
                out: Output,
            ) {
                let run = match layout {
                    Layout::F32 => floats::<Single>,
                    Layout::F16 => floats::<Half>,
                    Layout::BF16 => floats::<Brain>,
                    _ => return,
                };
                // SAFETY: as above.
                unsafe { run(weights, range, x, out) }
            }
            $(#[$feature])?
            unsafe fn open_row(layout: Layout, panel: *const u8, lane: usize, out: &mut [f32]) {
                let open = match layout {
                    Layout::Q4_0 => product::open_row::<$simd, Scaled<4>>,
                    Layout::Q5_0 => product::open_row::<$simd, Scaled<5>>,
                    Layout::Q8_0 => product::open_row::<$simd, Scaled<8>>,
                    Layout::Q4_1 => product::open_row::<$simd, Shifted<4>>,
                    Layout::Q5_1 => product::open_row::<$simd, Shifted<5>>,
                    Layout::Q4K => product::open_row::<$simd, Nested<4>>,
                    Layout::Q5K => product::open_row::<$simd, Nested<5>>,
                    Layout::Q6K => product::open_row::<$simd, Fine>,
                    Layout::F32 => product::open_float_row::<$simd, Single>,
                    Layout::F16 => product::open_float_row::<$simd, Half>,
                    Layout::BF16 => product::open_float_row::<$simd, Brain>,
                };
                // SAFETY: the caller keeps what `open_row` says.
                unsafe { open(panel, lane, out) }
            }
            $(#[$feature])?
            unsafe fn attend(head: Head<'_>, by: Scores, queries: &[Query]) {
                // SAFETY: the caller keeps what `attend` says.
                unsafe { attend::attend::<$simd>(head, by, queries) }
            }
            $(#[$feature])?
            unsafe fn quantise(x: &[f32], place: (usize, usize), blocks: &mut [Block]) {
                // SAFETY: the processor has the instructions.
                unsafe { dense::quantise::<$simd>(x, place, blocks) }
            }
            $(#[$feature])?
            unsafe fn normalise(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
                // SAFETY: the processor has the instructions.
                unsafe { dense::normalise::<$simd>(x, weight, epsilon, out) }
            }
            $(#[$feature])?
            unsafe fn add(a: &mut [f32], b: &[f32]) {
                // SAFETY: the processor has the instructions.
                unsafe { dense::add::<$simd>(a, b) }
            }
            $(#[$feature])?
            unsafe fn gate(gate: &mut [f32], up: &[f32]) {
                // SAFETY: the processor has the instructions.
                unsafe { dense::gate::<$simd>(gate, up) }
            }
            $(#[$feature])?
            unsafe fn gate_gelu(gate: &mut [f32], up: &[f32]) {
                // SAFETY: the processor has the instructions.
                unsafe { dense::gate_gelu::<$simd>(gate, up) }
            }
            $(#[$feature])?
            unsafe fn soft_cap(x: &mut [f32], cap: f32) {
                // SAFETY: the processor has the instructions.
                unsafe { dense::soft_cap::<$simd>(x, cap) }
            }
            $(#[$feature])?
            unsafe fn rotate_halves(heads: &mut [f32], cos: &[f32], sin: &[f32]) {
                dense::rotate_halves(heads, cos, sin);
            }
            $(#[$feature])?
            unsafe fn rotate_neighbours(heads: &mut [f32], cos: &[f32], sin: &[f32]) {
                dense::rotate_neighbours(heads, cos, sin);
            }
            $(#[$feature])?
            unsafe fn halve(x: &[f32], out: &mut [u16]) {
                // SAFETY: the processor has the instructions.
                unsafe { dense::halve::<$simd>(x, out) }
            }
            Kernels {
                name: $name,
                multiply,
                multiply_floats,
                attend,
                quantise,
                normalise,
                add,
                gate,
                gate_gelu,
                soft_cap,
                open_row,
                rotate_halves,
                rotate_neighbours,
                halve,
            }
        };
    };
}

#[allow(
    unsafe_code,
    reason = "instances of kernels for an instruction set; only `supported` hands them out"
)]
mod sets {
    use crate::cpu::Level;

    use super::{
        Activations, Block, Head, Kernels, Layout, Output, Query, Range, Rows, Scores, attend,
        dense, formats, portable, product,
    };
    #[cfg(target_arch = "x86_64")]
    use super::{avx2, avx512};

    compiled!(PORTABLE, "portable", portable::Portable);
    #[cfg(target_arch = "x86_64")]
    compiled!(AVX2, "AVX2", avx2::Avx2, #[target_feature(enable = "avx2,fma,f16c,bmi2")]);
    #[cfg(target_arch = "x86_64")]
    compiled!(
        AVX512,
        "AVX-512 VNNI",
        avx512::Avx512,
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c,bmi2")]
    );

    /// All kernels that this processor can run, the fastest last.
    pub(super) fn supported() -> Vec<&'static Kernels> {
        let of = |level| match level {
            Level::Portable => &PORTABLE,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => &AVX2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => &AVX512,
        };
        Level::supported().into_iter().map(of).collect()
    }
}

/// The fastest kernels that this processor has.
pub(super) fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| sets::supported().pop().unwrap_or(&sets::PORTABLE))
}

#[allow(
    unsafe_code,
    reason = "calls of the table; only sets that the processor has are handed out"
)]
impl Kernels {
    /// Multiplies all of `x`, `[tokens, width]`, with the panels of `range`.
    ///
    /// # Safety
    /// `out` is writable for those panels and all tokens, by this call alone.
    ///
    /// # Panics
    /// Where `weights` does not hold the panels.
    pub(super) unsafe fn multiply(
        &self,
        layout: Layout,
        weights: &[u8],
        range: Range<usize>,
        x: &Activations,
        out: Output,
    ) {
        assert!(range.end * layout.panel_bytes(x.groups() * GROUP) <= weights.len());
        // SAFETY: the panels are there, and the caller keeps the rest.
        unsafe { (self.multiply)(layout, weights.as_ptr(), range, x, out) }
    }

    /// As [`Kernels::multiply`] for weights that are floats.
    ///
    /// # Safety
    /// As [`Kernels::multiply`].
    ///
    /// # Panics
    /// As [`Kernels::multiply`].
    pub(super) unsafe fn multiply_floats(
        &self,
        layout: Layout,
        weights: &[u8],
        range: Range<usize>,
        x: Rows<'_>,
        out: Output,
    ) {
        assert!(range.end * layout.panel_bytes(x.width) <= weights.len());
        // SAFETY: the panels are there, and the caller keeps the rest.
        unsafe { (self.multiply_floats)(layout, weights.as_ptr(), range, x, out) }
    }

    /// Answers up to eight queries over one head.
    ///
    /// # Safety
    /// The queries' numbers are readable and their results writable, by this call alone.
    ///
    /// # Panics
    /// Where `head` holds fewer positions than a query sees, or a query sees none.
    pub(super) unsafe fn attend(&self, head: Head<'_>, by: Scores, queries: &[Query]) {
        assert!(queries.len() <= TILE);
        for query in queries {
            let panels = query.visible.div_ceil(LANES);
            assert!(query.visible > query.from && panels * LANES * head.size <= head.keys.len());
            assert!(query.visible * padded(head.size) <= head.values.len());
        }
        // SAFETY: the positions are there, and the caller keeps the rest.
        unsafe { (self.attend)(head, by, queries) }
    }

    /// Rounds `x`, token `token` of a tile of `tokens`, to codes.
    ///
    /// # Panics
    /// Where `blocks` is not of a tile with such rows.
    pub(super) fn quantise(&self, x: &[f32], place: (usize, usize), blocks: &mut [Block]) {
        let (token, tokens) = place;
        let rows = blocks.len() * GROUP / x.len().max(GROUP);
        assert!(token < tokens && (rows == tokens || rows == 2 * tokens));
        assert_eq!(
            blocks.len() * GROUP,
            rows * x.len(),
            "blocks of {rows} rows"
        );
        // SAFETY: the processor has the instructions.
        unsafe { (self.quantise)(x, place, blocks) }
    }

    /// `x / sqrt(mean(x^2) + epsilon) * weight`.
    pub(super) fn normalise(&self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        assert!(x.len() == weight.len() && x.len() == out.len());
        // SAFETY: the lengths were checked.
        unsafe { (self.normalise)(x, weight, epsilon, out) }
    }

    /// `a += b`.
    pub(super) fn add(&self, a: &mut [f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        // SAFETY: the lengths were checked.
        unsafe { (self.add)(a, b) }
    }

    /// `gate = silu(gate) * up`.
    pub(super) fn gate(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len());
        // SAFETY: the lengths were checked.
        unsafe { (self.gate)(gate, up) }
    }

    /// `gate = gelu(gate) * up`.
    pub(super) fn gate_gelu(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len());
        // SAFETY: the lengths were checked.
        unsafe { (self.gate_gelu)(gate, up) }
    }

    /// `x = cap * tanh(x / cap)`.
    pub(super) fn soft_cap(&self, x: &mut [f32], cap: f32) {
        // SAFETY: the processor has the instructions.
        unsafe { (self.soft_cap)(x, cap) }
    }

    /// Turns pairs `(i, i + half)` of each head by the angles whose cosines and sines are given.
    pub(super) fn rotate_halves(&self, heads: &mut [f32], cos: &[f32], sin: &[f32]) {
        // SAFETY: the code is safe but for its instructions.
        unsafe { (self.rotate_halves)(heads, cos, sin) }
    }

    /// Turns pairs `(2 i, 2 i + 1)`, as [`Kernels::rotate_halves`].
    pub(super) fn rotate_neighbours(&self, heads: &mut [f32], cos: &[f32], sin: &[f32]) {
        // SAFETY: as above.
        unsafe { (self.rotate_neighbours)(heads, cos, sin) }
    }

    /// The weights of one row of `weights`.
    ///
    /// # Panics
    /// Where `weights` has no such row, or `out` is no whole number of blocks.
    pub(super) fn open_row(&self, layout: Layout, weights: &[u8], row: usize, out: &mut [f32]) {
        let bytes = layout.panel_bytes(out.len());
        assert!(out.len().is_multiple_of(layout.columns()));
        let panel = &weights[row / LANES * bytes..][..bytes];
        // SAFETY: the panel is there.
        unsafe { (self.open_row)(layout, panel.as_ptr(), row % LANES, out) }
    }

    /// `x` in half precision.
    pub(super) fn halve(&self, x: &[f32], out: &mut [u16]) {
        assert_eq!(x.len(), out.len());
        // SAFETY: the lengths were checked.
        unsafe { (self.halve)(x, out) }
    }
}

//! Products of rows with a matrix in panels, in floats and in bytes.
//!
//! One set of kernels is chosen at run time from what the processor can do. Products of bytes are
//! sums of whole numbers and therefore the same in all sets, products of floats agree within
//! rounding; tests hold the sets to it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::panels::{LANES, Panels};
use crate::cpu::Level;

/// Rows of floats `[rows, depth]` times a matrix of floats `[depth, columns]`.
pub(super) struct Floats<'a> {
    /// Rows of `stride` floats, of which `depth` count.
    pub(super) rows: &'a [f32],
    pub(super) stride: usize,
    pub(super) matrix: &'a Panels,
    /// One a lane of the matrix, or nothing.
    pub(super) bias: &'a [f32],
}

/// Rows of bytes `[rows, depth]` times a matrix of bytes `[depth, columns]`.
///
/// A byte `u` of row `r` stands for `scales[r * every] * (u - zeros[r * every])`, a byte `i` of column
/// `c` for `column_scales[c] * i`.
pub(super) struct Bytes<'a> {
    /// Rows of `stride` bytes, a multiple of four.
    pub(super) rows: &'a [u8],
    pub(super) stride: usize,
    pub(super) scales: &'a [f32],
    pub(super) zeros: &'a [i32],
    /// How far the scales and zeros of rows are apart.
    pub(super) every: usize,
    pub(super) matrix: &'a Panels,
    /// One a lane of the matrix.
    pub(super) column_scales: &'a [f32],
    /// Sum of each column's bytes, one a lane.
    pub(super) sums: &'a [i32],
    /// One a lane of the matrix, or nothing.
    pub(super) bias: &'a [f32],
}

/// Where a product goes: rows of `stride` floats, of which the matrix's columns are written.
pub(super) struct Out<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) stride: usize,
    /// Whether the product is added to what is there.
    pub(super) add: bool,
}

/// The kernels of one instruction set.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    /// Products of `rows` rows of floats.
    pub(super) floats: fn(rows: usize, &Floats<'_>, &mut Out<'_>),
    /// Products of `rows` rows of bytes.
    pub(super) bytes: fn(rows: usize, &Bytes<'_>, &mut Out<'_>),
}

impl Kernels {
    /// The kernels of an instruction set.
    ///
    /// # Panics
    /// Where this processor does not have it.
    pub(super) fn of(level: Level) -> Self {
        assert!(
            Level::supported().contains(&level),
            "this processor has no {}",
            level.name()
        );
        match level {
            Level::Portable => portable::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::KERNELS,
        }
    }
}

impl Floats<'_> {
    /// # Panics
    /// Where a slice is shorter than `rows` rows ask for.
    fn check(&self, rows: usize, out: &Out<'_>) {
        let depth = self.matrix.steps();
        check_rows("floats", self.rows.len(), rows, self.stride, depth);
        check_lanes("biases", self.bias.len(), self.matrix, true);
        out.check(rows, self.matrix);
    }
}

impl Bytes<'_> {
    /// # Panics
    /// Where a slice is shorter than `rows` rows ask for.
    fn check(&self, rows: usize, out: &Out<'_>) {
        let depth = self.matrix.steps() * 4;
        check_rows("bytes", self.rows.len(), rows, self.stride, depth);
        check_rows("scales", self.scales.len(), rows, self.every, 1);
        check_rows("zeros", self.zeros.len(), rows, self.every, 1);
        check_lanes("scales", self.column_scales.len(), self.matrix, false);
        check_lanes("sums", self.sums.len(), self.matrix, false);
        check_lanes("biases", self.bias.len(), self.matrix, true);
        out.check(rows, self.matrix);
    }

    /// What the sums of bytes in one panel stand for.
    fn values(&self, row: usize, panel: usize, sums: &[i32; LANES]) -> [f32; LANES] {
        let (scale, zero) = (self.scales[row * self.every], self.zeros[row * self.every]);
        std::array::from_fn(|lane| {
            let column = panel * LANES + lane;
            let whole = sums[lane].wrapping_sub(zero.wrapping_mul(self.sums[column]));
            let bias = self.bias.get(column).copied().unwrap_or(0.0);
            whole as f32 * (scale * self.column_scales[column]) + bias
        })
    }
}

impl Out<'_> {
    fn check(&self, rows: usize, matrix: &Panels) {
        check_rows(
            "results",
            self.values.len(),
            rows,
            self.stride,
            matrix.columns(),
        );
    }

    /// Writes the lanes of one panel that are columns.
    fn write(&mut self, matrix: &Panels, row: usize, panel: usize, lanes: &[f32; LANES]) {
        let first = panel * LANES;
        let count = (matrix.columns() - first).min(LANES);
        let own = &mut self.values[row * self.stride + first..][..count];
        for (value, lane) in own.iter_mut().zip(lanes) {
            *value = if self.add { *value + lane } else { *lane };
        }
    }
}

/// Four bytes as one number, as vector instructions want them repeated.
///
/// # Safety
/// There are four bytes at `at`.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "for kernels, which work on raw pointers")]
#[inline]
unsafe fn four(at: *const u8) -> i32 {
    // SAFETY: the caller's.
    i32::from_le_bytes(unsafe { at.cast::<[u8; 4]>().read() })
}

fn check_rows(what: &str, len: usize, rows: usize, stride: usize, depth: usize) {
    assert!(
        rows == 0 || depth <= stride && (rows - 1) * stride + depth <= len,
        "{len} {what} are too few for {rows} rows of {depth}, {stride} apart"
    );
}

fn check_lanes(what: &str, len: usize, matrix: &Panels, optional: bool) {
    assert!(
        len >= matrix.panels() * LANES || optional && len == 0,
        "{len} {what} are too few for {} columns",
        matrix.columns()
    );
}

#[cfg(test)]
mod tests;

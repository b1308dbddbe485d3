//! Matrices laid out for the product kernels.
//!
//! The columns of a matrix `[depth, columns]` are cut into panels of [`LANES`], and up to
//! [`BLOCK`] panels into a block. A block is read from its first byte to its last: for each step
//! of the depth, one [`Line`] of 64 bytes a panel. A step is one row of floats, or four rows of
//! bytes, so that a line holds 16 floats, or four bytes for each of 16 columns.

use bytemuck::{Pod, Zeroable};

/// Columns of a panel.
pub(super) const LANES: usize = 16;

/// Most panels of a block.
pub(super) const BLOCK: usize = 4;

/// One step of a panel.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Line([u8; 64]);

/// A matrix `[depth, columns]` in panels, a step of it being one row of floats or four of bytes.
#[derive(Debug, Default)]
pub(super) struct Panels {
    columns: usize,
    steps: usize,
    lines: Vec<Line>,
}

impl Panels {
    /// Makes room for a matrix of `steps` steps, all zero where `clear`.
    ///
    /// Without `clear`, whatever was there stays, and the caller writes every line that is used.
    pub(super) fn resize(&mut self, columns: usize, steps: usize, clear: bool) {
        self.columns = columns;
        self.steps = steps;
        let lines = columns.div_ceil(LANES) * steps;
        if clear {
            self.lines.clear();
        }
        self.lines.resize(lines, Line([0; 64]));
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Panels, the last one perhaps not full.
    pub(super) fn panels(&self) -> usize {
        self.columns.div_ceil(LANES)
    }

    pub(super) fn blocks(&self) -> usize {
        self.panels().div_ceil(BLOCK)
    }

    /// Panels of block `block`.
    pub(super) fn width(&self, block: usize) -> usize {
        (self.panels() - block * BLOCK).min(BLOCK)
    }

    /// The lines of block `block`: all panels of the first step, then of the second, ….
    pub(super) fn block(&self, block: usize) -> &[Line] {
        let width = self.width(block);
        &self.lines[block * BLOCK * self.steps..][..width * self.steps]
    }

    /// Where the first step of `panel` stands among the floats (16 a line) or the columns of bytes,
    /// and how far it is to the next step.
    fn panel(&self, panel: usize) -> (usize, usize) {
        let block = panel / BLOCK;
        let first = block * BLOCK * self.steps + panel % BLOCK;
        (first * LANES, self.width(block) * LANES)
    }

    /// Writes column `column` of floats, one a step.
    pub(super) fn write_floats(&mut self, column: usize, values: impl Iterator<Item = f32>) {
        let (first, next) = self.panel(column / LANES);
        let lane = first + column % LANES;
        let floats: &mut [f32] = bytemuck::cast_slice_mut(&mut self.lines);
        for (place, value) in floats[lane..].iter_mut().step_by(next).zip(values) {
            *place = value;
        }
    }

    /// Writes row `step` of floats, one a column.
    pub(super) fn write_row(&mut self, step: usize, values: &[f32]) {
        assert_eq!(
            values.len(),
            self.columns,
            "a row is as long as the matrix is wide"
        );
        for (panel, part) in values.chunks(LANES).enumerate() {
            let (first, next) = self.panel(panel);
            let floats: &mut [f32] = bytemuck::cast_slice_mut(&mut self.lines);
            floats[first + step * next..][..part.len()].copy_from_slice(part);
        }
    }

    /// Writes column `column` of bytes, four a step.
    pub(super) fn write_bytes(&mut self, column: usize, values: &[[i8; 4]]) {
        let (first, next) = self.panel(column / LANES);
        let lane = first + column % LANES;
        let fours: &mut [[i8; 4]] = bytemuck::cast_slice_mut(&mut self.lines);
        for (place, value) in fours[lane..].iter_mut().step_by(next).zip(values) {
            *place = *value;
        }
    }

    /// Writes step `step` of bytes from up to four rows `stride` apart; those that are missing
    /// are 0.
    pub(super) fn write_fours(&mut self, step: usize, rows: &[i8], stride: usize, width: usize) {
        const NONE: [i8; LANES] = [0; LANES];
        for panel in 0..self.panels() {
            let (first, next) = self.panel(panel);
            let from = panel * LANES;
            let count = (width - from).min(LANES);
            let row = |number: usize| {
                let at = number * stride + from;
                rows.get(at..at + count).unwrap_or(&NONE[..count])
            };
            let columns = row(0).iter().zip(row(1)).zip(row(2).iter().zip(row(3)));
            let fours: &mut [[i8; 4]] = bytemuck::cast_slice_mut(&mut self.lines);
            let places = &mut fours[first + step * next..][..count];
            for (place, ((a, b), (c, d))) in places.iter_mut().zip(columns) {
                *place = [*a, *b, *c, *d];
            }
        }
    }
}

//! Activations as the products read them: codes of eight bits in blocks of 32.

use super::formats::GROUP;

/// Rows of codes that are multiplied side by side.
pub(in crate::generate) const TILE: usize = 8;

/// 32 activations of one token: `scale * code`.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(16))]
pub(in crate::generate) struct Block {
    pub(super) codes: [i8; GROUP],
    pub(super) scale: f32,
    /// Sums of the first and the second half and of all, times the scale.
    pub(super) sums: [f32; 3],
}

impl Block {
    pub(super) const EMPTY: Self = Self {
        codes: [0; GROUP],
        scale: 0.0,
        sums: [0.0; 3],
    };
}

/// How finely activations are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::generate) enum Precision {
    /// To 255 steps in each 32.
    Eight,
    /// What that leaves is rounded once more, which makes some 16 bits of twice the work.
    Sixteen,
}

impl Precision {
    /// Rows of codes of a token.
    fn rows(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }
}

/// Activations `[tokens, width]`, rounded to one row of codes for each token or to two, which are
/// multiplied as if they were two tokens and summed.
///
/// Rows lie in runs of eight, the rest in runs of four, two and one; in a run the blocks of a
/// group stand together.
#[derive(Debug)]
pub(in crate::generate) struct Activations {
    blocks: Vec<Block>,
    tokens: usize,
    groups: usize,
    precision: Precision,
}

impl Default for Activations {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            tokens: 0,
            groups: 0,
            precision: Precision::Eight,
        }
    }
}

impl Activations {
    /// Makes room for `[tokens, width]`; `width` is a multiple of 32.
    pub(in crate::generate) fn resize(
        &mut self,
        tokens: usize,
        width: usize,
        precision: Precision,
    ) {
        debug_assert!(width.is_multiple_of(GROUP), "rows of {width}");
        self.tokens = tokens;
        self.groups = width / GROUP;
        self.precision = precision;
        let rows = tokens * precision.rows();
        self.blocks.resize(rows * self.groups, Block::EMPTY);
    }

    pub(in crate::generate) fn tokens(&self) -> usize {
        self.tokens
    }

    pub(in crate::generate) fn groups(&self) -> usize {
        self.groups
    }

    /// Rows of codes.
    pub(super) fn rows(&self) -> usize {
        self.tokens * self.precision.rows()
    }

    /// Rows of codes of a token.
    pub(super) fn rows_of_token(&self) -> usize {
        self.precision.rows()
    }

    /// Runs of up to eight rows: the first row, their number, and their blocks.
    pub(super) fn tiles(&self) -> impl Iterator<Item = (usize, usize, *const Block)> {
        let tiles = self.blocks.chunks((TILE * self.groups).max(1)).enumerate();
        tiles.map(|(i, blocks)| {
            let first = i * TILE;
            (first, TILE.min(self.rows() - first), blocks.as_ptr())
        })
    }

    /// The same, to be filled by several threads: blocks of a run, tokens of a run, and all runs
    /// one behind the other.
    pub(in crate::generate) fn tiles_mut(&mut self) -> (usize, usize, &mut [Block]) {
        let size = (TILE * self.groups).max(1);
        (size, TILE / self.precision.rows(), &mut self.blocks)
    }

    /// Sizes of the runs that make up so many rows.
    pub(super) fn widths(rows: usize) -> impl Iterator<Item = usize> {
        let mut left = rows;
        std::iter::from_fn(move || {
            let width = if left == 0 {
                return None;
            } else {
                1 << left.ilog2()
            };
            left -= width;
            Some(width)
        })
    }

    /// Where the blocks of `row`, of a tile of `rows`, lie in it: the first one, and how far
    /// apart they are.
    pub(super) fn place(row: usize, rows: usize, groups: usize) -> (usize, usize) {
        let mut first = 0;
        for width in Self::widths(rows) {
            if row < first + width {
                return (first * groups + row - first, width);
            }
            first += width;
        }
        unreachable!("row {row} of {rows}")
    }
}

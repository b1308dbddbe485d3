//! Weights from the order of a GGUF file into the order of the kernels.

#![allow(clippy::inline_always, reason = "a few instructions in inner loops")]

use std::ops::Range;

use candle_core::quantized::GgmlDType;

use super::formats::GROUP;
use super::simd::LANES;

/// The types of weights that kernels read; see [`super::formats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::generate) enum Layout {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
}

impl Layout {
    /// Of a file's type, where weights of it need no rewriting.
    pub(in crate::generate) fn of(dtype: GgmlDType) -> Option<Self> {
        Some(match dtype {
            GgmlDType::F32 => Self::F32,
            GgmlDType::F16 => Self::F16,
            GgmlDType::BF16 => Self::BF16,
            GgmlDType::Q4_0 => Self::Q4_0,
            GgmlDType::Q4_1 => Self::Q4_1,
            GgmlDType::Q5_0 => Self::Q5_0,
            GgmlDType::Q5_1 => Self::Q5_1,
            GgmlDType::Q8_0 => Self::Q8_0,
            GgmlDType::Q4K => Self::Q4K,
            GgmlDType::Q5K => Self::Q5K,
            GgmlDType::Q6K => Self::Q6K,
            _ => return None,
        })
    }

    /// Whether the weights are floats, multiplied with floats.
    pub(in crate::generate) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }

    /// Columns of a block.
    pub(in crate::generate) fn columns(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
            _ => GROUP,
        }
    }

    /// Bytes of a block of one row.
    fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 2 + 16,
            Self::Q4_1 => 4 + 16,
            Self::Q5_0 => 2 + 4 + 16,
            Self::Q5_1 => 4 + 4 + 16,
            Self::Q8_0 => 2 + 32,
            Self::Q4K => 4 + 12 + 128,
            Self::Q5K => 4 + 12 + 32 + 128,
            Self::Q6K => 128 + 64 + 16 + 2,
        }
    }

    /// Bytes of a row of so many columns, in the file.
    pub(in crate::generate) fn row_bytes(self, columns: usize) -> usize {
        columns / self.columns() * self.block_bytes()
    }

    /// Bytes of a panel of so many columns.
    pub(in crate::generate) fn panel_bytes(self, columns: usize) -> usize {
        self.row_bytes(columns) * LANES
    }

    /// Puts up to sixteen rows, as the file has them one after the other, into a panel of zeros.
    pub(in crate::generate) fn pack(self, rows: &[u8], columns: usize, panel: &mut [u8]) {
        let row = self.row_bytes(columns);
        match self {
            Self::F32 => return interleave::<4>(rows, row, panel),
            Self::F16 | Self::BF16 => return interleave::<2>(rows, row, panel),
            _ => {}
        }
        let width = self.block_bytes();
        // Of each row the codes of a block, as words of four columns in the order of the panel.
        let mut words = [[0; MOST_WORDS]; LANES];
        let count = LANES.min(rows.len() / row);
        for (number, packed) in panel.chunks_exact_mut(width * LANES).enumerate() {
            for (lane, words) in words[..count].iter_mut().enumerate() {
                let block = &rows[lane * row + number * width..][..width];
                self.pack_numbers(block, lane, packed);
                self.pack_codes(block, words);
            }
            let (halves, bytes) = self.numbers();
            let head = halves.len() * 2 * LANES + bytes.len() * LANES;
            transpose(&words, &mut packed[head..]);
        }
    }

    /// Numbers of a row that stand before its codes in the panel: the places of its halves in
    /// the block, and where its bytes are.
    fn numbers(self) -> (&'static [usize], Range<usize>) {
        match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => (&[0], 0..0),
            Self::Q4_1 | Self::Q5_1 => (&[0, 2], 0..0),
            Self::Q4K | Self::Q5K => (&[0, 2], 4..16),
            Self::Q6K => (&[208], 192..208),
            Self::F32 | Self::F16 | Self::BF16 => (&[], 0..0),
        }
    }

    fn pack_numbers(self, block: &[u8], lane: usize, packed: &mut [u8]) {
        let (halves, bytes) = self.numbers();
        for (i, at) in halves.iter().enumerate() {
            packed[i * 2 * LANES + lane * 2..][..2].copy_from_slice(&block[*at..at + 2]);
        }
        let packed = &mut packed[halves.len() * 2 * LANES..];
        for (byte, packed) in block[bytes].iter().zip(packed.chunks_exact_mut(LANES)) {
            packed[lane] = *byte;
        }
    }

    /// The codes of a block of one row, as [`super::formats`] draws them: of each group first
    /// further bits, then nibbles; four columns a word. No bit of a byte reaches its neighbour.
    fn pack_codes(self, block: &[u8], words: &mut [u32; MOST_WORDS]) {
        match self {
            // The file's nibbles stand as the panel's do.
            Self::Q4_0 | Self::Q4_1 => {
                words[..4].copy_from_slice(&read::<4>(block, block.len() - 16));
            }
            Self::Q5_0 | Self::Q5_1 => {
                let [fifth] = read::<1>(block, block.len() - 20);
                words[0] = (0..8).fold(0, |all, j| all | spread(fifth >> (4 * j)) << j);
                words[1..5].copy_from_slice(&read::<4>(block, block.len() - 16));
            }
            Self::Q8_0 => {
                for (word, codes) in words.iter_mut().zip(read::<8>(block, 2)) {
                    *word = codes ^ 0x8080_8080;
                }
            }
            Self::Q4K => {
                for pair in 0..4 {
                    let (even, odd) = nibbles(read::<8>(block, 16 + pair * GROUP));
                    words[pair * 8..][..4].copy_from_slice(&even);
                    words[pair * 8 + 4..][..4].copy_from_slice(&odd);
                }
            }
            Self::Q5K => {
                let fifth = read::<8>(block, 16);
                for pair in 0..4 {
                    let (even, odd) = nibbles(read::<8>(block, 48 + pair * GROUP));
                    let words = &mut words[pair * 10..][..10];
                    words[1..5].copy_from_slice(&even);
                    words[6..10].copy_from_slice(&odd);
                    for half in 0..2 {
                        let bits = fifth.map(|word| (word >> (2 * pair + half)) & 0x0101_0101);
                        words[5 * half] = (0..8).fold(0, |all, j| all | bits[j] << j);
                    }
                }
            }
            Self::Q6K => {
                // Each half of a block has 64 bytes of nibbles, two groups in the low ones and
                // two in the high, and 32 bytes of two bits for each of the four.
                for number in 0..8 {
                    let (half, quarter) = (number / 4, number % 4);
                    let (low, high) = nibbles(read::<8>(block, half * 64 + quarter % 2 * GROUP));
                    let words = &mut words[number * 6..][..6];
                    words[2..6].copy_from_slice(if quarter < 2 { &low } else { &high });
                    let bits = read::<8>(block, 128 + half * GROUP)
                        .map(|word| (word >> (2 * quarter)) & 0x0303_0303);
                    for (vector, bits) in bits.chunks_exact(4).enumerate() {
                        words[vector] = (0..4).fold(0, |all, j| all | bits[j] << (2 * j));
                    }
                }
            }
            Self::F32 | Self::F16 | Self::BF16 => {}
        }
    }
}

/// Words of a block's codes at most: of `Q6_K`.
const MOST_WORDS: usize = 48;

/// `N` words of a block from byte `at` on.
#[inline(always)]
fn read<const N: usize>(block: &[u8], at: usize) -> [u32; N] {
    let bytes = &block[at..at + 4 * N];
    std::array::from_fn(|i| u32::from_le_bytes([0, 1, 2, 3].map(|j| bytes[4 * i + j])))
}

/// From the words of a pair of groups, one in the low nibbles and one in the high ones, the words of
/// each: columns `j` in the low nibbles and `j + 16` in the high.
#[inline(always)]
fn nibbles(words: [u32; 8]) -> ([u32; 4], [u32; 4]) {
    const LOW: u32 = 0x0F0F_0F0F;
    (
        std::array::from_fn(|j| (words[j] & LOW) | ((words[j + 4] & LOW) << 4)),
        std::array::from_fn(|j| ((words[j] >> 4) & LOW) | (words[j + 4] & !LOW)),
    )
}

/// The four lowest bits, one a byte.
fn spread(bits: u32) -> u32 {
    ((bits & 15) * 0x0020_4081) & 0x0101_0101
}

/// Puts word `i` of each lane side by side, for as many words as `out` has room for.
fn transpose(words: &[[u32; MOST_WORDS]; LANES], out: &mut [u8]) {
    for (four, out) in out.chunks_exact_mut(4 * 4 * LANES).enumerate() {
        transpose_four(words, 4 * four, out);
    }
    let done = out.len() / (16 * LANES) * 4;
    for (i, out) in (done..).zip(out[done * 4 * LANES..].chunks_exact_mut(4 * LANES)) {
        for (words, out) in words.iter().zip(out.chunks_exact_mut(4)) {
            out.copy_from_slice(&words[i].to_le_bytes());
        }
    }
}

/// As [`transpose`] for the four words from `first` on, which are loads and shuffles of vectors.
#[inline(always)]
fn transpose_four(words: &[[u32; MOST_WORDS]; LANES], first: usize, out: &mut [u8]) {
    let mut columns = [[0_u32; LANES]; 4];
    for (lane, words) in words.iter().enumerate() {
        for (column, word) in columns.iter_mut().zip(&words[first..first + 4]) {
            column[lane] = word.to_le();
        }
    }
    out.copy_from_slice(bytemuck::cast_slice(columns.as_flattened()));
}

/// Puts floats of so many bytes each, of rows of `row` bytes, side by side.
fn interleave<const BYTES: usize>(rows: &[u8], row: usize, panel: &mut [u8]) {
    for (lane, row) in rows.chunks_exact(row).enumerate() {
        let columns = panel.chunks_exact_mut(BYTES * LANES);
        for (float, column) in row.chunks_exact(BYTES).zip(columns) {
            column[lane * BYTES..][..BYTES].copy_from_slice(float);
        }
    }
}

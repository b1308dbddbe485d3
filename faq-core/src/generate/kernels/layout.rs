//! Weights from the order of a GGUF file into the order of the kernels.

use candle_core::quantized::GgmlDType;

use super::formats::{GROUP, code_bytes};
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

    fn bits(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q4K => 4,
            Self::Q5_0 | Self::Q5_1 | Self::Q5K => 5,
            Self::Q6K => 6,
            _ => 8,
        }
    }

    /// Puts up to sixteen rows, as the file has them one after the other, into a panel of zeros.
    pub(in crate::generate) fn pack(self, rows: &[u8], columns: usize, panel: &mut [u8]) {
        let width = self.block_bytes();
        for (lane, row) in rows.chunks_exact(self.row_bytes(columns)).enumerate() {
            match self {
                Self::F32 => interleave::<4>(row, lane, panel),
                Self::F16 | Self::BF16 => interleave::<2>(row, lane, panel),
                _ => {
                    let blocks = panel.chunks_exact_mut(width * LANES);
                    for (block, packed) in row.chunks_exact(width).zip(blocks) {
                        self.pack_block(block, lane, packed);
                    }
                }
            }
        }
    }

    /// Puts a block of one row into its lane.
    fn pack_block(self, block: &[u8], lane: usize, packed: &mut [u8]) {
        // Numbers of a row that stand before its codes in the panel: (place in the block, bytes
        // of one, how many).
        let (halves, bytes): (&[usize], std::ops::Range<usize>) = match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => (&[0], 0..0),
            Self::Q4_1 | Self::Q5_1 => (&[0, 2], 0..0),
            Self::Q4K | Self::Q5K => (&[0, 2], 4..16),
            Self::Q6K => (&[208], 192..208),
            Self::F32 | Self::F16 | Self::BF16 => (&[], 0..0),
        };
        for (i, at) in halves.iter().enumerate() {
            packed[i * 2 * LANES + lane * 2..][..2].copy_from_slice(&block[*at..at + 2]);
        }
        let head = halves.len() * 2 * LANES;
        for (i, byte) in block[bytes.clone()].iter().enumerate() {
            packed[head + i * LANES + lane] = *byte;
        }
        let groups = packed[head + bytes.len() * LANES..].chunks_exact_mut(code_bytes(self.bits()));
        for (number, group) in groups.enumerate() {
            pack_codes(&self.codes(block, number), self.bits(), lane, group);
        }
    }

    /// The unsigned codes of a group.
    fn codes(self, block: &[u8], number: usize) -> [u8; GROUP] {
        let mut codes = [0; GROUP];
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => {
                let nibbles = &block[block.len() - 16..];
                for (i, byte) in nibbles.iter().enumerate() {
                    codes[i] = byte & 15;
                    codes[i + 16] = byte >> 4;
                }
                if self.bits() == 5 {
                    let high = &block[block.len() - 20..block.len() - 16];
                    for (i, code) in codes.iter_mut().enumerate() {
                        *code |= ((high[i / 8] >> (i % 8)) & 1) << 4;
                    }
                }
            }
            Self::Q8_0 => {
                for (code, byte) in codes.iter_mut().zip(&block[2..]) {
                    *code = byte ^ 128;
                }
            }
            Self::Q4K | Self::Q5K => {
                let nibbles = &block[block.len() - 128 + number / 2 * GROUP..];
                let high = &block[16..16 + GROUP];
                let shift = number % 2 * 4;
                for (i, code) in codes.iter_mut().enumerate() {
                    *code = (nibbles[i] >> shift) & 15;
                    if self == Self::Q5K {
                        *code |= ((high[i] >> number) & 1) << 4;
                    }
                }
            }
            Self::Q6K => {
                // Each half of a block has 64 bytes of nibbles, two groups in the low ones and
                // two in the high, and 32 bytes of two bits for each of the four.
                let (half, quarter) = (number / 4, number % 4);
                let nibbles = &block[half * 64 + quarter % 2 * GROUP..][..GROUP];
                let high = &block[128 + half * GROUP..][..GROUP];
                for (i, code) in codes.iter_mut().enumerate() {
                    *code = ((nibbles[i] >> (quarter / 2 * 4)) & 15)
                        | (((high[i] >> (2 * quarter)) & 3) << 4);
                }
            }
            Self::F32 | Self::F16 | Self::BF16 => {}
        }
        codes
    }
}

/// Puts the floats of a row, of so many bytes each, into a lane.
fn interleave<const BYTES: usize>(row: &[u8], lane: usize, panel: &mut [u8]) {
    let columns = panel.chunks_exact_mut(BYTES * LANES);
    for (float, column) in row.chunks_exact(BYTES).zip(columns) {
        column[lane * BYTES..][..BYTES].copy_from_slice(float);
    }
}

/// Puts the codes of a group into a lane: further bits first, then nibbles (see
/// [`super::formats`]).
fn pack_codes(codes: &[u8; GROUP], bits: usize, lane: usize, group: &mut [u8]) {
    // Four columns at a time: no bit of a byte reaches its neighbour.
    let mut words = [0; GROUP / 4];
    for (word, four) in words.iter_mut().zip(codes.chunks_exact(4)) {
        *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    }
    let mut put = |vector: usize, word: u32| {
        group[(vector * LANES + lane) * 4..][..4].copy_from_slice(&word.to_le_bytes());
    };
    if bits == 8 {
        for (j, word) in words.into_iter().enumerate() {
            put(j, word);
        }
        return;
    }
    let vectors = bits - 4;
    for vector in 0..vectors {
        let of_vector = 8 / vectors;
        let words = &words[vector * of_vector..][..of_vector];
        let high = words.iter().enumerate().fold(0, |high, (j, word)| {
            high | (((word >> 4) & 0x0303_0303) << (j * vectors))
        });
        put(vector, high);
    }
    for j in 0..4 {
        let low = (words[j] & 0x0F0F_0F0F) | ((words[j + 4] & 0x0F0F_0F0F) << 4);
        put(vectors + j, low);
    }
}

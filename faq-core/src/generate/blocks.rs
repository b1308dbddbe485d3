//! Weights rewritten into the layout that is computed fastest.
//!
//! candle multiplies `Q5_0` and `Q4_0` blocks without vector instructions (`Q5_0`) or slower
//! than `Q8_0`; both are exactly representable as `Q8_0`, which has the same blocks of 32
//! weights with one scale and a signed byte for each weight. Nothing is rounded.

use std::borrow::Cow;

use candle_core::quantized::GgmlDType;

/// Weights of a block in `Q4_0`, `Q5_0` and `Q8_0`.
const WEIGHTS: usize = 32;
const Q5_0_BYTES: usize = 2 + 4 + WEIGHTS / 2;
const Q8_0_BYTES: usize = 2 + WEIGHTS;

/// The same weights in the fastest type that holds them exactly.
pub(super) fn faster(dtype: GgmlDType, bytes: &[u8]) -> (GgmlDType, Cow<'_, [u8]>) {
    match dtype {
        GgmlDType::Q5_0 => (GgmlDType::Q8_0, Cow::Owned(widen_q5_0(bytes))),
        _ => (dtype, Cow::Borrowed(bytes)),
    }
}

/// `Q5_0`: a half-precision scale, 32 fifth bits, 16 bytes of nibbles (low nibbles are the
/// first 16 weights); a weight is `scale * (five bits - 16)`.
fn widen_q5_0(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / Q5_0_BYTES * Q8_0_BYTES);
    for block in bytes.chunks_exact(Q5_0_BYTES) {
        let (scale, rest) = block.split_at(2);
        let (high, nibbles) = rest.split_at(4);
        let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
        out.extend_from_slice(scale);
        for (i, byte) in nibbles.iter().enumerate() {
            let fifth = ((high >> i) & 1) as u8;
            out.push(((byte & 15) | (fifth << 4)).wrapping_sub(16));
        }
        for (i, byte) in nibbles.iter().enumerate() {
            let fifth = ((high >> (i + WEIGHTS / 2)) & 1) as u8;
            out.push(((byte >> 4) | (fifth << 4)).wrapping_sub(16));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::quantized::{GgmlDType, QTensor, ggml_file};
    use candle_core::{Device, Tensor};

    use super::faster;

    #[test]
    fn q5_0_is_the_same_numbers_as_q8_0() {
        let values: Vec<f32> = (0..256 * 64)
            .map(|i| ((i * 2_654_435_761_u64) % 10_007) as f32 / 5_000.0 - 1.0)
            .collect();
        let tensor = Tensor::from_vec(values, (64, 256), &Device::Cpu).unwrap();
        let five = QTensor::quantize(&tensor, GgmlDType::Q5_0).unwrap();
        let bytes = five.data().unwrap();
        let (dtype, wide) = faster(GgmlDType::Q5_0, &bytes);
        assert_eq!(dtype, GgmlDType::Q8_0);
        let eight =
            ggml_file::qtensor_from_ggml(dtype, &wide, vec![64, 256], &Device::Cpu).unwrap();
        let read = |q: &QTensor| {
            let t = q.dequantize(&Device::Cpu).unwrap();
            t.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(read(&five), read(&eight));
        assert!(read(&five).iter().any(|x| *x != 0.0));
    }
}

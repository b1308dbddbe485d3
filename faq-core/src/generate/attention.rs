//! What a model remembers of the tokens it has read: keys and values of each layer.
//!
//! The state grows in steps, so that a short prompt does not take the memory of a full
//! context. A [`Snapshot`] is a copy of it that later reading cannot touch.

use candle_core::{DType, Device, Result, Tensor};

/// Positions that the buffers grow by.
const STEP: usize = 256;

/// Keys and values of one layer.
#[derive(Debug, Default)]
pub(super) struct LayerState {
    /// `[heads, room, head]` each, of which the first `len` positions are filled.
    buffers: Option<(Tensor, Tensor)>,
    len: usize,
}

impl LayerState {
    /// Adds `[heads, new, head]`, and gives all that is there so far.
    pub(super) fn append(&mut self, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let (heads, new, head) = keys.dims3()?;
        let len = self.len + new;
        let old = self.buffers.take();
        let (all_keys, all_values) = match old {
            Some((k, v)) if len <= k.dim(1)? => (k, v),
            old => {
                let room = (heads, len.next_multiple_of(STEP), head);
                let larger = (
                    Tensor::zeros(room, DType::F32, &Device::Cpu)?,
                    Tensor::zeros(room, DType::F32, &Device::Cpu)?,
                );
                if let Some((k, v)) = old.filter(|_| self.len > 0) {
                    larger
                        .0
                        .slice_set(&k.narrow(1, 0, self.len)?.contiguous()?, 1, 0)?;
                    larger
                        .1
                        .slice_set(&v.narrow(1, 0, self.len)?.contiguous()?, 1, 0)?;
                }
                larger
            }
        };
        all_keys.slice_set(&keys.contiguous()?, 1, self.len)?;
        all_values.slice_set(&values.contiguous()?, 1, self.len)?;
        let seen = (all_keys.narrow(1, 0, len)?, all_values.narrow(1, 0, len)?);
        self.buffers = Some((all_keys, all_values));
        self.len = len;
        Ok(seen)
    }
}

/// The state of all layers after some tokens.
#[derive(Debug)]
pub(super) struct Attention {
    layers: Vec<LayerState>,
    len: usize,
}

/// A copy of an [`Attention`].
#[derive(Debug)]
pub(super) struct Snapshot {
    layers: Vec<(Tensor, Tensor)>,
}

impl Attention {
    /// A state of so many layers that has seen nothing.
    pub(super) fn new(layers: usize) -> Self {
        Self {
            layers: (0..layers).map(|_| LayerState::default()).collect(),
            len: 0,
        }
    }

    /// Tokens seen.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn layers(&mut self) -> std::slice::IterMut<'_, LayerState> {
        self.layers.iter_mut()
    }

    /// Counts tokens whose keys and values were appended to every layer.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// Forgets everything; the buffers stay.
    pub(super) fn reset(&mut self) {
        self.len = 0;
        for layer in &mut self.layers {
            layer.len = 0;
        }
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        let copy = |buffer: &Tensor| buffer.narrow(1, 0, self.len)?.force_contiguous();
        let mut layers = Vec::with_capacity(self.layers.len());
        for (keys, values) in self
            .layers
            .iter()
            .filter_map(|layer| layer.buffers.as_ref())
        {
            layers.push((copy(keys)?, copy(values)?));
        }
        Ok(Snapshot { layers })
    }

    /// Takes over the first `tokens` tokens of a snapshot.
    pub(super) fn restore(&mut self, snapshot: &Snapshot, tokens: usize) -> Result<()> {
        self.reset();
        for (layer, (keys, values)) in self.layers.iter_mut().zip(&snapshot.layers) {
            layer.append(&keys.narrow(1, 0, tokens)?, &values.narrow(1, 0, tokens)?)?;
        }
        self.len = tokens;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Tensor};

    use super::{Attention, STEP};

    fn read(attention: &mut Attention, from: usize, tokens: usize) -> Vec<f32> {
        let numbers: Vec<f32> = (0..2 * tokens * 4)
            .map(|i| (from * 1000 + i) as f32)
            .collect();
        let new = Tensor::from_vec(numbers, (2, tokens, 4), &Device::Cpu).unwrap();
        let mut seen = Vec::new();
        for layer in attention.layers() {
            let (keys, _) = layer.append(&new, &new).unwrap();
            seen = keys.flatten_all().unwrap().to_vec1().unwrap();
        }
        attention.advance(tokens);
        seen
    }

    #[test]
    fn growing_keeps_what_is_there() {
        let mut attention = Attention::new(2);
        let first = read(&mut attention, 0, 3);
        let later = read(&mut attention, 1, STEP);
        assert_eq!(attention.len(), STEP + 3);
        assert_eq!(later.len(), 2 * (STEP + 3) * 4);
        assert_eq!(first[..12], later[..12]);
        assert_eq!(first[12..], later[(STEP + 3) * 4..][..12]);
    }

    #[test]
    fn a_snapshot_is_out_of_reach_of_later_reading() {
        let mut attention = Attention::new(2);
        read(&mut attention, 0, STEP);
        let snapshot = attention.snapshot().unwrap();
        let once = read(&mut attention, 1, 2);
        attention.reset();
        read(&mut attention, 7, STEP);
        attention.restore(&snapshot, STEP).unwrap();
        assert_eq!(read(&mut attention, 1, 2), once);
        attention.restore(&snapshot, 5).unwrap();
        assert_eq!(attention.len(), 5);
        assert_eq!(read(&mut attention, 1, 2)[..20], once[..20]);
    }
}

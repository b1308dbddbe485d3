//! What a model remembers of the tokens it has read: keys and values of each layer, in half
//! precision.
//!
//! The state grows with the tokens, so that a short prompt does not take the memory of a full
//! context. A [`Snapshot`] is a copy of it that later reading cannot touch.

use super::kernels::{Head, Kernels, LANES, padded};

/// Positions that the buffers grow by.
const STEP: usize = 256;

/// Keys and values of one head of one layer, in the order that [`Head`] says.
#[derive(Debug, Clone, Default)]
pub(super) struct HeadState {
    keys: Vec<u16>,
    values: Vec<u16>,
}

impl HeadState {
    /// Puts `tokens` keys and values behind the first `seen`. Each token's row has `pitch` floats,
    /// of which `size` from `key` on and from `value` on belong to this head.
    pub(super) fn append(
        &mut self,
        kernels: &Kernels,
        rows: &[f32],
        (pitch, size): (usize, usize),
        (key, value): (usize, usize),
        seen: usize,
    ) {
        let wide = padded(size);
        let tokens = rows.len() / pitch;
        self.grow(seen + tokens, size);
        let mut half = vec![0; size];
        for (position, row) in (seen..).zip(rows.chunks_exact(pitch)) {
            kernels.halve(&row[key..][..size], &mut half);
            let first = position / LANES * size * LANES + position % LANES;
            for (i, bits) in half.iter().enumerate() {
                self.keys[first + i * LANES] = *bits;
            }
            let values = &mut self.values[position * wide..][..size];
            kernels.halve(&row[value..][..size], values);
        }
    }

    fn grow(&mut self, positions: usize, size: usize) {
        let room = positions.next_multiple_of(LANES) * size;
        if self.keys.len() < room {
            let room = positions.next_multiple_of(STEP);
            self.keys.resize(room * size, 0);
            self.values.resize(room * padded(size), 0);
        }
    }

    pub(super) fn view(&self, size: usize) -> Head<'_> {
        Head {
            keys: &self.keys,
            values: &self.values,
            size,
        }
    }

    /// What the first `positions` take.
    fn lengths(positions: usize, size: usize) -> (usize, usize) {
        (
            positions.next_multiple_of(LANES) * size,
            positions * padded(size),
        )
    }
}

/// The state of all layers after some tokens.
#[derive(Debug)]
pub(super) struct Attention {
    /// `[layers, heads]`.
    layers: Vec<Vec<HeadState>>,
    /// Numbers of a key.
    size: usize,
    len: usize,
}

/// A copy of an [`Attention`].
#[derive(Debug)]
pub(super) struct Snapshot {
    layers: Vec<Vec<HeadState>>,
    len: usize,
}

impl Attention {
    /// A state that has seen nothing, with `heads` of `size` a layer.
    pub(super) fn new(layers: usize, heads: usize, size: usize) -> Self {
        Self {
            layers: vec![vec![HeadState::default(); heads]; layers],
            size,
            len: 0,
        }
    }

    /// Tokens seen.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The heads of a layer.
    pub(super) fn layer(&mut self, number: usize) -> &mut [HeadState] {
        &mut self.layers[number]
    }

    /// Counts tokens whose keys and values were appended to every layer.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// Forgets what came after the first `tokens`; the buffers stay.
    pub(super) fn cut(&mut self, tokens: usize) {
        self.len = self.len.min(tokens);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let (keys, values) = HeadState::lengths(self.len, self.size);
        let copy = |head: &HeadState| HeadState {
            keys: head.keys[..keys].to_vec(),
            values: head.values[..values].to_vec(),
        };
        let layers = self.layers.iter();
        Snapshot {
            layers: layers.map(|l| l.iter().map(copy).collect()).collect(),
            len: self.len,
        }
    }

    /// Takes over the first `tokens` tokens of a snapshot, all where it has fewer.
    pub(super) fn restore(&mut self, snapshot: &Snapshot, tokens: usize) {
        let tokens = tokens.min(snapshot.len);
        let (keys, values) = HeadState::lengths(tokens, self.size);
        let heads = self.layers.iter_mut().flatten();
        for (head, copy) in heads.zip(snapshot.layers.iter().flatten()) {
            head.grow(tokens, self.size);
            head.keys[..keys].copy_from_slice(&copy.keys[..keys]);
            head.values[..values].copy_from_slice(&copy.values[..values]);
        }
        self.len = tokens;
    }
}

/// Layers, heads of a layer, and numbers of a key.
type Shape = (usize, usize, usize);

impl Snapshot {
    /// How many numbers a state of `tokens` tokens has.
    pub(super) fn count((layers, heads, size): Shape, tokens: usize) -> usize {
        let (keys, values) = HeadState::lengths(tokens, size);
        layers * heads * (keys + values)
    }

    /// Keys and values of each head of each layer.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &[u16]> {
        let heads = self.layers.iter().flatten();
        heads.flat_map(|head| [head.keys.as_slice(), head.values.as_slice()])
    }

    /// From what [`Snapshot::numbers`] gave; none where there are more or fewer.
    pub(super) fn from_numbers(
        (layers, heads, size): Shape,
        tokens: usize,
        numbers: impl ExactSizeIterator<Item = u16>,
    ) -> Option<Self> {
        if numbers.len() != Self::count((layers, heads, size), tokens) {
            return None;
        }
        let (keys, values) = HeadState::lengths(tokens, size);
        let mut numbers = numbers;
        let mut head = || HeadState {
            keys: numbers.by_ref().take(keys).collect(),
            values: numbers.by_ref().take(values).collect(),
        };
        let layers = (0..layers).map(|_| (0..heads).map(|_| head()).collect());
        Some(Self {
            layers: layers.collect(),
            len: tokens,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::kernels;
    use super::{Attention, STEP};

    /// Reads tokens into all layers, and gives the keys and values of the last head.
    fn read(attention: &mut Attention, from: usize, tokens: usize) -> (Vec<u16>, Vec<u16>) {
        // Rows of 2 keys of 4 and 2 values of 4.
        let rows: Vec<f32> = (0..tokens * 16).map(|i| (from * 100 + i) as f32).collect();
        let seen = attention.len();
        for layer in 0..2 {
            for (head, state) in attention.layer(layer).iter_mut().enumerate() {
                state.append(kernels(), &rows, (16, 4), (head * 4, 8 + head * 4), seen);
            }
        }
        attention.advance(tokens);
        let head = attention.layer(1)[1].view(4);
        (head.keys.to_vec(), head.values.to_vec())
    }

    #[test]
    fn growing_keeps_what_is_there() {
        let mut attention = Attention::new(2, 2, 4);
        let first = read(&mut attention, 0, 3);
        let later = read(&mut attention, 1, STEP);
        assert_eq!(attention.len(), STEP + 3);
        assert_eq!(later.1.len(), 2 * STEP * 16);
        assert_eq!(first.1[..48], later.1[..48]);
        for i in 0..4 {
            assert_eq!(first.0[i * 16..][..3], later.0[i * 16..][..3]);
        }
    }

    #[test]
    fn a_snapshot_is_out_of_reach_of_later_reading() {
        let mut attention = Attention::new(2, 2, 4);
        read(&mut attention, 0, STEP - 5);
        let snapshot = attention.snapshot();
        let once = read(&mut attention, 1, 2);
        attention.cut(0);
        read(&mut attention, 7, STEP);
        attention.restore(&snapshot, STEP);
        assert_eq!(attention.len(), STEP - 5);
        let again = read(&mut attention, 1, 2);
        assert_eq!(again.0[..STEP - 16], once.0[..STEP - 16]);
        assert_eq!(again.1[..(STEP - 3) * 16], once.1[..(STEP - 3) * 16]);
        attention.restore(&snapshot, 5);
        assert_eq!(attention.len(), 5);
    }
}

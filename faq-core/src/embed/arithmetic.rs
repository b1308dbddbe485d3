//! The two arithmetics of the encoder: 32-bit floats, and 8-bit whole numbers.
//!
//! In bytes, every [`SLICE`] of a row of activations has a scale and a zero of its own, the same slice
//! of every column of weights a scale, and every query, key and value of a head a scale. Sums over
//! slices, norms, and what is added up from layer to layer stay floats.

use std::ops::Range;

use super::kernels;
use super::panels::{LANES, Panels};
use super::product::{Bytes, Floats, Kernels, Out};

/// Which of the three that attention works with.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Query,
    Key,
    Value,
}

/// Queries, keys and values of a batch of texts, head by head: of each part and head, a row for
/// each token.
#[derive(Default)]
pub(super) struct Heads<T> {
    rows: Vec<T>,
    /// One a row, where rows have scales.
    scales: Vec<f32>,
    count: usize,
    tokens: usize,
    /// Values of a row that count.
    width: usize,
    /// How far rows are apart.
    stride: usize,
}

impl<T: Copy + Default> Heads<T> {
    fn resize(&mut self, heads: usize, tokens: usize, width: usize, stride: usize) {
        (self.count, self.tokens) = (heads, tokens);
        (self.width, self.stride) = (width, stride);
        self.rows.clear();
        self.rows.resize(3 * heads * tokens * stride, T::default());
    }

    /// The rows of one part and head that belong to the tokens of `span`.
    fn of(&self, part: Part, head: usize, span: &Range<usize>) -> &[T] {
        let first = (part as usize * self.count + head) * self.tokens + span.start;
        &self.rows[first * self.stride..][..span.len() * self.stride]
    }

    fn scales(&self, part: Part, head: usize, span: &Range<usize>) -> &[f32] {
        let first = (part as usize * self.count + head) * self.tokens + span.start;
        &self.scales[first..][..span.len()]
    }
}

/// How numbers are kept between the products.
pub(super) trait Arithmetic: Send + Sync + 'static {
    /// Rows that are multiplied.
    type Rows: Default + Send;
    /// What they are multiplied with.
    type Matrix: Default + Send + Sync;
    /// Queries, keys and values.
    type Heads: Default + Send;

    /// A linear layer: for each of its columns `depth` weights, as model files have them.
    fn weights(columns: &[f32], depth: usize, bias: &[f32]) -> Self::Matrix;

    /// Takes in rows of `width` floats.
    fn rows(rows: &mut Self::Rows, values: &[f32], width: usize);

    /// Makes room for the queries, keys and values of `tokens` tokens.
    fn heads(store: &mut Self::Heads, heads: usize, tokens: usize, width: usize);

    /// Takes in the queries, keys and values of the tokens from `first` on: rows with all heads'
    /// queries, then all keys, then all values. `room` is for the way.
    fn split(store: &mut Self::Heads, first: usize, values: &[f32], room: &mut Self::Rows);

    /// Takes in the queries of one head.
    fn queries(rows: &mut Self::Rows, store: &Self::Heads, head: usize, span: &Range<usize>);

    /// Takes in the keys of one head as columns, all times `scale`.
    fn keys(
        matrix: &mut Self::Matrix,
        store: &Self::Heads,
        head: usize,
        span: &Range<usize>,
        scale: f32,
    );

    /// Takes in the values of one head as rows. What their products must be weighted with
    /// beforehand goes into `weights`, one a value.
    fn values(
        matrix: &mut Self::Matrix,
        weights: &mut Vec<f32>,
        store: &Self::Heads,
        head: usize,
        span: &Range<usize>,
    );

    /// Takes in the softmax of rows of `weights.len()` scores, `stride` apart, times `weights`.
    /// The scores are lost.
    fn softmax(rows: &mut Self::Rows, scores: &mut [f32], stride: usize, weights: &[f32]);

    /// GELU, as exact as the arithmetic is.
    fn gelu(values: &mut [f32]);

    /// Products of `count` rows from `first` on.
    fn multiply(
        kernels: &Kernels,
        rows: &Self::Rows,
        first: usize,
        count: usize,
        matrix: &Self::Matrix,
        out: &mut Out<'_>,
    );
}

/// 32-bit floats throughout.
pub(super) struct Float;

#[derive(Default)]
pub(super) struct FloatRows {
    values: Vec<f32>,
    stride: usize,
}

#[derive(Default)]
pub(super) struct FloatMatrix {
    panels: Panels,
    bias: Vec<f32>,
}

impl Arithmetic for Float {
    type Rows = FloatRows;
    type Matrix = FloatMatrix;
    type Heads = Heads<f32>;

    fn weights(columns: &[f32], depth: usize, bias: &[f32]) -> FloatMatrix {
        let mut panels = Panels::default();
        panels.resize(bias.len(), depth, true);
        for (number, column) in columns.chunks_exact(depth).enumerate() {
            panels.write_floats(number, column.iter().copied());
        }
        let bias = lanes(bias, &panels);
        FloatMatrix { panels, bias }
    }

    fn rows(rows: &mut FloatRows, values: &[f32], width: usize) {
        rows.stride = width;
        rows.values.clear();
        rows.values.extend_from_slice(values);
    }

    fn heads(store: &mut Heads<f32>, heads: usize, tokens: usize, width: usize) {
        store.resize(heads, tokens, width, width);
    }

    fn split(store: &mut Heads<f32>, first: usize, values: &[f32], _: &mut FloatRows) {
        let (width, groups) = (store.width, 3 * store.count);
        for (token, row) in values.chunks_exact(groups * width).enumerate() {
            for (group, part) in row.chunks_exact(width).enumerate() {
                let at = (group * store.tokens + first + token) * width;
                store.rows[at..at + width].copy_from_slice(part);
            }
        }
    }

    fn queries(rows: &mut FloatRows, store: &Heads<f32>, head: usize, span: &Range<usize>) {
        rows.stride = store.stride;
        rows.values.clear();
        rows.values
            .extend_from_slice(store.of(Part::Query, head, span));
    }

    fn keys(
        matrix: &mut FloatMatrix,
        store: &Heads<f32>,
        head: usize,
        span: &Range<usize>,
        scale: f32,
    ) {
        matrix.panels.resize(span.len(), store.width, false);
        let keys = store.of(Part::Key, head, span);
        for (number, key) in keys.chunks_exact(store.stride).enumerate() {
            matrix
                .panels
                .write_floats(number, key.iter().map(|x| x * scale));
        }
    }

    fn values(
        matrix: &mut FloatMatrix,
        weights: &mut Vec<f32>,
        store: &Heads<f32>,
        head: usize,
        span: &Range<usize>,
    ) {
        weights.clear();
        weights.resize(span.len(), 1.0);
        matrix.panels.resize(store.width, span.len(), false);
        let values = store.of(Part::Value, head, span);
        for (number, value) in values.chunks_exact(store.stride).enumerate() {
            matrix.panels.write_row(number, value);
        }
    }

    fn softmax(rows: &mut FloatRows, scores: &mut [f32], stride: usize, weights: &[f32]) {
        kernels::softmax(scores, stride, weights.len());
        rows.stride = stride;
        rows.values.clear();
        rows.values.extend_from_slice(scores);
    }

    fn gelu(values: &mut [f32]) {
        kernels::gelu(values);
    }

    fn multiply(
        kernels: &Kernels,
        rows: &FloatRows,
        first: usize,
        count: usize,
        matrix: &FloatMatrix,
        out: &mut Out<'_>,
    ) {
        let job = Floats {
            rows: &rows.values[first * rows.stride..],
            stride: rows.stride,
            matrix: &matrix.panels,
            bias: &matrix.bias,
        };
        (kernels.floats)(count, &job, out);
    }
}

/// Numbers of a row that share a scale: few enough that one large number, of which every layer's
/// rows have some, makes few others rough.
///
/// With all-MiniLM-L6-v2 the least cosine to vectors in floats, over single words, is .992 with whole
/// rows, .996 with this and .997 with 128.
const SLICE: usize = 192;

/// 8-bit whole numbers in all products.
pub(super) struct Int8;

#[derive(Default)]
pub(super) struct ByteRows {
    bytes: Vec<u8>,
    stride: usize,
    /// Slices of a row.
    slices: usize,
    /// `[rows, slices]`.
    scales: Vec<f32>,
    zeros: Vec<i32>,
    signed: Vec<i8>,
}

#[derive(Default)]
pub(super) struct ByteMatrix {
    slices: Vec<MatrixSlice>,
    bias: Vec<f32>,
}

/// Rows of a matrix that are multiplied with one slice.
#[derive(Default)]
struct MatrixSlice {
    panels: Panels,
    /// One a lane.
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl ByteRows {
    fn resize(&mut self, rows: usize, width: usize, slices: usize) {
        self.stride = width.next_multiple_of(4);
        self.slices = slices;
        self.bytes.resize(rows * self.stride, 0);
        self.scales.resize(rows * slices, 0.0);
        self.zeros.resize(rows * slices, 0);
    }
}

impl ByteMatrix {
    /// The one slice of a matrix that is a single one.
    fn single(&mut self) -> &mut MatrixSlice {
        if self.slices.is_empty() {
            self.slices.push(MatrixSlice::default());
        }
        &mut self.slices[0]
    }
}

impl MatrixSlice {
    /// Fills the columns from bytes `[columns, stride]`, of which the last ones of a row may be
    /// padding of value 0. The columns' scales are there already.
    fn columns(&mut self, bytes: &[i8], stride: usize) {
        self.panels.resize(bytes.len() / stride, stride / 4, false);
        self.sums.clear();
        for (number, column) in bytes.chunks_exact(stride).enumerate() {
            self.panels
                .write_bytes(number, bytemuck::cast_slice(column));
            self.sums.push(column.iter().map(|x| i32::from(*x)).sum());
        }
        let padded = self.panels.panels() * LANES;
        self.sums.resize(padded, 0);
        self.scales.resize(padded, 0.0);
    }
}

impl Arithmetic for Int8 {
    type Rows = ByteRows;
    type Matrix = ByteMatrix;
    type Heads = Heads<i8>;

    fn weights(columns: &[f32], depth: usize, bias: &[f32]) -> ByteMatrix {
        let mut matrix = ByteMatrix::default();
        for from in (0..depth).step_by(SLICE) {
            let to = (from + SLICE).min(depth);
            let mut part = Vec::with_capacity(bias.len() * (to - from));
            for column in columns.chunks_exact(depth) {
                part.extend_from_slice(&column[from..to]);
            }
            let stride = (to - from).next_multiple_of(4);
            let mut bytes = vec![0; bias.len() * stride];
            let mut slice = MatrixSlice {
                scales: vec![0.0; bias.len()],
                ..MatrixSlice::default()
            };
            kernels::round_groups(&part, to - from, &mut bytes, stride, &mut slice.scales);
            slice.columns(&bytes, stride);
            matrix.bias = lanes(bias, &slice.panels);
            matrix.slices.push(slice);
        }
        matrix
    }

    fn rows(rows: &mut ByteRows, values: &[f32], width: usize) {
        rows.resize(values.len() / width, width, width.div_ceil(SLICE));
        kernels::round_rows(
            values,
            width,
            SLICE,
            &mut rows.bytes,
            rows.stride,
            &mut rows.scales,
            &mut rows.zeros,
        );
    }

    fn heads(store: &mut Heads<i8>, heads: usize, tokens: usize, width: usize) {
        store.resize(heads, tokens, width, width.next_multiple_of(4));
        store.scales.resize(3 * heads * tokens, 0.0);
    }

    fn split(store: &mut Heads<i8>, first: usize, values: &[f32], room: &mut ByteRows) {
        let (width, stride, groups) = (store.width, store.stride, 3 * store.count);
        room.signed.clear();
        room.signed.resize(groups * stride, 0);
        room.scales.resize(groups, 0.0);
        for (token, row) in values.chunks_exact(groups * width).enumerate() {
            kernels::round_groups(row, width, &mut room.signed, stride, &mut room.scales);
            let rounded = room.signed.chunks_exact(stride).zip(&room.scales);
            for (group, (bytes, scale)) in rounded.enumerate() {
                let at = group * store.tokens + first + token;
                store.rows[at * stride..][..stride].copy_from_slice(bytes);
                store.scales[at] = *scale;
            }
        }
    }

    fn queries(rows: &mut ByteRows, store: &Heads<i8>, head: usize, span: &Range<usize>) {
        rows.resize(span.len(), store.width, 1);
        let queries = store.of(Part::Query, head, span);
        for (byte, signed) in rows.bytes.iter_mut().zip(queries) {
            *byte = signed.cast_unsigned() ^ 0x80;
        }
        rows.scales
            .copy_from_slice(store.scales(Part::Query, head, span));
        rows.zeros.fill(0x80);
    }

    fn keys(
        matrix: &mut ByteMatrix,
        store: &Heads<i8>,
        head: usize,
        span: &Range<usize>,
        scale: f32,
    ) {
        let keys = matrix.single();
        let scales = store.scales(Part::Key, head, span);
        keys.scales.clear();
        keys.scales.extend(scales.iter().map(|own| own * scale));
        keys.columns(store.of(Part::Key, head, span), store.stride);
    }

    fn values(
        matrix: &mut ByteMatrix,
        weights: &mut Vec<f32>,
        store: &Heads<i8>,
        head: usize,
        span: &Range<usize>,
    ) {
        weights.clear();
        weights.extend_from_slice(store.scales(Part::Value, head, span));
        let values = matrix.single();
        let steps = span.len().div_ceil(4);
        values.panels.resize(store.width, steps, false);
        let rows = store.of(Part::Value, head, span);
        for (step, rows) in rows.chunks(4 * store.stride).enumerate() {
            values
                .panels
                .write_fours(step, rows, store.stride, store.width);
        }
        // Probabilities have 0 as their zero, so sums count for nothing.
        let padded = values.panels.panels() * LANES;
        values.sums.clear();
        values.sums.resize(padded, 0);
        values.scales.clear();
        values.scales.resize(padded, 1.0);
    }

    fn softmax(rows: &mut ByteRows, scores: &mut [f32], stride: usize, weights: &[f32]) {
        rows.resize(scores.len() / stride, weights.len(), 1);
        rows.zeros.fill(0);
        kernels::softmax_bytes(
            scores,
            stride,
            weights,
            &mut rows.bytes,
            rows.stride,
            &mut rows.scales,
        );
    }

    fn gelu(values: &mut [f32]) {
        kernels::gelu_rough(values);
    }

    fn multiply(
        kernels: &Kernels,
        rows: &ByteRows,
        first: usize,
        count: usize,
        matrix: &ByteMatrix,
        out: &mut Out<'_>,
    ) {
        let add = out.add;
        for (number, slice) in matrix.slices.iter().enumerate() {
            let job = Bytes {
                rows: &rows.bytes[first * rows.stride + number * SLICE..],
                stride: rows.stride,
                scales: &rows.scales[first * rows.slices + number..],
                zeros: &rows.zeros[first * rows.slices + number..],
                every: rows.slices,
                matrix: &slice.panels,
                column_scales: &slice.scales,
                sums: &slice.sums,
                bias: if number == 0 { &matrix.bias } else { &[] },
            };
            out.add = add || number > 0;
            (kernels.bytes)(count, &job, out);
        }
        out.add = add;
    }
}

/// `values` with zeros up to the last lane of the last panel.
fn lanes(values: &[f32], panels: &Panels) -> Vec<f32> {
    let mut padded = values.to_vec();
    padded.resize(panels.panels() * LANES, 0.0);
    padded
}

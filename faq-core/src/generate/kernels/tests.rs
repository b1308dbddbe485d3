//! Every kernel of every set against plain arithmetic.
#![allow(clippy::unwrap_used, unsafe_code, reason = "tests of unsafe kernels")]

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use half::f16;

use super::{
    Activations, GROUP, Head, Kernels, LANES, Layout, Output, Precision, Query, Rows, Scores,
    padded, sets,
};

/// Numbers in -1..1, the same for a seed.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

const TYPES: [GgmlDType; 11] = [
    GgmlDType::F32,
    GgmlDType::F16,
    GgmlDType::BF16,
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q5_1,
    GgmlDType::Q8_0,
    GgmlDType::Q4K,
    GgmlDType::Q5K,
    GgmlDType::Q6K,
];

/// A matrix of a type: the file's bytes, our panels, and the floats that candle reads from the bytes.
struct Case {
    layout: Layout,
    bytes: Vec<u8>,
    panels: Vec<u8>,
    plain: Vec<f32>,
    rows: usize,
    columns: usize,
}

impl Case {
    fn new(dtype: GgmlDType, rows: usize, columns: usize) -> Self {
        let values = numbers(rows * columns, (rows * 31 + columns) as u64);
        let tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap();
        let quantised = QTensor::quantize(&tensor, dtype).unwrap();
        let plain = quantised.dequantize(&Device::Cpu).unwrap();
        let layout = Layout::of(dtype).unwrap();
        let bytes = quantised.data().unwrap();
        let mut panels = vec![0; rows.div_ceil(LANES) * layout.panel_bytes(columns)];
        let rows_of_panel = bytes.chunks(layout.panel_bytes(columns));
        for (rows, panel) in rows_of_panel.zip(panels.chunks_exact_mut(layout.panel_bytes(columns)))
        {
            layout.pack(rows, columns, panel);
        }
        Self {
            layout,
            bytes: bytes.to_vec(),
            panels,
            plain: plain.flatten_all().unwrap().to_vec1().unwrap(),
            rows,
            columns,
        }
    }

    fn multiply(&self, kernels: &Kernels, x: &[f32]) -> Vec<f32> {
        self.multiply_by(kernels, x, Precision::Eight)
    }

    fn multiply_by(&self, kernels: &Kernels, x: &[f32], precision: Precision) -> Vec<f32> {
        let tokens = x.len() / self.columns;
        let mut out = vec![f32::NAN; tokens * self.rows];
        let output = Output {
            at: out.as_mut_ptr(),
            rows: self.rows,
            pitch: self.rows,
        };
        let panels = 0..self.rows.div_ceil(LANES);
        if self.layout.is_float() {
            let x = Rows {
                floats: x,
                pitch: self.columns,
                width: self.columns,
            };
            // SAFETY: `out` has room for all rows and tokens.
            unsafe { kernels.multiply_floats(self.layout, &self.panels, panels, x, output) };
        } else {
            let x = rounded(kernels, x, self.columns, precision);
            // SAFETY: as above.
            unsafe { kernels.multiply(self.layout, &self.panels, panels, &x, output) };
        }
        out
    }

    /// Holds each product to the plain one, over activations that were rounded where the kernel
    /// rounds them.
    fn check(&self, kernels: &Kernels, tokens: usize) {
        let x = numbers(tokens * self.columns, 99);
        let out = self.multiply(kernels, &x);
        let rounded = if self.layout.is_float() {
            x.clone()
        } else {
            plainly_rounded(&x)
        };
        self.compare(kernels, &rounded, &out, 1e-5);
        let out = self.multiply_by(kernels, &x, Precision::Sixteen);
        self.compare(kernels, &x, &out, 3e-5);
    }

    fn compare(&self, kernels: &Kernels, x: &[f32], out: &[f32], error: f64) {
        let tokens = x.len() / self.columns;
        for (token, x) in x.chunks_exact(self.columns).enumerate() {
            for (row, weights) in self.plain.chunks_exact(self.columns).enumerate() {
                let (mut exact, mut size) = (0.0, 0.0);
                for (w, x) in weights.iter().zip(x) {
                    exact += f64::from(*w) * f64::from(*x);
                    size += (f64::from(*w) * f64::from(*x)).abs();
                }
                let ours = f64::from(out[token * self.rows + row]);
                assert!(
                    (ours - exact).abs() <= error * size + 1e-6,
                    "{} {:?} {} x {}, token {token} of {tokens}, row {row}: {ours} for {exact}",
                    kernels.name,
                    self.layout,
                    self.rows,
                    self.columns,
                );
            }
        }
    }
}

fn rounded(kernels: &Kernels, x: &[f32], columns: usize, precision: Precision) -> Activations {
    let mut activations = Activations::default();
    activations.resize(x.len() / columns, columns, precision);
    let (size, tokens, blocks) = activations.tiles_mut();
    for (x, blocks) in x.chunks(tokens * columns).zip(blocks.chunks_mut(size)) {
        let tokens = x.len() / columns;
        for (token, x) in x.chunks_exact(columns).enumerate() {
            kernels.quantise(x, (token, tokens), blocks);
        }
    }
    activations
}

/// Each 32 numbers in steps of a 127th of the largest.
fn plainly_rounded(x: &[f32]) -> Vec<f32> {
    let round = |x: &[f32]| -> Vec<f32> {
        let step = x.iter().fold(0.0_f32, |most, x| most.max(x.abs())) / 127.0;
        x.iter()
            .map(|x| (x / step).round_ties_even() * step)
            .collect()
    };
    x.chunks_exact(GROUP).flat_map(round).collect()
}

mod shapes;

#[test]
fn products_are_those_of_plain_arithmetic_for_every_shape() {
    for dtype in TYPES {
        let step = match Layout::of(dtype).unwrap().columns() {
            256 => 256,
            _ => 32,
        };
        for kernels in sets::supported() {
            // Every number of rows, over few columns; then every width, over few rows.
            for rows in (1..=600).step_by(if kernels.name == "portable" { 37 } else { 7 }) {
                Case::new(dtype, rows, step).check(kernels, 1);
            }
            for rows in 1..=33 {
                Case::new(dtype, rows, step).check(kernels, 3);
            }
            for columns in (step..=1024).step_by(step) {
                Case::new(dtype, 17, columns).check(kernels, 2);
            }
        }
    }
}

#[test]
fn products_are_those_of_plain_arithmetic_for_any_number_of_tokens() {
    for dtype in TYPES {
        let case = Case::new(dtype, 40, 512);
        for kernels in sets::supported() {
            for tokens in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 64, 65] {
                case.check(kernels, tokens);
            }
        }
    }
}

/// To the last bit: an answer must not depend on what is computed beside it.
#[test]
fn a_token_is_computed_the_same_in_any_company() {
    for dtype in TYPES {
        let case = Case::new(dtype, 48, 768);
        let x = numbers(37 * 768, 5);
        for kernels in sets::supported() {
            let together = case.multiply(kernels, &x);
            for (token, x) in x.chunks_exact(768).enumerate() {
                let alone = case.multiply(kernels, x);
                assert_eq!(
                    alone,
                    together[token * 48..][..48],
                    "{dtype:?} {}",
                    kernels.name
                );
            }
        }
    }
}

#[test]
fn a_row_opens_to_what_the_file_holds() {
    for dtype in TYPES {
        let case = Case::new(dtype, 35, 512);
        for kernels in sets::supported() {
            for (row, plain) in case.plain.chunks_exact(512).enumerate() {
                let mut opened = vec![f32::NAN; 512];
                kernels.open_row(case.layout, &case.panels, row, &mut opened);
                for (ours, plain) in opened.iter().zip(plain) {
                    let near = (ours - plain).abs() <= 1e-6 * plain.abs() + 1e-7;
                    assert!(near, "{dtype:?} {}: {ours} for {plain}", kernels.name);
                }
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let case = Case::new(GgmlDType::Q8_0, 16, 64);
    for kernels in sets::supported() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = numbers(64, 1);
            x[40] = bad;
            assert!(case.multiply(kernels, &x).iter().all(|y| y.is_nan()));
        }
        assert!(case.multiply(kernels, &[0.0; 64]).iter().all(|y| *y == 0.0));
        assert!(
            case.multiply(kernels, &[1e-42; 64])
                .iter()
                .all(|y| y.is_finite())
        );
    }
}

/// Keys and values of one head in the kernel's order, and plainly.
fn cache(keys: &[f32], values: &[f32], head: usize) -> (Vec<u16>, Vec<u16>) {
    let positions = keys.len() / head;
    let mut k = vec![0x7C00; positions.next_multiple_of(LANES) * head];
    let mut v = vec![0; positions * padded(head)];
    for position in 0..positions {
        for i in 0..head {
            let bits = |x: &[f32]| f16::from_f32(x[position * head + i]).to_bits();
            k[(position / LANES * head + i) * LANES + position % LANES] = bits(keys);
            v[position * padded(head) + i] = bits(values);
        }
    }
    (k, v)
}

#[test]
fn attention_is_a_softmax_over_what_is_visible() {
    let few = [(4, 1), (64, 5), (64, 128), (128, 129), (80, 300), (8, 17)];
    let many = (1..=600).step_by(29).map(|positions| (16, positions));
    for (head, positions) in few.into_iter().chain(many) {
        for (window, cap) in [(usize::MAX, 0.0), (7, 0.0), (130, 0.5), (usize::MAX, 2.0)] {
            attends_plainly(head, positions, window, cap);
        }
    }
}

fn attends_plainly(head: usize, positions: usize, window: usize, cap: f32) {
    let keys: Vec<f32> = numbers(positions * head, 3)
        .iter()
        .map(|x| 4.0 * x)
        .collect();
    let values = numbers(positions * head, 4);
    let (k, v) = cache(&keys, &values, head);
    let half = |x: f32| f64::from(f16::from_f32(x).to_f32());
    for kernels in sets::supported() {
        for count in [1, 2, 3, 7, 8] {
            let queries = numbers(count * head, 8);
            let mut out = vec![f32::NAN; count * head];
            let visible = |i: usize| (positions + i).saturating_sub(count).max(1);
            let from = |i: usize| visible(i).saturating_sub(window);
            let asked: Vec<Query> = queries
                .chunks_exact(head)
                .zip(out.chunks_exact_mut(head))
                .enumerate()
                .map(|(i, (query, out))| Query {
                    at: query.as_ptr(),
                    from: from(i),
                    visible: visible(i),
                    out: out.as_mut_ptr(),
                })
                .collect();
            let view = Head {
                keys: &k,
                values: &v,
                size: head,
            };
            let by = Scores { scale: 0.3, cap };
            // SAFETY: the queries point into `queries` and `out`.
            unsafe { kernels.attend(view, by, &asked) };
            for (i, query) in queries.chunks_exact(head).enumerate() {
                let scores: Vec<f64> = (from(i)..visible(i))
                    .map(|p| {
                        let key = &keys[p * head..][..head];
                        let dot: f64 = key
                            .iter()
                            .zip(query)
                            .map(|(k, q)| half(*k) * f64::from(*q))
                            .sum();
                        let (score, cap) = (0.3 * dot, f64::from(cap));
                        if cap > 0.0 {
                            (cap * (score / cap).tanh()).exp()
                        } else {
                            score.exp()
                        }
                    })
                    .collect();
                let total: f64 = scores.iter().sum();
                for j in 0..head {
                    let weighed = (from(i)..).zip(&scores);
                    let exact: f64 = weighed.map(|(p, s)| s * half(values[p * head + j])).sum();
                    let ours = f64::from(out[i * head + j]);
                    assert!(
                        (ours - exact / total).abs() < 1e-5,
                        "{} {head} {positions} {window} {cap} {count}: {ours} for {}",
                        kernels.name,
                        exact / total
                    );
                }
            }
        }
    }
}

#[test]
fn loops_over_rows_are_plain_arithmetic() {
    let near = |a: &[f32], b: &[f64]| {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((f64::from(*a) - b).abs() < 2e-6 * b.abs() + 1e-6, "{a} {b}");
        }
    };
    for kernels in sets::supported() {
        for length in 1..=600 {
            let a: Vec<f32> = numbers(length, 1).iter().map(|x| 30.0 * x).collect();
            let b = numbers(length, 2);
            let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|x| f64::from(*x)).collect() };
            let (exact_a, exact_b) = (wide(&a), wide(&b));
            let pairs = || exact_a.iter().zip(&exact_b);

            let mut out = a.clone();
            kernels.add(&mut out, &b);
            near(&out, &pairs().map(|(a, b)| a + b).collect::<Vec<_>>());

            let mut out = a.clone();
            kernels.gate(&mut out, &b);
            let gated = pairs().map(|(a, b)| a / (1.0 + (-a).exp()) * b);
            near(&out, &gated.collect::<Vec<_>>());

            let mut out = a.clone();
            kernels.gate_gelu(&mut out, &b);
            let bent = |x: f64| (0.797_884_560_802_865_4 * (x + 0.044_715 * x.powi(3))).tanh();
            let gated = pairs().map(|(a, b)| 0.5 * a * (1.0 + bent(*a)) * b);
            near(&out, &gated.collect::<Vec<_>>());

            let mut out = a.clone();
            kernels.soft_cap(&mut out, 7.0);
            let capped = exact_a.iter().map(|x| 7.0 * (x / 7.0).tanh());
            near(&out, &capped.collect::<Vec<_>>());

            let mean = exact_a.iter().map(|x| x * x).sum::<f64>() / length as f64;
            kernels.normalise(&a, &b, 1e-5, &mut out);
            let normed = pairs().map(|(a, b)| a / (mean + 1e-5).sqrt() * b);
            near(&out, &normed.collect::<Vec<_>>());

            let mut halves = vec![0; length];
            kernels.halve(&a, &mut halves);
            let expected: Vec<u16> = a.iter().map(|x| f16::from_f32(*x).to_bits()).collect();
            assert_eq!(halves, expected);
        }
    }
}

#[test]
fn extreme_gates_stay_in_bounds() {
    for kernels in sets::supported() {
        let mut gates = [-1e30, -200.0, -90.0, 0.0, 90.0, 200.0, 1e30];
        kernels.gate(&mut gates, &[1.0; 7]);
        assert_eq!(gates[3..], [0.0, 90.0, 200.0, 1e30], "{}", kernels.name);
        assert!(gates[1..3].iter().all(|g| g.abs() < 1e-30));
        assert!(gates[0].abs() < 1e-7, "{gates:?}");
    }
}

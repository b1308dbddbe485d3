//! Every shape from 1 to 600, of every type and set of kernels: minutes, so it is run by name.
//! `cargo test --release -p faq-core --lib shapes -- --ignored --nocapture`

use super::*;

const MOST: usize = 600;

/// Products of all rows and tokens in double precision, and the sum of their parts' sizes.
fn exactly(case: &Case, x: &[f32]) -> Vec<(f64, f64)> {
    let rows = || case.plain.chunks_exact(case.columns);
    let product = |x: &[f32], w: &[f32]| {
        let parts = w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
        parts.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()))
    };
    x.chunks_exact(case.columns)
        .flat_map(|x| rows().map(move |w| product(x, w)))
        .collect()
}

/// The first `rows` rows and `tokens` tokens of a case against what was summed up for all.
struct Reference {
    case: Case,
    x: Vec<f32>,
    eight: Vec<(f64, f64)>,
    sixteen: Vec<(f64, f64)>,
}

impl Reference {
    fn new(dtype: GgmlDType, rows: usize, columns: usize, tokens: usize) -> Self {
        let case = Case::new(dtype, rows, columns);
        let x = numbers(tokens * columns, 99);
        let sixteen = exactly(&case, &x);
        let eight = if case.layout.is_float() {
            sixteen.clone()
        } else {
            exactly(&case, &plainly_rounded(&x))
        };
        Self {
            case,
            x,
            eight,
            sixteen,
        }
    }

    fn check(&self, kernels: &Kernels, rows: usize, tokens: usize) {
        let whole = &self.case;
        let (columns, panel) = (whole.columns, whole.layout.panel_bytes(whole.columns));
        // Cut as a matrix of so many rows would be laid out: its last panel holds no row more.
        let mut panels = vec![0; rows.div_ceil(LANES) * panel];
        let row_bytes = panel / LANES;
        let chunks = whole.bytes[..rows * row_bytes].chunks(panel);
        for (rows, panel) in chunks.zip(panels.chunks_exact_mut(panel)) {
            whole.layout.pack(rows, columns, panel);
        }
        let cut = Case {
            layout: whole.layout,
            bytes: Vec::new(),
            panels,
            plain: Vec::new(),
            rows,
            columns,
        };
        let x = &self.x[..tokens * columns];
        for (precision, exact, error) in [
            (Precision::Eight, &self.eight, 1e-5),
            (Precision::Sixteen, &self.sixteen, 3e-5),
        ] {
            let out = cut.multiply_by(kernels, x, precision);
            for (token, out) in out.chunks_exact(rows).enumerate() {
                let exact = &exact[token * whole.rows..];
                for (row, (ours, (sum, size))) in out.iter().zip(exact).enumerate() {
                    assert!(
                        (f64::from(*ours) - sum).abs() <= error * size + 1e-6,
                        "{} {:?} {rows} x {columns}, token {token} of {tokens}, row {row}: {ours} \
                         for {sum}",
                        kernels.name,
                        whole.layout,
                    );
                }
            }
        }
    }
}

#[test]
#[ignore = "minutes"]
fn every_number_of_rows_and_columns() {
    for dtype in TYPES {
        let step = Layout::of(dtype).unwrap().columns().max(GROUP);
        for columns in (step..=MOST.next_multiple_of(step)).step_by(step) {
            let reference = Reference::new(dtype, MOST, columns, 9);
            for kernels in sets::supported() {
                for rows in 1..=MOST {
                    reference.check(kernels, rows, 1 + (rows + columns / step) % 9);
                }
            }
        }
    }
}

#[test]
#[ignore = "minutes"]
fn every_number_of_tokens() {
    for dtype in TYPES {
        let reference = Reference::new(dtype, 17, 256, MOST);
        for kernels in sets::supported() {
            for tokens in 1..=MOST {
                reference.check(kernels, 17, tokens);
            }
        }
    }
}

#[test]
#[ignore = "minutes"]
fn every_number_of_positions() {
    for head in [4, 8, 32, 64, 80, 96, 128, 256] {
        for positions in 1..=MOST {
            attends_plainly(head, positions, usize::MAX, 0.0);
            attends_plainly(head, positions, positions / 2 + 1, 1.5);
        }
    }
}

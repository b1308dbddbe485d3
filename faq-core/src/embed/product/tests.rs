//! All kernels that this processor can run against sums taken one by one.

use super::*;

/// Whole numbers that repeat late, below `most` on both sides of 0.
fn numbers(count: usize, most: i32) -> impl Iterator<Item = i32> {
    let mut state = 0x2545_f491_u32;
    (0..count).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as i32 % (2 * most + 1) - most
    })
}

/// Shapes `(rows, columns, depth)`: every number of each to beyond the edges of tiles, panels and
/// blocks, and every depth to 600.
fn shapes() -> impl Iterator<Item = (usize, usize, usize)> {
    let edges = (1..14).flat_map(|rows| (1..140).map(move |columns| (rows, columns, rows * 3)));
    edges.chain((1..=600).map(|depth| (depth % 8 + 1, depth % 67 + 1, depth)))
}

/// Every number of columns with every depth from 1 to 600, and every number of rows that a tile has
/// beyond and below with every number of columns.
fn every_shape() -> impl Iterator<Item = (usize, usize, usize)> {
    let deep = (1..=600).flat_map(|columns| (1..=600).map(move |depth| (2, columns, depth)));
    let tall = (1..=60).flat_map(|rows| (1..=600).map(move |columns| (rows, columns, 20)));
    let taller = (61..=600).map(|rows| (rows, 67, 20));
    deep.chain(tall).chain(taller)
}

const REST: f32 = 77.0;

#[test]
fn floats_equal_the_plain_sum() {
    floats_equal(shapes);
}

/// `cargo test --release -p faq-core --lib every_shape -- --ignored`
#[test]
#[ignore = "minutes"]
fn floats_equal_the_plain_sum_for_every_shape() {
    floats_equal(every_shape);
}

fn floats_equal<S: Iterator<Item = (usize, usize, usize)>>(shapes: impl Fn() -> S) {
    for level in Level::supported() {
        for (rows, columns, depth) in shapes() {
            // Small whole numbers, so that no order of the sum rounds anything.
            let stride = depth + 3;
            let a: Vec<f32> = numbers(rows * stride, 9).map(|x| x as f32).collect();
            let b: Vec<f32> = numbers(columns * depth, 7).map(|x| x as f32).collect();
            let mut matrix = Panels::default();
            matrix.resize(columns, depth, true);
            for (column, values) in b.chunks_exact(depth).enumerate() {
                matrix.write_floats(column, values.iter().copied());
            }
            let lanes = matrix.panels() * LANES;
            let bias: Vec<f32> = numbers(lanes, 5).map(|x| x as f32).collect();
            for (bias, add) in [(&bias[..], false), (&[], true)] {
                let mut values = vec![REST; rows * (columns + 2)];
                let job = Floats {
                    rows: &a,
                    stride,
                    matrix: &matrix,
                    bias,
                };
                let mut out = Out {
                    values: &mut values,
                    stride: columns + 2,
                    add,
                };
                (Kernels::of(level).floats)(rows, &job, &mut out);
                for (r, row) in values.chunks_exact(columns + 2).enumerate() {
                    for (c, found) in row[..columns].iter().enumerate() {
                        let row = &a[r * stride..][..depth];
                        let column = &b[c * depth..][..depth];
                        let pairs = row.iter().zip(column);
                        let sum = pairs.map(|(x, y)| (x * y) as i32).sum::<i32>() as f32;
                        let start = bias.get(c).copied().unwrap_or(0.0);
                        let wanted = sum + start + if add { REST } else { 0.0 };
                        assert_eq!(*found, wanted, "{level:?} {rows}x{columns}x{depth}");
                    }
                    assert_eq!(row[columns..], [REST; 2], "{level:?}: beyond the columns");
                }
            }
        }
    }
}

#[test]
fn bytes_equal_the_plain_sum() {
    bytes_equal(shapes);
}

/// `cargo test --release -p faq-core --lib every_shape -- --ignored`
#[test]
#[ignore = "minutes"]
fn bytes_equal_the_plain_sum_for_every_shape() {
    bytes_equal(every_shape);
}

fn bytes_equal<S: Iterator<Item = (usize, usize, usize)>>(shapes: impl Fn() -> S) {
    for level in Level::supported() {
        for (rows, columns, depth) in shapes() {
            let padded = depth.next_multiple_of(4);
            let stride = padded + 8;
            let a: Vec<u8> = numbers(rows * stride, 127)
                .map(|x| (x + 128) as u8)
                .collect();
            let mut b: Vec<i8> = numbers(columns * padded, 127).map(|x| x as i8).collect();
            for column in b.chunks_exact_mut(padded) {
                column[depth..].fill(0);
            }
            let mut matrix = Panels::default();
            matrix.resize(columns, padded / 4, true);
            for (column, values) in b.chunks_exact(padded).enumerate() {
                matrix.write_bytes(column, bytemuck::cast_slice(values));
            }
            let lanes = matrix.panels() * LANES;
            let mut sums: Vec<i32> = b
                .chunks_exact(padded)
                .map(|column| column.iter().map(|x| i32::from(*x)).sum())
                .collect();
            sums.resize(lanes, 0);
            let every = rows % 3 + 1;
            let zeros: Vec<i32> = numbers(rows * every, 127).map(|x| x + 128).collect();
            // Powers of two, so that scaling rounds nothing.
            let scales: Vec<f32> = (0..rows * every).map(|r| [0.5, 1.0, 2.0][r % 3]).collect();
            let column_scales: Vec<f32> = (0..lanes).map(|c| [1.0, 0.25][c % 2]).collect();
            let bias: Vec<f32> = numbers(lanes, 5).map(|x| x as f32).collect();
            for (bias, add) in [(&bias[..], false), (&[], true)] {
                let mut values = vec![REST; rows * (columns + 2)];
                let job = Bytes {
                    rows: &a,
                    stride,
                    scales: &scales,
                    zeros: &zeros,
                    every,
                    matrix: &matrix,
                    column_scales: &column_scales,
                    sums: &sums,
                    bias,
                };
                let mut out = Out {
                    values: &mut values,
                    stride: columns + 2,
                    add,
                };
                (Kernels::of(level).bytes)(rows, &job, &mut out);
                for (r, row) in values.chunks_exact(columns + 2).enumerate() {
                    for (c, found) in row[..columns].iter().enumerate() {
                        let row = &a[r * stride..][..depth];
                        let column = &b[c * padded..][..depth];
                        let zero = zeros[r * every];
                        let pairs = row.iter().zip(column);
                        let sum: i32 = pairs
                            .map(|(x, y)| (i32::from(*x) - zero) * i32::from(*y))
                            .sum();
                        let start = bias.get(c).copied().unwrap_or(0.0);
                        let scaled = sum as f32 * (scales[r * every] * column_scales[c]) + start;
                        let wanted = scaled + if add { REST } else { 0.0 };
                        assert_eq!(*found, wanted, "{level:?} {rows}x{columns}x{depth}");
                    }
                    assert_eq!(row[columns..], [REST; 2], "{level:?}: beyond the columns");
                }
            }
        }
    }
}

#[test]
fn the_largest_bytes_do_not_overflow() {
    let depth = 65_536;
    let (a, b) = (vec![255u8; depth], vec![-127i8; depth]);
    let mut matrix = Panels::default();
    matrix.resize(1, depth / 4, true);
    matrix.write_bytes(0, bytemuck::cast_slice(&b));
    let sums = [vec![-127 * depth as i32], vec![0; LANES - 1]].concat();
    for (zero, wanted) in [(0, -2_122_383_360.0), (255, 0.0)] {
        for level in Level::supported() {
            let mut values = [0.0];
            let job = Bytes {
                rows: &a,
                stride: depth,
                scales: &[1.0],
                zeros: &[zero],
                every: 1,
                matrix: &matrix,
                column_scales: &[1.0; LANES],
                sums: &sums,
                bias: &[],
            };
            let mut out = Out {
                values: &mut values,
                stride: 1,
                add: false,
            };
            (Kernels::of(level).bytes)(1, &job, &mut out);
            assert_eq!(values, [wanted], "{level:?}");
        }
    }
}

#[test]
#[should_panic(expected = "too few")]
fn rows_that_are_too_short_are_refused() {
    let mut matrix = Panels::default();
    matrix.resize(2, 8, true);
    let job = Floats {
        rows: &[1.0; 15],
        stride: 8,
        matrix: &matrix,
        bias: &[],
    };
    let mut values = [0.0; 4];
    let mut out = Out {
        values: &mut values,
        stride: 2,
        add: false,
    };
    (Kernels::of(Level::best()).floats)(2, &job, &mut out);
}

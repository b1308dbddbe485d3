//! The loops against plain arithmetic, at each level that this processor has.

use super::*;
use crate::cpu::tests::at_each_level;

fn values() -> impl Iterator<Item = f32> {
    (-4000..4000).map(|i| i as f32 * 0.005)
}

#[test]
fn exp_and_erf_are_close_to_the_real_ones() {
    for x in values() {
        let real = f64::from(x).exp();
        assert!(
            (f64::from(exp::<Plain>(x)) - real).abs() <= 3e-7 * real,
            "exp({x})"
        );
    }
    assert!(exp::<Plain>(-1000.0) < 1e-37 && exp::<Plain>(0.0) == 1.0);
    // Values of the error function from tables.
    for (x, real) in [
        (0.0, 0.0),
        (0.5, 0.520_499_9),
        (1.0, 0.842_700_8),
        (2.0, 0.995_322_3),
    ] {
        assert!(
            (erf::<Plain>(x) - real).abs() < 3e-7,
            "erf({x}) is {}",
            erf::<Plain>(x)
        );
        assert!((erf::<Plain>(-x) + real).abs() < 3e-7, "erf(-{x})");
    }
}

/// Works on values in place.
type Loop = fn(&mut [f32]);

#[test]
fn activations_of_any_number_of_values_are_computed_each() {
    at_each_level(|level| {
        for count in 1..=600 {
            let row: Vec<f32> = (0..count)
                .map(|i| (i * 7 % 113) as f32 * 0.1 - 5.0)
                .collect();
            let bent = |f: &dyn Fn(f64) -> f64| -> Vec<f64> {
                row.iter().map(|x| f(f64::from(*x))).collect()
            };
            // GELU through tanh is GELU within 5e-4.
            let gelu_of =
                bent(&|x| 0.5 * x * (1.0 + f64::from(erf::<Plain>((x / 2f64.sqrt()) as f32))));
            let relu_of = bent(&|x| x.max(0.0));
            let loops: [(Loop, &[f64], f64); 4] = [
                (gelu, &gelu_of, 1e-5),
                (gelu_rough, &gelu_of, 6e-5),
                (gelu_tanh, &gelu_of, 1e-3),
                (relu, &relu_of, 0.0),
            ];
            for (number, (apply, wanted, most)) in loops.into_iter().enumerate() {
                let mut found = row.clone();
                apply(&mut found);
                for (found, wanted) in found.iter().zip(wanted) {
                    let off = (f64::from(*found) - wanted).abs();
                    assert!(
                        off <= most,
                        "{level:?}, loop {number} over {count}: {found} for {wanted}"
                    );
                }
            }
        }
    });
}

#[test]
fn rough_functions_are_as_close_as_they_say() {
    for x in values() {
        let real = f64::from(x.min(0.0)).exp();
        let found = f64::from(exp_rough::<Plain>(x.min(0.0)));
        assert!((found - real).abs() <= 1e-4 * real, "exp({x}) is {found}");
        let (mut exact, mut rough) = ([x], [x]);
        gelu(&mut exact);
        gelu_rough(&mut rough);
        assert!((exact[0] - rough[0]).abs() < 5e-5, "gelu({x}) is {rough:?}");
    }
    assert!(exp_rough::<Plain>(-1000.0) < 1e-37);
}

#[test]
fn bytes_of_rows_stand_for_their_values() {
    at_each_level(|_| bytes_stand_for_values());
}

fn bytes_stand_for_values() {
    for width in 1..=600 {
        let stride = width + 5;
        let rows: Vec<f32> = (0..4 * width)
            .map(|i| (i * 37 % 101) as f32 * 0.31 - [0.0, 12.0, 40.0, 31.0][i / width])
            .collect();
        let (mut bytes, mut scales, mut zeros) = (vec![0; 4 * stride], [0.0; 4], [0; 4]);
        round_rows(
            &rows,
            width,
            width,
            &mut bytes,
            stride,
            &mut scales,
            &mut zeros,
        );
        let (mut signed, mut halves) = (vec![0; 4 * stride], [0.0; 4]);
        round_groups(&rows, width, &mut signed, stride, &mut halves);
        for r in 0..4 {
            for i in 0..width {
                let value = rows[r * width + i];
                let back = scales[r] * (i32::from(bytes[r * stride + i]) - zeros[r]) as f32;
                assert!(
                    (back - value).abs() <= 0.501 * scales[r],
                    "{back} for {value}"
                );
                let back = halves[r] * f32::from(signed[r * stride + i]);
                assert!(
                    (back - value).abs() <= 0.501 * halves[r],
                    "{back} for {value}"
                );
            }
        }
    }
    let (mut bytes, mut scales, mut zeros) = ([0; 8], [0.0; 4], [9; 4]);
    let rows = [0.0, 255.0, 510.0, 0.0, -255.0, 0.0];
    round_rows(&rows, 3, 2, &mut bytes, 4, &mut scales, &mut zeros);
    assert_eq!(bytes, [0, 255, 255, 0, 255, 0, 0, 0]);
    assert_eq!((scales, zeros), ([1.0, 2.0, 1.0, 0.0], [0, 0, 255, 0]));
    let (mut bytes, mut scale, mut zero) = ([7; 4], [1.0], [1]);
    round_rows(&[0.0; 4], 4, 4, &mut bytes, 4, &mut scale, &mut zero);
    assert_eq!((bytes, scale, zero), ([0; 4], [0.0], [0]));
}

#[test]
fn bytes_of_a_softmax_stand_for_it() {
    at_each_level(|_| bytes_stand_for_a_softmax());
}

fn bytes_stand_for_a_softmax() {
    for len in 1..=600 {
        let scores: Vec<f32> = (0..2 * len).map(|i| (i * 7 % 11) as f32 - 4.0).collect();
        let weights: Vec<f32> = (0..len).map(|i| 0.1 + (i % 5) as f32).collect();
        let (mut exact, mut lost) = (scores.clone(), scores);
        softmax(&mut exact, len, len);
        let (mut bytes, mut scales) = (vec![0; 2 * len], [0.0; 2]);
        softmax_bytes(&mut lost, len, &weights, &mut bytes, len, &mut scales);
        for (i, byte) in bytes.iter().enumerate() {
            let (wanted, scale) = (exact[i] * weights[i % len], scales[i / len]);
            let found = scale * f32::from(*byte);
            assert!(
                (found - wanted).abs() <= 0.55 * scale,
                "{len}: {found} for {wanted}"
            );
        }
    }
}

#[test]
fn rows_of_any_width_are_normalised() {
    at_each_level(|_| rows_are_normalised());
}

fn rows_are_normalised() {
    for width in 1..=600 {
        let row: Vec<f32> = (0..width).map(|i| (i * 7 % 11) as f32 - 4.0).collect();
        let mut soft = row.clone();
        softmax(&mut soft, width, width);
        let sum: f32 = soft.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "width {width}: {sum}");
        let plain: f32 = row.iter().map(|x| (x - row[0]).exp()).sum();
        assert!((soft[0] - 1.0 / plain).abs() < 1e-6);

        let mut normed = row.clone();
        layer_norm(&mut normed, &vec![1.0; width], &vec![0.5; width], 1e-12);
        let mean = normed.iter().sum::<f32>() / width as f32;
        assert!((mean - 0.5).abs() < 1e-4, "width {width}: {mean}");
    }
}

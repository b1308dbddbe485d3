//! The dot product, which is the cosine of L2-normalised vectors.
//!
//! One implementation is chosen at run time from what the processor can do; all of them agree
//! within rounding, and a test holds them to it. Nothing else in the crate does arithmetic on
//! vectors.

use std::sync::OnceLock;

/// A dot product of two slices of equal length; of the shorter one's length where they differ.
pub(crate) type Dot = fn(&[f32], &[f32]) -> f32;

/// The fastest dot product that this processor has.
pub(crate) fn dot() -> Dot {
    static CHOSEN: OnceLock<Dot> = OnceLock::new();
    *CHOSEN.get_or_init(choose)
}

fn choose() -> Dot {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        return x86::dot_avx2;
    }
    dot_portable
}

/// Eight sums side by side, so that a compiler may use whatever vectors the target has, and so
/// that the rounding is near that of the wide kernels.
fn dot_portable(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let mut sums = [0.0_f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a8.zip(b8) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps,
        _mm256_add_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_setzero_ps,
    };

    /// The AVX2 and FMA kernel behind a safe signature; only [`super::choose`] hands it out.
    #[allow(unsafe_code, reason = "calls a kernel for features that were detected")]
    pub(super) fn dot_avx2(a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: the only way to this function is `choose`, which found both features.
        unsafe { dot_avx2_fma(a, b) }
    }

    #[allow(unsafe_code, reason = "vector loads through raw pointers")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn dot_avx2_fma(a: &[f32], b: &[f32]) -> f32 {
        let len = a.len().min(b.len());
        let (pa, pb) = (a.as_ptr(), b.as_ptr());
        let mut sums: [__m256; 4] = [_mm256_setzero_ps(); 4];
        let mut at = 0;
        // SAFETY: every load reads eight floats from `at + offset`, and the loops' conditions keep
        // `at + offset + 8 <= len`, which is within both slices; `loadu` needs no alignment.
        unsafe {
            while at + 32 <= len {
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let x = _mm256_loadu_ps(pa.add(at + lane * 8));
                    let y = _mm256_loadu_ps(pb.add(at + lane * 8));
                    *sum = _mm256_fmadd_ps(x, y, *sum);
                }
                at += 32;
            }
            while at + 8 <= len {
                let x = _mm256_loadu_ps(pa.add(at));
                let y = _mm256_loadu_ps(pb.add(at));
                sums[0] = _mm256_fmadd_ps(x, y, sums[0]);
                at += 8;
            }
        }
        let all = _mm256_add_ps(
            _mm256_add_ps(sums[0], sums[1]),
            _mm256_add_ps(sums[2], sums[3]),
        );
        let four = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        let one = _mm_add_ss(two, _mm_shuffle_ps::<1>(two, two));
        let rest: f32 = a[at..len].iter().zip(&b[at..len]).map(|(x, y)| x * y).sum();
        _mm_cvtss_f32(one) + rest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_chosen_kernel_agrees_with_plain_arithmetic(
            pairs in proptest::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 0..800)
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            for kernel in [dot(), dot_portable as Dot] {
                let got = f64::from(kernel(&a, &b));
                prop_assert!((got - exact).abs() < 1e-4, "{got} is not {exact}");
            }
        }
    }

    #[test]
    fn unequal_lengths_are_cut_to_the_shorter() {
        let long = [1.0_f32; 37];
        assert_eq!(dot()(&long, &long[..33]), 33.0);
        assert_eq!(dot_portable(&long[..33], &long), 33.0);
    }
}

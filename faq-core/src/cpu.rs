//! What the processor offers to models, those that embed and those that write.

use std::sync::OnceLock;

/// The instruction sets that loops and products are compiled for, the fastest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Whatever the build was made for.
    Portable,
    /// AVX2 with FMA, F16C and BMI2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The same with AVX-512 (F, BW, DQ, VL) and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The fastest that this processor has.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        #[cfg(test)]
        if let Some(level) = tests::HELD.get() {
            return level;
        }
        *BEST.get_or_init(|| {
            Self::supported()
                .into_iter()
                .max()
                .unwrap_or(Self::Portable)
        })
    }

    /// All that this processor has, the fastest last.
    pub(crate) fn supported() -> Vec<Self> {
        #[allow(unused_mut, reason = "only some architectures have more than one")]
        let mut levels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") && has!("f16c") && has!("bmi2") {
                levels.push(Self::Avx2);
                if has!("avx512f")
                    && has!("avx512bw")
                    && has!("avx512dq")
                    && has!("avx512vl")
                    && has!("avx512vnni")
                {
                    levels.push(Self::Avx512);
                }
            }
        }
        levels
    }

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512 VNNI",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::Level;

    thread_local! {
        pub(super) static HELD: Cell<Option<Level>> = const { Cell::new(None) };
    }

    /// Runs `check` at each level that this processor has, as if it were the best: on this thread.
    pub(crate) fn at_each_level(check: impl Fn(Level)) {
        for level in Level::supported() {
            HELD.set(Some(level));
            check(level);
        }
        HELD.set(None);
    }
}

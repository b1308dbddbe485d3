//! Files that are damaged at random: bytes changed, lengths replaced, pieces cut out, doubled and
//! overwritten, ends cut off.

/// `whole` with one to four damages to its first `within` bytes, the same for a seed.
pub(crate) fn damaged(whole: &[u8], within: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut below = |most: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most.max(1)
    };
    let mut bytes = whole.to_vec();
    for _ in 0..=below(4) {
        let within = within.min(bytes.len());
        let at = below(within);
        let end = (at + 1 + below(40)).min(bytes.len());
        match below(6) {
            0 => bytes[at..]
                .iter_mut()
                .take(1)
                .for_each(|b| *b = below(256) as u8),
            1 => {
                let lies = [0, 1, 255, 1 << 20, u64::from(u32::MAX), 1 << 60, u64::MAX];
                let lie = lies[below(lies.len())].to_le_bytes();
                bytes[at..]
                    .iter_mut()
                    .zip(lie)
                    .for_each(|(b, lie)| *b = lie);
            }
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => bytes[at..end].fill(below(256) as u8),
            // Rarely, since the others then have little left to do.
            _ if below(8) == 0 => bytes.truncate(at),
            _ => bytes[at..]
                .iter_mut()
                .take(1)
                .for_each(|b| *b ^= 1 << below(8)),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// Calls `check` with `times` seeds, and says at which it panicked; gives the number of seeds at
/// which it said true.
pub(crate) fn survives(times: u64, check: impl Fn(u64) -> bool + std::panic::RefUnwindSafe) -> u64 {
    let passed = |seed: &u64| {
        std::panic::catch_unwind(|| check(*seed))
            .unwrap_or_else(|_| panic!("it panicked at seed {seed}"))
    };
    (0..times).filter(passed).count() as u64
}

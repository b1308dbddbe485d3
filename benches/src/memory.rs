//! How much memory this process takes, where the system tells (Linux does).

use serde::{Deserialize, Serialize};

/// Physical memory of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes now, pages of mapped files included.
    pub resident_bytes: u64,
    /// Most bytes at any time since the process began.
    pub peak_bytes: u64,
}

/// What it takes now; `None` where the system does not tell.
pub fn now() -> Option<Memory> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(Memory {
        resident_bytes: field(&status, "VmRSS:")?,
        peak_bytes: field(&status, "VmHWM:")?,
    })
}

/// The value of a line such as `VmRSS:     1234 kB`, in bytes.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_names() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 4 kB\n";
        assert_eq!(field(status, "VmHWM:"), Some(2048 * 1024));
        assert_eq!(field(status, "VmRSS:"), Some(4096));
        assert_eq!(field(status, "VmSwap:"), None);
    }

    #[test]
    fn the_peak_is_never_below_the_present() {
        if let Some(memory) = now() {
            assert!(memory.resident_bytes > 0);
            assert!(memory.peak_bytes >= memory.resident_bytes);
        }
    }
}

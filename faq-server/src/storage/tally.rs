//! Counts what comes in against what was announced and what is allowed.

use super::{BoxError, Result, StorageError};

/// One upload's count.
#[derive(Debug)]
pub(super) struct Tally {
    expected: Option<u64>,
    max: u64,
    received: u64,
}

impl Tally {
    /// Refuses an announced size that is too large before anything is read.
    pub(super) fn new(expected: Option<u64>, max: u64) -> Result<Self> {
        if expected.is_some_and(|expected| expected > max) {
            return Err(StorageError::TooLarge { allowed: max });
        }
        Ok(Self {
            expected,
            max,
            received: 0,
        })
    }

    /// Counts a piece before it is kept.
    pub(super) fn add(&mut self, bytes: usize) -> Result<()> {
        self.received = self.received.saturating_add(bytes as u64);
        match self.expected {
            Some(expected) if self.received > expected => Err(StorageError::SizeMismatch {
                expected,
                received: self.received,
            }),
            _ if self.received > self.max => Err(StorageError::TooLarge { allowed: self.max }),
            _ => Ok(()),
        }
    }

    /// The stream failed.
    pub(super) fn interrupted(&self, source: impl Into<BoxError>) -> StorageError {
        StorageError::Interrupted {
            received: self.received,
            source: source.into(),
        }
    }

    /// The stream ended: the bytes received, if they are all.
    pub(super) fn finish(&self) -> Result<u64> {
        match self.expected {
            Some(expected) if self.received != expected => Err(StorageError::SizeMismatch {
                expected,
                received: self.received,
            }),
            _ => Ok(self.received),
        }
    }
}

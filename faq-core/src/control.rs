//! How a caller follows and stops long work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A flag that ends work from any thread. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to end; it does so at its next check.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether anybody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// Why work ended before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interrupted {
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The caller's deadline passed.
    #[error("the deadline passed")]
    Deadline,
}

/// What a caller hands to long work: a way to stop it, and how long it may take.
///
/// ```
/// use std::time::Duration;
/// use faq_core::{Control, Interrupted};
///
/// let control = Control::new().with_timeout(Duration::from_secs(60));
/// let cancel = control.cancel.clone();
/// assert_eq!(control.check(), Ok(()));
/// std::thread::spawn(move || cancel.cancel()).join().unwrap();
/// assert_eq!(control.check(), Err(Interrupted::Cancelled));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// Ends the work when cancelled.
    pub cancel: CancelToken,
    /// Ends the work when it passes.
    pub deadline: Option<Instant>,
}

impl Control {
    /// No deadline, and a token that only this value knows.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with a deadline `time` from now.
    pub fn with_timeout(mut self, time: Duration) -> Self {
        self.deadline = Some(Instant::now() + time);
        self
    }

    /// Whether the work may go on.
    ///
    /// # Errors
    /// [`Interrupted`] where the caller cancelled or the deadline passed.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.cancel.is_cancelled() {
            return Err(Interrupted::Cancelled);
        }
        if self.deadline.is_some_and(|d| Instant::now() >= d) {
            return Err(Interrupted::Deadline);
        }
        Ok(())
    }
}

//! Work that is watched: what runs, how far it is, how much of a thread it may take, and how it is
//! ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// What is being done to a collection beside reading and writing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Work {
    /// The graph is being built. Counted in vectors.
    Graph,
    /// Compaction: vector segments are written without their dead rows. Counted in vectors.
    CompactVectors,
    /// Compaction: the keyword index is written without its dead chunks. Counted in chunks, all at
    /// its end.
    CompactKeywords,
    /// Compaction: the store is written without its free pages. Counted in bytes, all at its end.
    CompactStore,
}

/// How far a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WorkProgress {
    /// What is being done.
    pub work: Work,
    /// How much of it is done; the unit is that of the work.
    pub done: u64,
    /// How much there is.
    pub total: u64,
}

/// Longest time between two looks at whether to go on.
const NAP: Duration = Duration::from_millis(20);

/// Keeps a thread to a share of the time: work, then rest in proportion.
#[derive(Debug)]
pub(crate) struct Pace {
    share: f64,
    since: Instant,
}

impl Pace {
    /// `share` is above 0; 1 never rests.
    pub(crate) fn new(share: f64) -> Self {
        Self {
            share: share.clamp(0.01, 1.0),
            since: Instant::now(),
        }
    }

    /// Rests for what the work since the last rest has earned; `goes_on` is asked meanwhile, and
    /// gives the answer.
    pub(crate) fn rest(&mut self, goes_on: impl Fn() -> bool) -> bool {
        let worked = self.since.elapsed();
        let until = Instant::now() + worked.mul_f64(1.0 / self.share - 1.0);
        while goes_on() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.since = Instant::now();
                return true;
            }
            std::thread::sleep(left.min(NAP));
        }
        false
    }
}

/// A compaction, as others see it. At most one runs for a collection.
#[derive(Debug, Default)]
pub(crate) struct Compaction {
    /// Held by whoever compacts.
    alone: Mutex<()>,
    progress: Mutex<Option<WorkProgress>>,
    cancelled: AtomicBool,
    closed: AtomicBool,
    /// Whether a thread of its own compacts or is about to.
    busy: Mutex<bool>,
    idle: Condvar,
}

/// The right to compact; gives it back when dropped.
pub(crate) struct Turn<'a> {
    of: &'a Compaction,
    _alone: MutexGuard<'a, ()>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.of.progress) = None;
    }
}

impl Compaction {
    /// Waits for the compaction under way, if any, and lets the caller begin.
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn {
            of: self,
            _alone: lock(&self.alone),
        }
    }

    pub(crate) fn note(&self, progress: WorkProgress) {
        *lock(&self.progress) = Some(progress);
    }

    /// How far it is; `None` while none runs.
    pub(crate) fn progress(&self) -> Option<WorkProgress> {
        *lock(&self.progress)
    }

    /// Ends the one that runs in the background, at its next step.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn goes_on(&self) -> bool {
        !self.cancelled.load(Ordering::Relaxed) && !self.closed.load(Ordering::Relaxed)
    }

    /// Claims the background for one compaction; false where one is there already.
    pub(crate) fn claim(&self) -> bool {
        let mut busy = lock(&self.busy);
        if *busy || self.closed.load(Ordering::Relaxed) {
            return false;
        }
        self.cancelled.store(false, Ordering::Relaxed);
        *busy = true;
        true
    }

    /// The claimed compaction is over.
    pub(crate) fn release(&self) {
        *lock(&self.busy) = false;
        self.idle.notify_all();
    }

    /// Waits until none runs in the background.
    pub(crate) fn wait_idle(&self) {
        let mut busy = lock(&self.busy);
        while *busy {
            busy = self.idle.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the one that runs in the background, for good, and waits for its end.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.wait_idle();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_rests_in_proportion_and_ends_when_told() {
        let mut full = Pace::new(1.0);
        assert!(full.rest(|| true));
        let mut half = Pace::new(0.5);
        std::thread::sleep(Duration::from_millis(30));
        let start = Instant::now();
        assert!(half.rest(|| true));
        assert!(start.elapsed() >= Duration::from_millis(30));
        let mut slow = Pace::new(0.01);
        std::thread::sleep(Duration::from_millis(30));
        assert!(!slow.rest(|| false));
    }

    #[test]
    fn the_background_holds_one_compaction_and_none_once_closed() {
        let compaction = Compaction::default();
        assert!(compaction.claim());
        assert!(!compaction.claim());
        compaction.cancel();
        assert!(!compaction.goes_on());
        compaction.release();
        assert!(compaction.claim() && compaction.goes_on());
        compaction.release();
        compaction.close();
        assert!(!compaction.claim());
    }
}

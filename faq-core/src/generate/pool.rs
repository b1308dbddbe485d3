//! Threads that share out short pieces of work, many thousand times a second.
//!
//! A pass through a model is hundreds of steps of some ten microseconds, each of which all
//! threads must have finished before the next. Threads therefore wait for work a little while
//! without sleeping. Who comes late finds the work done and is not waited for, so a processor that
//! is busy with something else delays a step by a piece at most.

#![allow(
    unsafe_code,
    reason = "work is lent to threads for the time of a call, and slices are cut for them"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Looks at the turn before a thread sleeps: some 50 microseconds.
const LOOKS: usize = 2_000;

/// Looks before a thread that waits for another lets others run.
const PATIENCE: usize = 500;

/// Work that is called with the numbers of its pieces, each once.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// A pool of threads; the caller's is one of them.
pub(super) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the caller whose work is done.
    caller: Mutex<()>,
}

struct Shared {
    /// Odd while there is work. Each work has a turn of its own.
    turn: AtomicU64,
    /// Workers that may look at `work`.
    guests: AtomicUsize,
    work: Mutex<Option<Lent>>,
    next: AtomicUsize,
    failed: AtomicBool,
    stopped: AtomicBool,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

/// Work on the stack of a caller, who waits until nobody uses it.
#[derive(Clone, Copy)]
struct Lent {
    work: *const Work<'static>,
    pieces: usize,
}

// SAFETY: `Work` is `Sync`, and the pointer is used only while `Pool::run` keeps it alive.
unsafe impl Send for Lent {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool of `threads`, the caller's included; fewer where the system gives no more.
    pub(super) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            turn: AtomicU64::new(0),
            guests: AtomicUsize::new(0),
            work: Mutex::new(None),
            next: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        });
        let workers = (1..threads)
            .map_while(|number| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("faq-generate-{number}"))
                    .spawn(move || shared.serve())
                    .ok()
            })
            .collect();
        Self {
            shared,
            workers,
            caller: Mutex::new(()),
        }
    }

    /// Threads that work, the caller's included.
    pub(super) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` with each number below `pieces`, once, on several threads.
    ///
    /// # Panics
    /// Where `work` does.
    pub(super) fn run(&self, pieces: usize, work: &Work<'_>) {
        if pieces <= 1 || self.workers.is_empty() {
            (0..pieces).for_each(work);
            return;
        }
        let _turn = lock(&self.caller);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. `Recall` takes the work back before this function
        // ends, and waits for everyone who may use it.
        let work = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        shared.failed.store(false, Ordering::Relaxed);
        shared.next.store(0, Ordering::Relaxed);
        *lock(&shared.work) = Some(Lent { work, pieces });
        shared.turn.fetch_add(1, Ordering::SeqCst);
        let recall = Recall(shared);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.sleep));
            shared.wake.notify_all();
        }
        shared.take_pieces(work, pieces);
        drop(recall);
        assert!(
            !shared.failed.load(Ordering::Relaxed),
            "a thread of the pool panicked"
        );
    }

    /// Cuts `all` into pieces of `size` (the last may be shorter), and calls `work` with each and
    /// its number.
    pub(super) fn chunks<T: Send>(
        &self,
        all: &mut [T],
        size: usize,
        work: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        let all = Cut::new(all, size);
        // SAFETY: each number comes once.
        self.run(all.pieces(), &|number| {
            work(number, unsafe { all.piece(number) });
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.sleep));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

/// Ends a turn, by a panic as well, and waits for those who work on it.
struct Recall<'a>(&'a Shared);

impl Drop for Recall<'_> {
    fn drop(&mut self) {
        self.0.turn.fetch_add(1, Ordering::SeqCst);
        let mut looks = 0;
        while self.0.guests.load(Ordering::SeqCst) > 0 {
            looks += 1;
            if looks < PATIENCE {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

impl Shared {
    fn take_pieces(&self, work: &Work<'_>, pieces: usize) {
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return;
            }
            work(piece);
        }
    }

    /// A worker's life.
    fn serve(&self) {
        let mut done = 0;
        while let Some(turn) = self.next_turn(done) {
            done = turn;
            // The caller closes the turn first and then waits for the guests; so whoever is a guest
            // and sees the turn open has the work for as long as it stays one.
            self.guests.fetch_add(1, Ordering::SeqCst);
            if self.turn.load(Ordering::SeqCst) == turn {
                let lent = *lock(&self.work);
                if let Some(Lent { work, pieces }) = lent {
                    // SAFETY: the caller keeps the work alive while there are guests.
                    let work = unsafe { &*work };
                    let end = catch_unwind(AssertUnwindSafe(|| self.take_pieces(work, pieces)));
                    if end.is_err() {
                        self.failed.store(true, Ordering::Relaxed);
                    }
                }
            }
            self.guests.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Waits for a turn other than `done`; none when the pool goes.
    fn next_turn(&self, done: u64) -> Option<u64> {
        let open = || {
            let turn = self.turn.load(Ordering::SeqCst);
            (turn % 2 == 1 && turn != done).then_some(turn)
        };
        for _ in 0..LOOKS {
            if let Some(turn) = open() {
                return Some(turn);
            }
            std::hint::spin_loop();
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = lock(&self.sleep);
        let turn = loop {
            if self.stopped.load(Ordering::SeqCst) {
                break None;
            }
            if let Some(turn) = open() {
                break Some(turn);
            }
            guard = self
                .wake
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        };
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        turn
    }
}

/// A slice whose pieces go to different threads.
struct Cut<T> {
    at: *mut T,
    len: usize,
    size: usize,
}

// SAFETY: it stands for a `&mut [T]` that is cut into pieces which do not overlap.
unsafe impl<T: Send> Sync for Cut<T> {}

impl<T> Cut<T> {
    fn new(all: &mut [T], size: usize) -> Self {
        Self {
            at: all.as_mut_ptr(),
            len: all.len(),
            size: size.max(1),
        }
    }

    fn pieces(&self) -> usize {
        self.len.div_ceil(self.size)
    }

    /// # Safety
    /// Each number is asked for once while the slice is borrowed.
    #[allow(clippy::mut_from_ref, reason = "pieces do not overlap")]
    unsafe fn piece(&self, number: usize) -> &mut [T] {
        let start = number * self.size;
        assert!(start < self.len, "piece {number}");
        let len = self.size.min(self.len - start);
        // SAFETY: it lies within the slice, and the caller asks for it once.
        unsafe { std::slice::from_raw_parts_mut(self.at.add(start), len) }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::Pool;

    #[test]
    fn every_piece_is_done_once() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads);
            for pieces in [0, 1, 2, 7, 1000] {
                for _ in 0..200 {
                    let mut counts = vec![0; pieces];
                    pool.chunks(&mut counts, 1, &|number, count| count[0] += number + 1);
                    assert!(counts.iter().enumerate().all(|(i, count)| *count == i + 1));
                }
            }
        }
    }

    #[test]
    fn pieces_cover_slices_of_any_length() {
        let pool = Pool::new(3);
        for length in 0..40 {
            let mut all = vec![0; length];
            pool.chunks(&mut all, 4, &|number, piece| piece.fill(number));
            assert!(all.iter().enumerate().all(|(i, n)| *n == i / 4));
        }
    }

    #[test]
    fn it_wakes_from_sleep_and_serves_several_callers() {
        let pool = Pool::new(3);
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        std::thread::sleep(Duration::from_millis(2));
                        pool.run(10, &|_| {
                            done.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(done.load(Ordering::Relaxed), 4 * 5 * 10);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_pool_whole() {
        let pool = Pool::new(4);
        for bad in [0, 17, 99] {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(100, &|piece| assert_ne!(piece, bad, "on purpose"));
            }));
            assert!(result.is_err());
            let mut after = vec![false; 50];
            pool.chunks(&mut after, 1, &|_, seen| seen[0] = true);
            assert!(after.iter().all(|seen| *seen));
        }
    }
}

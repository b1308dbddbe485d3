//! Lets go of what only writing needs, once a collection was not written to for a while.
//!
//! Tantivy's writer owns threads and an arena. A process may hold hundreds of open collections of
//! which few are being written to, so one thread for all of them looks which writers rest. It is
//! started by the first write of the process, and holds no collection open.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::writer::Writer;

/// How long after its last write a collection's writer is kept.
const REST: Duration = Duration::from_secs(5);
/// How often writers are looked at while there are any.
const LOOK: Duration = Duration::from_secs(1);

/// A writer that may be gone by the time it is looked at.
type Watched = Weak<Mutex<Writer>>;

/// Has a writer put to rest once nothing was written for [`REST`].
pub(crate) fn watch(writer: Watched) {
    static WATCHER: OnceLock<Option<Mutex<Sender<Watched>>>> = OnceLock::new();
    let watcher = WATCHER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        let started = std::thread::Builder::new()
            .name("faq-idle".to_owned())
            .spawn(move || run(&receiver));
        match started {
            Ok(_runs_as_long_as_the_process) => Some(Mutex::new(sender)),
            Err(error) => {
                tracing::warn!(%error, "idle writers keep their threads");
                None
            }
        }
    });
    if let Some(watcher) = watcher {
        let sender = watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let _ended_only_with_the_process = sender.send(writer);
    }
}

fn run(receiver: &Receiver<Watched>) {
    let mut watched: Vec<Watched> = Vec::new();
    loop {
        let next = if watched.is_empty() {
            receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            receiver.recv_timeout(LOOK)
        };
        match next {
            Ok(writer) => {
                watched.push(writer);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        watched.retain(|writer| {
            let Some(writer) = writer.upgrade() else {
                return false;
            };
            // Whoever holds the lock is writing.
            let Ok(mut writer) = writer.try_lock() else {
                return true;
            };
            let is_new = writer.last_write.is_some_and(|at| at.elapsed() < REST);
            if is_new || writer.keyword.is_merging() {
                return true;
            }
            writer.rest();
            false
        });
    }
}

impl Writer {
    /// Notes a write; whether the writer is to be watched from now on.
    pub(crate) fn written(&mut self) -> bool {
        let wakes = self.last_write.is_none();
        self.last_write = Some(Instant::now());
        wakes
    }

    /// Lets go of what only writing needs.
    pub(crate) fn rest(&mut self) {
        self.last_write = None;
        self.keyword.rest();
    }
}

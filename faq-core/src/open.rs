//! Collections that are open: each opened once however many ask for it, and closed when idle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Result;

/// The collections that are open, by name.
#[derive(Default)]
pub(crate) struct OpenCollections(Mutex<HashMap<String, Arc<Slot>>>);

/// The place of one collection, held while it is opened or closed, so that nobody else does
/// the same meanwhile, and other collections need not wait.
#[derive(Default)]
struct Slot(Mutex<Option<Opened>>);

struct Opened {
    index: faq_index::Collection,
    used: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OpenCollections {
    /// The collection `name`, made by `open` where it is not open.
    pub(crate) fn get_or_open(
        &self,
        name: &str,
        open: impl FnOnce() -> Result<faq_index::Collection>,
    ) -> Result<faq_index::Collection> {
        let slot = Arc::clone(lock(&self.0).entry(name.to_owned()).or_default());
        let mut slot = lock(&slot.0);
        let used = Instant::now();
        if let Some(opened) = slot.as_mut() {
            opened.used = used;
            return Ok(opened.index.clone());
        }
        let index = open()?;
        *slot = Some(Opened {
            index: index.clone(),
            used,
        });
        Ok(index)
    }

    /// Lets go of a collection; it is closed with its last handle.
    pub(crate) fn forget(&self, name: &str) {
        let slot = lock(&self.0).get(name).map(Arc::clone);
        if let Some(slot) = slot {
            lock(&slot.0).take();
        }
    }

    /// Closes what nobody uses and was last asked for `idle` ago or longer, and beyond the
    /// `keep` that were asked for last whatever nobody uses. Returns how many stay open.
    pub(crate) fn close_idle(&self, idle: Duration, keep: usize) -> usize {
        let slots: Vec<Arc<Slot>> = lock(&self.0).values().map(Arc::clone).collect();
        let mut open: Vec<(Instant, Arc<Slot>)> = slots
            .into_iter()
            .filter_map(|slot| {
                let used = lock(&slot.0).as_ref()?.used;
                Some((used, slot))
            })
            .collect();
        open.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        let mut left = 0;
        for (place, (_, slot)) in open.into_iter().enumerate() {
            let mut slot = lock(&slot.0);
            let close = slot.as_ref().is_some_and(|opened| {
                (place >= keep || opened.used.elapsed() >= idle) && !opened.index.is_shared()
            });
            if close {
                slot.take();
            }
            left += usize::from(slot.is_some());
        }
        // Who waits for a slot holds it a second time.
        lock(&self.0).retain(|_, slot| Arc::strong_count(slot) > 1 || lock(&slot.0).is_some());
        left
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use faq_index::{Collection, CollectionConfig};

    fn open(dir: &std::path::Path) -> Result<Collection> {
        Ok(Collection::open(dir, CollectionConfig::default())?)
    }

    #[test]
    fn what_nobody_uses_is_closed_and_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let collections = OpenCollections::default();
        let used = collections.get_or_open("a", || open(&a)).unwrap();
        drop(collections.get_or_open("b", || open(&b)).unwrap());
        assert_eq!(collections.close_idle(Duration::from_secs(3600), 9), 2);
        // One is in use; the other could be opened by another process now.
        assert_eq!(collections.close_idle(Duration::ZERO, 9), 1);
        drop(open(&b).unwrap());
        assert!(open(&a).is_err(), "it is open");
        drop(used);
        assert_eq!(collections.close_idle(Duration::ZERO, 9), 0);
        drop(open(&a).unwrap());
        assert!(lock(&collections.0).is_empty());
        collections.get_or_open("a", || open(&a)).unwrap();
    }

    #[test]
    fn of_too_many_those_asked_for_last_stay() {
        let dir = tempfile::tempdir().unwrap();
        let collections = OpenCollections::default();
        for name in ["a", "b", "c"] {
            let path = dir.path().join(name);
            collections.get_or_open(name, || open(&path)).unwrap();
        }
        assert_eq!(collections.close_idle(Duration::from_secs(3600), 1), 1);
        assert!(open(&dir.path().join("c")).is_err(), "it is open");
        drop(open(&dir.path().join("a")).unwrap());
    }

    #[test]
    fn what_cannot_be_opened_leaves_nothing_behind() {
        let collections = OpenCollections::default();
        let failed = collections.get_or_open("a", || Err(crate::Error::invalid("no")));
        assert!(failed.is_err());
        collections.close_idle(Duration::ZERO, 0);
        assert!(lock(&collections.0).is_empty());
    }

    #[test]
    fn many_who_ask_at_once_get_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let collections = OpenCollections::default();
        let opened = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let one = collections.get_or_open("a", || {
                        opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        open(dir.path())
                    });
                    one.unwrap();
                });
            }
        });
        assert_eq!(opened.into_inner(), 1);
    }
}

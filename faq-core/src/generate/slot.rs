//! Things of which each is used by one caller at a time, where the others' wait can be called off.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Control, Interrupted};

/// How often a waiting caller looks at its cancel token and its deadline.
const LOOK: Duration = Duration::from_millis(20);

/// Holds those that no caller has.
#[derive(Debug)]
pub(super) struct Slot<T> {
    content: Mutex<Vec<T>>,
    returned: Condvar,
}

/// One of a slot's contents, which goes back when this is dropped, by a panic as well.
pub(super) struct Taken<'a, T> {
    slot: &'a Slot<T>,
    content: Option<T>,
}

impl<T> Slot<T> {
    pub(super) fn new(content: Vec<T>) -> Self {
        Self {
            content: Mutex::new(content),
            returned: Condvar::new(),
        }
    }

    /// Waits for one of the contents as long as `control` allows.
    pub(super) fn take(&self, control: &Control) -> Result<Taken<'_, T>, Interrupted> {
        let mut content = self.lock();
        loop {
            control.check()?;
            if let Some(content) = content.pop() {
                return Ok(Taken {
                    slot: self,
                    content: Some(content),
                });
            }
            content = self
                .returned
                .wait_timeout(content, LOOK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Nothing that can panic runs under the lock, so a poisoned one holds a good value.
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    #[allow(clippy::expect_used, reason = "only `drop` takes the content")]
    fn deref(&self) -> &T {
        self.content
            .as_ref()
            .expect("the content is here until the drop")
    }
}

impl<T> DerefMut for Taken<'_, T> {
    #[allow(clippy::expect_used, reason = "only `drop` takes the content")]
    fn deref_mut(&mut self) -> &mut T {
        self.content
            .as_mut()
            .expect("the content is here until the drop")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.slot.lock().extend(self.content.take());
        self.slot.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::Slot;
    use crate::{Control, Interrupted};

    #[test]
    fn callers_take_turns() {
        let slot = Slot::new(vec![0]);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        *slot.take(&Control::new()).unwrap() += 1;
                    }
                });
            }
        });
        assert_eq!(*slot.take(&Control::new()).unwrap(), 400);
    }

    #[test]
    fn each_content_has_one_user() {
        let slot = Slot::new(vec![1, 2]);
        let control = Control::new();
        let (one, two) = (slot.take(&control).unwrap(), slot.take(&control).unwrap());
        assert_eq!(*one + *two, 3);
        let hurried = Control::new().with_timeout(Duration::from_millis(1));
        assert!(slot.take(&hurried).is_err());
        drop(one);
        assert!(slot.take(&control).is_ok());
    }

    #[test]
    fn a_wait_can_be_called_off() {
        let slot = Slot::new(vec![()]);
        let held = slot.take(&Control::new()).unwrap();
        let hurried = Control::new().with_timeout(Duration::from_millis(1));
        assert_eq!(slot.take(&hurried).err(), Some(Interrupted::Deadline));
        let cancelled = Control::new();
        cancelled.cancel.cancel();
        assert_eq!(slot.take(&cancelled).err(), Some(Interrupted::Cancelled));
        drop(held);
        assert!(slot.take(&Control::new()).is_ok());
    }

    #[test]
    fn a_panic_gives_the_content_back() {
        let slot = Slot::new(vec![5]);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = slot.take(&Control::new()).unwrap();
            panic!("on purpose");
        }));
        assert!(result.is_err());
        assert_eq!(*slot.take(&Control::new()).unwrap(), 5);
    }
}

//! Where a step of a write may be made to fail.
//!
//! Each step that touches the disk passes [`at`] first. In the crate's own tests a hook is told of
//! it and may answer with an error, or copy the directory as a crash at that moment would leave
//! it; everywhere else it does nothing and costs nothing.

#[cfg(not(test))]
#[inline]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the tests' version may give an error"
)]
pub(crate) fn at(_step: &'static str, _file: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use hooks::{Armed, at};

#[cfg(test)]
mod hooks {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError};

    type Hook = Arc<dyn Fn(&'static str, &Path) -> io::Result<()> + Send + Sync>;

    static HOOKS: Mutex<Vec<(PathBuf, Hook)>> = Mutex::new(Vec::new());

    /// Tells the hook of the directory that the file is in.
    pub(crate) fn at(step: &'static str, file: &Path) -> io::Result<()> {
        let hook = {
            let hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
            let found = hooks.iter().find(|(dir, _)| file.starts_with(dir));
            found.map(|(_, hook)| Arc::clone(hook))
        };
        hook.map_or(Ok(()), |hook| hook(step, file))
    }

    /// A hook for everything below a directory, until it is dropped.
    pub(crate) struct Armed(PathBuf);

    impl Armed {
        pub(crate) fn new(
            dir: &Path,
            hook: impl Fn(&'static str, &Path) -> io::Result<()> + Send + Sync + 'static,
        ) -> Self {
            let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
            hooks.push((dir.to_owned(), Arc::new(hook)));
            Self(dir.to_owned())
        }
    }

    impl Drop for Armed {
        fn drop(&mut self) {
            let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
            hooks.retain(|(dir, _)| *dir != self.0);
        }
    }
}

#[cfg(test)]
mod tests;

//! The lock that keeps a second process, or a second handle, out of a collection.
//!
//! An advisory lock on the file `lock`, held by an open descriptor: the system takes it away
//! when the process dies, however it dies, so a lock is never stale. One writer holds it alone;
//! those who only read share it. The text in the file is the last writer's process id, for the
//! error message alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::IndexError;
use crate::disk::io_error;

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    /// `None` where nobody ever locked a directory that cannot be written to.
    _file: Option<File>,
}

/// File name of the lock in a collection's directory.
pub(crate) const FILE: &str = "lock";

impl DirLock {
    /// Takes the lock of the collection in `dir`, or says who has it.
    pub(crate) fn acquire(dir: &Path) -> Result<Self, IndexError> {
        let path = dir.join(FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| io_error("cannot open", &path, source))?;
        taken(dir, &mut file, File::try_lock)?;
        // Who holds the lock is a courtesy to whoever meets it; a full disk must not forbid opening.
        let noted = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| write!(file, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::debug!(%error, "could not note the process id in the lock file");
        }
        Ok(Self { _file: Some(file) })
    }

    /// Shares the lock with others who only read, and writes nothing. Where there is no lock file
    /// and none can be made, there is no writer either.
    pub(crate) fn share(dir: &Path) -> Result<Self, IndexError> {
        let path = dir.join(FILE);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { _file: None }),
            Err(source) => return Err(io_error("cannot open", &path, source)),
        };
        taken(dir, &mut file, File::try_lock_shared)?;
        Ok(Self { _file: Some(file) })
    }
}

/// How long a lock is waited for. A process that another thread is just starting holds every open
/// file for a moment, the lock of a collection that was closed meanwhile too.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);

fn taken(
    dir: &Path,
    file: &mut File,
    take: impl Fn(&File) -> Result<(), TryLockError>,
) -> Result<(), IndexError> {
    let started = Instant::now();
    loop {
        match take(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(IndexError::Locked {
                    path: dir.to_owned(),
                    holder: holder(file),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(io_error("cannot lock", &dir.join(FILE), source));
            }
        }
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(20).read_to_string(&mut text) {
        Ok(_) if text.parse::<u32>().is_ok() => format!(" (pid {text})"),
        _ => String::new(),
    }
}

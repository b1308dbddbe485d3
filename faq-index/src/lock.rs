//! The lock that keeps a second process, or a second handle, out of a collection.
//!
//! An advisory lock on the file `lock`, held by an open descriptor: the system takes it away
//! when the process dies, however it dies. The text in the file is the holder's process id,
//! for the error message alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::IndexError;
use crate::disk::io_error;

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock of the collection in `dir`, or says who has it.
    pub(crate) fn acquire(dir: &Path) -> Result<Self, IndexError> {
        let path = dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| io_error("cannot open", &path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(IndexError::Locked {
                    path: dir.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(io_error("cannot lock", &path, source));
            }
        }
        // Who holds the lock is a courtesy to whoever meets it; a full disk must not forbid opening.
        let noted = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| write!(file, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::debug!(%error, "could not note the process id in the lock file");
        }
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(20).read_to_string(&mut text) {
        Ok(_) if text.parse::<u32>().is_ok() => format!(" (pid {text})"),
        _ => String::new(),
    }
}

//! How this crate touches the file system: errors with their path, durable renames, sizes.
//!
//! Nothing here knows what a file holds.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::{IndexError, faults};

/// Turns an I/O error into one that names what was being done and to which file.
pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> IndexError {
    if source.kind() == io::ErrorKind::StorageFull {
        return IndexError::DiskFull {
            path: path.to_owned(),
        };
    }
    IndexError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Whether any cause of `error` is a full disk.
pub(crate) fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            if io.kind() == io::ErrorKind::StorageFull {
                return true;
            }
            // An io::Error does not name the error that it wraps as its source.
            if let Some(inner) = io.get_ref() {
                return is_disk_full(inner);
            }
        }
        cause = current.source();
    }
    false
}

/// Whether there is a file of this name. An error where this process may not look.
pub(crate) fn is_file(path: &Path) -> Result<bool, IndexError> {
    match fs::metadata(path) {
        Ok(meta) => Ok(meta.is_file()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(source) => Err(io_error("cannot look at", path, source)),
    }
}

/// Whether this process may write to a directory and to those of the named files that are there.
pub(crate) fn may_write(dir: &Path, files: &[&str]) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        let may = |path: &Path, how| access(path, how).is_ok();
        may(dir, Access::WRITE_OK | Access::EXEC_OK)
            && files.iter().map(|name| dir.join(name)).all(|file| {
                may(&file, Access::READ_OK | Access::WRITE_OK) || !may(&file, Access::EXISTS)
            })
    }
    #[cfg(not(unix))]
    {
        files
            .iter()
            .map(|name| dir.join(name))
            .all(|file| !file.exists() || fs::OpenOptions::new().write(true).open(file).is_ok())
    }
}

/// Whether the disk that holds a directory has less than a megabyte left.
pub(crate) fn has_no_space(dir: &Path) -> bool {
    #[cfg(unix)]
    {
        rustix::fs::statvfs(dir)
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < 1 << 20)
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        false
    }
}

/// Gives a file the access rights of another. One that cannot be changed stays as it is.
pub(crate) fn same_mode(of: &Path, file: &Path) {
    let done = fs::metadata(of).and_then(|meta| fs::set_permissions(file, meta.permissions()));
    if let Err(error) = done
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %file.display(), %error, "could not set access rights");
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), IndexError> {
    // Windows has no such call, and its renames need none.
    if cfg!(unix) {
        File::open(dir)
            .and_then(|handle| handle.sync_all())
            .map_err(|source| io_error("cannot sync", dir, source))?;
    }
    Ok(())
}

/// Creates a directory with its parents where it is missing, durably.
pub(crate) fn create_dir(dir: &Path) -> Result<(), IndexError> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(|source| io_error("cannot create", dir, source))?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => Ok(()),
    }
}

/// Writes a file so that after a crash it is there whole or not at all.
///
/// The bytes go aside under `.tmp`, are synced, then renamed; [`sync_dir`] ends it. A sync
/// that fails is never repeated on the same descriptor: the half-made file is removed.
pub(crate) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), IndexError> {
    let aside = aside(path);
    let written = (|| {
        faults::at("file: create", path)?;
        let mut file = BufWriter::with_capacity(1 << 16, File::create(&aside)?);
        fill(&mut file)?;
        faults::at("file: sync", path)?;
        file.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        faults::at("file: rename", path)?;
        fs::rename(&aside, path)
    })();
    if let Err(source) = written {
        remove(&aside);
        return Err(io_error("cannot write", path, source));
    }
    faults::at("file: sync directory", path)
        .map_err(|source| io_error("cannot sync", path, source))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Where [`write_whole`] prepares a file.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Removes a file that nothing needs any more. One that stays costs space and nothing else:
/// the next open finds it again.
pub(crate) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "could not remove a file");
        }
        _ => {}
    }
}

/// Bytes of one file; 0 where it is not there.
pub(crate) fn size_of_file(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// All files below a directory, by their paths in it, with `/` between folders.
pub(crate) fn files_below(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let below = files_below(&entry.path());
            found.extend(below.into_iter().map(|file| format!("{name}/{file}")));
        } else {
            found.insert(name);
        }
    }
    found
}

/// Bytes in all files below a directory; files that vanish meanwhile count nothing.
pub(crate) fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size_of(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

//! A collection in a folder that may not be written to is opened, listed and searched.

use std::fs;
use std::path::Path;

use faq_index::{Access, Collection, CollectionConfig, IndexError, Query};

use crate::support::*;

fn filled(dir: &Path) -> Collection {
    let collection = open(dir);
    for n in 1..=12 {
        let texts = ["shared text", &format!("word{n} and more")[..]];
        collection.write(upsert([document(n, &texts)])).unwrap();
    }
    collection.write(delete([id(4)])).unwrap();
    collection
}

fn reading(dir: &Path) -> Result<Collection, IndexError> {
    let access = Access::ReadOnly;
    Collection::open(dir, CollectionConfig { access, ..config() })
}

/// Everything that a reader may do, and nothing that it may not.
fn use_as_reader(collection: &Collection) {
    assert!(collection.read_only().is_some());
    let stats = collection.stats().unwrap();
    assert!(stats.read_only);
    assert_eq!((stats.documents, stats.vectors, stats.seq), (11, 22, 13));
    assert_eq!(collection.documents().unwrap().len(), 11);
    for n in [1, 2, 3, 5, 12] {
        assert_eq!(keyword(collection, &format!("word{n}")), [id(n)]);
        assert_eq!(dense(collection, vector_of(n, 1), 1), [id(n)]);
        let found = collection
            .search(&Query::new(format!("word{n}"), Some(vector_of(n, 1))))
            .unwrap();
        let chunk = &collection.chunks(&[found.hits[0].id]).unwrap()[0];
        assert_eq!(chunk.text, format!("word{n} and more"));
    }
    assert!(keyword(collection, "word4").is_empty());
    for error in [
        collection.write(delete([id(1)])).unwrap_err(),
        collection.compact().unwrap_err(),
    ] {
        assert!(matches!(error, IndexError::ReadOnly { .. }), "{error}");
    }
}

/// Whether the keyword index on disk cannot serve this user.
fn keyword_is_in_memory(dir: &Path) -> bool {
    let collection = Collection::open(dir, config()).unwrap();
    let found = collection.search(&Query::new("word1", Some(vector_of(1, 1))));
    let degraded = found.unwrap().plan.degraded;
    degraded.iter().any(|note| note.contains("keyword index"))
}

/// Names and bytes of all files below a folder.
fn bytes(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let read = |path: std::path::PathBuf| (path.clone(), fs::read(path).unwrap());
    files(dir).into_iter().map(read).collect()
}

#[test]
fn readers_share_and_touch_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()));
    let before = bytes(dir.path());
    let (one, two) = (reading(dir.path()).unwrap(), reading(dir.path()).unwrap());
    use_as_reader(&one);
    use_as_reader(&two);
    let error = Collection::open(dir.path(), config()).unwrap_err();
    assert!(matches!(error, IndexError::Locked { .. }), "{error}");
    drop((one, two));
    assert_eq!(bytes(dir.path()), before);

    let writer = open(dir.path());
    assert!(writer.read_only().is_none());
    let error = reading(dir.path()).unwrap_err();
    assert!(matches!(error, IndexError::Locked { .. }), "{error}");
}

#[test]
fn a_store_whose_log_was_left_behind_is_read_whole() {
    let (dir, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let collection = filled(dir.path());
    copy(dir.path(), killed.path());
    drop(collection);
    let log = killed.path().join("truth.sqlite-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0);
    // The index of the log is of no use without the process that had it open.
    fs::remove_file(killed.path().join("truth.sqlite-shm")).unwrap();
    let before = bytes(killed.path());
    use_as_reader(&reading(killed.path()).unwrap());
    assert_eq!(bytes(killed.path()), before);
}

#[test]
fn what_is_missing_or_damaged_is_made_anew_in_memory() {
    for folder in ["keyword", "segments"] {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path()));
        for file in files(&dir.path().join(folder)) {
            let mut bad = fs::read(&file).unwrap();
            if let Some(last) = bad.last_mut() {
                *last ^= 0x10;
            }
            fs::write(&file, bad).unwrap();
        }
        let before = bytes(dir.path());
        use_as_reader(&reading(dir.path()).unwrap());
        let found = reading(dir.path())
            .unwrap()
            .search(&Query::new("word1", Some(vector_of(1, 1))));
        assert!(!found.unwrap().plan.degraded.is_empty(), "{folder}");
        assert_eq!(bytes(dir.path()), before, "{folder}");
        fs::remove_dir_all(dir.path().join(folder)).unwrap();
        use_as_reader(&reading(dir.path()).unwrap());
    }
}

#[test]
fn nothing_is_made_where_there_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let error = reading(dir.path()).unwrap_err();
    assert!(matches!(error, IndexError::NotFound { .. }), "{error}");
    assert!(files(dir.path()).is_empty());
}

#[cfg(unix)]
mod as_another_user {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    const DIR: &str = "FAQ_INDEX_TEST_READ_ONLY_DIR";
    const NOBODY: u32 = 65534;

    /// Takes from everyone the right to write, or gives it back to the owner.
    fn set_writable(dir: &Path, writable: bool) {
        let folders = [dir.join("keyword"), dir.join("segments"), dir.to_owned()];
        for path in files(dir).into_iter().chain(folders) {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            // Temporary directories are their owner's alone.
            let traversed = if path == dir { mode | 0o055 } else { mode };
            let mode = if writable {
                mode | 0o200
            } else {
                traversed & !0o222
            };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    #[test]
    #[ignore = "runs as the child of a_folder_that_may_not_be_written_to_is_searched"]
    fn child() {
        let Ok(dir) = std::env::var(DIR) else { return };
        let dir = Path::new(&dir);
        let collection = Collection::open(dir, config()).unwrap();
        use_as_reader(&collection);
        drop(collection);
        let access = Access::ReadWrite;
        let error = Collection::open(dir, CollectionConfig { access, ..config() }).unwrap_err();
        assert!(matches!(error, IndexError::Io { .. }), "{error}");
        assert!(!super::keyword_is_in_memory(dir));
        // What may not be looked at is not taken for missing.
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o000)).unwrap();
        let error = Collection::open(closed.path(), config()).unwrap_err();
        assert!(matches!(error, IndexError::Io { .. }), "{error}");
        println!("read as another user");
    }

    #[test]
    fn a_folder_that_may_not_be_written_to_is_searched() {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path()));
        let before = bytes(dir.path());
        set_writable(dir.path(), false);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["read_only::as_another_user::child", "--exact", "--ignored"])
            .arg("--nocapture")
            .env(DIR, dir.path());
        // The superuser may write everywhere.
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        match command.output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout);
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{said}{errors}");
                assert!(said.contains("read as another user"), "{said}");
            }
            Err(error) => println!("SKIPPED: the test cannot run itself as {NOBODY}: {error}"),
        }
        set_writable(dir.path(), true);
        assert_eq!(bytes(dir.path()), before);
    }
}

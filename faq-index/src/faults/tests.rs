//! Every step of a write and of a compaction is made to fail once, and to be the last before a
//! crash once. What was acknowledged is there, whole, and what was not is there whole or not at all.
#![allow(clippy::unwrap_used)]

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::Armed;
use crate::support::*;
use crate::{Collection, CollectionConfig, IndexError, WriteBatch};

/// Opened so that a few vectors have a graph, whose file is written too.
fn open_with_graph(dir: &Path) -> Collection {
    let graph_min_vectors = 4;
    let collection = Collection::open(
        dir,
        CollectionConfig {
            graph_min_vectors,
            ..config()
        },
    )
    .unwrap();
    collection.wait_idle();
    collection
}

/// What was acknowledged before anything fails.
fn prepare(dir: &Path) -> Collection {
    static PREPARED: OnceLock<tempfile::TempDir> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let collection = open_with_graph(dir.path());
        // Seven segments of one size, so that the next write merges them.
        for n in 1..=7 {
            collection
                .write(upsert([document(n, &["common", &format!("word{n}")])]))
                .unwrap();
        }
        collection.wait_idle();
        dir
    });
    copy(prepared.path(), dir);
    open_with_graph(dir)
}

/// One write that adds, replaces and deletes.
fn change() -> WriteBatch {
    let mut batch = upsert([
        document(3, &["common", "newer"]),
        document(8, &["common", "word8"]),
    ]);
    batch.deletes.push(id(5));
    batch
}

/// Which documents a collection holds, by words and by vectors, which must say the same.
fn state(collection: &Collection) -> Vec<(u64, String)> {
    let mut held = Vec::new();
    for n in 1..=8 {
        let text = collection.document(id(n)).unwrap().map(|found| found.text);
        let by_word = keyword(collection, &format!("word{n}")) == [id(n)];
        let by_vector = dense(collection, vector_of(n, 1), 1) == [id(n)];
        match text {
            None => assert!(!by_word && !by_vector, "{n} was deleted"),
            Some(text) => {
                assert!(by_vector, "{n} is there and its vector is not");
                assert!(
                    by_word || text.contains("newer"),
                    "{n} is there and its words are not"
                );
                held.push((n, text));
            }
        }
    }
    let stats = collection.stats().unwrap();
    assert_eq!(stats.documents as usize, held.len());
    assert_eq!(keyword(collection, "common").len(), held.len());
    held
}

/// Steps that `work` passes on a collection that was prepared.
fn steps(work: impl Fn(&Collection)) -> Vec<&'static str> {
    let dir = tempfile::tempdir().unwrap();
    let collection = prepare(dir.path());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let armed = Armed::new(dir.path(), move |step, _| {
        noted.lock().unwrap().push(step);
        Ok(())
    });
    work(&collection);
    collection.wait_idle();
    drop(armed);
    seen.lock().unwrap().clone()
}

/// A hook that does something at the step of a certain number.
fn once(
    number: usize,
    act: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> impl Fn(&'static str, &Path) -> io::Result<()> + Send + Sync + 'static {
    let count = AtomicUsize::new(0);
    move |_, _| {
        if count.fetch_add(1, Ordering::Relaxed) == number {
            act()
        } else {
            Ok(())
        }
    }
}

fn copy_as_a_crash_leaves_it(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        // What another thread removed meanwhile is not there after a crash either.
        match std::fs::copy(&file, &target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => {
                copied.unwrap();
            }
        }
    }
}

#[test]
fn a_step_that_fails_is_an_error_and_nothing_is_lost() {
    let write = |collection: &Collection| drop(collection.write(change()));
    let seen = steps(write);
    for step in [
        "truth: commit",
        "keyword: commit",
        "file: sync",
        "file: rename",
        "publish",
    ] {
        assert!(seen.contains(&step), "{step} is not among {seen:?}");
    }
    for (number, step) in seen.iter().enumerate() {
        for full in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let collection = prepare(dir.path());
            let before = state(&collection);
            let armed = Armed::new(
                dir.path(),
                once(number, move || {
                    Err(io::Error::from(if full {
                        io::ErrorKind::StorageFull
                    } else {
                        io::ErrorKind::Other
                    }))
                }),
            );
            let written = collection.write(change());
            collection.wait_idle();
            if let Err(error) = &written {
                let named = matches!(error, IndexError::DiskFull { .. });
                assert!(named || !full, "{step}: {error}");
            }
            // Reads go on. The words may lag, and the answer says so.
            assert_eq!(dense(&collection, vector_of(1, 1), 1), [id(1)], "{step}");
            assert_eq!(keyword(&collection, "word1"), [id(1)], "{step}");
            drop(armed);
            collection.write(change()).unwrap();
            let after = state(&collection);
            assert_ne!(after, before, "{step}");
            assert_eq!(after.len(), 7, "{step}");
            collection.wait_idle();
            drop(collection);
            assert_eq!(state(&open_with_graph(dir.path())), after, "{step}");
        }
    }
}

#[test]
fn a_crash_at_any_step_of_a_write_leaves_the_batch_whole_or_absent() {
    let seen = steps(|collection| drop(collection.write(change())));
    for (number, step) in seen.iter().enumerate() {
        let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let collection = prepare(dir.path());
        let before = state(&collection);
        let (from, to) = (dir.path().to_owned(), crashed.path().to_owned());
        let armed = Armed::new(
            dir.path(),
            once(number, move || {
                copy_as_a_crash_leaves_it(&from, &to);
                Ok(())
            }),
        );
        collection.write(change()).unwrap();
        collection.wait_idle();
        drop(armed);
        let after = state(&collection);
        if files(crashed.path()).is_empty() {
            // The background's last steps do not come in every run.
            continue;
        }
        let found = state(&open_with_graph(crashed.path()));
        assert!(found == before || found == after, "{step}: {found:?}");
    }
}

#[test]
fn a_crash_or_failure_at_any_step_of_a_compaction_leaves_everything() {
    let compact = |collection: &Collection| drop(collection.compact());
    let changed = |dir: &Path| {
        let collection = prepare(dir);
        collection.write(change()).unwrap();
        collection.wait_idle();
        collection
    };
    let seen = steps(|collection| {
        collection.write(change()).unwrap();
        compact(collection);
    });
    assert!(seen.contains(&"compact: store"), "{seen:?}");
    for number in 0..seen.len() {
        let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let collection = changed(dir.path());
        let expected = state(&collection);
        let (from, to) = (dir.path().to_owned(), crashed.path().to_owned());
        let armed = Armed::new(
            dir.path(),
            once(number, move || {
                copy_as_a_crash_leaves_it(&from, &to);
                Err(io::Error::from(io::ErrorKind::Other))
            }),
        );
        compact(&collection);
        collection.wait_idle();
        drop(armed);
        assert_eq!(state(&collection), expected, "failure {number}");
        if !files(crashed.path()).is_empty() {
            assert_eq!(
                state(&open_with_graph(crashed.path())),
                expected,
                "crash {number}"
            );
        }
        collection.compact().unwrap();
        drop(collection);
        assert_eq!(
            state(&open_with_graph(dir.path())),
            expected,
            "reopened {number}"
        );
    }
}

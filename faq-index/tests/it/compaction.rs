//! Compaction goes on beside readers and writers, is watched, and ends when told.

use std::collections::BTreeSet;

use faq_index::{Collection, CollectionConfig, IndexError, Work};

use crate::support::*;

/// Sixty documents in as many writes, a third of them deleted.
fn with_dead(collection: &Collection) {
    for n in 1..=60 {
        collection
            .write(upsert([document(
                n,
                &["plain words", &format!("w{n} more")],
            )]))
            .unwrap();
    }
    collection
        .write(delete((1..=60).filter(|n| n % 3 == 0).map(id)))
        .unwrap();
}

fn is_whole(collection: &Collection, more: &[u64]) {
    let live = (1..=60).filter(|n| n % 3 != 0).chain(more.iter().copied());
    let expected: BTreeSet<_> = live.clone().map(id).collect();
    let found: BTreeSet<_> = keyword(collection, "plain").into_iter().collect();
    assert_eq!(found, expected);
    for n in live {
        assert_eq!(dense(collection, vector_of(n, 0), 1), [id(n)]);
        assert_eq!(keyword(collection, &format!("w{n}")), [id(n)]);
    }
    assert_eq!(keyword(collection, "w3").len(), 0);
}

#[test]
fn readers_and_writers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    with_dead(&collection);
    let mut seen = Vec::new();
    let receipt = collection
        .compact_with(|progress| {
            assert!(progress.done <= progress.total);
            assert_eq!(collection.work(), [progress]);
            assert_eq!(collection.stats().unwrap().work, [progress]);
            if !seen.contains(&progress.work) {
                // Waits forever where the compaction holds the write lock here.
                let n = 101 + seen.len() as u64;
                let text = format!("w{n} more");
                if progress.work != Work::CompactStore {
                    collection
                        .write(upsert([document(n, &["plain words", &text])]))
                        .unwrap();
                }
                seen.push(progress.work);
                assert_eq!(keyword(&collection, "w1"), [id(1)]);
                assert_eq!(dense(&collection, vector_of(2, 0), 1), [id(2)]);
            }
            true
        })
        .unwrap();
    assert_eq!(
        seen,
        [
            Work::CompactVectors,
            Work::CompactKeywords,
            Work::CompactStore
        ]
    );
    assert_eq!(receipt.documents_erased, 20);
    assert_eq!(receipt.dead_vectors_removed, 40);
    assert!(collection.work().is_empty());
    is_whole(&collection, &[101, 102]);
    assert_eq!(collection.stats().unwrap().dead_vectors, 0);
    drop(collection);
    is_whole(&open(dir.path()), &[101, 102]);
}

#[test]
fn it_may_be_ended_at_any_moment() {
    for steps in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let collection = open(dir.path());
        with_dead(&collection);
        let mut left = steps;
        let ended = collection.compact_with(|_| {
            left -= 1;
            left >= 0
        });
        assert!(
            matches!(ended, Err(IndexError::Cancelled) | Ok(_)),
            "{ended:?}"
        );
        assert!(steps > 2 || ended.is_err(), "{steps}");
        is_whole(&collection, &[]);
        // What was not erased then is erased and counted now.
        let again = collection.compact().unwrap();
        assert_eq!(again.documents_erased, if ended.is_ok() { 0 } else { 20 });
        is_whole(&collection, &[]);
        drop(collection);
        is_whole(&open(dir.path()), &[]);
    }
}

#[test]
fn one_in_the_background_is_ended_by_the_last_handle() {
    let dir = tempfile::tempdir().unwrap();
    let config = CollectionConfig {
        // So slow that it would go on for minutes.
        background_share: 0.01,
        ..config()
    };
    let collection = Collection::open(dir.path(), config.clone()).unwrap();
    with_dead(&collection);
    assert!(collection.compact_in_background().unwrap());
    assert!(!collection.compact_in_background().unwrap());
    assert!(!collection.is_shared());
    drop(collection);
    let collection = Collection::open(dir.path(), config).unwrap();
    is_whole(&collection, &[]);
    assert!(collection.compact_in_background().unwrap());
    collection.cancel_background();
    collection.wait_idle();
    is_whole(&collection, &[]);
    drop(collection);
    let collection = open(dir.path());
    assert!(collection.compact_in_background().unwrap());
    collection.wait_idle();
    assert_eq!(collection.stats().unwrap().dead_vectors, 0);
    assert_eq!(collection.compact().unwrap().documents_erased, 0);
    is_whole(&collection, &[]);
}

#[test]
fn many_dead_vectors_are_taken_away_unasked() {
    let texts: Vec<String> = (0..400).map(|n| format!("text {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let written = |auto_compact| {
        let dir = tempfile::tempdir().unwrap();
        let config = CollectionConfig {
            auto_compact,
            ..config()
        };
        let collection = Collection::open(dir.path(), config).unwrap();
        for n in 1..=60 {
            collection.write(upsert([document(n, &texts)])).unwrap();
        }
        collection.write(delete((1..=45).map(id))).unwrap();
        collection.wait_idle();
        assert_eq!(dense(&collection, vector_of(50, 7), 1), [id(50)]);
        collection.stats().unwrap()
    };
    let stats = written(true);
    assert_eq!((stats.vectors, stats.dead_vectors), (6000, 0));
    assert!(written(false).dead_vectors > 10_000);
}

//! Many writers and readers at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use faq_index::Query;

use crate::support::*;

#[test]
fn writers_group_and_readers_see_whole_batches() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 12;
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for reader in 0..2 {
            let (collection, done) = (&collection, &done);
            scope.spawn(move || {
                let mut random = Random(reader);
                let mut last_seq = 0;
                while !done.load(Ordering::Relaxed) {
                    let mut query = Query::new("pair", Some(random.vector(DIM)));
                    (query.k, query.candidates) = (1000, 1000);
                    let result = collection.search(&query).unwrap();
                    assert!(result.seq >= last_seq, "a reader went back in time");
                    last_seq = result.seq;
                    // Each batch writes two documents of one chunk: half a batch is an odd number.
                    assert_eq!(result.hits.len() % 2, 0);
                    for hit in &result.hits {
                        assert!(hit.dense_rank.is_some() && hit.keyword_rank.is_some());
                    }
                }
            });
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let collection = &collection;
                scope.spawn(move || {
                    (0..EACH)
                        .map(|n| {
                            let n = 1 + 2 * (writer * EACH + n);
                            let batch =
                                upsert([document(n, &["pair"]), document(n + 1, &["pair"])]);
                            collection.write(batch).unwrap().seq
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let seqs: Vec<u64> = writers
            .into_iter()
            .flat_map(|w| w.join().unwrap())
            .collect();
        done.store(true, Ordering::Relaxed);
        let distinct: HashSet<u64> = seqs.iter().copied().collect();
        assert_eq!(distinct.len() as u64, WRITERS * EACH);
        assert_eq!(seqs.iter().max(), Some(&(WRITERS * EACH)));
    });
    assert_eq!(
        keyword(&collection, "pair").len() as u64,
        2 * WRITERS * EACH
    );
    drop(collection);
    assert_eq!(
        open(dir.path()).stats().unwrap().vectors,
        2 * WRITERS * EACH
    );
}

#[test]
fn compaction_does_not_stop_readers() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert((1..=200).map(|n| document(n, &["stone"]))))
        .unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let found = dense(&collection, vector_of(150, 0), 1);
                assert_eq!(found, [id(150)]);
                assert!(keyword(&collection, "stone").contains(&id(150)));
            }
        });
        for n in 1..=10 {
            collection.write(delete([id(n)])).unwrap();
            assert_eq!(collection.compact().unwrap().dead_vectors_removed, 1);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(collection.stats().unwrap().dead_vectors, 0);
}

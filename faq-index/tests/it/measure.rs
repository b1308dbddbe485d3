//! Timings to read, not to pass: `cargo test --release -p faq-index --test it -- measure
//! --ignored --nocapture --test-threads 1`.

use std::time::Instant;

use faq_index::{Collection, CollectionConfig, DocumentRecord, Mode, Query, VectorSearch, Window};

use crate::support::*;

const WIDE: usize = 384;

fn wide(n: u64, chunks: usize) -> DocumentRecord {
    let texts: Vec<String> = (0..chunks)
        .map(|c| {
            let mut random = Random(n * 31 + c as u64);
            let words: Vec<String> = (0..60)
                .map(|_| format!("w{}", random.below(20_000)))
                .collect();
            words.join(" ")
        })
        .collect();
    let mut document = document(n, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut random = Random(n);
    for chunk in &mut document.chunks {
        let range = chunk.range.clone();
        chunk.windows = vec![Window {
            range,
            vector: random.vector(WIDE),
        }];
    }
    document
}

fn wide_config() -> CollectionConfig {
    CollectionConfig {
        dim: WIDE,
        graph_min_vectors: usize::MAX,
        ..CollectionConfig::default()
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

#[test]
#[ignore = "prints timings"]
fn scan_and_open_times() {
    let dir = tempfile::tempdir().unwrap();
    let mut collection = Collection::open(dir.path(), wide_config()).unwrap();
    let mut written = 0;
    for size in [10_000_u64, 20_000, 100_000] {
        let start = Instant::now();
        while written < size {
            collection
                .write(upsert(
                    (written..written + 500).step_by(10).map(|n| wide(n, 10)),
                ))
                .unwrap();
            written += 500;
        }
        let ingest = ms(start);
        for mode in [Mode::Dense, Mode::Keyword, Mode::Hybrid] {
            let times = (0..30)
                .map(|n| {
                    let mut query =
                        Query::new("w17 w4711 w9 w1234 w777", Some(Random(n).vector(WIDE)));
                    (query.mode, query.vector_search) = (mode, VectorSearch::Exact);
                    let start = Instant::now();
                    assert!(!collection.search(&query).unwrap().hits.is_empty());
                    ms(start)
                })
                .collect();
            println!("{size} vectors: {mode:?} median {:.2} ms", median(times));
        }
        drop(collection);
        let start = Instant::now();
        collection = Collection::open(dir.path(), wide_config()).unwrap();
        let opened = ms(start);
        let start = Instant::now();
        collection
            .search(&Query::new("w17", Some(Random(1).vector(WIDE))))
            .unwrap();
        println!(
            "{size} chunks: since the last size {ingest:.0} ms of writing, open {opened:.1} ms, first search {:.1} ms, {} MB",
            ms(start),
            collection.stats().unwrap().disk_bytes >> 20
        );
    }
}

#[test]
#[ignore = "prints timings"]
fn ingest_rates() {
    for batch in [1_u64, 50] {
        let dir = tempfile::tempdir().unwrap();
        let collection = Collection::open(dir.path(), wide_config()).unwrap();
        let documents: Vec<_> = (0..300).map(|n| wide(n, 4)).collect();
        let start = Instant::now();
        for group in documents.chunks(batch as usize) {
            collection.write(upsert(group.iter().cloned())).unwrap();
        }
        println!(
            "batches of {batch}: {:.0} documents (4 chunks each) a second",
            300_000.0 / ms(start)
        );
    }
}

/// Resident memory of this process that is its own, in KB; its descriptors; its threads.
#[cfg(target_os = "linux")]
fn held() -> [i64; 3] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    [of("RssAnon"), descriptors as i64, of("Threads")]
}

#[test]
#[ignore = "prints sizes"]
#[cfg(target_os = "linux")]
fn what_an_idle_collection_holds() {
    const COLLECTIONS: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    for (how, write) in [("written to", true), ("opened and searched", false)] {
        let before = held();
        let open: Vec<_> = (0..COLLECTIONS)
            .map(|n| {
                let collection =
                    Collection::open(&dir.path().join(n.to_string()), wide_config()).unwrap();
                if write {
                    for n in 0..5 {
                        collection.write(upsert([wide(n, 4)])).unwrap();
                    }
                }
                let query = Query::new("w17", Some(Random(1).vector(WIDE)));
                collection.search(&query).unwrap();
                collection
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_secs(1));
        let after = held();
        let each = |at: usize| (after[at] - before[at]) as f64 / COLLECTIONS as f64;
        println!(
            "{how}: {:.0} KB, {:.1} descriptors, {:.1} threads each",
            each(0),
            each(1),
            each(2)
        );
        drop(open);
    }
}

//! The graph finds what the exact scan finds.

use std::collections::HashSet;

use faq_index::{Collection, CollectionConfig, DocumentRecord, Mode, Query, VectorSearch, Window};

use crate::support::*;

const DOCUMENTS: u64 = 1500;

/// Vectors around a few centres, as texts are, and several windows to some chunks.
fn clustered(n: u64) -> DocumentRecord {
    let mut document = document(n, &["one two three", "four"]);
    for (at, chunk) in document.chunks.iter_mut().enumerate() {
        let centre = Random(n % 23).vector(DIM);
        let near = |salt: u64| {
            let noise = Random(n * 100 + salt).vector(DIM);
            let mut v: Vec<f32> = centre.iter().zip(noise).map(|(c, x)| c + 0.6 * x).collect();
            let length = v.iter().map(|v| v * v).sum::<f32>().sqrt();
            for x in &mut v {
                *x /= length;
            }
            v
        };
        let range = chunk.range.clone();
        chunk.windows = vec![Window {
            range: range.clone(),
            vector: near(at as u64),
        }];
        if n.is_multiple_of(4) {
            chunk.windows.push(Window {
                range,
                vector: near(50 + at as u64),
            });
        }
    }
    document
}

fn recall(collection: &Collection, change: impl Fn(&mut Query)) -> f64 {
    let mut random = Random(99);
    let (mut shared, mut total) = (0, 0);
    for _ in 0..60 {
        let mut query = Query::new(
            "",
            Some(
                clustered(random.below(9999)).chunks[0].windows[0]
                    .vector
                    .clone(),
            ),
        );
        (query.mode, query.k, query.candidates) = (Mode::Dense, 10, 10);
        change(&mut query);
        let ids = |how| {
            let query = Query {
                vector_search: how,
                ..query.clone()
            };
            let result = collection.search(&query).unwrap();
            let by_graph = result.plan.vectors.starts_with("graph of");
            assert_eq!(
                by_graph,
                how == VectorSearch::Graph,
                "{}",
                result.plan.vectors
            );
            result.hits.iter().map(|hit| hit.id).collect::<HashSet<_>>()
        };
        let exact = ids(VectorSearch::Exact);
        total += exact.len();
        shared += ids(VectorSearch::Graph).intersection(&exact).count();
    }
    assert!(total > 0);
    f64::from(shared as u32) / f64::from(total as u32)
}

#[test]
fn recall_holds_after_additions_deletions_and_under_filters() {
    let dir = tempfile::tempdir().unwrap();
    let config = CollectionConfig {
        graph_min_vectors: 500,
        ..config()
    };
    let collection = Collection::open(dir.path(), config.clone()).unwrap();
    collection
        .write(upsert((0..DOCUMENTS).map(clustered)))
        .unwrap();
    collection.wait_idle();
    let stats = collection.stats().unwrap();
    assert_eq!(stats.graph_vectors, stats.vectors);
    assert!(recall(&collection, |_| {}) >= 0.98);

    // Newer documents are found beside the graph.
    collection
        .write(upsert((DOCUMENTS..DOCUMENTS + 50).map(clustered)))
        .unwrap();
    collection.wait_idle();
    let newer = clustered(DOCUMENTS + 7);
    let mut query = Query::new("", Some(newer.chunks[1].windows[0].vector.clone()));
    query.mode = Mode::Dense;
    let result = collection.search(&query).unwrap();
    assert_eq!(result.hits[0].id.document, newer.id);
    assert!(
        result.plan.vectors.starts_with("graph of"),
        "{}",
        result.plan.vectors
    );

    // Deleted ones are not, whatever the graph still holds.
    let dead: HashSet<_> = (0..DOCUMENTS).filter(|n| n % 3 == 0).map(id).collect();
    collection.write(delete(dead.iter().copied())).unwrap();
    assert!(recall(&collection, |_| {}) >= 0.98);
    collection.wait_idle();
    query.k = 400;
    let hits = collection.search(&query).unwrap().hits;
    assert!(hits.iter().all(|hit| !dead.contains(&hit.id.document)));
    let filtered = recall(&collection, |query| {
        query.filter.until_ms = Some(DOCUMENTS as i64 / 2);
    });
    assert!(filtered >= 0.95, "{filtered}");

    // A reopened collection builds it again.
    drop(collection);
    let collection = Collection::open(dir.path(), config).unwrap();
    collection.wait_idle();
    assert!(collection.stats().unwrap().graph_vectors > 0);
    assert!(recall(&collection, |_| {}) >= 0.98);
}

#[test]
fn the_plan_follows_sizes_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let config = CollectionConfig {
        graph_min_vectors: 1000,
        ..config()
    };
    let collection = Collection::open(dir.path(), config).unwrap();
    let plan = |filter_to: Option<i64>| {
        let mut query = Query::new("", Some(vector_of(1, 0)));
        query.mode = Mode::Dense;
        query.filter.until_ms = filter_to;
        collection.search(&query).unwrap().plan.vectors
    };
    collection.write(upsert((0..100).map(clustered))).unwrap();
    collection.wait_idle();
    assert!(
        plan(None).contains("the graph begins at 1000"),
        "{}",
        plan(None)
    );
    collection
        .write(upsert((100..2000).map(clustered)))
        .unwrap();
    collection.wait_idle();
    assert!(
        plan(None).starts_with("graph of 5000 vectors"),
        "{}",
        plan(None)
    );
    assert!(plan(Some(40)).contains("scan of the 100 vectors that the filter allows"));
    collection.build_graph().unwrap();
    assert_eq!(collection.stats().unwrap().graph_vectors, 5000);
}

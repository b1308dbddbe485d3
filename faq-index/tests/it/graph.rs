//! The graph finds what the exact scan finds.

use std::collections::HashSet;

use faq_index::{
    ChunkId, Collection, CollectionConfig, DocumentRecord, Mode, Query, VectorSearch, Window,
};
use hnsw_rs::prelude::{DistDot, Hnsw};

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

/// The ten nearest of what the graph finds with a width of `ef`, for each question.
fn by_graph(collection: &Collection, questions: &[Vec<f32>], ef: usize) -> Vec<Vec<ChunkId>> {
    let ask = |vector: &Vec<f32>| {
        let mut query = Query::new("", Some(vector.clone()));
        (query.mode, query.k, query.candidates) = (Mode::Dense, 10, 10);
        (query.vector_search, query.ef) = (VectorSearch::Graph, Some(ef));
        let result = collection.search(&query).unwrap();
        assert!(result.plan.vectors.starts_with("graph of"));
        result.hits.iter().map(|hit| hit.id).collect()
    };
    questions.iter().map(ask).collect()
}

/// Share of the nearest by plain arithmetic that was found.
fn share(found: &[Vec<ChunkId>], truth: &[Vec<ChunkId>]) -> f64 {
    let shared = |(found, truth): (&Vec<ChunkId>, &Vec<ChunkId>)| {
        truth.iter().filter(|id| found.contains(id)).count() as f64 / truth.len() as f64
    };
    found.iter().zip(truth).map(shared).sum::<f64>() / truth.len() as f64
}

/// Documents of one chunk each, their vectors around a few centres.
fn one_vector_each(count: u64) -> Vec<DocumentRecord> {
    let make = |n: u64| {
        let mut document = document(n, &["words"]);
        let (centre, noise) = (Random(n % 37).vector(DIM), Random(n + 1000).vector(DIM));
        let mut v: Vec<f32> = centre.iter().zip(noise).map(|(c, x)| c + 1.2 * x).collect();
        let length = v.iter().map(|v| v * v).sum::<f32>().sqrt();
        for x in &mut v {
            *x /= length;
        }
        document.chunks[0].windows[0].vector = v;
        document
    };
    (1..=count).map(make).collect()
}

fn vector(document: &DocumentRecord) -> &[f32] {
    &document.chunks[0].windows[0].vector
}

fn nearest(documents: &[DocumentRecord], question: &[f32]) -> Vec<ChunkId> {
    let product = |document: &DocumentRecord| -> f64 {
        let pairs = vector(document).iter().zip(question);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let mut all: Vec<(f64, ChunkId)> = documents
        .iter()
        .map(|document| {
            let (document_id, ordinal) = (document.id, 0);
            let id = ChunkId {
                document: document_id,
                ordinal,
            };
            (product(document), id)
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.truncate(10);
    all.into_iter().map(|(_, id)| id).collect()
}

#[test]
fn links_are_as_good_as_those_of_another_library() {
    let documents = one_vector_each(6000);
    let questions: Vec<Vec<f32>> = (0..200).map(|n| Random(77_000 + n).vector(DIM)).collect();
    let truth: Vec<_> = questions.iter().map(|q| nearest(&documents, q)).collect();

    let theirs = Hnsw::<f32, DistDot>::new(16, documents.len(), 16, 100, DistDot);
    for (n, document) in documents.iter().enumerate() {
        theirs.insert_slice((vector(document), n));
    }
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection.write(upsert(documents.clone())).unwrap();
    collection.build_graph().unwrap();
    for ef in [32, 64, 128] {
        let found: Vec<Vec<ChunkId>> = questions
            .iter()
            .map(|question| {
                let found = theirs.search(question, 10, ef);
                let id = |n: usize| ChunkId {
                    document: documents[n].id,
                    ordinal: 0,
                };
                found.iter().map(|near| id(near.d_id)).collect()
            })
            .collect();
        let (theirs, ours) = (
            share(&found, &truth),
            share(&by_graph(&collection, &questions, ef), &truth),
        );
        assert!(ours >= theirs - 0.01, "width {ef}: {ours} against {theirs}");
    }
}

#[test]
fn many_small_additions_find_as_much_as_one_large() {
    let documents = one_vector_each(6000);
    let questions: Vec<Vec<f32>> = (0..300).map(|n| Random(55_000 + n).vector(DIM)).collect();
    let truth: Vec<_> = questions.iter().map(|q| nearest(&documents, q)).collect();
    let config = CollectionConfig {
        graph_min_vectors: 500,
        ..config()
    };
    let written = |size: usize| {
        let dir = tempfile::tempdir().unwrap();
        let collection = Collection::open(dir.path(), config.clone()).unwrap();
        for batch in documents.chunks(size) {
            collection.write(upsert(batch.to_vec())).unwrap();
        }
        collection.wait_idle();
        let ef = 32;
        let recall = share(&by_graph(&collection, &questions, ef), &truth);
        (recall, collection.stats().unwrap().graph_vectors)
    };
    let (at_once, in_graph) = written(documents.len());
    assert_eq!(in_graph, 6000);
    let (bit_by_bit, in_graph) = written(40);
    assert!(in_graph >= 4500, "{in_graph}");
    assert!(at_once > 0.9, "{at_once}");
    assert!(
        bit_by_bit >= at_once - 0.005,
        "{bit_by_bit} against {at_once}"
    );
}

#[test]
fn equal_vectors_are_all_found() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let mut documents = one_vector_each(3000);
    for document in &mut documents[..600] {
        document.chunks[0].windows[0].vector = Random(5).vector(DIM);
    }
    collection.write(upsert(documents)).unwrap();
    collection.build_graph().unwrap();
    let mut query = Query::new("", Some(Random(5).vector(DIM)));
    (query.mode, query.vector_search) = (Mode::Dense, VectorSearch::Graph);
    (query.k, query.ef) = (100, Some(200));
    let hits = collection.search(&query).unwrap().hits;
    let equal = hits.iter().filter(|hit| hit.score > 0.9999).count();
    assert_eq!(equal, 100);
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

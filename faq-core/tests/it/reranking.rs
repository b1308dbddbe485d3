//! The best hits in a new order, by their tokens.

use std::sync::Arc;

use faq_core::{
    Collection, Control, EmbedError, Embedder, Engine, EngineConfig, Error, Fusion, Mode, Passage,
    Rerank, SearchOptions, Source,
};

use crate::support::{Other, minilm};

const QUESTION: &str = "Who approves flights?";

const NOTES: [&str; 7] = [
    "Flights need the approval of the head of department.",
    "Trains are booked in second class.",
    "Flights of stairs are cleaned on Fridays.",
    "The head of department approves leave.",
    "Approved flights are booked by the travel desk.",
    "Birds fly south in autumn.",
    "Coffee is free of charge.",
];

fn collection(dir: &std::path::Path, embedder: Arc<dyn Embedder>) -> Collection {
    let engine = Engine::with_embedder(EngineConfig::new(dir), embedder).unwrap();
    let collection = engine.collection("default").unwrap();
    for (number, note) in NOTES.iter().enumerate() {
        let source = Source::new(format!("{number}.txt"), *note);
        collection.add(source, &Control::new()).unwrap();
    }
    collection
}

fn search(collection: &Collection, options: &SearchOptions) -> Vec<Passage> {
    let found = collection
        .search(QUESTION, options, &Control::new())
        .unwrap();
    found.hits
}

fn names(hits: &[Passage]) -> Vec<&str> {
    hits.iter().map(|hit| hit.filename.as_str()).collect()
}

fn reranked(mode: Mode, fusion: Fusion, depth: usize, weight: f32) -> SearchOptions {
    SearchOptions {
        mode,
        fusion,
        rerank: Some(Rerank { depth, weight }),
        ..SearchOptions::default()
    }
}

#[test]
fn the_best_hits_are_ordered_by_scores_and_tokens_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let collection = collection(dir.path(), minilm());
    for (mode, fusion) in [
        (Mode::Hybrid, Fusion::default()),
        (Mode::Hybrid, Fusion::Rrf { k: 60.0 }),
        (Mode::Hybrid, Fusion::Weighted { dense_weight: 0.5 }),
        (Mode::Dense, Fusion::default()),
        (Mode::Keyword, Fusion::default()),
    ] {
        let plain = SearchOptions {
            mode,
            fusion,
            ..SearchOptions::default()
        };
        let before = search(&collection, &plain);
        assert!(before.iter().all(|hit| hit.rerank_score.is_none()));
        let depth = 3.min(before.len());
        for weight in [0.0, 0.5, 1000.0] {
            let after = search(&collection, &reranked(mode, fusion, depth, weight));
            assert_eq!(names(&after[depth..]), names(&before[depth..]));
            assert!(after.windows(2).all(|two| two[0].score >= two[1].score));
            let mut places: Vec<u32> = after.iter().filter_map(|hit| hit.first_rank).collect();
            if weight == 0.0 {
                assert_eq!(names(&after), names(&before));
            }
            if weight == 1000.0 {
                let tokens: Vec<f32> = after.iter().filter_map(|hit| hit.rerank_score).collect();
                assert!(tokens.is_sorted_by(|a, b| a >= b), "{tokens:?}");
            }
            for hit in &after[..depth] {
                let rank = hit.first_rank.unwrap() as usize;
                assert_eq!(hit.filename, before[rank - 1].filename);
            }
            places.sort_unstable();
            assert_eq!(places, (1..=depth as u32).collect::<Vec<_>>());
        }
    }
}

#[test]
fn hits_are_looked_at_beyond_those_that_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let collection = collection(dir.path(), minilm());
    let mut options = reranked(Mode::Dense, Fusion::default(), 7, 1000.0);
    let all = search(&collection, &options);
    assert_eq!(all.len(), 7);
    options.k = 2;
    assert_eq!(names(&search(&collection, &options)), names(&all[..2]));
    let found = collection
        .search(QUESTION, &options, &Control::new())
        .unwrap();
    let timings = found.timings_ms;
    assert!(timings.rerank > 0.0 && timings.rerank < timings.total);
}

#[test]
fn what_cannot_be_reranked_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let collection = collection(dir.path(), Arc::new(Other(minilm())));
    assert_eq!(search(&collection, &SearchOptions::default()).len(), 7);
    let refused = |options: &SearchOptions| {
        let refused = collection.search(QUESTION, options, &Control::new());
        refused.unwrap_err()
    };
    let error = refused(&reranked(Mode::Hybrid, Fusion::default(), 3, 0.5));
    assert!(
        matches!(&error, Error::Embed(EmbedError::NoTokenVectors { embedder }) if embedder == "other"),
        "{error:?}"
    );
    assert_eq!(error.code(), "no_token_vectors");
    for (depth, weight, says) in [
        (0, 0.5, "0 hits"),
        (3, -0.1, "-0.1"),
        (3, f32::NAN, "NaN"),
        (3, f32::INFINITY, "inf"),
    ] {
        let error = refused(&reranked(Mode::Hybrid, Fusion::default(), depth, weight));
        assert!(
            matches!(&error, Error::Invalid { what } if what.contains(says)),
            "{error}"
        );
    }
    let none = SearchOptions {
        k: 0,
        ..reranked(Mode::Hybrid, Fusion::default(), 3, 0.5)
    };
    assert!(matches!(refused(&none), Error::Index(_)));
}

//! Writing, finding, replacing, deleting, reopening.

use faq_index::{
    ChunkId, Collection, CollectionConfig, Filter, Fingerprint, Fusion, IndexError, Mode, Query,
    VectorSearch,
};

use crate::support::*;

#[test]
fn what_is_written_is_found_by_words_and_by_vector() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let receipt = collection
        .write(upsert([
            document(1, &["the harbour opens at six", "ferries leave every hour"]),
            document(2, &["the library lends books"]),
        ]))
        .unwrap();
    assert_eq!((receipt.seq, receipt.added, receipt.replaced), (1, 2, 0));
    assert_eq!(keyword(&collection, "ferry"), [id(1)]);
    assert_eq!(dense(&collection, vector_of(2, 0), 1), [id(2)]);

    let mut query = Query::new("ferries", Some(vector_of(1, 1)));
    query.k = 3;
    let result = collection.search(&query).unwrap();
    let hit = &result.hits[0];
    assert_eq!(
        hit.id,
        ChunkId {
            document: id(1),
            ordinal: 1
        }
    );
    assert_eq!((hit.dense_rank, hit.keyword_rank), (Some(1), Some(1)));
    assert!((hit.dense_score.unwrap() - 1.0).abs() < 1e-5);
    assert_eq!(hit.best_window, Some(25..49));
    // The nearest and the best by words: nothing scores more.
    assert!((hit.score - 1.0).abs() < 1e-5);
    assert_eq!((result.seq, result.hits.len()), (1, 3));

    let chunk = &collection.chunks(&[hit.id]).unwrap()[0];
    assert_eq!(chunk.text, "ferries leave every hour");
    assert_eq!(chunk.windows, vec![25..49]);
    assert_eq!(collection.chunks_of(id(1)).unwrap().len(), 2);
    assert_eq!(
        collection.document(id(2)).unwrap().unwrap().text,
        "the library lends books"
    );
}

#[test]
fn keyword_hits_in_hybrid_mode_carry_their_cosine() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert((1..=40).map(|n| {
            document(n, &[if n == 17 { "a walrus" } else { "a seal" }])
        })))
        .unwrap();
    let question = vector_of(3, 0);
    let mut query = Query::new("walrus", Some(question.clone()));
    (query.k, query.candidates) = (2, 2);
    let hits = collection.search(&query).unwrap().hits;
    let walrus = hits.iter().find(|hit| hit.id.document == id(17)).unwrap();
    let expected: f32 = question
        .iter()
        .zip(vector_of(17, 0))
        .map(|(a, b)| a * b)
        .sum();
    assert!((walrus.dense_score.unwrap() - expected).abs() < 1e-5);
    assert_eq!(
        (walrus.keyword_rank, walrus.best_window.clone()),
        (Some(1), Some(0..8))
    );
}

#[test]
fn replacing_and_deleting_take_effect_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([
            document(1, &["old words"]),
            document(2, &["other words"]),
        ]))
        .unwrap();
    let receipt = collection
        .write(upsert([document(1, &["new phrase"])]))
        .unwrap();
    assert_eq!((receipt.added, receipt.replaced), (0, 1));
    assert!(keyword(&collection, "old").is_empty());
    assert_eq!(keyword(&collection, "phrase"), [id(1)]);

    let receipt = collection.write(delete([id(2), id(9), id(2)])).unwrap();
    assert_eq!(receipt.not_found, [id(9)]);
    let [deleted] = &receipt.deleted[..] else {
        panic!("{receipt:?}");
    };
    assert_eq!(
        (deleted.document_id, deleted.chunks, deleted.vectors),
        (id(2), 1, 1)
    );
    assert_eq!(deleted.bytes, 11);
    assert!(keyword(&collection, "words").is_empty());
    assert_eq!(dense(&collection, vector_of(2, 0), 10), [id(1)]);
    assert!(collection.document_info(id(2)).unwrap().is_none());
    assert!(
        collection
            .chunks(&[ChunkId {
                document: id(2),
                ordinal: 0
            }])
            .unwrap()
            .is_empty()
    );
    let stats = collection.stats().unwrap();
    assert_eq!((stats.documents, stats.chunks, stats.vectors), (1, 1, 1));
    assert_eq!((stats.dead_vectors, stats.seq), (2, 3));
}

#[test]
fn a_reopened_collection_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    for n in 1..=20 {
        collection
            .write(upsert([document(n, &["common text", &format!("word{n}")])]))
            .unwrap();
    }
    collection.write(delete([id(5)])).unwrap();
    let query = Query::new("common word7", Some(vector_of(7, 1)));
    let before = collection.search(&query).unwrap();
    let infos = collection.documents().unwrap();
    drop(collection);

    let collection = open(dir.path());
    let after = collection.search(&query).unwrap();
    assert_eq!(before.hits, after.hits);
    assert_eq!((after.seq, infos.len()), (21, 19));
    assert_eq!(collection.documents().unwrap(), infos);
    assert!(after.plan.degraded.is_empty());
}

#[test]
fn a_second_handle_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let Err(error) = Collection::open(dir.path(), config()) else {
        panic!("opened twice");
    };
    assert!(matches!(error, IndexError::Locked { .. }));
    let pid = format!("(pid {})", std::process::id());
    assert!(error.to_string().contains(&pid), "{error}");
    drop(first);
    open(dir.path());
}

#[test]
fn nothing_is_created_unless_asked() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let config = CollectionConfig {
        create: false,
        ..config()
    };
    let error = Collection::open(&missing, config).unwrap_err();
    assert!(matches!(error, IndexError::NotFound { .. }));
    assert!(!missing.exists());
}

#[test]
fn another_embedder_is_refused_and_none_opens_any() {
    let dir = tempfile::tempdir().unwrap();
    let named = |name: &str| CollectionConfig {
        embedder: Some(name.into()),
        ..config()
    };
    let collection = Collection::open(dir.path(), named("random-16")).unwrap();
    collection.write(upsert([document(1, &["a"])])).unwrap();
    let mut other = document(2, &["b"]);
    other.fingerprint.embedder = "else".into();
    let error = collection.write(upsert([other])).unwrap_err();
    assert!(matches!(error, IndexError::OtherEmbedder { .. }), "{error}");
    drop(collection);

    let error = Collection::open(dir.path(), named("else")).unwrap_err();
    assert_eq!(error.code(), "other_embedder");
    let any = CollectionConfig {
        dim: 999,
        ..CollectionConfig::default()
    };
    let collection = Collection::open(dir.path(), any).unwrap();
    assert_eq!(
        collection.stats().unwrap().embedder.as_deref(),
        Some("random-16")
    );
    assert_eq!(dense(&collection, vector_of(1, 0), 5), [id(1)]);
    collection.write(upsert([document(3, &["c"])])).unwrap();
}

#[test]
fn documents_of_other_parts_are_stale() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let mut old = document(2, &["b"]);
    old.fingerprint.chunker = "lines 0".into();
    collection
        .write(upsert([document(1, &["a"]), old]))
        .unwrap();
    let stale = collection.stale(&fingerprint()).unwrap();
    assert_eq!(
        stale.iter().map(|info| info.id).collect::<Vec<_>>(),
        [id(2)]
    );
    let other = Fingerprint {
        parser: "test 2".into(),
        ..fingerprint()
    };
    assert_eq!(collection.stale(&other).unwrap().len(), 2);
}

#[test]
fn senseless_requests_are_named_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let refused = |change: &dyn Fn(&mut faq_index::DocumentRecord), says: &str| {
        let mut bad = document(7, &["grüße aus köln"]);
        change(&mut bad);
        let error = collection
            .write(upsert([document(1, &["fine"]), bad]))
            .unwrap_err();
        assert!(matches!(error, IndexError::Invalid { .. }));
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(
        &|d| d.chunks[0].windows[0].vector.truncate(3),
        "3 components",
    );
    refused(
        &|d| d.chunks[0].windows[0].vector[0] = f32::NAN,
        "not finite",
    );
    refused(
        &|d| d.chunks[0].windows[0].vector = vec![0.0; DIM],
        "length 0",
    );
    refused(&|d| d.chunks[0].range.end += 1, "not within");
    refused(&|d| d.chunks[0].range.start = 3, "inside a character");
    refused(&|d| d.chunks[0].range = 5..5, "empty range");
    refused(&|d| d.chunks[0].windows.clear(), "no window");
    refused(&|d| d.chunks[0].windows[0].range.end = 6, "in no window");
    refused(&|d| d.id = id(1), "twice");
    let mut both = upsert([document(1, &["fine"])]);
    both.deletes.push(id(1));
    assert!(collection.write(both).is_err());
    assert_eq!(
        (
            collection.stats().unwrap().seq,
            collection.documents().unwrap().len()
        ),
        (0, 0)
    );

    let mut query = Query::new("x", None);
    assert!(collection.search(&query).is_err());
    query.mode = Mode::Keyword;
    assert!(collection.search(&query).unwrap().hits.is_empty());
    query.k = 0;
    assert!(matches!(
        collection.search(&query),
        Err(IndexError::Invalid { .. })
    ));
    collection.write(upsert([document(1, &["fine"])])).unwrap();
    let short = Query::new("x", Some(vec![1.0]));
    assert!(matches!(
        collection.search(&short),
        Err(IndexError::Invalid { .. })
    ));
}

#[test]
fn an_empty_batch_writes_nothing_and_an_empty_document_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    assert_eq!(collection.write(upsert([])).unwrap().seq, 0);
    let empty = document(1, &[]);
    collection.write(upsert([empty])).unwrap();
    drop(collection);
    let collection = open(dir.path());
    assert_eq!(collection.documents().unwrap().len(), 1);
    assert!(dense(&collection, vector_of(1, 0), 5).is_empty());
}

#[test]
fn more_hits_than_there_can_be_are_all_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let counts = |filter: &Filter| {
        let mut counts = Vec::new();
        for mode in [Mode::Keyword, Mode::Dense, Mode::Hybrid] {
            for (k, candidates) in [(usize::MAX, 1), (usize::MAX, usize::MAX)] {
                for vector_search in [VectorSearch::Exact, VectorSearch::Graph] {
                    let mut query = Query::new("harbour", Some(vector_of(1, 0)));
                    (query.mode, query.vector_search) = (mode, vector_search);
                    (query.k, query.candidates) = (k, candidates);
                    query.ef = Some(usize::MAX);
                    query.filter = filter.clone();
                    counts.push(collection.search(&query).unwrap().hits.len());
                }
            }
        }
        counts
    };
    assert_eq!(counts(&Filter::default()), [0; 12]);
    let texts = ["the harbour"; 7];
    collection
        .write(upsert((1..=20).map(|n| document(n, &texts))))
        .unwrap();
    collection.write(delete([id(3), id(4)])).unwrap();
    collection.build_graph().unwrap();
    assert_eq!(counts(&Filter::default()), [18 * 7; 12]);
    let two = Filter {
        documents: [id(1), id(2), id(3)].into(),
        ..Filter::default()
    };
    assert_eq!(counts(&two), [2 * 7; 12]);
}

#[test]
fn numbers_that_give_no_order_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection.write(upsert([document(1, &["fine"])])).unwrap();
    let search = |fusion| {
        let mut query = Query::new("fine", Some(vector_of(1, 0)));
        query.fusion = fusion;
        collection.search(&query)
    };
    for fine in [0.0, 0.5, 1.0] {
        assert!(search(Fusion::Scores { dense_weight: fine }).is_ok());
        assert!(search(Fusion::Weighted { dense_weight: fine }).is_ok());
        assert!(search(Fusion::Rrf { k: fine }).is_ok());
    }
    for (bad, says) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (-1.0, "-1")] {
        for fusion in [
            Fusion::Scores { dense_weight: bad },
            Fusion::Weighted { dense_weight: bad },
            Fusion::Rrf { k: bad },
        ] {
            let error = search(fusion).unwrap_err();
            assert!(matches!(error, IndexError::Invalid { .. }), "{fusion:?}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
    drop(collection);
    for background_share in [f64::NAN, 0.0, -1.0, 1.5] {
        let config = CollectionConfig {
            background_share,
            ..config()
        };
        let error = Collection::open(dir.path(), config).unwrap_err();
        assert!(matches!(error, IndexError::Invalid { .. }), "{error}");
    }
}

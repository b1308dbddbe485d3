//! Collections that earlier versions wrote are opened, searched and written to.
//!
//! Each folder of `tests/fixtures/` is one, made by the version that first wrote its formats
//! (`cargo test --release -p faq-index --test it formats::make -- --ignored`) and never made again.

use std::fs;
use std::path::{Path, PathBuf};

use faq_index::{Collection, CollectionConfig, Mode, Query, VectorSearch};

use crate::support::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Opened so that even a few vectors have a graph.
fn open_with_graph(dir: &Path) -> Collection {
    let graph_min_vectors = 1;
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

fn fill(dir: &Path) {
    let collection = open_with_graph(dir);
    let mut german = document(
        3,
        &["Die Häuser stehen am Hafen", "Fähren fahren stündlich"],
    );
    german.language = Some("de".into());
    let mut chinese = document(4, &["北京大学在北京"]);
    chinese.language = Some("zh".into());
    let mut titled = document(5, &["it opens at six"]);
    titled.title = Some("Opening hours".into());
    titled.tags = ["office".to_owned()].into();
    titled.extra = b"kept as it is".to_vec();
    collection
        .write(upsert([document(
            1,
            &["the harbour opens", "ferries leave hourly"],
        )]))
        .unwrap();
    collection
        .write(upsert([document(2, &["gone soon"])]))
        .unwrap();
    collection.write(upsert([german, chinese])).unwrap();
    collection.write(upsert([titled])).unwrap();
    collection.write(delete([id(2)])).unwrap();
    collection.wait_idle();
    collection.build_graph().unwrap();
}

#[test]
#[ignore = "makes the fixture of the current formats, where there is none yet"]
fn make() {
    let name = std::env::var("FAQ_INDEX_FIXTURE").expect("FAQ_INDEX_FIXTURE names the folder");
    let dir = fixtures().join(name);
    assert!(!dir.exists(), "{} is there already", dir.display());
    fs::create_dir_all(&dir).unwrap();
    fill(&dir);
    for locks in [
        "lock",
        "keyword/.tantivy-meta.lock",
        "keyword/.tantivy-writer.lock",
    ] {
        let _none = fs::remove_file(dir.join(locks));
    }
}

#[test]
fn every_format_that_was_ever_written_is_read() {
    let mut seen = 0;
    for fixture in fs::read_dir(fixtures()).unwrap() {
        let fixture = fixture.unwrap().path();
        let dir = tempfile::tempdir().unwrap();
        copy(&fixture, dir.path());
        let collection = open_with_graph(dir.path());
        let name = fixture.display();
        assert_eq!(collection.stats().unwrap().graph_vectors, 6, "{name}");
        let stats = collection.stats().unwrap();
        assert_eq!(
            (stats.documents, stats.vectors, stats.seq),
            (4, 6, 5),
            "{name}"
        );
        assert_eq!(keyword(&collection, "ferry"), [id(1)], "{name}");
        assert_eq!(keyword(&collection, "Haus"), [id(3)], "{name}");
        assert_eq!(keyword(&collection, "北京"), [id(4)], "{name}");
        assert_eq!(keyword(&collection, "opening"), [id(5), id(1)], "{name}");
        assert!(keyword(&collection, "gone").is_empty(), "{name}");
        assert_eq!(keyword(&collection, "\"ferry leaves\""), [id(1)], "{name}");
        assert_eq!(keyword(&collection, "\"京大学\""), [id(4)], "{name}");
        assert!(keyword(&collection, "\"am Fluss\"").is_empty(), "{name}");
        for (n, i) in [(1, 0), (1, 1), (3, 0), (3, 1), (4, 0), (5, 0)] {
            assert_eq!(dense(&collection, vector_of(n, i), 1), [id(n)], "{name}");
            let mut query = Query::new("", Some(vector_of(n, i)));
            (query.mode, query.vector_search) = (Mode::Dense, VectorSearch::Graph);
            let found = collection.search(&query).unwrap();
            assert!(found.plan.vectors.starts_with("graph of 6"), "{name}");
            assert_eq!(found.hits[0].id.document, id(n), "{name}");
        }
        let stored = collection.document(id(5)).unwrap().unwrap();
        assert_eq!(stored.extra, b"kept as it is", "{name}");
        collection
            .write(upsert([document(6, &["written later"])]))
            .unwrap();
        drop(collection);
        let collection = open(dir.path());
        assert_eq!(keyword(&collection, "later"), [id(6)], "{name}");
        assert_eq!(dense(&collection, vector_of(6, 0), 1), [id(6)], "{name}");
        seen += 1;
    }
    assert!(seen > 0, "no fixture was found");
}

//! What is deleted is gone from the disk once the collection is compacted.

use std::fs;
use std::path::Path;

use faq_index::{Collection, CollectionConfig};

use crate::support::*;

/// Files below `dir` whose bytes hold `needle`.
fn files_with(dir: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else {
            // A file that a merge removed meanwhile holds nothing any more.
            let bytes = match fs::read(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.unwrap(),
            };
            if bytes.windows(needle.len()).any(|w| w == needle) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// The 8-bit codes that stand for a vector: the largest component is 127 steps from 0.
fn codes(vector: &[f32]) -> Vec<u8> {
    let largest = vector.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    let code = |v: &f32| (v / (largest / 127.0)).round() as i16 + 128;
    vector.iter().map(|v| code(v) as u8).collect()
}

#[test]
fn the_words_and_vectors_of_a_deleted_document_are_in_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let config = CollectionConfig {
        graph_min_vectors: 10,
        ..config()
    };
    let collection = Collection::open(dir.path(), config).unwrap();
    for n in 1..=30 {
        let mut document = document(n, &["plain filler text", &"more filler ".repeat(400)]);
        if n % 7 == 0 {
            document = self::document(n, &["xylozephyr secrets", &"qwomblat ".repeat(2000)]);
            document.title = Some("Vrendlish".to_owned());
            document.filename = "zuntharp.txt".to_owned();
            document.chunks[0].heading_path = vec!["Kloffert".to_owned()];
            document.extra = b"ploovian".to_vec();
        }
        collection.write(upsert([document])).unwrap();
    }
    let words = [
        "xylozephyr",
        "qwomblat",
        "Vrendlish",
        "vrendlish",
        "zuntharp",
        "Kloffert",
        "kloffert",
        "ploovian",
        "vrendlis",
    ];
    assert!(!files_with(dir.path(), b"xylozephyr").is_empty());
    assert!(!files_with(dir.path(), b"qwomblat").is_empty());
    let vector: Vec<u8> = vector_of(7, 0)
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert!(!files_with(dir.path(), &vector).is_empty());
    // Its codes are in a segment and in the graph.
    collection.wait_idle();
    collection.build_graph().unwrap();
    let codes = codes(&vector_of(7, 0));
    assert_eq!(files_with(dir.path(), &codes).len(), 2);

    collection
        .write(delete([id(7), id(14), id(21), id(28)]))
        .unwrap();
    let receipt = collection.compact().unwrap();
    assert_eq!(receipt.dead_vectors_removed, 8);
    assert_eq!(
        (
            receipt.documents_erased,
            receipt.chunks_erased,
            receipt.vectors_erased
        ),
        (4, 8, 8)
    );
    assert!(receipt.bytes_after < receipt.bytes_before);
    assert_eq!(
        receipt.bytes_freed,
        receipt.bytes_before - receipt.bytes_after
    );
    for part in ["truth.sqlite", "segments/", "keyword/", "vectors.graph"] {
        let rewritten = &receipt.files_rewritten;
        assert!(
            rewritten.iter().any(|file| file.starts_with(part)),
            "{part}: {rewritten:?}"
        );
    }
    for file in &receipt.files_rewritten {
        let is_there = dir.path().join(file).exists();
        assert_eq!(is_there, file == "truth.sqlite", "{file}");
    }
    for word in words {
        assert_eq!(files_with(dir.path(), word.as_bytes()), [""; 0], "{word}");
    }
    assert_eq!(files_with(dir.path(), &vector), [""; 0]);
    assert_eq!(files_with(dir.path(), &codes), [""; 0]);
    collection.build_graph().unwrap();
    assert_eq!(files_with(dir.path(), &codes), [""; 0]);
    assert_eq!(keyword(&collection, "filler").len(), 52);
    drop(collection);
    assert_eq!(keyword(&open(dir.path()), "filler").len(), 52);
}

#[test]
fn what_is_erased_is_counted_across_openings_and_with_former_states() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert((1..=5).map(|n| document(n, &["one", "two"]))))
        .unwrap();
    collection.write(delete([id(1), id(77)])).unwrap();
    drop(collection);
    let collection = open(dir.path());
    collection
        .write(upsert([document(2, &["brandneu"])]))
        .unwrap();
    let receipt = collection.compact().unwrap();
    assert_eq!(
        (
            receipt.documents_erased,
            receipt.chunks_erased,
            receipt.vectors_erased
        ),
        (2, 4, 4)
    );
    let again = collection.compact().unwrap();
    assert_eq!((again.documents_erased, again.chunks_erased), (0, 0));
    assert_eq!(collection.stats().unwrap().documents, 4);
}

#[test]
fn a_collection_may_be_emptied_and_filled_again() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert((1..=5).map(|n| document(n, &["grundelwort"]))))
        .unwrap();
    collection.write(delete((1..=5).map(id))).unwrap();
    collection.compact().unwrap();
    assert_eq!(files_with(dir.path(), b"grundelwort"), [""; 0]);
    let nothing = collection.compact().unwrap();
    assert_eq!(
        (nothing.documents_erased, nothing.dead_vectors_removed),
        (0, 0)
    );
    collection.write(upsert([document(6, &["again"])])).unwrap();
    assert_eq!(keyword(&collection, "again"), [id(6)]);
    assert_eq!(dense(&collection, vector_of(6, 0), 9), [id(6)]);
}

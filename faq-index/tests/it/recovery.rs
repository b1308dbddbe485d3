//! Derived files that are gone, cut, flipped or behind are seen and made anew.

use std::fs;
use std::path::{Path, PathBuf};

use faq_index::{Collection, CollectionConfig, Fusion, Hit, IndexError, Mode, Query, VectorSearch};

use crate::support::*;

fn filled(dir: &Path) -> Collection {
    let collection = open(dir);
    for n in 1..=12 {
        let texts = ["shared text", &format!("word{n} and more")[..]];
        collection.write(upsert([document(n, &texts)])).unwrap();
    }
    collection.write(delete([id(4)])).unwrap();
    collection
}

fn ask(collection: &Collection) -> Vec<Hit> {
    let mut hits = Vec::new();
    for n in 1..=12 {
        let mut query = Query::new(format!("shared word{n}"), Some(vector_of(n, 1)));
        // BM25 counts what a merge has not dropped yet; ranks and cosines are what must stay.
        query.fusion = Fusion::Rrf { k: 60.0 };
        let result = collection.search(&query).unwrap();
        hits.extend(result.hits.into_iter().take(10).map(|mut hit| {
            hit.keyword_score = None;
            hit
        }));
    }
    hits
}

#[test]
fn missing_projections_are_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let before = ask(&filled(dir.path()));
    for folder in ["keyword", "segments"] {
        fs::remove_dir_all(dir.path().join(folder)).unwrap();
        let collection = open(dir.path());
        assert_eq!(ask(&collection), before, "{folder}");
        assert_eq!(collection.stats().unwrap().vectors, 22);
    }
}

/// Opened so that a few vectors have a graph.
fn open_with_graph(dir: &Path) -> Collection {
    let graph_min_vectors = 10;
    let config = CollectionConfig {
        graph_min_vectors,
        ..config()
    };
    let collection = Collection::open(dir, config).unwrap();
    collection.wait_idle();
    collection
}

/// Bytes of a file, spoiled in one of many ways.
fn spoil(good: &[u8], round: u64, random: &mut Random) -> Vec<u8> {
    let mut bad = good.to_vec();
    let len = bad.len() as u64;
    match round % 4 {
        _ if bad.is_empty() => bad.push(7),
        0 | 1 => bad[random.below(len) as usize] ^= 1 << random.below(8),
        2 => bad.truncate(random.below(len) as usize),
        _ => {
            let from = random.below(len) as usize;
            bad[from..].fill(0xff);
        }
    }
    bad
}

#[test]
fn damage_to_any_derived_file_is_repaired() {
    let source = tempfile::tempdir().unwrap();
    drop(filled(source.path()));
    let whole = open_with_graph(source.path());
    assert_eq!(whole.stats().unwrap().graph_vectors, 22);
    let before = ask(&whole);
    drop(whole);
    let mut random = Random(5);
    let derived: Vec<PathBuf> = files(source.path())
        .into_iter()
        .filter(|path| {
            let name = path.strip_prefix(source.path()).unwrap();
            !name.to_string_lossy().starts_with("truth") && !name.ends_with("lock")
        })
        .collect();
    assert!(derived.len() > 3);
    assert!(derived.iter().any(|file| file.ends_with("vectors.graph")));
    for file in derived {
        let good = fs::read(&file).unwrap();
        for round in 0..4 {
            let dir = tempfile::tempdir().unwrap();
            copy(source.path(), dir.path());
            let target = dir.path().join(file.strip_prefix(source.path()).unwrap());
            fs::write(&target, spoil(&good, round, &mut random)).unwrap();
            let collection = open_with_graph(dir.path());
            let place = format!("{} round {round}", target.display());
            assert_eq!(ask(&collection), before, "{place}");
            collection.build_graph().unwrap();
            let mut query = Query::new("", Some(vector_of(3, 1)));
            (query.mode, query.vector_search) = (Mode::Dense, VectorSearch::Graph);
            let found = collection.search(&query).unwrap();
            assert!(found.plan.vectors.starts_with("graph of 22"), "{place}");
            assert_eq!(found.hits[0].id.document, id(3), "{place}");
            collection
                .write(upsert([document(50, &["afterwards"])]))
                .unwrap();
            assert_eq!(keyword(&collection, "afterwards"), [id(50)], "{place}");
        }
    }
}

#[test]
fn a_search_that_meets_damage_says_so_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let before = ask(&filled(dir.path()));
    let segment = files(&dir.path().join("segments")).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 0x40;
    fs::write(&segment, bytes).unwrap();
    let collection = open(dir.path());
    let query = Query::new("shared", Some(vector_of(1, 1)));
    let degraded = collection.search(&query).unwrap().plan.degraded;
    assert!(
        degraded[0].contains("1 damaged vector segments"),
        "{degraded:?}"
    );
    assert!(collection.search(&query).unwrap().plan.degraded.is_empty());
    assert_eq!(ask(&collection), before);
}

#[test]
fn a_projection_that_is_behind_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let behind = tempfile::tempdir().unwrap();
    let collection = filled(dir.path());
    drop(collection);
    for folder in ["keyword", "segments"] {
        copy(&dir.path().join(folder), &behind.path().join(folder));
    }
    let collection = open(dir.path());
    collection
        .write(upsert([
            document(3, &["replaced text"]),
            document(30, &["added"]),
        ]))
        .unwrap();
    collection.write(delete([id(8)])).unwrap();
    let before = ask(&collection);
    drop(collection);
    for folder in ["keyword", "segments"] {
        fs::remove_dir_all(dir.path().join(folder)).unwrap();
        copy(&behind.path().join(folder), &dir.path().join(folder));
        let collection = open(dir.path());
        assert_eq!(ask(&collection), before, "{folder}");
        assert_eq!(keyword(&collection, "replaced added").len(), 2);
        assert!(keyword(&collection, "word3 word8").is_empty());
    }
}

#[test]
fn files_of_a_commit_that_was_cut_off_do_not_stand_in_the_way() {
    let (dir, behind) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(filled(dir.path()));
    let keyword_dir = dir.path().join("keyword");
    fs::copy(
        keyword_dir.join("meta.json"),
        behind.path().join("meta.json"),
    )
    .unwrap();
    let collection = open(dir.path());
    collection.write(delete([id(8)])).unwrap();
    let before = ask(&collection);
    drop(collection);
    // All that the commit wrote is there but the file that makes it count.
    fs::copy(
        behind.path().join("meta.json"),
        keyword_dir.join("meta.json"),
    )
    .unwrap();
    let collection = open(dir.path());
    assert_eq!(ask(&collection), before);
    collection.write(delete([id(9)])).unwrap();
    assert!(keyword(&collection, "word8 word9").is_empty());
}

#[test]
fn projections_of_another_collection_are_not_believed() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = ask(&filled(one.path()));
    let other = open(two.path());
    for n in 1..=13 {
        other
            .write(upsert([document(n, &["strange words"])]))
            .unwrap();
    }
    drop(other);
    for folder in ["keyword", "segments"] {
        fs::remove_dir_all(one.path().join(folder)).unwrap();
        copy(&two.path().join(folder), &one.path().join(folder));
    }
    let collection = open(one.path());
    assert_eq!(ask(&collection), before);
    assert!(keyword(&collection, "strange").is_empty());
}

#[test]
fn a_store_that_is_no_store_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("truth.sqlite"), vec![b'x'; 9000]).unwrap();
    let error = Collection::open(dir.path(), config()).unwrap_err();
    assert!(matches!(error, IndexError::Damaged { .. }), "{error}");
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()));
    let path = dir.path().join("truth.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    // SQLite keeps `user_version` big-endian at byte 60 of the header.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    let error = Collection::open(dir.path(), config()).unwrap_err();
    assert!(
        matches!(error, IndexError::Format { found: 99, .. }),
        "{error}"
    );
}

#[test]
fn many_small_writes_leave_few_files() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    for n in 1..=100 {
        collection.write(upsert([document(n, &["x"])])).unwrap();
    }
    let count = files(&dir.path().join("segments")).len();
    assert!(count < 20, "{count} segments");
    for n in [1, 50, 100] {
        assert_eq!(dense(&collection, vector_of(n, 0), 1), [id(n)]);
    }
}

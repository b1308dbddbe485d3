//! Derived files that are gone, cut, flipped or behind are seen and made anew.

use std::fs;
use std::path::{Path, PathBuf};

use faq_index::{Collection, Hit, IndexError, Query};

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
        let query = Query::new(format!("shared word{n}"), Some(vector_of(n, 1)));
        let result = collection.search(&query).unwrap();
        hits.extend(result.hits.into_iter().take(10).map(|mut hit| {
            // BM25 counts what a merge has not dropped yet; ranks and cosines are what must stay.
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

#[test]
fn damage_to_any_derived_file_is_repaired() {
    let source = tempfile::tempdir().unwrap();
    let before = ask(&filled(source.path()));
    let mut random = Random(5);
    let derived: Vec<PathBuf> = files(source.path())
        .into_iter()
        .filter(|path| {
            let relative = path.strip_prefix(source.path()).unwrap();
            relative.starts_with("segments") || relative.starts_with("keyword")
        })
        .collect();
    assert!(derived.len() > 3);
    for file in derived {
        let good = fs::read(&file).unwrap();
        for round in 0..2 {
            let dir = tempfile::tempdir().unwrap();
            copy(source.path(), dir.path());
            let target = dir.path().join(file.strip_prefix(source.path()).unwrap());
            let mut bad = good.clone();
            if bad.is_empty() {
                bad.push(7);
            } else if round % 2 == 0 {
                let at = random.below(bad.len() as u64) as usize;
                bad[at] ^= 1 << random.below(8);
            } else {
                bad.truncate(random.below(bad.len() as u64) as usize);
            }
            fs::write(&target, &bad).unwrap();
            let collection = open(dir.path());
            assert_eq!(
                ask(&collection),
                before,
                "{} round {round}",
                target.display()
            );
            collection
                .write(upsert([document(50, &["afterwards"])]))
                .unwrap();
            assert_eq!(keyword(&collection, "afterwards"), [id(50)]);
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

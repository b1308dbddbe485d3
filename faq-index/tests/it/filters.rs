//! Filters restrict both lists, inside the search.

use faq_index::{Collection, Filter, Mode, Query};

use crate::support::*;

/// Whether document `n` passes.
type Passes = fn(u64) -> bool;

fn filled(dir: &std::path::Path) -> Collection {
    let collection = open(dir);
    let documents = (0..300).map(|n| {
        let mut document = document(n, &["shared words"]);
        document.format = String::from(if n % 3 == 0 { "pdf" } else { "txt" });
        document.tags = [format!("tag{}", n % 10)].into();
        document
    });
    collection.write(upsert(documents)).unwrap();
    collection
}

#[test]
fn only_allowed_documents_come_back_and_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let collection = filled(dir.path());
    let filters: [(Filter, Passes); 5] = [
        (
            Filter {
                formats: ["pdf".into()].into(),
                ..Filter::default()
            },
            |n| n % 3 == 0,
        ),
        (
            Filter {
                tags: ["tag1".into(), "tag2".into()].into(),
                ..Filter::default()
            },
            |n| n % 10 == 1 || n % 10 == 2,
        ),
        (
            Filter {
                filenames: ["file-42.txt".into()].into(),
                ..Filter::default()
            },
            |n| n == 42,
        ),
        (
            Filter {
                documents: [id(7), id(999)].into(),
                ..Filter::default()
            },
            |n| n == 7,
        ),
        (
            Filter {
                from_ms: Some(10),
                until_ms: Some(20),
                ..Filter::default()
            },
            |n| (10..20).contains(&n),
        ),
    ];
    for (filter, passes) in filters {
        let expected: Vec<_> = (0..300).filter(|n| passes(*n)).map(id).collect();
        for mode in [Mode::Dense, Mode::Keyword, Mode::Hybrid] {
            let mut query = Query::new("shared", Some(vector_of(5, 0)));
            (query.mode, query.k, query.filter) = (mode, 300, filter.clone());
            let result = collection.search(&query).unwrap();
            let mut found: Vec<_> = result.hits.iter().map(|hit| hit.id.document).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{mode:?} {filter:?}");
            assert_eq!(result.plan.allowed_documents, Some(expected.len() as u64));
        }
    }
}

#[test]
fn a_narrow_filter_finds_what_is_far_down_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let collection = filled(dir.path());
    for n in [3, 77, 299] {
        let mut query = Query::new("shared", Some(vector_of(150, 0)));
        (query.k, query.candidates) = (1, 1);
        query.filter.documents = [id(n)].into();
        let hits = collection.search(&query).unwrap().hits;
        assert_eq!(hits[0].id.document, id(n));
        assert_eq!(
            (hits[0].dense_rank, hits[0].keyword_rank),
            (Some(1), Some(1))
        );
    }
}

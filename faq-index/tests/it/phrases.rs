//! Words between quotation marks are found one after another, in any script.

use std::collections::BTreeSet;

use faq_index::{DocumentId, DocumentRecord, Mode, Phrases, Query, VectorSearch};

use crate::support::*;

fn in_language(n: u64, code: &str, texts: &[&str]) -> DocumentRecord {
    let mut document = document(n, texts);
    document.language = Some(code.to_owned());
    document
}

#[test]
fn a_phrase_is_required_and_its_order_counts() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let mut titled = document(4, &["something else"]);
    titled.title = Some("Annual leave rules".to_owned());
    titled.chunks[0].heading_path = vec!["Carried over".to_owned(), "Days".to_owned()];
    collection
        .write(upsert([
            document(1, &["the annual leave of a year", "leave is annual"]),
            document(2, &["annual reports leave on Monday"]),
            document(3, &["to be or not to be"]),
            titled,
        ]))
        .unwrap();
    let found = |question: &str| -> BTreeSet<DocumentId> {
        keyword(&collection, question).into_iter().collect()
    };
    assert_eq!(found("annual leave").len(), 3);
    assert_eq!(found("\"annual leave\""), [id(1), id(4)].into());
    assert_eq!(found("“Annual Leave” monday"), [id(1), id(4)].into());
    assert_eq!(found("\"leave annual\""), [].into());
    assert_eq!(found("\"leaves annual\" \"annual leave\""), [].into());
    assert_eq!(found("\"annual leave\" \"a year\""), [id(1)].into());
    assert_eq!(found("\"not to be\""), [id(3)].into());
    assert_eq!(found("\"or to\""), [].into());
    // Words are compared by their stems.
    assert_eq!(found("\"report leaves\""), [id(2)].into());
    // A title and a heading, or two headings, are not one text.
    assert_eq!(found("\"leave rules\""), [id(4)].into());
    assert_eq!(found("\"rules carried\""), [].into());
    assert_eq!(found("\"over days\""), [].into());
    // What is no pair of marks is no phrase.
    for question in [
        "\"leave annual",
        "leave annual\"",
        "leave\" x annual\"",
        "\"\" leave annual",
    ] {
        assert_eq!(found(question).len(), 3, "{question}");
    }
}

#[test]
fn phrases_hold_in_scripts_without_spaces() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([
            in_language(1, "zh", &["北京大学位于中国的首都，是一所综合性大学。"]),
            in_language(2, "zh", &["大学在北京。京大不是北大。"]),
            in_language(3, "ja", &["吾輩は猫である。名前はまだ無い。"]),
            in_language(4, "th", &["กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย"]),
            in_language(5, "de", &["Die Häuser am Fluß, nicht die am See"]),
            in_language(6, "zh", &["版本 Linux 内核 6.1 发布"]),
        ]))
        .unwrap();
    let found = |question: &str| -> Vec<DocumentId> {
        let all: BTreeSet<_> = keyword(&collection, question).into_iter().collect();
        all.into_iter().collect()
    };
    assert_eq!(found("\"北京大学\""), [id(1)]);
    assert_eq!(found("请问「京大学」在哪里"), [id(1)]);
    assert_eq!(found("\"大学在北京\""), [id(2)]);
    assert_eq!(found("\"北京学\""), []);
    assert_eq!(found("\"猫\""), [id(3)]);
    assert_eq!(found("『猫である』"), [id(3)]);
    assert_eq!(found("\"เมืองหลวงของ\""), [id(4)]);
    assert_eq!(found("\"หลวงเมือง\""), []);
    assert_eq!(found("„haus am fluss“"), [id(5)]);
    assert_eq!(found("„Haus am See“"), []);
    assert_eq!(found("\"linux 内核 6.1\""), [id(6)]);
    assert_eq!(found("\"linux 核\""), []);
}

#[test]
fn the_dense_list_keeps_to_phrases_too() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let documents = (1..=300).map(|n| {
        let first = if n % 50 == 0 {
            "red apple pie"
        } else {
            "pie of red apples"
        };
        document(n, &[first, "nothing"])
    });
    collection.write(upsert(documents)).unwrap();
    collection.write(delete([id(100)])).unwrap();
    collection.build_graph().unwrap();
    // The nearest vector is that of a chunk without the phrase.
    let mut query = Query::new("a \"red apple pie\"", Some(vector_of(7, 0)));
    query.k = 50;
    for how in [VectorSearch::Auto, VectorSearch::Graph, VectorSearch::Exact] {
        query.vector_search = how;
        let result = collection.search(&query).unwrap();
        let found: BTreeSet<_> = result.hits.iter().map(|hit| hit.id.document).collect();
        assert_eq!(found, [50, 150, 200, 250, 300].map(id).into());
        assert!(result.hits.iter().all(|hit| hit.id.ordinal == 0));
        assert!(result.hits.iter().all(|hit| hit.dense_rank.is_some()));
        assert!(
            result
                .plan
                .vectors
                .contains("5 chunks that hold the quoted words")
        );
    }
    query.filter.documents = [id(200), id(7)].into();
    let hits = collection.search(&query).unwrap().hits;
    assert_eq!(
        hits.iter().map(|hit| hit.id.document).collect::<Vec<_>>(),
        [id(200)]
    );
    query.filter = faq_index::Filter::default();
    query.text = "\"pie apple red\"".to_owned();
    let nothing = collection.search(&query).unwrap();
    assert!(nothing.hits.is_empty());
    assert!(nothing.plan.keywords.contains("1 quoted and required"));

    // Preferred: nothing is left out, and what holds the phrase comes first by words.
    query.text = "a \"red apple pie\"".to_owned();
    query.phrases = Phrases::Preferred;
    assert_eq!(collection.search(&query).unwrap().hits.len(), 50);
    query.mode = Mode::Keyword;
    let hits = collection.search(&query).unwrap().hits;
    let first: BTreeSet<_> = hits[..5].iter().map(|hit| hit.id.document).collect();
    assert_eq!(first, [50, 150, 200, 250, 300].map(id).into());
    assert_eq!(hits.len(), 50);
}

#[test]
fn a_question_of_many_and_long_phrases_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let text = "one two three four five six seven eight nine ten ".repeat(20);
    collection.write(upsert([document(1, &[&text])])).unwrap();
    assert_eq!(keyword(&collection, &format!("\"{text}\"")), [id(1)]);
    let many = "\"one two\" ".repeat(5000);
    assert_eq!(keyword(&collection, &many), [id(1)]);
}

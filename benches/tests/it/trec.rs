//! Run files and the order of ties.

use std::collections::BTreeMap;

use faq_bench::beir::Qrels;
use faq_bench::metrics;
use faq_bench::trec::Run;

#[test]
fn equal_scores_are_ordered_by_name_descending() {
    let mut run = Run::default();
    for document in ["a", "c", "b"] {
        run.add("q", document, 1.0);
    }
    run.add("q", "z", 0.5);
    assert_eq!(run.ranking("q"), ["c", "b", "a", "z"]);
    run.truncate(2);
    assert_eq!(run.ranking("q"), ["c", "b"]);
}

#[test]
fn the_best_chunk_speaks_for_its_document() {
    let mut run = Run::default();
    run.add("q", "a", 0.2);
    run.add("q", "b", 0.5);
    run.add("q", "a", 0.9);
    run.add("q", "a", 0.1);
    assert_eq!(run.ranking("q"), ["a", "b"]);
}

#[test]
fn a_question_without_an_answer_counts_as_zero() {
    let grades = BTreeMap::from([("d".to_owned(), 1)]);
    let qrels = Qrels::from([
        ("asked".to_owned(), grades.clone()),
        ("silent".to_owned(), grades),
    ]);
    let mut run = Run::default();
    run.add("asked", "d", 1.0);
    run.ask("silent");
    let means = metrics::mean(&run, &qrels);
    assert_eq!(
        (means.ndcg_at_10, means.mrr_at_10, means.map),
        (0.5, 0.5, 0.5)
    );
}

#[test]
fn a_broken_line_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.trec");
    for (text, says) in [
        ("q Q0 d 1 0.5 x\nq Q0 e 2\n", "line 2: 4 fields"),
        ("q Q0 d 1 high x\n", "line 1: the score \"high\""),
        ("q Q0 d 1 NaN x\n", "line 1: the score \"NaN\""),
        (
            "q Q0 d 1 2 x\nq Q0 d 2 1 x\n",
            "line 2: \"d\" comes a second time",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Run::read(&path).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(error.contains("run.trec"), "{error}");
    }
}

//! Reading a data set, and what is said where one is wrong.

use std::path::Path;

use faq_bench::beir::DataSet;

const CORPUS: &str = "{\"_id\":\"d1\",\"title\":\"Tides\",\"text\":\"Water rises.\",\"metadata\":{}}\n{\"_id\":\"d2\",\"text\":\"\"}\n";
const QUERIES: &str = "{\"_id\":\"q1\",\"text\":\"why\"}\n{\"_id\":\"q2\",\"text\":\"how\"}\n{\"_id\":\"q3\",\"text\":\"who\"}\n";
const QRELS: &str = "query-id\tcorpus-id\tscore\nq2\td1\t2\nq3\td2\t0\n";

fn write(dir: &Path, corpus: &str, queries: &str, qrels: &str) {
    std::fs::create_dir_all(dir.join("qrels")).unwrap();
    std::fs::write(dir.join("corpus.jsonl"), corpus).unwrap();
    std::fs::write(dir.join("queries.jsonl"), queries).unwrap();
    std::fs::write(dir.join("qrels/test.tsv"), qrels).unwrap();
}

#[test]
fn only_questions_with_something_to_find_are_asked() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), CORPUS, QUERIES, QRELS);
    let mut set = DataSet::read(dir.path(), "test").unwrap();
    assert_eq!(set.corpus.len(), 2);
    assert_eq!(set.corpus[1].title, "");
    let asked: Vec<&str> = set.queries.iter().map(|q| q.id.as_str()).collect();
    assert_eq!(asked, ["q2"]);
    assert_eq!(set.qrels["q2"]["d1"], 2);
    assert!(set.missing_documents().is_empty());
    write(dir.path(), CORPUS, QUERIES, "q2\td1\t1\nq2\td9\t1\n");
    let headless = DataSet::read(dir.path(), "test").unwrap();
    assert_eq!(headless.qrels["q2"]["d1"], 1);
    assert_eq!(headless.missing_documents(), ["d9"]);
    set.limit_queries(0);
    assert!(set.queries.is_empty() && set.qrels.is_empty());
}

#[test]
fn errors_name_the_file_and_the_line() {
    for (corpus, queries, qrels, says) in [
        (
            "{\"_id\":\"d1\",\"text\":\"\"}\n{\"_id\":",
            QUERIES,
            QRELS,
            "corpus.jsonl, line 2: ",
        ),
        (
            "{\"_id\":\"d1\",\"txt\":\"Iron rusts.\"}",
            QUERIES,
            QRELS,
            "corpus.jsonl, line 1: missing field `text`",
        ),
        (
            "{\"_id\":\"d\",\"text\":\"\"}\n\n{\"_id\":\"d\",\"text\":\"\"}",
            QUERIES,
            QRELS,
            "corpus.jsonl, line 3: the name \"d\"",
        ),
        (
            CORPUS,
            "{\"_id\":\"q2\"}\n",
            QRELS,
            "queries.jsonl, line 1: missing field `text`",
        ),
        (
            CORPUS,
            QUERIES,
            "h\nq2 d1 1\n",
            "test.tsv, line 2: 1 fields between tabs",
        ),
        (
            CORPUS,
            QUERIES,
            "h\nq2\td1\tyes\n",
            "test.tsv, line 2: the grade \"yes\"",
        ),
        (
            CORPUS,
            QUERIES,
            "h\nq2\td1\t1\nq2\td1\t2\n",
            "test.tsv, line 3: \"d1\" has another grade",
        ),
        (
            CORPUS,
            QUERIES,
            "h\nq2\td1\t1\nq9\td1\t1\n",
            "test.tsv, line 3: the question \"q9\" is judged",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), corpus, queries, qrels);
        let error = DataSet::read(dir.path(), "test").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_missing_split_names_those_there_are() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), CORPUS, QUERIES, QRELS);
    let error = DataSet::read(dir.path(), "train").unwrap_err().to_string();
    assert!(error.contains("has the splits: test"), "{error}");
}

#[test]
fn what_is_missing_or_empty_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nowhere");
    let said = |dir: &Path| DataSet::read(dir, "test").unwrap_err().to_string();
    assert!(said(&missing).ends_with("nowhere: there is no such folder"));
    write(dir.path(), CORPUS, QUERIES, "h\nq1\td1\t0\n");
    assert!(said(dir.path()).contains("test.tsv: it holds no question with a relevant document"));
    write(dir.path(), "", QUERIES, QRELS);
    assert!(said(dir.path()).contains("corpus.jsonl: it holds no document"));
}

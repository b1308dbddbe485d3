//! The gate, from noise to a real fall.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::command::{bench, complaint, said};

/// Writes a data set of forty questions, and a run in which the first `right` find their document.
fn forty(dir: &Path, file: &str, right: usize) {
    let set = dir.join("forty");
    std::fs::create_dir_all(set.join("qrels")).unwrap();
    let mut qrels = "query-id\tcorpus-id\tscore\n".to_owned();
    let (mut queries, mut run) = (String::new(), String::new());
    for n in 0..40 {
        let _ = writeln!(qrels, "q{n}\tright\t1");
        let _ = writeln!(
            queries,
            "{{\"_id\":\"q{n}\",\"text\":\"Question <{n}> & more?\"}}"
        );
        let found = if n < right { "right" } else { "wrong" };
        let _ = writeln!(run, "q{n} Q0 {found} 1 0.5 x");
    }
    std::fs::write(set.join("qrels/test.tsv"), qrels).unwrap();
    std::fs::write(set.join("queries.jsonl"), queries).unwrap();
    std::fs::write(
        set.join("corpus.jsonl"),
        "{\"_id\":\"right\",\"text\":\"yes\"}\n",
    )
    .unwrap();
    std::fs::write(dir.join(file), run).unwrap();
}

#[test]
fn only_a_fall_beyond_chance_fails() {
    let dir = tempfile::tempdir().unwrap();
    for (file, right) in [("good.trec", 38), ("noise.trec", 36), ("bad.trec", 25)] {
        forty(dir.path(), file, right);
    }
    let gate = |more: &[&str]| {
        let args = [&["gate", "base.json", "--beir", "forty"], more].concat();
        bench(dir.path(), &args)
    };
    let error = complaint(&gate(&["--run", "good.trec"]), 2);
    assert!(error.contains("base.json"), "{error}");
    let written = said(&gate(&["--run", "good.trec", "--write"]));
    assert!(written.contains("40 questions"), "{written}");

    assert!(said(&gate(&["--run", "good.trec"])).contains("passed"));
    // Two questions fewer are a drop of .05, and by chance one time in four.
    let noise = said(&gate(&["--run", "noise.trec", "--metric", "nDCG@10,MAP"]));
    assert!(noise.contains("0.25000  holds"), "{noise}");
    let bad = gate(&["--run", "bad.trec", "--json"]);
    assert_eq!(bad.status.code(), Some(1));
    let verdict: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(verdict["passed"], false);
    assert_eq!(verdict["metrics"][0]["metric"], "ndcg_at_10");
    // A tolerance that allows the fall lets it pass.
    said(&gate(&["--run", "bad.trec", "--tolerance", "0.4"]));

    for (args, says) in [
        (
            vec!["--run", "good.trec", "--limit-queries", "3"],
            "questions are in one of",
        ),
        (vec!["--run", "none.trec"], "none.trec"),
        (vec!["--tolerance=-1"], "--tolerance"),
        (vec!["--mode", "dense,hybrid"], "one way to search"),
    ] {
        let error = complaint(&gate(&args), 2);
        assert!(error.contains(says), "{error}");
    }
    std::fs::write(dir.path().join("base.json"), "{\n\"data_set\": 1}").unwrap();
    let error = complaint(&gate(&["--run", "good.trec"]), 2);
    assert!(error.contains("base.json, line 2: no baseline"), "{error}");
}

#[test]
fn a_page_shows_what_two_runs_differ_in() {
    let dir = tempfile::tempdir().unwrap();
    forty(dir.path(), "a.trec", 30);
    forty(dir.path(), "b.trec", 12);
    let args = [
        "report",
        "-o",
        "ab.html",
        "--beir",
        "forty",
        "--compare",
        "a.trec",
        "b.trec",
    ];
    said(&bench(dir.path(), &args));
    let page = std::fs::read_to_string(dir.path().join("ab.html")).unwrap();
    assert!(page.contains("B wins 0, loses 18, ties 22"), "{page}");
    assert!(page.contains("Question &lt;12&gt; &amp; more?"));
    std::fs::write(dir.path().join("bad.jsonl"), "\n{\"a\":1}\n").unwrap();
    let error = complaint(
        &bench(dir.path(), &["report", "bad.jsonl", "-o", "x.html"]),
        1,
    );
    assert!(error.contains("bad.jsonl, line 2: neither"), "{error}");
}

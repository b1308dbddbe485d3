//! The command itself, on a data set of a few documents.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Fruit, metals and tides: five documents, four questions that share words with them.
const CORPUS: &str = r#"{"_id":"apple","title":"Apples","text":"Apples grow on trees and ripen in autumn."}
{"_id":"iron","title":"Iron","text":"Iron rusts where water and air reach it."}
{"_id":"tide","title":"Tides","text":"The moon pulls the sea, and so the water rises twice a day."}
{"_id":"pear","title":"Pears","text":"Pears ripen after they were picked from their trees."}
{"_id":"gold","title":"Gold","text":"Gold never rusts, neither in water nor in air."}
"#;
const QUERIES: &str = r#"{"_id":"q1","text":"When do apples ripen?"}
{"_id":"q2","text":"Why does the sea rise twice a day?"}
{"_id":"q3","text":"Which metal rusts in water?"}
{"_id":"q4","text":"???"}
"#;
const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\tapple\t2\nq1\tpear\t1\nq2\ttide\t1\nq3\tiron\t1\nq4\tgold\t1\n";

/// Writes the data set into a folder.
pub(crate) fn small_set(dir: &Path) -> PathBuf {
    let set = dir.join("small");
    std::fs::create_dir_all(set.join("qrels")).unwrap();
    std::fs::write(set.join("corpus.jsonl"), CORPUS).unwrap();
    std::fs::write(set.join("queries.jsonl"), QUERIES).unwrap();
    std::fs::write(set.join("qrels/test.tsv"), QRELS).unwrap();
    set
}

pub(crate) fn bench(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_faq-bench"))
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap()
}

/// What it printed; it must succeed.
pub(crate) fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it complained of; it must exit with `code`.
pub(crate) fn complaint(output: &Output, code: i32) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    error
}

#[test]
fn a_run_reports_quality_times_and_sizes() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path());
    let run = ["run", "--beir", "small", "--data", "index"];
    let several = [
        &run[..],
        &[
            "--mode",
            "keyword,dense,hybrid",
            "--fusion",
            "rrf:60,scores",
            "--json",
        ],
    ]
    .concat();
    let report: Value = serde_json::from_str(&said(&bench(dir.path(), &several))).unwrap();
    assert_eq!(report["documents"], 5);
    assert_eq!(report["queries"], 4);
    assert_eq!(report["index"]["chunks"], 5);
    assert!(report["index"]["disk_bytes"].as_u64().unwrap() > 1000);
    let names: Vec<String> = report["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| format!("{} {}", run["mode"], run["fusion"]))
        .collect();
    assert_eq!(
        names,
        [
            "\"keyword\" null",
            "\"dense\" null",
            "\"hybrid\" \"rrf:60\"",
            "\"hybrid\" \"scores:2.5\""
        ]
    );
    for run in report["runs"].as_array().unwrap() {
        // The fourth question has no word: nothing is found for it, and it counts.
        assert_eq!(run["metrics"]["coverage_at_10"], 0.75, "{run}");
        let times = &run["latency_ms"];
        let p50 = |stage: &str| times[stage]["p50"].as_f64().unwrap();
        assert!(p50("whole") > 0.0);
        assert_eq!(p50("embedding") == 0.0, run["mode"] == "keyword");
        assert!(times["whole"]["p99"].as_f64() >= times["whole"]["p95"].as_f64());
    }
    let table = said(&bench(dir.path(), &run));
    for word in ["Cover@10", "MAP", "embedding", "on disk", "p95 ms"] {
        assert!(table.contains(word), "{word}: {table}");
    }
}

#[test]
fn an_index_holds_the_set_that_is_asked_alone() {
    let dir = tempfile::tempdir().unwrap();
    let set = small_set(dir.path());
    let chunks = |index: &str| {
        let run = ["run", "--beir", "small", "--data", index, "--json"];
        let report: Value = serde_json::from_str(&said(&bench(dir.path(), &run))).unwrap();
        report["index"]["chunks"].as_u64().unwrap()
    };
    assert_eq!(chunks("first"), 5);
    std::fs::rename(dir.path().join("first"), dir.path().join("second")).unwrap();
    assert_eq!(chunks("second"), 5);
    let (smaller, _) = CORPUS.rsplit_once("{\"_id\":\"gold\"").unwrap();
    std::fs::write(set.join("corpus.jsonl"), smaller).unwrap();
    let own = dir.path().join("second/documents/own.txt");
    std::fs::write(&own, "Nobody asked for this to go.").unwrap();
    chunks("second");
    assert!(own.exists());
    std::fs::remove_file(own).unwrap();
    assert_eq!(chunks("second"), 4);
}

#[test]
fn each_mode_and_fusion_is_run_with_each_reranking() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path());
    let several = [
        "run",
        "--beir",
        "small",
        "--mode",
        "dense,hybrid",
        "--fusion",
        "rrf:60,scores",
        "--rerank",
        "none,3:0.5",
        "--json",
    ];
    let report: Value = serde_json::from_str(&said(&bench(dir.path(), &several))).unwrap();
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3 * 2);
    for (at, run) in runs.iter().enumerate() {
        let reranked = at % 2 == 1;
        assert_eq!(run["rerank"].as_str(), reranked.then_some("3:0.5"), "{run}");
        let p50 = run["latency_ms"]["rerank"]["p50"].as_f64().unwrap();
        assert_eq!(p50 > 0.0, reranked, "{run}");
    }
}

#[test]
fn runs_are_written_scored_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path());
    for (mode, file) in [("keyword", "a.trec"), ("hybrid", "b.trec")] {
        let args = [
            "run", "--beir", "small", "--mode", mode, "--run", file, "--data", "index",
        ];
        said(&bench(dir.path(), &args));
    }
    let scores = said(&bench(
        dir.path(),
        &["score", "--beir", "small", "--run", "b.trec"],
    ));
    assert!(scores.contains("Cover@10 0.7500"), "{scores}");
    let compared = [
        "compare", "a.trec", "b.trec", "--beir", "small", "--metric", "mrr@10", "--json",
    ];
    let json: Value = serde_json::from_str(&said(&bench(dir.path(), &compared))).unwrap();
    assert_eq!(json["metric"], "mrr_at_10");
    assert_eq!(json["queries"], 4);
    let all = ["wins", "losses", "ties"].map(|n| json[n].as_u64().unwrap());
    assert_eq!(all.iter().sum::<u64>(), 4);
}

#[test]
fn wrong_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path());
    std::fs::write(dir.path().join("bad.trec"), "q1 Q0 apple 1\n").unwrap();
    std::fs::write(dir.path().join("other.trec"), "x Q0 apple 1 1 me\n").unwrap();
    for (args, code, says) in [
        (
            vec!["run", "--beir", "small", "--fusion", "rrf:x"],
            2,
            "is no number",
        ),
        (
            vec!["run", "--beir", "small", "--rerank", "20:-1"],
            2,
            "is no reranking",
        ),
        (vec!["run", "--beir", "none"], 1, "there is no such folder"),
        (
            vec!["run", "--beir", "small", "--limit-queries", "0"],
            2,
            "0 is too few",
        ),
        (
            vec!["compare", "other.trec", "other.trec", "--beir", "small"],
            1,
            "none of the questions of small",
        ),
        (
            vec![
                "run",
                "--beir",
                "small",
                "--mode",
                "dense,hybrid",
                "--run",
                "x.trec",
            ],
            1,
            "one --mode",
        ),
        (
            vec!["compare", "bad.trec", "bad.trec", "--beir", "small"],
            1,
            "bad.trec, line 1: 4 fields",
        ),
        (
            vec!["compare", "a", "b", "--beir", "small", "--metric", "F1"],
            2,
            "there are nDCG@10, R@5",
        ),
    ] {
        let error = complaint(&bench(dir.path(), &args), code);
        assert!(error.contains(says), "{args:?}: {error}");
    }
}

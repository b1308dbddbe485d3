//! Every metric of every question equals that of `pytrec_eval`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use faq_bench::beir::{self, Qrels};
use faq_bench::metrics;
use faq_bench::trec::Run;

type Reference = BTreeMap<String, BTreeMap<String, f64>>;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn stdout(command: &mut Command) -> String {
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?} failed:\n{said}");
    String::from_utf8(out.stdout).unwrap()
}

fn reference(qrels: &Path, run: &Path) -> Reference {
    let python = stdout(Command::new(root().join("scripts/python-env")).arg("trec-eval"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/evaluate.py");
    let json = stdout(Command::new(python.trim()).arg(script).arg(qrels).arg(run));
    serde_json::from_str(&json).unwrap()
}

/// Compares all metrics of all questions that the run has documents for.
fn assert_equal(run: &Run, qrels_path: &Path) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.trec");
    run.write(&path, "test").unwrap();
    assert_eq!(
        &Run::read(&path).unwrap(),
        run,
        "a run changes when it is written and read"
    );

    let qrels: Qrels = beir::read_qrels(qrels_path).unwrap();
    let reference = reference(qrels_path, &path);
    for (query, expected) in &reference {
        let found = metrics::evaluate(&run.ranking(query), &qrels[query]);
        for (name, value) in [
            ("ndcg_cut_10", found.ndcg_at_10),
            ("recall_5", found.recall_at_5),
            ("recall_10", found.recall_at_10),
            ("recall_100", found.recall_at_100),
            ("recip_rank_10", found.mrr_at_10),
            ("map", found.map),
            ("success_10", found.coverage_at_10),
        ] {
            let expected = expected[name];
            assert!(
                (value - expected).abs() < 1e-6,
                "{name} of {query} is {value}, pytrec_eval says {expected}"
            );
        }
    }
    reference.len()
}

/// Pseudo-random numbers from a seed (xorshift64*), below `below`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }
}

#[test]
fn random_runs_with_ties_score_as_in_pytrec_eval() {
    let mut random = Random(20_260_301);
    let mut run = Run::default();
    let mut qrels = "query-id\tcorpus-id\tscore\n".to_owned();
    for query in 0..300 {
        let documents = 20 + random.below(300);
        // Few distinct scores make many ties; names of unequal length test their order.
        let distinct = [2, 5, 50, 1_000_000][query % 4];
        for document in 0..documents {
            if random.below(3) > 0 {
                let score = random.below(distinct) as f32 / distinct as f32 - 0.3;
                run.add(&format!("q{query}"), &format!("d{document}"), score);
            }
            if random.below(12) == 0 {
                // Grades go below zero too: trec_eval reads them as irrelevant.
                let grade = random.below(5) as i64 - 1;
                let _ = writeln!(qrels, "q{query}\td{document}\t{grade}");
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qrels.tsv");
    std::fs::write(&path, qrels).unwrap();
    let compared = assert_equal(&run, &path);
    assert!(compared > 280, "only {compared} questions were compared");
}

#[test]
fn real_judgements_score_as_in_pytrec_eval() {
    let data = std::env::var_os("FAQ_TEST_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let sets = [
        "scifact/qrels/test.tsv",
        "cranfield/qrels/test.tsv",
        "cisi/qrels/test.tsv",
    ];
    for set in sets {
        let path = data.join("beir").join(set);
        if !path.is_file() {
            #[allow(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: {} is not here", path.display());
            }
            continue;
        }
        // A ranking in which relevant documents, judged and unjudged ones mix.
        let qrels = beir::read_qrels(&path).unwrap();
        let mut random = Random(7);
        let mut run = Run::default();
        let all: Vec<&String> = qrels.values().flat_map(BTreeMap::keys).collect();
        for (query, grades) in &qrels {
            for _ in 0..150 {
                let document = all[random.below(all.len() as u64) as usize];
                run.add(query, document, random.below(40) as f32);
            }
            for document in grades.keys() {
                if random.below(2) == 0 {
                    run.add(query, document, random.below(60) as f32);
                }
            }
        }
        assert_eq!(assert_equal(&run, &path), qrels.len());
    }
}

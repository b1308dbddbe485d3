//! Golden sets: reading, judging, drafting.

use std::path::Path;

use faq_bench::golden::Golden;
use serde_json::Value;

use crate::command::{bench, complaint, said};

const LEAVE: &str = "# Leave\n\nEvery employee has 25 days of annual leave each year.\n\n\
    ## Sick leave\n\nA sick note is a letter from a physician. Send it within three days.\n";
const TRAVEL: &str = "# Travel\n\nTrains are booked by the office. Flights need the approval of a \
    director.\n\n## Who pays for hotels?\n\nHotels are paid by the company card of the office.\n";

fn handbook(dir: &Path) {
    let docs = dir.join("docs");
    std::fs::create_dir_all(docs.join("old")).unwrap();
    std::fs::write(docs.join("leave.md"), LEAVE).unwrap();
    std::fs::write(docs.join("travel.md"), TRAVEL).unwrap();
    std::fs::write(
        docs.join("old/leave.md"),
        "Leave was 20 days in the years before.",
    )
    .unwrap();
    std::fs::write(docs.join("broken.pdf"), "%PDF-1.7 and nothing else").unwrap();
}

const GOLDEN: &str = r#"documents = "docs"

[[question]]
question = "How many days of annual leave does an employee have?"
document = "docs/leave.md"
text = "25 DAYS of annual leave"

[[question]]
id = "hotel"
question = "Who pays for hotels?"
expected = [{ document = "travel.md", text = "company card" }, { document = "broken.pdf", page = 2 }]

[[question]]
question = "Who approves flights?"
document = "travel.md"
text = "the approval of a clown"
checked = false
"#;

#[test]
fn hits_are_right_by_document_and_by_text() {
    let dir = tempfile::tempdir().unwrap();
    handbook(dir.path());
    std::fs::write(dir.path().join("my.toml"), GOLDEN).unwrap();
    let run = [
        "run",
        "--golden",
        "my.toml",
        "--mode",
        "keyword",
        "--chunk-size",
        "64",
    ];
    let json = [
        &run[..],
        &["--chunk-overlap", "0", "--json", "--data", "index"],
    ]
    .concat();
    let report: Value = serde_json::from_str(&said(&bench(dir.path(), &json))).unwrap();
    assert_eq!(
        (&report["documents"], &report["queries"]),
        (&3.into(), &3.into())
    );
    assert_eq!(report["unchecked"], 1);
    let unreachable = report["unreachable"].to_string();
    assert!(
        unreachable.contains("question hotel: broken.pdf was refused"),
        "{unreachable}"
    );
    assert!(
        unreachable.contains("question 3: no chunk of travel.md holds"),
        "{unreachable}"
    );
    let found = &report["runs"][0];
    // All three documents are found; of the second question's two places one cannot be.
    assert_eq!(found["document"]["queries"], 3);
    assert_eq!(found["document"]["coverage_at_10"], 1.0);
    let recall = found["document"]["recall_at_10"].as_f64().unwrap();
    assert!((recall - (1.0 + 0.5 + 1.0) / 3.0).abs() < 1e-9, "{recall}");
    // One question expects a page, and cannot get it; two of three texts are there.
    assert_eq!(found["page"]["queries"], 1);
    assert_eq!(found["page"]["recall_at_10"], 0.0);
    assert_eq!(found["passage"]["queries"], 3);
    let covered = found["passage"]["coverage_at_10"].as_f64().unwrap();
    assert!((covered - 2.0 / 3.0).abs() < 1e-9, "{covered}");

    let table = said(&bench(
        dir.path(),
        &[&run[..], &["--chunk-overlap", "0"]].concat(),
    ));
    for word in [
        "right document, 3 questions",
        "right passage",
        "out of reach: question 3",
    ] {
        assert!(table.contains(word), "{table}");
    }
}

#[test]
fn a_table_says_the_same_and_its_folder_may_be_the_data() {
    let dir = tempfile::tempdir().unwrap();
    handbook(dir.path());
    let csv = "question,document,text,checked\n\
        \"How many days, a year?\",old/leave.md,20 days,no\n\
        Who pays for hotels?,travel.md,company card,\n\
        Who pays for hotels?,docs/leave.md,,yes\n";
    std::fs::write(dir.path().join("my.csv"), csv).unwrap();
    let golden = Golden::read(&dir.path().join("my.csv")).unwrap();
    assert_eq!(golden.questions.len(), 2);
    assert_eq!(golden.questions[1].expected.len(), 2);
    assert!(!golden.questions[0].checked && golden.questions[1].checked);
    let args = [
        "run",
        "--golden",
        "my.csv",
        "--data",
        "docs",
        "--mode",
        "keyword",
        "--checked",
        "--json",
    ];
    let report: Value = serde_json::from_str(&said(&bench(dir.path(), &args))).unwrap();
    assert_eq!(report["queries"], 1);
    assert!(
        !dir.path().join("docs/index").exists(),
        "nothing is written among documents"
    );
}

#[test]
fn wrong_sets_are_named_by_line_and_key() {
    let question = "[[question]]\nquestion = \"Who?\"\n";
    for (file, text, says) in [
        ("a.toml", "", "key question: the file has no questions"),
        (
            "a.toml",
            "[[question]]\nask = \"x\"\n",
            "line 2, key question[0].ask: unknown field",
        ),
        (
            "a.toml",
            question,
            "line 1, key document: question 1: no document",
        ),
        (
            "a.toml",
            &format!("{question}document = \"x\"\npage = 0\n"),
            "line 1, key page: question 1: pages are counted from 1",
        ),
        (
            "a.toml",
            &format!("{question}document = \"x\"\npage = \"two\"\n"),
            "line 4, key question[0].page: invalid type",
        ),
        (
            "a.toml",
            &format!(
                "{question}id = \"1\"\ndocument = \"x\"\n{question}id = \"1\"\ndocument = \"x\"\n"
            ),
            "key id: question 1: the id comes a second time",
        ),
        (
            "a.toml",
            &format!("{question}page = 2\n"),
            "key question[0].document",
        ),
        ("a.csv", "", "a.csv, line 1: the file is empty"),
        (
            "a.csv",
            "question,answer\n",
            "line 1: unknown column \"answer\"",
        ),
        (
            "a.csv",
            "question,text\n",
            "line 1: the column \"document\" is missing",
        ),
        (
            "a.csv",
            "question,document\nWho?\n",
            "line 2: 1 fields where the header has 2",
        ),
        (
            "a.csv",
            "question,document,page\nWho?,x,ii\n",
            "line 2: the page \"ii\"",
        ),
        ("a.csv", "question,document\nWho?,\n", "line 2: no document"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file);
        std::fs::write(&path, text).unwrap();
        let error = Golden::read(&path).unwrap_err().to_string();
        assert!(error.contains(says), "{error}\nis not\n{says}");
    }
    let dir = tempfile::tempdir().unwrap();
    handbook(dir.path());
    for folder in ["docs/a", "docs/b"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        std::fs::write(dir.path().join(folder).join("notes.md"), "Some notes.").unwrap();
    }
    let run = [
        "run", "--golden", "a.toml", "--docs", "docs", "--mode", "keyword",
    ];
    for (document, says) in [
        ("none.md", "there is no document \"none.md\""),
        ("notes.md", "is the name of 2 documents"),
    ] {
        let text = format!("{question}document = \"{document}\"\n");
        std::fs::write(dir.path().join("a.toml"), text).unwrap();
        let error = complaint(&bench(dir.path(), &run), 1);
        assert!(
            error.contains("a.toml, line 1, key document") && error.contains(says),
            "{error}"
        );
    }
}

#[test]
fn a_draft_can_be_run_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    handbook(dir.path());
    let draft = ["draft", "--docs", "docs", "-o", "my.toml"];
    let output = bench(dir.path(), &draft);
    let left_out = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(left_out.contains("broken.pdf"), "{left_out}");
    said(&output);
    let golden = Golden::read(&dir.path().join("my.toml")).unwrap();
    let asked: Vec<&str> = golden.questions.iter().map(|q| q.text.as_str()).collect();
    for question in [
        "What is a sick note?",
        "Who pays for hotels?",
        "What is said about Leave?",
    ] {
        assert!(asked.contains(&question), "{asked:?}");
    }
    assert!(golden.questions.iter().all(|q| !q.checked));
    let again = complaint(&bench(dir.path(), &draft), 1);
    assert!(again.contains("--force"), "{again}");

    // Two documents are called leave.md: the path below the folder says which is meant.
    let args = ["run", "--golden", "my.toml", "--mode", "keyword", "--json"];
    let report: Value = serde_json::from_str(&said(&bench(dir.path(), &args))).unwrap();
    assert_eq!(
        report["unreachable"].as_array().unwrap().len(),
        0,
        "{report}"
    );
    assert_eq!(report["runs"][0]["passage"]["coverage_at_10"], 1.0);
}

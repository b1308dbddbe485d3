//! Sweeps: their files, their cells, and that a killed one goes on.

use std::path::Path;

use faq_bench::sweep::{self, Config, Sweep};

use crate::command::{bench, complaint, said, small_set};

const GRID: &str = r#"[data]
sets = ["small"]

[grid]
mode = ["keyword", "hybrid"]
fusion = ["rrf:60", "scores:2.5"]
vector_search = ["exact", "graph"]
ef = [16, 64]
candidates = [50, 300, 400]
rerank = ["none", "20:0.5"]
chunk_size = [64, 1000]
chunk_overlap = [0, 100]
"#;

fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("grid.toml"), text).unwrap();
}

#[test]
fn cells_that_ask_the_same_are_one() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path());
    write(dir.path(), GRID);
    let sweep = Sweep::plan(&dir.path().join("grid.toml"), None, None).unwrap();
    let labels: Vec<String> = sweep.cells().map(ToString::to_string).collect();
    // Three cuts (an overlap of 100 does not fit chunks of 64). In each, a keyword search; and for
    // each fusion and two numbers of candidates (50 and 300 are the same for a ranking of 100) an
    // exact search and two widths of the graph. All of them with and without reranking.
    assert_eq!(labels.len(), 3 * (1 + 2 * 2 * 3) * 2, "{labels:#?}");
    assert_eq!(sweep.indexes(), 3);
    assert_eq!(labels[0], "small/test keyword k=100 chunks=64/0");
    assert!(
        labels.contains(
            &"small/test hybrid rrf:60 k=100 candidates=300 chunks=1000/100 vectors=graph ef=64 \
          precision=int8 model=all-minilm-l6-v2"
                .to_owned()
        )
    );
    let ids: std::collections::BTreeSet<String> = sweep.cells().map(sweep::Cell::id).collect();
    assert_eq!(ids.len(), labels.len());
}

#[test]
fn errors_name_the_line_and_the_key() {
    let data = "[data]\nsets = [\"small\"]\n[grid]\n";
    for (text, says) in [
        ("[data]\nsets = [", "grid.toml, line 2"),
        ("[grid]\nk = [1]\n", "missing field `data`"),
        (
            "[data]\nsets = []\n",
            "line 2, key data.sets: the list is empty",
        ),
        (
            &format!("{data}kk = [1]\n"),
            "line 4, key grid.kk: unknown field `kk`",
        ),
        (
            &format!("{data}k = 10\n"),
            "line 4, key grid.k: invalid type",
        ),
        (
            &format!("{data}k = [10, 0]\n"),
            "line 4, key grid.k: 0 is not between",
        ),
        (
            &format!("{data}k = [-1]\n"),
            "line 4, key grid.k[0]: invalid value",
        ),
        (
            &format!("{data}fusion = [\"rrf:60\", \"sum\"]\n"),
            "line 4, key grid.fusion: \"sum\" is no fusion",
        ),
        (
            &format!("{data}rerank = [\"some\"]\n"),
            "line 4, key grid.rerank: \"some\" is no reranking",
        ),
        (
            &format!("{data}mode = [\"sparse\"]\n"),
            "line 4, key grid.mode[0]: unknown variant `sparse`",
        ),
        (
            &format!("{data}precision = [\"fp16\"]\n"),
            "line 4, key grid.precision: \"fp16\" is no precision",
        ),
        (
            &format!("{data}chunk_size = [100]\nchunk_overlap = [100]\n"),
            "line 5, key grid.chunk_overlap: no overlap is smaller",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), text);
        let error = Config::read(&dir.path().join("grid.toml")).unwrap_err();
        assert!(error.to_string().contains(says), "{error}\nis not\n{says}");
    }
}

#[test]
fn a_sweep_that_was_killed_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path());
    write(
        dir.path(),
        "[data]\nsets = [\"small\"]\n[grid]\nmode = [\"keyword\", \"dense\"]\nk = [3, 5]\n",
    );
    let listed = said(&bench(dir.path(), &["sweep", "grid.toml", "--dry-run"]));
    assert!(
        listed.contains("4 cells, 0 of them finished; 1 indexes"),
        "{listed}"
    );
    assert!(!dir.path().join("grid.results.jsonl").exists());

    let first = bench(dir.path(), &["sweep", "grid.toml"]);
    let progress = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(progress.contains("[4/4]"), "{progress}");
    assert_eq!(said(&first).matches("small/test").count(), 4);
    let results = dir.path().join("grid.results.jsonl");
    let whole = std::fs::read_to_string(&results).unwrap();
    let rows = sweep::read(&results).unwrap();
    assert_eq!(rows.len(), 4);
    // One index for all: it was filled once, and the cells that were opened with it say so.
    assert_eq!(dir.path().join("grid.index").read_dir().unwrap().count(), 1);
    for row in &rows {
        assert!(dir.path().join(&row.ranking).is_file());
        assert_eq!((row.documents, row.queries), (5, 4));
    }

    // Killed while it wrote the third line.
    let third = whole.match_indices('\n').nth(2).unwrap().0;
    std::fs::write(&results, &whole[..third - 40]).unwrap();
    let listed = said(&bench(dir.path(), &["sweep", "grid.toml", "--dry-run"]));
    assert_eq!(listed.matches("+ ").count(), 2, "{listed}");
    let again = bench(dir.path(), &["sweep", "grid.toml"]);
    let progress = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        !progress.contains("[2/4]") && progress.contains("[3/4]"),
        "{progress}"
    );
    let after = sweep::read(&results).unwrap();
    let quality = |rows: &[sweep::Row]| -> Vec<_> {
        // As JSON: a recall that goes deeper than the ranking is no number, which equals nothing.
        let metrics = |r: &sweep::Row| serde_json::to_string(&r.metrics).unwrap();
        rows.iter().map(|r| (r.id.clone(), metrics(r))).collect()
    };
    assert_eq!(quality(&after), quality(&rows));

    // Another judgement: what was measured by the one before is not taken for it.
    let judgements = dir.path().join("small/qrels/test.tsv");
    let changed = std::fs::read_to_string(&judgements).unwrap() + "q1\tgold\t1\n";
    std::fs::write(judgements, changed).unwrap();
    let listed = said(&bench(dir.path(), &["sweep", "grid.toml", "--dry-run"]));
    assert!(listed.contains("4 cells, 0 of them finished"), "{listed}");
    said(&bench(dir.path(), &["sweep", "grid.toml"]));
    let anew = sweep::read(&results).unwrap();
    assert_eq!(anew.len(), 4);
    assert_ne!(quality(&anew), quality(&rows));

    std::fs::write(&results, "{}\n").unwrap();
    let error = complaint(&bench(dir.path(), &["sweep", "grid.toml"]), 1);
    assert!(
        error.contains("grid.results.jsonl, line 1: no finished cell"),
        "{error}"
    );
}

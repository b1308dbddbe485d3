//! P-values equal those of scipy where they are counted, and come close where they are drawn.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use faq_bench::beir::{DataSet, Query};
use faq_bench::compare::compare;
use faq_bench::metrics::Metric;
use faq_bench::significance::{ROUNDS, SEED, Tail, randomisation};
use faq_bench::trec::Run;

use crate::reference::{Random, root, stdout};

#[derive(serde::Deserialize)]
struct Reference {
    both: f64,
    lower: f64,
}

#[test]
fn p_values_are_those_of_scipy() {
    let mut random = Random(20_261_121);
    // Few questions, whose signs are counted; many, whose signs are drawn; differences that are
    // mostly none, as those of good runs are; gains, losses and neither.
    let lists: Vec<Vec<f64>> = [
        (3, 0),
        (9, 2),
        (14, -1),
        (16, 0),
        (40, 1),
        (200, 0),
        (300, -2),
    ]
    .into_iter()
    .map(|(questions, shift)| {
        (0..questions)
            .map(|_| match random.below(3) {
                0 => 0.0,
                _ => (random.below(41) as f64 - 20.0 + f64::from(shift)) / 20.0,
            })
            .collect()
    })
    .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("differences.json");
    std::fs::write(&path, serde_json::to_string(&lists).unwrap()).unwrap();
    let python = stdout(Command::new(root().join("scripts/python-env")).arg("trec-eval"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/permutation.py");
    let json = stdout(Command::new(python.trim()).arg(script).arg(&path));
    let references: Vec<Reference> = serde_json::from_str(&json).unwrap();
    assert_eq!(references.len(), lists.len());
    for (differences, reference) in lists.iter().zip(references) {
        for (tail, expected) in [(Tail::Both, reference.both), (Tail::Lower, reference.lower)] {
            let found = randomisation(differences, tail, ROUNDS, SEED);
            // Five standard errors of a share that 100,000 rounds are drawn for.
            let error = if found.exact {
                1e-9
            } else {
                5.0 * (expected * (1.0 - expected) / f64::from(ROUNDS)).sqrt() + 2e-5
            };
            assert!(
                (found.p_value - expected).abs() <= error,
                "{} differences, {tail:?}: {found:?}, scipy says {expected}",
                differences.len()
            );
        }
    }
}

#[test]
fn wins_and_losses_carry_their_questions() {
    let mut set = DataSet {
        name: "small".into(),
        corpus: Vec::new(),
        queries: Vec::new(),
        qrels: BTreeMap::new(),
    };
    let (mut a, mut b) = (Run::default(), Run::default());
    // A finds the first three, B the last six; the fifth both find.
    for query in 0..8 {
        let id = format!("q{query}");
        set.queries.push(Query {
            id: id.clone(),
            text: format!("What is {query}?"),
        });
        set.qrels
            .insert(id.clone(), BTreeMap::from([("right".into(), 1)]));
        let answer = |yes: bool| if yes { "right" } else { "wrong" };
        a.add(&id, answer(query < 3 || query == 4), 1.0);
        // B says nothing at all to the first.
        if query > 0 {
            b.add(&id, answer(query > 2), 1.0);
        }
    }
    let found = compare(&a, &b, &set, Metric::NdcgAt10, 2);
    assert_eq!((found.wins, found.losses, found.ties), (4, 3, 1));
    assert_eq!((found.a, found.b, found.queries), (0.5, 0.625, 8));
    assert!((found.difference - 0.125).abs() < 1e-12);
    // Seven differences of one size: at most three negative or at most three positive, always.
    assert_eq!(found.test.p_value, 1.0);
    let wins: Vec<&str> = found.largest_wins.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(wins, ["What is 3?", "What is 5?"]);
    assert_eq!(found.largest_losses.len(), 2);
    assert!(found.to_string().contains("q3: What is 3?"));
}

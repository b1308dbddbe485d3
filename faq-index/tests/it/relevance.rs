//! Ranking quality of the keyword list on public test collections, where they are at hand.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use faq_index::{Collection, Mode, Query};
use serde_json::Value;

use crate::support::*;

/// The folder of a BEIR set: below `FAQ_TEST_DATA`, else `../shared/data` beside the workspace.
fn set(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("FAQ_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let dir = data.join("beir").join(name);
    if !dir.join("corpus.jsonl").exists() {
        println!("skipped: {} is not there", dir.display());
        return None;
    }
    Some(dir)
}

fn lines(path: PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// nDCG@10 with linear gains, as `pytrec_eval` computes it.
fn ndcg(ranked: &[u64], judged: &HashMap<u64, f64>) -> f64 {
    let discount = |rank: usize| 1.0 / f64::from(rank as u32 + 2).log2();
    let gain: f64 = ranked
        .iter()
        .take(10)
        .enumerate()
        .map(|(rank, id)| judged.get(id).copied().unwrap_or(0.0) * discount(rank))
        .sum();
    let mut ideal: Vec<f64> = judged.values().copied().collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best: f64 = ideal
        .iter()
        .take(10)
        .enumerate()
        .map(|(rank, g)| g * discount(rank))
        .sum();
    gain / best
}

fn keyword_ndcg(name: &str, language: &str) -> Option<f64> {
    let dir = set(name)?;
    let temp = tempfile::tempdir().unwrap();
    let collection = open(temp.path());
    let mut numbers = HashMap::new();
    let corpus = lines(dir.join("corpus.jsonl"));
    let documents = corpus.iter().enumerate().map(|(n, entry)| {
        let n = n as u64;
        numbers.insert(entry["_id"].as_str().unwrap().to_owned(), n);
        let text = entry["text"].as_str().unwrap().trim();
        let mut document = document(n, &[if text.is_empty() { "-" } else { text }]);
        document.title = entry["title"]
            .as_str()
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        document.language = Some(language.to_owned());
        document
    });
    collection.write(upsert(documents)).unwrap();
    let mut judged: HashMap<String, HashMap<u64, f64>> = HashMap::new();
    let qrels = fs::read_to_string(dir.join("qrels/test.tsv")).unwrap();
    for line in qrels.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let grade: f64 = fields[2].parse().unwrap();
        if let (Some(&n), true) = (numbers.get(fields[1]), grade > 0.0) {
            judged
                .entry(fields[0].to_owned())
                .or_default()
                .insert(n, grade);
        }
    }
    let (mut total, mut count) = (0.0, 0);
    for question in lines(dir.join("queries.jsonl")) {
        let Some(judged) = judged.get(question["_id"].as_str().unwrap()) else {
            continue;
        };
        let ranked = ranked(&collection, question["text"].as_str().unwrap());
        total += ndcg(&ranked, judged);
        count += 1;
    }
    let mean = total / f64::from(count);
    println!("{name}: keyword nDCG@10 {mean:.4} over {count} questions");
    Some(mean)
}

fn ranked(collection: &Collection, question: &str) -> Vec<u64> {
    let mut query = Query::new(question, None);
    query.mode = Mode::Keyword;
    let hits = collection.search(&query).unwrap().hits;
    hits.iter()
        .map(|hit| hit.id.document.0.as_u128() as u64)
        .collect()
}

#[test]
fn keywords_rank_public_collections_well() {
    for (name, language, least) in [
        ("scifact", "en", 0.66),
        ("cranfield", "en", 0.40),
        ("adi", "en", 0.42),
        ("squad2-a", "en", 0.85),
        ("covid-faq-deepset", "en", 0.60),
        ("xquad/de", "de", 0.88),
        ("xquad/zh", "zh", 0.80),
    ] {
        if let Some(found) = keyword_ndcg(name, language) {
            assert!(found >= least, "{name}: {found} is below {least}");
        }
    }
}

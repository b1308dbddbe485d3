//! How far the chance that answers carry can be trusted on any set: each second document that answers a
//! question is taken out of the corpus, so that questions without any other have no answer.
//!
//! An answer is right where it quotes a document that is judged relevant.

use std::collections::HashSet;

use anyhow::Result;
use faq_core::{Answer, AskOptions, Collection, Control, Threshold};
use serde::Serialize;

use crate::answers::median;
use crate::beir::{DataSet, Document};
use crate::retrieve::document_of;

/// A set that has lost half of the documents that answer a question.
#[derive(Debug, Clone)]
pub struct Halved {
    /// What is left.
    pub corpus: Vec<Document>,
    /// Each question with the relevant documents that are left; none where it has no answer.
    pub questions: Vec<(String, HashSet<String>)>,
}

/// Takes away each second document that is relevant to a question, in the order of the questions.
pub fn halve(set: &DataSet) -> Halved {
    let relevant = |id: &str| {
        let grades = set.qrels.get(id).into_iter().flatten();
        grades.filter(|(_, grade)| **grade > 0).map(|(id, _)| id)
    };
    let mut known: HashSet<&str> = HashSet::new();
    let mut lost: HashSet<&str> = HashSet::new();
    for document in set.queries.iter().flat_map(|query| relevant(&query.id)) {
        if known.insert(document) && known.len().is_multiple_of(2) {
            lost.insert(document);
        }
    }
    let corpus = set.corpus.iter().filter(|d| !lost.contains(d.id.as_str()));
    let questions = set.queries.iter().map(|query| {
        let left = relevant(&query.id).filter(|id| !lost.contains(id.as_str()));
        (query.text.clone(), left.cloned().collect())
    });
    Halved {
        corpus: corpus.cloned().collect(),
        questions: questions.collect(),
    }
}

/// What came of the questions of a set.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Calibration {
    /// Questions whose documents are there.
    pub answerable: usize,
    /// Of these, those whose answer quotes a relevant document.
    pub right: usize,
    /// Of these, those without an answer.
    pub silent: usize,
    /// Questions whose documents are not there.
    pub unanswerable: usize,
    /// Of these, those without an answer.
    pub unanswerable_silent: usize,
    /// Expected calibration error: the mean distance, over ten ranges of the probability, of its mean from
    /// the share of right answers, weighted by how many fall into each.
    pub expected_error: f64,
    /// Area under the ROC curve: how often a question that can be answered is held likelier than one that
    /// cannot.
    pub area: f64,
    /// Median time of an answer, in milliseconds.
    pub median_ms: f64,
}

/// Asks every question, whatever its probability, and counts what `options` would have withheld. `seen` gets
/// of each its kind (`answerable` or `near`), whether the answer is right, and the answer.
///
/// # Errors
/// Where the engine fails.
pub fn measure(
    collection: &Collection,
    halved: &Halved,
    options: &AskOptions,
    seen: &mut dyn FnMut(&str, bool, &Answer),
) -> Result<Calibration> {
    let least = match options.threshold {
        Threshold::Probability(least) => least,
        _ => 0.0,
    };
    let open = AskOptions {
        threshold: Threshold::Probability(0.0),
        ..options.clone()
    };
    let mut result = Calibration::default();
    // Probability, whether it can be answered, whether the answer is right.
    let mut outcomes: Vec<(f64, bool, bool)> = Vec::new();
    let mut times = Vec::new();
    for (question, relevant) in &halved.questions {
        let answer = collection.ask(question, &open, &Control::new(), &mut |_| {})?;
        times.push(answer.timings_ms.total);
        let probability = match answer.answerability {
            Some(found) if !answer.abstained => found.as_read.unwrap_or(found.probability),
            _ => 0.0,
        };
        let is_silent = answer.abstained || probability < least;
        let quotes_relevant = answer.sources.iter().any(|source| {
            document_of(&source.filename, &halved.corpus).is_some_and(|d| relevant.contains(&d.id))
        });
        if relevant.is_empty() {
            result.unanswerable += 1;
            result.unanswerable_silent += usize::from(is_silent);
        } else {
            result.answerable += 1;
            result.silent += usize::from(is_silent);
            result.right += usize::from(!is_silent && quotes_relevant);
        }
        let right = !answer.abstained && quotes_relevant;
        outcomes.push((f64::from(probability), !relevant.is_empty(), right));
        let kind = if relevant.is_empty() {
            "near"
        } else {
            "answerable"
        };
        seen(kind, right, &answer);
    }
    result.expected_error = expected_error(outcomes.iter().map(|(p, _, right)| (*p, *right)));
    result.area = area(&outcomes);
    result.median_ms = median(&mut times);
    Ok(result)
}

/// Ranges that probabilities are put into.
const RANGES: usize = 10;

fn expected_error(outcomes: impl Iterator<Item = (f64, bool)>) -> f64 {
    let mut ranges = [(0.0_f64, 0.0_f64, 0_u32); RANGES];
    for (probability, right) in outcomes {
        let at = ((probability * RANGES as f64) as usize).min(RANGES - 1);
        ranges[at].0 += probability;
        ranges[at].1 += f64::from(u8::from(right));
        ranges[at].2 += 1;
    }
    let all: u32 = ranges.iter().map(|(_, _, n)| n).sum();
    let distances = ranges.iter().map(|(sum, right, _)| (sum - right).abs());
    distances.sum::<f64>() / f64::from(all.max(1))
}

fn area(outcomes: &[(f64, bool, bool)]) -> f64 {
    let of = |is: bool| {
        outcomes
            .iter()
            .filter(move |(_, a, _)| *a == is)
            .map(|(p, _, _)| *p)
    };
    let (mut won, mut pairs) = (0.0, 0.0_f64);
    for yes in of(true) {
        for no in of(false) {
            pairs += 1.0;
            won += match yes.total_cmp(&no) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    won / pairs.max(1.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::beir::Query;

    #[test]
    fn each_second_document_is_lost_and_its_questions_have_no_answer() {
        let document = |id: &str| Document {
            id: id.into(),
            title: String::new(),
            text: id.into(),
        };
        let query = |id: &str| Query {
            id: id.into(),
            text: format!("{id}?"),
        };
        let judged = |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), 1)).collect();
        let set = DataSet {
            name: String::new(),
            corpus: ["a", "b", "c", "d"].map(document).into(),
            queries: ["1", "2", "3"].map(query).into(),
            qrels: BTreeMap::from([
                ("1".to_owned(), judged(&["a", "b"])),
                ("2".to_owned(), judged(&["b"])),
                ("3".to_owned(), judged(&["b", "c"])),
            ]),
        };
        let halved = halve(&set);
        let left: Vec<&str> = halved.corpus.iter().map(|d| d.id.as_str()).collect();
        assert_eq!(left, ["a", "c", "d"]);
        let expected = [
            ("1?".to_owned(), HashSet::from(["a".to_owned()])),
            ("2?".to_owned(), HashSet::new()),
            ("3?".to_owned(), HashSet::from(["c".to_owned()])),
        ];
        assert_eq!(halved.questions, expected);
    }

    #[test]
    fn the_error_is_the_distance_of_what_is_said_from_what_is_so() {
        let sure = [(0.95, true), (0.95, true), (0.05, false), (0.05, false)];
        assert!((expected_error(sure.into_iter()) - 0.05).abs() < 1e-9);
        let wrong = [(0.95, false), (0.95, false)];
        assert!((expected_error(wrong.into_iter()) - 0.95).abs() < 1e-9);
        let ranked = [(0.9, true, true), (0.2, false, false), (0.2, true, true)];
        assert!((area(&ranked) - 0.75).abs() < 1e-9);
    }
}

//! How honest the answers are: questions with known answers, and questions without one.
//!
//! Reads `answerable.jsonl`, `unanswerable_near.jsonl` and `unanswerable_far.jsonl`, one JSON
//! object a line with `question`, `split` and, where there is one, `answers`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use faq_core::{
    Answer, Answerability, Answerer, AskOptions, Collection, Control, Phrases, SearchOptions,
    Signals, Threshold, Wording,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A question, with the answers that count as right; none where there is no answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// What is asked.
    pub question: String,
    /// Spellings of the right answer.
    #[serde(default)]
    pub answers: Vec<String>,
    /// Id of the paragraph that it was asked of.
    #[serde(default)]
    pub paragraph: String,
    /// `tune` or `report`.
    pub split: String,
}

impl Question {
    /// Whether a right spelling stands in `text`, as whole words.
    pub(crate) fn is_answered_by(&self, text: &str) -> bool {
        let text = plain(text);
        self.answers.iter().any(|a| text.contains(&plain(a)))
    }
}

/// Counts over one kind of question.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Questions asked.
    pub asked: usize,
    /// Answers that contain a right spelling.
    pub right: usize,
    /// Answers that do not.
    pub wrong: usize,
    /// "I don't know".
    pub silent: usize,
    /// Answers whose cited text contains a right spelling.
    pub cited_holds: usize,
    /// Mean over the answers of the F1 of their words against those of the best right spelling, as
    /// SQuAD counts them.
    pub f1: f64,
    /// Median time to the end of the answer, in milliseconds.
    pub median_ms: f64,
    /// Median time to the first piece of an answer, in milliseconds.
    pub median_first_ms: f64,
    /// Each answer's probability, and whether it is right.
    #[serde(skip)]
    pub answered: Vec<(f32, bool)>,
}

impl Tally {
    /// What would be right and wrong if answers less likely than `threshold` were withheld.
    pub fn above(&self, threshold: f32) -> (usize, usize) {
        let kept = self.answered.iter().filter(|(p, _)| *p >= threshold);
        kept.fold((0, 0), |(right, wrong), (_, is_right)| {
            (
                right + usize::from(*is_right),
                wrong + usize::from(!*is_right),
            )
        })
    }
}

/// Reads the questions of one split.
///
/// # Errors
/// Where the file cannot be read, or a line is no question.
pub fn read(path: &Path, split: &str, limit: usize) -> Result<Vec<Question>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut questions, mut splits) = (Vec::new(), Vec::new());
    for (n, line) in text.lines().enumerate() {
        let question: Question = serde_json::from_str(line)
            .with_context(|| format!("{}:{} is no question", path.display(), n + 1))?;
        if question.split == split {
            questions.push(question);
        } else {
            splits.push(question.split);
        }
    }
    if questions.is_empty() {
        let splits: BTreeSet<String> = splits.into_iter().collect();
        let splits: Vec<String> = splits.into_iter().collect();
        bail!(
            "{} has no question of the split {split:?}; it has {}",
            path.display(),
            splits.join(" and ")
        );
    }
    // Evenly from the whole file, so that a few questions still span its subjects.
    let step = questions.len().div_ceil(limit.max(1)).max(1);
    Ok(questions.into_iter().step_by(step).collect())
}

/// Takes what became of a question or a sentence, as one JSON object.
pub type Log<'a> = dyn FnMut(&Value) -> Result<()> + 'a;

/// Asks every question and counts; each goes to `log` with what became of it.
///
/// # Errors
/// Where the engine or `log` fails.
pub fn tally(
    collection: &Collection,
    kind: &str,
    questions: &[Question],
    options: &AskOptions,
    log: &mut Log<'_>,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let (mut times, mut firsts) = (Vec::new(), Vec::new());
    let mut f1s = 0.0;
    for question in questions {
        let answer = collection.ask(&question.question, options, &Control::new(), &mut |_| {})?;
        tally.asked += 1;
        times.push(answer.timings_ms.total);
        let outcome = if answer.abstained {
            tally.silent += 1;
            "silent"
        } else {
            firsts.push(answer.timings_ms.first_delta);
            let holds = |text: &str| question.is_answered_by(text);
            tally.cited_holds += usize::from(answer.sources.iter().any(|s| holds(&s.text)));
            f1s += f1(&answer.answer, &question.answers);
            let is_right = holds(&answer.answer);
            let judged = answer.answerability;
            let probability = judged.map_or(1.0, |a| a.as_read.unwrap_or(a.probability));
            tally.answered.push((probability, is_right));
            tally.right += usize::from(is_right);
            tally.wrong += usize::from(!is_right);
            if is_right { "right" } else { "wrong" }
        };
        log(&json!({
            "kind": kind,
            "question": question.question,
            "expected": question.answers,
            "outcome": outcome,
            "answer": answer.answer,
            "reason": answer.reason,
            "answerability": answer.answerability,
            "dropped": answer.dropped,
            "model": answer.model,
            "sources": answer.sources,
            "ms": answer.timings_ms.total,
        }))?;
    }
    let answered = tally.right + tally.wrong;
    tally.f1 = f1s / answered.max(1) as f64;
    tally.median_ms = median(&mut times);
    tally.median_first_ms = median(&mut firsts);
    Ok(tally)
}

/// The best F1 of an answer's words, markers aside, against those of one of `spellings`.
fn f1(answer: &str, spellings: &[String]) -> f64 {
    let words = |text: &str| -> Vec<String> {
        let is_article = |w: &&str| ["a", "an", "the"].contains(w);
        let plain = plain(text);
        plain
            .split_whitespace()
            .filter(|w| !is_article(w))
            .map(str::to_owned)
            .collect()
    };
    let said: String = answer
        .split(['[', ']'])
        .filter(|piece| piece.parse::<usize>().is_err())
        .collect();
    let said = words(&said);
    let against = |spelling: &String| -> f64 {
        let wanted = words(spelling);
        let mut left = said.clone();
        let common = wanted.iter().filter(|word| {
            let at = left.iter().position(|w| w == *word);
            at.map(|at| left.swap_remove(at)).is_some()
        });
        let common = common.count() as f64;
        2.0 * common / (said.len() + wanted.len()).max(1) as f64
    };
    spellings.iter().map(against).fold(0.0, f64::max)
}

/// Writes for each question and each of its ten best passages: the kind of question, the rank, the cosine, the
/// share of words, and whether the passage contains a right spelling, as tab-separated lines.
///
/// # Errors
/// Where the engine fails or the file cannot be written.
pub fn features(
    collection: &Collection,
    kind: &str,
    questions: &[Question],
    out: &mut dyn Write,
    done: &mut dyn FnMut(),
) -> Result<()> {
    for (n, question) in questions.iter().enumerate() {
        let found = collection.search(
            &question.question,
            &SearchOptions {
                phrases: Phrases::Preferred,
                ..SearchOptions::default()
            },
            &Control::new(),
        )?;
        for (rank, hit) in found.hits.iter().enumerate() {
            let holds = question.is_answered_by(&hit.text);
            writeln!(
                out,
                "{kind}\t{n}\t{}\t{:.4}\t{:.4}\t{:.3}\t{}",
                rank + 1,
                hit.dense_score.unwrap_or_default(),
                hit.coverage(&question.question),
                hit.keyword_score.unwrap_or_default(),
                u8::from(holds)
            )?;
        }
        done();
    }
    Ok(())
}

/// Asks every question, whatever its answer's probability, and writes a line for each: its kind, whether
/// the answer is right, its probability, and the signals that it comes from, tab-separated below a header.
///
/// # Errors
/// Where the engine fails or the file cannot be written.
pub fn signals(
    collection: &Collection,
    kind: &str,
    questions: &[Question],
    out: &mut dyn Write,
    done: &mut dyn FnMut(),
) -> Result<()> {
    let options = AskOptions {
        threshold: Threshold::Probability(0.0),
        ..AskOptions::default()
    };
    let line =
        |right: bool, answer: &Answer| signals_line(kind, right, answer.answerability.as_ref());
    write_lines(collection, questions, &options, &line, out, done)
}

/// Lets a model read the passages of every question, and writes a line for each of which there are any: its
/// kind, whether quoting them is right, the probability without the model, and the model's state.
///
/// # Errors
/// Where the engine fails or the file cannot be written.
pub fn states(
    collection: &Collection,
    kind: &str,
    questions: &[Question],
    options: &AskOptions,
    out: &mut dyn Write,
    done: &mut dyn FnMut(),
) -> Result<()> {
    let options = reading(options);
    let line = |right: bool, answer: &Answer| state_line(kind, right, answer);
    write_lines(collection, questions, &options, &line, out, done)
}

/// Asks every question, and writes what `line` makes of whether the answer is right and of the answer.
fn write_lines(
    collection: &Collection,
    questions: &[Question],
    options: &AskOptions,
    line: &dyn Fn(bool, &Answer) -> String,
    out: &mut dyn Write,
    done: &mut dyn FnMut(),
) -> Result<()> {
    for question in questions {
        let answer = collection.ask(&question.question, options, &Control::new(), &mut |_| {})?;
        let right = !answer.abstained && question.is_answered_by(&answer.answer);
        out.write_all(line(right, &answer).as_bytes())?;
        done();
    }
    Ok(())
}

/// Options that let a model read, whatever is likely, and write nothing.
pub fn reading(options: &AskOptions) -> AskOptions {
    AskOptions {
        threshold: Threshold::Probability(0.0),
        wording: Wording::Documents,
        explain: true,
        ..options.clone()
    }
}

/// A line of what [`states`] writes; empty where no model read anything.
pub fn state_line(kind: &str, right: bool, answer: &Answer) -> String {
    let anatomy = answer.anatomy.as_ref();
    let reading = anatomy.and_then(|anatomy| anatomy.reading.as_ref());
    let (Some(reading), Some(found)) = (reading, &answer.answerability) else {
        return String::new();
    };
    let mut line = format!("{kind}\t{}\t{:.5}", u8::from(right), found.probability);
    for value in &reading.state {
        let _ = write!(line, "\t{value:.4e}");
    }
    line + "\n"
}

/// What [`states`] writes begins with: whose states they are.
///
/// # Errors
/// For answers without a model, or by one that is computed elsewhere.
pub fn states_header(options: &AskOptions) -> Result<String> {
    let Answerer::Model(model) = &options.answerer else {
        bail!("--states need a model that reads; name one with --generator");
    };
    let Some(lineage) = model.lineage() else {
        bail!("the states of {} cannot be seen from here", model.name());
    };
    let layers = options.look_at.context("--states need --layers")?;
    let name = model.name();
    Ok(format!(
        "# model: {name}\n# lineage: {lineage}\n# layers: {layers}\n"
    ))
}

/// A line of what [`signals`] writes.
pub fn signals_line(kind: &str, right: bool, found: Option<&Answerability>) -> String {
    let mut line = format!("{kind}\t{}", u8::from(right));
    // Where nothing was relevant there is nothing to judge, and no threshold changes that.
    if let Some(found) = found {
        let _ = write!(line, "\t{:.4}", found.probability);
        for (_, value) in found.signals.values() {
            let _ = write!(line, "\t{value:.4}");
        }
    }
    line + "\n"
}

/// The header of what [`signals`] writes.
pub fn signals_header() -> String {
    let names = Signals::default().values().map(|(name, _)| name);
    format!("kind\tright\tprobability\t{}\n", names.join("\t"))
}

/// The three files of questions in `dir`.
pub fn files(dir: &Path) -> [(&'static str, PathBuf); 3] {
    [
        ("answerable", dir.join("answerable.jsonl")),
        ("near", dir.join("unanswerable_near.jsonl")),
        ("far", dir.join("unanswerable_far.jsonl")),
    ]
}

/// Lower case, letters and digits alone, single spaces: as SQuAD compares answers.
pub(crate) fn plain(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| {
            if c.is_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                ' '
            }
        })
        .collect();
    // A blank at both ends, so that `10` is not found in `1066`.
    format!(
        " {} ",
        spaced.split_whitespace().collect::<Vec<_>>().join(" ")
    )
}

/// The value in the middle; the values are sorted.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_squad_counts_them() {
        let spellings = ["the 10th century".to_owned(), "10th".to_owned()];
        let f1 = |answer: &str| f1(answer, &spellings);
        assert!((f1("The 10th century. [1]") - 1.0).abs() < 1e-9);
        assert!((f1("in the 10th century [2]") - 0.8).abs() < 1e-9);
        assert!(f1("nobody knows").abs() < 1e-9);
    }

    #[test]
    fn a_threshold_withholds_what_is_less_likely() {
        let tally = Tally {
            answered: vec![(0.9, true), (0.3, true), (0.4, false), (0.2, false)],
            ..Tally::default()
        };
        assert_eq!(tally.above(0.0), (2, 2));
        assert_eq!(tally.above(0.3), (2, 1));
        assert_eq!(tally.above(0.5), (1, 0));
    }

    #[test]
    fn spellings_are_compared_as_words() {
        assert_eq!(
            plain("In the 10th–11th  Centuries, [1]."),
            " in the 10th 11th centuries 1 "
        );
    }
}

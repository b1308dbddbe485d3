//! How well drafts are checked: sentences that the documents support, and such as were made wrong.
//!
//! Each answerable question is asked of a scripted model that writes one sentence: the one of its
//! paragraph that holds the answer, or a part of it, or that sentence with a number, a name or its
//! sense changed, or a sentence of another paragraph. What is said of the right ones is the recall of
//! the check; what is right of those said, its precision.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use faq_core::generate::ScriptedModel;
use faq_core::{AnswerEvent, Answerer, AskOptions, Collection, Control, Threshold, Unsupported};
use serde::Serialize;
use serde_json::json;
use unicode_segmentation::UnicodeSegmentation;

use crate::answers::{Log, Question, plain};

/// What was done to a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Right: as it stands.
    Whole,
    /// Right: the part of it between commas that holds the answer.
    Part,
    /// Right: the words of the answer alone.
    Answer,
    /// Wrong: a number of it changed into another of the same paragraph.
    NumberSwapped,
    /// Wrong: a number of it changed into one that the paragraph lacks.
    NumberMade,
    /// Wrong: a name of it changed into another of the same paragraph.
    NameSwapped,
    /// Wrong: denied.
    Negated,
    /// Wrong: a sentence of another paragraph.
    Elsewhere,
}

impl Kind {
    /// Whether the documents support it.
    pub fn is_right(self) -> bool {
        matches!(self, Self::Whole | Self::Part | Self::Answer)
    }
}

/// What became of the sentences of a kind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Sentences written.
    pub written: usize,
    /// Those that were said.
    pub said: usize,
    /// Why the others were not.
    pub left_out: BTreeMap<String, usize>,
}

/// Writes sentences of each kind for each question whose paragraph is among those that are read, and
/// counts which are said; each goes to `log`. `paragraphs` holds the texts by id.
///
/// # Errors
/// Where the engine or `log` fails.
pub fn tally(
    collection: &Collection,
    questions: &[Question],
    paragraphs: &BTreeMap<String, String>,
    log: &mut Log<'_>,
    done: &mut dyn FnMut(),
) -> Result<BTreeMap<Kind, Tally>> {
    let mut tallies: BTreeMap<Kind, Tally> = BTreeMap::new();
    let others: Vec<&String> = paragraphs.values().collect();
    for (n, question) in questions.iter().enumerate() {
        let paragraph = paragraphs
            .get(&question.paragraph)
            .with_context(|| format!("there is no paragraph {}", question.paragraph))?;
        let elsewhere = others[(n * 7919 + 13) % others.len()];
        for (kind, sentence) in drafts(question, paragraph, elsewhere) {
            let verdict = check(collection, &question.question, &sentence, paragraph)?;
            if verdict == Verdict::Unread {
                continue;
            }
            let tally = tallies.entry(kind).or_default();
            tally.written += 1;
            let left_out = match verdict {
                Verdict::LeftOut(why) => Some(why),
                Verdict::Said | Verdict::Unread => None,
            };
            log(&json!({
                "kind": kind,
                "question": question.question,
                "expected": question.answers,
                "sentence": sentence,
                "left_out": left_out,
                "paragraph": paragraph,
            }))?;
            if let Some(why) = left_out {
                let why = serde_json::to_string(&why)?.replace('"', "");
                *tally.left_out.entry(why).or_default() += 1;
            } else {
                tally.said += 1;
            }
        }
        done();
    }
    Ok(tallies)
}

/// What became of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Its paragraph was not among those that were read.
    Unread,
    Said,
    LeftOut(Unsupported),
}

/// Lets a model write `sentence`.
fn check(
    collection: &Collection,
    question: &str,
    sentence: &str,
    paragraph: &str,
) -> Result<Verdict> {
    let draft = sentence.to_owned();
    let model = ScriptedModel::new(move |_| draft.clone()).with_context(16_384);
    let options = AskOptions {
        answerer: Answerer::Model(Arc::new(model)),
        threshold: Threshold::Probability(0.0),
        prompt_tokens: 8_000,
        explain: true,
        ..AskOptions::default()
    };
    let mut is_read = false;
    let answer = collection.ask(question, &options, &Control::new(), &mut |event| {
        if let AnswerEvent::Reading(passages) = event {
            is_read = passages
                .iter()
                .any(|p| plain(&p.text).contains(plain(paragraph).trim()));
        }
    })?;
    if !is_read {
        return Ok(Verdict::Unread);
    }
    let written = answer.anatomy.map(|a| a.written).unwrap_or_default();
    let left_out = written.iter().find_map(|w| w.left_out);
    Ok(left_out.map_or(Verdict::Said, Verdict::LeftOut))
}

/// The sentences to write for a question.
fn drafts(question: &Question, paragraph: &str, elsewhere: &str) -> Vec<(Kind, String)> {
    let Some(sentence) = sentences(paragraph).find(|s| question.is_answered_by(s)) else {
        return Vec::new();
    };
    let mut drafts = vec![(Kind::Whole, sentence.to_owned())];
    let parts = sentence.split([',', ';', '(', ')']);
    let part = parts
        .filter(|part| part.split_whitespace().count() >= 4)
        .find(|part| part.len() < sentence.len() - 2 && question.is_answered_by(part));
    drafts.extend(part.map(|part| (Kind::Part, stopped(part))));
    drafts.extend(question.answers.first().map(|a| (Kind::Answer, stopped(a))));
    let is_number = |w: &str| w.starts_with(|c: char| c.is_ascii_digit());
    let words: Vec<&str> = paragraph.unicode_words().collect();
    // What the answer changes is what matters: of several the one within it.
    let in_answer = |w: &str| {
        question
            .answers
            .iter()
            .any(|a| a.unicode_words().any(|x| x == w))
    };
    let pick = |is: &dyn Fn(&str) -> bool| -> Option<&str> {
        let fits: Vec<&str> = sentence.unicode_words().skip(1).filter(|w| is(w)).collect();
        let best = fits.iter().find(|w| in_answer(w));
        best.or(fits.first()).copied()
    };
    if let Some(number) = pick(&is_number) {
        let other = words
            .iter()
            .find(|w| is_number(w) && !sentence.unicode_words().any(|s| s == **w));
        let swapped = other.map(|other| sentence.replacen(number, other, 1));
        drafts.extend(swapped.map(|text| (Kind::NumberSwapped, text)));
        let made = (2..99)
            .map(|by| made_number(number, by))
            .find(|made| !words.contains(&made.as_str()));
        let made = made.map(|made| sentence.replacen(number, &made, 1));
        drafts.extend(made.map(|text| (Kind::NumberMade, text)));
    }
    let is_name = |w: &str| w.starts_with(char::is_uppercase) && w.len() > 2;
    if let Some(name) = pick(&is_name) {
        let other = sentences(paragraph)
            .flat_map(|s| s.unicode_words().skip(1))
            .find(|w| is_name(w) && !is_kin(w, name) && !sentence.unicode_words().any(|s| s == *w));
        let swapped = other.map(|other| sentence.replacen(name, other, 1));
        drafts.extend(swapped.map(|text| (Kind::NameSwapped, text)));
    }
    let verb = [
        " was ", " were ", " is ", " are ", " has ", " had ", " can ", " could ",
    ]
    .iter()
    .filter_map(|verb| Some((sentence.find(verb)?, verb)))
    .min();
    if let Some((at, verb)) = verb {
        let (before, after) = sentence.split_at(at + verb.len());
        // Denied twice it would say what it said.
        if !after.starts_with("not ") {
            drafts.push((Kind::Negated, format!("{before}not {after}")));
        }
    }
    let other = sentences(elsewhere).max_by_key(|s| s.len());
    drafts.extend(other.map(|s| (Kind::Elsewhere, s.to_owned())));
    drafts
}

fn sentences(paragraph: &str) -> impl Iterator<Item = &str> {
    paragraph
        .split_sentence_bounds()
        .map(str::trim)
        .filter(|s| s.split_whitespace().count() >= 4)
}

/// Whether two words are forms of one name, as `Norman` and `Normans` are: to change one into the other
/// makes nothing wrong.
fn is_kin(a: &str, b: &str) -> bool {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count() >= 4
}

fn stopped(text: &str) -> String {
    format!("{}.", text.trim().trim_end_matches('.'))
}

/// Another number that looks like `number`.
fn made_number(number: &str, by: u64) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let value: u64 = digits.parse().unwrap_or(7);
    (value + by).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_made_wrong_in_each_way() {
        let question = Question {
            question: "When was it built?".into(),
            answers: vec!["1898".into()],
            paragraph: "x".into(),
            split: "tune".into(),
        };
        let paragraph = "The old mill in Ervan was built in 1898, and it burned down. \
                         In 1920 the people of Tolma opened another one there.";
        let drafts: BTreeMap<Kind, String> =
            drafts(&question, paragraph, "Dogs are welcome on Fridays.")
                .into_iter()
                .collect();
        assert_eq!(drafts[&Kind::Answer], "1898.");
        assert_eq!(
            drafts[&Kind::Part],
            "The old mill in Ervan was built in 1898."
        );
        assert!(drafts[&Kind::NumberSwapped].contains("built in 1920"));
        assert!(drafts[&Kind::NumberMade].contains("built in 1900"));
        assert!(drafts[&Kind::NameSwapped].contains("mill in Tolma"));
        assert!(drafts[&Kind::Negated].contains("was not built"));
        assert!(drafts[&Kind::Elsewhere].starts_with("Dogs"));
    }
}

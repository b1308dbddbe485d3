//! What models are told, tried in each language: a few passages, questions that they answer and such
//! as they do not, and follow-ups that have to be understood.

use anyhow::{Context, Result, ensure};
use faq_core::{AskOptions, Collection, Control, FollowUps, Prompts, Source};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answers::{Log, Question, plain};

/// The cases of one language.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// Language of the prompts that are tried: `en`.
    pub language: String,
    /// What the documents say, one passage each.
    pub passages: Vec<String>,
    /// What is asked of them.
    pub questions: Vec<Case>,
    /// Questions that point back.
    pub follow_ups: Vec<FollowUp>,
}

/// A question, and what its answer must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is asked.
    pub question: String,
    /// Spellings of the right answer; none where the passages do not say.
    #[serde(default)]
    pub expected: Vec<String>,
}

/// A question that points back, and words that it must hold where it stands alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowUp {
    /// What was asked before, oldest first.
    pub earlier: Vec<String>,
    /// What is asked now.
    pub question: String,
    /// Words of the question in full.
    pub words: Vec<String>,
}

/// What came of the cases of one language.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Questions that the passages answer.
    pub answerable: usize,
    /// Those that were answered rightly.
    pub right: usize,
    /// Those that were answered otherwise.
    pub wrong: usize,
    /// Questions that the passages do not answer.
    pub unanswerable: usize,
    /// Those that got no answer.
    pub silent: usize,
    /// Follow-ups.
    pub follow_ups: usize,
    /// Those that were understood with the words that they must hold.
    pub understood: usize,
}

impl Tally {
    /// Counts the cases of another file as well.
    pub fn add(&mut self, other: &Self) {
        self.answerable += other.answerable;
        self.right += other.right;
        self.wrong += other.wrong;
        self.unanswerable += other.unanswerable;
        self.silent += other.silent;
        self.follow_ups += other.follow_ups;
        self.understood += other.understood;
    }
}

/// The cases that are shipped, one set for each language that prompts are shipped in.
///
/// # Errors
/// Where one cannot be read.
pub fn shipped() -> Result<Vec<Cases>> {
    [
        include_str!("../prompts/en.toml"),
        include_str!("../prompts/de.toml"),
        include_str!("../prompts/fr.toml"),
        include_str!("../prompts/es.toml"),
    ]
    .into_iter()
    .map(Cases::parse)
    .collect()
}

impl Cases {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Where a field is missing, unknown or empty.
    pub fn parse(text: &str) -> Result<Self> {
        let cases: Self = toml::from_str(text).context("these are no cases for prompts")?;
        ensure!(!cases.passages.is_empty(), "the cases have no passages");
        ensure!(!cases.questions.is_empty(), "the cases have no questions");
        let words = cases.follow_ups.iter().all(|f| !f.words.is_empty());
        ensure!(words, "a follow-up has no words");
        Ok(cases)
    }
}

/// Asks the cases in `collection`, which gets their passages as documents. `prompts` are those of
/// [`AskOptions::prompts`] or the shipped ones of the cases' language.
///
/// # Errors
/// Where there are no prompts in the language, or the engine or `log` fails.
pub fn tally(
    collection: &Collection,
    cases: &Cases,
    options: &AskOptions,
    log: &mut Log<'_>,
) -> Result<Tally> {
    if options.prompts.is_none() {
        let is_shipped = Prompts::shipped()
            .iter()
            .any(|p| p.language() == cases.language);
        ensure!(is_shipped, "no prompts are shipped in {:?}", cases.language);
    }
    for (n, passage) in cases.passages.iter().enumerate() {
        let name = format!("{}-{n:02}.txt", cases.language);
        collection.add(Source::new(name, passage.as_bytes()), &Control::new())?;
    }
    let mut tally = Tally::default();
    for case in &cases.questions {
        let answer = collection.ask(&case.question, options, &Control::new(), &mut |_| {})?;
        let question = Question {
            question: case.question.clone(),
            answers: case.expected.clone(),
            paragraph: String::new(),
            split: String::new(),
        };
        let outcome = if case.expected.is_empty() {
            tally.unanswerable += 1;
            tally.silent += usize::from(answer.abstained);
            answer.abstained
        } else {
            let right = !answer.abstained && question.is_answered_by(&answer.answer);
            tally.answerable += 1;
            tally.right += usize::from(right);
            tally.wrong += usize::from(!right && !answer.abstained);
            right
        };
        log(&json!({
            "language": cases.language,
            "question": case.question,
            "expected": case.expected,
            "as_expected": outcome,
            "answer": answer.answer,
            "dropped": answer.dropped,
        }))?;
    }
    for case in &cases.follow_ups {
        let options = AskOptions {
            earlier: case.earlier.clone(),
            follow_ups: FollowUps::Model,
            ..options.clone()
        };
        let understood = collection.understand(&case.question, &options, &Control::new())?;
        let said = plain(&understood);
        let holds = |word: &String| said.contains(plain(word).trim());
        let all = case.words.iter().all(holds);
        tally.follow_ups += 1;
        tally.understood += usize::from(all);
        log(&json!({
            "language": cases.language,
            "earlier": case.earlier,
            "question": case.question,
            "expected": case.words,
            "as_expected": all,
            "understood": understood,
        }))?;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_prompts_and_cases_in_its_own_words() {
        let all = shipped().unwrap_or_default();
        let languages: Vec<&str> = Prompts::shipped().iter().map(Prompts::language).collect();
        let mut covered: Vec<&str> = all.iter().map(|c| c.language.as_str()).collect();
        covered.sort_unstable();
        let mut expected = languages.clone();
        expected.sort_unstable();
        assert_eq!(covered, expected);
        for cases in &all {
            for case in &cases.questions {
                let told = Prompts::for_question(&case.question).language();
                assert_eq!(told, cases.language, "{}", case.question);
                // What is expected stands in a passage.
                let stands = |e: &String| cases.passages.iter().any(|p| p.contains(e));
                assert!(case.expected.iter().all(stands), "{:?}", case.expected);
            }
        }
    }

    #[test]
    fn cases_that_are_none_are_refused() {
        let none = "language = \"en\"\npassages = []\nquestions = []\nfollow_ups = []";
        assert!(Cases::parse(none).is_err());
        let unknown = include_str!("../prompts/en.toml").replace("language", "tongue");
        assert!(Cases::parse(&unknown).is_err());
    }
}

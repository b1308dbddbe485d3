//! What models are told, as data: a file for each language, with a version.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use unicode_segmentation::UnicodeSegmentation;

use super::AbstainReason;
use crate::{Error, Result};

/// Most bytes of a file.
const MOST_BYTES: usize = 64 * 1024;

/// Most worked examples of a task.
const MOST_EXAMPLES: usize = 8;

/// The files that are shipped; the first is the one for questions in other languages.
static SHIPPED: LazyLock<Vec<Prompts>> = LazyLock::new(|| {
    [
        include_str!("prompts/en.toml"),
        include_str!("prompts/de.toml"),
        include_str!("prompts/fr.toml"),
        include_str!("prompts/es.toml"),
    ]
    .into_iter()
    .filter_map(|text| Prompts::parse(text).ok())
    .collect()
});

/// What a model is told in one language, and what is said where there is no answer.
///
/// `docs/answers.md` describes the fields of the file. Texts have places such as `{question}`, which
/// are filled in; documents and questions are never searched for them.
///
/// ```
/// use faq_core::Prompts;
///
/// let german = Prompts::for_question("Wie viele Tage Urlaub habe ich?");
/// assert_eq!(german.language(), "de");
/// let error = Prompts::parse("version = 1").unwrap_err();
/// assert!(error.to_string().contains("language"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    version: u32,
    language: String,
    /// Words by which a question in this language is told.
    #[serde(default)]
    words: Vec<String>,
    pub(super) answer: AnswerPrompt,
    pub(super) rewrite: RewritePrompt,
    silence: Silence,
}

/// How a question is answered from passages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerPrompt {
    rules: String,
    tone: String,
    question: String,
    pub(super) dont_know: String,
    #[serde(default)]
    pub(super) examples: Vec<AnswerExample>,
}

/// A worked example of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerExample {
    pub(super) passages: Vec<String>,
    pub(super) question: String,
    answer: String,
}

/// How a follow-up is rewritten to stand alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RewritePrompt {
    pub(super) rules: String,
    question: String,
    #[serde(default)]
    pub(super) examples: Vec<RewriteExample>,
}

/// A worked example of a rewritten question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RewriteExample {
    pub(super) earlier: Vec<String>,
    pub(super) question: String,
    pub(super) answer: String,
}

/// What is said where there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Silence {
    no_hits: String,
    below_threshold: String,
    unsupported: String,
}

impl Prompts {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, and those of [`Prompts::parse`], which begin with its path.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(cannot)?;
        let mut text = String::new();
        file.take(MOST_BYTES as u64 + 1)
            .read_to_string(&mut text)
            .map_err(cannot)?;
        Self::parse(&text).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field that is missing, unknown or makes no sense.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MOST_BYTES {
            return Err(Error::invalid(format!(
                "the prompts have more than {MOST_BYTES} bytes"
            )));
        }
        let prompts: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or_else(String::new, |before| {
                format!(", line {}", before.matches('\n').count() + 1)
            });
            let what = error.message();
            Error::invalid(format!("the prompts cannot be read{line}: {what}"))
        })?;
        prompts.check()?;
        Ok(prompts)
    }

    fn check(&self) -> Result<()> {
        let wrong =
            |field: &str, what: &str| Err(Error::invalid(format!("the prompts' {field} {what}")));
        let filled = [
            ("language", &self.language),
            ("answer.rules", &self.answer.rules),
            ("answer.dont_know", &self.answer.dont_know),
            ("rewrite.rules", &self.rewrite.rules),
            ("silence.no_hits", &self.silence.no_hits),
            ("silence.below_threshold", &self.silence.below_threshold),
            ("silence.unsupported", &self.silence.unsupported),
        ];
        if let Some((field, _)) = filled.iter().find(|(_, text)| text.trim().is_empty()) {
            return wrong(field, "is empty");
        }
        let places = [
            ("answer.tone", &self.answer.tone, "{tone}"),
            ("answer.question", &self.answer.question, "{question}"),
            ("rewrite.question", &self.rewrite.question, "{question}"),
            ("rewrite.question", &self.rewrite.question, "{earlier}"),
        ];
        if let Some((field, _, place)) = places.iter().find(|(_, text, p)| !text.contains(p)) {
            return wrong(field, &format!("lacks {place}"));
        }
        for (field, text) in [
            ("answer.rules", &self.answer.rules),
            ("answer.tone", &self.answer.tone),
            ("answer.question", &self.answer.question),
            ("rewrite.question", &self.rewrite.question),
        ] {
            if let Some(place) = unknown_place(text) {
                return wrong(field, &format!("has {place}, which stands for nothing"));
            }
        }
        let examples = [
            ("answer.examples", self.answer.examples.len()),
            ("rewrite.examples", self.rewrite.examples.len()),
        ];
        if let Some((field, n)) = examples.iter().find(|(_, n)| *n > MOST_EXAMPLES) {
            return wrong(field, &format!("are {n}, allowed are {MOST_EXAMPLES}"));
        }
        Ok(())
    }

    /// The prompts that are shipped, one for each language, English first.
    pub fn shipped() -> &'static [Self] {
        &SHIPPED
    }

    /// The shipped prompts in the language of a question, English where that cannot be told.
    ///
    /// Told by the small words that questions of a language have: a question is too short for
    /// statistics of letters.
    pub fn for_question(question: &str) -> &'static Self {
        let words: Vec<String> = question.unicode_words().map(str::to_lowercase).collect();
        let hits = |prompts: &&Self| {
            let of_it = words.iter().filter(|word| {
                // "qu'est" and "combien" tell French in their first part.
                let word = word.split(['\'', '’']).next().unwrap_or(word);
                prompts.words.iter().any(|known| known == word)
            });
            of_it.count()
        };
        // Of equals the first: English.
        let mut best = &SHIPPED[0];
        for prompts in SHIPPED.iter() {
            if hits(&prompts) > hits(&best) {
                best = prompts;
            }
        }
        best
    }

    /// ISO 639-1 code.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// Counts up whenever the texts change.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// `answer.en, version 2`.
    pub(super) fn name(&self) -> String {
        format!("answer.{}, version {}", self.language, self.version)
    }

    /// The sentence of a reason.
    pub(super) fn silence(&self, reason: AbstainReason) -> &str {
        match reason {
            AbstainReason::NoHits => &self.silence.no_hits,
            AbstainReason::BelowThreshold => &self.silence.below_threshold,
            AbstainReason::Unsupported => &self.silence.unsupported,
        }
    }
}

/// The first word in braces that is no place to be filled in.
fn unknown_place(text: &str) -> Option<&str> {
    const PLACES: [&str; 4] = ["dont_know", "earlier", "question", "tone"];
    let mut starts = text.match_indices('{').map(|(at, _)| at);
    starts.find_map(|at| {
        let end = at + text[at..].find('}')?;
        let word = &text[at + 1..end];
        let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (is_word && !PLACES.contains(&word)).then(|| &text[at..=end])
    })
}

impl AnswerPrompt {
    /// The rules, in the tone that is asked for, and what is told besides.
    pub(super) fn rules(&self, tone: Option<&str>, instructions: Option<&str>) -> String {
        let mut rules = self.rules.replace("{dont_know}", &self.dont_know);
        if let Some(tone) = tone {
            rules.push('\n');
            rules.push_str(&self.tone.replace("{tone}", tone));
        }
        for line in instructions.unwrap_or_default().lines() {
            rules.push_str("\n- ");
            rules.push_str(line.trim());
        }
        rules
    }

    /// What stands behind the passages.
    pub(super) fn question(&self, question: &str) -> String {
        // The question comes last: what stands in it is no place to be filled in.
        self.question
            .trim_start()
            .replace("{dont_know}", &self.dont_know)
            .replacen("{question}", question.trim(), 1)
    }

    /// What an example answers.
    pub(super) fn answered(&self, example: &AnswerExample) -> String {
        example.answer.replace("{dont_know}", &self.dont_know)
    }
}

impl RewritePrompt {
    /// A conversation whose last question is to be rewritten.
    pub(super) fn question(&self, earlier: &[&str], question: &str) -> String {
        let (before, after) = self
            .question
            .trim_start()
            .split_once("{earlier}")
            .unwrap_or_default();
        let earlier: Vec<String> = earlier.iter().map(|q| format!("- {}", q.trim())).collect();
        let filled = |text: &str| text.replacen("{question}", question.trim(), 1);
        format!("{}{}{}", filled(before), earlier.join("\n"), filled(after))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_that_is_shipped_can_be_read() {
        let languages: Vec<&str> = Prompts::shipped().iter().map(Prompts::language).collect();
        assert_eq!(languages, ["en", "de", "fr", "es"]);
        for prompts in Prompts::shipped() {
            assert!(prompts.version() > 0);
            let silent = |e: &AnswerExample| prompts.answer.answered(e) == prompts.answer.dont_know;
            let (silent, said): (Vec<_>, Vec<_>) =
                prompts.answer.examples.iter().partition(|e| silent(e));
            assert!(!silent.is_empty() && !said.is_empty());
        }
    }

    #[test]
    fn the_language_of_a_question_is_told_by_its_small_words() {
        for (question, language) in [
            ("How many days of leave do I get?", "en"),
            ("Port Ervan hotel limit", "en"),
            ("Wie viele Tage Urlaub habe ich?", "de"),
            ("Wer genehmigt Reisen ins Ausland?", "de"),
            ("Combien de jours de congé ai-je ?", "fr"),
            ("Qu'est-ce que la franchise couvre ?", "fr"),
            ("¿Cuántos días de vacaciones tengo?", "es"),
            ("¿Quién aprueba los viajes al extranjero?", "es"),
        ] {
            assert_eq!(
                Prompts::for_question(question).language(),
                language,
                "{question}"
            );
        }
    }

    #[test]
    fn places_in_a_question_are_not_filled_in() {
        let prompts = &Prompts::shipped()[0];
        let asked = prompts
            .answer
            .question("What is {dont_know} and {question}?");
        assert!(
            asked.contains("What is {dont_know} and {question}?"),
            "{asked}"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let shipped = include_str!("prompts/en.toml");
        for (from, to, named) in [
            ("version = 2", "", "version"),
            ("language = \"en\"", "language = \"\"", "language"),
            ("Question: {question}\n", "", "answer.question"),
            ("{earlier}\n", "", "rewrite.question"),
            ("[silence]", "colour = 1\n[silence]", "colour"),
            (
                "Question: {question}\n",
                "{question} {dontknow}\n",
                "{dontknow}",
            ),
            ("version = 2", "version = ", "line"),
            ("no_hits = ", "no_hit = ", "no_hit"),
        ] {
            let error = Prompts::parse(&shipped.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("long.toml");
        let error = Prompts::read(&file).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        std::fs::write(&file, "#".repeat(MOST_BYTES + 1)).unwrap();
        let error = Prompts::read(&file).unwrap_err().to_string();
        assert!(
            error.contains("long.toml") && error.contains("65536"),
            "{error}"
        );
        std::fs::write(&file, shipped).unwrap();
        assert_eq!(&Prompts::read(&file).unwrap(), &Prompts::shipped()[0]);
    }
}

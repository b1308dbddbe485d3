//! Questions from the documents themselves, for a person to correct.
//!
//! Two rules, for English: a heading becomes a question about its subject, or stays the question
//! that it is; a sentence that defines something ("A tide is the rise …") becomes the question
//! for it. What answers is the sentence, or the first one below the heading. Such questions share
//! their words with their answers, more than people's do, so keyword search looks better on them
//! than it is, until a person has worded them anew.

use std::fmt::Write as _;

use faq_core::Control;
use faq_core::generate::{GenerateError, GenerateOptions, Generator, Message, Role};
use faq_ingest::{Block, BlockKind, Document};
use unicode_segmentation::UnicodeSegmentation;

/// Fewest and most words of a sentence that is quoted as an answer.
const SENTENCE_WORDS: std::ops::RangeInclusive<usize> = 5..=60;

/// Most words of a subject or heading.
const SUBJECT_WORDS: usize = 8;

/// Words that a definition does not begin with: they stand for something said before.
const POINTING: [&str; 22] = [
    "it", "this", "that", "these", "those", "there", "they", "we", "you", "he", "she", "i", "here",
    "what", "which", "who", "one", "all", "some", "each", "if", "when",
];

/// A question, and where its answer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drafted {
    /// What is asked.
    pub question: String,
    /// The document's path below the folder.
    pub document: String,
    /// Page, from 1, where there are pages.
    pub page: Option<u32>,
    /// The sentence that answers.
    pub text: String,
    /// What it was made from: a definition, a heading, or a heading that asks.
    pub source: &'static str,
}

/// At most `most` questions from a document, in the order of their places. Definitions and
/// headings that ask go before other headings.
pub fn draft(name: &str, document: &Document, most: usize) -> Vec<Drafted> {
    let mut drafted: Vec<(usize, Drafted)> = Vec::new();
    for (at, block) in document.blocks.iter().enumerate() {
        let text = block_text(document, block);
        let place = |question, text, source| Drafted {
            question,
            document: name.to_owned(),
            page: block.page,
            text,
            source,
        };
        match block.kind {
            BlockKind::Heading => {
                // The text below it, before the next heading.
                let below = document.blocks[at + 1..]
                    .iter()
                    .take_while(|next| next.kind != BlockKind::Heading)
                    .find(|next| next.kind == BlockKind::Paragraph);
                let answer = below.and_then(|next| {
                    let text = block_text(document, next);
                    Some((sentences(text).next()?.to_owned(), next.page))
                });
                if let (Some(question), Some((text, page))) = (of_heading(text), answer) {
                    let (question, source) = question;
                    let place = place(question, text, source);
                    drafted.push((at, Drafted { page, ..place }));
                }
            }
            BlockKind::Paragraph | BlockKind::ListItem => {
                let definition = sentences(text)
                    .find_map(|sentence| Some((of_definition(sentence)?, sentence.to_owned())));
                if let Some((question, sentence)) = definition {
                    drafted.push((at, place(question, sentence, "definition")));
                }
            }
            _ => {}
        }
    }
    drafted.sort_by_key(|(at, d)| (d.source == "heading", *at));
    let mut seen = std::collections::HashSet::new();
    drafted.retain(|(_, d)| seen.insert(d.text.clone()) && seen.insert(d.question.clone()));
    drafted.truncate(most);
    drafted.sort_by_key(|(at, _)| *at);
    drafted.into_iter().map(|(_, d)| d).collect()
}

/// Lets a model word the question anew; `None` where what it writes is no question.
///
/// # Errors
/// The model's own.
pub fn reword(drafted: &Drafted, model: &dyn Generator) -> Result<Option<String>, GenerateError> {
    // Small models copy the words of an instruction, so that examples say more than it.
    let messages = [
        Message::new(
            Role::System,
            "Write the question that the sentence answers, in one line.",
        ),
        Message::new(
            Role::User,
            "The swimming pool is closed on the first Monday of each month.",
        ),
        Message::new(Role::Assistant, "When can I not go swimming?"),
        Message::new(
            Role::User,
            "Visitors leave their cars behind the mill, where parking costs 3 euros.",
        ),
        Message::new(Role::Assistant, "How much do guests pay for parking?"),
        Message::new(Role::User, drafted.text.clone()),
    ];
    let options = GenerateOptions {
        max_tokens: 60,
        ..GenerateOptions::default()
    };
    let control = Control::new();
    let written = model.generate(&messages, &options, &control, &mut |_| {
        std::ops::ControlFlow::Continue(())
    })?;
    let line = written.text.trim().lines().next().unwrap_or_default();
    let line = line.trim().trim_matches('"');
    let words = line.split_whitespace().count();
    Ok((line.ends_with('?') && (3..=40).contains(&words)).then(|| line.to_owned()))
}

/// The golden set as TOML, each question marked as not checked.
pub fn to_toml(documents: &str, drafted: &[Drafted]) -> String {
    let string = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut file = format!(
        "# A draft, made from the documents by rule. Word the questions as people ask them, drop\n\
         # what nobody would ask, and set checked = true where the answer is right.\n\
         documents = {}\n",
        string(documents)
    );
    for entry in drafted {
        let _ = write!(
            file,
            "\n[[question]]  # from a {}\nquestion = {}\ndocument = {}\n",
            entry.source,
            string(&entry.question),
            string(&entry.document)
        );
        if let Some(page) = entry.page {
            let _ = writeln!(file, "page = {page}");
        }
        let _ = writeln!(file, "text = {}\nchecked = false", string(&entry.text));
    }
    file
}

fn block_text<'a>(document: &'a Document, block: &Block) -> &'a str {
    let range = block.range.start..block.range.end;
    document.text.get(range).unwrap_or_default()
}

/// Sentences of a size that can be quoted.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.unicode_sentences()
        .map(str::trim)
        .filter(|s| SENTENCE_WORDS.contains(&s.split_whitespace().count()))
}

/// The question that a heading is, or one about its subject.
fn of_heading(heading: &str) -> Option<(String, &'static str)> {
    let heading = heading.split_whitespace().collect::<Vec<_>>().join(" ");
    // Without its number: `2.1 Leave`.
    let subject = heading.trim_start_matches(|c: char| c.is_numeric() || ". )".contains(c));
    let words = subject.split_whitespace().count();
    if !(1..=2 * SUBJECT_WORDS).contains(&words) || !subject.chars().any(char::is_alphabetic) {
        return None;
    }
    if subject.ends_with('?') {
        return Some((subject.to_owned(), "heading that asks"));
    }
    if let Some(how) = subject.strip_prefix("How to ") {
        return Some((format!("How do I {how}?"), "heading that asks"));
    }
    (words <= SUBJECT_WORDS).then(|| (format!("What is said about {subject}?"), "heading"))
}

/// The question that a defining sentence answers.
fn of_definition(sentence: &str) -> Option<String> {
    let (at, verb, question) = [
        (" is a ", "What is", "?"),
        (" is an ", "What is", "?"),
        (" is the ", "What is", "?"),
        (" are the ", "What are", "?"),
        (" are a ", "What are", "?"),
        (" means ", "What does", " mean?"),
        (" refers to ", "What does", " refer to?"),
    ]
    .into_iter()
    .filter_map(|(says, verb, end)| Some((sentence.find(says)?, verb, end)))
    .min_by_key(|(at, ..)| *at)?;
    let subject = &sentence[..at];
    let first = subject.split_whitespace().next()?;
    let plain = |c: char| c.is_alphanumeric() || " -'’".contains(c);
    if !first.chars().all(|c| plain(c) || c == '.')
        || !subject.chars().next()?.is_alphanumeric()
        || !subject.chars().all(plain)
        || subject.split_whitespace().count() > SUBJECT_WORDS
        || POINTING.contains(&first.to_lowercase().as_str())
    {
        return None;
    }
    // An article at the front is no longer the sentence's first word.
    let subject = ["The ", "A ", "An "]
        .into_iter()
        .find_map(|article| {
            let rest = subject.strip_prefix(article)?;
            Some(article.to_lowercase() + rest)
        })
        .unwrap_or_else(|| subject.to_owned());
    Some(format!("{verb} {subject}{question}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_become_their_questions() {
        for (sentence, question) in [
            (
                "A tide is the rise and fall of the sea.",
                Some("What is a tide?"),
            ),
            (
                "Ebb means the time of falling water.",
                Some("What does Ebb mean?"),
            ),
            (
                "Spring tides are the highest of a month.",
                Some("What are Spring tides?"),
            ),
            ("It is the highest of a month.", None),
            ("Where water falls, there is a beach.", None),
            ("Water rises twice a day.", None),
        ] {
            assert_eq!(of_definition(sentence).as_deref(), question, "{sentence}");
        }
    }

    #[test]
    fn headings_become_questions() {
        let of = |heading| of_heading(heading).map(|(question, _)| question);
        assert_eq!(
            of("2.1 Annual leave").unwrap(),
            "What is said about Annual leave?"
        );
        assert_eq!(
            of("How to ask for leave").unwrap(),
            "How do I ask for leave?"
        );
        assert_eq!(of("Who may travel?").unwrap(), "Who may travel?");
        assert_eq!(of("3."), None);
    }
}

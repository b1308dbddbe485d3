//! Follow-ups: a question that points back is asked together with what it points to.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::template::Prompts;
use super::words::{content_words, word_set};
use crate::Control;
use crate::generate::{GenerateError, GenerateOptions, Generator, Message, Role};

/// Words that stand for something said before. Languages in which such words stand in half of all
/// questions ("Gibt es …?") have none here.
const POINTERS: [&str; 18] = [
    "it", "its", "they", "them", "their", "theirs", "those", "these", "he", "him", "his", "she",
    "her", "deren", "dessen", "dafür", "davon", "leur",
];

/// Openings that go on with what was asked before.
const OPENINGS: [&str; 21] = [
    "and ",
    "what about",
    "how about",
    "but ",
    "or ",
    "why?",
    "why not",
    "what if",
    "und ",
    "aber ",
    "oder ",
    "was ist mit ",
    "warum?",
    "et ",
    "mais ",
    "qu'en est-il",
    "pourquoi ?",
    "y ",
    "¿y ",
    "pero ",
    "¿por qué?",
];

/// Words with meaning below which a question hardly stands alone.
const FEW_WORDS: usize = 1;

/// Earlier questions that a model is shown.
const SHOWN: usize = 4;

/// Most tokens of a rewritten question.
const REWRITTEN_TOKENS: usize = 64;

/// What a follow-up asks, by rule: the last earlier question that stands alone, all that came after
/// that, and the follow-up. `None` where the question stands alone itself.
pub(super) fn in_light_of(question: &str, earlier: &[String]) -> Option<String> {
    if earlier.is_empty() || !points_back(question) {
        return None;
    }
    let mut whole = String::new();
    for said in thread(earlier) {
        // One sentence: what it is about and what is asked of it are searched together.
        whole.push_str(said.trim().trim_end_matches(['?', '.', '!', '。', '？']));
        whole.push_str(", ");
    }
    whole.push_str(question.trim());
    (whole.len() <= crate::MAX_QUESTION_BYTES).then_some(whole)
}

/// What a follow-up asks, as `generator` writes it: a question that stands alone. `None` where the
/// question stands alone itself, or where what was written says something that nobody asked.
///
/// # Errors
/// Those of the model.
pub(super) fn rewritten(
    question: &str,
    earlier: &[String],
    generator: &dyn Generator,
    prompts: &Prompts,
    control: &Control,
) -> Result<Option<String>, GenerateError> {
    if earlier.is_empty() || !points_back(question) {
        return Ok(None);
    }
    let told = &prompts.rewrite;
    let mut messages = vec![Message::new(Role::System, &told.rules)];
    for example in &told.examples {
        let earlier: Vec<&str> = example.earlier.iter().map(String::as_str).collect();
        let asked = told.question(&earlier, &example.question);
        messages.push(Message::new(Role::User, asked));
        messages.push(Message::new(Role::Assistant, &example.answer));
    }
    let fixed_messages = messages.len();
    let thread = thread(earlier);
    let shown: Vec<&str> = thread[thread.len().saturating_sub(SHOWN)..].to_vec();
    messages.push(Message::new(Role::User, told.question(&shown, question)));
    let options = GenerateOptions {
        max_tokens: REWRITTEN_TOKENS,
        stop: vec!["\n".to_owned()],
        fixed_messages,
        ..GenerateOptions::default()
    };
    let mut go_on = |_: &str| ControlFlow::Continue(());
    let written = generator.generate(&messages, &options, control, &mut go_on)?;
    let written = written.text.trim().trim_matches('"').trim();
    Ok(is_faithful(written, question, &shown).then(|| written.to_owned()))
}

/// Whether a rewritten question asks with the words of the conversation alone.
fn is_faithful(written: &str, question: &str, earlier: &[&str]) -> bool {
    let mut known = word_set(question);
    known.extend(earlier.iter().flat_map(|said| content_words(said)));
    let words = content_words(written);
    let asked: HashSet<String> = word_set(question);
    // What is asked now must still be asked.
    let kept = asked.iter().filter(|word| words.contains(word)).count();
    !words.is_empty()
        && words.iter().all(|word| known.contains(word))
        && kept * 2 >= asked.len()
        && !points_back(written)
}

/// The questions that a follow-up goes on from: the last that stands alone and all after it.
fn thread(earlier: &[String]) -> Vec<&str> {
    let from = earlier
        .iter()
        .rposition(|q| !points_back(q))
        .unwrap_or(earlier.len().saturating_sub(1));
    earlier[from..].iter().map(String::as_str).collect()
}

fn points_back(question: &str) -> bool {
    let lower = question.trim().to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|w| !w.is_empty())
        .collect();
    OPENINGS.iter().any(|opening| lower.starts_with(opening))
        || words
            .iter()
            .any(|w| POINTERS.contains(&w.trim_end_matches("'s")))
        || content_words(question).len() <= FEW_WORDS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::generate::ScriptedModel;

    const FIRST: &str = "How many days of leave can I carry over?";

    fn asked(question: &str, earlier: &[&str]) -> String {
        let earlier: Vec<String> = earlier.iter().map(|q| (*q).to_owned()).collect();
        in_light_of(question, &earlier).unwrap_or_else(|| question.to_owned())
    }

    fn written(reply: &'static str, question: &str) -> Option<String> {
        let model = ScriptedModel::new(move |_| reply.to_owned());
        let prompts = &Prompts::shipped()[0];
        let earlier = [FIRST.to_owned()];
        rewritten(question, &earlier, &model, prompts, &Control::new()).unwrap()
    }

    #[test]
    fn a_follow_up_is_asked_with_what_it_follows() {
        let whole = asked("When do they lapse?", &[FIRST]);
        assert_eq!(
            whole,
            "How many days of leave can I carry over, When do they lapse?"
        );
        let third = asked("And why?", &[FIRST, "When do they lapse?"]);
        assert!(third.starts_with("How many days of leave"), "{third}");
        let german = asked("Und wer genehmigt das?", &["Wie viel Urlaub habe ich?"]);
        assert!(german.starts_with("Wie viel Urlaub"), "{german}");
    }

    #[test]
    fn a_question_that_stands_alone_is_left_alone() {
        let question = "What is the hotel limit per night in Port Ervan?";
        assert_eq!(asked(question, &["How many days of leave?"]), question);
        assert_eq!(asked("When do they lapse?", &[]), "When do they lapse?");
    }

    #[test]
    fn a_model_may_say_it_in_one_sentence_but_nothing_of_its_own() {
        let follow_up = "When do they lapse?";
        let whole = "When do days of leave that I carry over lapse?";
        assert_eq!(written(whole, follow_up).as_deref(), Some(whole));
        for bad in [
            "When do the days of leave of managers lapse?",
            "When do they lapse?",
            "How many days of leave can I carry over?",
            "",
        ] {
            assert_eq!(written(bad, follow_up), None, "{bad}");
        }
        assert_eq!(
            written(whole, "Who approves travel abroad in general?"),
            None
        );
    }
}

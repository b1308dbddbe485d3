//! Follow-ups: a question that points back is asked together with what it points to.

use std::borrow::Cow;

use super::words::content_words;

/// Words that stand for something said before.
const POINTERS: [&str; 13] = [
    "it", "its", "they", "them", "their", "theirs", "those", "these", "he", "him", "his", "she",
    "her",
];

/// Openings that go on with what was asked before.
const OPENINGS: [&str; 8] = [
    "and ",
    "what about",
    "how about",
    "but ",
    "or ",
    "why?",
    "why not",
    "what if",
];

/// Words with meaning below which a question hardly stands alone.
const FEW_WORDS: usize = 1;

/// The question to search and answer: as it is where it stands alone, else with the last
/// earlier one that does, and all that came after that.
pub(super) fn in_light_of<'a>(question: &'a str, earlier: &[String]) -> Cow<'a, str> {
    if earlier.is_empty() || !points_back(question) {
        return Cow::Borrowed(question);
    }
    let from = earlier
        .iter()
        .rposition(|q| !points_back(q))
        .unwrap_or(earlier.len() - 1);
    let mut whole = String::new();
    for said in &earlier[from..] {
        // One sentence: what it is about and what is asked of it are searched together.
        whole.push_str(said.trim().trim_end_matches(['?', '.', '!', '。', '？']));
        whole.push_str(", ");
    }
    whole.push_str(question.trim());
    if whole.len() > crate::MAX_QUESTION_BYTES {
        return Cow::Borrowed(question);
    }
    Cow::Owned(whole)
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
    use super::*;

    fn asked(question: &str, earlier: &[&str]) -> String {
        let earlier: Vec<String> = earlier.iter().map(|q| (*q).to_owned()).collect();
        in_light_of(question, &earlier).into_owned()
    }

    #[test]
    fn a_follow_up_is_asked_with_what_it_follows() {
        let first = "How many days of leave can I carry over?";
        let whole = asked("When do they lapse?", &[first]);
        assert_eq!(
            whole,
            "How many days of leave can I carry over, When do they lapse?"
        );
        let third = asked("And why?", &[first, "When do they lapse?"]);
        assert!(third.starts_with("How many days of leave"), "{third}");
    }

    #[test]
    fn a_question_that_stands_alone_is_left_alone() {
        let question = "What is the hotel limit per night in Port Ervan?";
        assert_eq!(asked(question, &["How many days of leave?"]), question);
        assert_eq!(asked("When do they lapse?", &[]), "When do they lapse?");
    }
}

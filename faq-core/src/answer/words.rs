//! The words that carry meaning, brought to a form in which they can be compared.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// Words of a question or sentence that say nothing about its subject.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be",
    "because", "been", "before", "being", "between", "both", "but", "by", "can", "could", "did",
    "do", "does", "doing", "during", "each", "either", "ever", "for", "from", "get", "give", "had",
    "has", "have", "having", "he", "her", "here", "him", "his", "how", "i", "if", "in", "into",
    "is", "it", "its", "just", "let", "many", "may", "me", "might", "more", "most", "much", "must",
    "my", "no", "nor", "not", "of", "off", "on", "one", "only", "or", "other", "our", "out",
    "over", "own", "please", "same", "shall", "she", "should", "so", "some", "such", "tell",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those",
    "through", "to", "too", "under", "until", "up", "us", "very", "was", "we", "were", "what",
    "when", "where", "which", "while", "who", "whom", "whose", "why", "will", "with", "would",
    "you", "your",
];

/// Whether a word says nothing about a subject, in English: `the`, `after`, `They`.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&plain(word).as_str())
}

/// Numbers that are written as words, so that "twenty seats" meets "Seats: 20".
const NUMBER_WORDS: &[(&str, &str)] = &[
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("thirteen", "13"),
    ("fourteen", "14"),
    ("fifteen", "15"),
    ("sixteen", "16"),
    ("seventeen", "17"),
    ("eighteen", "18"),
    ("nineteen", "19"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("seventy", "70"),
    ("eighty", "80"),
    ("ninety", "90"),
];

/// The words of `text` that carry meaning, in order: lower case, accents off, endings off,
/// number words as digits.
pub(crate) fn content_words(text: &str) -> Vec<String> {
    text.unicode_words()
        .filter_map(|word| {
            let plain = plain(word);
            if STOP_WORDS.contains(&plain.as_str()) {
                return None;
            }
            let number = NUMBER_WORDS.iter().find(|(name, _)| *name == plain);
            Some(number.map_or_else(|| stem(plain), |(_, digits)| (*digits).to_owned()))
        })
        .collect()
}

/// The same, each once.
pub(crate) fn word_set(text: &str) -> HashSet<String> {
    content_words(text).into_iter().collect()
}

/// Numbers in `text` as their digits: `1,250.50` gives `125050`, and so does `1.250,50`.
pub(crate) fn numbers(text: &str) -> HashSet<String> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','))
        .map(|piece| {
            piece
                .chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
        })
        .filter(|digits| !digits.is_empty())
        .collect()
}

/// Whether a word denies what stands around it: `not`, `never`, `didn't`.
pub(crate) fn is_negation(word: &str) -> bool {
    const WORDS: [&str; 6] = ["not", "never", "no", "without", "except", "cannot"];
    WORDS.contains(&word) || word.ends_with("n't") || word.ends_with("n’t")
}

/// Words that begin another part of a sentence.
const CONJUNCTIONS: [&str; 7] = ["and", "but", "while", "whereas", "or", "und", "et"];

/// A word of a sentence as it is compared with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// As [`content_words`] gives it; a number as its digits.
    pub(crate) stem: String,
    pub(crate) kind: TokenKind,
    /// Counts the marks and conjunctions before it that part a sentence.
    pub(crate) clause: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word,
    /// Written in digits or as a word.
    Number,
    /// Begins with a capital and does not begin the sentence.
    Name,
    /// Begins the sentence, and with a capital: a name or not.
    Opening,
    /// Denies what stands around it.
    Negation,
}

/// The words of a sentence that carry meaning, in order, numbers and names told apart. `twenty-eight`
/// is one number.
pub(crate) fn tokens(sentence: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    // Where a ten ended that a unit may follow.
    let mut ten: Option<usize> = None;
    let (mut clause, mut before) = (0, 0);
    for (n, (at, word)) in sentence.unicode_word_indices().enumerate() {
        let plain = plain(word);
        let end = at + word.len();
        if sentence[before..at].contains([',', ';', ':', '(', ')', '|', '.', '?', '!', '–', '—'])
            || CONJUNCTIONS.contains(&plain.as_str())
        {
            clause += 1;
        }
        before = end;
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let digits = word.chars().filter(char::is_ascii_digit).collect();
            tokens.push(Token {
                stem: digits,
                kind: TokenKind::Number,
                clause,
            });
            continue;
        }
        if let Some((_, digits)) = NUMBER_WORDS.iter().find(|(name, _)| *name == plain) {
            let unit = digits.len() == 1;
            match tokens.last_mut() {
                Some(last) if unit && ten.is_some_and(|end| end + 1 == at) => {
                    last.stem.pop();
                    last.stem.push_str(digits);
                }
                _ => tokens.push(Token {
                    stem: (*digits).to_owned(),
                    kind: TokenKind::Number,
                    clause,
                }),
            }
            ten = (!unit && digits.ends_with('0') && *digits != "10").then_some(end);
            continue;
        }
        if is_negation(&plain) {
            tokens.push(Token {
                stem: plain,
                kind: TokenKind::Negation,
                clause,
            });
            continue;
        }
        if STOP_WORDS.contains(&plain.as_str()) {
            continue;
        }
        let kind = match (word.starts_with(char::is_uppercase), n) {
            (true, 0) => TokenKind::Opening,
            (true, _) => TokenKind::Name,
            (false, _) => TokenKind::Word,
        };
        tokens.push(Token {
            stem: stem(plain),
            kind,
            clause,
        });
    }
    tokens
}

fn plain(word: &str) -> String {
    word.nfkd()
        .filter(|c| !is_mark(*c))
        .flat_map(char::to_lowercase)
        .collect()
}

fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// Takes off the endings by which an English question and its answer differ most often.
/// Words of other languages lose little by it.
fn stem(mut word: String) -> String {
    const ENDINGS: [(&str, &str); 9] = [
        ("'s", ""),
        ("’s", ""),
        ("ies", "y"),
        ("ees", "ee"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
    ];
    if word.ends_with("ss") || word.chars().any(|c| c.is_ascii_digit()) {
        return word;
    }
    for (ending, instead) in ENDINGS {
        if word.len() >= ending.len() + 3 && word.ends_with(ending) {
            word.truncate(word.len() - ending.len());
            word.push_str(instead);
            break;
        }
    }
    if word.ends_with('e') && word.len() > 3 {
        word.pop();
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflections_meet() {
        for (a, b) in [
            ("policies", "policy"),
            ("reimbursed", "reimburse"),
            ("expenses", "expense"),
            ("working", "works"),
            ("Café's", "cafe"),
            ("employees", "employee"),
        ] {
            assert_eq!(content_words(a), content_words(b), "{a} {b}");
        }
        assert_eq!(
            content_words("What is the boss's password?"),
            ["boss", "password"]
        );
    }

    #[test]
    fn numbers_and_names_are_told_apart_from_words() {
        let found: Vec<(String, TokenKind)> =
            tokens("Employees of Port Ervan have twenty-eight days, twenty of them in 2024.")
                .into_iter()
                .map(|t| (t.stem, t.kind))
                .collect();
        let expected = [
            ("employe", TokenKind::Opening),
            ("port", TokenKind::Name),
            ("ervan", TokenKind::Name),
            ("28", TokenKind::Number),
            ("day", TokenKind::Word),
            ("20", TokenKind::Number),
            ("2024", TokenKind::Number),
        ];
        assert_eq!(found, expected.map(|(s, k)| (s.to_owned(), k)));
        assert_eq!(tokens("It costs 1,250.50 EUR")[1].stem, "125050");
    }

    #[test]
    fn numbers_meet_whatever_their_marks() {
        assert_eq!(numbers("1,250.50 EUR"), numbers("1.250,50 EUR"));
        assert_eq!(numbers("no digits"), HashSet::new());
    }
}

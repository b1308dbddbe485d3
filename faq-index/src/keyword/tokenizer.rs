//! Words of a text, in any script.
//!
//! Scripts that put spaces between words give runs of letters, digits and their marks. Han,
//! kana, Hangul, Thai, Lao, Khmer and Burmese give overlapping pairs of characters, since
//! nothing marks their words; where a text is indexed they give the single characters too, so
//! that a question of one character finds something.
//!
//! A word has one position, and so has each character of a script without spaces; a pair stands at
//! its first. Neighbours in a text are thus neighbours by position, whatever a text was cut for.
//!
//! Tokens are in NFKC and lower case. Folding accents, stop words and stemming come after.

use std::borrow::Cow;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Longest token in bytes; what is beyond is cut off, in documents and questions alike.
const MAX_TOKEN: usize = 128;

/// What the tokens are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be found: pairs and single characters of scripts without spaces.
    Index,
    /// To find: pairs only, where there are two characters.
    Question,
}

/// Cuts texts into words; see the module.
#[derive(Debug, Clone)]
pub(super) struct Words {
    purpose: Purpose,
    token: Token,
}

impl Words {
    pub(super) fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            token: Token::default(),
        }
    }
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream {
            text,
            at: 0,
            run_end: 0,
            pair_next: false,
            position: 0,
            purpose: self.purpose,
            token: &mut self.token,
        }
    }
}

/// The words of one text.
pub(super) struct WordStream<'a> {
    text: &'a str,
    at: usize,
    /// End of the run of unspaced characters that `at` is in; `at` or less outside one.
    run_end: usize,
    /// Whether the single character at `at` was given and its pair is next.
    pair_next: bool,
    /// Position of what comes next.
    position: usize,
    purpose: Purpose,
    token: &'a mut Token,
}

impl WordStream<'_> {
    /// Gives the next token of the run that `at` is in; false where the run has no more.
    fn advance_run(&mut self) -> bool {
        let start = self.at;
        let first = cluster_end(self.text, start, self.run_end);
        let second = (first < self.run_end).then(|| cluster_end(self.text, first, self.run_end));
        if self.purpose == Purpose::Index && !self.pair_next {
            self.pair_next = second.is_some();
            self.emit(start, first);
            if !self.pair_next {
                self.at = first;
                self.position += 1;
            }
            return true;
        }
        self.pair_next = false;
        self.at = first;
        self.emit(start, second.unwrap_or(first));
        self.position += 1;
        // The last character of the run has no pair that begins with it.
        if second == Some(self.run_end) && self.purpose == Purpose::Question {
            self.at = self.run_end;
            self.position += 1;
        }
        true
    }

    fn emit(&mut self, from: usize, to: usize) {
        self.token.offset_from = from;
        self.token.offset_to = to;
        self.token.position = self.position;
        self.token.text.clear();
        let word = &self.text[from..to];
        let word = at_most(word, MAX_TOKEN);
        if word.is_ascii() {
            self.token.text.push_str(word);
            self.token.text.make_ascii_lowercase();
        } else {
            let lower = word.nfkc().flat_map(char::to_lowercase);
            self.token.text.extend(lower);
        }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        if self.at < self.run_end {
            return self.advance_run();
        }
        let rest = &self.text[self.at..];
        let Some(skipped) = rest.find(char::is_alphanumeric) else {
            self.at = self.text.len();
            return false;
        };
        let start = self.at + skipped;
        let mut chars = self.text[start..].char_indices();
        let unspaced = chars.next().is_some_and(|(_, c)| is_unspaced(c));
        let end = chars
            .find(|&(_, c)| {
                !(is_combining_mark(c) || c.is_alphanumeric() && is_unspaced(c) == unspaced)
            })
            .map_or(self.text.len(), |(at, _)| start + at);
        if unspaced {
            self.at = start;
            self.run_end = end;
            return self.advance_run();
        }
        self.at = end;
        self.emit(start, end);
        self.position += 1;
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// Fewest letters of a word whose spelling is kept.
const MIN_SPELLED: usize = 3;
/// Most letters of one.
pub(super) const MAX_SPELLED: usize = 40;

/// Cuts texts into the words that another may be a misspelling of: letters alone, in scripts with
/// spaces, no fewer than three and no more than forty.
#[derive(Debug, Clone)]
pub(super) struct Spellings(Words);

impl Default for Spellings {
    fn default() -> Self {
        Self(Words::new(Purpose::Question))
    }
}

impl Tokenizer for Spellings {
    type TokenStream<'a> = SpellingStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> SpellingStream<'a> {
        SpellingStream(self.0.token_stream(text))
    }
}

/// The spelled words of one text.
pub(super) struct SpellingStream<'a>(WordStream<'a>);

impl TokenStream for SpellingStream<'_> {
    fn advance(&mut self) -> bool {
        while self.0.advance() {
            let letters = letters(&self.0.token().text);
            if letters.is_some_and(|n| (MIN_SPELLED..=MAX_SPELLED).contains(&n)) {
                return true;
            }
        }
        false
    }

    fn token(&self) -> &Token {
        self.0.token()
    }

    fn token_mut(&mut self) -> &mut Token {
        self.0.token_mut()
    }
}

/// Number of letters of a word that has nothing but letters and their marks, in a script with spaces;
/// `None` for any other.
pub(super) fn letters(word: &str) -> Option<usize> {
    let mut letters = 0;
    for c in word.chars() {
        if is_unspaced(c) || !(c.is_alphabetic() || is_combining_mark(c)) {
            return None;
        }
        letters += usize::from(!is_combining_mark(c));
    }
    Some(letters)
}

/// The longest beginning of a text that has at most `bytes` bytes.
pub(super) fn at_most(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// End of the character at `from` with the marks that follow it.
fn cluster_end(text: &str, from: usize, limit: usize) -> usize {
    text[from..limit]
        .char_indices()
        .skip(1)
        .find(|&(_, c)| !is_combining_mark(c))
        .map_or(limit, |(at, _)| from + at)
}

/// Whether a character belongs to a script that puts no spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(
        u32::from(c),
        0x0E00..=0x0EFF         // Thai, Lao
        | 0x1000..=0x109F       // Burmese
        | 0x1100..=0x11FF       // Hangul letters
        | 0x1780..=0x17FF       // Khmer
        | 0x3005..=0x3007 | 0x3040..=0x30FF | 0x3130..=0x318F | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
        | 0xA960..=0xA97F | 0xAC00..=0xD7FF
        | 0xF900..=0xFAFF
        | 0xFF66..=0xFFDC       // half-width kana and Hangul
        | 0x2_0000..=0x3_FFFF
    )
}

/// Composes what may be composed, so that a word has one spelling before it is cut.
///
/// Only needed where marks stand apart from their letters, as in texts from macOS.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    match unicode_normalization::is_nfc_quick(text.chars()) {
        unicode_normalization::IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(purpose: Purpose, text: &str) -> Vec<String> {
        let mut tokenizer = Words::new(purpose);
        let mut stream = tokenizer.token_stream(text);
        let mut found = Vec::new();
        while stream.advance() {
            found.push(stream.token().text.clone());
        }
        found
    }

    #[test]
    fn spaced_scripts_give_words() {
        let question = |text| words(Purpose::Question, text);
        assert_eq!(
            question("The COVID-19 tests, p53!"),
            ["the", "covid", "19", "tests", "p53"]
        );
        assert_eq!(
            question("Ärger über ﬁnale Ｗｏrte"),
            ["ärger", "über", "finale", "worte"]
        );
        assert_eq!(question("привет МИР"), ["привет", "мир"]);
        assert_eq!(question("हिन्दी भाषा"), ["हिन्दी", "भाषा"]);
        assert!(question(" \t+-&|!(){}[]^\"~*?:\\/ ").is_empty());
    }

    #[test]
    fn unspaced_scripts_give_pairs() {
        assert_eq!(
            words(Purpose::Question, "北京大学 abc"),
            ["北京", "京大", "大学", "abc"]
        );
        assert_eq!(words(Purpose::Question, "猫"), ["猫"]);
        assert_eq!(words(Purpose::Index, "北京x"), ["北", "北京", "京", "x"]);
        assert_eq!(words(Purpose::Index, "猫"), ["猫"]);
        assert_eq!(words(Purpose::Question, "ที่นี่"), ["ที่นี่"]);
    }

    #[test]
    fn neighbours_in_a_text_are_neighbours_by_position() {
        let placed = |purpose, text| {
            let mut tokenizer = Words::new(purpose);
            let mut stream = tokenizer.token_stream(text);
            let mut found = Vec::new();
            while stream.advance() {
                found.push((stream.token().position, stream.token().text.clone()));
            }
            found
        };
        let text = "a 北京大 b 猫c";
        let whole = [
            (0, "a"),
            (1, "北"),
            (1, "北京"),
            (2, "京"),
            (2, "京大"),
            (3, "大"),
            (4, "b"),
            (5, "猫"),
            (6, "c"),
        ];
        let pairs = [
            (0, "a"),
            (1, "北京"),
            (2, "京大"),
            (4, "b"),
            (5, "猫"),
            (6, "c"),
        ];
        assert!(
            placed(Purpose::Index, text)
                .iter()
                .map(|(p, t)| (*p, &**t))
                .eq(whole)
        );
        assert!(
            placed(Purpose::Question, text)
                .iter()
                .map(|(p, t)| (*p, &**t))
                .eq(pairs)
        );
    }

    #[test]
    fn huge_words_are_cut() {
        let found = words(Purpose::Index, &"é".repeat(1_000_000));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].len(), MAX_TOKEN);
    }

    proptest! {
        #[test]
        fn every_word_to_find_can_be_found(text in "[a-z北京大学ก-๙́ .]{0,60}") {
            let indexed = words(Purpose::Index, &text);
            for word in words(Purpose::Question, &text) {
                prop_assert!(indexed.contains(&word), "{word} of {text}");
            }
        }
    }
}

//! Phrases of a question: what stands between quotation marks.
//!
//! Marks are read as a writer sets them and never as syntax: one that opens nothing, closes
//! nothing or measures inches is no mark, and its words are plain words.

use super::tokenizer::is_unspaced;

/// Most phrases that are taken from a question; the words of further ones are plain words.
pub(super) const MAX_PHRASES: usize = 16;

/// Pairs of marks: what opens, and what may close it. Those that open as they close come last, so
/// that a pair is tried first.
const PAIRS: [(char, &[char]); 9] = [
    ('“', &['”']),
    ('„', &['“', '”']),
    ('«', &['»']),
    ('»', &['«']),
    ('「', &['」']),
    ('『', &['』']),
    ('"', &['"']),
    ('＂', &['＂']),
    ('”', &['”']),
];

/// What stands between the quotation marks of a question, in order, at most [`MAX_PHRASES`].
/// A phrase does not go beyond its line.
pub(super) fn quoted(question: &str) -> Vec<&str> {
    question
        .lines()
        .flat_map(quoted_in_line)
        .filter(|phrase| phrase.contains(char::is_alphanumeric))
        .take(MAX_PHRASES)
        .collect()
}

fn quoted_in_line(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    // Openers for which the rest of the line holds nothing that closes them.
    let mut open_ended: Vec<char> = Vec::new();
    let mut from = 0;
    while let Some((opener, closers, start)) = next_opener(line, from, &open_ended) {
        match close(line, start, closers) {
            Some(end) => {
                found.push(&line[start..end]);
                from = end + line[end..].chars().next().map_or(0, char::len_utf8);
            }
            None => open_ended.push(opener),
        }
    }
    found
}

/// The next mark that opens, what closes it, and where its words begin.
fn next_opener<'a>(
    line: &str,
    from: usize,
    passed_over: &[char],
) -> Option<(char, &'a [char], usize)> {
    let mut before = line[..from].chars().next_back();
    for (at, c) in line[from..].char_indices() {
        let pair = PAIRS.iter().find(|(opener, _)| *opener == c);
        if let Some(&(opener, closers)) = pair
            && !passed_over.contains(&opener)
            && !ends_a_word(before)
        {
            return Some((opener, closers, from + at + c.len_utf8()));
        }
        before = Some(c);
    }
    None
}

/// Where the words that begin at `start` are closed.
fn close(line: &str, start: usize, closers: &[char]) -> Option<usize> {
    let mut rest = line[start..].char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let after = rest.peek().map(|&(_, after)| after);
        if closers.contains(&c) && !ends_a_word(after) {
            return Some(start + at);
        }
    }
    None
}

/// Whether a mark beside this character stands within or at a word of a script with spaces, as in
/// `12"`; other scripts set marks right beside their words.
fn ends_a_word(beside: Option<char>) -> bool {
    beside.is_some_and(|c| c.is_alphanumeric() && !is_unspaced(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_quoted_is_found() {
        for (question, phrases) in [
            (
                r#"who said "to be or not" and "why""#,
                &["to be or not", "why"][..],
            ),
            (
                "was „gut Ding“ heißt, „so” und »anders« «oui»",
                &["gut Ding", "so", "anders", "oui"],
            ),
            ("“one two” and ”tre fyra”", &["one two", "tre fyra"]),
            (
                "他说\"北京大学\"在「首都」吗『吗』",
                &["北京大学", "首都", "吗"],
            ),
            (
                r#"("in brackets"), "and after"."#,
                &["in brackets", "and after"],
            ),
            (r#""a"b c" d"#, &[r#"a"b c"#]),
        ] {
            assert_eq!(quoted(question), phrases, "{question}");
        }
    }

    #[test]
    fn what_is_not_quoted_is_not() {
        for question in [
            r#"a 12" x 14" board"#,
            r#"unbalanced "quote here"#,
            "two lines \"one\ntwo\" of text",
            r#""" "?!" """"#,
            "it's 'single' marks",
            "”",
            "",
        ] {
            assert_eq!(quoted(question), [""; 0], "{question}");
        }
        assert_eq!(quoted(&"\"a b\" ".repeat(100)).len(), MAX_PHRASES);
    }

    #[test]
    fn a_million_marks_are_read_in_one_go() {
        for mark in ["\"", "„", " \"a", "« "] {
            assert!(quoted(&mark.repeat(1 << 20)).len() <= MAX_PHRASES);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_asked(question in "[a\"“”„«»「」\n 北]{0,40}") {
            for phrase in quoted(&question) {
                prop_assert!(question.contains(phrase) && !phrase.contains('\n'));
            }
        }
    }
}

//! Sentences of a text, as byte ranges.

use faq_ingest::ByteRange;
use unicode_segmentation::UnicodeSegmentation;

use super::words::is_stop_word;

/// Words before a full stop that do not end a sentence.
const ABBREVIATIONS: [&str; 34] = [
    "al", "bzw", "ca", "cf", "eds", "gen", "pp", "resp", "mr", "mrs", "ms", "dr", "prof", "st",
    "vs", "etc", "no", "fig", "sec", "ch", "vol", "inc", "ltd", "co", "approx", "dept", "est",
    "jan", "feb", "aug", "sept", "oct", "nov", "dec",
];

/// Words before which, or after which, a number and a stop are an ordinal of German: `bis zum 31. März`,
/// `am 3. Tag`.
const BEFORE_ORDINAL: [&str; 15] = [
    "ab", "am", "beim", "bis", "das", "dem", "den", "der", "des", "die", "im", "seit", "vom",
    "zum", "zur",
];
const AFTER_ORDINAL: [&str; 13] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
    "Jahrhundert",
];

/// Sentences of `text` in order, trimmed, none blank. Boundaries follow Unicode's annex 29,
/// except after abbreviations and initials; a line break in running text ends no sentence,
/// a blank line and a line of a list or table does.
pub(crate) fn sentences(text: &str) -> Vec<ByteRange> {
    let mut found: Vec<ByteRange> = Vec::new();
    let mut line_start = 0;
    for line in text.split_inclusive('\n') {
        split_line(text, line_start, line, &mut found);
        line_start += line.len();
    }
    found
}

fn split_line(text: &str, offset: usize, line: &str, found: &mut Vec<ByteRange>) {
    let mut start: Option<usize> = None;
    for (at, piece) in line.split_sentence_bound_indices() {
        let from = *start.get_or_insert(offset + at);
        let end = offset + at + piece.len();
        let rest = &line[at + piece.len()..];
        if goes_on(&text[from..end], rest) {
            continue;
        }
        push(text, from, end, found);
        start = None;
    }
    if let Some(from) = start {
        push(text, from, offset + line.len(), found);
    }
}

/// Whether what looks like a sentence's end is not one.
fn goes_on(sentence: &str, rest: &str) -> bool {
    if rest.trim().is_empty() {
        return false;
    }
    let Some(head) = sentence.trim_end().strip_suffix('.') else {
        return false;
    };
    let word = head
        .rsplit(|c: char| c.is_whitespace() || c == '(')
        .next()
        .unwrap_or_default();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    // `Trinity-St. Paul's`, `"Dr. Who"`.
    let last = word
        .rsplit(|c: char| !c.is_alphanumeric() && c != '.')
        .next();
    // A number and a stop at the very start is the number of a list item.
    let item = word.len() == head.trim_start().len() && word.chars().all(|c| c.is_ascii_digit());
    let spelled = word.contains('.') && word.split('.').all(|letter| letter.chars().count() == 1);
    // `e.g`, `a.k.a`, `z.B`; but `U.S` and `p.m` end sentences too.
    let is_short = word.starts_with(char::is_lowercase) && !["a.m", "p.m"].contains(&word);
    // `c. 420,000`, `p. 12`.
    let counts = word.len() == 1 && word.chars().all(char::is_lowercase);
    let counts = counts && rest.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let begins = rest.unicode_words().next().is_some_and(is_stop_word);
    let spelled = spelled && (is_short || !begins);
    initial
        || item
        || spelled
        || counts
        || is_ordinal(head, word, rest)
        || last.is_some_and(|w| ABBREVIATIONS.contains(&w.to_lowercase().as_str()))
}

/// Whether `word`, which ends `head` and has a stop after it, counts what `rest` begins with.
fn is_ordinal(head: &str, word: &str, rest: &str) -> bool {
    if word.len() > 2 || !word.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let before = head[..head.len() - word.len()]
        .split_whitespace()
        .next_back();
    let after = rest.unicode_words().next();
    after.is_some_and(|next| AFTER_ORDINAL.contains(&next))
        || before.is_some_and(|prior| BEFORE_ORDINAL.contains(&prior.to_lowercase().as_str()))
}

fn push(text: &str, from: usize, to: usize, found: &mut Vec<ByteRange>) {
    let piece = &text[from..to];
    let start = from + (piece.len() - piece.trim_start().len());
    let end = start + piece.trim().len();
    if text[start..end].chars().any(char::is_alphanumeric) {
        found.push(ByteRange::new(start, end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text)
            .into_iter()
            .filter_map(|r| r.slice(text))
            .collect()
    }

    #[test]
    fn splits_running_text() {
        assert_eq!(
            split(
                "Dr. Smith of Trinity-St. Paul's pays 3.50 EUR, e.g. for tea. Is it much? No!\n\nA new block"
            ),
            [
                "Dr. Smith of Trinity-St. Paul's pays 3.50 EUR, e.g. for tea.",
                "Is it much?",
                "No!",
                "A new block"
            ]
        );
    }

    #[test]
    fn ordinals_end_no_sentence() {
        let text = "Bis zu 5 Tage gelten bis zum 31. März. Am 3. Tag ist ein Attest fällig. \
                    Das war im 19. Jahrhundert. Sie wohnt in Zimmer 31. Danach kommt 32.";
        assert_eq!(split(text).len(), 5);
        assert_eq!(split(text)[0], "Bis zu 5 Tage gelten bis zum 31. März.");
    }

    #[test]
    fn letters_with_stops_end_no_sentence_but_for_names_and_hours() {
        let text = "Milestones (a.k.a. Ma'alim) is long, i.e. thick. It opens at 5 p.m. Then it \
                    closes. He left the U.S. They did not. It was funded by the U.S. National \
                    Science Foundation.";
        assert_eq!(split(text).len(), 6, "{:?}", split(text));
    }

    #[test]
    fn a_letter_before_a_number_ends_no_sentence() {
        let text =
            "By 1945 there were c. 420,000. They came back (p. 12). We chose plan b. It held.";
        assert_eq!(split(text).len(), 4, "{:?}", split(text));
    }

    #[test]
    fn lines_of_lists_and_tables_stand_alone() {
        assert_eq!(
            split("1. First item. More.\n- second\nCity: Oslo | Rate: 80\n***\n"),
            [
                "1. First item.",
                "More.",
                "- second",
                "City: Oslo | Rate: 80"
            ]
        );
    }

    #[test]
    fn scripts_without_spaces_are_split_too() {
        assert_eq!(split("今日は。明日も。"), ["今日は。", "明日も。"]);
    }
}

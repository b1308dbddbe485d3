//! The part of a passage that a person looks at first, with the words that were looked for.

use super::output::Output;

/// Words shown of a passage.
const WORDS_SHOWN: usize = 45;

/// The stretch of `text` that holds most of the query's words, on one line, the words marked.
/// `nearest` is the byte at which the model found the passage nearest to the query; ties go to it.
pub(super) fn snippet(text: &str, nearest: usize, query: &str, out: &Output) -> String {
    let wanted = query_words(query);
    let words = words(text);
    if words.is_empty() {
        return String::new();
    }
    let matches: Vec<Option<usize>> = words
        .iter()
        .map(|w| wanted.iter().position(|q| same_word(&bare(w.1), q)))
        .collect();
    let home = words
        .partition_point(|w| w.0 < nearest)
        .min(words.len() - 1);
    let first = best_stretch(&matches, wanted.len(), home);
    let shown = &words[first..(first + WORDS_SHOWN).min(words.len())];
    let mut line = String::new();
    if first > 0 {
        line.push_str("… ");
    }
    for (i, (_, word)) in shown.iter().enumerate() {
        if i > 0 {
            line.push(' ');
        }
        let clean: String = word.chars().filter(|c| !c.is_control()).collect();
        match matches[first + i] {
            Some(_) => line.push_str(&out.marked(&clean)),
            None => line.push_str(&clean),
        }
    }
    if first + shown.len() < words.len() {
        line.push_str(" …");
    }
    line
}

/// Words with their offsets.
fn words(text: &str) -> Vec<(usize, &str)> {
    text.split_whitespace()
        .map(|w| (w.as_ptr() as usize - text.as_ptr() as usize, w))
        .collect()
}

/// The words of a query that can be told apart by being looked for: of three letters and more,
/// or all where there are no such.
fn query_words(query: &str) -> Vec<String> {
    let all: Vec<String> = query
        .split_whitespace()
        .map(bare)
        .filter(|w| !w.is_empty())
        .collect();
    let long: Vec<String> = all
        .iter()
        .filter(|w| w.chars().count() > 3 || w.chars().any(char::is_numeric))
        .cloned()
        .collect();
    if long.is_empty() { all } else { long }
}

/// A word in lower case without the punctuation around it.
fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase()
}

/// Equal, or of one stem as far as endings of up to three letters go.
fn same_word(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let common: usize = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let longest = a.chars().count().max(b.chars().count());
    common >= 4 && longest - common <= 3
}

/// First word of the stretch with the most different wanted words; the one nearest to `home`
/// where several have as many.
fn best_stretch(matches: &[Option<usize>], wanted: usize, home: usize) -> usize {
    let length = WORDS_SHOWN.min(matches.len());
    let mut counts = vec![0usize; wanted];
    let mut different = 0usize;
    // Most different words so far, how far from `home`, and where.
    let mut best = (0, usize::MAX, 0);
    for (last, slot) in matches.iter().enumerate() {
        if let Some(word) = *slot {
            counts[word] += 1;
            different += usize::from(counts[word] == 1);
        }
        let Some(first) = (last + 1).checked_sub(length) else {
            continue;
        };
        if let Some(word) = first.checked_sub(1).and_then(|gone| matches[gone]) {
            counts[word] -= 1;
            different -= usize::from(counts[word] == 0);
        }
        let distance = first.abs_diff(home);
        if different > best.0 || (different == best.0 && distance < best.1) {
            best = (different, distance, first);
        }
    }
    best.2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_looked_through() {
        assert!(same_word("expenses", "expense"));
        assert!(same_word("travelled", "travel"));
        assert!(!same_word("leave", "learn"));
        assert!(!same_word("cat", "car"));
    }

    #[test]
    fn the_stretch_with_the_words_is_shown() {
        let text = "filler ".repeat(100) + "who approves travel abroad " + &"filler ".repeat(100);
        let out = Output::new(false);
        let line = snippet(&text, 0, "Who approves travel abroad?", &out);
        assert!(line.contains("approves travel abroad"), "{line}");
        assert!(line.starts_with("… ") && line.ends_with(" …"), "{line}");
    }

    #[test]
    fn without_a_match_the_best_window_is_shown() {
        let text = "one ".repeat(100) + "target " + &"two ".repeat(100);
        let out = Output::new(false);
        let line = snippet(&text, 400, "unrelated", &out);
        assert!(line.contains("target"), "{line}");
    }

    #[test]
    fn a_short_text_is_shown_whole() {
        let out = Output::new(false);
        assert_eq!(snippet("a\nb", 0, "x", &out), "a b");
        assert_eq!(snippet(" ", 0, "x", &out), "");
    }
}

//! Questions with slips of the keyboard, for measuring what they cost.
//!
//! In one word of five letters and more of each question, one letter that is neither the first nor the
//! last is left out, replaced, exchanged with the next, or has another put before it. Which word, which
//! letter and what happens to it are drawn from a seed, so the same seed makes the same slips.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::beir::DataSet;
use crate::significance::SplitMix;

/// Fewest letters of a word that is misspelled.
const MIN_LETTERS: usize = 5;
/// A letter is drawn where at least one in this many letters of the questions is it.
const COMMON: usize = 1000;

/// Misspells a word of each question that has one to misspell. Returns how many have.
pub fn misspell(set: &mut DataSet, seed: u64) -> usize {
    let alphabet = alphabet(set.queries.iter().map(|query| query.text.as_str()));
    let mut random = SplitMix(seed);
    let mut count = 0;
    for query in &mut set.queries {
        if let Some(text) = misspelled(&query.text, &alphabet, &mut random) {
            query.text = text;
            count += 1;
        }
    }
    count
}

/// Small letters that the texts use, in order.
fn alphabet<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<char> {
    let mut counts: BTreeMap<char, usize> = BTreeMap::new();
    let letters = texts.flat_map(|text| text.chars().flat_map(char::to_lowercase));
    for letter in letters.filter(|c| is_letter(*c)) {
        *counts.entry(letter).or_default() += 1;
    }
    let all: usize = counts.values().sum();
    counts.retain(|_, count| *count * COMMON >= all);
    counts.into_keys().collect()
}

fn misspelled(text: &str, alphabet: &[char], random: &mut SplitMix) -> Option<String> {
    let words = words(text);
    if words.is_empty() || alphabet.is_empty() {
        return None;
    }
    let word = words[below(random, words.len())].clone();
    let letters: Vec<char> = text[word.clone()].chars().collect();
    let slip = slip(&letters, alphabet, random);
    Some([&text[..word.start], &slip, &text[word.end..]].concat())
}

/// A word with one slip in it.
fn slip(word: &[char], alphabet: &[char], random: &mut SplitMix) -> String {
    loop {
        let at = 1 + below(random, word.len() - 2);
        let mut letters = word.to_vec();
        match below(random, 4) {
            0 => {
                letters.remove(at);
            }
            1 => letters.swap(at, at + 1),
            2 => letters.insert(at, alphabet[below(random, alphabet.len())]),
            _ => letters[at] = alphabet[below(random, alphabet.len())],
        }
        // Two equal letters exchanged are no slip; where the alphabet is one letter, one left out is.
        if letters != word {
            return letters.into_iter().collect();
        }
    }
}

/// Words of enough letters.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (is_letter(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                start = None;
                // A run of letters with digits at its side is a code.
                let beside = text[..from].chars().next_back();
                let is_word = !c.is_alphanumeric() && !beside.is_some_and(char::is_alphanumeric);
                if is_word && text[from..at].chars().count() >= MIN_LETTERS {
                    words.push(from..at);
                }
            }
            _ => {}
        }
    }
    words
}

/// Whether a character is a letter of a script that puts spaces between words.
fn is_letter(c: char) -> bool {
    let spaced =
        !matches!(u32::from(c), 0x0E00..=0x109F | 0x1100..=0x11FF | 0x1780..=0x17FF | 0x2E80..);
    spaced && c.is_alphabetic()
}

fn below(random: &mut SplitMix, most: usize) -> usize {
    (random.next() % most.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slips(text: &str, seed: u64) -> Option<String> {
        misspelled(text, &alphabet([text].into_iter()), &mut SplitMix(seed))
    }

    #[test]
    fn one_word_changes_by_one_slip_inside_it() {
        let text = "Wie lange dauert die Kündigungsfrist im Jahr 2024?";
        for seed in 0..200 {
            let slipped = slips(text, seed).unwrap();
            assert_ne!(slipped, text);
            let (before, after): (Vec<&str>, Vec<&str>) =
                (text.split(' ').collect(), slipped.split(' ').collect());
            assert_eq!(before.len(), after.len());
            let changed: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
            let [(a, b)] = changed[..] else {
                panic!("{slipped}");
            };
            assert_eq!(a.chars().next(), b.chars().next());
            assert!(a.chars().count().abs_diff(b.chars().count()) <= 1);
            assert_eq!(slips(text, seed).unwrap(), slipped);
        }
    }

    #[test]
    fn what_has_no_word_to_misspell_stays() {
        for text in ["", "who is it?", "covid19x 12345", "北京大学在哪里", "aaaa"] {
            assert_eq!(slips(text, 1), None, "{text}");
        }
    }
}

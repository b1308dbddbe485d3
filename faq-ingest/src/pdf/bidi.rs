//! Right-to-left text: pages give it in visual order, readers and search want it as spoken.

/// Whether a character is written from right to left.
fn rtl(c: char) -> bool {
    matches!(u32::from(c), 0x0590..=0x08ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefc)
}

/// Whether a character keeps its left-to-right order inside right-to-left text.
fn ltr(c: char) -> bool {
    c.is_alphanumeric() && !rtl(c)
}

/// Whether most letters run from right to left.
pub(super) fn is_rtl<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let (mut right, mut left) = (0usize, 0usize);
    for c in texts.flat_map(str::chars) {
        if rtl(c) {
            right += 1;
        } else if c.is_alphabetic() {
            left += 1;
        }
    }
    right > left
}

/// Whether letters of a right-to-left script and of another one stand against each other, which
/// no word does: writing programs put the space between them on either side of the second.
pub(super) fn scripts_meet(left: &str, right: &str) -> bool {
    let (Some(a), Some(b)) = (left.chars().next_back(), right.chars().next()) else {
        return false;
    };
    a.is_alphabetic() && b.is_alphabetic() && rtl(a) != rtl(b)
}

/// The letters of one right-to-left glyph as they stand from left to right, where that differs.
pub(super) fn visual(glyph: &str) -> Option<String> {
    let mut chars = glyph.chars();
    chars.next().filter(|c| rtl(*c))?;
    chars.next()?;
    Some(glyph.chars().rev().collect())
}

/// Words in visual order, each with whether a space stands before it, as text in logical
/// order: everything turned round, runs of Latin letters and digits turned back.
pub(super) fn logical(words: &[(String, bool)]) -> String {
    let mut visual: Vec<char> = Vec::new();
    for (word, spaced) in words {
        if *spaced {
            visual.push(' ');
        }
        visual.extend(word.chars());
    }
    visual.reverse();
    for c in &mut visual {
        *c = mirrored(*c);
    }
    let mut at = 0;
    while at < visual.len() {
        if !ltr(visual[at]) {
            at += 1;
            continue;
        }
        // A run reaches to the last Latin letter or digit before a right-to-left one.
        let mut end = at + 1;
        let mut next = end;
        while next < visual.len() && !rtl(visual[next]) {
            if ltr(visual[next]) {
                end = next + 1;
            } else if visual[next] == ' ' {
                // Numbers in a row of cells keep their right-to-left order.
                if visual[at..next].iter().all(|c| !c.is_alphabetic()) {
                    break;
                }
            }
            next += 1;
        }
        visual[at..end].reverse();
        for c in &mut visual[at..end] {
            *c = mirrored(*c);
        }
        at = end;
    }
    visual.into_iter().collect()
}

fn mirrored(c: char) -> char {
    match c {
        '(' => ')',
        ')' => '(',
        '[' => ']',
        ']' => '[',
        '{' => '}',
        '}' => '{',
        '<' => '>',
        '>' => '<',
        '«' => '»',
        '»' => '«',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<(String, bool)> {
        list.iter()
            .enumerate()
            .map(|(i, w)| ((*w).to_owned(), i > 0))
            .collect()
    }

    #[test]
    fn hebrew_with_numbers_and_latin() {
        // On the page, from left to right: "2024 tegolo bew" with the Hebrew word last.
        assert_eq!(logical(&words(&["2024", "םולש"])), "שלום 2024");
        assert_eq!(logical(&words(&["(a", "b)", "םולש"])), "שלום (a b)");
    }

    #[test]
    fn the_majority_of_letters_decides() {
        assert!(is_rtl(["שלום abc"].into_iter()));
        assert!(!is_rtl(["abc שש d"].into_iter()));
    }
}

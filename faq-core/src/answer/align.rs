//! Two sentences laid side by side, word by word.

use super::words::{Token, TokenKind};

/// Words of a sentence beyond which it is not compared.
const LONGEST: usize = 160;

/// Share of a draft's words that must stand in the other sentence, in its order, for the two to say
/// the same but for what was replaced.
const LEAST_SAME: f32 = 0.6;

/// The share, and the number of words, from which on the draft is a copy.
const COPY: (f32, usize) = (0.8, 5);

/// What takes another name's place in a draft.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Replaced<'t> {
    /// Words of the draft that are, or may be, names, each where the other sentence has another one.
    pub(super) names: Vec<&'t Token>,
    /// The draft is a copy of the other sentence but for these.
    pub(super) in_copy: bool,
}

/// The names of `draft` that stand in the place of others of `source`, where the two sentences are the
/// same around them.
pub(super) fn replaced_names<'t>(draft: &'t [Token], source: &[Token]) -> Replaced<'t> {
    if draft.len() > LONGEST || source.len() > LONGEST {
        return Replaced::default();
    }
    let mut same = common(draft, source);
    let share = same.len() as f32 / draft.len().max(1) as f32;
    if share < LEAST_SAME {
        return Replaced::default();
    }
    let in_copy = share >= COPY.0 && same.len() >= COPY.1;
    same.push((draft.len(), source.len()));
    let count = |token: &Token, of: &[Token]| of.iter().filter(|t| t.stem == token.stem).count();
    let mut names = Vec::new();
    let (mut from, mut source_from) = (0, 0);
    for (to, source_to) in same {
        let (ours, theirs) = (&draft[from..to], &source[source_from..source_to]);
        if ours.len() == theirs.len() {
            let others = ours.iter().zip(theirs).filter(|(ours, theirs)| {
                is_fact(ours)
                    && is_fact(theirs)
                    && count(ours, draft) > count(ours, source)
                    && count(theirs, source) > count(theirs, draft)
            });
            names.extend(others.map(|(ours, _)| ours));
        }
        (from, source_from) = (to + 1, source_to + 1);
    }
    Replaced { names, in_copy }
}

/// Whether a word is, or may be, a name; `Seven` may be one too.
fn is_fact(token: &Token) -> bool {
    !matches!(token.kind, TokenKind::Word | TokenKind::Negation)
}

/// Places of the longest run of words that both have in one order.
fn common(a: &[Token], b: &[Token]) -> Vec<(usize, usize)> {
    let wide = b.len() + 1;
    // Words in common from a place in each on.
    let mut left = vec![0_u16; (a.len() + 1) * wide];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            left[i * wide + j] = if a[i].stem == b[j].stem {
                left[(i + 1) * wide + j + 1] + 1
            } else {
                left[(i + 1) * wide + j].max(left[i * wide + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut places = Vec::new();
    while i < a.len() && j < b.len() {
        if a[i].stem == b[j].stem {
            places.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if left[(i + 1) * wide + j] >= left[i * wide + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::words::tokens;
    use super::*;

    fn replaced(draft: &str, source: &str) -> (Vec<String>, bool) {
        let (draft, source) = (tokens(draft), tokens(source));
        let found = replaced_names(&draft, &source);
        let names = found.names.into_iter().map(|t| t.stem.clone());
        (names.collect(), found.in_copy)
    }

    #[test]
    fn a_name_in_the_place_of_another_is_seen() {
        let source = "He made Robert of Jumièges archbishop of Canterbury in 1051.";
        let draft = "He made Edward of Jumièges archbishop of Canterbury in 1051.";
        assert_eq!(replaced(draft, source), (vec!["edward".into()], true));
        let source = "After 1971, Shell was slow to change its prices.";
        let draft = "Opec was slow to change prices.";
        assert_eq!(replaced(draft, source).0, Vec::<String>::new());
        let draft = "After 1971, Opec was slow to change its prices.";
        assert_eq!(replaced(draft, source), (vec!["opec".into()], false));
    }

    #[test]
    fn a_name_of_the_sentence_in_a_second_place_is_seen() {
        let source = "The Court of Justice reads the Treaties, and nobody else does.";
        let draft = "The Treaty of Justice reads the Treaties, and nobody else does.";
        assert_eq!(replaced(draft, source).0, ["treaty"]);
    }

    #[test]
    fn what_is_left_out_or_added_replaces_nothing() {
        let source = "The mill, which Ada built in Ervan, burned down in 1898.";
        for draft in [
            "The mill burned down in 1898.",
            "Ada built the mill in Ervan.",
            "The mill that Ada Lind built in Ervan burned down in 1898.",
            "The mill burned down in Ervan.",
            "Dogs are welcome in Tolma on Fridays.",
        ] {
            let found = replaced(draft, source).0;
            assert_eq!(found, Vec::<String>::new(), "{draft}");
        }
    }
}

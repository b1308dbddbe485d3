//! How well follow-ups are understood: pairs of questions about one paragraph, the second of which
//! names what the first was about by a pronoun alone, and pairs that have nothing to do with each
//! other.

use std::collections::BTreeMap;

use anyhow::Result;
use faq_core::{
    Answerer, AskOptions, Collection, Control, FollowUps, Passage, SearchOptions, Threshold,
};
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use crate::answers::Question;
use crate::beir::Document;
use crate::retrieve::document_of;

/// Two questions, one after the other.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What was asked before.
    pub first: String,
    /// What is asked now.
    pub second: String,
    /// The same in full.
    pub whole: String,
    /// The paragraph that answers it.
    pub paragraph: String,
    /// Whether the second has to do with the first.
    pub is_follow_up: bool,
}

/// Shares of the pairs of one kind, 0 to 1.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Shares {
    /// Pairs.
    pub pairs: usize,
    /// The paragraph is the first that is found for the question in full.
    pub in_full: f64,
    /// The same for the words of the second question alone.
    pub alone: f64,
    /// The same for what the second question was understood as.
    pub understood: f64,
    /// The second question was understood as something else than its own words.
    pub changed: f64,
}

/// Makes pairs of questions: follow-ups from neighbours about one paragraph that share a name, and as
/// many changes of the subject.
pub fn pairs(questions: &[Question]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (a, b) in questions.iter().zip(questions.iter().skip(1)) {
        if a.paragraph == b.paragraph
            && let Some(second) = with_pronoun(&a.question, &b.question)
        {
            pairs.push(Pair {
                first: a.question.clone(),
                second,
                whole: b.question.clone(),
                paragraph: b.paragraph.clone(),
                is_follow_up: true,
            });
        }
    }
    let follow_ups = pairs.len();
    let far = questions.len() / 2;
    let changed = questions.iter().zip(questions.iter().skip(far));
    pairs.extend(changed.take(follow_ups).map(|(a, b)| Pair {
        first: a.question.clone(),
        second: b.question.clone(),
        whole: b.question.clone(),
        paragraph: b.paragraph.clone(),
        is_follow_up: false,
    }));
    pairs
}

/// `second` with the name that it shares with `first` as a pronoun.
fn with_pronoun(first: &str, second: &str) -> Option<String> {
    let names = |text: &str| -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut open = false;
        for word in text.unicode_words().skip(1) {
            let is_name = word.starts_with(char::is_uppercase);
            match names.last_mut() {
                Some(last) if open && is_name => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ if is_name => names.push(word.to_owned()),
                _ => {}
            }
            open = is_name;
        }
        names
    };
    let before = names(first);
    let shared = names(second).into_iter().find(|n| before.contains(n))?;
    let plural = shared.ends_with('s');
    let owned = format!("{shared}'s");
    let (from, to) = if second.contains(&owned) {
        (owned, if plural { "their" } else { "its" })
    } else {
        (shared, if plural { "they" } else { "it" })
    };
    let article = format!("the {from}");
    let from = if second.contains(&article) {
        article
    } else {
        from
    };
    Some(second.replacen(&from, to, 1))
}

/// Asks each pair and counts whether the right paragraph is found first.
///
/// # Errors
/// Where the engine fails.
pub fn shares(
    collection: &Collection,
    corpus: &[Document],
    pairs: &[Pair],
    answerer: &Answerer,
    follow_ups: FollowUps,
    done: &mut dyn FnMut(),
) -> Result<BTreeMap<&'static str, Shares>> {
    let mut all: BTreeMap<&'static str, Shares> = BTreeMap::new();
    let first = |question: &str, pair: &Pair| -> Result<f64> {
        let options = SearchOptions {
            k: 1,
            ..SearchOptions::default()
        };
        let found = collection.search(question, &options, &Control::new())?;
        let right =
            |p: &Passage| document_of(&p.filename, corpus).is_some_and(|d| d.id == pair.paragraph);
        Ok(f64::from(u8::from(found.hits.first().is_some_and(right))))
    };
    for pair in pairs {
        let options = AskOptions {
            answerer: answerer.clone(),
            follow_ups,
            earlier: vec![pair.first.clone()],
            threshold: Threshold::Probability(0.0),
            ..AskOptions::default()
        };
        let understood = collection.understand(&pair.second, &options, &Control::new())?;
        let kind = if pair.is_follow_up {
            "follow-up"
        } else {
            "new subject"
        };
        let shares = all.entry(kind).or_default();
        shares.pairs += 1;
        shares.in_full += first(&pair.whole, pair)?;
        shares.alone += first(&pair.second, pair)?;
        shares.understood += first(&understood, pair)?;
        shares.changed += f64::from(u8::from(understood != pair.second));
        done();
    }
    for shares in all.values_mut() {
        let pairs = shares.pairs.max(1) as f64;
        for share in [
            &mut shares.in_full,
            &mut shares.alone,
            &mut shares.understood,
            &mut shares.changed,
        ] {
            *share /= pairs;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_name_becomes_a_pronoun() {
        let first = "Where is the Rhine Falls bridge of Tolma?";
        let second = with_pronoun(first, "How long is the bridge of Tolma?");
        assert_eq!(second.as_deref(), Some("How long is the bridge of it?"));
        let normans = with_pronoun("Who led the Normans?", "What did the Normans build?");
        assert_eq!(normans.as_deref(), Some("What did they build?"));
        assert_eq!(with_pronoun(first, "How high are the Alps?"), None);
    }
}

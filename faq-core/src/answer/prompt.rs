//! What a language model is asked: rules, worked examples, numbered passages, the question.
//!
//! Passages are data. They stand between markers of their own, the rules say that nothing in
//! them is an instruction, and what looks like a marker inside them is taken apart.

use super::AskOptions;
use super::anatomy::{PassageTokens, PromptBudget};
use super::evidence::Evidence;
use super::relevance::Question;
use crate::generate::{GenerateError, Generator, Message, Role};

/// A prompt, and which part of each passage went into it.
pub(super) struct Prompt {
    pub(super) messages: Vec<Message>,
    /// Leading messages that are the same for every question.
    pub(super) fixed: usize,
    /// The passages that fit, each with what is read of it.
    pub(super) evidence: Vec<Evidence>,
    pub(super) budget: PromptBudget,
}

/// Builds the prompt within [`AskOptions::prompt_tokens`] of the generator. The question is always whole.
/// Passages share what is left: each may have as much as the others, what a short one leaves goes to the
/// longer ones, and one that does not fit is cut down to the sentences around its best one. The last are left out
/// where the others would be cut to scraps.
pub(super) fn build(
    question: &str,
    evidence: &[Evidence],
    generator: &dyn Generator,
    options: &AskOptions,
) -> Result<Prompt, GenerateError> {
    let (prompts, budget) = (options.prompts_for(question), options.prompt_tokens);
    let told = &prompts.answer;
    let rules = told.rules(options.tone.as_deref(), options.instructions.as_deref());
    let mut messages = vec![Message::new(Role::System, rules)];
    for example in &told.examples {
        let mut text = String::new();
        for (i, passage) in example.passages.iter().enumerate() {
            text.push_str(&framed(i + 1, "", passage));
        }
        text.push_str(&told.question(&example.question));
        messages.push(Message::new(Role::User, text));
        messages.push(Message::new(Role::Assistant, told.answered(example)));
    }
    let fixed = messages.len();
    let ask = told.question(question);
    let mut spent = PromptBudget {
        template: prompts.name(),
        budget,
        rules: 0,
        question: generator.count_tokens(&ask)? + PER_MESSAGE,
        passages: Vec::new(),
    };
    for message in &messages {
        spent.rules += generator.count_tokens(&message.content)? + PER_MESSAGE;
    }
    let words = Question::new(question);
    let mut left = budget.saturating_sub(spent.rules + spent.question);
    let costs = evidence
        .iter()
        .map(|e| generator.count_tokens(&passage(e, 1)))
        .collect::<Result<Vec<_>, _>>()?;
    let (fitting, share) = shared(&costs, left);
    let mut kept: Vec<Evidence> = Vec::new();
    let mut user = String::new();
    for candidate in &evidence[..fitting] {
        let number = kept.len() + 1;
        let most = share.min(left);
        let Some((cut, text, cost)) = fit(candidate, number, &words, generator, most)? else {
            continue;
        };
        left -= cost;
        spent.passages.push(PassageTokens {
            chunk_id: cut.passage.chunk_id.clone(),
            tokens: cost,
            shown: cut.read,
        });
        user.push_str(&text);
        kept.push(cut);
    }
    user.push_str(&ask);
    messages.push(Message::new(Role::User, user));
    Ok(Prompt {
        messages,
        fixed,
        evidence: kept,
        budget: spent,
    })
}

/// What passages stand between.
pub(super) const MARKS: [&str; 2] = ["<passage", "</passage"];

/// Tokens that a chat template puts around a message, at most.
const PER_MESSAGE: usize = 8;

/// Fewest tokens that are worth a passage.
const LEAST_PASSAGE: usize = 48;

/// Fewest tokens that a passage is cut to while others stand beside it: three passages that can be read tell a
/// small model more than five scraps.
const LEAST_CUT: usize = 180;

/// How many of the first passages go into `room`, and the most that each of them can have.
fn shared(costs: &[usize], room: usize) -> (usize, usize) {
    let most = costs.len().min(room / LEAST_PASSAGE);
    let ways = (1..=most).rev().map(|n| (n, fair_share(&costs[..n], room)));
    let is_scrap = |share: usize| move |cost: &usize| *cost > share && share < LEAST_CUT;
    let mut ways = ways.filter(|(n, share)| *n == 1 || !costs[..*n].iter().any(is_scrap(*share)));
    ways.next().unwrap_or((0, room))
}

/// The most that each of `needs` can have so that all together have `room`.
fn fair_share(needs: &[usize], room: usize) -> usize {
    let mut sorted = needs.to_vec();
    sorted.sort_unstable();
    let mut left = room;
    for (i, need) in sorted.iter().enumerate() {
        let share = left / (sorted.len() - i);
        if *need > share {
            return share;
        }
        left -= need;
    }
    room
}

/// The passage as it stands in the prompt, cut down to `most` tokens where it must be.
fn fit(
    evidence: &Evidence,
    number: usize,
    question: &Question,
    generator: &dyn Generator,
    most: usize,
) -> Result<Option<(Evidence, String, usize)>, GenerateError> {
    let text = passage(evidence, number);
    let cost = generator.count_tokens(&text)?;
    if cost <= most {
        return Ok(Some((evidence.clone(), text, cost)));
    }
    let sentences = evidence.sentences();
    let coverage = |i: &usize| question.coverage(evidence.passage.slice(sentences[*i]));
    let Some(best) =
        (0..sentences.len()).max_by(|a, b| coverage(a).total_cmp(&coverage(b)).then(b.cmp(a)))
    else {
        return Ok(None);
    };
    let (mut from, mut to) = (best, best);
    let mut fitted: Option<(Evidence, String, usize)> = None;
    loop {
        let mut cut = evidence.clone();
        cut.read.start = sentences[from].start;
        cut.read.end = sentences[to].end;
        let text = passage(&cut, number);
        let cost = generator.count_tokens(&text)?;
        if cost > most {
            return Ok(fitted);
        }
        fitted = Some((cut, text, cost));
        // What follows a sentence explains it more often than what comes before it.
        if to + 1 < sentences.len() {
            to += 1;
        } else if from > 0 {
            from -= 1;
        } else {
            return Ok(fitted);
        }
    }
}

fn passage(evidence: &Evidence, number: usize) -> String {
    let heading = evidence.passage.heading.as_deref().unwrap_or_default();
    framed(number, heading, &evidence.text())
}

fn framed(number: usize, heading: &str, text: &str) -> String {
    let head = if heading.is_empty() {
        String::new()
    } else {
        format!("({})\n", disarm(heading))
    };
    format!("<passage {number}>\n{head}{}\n</passage>\n", disarm(text))
}

/// Takes apart what looks like our own markers, so that a document cannot close its passage.
fn disarm(text: &str) -> String {
    MARKS.iter().fold(text.to_owned(), |text, mark| {
        text.replace(mark, &mark.replacen('<', "< ", 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_short_passages_leave_goes_to_the_longer_ones() {
        assert_eq!(fair_share(&[100, 100, 100], 300), 300);
        assert_eq!(fair_share(&[50, 400, 400], 450), 200);
        assert_eq!(fair_share(&[], 10), 10);
    }

    #[test]
    fn passages_that_would_be_cut_to_scraps_are_left_out() {
        assert_eq!(shared(&[250; 5], 602), (3, 200));
        assert_eq!(shared(&[100; 5], 602), (5, 602));
        assert_eq!(shared(&[90, 300, 300, 90], 602), (4, 211));
        assert_eq!(shared(&[900; 5], 2000), (5, 400));
        assert_eq!(shared(&[900; 5], 150), (1, 150));
        assert_eq!(shared(&[50, 60], 150), (2, 150));
        assert_eq!(shared(&[900; 5], 40), (0, 40));
        assert_eq!(shared(&[], 602), (0, 602));
    }
}

//! Answers that a language model writes: each sentence is checked before anybody sees it.

use std::ops::ControlFlow;

use super::AskOptions;
use super::anatomy::{PromptBudget, WrittenSentence};
use super::evidence::Evidence;
use super::extractive::Read;
use super::prompt;
use super::reading::Reader;
use super::relevance::Question;
use super::sentence::sentences;
use super::template::Prompts;
use super::verify::{Supported, Unsupported, Verifier};
use crate::generate::{GenerateOptions, Generator, Look, StopReason};
use crate::{Control, Result};

/// Takes a sentence that passed its check: what stands before it, the sentence, where it is
/// supported, and what the model read.
pub(super) type Sink<'a> = dyn FnMut(&str, &str, Supported, &[Evidence]) + 'a;

/// What a model's draft came to.
pub(super) struct Written {
    /// What the prompt was made of.
    pub(super) prompt: PromptBudget,
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
    pub(super) first_token_ms: u64,
    /// What was written, in order; what was left out nobody saw.
    pub(super) sentences: Vec<WrittenSentence>,
}

/// Lets `generator` answer from what was read, `reader` looking into it in between. Each sentence that
/// passed its check goes to `sink` with what stands between it and the one before (`""`, `" "` or `"\n"`).
pub(super) fn write(
    question: &str,
    read: &Read<'_>,
    generator: &dyn Generator,
    reader: Option<&mut Reader>,
    options: &AskOptions,
    control: &Control,
    sink: &mut Sink<'_>,
) -> Result<Written> {
    let prompts = options.prompts_for(question);
    let prompt = prompt::build(question, read.evidence, generator, options)?;
    let mut options = GenerateOptions {
        fixed_messages: prompt.fixed,
        ..options.generate.clone()
    };
    // A model that begins to write passages of its own has nothing more to say.
    options.stop.extend(prompt::MARKS.map(str::to_owned));
    let asked = Question::new(question);
    let verifier = Verifier::new(asked.words(), &prompt.evidence);
    let mut draft = Draft::new(prompts);
    let mut sentences: Vec<WrittenSentence> = Vec::new();
    let mut first = true;
    let may_quote = reader.is_some();
    // Goes on until the model repeats itself.
    let mut check = |sentence: Sentence| {
        let is_repeated = sentences.iter().any(|s| s.text == sentence.text);
        let verdict = if is_repeated {
            Err(Unsupported::Repeated)
        } else {
            verifier.check(&sentence.text, &sentence.cites)
        };
        // An answer that begins elsewhere than where the answer was found is seldom right.
        let verdict = verdict.and_then(|supported| {
            let is_best = !first
                || !may_quote
                || read.chose(&prompt.evidence[supported.evidence], supported.range);
            is_best.then_some(supported).ok_or(Unsupported::Elsewhere)
        });
        if let Ok(supported) = verdict {
            let between = if first { "" } else { sentence.between };
            sink(between, &sentence.text, supported, &prompt.evidence);
            first = false;
        }
        sentences.push(WrittenSentence {
            text: sentence.text,
            cited: sentence.cites.iter().map(|i| i + 1).collect(),
            supported_by: verdict.ok().map(|s| s.evidence + 1),
            left_out: verdict.err(),
        });
        !is_repeated
    };
    let mut sink = |piece: &str| {
        draft.text.push_str(piece);
        let goes_on = draft.finished().into_iter().all(&mut check);
        if goes_on && !draft.abstains() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let generation = match reader {
        Some(reader) => {
            let look = Look {
                layers: reader.layers,
                see: &mut |state| reader.see(state),
            };
            generator.generate_with_look(&prompt.messages, &options, control, look, &mut sink)?
        }
        None => generator.generate(&prompt.messages, &options, control, &mut sink)?,
    };
    // A sentence that was cut off is no sentence.
    let whole = generation.stop == StopReason::End;
    draft.rest(whole).into_iter().all(&mut check);
    Ok(Written {
        prompt_tokens: generation.prompt_tokens,
        completion_tokens: generation.completion_tokens,
        first_token_ms: generation.first_token_ms,
        prompt: prompt.budget,
        sentences,
    })
}

/// A sentence of a draft, its markers taken off.
#[derive(Debug, PartialEq)]
struct Sentence {
    text: String,
    /// Passages it cites, from 0.
    cites: Vec<usize>,
    /// What stood between it and the one before: `" "` or `"\n"`.
    between: &'static str,
}

/// What a model has written so far, and how much of it was handed on.
#[derive(Debug)]
struct Draft<'p> {
    text: String,
    taken: usize,
    /// What a model says that does not know.
    dont_know: &'p str,
}

impl<'p> Draft<'p> {
    fn new(prompts: &'p Prompts) -> Self {
        Self {
            text: String::new(),
            taken: 0,
            dont_know: &prompts.answer.dont_know,
        }
    }

    /// Sentences that are whole: another one has begun after them.
    fn finished(&mut self) -> Vec<Sentence> {
        let (mut sentences, ends) = self.split();
        // The last one may go on, and a marker of it may still come.
        let last = sentences.pop();
        if last.is_some_and(|s| s.text.starts_with('[') && !s.text.contains(']')) {
            // It is the beginning of a marker of the sentence before it.
            return Vec::new();
        }
        if let Some(end) = sentences.len().checked_sub(1).map(|last| ends[last]) {
            self.taken = end;
        }
        sentences
    }

    /// What is left at the end of the draft; its last sentence only where it is `whole`.
    fn rest(&mut self, whole: bool) -> Vec<Sentence> {
        let (mut sentences, _) = self.split();
        let closed = self
            .text
            .trim_end()
            .ends_with(['.', '!', '?', ']', '。', ':', ')']);
        if !whole && !closed {
            sentences.pop();
        }
        self.taken = self.text.len();
        sentences
    }

    fn abstains(&self) -> bool {
        self.text.trim_start().starts_with(self.dont_know)
    }

    /// Sentences that were not handed on yet, and where each ends in the draft.
    fn split(&self) -> (Vec<Sentence>, Vec<usize>) {
        let rest = &self.text[self.taken..];
        let mut found: Vec<Sentence> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        let mut before = 0;
        for range in sentences(rest) {
            let (text, cites) = take_markers(&rest[range.start..range.end]);
            let gap = &rest[before..range.start];
            before = range.end;
            match found.last_mut() {
                // A marker after the full stop belongs to the sentence before it, and so does
                // what stands between that marker and the next sentence.
                Some(last) if leading_markers(&rest[range.start..range.end]).0 > 0 => {
                    let (led, bytes) = leading_markers(&rest[range.start..range.end]);
                    let (own, later) = cites.split_at(led.min(cites.len()));
                    last.cites.extend_from_slice(own);
                    if let Some(end) = ends.last_mut() {
                        *end = self.taken + range.start + bytes;
                    }
                    if text.is_empty() {
                        continue;
                    }
                    found.push(Sentence {
                        text,
                        cites: later.to_vec(),
                        between: " ",
                    });
                }
                _ if text.is_empty() => continue,
                _ => {
                    let between = if gap.contains('\n') { "\n" } else { " " };
                    found.push(Sentence {
                        text,
                        cites,
                        between,
                    });
                }
            }
            ends.push(self.taken + range.end);
        }
        (found, ends)
    }
}

/// The sentence without markers such as `[2]` or `[1, 3]`, and the passages they name, from 0.
fn take_markers(sentence: &str) -> (String, Vec<usize>) {
    let mut text = String::with_capacity(sentence.len());
    let mut cites = Vec::new();
    let mut rest = sentence;
    while let Some(open) = rest.find('[') {
        let Some((numbers, after)) = marker(&rest[open..]) else {
            text.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        };
        text.push_str(rest[..open].trim_end());
        cites.extend(numbers.into_iter().filter_map(|n| n.checked_sub(1)));
        rest = after;
    }
    text.push_str(rest);
    let text = text.trim().to_owned();
    let text = if text.chars().any(char::is_alphanumeric) {
        text
    } else {
        String::new()
    };
    (text, cites)
}

/// Numbers of the marker that `text` begins with, and what follows it.
fn marker(text: &str) -> Option<(Vec<usize>, &str)> {
    let inside = text.strip_prefix('[')?;
    let close = inside.find(']')?;
    let numbers: Option<Vec<usize>> = inside[..close]
        .split(',')
        .map(|n| n.trim().trim_start_matches("passage ").parse().ok())
        .collect();
    Some((numbers?, &inside[close + 1..]))
}

/// How many passages the markers at the very start of a sentence name, and how many bytes
/// those markers take.
fn leading_markers(sentence: &str) -> (usize, usize) {
    let mut named = 0;
    let mut rest = sentence.trim_start();
    while let Some((numbers, after)) = marker(rest) {
        named += numbers.len();
        rest = after.trim_start_matches([' ', '.', ',']);
    }
    (named, sentence.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<(String, Vec<usize>)> {
        let mut draft = Draft::new(&Prompts::shipped()[0]);
        let mut found = Vec::new();
        for c in text.chars() {
            draft.text.push(c);
            found.extend(draft.finished());
        }
        found.extend(draft.rest(true));
        found.into_iter().map(|s| (s.text, s.cites)).collect()
    }

    fn cited(text: &str, cites: &[usize]) -> (String, Vec<usize>) {
        (text.to_owned(), cites.to_vec())
    }

    #[test]
    fn markers_before_and_after_the_stop_belong_to_their_sentence() {
        let expected = [
            cited("It costs 12 euros.", &[1]),
            cited("It opens at 9:30.", &[0, 2]),
        ];
        assert_eq!(
            pieces("It costs 12 euros [2]. It opens at 9:30 [1][3]."),
            expected
        );
        assert_eq!(
            pieces("It costs 12 euros. [2] It opens at 9:30. [1, 3]"),
            expected
        );
    }

    #[test]
    fn brackets_that_are_no_markers_stay() {
        assert_eq!(
            pieces("Use a[i] here [1]."),
            [cited("Use a[i] here.", &[0])]
        );
    }

    #[test]
    fn a_sentence_that_was_cut_off_is_dropped() {
        let mut draft = Draft::new(&Prompts::shipped()[0]);
        draft.text.push_str("One is whole [1]. The next one is n");
        assert_eq!(draft.finished().len(), 1);
        assert!(draft.rest(false).is_empty());
    }
}

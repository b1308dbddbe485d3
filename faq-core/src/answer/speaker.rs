//! Hands an answer on while it grows, and keeps what is to be said with it.

use std::time::Instant;

use faq_ingest::ByteRange;

use super::anatomy::{Anatomy, WeighedSentence};
use super::evidence::Evidence;
use super::extractive::Found;
use super::reading::Reader;
use super::source::Sources;
use super::template::Prompts;
use super::{
    AbstainReason, Answer, AnswerEvent, AnswerTimings, Answerability, AskOptions, DroppedSentence,
    FailedModel, Reading, Usage,
};
use crate::search::milliseconds;
use crate::{Collection, Result};

/// Line breaks and bullets around a sentence are the document's, not the answer's.
pub(super) fn one_line(text: &str) -> String {
    let text = text.trim_start_matches(['-', '*', '•', '–', ' ']);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A document's own notes, raised, so that no `[1]` of its text passes for a marker of the answer's sources.
pub(super) fn raised_notes(text: &str) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let mut raised = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, inside) = (&rest[..open], &rest[open + 1..]);
        raised.push_str(before);
        let note = inside.split_once(']').filter(|(note, _)| {
            note.starts_with(|c: char| c.is_ascii_digit())
                && note
                    .chars()
                    .all(|c| c.is_ascii_digit() || [',', ' '].contains(&c))
        });
        if let Some((note, after)) = note {
            raised.extend(note.chars().filter_map(|c| match c.to_digit(10) {
                Some(digit) => RAISED.get(digit as usize).copied(),
                None => (c == ',').then_some(c),
            }));
            rest = after;
        } else {
            raised.push('[');
            rest = inside;
        }
    }
    raised + rest
}

/// Hands the answer on, sentence by sentence, and numbers its sources.
pub(super) struct Speaker<'a> {
    on_event: &'a mut dyn FnMut(AnswerEvent<'_>),
    started: Instant,
    /// Who answers.
    pub(super) model: String,
    answer: String,
    sources: Sources,
    understood_as: Option<String>,
    read_by: Option<String>,
    answerability: Option<Answerability>,
    pub(super) timings: AnswerTimings,
    pub(super) usage: Usage,
    pub(super) dropped: Vec<DroppedSentence>,
    pub(super) failed: Vec<FailedModel>,
    explain: bool,
    prompts: &'a Prompts,
    pub(super) anatomy: Option<Box<Anatomy>>,
}

impl<'a> Speaker<'a> {
    pub(super) fn new(
        on_event: &'a mut dyn FnMut(AnswerEvent<'_>),
        question: &str,
        options: &'a AskOptions,
    ) -> Self {
        Self {
            on_event,
            started: Instant::now(),
            model: options.answerer.name().to_owned(),
            answer: String::new(),
            sources: Sources::default(),
            understood_as: None,
            read_by: None,
            answerability: None,
            timings: AnswerTimings::default(),
            usage: Usage::default(),
            dropped: Vec::new(),
            failed: Vec::new(),
            explain: options.explain,
            prompts: options.prompts_for(question),
            anatomy: None,
        }
    }

    pub(super) fn tell(&mut self, event: AnswerEvent<'_>) {
        (self.on_event)(event);
    }

    /// Says as which question it was understood.
    pub(super) fn understood(&mut self, question: &str) {
        self.understood_as = Some(question.to_owned());
        self.tell(AnswerEvent::Understood(question));
    }

    /// Keeps how the answer comes about, where that is asked for.
    pub(super) fn explain(&mut self, anatomy: impl FnOnce() -> Anatomy) {
        if self.explain {
            self.anatomy = Some(Box::new(anatomy()));
        }
    }

    /// Keeps how the sentences were weighed.
    pub(super) fn weighed(&mut self, found: &Found, evidence: &[Evidence]) {
        self.answerability = Some(found.answerability);
        if let Some(anatomy) = &mut self.anatomy {
            let sentence = |weighed: &super::extractive::Weighed| {
                let passage = &evidence[weighed.support.evidence].passage;
                WeighedSentence {
                    chunk_id: passage.chunk_id.clone(),
                    byte_range: weighed.support.range,
                    text: one_line(&passage.said(weighed.support.range)),
                    score: weighed.score,
                    cosine: weighed.cosine,
                    chosen: found.support.contains(&weighed.support),
                }
            };
            anatomy.sentences = found.weighed.iter().map(sentence).collect();
        }
    }

    /// Keeps what reading told the model that answers.
    pub(super) fn read(&mut self, reader: &Reader) {
        if reader.probability.is_some() {
            self.read_by = Some(self.model.clone());
        }
        if let Some(judged) = &mut self.answerability {
            judged.as_read = reader.probability;
        }
        if let Some(anatomy) = &mut self.anatomy {
            anatomy.reading = Some(Reading {
                layers: reader.layers,
                probability: reader.probability,
                least: reader.least(),
                state: reader.state.clone(),
            });
        }
    }

    /// Whether anything of the answer was handed on.
    pub(super) fn has_spoken(&self) -> bool {
        !self.answer.is_empty()
    }

    /// Hands a supported sentence on, with the marker of its source.
    pub(super) fn say(
        &mut self,
        between: &str,
        sentence: &str,
        evidence: &Evidence,
        range: ByteRange,
        collection: &Collection,
    ) -> Result<()> {
        let (number, new) = self.sources.cite(evidence, range, collection)?;
        if new {
            (self.on_event)(AnswerEvent::Source(self.sources.last()));
        }
        let between = if self.answer.is_empty() { "" } else { between };
        let delta = with_marker(between, sentence, number);
        if self.answer.is_empty() {
            self.timings.first_delta = milliseconds(self.started);
        }
        self.answer.push_str(&delta);
        (self.on_event)(AnswerEvent::Delta(&delta));
        Ok(())
    }

    pub(super) fn finish(self) -> Answer {
        if self.answer.is_empty() {
            return self.abstain(AbstainReason::Unsupported);
        }
        self.end(None)
    }

    pub(super) fn abstain(mut self, reason: AbstainReason) -> Answer {
        self.answer = String::from(self.prompts.silence(reason));
        self.sources = Sources::default();
        (self.on_event)(AnswerEvent::Delta(&self.answer));
        self.end(Some(reason))
    }

    fn end(mut self, reason: Option<AbstainReason>) -> Answer {
        self.timings.total = milliseconds(self.started);
        Answer {
            answer: self.answer,
            abstained: reason.is_some(),
            reason,
            sources: self.sources.into_vec(),
            answerability: self.answerability,
            model: self.model,
            timings_ms: self.timings,
            usage: self.usage,
            understood_as: self.understood_as,
            read_by: self.read_by,
            dropped: self.dropped,
            failed: self.failed,
            anatomy: self.anatomy,
        }
    }
}

/// `It costs 12 euros.` and 2 give `It costs 12 euros [2].`; the stop of an abbreviation stays where it is:
/// `until 6 a.m. [2]`.
fn with_marker(between: &str, sentence: &str, number: usize) -> String {
    let body = sentence.trim_end_matches(['.', '!', '?', '。', ';', ',']);
    let last = body.rsplit(char::is_whitespace).next().unwrap_or(body);
    let is_abbreviated =
        last.contains('.') && last.split('.').all(|part| part.chars().count() == 1);
    if is_abbreviated {
        return format!("{between}{sentence} [{number}]");
    }
    let stop = &sentence[body.len()..];
    format!("{between}{body} [{number}]{stop}")
}

#[cfg(test)]
mod tests {
    use super::{raised_notes, with_marker};

    #[test]
    fn the_notes_of_a_document_are_no_markers() {
        for (text, raised) in [
            (
                "0.38 euros a kilometre[1], a bicycle",
                "0.38 euros a kilometre¹, a bicycle",
            ),
            ("It was so.[12][3, 40]", "It was so.¹²³,⁴⁰"),
            ("a[i] of [sic] [1x] and [", "a[i] of [sic] [1x] and ["),
        ] {
            assert_eq!(raised_notes(text), raised);
        }
    }

    #[test]
    fn a_marker_stands_before_a_stop_and_behind_an_abbreviation() {
        for (sentence, marked) in [
            ("It costs 12 euros.", "It costs 12 euros [2]."),
            ("Is it so?!", "Is it so [2]?!"),
            ("It opens at 6 a.m.", "It opens at 6 a.m. [2]"),
            ("He moved to the U.S.", "He moved to the U.S. [2]"),
            ("It costs 0.38 euros.", "It costs 0.38 euros [2]."),
            ("It costs 0.38.", "It costs 0.38 [2]."),
            ("See faq.toml.", "See faq.toml [2]."),
        ] {
            assert_eq!(with_marker("", sentence, 2), marked);
        }
    }
}

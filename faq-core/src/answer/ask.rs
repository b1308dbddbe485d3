//! The way of a question through the stages.

use std::borrow::Cow;
use std::time::Instant;

use faq_index::Phrases;

use super::anatomy::{Anatomy, FoundPassage};
use super::evidence::{self, Evidence, Fate, Sifted};
use super::extractive::{self, Found, Read};
use super::reading::{Probe, Reader};
use super::relevance::{self, Part, Question};
use super::speaker::{Speaker, one_line, raised_notes};
use super::{
    AbstainReason, Answer, AnswerEvent, Answerer, AskOptions, DroppedSentence, FailedModel,
    FollowUps, Threshold, Usage, Wording, conversation, written,
};
use crate::generate::{GenerateError, Generator};
use crate::passage::Passage;
use crate::search::milliseconds;
use crate::{Collection, Control, Error, Result, SearchOptions, TextKind};

/// Hits that are looked at; the threshold and `max_context_chunks` choose among them.
pub(super) const CANDIDATES: usize = 10;

/// A question as it was understood, and what was found for it.
pub(super) struct Asked<'q> {
    /// What is answered.
    pub(super) question: Cow<'q, str>,
    /// What was typed, where that is a follow-up.
    pub(super) follow_up: Option<&'q str>,
    /// The whole question first, then its sentences, each with what was found for it.
    pub(super) found: Vec<(Part, Vec<Passage>)>,
    /// State that was searched.
    pub(super) seq: u64,
}

impl Collection {
    /// Answers a question from the collection's documents, with sources, or says that it does
    /// not know and why. `on_event` is called on this thread while the answer grows.
    ///
    /// # Errors
    /// Those of [`search`](Collection::search), and [`Error::Generate`] from a model where nobody
    /// is left to answer instead.
    pub fn ask(
        &self,
        question: &str,
        options: &AskOptions,
        control: &Control,
        on_event: &mut dyn FnMut(AnswerEvent<'_>),
    ) -> Result<Answer> {
        self.ask_with(question, options, control, on_event, &mut |_| Ok(()))
    }

    /// The same; `look` sees what was found before it is answered from.
    pub(super) fn ask_with(
        &self,
        question: &str,
        options: &AskOptions,
        control: &Control,
        on_event: &mut dyn FnMut(AnswerEvent<'_>),
        look: &mut dyn FnMut(&Asked<'_>) -> Result<()>,
    ) -> Result<Answer> {
        options.check()?;
        let asked_as = question;
        let mut speaker = Speaker::new(on_event, question, options);
        let started = Instant::now();
        let (question, follow_up) = understand(question, options, control)?;
        if question != asked_as {
            speaker.understood(&question);
        }
        speaker.timings.understand = milliseconds(started);
        speaker.tell(AnswerEvent::Searching);
        let started = Instant::now();
        let asked = self.find(question, follow_up, options, control)?;
        if let Some((whole, _)) = asked.found.first()
            && whole.text != asked.question
        {
            speaker.understood(&whole.text);
        }
        speaker.timings.search = milliseconds(started);
        look(&asked)?;
        self.answer(&asked, options, control, speaker)
    }

    /// The question that is searched and answered for `question`: a follow-up in the light of
    /// [`AskOptions::earlier`], any other as it is.
    ///
    /// # Errors
    /// [`Error::Generate`] where it was stopped while a model wrote it.
    pub fn understand(
        &self,
        question: &str,
        options: &AskOptions,
        control: &Control,
    ) -> Result<String> {
        understand(question, options, control).map(|(whole, _)| whole.into_owned())
    }

    /// Searches a question, whole and sentence by sentence.
    pub(super) fn find<'q>(
        &self,
        question: Cow<'q, str>,
        follow_up: Option<&'q str>,
        options: &AskOptions,
        control: &Control,
    ) -> Result<Asked<'q>> {
        let search = search_options(options);
        let mut found = Vec::new();
        let mut seq = 0;
        for part in relevance::parts(&question) {
            let (response, understood) = self.search_with(part, &search, control)?;
            let part = Part {
                question: Question::new(&understood.text),
                text: understood.text,
                vector: understood.vector.unwrap_or_default(),
                foreign: understood.foreign,
            };
            seq = response.seq;
            found.push((part, response.hits));
        }
        Ok(Asked {
            question,
            follow_up,
            found,
            seq,
        })
    }

    /// Answers from what was found.
    pub(super) fn answer(
        &self,
        asked: &Asked<'_>,
        options: &AskOptions,
        control: &Control,
        mut speaker: Speaker<'_>,
    ) -> Result<Answer> {
        let started = Instant::now();
        let sifted = evidence::sift(&asked.found, options.threshold, options.max_context_chunks);
        speaker.explain(|| Anatomy {
            searched: asked.found.iter().map(|(p, _)| p.text.clone()).collect(),
            seq: asked.seq,
            threshold: options.threshold,
            passages: sifted.iter().map(FoundPassage::new).collect(),
            sentences: Vec::new(),
            prompt: None,
            reading: None,
            written: Vec::new(),
        });
        if sifted.is_empty() {
            return Ok(speaker.abstain(AbstainReason::NoHits));
        }
        let evidence = read(sifted);
        if evidence.is_empty() {
            return Ok(speaker.abstain(AbstainReason::BelowThreshold));
        }
        let passages: Vec<&Passage> = evidence.iter().map(|e| &e.passage).collect();
        speaker.tell(AnswerEvent::Reading(&passages));
        let found = self.weigh(asked, &evidence, control)?;
        speaker.timings.judge = milliseconds(started);
        let Some(found) = found else {
            return Ok(speaker.abstain(AbstainReason::Unsupported));
        };
        speaker.weighed(&found, &evidence);
        let least = least_probability(options.threshold, asked.follow_up.is_some());
        let before = least.map(|least| least_before(least, &options.answerer));
        if before.is_some_and(|least| !found.reaches(least)) {
            return Ok(speaker.abstain(AbstainReason::BelowThreshold));
        }
        let read = Read {
            evidence: &evidence,
            found: &found,
            least,
        };
        let mut left = std::iter::once(&options.answerer)
            .chain(&options.fallbacks)
            .peekable();
        while let Some(answerer) = left.next() {
            answerer.name().clone_into(&mut speaker.model);
            let said = match answerer {
                Answerer::Extractive if least.is_some_and(|least| !found.reaches(least)) => {
                    Ok(Said::Nothing(AbstainReason::BelowThreshold))
                }
                Answerer::Extractive => self.quote(&read, &mut speaker),
                Answerer::Model(generator) => {
                    self.write(asked, &read, &**generator, options, control, &mut speaker)
                }
            };
            match said {
                Ok(Said::All) => break,
                Ok(Said::Nothing(reason)) => return Ok(speaker.abstain(reason)),
                Err(Error::Generate(error))
                    if left.peek().is_some()
                        && !speaker.has_spoken()
                        && control.check().is_ok() =>
                {
                    let model = answerer.name().to_owned();
                    tracing::warn!(%model, %error, "a model failed; the next one answers");
                    let error = error.to_string();
                    speaker.failed.push(FailedModel { model, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(speaker.finish())
    }

    /// Weighs the sentences of the passages as answers.
    pub(super) fn weigh(
        &self,
        asked: &Asked<'_>,
        evidence: &[Evidence],
        control: &Control,
    ) -> Result<Option<Found>> {
        let best_cosine = asked
            .found
            .iter()
            .flat_map(|(_, hits)| hits)
            .filter_map(|hit| hit.dense_score)
            .fold(0.0, f32::max);
        let embedder = self.embedder()?;
        let own = asked.follow_up.map(|text| (text, Question::new(text)));
        let (parts, in_light) = match own.filter(|(_, own)| !own.is_empty()) {
            // Found in the light of what was asked before, a sentence has to speak to
            // what is asked now.
            Some((text, question)) => {
                let mut vectors = embedder.embed(&[text], TextKind::Query, control)?;
                let own = Part {
                    text: text.to_owned(),
                    question,
                    vector: vectors.pop().unwrap_or_default(),
                    foreign: asked.found.first().is_some_and(|(part, _)| part.foreign),
                };
                (vec![own], asked.found.first().map(|(part, _)| part))
            }
            None => (
                asked.found.iter().map(|(part, _)| part.clone()).collect(),
                None,
            ),
        };
        extractive::support(&parts, in_light, evidence, best_cosine, &*embedder, control)
    }

    /// Says the best sentences as they stand.
    fn quote(&self, read: &Read<'_>, speaker: &mut Speaker<'_>) -> Result<Said> {
        for sentence in &read.found.support {
            let evidence = &read.evidence[sentence.evidence];
            let text = one_line(&evidence.passage.said(sentence.range));
            let text = raised_notes(&text);
            speaker.say(" ", &text, evidence, sentence.range, self)?;
        }
        Ok(Said::All)
    }

    /// Lets a model read and write, and says what is supported. Where it is known what its reading tells,
    /// it says nothing that the passages do not answer, and where nothing stands of what it wrote the best
    /// sentences speak for themselves.
    fn write(
        &self,
        asked: &Asked<'_>,
        read: &Read<'_>,
        generator: &dyn Generator,
        options: &AskOptions,
        control: &Control,
        speaker: &mut Speaker<'_>,
    ) -> Result<Said> {
        let before = read.found.answerability.probability;
        let only_reads = options.wording == Wording::Documents;
        let mut reader = Reader::new(generator, before, read.least, only_reads, options.look_at);
        let mut failed = None;
        let written = written::write(
            &asked.question,
            read,
            generator,
            reader.as_mut(),
            options,
            control,
            &mut |between, text, supported, read| {
                let evidence = &read[supported.evidence];
                let said = speaker.say(between, text, evidence, supported.range, self);
                failed = failed.take().or(said.err());
            },
        )?;
        if let Some(error) = failed {
            return Err(error);
        }
        tracing::debug!(
            passages = written.prompt.passages.len(),
            first_token_ms = written.first_token_ms,
            sentences = written.sentences.len(),
            "a model answered"
        );
        speaker.usage = Usage {
            prompt_tokens: written.prompt_tokens,
            completion_tokens: written.completion_tokens,
        };
        let dropped = written.sentences.iter().filter_map(|sentence| {
            Some(DroppedSentence {
                text: sentence.text.clone(),
                reason: sentence.left_out?,
            })
        });
        speaker.dropped.extend(dropped);
        if let Some(anatomy) = &mut speaker.anatomy {
            anatomy.prompt = Some(written.prompt);
            anatomy.written = written.sentences;
        }
        let Some(reader) = reader else {
            return Ok(Said::All);
        };
        speaker.read(&reader);
        if reader.doubts() {
            return Ok(Said::Nothing(AbstainReason::Unsupported));
        }
        if only_reads || (!speaker.has_spoken() && reader.may_quote()) {
            Answerer::Extractive.name().clone_into(&mut speaker.model);
            return self.quote(read, speaker);
        }
        Ok(Said::All)
    }
}

/// What came of an answerer.
enum Said {
    /// Whatever it had to say.
    All,
    /// Nothing, and why.
    Nothing(AbstainReason),
}

/// The question as it is meant, and what was typed where the two are put together by rule.
pub(super) fn understand<'q>(
    question: &'q str,
    options: &AskOptions,
    control: &Control,
) -> Result<(Cow<'q, str>, Option<&'q str>)> {
    let earlier = &options.earlier;
    if let (Answerer::Model(generator), FollowUps::Model) = (&options.answerer, options.follow_ups)
    {
        let prompts = options.prompts_for(question);
        match conversation::rewritten(question, earlier, &**generator, prompts, control) {
            Ok(Some(whole)) => return Ok((Cow::Owned(whole), None)),
            Ok(None) => {}
            Err(error @ GenerateError::Interrupted(_)) => return Err(error.into()),
            // Rules need no model, and who answers is asked later.
            Err(error) => tracing::warn!(%error, "a model could not rewrite a question"),
        }
    }
    Ok(match conversation::in_light_of(question, earlier) {
        Some(whole) => (Cow::Owned(whole), Some(question)),
        None => (Cow::Borrowed(question), None),
    })
}

impl AskOptions {
    /// Refuses options that make no sense, as [`Collection::ask`] does.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no passages to read, and for a model that cannot answer in the documents'
    /// words.
    pub fn check(&self) -> Result<()> {
        if self.max_context_chunks == 0 {
            return Err(Error::invalid(
                "0 passages cannot be answered from; allow 1 or more",
            ));
        }
        if let (Wording::Documents, Answerer::Model(generator), None) =
            (self.wording, &self.answerer, self.look_at)
            && Probe::of(&**generator).is_none()
        {
            return Err(Error::invalid(format!(
                "{} cannot answer in the documents' words, since nothing is known of how it reads; that is \
             known of {}",
                generator.name(),
                Probe::models().join(", ")
            )));
        }
        Ok(())
    }
}

/// How a question is searched.
pub(super) fn search_options(options: &AskOptions) -> SearchOptions {
    SearchOptions {
        k: CANDIDATES.max(options.max_context_chunks),
        filter: options.filter.clone(),
        spelling: options.spelling.clone(),
        // In a sentence, marks may set a name apart as well as ask for exact words.
        phrases: Phrases::Preferred,
        ..SearchOptions::default()
    }
}

/// The passages that are read, most relevant first.
pub(super) fn read(sifted: Vec<Sifted>) -> Vec<Evidence> {
    let read = sifted.into_iter().filter(|s| s.fate == Fate::Read);
    read.map(|s| s.evidence).collect()
}

/// What of the threshold is asked of a follow-up that rules put together: it has few words of its
/// own, and reads less like a question than those that the threshold was found with.
const FOLLOW_UP: f32 = 1.0 / 3.0;

/// The least probability that is asked of an answer; `None` where a cosine decides alone.
pub(super) fn least_probability(threshold: Threshold, is_follow_up: bool) -> Option<f32> {
    match threshold {
        Threshold::Probability(least) if is_follow_up => Some(least * FOLLOW_UP),
        Threshold::Probability(least) => Some(least),
        Threshold::Cosine(_) => None,
    }
}

/// The share of the threshold that is asked before a model reads whose reading tells more.
const BEFORE_READING: f32 = 0.5;

/// What of the least probability is asked before `answerer` has had a look.
pub(super) fn least_before(least: f32, answerer: &Answerer) -> f32 {
    match answerer {
        Answerer::Model(generator) if Probe::of(&**generator).is_some() => least * BEFORE_READING,
        _ => least,
    }
}

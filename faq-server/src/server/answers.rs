//! Inference behind a bounded queue: a few answers at a time, a few more that wait, and for the
//! rest "busy" at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use faq_core::{
    AbstainReason, Answer, AnswerEvent, AnswerSource, AskOptions, CancelToken, Collection, Control,
    Error, Filter,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::app::App;
use super::error::ApiError;
use super::identity::Tenant;

/// Answers that are kept for the same question.
const CACHED: usize = 10_000;

/// What is happening to an answer, for its reader.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// `searching`, `reading` or `writing`.
    Stage(&'static str),
    /// A source, cited for the first time.
    Source(Box<AnswerSource>),
    /// The next piece of the answer, and the number of the source it cites.
    Piece(String, Option<usize>),
}

/// A question in the light of its conversation.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) question: String,
    /// Earlier questions, oldest first.
    pub(crate) earlier: Vec<String>,
    pub(crate) filter: Filter,
    /// How to write, as the organisation wants it.
    pub(crate) tone: Option<String>,
    /// What a model is told besides.
    pub(crate) instructions: Option<String>,
}

/// Who answers, and how many at a time.
pub(crate) struct Answers {
    /// Who answers, who answers instead, and how.
    options: AskOptions,
    timeout: Duration,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    cache: Cache,
}

/// A place among those that are being answered.
pub(crate) struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// What [`Answers::new`] needs to know.
pub(crate) struct Capacity {
    pub(crate) slots: usize,
    pub(crate) waiting: usize,
    pub(crate) timeout: Duration,
    pub(crate) cache: Duration,
}

impl Answers {
    pub(crate) fn new(options: AskOptions, capacity: &Capacity) -> Self {
        Self {
            options,
            timeout: capacity.timeout,
            slots: Arc::new(Semaphore::new(capacity.slots)),
            waiting: AtomicUsize::new(0),
            most_waiting: capacity.waiting,
            cache: Cache::new(capacity.cache),
        }
    }

    /// Waits for a slot where the queue has room, and is refused at once where it has none.
    pub(crate) async fn admit(&self, app: &App) -> Result<Slot, ApiError> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(Slot(permit));
        }
        let _place = Waiting::join(self, app).ok_or_else(|| ApiError::overloaded(2))?;
        let permit = Arc::clone(&self.slots).acquire_owned().await;
        permit.map(Slot).map_err(ApiError::internal)
    }

    /// Answers, telling each step. Blocks; `cancel` ends it soon.
    pub(crate) fn answer(
        &self,
        app: &App,
        tenant: Tenant,
        asked: &Asked,
        cancel: &CancelToken,
        tell: &mpsc::Sender<Step>,
    ) -> Result<Answer, Error> {
        let _gone = tell.blocking_send(Step::Stage("searching"));
        let collection = app.collection(&tenant)?;
        let key = Cache::key(tenant, &collection, asked)?;
        if let Some(answer) = self.cache.get(&key) {
            app.metrics.answered(&answer.model, "cached");
            replay(&answer, tell);
            return Ok(answer);
        }
        let control = Control {
            cancel: cancel.clone(),
            deadline: Some(Instant::now() + self.timeout),
        };
        let result = self.ask(&collection, asked, &control, tell);
        match &result {
            Ok(answer) => {
                for failed in &answer.failed {
                    app.metrics.answered(&failed.model, "failed");
                }
                app.metrics.answer(answer);
                // Whoever answered in another's place need not do so the next time.
                if answer.failed.is_empty() {
                    self.cache.put(key, answer.clone());
                }
            }
            Err(e) if e.is_interrupted() => app.metrics.answered(self.model(), "cancelled"),
            Err(_) => app.metrics.answered(self.model(), "failed"),
        }
        result
    }

    fn ask(
        &self,
        collection: &Collection,
        asked: &Asked,
        control: &Control,
        tell: &mpsc::Sender<Step>,
    ) -> Result<Answer, Error> {
        let options = AskOptions {
            filter: asked.filter.clone(),
            earlier: asked.earlier.clone(),
            tone: asked.tone.clone().or_else(|| self.options.tone.clone()),
            instructions: asked.instructions.clone(),
            ..self.options.clone()
        };
        collection.ask(&asked.question, &options, control, &mut |event| {
            let step = match event {
                AnswerEvent::Reading(_) => Step::Stage("reading"),
                AnswerEvent::Source(source) => Step::Source(Box::new(source.clone())),
                AnswerEvent::Delta(text) => Step::Piece(text.to_owned(), marker(text)),
                _ => return,
            };
            let reading = matches!(step, Step::Stage("reading"));
            // Whoever listens may have gone; the control says so in a moment.
            let _gone = tell.blocking_send(step);
            if reading {
                let _gone = tell.blocking_send(Step::Stage("writing"));
            }
        })
    }

    /// Name of the model that answers.
    pub(crate) fn model(&self) -> &str {
        self.options.answerer.name()
    }
}

/// The number in the last `[n]` of a piece.
fn marker(text: &str) -> Option<usize> {
    let (_, rest) = text.rsplit_once('[')?;
    rest.split_once(']')?.0.parse().ok()
}

/// Tells an answer that is known already as if it were being found.
fn replay(answer: &Answer, tell: &mpsc::Sender<Step>) {
    for source in &answer.sources {
        let _gone = tell.blocking_send(Step::Source(Box::new(source.clone())));
    }
    let mut rest = answer.answer.as_str();
    while !rest.is_empty() {
        // A piece ends behind its marker and the stop after it.
        let end = rest
            .match_indices(']')
            .map(|(i, _)| i + 1)
            .find(|&i| marker(&rest[..i]).is_some())
            .map_or(rest.len(), |i| {
                let stops = rest[i..].chars().take_while(|c| ".!?。;,".contains(*c));
                i + stops.map(char::len_utf8).sum::<usize>()
            });
        let (piece, left) = rest.split_at(end);
        let _gone = tell.blocking_send(Step::Piece(piece.to_owned(), marker(piece)));
        rest = left;
    }
}

/// The stable name of a reason.
pub(crate) fn reason_name(reason: AbstainReason) -> &'static str {
    match reason {
        AbstainReason::NoHits => "no_hits",
        AbstainReason::BelowThreshold => "below_threshold",
        AbstainReason::Unsupported => "unsupported",
    }
}

/// Counts a question among those that wait, for as long as it does.
struct Waiting<'a>(&'a Answers, &'a App);

impl<'a> Waiting<'a> {
    fn join(answers: &'a Answers, app: &'a App) -> Option<Self> {
        let room = |n| (n < answers.most_waiting).then_some(n + 1);
        answers
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, room)
            .ok()?;
        app.metrics.answers_waiting.inc();
        Some(Self(answers, app))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
        self.1.metrics.answers_waiting.dec();
    }
}

/// An organisation, and everything else that an answer depends on, as JSON.
type Key = (uuid::Uuid, String);

/// Answers by question, for a while. The state of the collection is part of the key, so that
/// nothing is answered from what was deleted or lacks what was added.
struct Cache {
    keep: Duration,
    entries: Mutex<HashMap<Key, (Instant, Answer)>>,
}

impl Cache {
    fn new(keep: Duration) -> Self {
        Self {
            keep,
            entries: Mutex::default(),
        }
    }

    fn key(tenant: Tenant, collection: &Collection, asked: &Asked) -> Result<Key, Error> {
        let parts = (
            collection.index().seq(),
            &asked.question,
            &asked.earlier,
            &asked.filter,
            (&asked.tone, &asked.instructions),
        );
        let parts = serde_json::to_string(&parts).map_err(|e| Error::Invalid {
            what: format!("the question cannot be compared with others: {e}"),
        })?;
        Ok((tenant.id(), parts))
    }

    fn get(&self, key: &Key) -> Option<Answer> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, answer) = entries.get(key)?;
        (made.elapsed() < self.keep).then(|| answer.clone())
    }

    fn put(&self, key: Key, answer: Answer) {
        if self.keep.is_zero() {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CACHED {
            entries.retain(|_, (made, _)| made.elapsed() < self.keep);
        }
        if entries.len() < CACHED {
            entries.insert(key, (Instant::now(), answer));
        }
    }
}

impl Answers {
    /// Drops answers whose time is up, and with them words of documents that may be gone.
    pub(crate) fn sweep(&self) {
        let mut entries = self
            .cache
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, (made, _)| made.elapsed() < self.cache.keep);
    }

    /// Drops every answer from an organisation's documents.
    pub(crate) fn forget(&self, tenant: Tenant) {
        let mut entries = self
            .cache
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        entries.retain(|(organisation, _), _| *organisation != tenant.id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_names_its_source() {
        assert_eq!(marker("It costs 12 euros [2]."), Some(2));
        assert_eq!(marker("See [a] and [12]"), Some(12));
        assert_eq!(marker("I don't know."), None);
    }
}

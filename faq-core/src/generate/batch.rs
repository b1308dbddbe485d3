//! Steps of several conversations, computed together.
//!
//! To write a token a model reads all its weights, and reads them once for as many conversations
//! as take the step together. Each caller submits its step; one of them, the leader, takes what
//! was submitted, computes it on its own thread, and hands the results out. There is no thread
//! between, and a caller alone is its own leader.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::attention::Attention;
use super::decoder::{self, Decoder, Room, Sequence, Wanted};
use crate::{Control, Interrupted};

/// How long a leader waits for steps of conversations that are about to take one. Choosing a
/// token takes a fraction of that.
const GATHER: Duration = Duration::from_millis(1);

/// How often a waiting caller looks at its cancel token and its deadline.
const LOOK: Duration = Duration::from_millis(20);

/// A step of one conversation: tokens to be read.
pub(super) struct Step {
    pub(super) tokens: Vec<u32>,
    pub(super) attention: Attention,
    pub(super) scores: Wanted,
    pub(super) state: Option<decoder::State>,
}

/// What a step gave.
pub(super) struct Taken {
    /// As it is after the step.
    pub(super) attention: Attention,
    /// Those that were wanted.
    pub(super) scores: Vec<f32>,
    pub(super) state: Option<decoder::State>,
}

/// Why a step gave nothing. The attention is lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Interrupted(Interrupted),
    /// Whoever computed it panicked.
    Lost,
}

/// Steps that wait, and what came of those that were computed.
pub(super) struct Batch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Conversations that take steps.
    active: usize,
    next: u64,
    waiting: Vec<(u64, Step)>,
    done: HashMap<u64, Result<Taken, Failure>>,
    /// None while a leader has it.
    room: Option<Room>,
}

/// A conversation that takes steps, for as long as this lives.
pub(super) struct Member<'a> {
    batch: &'a Batch,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                room: Some(Room::default()),
                ..State::default()
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn join(&self) -> Member<'_> {
        self.lock().active += 1;
        Member { batch: self }
    }

    /// Nothing that can panic changes the state in several places, so a poisoned lock holds a
    /// good one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.batch.lock().active -= 1;
        self.batch.changed.notify_all();
    }
}

impl Member<'_> {
    /// Computes a step, with those of others or alone.
    pub(super) fn take(
        &self,
        decoder: &Decoder,
        step: Step,
        control: &Control,
    ) -> Result<Taken, Failure> {
        let batch = self.batch;
        let mut state = batch.lock();
        let id = state.next;
        state.next += 1;
        state.waiting.push((id, step));
        batch.changed.notify_all();
        loop {
            if let Some(result) = state.done.remove(&id) {
                return result;
            }
            let waiting = state.waiting.iter().position(|(waiting, _)| *waiting == id);
            if let Some(at) = waiting {
                if let Err(e) = control.check() {
                    state.waiting.remove(at);
                    return Err(Failure::Interrupted(e));
                }
                if let Some(room) = state.room.take() {
                    let (steps, alone) = batch.gather(state);
                    batch.lead(decoder, room, steps, alone.then_some(control));
                    state = batch.lock();
                    continue;
                }
            }
            state = batch.wait(state, LOOK);
        }
    }
}

impl Batch {
    /// Waits a moment for the others' steps, and takes all. Says whether there is one alone.
    fn gather(&self, mut state: MutexGuard<'_, State>) -> (Vec<(u64, Step)>, bool) {
        let end = Instant::now() + GATHER;
        while state.waiting.len() < state.active {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wait(state, left);
        }
        let steps = std::mem::take(&mut state.waiting);
        let alone = steps.len() == 1;
        (steps, alone)
    }

    fn lead(
        &self,
        decoder: &Decoder,
        room: Room,
        steps: Vec<(u64, Step)>,
        control: Option<&Control>,
    ) {
        let mut led = Led {
            batch: self,
            ids: steps.iter().map(|(id, _)| *id).collect(),
            room: Some(room),
            done: Vec::new(),
        };
        let Some(room) = led.room.as_mut() else {
            return;
        };
        let mut steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
        let mut sequences: Vec<Sequence<'_>> = steps
            .iter_mut()
            .map(|step| Sequence {
                tokens: &step.tokens,
                attention: &mut step.attention,
                scores: step.scores,
                state: step.state.as_mut(),
            })
            .collect();
        // One caller's interruption is no reason to interrupt the others.
        let control = control.cloned().unwrap_or_default();
        let result = decoder.read(room, &mut sequences, &control);
        led.done = match result {
            Err(e) => steps.iter().map(|_| Err(Failure::Interrupted(e))).collect(),
            Ok(scores) => {
                let wanted = steps
                    .iter()
                    .filter(|step| step.scores != Wanted::None)
                    .count();
                let mut rows = scores.chunks_exact((scores.len() / wanted.max(1)).max(1));
                let given = steps.into_iter().map(|step| {
                    let wanted = step.scores != Wanted::None;
                    let row = wanted.then(|| rows.next()).flatten();
                    Ok(Taken {
                        attention: step.attention,
                        scores: row.map(<[f32]>::to_vec).unwrap_or_default(),
                        state: step.state,
                    })
                });
                given.collect()
            }
        };
    }
}

/// Hands out what a leader computed, or says that it is lost where it panicked.
struct Led<'a> {
    batch: &'a Batch,
    ids: Vec<u64>,
    room: Option<Room>,
    done: Vec<Result<Taken, Failure>>,
}

impl Drop for Led<'_> {
    fn drop(&mut self) {
        let mut state = self.batch.lock();
        let done = self.done.drain(..).map(Some);
        for (id, result) in self
            .ids
            .iter()
            .zip(done.chain(std::iter::repeat_with(|| None)))
        {
            state.done.insert(*id, result.unwrap_or(Err(Failure::Lost)));
        }
        state.room = Some(self.room.take().unwrap_or_default());
        drop(state);
        self.batch.changed.notify_all();
    }
}

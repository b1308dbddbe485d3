//! A model that may fail for a while: asked again, and left alone where that does not help.

use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{GenerateError, GenerateOptions, Generation, Generator, Look, Message};
use crate::Control;

/// How long a wait sleeps before it looks at its control again.
const LOOK: Duration = Duration::from_millis(20);

/// How often a failing model is asked, and when it is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resilience {
    /// Times that a call is tried, the first included. Default 3.
    pub attempts: usize,
    /// Longest wait before the second try; it doubles from try to try, and each wait is drawn
    /// between half of it and all, so that many callers do not come back at once. Default 500 ms.
    pub first_wait: Duration,
    /// Longest wait of all. Default 8 s.
    pub longest_wait: Duration,
    /// Calls in a row that fail before the model is left alone. Default 3.
    pub failures: usize,
    /// How long it is left alone; then one call tries it while others still fail at once.
    /// Default 30 s.
    pub rest: Duration,
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(8),
            failures: 3,
            rest: Duration::from_secs(30),
        }
    }
}

/// A generator around another, for models behind a network.
///
/// A call that fails with an error that may pass is tried again, as long as nothing of its answer
/// was handed on. Where call after call fails, the circuit opens: for a while calls fail at once
/// with [`GenerateError::Resting`], so that a fallback answers without waiting for a dead endpoint.
pub struct Resilient {
    inner: Arc<dyn Generator>,
    options: Resilience,
    circuit: Mutex<Circuit>,
}

/// What is known of the calls before.
#[derive(Debug, Default)]
struct Circuit {
    /// Calls that failed since the last that did not.
    failed: usize,
    /// Until when nobody is let through.
    open_until: Option<Instant>,
}

impl Resilient {
    /// `inner`, asked as `options` say.
    pub fn new(inner: Arc<dyn Generator>, options: Resilience) -> Self {
        Self {
            inner,
            options,
            circuit: Mutex::default(),
        }
    }

    fn circuit(&self) -> std::sync::MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call through, or says for how long none is.
    fn enter(&self) -> Result<(), GenerateError> {
        let mut circuit = self.circuit();
        let now = Instant::now();
        match circuit.open_until {
            Some(until) if until > now => Err(GenerateError::Resting {
                model: self.inner.name().to_owned(),
                failures: circuit.failed,
                wait: until - now,
            }),
            Some(_) => {
                // This call tries; the others wait for what comes of it.
                circuit.open_until = Some(now + self.options.rest);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn failed(&self) {
        let mut circuit = self.circuit();
        circuit.failed += 1;
        if circuit.failed >= self.options.failures {
            circuit.open_until = Some(Instant::now() + self.options.rest);
        }
    }

    fn succeeded(&self) {
        *self.circuit() = Circuit::default();
    }

    /// How long to wait after the `n`th try failed, from 0.
    fn wait(&self, n: usize) -> Duration {
        let doubled = u32::try_from(n).map_or(u32::MAX, |n| 2u32.saturating_pow(n));
        let longest = self
            .options
            .first_wait
            .saturating_mul(doubled)
            .min(self.options.longest_wait);
        let share = RandomState::new().hash_one(n) as f64 / u64::MAX as f64;
        longest.mul_f64(0.5 + share / 2.0)
    }

    /// Calls until it succeeds, fails for good or has said something.
    fn try_until(
        &self,
        control: &Control,
        sink: &mut Heard<'_>,
        call: &mut dyn FnMut(&mut Heard<'_>) -> Result<Generation, GenerateError>,
    ) -> Result<Generation, GenerateError> {
        self.enter()?;
        let mut tries = 0;
        loop {
            let mut said = false;
            let result = call(&mut |piece| {
                said = true;
                sink(piece)
            });
            match result {
                Ok(generation) => {
                    self.succeeded();
                    return Ok(generation);
                }
                Err(error @ GenerateError::Remote { retryable, .. }) => {
                    tries += 1;
                    if said || !retryable || tries >= self.options.attempts.max(1) {
                        self.failed();
                        return Err(error);
                    }
                    tracing::debug!(%error, tries, "trying again");
                    sleep(self.wait(tries - 1), control)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Takes pieces of text.
type Heard<'a> = dyn FnMut(&str) -> ControlFlow<()> + 'a;

/// Sleeps, and ends early where the caller wants no more.
fn sleep(time: Duration, control: &Control) -> Result<(), GenerateError> {
    let until = Instant::now() + time;
    loop {
        control.check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(LOOK));
    }
}

impl std::fmt::Debug for Resilient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resilient")
            .field("inner", &self.inner.name())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Generator for Resilient {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn fingerprint(&self) -> String {
        self.inner.fingerprint()
    }

    fn lineage(&self) -> Option<String> {
        self.inner.lineage()
    }

    fn context_tokens(&self) -> usize {
        self.inner.context_tokens()
    }

    fn count_tokens(&self, text: &str) -> Result<usize, GenerateError> {
        self.inner.count_tokens(text)
    }

    fn generate(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError> {
        self.try_until(control, sink, &mut |heard| {
            self.inner.generate(messages, options, control, heard)
        })
    }

    fn generate_with_look(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        look: Look<'_>,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError> {
        self.try_until(control, sink, &mut |heard| {
            let look = Look {
                layers: look.layers,
                see: &mut *look.see,
            };
            self.inner
                .generate_with_look(messages, options, control, look, heard)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::generate::{Role, StopReason};

    /// Fails as often as it is told, then answers.
    struct Shaky {
        calls: AtomicUsize,
        fails: usize,
        retryable: bool,
        says_first: bool,
    }

    impl Generator for Shaky {
        fn name(&self) -> &str {
            "shaky"
        }

        fn context_tokens(&self) -> usize {
            100
        }

        fn count_tokens(&self, _: &str) -> Result<usize, GenerateError> {
            Ok(1)
        }

        fn generate(
            &self,
            _: &[Message],
            _: &GenerateOptions,
            _: &Control,
            sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
        ) -> Result<Generation, GenerateError> {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            if self.says_first {
                let _ = sink("half");
            }
            if call < self.fails {
                return Err(GenerateError::Remote {
                    url: "http://h".into(),
                    detail: "503".into(),
                    retryable: self.retryable,
                });
            }
            let _ = sink("whole");
            Ok(Generation {
                text: "whole".into(),
                prompt_tokens: 1,
                completion_tokens: 1,
                first_token_ms: 0,
                stop: StopReason::End,
            })
        }
    }

    fn shaky(fails: usize, retryable: bool, says_first: bool) -> (Arc<Shaky>, Resilient) {
        let model = Arc::new(Shaky {
            calls: AtomicUsize::new(0),
            fails,
            retryable,
            says_first,
        });
        let options = Resilience {
            first_wait: Duration::from_millis(1),
            rest: Duration::from_millis(60),
            failures: 2,
            ..Resilience::default()
        };
        (Arc::clone(&model), Resilient::new(model, options))
    }

    fn ask(model: &Resilient) -> Result<String, GenerateError> {
        let messages = [Message::new(Role::User, "?")];
        let options = GenerateOptions::default();
        let mut go_on = |_: &str| ControlFlow::Continue(());
        let said = model.generate(&messages, &options, &Control::new(), &mut go_on)?;
        Ok(said.text)
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let (inner, model) = shaky(2, true, false);
        assert_eq!(ask(&model).unwrap(), "whole");
        assert_eq!(inner.calls.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn what_will_not_pass_or_was_heard_in_part_is_not() {
        for (retryable, says_first) in [(false, false), (true, true)] {
            let (inner, model) = shaky(1, retryable, says_first);
            assert!(ask(&model).is_err());
            assert_eq!(inner.calls.load(Ordering::SeqCst), 1);
        }
    }

    #[test]
    fn a_dead_model_is_left_alone_and_tried_again_later() {
        let (inner, model) = shaky(6, true, false);
        for _ in 0..2 {
            assert_eq!(ask(&model).unwrap_err().code(), "endpoint_failed");
        }
        assert_eq!(ask(&model).unwrap_err().code(), "endpoint_resting");
        assert_eq!(inner.calls.load(Ordering::SeqCst), 6);
        std::thread::sleep(Duration::from_millis(70));
        assert_eq!(ask(&model).unwrap(), "whole");
        assert_eq!(ask(&model).unwrap(), "whole");
    }

    #[test]
    fn a_wait_ends_with_its_control() {
        let (_, mut model) = shaky(9, true, false);
        model.options.first_wait = Duration::from_secs(60);
        model.options.longest_wait = Duration::from_secs(60);
        let control = Control::new().with_timeout(Duration::from_millis(30));
        let messages = [Message::new(Role::User, "?")];
        let mut go_on = |_: &str| ControlFlow::Continue(());
        let error = model
            .generate(&messages, &GenerateOptions::default(), &control, &mut go_on)
            .unwrap_err();
        assert_eq!(error.code(), "deadline");
    }
}

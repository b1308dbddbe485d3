//! What a model knows of a question once it has read the passages, before it writes a word.
//!
//! A small model answers more than it knows, and asked whether a text answers a question it guesses.
//! What the prompt's last token has become in the middle of its layers tells more: a linear function of
//! that state, fitted once for a model, parts questions that the passages answer from those that they
//! only speak of. `docs/answers.md` says how it is fitted and what it is worth.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use serde::Deserialize;

use super::relevance::{DEFAULT_PROBABILITY, logistic};
use crate::generate::Generator;

/// What is known of a model: how its state after reading is turned into a probability.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    /// Name of the model.
    model: String,
    /// [`Generator::lineage`].
    lineage: String,
    /// Layers after which the state is looked at, from 1.
    layers: usize,
    /// Least probability, at the shipped threshold, for an answer that the model writes.
    least_written: f32,
    /// For one in the documents' words.
    least_quoted: f32,
    /// For one in the documents' words where nothing stands of what the model wrote.
    least_instead: f32,
    bias: f32,
    /// Weight of the logarithm of the odds that the passages had without the model.
    odds: f32,
    /// Weights of the state: `[width]`.
    state: Vec<f32>,
}

static SHIPPED: LazyLock<Vec<Probe>> = LazyLock::new(|| {
    [include_str!("readings/qwen2.5-coder-1.5b-instruct.toml")]
        .into_iter()
        .filter_map(|text| {
            let probe = toml::from_str(text);
            if let Err(error) = &probe {
                tracing::error!(%error, "a shipped reading of a model is damaged");
            }
            probe.ok()
        })
        .collect()
});

impl Probe {
    /// The one that is shipped for a model.
    pub(super) fn of(generator: &dyn Generator) -> Option<&'static Self> {
        let lineage = generator.lineage()?;
        SHIPPED.iter().find(|probe| probe.lineage == lineage)
    }

    /// Names of the models that there is one for.
    pub(super) fn models() -> Vec<&'static str> {
        SHIPPED.iter().map(|probe| probe.model.as_str()).collect()
    }

    /// The probability that the passages answer, by the model's state and by what it was without the
    /// model; `None` for a state of another width.
    fn probability(&self, state: &[f32], before: f32) -> Option<f32> {
        if state.len() != self.state.len() {
            return None;
        }
        let seen: f32 = state.iter().zip(&self.state).map(|(s, w)| s * w).sum();
        Some(logistic(self.bias + self.odds * log_odds(before) + seen))
    }
}

/// Looks into a model while it answers one question.
pub(super) struct Reader {
    /// Layers after which it looks.
    pub(super) layers: usize,
    probe: Option<&'static Probe>,
    /// The probability without the model.
    before: f32,
    /// The threshold for answers without a model; `None` asks for nothing.
    least: Option<f32>,
    /// Whether the documents answer in their own words, so that nothing is to be written.
    only_reads: bool,
    /// What was seen, `[width]`; empty where nothing was.
    pub(super) state: Vec<f32>,
    /// What that means.
    pub(super) probability: Option<f32>,
}

impl Reader {
    /// `None` where nothing can be told from `generator`. `look_at` are the layers to look at for a model
    /// that nothing is known of.
    pub(super) fn new(
        generator: &dyn Generator,
        before: f32,
        least: Option<f32>,
        only_reads: bool,
        look_at: Option<usize>,
    ) -> Option<Self> {
        let probe = Probe::of(generator);
        Some(Self {
            layers: look_at.or(probe.map(|probe| probe.layers))?,
            probe: probe.filter(|probe| look_at.is_none_or(|layers| layers == probe.layers)),
            before,
            least,
            only_reads,
            state: Vec::new(),
            probability: None,
        })
    }

    /// Takes the state, and says whether anything is to be written.
    pub(super) fn see(&mut self, state: &[f32]) -> ControlFlow<()> {
        state.clone_into(&mut self.state);
        self.probability = self
            .probe
            .and_then(|probe| probe.probability(state, self.before));
        if self.only_reads || self.doubts() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// The least probability that is asked for an answer; `None` where nothing is.
    pub(super) fn least(&self) -> Option<f32> {
        let probe = self.probe?;
        if self.only_reads {
            Some(in_proportion(probe.least_quoted, self.least_to_quote()))
        } else {
            Some(in_proportion(probe.least_written, self.least?))
        }
    }

    /// Whether the passages do not answer, as far as the model knows.
    pub(super) fn doubts(&self) -> bool {
        let known = self.probability.zip(self.least());
        known.is_some_and(|(probability, least)| probability < least)
    }

    /// Whether the documents may be quoted where nothing stands of what the model wrote.
    pub(super) fn may_quote(&self) -> bool {
        let known = self.probability.zip(self.probe);
        known.is_some_and(|(probability, probe)| {
            probability >= in_proportion(probe.least_instead, self.least_to_quote())
        })
    }

    /// Where a cosine decided which passages are read, whether to quote them is the model's to say still.
    fn least_to_quote(&self) -> f32 {
        self.least.unwrap_or(DEFAULT_PROBABILITY)
    }
}

/// What is asked at `threshold` where `shipped` is at the shipped one: other odds in the same proportion.
fn in_proportion(shipped: f32, threshold: f32) -> f32 {
    if threshold <= 0.0 {
        return 0.0;
    }
    logistic(log_odds(shipped) + log_odds(threshold) - log_odds(DEFAULT_PROBABILITY))
}

/// How near to 0 and 1 a probability is taken to be.
const CERTAIN: f32 = 1e-6;

fn log_odds(probability: f32) -> f32 {
    let p = probability.clamp(CERTAIN, 1.0 - CERTAIN);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::generate::ScriptedModel;

    fn reader(before: f32, least: Option<f32>) -> Reader {
        Reader {
            layers: SHIPPED[0].layers,
            probe: Some(&SHIPPED[0]),
            before,
            least,
            only_reads: false,
            state: Vec::new(),
            probability: None,
        }
    }

    #[test]
    fn what_is_shipped_can_be_read() {
        assert_eq!(Probe::models(), ["qwen2.5-coder-1.5b-instruct"]);
        for probe in SHIPPED.iter() {
            assert_eq!(probe.lineage.len(), 16);
            assert!(probe.layers > 0 && probe.odds > 0.0 && !probe.state.is_empty());
            for least in [probe.least_written, probe.least_quoted, probe.least_instead] {
                assert!((DEFAULT_PROBABILITY..1.0).contains(&least), "{least}");
            }
        }
    }

    #[test]
    fn likelier_passages_stay_likelier_and_another_threshold_asks_for_other_odds() {
        let state = vec![0.0; SHIPPED[0].state.len()];
        let seen = |before: f32, least: f32| {
            let mut reader = reader(before, Some(least));
            let _ = reader.see(&state);
            (reader.probability.unwrap(), reader.doubts())
        };
        assert!(seen(0.8, 0.2).0 > seen(0.3, 0.2).0);
        assert!(!seen(0.001, 0.0).1, "a threshold of 0 asks for nothing");
        assert!(seen(0.999, 1.0).1);
        assert!((in_proportion(0.3, DEFAULT_PROBABILITY) - 0.3).abs() < 1e-5);
        let mut by_cosine = reader(0.001, None);
        assert!(by_cosine.see(&state).is_continue());
        assert!(!by_cosine.doubts(), "it may say what it will");
        assert!(!by_cosine.may_quote(), "and no more is said for it");
        by_cosine.only_reads = true;
        assert!(by_cosine.doubts());
    }

    #[test]
    fn a_state_that_is_none_of_the_models_says_nothing() {
        let mut reader = reader(0.01, Some(0.2));
        assert!(reader.see(&[1.0; 3]).is_continue());
        assert_eq!(reader.probability, None);
        assert!(!reader.doubts() && !reader.may_quote());
    }

    #[test]
    fn of_a_model_that_is_not_known_only_the_state_is_kept() {
        let model = ScriptedModel::new(|_| String::new());
        assert!(Reader::new(&model, 0.5, Some(0.2), false, None).is_none());
        let mut reader = Reader::new(&model, 0.5, Some(0.2), false, Some(3)).unwrap();
        assert!(reader.see(&[1.0, 2.0]).is_continue());
        assert_eq!((reader.state.len(), reader.probability), (2, None));
    }
}

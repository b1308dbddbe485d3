//! In a build without the feature `grammar` no model can be held to one.

use std::convert::Infallible;

use super::Grammar;
use crate::generate::GenerateError;
use crate::generate::tokenizer::ModelTokenizer;

#[derive(Default)]
pub(in crate::generate) struct Holder {}

pub(in crate::generate) struct Held(Infallible);

impl Holder {
    #[allow(clippy::unused_self, reason = "as with the feature")]
    pub(in crate::generate) fn hold(
        &self,
        grammar: &Grammar,
        _: &ModelTokenizer,
    ) -> Result<Held, GenerateError> {
        Err(GenerateError::InvalidOption {
            field: "grammar",
            value: format!("a {}", grammar.kind()),
            wanted: "absent in a build without the feature `grammar`",
        })
    }
}

impl Held {
    pub(in crate::generate) fn allow(&mut self, _: &mut [f32]) -> Result<(), GenerateError> {
        match self.0 {}
    }

    pub(in crate::generate) fn take(&mut self, _: u32) -> Result<bool, GenerateError> {
        match self.0 {}
    }
}

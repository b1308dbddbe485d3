//! What becomes of words that no document holds, as a flag and a setting.

use clap::{Args as Group, ValueEnum};
use faq_core::Spelling;

/// What becomes of misspelled words.
#[derive(Debug, Clone, Copy, Group)]
pub(super) struct SpellingArgs {
    /// Words that no document holds: the nearest words of the documents are searched (tolerant), or
    /// nothing but what was asked (exact)
    #[arg(
        long,
        value_enum,
        value_name = "SPELLING",
        env = "SPELLING",
        hide_env = true,
        default_value_t = SpellingChoice::Tolerant
    )]
    spelling: SpellingChoice,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SpellingChoice {
    /// The nearest words are searched
    Tolerant,
    /// The words are searched as they are
    Exact,
}

impl From<SpellingArgs> for Spelling {
    fn from(args: SpellingArgs) -> Self {
        match args.spelling {
            SpellingChoice::Tolerant => Self::Tolerant,
            SpellingChoice::Exact => Self::Exact,
        }
    }
}

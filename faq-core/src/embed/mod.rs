//! Texts into vectors: the seam, and the encoders behind it.
//!
//! An [`Embedder`] knows nothing of documents or chunks; the ingest decides what it is given,
//! so that nothing is cut off unseen.

mod arithmetic;
mod bert;
mod config;
mod cross;
mod encoder;
mod error;
mod folder;
mod kernels;
mod packed;
mod panels;
mod pooling;
mod product;
mod token_vectors;
mod tokens;
mod weights;

pub use bert::BertEmbedder;
pub use cross::CrossEncoder;
pub use error::EmbedError;
pub use token_vectors::TokenVectors;

use faq_ingest::ByteRange;

use crate::Control;

/// The instruction set that models are computed with on this machine, the fastest of those that there
/// are kernels for: `AVX-512 VNNI`, `AVX2` or `portable`.
pub fn instruction_set() -> &'static str {
    crate::cpu::Level::best().name()
}

/// What a text is to the model; some models ask for another prefix for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// A question or search. It is embedded before any passages that wait.
    Query,
    /// A piece of a document.
    Passage,
}

/// What a model computes with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    Float32,
    /// 8-bit whole numbers in all products, floats in sums and norms. Vectors of all-MiniLM-L6-v2
    /// keep a cosine of 0.995 or more to those of [`Float32`](Self::Float32).
    #[default]
    Int8,
}

impl Precision {
    /// Its name in settings and fingerprints: `f32` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Int8, Self::Float32]
            .into_iter()
            .find(|precision| precision.name() == name)
            .ok_or_else(|| format!("{name:?} is no precision; give int8 or f32"))
    }
}

/// A model that turns texts into vectors.
///
/// ```
/// use faq_core::{ByteRange, Control, EmbedError, Embedder, TextKind};
///
/// /// Counts vowels. No good at search, but a whole embedder.
/// struct Vowels;
///
/// impl Embedder for Vowels {
///     fn name(&self) -> &str { "vowels" }
///     fn fingerprint(&self) -> String { "vowels-1".into() }
///     fn dim(&self) -> usize { 5 }
///     fn window_tokens(&self) -> usize { 128 }
///     fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, EmbedError> {
///         Ok(text.char_indices().map(|(i, c)| ByteRange::new(i, i + c.len_utf8())).collect())
///     }
///     fn embed(&self, texts: &[&str], _: TextKind, _: &Control) -> Result<Vec<Vec<f32>>, EmbedError> {
///         Ok(texts.iter().map(|t| {
///             let v: Vec<f32> = "aeiou".chars().map(|v| 1.0 + t.matches(v).count() as f32).collect();
///             let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
///             v.into_iter().map(|x| x / norm).collect()
///         }).collect())
///     }
/// }
/// # let v = Vowels.embed(&["banana"], TextKind::Query, &Control::new())?;
/// # assert_eq!(v[0].len(), Vowels.dim());
/// # Ok::<(), EmbedError>(())
/// ```
pub trait Embedder: Send + Sync {
    /// Name for people.
    fn name(&self) -> &str;

    /// What makes two vectors comparable: model, weights, precision, pooling and window.
    /// Collections remember it and refuse another.
    fn fingerprint(&self) -> String;

    /// Length of a vector.
    fn dim(&self) -> usize;

    /// Languages that it was made for, by ISO 639-1 code; `None`, the default, for all or unknown.
    /// In other languages a hybrid search gives its vectors less weight.
    fn languages(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Content tokens that the model reads of one text; 254 for all-MiniLM-L6-v2.
    fn window_tokens(&self) -> usize;

    /// Content tokens of `text` as ascending byte ranges, nothing cut off.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, EmbedError>;

    /// Vectors of `texts` in their order, each `[dim]` and L2-normalised. A text of more than
    /// [`window_tokens`](Self::window_tokens) is read up to there.
    ///
    /// # Errors
    /// [`EmbedError::Interrupted`] when `control` says so, and the model's own errors.
    fn embed(
        &self,
        texts: &[&str],
        kind: TextKind,
        control: &Control,
    ) -> Result<Vec<Vec<f32>>, EmbedError>;

    /// Vectors of the tokens of `texts`, as the model sees each in its text, for
    /// [reranking](crate::Rerank): special tokens included, read as far as
    /// [`embed`](Self::embed) reads, and before any passages that wait.
    ///
    /// # Errors
    /// [`EmbedError::NoTokenVectors`], the default, where the model has none; those of `embed`.
    fn embed_tokens(
        &self,
        texts: &[&str],
        kind: TextKind,
        control: &Control,
    ) -> Result<Vec<TokenVectors>, EmbedError> {
        let _ = (texts, kind, control);
        Err(EmbedError::NoTokenVectors {
            embedder: self.name().to_owned(),
        })
    }
}

/// Lends an embedder's tokenizer to the chunker.
pub(crate) struct EmbedderTokens<'a>(pub(crate) &'a dyn Embedder);

impl faq_ingest::TokenOffsets for EmbedderTokens<'_> {
    fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, String> {
        self.0.token_offsets(text).map_err(|e| e.to_string())
    }
}

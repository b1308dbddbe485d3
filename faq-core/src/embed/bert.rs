//! BERT encoders in sentence-transformers layout.
//!
//! Passages are embedded on a pool of threads of their own, a batch a thread; questions run
//! on another pool, and batches of passages wait while a question is being embedded.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use faq_ingest::ByteRange;
use rayon::prelude::*;
use serde::Deserialize;
use tokenizers::Tokenizer;

use super::config::Config;
use super::encoder::Forward;
use super::folder::{self, load_tokenizer, load_weights, optional_json, pool};
use super::packed::{BATCH_TOKENS, Ids, batches};
use super::pooling::{Pooling, PoolingConfig};
use super::{EmbedError, Embedder, Precision, TextKind, TokenVectors, tokens};
use crate::Control;
use crate::models::find_known;

/// What each kind of text has before it, where the model's files say nothing.
const E5: [&str; 2] = ["query: ", "passage: "];
const BGE_EN: &str = "Represent this sentence for searching relevant passages: ";
const BGE_ZH: &str = "为这个句子生成表示以用于检索相关文章：";

/// Tokens of a batch where a person waits for all of them: few enough that the threads end at about
/// the same time.
const TOKENS_BATCH_TOKENS: usize = 256;

/// An encoder of the BERT, RoBERTa or XLM-RoBERTa family in sentence-transformers layout, such as
/// all-MiniLM-L6-v2, bge-small-en-v1.5, gte-small, multilingual-e5-small or bge-m3 (its dense
/// vectors).
///
/// What stands before a question or a passage is what the model's files say; where they say nothing,
/// what E5 and BGE models were trained with, by the name of their folder.
///
/// ```no_run
/// use faq_core::{BertEmbedder, Control, Embedder, ModelStore, Precision, TextKind};
///
/// let model = ModelStore::default().embedding("all-minilm-l6-v2")?;
/// let model = BertEmbedder::load(&model, 2, Precision::Int8)?;
/// let vectors = model.embed(&["a short text"], TextKind::Passage, &Control::new())?;
/// assert_eq!(vectors[0].len(), 384);
/// # Ok::<(), faq_core::Error>(())
/// ```
pub struct BertEmbedder {
    name: String,
    fingerprint: String,
    dim: usize,
    vocabulary: usize,
    /// Tokens read of one text, special ones included.
    max_tokens: usize,
    special_tokens: usize,
    pooling: Pooling,
    query_prefix: String,
    passage_prefix: String,
    tokenizer: Tokenizer,
    encoder: Box<dyn Forward>,
    passages: rayon::ThreadPool,
    questions: rayon::ThreadPool,
    gate: Gate,
}

/// What `config_sentence_transformers.json` may say.
#[derive(Debug, Default, Deserialize)]
struct SentenceTransformers {
    #[serde(default)]
    prompts: std::collections::HashMap<String, String>,
}

/// What `sentence_bert_config.json` may say.
#[derive(Debug, Default, Deserialize)]
struct SentenceBert {
    max_seq_length: Option<usize>,
}

impl BertEmbedder {
    /// Loads the model in `dir`: `config.json`, `tokenizer.json`, `model.safetensors`, and
    /// where they exist `1_Pooling/config.json`, `sentence_bert_config.json` and
    /// `config_sentence_transformers.json`. `threads` is the number of texts' batches
    /// worked on at once.
    ///
    /// # Errors
    /// [`EmbedError`] names the file and what was wrong with it.
    pub fn load(dir: &Path, threads: usize, precision: Precision) -> Result<Self, EmbedError> {
        let config = Config::read(dir)?;
        check_modules(dir)?;
        let pooling = match optional_json::<PoolingConfig>(&dir.join("1_Pooling/config.json"))? {
            Some(config) => config.pooling().ok_or_else(|| EmbedError::Unsupported {
                path: dir.to_owned(),
                detail: "its pooling is neither mean nor cls".to_owned(),
            })?,
            None => Pooling::Mean,
        };
        let sentence: SentenceBert =
            optional_json(&dir.join("sentence_bert_config.json"))?.unwrap_or_default();
        let prompts: SentenceTransformers =
            optional_json(&dir.join("config_sentence_transformers.json"))?.unwrap_or_default();
        let max_tokens = sentence
            .max_seq_length
            .unwrap_or(config.positions())
            .min(config.positions());
        let tokenizer = load_tokenizer(dir, &config)?;
        let special_tokens = tokens::added(&tokenizer, false);
        if max_tokens <= special_tokens {
            return Err(EmbedError::Unsupported {
                path: dir.to_owned(),
                detail: format!("it reads {max_tokens} tokens, {special_tokens} of them special"),
            });
        }
        let loaded = load_weights(dir, &config, precision, |_| Ok(()))?;
        let (encoder, checksum) = (loaded.encoder, loaded.checksum);
        let name = folder::name(dir);
        let [query_prefix, passage_prefix] = prefixes(&name, &prompts);
        Ok(Self {
            fingerprint: format!(
                "bert:{checksum:08x}:{}:{}:{max_tokens}:{passage_prefix}",
                precision.name(),
                pooling.name()
            ),
            name,
            dim: config.hidden_size,
            vocabulary: config.vocab_size,
            max_tokens,
            special_tokens,
            pooling,
            query_prefix,
            passage_prefix,
            tokenizer,
            encoder,
            passages: pool("faq-embed", threads)?,
            questions: pool("faq-question", threads)?,
            gate: Gate::default(),
        })
    }

    /// Length of the vectors of the model in `dir`, `None` where its configuration does not say.
    pub(crate) fn dim_of(dir: &Path) -> Option<usize> {
        Config::read(dir).ok().map(|config| config.hidden_size)
    }

    /// What `take` makes of the hidden states `[tokens, dim]` of each text whose ids are given, all
    /// of one batch.
    fn forward<T>(
        &self,
        batch: &[Ids<'_>],
        take: &(impl Fn(&[f32]) -> T + Sync),
    ) -> Result<Vec<T>, EmbedError> {
        let states = self.encoder.forward(batch);
        if states.iter().any(|x| !x.is_finite()) {
            return Err(EmbedError::Model(
                "it gave a vector that is not finite; its weights are damaged".to_owned(),
            ));
        }
        let mut rest = states.as_slice();
        let taken = batch.iter().map(|text| {
            let (own, others) = rest.split_at(text.len() * self.dim);
            rest = others;
            take(own)
        });
        Ok(taken.collect())
    }

    /// The same of texts, in their order. Runs on the calling thread's rayon pool.
    fn each_text<T: Send>(
        &self,
        texts: &[&str],
        work: Work,
        control: &Control,
        take: impl Fn(&[f32]) -> T + Sync,
    ) -> Result<Vec<T>, EmbedError> {
        let prefix = match work.kind {
            TextKind::Query => &self.query_prefix,
            TextKind::Passage => &self.passage_prefix,
        };
        let limits = tokens::Limits {
            tokens: self.max_tokens,
            vocabulary: self.vocabulary,
        };
        let ids: Vec<Vec<u32>> = texts
            .par_iter()
            .map(|text| {
                if prefix.is_empty() {
                    tokens::ids(&self.tokenizer, text, limits)
                } else {
                    tokens::ids(&self.tokenizer, &format!("{prefix}{text}"), limits)
                }
            })
            .collect::<Result<_, _>>()?;
        let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
        let done: Vec<Vec<(usize, T)>> = batches(&lengths, work.batch_tokens)
            .into_par_iter()
            .map(|batch| {
                control.check()?;
                if work.waits {
                    self.gate.wait();
                }
                let rows: Vec<Ids<'_>> = batch.iter().map(|&i| Ids::one(&ids[i])).collect();
                let taken = self.forward(&rows, &take)?;
                Ok(batch.iter().copied().zip(taken).collect())
            })
            .collect::<Result<_, EmbedError>>()?;
        let mut taken: Vec<(usize, T)> = done.into_iter().flatten().collect();
        taken.sort_unstable_by_key(|(i, _)| *i);
        Ok(taken.into_iter().map(|(_, taken)| taken).collect())
    }
}

/// How texts are worked on.
#[derive(Clone, Copy)]
struct Work {
    kind: TextKind,
    /// Most tokens of a batch, where it has more than one text.
    batch_tokens: usize,
    /// Whether each batch lets questions pass.
    waits: bool,
}

impl Embedder for BertEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn languages(&self) -> Option<&'static [&'static str]> {
        find_known(&self.name)?.languages
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn window_tokens(&self) -> usize {
        let prefix = tokens::offsets(&self.tokenizer, &self.passage_prefix).map_or(0, |t| t.len());
        (self.max_tokens - self.special_tokens)
            .saturating_sub(prefix)
            .max(1)
    }

    fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, EmbedError> {
        self.passages
            .install(|| tokens::offsets(&self.tokenizer, text))
    }

    fn embed(
        &self,
        texts: &[&str],
        kind: TextKind,
        control: &Control,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let work = Work {
            kind,
            batch_tokens: BATCH_TOKENS,
            waits: kind == TextKind::Passage,
        };
        let vector = |states: &[f32]| self.pooling.vector(states, self.dim);
        match kind {
            TextKind::Passage => self
                .passages
                .install(|| self.each_text(texts, work, control, vector)),
            TextKind::Query => {
                let _first = self.gate.enter();
                self.questions
                    .install(|| self.each_text(texts, work, control, vector))
            }
        }
    }

    fn embed_tokens(
        &self,
        texts: &[&str],
        kind: TextKind,
        control: &Control,
    ) -> Result<Vec<TokenVectors>, EmbedError> {
        let work = Work {
            kind,
            batch_tokens: TOKENS_BATCH_TOKENS,
            waits: false,
        };
        let vectors = |states: &[f32]| TokenVectors::normalised(states.to_vec(), self.dim);
        let _first = self.gate.enter();
        self.questions
            .install(|| self.each_text(texts, work, control, vectors))
    }
}

impl std::fmt::Debug for BertEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BertEmbedder")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Refuses a model whose vectors go through more than is computed here.
fn check_modules(dir: &Path) -> Result<(), EmbedError> {
    #[derive(Deserialize)]
    struct Module {
        r#type: String,
    }
    let modules: Option<Vec<Module>> = optional_json(&dir.join("modules.json"))?;
    let kind = |module: &Module| {
        let kind = module.r#type.rsplit('.').next().unwrap_or_default();
        kind.to_owned()
    };
    let known = ["Transformer", "Pooling", "Normalize"];
    match modules
        .iter()
        .flatten()
        .map(kind)
        .find(|kind| !known.contains(&kind.as_str()))
    {
        Some(kind) => Err(EmbedError::Unsupported {
            path: dir.to_owned(),
            detail: format!("its vectors go through a module {kind}, which is not known"),
        }),
        None => Ok(()),
    }
}

/// What stands before a question, and before a passage.
fn prefixes(name: &str, given: &SentenceTransformers) -> [String; 2] {
    let name = name.to_ascii_lowercase();
    let usual = if name.contains("e5-") {
        E5
    } else if name.contains("bge-") && name.contains("-en") {
        [BGE_EN, ""]
    } else if name.contains("bge-") && name.contains("-zh") {
        [BGE_ZH, ""]
    } else {
        ["", ""]
    };
    let given = |kinds: &[&str], usual: &str| {
        let prompts = kinds.iter().filter_map(|kind| given.prompts.get(*kind));
        // Sentence-transformers writes an empty one where there is none.
        let prompt = prompts.into_iter().find(|prompt| !prompt.is_empty());
        prompt.cloned().unwrap_or_else(|| usual.to_owned())
    };
    [
        given(&["query"], usual[0]),
        given(&["passage", "document"], usual[1]),
    ]
}

/// Holds batches of passages back while a question is being embedded.
#[derive(Debug, Default)]
struct Gate {
    questions: Mutex<usize>,
    free: Condvar,
}

impl Gate {
    fn enter(&self) -> GateGuard<'_> {
        *self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += 1;
        GateGuard(self)
    }

    fn wait(&self) {
        let questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let _free = self
            .free
            .wait_while(questions, |n| *n > 0)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

struct GateGuard<'a>(&'a Gate);

impl Drop for GateGuard<'_> {
    fn drop(&mut self) {
        *self
            .0
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.free.notify_all();
    }
}

//! BERT encoders in sentence-transformers layout.
//!
//! Passages are embedded on a pool of threads of their own, a batch a thread; questions run
//! on another pool, and batches of passages wait while a question is being embedded.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use candle_transformers::models::bert::Config;
use faq_ingest::ByteRange;
use rayon::prelude::*;
use serde::Deserialize;
use tokenizers::Tokenizer;

use super::arithmetic::{Float, Int8};
use super::encoder::{Encoder, Forward};
use super::pooling::{Pooling, PoolingConfig};
use super::weights::WeightFile;
use super::{EmbedError, Embedder, Precision, TextKind, TokenVectors, tokens};
use crate::Control;
use crate::models::find_known;

/// Tokens of a batch: enough that the products are worth their set-up, few enough that a
/// cancel is heard soon and the activations stay in the cache.
const BATCH_TOKENS: usize = 1024;

/// Tokens of a batch where a person waits for all of them: few enough that the threads end at about
/// the same time.
const TOKENS_BATCH_TOKENS: usize = 256;

/// A BERT encoder such as all-MiniLM-L6-v2 or bge-small-en-v1.5.
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
        let config: Config = json(&dir.join("config.json"))?;
        check_config(dir, &config)?;
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
            .unwrap_or(config.max_position_embeddings)
            .min(config.max_position_embeddings);
        let (tokenizer, special_tokens) = load_tokenizer(&dir.join("tokenizer.json"), &config)?;
        if max_tokens <= special_tokens {
            return Err(EmbedError::Unsupported {
                path: dir.to_owned(),
                detail: format!("it reads {max_tokens} tokens, {special_tokens} of them special"),
            });
        }
        let (encoder, checksum) = load_weights(&dir.join("model.safetensors"), &config, precision)?;
        let name = dir
            .file_name()
            .map_or_else(|| "bert".to_owned(), |n| n.to_string_lossy().into_owned());
        let e5 = name.contains("e5-");
        let prefix = |kind: &str, fallback: &str| {
            let fallback = if e5 { fallback } else { "" };
            prompts
                .prompts
                .get(kind)
                .cloned()
                .unwrap_or_else(|| fallback.to_owned())
        };
        let (query_prefix, passage_prefix) =
            (prefix("query", "query: "), prefix("passage", "passage: "));
        Ok(Self {
            fingerprint: format!(
                "bert:{checksum:08x}:{}:{}:{max_tokens}:{passage_prefix}",
                precision.name(),
                pooling.name()
            ),
            name,
            dim: config.hidden_size,
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
        json::<Config>(&dir.join("config.json"))
            .ok()
            .map(|config| config.hidden_size)
    }

    /// What `take` makes of the hidden states `[tokens, dim]` of each text whose ids are given, all
    /// of one batch.
    fn forward<T>(
        &self,
        batch: &[&[u32]],
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
        let ids: Vec<Vec<u32>> = texts
            .par_iter()
            .map(|text| {
                if prefix.is_empty() {
                    tokens::ids(&self.tokenizer, text, self.max_tokens)
                } else {
                    tokens::ids(&self.tokenizer, &format!("{prefix}{text}"), self.max_tokens)
                }
            })
            .collect::<Result<_, _>>()?;
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(ids[i].len()));
        let done: Vec<Vec<(usize, T)>> = batches(&order, &ids, work.batch_tokens)
            .into_par_iter()
            .map(|batch| {
                control.check()?;
                if work.waits {
                    self.gate.wait();
                }
                let rows: Vec<&[u32]> = batch.iter().map(|&i| ids[i].as_slice()).collect();
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

/// Neighbours in `order` that together have at most `most` tokens.
fn batches(order: &[usize], ids: &[Vec<u32>], most: usize) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for &i in order {
        match batches.last_mut() {
            Some(batch) if tokens + ids[i].len() <= most => batch.push(i),
            _ => {
                tokens = 0;
                batches.push(vec![i]);
            }
        }
        tokens += ids[i].len();
    }
    batches
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

fn pool(name: &'static str, threads: usize) -> Result<rayon::ThreadPool, EmbedError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(move |i| format!("{name}-{i}"))
        .build()
        .map_err(|e| EmbedError::Threads {
            threads,
            detail: e.to_string(),
        })
}

fn read(path: &Path) -> Result<Vec<u8>, EmbedError> {
    std::fs::read(path).map_err(|source| EmbedError::Io {
        path: path.to_owned(),
        source,
    })
}

fn damaged(path: &Path, detail: impl std::fmt::Display) -> EmbedError {
    EmbedError::Damaged {
        path: path.to_owned(),
        detail: detail.to_string(),
    }
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, EmbedError> {
    serde_json::from_slice(&read(path)?).map_err(|e| damaged(path, e))
}

fn optional_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, EmbedError> {
    match json(path) {
        Err(EmbedError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// Refuses sizes that no encoder of this family has, before anything is allocated by them.
fn check_config(dir: &Path, config: &Config) -> Result<(), EmbedError> {
    let sizes = [
        ("vocab_size", config.vocab_size, 2_000_000),
        ("hidden_size", config.hidden_size, 8192),
        ("intermediate_size", config.intermediate_size, 65_536),
        ("num_hidden_layers", config.num_hidden_layers, 256),
        ("num_attention_heads", config.num_attention_heads, 256),
        (
            "max_position_embeddings",
            config.max_position_embeddings,
            65_536,
        ),
    ];
    let path = dir.join("config.json");
    for (name, value, most) in sizes {
        if value == 0 || value > most {
            return Err(damaged(
                &path,
                format!("{name} is {value}, and must be 1 to {most}"),
            ));
        }
    }
    if !config
        .hidden_size
        .is_multiple_of(config.num_attention_heads)
    {
        return Err(damaged(
            &path,
            format!(
                "hidden_size {} is no multiple of num_attention_heads {}",
                config.hidden_size, config.num_attention_heads
            ),
        ));
    }
    match config.model_type.as_deref() {
        None | Some("bert") => Ok(()),
        Some(other) => Err(EmbedError::Unsupported {
            path: dir.to_owned(),
            detail: format!("its model_type is {other}, and only bert is known"),
        }),
    }
}

/// The tokenizer with its built-in truncation and padding taken off, and how many special
/// tokens it adds to a text.
fn load_tokenizer(path: &Path, config: &Config) -> Result<(Tokenizer, usize), EmbedError> {
    let mut tokenizer = Tokenizer::from_bytes(read(path)?).map_err(|e| damaged(path, e))?;
    tokenizer
        .with_truncation(None)
        .map_err(|e| damaged(path, e))?;
    tokenizer.with_padding(None);
    let vocabulary = tokenizer.get_vocab_size(true);
    if vocabulary > config.vocab_size {
        return Err(damaged(
            path,
            format!(
                "it has {vocabulary} tokens, and the model knows {}",
                config.vocab_size
            ),
        ));
    }
    let special = tokenizer
        .encode_fast("", true)
        .map_err(|e| damaged(path, e))?
        .len();
    Ok((tokenizer, special))
}

/// The encoder, and the checksum of its weights.
fn load_weights(
    path: &Path,
    config: &Config,
    precision: Precision,
) -> Result<(Box<dyn Forward>, u32), EmbedError> {
    let file = WeightFile::open(path)?;
    let load = || -> Result<Box<dyn Forward>, String> {
        let weights = file.weights()?;
        Ok(match precision {
            Precision::Float32 => Box::new(Encoder::<Float>::load(weights, config)?),
            Precision::Int8 => Box::new(Encoder::<Int8>::load(weights, config)?),
        })
    };
    let encoder = load().map_err(|e| damaged(path, e))?;
    Ok((encoder, file.checksum()))
}

//! What `config.json` says of an encoder.

use std::path::Path;

use serde::Deserialize;

use super::EmbedError;
use super::folder::{damaged, json};

/// Sizes and kinds of an encoder of the BERT family, under the names that transformers gives them.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Config {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) hidden_act: Activation,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f64,
    #[serde(default)]
    pub(super) pad_token_id: Option<usize>,
    #[serde(default)]
    pub(super) position_embedding_type: Option<String>,
    #[serde(default)]
    pub(super) model_type: Option<String>,
    /// Names of the classes of a model that classifies.
    #[serde(default)]
    pub(super) id2label: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What stands between the two products of a feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Activation {
    Gelu,
    #[serde(alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    Relu,
}

/// Families whose arithmetic is BERT's, and which differ in what is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    /// RoBERTa, XLM-RoBERTa and CamemBERT: positions count from behind the padding token's.
    Roberta,
}

impl Config {
    /// Reads the configuration of the model in `dir`, and refuses sizes that no encoder of these
    /// families has, before anything is allocated by them.
    pub(super) fn read(dir: &Path) -> Result<Self, EmbedError> {
        let path = dir.join("config.json");
        let config: Self = json(&path)?;
        let sizes = [
            ("vocab_size", config.vocab_size, 2_000_000),
            ("hidden_size", config.hidden_size, 8192),
            ("intermediate_size", config.intermediate_size, 65_536),
            ("num_hidden_layers", config.num_hidden_layers, 256),
            ("num_attention_heads", config.num_attention_heads, 256),
            ("type_vocab_size", config.type_vocab_size, 256),
            (
                "max_position_embeddings",
                config.max_position_embeddings,
                65_536,
            ),
        ];
        for (name, value, most) in sizes {
            if value == 0 || value > most {
                let detail = format!("{name} is {value}, and must be 1 to {most}");
                return Err(damaged(&path, detail));
            }
        }
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        if !hidden.is_multiple_of(heads) {
            return Err(damaged(
                &path,
                format!("hidden_size {hidden} is no multiple of num_attention_heads {heads}"),
            ));
        }
        let epsilon = config.layer_norm_eps;
        if !(0.0..=1.0).contains(&epsilon) {
            let detail = format!("layer_norm_eps is {epsilon}, and must be 0 to 1");
            return Err(damaged(&path, detail));
        }
        let unsupported = |detail| EmbedError::Unsupported {
            path: dir.to_owned(),
            detail,
        };
        if config.family().is_none() {
            return Err(unsupported(format!(
                "its model_type is {}, and bert, roberta, xlm-roberta and camembert are known",
                config.model_type.as_deref().unwrap_or_default()
            )));
        }
        if let Some(kind) = config.position_embedding_type.as_deref()
            && kind != "absolute"
        {
            return Err(unsupported(format!(
                "its position_embedding_type is {kind}, and only absolute is known"
            )));
        }
        let first = config.first_position();
        if first >= config.max_position_embeddings {
            return Err(damaged(
                &path,
                format!("its positions begin at {first}, behind their end"),
            ));
        }
        Ok(config)
    }

    /// None where it is of another.
    pub(super) fn family(&self) -> Option<Family> {
        match self.model_type.as_deref() {
            None | Some("bert") => Some(Family::Bert),
            Some("roberta" | "xlm-roberta" | "camembert") => Some(Family::Roberta),
            Some(_) => None,
        }
    }

    /// The row of the table of positions that a text's first token has.
    pub(super) fn first_position(&self) -> usize {
        match self.family() {
            Some(Family::Roberta) => self.pad_token_id.unwrap_or(1).saturating_add(1),
            _ => 0,
        }
    }

    /// Most tokens that have a position.
    pub(super) fn positions(&self) -> usize {
        self.max_position_embeddings - self.first_position()
    }
}

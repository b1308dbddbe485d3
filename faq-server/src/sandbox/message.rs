//! What parent and child say to each other.

use faq_core::{Document, Limits, ParseError};
use serde::{Deserialize, Serialize};

use super::SandboxConfig;

/// Longest extension that is handed on, in characters; longer ones name no format.
const MAX_EXTENSION: usize = 32;

/// What the child is told, as its one argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// A name that has the document's extension and nothing else of its name.
    pub(super) name: String,
    /// Size of the document in bytes, where it is known.
    pub(super) bytes: Option<u64>,
    /// The parser's limits.
    pub(super) limits: Limits,
    /// Process id of the parent, by which the child sees whether it is still there.
    pub(super) parent: u32,
    /// Address space of the child, in bytes.
    pub(super) memory_bytes: u64,
    /// Processor time of the child, in seconds.
    pub(super) cpu_seconds: u64,
}

impl Header {
    pub(super) fn new(
        filename: &str,
        bytes: Option<u64>,
        limits: &Limits,
        config: &SandboxConfig,
    ) -> Self {
        let time = limits.time.saturating_add(config.grace);
        Self {
            name: anonymous(filename),
            bytes,
            limits: limits.clone(),
            parent: std::process::id(),
            memory_bytes: config.memory_bytes,
            cpu_seconds: time.as_secs().saturating_add(1),
        }
    }
}

/// `document`, with the extension of `filename`.
fn anonymous(filename: &str) -> String {
    let last = filename.rsplit(['/', '\\']).next().unwrap_or(filename);
    match last.rsplit_once('.') {
        Some((_, extension)) => {
            let extension: String = extension.chars().take(MAX_EXTENSION).collect();
            format!("document.{extension}")
        }
        None => "document".to_owned(),
    }
}

/// What the child answers on stdout.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The parsed document.
    Document(Document),
    /// The parser's refusal.
    Error(ParseError),
}

impl Answer {
    /// Reads what a child wrote. A child that a document took over may write anything, so the
    /// invariants that the rest of the program builds on are checked.
    pub(super) fn read(json: &[u8]) -> Result<Self, String> {
        let answer: Self = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        match &answer {
            Self::Document(document) if !is_sound(document) => {
                Err("its ranges do not fit its text".to_owned())
            }
            _ => Ok(answer),
        }
    }
}

/// Whether blocks lie in order and apart, and all ranges fit the text.
fn is_sound(document: &Document) -> bool {
    let text = document.text.as_str();
    let mut from = 0;
    let blocks = document.blocks.iter().all(|block| {
        let fits = from <= block.range.start && block.range.slice(text).is_some();
        from = block.range.end;
        fits
    });
    blocks
        && !document.blocks.is_empty()
        && document.pages.iter().all(|p| p.range.slice(text).is_some())
}

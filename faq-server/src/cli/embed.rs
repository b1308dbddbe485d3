//! `faq embed`: texts into vectors.

use std::io::BufRead;

use faq_core::{Control, Embedder, TextKind};
use serde::Serialize;

use super::args::{Common, EmbedArgs};
use super::error::{CliError, Outcome, Result};
use super::interrupt;
use super::output::{Output, warning};

/// Texts embedded at once, so that the first vectors of a long input come soon.
const BATCH: usize = 256;

/// What every text became, in the texts' order.
#[derive(Serialize)]
struct Embedded<'a> {
    model: &'a str,
    dim: usize,
    vectors: Vec<Vec<f32>>,
}

pub(super) fn run(common: &Common, args: &EmbedArgs, out: &mut Output) -> Result<Outcome> {
    let control = interrupt::control("stopping")?;
    let embedder = common.engine(None)?.embedder()?;
    let mut job = Job {
        embedder: &*embedder,
        kind: if args.query {
            TextKind::Query
        } else {
            TextKind::Passage
        },
        control,
        seen: 0,
        vectors: Vec::new(),
    };
    if args.texts.is_empty() {
        let mut lines = std::io::stdin().lock().lines();
        loop {
            let batch = lines
                .by_ref()
                .take(BATCH)
                .collect::<std::io::Result<Vec<String>>>()
                .map_err(|source| CliError::Stream {
                    action: "read lines of UTF-8 text from stdin",
                    source,
                })?;
            if batch.is_empty() {
                break;
            }
            job.batch(&batch, out)?;
        }
        if job.seen == 0 {
            return Err(CliError::usage(
                "there is no text to embed; give some as arguments, or lines on stdin",
            ));
        }
    } else {
        for batch in args.texts.chunks(BATCH) {
            job.batch(batch, out)?;
        }
    }
    if out.is_json() {
        out.json(&Embedded {
            model: embedder.name(),
            dim: embedder.dim(),
            vectors: job.vectors,
        })?;
    }
    Ok(Outcome::Done)
}

struct Job<'a> {
    embedder: &'a dyn Embedder,
    kind: TextKind,
    control: Control,
    /// Texts so far.
    seen: usize,
    /// Kept for JSON alone, which is one value.
    vectors: Vec<Vec<f32>>,
}

impl Job<'_> {
    fn batch(&mut self, texts: &[String], out: &mut Output) -> Result<()> {
        let most = self.embedder.window_tokens();
        for text in texts {
            self.seen += 1;
            // A token takes a byte or more, so a short text needs no counting.
            if text.len() > most {
                let tokens = self.embedder.token_offsets(text)?.len();
                if tokens > most {
                    warning(format_args!(
                        "text {} has {tokens} tokens; the model reads the first {most}",
                        self.seen
                    ));
                }
            }
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = self.embedder.embed(&texts, self.kind, &self.control)?;
        if out.is_json() {
            self.vectors.extend(vectors);
            return Ok(());
        }
        for vector in vectors {
            let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
            out.line(numbers.join(" "))?;
        }
        Ok(())
    }
}

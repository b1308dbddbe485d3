//! How fast texts become vectors: all at once as an ingest asks for them, and one after the other
//! as questions come.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use faq_core::{Control, Embedder, TextKind};
use serde::Serialize;

use crate::answers::median;
use crate::latency::Latency;

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Texts embedded in one go.
    pub texts: usize,
    /// Their tokens as far as the model reads them, special ones left out.
    pub tokens: usize,
    /// Seconds of each go.
    pub seconds: Vec<f64>,
    /// Seconds of processor time of each go, where the system tells.
    pub processor_seconds: Vec<Option<f64>>,
    /// Milliseconds that a text takes by itself, the median.
    pub alone_ms_p50: f64,
    /// The same: 99 of 100 texts took no longer.
    pub alone_ms_p99: f64,
}

impl Measured {
    /// Tokens a second of the median go.
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / median(&mut self.seconds.clone())
    }
}

/// The lines of `file` that are not blank.
///
/// # Errors
/// Where it cannot be read or has no such line.
pub fn texts(file: &Path) -> Result<Vec<String>> {
    let whole = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read texts from {}", file.display()))?;
    let texts: Vec<String> = whole
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect();
    ensure!(!texts.is_empty(), "{} holds no text", file.display());
    Ok(texts)
}

/// Embeds all texts `runs` times at once, and each of the first `alone` by itself. Gives the
/// vectors of the last run too.
///
/// # Errors
/// The model's.
pub fn measure(
    model: &dyn Embedder,
    texts: &[String],
    kind: TextKind,
    runs: usize,
    alone: usize,
) -> Result<(Measured, Vec<Vec<f32>>)> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let window = model.window_tokens();
    let mut tokens = 0;
    for text in &texts {
        tokens += model.token_offsets(text)?.len().min(window);
    }
    let control = Control::new();
    let warm = &texts[..texts.len().min(64)];
    model.embed(warm, kind, &control)?;
    let (mut seconds, mut processor, mut vectors) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let (from, busy) = (Instant::now(), processor_time());
        vectors = model.embed(&texts, kind, &control)?;
        seconds.push(from.elapsed().as_secs_f64());
        processor.push(processor_time().zip(busy).map(|(to, from)| to - from));
    }
    let mut times = Vec::new();
    for text in texts.iter().cycle().take(alone) {
        let from = Instant::now();
        model.embed(&[text], TextKind::Query, &control)?;
        times.push(from.elapsed().as_secs_f64() * 1e3);
    }
    let Latency { p50, p99, .. } = Latency::of(&mut times);
    let measured = Measured {
        texts: texts.len(),
        tokens,
        seconds,
        processor_seconds: processor,
        alone_ms_p50: p50,
        alone_ms_p99: p99,
    };
    Ok((measured, vectors))
}

/// Seconds of processor time of this process in all its threads, to a hundredth.
fn processor_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; after it, fields 12 and 13 are ticks of a hundredth.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks as f64 / 100.0)
}

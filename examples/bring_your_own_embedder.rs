//! An embedder of your own in place of the shipped model.
//!
//! This one hashes character trigrams into 256 dimensions: it needs no model file, finds words
//! that are spelled alike, and knows nothing of meaning. A client of an embedding service or
//! another model goes in the same place.
//!
//! `cargo run --release --example bring_your_own_embedder`

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use faq_core::{
    ByteRange, Control, EmbedError, Embedder, Engine, EngineConfig, Result, SearchOptions, Source,
    TextKind,
};

struct Trigrams;

impl Embedder for Trigrams {
    fn name(&self) -> &str {
        "trigrams"
    }

    // A collection remembers it, and refuses vectors of any other embedder.
    fn fingerprint(&self) -> String {
        "trigrams-256-v1".into()
    }

    fn dim(&self) -> usize {
        256
    }

    fn window_tokens(&self) -> usize {
        200
    }

    // Words, so that chunks are sized in words.
    fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, EmbedError> {
        Ok(text
            .split_whitespace()
            .map(|word| {
                let start = word.as_ptr() as usize - text.as_ptr() as usize;
                ByteRange::new(start, start + word.len())
            })
            .collect())
    }

    fn embed(
        &self,
        texts: &[&str],
        _kind: TextKind,
        control: &Control,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        texts
            .iter()
            .map(|text| control.check().map(|()| vector(text)).map_err(Into::into))
            .collect()
    }
}

fn vector(text: &str) -> Vec<f32> {
    let letters: Vec<char> = format!("  {}  ", text.to_lowercase()).chars().collect();
    let mut vector = vec![0.0f32; 256];
    for trigram in letters.windows(3) {
        let mut hasher = DefaultHasher::new();
        trigram.hash(&mut hasher);
        vector[(hasher.finish() % 256) as usize] += 1.0;
    }
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / norm).collect()
}

fn main() -> Result<()> {
    let config = EngineConfig::new("faq-data");
    let engine = Engine::with_embedder(config, Arc::new(Trigrams))?;
    let collection = engine.collection("trigrams")?;
    let control = Control::new();
    collection.add(
        Source::new("a.txt", "Invoices are paid within thirty days."),
        &control,
    )?;
    collection.add(
        Source::new("b.txt", "The canteen serves lunch from noon."),
        &control,
    )?;

    let found = collection.search(
        "When is an invoice payed?",
        &SearchOptions::default(),
        &control,
    )?;
    for hit in found.hits {
        println!(
            "{:.3} {}: {}",
            hit.dense_score.unwrap_or_default(),
            hit.filename,
            hit.text
        );
    }
    Ok(())
}

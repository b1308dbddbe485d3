//! A small model of each family, of random weights, against the scores that transformers gives it
//! after every token. `tests/fixtures/tiny_models.py` writes both.

use std::path::PathBuf;

use super::{Control, Decoder, Gguf, Room, Sequence, Wanted};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/models"
    ))
    .join(name)
}

/// Scores after each token, which are read in pieces of `piece`.
fn scores(decoder: &Decoder, tokens: &[u32], piece: usize) -> Vec<f32> {
    let (mut attention, mut room) = (decoder.attention(), Room::default());
    let mut scores = Vec::new();
    for tokens in tokens.chunks(piece) {
        let sequence = Sequence {
            tokens,
            attention: &mut attention,
            scores: Wanted::All,
            state: None,
        };
        let given = decoder.read(&mut room, &mut [sequence], &Control::new());
        scores.extend_from_slice(given.unwrap());
    }
    scores
}

fn agrees_with_transformers(name: &str) {
    let bytes = std::fs::read(fixture(&format!("{name}.logits"))).unwrap();
    let words: Vec<[u8; 4]> = bytes
        .chunks_exact(4)
        .map(|w| w.try_into().unwrap())
        .collect();
    let count = u32::from_le_bytes(words[0]) as usize;
    let (tokens, expected) = words[1..].split_at(count);
    let tokens: Vec<u32> = tokens.iter().map(|w| u32::from_le_bytes(*w)).collect();
    let expected: Vec<f32> = expected.iter().map(|w| f32::from_le_bytes(*w)).collect();
    let gguf = Gguf::open(&fixture(&format!("{name}.gguf"))).unwrap();
    let vocabulary = expected.len() / count;
    let decoder = Decoder::load(&gguf, vocabulary).unwrap();
    for piece in [1, 3, 10, count] {
        let ours = scores(&decoder, &tokens, piece);
        assert_eq!(ours.len(), expected.len());
        let mut sum = 0.0;
        for (at, (ours, expected)) in ours.iter().zip(&expected).enumerate() {
            let (token, entry) = (at / vocabulary, at % vocabulary);
            let error = (ours - expected).abs();
            sum += error;
            // Scores are some 2 wide, and keys and values are kept in half precision.
            assert!(
                error < 0.03,
                "{name}, pieces of {piece}, after token {token}, entry {entry}: {ours} for \
                 {expected}"
            );
        }
        let mean = sum / ours.len() as f32;
        assert!(mean < 0.002, "{name}, pieces of {piece}: {mean} on average");
    }
}

#[test]
fn llama_3_agrees_with_transformers() {
    agrees_with_transformers("llama3");
}

#[test]
fn qwen_2_agrees_with_transformers() {
    agrees_with_transformers("qwen2");
}

#[test]
fn qwen_3_agrees_with_transformers() {
    agrees_with_transformers("qwen3");
}

#[test]
fn gemma_2_agrees_with_transformers() {
    agrees_with_transformers("gemma2");
}

#[test]
fn gemma_3_agrees_with_transformers() {
    agrees_with_transformers("gemma3");
}

/// Its 24 tokens lie within the first context; the files' longer factors are not for them.
#[test]
fn phi_3_agrees_with_transformers() {
    agrees_with_transformers("phi3");
}

/// A whole model, quantised, beside llama.cpp; `benches/peers/generate/vocabularies GEMMA.gguf`
/// writes what it has to say and runs this.
#[test]
#[ignore = "needs a model and another program's scores"]
#[allow(clippy::print_stdout, reason = "the figure is its purpose")]
fn a_whole_gemma_agrees_with_llama_cpp() {
    let folder = std::env::var("FAQ_VOCABULARIES").expect("FAQ_VOCABULARIES names a folder");
    let folder = PathBuf::from(folder);
    let Ok(bytes) = std::fs::read(folder.join("gemma.logits")) else {
        println!("skipped: no Gemma was given");
        return;
    };
    let words = bytes.chunks_exact(4).map(|w| w.try_into().unwrap());
    let words: Vec<[u8; 4]> = words.collect();
    let count = u32::from_le_bytes(words[0]) as usize;
    let (tokens, expected) = words[1..].split_at(count);
    let tokens: Vec<u32> = tokens.iter().map(|w| u32::from_le_bytes(*w)).collect();
    let expected: Vec<f32> = expected.iter().map(|w| f32::from_le_bytes(*w)).collect();
    let gguf = Gguf::open(&folder.join("gemma.gguf")).unwrap();
    let decoder = Decoder::load(&gguf, expected.len()).unwrap();
    let ours = scores(&decoder, &tokens, count);
    let ours = &ours[ours.len() - expected.len()..];
    let best = |scores: &[f32]| {
        let order = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]);
        (0..scores.len()).max_by(order)
    };
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    };
    let cosine = dot(ours, &expected) / (dot(ours, ours) * dot(&expected, &expected)).sqrt();
    println!("gemma: cosine {cosine:.5} to llama.cpp over {count} tokens");
    assert_eq!(best(ours), best(&expected));
    assert!(cosine > 0.995, "{cosine}");
}

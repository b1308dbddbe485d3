//! The decoder against candle-transformers, and against itself without rounding.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests, of which some measure"
)]
use std::fs::File;

use candle_core::quantized::gguf_file;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2};

use super::super::kernels::{Layout, Precision};
use super::super::matrix::Matrix;
use super::{Decoder, Room, Sequence, Wanted};
use crate::Control;
use crate::generate::LocalModel;
use crate::generate::gguf::Gguf;
use crate::generate::tests::{QWEN05, SMOLLM2, model_file};

mod families;

const PROMPT: [u32; 12] = [1, 9690, 198, 2, 28, 339, 4000, 12, 77, 901, 30, 5];

fn ours(file: &std::path::Path, cut: usize) -> Vec<f32> {
    let gguf = Gguf::open(file).unwrap();
    let vocabulary = gguf.shape("token_embd.weight").unwrap()[0];
    let decoder = Decoder::load(&gguf, vocabulary).unwrap();
    let (mut attention, mut room) = (decoder.attention(), Room::default());
    let mut scores = Vec::new();
    for (tokens, wanted) in [
        (&PROMPT[..cut], Wanted::None),
        (&PROMPT[cut..], Wanted::Last),
    ] {
        let sequence = Sequence {
            tokens,
            attention: &mut attention,
            scores: wanted,
            state: None,
        };
        let given = decoder.read(&mut room, &mut [sequence], &Control::new());
        scores = given.unwrap().to_vec();
    }
    scores
}

fn agree(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    assert!(cosine > 0.999, "{cosine}");
}

/// Holds our logits, whichever way the prompt is cut, to those of `other` for the whole.
fn agrees_with(file: &std::path::Path, other: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>) {
    let input = Tensor::new(&PROMPT, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap();
    let expected: Vec<f32> = other(&input)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    for cut in [1, 5, 11] {
        agree(&ours(file, cut), &expected);
    }
}

#[test]
fn llama_agrees_with_another_implementation() {
    let file = model_file(SMOLLM2).unwrap();
    let mut reader = File::open(&file).unwrap();
    let content = gguf_file::Content::read(&mut reader).unwrap();
    let mut other =
        quantized_llama::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
    agrees_with(&file, |input| other.forward(input, 0));
}

#[test]
fn qwen2_agrees_with_another_implementation() {
    let Some(file) = model_file(QWEN05) else {
        return;
    };
    let mut reader = File::open(&file).unwrap();
    let content = gguf_file::Content::read(&mut reader).unwrap();
    let mut other =
        quantized_qwen2::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
    agrees_with(&file, |input| other.forward(input, 0));
}

/// Sum of the negative logarithms of what each token of `text` after the first of its window was
/// likely to be, and how many there are.
fn surprise(decoder: &Decoder, tokens: &[u32], window: usize) -> (f64, usize) {
    let (mut room, mut sum, mut count) = (Room::default(), 0.0, 0);
    for tokens in tokens.chunks(window) {
        let mut attention = decoder.attention();
        let sequence = Sequence {
            tokens,
            attention: &mut attention,
            scores: Wanted::All,
            state: None,
        };
        let scores = decoder.read(&mut room, &mut [sequence], &Control::new());
        let scores = scores.unwrap();
        let rows = scores.chunks_exact(scores.len() / tokens.len());
        for (scores, next) in rows.zip(&tokens[1..]) {
            let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f64 = scores.iter().map(|s| f64::from(s - most).exp()).sum();
            sum += total.ln() - f64::from(scores[*next as usize] - most);
            count += 1;
        }
    }
    (sum, count)
}

/// Tokens of given texts: as many as `FAQ_PERPLEXITY_TOKENS` says, else `usually`.
fn text_of(file: &std::path::Path, usually: usize) -> Vec<u32> {
    let wanted = std::env::var("FAQ_PERPLEXITY_TOKENS");
    let wanted = wanted.map_or(usually, |tokens| tokens.parse().unwrap());
    let mut text = include_str!("../../../../docs/storage.md").to_owned();
    let data = std::env::var("FAQ_TEST_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").into());
    let demo = std::path::Path::new(&data).join("parse/demo/curl-txt");
    let entries = std::fs::read_dir(demo).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        text += &std::fs::read_to_string(path).unwrap_or_default();
    }
    let mut tokens = LocalModel::open(file).unwrap().tokens(&text).unwrap();
    tokens.truncate(wanted);
    tokens
}

/// Perplexity with activations of eight bits beside that with weights and activations as floats.
/// With `FAQ_PERPLEXITY_TOKENS=20000`, over so many tokens instead of a few.
fn loses_little(name: &str) {
    let Some(file) = model_file(name) else {
        return;
    };
    let tokens = text_of(&file, 512);
    let gguf = Gguf::open(&file).unwrap();
    let vocabulary = gguf.shape("token_embd.weight").unwrap()[0];
    let perplexity = |decoder: Decoder| {
        let (sum, count) = surprise(&decoder, &tokens, 256);
        (sum / count as f64).exp()
    };
    let rounded = |precision| {
        let mut decoder = Decoder::load(&gguf, vocabulary).unwrap();
        decoder.precision = precision;
        perplexity(decoder)
    };
    let eight = rounded(Precision::Eight);
    let sixteen = rounded(Precision::Sixteen);
    let floats = Decoder::load_by(&gguf, vocabulary, &|gguf, name, shape, pool| {
        Matrix::load_as(gguf, name, shape, Layout::F32, pool)
    });
    let floats = perplexity(floats.unwrap());
    println!(
        "{name}, {} tokens: perplexity {eight:.4} with activations of eight bits, {sixteen:.4} of \
         sixteen, {floats:.4} with floats",
        tokens.len()
    );
    assert!((eight / floats - 1.0).abs() < 0.02, "{eight} and {floats}");
    assert!(
        (sixteen / floats - 1.0).abs() < 0.001,
        "{sixteen} and {floats}"
    );
}

#[test]
fn rounding_activations_costs_smollm2_little() {
    loses_little(SMOLLM2);
}

/// Takes four bytes of memory a weight; run with `-- --ignored --nocapture`.
#[test]
#[ignore = "two gigabytes of memory"]
fn rounding_activations_costs_qwen_little() {
    loses_little(QWEN05);
}

/// As [`surprise`], by an implementation that gives the scores after the last token it reads; what
/// it read before is forgotten at position 0.
fn surprise_of(
    forward: &mut dyn FnMut(&Tensor, usize) -> candle_core::Result<Tensor>,
    tokens: &[u32],
    window: usize,
) -> (f64, usize) {
    let (mut sum, mut count) = (0.0, 0);
    for tokens in tokens.chunks(window) {
        for (position, pair) in tokens.windows(2).enumerate() {
            let input = Tensor::new(&pair[..1], &Device::Cpu).unwrap();
            let scores = forward(&input.unsqueeze(0).unwrap(), position).unwrap();
            let scores: Vec<f32> = scores.flatten_all().unwrap().to_vec1().unwrap();
            let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f64 = scores.iter().map(|s| f64::from(s - most).exp()).sum();
            sum += total.ln() - f64::from(scores[pair[1] as usize] - most);
            count += 1;
        }
    }
    (sum, count)
}

/// Perplexity beside that of candle-transformers, within half a percent.
fn is_as_sure_as(
    name: &str,
    mut forward: impl FnMut(&Tensor, usize) -> candle_core::Result<Tensor>,
) {
    let file = model_file(name).unwrap();
    let tokens = text_of(&file, 20_000);
    let gguf = Gguf::open(&file).unwrap();
    let vocabulary = gguf.shape("token_embd.weight").unwrap()[0];
    let decoder = Decoder::load(&gguf, vocabulary).unwrap();
    let of = |(sum, count): (f64, usize)| (sum / count as f64).exp();
    let ours = of(surprise(&decoder, &tokens, 256));
    let theirs = of(surprise_of(&mut forward, &tokens, 256));
    println!(
        "{name}, {} tokens: perplexity {ours:.4}, candle-transformers {theirs:.4}",
        tokens.len()
    );
    assert!((ours / theirs - 1.0).abs() < 0.005, "{ours} and {theirs}");
}

#[test]
#[ignore = "minutes, token by token"]
fn llama_is_as_sure_as_another_implementation() {
    let mut reader = File::open(model_file(SMOLLM2).unwrap()).unwrap();
    let content = gguf_file::Content::read(&mut reader).unwrap();
    let mut other =
        quantized_llama::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
    is_as_sure_as(SMOLLM2, |input, position| other.forward(input, position));
}

#[test]
#[ignore = "half an hour, token by token"]
fn qwen2_is_as_sure_as_another_implementation() {
    let Some(file) = model_file(QWEN05) else {
        return;
    };
    let mut reader = File::open(file).unwrap();
    let content = gguf_file::Content::read(&mut reader).unwrap();
    let mut other =
        quantized_qwen2::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
    is_as_sure_as(QWEN05, |input, position| other.forward(input, position));
}

//! Files that are broken, cut off, foreign or malicious: an error each, never a crash.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use faq_core::generate::{GenerateError, LocalModel};

use super::tiny_gguf::{Meta, Tiny};
use super::{SMOLLM2, at_most, models, run, user};
use crate::damage;

fn open(bytes: &[u8]) -> Result<LocalModel, GenerateError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    LocalModel::open(path)
}

fn damaged(bytes: &[u8]) -> String {
    match open(bytes) {
        Err(GenerateError::Damaged { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

fn unsupported(tiny: &Tiny) -> String {
    match open(&tiny.bytes()) {
        Err(GenerateError::Unsupported { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

fn text(value: &str) -> Meta {
    Meta::Text(value.into())
}

#[test]
fn what_is_no_gguf_is_named() {
    assert!(matches!(
        LocalModel::open("/no/such/model.gguf"),
        Err(GenerateError::Io { path, .. }) if path == Path::new("/no/such/model.gguf")
    ));
    assert!(matches!(
        LocalModel::open(std::env::temp_dir()),
        Err(GenerateError::Io { .. } | GenerateError::Damaged { .. })
    ));
    damaged(b"");
    damaged(b"GGUF");
    damaged(b"%PDF-1.7 and so on and so on");
    let mut old = Tiny::default().bytes();
    old[4] = 1;
    assert!(matches!(open(&old), Err(GenerateError::Unsupported { .. })));
    old[4..8].copy_from_slice(&3_u32.to_be_bytes());
    assert!(matches!(open(&old), Err(GenerateError::Unsupported { .. })));
}

#[test]
fn unknown_kinds_are_refused_by_name() {
    let tiny = Tiny::default();
    let refused = |key: &str, value: Meta| unsupported(&tiny.clone().set(key, value));
    assert!(refused("general.architecture", text("mamba")).contains("mamba"));
    assert!(refused("tokenizer.ggml.model", text("bert")).contains("bert"));
    assert!(refused("tokenizer.ggml.pre", text("default")).contains("default"));
    assert!(refused("llama.expert_count", Meta::U32(8)).contains("experts"));
    assert!(refused("llama.rope.scaling.type", text("yarn")).contains("yarn"));
    assert!(refused("tokenizer.chat_template", text("{% for %}")).contains("template"));
    let base = unsupported(&tiny.clone().without("tokenizer.chat_template"));
    assert!(
        base.contains("base model") && base.contains("Instruct"),
        "{base}"
    );
    unsupported(&tiny.clone().without("tokenizer.ggml.pre"));
    unsupported(&tiny.without("tokenizer.ggml.model"));
}

#[test]
fn contradictions_are_damage() {
    let tiny = Tiny::default();
    let broken = |key: &str, value: Meta| damaged(&tiny.clone().set(key, value).bytes());
    for key in [
        "llama.context_length",
        "llama.embedding_length",
        "llama.block_count",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        "llama.attention.head_count_kv",
    ] {
        broken(key, Meta::U32(0));
        broken(key, text("many"));
    }
    broken("llama.block_count", Meta::U32(u32::MAX));
    broken("llama.embedding_length", Meta::U32(u32::MAX));
    broken("llama.attention.head_count_kv", Meta::U32(3));
    broken(
        "llama.attention.layer_norm_rms_epsilon",
        Meta::F32(f32::NAN),
    );
    broken("llama.rope.freq_base", Meta::F32(-1.0));
    broken("general.alignment", Meta::U32(0));
    broken("general.alignment", Meta::U32(33));
    broken("tokenizer.ggml.eos_token_id", Meta::U32(261));
    broken("tokenizer.ggml.token_type", Meta::Ints(vec![1; 3]));
    broken("tokenizer.ggml.tokens", Meta::Texts(vec!["a".into(); 261]));
    broken("tokenizer.ggml.merges", Meta::Texts(vec!["h z".into()]));
    let mut twice = tiny.clone();
    twice.meta.push(("general.name".into(), text("again")));
    damaged(&twice.bytes());
    let mut twice = tiny.clone();
    twice.tensors.push(twice.tensors[0].clone());
    damaged(&twice.bytes());
    let mut missing = tiny.clone();
    missing.tensors.pop();
    assert!(damaged(&missing.bytes()).contains("ffn_down"));
    let mut huge = tiny;
    huge.tensors[0].shape = vec![1 << 40, 1 << 40];
    assert!(damaged(&huge.bytes()).contains("larger than the file"));
}

#[test]
fn lying_lengths_take_no_memory() {
    // Counts of tensors and of metadata, and the lengths of the first key and its value.
    let bytes = Tiny::default().bytes();
    let value_length = 24 + 8 + "general.architecture".len() + 4;
    for at in [8, 16, 24, value_length] {
        for lie in [
            1 << 20,
            u64::from(u32::MAX),
            1 << 40,
            u64::MAX / 2,
            u64::MAX,
        ] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            damaged(&bytes);
        }
    }
    // A list that announces more than the file holds.
    let key = "tokenizer.ggml.merges";
    let at = bytes
        .windows(key.len())
        .position(|w| w == key.as_bytes())
        .unwrap()
        + key.len()
        + 8;
    for lie in [1 << 21, 1 << 40, u64::MAX] {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
        damaged(&bytes);
    }
}

#[test]
fn a_cut_file_is_damaged_wherever_it_was_cut() {
    let bytes = Tiny::default().bytes();
    open(&bytes).unwrap();
    for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        damaged(&bytes[..length]);
    }
}

/// A real file of which the last byte is missing; its end is a hole, so nothing is copied.
#[test]
fn a_cut_download_is_seen_before_it_is_read() {
    let real = models().generation(SMOLLM2).unwrap();
    let length = fs::metadata(&real)
        .unwrap_or_else(|_| panic!("{} is missing: run scripts/fetch-models", real.display()))
        .len();
    let folder = tempfile::tempdir().unwrap();
    let cut: PathBuf = folder.path().join("cut.gguf");
    let mut out = File::create(&cut).unwrap();
    let mut head = std::io::Read::take(File::open(&real).unwrap(), 4 << 20);
    std::io::copy(&mut head, &mut out).unwrap();
    out.set_len(length - 1).unwrap();
    match LocalModel::open(&cut) {
        Err(e @ GenerateError::Damaged { .. }) => {
            assert!(e.to_string().contains("cut off") && e.to_string().contains("fetch it again"));
        }
        other => panic!("{other:?}"),
    }
}

/// Every byte of the header changed in turn: an error, or a model that still runs.
#[test]
fn flipped_bytes_never_crash() {
    let tiny = Tiny::default();
    let bytes = tiny.bytes();
    let weights: usize = tiny.tensors.iter().map(|t| t.values.len() * 4).sum();
    let (mut refused, mut ran) = (0, 0);
    for at in (0..bytes.len() - weights).step_by(3) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        match open(&bytes) {
            Ok(model) => {
                // A template may have lost its sense, or a weight may be no number.
                let _ = run(&model, &[user("hi")], &at_most(2));
                ran += 1;
            }
            Err(GenerateError::Damaged { .. } | GenerateError::Unsupported { .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 500 && ran > 100, "{refused} refused, {ran} ran");
}

/// Opens a file with a damage to its first `within` bytes, and lets it write where it opens.
fn opens_damaged(whole: &[u8], within: usize, seed: u64) -> bool {
    match open(&damage::damaged(whole, within, seed)) {
        Ok(model) => {
            // A template may have lost its sense, or a weight may be no number.
            let _ = run(&model, &[user("hi")], &at_most(2));
            true
        }
        Err(GenerateError::Damaged { .. } | GenerateError::Unsupported { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// A tiny model of each kind of tokenizer, and how many bytes stand before its weights.
fn files() -> [(Vec<u8>, usize); 2] {
    [Tiny::default(), Tiny::sentencepiece()].map(|tiny| {
        let weights: usize = tiny.tensors.iter().map(|t| t.values.len() * 4).sum();
        let bytes = tiny.bytes();
        let header = bytes.len() - weights;
        (bytes, header)
    })
}

#[test]
fn files_damaged_at_random_are_errors_or_models_that_run() {
    for (bytes, header) in files() {
        let ran = damage::survives(300, |seed| opens_damaged(&bytes, header, seed));
        assert!((5..280).contains(&ran), "{ran} of 300 ran");
        let ran = damage::survives(100, |seed| opens_damaged(&bytes, bytes.len(), seed));
        assert!(ran > 10, "{ran} of 100 ran");
    }
}

/// The same `FAQ_DAMAGES` times for each file. Run it with
/// `cargo test --release -p faq-core --test it generate::hostile_files -- --ignored --nocapture`.
#[test]
#[ignore = "minutes"]
#[allow(clippy::print_stderr, reason = "the counts are its purpose")]
fn files_damaged_at_random_many_times() {
    let times = std::env::var("FAQ_DAMAGES").map_or(20_000, |times| times.parse().unwrap());
    for (number, (bytes, header)) in files().into_iter().enumerate() {
        for within in [header, bytes.len()] {
            let ran = damage::survives(times, |seed| opens_damaged(&bytes, within, seed));
            eprintln!("file {number}, damages within {within} bytes: {ran} of {times} ran");
        }
    }
}

#[test]
fn weights_that_are_no_numbers_are_an_error() {
    let mut tiny = Tiny::default();
    tiny.tensors[0].values.fill(f32::NAN);
    let model = open(&tiny.bytes()).unwrap();
    let result = run(&model, &[user("hi")], &at_most(2));
    assert!(matches!(result, Err(GenerateError::Model(_))), "{result:?}");
}

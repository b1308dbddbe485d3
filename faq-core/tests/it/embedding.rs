//! all-MiniLM-L6-v2 against vectors that sentence-transformers made.

use faq_core::{BertEmbedder, Control, EmbedError, Embedder, ModelStore, Precision, TextKind};
use serde_json::Value;

use crate::support::{data, minilm};

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, f32::max)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The reference texts and their vectors; `None` where the data is missing.
fn reference() -> Option<Vec<(String, Vec<f32>)>> {
    let file = data("reference/minilm.json")?;
    let reference: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let items = reference["items"].as_array().unwrap();
    assert_eq!(items.len(), 20);
    let numbers = |item: &Value| {
        let vector = item["embedding"].as_array().unwrap();
        vector.iter().map(|x| x.as_f64().unwrap() as f32).collect()
    };
    let text = |item: &Value| item["text"].as_str().unwrap().to_owned();
    Some(items.iter().map(|i| (text(i), numbers(i))).collect())
}

/// Calls `check` with each reference vector and ours, made in a batch and alone.
fn with_reference(model: &BertEmbedder, check: impl Fn(&str, &[f32], &[f32])) {
    let Some(items) = reference() else { return };
    let texts: Vec<&str> = items.iter().map(|(text, _)| text.as_str()).collect();
    let batch = model
        .embed(&texts, TextKind::Passage, &Control::new())
        .unwrap();
    for ((text, expected), together) in items.iter().zip(&batch) {
        let alone = model
            .embed(&[text.as_str()], TextKind::Query, &Control::new())
            .unwrap();
        check(text, expected, together);
        check(text, expected, &alone[0]);
    }
}

#[test]
fn in_floats_equals_the_reference_vectors_alone_and_in_a_batch() {
    let dir = ModelStore::default()
        .offline(true)
        .embedding("all-minilm-l6-v2")
        .unwrap();
    let model = BertEmbedder::load(&dir, 2, Precision::Float32).unwrap();
    with_reference(&model, |text, expected, found| {
        let difference = largest_difference(found, expected);
        assert!(difference <= 1e-5, "{text:?}: off by {difference:e}");
    });
}

#[test]
fn in_bytes_is_near_the_reference_vectors_alone_and_in_a_batch() {
    let model = minilm();
    assert!(model.fingerprint().contains(":int8:"), "{model:?}");
    with_reference(&model, |text, expected, found| {
        let cosine = dot(expected, found);
        assert!(cosine >= 0.996, "{text:?}: {cosine}");
        assert!((dot(found, found) - 1.0).abs() < 1e-5);
    });
}

#[test]
fn token_offsets_are_not_cut_off_and_fit_the_text() {
    let model = minilm();
    let text = "Überraschung: the café's naïve “quotes” 日本語 😀 ".repeat(400);
    let tokens = model.token_offsets(&text).unwrap();
    assert!(tokens.len() > 400 * 12, "{} tokens", tokens.len());
    assert!(tokens.windows(2).all(|w| w[0].start <= w[1].start));
    assert!(
        tokens
            .iter()
            .all(|t| t.slice(&text).is_some_and(|s| !s.is_empty()))
    );
    assert_eq!(model.window_tokens(), 254);
}

#[test]
fn each_token_that_is_read_has_a_vector() {
    let model = minilm();
    let long = "a word and another ".repeat(200);
    let texts = ["Trains are booked in second class.", long.as_str(), ""];
    let whole = model
        .embed_tokens(&texts, TextKind::Passage, &Control::new())
        .unwrap();
    assert_eq!(whole.len(), texts.len());
    for (text, tokens) in texts.iter().zip(&whole) {
        let content = model.token_offsets(text).unwrap().len();
        // Two special tokens frame what is read.
        assert_eq!(tokens.rows().len(), content.min(model.window_tokens()) + 2);
        for row in tokens.rows() {
            assert_eq!(row.len(), model.dim());
            assert!((dot(row, row) - 1.0).abs() < 1e-4);
        }
        let alone = model
            .embed_tokens(&[text], TextKind::Query, &Control::new())
            .unwrap();
        assert!(tokens.max_similarity(&alone[0]) > 0.999, "{text}");
    }
    let near = |question: &str| {
        let question = model.embed_tokens(&[question], TextKind::Query, &Control::new());
        question.unwrap()[0].max_similarity(&whole[0])
    };
    assert!(near("Which class are trains booked in?") > near("The cat sat on a mat."));
    let control = Control::new();
    control.cancel.cancel();
    let result = model.embed_tokens(&texts, TextKind::Passage, &control);
    assert!(matches!(result, Err(EmbedError::Interrupted(_))));
}

#[test]
fn a_cancelled_embedding_ends() {
    let control = Control::new();
    control.cancel.cancel();
    let result = minilm().embed(&["a text"], TextKind::Passage, &control);
    assert!(matches!(result, Err(EmbedError::Interrupted(_))));
}

#[test]
fn damaged_model_files_are_named() {
    let source = faq_core::ModelStore::default()
        .offline(true)
        .embedding("all-minilm-l6-v2")
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let files = ["config.json", "tokenizer.json", "model.safetensors"];
    for file in files {
        std::fs::copy(source.join(file), dir.path().join(file)).unwrap();
    }
    for file in files {
        let path = dir.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        for bytes in [
            &whole[..whole.len() / 2],
            &b"\xff\xff\xff\xff\xff\xff\xff\xff{}"[..],
            b"",
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = BertEmbedder::load(dir.path(), 1, Precision::Int8).unwrap_err();
            assert!(
                matches!(&error, EmbedError::Damaged { path: p, .. } if *p == path),
                "{file}: {error}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        let error = BertEmbedder::load(dir.path(), 1, Precision::Int8).unwrap_err();
        assert!(
            matches!(&error, EmbedError::Io { path: p, .. } if *p == path),
            "{error}"
        );
        std::fs::write(&path, &whole).unwrap();
    }
    BertEmbedder::load(dir.path(), 1, Precision::Int8).unwrap();
}

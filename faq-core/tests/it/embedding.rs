//! all-MiniLM-L6-v2 against vectors that sentence-transformers made.

use faq_core::{Control, EmbedError, Embedder, TextKind};
use serde_json::Value;

use crate::support::{data, minilm};

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, f32::max)
}

#[test]
fn equals_the_reference_vectors_alone_and_in_a_batch() {
    let Some(file) = data("reference/minilm.json") else {
        return;
    };
    let reference: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let model = minilm();
    let items = reference["items"].as_array().unwrap();
    let texts: Vec<&str> = items
        .iter()
        .map(|item| item["text"].as_str().unwrap())
        .collect();
    let batch = model
        .embed(&texts, TextKind::Passage, &Control::new())
        .unwrap();
    let mut worst = 0.0f32;
    for (item, together) in items.iter().zip(&batch) {
        let expected: Vec<f32> = item["embedding"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap() as f32)
            .collect();
        let text = item["text"].as_str().unwrap();
        let alone = model
            .embed(&[text], TextKind::Query, &Control::new())
            .unwrap();
        for found in [together, &alone[0]] {
            let difference = largest_difference(found, &expected);
            worst = worst.max(difference);
            assert!(
                difference <= 1e-5,
                "{}: off by {difference:e}",
                item["name"]
            );
        }
    }
    eprintln!("largest difference of a component: {worst:e}");
    assert_eq!(batch.len(), 20);
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
fn a_cancelled_embedding_ends() {
    let control = Control::new();
    control.cancel.cancel();
    let result = minilm().embed(&["a text"], TextKind::Passage, &control);
    assert!(matches!(result, Err(EmbedError::Interrupted(_))));
}

#[test]
fn damaged_model_files_are_named() {
    use faq_core::BertEmbedder;
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
            let error = BertEmbedder::load(dir.path(), 1).unwrap_err();
            assert!(
                matches!(&error, EmbedError::Damaged { path: p, .. } if *p == path),
                "{file}: {error}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        let error = BertEmbedder::load(dir.path(), 1).unwrap_err();
        assert!(
            matches!(&error, EmbedError::Io { path: p, .. } if *p == path),
            "{error}"
        );
        std::fs::write(&path, &whole).unwrap();
    }
    BertEmbedder::load(dir.path(), 1).unwrap();
}

//! Encoders and cross-encoders of several families, against what transformers made of the same
//! weights (`fixtures/tiny_encoders.py`).

use std::fs;
use std::path::{Path, PathBuf};

use faq_core::{
    BertEmbedder, Control, CrossEncoder, EmbedError, Embedder, Interrupted, Precision, TextKind,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::damage;

const ENCODERS: [&str; 4] = [
    "tiny-bge-en",
    "multilingual-e5-tiny",
    "tiny-bge-m3",
    "tiny-roberta",
];
const CROSS_ENCODERS: [&str; 2] = ["cross-bert", "cross-xlm-roberta"];

#[derive(Deserialize)]
struct Embedded {
    text: String,
    query: Vec<f32>,
    passage: Vec<f32>,
}

#[derive(Deserialize)]
struct Scored {
    question: String,
    passage: String,
    score: f32,
}

#[derive(Deserialize)]
struct Tokens {
    text: String,
    ids: Vec<u32>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/encoders")
        .join(name)
}

fn expected<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let file = folder(name);
    let file = if file.is_dir() {
        file.join("expected.json")
    } else {
        file
    };
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Calls `check` with each vector of transformers and ours, made together and alone.
fn with_vectors(name: &str, precision: Precision, check: impl Fn(&str, &[f32], &[f32])) {
    let model = BertEmbedder::load(&folder(name), 2, precision).unwrap();
    let items: Vec<Embedded> = expected(name);
    assert_eq!(items.len(), 8);
    let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
    for kind in [TextKind::Query, TextKind::Passage] {
        let together = model.embed(&texts, kind, &Control::new()).unwrap();
        for (item, together) in items.iter().zip(&together) {
            let wanted = match kind {
                TextKind::Query => &item.query,
                TextKind::Passage => &item.passage,
            };
            let alone = model.embed(&[&item.text], kind, &Control::new()).unwrap();
            let what = format!("{name}, {kind:?} of {:?}", item.text);
            check(&what, wanted, together);
            check(&what, wanted, &alone[0]);
        }
    }
}

#[test]
fn every_family_equals_transformers_in_floats() {
    for name in ENCODERS {
        with_vectors(name, Precision::Float32, |what, wanted, found| {
            for (x, y) in wanted.iter().zip(found) {
                assert!((x - y).abs() < 1e-5, "{what}: {y} for {x}");
            }
            assert_eq!(wanted.len(), found.len());
        });
    }
}

#[test]
fn every_family_is_near_transformers_in_bytes() {
    for name in ENCODERS {
        with_vectors(name, Precision::Int8, |what, wanted, found| {
            let cosine = dot(wanted, found);
            assert!(cosine > 0.998, "{what}: {cosine}");
        });
    }
}

/// Scores of all pairs, those of a question together.
fn with_scores(name: &str, precision: Precision, most: f32) {
    let model = CrossEncoder::load(&folder(name), 2, precision).unwrap();
    assert_eq!((model.name(), model.max_tokens()), (name, 48));
    let items: Vec<Scored> = expected(name);
    let passages: Vec<&str> = items.iter().map(|item| item.passage.as_str()).collect();
    for (number, item) in items.iter().enumerate() {
        let control = Control::new();
        let together = model.score(&item.question, &passages, &control).unwrap();
        let alone = model.score(&item.question, &[&item.passage], &control);
        assert_eq!(alone.unwrap(), [together[number]], "{name} {number}");
        let (found, wanted) = (together[number], item.score);
        assert!(
            (found - wanted).abs() < most,
            "{name} {precision} {number}: {found} for {wanted}"
        );
    }
    assert!(model.score("?", &[], &Control::new()).unwrap().is_empty());
}

#[test]
fn pairs_score_as_with_transformers() {
    for name in CROSS_ENCODERS {
        with_scores(name, Precision::Float32, 1e-4);
        with_scores(name, Precision::Int8, 0.1);
    }
}

#[test]
fn a_cancelled_scoring_ends() {
    let model = CrossEncoder::load(&folder("cross-bert"), 1, Precision::Int8).unwrap();
    let control = Control::new();
    control.cancel.cancel();
    let result = model.score("?", &["a text"], &control);
    assert!(matches!(
        result,
        Err(EmbedError::Interrupted(Interrupted::Cancelled))
    ));
}

/// XLM-RoBERTa's way of tokens, against sentencepiece itself.
#[test]
fn tokens_of_a_unigram_vocabulary_are_sentencepieces() {
    let model = BertEmbedder::load(&folder("tiny-bge-m3"), 1, Precision::Int8).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_file(folder("unigram.json")).unwrap();
    for Tokens { text, ids } in expected::<Tokens>("unigram-ids.json") {
        let found = tokenizer.encode(text.as_str(), false).unwrap();
        assert_eq!(found.get_ids(), ids, "{text:?}");
        let offsets = model.token_offsets(&text).unwrap();
        assert_eq!(offsets.len(), ids.len(), "{text:?}");
        assert!(offsets.iter().all(|range| range.slice(&text).is_some()));
        assert!(offsets.windows(2).all(|w| w[0].start <= w[1].start));
        let ends = offsets.iter().map(|range| range.end).max().unwrap_or(0);
        assert_eq!(ends, text.trim_end().len(), "{text:?}: all of it");
    }
}

#[test]
fn what_the_model_reads_leaves_room_for_prefix_and_special_tokens() {
    let window = |name: &str| {
        BertEmbedder::load(&folder(name), 1, Precision::Int8)
            .unwrap()
            .window_tokens()
    };
    assert_eq!(window("tiny-bge-m3"), 46);
    assert_eq!(window("tiny-bge-en"), 46, "passages of BGE have no prefix");
    assert!((38..46).contains(&window("multilingual-e5-tiny")));
}

/// A copy of a model whose `config.json`, or another file, is changed.
fn changed(name: &str, file: &str, change: impl Fn(&mut serde_json::Value)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(folder(name).join(file), copy.path().join(file)).unwrap();
    }
    let path = copy.path().join(file);
    let mut value = fs::read(&path).map_or(serde_json::Value::Null, |bytes| {
        serde_json::from_slice(&bytes).unwrap()
    });
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
    copy
}

#[test]
fn models_of_another_make_are_refused_by_name() {
    let unsupported = |folder: &tempfile::TempDir, cross: bool| {
        let error = if cross {
            CrossEncoder::load(folder.path(), 1, Precision::Int8).unwrap_err()
        } else {
            BertEmbedder::load(folder.path(), 1, Precision::Int8).unwrap_err()
        };
        assert!(matches!(error, EmbedError::Unsupported { .. }), "{error}");
        error.to_string()
    };
    let config = |change: &dyn Fn(&mut serde_json::Value)| {
        changed("tiny-bge-en", "config.json", |value| change(value))
    };
    let kind = config(&|value| value["model_type"] = "mpnet".into());
    assert!(unsupported(&kind, false).contains("mpnet"));
    let places = config(&|value| value["position_embedding_type"] = "relative_key".into());
    assert!(unsupported(&places, false).contains("relative_key"));
    let dense = changed("tiny-bge-en", "modules.json", |value| {
        *value = serde_json::json!([
            {"type": "sentence_transformers.models.Transformer"},
            {"type": "sentence_transformers.models.Pooling"},
            {"type": "sentence_transformers.models.Dense"},
        ]);
    });
    assert!(unsupported(&dense, false).contains("Dense"));
    let classes = changed("cross-bert", "config.json", |value| {
        value["id2label"] = serde_json::json!({"0": "no", "1": "yes"});
    });
    assert!(unsupported(&classes, true).contains("2 classes"));
    // An embedder has no head to score with.
    let headless = changed("tiny-bge-en", "config.json", |value| {
        value["id2label"] = serde_json::json!({"0": "relevance"});
    });
    let headless = CrossEncoder::load(headless.path(), 1, Precision::Int8).unwrap_err();
    assert!(matches!(headless, EmbedError::Damaged { .. }), "{headless}");
    assert!(
        headless.to_string().contains("classifier.bias"),
        "{headless}"
    );
}

/// A tokenizer of another model may know tokens that this one has no weights for.
#[test]
fn tokens_that_the_model_does_not_know_are_an_error() {
    let copy = changed("tiny-bge-en", "tokenizer.json", |value| {
        let vocabulary = value["model"]["vocab"].as_object_mut().unwrap();
        let id = vocabulary.get_mut("x").unwrap();
        *id = 4_000_000_000_u64.into();
    });
    let model = BertEmbedder::load(copy.path(), 1, Precision::Int8).unwrap();
    let result = model.embed(&["x"], TextKind::Passage, &Control::new());
    assert!(
        matches!(result, Err(EmbedError::Tokenizer(_))),
        "{result:?}"
    );
}

const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// Loads a model of which one file is damaged, and computes with it where it loads.
fn loads_damaged(name: &str, file: &str, seed: u64) -> bool {
    let copy = tempfile::tempdir().unwrap();
    for whole in FILES {
        let mut bytes = fs::read(folder(name).join(whole)).unwrap();
        if whole == file {
            // Half of the damages to weights are to the description before the numbers.
            let described = if file == "model.safetensors" && seed.is_multiple_of(2) {
                2000
            } else {
                bytes.len()
            };
            bytes = damage::damaged(&bytes, described, seed);
        }
        fs::write(copy.path().join(whole), bytes).unwrap();
    }
    let texts = ["Leave is asked for two weeks before.", "休暇 🦀", ""];
    // A damaged tokenizer may give what the model does not know, and weights what is no number.
    let loaded = if CROSS_ENCODERS.contains(&name) {
        CrossEncoder::load(copy.path(), 1, Precision::Int8).map(|model| {
            let _ = model.score("Who?", &texts, &Control::new());
        })
    } else {
        BertEmbedder::load(copy.path(), 1, Precision::Int8).map(|model| {
            let _ = model.embed(&texts, TextKind::Passage, &Control::new());
            let _ = model.token_offsets(texts[0]);
        })
    };
    match loaded {
        Ok(()) => true,
        Err(EmbedError::Damaged { .. } | EmbedError::Unsupported { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn files_damaged_at_random_are_errors_or_models_that_run() {
    for name in ["tiny-bge-en", "tiny-bge-m3", "cross-bert"] {
        for file in FILES {
            let loaded = damage::survives(60, |seed| loads_damaged(name, file, seed));
            assert!(loaded < 60, "{name}/{file}: {loaded} of 60 loaded");
        }
    }
}

/// The same `FAQ_DAMAGES` times for each file of each model. Run it with
/// `cargo test --release -p faq-core --test it encoders -- --ignored --nocapture`.
#[test]
#[ignore = "minutes"]
fn files_damaged_at_random_many_times() {
    let times = std::env::var("FAQ_DAMAGES").map_or(2_000, |times| times.parse().unwrap());
    for name in ENCODERS.iter().chain(&CROSS_ENCODERS) {
        for file in FILES {
            let loaded = damage::survives(times, |seed| loads_damaged(name, file, seed));
            eprintln!("{name}/{file}: {loaded} of {times} loaded");
        }
    }
}

//! Misspelled questions, on the real embedding model.

use faq_core::{
    Collection, Control, Engine, EngineConfig, Mode, Rerank, SearchOptions, SearchResponse, Source,
    Spelling,
};

use crate::support::minilm;

const MEANT: &str = "who approves flights?";
const TYPED: &str = "who aproves flihgts?";

fn search(collection: &Collection, question: &str, options: &SearchOptions) -> SearchResponse {
    collection
        .search(question, options, &Control::new())
        .unwrap()
}

/// File names and cosines, best first.
fn seen(response: &SearchResponse) -> Vec<(&str, Option<f32>)> {
    let hits = response.hits.iter();
    hits.map(|hit| (&*hit.filename, hit.dense_score)).collect()
}

#[test]
fn a_misspelled_question_is_searched_and_embedded_as_it_was_meant() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::with_embedder(EngineConfig::new(dir.path()), minilm()).unwrap();
    let collection = engine.collection("default").unwrap();
    for (name, text) in [
        ("a.txt", "Who approves flights: the head of department."),
        ("b.txt", "Trains are booked in second class."),
        ("c.txt", "Birds fly south in autumn."),
    ] {
        let source = Source::new(name, text);
        collection.add(source, &Control::new()).unwrap();
    }
    for (mode, rerank) in [
        (Mode::Hybrid, None),
        (Mode::Dense, None),
        (Mode::Hybrid, Some(Rerank::default())),
    ] {
        let tolerant = SearchOptions {
            mode,
            rerank,
            ..SearchOptions::default()
        };
        let exact = SearchOptions {
            spelling: Spelling::Exact,
            ..tolerant.clone()
        };
        let meant = search(&collection, MEANT, &tolerant);
        let typed = search(&collection, TYPED, &tolerant);
        assert_eq!(seen(&typed), seen(&meant), "{mode:?}");
        let used: Vec<&str> = typed.corrections.iter().map(|c| &*c.used).collect();
        assert_eq!(used, ["approves", "flights"]);
        assert!(meant.corrections.is_empty());
        assert_eq!(search(&collection, MEANT, &exact).hits, meant.hits);

        let as_typed = search(&collection, TYPED, &exact);
        assert!(as_typed.corrections.is_empty());
        assert_ne!(seen(&as_typed), seen(&meant));
    }
    let json = serde_json::to_value(search(&collection, TYPED, &SearchOptions::default())).unwrap();
    assert_eq!(json["corrections"][0]["asked"], "aproves");
    assert_eq!(json["corrections"][0]["used"], "approves");
}

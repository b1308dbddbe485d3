//! Text that is held to a grammar.

#[cfg(not(feature = "grammar"))]
use faq_core::generate::GenerateError;
use faq_core::generate::{GenerateOptions, Grammar};

use super::{at_most, run, smollm2, user};

fn held(grammar: Grammar) -> GenerateOptions {
    GenerateOptions {
        grammar: Some(grammar),
        ..at_most(200)
    }
}

#[cfg(not(feature = "grammar"))]
#[test]
fn a_build_without_grammars_says_so() {
    for grammar in [
        Grammar::Regex("yes|no".into()),
        Grammar::JsonSchema(serde_json::json!({})),
    ] {
        match run(smollm2(), &[user("Hi")], &held(grammar)) {
            Err(GenerateError::InvalidOption {
                field: "grammar",
                wanted,
                ..
            }) => assert!(wanted.contains("the feature `grammar`")),
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(feature = "grammar")]
mod with_the_feature {
    use std::ops::ControlFlow;

    use faq_core::Control;
    use faq_core::generate::{
        GenerateError, GenerateOptions, Generation, Generator, Grammar, LocalModel, StopReason,
    };
    use serde::Deserialize;
    use serde_json::json;

    use super::super::tiny_gguf::Tiny;
    use super::{held, run, smollm2, user};

    fn regex(text: &str) -> GenerateOptions {
        held(Grammar::Regex(text.into()))
    }

    fn tiny(tiny: &Tiny) -> LocalModel {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiny.gguf");
        std::fs::write(&file, tiny.bytes()).unwrap();
        LocalModel::open(&file).unwrap()
    }

    fn whole(generation: Generation) -> String {
        assert_eq!(generation.stop, StopReason::End, "{generation:?}");
        generation.text
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Book {
        title: String,
        authors: Vec<String>,
        year: u16,
        genre: String,
        in_print: bool,
    }

    fn book() -> Grammar {
        Grammar::JsonSchema(json!({
            "type": "object",
            "properties": {
                "title": {"type": "string", "minLength": 1, "maxLength": 30},
                "authors": {
                    "type": "array",
                    "items": {"type": "string", "maxLength": 20},
                    "minItems": 1,
                    "maxItems": 3,
                },
                "year": {"type": "integer", "minimum": 1800, "maximum": 2030},
                "genre": {"enum": ["novel", "poems", "handbook"]},
                "in_print": {"type": "boolean"},
            },
            "required": ["title", "authors", "year", "genre", "in_print"],
            "additionalProperties": false,
        }))
    }

    /// What the schema says, said by types.
    fn is_a_book(text: &str) {
        let book: Book = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert!((1..=30).contains(&book.title.chars().count()), "{text:?}");
        assert!((1..=3).contains(&book.authors.len()), "{text:?}");
        assert!(
            book.authors
                .iter()
                .all(|author| author.chars().count() <= 20)
        );
        assert!((1800..=2030).contains(&book.year), "{text:?}");
        assert!(["novel", "poems", "handbook"].contains(&book.genre.as_str()));
        let _either: bool = book.in_print;
        let order = ["title", "authors", "year", "genre", "in_print"]
            .map(|name| text.find(&format!("\"{name}\": ")).unwrap());
        assert!(order.is_sorted(), "the schema's order: {text}");
    }

    #[test]
    fn twenty_outputs_of_a_schema_are_what_it_says() {
        let question = [user("Describe a book as JSON.")];
        std::thread::scope(|scope| {
            for first in 0..4 {
                let question = &question;
                scope.spawn(move || {
                    for seed in (first..20).step_by(4) {
                        let options = GenerateOptions {
                            temperature: 0.9,
                            seed,
                            ..held(book())
                        };
                        is_a_book(&whole(run(smollm2(), question, &options).unwrap()));
                    }
                });
            }
        });
    }

    #[test]
    fn a_model_that_knows_nothing_keeps_the_schema_too() {
        for model in [tiny(&Tiny::default()), tiny(&Tiny::sentencepiece())] {
            for seed in 0..40 {
                let options = GenerateOptions {
                    temperature: 1.3,
                    seed,
                    max_tokens: 600,
                    ..held(book())
                };
                is_a_book(&whole(run(&model, &[user("hi")], &options).unwrap()));
            }
        }
    }

    #[test]
    fn a_regular_expression_holds_from_end_to_end() {
        let date = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
        let is_a_date = |text: &str| {
            let parts: Vec<&str> = text.split('-').collect();
            let [year, month, day] = parts[..] else {
                panic!("{text:?}");
            };
            assert!(year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()));
            assert!(month.len() == 2 && (1..=12).contains(&month.parse::<u8>().unwrap()));
            assert!(day.len() == 2 && (1..=31).contains(&day.parse::<u8>().unwrap()));
        };
        let ask = [user(
            "When did the first man walk on the moon? Give the date.",
        )];
        is_a_date(&whole(run(smollm2(), &ask, &regex(date)).unwrap()));
        let choice = regex("[Yy]es|[Nn]o|perhaps/maybe\\?");
        let answers = ["yes", "no", "perhaps/maybe?"];
        for model in [tiny(&Tiny::default()), tiny(&Tiny::sentencepiece())] {
            for seed in 0..40 {
                let drawn = |options: GenerateOptions| GenerateOptions {
                    temperature: 1.0,
                    seed,
                    ..options
                };
                is_a_date(&whole(
                    run(&model, &[user("hi")], &drawn(regex(date))).unwrap(),
                ));
                let text = whole(run(&model, &[user("hi")], &drawn(choice.clone())).unwrap());
                assert!(answers.contains(&text.to_lowercase().as_str()), "{text:?}");
            }
        }
    }

    #[test]
    fn a_text_ends_where_nothing_can_follow_and_may_go_on_where_something_can() {
        let model = tiny(&Tiny::sentencepiece());
        let said = |grammar: &str, max_tokens| {
            let options = GenerateOptions {
                max_tokens,
                ..regex(grammar)
            };
            run(&model, &[user("hi")], &options).unwrap()
        };
        assert_eq!(whole(said("语ä", 50)), "语ä");
        assert_eq!(
            whole(said(" yes", 50)),
            " yes",
            "a blank of the grammar's stays"
        );
        assert_eq!(whole(said("", 50)), "");
        let endless = said("(ab)*c", 5);
        assert!(
            endless.text.starts_with('a') || endless.text == "c",
            "{endless:?}"
        );
        let cut = said("[a-z]{30}", 5);
        assert_eq!((cut.stop, cut.completion_tokens), (StopReason::Length, 5));
        assert!(cut.text.bytes().all(|b| b.is_ascii_lowercase()));
    }

    #[test]
    fn references_within_a_schema_hold() {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Node {
            name: String,
            #[serde(default)]
            next: Option<Box<Node>>,
        }
        let schema = json!({
            "$ref": "#/$defs/node",
            "$defs": {"node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": "^[a-c]{1,3}$"},
                    "next": {"$ref": "#/$defs/node"},
                },
                "required": ["name"],
                "additionalProperties": false,
            }},
        });
        let model = tiny(&Tiny::default());
        let mut deepest = 0;
        for seed in 0..30 {
            let options = GenerateOptions {
                temperature: 1.0,
                seed,
                max_tokens: 1500,
                ..held(Grammar::JsonSchema(schema.clone()))
            };
            let generation = run(&model, &[user("hi")], &options).unwrap();
            if generation.stop == StopReason::Length {
                continue;
            }
            let mut node: Option<Box<Node>> = serde_json::from_str(&generation.text).unwrap();
            let mut depth = 0;
            while let Some(at) = node {
                assert!((1..=3).contains(&at.name.len()) && at.name.bytes().all(|b| b <= b'c'));
                (node, depth) = (at.next, depth + 1);
            }
            deepest = deepest.max(depth);
        }
        assert!(deepest > 1);
    }

    /// A complaint about a grammar, before anything is written.
    fn complaint(grammar: Grammar) -> String {
        let result = smollm2().generate(
            &[user("hi")],
            &held(grammar),
            &Control::new(),
            &mut |piece| {
                panic!("wrote {piece:?}");
                #[allow(unreachable_code)]
                ControlFlow::Continue(())
            },
        );
        match result {
            Err(e @ GenerateError::InvalidGrammar { .. }) => e.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_held_to_is_said_before_anything_is_written() {
        for schema in [
            json!(7),
            json!({"type": "strin"}),
            json!({"type": "string", "pattern": "("}),
            json!({"$ref": "#/$defs/nothing"}),
            json!({"$ref": "https://example.org/schema.json"}),
            json!({"type": "integer", "minimum": 5, "maximum": 4}),
            json!({"type": "object", "properties": []}),
            json!({"oneOf": [{"type": "string"}, {"maxLength": 3}]}),
            json!({"not": {"type": "string"}}),
            json!({"$ref": "#"}),
            json!({"type": "string", "pattern": "((a{1000}){1000}){1000}"}),
            json!({"patternProperties": {"(x{100}){100}": {"type": "string"}}}),
        ] {
            let said = complaint(Grammar::JsonSchema(schema.clone()));
            assert!(
                said.starts_with("the JSON schema cannot be used: "),
                "{schema}: {said}"
            );
            assert!(said.len() < 400 && !said.contains('\n'), "{said}");
        }
        for expression in [
            "(",
            "[",
            "a{2",
            "*",
            r"\q",
            "(?=a)b",
            r"\bword",
            "a\\",
            &"(".repeat(60_000),
            &"(a{1000})".repeat(500),
            "((a{1000}){1000}){1000}",
            &"[".repeat(60_000),
        ] {
            let said = complaint(Grammar::Regex(expression.into()));
            assert!(
                said.starts_with("the regular expression cannot be used: "),
                "{said}"
            );
            assert!(said.len() < 400 && !said.contains('\n'), "{said}");
        }
    }
}

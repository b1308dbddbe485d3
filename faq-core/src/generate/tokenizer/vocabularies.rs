//! Whole vocabularies of other models against the tokens that their own tokenizers give, and
//! chat templates against the renderer that they were written for.
//! `benches/peers/generate/vocabularies` fetches both and runs this.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the counts are its purpose"
)]

use std::path::{Path, PathBuf};

use super::ModelTokenizer;
use crate::generate::gguf::{Fault, Gguf};

fn files(ending: &str) -> Vec<PathBuf> {
    let folder = std::env::var("FAQ_VOCABULARIES").expect("FAQ_VOCABULARIES names a folder");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

fn beside(path: &Path, ending: &str) -> String {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    std::fs::read_to_string(name).unwrap()
}

#[test]
#[ignore = "needs vocabularies that are fetched"]
fn vocabularies_give_the_expected_tokens() {
    let mut wrong = Vec::new();
    for path in files(".gguf") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let gguf = Gguf::open(&path).unwrap();
        let tokenizer = match ModelTokenizer::from_gguf(&gguf) {
            Ok(tokenizer) => tokenizer,
            Err(Fault::Unsupported(why)) => {
                println!("{name}: refused, {why}");
                continue;
            }
            Err(other) => panic!("{name}: {other:?}"),
        };
        let (given, expected) = (beside(&path, ".inp"), beside(&path, ".out"));
        let texts = given.split("\n__ggml_vocab_test__\n");
        let (mut same, mut count, mut ids) = (0, 0, 0);
        for (text, line) in texts.zip(expected.lines()) {
            let wanted: Vec<u32> = line
                .split_whitespace()
                .map(|id| id.parse().unwrap())
                .collect();
            let mut tokens = Vec::new();
            tokenizer.encode(text, &mut tokens).unwrap();
            count += 1;
            ids += wanted.len();
            if tokens == wanted {
                same += 1;
            } else {
                println!("{name}: {text:?}\n  {tokens:?}\n  {wanted:?}");
            }
        }
        println!("{name}: {same} of {count} texts, {ids} tokens");
        if same < count || count < 40 {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[derive(serde::Deserialize)]
struct Rendered {
    name: String,
    source: String,
    begin: String,
    end: String,
    turns: Vec<(String, String)>,
    text: String,
}

#[test]
#[ignore = "needs templates that are fetched"]
fn templates_render_as_the_original_renderer_does() {
    use crate::generate::template::{ChatTemplate, Part};
    use crate::generate::{Message, Role};

    for path in files("templates.json") {
        let text = std::fs::read_to_string(path).unwrap();
        let cases: Vec<Rendered> = serde_json::from_str(&text).unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let template = ChatTemplate::new(&case.source, &case.begin, &case.end).unwrap();
            let messages: Vec<Message> = case
                .turns
                .iter()
                .map(|(role, content)| {
                    let roles = [Role::System, Role::User, Role::Assistant];
                    let role = roles.into_iter().find(|r| r.name() == role).unwrap();
                    Message::new(role, content.clone())
                })
                .collect();
            let (messages, _) = template.accepted(&messages, 0);
            let now = std::time::SystemTime::UNIX_EPOCH;
            let parts = template.render(&messages, now).unwrap();
            let ours: String = parts
                .iter()
                .map(|part| match part {
                    Part::Frame(frame) => frame.as_str(),
                    Part::Content(_, content) => content,
                })
                .collect();
            assert_eq!(ours, case.text, "{}", case.name);
            println!("{}: {} characters", case.name, ours.len());
        }
    }
}

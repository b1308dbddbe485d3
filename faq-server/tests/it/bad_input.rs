//! What nobody should hand in, and everybody does: a typed error, and an unharmed collection.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::made::{deep_docx, deep_pdf, docx_of, pdf, xml_bomb, zip_bomb};
use crate::support::{Run, World, data, models, run};

const QUESTION: &str = "how many days of annual leave";

/// Runs `ill` on a filled collection, which has to answer the same before and after.
fn unharmed(world: &World, ill: impl FnOnce(&World)) {
    let before = world.hits(QUESTION);
    assert!(!before.as_array().unwrap().is_empty());
    ill(world);
    assert_eq!(world.hits(QUESTION), before);
    assert_eq!(world.ok(&["list", "--json"])["stats"]["documents"], 3);
}

/// Ingests a bad file beside a good one: the bad one is named with one of `codes`, the good one
/// is taken in. Takes both out again.
fn refused(world: &World, name: &str, content: &[u8], codes: &[&str]) {
    let bad = world.write(&format!("bad/{name}"), content);
    let good = world.write("bad/good.txt", "A good document about bicycles.\n");
    let told = world.run(&["ingest", "--json", &world.at("bad")]);
    assert_eq!(told.code, Some(1), "{name}: {told:?}");
    let report = told.json();
    let failed = report["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1, "{name}: {report}");
    assert_eq!(
        Path::new(failed[0]["path"].as_str().unwrap())
            .file_name()
            .unwrap(),
        name
    );
    let code = failed[0]["code"].as_str().unwrap();
    assert!(codes.contains(&code), "{name}: {}", failed[0]);
    assert!(
        failed[0]["error"].as_str().unwrap().len() > 10,
        "{name}: {}",
        failed[0]
    );
    assert_eq!(report["added"], 1, "{name}: {report}");
    std::fs::remove_file(bad).unwrap();
    std::fs::remove_file(good).unwrap();
    let pruned = world.ok(&["ingest", "--json", "--prune", &world.at("bad")]);
    assert_eq!(pruned["removed"], 1, "{name}");
}

#[test]
fn broken_files_are_named_and_the_rest_goes_on() {
    let world = World::with_handbook();
    let whole_pdf = pdf();
    let paragraphs: String = (0..2000)
        .map(|i| {
            let hour = i * 37 % 1009;
            format!("<w:p><w:r><w:t>Gate {i} opens at {hour} in April.</w:t></w:r></w:p>")
        })
        .collect();
    let whole_docx = docx_of(&paragraphs);
    let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
    jpeg.extend_from_slice(b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    jpeg.extend((0..2000u32).map(|i| (i * 7 % 251) as u8));
    unharmed(&world, |world| {
        refused(world, "empty.pdf", b"", &["empty"]);
        refused(world, "blank.txt", b" \n\t\n", &["empty"]);
        refused(
            world,
            "photo.pdf",
            &jpeg,
            &["format_mismatch", "unknown_format"],
        );
        refused(
            world,
            "half.pdf",
            &whole_pdf[..whole_pdf.len() / 3],
            &["damaged", "no_text"],
        );
        refused(
            world,
            "half.docx",
            &whole_docx[..whole_docx.len() / 2],
            &["damaged"],
        );
    });
    // The same two files whole are fine, so it was the cut that was refused.
    world.write("whole/a.pdf", whole_pdf);
    world.write("whole/b.docx", whole_docx);
    assert_eq!(
        world.ok(&["ingest", "--json", &world.at("whole")])["added"],
        2
    );
}

#[test]
fn a_password_is_asked_for_by_name() {
    let Some(file) = data("parse/pdf/pypdf/encryption__r3-user-password.pdf") else {
        return;
    };
    let world = World::with_handbook();
    let content = std::fs::read(file).unwrap();
    unharmed(&world, |world| {
        refused(world, "secret.pdf", &content, &["encrypted"]);
    });
}

#[test]
fn deep_nesting_ends_at_a_limit() {
    let world = World::with_handbook();
    unharmed(&world, |world| {
        refused(
            world,
            "deep.pdf",
            &deep_pdf(),
            &["limit", "damaged", "no_text"],
        );
        refused(world, "deep.docx", &deep_docx(), &["limit"]);
    });
    // Browsers read such a page, so it may be read; it may not bring the process down.
    let html = format!("<html><body>{}deep inside", "<div>".repeat(200_000));
    let file = world.write("bad/deep.html", html);
    let told = world.run(&["ingest", "--json", &file]);
    assert!(matches!(told.code, Some(0 | 1)), "{told:?}");
    told.json();
}

#[test]
fn bombs_go_off_nowhere() {
    let world = World::with_handbook();
    unharmed(&world, |world| {
        refused(world, "zip-bomb.docx", &zip_bomb(), &["limit"]);
        refused(world, "xml-bomb.docx", &xml_bomb(), &["damaged", "limit"]);
    });
}

#[test]
fn ten_megabytes_on_one_line_are_read() {
    let world = World::with_handbook();
    unharmed(&world, |world| {
        // One word that no model knows.
        let word = world.write("bad/word.txt", "x".repeat(10_000_000));
        let told = world.run(&["ingest", "--json", &word]);
        assert!(matches!(told.code, Some(0 | 1)), "{told:?}");
        let report = told.json();
        assert_eq!(report["tokens_total"], report["tokens_embedded"]);
        world.run(&["delete", "--json", &word]);
        // Words and no line's end; every one of them is read.
        let line = world.write("bad/line.txt", "some words and more ".repeat(500_000));
        let text = world.run(&["inspect", "--text", &line]);
        assert_eq!(text.code, Some(0), "{}", text.stderr);
        assert_eq!(text.stdout.split_whitespace().count(), 2_000_000);
    });
}

#[test]
fn bytes_that_are_no_utf8_are_read_as_what_they_are() {
    let world = World::with_handbook();
    unharmed(&world, |world| {
        // Latin-1, as an old editor wrote it.
        let latin = "Das Büro öffnet früh und schließt spät. Für Gäste gibt es Kaffee.";
        let bytes: Vec<u8> = latin.chars().map(|c| c as u8).collect();
        let file = world.write("latin/latin.txt", bytes);
        let text = world.run(&["inspect", "--text", &file]);
        assert_eq!(text.stdout.trim(), latin, "{text:?}");
        let noise: Vec<u8> = (0..5000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        refused(
            world,
            "noise.txt",
            &noise,
            &["unknown_format", "format_mismatch"],
        );
    });
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let world = World::with_handbook();
    unharmed(&world, |world| {
        let told = world.run(&["ingest", "--json", &world.at("nothing")]);
        told.failed(1, "not_found");
        assert!(told.stderr.contains("nothing"), "{told:?}");
        let elsewhere = world.at("elsewhere");
        world
            .run(&[
                "ingest",
                "--json",
                "--data",
                &elsewhere,
                &world.at("nothing"),
            ])
            .failed(1, "not_found");
        assert!(!Path::new(&elsewhere).exists());
        world
            .run(&["ingest", "--json", &world.at("*.nothing")])
            .failed(1, "not_found");
        world
            .run(&["ingest", "--json", &world.at("a{.md")])
            .failed(2, "bad_pattern");
        let inspected = world.run(&["inspect", "--json", &world.at("nothing.pdf")]);
        assert_eq!(
            (inspected.code, &inspected.json()["code"]),
            (Some(1), &"io".into())
        );
    });
}

/// Runs the binary as a user who may read and write nothing but what the test allows.
fn as_nobody(world: &World, args: &[&str]) -> Run {
    let mut command = world.command(args);
    if is_root(world) {
        // The binary and the model may lie where nobody may look.
        let (copy, models) = (world.path("faq-copy"), world.path("models"));
        if !copy.exists() {
            std::fs::copy(crate::support::FAQ, &copy).unwrap();
            copy_model(&models.join("all-minilm-l6-v2"));
            allow(&models, 0o755);
            allow_all_below(&models);
        }
        let mut as_nobody = std::process::Command::new(copy);
        as_nobody
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .env("HOME", world.dir.path())
            .env("FAQ_MODELS_DIR", models)
            .current_dir(world.dir.path())
            .uid(65_534)
            .gid(65_534);
        command = as_nobody;
    }
    run(&mut command, None)
}

fn is_root(world: &World) -> bool {
    use std::os::unix::fs::MetadataExt;
    world.dir.path().metadata().unwrap().uid() == 0
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn allow_all_below(path: &Path) {
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap().path();
        allow(&entry, if entry.is_dir() { 0o777 } else { 0o666 });
        if entry.is_dir() {
            allow_all_below(&entry);
        }
    }
}

#[test]
fn a_folder_without_permission_is_named() {
    let world = World::with_handbook();
    allow(world.dir.path(), 0o777);
    allow_all_below(world.dir.path());
    world.write("docs/closed/secret.txt", "Nobody reads this.\n");
    let closed = world.path("docs/closed");
    allow(&closed, 0o000);
    let told = as_nobody(&world, &["ingest", "--json", "--prune", &world.at("docs")]);
    allow(&closed, 0o755);
    assert_eq!(told.code, Some(1), "{told:?}");
    let report = told.json();
    assert_eq!(report["failed"][0]["code"], "permission_denied", "{report}");
    assert_eq!(
        report["failed"][0]["path"],
        closed.canonicalize().unwrap().to_str().unwrap()
    );
    assert_eq!(
        (&report["unchanged"], &report["removed"]),
        (&3.into(), &0.into())
    );

    // A data folder that may not be written is another matter: nothing can be kept.
    let data = world.path("closed-data");
    std::fs::create_dir(&data).unwrap();
    allow(&data, 0o555);
    let data = data.to_str().unwrap();
    let told = as_nobody(
        &world,
        &["ingest", "--json", "--data", data, &world.at("docs")],
    );
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.stderr.contains(data) && !told.json()["code"].is_null(),
        "{told:?}"
    );
}

const MODEL_FILES: [&str; 5] = [
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
];

fn embedding_model() -> PathBuf {
    faq_core::ModelStore::default()
        .offline(true)
        .embedding("all-minilm-l6-v2")
        .unwrap()
}

fn copy_model(to: &Path) {
    let whole = embedding_model();
    std::fs::create_dir_all(to.join("1_Pooling")).unwrap();
    for name in MODEL_FILES {
        std::fs::copy(whole.join(name), to.join(name)).unwrap();
    }
}

/// A folder with the embedding model, one of whose files `change` may alter.
fn ill_model(world: &World, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let whole = embedding_model();
    let dir = world.path("ill/all-minilm-l6-v2");
    std::fs::create_dir_all(dir.join("1_Pooling")).unwrap();
    for name in MODEL_FILES {
        let _old = std::fs::remove_file(dir.join(name));
        std::os::unix::fs::symlink(whole.join(name), dir.join(name)).unwrap();
    }
    let mut bytes = std::fs::read(whole.join(file)).unwrap();
    change(&mut bytes);
    std::fs::remove_file(dir.join(file)).unwrap();
    std::fs::write(dir.join(file), bytes).unwrap();
    world.at("ill")
}

#[test]
fn a_damaged_or_missing_model_is_named() {
    let world = World::with_handbook();
    unharmed(&world, |world| {
        let search = |models: &str| world.run(&["search", "--json", "--models", models, QUESTION]);
        let cut = ill_model(world, "model.safetensors", |b| b.truncate(b.len() / 2));
        search(&cut).failed(1, "model_damaged");
        let header = ill_model(world, "model.safetensors", |b| b[..8].fill(0xff));
        search(&header).failed(1, "model_damaged");
        let tokenizer = ill_model(world, "tokenizer.json", |b| b.truncate(1000));
        search(&tokenizer).failed(1, "model_damaged");
        // Whole in form, other in content: its vectors fit no collection.
        let flipped = ill_model(world, "model.safetensors", |b| {
            let middle = b.len() / 2;
            b[middle] ^= 1;
        });
        search(&flipped).failed(1, "other_embedder");
        let doctor = world.run(&["doctor", "--models", &flipped]);
        assert!(doctor.stdout.contains("SHA-256"), "{doctor:?}");
        let told = search(&world.at("none"));
        told.failed(1, "model_missing");
        assert!(told.stderr.contains("faq models pull"), "{told:?}");

        let gguf = world.write(
            "ill/model.gguf",
            [b"GGUF\x03\0\0\0".as_slice(), &[0xff; 5000]].concat(),
        );
        let ask = |model: &str| world.run(&["ask", "--json", "--generator", model, QUESTION]);
        let told = ask(&gguf);
        told.failed(1, "model_damaged");
        assert!(told.stderr.contains("model.gguf"), "{told:?}");
        ask("no-such-model").failed(1, "model_missing");
        // Keywords need no model at all.
        let keyword = world.run(&[
            "search",
            "--json",
            "--mode",
            "keyword",
            "--models",
            &world.at("none"),
            "coffee",
        ]);
        assert_eq!(keyword.code, Some(0), "{keyword:?}");
    });
    assert!(models().exists());
}

#[test]
fn a_second_process_is_told_who_came_first() {
    let world = World::with_handbook();
    unharmed(&world, |world| {
        let config = faq_core::EngineConfig::new(world.path("data"));
        let engine = faq_core::Engine::with_config(config).unwrap();
        let held = engine.existing_collection("default").unwrap();
        for args in [
            vec!["search", "--json", "leave"],
            vec!["list", "--json"],
            vec!["ingest", "--json", "docs"],
            vec!["delete", "--json", "leave.md"],
        ] {
            let told = world.run(&args);
            told.failed(1, "locked");
            assert!(
                told.stderr.contains("in use by another process"),
                "{told:?}"
            );
        }
        assert_eq!(held.stats().unwrap().documents, 3);
    });
}

#[test]
fn who_reads_keeps_nobody_from_reading() {
    let world = World::with_handbook();
    let mut config = faq_core::EngineConfig::new(world.path("data"));
    config.access = faq_core::Access::ReadOnly;
    let engine = faq_core::Engine::with_config(config).unwrap();
    let held = engine.existing_collection("default").unwrap();
    for args in [["search", "--json", "leave"], ["ask", "--json", "leave"]] {
        world.ok(&args);
    }
    assert_eq!(world.ok(&["list", "--json"])["stats"]["documents"], 3);
    world
        .run(&["ingest", "--json", &world.at("docs")])
        .failed(1, "locked");
    assert_eq!(held.stats().unwrap().documents, 3);
}

#[test]
fn questions_that_are_none_are_wrong_use() {
    let world = World::with_handbook();
    unharmed(&world, |world| {
        let long = "leave ".repeat(100_000 / 6 + 1);
        for verb in ["search", "ask"] {
            for empty in ["", "   ", "?!…"] {
                world
                    .run(&[verb, "--json", empty])
                    .failed(2, "empty_question");
            }
            world
                .run(&[verb, "--json", &long])
                .failed(2, "question_too_long");
            // No character is syntax.
            for odd in [
                "leave AND (",
                "\"leave",
                "title:leave^9 ~ *",
                "-leave",
                "le\u{202e}ave \u{0}1",
            ] {
                let odd = odd.replace('\0', "");
                let told = world.run(&[verb, "--json", "--", &odd]);
                assert_eq!(told.code, Some(0), "{odd}: {told:?}");
            }
        }
        world
            .run(&["search", "--json", "-k", "0", "leave"])
            .failed(2, "usage");
    });
}

#[test]
fn what_does_not_exist_is_not_made_by_asking() {
    let world = World::new();
    for args in [
        vec!["search", "--json", "leave"],
        vec!["ask", "--json", "leave"],
        vec!["list", "--json"],
        vec!["compact", "--json"],
        vec!["reindex", "--json"],
        vec!["delete", "--json", "leave.md"],
    ] {
        let told = world.run(&args);
        told.failed(1, "collection_not_found");
        assert!(
            told.stderr.contains("ingest something into it first"),
            "{told:?}"
        );
    }
    assert!(!world.path("data").exists());
    let _: Value = world.ok(&["doctor", "--json"]);
}

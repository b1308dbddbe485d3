//! Flags, exit codes, and who says what where.

use std::io::Read;
use std::process::Stdio;

use crate::support::{World, run};

const VERBS: [&str; 14] = [
    "demo", "ingest", "search", "ask", "why", "replay", "inspect", "list", "delete", "compact",
    "reindex", "embed", "models", "doctor",
];

#[test]
fn help_has_examples_and_every_verb_has_help() {
    let world = World::new();
    let help = world.run(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Examples:"));
    for verb in VERBS {
        assert!(help.stdout.contains(verb), "{verb}");
        let own = world.run(&[verb, "--help"]);
        assert_eq!(own.code, Some(0), "{verb}");
        assert!(own.stdout.contains("Example"), "{verb}: {}", own.stdout);
    }
    let version = world.run(&["--version"]);
    assert_eq!(
        version.stdout,
        format!("faq {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_use_is_2_and_says_why() {
    let world = World::with_handbook();
    let wrong: [&[&str]; 13] = [
        &["nonsense"],
        &["search"],
        &["search", "-k", "0", "leave"],
        &["search", "-k", "many", "leave"],
        &["search", "--mode", "psychic", "leave"],
        &["search", "--filter", "colour=red", "leave"],
        &["ingest"],
        &[
            "ingest",
            "--chunk-size",
            "10",
            "--chunk-overlap",
            "10",
            "docs",
        ],
        &["ingest", "--chunk-size", "0", "docs"],
        &["ask", "--max-context-chunks", "0", "leave"],
        &["list", "--threads", "0"],
        &["list", "--threads", "1025"],
        &["list", "--collection", "../other"],
    ];
    for args in wrong {
        let told = world.run(args);
        assert_eq!(told.code, Some(2), "{args:?}: {told:?}");
        assert!(told.stdout.is_empty(), "{args:?}: {told:?}");
        assert!(told.stderr.contains("error: "), "{args:?}: {told:?}");
        let mut with_json = args.to_vec();
        with_json.push("--json");
        let told = world.run(&with_json);
        assert_eq!(told.code, Some(2), "{args:?}: {told:?}");
        assert!(told.json()["error"].as_str().is_some_and(|e| !e.is_empty()));
    }
    let nothing = run(&mut std::process::Command::new(crate::support::FAQ), None);
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.stderr.contains("Usage: faq") && nothing.stderr.contains("Examples:"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::with_handbook();
    let mut child = world
        .command(&["embed", &"word ".repeat(50), "a", "b", "c"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
    assert!(
        !stderr.contains("panicked") && !stderr.contains("error"),
        "{stderr}"
    );
}

#[test]
fn progress_lines_name_what_is_durable() {
    let world = World::new();
    crate::support::handbook(&world);
    let told = world.run(&["ingest", "--json", "--progress", "json", &world.at("docs")]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let mut committed: Vec<String> = Vec::new();
    for line in told.stderr.lines().filter(|line| line.starts_with('{')) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        for origin in event["committed"].as_array().unwrap() {
            committed.push(origin.as_str().unwrap().to_owned());
        }
    }
    committed.sort();
    assert_eq!(committed.len(), 3);
    assert!(committed[0].ends_with("kitchen.txt"), "{committed:?}");
}

#[test]
fn the_summary_names_counts_and_failed_files() {
    let world = World::new();
    crate::support::handbook(&world);
    world.write("docs/empty.pdf", "");
    let told = world.run(&["ingest", &world.at("docs")]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.stdout
            .contains("3 added, 0 updated, 0 unchanged, 0 removed, 1 failed"),
        "{told:?}"
    );
    assert!(told.stdout.contains("tokens/s"));
    assert!(
        told.stderr.contains("empty.pdf: the file is empty"),
        "{told:?}"
    );
}

#[test]
fn models_are_listed_and_found() {
    let world = World::new();
    let listing = world.ok(&["models", "list", "--json"]);
    let minilm = listing["models"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["name"] == "all-minilm-l6-v2")
        .unwrap();
    assert_eq!(minilm["kind"], "embedding");
    assert!(minilm["bytes"].as_u64().unwrap() > 90_000_000);
    let path = world.run(&["models", "path", "all-MiniLM-L6-v2"]);
    assert!(
        std::path::Path::new(path.stdout.trim())
            .join("model.safetensors")
            .exists(),
        "{path:?}"
    );
    let pulled = world.ok(&["models", "pull", "--json", "all-minilm-l6-v2"]);
    assert_eq!(pulled["verified"], true);
    world
        .run(&["models", "pull", "--json", "nonsense"])
        .failed(2, "model_unknown");
    let none = world.at("none");
    world
        .run(&["models", "path", "--json", "--models", &none, "nonsense"])
        .failed(1, "model_missing");
    world
        .run(&[
            "models",
            "pull",
            "--json",
            "--models",
            &none,
            "smollm2-135m-instruct",
        ])
        .failed(1, "offline");
}

#[test]
fn models_are_measured() {
    let world = World::new();
    let names = ["all-minilm-l6-v2", "smollm2-135m-instruct"];
    let bench = world.ok(&["models", "bench", "--json", names[0], names[1]]);
    assert!(bench["threads"].as_u64().unwrap() > 0);
    assert!(bench["memory_gb_per_s"].as_f64().unwrap() > 0.0);
    let models = bench["models"].as_array().unwrap();
    let numbers = [
        &["load_s", "embedding_tokens_per_s", "question_ms"][..],
        &[
            "load_s",
            "reading_tokens_per_s",
            "writing_tokens_per_s",
            "first_token_ms",
            "writing_limit_tokens_per_s",
        ],
    ];
    assert_eq!(models.len(), 2);
    for ((model, name), numbers) in models.iter().zip(names).zip(numbers) {
        assert_eq!(model["name"], name);
        assert!(model["bytes"].as_u64().unwrap() > 90_000_000);
        for number in numbers {
            assert!(model[number].as_f64().unwrap() > 0.0, "{number}: {model}");
        }
    }
    assert!(models[0]["writing_tokens_per_s"].is_null());
    assert!(models[1]["question_ms"].is_null());

    let told = world.run(&["models", "bench", names[0]]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{told:?}");
    assert!(lines[0].contains("threads, kernels for "), "{told:?}");
    let header: Vec<&str> = lines[1]
        .split("  ")
        .filter(|cell| !cell.is_empty())
        .collect();
    let header: Vec<&str> = header.iter().map(|cell| cell.trim()).collect();
    assert_eq!(
        header,
        [
            "model",
            "file",
            "load s",
            "embed t/s",
            "question ms",
            "at rest",
            "peak"
        ]
    );
    assert!(
        lines[2].starts_with(names[0]) && !lines[2].contains(" - "),
        "{told:?}"
    );
    world
        .run(&["models", "bench", "--json", "nonsense"])
        .failed(1, "model_missing");
}

#[test]
fn the_doctor_finds_what_is_broken_and_keeps_secrets() {
    let world = World::with_handbook();
    let mut command = world.command(&["doctor", "--json"]);
    command
        .env("KAFKA_BROKERS", "a:9092")
        .env("OPENAI_API_KEY", "sesame");
    let healthy = run(&mut command, None);
    assert_eq!(healthy.code, Some(0), "{healthy:?}");
    let report = healthy.json();
    assert_eq!(report["healthy"], true);
    let status = |name: &str| {
        report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["name"] == name)
            .unwrap_or_else(|| panic!("{name}: {report}"))["status"]
            .clone()
    };
    for name in [
        "embedding",
        "model all-minilm-l6-v2",
        "data folder",
        "collection default",
    ] {
        assert_eq!(status(name), "fine", "{name}");
    }
    assert_eq!(status("KAFKA_BROKERS"), "warning");
    assert!(!healthy.stdout.contains("sesame"));

    let ill = world.run(&["doctor", "--models", &world.at("none")]);
    assert_eq!(ill.code, Some(1), "{ill:?}");
    assert!(ill.stdout.contains("BROKEN   embedding"), "{ill:?}");
    assert!(ill.stdout.contains("faq models pull"), "{ill:?}");
}

#[test]
fn more_passages_than_there_are_is_all_there_are() {
    let world = World::with_handbook();
    let most = usize::MAX.to_string();
    for mode in ["hybrid", "dense", "keyword"] {
        let found = world.ok(&["search", "--json", "-k", &most, "--mode", mode, "leave"]);
        assert!(!found["hits"].as_array().unwrap().is_empty(), "{mode}");
    }
}

#[test]
fn several_processes_search_at_once() {
    let world = World::with_handbook();
    let mut config = faq_core::EngineConfig::new(world.path("data"));
    config.access = faq_core::Access::ReadOnly;
    let engine = faq_core::Engine::with_config(config).unwrap();
    let held = engine.existing_collection("default").unwrap();
    assert!(!world.hits("leave").as_array().unwrap().is_empty());
    let asked = world.ok(&["ask", "--json", "How many days of annual leave do I get?"]);
    assert_eq!(asked["abstained"], false);
    world
        .run(&["delete", "--json", "leave.md"])
        .failed(1, "locked");
    drop(held);
    drop(engine);
    // What a reader cannot repair is repaired before it reads.
    std::fs::remove_dir_all(world.path("data/collections/default/keyword")).unwrap();
    assert!(!world.hits("leave").as_array().unwrap().is_empty());
    assert!(
        world
            .path("data/collections/default/keyword/meta.json")
            .is_file()
    );
}

#[test]
fn names_and_labels_do_not_steer_the_terminal() {
    let world = World::new();
    let good = world.write("docs/good.md", "A good document about bicycles.\n");
    world.write(
        "docs/bad\u{1b}]0;title\u{7}\nfailed: other.pdf",
        [0, 255, 1],
    );
    let told = world.run(&["ingest", "--tag", "red\u{1b}[31m\nblue", &world.at("docs")]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let failed: Vec<&str> = told
        .stderr
        .lines()
        .filter(|l| l.starts_with("failed"))
        .collect();
    assert_eq!(failed.len(), 1, "{told:?}");
    assert!(
        failed[0].contains("bad\\u{1b}]0;title\\u{7}\\nfailed: other.pdf"),
        "{told:?}"
    );
    let listed = world.run(&["list"]);
    assert_eq!(listed.stdout.lines().count(), 3, "{listed:?}");
    assert!(!listed.stdout.contains('\u{1b}'), "{listed:?}");
    std::fs::remove_file(good).unwrap();
}

#[test]
fn a_backup_takes_the_place_of_files_alone() {
    let world = World::with_handbook();
    let folder = world.path("folder");
    std::fs::create_dir(&folder).unwrap();
    let socket = world.path("socket");
    let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for there in [folder, socket] {
        let path = there.to_str().unwrap();
        world.run(&["backup", "--json", path]).failed(1, "exists");
        world
            .run(&["backup", "--json", "--force", path])
            .failed(2, "usage");
        assert!(!there.is_file(), "{path}");
    }
}

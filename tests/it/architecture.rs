//! The rules of ARCHITECTURE.md that a program can check: who may depend on whom, and what
//! no file of the repository may hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Past this a file is no longer about one noun.
const MOST_LINES: usize = 700;

/// What a crate may use of the others. A crate that is not here needs a line here.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("faq-ingest", &[]),
    ("faq-index", &[]),
    ("faq-auth", &[]),
    ("faq-core", &["faq-ingest", "faq-index"]),
    ("faq-server", &["faq-core", "faq-auth"]),
    ("faq-bench", &["faq-core", "faq-ingest"]),
    ("faq", &[]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap()
}

/// For each crate of the workspace what it is built from; tests may use what they like.
fn built_from() -> BTreeMap<String, BTreeSet<String>> {
    let mut crates = BTreeMap::new();
    for package in metadata().packages {
        let names = package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development)
            .map(|d| d.name.clone())
            .collect();
        crates.insert(package.name.to_string(), names);
    }
    crates
}

/// Names of all crates that a build of `package` compiles in, itself included.
fn tree(package: &str, features: &[&str]) -> BTreeSet<String> {
    let out = Command::new(env!("CARGO"))
        .current_dir(root())
        .args([
            "tree",
            "--locked",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .args(["--target", "all", "--package", package])
        .args(features)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "cargo tree failed:\n{said}");
    let names: BTreeSet<String> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    assert!(
        names.contains(package),
        "cargo tree does not know {package}"
    );
    names
}

#[test]
fn dependencies_point_one_way() {
    let crates = built_from();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = crates.keys().map(String::as_str).collect();
    assert_eq!(
        found, known,
        "the crates of the workspace and the rules for them"
    );
    for (name, allowed) in ALLOWED {
        let uses: BTreeSet<&str> = crates[name]
            .iter()
            .map(String::as_str)
            .filter(|n| known.contains(n))
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let more: Vec<_> = uses.difference(&allowed).collect();
        assert!(more.is_empty(), "{name} may not depend on {more:?}");
    }
}

#[test]
fn the_engine_is_synchronous() {
    for (name, uses) in built_from() {
        if name != "faq-server" {
            for runtime in ["tokio", "axum", "async-std", "smol"] {
                assert!(
                    !uses.contains(runtime),
                    "{name} may not depend on {runtime}"
                );
            }
        }
    }
    let engine = tree("faq-core", &["--all-features"]);
    for runtime in ["tokio", "axum", "async-std", "smol", "hyper"] {
        assert!(!engine.contains(runtime), "{runtime} is in the engine");
    }
}

#[test]
fn the_default_engine_holds_no_network_code() {
    let network = [
        "ureq",
        "hf-hub",
        "reqwest",
        "rustls",
        "hyper",
        "curl",
        "native-tls",
    ];
    let plain = tree("faq-core", &[]);
    for name in network {
        assert!(
            !plain.contains(name),
            "{name} is in the engine's default build"
        );
    }
    // The names are right: with its features the engine does use them.
    let all = tree("faq-core", &["--all-features"]);
    for name in ["ureq", "hf-hub", "rustls"] {
        assert!(
            all.contains(name),
            "{name} is not in the engine with all features"
        );
    }
}

/// The repository's files, without build output and what git keeps for itself.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                let skipped = [".git", ".cache", "target", "data", "node_modules"];
                if !skipped.iter().any(|s| name == *s) {
                    folders.push(entry.path());
                }
            } else if kind.is_file() && name != ".git" {
                found.push(entry.path());
            }
        }
    }
    found
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "rs")
}

#[test]
fn no_file_outgrows_its_noun() {
    let mut checked = 0;
    for path in files().into_iter().filter(|p| is_rust(p)) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            lines <= MOST_LINES,
            "{} has {lines} lines; split it by noun",
            path.display()
        );
        checked += 1;
    }
    assert!(checked > 30, "only {checked} files were found");
}

#[test]
fn no_file_speaks_of_the_machine_it_was_written_on_or_is_unfinished() {
    // Put together here, so that this file does not hold what it forbids.
    let machine = ["work", "root", "home", "Users"].map(|folder| format!("/{folder}/"));
    let unfinished = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    for path in files() {
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        for (at, line) in text.lines().enumerate() {
            let place = || format!("{}, line {}: {line}", path.display(), at + 1);
            assert!(!machine.iter().any(|p| is_path(line, p)), "{}", place());
            if is_rust(&path) {
                assert!(
                    !unfinished.iter().any(|m| line.contains(m.as_str())),
                    "{}",
                    place()
                );
            }
        }
    }
}

/// Whether `prefix` begins a path in `line`, and is not the middle of an address.
fn is_path(line: &str, prefix: &str) -> bool {
    line.match_indices(prefix).any(|(at, _)| {
        line[..at]
            .chars()
            .next_back()
            .is_none_or(|before| !before.is_alphanumeric() && !".-_}~/".contains(before))
    })
}

//! A place to run the binary in, and documents to run it on.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The binary under test.
pub(crate) const FAQ: &str = env!("CARGO_BIN_EXE_faq");

/// Settings that would reach the binary from the machine the tests run on.
const SETTINGS: [&str; 14] = [
    "FAQ_DATA",
    "EMBEDDING_MODEL",
    "LLM_MODEL",
    "LLM_MAX_TOKENS",
    "LLM_TEMPERATURE",
    "OLLAMA_URL",
    "OPENAI_API_KEY",
    "CHUNK_SIZE",
    "CHUNK_OVERLAP",
    "MAX_FILE_SIZE_MB",
    "MAX_CONTEXT_CHUNKS",
    "SIMILARITY_THRESHOLD",
    "LOG_LEVEL",
    "KAFKA_BROKERS",
];

/// A folder of its own with a data directory and documents.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A world with the three documents of [`handbook`] ingested.
    pub(crate) fn with_handbook() -> Self {
        let world = Self::new();
        handbook(&world);
        world.ok(&["ingest", "--json", &world.at("docs")]);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path in this world as an argument.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The binary over this world's data directory; it never uses the network.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(FAQ);
        for name in SETTINGS {
            command.env_remove(name);
        }
        command
            .env("FAQ_DATA", self.path("data"))
            .env("FAQ_MODELS_DIR", models())
            .arg("--offline")
            .args(args)
            .current_dir(self.dir.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        run(&mut self.command(args), None)
    }

    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Run {
        run(&mut self.command(args), Some(stdin))
    }

    /// Runs the binary, which has to succeed and print one JSON value.
    pub(crate) fn ok(&self, args: &[&str]) -> Value {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{args:?}: {run:?}");
        run.json()
    }

    /// The hits of a search, without what differs from run to run.
    pub(crate) fn hits(&self, query: &str) -> Value {
        self.ok(&["search", "--json", query])["hits"].take()
    }
}

pub(crate) fn run(command: &mut Command, stdin: Option<&str>) -> Run {
    command
        .stdin(if stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
        pipe.write_all(text.as_bytes()).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Run {
    /// The one JSON value that stdout holds, and nothing else.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// A failure as `--json` tells it: the code in JSON, a sentence on stderr.
    pub(crate) fn failed(&self, exit: i32, code: &str) {
        assert_eq!(self.code, Some(exit), "{self:?}");
        let told = self.json();
        assert_eq!(told["code"], code, "{self:?}");
        assert!(!told["error"].as_str().unwrap().is_empty());
        assert!(self.stderr.contains("error: "), "{self:?}");
    }
}

/// Where the models are, as the product looks for them.
pub(crate) fn models() -> PathBuf {
    faq_core::ModelStore::default_dir()
}

/// Three documents about the rules of an office.
pub(crate) fn handbook(world: &World) {
    world.write(
        "docs/leave.md",
        "# Leave\n\n## Annual leave\n\nEvery employee has 28 days of annual leave. Up to five days \
         can be carried over into the next year; they lapse on 31 March.\n\n## Sick leave\n\nA sick \
         note is needed from the third day of illness.\n",
    );
    world.write(
        "docs/travel.html",
        "<html><head><title>Travel</title></head><body><h1>Travel expenses</h1><p>Hotels are paid \
         up to 95 euros a night.</p><p>Train journeys are booked in second class; the department \
         head approves travel abroad.</p></body></html>",
    );
    world.write(
        "docs/deep/kitchen.txt",
        "The kitchen is on the second floor. The coffee machine is cleaned every Friday by the \
         facility team. Milk is ordered on Mondays.\n",
    );
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the shared test data; `None`, said on stderr, where there is no such data.
pub(crate) fn data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("FAQ_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let file = root.join(path);
    if file.exists() {
        return Some(file);
    }
    eprintln!(
        "skipped: {} is not there; set FAQ_TEST_DATA to the test data",
        file.display()
    );
    None
}

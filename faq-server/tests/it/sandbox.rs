//! Documents parsed in a child process, which is the real binary.
//!
//! The parent's side is compiled in from the binary's sources. A child that reads a pipe that
//! nobody closes stays alive for as long as a test wants to look at it.

#[allow(dead_code, reason = "the binary uses what the tests do not")]
#[path = "../../src/sandbox/mod.rs"]
mod parser;

use std::fs::File;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use faq_core::{
    Control, DocumentReader, Engine, EngineConfig, Error, InProcess, Interrupted, Limits,
    ParseError, Source,
};
use parser::{Input, Sandbox, SandboxConfig, SandboxError};

use crate::support::FAQ;

const SAMPLES: [&str; 5] = [
    "handbook.pdf",
    "travel-policy.docx",
    "office.html",
    "it-security.md",
    "history.txt",
];

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../samples")
        .join(name)
}

fn sandbox(config: SandboxConfig) -> Sandbox {
    Sandbox::with_program(FAQ, config)
}

fn parse(bytes: &[u8], name: &str, limits: &Limits) -> Result<faq_core::Document, SandboxError> {
    sandbox(SandboxConfig::default()).parse(Input::Bytes(bytes), name, limits, &Control::new())
}

fn docx(part: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in [
        ("[Content_Types].xml", b"<Types/>".as_slice()),
        ("word/document.xml", part),
    ] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What Office makes of a document with a password: a container that names its content.
fn encrypted() -> Vec<u8> {
    let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    bytes.resize(1024, 0);
    bytes.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    bytes.resize(4096, 0);
    bytes
}

/// A pipe whose other end stays open: the child waits for its rest.
fn endless() -> (File, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    (File::from(std::os::fd::OwnedFd::from(reader)), writer)
}

/// The process that was told to read a file with this extension.
fn child_with(extension: &str) -> Option<u32> {
    let named = format!("document.{extension}\"");
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|e| {
        let pid = e.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(e.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        (line.contains("\0parse-child\0") && line.contains(&named)).then_some(pid)
    })
}

fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn proc(pid: u32, file: &str) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The child once it has confined itself: its system call filter comes last.
fn confined_child(extension: &str) -> u32 {
    wait_until("a confined child appears", || {
        let pid = child_with(extension)?;
        proc(pid, "status")?.contains("Seccomp:\t2").then_some(pid)
    })
}

/// Parses from a pipe that stays open, lets `meanwhile` act on the child, and returns the error.
fn while_reading(
    extension: &str,
    limits: &Limits,
    control: &Control,
    meanwhile: impl FnOnce(u32),
) -> SandboxError {
    let (stdin, _open) = endless();
    std::thread::scope(|scope| {
        let parse = scope.spawn(|| {
            sandbox(SandboxConfig::default()).parse(
                Input::File(stdin),
                &format!("secret name.{extension}"),
                limits,
                control,
            )
        });
        let pid = confined_child(extension);
        meanwhile(pid);
        let error = parse.join().unwrap().unwrap_err();
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "the child is still there, alive or as a zombie"
        );
        error
    })
}

fn signal(pid: u32, name: &str) {
    let status = std::process::Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn every_sample_is_read_as_in_process() {
    let limits = Limits::default();
    for name in SAMPLES {
        let bytes = std::fs::read(sample(name)).unwrap();
        let source = Source::new(name, bytes);
        let expected = InProcess::default()
            .read(&source, &limits, &Control::new())
            .unwrap();
        assert_eq!(parse(&source.bytes, name, &limits).unwrap(), expected);

        let file = Input::File(File::open(sample(name)).unwrap());
        let from_file = sandbox(SandboxConfig::default())
            .parse(file, name, &limits, &Control::new())
            .unwrap();
        assert_eq!(from_file, expected, "{name}");
    }
}

#[test]
fn the_parsers_own_errors_pass_through() {
    let small = Limits {
        file_bytes: 100,
        ..Limits::default()
    };
    let unpacked = Limits {
        decompressed_bytes: 1 << 20,
        ..Limits::default()
    };
    let shallow = Limits {
        depth: 3,
        ..Limits::default()
    };
    let default = Limits::default();
    let bomb = docx(&vec![b' '; 8 << 20]);
    assert!(bomb.len() < 100_000);
    let cases: [(&str, Vec<u8>, &Limits, &str); 7] = [
        ("a.docx", encrypted(), &default, "encrypted"),
        ("a.docx", bomb, &unpacked, "limit"),
        ("a.md", b"> > > > > deep".to_vec(), &shallow, "limit"),
        ("a.txt", vec![b'a'; 101], &small, "limit"),
        (
            "a.pdf",
            b"%PDF-1.7 and no more".to_vec(),
            &default,
            "damaged",
        ),
        (
            "a.pdf",
            b"\xff\xd8\xff\xe0 JFIF".to_vec(),
            &default,
            "format_mismatch",
        ),
        ("a.txt", Vec::new(), &default, "empty"),
    ];
    for (name, bytes, limits, code) in cases {
        let source = Source::new(name, bytes);
        let expected = InProcess::default().read(&source, limits, &Control::new());
        let Err(Error::Parse(expected)) = expected else {
            panic!("{name}: {expected:?}");
        };
        let error = parse(&source.bytes, name, limits).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error:?}");
        assert!(!error.is_retryable());
        let SandboxError::Parse(error) = error else {
            panic!("{name}: {error:?}");
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn an_engine_reads_through_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::new(dir.path());
    config.reader = std::sync::Arc::new(sandbox(SandboxConfig::default()));
    let engine = Engine::with_config(config).unwrap();
    let read =
        |name: &str, bytes: Vec<u8>| engine.parse(&Source::new(name, bytes), &Control::new());

    let handbook = std::fs::read(sample("handbook.pdf")).unwrap();
    assert!(!read("handbook.pdf", handbook).unwrap().blocks.is_empty());
    let error = read("a.docx", encrypted()).unwrap_err();
    assert!(matches!(error, Error::Parse(ParseError::Encrypted { .. })));

    let nowhere = Sandbox::with_program("/nowhere/faq", SandboxConfig::default());
    let error = nowhere
        .read(
            &Source::new("a.txt", "text"),
            &Limits::default(),
            &Control::new(),
        )
        .unwrap_err();
    assert_eq!(error.code(), "sandbox_unavailable");
    assert!(matches!(error, Error::Reader(e) if e.retryable));
}

#[test]
fn a_document_that_needs_too_much_memory_passes_a_limit() {
    let text = "All work and no play makes a long document.\n\n".repeat(800_000);
    let config = SandboxConfig {
        memory_bytes: 160 << 20,
        ..SandboxConfig::default()
    };
    let read = |text: &str| {
        sandbox(config).parse(
            Input::Bytes(text.as_bytes()),
            "long.txt",
            &Limits::default(),
            &Control::new(),
        )
    };
    let error = read(&text).unwrap_err();
    assert!(
        matches!(error, SandboxError::Memory { allowed } if allowed == 160 << 20),
        "{error:?}"
    );
    assert_eq!(error.code(), "limit");
    assert!(!error.is_retryable());
    // It is the document, and not the program, that does not fit.
    assert_eq!(read(&text[..90]).unwrap().blocks.len(), 2);
}

#[test]
fn a_document_whose_text_is_too_long_passes_a_limit() {
    let config = SandboxConfig {
        output_bytes: 1000,
        ..SandboxConfig::default()
    };
    let text = "word ".repeat(100_000);
    let error = sandbox(config)
        .parse(
            Input::Bytes(text.as_bytes()),
            "long.txt",
            &Limits::default(),
            &Control::new(),
        )
        .unwrap_err();
    assert!(matches!(error, SandboxError::Output { .. }), "{error:?}");
    assert_eq!(error.code(), "limit");
}

#[test]
fn a_child_that_takes_too_long_is_killed() {
    let limits = Limits {
        time: Duration::from_millis(5),
        ..Limits::default()
    };
    let (stdin, _open) = endless();
    let config = SandboxConfig {
        grace: Duration::from_millis(100),
        ..SandboxConfig::default()
    };
    let error = sandbox(config)
        .parse(Input::File(stdin), "a.late", &limits, &Control::new())
        .unwrap_err();
    assert!(matches!(error, SandboxError::Time { .. }), "{error:?}");
    assert_eq!(error.code(), "limit");
    assert_eq!(child_with("late"), None);
}

#[test]
fn the_parser_itself_gives_up_first() {
    let limits = Limits {
        time: Duration::from_millis(1),
        ..Limits::default()
    };
    let text = "All work and no play.\n\n".repeat(500_000);
    let config = SandboxConfig {
        grace: PATIENCE,
        ..SandboxConfig::default()
    };
    let error = sandbox(config)
        .parse(
            Input::Bytes(text.as_bytes()),
            "long.md",
            &limits,
            &Control::new(),
        )
        .unwrap_err();
    let SandboxError::Parse(ParseError::Limit { limit, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(limit, "time");
}

#[test]
fn a_child_is_alone_and_confined() {
    let control = Control::new();
    let error = while_reading("alone", &Limits::default(), &control, |pid| {
        assert_eq!(proc(pid, "environ").unwrap(), "", "its environment");
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        assert_eq!(cwd, Path::new("/"));
        assert!(!proc(pid, "cmdline").unwrap().contains("secret"));

        let status = proc(pid, "status").unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(status.contains("Threads:\t1"), "{status}");

        let limits = proc(pid, "limits").unwrap();
        let limit = |name: &str| {
            let line = limits.lines().find(|l| l.starts_with(name)).unwrap();
            line[name.len()..]
                .split_whitespace()
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(limit("Max address space"), (2u64 << 30).to_string());
        assert_eq!(limit("Max cpu time"), "63");
        for (name, value) in [
            ("Max open files", "3"),
            ("Max file size", "0"),
            ("Max core file size", "0"),
            ("Max processes", "0"),
        ] {
            assert_eq!(limit(name), value, "{name}");
        }
        // "pid (name) state ppid pgrp … nice": a group of its own, and others go first.
        let stat = proc(pid, "stat").unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
        assert_eq!(fields[3], pid.to_string());
        assert!(fields[17].parse::<i32>().unwrap() >= 5);

        control.cancel.cancel();
    });
    assert!(matches!(
        error,
        SandboxError::Interrupted(Interrupted::Cancelled)
    ));
}

#[test]
fn a_deadline_ends_the_child() {
    let control = Control::new().with_timeout(Duration::from_millis(100));
    let (stdin, _open) = endless();
    let error = sandbox(SandboxConfig::default())
        .parse(
            Input::File(stdin),
            "a.deadline",
            &Limits::default(),
            &control,
        )
        .unwrap_err();
    assert!(matches!(
        error,
        SandboxError::Interrupted(Interrupted::Deadline)
    ));
    assert_eq!(child_with("deadline"), None);
}

#[test]
fn a_child_that_crashes_is_told_apart() {
    for (name, extension) in [("ILL", "ill"), ("ABRT", "abrt"), ("KILL", "kill")] {
        let error = while_reading(extension, &Limits::default(), &Control::new(), |pid| {
            signal(pid, name);
        });
        assert!(matches!(error, SandboxError::Crashed { .. }), "{error:?}");
        assert_eq!(error.code(), "crashed");
        assert!(error.is_retryable());
        assert!(error.to_string().contains("signal"), "{error}");
    }
    let error = while_reading("xcpu", &Limits::default(), &Control::new(), |pid| {
        signal(pid, "XCPU");
    });
    assert!(matches!(error, SandboxError::Time { .. }), "{error:?}");
}

/// A program that is no parser.
fn script(dir: &Path, commands: &str) -> Sandbox {
    let path = dir.join("script");
    std::fs::write(&path, format!("#!/bin/sh\n{commands}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Sandbox::with_program(path, SandboxConfig::default())
}

#[test]
fn an_answer_that_makes_no_sense_is_a_crash() {
    let block = r#"{"kind":"paragraph","level":null,"page":null,"range":{"start":1,"end":9}}"#;
    let document = |text: &str| {
        format!(
            r#"{{"document":{{"format":"text","title":null,"language":null,"text":"{text}","blocks":[{block}],"pages":[],"warnings":[]}}}}"#
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let answer = |json: &str| {
        script(
            dir.path(),
            &format!("echo some words >&2; printf '%s' '{json}'"),
        )
        .parse(
            Input::Bytes(b"text"),
            "a.txt",
            &Limits::default(),
            &Control::new(),
        )
    };
    assert_eq!(
        answer(&document("long enough")).unwrap().text,
        "long enough"
    );
    // Ranges beyond the text, or within a character, would harm whoever cuts the text by them.
    for json in [
        "",
        "{}",
        "nonsense",
        &document("short"),
        &document("ééééééé"),
    ] {
        let error = answer(json).unwrap_err();
        let SandboxError::Crashed { said, .. } = &error else {
            panic!("{json}: {error:?}");
        };
        assert_eq!(said, "some words\n");
    }
}

#[test]
fn a_child_that_is_confined_reaches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let said = probe(
        "sandbox::probe_of_a_confined_process",
        &[
            ("PROBE_FILE", file.to_str().unwrap()),
            (
                "PROBE_PORT",
                &listener.local_addr().unwrap().port().to_string(),
            ),
        ],
    );
    for what in ["open", "connect", "spawn"] {
        assert!(said.contains(&format!("{what}: refused")), "{said}");
    }
    // Needs a kernel with Landlock.
    if said.contains("landlock: there") {
        assert!(said.contains("remove: refused"), "{said}");
        assert!(file.exists());
    }
}

/// Runs one of the tests below in a process of its own, and returns what it said.
fn probe(test: &str, env: &[(&str, &str)]) -> String {
    let out = std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("probe: begins"), "{said}");
    said
}

#[test]
#[ignore = "runs in a process of its own, started by the test above"]
fn probe_of_a_confined_process() {
    let Ok(file) = std::env::var("PROBE_FILE") else {
        return;
    };
    let port: u16 = std::env::var("PROBE_PORT").unwrap().parse().unwrap();
    eprintln!("probe: begins");
    let there = landlock_is_there();
    parser::confine_for_test().unwrap();
    let say = |what: &str, done: bool| {
        eprintln!("{what}: {}", if done { "done" } else { "refused" });
    };
    eprintln!("landlock: {}", if there { "there" } else { "missing" });
    say("open", File::open(&file).is_ok());
    say(
        "connect",
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(),
    );
    say("spawn", std::process::Command::new("true").status().is_ok());
    say("remove", std::fs::remove_file(&file).is_ok());
}

fn landlock_is_there() -> bool {
    use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create)
        .is_ok()
}

#[test]
fn a_child_dies_with_its_parent() {
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["sandbox::probe_of_a_parent", "--exact", "--ignored"])
        .env("PROBE_PARENT", "1")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let child = confined_child("orphan");
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("the orphan ends", || {
        let gone = proc(child, "status").is_none_or(|s| s.contains("State:\tZ"));
        gone.then_some(())
    });
}

#[test]
#[ignore = "runs in a process of its own, started by the test above"]
fn probe_of_a_parent() {
    if std::env::var_os("PROBE_PARENT").is_none() {
        return;
    }
    let (stdin, _open) = endless();
    let ended = sandbox(SandboxConfig::default()).parse(
        Input::File(stdin),
        "a.orphan",
        &Limits::default(),
        &Control::new(),
    );
    panic!("killed before this: {ended:?}");
}

//! Whole PDFs, cut short and with bytes flipped, each read in a process with little memory.
//!
//! A parse may be refused; it may not end its process, panic, or take half a minute. The child
//! is this test binary, told by its environment to be one.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use faq_ingest::{ParseError, ParseOptions, parse};

use crate::invariants::assert_invariants;

const FILE: &str = "FAQ_TORTURE_FILE";
const PLAN: &str = "FAQ_TORTURE_PLAN";
/// Address space of a child, in KiB.
const MEMORY: &str = "3000000";
const SLOW: Duration = Duration::from_secs(30);

/// How many variants of a file are tried: cuts at even places, then flips of a few bytes.
#[derive(Clone, Copy)]
struct Plan {
    cuts: usize,
    flips: usize,
}

/// What became of them.
#[derive(Default, Debug)]
struct Counts {
    read: usize,
    refused: usize,
    /// File and variant of each that ended its process, panicked, hung, or was slow.
    bad: Vec<String>,
    slowest: (u64, String),
}

fn variant(bytes: &[u8], plan: Plan, number: usize) -> Vec<u8> {
    if number < plan.cuts {
        return bytes[..bytes.len() * number / plan.cuts].to_vec();
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64 ^ (number as u64) << 17 ^ bytes.len() as u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    let mut out = bytes.to_vec();
    for _ in 0..=random() % 8 {
        let at = random() % out.len().max(1);
        if let Some(byte) = out.get_mut(at) {
            *byte = random() as u8;
        }
    }
    out
}

/// The child's part: nothing, unless the environment names a file.
#[test]
fn child() {
    let (Some(file), Ok(plan)) = (std::env::var_os(FILE), std::env::var(PLAN)) else {
        return;
    };
    let numbers: Vec<usize> = plan.split(',').map(|n| n.parse().unwrap()).collect();
    let [cuts, flips, first] = numbers[..] else {
        panic!("a plan is cuts,flips,first");
    };
    let plan = Plan { cuts, flips };
    let bytes = std::fs::read(&file).unwrap();
    for number in first..cuts + flips {
        let bad = variant(&bytes, plan, number);
        let started = Instant::now();
        let result = parse(&bad, "a.pdf", &ParseOptions::default());
        let mut spent = started.elapsed();
        if spent > SLOW / 10 {
            // It may have been the machine's doing.
            let again = Instant::now();
            parse(&bad, "a.pdf", &ParseOptions::default()).ok();
            spent = spent.min(again.elapsed());
        }
        let ms = spent.as_millis();
        let what = match result {
            Ok(document) => {
                assert_invariants(&document);
                "read".to_owned()
            }
            Err(error @ ParseError::Internal { .. }) => format!("panic {error}"),
            Err(error) => error.code().to_owned(),
        };
        println!("\n@ {number} {ms} {what}");
    }
    println!("\n@ done");
}

fn torture(file: &Path, plan: Plan, counts: &mut Counts) {
    let mut first = 0;
    while first < plan.cuts + plan.flips {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args([
                "torture::child",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FILE, file)
            .env(PLAN, format!("{},{},{first}", plan.cuts, plan.flips))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (tell, told) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        let mut done = false;
        let mut hung = false;
        loop {
            let line = match told.recv_timeout(SLOW * 4) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    hung = true;
                    break;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            };
            let Some(report) = line.strip_prefix("@ ") else {
                continue;
            };
            if report == "done" {
                done = true;
                break;
            }
            let mut parts = report.splitn(3, ' ');
            let number: usize = parts.next().unwrap().parse().unwrap();
            let ms: u64 = parts.next().unwrap().parse().unwrap();
            let what = parts.next().unwrap();
            first = number + 1;
            if what.starts_with("panic") {
                counts.bad.push(format!("{name} #{number}: {what}"));
            } else if u128::from(ms) > SLOW.as_millis() {
                counts.bad.push(format!("{name} #{number}: {ms} ms"));
            } else if what == "read" {
                counts.read += 1;
            } else {
                counts.refused += 1;
            }
            if ms > counts.slowest.0 {
                counts.slowest = (ms, format!("{name} #{number}"));
            }
        }
        if done {
            child.wait().unwrap();
        } else {
            child.kill().ok();
            let end = child.wait().unwrap();
            let why = if hung {
                "hung".to_owned()
            } else {
                end.to_string()
            };
            counts.bad.push(format!("{name} #{first}: {why}"));
            first += 1;
        }
        reader.join().unwrap();
    }
}

fn report(counts: &Counts) -> String {
    let mut out = format!(
        "{} variants: {} read, {} refused, {} bad; slowest {} ms ({})",
        counts.read + counts.refused + counts.bad.len(),
        counts.read,
        counts.refused,
        counts.bad.len(),
        counts.slowest.0,
        counts.slowest.1
    );
    for bad in &counts.bad {
        let _ = write!(out, "\n  {bad}");
    }
    out
}

fn pdfs(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            pdfs(&path, found);
        } else if path.extension().is_some_and(|e| e == "pdf") {
            found.push(path);
        }
    }
}

#[test]
#[cfg(unix)]
fn hurt_samples_harm_nobody() {
    let mut files = Vec::new();
    pdfs(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples"),
        &mut files,
    );
    assert!(!files.is_empty());
    let mut counts = Counts::default();
    for file in &files {
        let plan = Plan {
            cuts: 10,
            flips: 30,
        };
        torture(file, plan, &mut counts);
    }
    assert!(counts.bad.is_empty(), "{}", report(&counts));
    assert_eq!(counts.read + counts.refused, files.len() * 40);
}

/// Minutes of work: `cargo test --release -p faq-ingest --test it -- --ignored --nocapture torture`.
#[test]
#[ignore = "minutes of work over the shared corpus"]
#[cfg(unix)]
fn the_whole_corpus_hurt() {
    let data = std::env::var_os("FAQ_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let mut files = Vec::new();
    pdfs(&data.join("parse/pdf"), &mut files);
    let mut counts = Counts::default();
    for (at, file) in files.iter().enumerate() {
        let plan = Plan {
            cuts: 20,
            flips: 200,
        };
        torture(file, plan, &mut counts);
        println!("{}/{} {}", at + 1, files.len(), report(&counts));
    }
    assert!(counts.bad.is_empty(), "{}", report(&counts));
}

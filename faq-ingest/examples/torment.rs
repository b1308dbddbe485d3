//! Damages every file below a folder in hundreds of ways and counts what comes of it:
//! `torment FOLDER [--flips N] [--skip pdf]`.
//!
//! Each file is cut at 20 places and has random bytes changed N times (200 by default); of an
//! archive, also the parts inside it, behind the checksums. Parsing runs in child processes, so
//! that a crash, a hang of 30 seconds or memory beyond 4 GB ends a child alone and is counted.
//! Every finding is named with what makes it again: file, kind of damage, seed.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use faq_ingest::{Document, ParseError, ParseOptions, parse};

const CUTS: usize = 20;
const MOST_SECONDS: u64 = 30;
/// Address space of a child, in kilobytes.
const MOST_MEMORY_KB: u64 = 4 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|a| a == "--worker") {
        return work();
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1)
    };
    let folder = arguments.first().ok_or("usage: torment FOLDER")?;
    let flips: usize = value("--flips").map_or(Ok(200), |n| n.parse())?;
    let skipped = value("--skip").map_or("", String::as_str);
    let mut files = Vec::new();
    list(Path::new(folder), skipped, &mut files)?;
    files.sort();
    let mut counts = Counts::default();
    let mut formats: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut worker = Worker::start()?;
    for file in &files {
        let is_archive = std::fs::read(file)?.starts_with(b"PK");
        let before = counts.total();
        let mut jobs: Vec<(&str, usize)> = (0..CUTS).map(|n| ("cut", n)).collect();
        jobs.extend((0..flips).map(|n| ("flip", n)));
        if is_archive {
            jobs.extend((0..flips / 2).map(|n| ("part", n)));
        }
        for (kind, seed) in jobs {
            let started = Instant::now();
            let outcome = worker.ask(&format!("{kind}\t{seed}\t{}", file.display()));
            let took = started.elapsed();
            counts.slowest = counts.slowest.max(took);
            counts.add(outcome.as_deref());
            let finding = match outcome.as_deref() {
                Some("read" | "refused") if took.as_secs() < MOST_SECONDS => continue,
                Some(other) => other.to_owned(),
                None => "the child ended".to_owned(),
            };
            println!("{finding}: {kind} {seed} of {}", file.display());
            if outcome.is_none() || finding == "hang" {
                worker = Worker::start()?;
            }
        }
        let format = file.extension().unwrap_or_default().to_string_lossy();
        let counted = formats.entry(format.into_owned()).or_default();
        counted.0 += 1;
        counted.1 += counts.total() - before;
    }
    for (format, (files, copies)) in formats {
        println!("{format}: {files} files, {copies} damaged copies");
    }
    println!(
        "{} files, {} damaged copies: {} read, {} refused, {} panics, {} crashes, {} hangs; \
         slowest {:.2} s",
        files.len(),
        counts.total(),
        counts.read,
        counts.refused,
        counts.panics,
        counts.crashes,
        counts.hangs,
        counts.slowest.as_secs_f64()
    );
    if counts.panics + counts.crashes + counts.hangs > 0 {
        return Err("there are findings".into());
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    read: usize,
    refused: usize,
    panics: usize,
    crashes: usize,
    hangs: usize,
    slowest: Duration,
}

impl Counts {
    fn total(&self) -> usize {
        self.read + self.refused + self.panics + self.crashes + self.hangs
    }

    fn add(&mut self, outcome: Option<&str>) {
        match outcome {
            Some("read") => self.read += 1,
            Some("refused") => self.refused += 1,
            Some("hang") => self.hangs += 1,
            Some(_) => self.panics += 1,
            None => self.crashes += 1,
        }
    }
}

/// A child that parses what it is told to.
struct Worker {
    child: Child,
    jobs: ChildStdin,
    answers: Receiver<String>,
}

impl Worker {
    fn start() -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?;
        let mut command = if cfg!(unix) {
            let mut shell = Command::new("sh");
            shell
                .arg("-c")
                .arg(format!("ulimit -v {MOST_MEMORY_KB}; exec \"$0\" --worker"))
                .arg(program);
            shell
        } else {
            let mut plain = Command::new(program);
            plain.arg("--worker");
            plain
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let jobs = child.stdin.take().ok_or("no way in")?;
        let lines = BufReader::new(child.stdout.take().ok_or("no way out")?).lines();
        let (send, answers) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            jobs,
            answers,
        })
    }

    /// What came of a job, or `None` where the child is gone.
    fn ask(&mut self, job: &str) -> Option<String> {
        writeln!(self.jobs, "{job}").ok()?;
        match self.answers.recv_timeout(Duration::from_secs(MOST_SECONDS)) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => Some("hang".to_owned()),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be gone already.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn work() -> Result<(), Box<dyn Error>> {
    let mut known: Option<(String, Vec<u8>)> = None;
    for line in std::io::stdin().lines() {
        let line = line?;
        let mut fields = line.splitn(3, '\t');
        let (Some(kind), Some(seed), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err("no job".into());
        };
        let bytes = match &known {
            Some((name, bytes)) if name == path => bytes.clone(),
            _ => std::fs::read(path)?,
        };
        known = Some((path.to_owned(), bytes.clone()));
        let damaged = damage(bytes, kind, seed.parse()?, path);
        let answer = match parse(&damaged, path, &ParseOptions::default()) {
            Ok(document) => match broken(&document) {
                Some(rule) => format!("panic (a rule of documents is broken: {rule})"),
                None => "read".to_owned(),
            },
            Err(ParseError::Internal { detail, .. }) => {
                format!("panic ({})", detail.replace('\n', " "))
            }
            Err(_) => "refused".to_owned(),
        };
        println!("{answer}");
    }
    Ok(())
}

/// The rule of its type that a document breaks.
fn broken(document: &Document) -> Option<&'static str> {
    let mut end = 0;
    for block in &document.blocks {
        if block.range.start < end || block.range.slice(&document.text).is_none() {
            return Some("blocks stand one after the other");
        }
        if document.block_text(block).trim().is_empty() {
            return Some("no block is blank");
        }
        end = block.range.end;
    }
    if end != document.text.len() {
        return Some("the last block ends the text");
    }
    let mut end = 0;
    for link in &document.links {
        let words = link.range.slice(&document.text);
        if link.range.start < end || words.is_none_or(|w| w.trim().is_empty()) {
            return Some("links are words, one after the other");
        }
        end = link.range.end;
    }
    None
}

fn damage(mut bytes: Vec<u8>, kind: &str, seed: usize, path: &str) -> Vec<u8> {
    let mut random = Random::new(seed, path);
    match kind {
        "cut" => bytes.truncate(bytes.len() * seed / CUTS),
        "part" => return damage_part(&bytes, &mut random).unwrap_or(bytes),
        _ => flip(&mut bytes, &mut random),
    }
    bytes
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..=random.below(8) {
        if !bytes.is_empty() {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
        }
    }
}

/// The same archive with bytes changed in one of its parts.
fn damage_part(bytes: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
    let chosen = random.below(archive.len());
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        if index == chosen {
            let mut entry = archive.by_index(index).ok()?;
            let mut content = Vec::new();
            entry.read_to_end(&mut content).ok()?;
            flip(&mut content, random);
            let options = zip::write::SimpleFileOptions::default();
            out.start_file(entry.name().ok()?, options).ok()?;
            out.write_all(&content).ok()?;
        } else {
            out.raw_copy_file(archive.by_index_raw(index).ok()?).ok()?;
        }
    }
    Some(out.finish().ok()?.into_inner())
}

/// xorshift; the same numbers for the same seed and file.
struct Random(u64);

impl Random {
    fn new(seed: usize, path: &str) -> Self {
        let name = path.bytes().fold(seed as u64 + 1, |hash, byte| {
            hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)
        });
        Self(name | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 8) % end.max(1) as u64) as usize
    }
}

fn list(folder: &Path, skipped: &str, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != skipped) {
                list(&path, skipped, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}

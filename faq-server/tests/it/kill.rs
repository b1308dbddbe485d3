//! `kill -9` at random moments: what was acknowledged is there, once, whole.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faq_core::{Control, Engine, EngineConfig, Mode, SearchOptions};

use crate::support::World;

const ROUNDS: u32 = 20;
const DOCUMENTS: u32 = 240;

/// A word that only this document of this round holds.
fn word(round: u32, document: u32) -> String {
    format!("quokka{round}zebra{document}")
}

fn write_round(world: &World, round: u32) {
    for document in 0..DOCUMENTS {
        let word = word(round, document);
        world.write(
            &format!("docs/{document:03}.txt"),
            format!("Note {document}: the pass phrase of this note is {word}.\n"),
        );
    }
}

/// Numbers that look random and are the same each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What an ingest said before it ended or was killed.
struct Heard {
    acknowledged: Vec<u32>,
    /// Lines of progress.
    lines: u64,
}

/// Ingests. Where `kill` is given, the process is killed that long after so many lines of
/// progress: by its own steps rather than by the clock, since machines differ in speed.
fn ingest(world: &World, kill: Option<(u64, Duration)>) -> Heard {
    let mut child = world
        .command(&["ingest", "--json", "--progress", "json", &world.at("docs")])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let heard = Arc::new(Mutex::new(Heard {
        acknowledged: Vec::new(),
        lines: 0,
    }));
    let hears = Arc::clone(&heard);
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let listener = std::thread::spawn(move || {
        for line in stderr.lines() {
            // The last line may be cut off by the kill.
            let Ok(event) = serde_json::from_str::<serde_json::Value>(&line.unwrap()) else {
                continue;
            };
            let mut heard = hears.lock().unwrap();
            heard.lines += 1;
            for origin in event["committed"].as_array().unwrap() {
                let name = origin.as_str().unwrap().rsplit('/').next().unwrap();
                heard.acknowledged.push(name[..3].parse().unwrap());
            }
        }
    });
    if let Some((lines, more)) = kill {
        while heard.lock().unwrap().lines < lines && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(more);
        child.kill().unwrap();
    }
    child.wait().unwrap();
    listener.join().unwrap();
    Arc::into_inner(heard).unwrap().into_inner().unwrap()
}

#[test]
fn what_was_acknowledged_is_found_once() {
    let world = World::new();
    write_round(&world, 0);
    let first = ingest(&world, None);
    assert_eq!(first.acknowledged.len(), DOCUMENTS as usize);
    // The round that each document is known to hold at least.
    let mut known: HashMap<u32, u32> = first.acknowledged.into_iter().map(|d| (d, 0)).collect();
    let mut random = Random(0x5eed);
    let mut cut_short = 0;
    for round in 1..=ROUNDS {
        write_round(&world, round);
        let more = Duration::from_millis(random.below(60));
        let kill = (random.below(first.lines), more);
        let acknowledged = ingest(&world, Some(kill)).acknowledged;
        cut_short += u32::from(acknowledged.len() < DOCUMENTS as usize);
        known.extend(acknowledged.into_iter().map(|d| (d, round)));
        check(&world, &known, round);
    }
    assert!(
        cut_short >= ROUNDS / 4,
        "only {cut_short} ingests were killed in time"
    );
    ingest(&world, None);
    known.extend((0..DOCUMENTS).map(|d| (d, ROUNDS)));
    check(&world, &known, ROUNDS);
}

/// Opens the collection as the next process would, and looks for every document.
fn check(world: &World, known: &HashMap<u32, u32>, round: u32) {
    let engine = Engine::with_config(EngineConfig::new(world.path("data"))).unwrap();
    let collection = engine.existing_collection("default").unwrap();
    let stats = collection.stats().unwrap();
    assert_eq!(stats.documents, u64::from(DOCUMENTS));
    assert_eq!(stats.chunks, stats.documents);
    assert_eq!(stats.vectors, stats.documents);
    let options = SearchOptions {
        mode: Mode::Keyword,
        ..SearchOptions::default()
    };
    for (&document, &least) in known {
        // An ingest that was killed may have committed more than it could say.
        let found: Vec<u32> = (least..=round)
            .filter(|&r| {
                let hits = collection.search(&word(r, document), &options, &Control::new());
                let hits = hits.unwrap().hits;
                assert!(
                    hits.len() <= 1,
                    "document {document} of round {r} is there twice"
                );
                hits.len() == 1
            })
            .collect();
        assert_eq!(
            found.len(),
            1,
            "document {document}, rounds {least} to {round}: {found:?}"
        );
    }
}

//! A process that is killed while it writes loses nothing that it acknowledged.
//!
//! The test runs its own binary again as the child that writes.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use faq_index::{Collection, DocumentId, Mode, Query};

use crate::support::*;

const DIR: &str = "FAQ_INDEX_TEST_KILL_DIR";
const FROM: &str = "FAQ_INDEX_TEST_KILL_FROM";

/// The child: writes documents one after another and prints the number of each one acknowledged.
#[test]
#[ignore = "runs as the child of acknowledged_writes_survive_kill_9"]
fn child() {
    let (Ok(dir), Ok(from)) = (std::env::var(DIR), std::env::var(FROM)) else {
        return;
    };
    let collection = open(std::path::Path::new(&dir));
    let mut n: u64 = from.parse().unwrap();
    loop {
        let word = format!("word{n}");
        let mut batch = upsert([document(n, &["common", &word])]);
        // Now and then something is replaced or deleted beside it.
        if n.is_multiple_of(5) {
            batch.upserts.push(document(
                n - 3,
                &["common", &format!("word{}", n - 3), "again"],
            ));
        }
        if n.is_multiple_of(7) {
            batch.deletes.push(id(n - 6));
        }
        collection.write(batch).unwrap();
        println!("ack {n}");
        n += 1;
    }
}

/// What a run of kills found.
#[derive(Debug, Default)]
struct Found {
    kills: u64,
    writes: u64,
    acknowledged: u64,
    lost: u64,
    doubled: u64,
    slowest_open_ms: u128,
}

/// Kills a writing child until `kills` are done and `writes` were made, and looks after each kill.
fn kill_and_look(kills: u64, writes: u64, seed: u64) -> Found {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(seed);
    let mut found = Found::default();
    let mut next = 1;
    while found.kills < kills || next <= writes {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child", "--exact", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .env(FROM, next.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (first, seen_first) = std::sync::mpsc::channel();
        let reader = thread::spawn(move || {
            let mut last = None;
            for line in lines.map_while(Result::ok) {
                if let Some((_, n)) = line.split_once("ack ") {
                    last = n.trim().parse::<u64>().ok().or(last);
                    let _ = first.send(());
                }
            }
            last
        });
        // One in four is killed at any moment, while it opens too; the others while they write.
        if found.kills % 4 != 3 {
            seen_first
                .recv_timeout(Duration::from_secs(60))
                .expect("the child writes");
        }
        thread::sleep(Duration::from_micros(random.below(120_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = reader.join().unwrap().unwrap_or(next - 1);
        found.kills += 1;

        let start = std::time::Instant::now();
        let collection = open(dir.path());
        found.slowest_open_ms = found.slowest_open_ms.max(start.elapsed().as_millis());
        let stats = collection.stats().unwrap();
        // The write after the last acknowledged one may have been committed, whole or not at all.
        let written = stats.seq;
        assert!(
            written == acknowledged || written == acknowledged + 1,
            "{written} {acknowledged}"
        );
        found.acknowledged = acknowledged;
        found.writes = written;
        let deleted = |n: u64| (n + 6).is_multiple_of(7) && n + 6 <= written;
        let live: Vec<u64> = (1..=written).filter(|n| !deleted(*n)).collect();
        assert_eq!(stats.documents, live.len() as u64);
        let common = keyword_all(&collection, "common");
        let distinct: HashSet<_> = common.iter().collect();
        found.doubled += (common.len() - distinct.len()) as u64;
        found.lost += live.iter().filter(|n| !distinct.contains(&id(**n))).count() as u64;
        // All are looked up by their own words and vectors now and then, the newest each time.
        let all = found.kills % 10 == 0;
        let newest = live.iter().rev().take(if all { live.len() } else { 12 });
        for &n in newest {
            if keyword(&collection, &format!("word{n}")) != [id(n)]
                || dense(&collection, vector_of(n, 1), 1) != [id(n)]
            {
                found.lost += 1;
            }
        }
        next = written + 1;
    }
    found
}

/// Documents with a word, each as often as it is found by its first chunk.
fn keyword_all(collection: &Collection, word: &str) -> Vec<DocumentId> {
    let mut query = Query::new(word, None);
    (query.mode, query.k) = (Mode::Keyword, 100_000);
    let hits = collection.search(&query).unwrap().hits;
    let first = hits.iter().filter(|hit| hit.id.ordinal == 0);
    first.map(|hit| hit.id.document).collect()
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    let found = kill_and_look(20, 0, 20);
    assert_eq!((found.kills, found.lost, found.doubled), (20, 0, 0));
}

#[test]
#[ignore = "takes minutes; prints what it counted"]
fn three_hundred_kills_and_two_thousand_writes() {
    let found = kill_and_look(300, 2000, 300);
    println!("{found:#?}");
    assert_eq!((found.lost, found.doubled), (0, 0));
}

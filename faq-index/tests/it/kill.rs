//! A process that is killed while it writes loses nothing that it acknowledged.
//!
//! The test runs its own binary again as the child that writes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

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

#[test]
fn acknowledged_writes_survive_kill_9() {
    const KILLS: u64 = 20;
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(20);
    let mut next = 1;
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child", "--exact", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .env(FROM, next.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The reader sees the first acknowledgement before the clock starts, so that every
        // round kills a child that is writing.
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
        seen_first
            .recv_timeout(Duration::from_secs(60))
            .expect("the child writes");
        thread::sleep(Duration::from_micros(random.below(120_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = reader.join().unwrap().unwrap();

        let collection = open(dir.path());
        let stats = collection.stats().unwrap();
        // The write after the last acknowledged one may have been committed, whole or not at all.
        let written = stats.seq;
        assert!(
            written == acknowledged || written == acknowledged + 1,
            "{written} {acknowledged}"
        );
        let deleted = |n: u64| (n + 6).is_multiple_of(7) && n + 6 <= written;
        let live: Vec<u64> = (1..=written).filter(|n| !deleted(*n)).collect();
        assert_eq!(stats.documents, live.len() as u64);
        assert_eq!(keyword(&collection, "common").len(), live.len());
        for &n in &live {
            assert_eq!(
                keyword(&collection, &format!("word{n}")),
                [id(n)],
                "{n} of {written}"
            );
            assert_eq!(dense(&collection, vector_of(n, 1), 1), [id(n)]);
        }
        next = written + 1;
    }
}

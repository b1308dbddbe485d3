//! Answers the questions of `benches/peers/index/peers.py`, which compares other indexes with this.
//!
//! ```sh
//! cargo run --release -p faq-index --example peer -- VECTORS COUNT
//! ```
//!
//! VECTORS is as for the example `scale`. What was written, and how long that took, goes to stdout
//! as a line of JSON; after that each line `exact` or `graph EF` on stdin asks all questions for
//! their ten nearest sentences, vectors alone, and gives a line with the answers and the times.
//!
//! `peer add VECTORS DIR` writes a hundred sentences at a time and says after each how many there
//! are, to be killed; `peer ids DIR` then says which are found, as `stores.py` asks.
#![allow(clippy::print_stdout)]

mod corpus;

use std::io::BufRead;
use std::path::Path;
use std::time::{Duration, Instant};

use corpus::{BATCH, CHUNKS, Result, Texts, cpu, document};
use faq_index::{Collection, CollectionConfig, Mode, Query, VectorSearch, WriteBatch};
use serde_json::json;

const QUESTIONS: usize = 1000;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [add, vectors, dir] if add == "add" => return add_forever(vectors, dir),
        [ids, dir] if ids == "ids" => return tell_ids(dir),
        _ => {}
    }
    let [vectors, count] = &args[..] else {
        return Err("the folder with the vectors and their number are missing".into());
    };
    let texts = Texts::read(Path::new(vectors), "sentences")?;
    let asked = Texts::read(Path::new(vectors), "questions")?;
    let count = texts.vectors.len().min(count.parse()?);
    let dir = tempfile::tempdir()?;
    let config = CollectionConfig {
        graph_min_vectors: usize::MAX,
        ..CollectionConfig::default()
    };
    let collection = Collection::open(dir.path(), config)?;
    let timed = |work: &mut dyn FnMut() -> Result<()>| {
        let (start, worked) = (Instant::now(), cpu());
        work()?;
        let took = start.elapsed().as_secs_f64();
        Ok::<_, Box<dyn std::error::Error>>((took, cpu().saturating_sub(worked).as_secs_f64()))
    };
    let documents = count.div_ceil(CHUNKS);
    let written = timed(&mut || {
        for from in (0..documents).step_by(BATCH) {
            let all = from..(from + BATCH).min(documents);
            collection.write(WriteBatch {
                upserts: all.map(|n| document(n, &texts, count)).collect(),
                deletes: Vec::new(),
            })?;
        }
        Ok(())
    })?;
    drop(texts);
    let graph = timed(&mut || Ok(collection.build_graph()?))?;
    println!("{}", json!({"written": written, "graph": graph}));

    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let how = match words.next() {
            Some("exact") => VectorSearch::Exact,
            _ => VectorSearch::Graph,
        };
        let ef = words.next().map(str::parse).transpose()?;
        let (mut found, mut times) = (Vec::new(), Vec::new());
        let worked = cpu();
        for vector in asked.vectors.iter().take(QUESTIONS) {
            let mut query = Query::new("", Some(vector.clone()));
            (query.mode, query.vector_search, query.ef) = (Mode::Dense, how, ef);
            query.candidates = query.k;
            let start = Instant::now();
            let hits = collection.search(&query)?.hits;
            times.push(ms(start.elapsed()));
            let place = |id: faq_index::ChunkId| {
                (id.document.0.as_u128() as usize - 1) * CHUNKS + id.ordinal as usize
            };
            found.push(
                hits.into_iter()
                    .map(|hit| place(hit.id))
                    .collect::<Vec<_>>(),
            );
        }
        let worked = ms(cpu().saturating_sub(worked));
        println!(
            "{}",
            json!({"found": found, "times_ms": times, "cpu_ms": worked})
        );
    }
    Ok(())
}

fn add_forever(vectors: &str, dir: &str) -> Result<()> {
    let texts = Texts::read(Path::new(vectors), "sentences")?;
    let collection = Collection::open(Path::new(dir), CollectionConfig::default())?;
    println!("ready");
    let (each, count) = (100 / CHUNKS, texts.lines.len());
    for from in (0..count / CHUNKS).step_by(each) {
        let upserts = (from..from + each).map(|n| document(n, &texts, count));
        collection.write(WriteBatch {
            upserts: upserts.collect(),
            deletes: Vec::new(),
        })?;
        println!("{}", (from + each) * CHUNKS);
    }
    Ok(())
}

/// Numbers of the sentences that both lists and the store agree on.
fn tell_ids(dir: &str) -> Result<()> {
    let collection = Collection::open(Path::new(dir), CollectionConfig::default())?;
    let mut ids: Vec<usize> = Vec::new();
    for document in collection.documents()? {
        for chunk in collection.chunks_of(document.id)? {
            ids.push((document.id.0.as_u128() as usize - 1) * CHUNKS + chunk.id.ordinal as usize);
        }
    }
    let stats = collection.stats()?;
    assert_eq!(stats.chunks, ids.len() as u64);
    println!("{}", json!(ids));
    Ok(())
}

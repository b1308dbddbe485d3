//! Measures collections of several sizes: disk, memory, opening, writing, and searches of the three
//! modes on one thread and on two.
//!
//! ```sh
//! cargo run --release -p faq-index --example sizes -- VECTORS DIR 1000 10000 100000 [--svg FILE]
//! ```
//!
//! VECTORS is as for the example `scale`; where the sentences run out, they are mixed and their
//! vectors repeated with noise. Each size is a process of its own, whose collection lies in DIR
//! while it runs. A line of JSON for each goes to stdout, then a table; the plot goes to FILE.
//!
//! `sizes one VECTORS DIR SIZE DOCUMENTS` measures one size, with so many documents a write. With
//! fewer than a hundred, the graph grows in the background meanwhile; else it is built once at the
//! end.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../corpus/mod.rs"]
mod corpus;
mod plot;

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use corpus::{CHUNKS, Result, Texts, cpu, document};
use faq_index::{Collection, CollectionConfig, Filter, Mode, Query, VectorSearch, WriteBatch};
use serde_json::{Value, json};

const QUESTIONS: usize = 1000;
/// Questions whose answers are compared with those of an exact scan.
const CHECKED: usize = 200;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [one, vectors, dir, size, documents] = &args[..]
        && one == "one"
    {
        let report = measure(vectors, dir, size.parse()?, documents.parse()?)?;
        println!("{report}");
        return Ok(());
    }
    let [vectors, dir, sizes @ ..] = &args[..] else {
        return Err("the folders and the sizes are missing".into());
    };
    let svg = sizes.iter().position(|arg| arg == "--svg");
    let (sizes, svg) = match svg {
        Some(at) => (&sizes[..at], sizes.get(at + 1)),
        None => (sizes, None),
    };
    let mut reports: Vec<Value> = Vec::new();
    for size in sizes {
        let output = Command::new(std::env::current_exe()?)
            .args(["one", vectors, dir, size, "100"])
            .stderr(Stdio::inherit())
            .output()?;
        let line = String::from_utf8(output.stdout)?;
        print!("{line}");
        reports.push(serde_json::from_str(&line)?);
    }
    table(&reports);
    if let Some(file) = svg {
        std::fs::write(file, plot::svg(&reports))?;
    }
    Ok(())
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e2).round() / 1e2
}

/// A line of `/proc/self/status`, in MB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

fn measure(vectors: &str, dir: &str, size: usize, at_once: usize) -> Result<Value> {
    let dir = tempfile::tempdir_in(dir)?;
    let texts = Texts::read(Path::new(vectors), "sentences")?;
    let asked = Texts::read(Path::new(vectors), "questions")?;
    let documents = size.div_ceil(CHUNKS);
    let config = CollectionConfig::default();
    let grows = at_once < 100;
    let while_writing = CollectionConfig {
        graph_min_vectors: if grows {
            config.graph_min_vectors
        } else {
            usize::MAX
        },
        ..config.clone()
    };
    let collection = Collection::open(dir.path(), while_writing)?;
    let (start, worked) = (Instant::now(), cpu());
    for from in (0..documents).step_by(at_once) {
        let numbers = from..(from + at_once).min(documents);
        collection.write(WriteBatch {
            upserts: numbers.map(|n| document(n, &texts, size)).collect(),
            deletes: Vec::new(),
        })?;
        if from % 10_000 == 0 {
            eprintln!("{size}: {from} of {documents} documents");
        }
    }
    let written = start.elapsed();
    collection.wait_idle();
    let write_cpu = cpu().saturating_sub(worked);
    drop((texts, collection));
    let (start, worked) = (Instant::now(), cpu());
    let collection = Collection::open(dir.path(), config.clone())?;
    collection.wait_idle();
    let (graph_took, graph_cpu) = (start.elapsed(), cpu().saturating_sub(worked));
    let graph_vectors = collection.stats()?.graph_vectors;
    drop(collection);

    let before = memory("RssAnon");
    let mut openings = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let opened = Collection::open(dir.path(), config.clone())?;
        openings.push(start.elapsed());
        opened.wait_idle();
    }
    openings.sort();
    let collection = Collection::open(dir.path(), config)?;
    collection.wait_idle();
    let start = Instant::now();
    collection.search(&query(&asked, 0, Mode::Hybrid))?;
    let first = start.elapsed();
    let mut modes = serde_json::Map::new();
    for (name, mode) in [
        ("dense", Mode::Dense),
        ("keyword", Mode::Keyword),
        ("hybrid", Mode::Hybrid),
    ] {
        let one = ask(&collection, &asked, mode, 1)?;
        let two = ask(&collection, &asked, mode, 2)?;
        modes.insert(name.to_owned(), json!({"1": one, "2": two}));
    }
    let parts = parts(&collection, &asked)?;
    let spelling = spelling(&collection, &asked)?;
    let found = recall(&collection, &asked)?;
    let stats = collection.stats()?;
    let disk = |name: &str| bytes(&dir.path().join(name)) >> 20;
    Ok(json!({
        "chunks": size, "documents": documents, "documents_a_write": at_once,
        "disk_mb": stats.disk_bytes >> 20, "truth_mb": disk("truth.sqlite"),
        "segments_mb": disk("segments"), "graph_mb": disk("vectors.graph"), "keyword_mb": disk("keyword"),
        "write_s": seconds(written), "write_cpu_s": seconds(write_cpu),
        "chunks_per_s": (size as f64 / written.as_secs_f64()).round(),
        "graph_vectors": graph_vectors, "graph_s": seconds(graph_took), "graph_cpu_s": seconds(graph_cpu),
        "open_ms": ms(openings[2]), "first_search_ms": ms(first),
        "own_mb": memory("RssAnon").saturating_sub(before), "mapped_mb": memory("RssFile"),
        "peak_mb": memory("VmHWM"), "recall_at_10": found, "modes": modes, "hybrid_parts": parts,
        "spelling": spelling,
    }))
}

fn bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).map_or(0, |meta| meta.len());
    };
    entries.flatten().map(|entry| bytes(&entry.path())).sum()
}

fn query(asked: &Texts, at: usize, mode: Mode) -> Query {
    let mut query = Query::new(asked.lines[at].as_str(), Some(asked.vectors[at].clone()));
    query.mode = mode;
    query
}

/// Every question on so many threads.
fn ask(collection: &Collection, asked: &Texts, mode: Mode, threads: usize) -> Result<Value> {
    let (start, worked) = (Instant::now(), cpu());
    let mut times: Vec<f64> = std::thread::scope(|scope| {
        let each = || -> std::result::Result<Vec<f64>, faq_index::IndexError> {
            let questions = 0..QUESTIONS.min(asked.lines.len());
            let one = |at| {
                let query = query(asked, at, mode);
                let start = Instant::now();
                collection.search(&query)?;
                Ok(ms(start.elapsed()))
            };
            questions.map(one).collect()
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        let mut all = Vec::new();
        for thread in running {
            all.extend(thread.join().expect("a question does not panic")?);
        }
        Ok::<_, faq_index::IndexError>(all)
    })?;
    let took = start.elapsed();
    let worked = cpu().saturating_sub(worked);
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    Ok(json!({
        "p50_ms": at(0.5), "p99_ms": at(0.99), "cpu_ms": ms(worked / times.len() as u32),
        "per_s": (times.len() as f64 / took.as_secs_f64()).round(),
    }))
}

/// Where the time of a hybrid search and of reading its texts goes. Each question is asked five
/// times and its best time counts, which leaves out what else the machine did meanwhile.
fn parts(collection: &Collection, asked: &Texts) -> Result<Value> {
    let mut best: [Vec<f64>; 5] = Default::default();
    for at in 0..QUESTIONS.min(asked.lines.len()) {
        let query = query(asked, at, Mode::Hybrid);
        let mut least = [f64::INFINITY; 5];
        for _ in 0..5 {
            let start = Instant::now();
            let result = collection.search(&query)?;
            let search = start.elapsed();
            let ids: Vec<_> = result.hits.iter().map(|hit| hit.id).collect();
            collection.chunks(&ids)?;
            let whole = start.elapsed();
            let (dense, keyword) = (result.dense_us as f64 / 1e3, result.keyword_us as f64 / 1e3);
            let took = [
                ms(whole),
                ms(search),
                dense,
                keyword,
                ms(whole.saturating_sub(search)),
            ];
            for (least, took) in least.iter_mut().zip(took) {
                *least = least.min(took);
            }
        }
        for (best, least) in best.iter_mut().zip(least) {
            best.push(least);
        }
    }
    let names = ["whole", "search", "vectors", "keywords", "texts"];
    let mut report = serde_json::Map::new();
    for (name, mut times) in names.into_iter().zip(best) {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[(times.len() as f64 * share) as usize];
        let (p50, p99) = (at(0.5), at(0.99));
        report.insert(name.to_owned(), json!({"p50_ms": p50, "p99_ms": p99}));
    }
    Ok(report.into())
}

/// What it takes to look up the spelling of the questions' words, as they are and with a letter missing
/// from the middle of the longest word of each; best of five, as above.
fn spelling(collection: &Collection, asked: &Texts) -> Result<Value> {
    let mut best: [Vec<f64>; 2] = Default::default();
    let mut understood = 0;
    for question in asked.lines.iter().take(QUESTIONS) {
        for (best, text) in best.iter_mut().zip([question, &misspelled(question)]) {
            let mut least = f64::INFINITY;
            let mut corrections = Vec::new();
            for _ in 0..5 {
                let start = Instant::now();
                corrections = collection.corrections(text, &Filter::default())?;
                least = least.min(ms(start.elapsed()));
            }
            understood += usize::from(text != question && !corrections.is_empty());
            best.push(least);
        }
    }
    let [clean, slip] = best.map(|mut times| {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[(times.len() as f64 * share) as usize];
        json!({"p50_ms": at(0.5), "p99_ms": at(0.99)})
    });
    Ok(json!({"clean": clean, "slip": slip, "corrected": understood}))
}

fn misspelled(question: &str) -> String {
    let words = question.split(|c: char| !c.is_alphanumeric());
    let Some(longest) = words.max_by_key(|word| word.chars().count()) else {
        return question.to_owned();
    };
    let middle = longest.chars().count() / 2;
    let letters = longest.chars().enumerate();
    let slip: String = letters
        .filter_map(|(at, letter)| (at != middle).then_some(letter))
        .collect();
    question.replacen(longest, &slip, 1)
}

/// Share of the exact answer's ten that the collection's own way of searching finds.
fn recall(collection: &Collection, asked: &Texts) -> Result<f64> {
    let (mut shared, mut total) = (0, 0);
    for at in 0..CHECKED.min(asked.lines.len()) {
        let mut query = query(asked, at, Mode::Dense);
        let found = collection.search(&query)?.hits;
        let found: HashSet<_> = found.into_iter().map(|hit| hit.id).collect();
        query.vector_search = VectorSearch::Exact;
        let exact = collection.search(&query)?.hits;
        shared += exact.iter().filter(|hit| found.contains(&hit.id)).count();
        total += exact.len();
    }
    Ok((shared as f64 / total.max(1) as f64 * 1e4).round() / 1e4)
}

fn table(reports: &[Value]) {
    let row = |name: &str, cell: &dyn Fn(&Value) -> String| {
        let cells: Vec<String> = reports.iter().map(cell).collect();
        println!("| {name} | {} |", cells.join(" | "));
    };
    row("chunks", &|r| r["chunks"].to_string());
    println!("|---|{}", "---|".repeat(reports.len()));
    for (name, key) in [
        ("disk, MB", "disk_mb"),
        (
            "own memory of an opened and searched collection, MB",
            "own_mb",
        ),
        ("mapped files in memory, MB", "mapped_mb"),
        ("most memory while writing and building, MB", "peak_mb"),
        ("opening, ms", "open_ms"),
        ("first search, ms", "first_search_ms"),
        ("chunks written a second", "chunks_per_s"),
        ("writing, s of processor time", "write_cpu_s"),
        ("building the graph, s of processor time", "graph_cpu_s"),
        ("recall@10 at the defaults", "recall_at_10"),
    ] {
        row(name, &|r| r[key].to_string());
    }
    for part in ["whole", "search", "vectors", "keywords", "texts"] {
        row(&format!("hybrid, best of five: {part}"), &|r| {
            let of = &r["hybrid_parts"][part];
            format!("{} / {}", of["p50_ms"], of["p99_ms"])
        });
    }
    for (name, key) in [
        ("spelling, best of five: words as they are", "clean"),
        ("spelling, best of five: a letter missing", "slip"),
    ] {
        row(name, &|r| {
            let of = &r["spelling"][key];
            format!("{} / {}", of["p50_ms"], of["p99_ms"])
        });
    }
    for threads in ["1", "2"] {
        for mode in ["dense", "keyword", "hybrid"] {
            row(&format!("{mode}, {threads} thread(s)"), &|r| {
                let of = &r["modes"][mode][threads];
                let (cpu, p50, p99) = (&of["cpu_ms"], &of["p50_ms"], &of["p99_ms"]);
                format!("{cpu} / {p50} / {p99}, {} a second", of["per_s"])
            });
        }
    }
}

//! Measures a collection over real vectors: what it costs on disk and in memory, how fast it is
//! written, opened and searched, and how much of the exact answer each way of searching finds.
//!
//! ```sh
//! cargo run --release -p faq-index --example scale -- VECTORS [COUNT] [DIR]
//! ```
//!
//! VECTORS is a folder with `sentences.txt`, `sentences.f32`, `questions.txt` and `questions.f32`
//! as `benches/peers/index/sentences.py` makes them; ten sentences become a document. One JSON
//! object goes to stdout.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod corpus;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use corpus::{BATCH, CHUNKS, Result, Texts, cpu, document};
use faq_index::{
    ChunkId, Collection, CollectionConfig, DocumentId, Filter, Mode, Query, VectorSearch,
    WriteBatch,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Questions that are asked.
const QUESTIONS: usize = 1000;

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Resident memory in MB: of the process itself, and of the files that it has mapped.
fn memory() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mb = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kb.map(|kb| kb / 1024)
    };
    json!({"own_mb": mb("RssAnon"), "mapped_mb": mb("RssFile")})
}

/// Asks every question once; gives the hits and the times.
fn ask(collection: &Collection, questions: &[Query]) -> Result<(Vec<Vec<ChunkId>>, Value)> {
    let mut times = Vec::with_capacity(questions.len());
    let mut found = Vec::with_capacity(questions.len());
    let (begun, worked) = (Instant::now(), cpu());
    for question in questions {
        let start = Instant::now();
        let result = collection.search(question)?;
        times.push(ms(start.elapsed()));
        found.push(result.hits.into_iter().map(|hit| hit.id).collect());
    }
    let rate = questions.len() as f64 / begun.elapsed().as_secs_f64();
    let worked = ms(cpu().saturating_sub(worked)) / questions.len() as f64;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| rounded(times[(times.len() as f64 * share) as usize]);
    let how = collection.search(&questions[0])?.plan.vectors;
    Ok((
        found,
        json!({"p50_ms": at(0.5), "p99_ms": at(0.99), "per_s": rounded(rate),
            "cpu_ms": rounded(worked), "how": how}),
    ))
}

fn recall(found: &[Vec<ChunkId>], truth: &[Vec<ChunkId>]) -> f64 {
    let (mut shared, mut total) = (0, 0);
    for (found, truth) in found.iter().zip(truth) {
        let found: HashSet<_> = found.iter().collect();
        shared += truth.iter().filter(|id| found.contains(id)).count();
        total += truth.len();
    }
    rounded(shared as f64 / total.max(1) as f64)
}

/// The ten nearest of the given sentences by plain arithmetic.
fn brute_force(texts: &Texts, question: &[f32], live: impl Fn(usize) -> bool) -> Vec<ChunkId> {
    let mut all: Vec<(f64, usize)> = (0..texts.vectors.len())
        .filter(|at| live(at / CHUNKS))
        .map(|at| {
            let pairs = texts.vectors[at].iter().zip(question);
            (pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum(), at)
        })
        .collect();
    let k = 10.min(all.len() - 1);
    all.select_nth_unstable_by(k, |a, b| b.0.total_cmp(&a.0));
    all.truncate(k);
    let ids = all.into_iter().map(|(_, at)| ChunkId {
        document: DocumentId(Uuid::from_u128((at / CHUNKS) as u128 + 1)),
        ordinal: (at % CHUNKS) as u32,
    });
    ids.collect()
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let vectors = args
        .first()
        .ok_or("the folder with the vectors is missing")?;
    let mut texts = Texts::read(Path::new(vectors), "sentences")?;
    let asked = Texts::read(Path::new(vectors), "questions")?;
    let wanted = args.get(1).map_or(Ok(usize::MAX), |count| count.parse())?;
    let count = texts.vectors.len().min(texts.lines.len()).min(wanted);
    texts.vectors.truncate(count);
    let temporary = tempfile::tempdir()?;
    let dir = args.get(2).map_or(temporary.path(), Path::new);
    let config = CollectionConfig {
        graph_min_vectors: usize::MAX,
        ..CollectionConfig::default()
    };
    let before = memory();

    eprintln!("writing {count} chunks");
    let documents = count.div_ceil(CHUNKS);
    let collection = Collection::open(dir, config.clone())?;
    let (start, worked) = (Instant::now(), cpu());
    for from in (0..documents).step_by(BATCH) {
        let upserts = (from..(from + BATCH).min(documents))
            .map(|n| document(n, &texts, count))
            .collect();
        collection.write(WriteBatch {
            upserts,
            deletes: Vec::new(),
        })?;
    }
    let ingest_s = start.elapsed().as_secs_f64();
    let ingest_cpu_s = cpu().saturating_sub(worked).as_secs_f64();
    drop(collection);
    let start = Instant::now();
    let collection = Collection::open(dir, config.clone())?;
    let open_ms = ms(start.elapsed());
    let first_search = {
        let start = Instant::now();
        collection.search(&Query::new(&asked.lines[0], Some(asked.vectors[0].clone())))?;
        ms(start.elapsed())
    };

    eprintln!("asking");
    let ways = |mode: Mode, how: VectorSearch, filter: &Filter| -> Vec<Query> {
        asked
            .lines
            .iter()
            .zip(&asked.vectors)
            .take(QUESTIONS)
            .map(|(line, vector)| {
                let mut query = Query::new(line.as_str(), Some(vector.clone()));
                (query.mode, query.vector_search) = (mode, how);
                query.filter = filter.clone();
                query
            })
            .collect()
    };
    let all = Filter::default();
    let (exact, dense_exact) = ask(&collection, &ways(Mode::Dense, VectorSearch::Exact, &all))?;
    let sample = 50.min(exact.len());
    let truth: Vec<_> = (0..sample)
        .map(|q| brute_force(&texts, &asked.vectors[q], |_| true))
        .collect();
    let exact_recall = recall(&exact[..sample], &truth);
    let (_, keyword) = ask(&collection, &ways(Mode::Keyword, VectorSearch::Auto, &all))?;
    let (_, hybrid_exact) = ask(&collection, &ways(Mode::Hybrid, VectorSearch::Exact, &all))?;

    eprintln!("building the graph");
    let (start, worked) = (Instant::now(), cpu());
    collection.build_graph()?;
    let graph_s = start.elapsed().as_secs_f64();
    let graph_cpu_s = cpu().saturating_sub(worked).as_secs_f64();
    let mut widths = Vec::new();
    for ef in [32, 48, 64, 100, 128, 200] {
        let mut queries = ways(Mode::Dense, VectorSearch::Graph, &all);
        for query in &mut queries {
            (query.ef, query.candidates) = (Some(ef), 10);
        }
        let (found, times) = ask(&collection, &queries)?;
        widths.push(json!({"ef": ef, "recall_at_10": recall(&found, &exact), "times": times}));
    }
    let (found, dense_graph) = ask(&collection, &ways(Mode::Dense, VectorSearch::Graph, &all))?;
    let graph_recall = recall(&found, &exact);
    let (_, hybrid_graph) = ask(&collection, &ways(Mode::Hybrid, VectorSearch::Graph, &all))?;
    let mut filtered = Vec::new();
    for tag in ["one", "ten", "half"] {
        let filter = Filter {
            tags: [tag.to_owned()].into(),
            ..Filter::default()
        };
        let (truth, exact) = ask(
            &collection,
            &ways(Mode::Dense, VectorSearch::Exact, &filter),
        )?;
        let (found, graph) = ask(
            &collection,
            &ways(Mode::Dense, VectorSearch::Graph, &filter),
        )?;
        let (_, hybrid) = ask(
            &collection,
            &ways(Mode::Hybrid, VectorSearch::Graph, &filter),
        )?;
        let recall = recall(&found, &truth);
        filtered.push(
            json!({"tag": tag, "recall_at_10": recall, "exact": exact, "graph": graph,
            "hybrid": hybrid}),
        );
    }
    let after_searches = memory();

    eprintln!("deleting 30 %");
    let gone = |n: usize| n % 10 < 3;
    let deletes = (0..documents).filter(|n| gone(*n));
    let start = Instant::now();
    collection.write(WriteBatch {
        upserts: Vec::new(),
        deletes: deletes
            .map(|n| DocumentId(Uuid::from_u128(n as u128 + 1)))
            .collect(),
    })?;
    let delete_s = start.elapsed().as_secs_f64();
    let (truth, deleted_exact) = ask(&collection, &ways(Mode::Dense, VectorSearch::Exact, &all))?;
    let (found, deleted_graph) = ask(&collection, &ways(Mode::Dense, VectorSearch::Graph, &all))?;
    let plain: Vec<_> = (0..sample)
        .map(|q| brute_force(&texts, &asked.vectors[q], |n| !gone(n)))
        .collect();
    let after_deletes = json!({
        "recall_at_10": recall(&found, &truth), "exact_recall_at_10": recall(&truth[..sample], &plain),
        "exact": deleted_exact, "graph": deleted_graph,
    });
    let disk_bytes = collection.stats()?.disk_bytes;
    let start = Instant::now();
    let compacted = collection.compact()?;
    let compact_s = start.elapsed().as_secs_f64();
    let report = json!({
        "chunks": count, "documents": documents,
        "ingest_s": rounded(ingest_s), "ingest_cpu_s": rounded(ingest_cpu_s), "chunks_per_s": rounded(count as f64 / ingest_s),
        "disk_mb": disk_bytes >> 20, "open_ms": rounded(open_ms),
        "first_search_ms": rounded(first_search),
        "memory_before": before, "memory_after_searches": after_searches,
        "dense_exact": dense_exact, "exact_recall_at_10": exact_recall,
        "keyword": keyword, "hybrid_exact": hybrid_exact, "hybrid_graph": hybrid_graph,
        "graph_s": rounded(graph_s), "graph_cpu_s": rounded(graph_cpu_s), "dense_graph": dense_graph, "graph_recall_at_10": graph_recall,
        "graph_widths": widths, "filtered": filtered,
        "delete_s": rounded(delete_s), "after_deletes": after_deletes,
        "compact_s": rounded(compact_s), "compacted": compacted,
    });
    println!("{report:#}");
    Ok(())
}

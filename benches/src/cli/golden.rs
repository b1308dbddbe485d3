//! `faq-bench run --golden`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use faq_bench::golden::Golden;
use faq_bench::golden::judge::{GoldenReport, GoldenRun, Judge};
use faq_bench::report::IndexSize;
use faq_bench::{memory, retrieve};

use super::run::{Run, Way, refused};
use super::{Folder, bar, show};

pub(super) fn run(args: &Run, file: &Path, ways: Vec<Way>) -> Result<()> {
    let mut golden = Golden::read(file)?;
    if args.checked {
        golden.keep_checked();
        ensure!(
            !golden.questions.is_empty(),
            "{}: every question is marked checked = false",
            file.display()
        );
    }
    let (docs, kept) = folders(args, &golden, file)?;
    ensure!(
        docs.is_dir(),
        "{} is no folder of documents",
        docs.display()
    );
    let folder = Folder::new(kept)?;
    let collection = retrieve::open(folder.path(), &args.search.index())?;
    let bar = bar(0, "{pos}/{len} {msg}");
    bar.set_message("documents");
    let ingested = retrieve::ingest_alone(&collection, &docs, &mut |at| {
        bar.set_length(at.files_total as u64);
        bar.set_position(at.files_done as u64);
    })?;
    args.search.prepare(&collection)?;
    let refused = refused(&ingested);
    let judge = Judge::new(&collection, &golden, file, &docs, &refused)?;
    bar.set_message("questions");
    bar.set_length(golden.questions.len() as u64);
    let mut runs = Vec::new();
    for way in ways {
        let (levels, latency_ms, vectors, ranking) =
            judge.ask(&way.settings, &mut |done| bar.set_position(done as u64))?;
        if let Some(path) = &args.ranking {
            ranking.write(path, &format!("faq-{}", way.mode))?;
        }
        runs.push(GoldenRun {
            mode: way.mode.to_owned(),
            fusion: way.fusion,
            rerank: way.rerank,
            spelling: way.spelling,
            vectors,
            levels,
            latency_ms,
        });
    }
    bar.finish_and_clear();
    let report = GoldenReport {
        golden: file.display().to_string(),
        documents: collection.documents()?.len(),
        queries: golden.questions.len(),
        unchecked: golden.questions.iter().filter(|q| !q.checked).count(),
        unreachable: judge.unreachable(),
        refused,
        ingest_seconds: ingested.seconds,
        index: IndexSize::of(&collection)?,
        memory: memory::now(),
        runs,
    };
    show(args.json, &report)
}

/// The folder of documents, and where the index is kept.
fn folders<'a>(
    args: &'a Run,
    golden: &Golden,
    file: &Path,
) -> Result<(PathBuf, Option<&'a PathBuf>)> {
    if let Some(docs) = &args.docs {
        return Ok((docs.clone(), args.data.as_ref()));
    }
    if let Some(docs) = &golden.documents {
        let beside = file.parent().unwrap_or(Path::new(""));
        return Ok((beside.join(docs), args.data.as_ref()));
    }
    let docs = args.data.clone().with_context(|| {
        format!(
            "{} names no folder of documents; give --docs DIR, or documents = \"DIR\" in the file",
            file.display()
        )
    })?;
    Ok((docs, None))
}

//! `faq list`, `delete`, `compact` and `reindex`: what is in a collection, and its care.

use std::path::Path;
use std::str::FromStr;

use faq_core::{CollectionStats, DocumentId, DocumentInfo, ReindexReport, Work, WorkProgress};
use serde::Serialize;

use super::args::{Common, DeleteArgs, ReindexArgs};
use super::dates;
use super::error::{CliError, Outcome, Result};
use super::ingest::FailedFile;
use super::interrupt;
use super::output::{Output, count, failed, grouped, note, one_line, size, table};
use super::progress;

/// What a collection holds.
#[derive(Serialize)]
struct Listing<'a> {
    collection: &'a str,
    documents: &'a [DocumentInfo],
    stats: CollectionStats,
}

pub(super) fn list(common: &Common, out: &mut Output) -> Result<Outcome> {
    let collection = common.reading()?;
    let documents = collection.documents()?;
    let stats = collection.stats()?;
    if out.is_json() {
        out.json(&Listing {
            collection: collection.name(),
            documents: &documents,
            stats,
        })?;
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = documents.iter().map(row).collect();
    let header = [
        "id", "filename", "format", "date", "chunks", "tokens", "size", "tags",
    ];
    for line in table(&header, &rows, &[4, 5, 6]) {
        out.line(line)?;
    }
    out.line(format_args!(
        "{}, {}, {}, {} on disk",
        count(stats.documents as usize, "document"),
        count(stats.chunks as usize, "chunk"),
        count(stats.vectors as usize, "vector"),
        size(stats.disk_bytes)
    ))?;
    for at in stats.work {
        out.line(format_args!("at work: {}", doing(at)))?;
    }
    Ok(Outcome::Done)
}

fn row(info: &DocumentInfo) -> Vec<String> {
    let tokens = if info.tokens_embedded == info.tokens_total {
        grouped(info.tokens_total)
    } else {
        format!(
            "{} of {}",
            grouped(info.tokens_embedded),
            grouped(info.tokens_total)
        )
    };
    vec![
        info.id.to_string(),
        one_line(&info.filename),
        info.format.clone(),
        if info.time_ms == 0 {
            String::new()
        } else {
            dates::day(info.time_ms)
        },
        grouped(info.chunks),
        tokens,
        size(info.bytes),
        one_line(&info.tags.iter().cloned().collect::<Vec<_>>().join(", ")),
    ]
}

pub(super) fn delete(common: &Common, args: &DeleteArgs, out: &mut Output) -> Result<Outcome> {
    let collection = common.existing()?;
    let documents = collection.documents()?;
    // All names are understood before anything is deleted.
    let ids = args
        .documents
        .iter()
        .map(|name| resolve(name, &documents))
        .collect::<Result<Vec<_>>>()?;
    let receipt = collection.delete(&ids)?;
    let missing = !receipt.not_found.is_empty();
    if out.is_json() {
        out.json(&receipt)?;
        return Ok(Outcome::failed_if(missing));
    }
    for deleted in &receipt.deleted {
        let name = documents
            .iter()
            .find(|d| d.id == deleted.document_id)
            .map_or_else(String::new, |d| one_line(&d.filename));
        out.line(format_args!(
            "deleted {name} ({}): {}, {}, {}",
            deleted.document_id,
            count(deleted.chunks as usize, "chunk"),
            count(deleted.vectors as usize, "vector"),
            size(deleted.bytes)
        ))?;
    }
    for id in &receipt.not_found {
        note(format_args!("error: no document has the id {id}"));
    }
    Ok(Outcome::failed_if(missing))
}

/// The document that goes by an id, the path it came from, or a file name of its own.
pub(super) fn resolve(name: &str, documents: &[DocumentInfo]) -> Result<DocumentId> {
    if let Ok(id) = DocumentId::from_str(name) {
        return Ok(id);
    }
    // The file may be gone, so its path is made absolute without looking at it too.
    let path = Path::new(name);
    let paths = [path.canonicalize(), std::path::absolute(path)];
    let origin = |info: &&DocumentInfo| {
        !info.source.is_empty()
            && paths
                .iter()
                .flatten()
                .any(|path| Path::new(&info.source) == path)
    };
    if let Some(info) = documents.iter().find(origin) {
        return Ok(info.id);
    }
    let named: Vec<&DocumentInfo> = documents.iter().filter(|d| d.filename == name).collect();
    match named.as_slice() {
        [one] => Ok(one.id),
        [] => Err(CliError::NotFound(format!(
            "no document has the id, path or file name {name:?}; see them with `faq list`"
        ))),
        several => {
            let ids: Vec<String> = several.iter().map(|d| d.id.to_string()).collect();
            Err(CliError::usage(format!(
                "{} documents have the file name {name:?}; say which by its path or id: {}",
                several.len(),
                ids.join(", ")
            )))
        }
    }
}

pub(super) fn compact(common: &Common, out: &mut Output) -> Result<Outcome> {
    let control = interrupt::control("stopping; what was compacted so far stays")?;
    let collection = common.existing()?;
    let bar = progress::spinner();
    let receipt = collection.compact_with(&control, &mut |at| {
        bar.set_message(doing(at));
        bar.tick();
    });
    bar.finish_and_clear();
    let receipt = receipt?;
    if out.is_json() {
        out.json(&receipt)?;
        return Ok(Outcome::Done);
    }
    out.line(format_args!(
        "erased {} with {} and {}; {} written anew or removed",
        count(receipt.documents_erased as usize, "document"),
        count(receipt.chunks_erased as usize, "chunk"),
        count(receipt.vectors_erased as usize, "vector"),
        count(receipt.files_rewritten.len(), "file"),
    ))?;
    out.line(format_args!(
        "{} before, {} now, {} freed",
        size(receipt.bytes_before),
        size(receipt.bytes_after),
        size(receipt.bytes_freed)
    ))?;
    Ok(Outcome::Done)
}

/// What is being done to a collection, in a line.
fn doing(at: WorkProgress) -> String {
    let share = (at.done * 100).checked_div(at.total).unwrap_or(0);
    match at.work {
        Work::Graph => format!("building the graph, {share} %"),
        Work::CompactVectors => format!("compacting vectors, {share} %"),
        Work::CompactKeywords => "compacting keywords".to_owned(),
        Work::CompactStore => "compacting the store".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The report as JSON, with paths as text.
#[derive(Serialize)]
struct Reindexed<'a> {
    from_files: usize,
    from_store: usize,
    unchanged: usize,
    rebuilt: bool,
    failed: Vec<FailedFile<'a>>,
    seconds: f64,
}

pub(super) fn reindex(common: &Common, args: &ReindexArgs, out: &mut Output) -> Result<Outcome> {
    let control = interrupt::control("stopping; documents made again so far stay")?;
    let engine = common.engine(Some(&args.chunks))?;
    let collection = engine.existing_collection(&common.collection)?;
    let bar = progress::documents();
    let report = collection.reindex(&control, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let report = report?;
    if out.is_json() {
        out.json(&Reindexed {
            from_files: report.from_files,
            from_store: report.from_store,
            unchanged: report.unchanged,
            rebuilt: report.rebuilt,
            failed: report.failed.iter().map(FailedFile::from).collect(),
            seconds: report.seconds,
        })?;
    } else {
        reindexed(&report, out)?;
    }
    Ok(Outcome::failed_if(!report.failed.is_empty()))
}

fn reindexed(report: &ReindexReport, out: &mut Output) -> Result<()> {
    for failure in &report.failed {
        note(failed(failure));
    }
    out.line(format_args!(
        "{} made again from their files, {} from their stored text, {} up to date, {} failed, in {:.1} s",
        report.from_files,
        report.from_store,
        report.unchanged,
        report.failed.len(),
        report.seconds
    ))
}

//! `faq ingest`: files and folders into a collection.

use std::collections::BTreeMap;
use std::path::Path;

use faq_core::{IngestOptions, IngestReport, StageSeconds, check_paths};
use serde::Serialize;

use super::args::{Common, IngestArgs};
use super::error::{Outcome, Result};
use super::interrupt;
use super::output::{Output, count, failed, grouped, note, size, visible, warning};
use super::progress::IngestProgress;

/// Parser warnings that are told one by one; the rest is counted.
const WARNINGS_SHOWN: usize = 10;

/// The report as JSON. Paths become text here: a path need not be valid Unicode.
#[derive(Serialize)]
struct Report<'a> {
    added: usize,
    updated: usize,
    unchanged: usize,
    removed: usize,
    failed: Vec<FailedFile<'a>>,
    chunks: usize,
    vectors: usize,
    tokens_total: u64,
    tokens_embedded: u64,
    warnings: Vec<FileWarning<'a>>,
    seconds: f64,
    stages: StageSeconds,
    interrupted: Option<faq_core::Interrupted>,
}

/// A file that was not taken in.
#[derive(Serialize)]
pub(super) struct FailedFile<'a> {
    path: String,
    code: &'a str,
    error: &'a str,
}

impl<'a> From<&'a faq_core::Failure> for FailedFile<'a> {
    fn from(failure: &'a faq_core::Failure) -> Self {
        Self {
            path: failure.path.to_string_lossy().into_owned(),
            code: &failure.code,
            error: &failure.error,
        }
    }
}

#[derive(Serialize)]
struct FileWarning<'a> {
    path: String,
    code: &'a str,
    page: Option<u32>,
    message: &'a str,
}

pub(super) fn run(common: &Common, args: &IngestArgs, out: &mut Output) -> Result<Outcome> {
    let control =
        interrupt::control("stopping; what is committed stays (Ctrl-C again ends at once)")?;
    let engine = common.engine(Some(&args.chunks))?;
    // Before the collection, which is made with this model's dimension.
    engine.embedder()?;
    let options = IngestOptions {
        tags: args.tags.iter().cloned().collect(),
        prune: args.prune,
    };
    // Nor is a collection made for a path that was mistyped.
    if !engine.collections()?.contains(&common.collection) {
        check_paths(&args.paths, &control)?;
    }
    let collection = engine.collection(&common.collection)?;
    let mut progress = IngestProgress::new(args.progress);
    let report = collection.ingest(&args.paths, &options, &control, &mut |p| progress.show(p))?;
    drop(progress);
    if out.is_json() {
        out.json(&Report::from(&report))?;
    } else {
        summary(&report, out)?;
    }
    Ok(Outcome::failed_if(
        !report.failed.is_empty() || report.interrupted.is_some(),
    ))
}

impl<'a> From<&'a IngestReport> for Report<'a> {
    fn from(report: &'a IngestReport) -> Self {
        Self {
            added: report.added,
            updated: report.updated,
            unchanged: report.unchanged,
            removed: report.removed,
            failed: report.failed.iter().map(FailedFile::from).collect(),
            chunks: report.chunks,
            vectors: report.vectors,
            tokens_total: report.tokens_total,
            tokens_embedded: report.tokens_embedded,
            warnings: report
                .warnings
                .iter()
                .map(|warning| FileWarning {
                    path: warning.path.to_string_lossy().into_owned(),
                    code: &warning.code,
                    page: warning.page,
                    message: &warning.message,
                })
                .collect(),
            seconds: report.seconds,
            stages: report.stages,
            interrupted: report.interrupted,
        }
    }
}

fn summary(report: &IngestReport, out: &mut Output) -> Result<()> {
    warnings(report);
    for failure in &report.failed {
        note(failed(failure));
    }
    out.line(format_args!(
        "{} added, {} updated, {} unchanged, {} removed, {} failed",
        report.added,
        report.updated,
        report.unchanged,
        report.removed,
        report.failed.len()
    ))?;
    let rate = report.tokens_embedded as f64 / report.seconds.max(0.001);
    out.line(format_args!(
        "{}, {} of {} tokens embedded, in {:.1} s ({} tokens/s)",
        count(report.chunks, "chunk"),
        grouped(report.tokens_embedded),
        grouped(report.tokens_total),
        report.seconds,
        grouped(rate as u64),
    ))?;
    if let Some(why) = report.interrupted {
        out.line(format_args!(
            "stopped early ({why}): {} kept; run the same command again to go on",
            count(report.added + report.updated, "document")
        ))?;
    }
    Ok(())
}

/// The parsers' warnings, a line a file.
fn warnings(report: &IngestReport) {
    let mut files: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
    for one in &report.warnings {
        let page = one.page.map_or_else(String::new, |n| format!("page {n}: "));
        let sentence = format!("{page}{}", one.message);
        files.entry(&one.path).or_default().push(sentence);
    }
    for (path, messages) in files.iter().take(WARNINGS_SHOWN) {
        let more = match messages.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        let (path, message) = (visible(path.display()), visible(&messages[0]));
        warning(format_args!("{path}: {message}{more}"));
    }
    if files.len() > WARNINGS_SHOWN {
        warning(format_args!(
            "{} more with warnings; see them with --json, or with `faq inspect FILE`",
            count(files.len() - WARNINGS_SHOWN, "file")
        ));
    }
}

/// For other verbs: how much was taken in, in a few words.
pub(super) fn in_short(report: &IngestReport, bytes: u64) -> String {
    format!(
        "{} ({}), {}, {} tokens, {:.1} s",
        count(report.added + report.updated + report.unchanged, "document"),
        size(bytes),
        count(report.chunks, "chunk"),
        grouped(report.tokens_embedded),
        report.seconds
    )
}

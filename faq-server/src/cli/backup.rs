//! `faq backup` and `faq restore`: everything that is kept, in one file, and back.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::args::{BackupArgs, Common, RestoreArgs};
use super::error::{CliError, Outcome, Result};
use super::output::{Output, count, note, size, warning};
use super::progress;
use super::serve::values;
use crate::server::Config;
use crate::server::backup::{self, Made, Plan, Restored};

/// The report of a backup.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a Path,
    #[serde(flatten)]
    made: Made,
    seconds: f64,
}

/// The report of a restore.
#[derive(Serialize)]
struct RestoreReport<'a> {
    data: &'a Path,
    #[serde(flatten)]
    restored: Restored,
    seconds: f64,
}

pub(super) fn backup(common: &Common, args: &BackupArgs, out: &mut Output) -> Result<Outcome> {
    let started = Instant::now();
    // A device would be taken out of its folder, and a file be put into its place.
    if args.force && args.file.metadata().is_ok_and(|meta| !meta.is_file()) {
        return Err(CliError::usage(format!(
            "{} is no file; --force replaces files alone",
            args.file.display()
        )));
    }
    let config = Config::read(common.data_dir(), &values(&[], args.config.as_deref())?)?;
    let engine = common.engine(None)?;
    let storage = config.local_storage();
    let made = shown("reading", |tell| {
        let plan = Plan {
            data: &config.data_dir,
            engine: &engine,
            storage,
            file: &args.file,
            force: args.force,
        };
        backup::write(&plan, tell)
    })?;
    if storage.is_none() {
        warning(
            "uploaded files lie in the object store and are not in the backup; see to them there",
        );
    }
    let report = Report {
        file: &args.file,
        made,
        seconds: started.elapsed().as_secs_f64(),
    };
    if out.is_json() {
        out.json(&report)?;
        return Ok(Outcome::Done);
    }
    out.line(format_args!(
        "{}: {}; {}, in {:.1} s",
        report.file.display(),
        held(
            report.made.collections,
            report.made.documents,
            report.made.blobs
        ),
        size(report.made.bytes),
        report.seconds
    ))?;
    if let Some(key) = &report.made.master_key_id {
        out.line(format_args!(
            "the master key {key} is not in it; keep a copy of that elsewhere"
        ))?;
    }
    Ok(Outcome::Done)
}

pub(super) fn restore(common: &Common, args: &RestoreArgs, out: &mut Output) -> Result<Outcome> {
    let started = Instant::now();
    let config = Config::read(common.data_dir(), &values(&[], args.config.as_deref())?)?;
    let restored = shown("restoring", |tell| {
        backup::restore(&args.file, &config, tell)
    })?;
    let blobs = config.data_dir.join("blobs");
    if restored.blobs > 0 && config.local_storage() != Some(blobs.as_path()) {
        warning(format_args!(
            "uploaded files lie in {}; bring them to where the settings keep files",
            blobs.display()
        ));
    }
    let report = RestoreReport {
        data: &config.data_dir,
        restored,
        seconds: started.elapsed().as_secs_f64(),
    };
    if out.is_json() {
        out.json(&report)?;
        return Ok(Outcome::Done);
    }
    let restored = &report.restored;
    out.line(format_args!(
        "{}: {}, as of {}, in {:.1} s",
        report.data.display(),
        held(restored.collections, restored.documents, restored.blobs),
        restored.created,
        report.seconds
    ))?;
    if restored.deleted > 0 {
        out.line(format_args!(
            "{} deleted while the backup was made and deleted again",
            count(restored.deleted as usize, "document")
        ))?;
    }
    if let Some(key) = &restored.master_key_id {
        let found = if restored.key_found == Some(true) {
            "which is here".to_owned()
        } else {
            format!(
                "which is not here: give it in ENCRYPTION_KEY, or put its file at {}, before the \
                 server starts",
                config.key_dir.join("master.key").display()
            )
        };
        out.line(format_args!(
            "the data was sealed under the master key {key}, {found}"
        ))?;
    }
    Ok(Outcome::Done)
}

fn held(collections: u64, documents: u64, blobs: u64) -> String {
    format!(
        "{}, {}, {}",
        count(collections as usize, "collection"),
        count(documents as usize, "document"),
        count(blobs as usize, "uploaded file")
    )
}

/// Runs `work`, which says what it is at: a spinner on a terminal, else a line each.
fn shown<T, E>(
    verb: &str,
    work: impl FnOnce(&mut dyn FnMut(&str)) -> Result<T, E>,
) -> Result<T, E> {
    let spinner = progress::spinner();
    let result = work(&mut |what| {
        if spinner.is_hidden() {
            note(format_args!("{verb} {what}"));
        } else {
            spinner.set_message(format!("{verb} {what}"));
            spinner.tick();
        }
    });
    spinner.finish_and_clear();
    result
}

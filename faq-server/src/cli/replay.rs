//! `faq replay`: a recorded answer again, from what it was made from.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use faq_core::{AnswerEvent, Recording};

use super::args::{Common, ReplayArgs};
use super::ask::{sources, stream};
use super::error::{CliError, Outcome, Result};
use super::interrupt;
use super::output::{Output, note, warning};

/// Largest file that is read as a recording, in bytes.
const MOST_BYTES: u64 = 64 << 20;

pub(super) fn run(common: &Common, args: &ReplayArgs, out: &mut Output) -> Result<Outcome> {
    let control = interrupt::control("stopping (Ctrl-C again ends at once)")?;
    let file = faq_core::Source::read(&args.file, MOST_BYTES)?;
    let recording = Recording::from_json(&String::from_utf8_lossy(&file.bytes))?;
    let collection = common.reading()?;
    if args.generator.generator.is_none() && recording.model() != "extractive" {
        return Err(CliError::Usage(format!(
            "the answer was written by {}; give that model with --generator",
            recording.model()
        )));
    }
    let options = args.generator.options(collection.engine(), "extractive")?;
    let mut replay = |on_event: &mut dyn FnMut(AnswerEvent<'_>)| {
        collection.replay(&recording, &options.answerer, &control, on_event)
    };
    let answer = if out.is_json() {
        let answer = replay(&mut |_| {})?;
        out.json(&answer)?;
        answer
    } else {
        let answer = stream(&mut replay, &control, out)?;
        sources(&answer.sources, out)?;
        answer
    };
    out.flush()?;
    let same = answer.answer == recording.answer();
    if same {
        note("the words are the same as they were");
    } else {
        warning(format_args!(
            "the words were others: {}",
            recording.answer()
        ));
    }
    Ok(Outcome::failed_if(!same))
}

/// Opens the file that a recording goes into, for its owner's eyes alone; what it holds stays until then.
pub(super) fn open(path: &Path) -> Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
        .open(path)
        .map_err(|error| cannot_write(path, error))
}

/// Writes a recording.
pub(super) fn keep(path: &Path, mut file: File, recording: &Recording) -> Result<()> {
    let json = recording.to_json()?;
    file.set_len(0)
        .and_then(|()| file.write_all(json.as_bytes()))
        .map_err(|error| cannot_write(path, error))?;
    note(format_args!("recorded in {}", path.display()));
    Ok(())
}

fn cannot_write(path: &Path, source: std::io::Error) -> CliError {
    CliError::Write {
        path: path.to_owned(),
        source,
    }
}

//! `faq replay`: a recorded answer again, from what it was made from.

use std::path::Path;

use faq_core::{AnswerEvent, Recording};

use super::args::{Common, ReplayArgs};
use super::ask::{sources, stream};
use super::error::{Outcome, Result};
use super::interrupt;
use super::output::{Output, note, warning};

/// Largest file that is read as a recording, in bytes.
const MOST_BYTES: u64 = 64 << 20;

pub(super) fn run(common: &Common, args: &ReplayArgs, out: &mut Output) -> Result<Outcome> {
    let control = interrupt::control("stopping (Ctrl-C again ends at once)")?;
    let file = faq_core::Source::read(&args.file, MOST_BYTES)?;
    let recording = Recording::from_json(&String::from_utf8_lossy(&file.bytes))?;
    let collection = common.reading()?;
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

/// Writes a recording, for its owner's eyes alone.
pub(super) fn keep(path: &Path, recording: &Recording) -> Result<()> {
    let io = |source| faq_core::Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(io)?;
    std::io::Write::write_all(&mut file, recording.to_json()?.as_bytes()).map_err(io)?;
    note(format_args!("recorded in {}", path.display()));
    Ok(())
}

//! `faq ask`: a cited answer, streamed, and where it stands.

use std::time::Duration;

use faq_core::{Answer, AnswerEvent, AnswerSource, AskOptions, Control, Threshold};

use super::args::{AskArgs, Common, ReadingArgs};
use super::error::{CliError, Outcome, Result};
use super::explain;
use super::interrupt;
use super::output::{Output, note, one_line, shortened, warning};
use super::search::place;
use super::{progress, replay};

/// Who answers where nobody is named.
const DEFAULT_GENERATOR: &str = "extractive";

/// The original design's threshold on the cosine.
const ORIGINAL_THRESHOLD: f32 = 0.7;

/// Characters shown of a quoted text.
const QUOTE_SHOWN: usize = 400;

/// Answers, telling what happens.
pub(super) type Ask<'a> =
    dyn FnMut(&mut dyn FnMut(AnswerEvent<'_>)) -> faq_core::Result<Answer> + 'a;

pub(super) fn run(common: &Common, args: &AskArgs, out: &mut Output) -> Result<Outcome> {
    let control = interrupt::control("stopping (Ctrl-C again ends at once)")?;
    let filter = args.filter.filter()?;
    let collection = common.reading()?;
    let mut options = args
        .generator
        .options(collection.engine(), DEFAULT_GENERATOR)?;
    options.filter = filter;
    options.explain = args.explain;
    args.reading.set(&mut options);
    let record = args.record.as_deref();
    // Before anything is asked: an answer may take long.
    let file = record.map(replay::open).transpose()?;
    let mut recording = None;
    let mut ask = |on_event: &mut dyn FnMut(AnswerEvent<'_>)| {
        if record.is_none() {
            return collection.ask(&args.question, &options, &control, on_event);
        }
        let (answer, recorded) =
            collection.ask_recorded(&args.question, &options, &control, on_event)?;
        recording = Some(recorded);
        Ok(answer)
    };
    let answer = if out.is_json() {
        ask(&mut |_| {})?
    } else {
        stream(&mut ask, &control, out)?
    };
    if out.is_json() {
        out.json(&answer)?;
    } else {
        sources(&answer.sources, out)?;
        explain::show(&answer, out)?;
    }
    if let (Some(path), Some(file), Some(recording)) = (record, file, recording) {
        out.flush()?;
        replay::keep(path, file, &recording)?;
    }
    Ok(Outcome::Done)
}

impl ReadingArgs {
    /// Sets what the flags say.
    pub(super) fn set(&self, options: &mut AskOptions) {
        options.earlier.clone_from(&self.after);
        if let Some(cosine) = self.threshold {
            if cosine >= ORIGINAL_THRESHOLD {
                warning(format_args!(
                    "a cosine of {cosine} is above what most true passages reach with this model, \
                     so most answers will be \"I don't know\"; without --threshold (or \
                     SIMILARITY_THRESHOLD) the calibrated relevance decides"
                ));
            }
            options.threshold = Threshold::Cosine(cosine);
        }
        if let Some(most) = self.max_context_chunks {
            options.max_context_chunks = most;
        }
        options.spelling = self.spelling.into();
    }
}

/// Asks, and writes the answer as it comes.
pub(super) fn stream(ask: &mut Ask<'_>, control: &Control, out: &mut Output) -> Result<Answer> {
    let doing = progress::spinner();
    doing.enable_steady_tick(Duration::from_millis(120));
    let mut written: Result<()> = Ok(());
    let answer = ask(&mut |event| match event {
        AnswerEvent::Understood(question) => {
            note(format_args!("understood as: {}", one_line(question)));
        }
        AnswerEvent::Searching => doing.set_message("searching"),
        AnswerEvent::Reading(passages) => {
            let n = passages.len();
            let s = if n == 1 { "" } else { "s" };
            doing.set_message(format!("reading {n} passage{s}"));
        }
        AnswerEvent::Delta(text) => {
            doing.finish_and_clear();
            if written.is_ok() {
                written = out.piece(&printable(text));
            }
            // Nobody reads on: the rest need not be written.
            if written.as_ref().is_err_and(CliError::is_broken_pipe) {
                control.cancel.cancel();
            }
        }
        _ => {}
    });
    doing.finish_and_clear();
    written?;
    let answer = answer?;
    out.line("")?;
    Ok(answer)
}

/// The sources, each with what it says.
pub(super) fn sources(sources: &[AnswerSource], out: &mut Output) -> Result<()> {
    if sources.is_empty() {
        return Ok(());
    }
    out.line("")?;
    for (i, source) in sources.iter().enumerate() {
        let place = place(&source.filename, source.page, source.heading.as_deref());
        let place = out.bold(&format!("[{}] {place}", i + 1));
        let range = out.dim(&format!(
            "bytes {}..{}, relevance {:.2}",
            source.byte_range.start, source.byte_range.end, source.score
        ));
        out.line(format_args!("{place}  {range}"))?;
        out.line(format_args!(
            "    \"{}\"",
            shortened(&source.text, QUOTE_SHOWN)
        ))?;
    }
    Ok(())
}

/// Text without control characters other than line breaks and tabs.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

/// One line about how long an answer took and who wrote it.
pub(super) fn timing(answer: &Answer) -> String {
    let time = answer.timings_ms;
    let who = who(answer);
    let first = if time.first_delta > 0.0 {
        format!(", first words after {:.1} s", time.first_delta / 1e3)
    } else {
        String::new()
    };
    format!("{who}, {:.1} s{first}", time.total / 1e3)
}

/// Who answered, and who read for it.
pub(super) fn who(answer: &Answer) -> String {
    match &answer.read_by {
        Some(reader) if *reader != answer.model => {
            format!("{}, read by {}", one_line(&answer.model), one_line(reader))
        }
        _ => one_line(&answer.model),
    }
}

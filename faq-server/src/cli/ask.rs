//! `faq ask`: a cited answer, streamed, and where it stands.

use std::time::Duration;

use faq_core::{Answer, AnswerEvent, AnswerSource, AskOptions, Collection, Control, Threshold};

use super::args::{AskArgs, Common};
use super::error::{CliError, Outcome, Result};
use super::interrupt;
use super::output::{Output, one_line, shortened, warning};
use super::progress;
use super::search::place;

/// Who answers where nobody is named.
const DEFAULT_GENERATOR: &str = "extractive";

/// The original design's threshold on the cosine.
const ORIGINAL_THRESHOLD: f32 = 0.7;

/// Characters shown of a quoted text.
const QUOTE_SHOWN: usize = 400;

pub(super) fn run(common: &Common, args: &AskArgs, out: &mut Output) -> Result<Outcome> {
    let control = interrupt::control("stopping (Ctrl-C again ends at once)")?;
    let filter = args.filter.filter()?;
    let collection = common.reading()?;
    let mut options = args
        .generator
        .options(collection.engine(), DEFAULT_GENERATOR)?;
    options.filter = filter;
    if let Some(cosine) = args.threshold {
        if cosine >= ORIGINAL_THRESHOLD {
            warning(format_args!(
                "a cosine of {cosine} is above what most true passages reach with this model, so \
                 most answers will be \"I don't know\"; without --threshold (or \
                 SIMILARITY_THRESHOLD) the calibrated relevance decides"
            ));
        }
        options.threshold = Threshold::Cosine(cosine);
    }
    if let Some(most) = args.max_context_chunks {
        options.max_context_chunks = most;
    }
    if out.is_json() {
        let answer = collection.ask(&args.question, &options, &control, &mut |_| {})?;
        out.json(&answer)?;
    } else {
        let answer = stream(&collection, &args.question, &options, &control, out)?;
        sources(&answer.sources, out)?;
    }
    Ok(Outcome::Done)
}

/// Asks, and writes the answer as it comes.
pub(super) fn stream(
    collection: &Collection,
    question: &str,
    options: &AskOptions,
    control: &Control,
    out: &mut Output,
) -> Result<Answer> {
    let doing = progress::spinner();
    doing.enable_steady_tick(Duration::from_millis(120));
    let mut written: Result<()> = Ok(());
    let answer = collection.ask(question, options, control, &mut |event| match event {
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
    let who = one_line(&answer.model);
    let first = if time.first_delta > 0.0 {
        format!(", first words after {:.1} s", time.first_delta / 1e3)
    } else {
        String::new()
    };
    format!("{who}, {:.1} s{first}", time.total / 1e3)
}

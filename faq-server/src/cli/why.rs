//! `faq why`: at which stage a document falls out when a question is answered.

use faq_core::{AskOptions, Control, Why, WhyStage};

use super::args::{Common, WhyArgs};
use super::error::{Outcome, Result};
use super::list::resolve;
use super::output::{Output, one_line, shortened};
use super::search::place;

/// Characters shown of a passage.
const SHOWN: usize = 300;

pub(super) fn run(common: &Common, args: &WhyArgs, out: &mut Output) -> Result<Outcome> {
    let mut options = AskOptions {
        filter: args.filter.filter()?,
        ..AskOptions::default()
    };
    args.reading.set(&mut options);
    let collection = common.reading()?;
    let id = resolve(&args.doc, &collection.documents()?)?;
    let why = collection.why(id, &args.question, &options, &Control::new())?;
    if out.is_json() {
        out.json(&why)?;
    } else {
        show(&why, &args.question, out)?;
    }
    Ok(Outcome::Done)
}

fn show(why: &Why, asked: &str, out: &mut Output) -> Result<()> {
    if why.question != asked {
        out.line(format_args!("understood as: {}", one_line(&why.question)))?;
    }
    let verdict = match why.stage {
        WhyStage::Filtered => "is left out by the filter",
        WhyStage::NotFound => "is not found",
        WhyStage::RankedLow => "is found too far down",
        WhyStage::BelowThreshold => "is not relevant enough",
        WhyStage::Crowded => "has to make room",
        WhyStage::Repeated => "says what is read elsewhere",
        WhyStage::Unlikely => "does not seem to answer the question",
        WhyStage::NotQuoted => "is read and not quoted",
        WhyStage::Quoted => "is quoted",
        _ => "falls out",
    };
    let name = out.bold(&one_line(&why.filename));
    out.line(format_args!("{name} {verdict}: {}", why.explanation))?;
    let Some(passage) = &why.passage else {
        return Ok(());
    };
    let place = place(&passage.filename, passage.page, passage.heading.as_deref());
    let rank = why
        .rank
        .map_or_else(String::new, |rank| format!(", number {rank} of the search"));
    let relevance = why
        .relevance
        .map_or_else(String::new, |r| format!(", relevance {r:.3}"));
    out.line(format_args!("its best passage: {place}{rank}{relevance}"))?;
    out.line(format_args!("    \"{}\"", shortened(&passage.text, SHOWN)))
}

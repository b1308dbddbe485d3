//! `faq ask --explain`: how an answer came about, for people.

use faq_core::{Anatomy, Answer, Fate, FoundPassage, PromptBudget, Unsupported};

use super::error::Result;
use super::output::{Output, one_line, shortened};
use super::search::place;

/// Sentences that are shown of those that were weighed.
const SENTENCES: usize = 8;
/// Characters shown of one.
const SHOWN: usize = 120;

/// Shows how an answer came about, where that was asked for.
pub(super) fn show(answer: &Answer, out: &mut Output) -> Result<()> {
    let Some(anatomy) = &answer.anatomy else {
        return Ok(());
    };
    out.line("")?;
    asked(anatomy, out)?;
    for (n, passage) in anatomy.passages.iter().enumerate() {
        out.line(found(n + 1, passage, out))?;
    }
    if !anatomy.sentences.is_empty() {
        title("Sentences weighed", out)?;
    }
    for sentence in anatomy.sentences.iter().take(SENTENCES) {
        let mark = if sentence.chosen { "*" } else { " " };
        out.line(format_args!(
            "  {mark} {:.3} (cosine {:.3})  {}",
            sentence.score,
            sentence.cosine,
            shortened(&sentence.text, SHOWN)
        ))?;
    }
    if let Some(judged) = &answer.answerability {
        let signals: Vec<String> = judged
            .signals
            .values()
            .iter()
            .map(|(name, value)| format!("{name} {value:.2}"))
            .collect();
        title(
            &format!(
                "Answers the question with a probability of {:.3}",
                judged.probability
            ),
            out,
        )?;
        out.line(format_args!("    {}", out.dim(&signals.join(", "))))?;
        if let Some(as_read) = judged.as_read {
            title(
                &match anatomy.reading.as_ref().and_then(|reading| reading.least) {
                    Some(least) => format!(
                        "As the model reads the passages: {as_read:.3}, and {least:.3} is asked"
                    ),
                    None => format!("As the model reads the passages: {as_read:.3}"),
                },
                out,
            )?;
        }
    }
    if let Some(prompt) = &anatomy.prompt {
        budget(prompt, out)?;
    }
    written(anatomy, out)?;
    for failed in &answer.failed {
        out.line(format_args!(
            "{} failed: {}",
            one_line(&failed.model),
            one_line(&failed.error)
        ))?;
    }
    let time = answer.timings_ms;
    title(
        &format!(
            "{}: understanding {:.1} ms, search {:.1}, judging {:.1}, first words after {:.1}, all {:.1}",
            super::ask::who(answer),
            time.understand,
            time.search,
            time.judge,
            time.first_delta,
            time.total
        ),
        out,
    )
}

fn title(text: &str, out: &mut Output) -> Result<()> {
    let text = out.bold(text);
    out.line(text)
}

fn asked(anatomy: &Anatomy, out: &mut Output) -> Result<()> {
    title(&format!("Searched, state {}", anatomy.seq), out)?;
    for question in &anatomy.searched {
        out.line(format_args!("    {}", one_line(question)))?;
    }
    title("Found", out)
}

fn found(n: usize, passage: &FoundPassage, out: &Output) -> String {
    let fate = match passage.fate {
        Fate::Read => "read",
        Fate::BelowThreshold => "below the threshold",
        Fate::Crowded => "crowded out",
        Fate::Repeated => "read elsewhere",
    };
    let list = |score: Option<f32>, rank: Option<u32>| match (score, rank) {
        (Some(score), Some(rank)) => format!("{score:.3} (number {rank})"),
        (Some(score), None) => format!("{score:.3}"),
        _ => "none".to_owned(),
    };
    let scores = format!(
        "score {:.3}, cosine {}, keywords {}",
        passage.score,
        list(passage.dense_score, passage.dense_rank),
        list(passage.keyword_score, passage.keyword_rank)
    );
    let place = place(&passage.filename, passage.page, passage.heading.as_deref());
    format!(
        " {n:>2}. relevance {:.3}, {fate}: {place}  {}",
        passage.relevance,
        out.dim(&scores)
    )
}

fn budget(prompt: &PromptBudget, out: &mut Output) -> Result<()> {
    let passages: usize = prompt.passages.iter().map(|p| p.tokens).sum();
    let spent = prompt.rules + prompt.question + passages;
    title(
        &format!(
            "Prompt ({}): {spent} of {} tokens",
            prompt.template, prompt.budget
        ),
        out,
    )?;
    let each: Vec<String> = prompt
        .passages
        .iter()
        .map(|p| p.tokens.to_string())
        .collect();
    out.line(format_args!(
        "    rules and examples {}, question {}, passages {}",
        prompt.rules,
        prompt.question,
        each.join(" + ")
    ))
}

fn written(anatomy: &Anatomy, out: &mut Output) -> Result<()> {
    if !anatomy.written.is_empty() {
        title("Written", out)?;
    }
    for sentence in &anatomy.written {
        let verdict = match (sentence.supported_by, sentence.left_out) {
            (Some(passage), _) => format!("supported by passage {passage}"),
            (None, why) => format!("left out, {}", why.map_or("unsupported", reason)),
        };
        let text = shortened(&sentence.text, SHOWN);
        out.line(format_args!("    {verdict}: {text}"))?;
    }
    Ok(())
}

fn reason(why: Unsupported) -> &'static str {
    match why {
        Unsupported::NoWords => "it says nothing",
        Unsupported::Repeated => "it was said before",
        Unsupported::Words => "its words stand in no passage",
        Unsupported::Elsewhere => "it rests on other sentences than those that answer best",
        Unsupported::Number => "a number does not stand there",
        Unsupported::Name => "a name does not stand there",
        Unsupported::Negation => "the passage says the opposite",
        Unsupported::Instruction => "it obeys a sentence of a document",
        _ => "unsupported",
    }
}

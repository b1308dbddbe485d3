//! DOCX (Office Open XML text) into blocks.
//!
//! What a reader of the document would see as its text: deleted revisions, hidden runs, field
//! codes and comments are left out. Running headers stand once before the text, running
//! footers once after it. Entry names are looked up, never used as paths.

mod body;
mod field;
mod math;
mod notes;
mod numbering;
mod styles;

use std::collections::HashMap;

use crate::archive::Archive;
use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::ooxml::chart::Chart;
use crate::ooxml::{self, Relations};
use crate::{BlockKind, Document, Format, ParseError};
use body::{Body, Parts};
use notes::Numbered;
use numbering::Numbering;
use styles::Styles;

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let mut archive = Archive::open(bytes, Format::Docx, budget)?;
    let mut out = DocumentBuilder::new();
    let main = ooxml::main_part("word/document.xml", Format::Docx, &mut archive, budget)?;
    let relations = Relations::of(&main, Format::Docx, &mut archive, budget)?;
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut part = |kind: &str| {
        let usual = ooxml::resolve(folder, &format!("{kind}.xml"));
        archive.text(relations.kind(kind).unwrap_or(&usual))
    };
    let footnotes = part("footnotes")?;
    let endnotes = part("endnotes")?;
    let parts = Parts {
        numbering: Numbering::read(part("numbering")?.as_deref(), budget)?,
        styles: Styles::read(part("styles")?.as_deref(), budget)?,
        footnotes: notes(
            "footnote",
            footnotes,
            &relations,
            &mut archive,
            &mut out,
            budget,
        )?,
        endnotes: notes(
            "endnote",
            endnotes,
            &relations,
            &mut archive,
            &mut out,
            budget,
        )?,
        links: relations
            .links()
            .map(|(id, target)| (id.to_owned(), target.to_owned()))
            .collect(),
        charts: charts(&relations, &mut archive, budget)?,
    };
    let headers = running(&relations, "header", &mut archive, budget)?;
    let footers = running(&relations, "footer", &mut archive, budget)?;
    let text = archive.required(&main)?;
    out.title = ooxml::title(Format::Docx, &mut archive, budget)?;
    for line in &headers {
        out.push(BlockKind::Paragraph, None, None, line);
    }
    let first = out.len();
    let images = Body::new(parts, &mut out, budget).read(&text)?;
    if out.title.is_none() {
        out.title = out.heading_at(first);
    }
    for line in &footers {
        out.push(BlockKind::Paragraph, None, None, line);
    }
    if out.is_empty() && images > 0 {
        return Err(ParseError::NoText {
            format: Format::Docx,
            pages: 0,
            images,
        });
    }
    Ok(out.finish(Format::Docx))
}

/// Notes of one kind, with where their words lead.
fn notes(
    kind: &str,
    part: Option<String>,
    relations: &Relations,
    archive: &mut Archive<'_>,
    out: &mut DocumentBuilder,
    budget: &Budget,
) -> Result<Numbered, ParseError> {
    let Some(part) = part else {
        return Ok(Numbered::default());
    };
    let own = match relations.kind(&format!("{kind}s")) {
        Some(name) => Relations::of(name, Format::Docx, archive, budget)?,
        None => Relations::default(),
    };
    notes::read(&part, kind, &own, out, budget)
}

fn charts(
    relations: &Relations,
    archive: &mut Archive<'_>,
    budget: &Budget,
) -> Result<HashMap<String, Chart>, ParseError> {
    let mut charts = HashMap::new();
    for (id, name) in relations.with_ids("chart") {
        if let Some(part) = archive.text(name)? {
            charts.insert(id.to_owned(), Chart::read(&part, Format::Docx, budget)?);
        }
    }
    Ok(charts)
}

/// Lines of the running headers or footers, each once; a page number alone is none.
fn running(
    relations: &Relations,
    kind: &str,
    archive: &mut Archive<'_>,
    budget: &Budget,
) -> Result<Vec<String>, ParseError> {
    let mut lines: Vec<String> = Vec::new();
    for name in relations.all(kind) {
        let Some(part) = archive.text(name)? else {
            continue;
        };
        let mut out = DocumentBuilder::new();
        Body::new(Parts::default(), &mut out, budget).read(&part)?;
        let document = out.finish(Format::Docx);
        for block in &document.blocks {
            let line = document.block_text(block);
            if says_something(line) && lines.iter().all(|l| l != line) {
                lines.push(line.to_owned());
            }
        }
    }
    Ok(lines)
}

/// Whether a running line holds a word, that of a page number aside.
fn says_something(line: &str) -> bool {
    const COUNTING: [&str; 9] = [
        "page", "pages", "of", "seite", "von", "página", "pagina", "sur", "folio",
    ];
    line.split(|c: char| !c.is_alphabetic())
        .filter(|word| word.chars().nth(1).is_some())
        .any(|word| !COUNTING.contains(&word.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests;

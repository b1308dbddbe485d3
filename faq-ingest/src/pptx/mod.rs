//! PPTX (Office Open XML presentations) into blocks; a slide is a page.
//!
//! Slides come in the order they are shown in. Of each: its title as a heading, its text and
//! tables in the order of its shapes, charts as tables, and the speaker's notes. What repeats
//! on every slide (number, date, footer) and reviewers' comments are left out.

mod slide;

use crate::archive::Archive;
use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::ooxml::{self, Relations};
use crate::table::TableWriter;
use crate::xml::{Token, Xml};
use crate::{BlockKind, Document, Format, ParseError};
use slide::{Linked, Part, Shapes};

/// Level of a slide's title.
const TITLE: u8 = 1;

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let mut archive = Archive::open(bytes, Format::Pptx, budget)?;
    let main = ooxml::main_part("ppt/presentation.xml", Format::Pptx, &mut archive, budget)?;
    let relations = Relations::of(&main, Format::Pptx, &mut archive, budget)?;
    let text = archive.required(&main)?;
    let mut out = DocumentBuilder::new();
    out.title = ooxml::title(Format::Pptx, &mut archive, budget)?;
    let mut images = 0;
    let mut slides = 0;
    let mut tables = TableWriter::default();
    for name in slide_names(&text, &relations, budget)? {
        let Some(text) = archive.text(&name)? else {
            out.warn("missing_part", None, format!("the slide {name} is missing"));
            continue;
        };
        slides += 1;
        budget.check_pages(slides)?;
        let from = out.text_len();
        let own = Relations::of(&name, Format::Pptx, &mut archive, budget)?;
        let linked = Linked::read(&own, &mut archive, &mut out, budget)?;
        let shapes = Shapes::read(&text, linked, budget)?;
        images += shapes.images;
        let mut writer = Writer {
            out: &mut out,
            tables: &mut tables,
            page: slides as u32,
            budget,
        };
        writer.title(&shapes)?;
        writer.parts(&shapes.parts)?;
        if let Some(notes) = own.kind("notesSlide")
            && let Some(text) = archive.text(notes)?
        {
            writer.parts(&Shapes::notes(&text, budget)?.parts)?;
        }
        out.end_page(slides as u32, from);
    }
    if out.is_empty() && images > 0 {
        return Err(ParseError::NoText {
            format: Format::Pptx,
            pages: slides,
            images,
        });
    }
    if out.title.is_none() {
        out.title = out.first_heading();
    }
    Ok(out.finish(Format::Pptx))
}

/// Names of the slides' parts, in the order of the presentation.
fn slide_names(
    presentation: &str,
    relations: &Relations,
    budget: &Budget,
) -> Result<Vec<String>, ParseError> {
    let mut names = Vec::new();
    let mut xml = Xml::new(presentation, Format::Pptx, budget);
    while let Some(token) = xml.next()? {
        if let Token::Open(element) = token
            && element.is("sldId")
            && let Some(name) = element
                .prefixed("id")
                .and_then(|id| relations.id(&id).map(str::to_owned))
        {
            names.push(name);
        }
    }
    if names.is_empty() {
        names.extend(relations.all("slide").map(str::to_owned));
    }
    Ok(names)
}

/// Writes the parts of one slide.
struct Writer<'w> {
    out: &'w mut DocumentBuilder,
    tables: &'w mut TableWriter,
    page: u32,
    budget: &'w Budget,
}

impl Writer<'_> {
    fn title(&mut self, shapes: &Shapes) -> Result<(), ParseError> {
        for title in &shapes.titles {
            self.push(BlockKind::Heading, Some(TITLE), title)?;
        }
        Ok(())
    }

    fn parts(&mut self, parts: &[Part]) -> Result<(), ParseError> {
        for part in parts {
            match part {
                Part::Text(text) => self.push(BlockKind::Paragraph, None, text)?,
                Part::Item { level, text } => {
                    self.push(BlockKind::ListItem, Some(*level), text)?;
                }
                Part::Subtitle(text) => {
                    self.push(BlockKind::Heading, Some(TITLE + 1), text)?;
                }
                Part::Table(table, rule) => {
                    let page = Some(self.page);
                    self.tables
                        .write(table, *rule, page, self.out, self.budget)?;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, kind: BlockKind, level: Option<u8>, text: &str) -> Result<(), ParseError> {
        self.out.push(kind, level, Some(self.page), text);
        self.budget.check_blocks(self.out.len())
    }
}

//! One slide's shapes into text, items and tables.

use std::collections::HashMap;

use crate::archive::Archive;
use crate::document::DocumentBuilder;
use crate::inline::Inline;
use crate::limits::Budget;
use crate::link::TargetId;
use crate::numeral;
use crate::ooxml::Relations;
use crate::ooxml::chart::Chart;
use crate::table::{Cell, HeaderRule, Table};
use crate::xml::{Element, Token, Xml};
use crate::{Format, ParseError};

/// What a slide's shapes show from elsewhere, charts and diagrams, and where their words lead, by
/// the ids of their relations.
#[derive(Debug, Default)]
pub(super) struct Linked {
    charts: HashMap<String, Chart>,
    diagrams: HashMap<String, Vec<Part>>,
    links: HashMap<String, TargetId>,
}

impl Linked {
    pub(super) fn read(
        relations: &Relations,
        archive: &mut Archive<'_>,
        out: &mut DocumentBuilder,
        budget: &Budget,
    ) -> Result<Self, ParseError> {
        let mut linked = Self::default();
        for (id, target) in relations.links() {
            if let Some(target) = out.target(target) {
                linked.links.insert(id.to_owned(), target);
            }
        }
        for (id, name) in relations.with_ids("chart") {
            if let Some(text) = archive.text(name)? {
                let chart = Chart::read(&text, Format::Pptx, budget)?;
                linked.charts.insert(id.to_owned(), chart);
            }
        }
        for (id, name) in relations.with_ids("diagramData") {
            if let Some(text) = archive.text(name)? {
                let shapes = Shapes::read(&text, Self::default(), budget)?;
                linked.diagrams.insert(id.to_owned(), shapes.parts);
            }
        }
        Ok(linked)
    }
}

/// What a slide shows, in the order of its shapes.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    pub(super) titles: Vec<String>,
    pub(super) parts: Vec<Part>,
    pub(super) images: usize,
}

#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Item { level: u8, text: String },
    Subtitle(String),
    Table(Table, HeaderRule),
}

/// What a shape is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Holder {
    /// A text box.
    #[default]
    Free,
    Title,
    Subtitle,
    /// The slide's main text, whose paragraphs are bulleted unless they say otherwise.
    Body,
    /// Slide number, date, footer, header.
    Furniture,
}

impl Holder {
    fn of(element: &Element<'_>) -> Self {
        match element.attribute("type").as_deref() {
            Some("title" | "ctrTitle") => Self::Title,
            Some("subTitle") => Self::Subtitle,
            None | Some("body" | "obj") => Self::Body,
            Some("sldNum" | "dt" | "ftr" | "hdr") => Self::Furniture,
            Some(_) => Self::Free,
        }
    }
}

#[derive(Debug, Default)]
struct Paragraph {
    text: Inline,
    level: u8,
    bullet: Option<Bullet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bullet {
    None,
    Mark,
    Number { style: numeral::Style, start: i64 },
}

struct Reader<'x> {
    shapes: Shapes,
    linked: Linked,
    holder: Holder,
    /// Paragraphs of the shape that is read.
    paragraphs: Vec<Paragraph>,
    paragraph: Option<Paragraph>,
    table: Option<Table>,
    header_row: bool,
    cell: Option<Cell>,
    in_text: bool,
    /// Open elements that are left out, and those inside them.
    skipped: usize,
    budget: &'x Budget,
}

impl Shapes {
    pub(super) fn read(part: &str, linked: Linked, budget: &Budget) -> Result<Self, ParseError> {
        Reader::new(linked, budget).read(part)
    }

    /// The speaker's notes: of their page, the body alone.
    pub(super) fn notes(part: &str, budget: &Budget) -> Result<Self, ParseError> {
        let mut shapes = Self::read(part, Linked::default(), budget)?;
        let text = |part: Part| match part {
            Part::Item { text, .. } => Part::Text(text.trim_start_matches("- ").to_owned()),
            part => part,
        };
        shapes.parts = shapes.parts.into_iter().map(text).collect();
        Ok(shapes)
    }
}

impl<'x> Reader<'x> {
    fn new(linked: Linked, budget: &'x Budget) -> Self {
        Self {
            shapes: Shapes::default(),
            linked,
            holder: Holder::Free,
            paragraphs: Vec::new(),
            paragraph: None,
            table: None,
            header_row: false,
            cell: None,
            in_text: false,
            skipped: 0,
            budget,
        }
    }

    fn read(mut self, part: &str) -> Result<Shapes, ParseError> {
        let mut xml = Xml::new(part, Format::Pptx, self.budget);
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(_) if self.skipped > 0 => self.skipped += 1,
                Token::Close(_) if self.skipped > 0 => self.skipped -= 1,
                Token::Open(element) => self.open(&element),
                Token::Close(name) => self.close(&name),
                Token::Text(text) => {
                    if self.in_text
                        && let Some(paragraph) = &mut self.paragraph
                    {
                        paragraph.text.push(&text);
                    }
                }
            }
        }
        self.end_shape();
        Ok(self.shapes)
    }

    fn open(&mut self, element: &Element<'_>) {
        match element.name() {
            // The same shape again, for programs that know less.
            "Fallback" => self.skipped = 1,
            "sp" | "graphicFrame" => {
                self.end_shape();
                self.holder = Holder::Free;
            }
            "ph" => self.holder = Holder::of(element),
            "pic" => self.shapes.images += 1,
            "p" => self.paragraph = Some(Paragraph::default()),
            "t" => self.in_text = true,
            "tbl" => {
                self.end_shape();
                self.table = Some(Table::default());
                self.header_row = false;
            }
            "tblPr" => {
                self.header_row =
                    matches!(element.attribute("firstRow").as_deref(), Some("1" | "true"));
            }
            "tr" => {
                if let Some(table) = &mut self.table {
                    table.start_row(self.header_row);
                    self.header_row = false;
                }
            }
            "tc" if self.table.is_some() => self.cell = Some(cell(element)),
            "chart" => self.chart(&element.prefixed("id").unwrap_or_default()),
            "relIds" => {
                let id = element.prefixed("dm").unwrap_or_default();
                let parts = self.linked.diagrams.remove(&id).unwrap_or_default();
                self.shapes.parts.extend(parts);
            }
            _ => self.open_in_paragraph(element),
        }
    }

    fn open_in_paragraph(&mut self, element: &Element<'_>) {
        let Some(paragraph) = &mut self.paragraph else {
            return;
        };
        match element.name() {
            "pPr" => {
                let level = element.attribute("lvl").and_then(|l| l.parse().ok());
                paragraph.level = level.unwrap_or(0).min(8);
            }
            "buNone" => paragraph.bullet = Some(Bullet::None),
            "buChar" | "buBlip" => paragraph.bullet = Some(Bullet::Mark),
            "buAutoNum" => {
                let kind = element.attribute("type").unwrap_or_default();
                let start = element.attribute("startAt").and_then(|s| s.parse().ok());
                paragraph.bullet = Some(Bullet::Number {
                    style: number_style(&kind),
                    start: start.unwrap_or(1),
                });
            }
            "r" | "fld" => paragraph.text.lead_to(None),
            "hlinkClick" => {
                let id = element.attribute("id").unwrap_or_default();
                paragraph.text.lead_to(self.linked.links.get(&id).copied());
            }
            "br" => paragraph.text.line_break(),
            "tab" => paragraph.text.space(),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "p" => {
                if let Some(paragraph) = self.paragraph.take() {
                    match &mut self.cell {
                        Some(cell) => {
                            let mut text = paragraph.text;
                            cell.text.push_str(&text.take());
                            cell.text.push('\n');
                        }
                        None => self.paragraphs.push(paragraph),
                    }
                }
            }
            "tc" => {
                if let (Some(table), Some(cell)) = (&mut self.table, self.cell.take()) {
                    table.cell(cell);
                }
            }
            "tbl" => {
                if let Some(table) = self.table.take() {
                    self.shapes
                        .parts
                        .push(Part::Table(table, HeaderRule::Named));
                }
            }
            "sp" | "pt" => self.end_shape(),
            _ => {}
        }
    }

    fn chart(&mut self, id: &str) {
        if let Some(chart) = self.linked.charts.remove(id) {
            self.shapes.parts.extend(chart.captions().map(Part::Text));
            let table = chart.table();
            self.shapes
                .parts
                .push(Part::Table(table, HeaderRule::Named));
        }
    }

    /// Puts down the paragraphs of the shape.
    fn end_shape(&mut self) {
        let mut paragraphs = std::mem::take(&mut self.paragraphs);
        paragraphs.retain(|p| !p.text.is_blank());
        let holder = std::mem::take(&mut self.holder);
        let single = paragraphs.len() == 1;
        let mut numbers: Vec<i64> = Vec::new();
        let mut title = Inline::default();
        for mut paragraph in paragraphs {
            let text = paragraph.text.take();
            let level = usize::from(paragraph.level);
            numbers.truncate(level + 1);
            match holder {
                Holder::Furniture => {}
                Holder::Title => {
                    title.push_made(&text);
                    title.space();
                }
                Holder::Subtitle => self.shapes.parts.push(Part::Subtitle(one(&text))),
                Holder::Body | Holder::Free => {
                    let usual = if holder == Holder::Body && !single {
                        Bullet::Mark
                    } else {
                        Bullet::None
                    };
                    let marker = match paragraph.bullet.unwrap_or(usual) {
                        Bullet::None => None,
                        Bullet::Mark => Some("- ".to_owned()),
                        Bullet::Number { style, start } => {
                            numbers.resize(level + 1, 0);
                            numbers[level] += 1;
                            let number = start.saturating_add(numbers[level] - 1);
                            Some(format!("{}. ", numeral::format(number, style)))
                        }
                    };
                    self.shapes.parts.push(match marker {
                        Some(marker) => Part::Item {
                            level: paragraph.level + 1,
                            text: format!("{marker}{text}"),
                        },
                        None => Part::Text(text),
                    });
                }
            }
        }
        let title = title.take();
        if !title.is_empty() {
            self.shapes.titles.push(title);
        }
    }
}

fn one(text: &str) -> String {
    crate::inline::made_one_line(text)
}

fn cell(element: &Element<'_>) -> Cell {
    let number = |name: &str| element.attribute(name).and_then(|v| v.parse().ok());
    let on = |name: &str| matches!(element.attribute(name).as_deref(), Some("1" | "true"));
    Cell {
        columns: number("gridSpan").unwrap_or(1),
        rows: number("rowSpan").unwrap_or(1),
        // What a span covers is written out, and empty.
        covered: on("hMerge") || on("vMerge"),
        ..Cell::default()
    }
}

/// The kind of numbers that the name of a scheme begins with, such as `alphaLcParenR`.
fn number_style(scheme: &str) -> numeral::Style {
    if scheme.starts_with("alphaLc") {
        numeral::Style::LowerLetter
    } else if scheme.starts_with("alphaUc") {
        numeral::Style::UpperLetter
    } else if scheme.starts_with("romanLc") {
        numeral::Style::LowerRoman
    } else if scheme.starts_with("romanUc") {
        numeral::Style::UpperRoman
    } else {
        numeral::Style::Decimal
    }
}

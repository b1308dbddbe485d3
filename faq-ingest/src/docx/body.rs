//! The document part into blocks.
//!
//! One pass over the tokens, without recursion: what is nested (table cells, text boxes)
//! stands on a stack of frames. A text box comes after the paragraph it is anchored in, a note
//! after the one that refers to it.

use std::collections::HashMap;

use crate::document::DocumentBuilder;
use crate::inline::Inline;
use crate::limits::Budget;
use crate::link;
use crate::numeral;
use crate::ooxml::chart::Chart;
use crate::piece::{Piece, flat};
use crate::table::{Cell, Table, TableWriter};
use crate::xml::{Element, Token, Xml};
use crate::{BlockKind, Format, ParseError};

use super::field::Fields;
use super::math::Math;
use super::notes::Numbered;
use super::numbering::{Marker, Numbering};
use super::styles::{Style, Styles, outline_level};

/// Parts beside the one that is read.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) styles: Styles,
    pub(super) numbering: Numbering,
    pub(super) footnotes: Numbered,
    pub(super) endnotes: Numbered,
    /// Charts by the ids of their relations.
    pub(super) charts: HashMap<String, Chart>,
    /// Targets of hyperlinks by the ids of their relations.
    pub(super) links: HashMap<String, String>,
}

pub(super) struct Body<'o> {
    parts: Parts,
    out: &'o mut DocumentBuilder,
    budget: &'o Budget,
    tables: TableWriter,
    frames: Vec<Frame>,
    /// Open elements that are left out, and those inside them.
    skipped: usize,
    /// Inside the text of a run.
    in_text: bool,
    /// Open fields of this paragraph.
    fields: Fields,
    /// Inside the code of a field.
    in_code: bool,
    /// The equation that is read.
    math: Option<Math>,
    /// For every open alternative, whether one of its choices was taken.
    alternatives: Vec<bool>,
    images: usize,
}

/// A place that takes blocks: the document, a cell, a text box.
#[derive(Default)]
struct Frame {
    blocks: Vec<Piece>,
    paragraph: Option<Paragraph>,
    table: Option<OpenTable>,
    kind: Kind,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Kind {
    #[default]
    Document,
    Cell,
    TextBox,
    /// A paragraph inside a paragraph.
    Nested,
}

#[derive(Default)]
struct Paragraph {
    text: Inline,
    style: Option<String>,
    outline: Option<u8>,
    list: Option<u32>,
    list_level: Option<u8>,
    in_properties: bool,
    /// The run is not shown.
    hidden: bool,
    /// What follows the paragraph: text boxes and notes.
    after: Vec<Piece>,
}

#[derive(Default)]
struct OpenTable {
    table: Table,
    cell: Cell,
    /// Notes that its cells refer to.
    after: Vec<Piece>,
}

/// Elements whose content is no text of the document.
pub(super) fn is_left_out(name: &str) -> bool {
    matches!(
        name,
        "del"
            | "moveFrom"
            | "instrText"
            | "delText"
            | "delInstrText"
            | "rt"
            | "binData"
            | "sdtPr"
            | "sectPr"
            | "tblPrChange"
            | "pPrChange"
            | "rPrChange"
            | "docPartObj"
    )
}

/// The character of a `w:sym` element. Symbol fonts live in a private area; the marks
/// that documents use from it are few.
pub(super) fn symbol(element: &Element<'_>) -> String {
    let code = element
        .attribute("char")
        .and_then(|c| u32::from_str_radix(&c, 16).ok())
        .unwrap_or(0);
    match code {
        0xf0b7 | 0xf0a7 | 0xf06c => "•".to_owned(),
        0xf0fc => "✓".to_owned(),
        0xf0fe | 0xf053 => "☑".to_owned(),
        0xf0a8 | 0xf06f => "☐".to_owned(),
        0xf0e0 | 0xf0ae => "→".to_owned(),
        0xf0b0 => "°".to_owned(),
        0xf0b1 => "±".to_owned(),
        0xf0a3 => "≤".to_owned(),
        0xf0b3 => "≥".to_owned(),
        0xf020..=0xf07e => char::from((code - 0xf000) as u8).to_string(),
        code => char::from_u32(code)
            .filter(|c| !c.is_control() && !('\u{e000}'..='\u{f8ff}').contains(c))
            .map(String::from)
            .unwrap_or_default(),
    }
}

impl<'o> Body<'o> {
    pub(super) fn new(parts: Parts, out: &'o mut DocumentBuilder, budget: &'o Budget) -> Self {
        Self {
            parts,
            out,
            budget,
            tables: TableWriter::default(),
            frames: vec![Frame::default()],
            skipped: 0,
            in_text: false,
            fields: Fields::default(),
            in_code: false,
            math: None,
            alternatives: Vec::new(),
            images: 0,
        }
    }

    /// Reads the part; says how many images it met.
    pub(super) fn read(mut self, part: &str) -> Result<usize, ParseError> {
        let mut xml = Xml::new(part, Format::Docx, self.budget);
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(_) if self.skipped > 0 => self.skipped += 1,
                Token::Close(_) if self.skipped > 0 => self.skipped -= 1,
                Token::Open(element) => match &mut self.math {
                    Some(math) => math.open(&element),
                    None => self.open(&element),
                },
                Token::Close(_) if self.math.is_some() => self.close_in_math(),
                Token::Close(name) => self.close(&name)?,
                Token::Text(text) => self.text(&text),
            }
        }
        Ok(self.images)
    }

    fn close_in_math(&mut self) {
        if let Some(equation) = self.math.as_mut().and_then(Math::close) {
            self.math = None;
            self.push(&equation);
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(math) = &mut self.math {
            math.text(text);
            return;
        }
        if self.skipped > 0 {
            return;
        }
        if self.in_code {
            self.fields.code(text);
        } else if self.in_text && !self.fields.in_code() {
            self.push(text);
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraph()
            && !paragraph.hidden
        {
            paragraph.text.push(text);
        }
    }

    /// What comes next in the paragraph leads to `target`.
    fn lead_to(&mut self, target: &str) {
        let target = self.out.target(target);
        if let Some(paragraph) = self.paragraph() {
            paragraph.text.lead_to(target);
        }
    }

    fn frame(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    fn paragraph(&mut self) -> Option<&mut Paragraph> {
        self.frame()?.paragraph.as_mut()
    }

    fn open(&mut self, element: &Element<'_>) {
        let name = element.name();
        if name == "instrText" {
            self.in_code = true;
            return;
        }
        if is_left_out(name) {
            self.skipped = 1;
            return;
        }
        match name {
            "p" => self.open_paragraph(),
            "t" => self.in_text = true,
            "tbl" => self.open_table(),
            "tr" => {
                if let Some(open) = self.frame().and_then(|f| f.table.as_mut()) {
                    open.table.start_row(false);
                }
            }
            "tc" => self.open_cell(),
            "txbxContent" => self.frames.push(Frame {
                kind: Kind::TextBox,
                ..Frame::default()
            }),
            "AlternateContent" => self.alternatives.push(false),
            "Choice" | "Fallback" => match self.alternatives.last_mut() {
                Some(taken) if *taken => self.skipped = 1,
                Some(taken) => *taken = true,
                None => {}
            },
            "drawing" | "pict" => self.images += 1,
            "oMath" => self.math = Some(Math::new()),
            "tblHeader" if element.is_on() => {
                if let Some(open) = self.frame().and_then(|f| f.table.as_mut()) {
                    open.table.name_last_row_header();
                }
            }
            "gridSpan" | "vMerge" => self.cell_property(element),
            "footnoteReference" | "endnoteReference" => self.refer(element),
            "chart" => self.chart(element),
            "fldChar" => match element.attribute("fldCharType").as_deref() {
                Some("begin") => self.fields.begin(),
                Some("separate") => {
                    if let Some(target) = self.fields.separate() {
                        self.lead_to(&target);
                    }
                }
                Some("end") if self.fields.end() => self.lead_to(""),
                _ => {}
            },
            "fldSimple" => {
                let code = element.attribute("instr").unwrap_or_default();
                self.lead_to(&link::of_field(&code).unwrap_or_default());
            }
            "hyperlink" => {
                let id = element.attribute("id").unwrap_or_default();
                let target = self.parts.links.get(&id);
                let place = element.attribute("anchor").map(|place| format!("#{place}"));
                let target = target.map(|to| format!("{to}{}", place.unwrap_or_default()));
                self.lead_to(&target.unwrap_or_default());
            }
            _ => self.open_in_paragraph(element),
        }
    }

    fn open_in_paragraph(&mut self, element: &Element<'_>) {
        let Some(paragraph) = self.paragraph() else {
            return;
        };
        let value = || element.val();
        match element.name() {
            "pPr" => paragraph.in_properties = true,
            "pStyle" => paragraph.style = value(),
            "outlineLvl" if paragraph.in_properties => paragraph.outline = outline_level(value()),
            "numId" if paragraph.in_properties => {
                paragraph.list = value().and_then(|v| v.parse().ok());
            }
            "ilvl" if paragraph.in_properties => {
                paragraph.list_level = value().and_then(|v| v.parse().ok());
            }
            "r" => paragraph.hidden = false,
            "vanish" if !paragraph.in_properties => paragraph.hidden = element.is_on(),
            "tab" | "ptab" if !paragraph.in_properties => paragraph.text.space(),
            "br" | "cr" => paragraph.text.line_break(),
            "noBreakHyphen" => paragraph.text.push("-"),
            "sym" => {
                let symbol = symbol(element);
                paragraph.text.push(&symbol);
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) -> Result<(), ParseError> {
        match name {
            "p" => self.close_paragraph()?,
            "t" => self.in_text = false,
            "instrText" => self.in_code = false,
            "hyperlink" | "fldSimple" => self.lead_to(""),
            "tbl" => self.close_table()?,
            "tc" => self.close_cell(),
            "txbxContent" => self.close_text_box(),
            "AlternateContent" => {
                self.alternatives.pop();
            }
            "pPr" => {
                if let Some(paragraph) = self.paragraph() {
                    paragraph.in_properties = false;
                }
            }
            "r" => {
                if let Some(paragraph) = self.paragraph() {
                    paragraph.hidden = false;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open_paragraph(&mut self) {
        if self.paragraph().is_some() {
            self.frames.push(Frame {
                kind: Kind::Nested,
                ..Frame::default()
            });
        }
        if let Some(frame) = self.frame() {
            frame.paragraph = Some(Paragraph::default());
        }
    }

    fn close_paragraph(&mut self) -> Result<(), ParseError> {
        self.fields.clear();
        let Some(mut paragraph) = self.frame().and_then(|f| f.paragraph.take()) else {
            return Ok(());
        };
        let text = paragraph.text.take();
        let style = self.parts.styles.get(paragraph.style.as_deref());
        if !text.trim().is_empty() {
            let piece = self.block(&paragraph, style, &text);
            self.add(piece)?;
        }
        let in_cell = self.frames.iter().any(|f| f.kind == Kind::Cell);
        if in_cell && let Some(open) = self.frames.iter_mut().rev().find_map(|f| f.table.as_mut()) {
            open.after.append(&mut paragraph.after);
        }
        for piece in paragraph.after {
            self.add(piece)?;
        }
        if self.frames.last().is_some_and(|f| f.kind == Kind::Nested) {
            self.close_text_box();
        }
        Ok(())
    }

    /// The paragraph as a heading, item, code or paragraph.
    fn block(&mut self, paragraph: &Paragraph, style: Style, text: &str) -> Piece {
        // List 0 takes a paragraph out of its style's list.
        let list = paragraph.list.or(style.list).filter(|&l| l != 0);
        let list_level = paragraph.list_level.or(style.list_level).unwrap_or(0);
        let marker = list.and_then(|list| self.parts.numbering.next(list, list_level));
        let heading = paragraph.outline.or(style.heading).filter(|&l| l > 0);
        let (kind, level, text) = if let Some(level) = heading {
            let number = marker.as_ref().map(Marker::heading).unwrap_or_default();
            let text = text.replace('\n', " ");
            (BlockKind::Heading, Some(level), format!("{number}{text}"))
        } else if let Some(marker) = marker {
            let text = format!("{}{text}", marker.item());
            let level = list_level.saturating_add(1);
            (BlockKind::ListItem, Some(level), text)
        } else if style.code {
            (BlockKind::Code, None, text.to_owned())
        } else {
            (BlockKind::Paragraph, None, text.to_owned())
        };
        Piece::Text { kind, level, text }
    }

    /// Puts a block where it belongs: into the document, or into the open frame.
    fn add(&mut self, piece: Piece) -> Result<(), ParseError> {
        if let [_, .., frame] = self.frames.as_mut_slice() {
            frame.blocks.push(piece);
            return Ok(());
        }
        piece.write(&mut self.tables, self.out, self.budget)
    }

    fn open_table(&mut self) {
        // A table inside a paragraph, or inside a table but in none of its cells.
        if self
            .frame()
            .is_some_and(|f| f.table.is_some() || f.paragraph.is_some())
        {
            self.frames.push(Frame {
                kind: Kind::Nested,
                ..Frame::default()
            });
        }
        if let Some(frame) = self.frame() {
            frame.table = Some(OpenTable::default());
        }
    }

    fn close_table(&mut self) -> Result<(), ParseError> {
        let Some(open) = self.frame().and_then(|f| f.table.take()) else {
            return Ok(());
        };
        self.add(Piece::Table(open.table))?;
        for piece in open.after {
            self.add(piece)?;
        }
        if self.frames.last().is_some_and(|f| f.kind == Kind::Nested) {
            self.close_text_box();
        }
        Ok(())
    }

    fn open_cell(&mut self) {
        if let Some(open) = self.frame().and_then(|f| f.table.as_mut()) {
            open.cell = Cell {
                columns: 1,
                rows: 1,
                ..Cell::default()
            };
            self.frames.push(Frame {
                kind: Kind::Cell,
                ..Frame::default()
            });
        }
    }

    fn cell_property(&mut self, element: &Element<'_>) {
        let Some(index) = self.frames.len().checked_sub(2) else {
            return;
        };
        let Some(open) = self.frames[index].table.as_mut() else {
            return;
        };
        if element.is("gridSpan") {
            open.cell.columns = element.val().and_then(|v| v.parse().ok()).unwrap_or(1);
        } else if element.val().as_deref() == Some("restart") {
            // How far it reaches is said by the cells below that continue it.
            open.cell.rows = usize::MAX;
        } else {
            open.cell.continues = true;
        }
    }

    fn close_cell(&mut self) {
        if self.frames.last().is_none_or(|f| f.kind != Kind::Cell) {
            return;
        }
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let text = flat(&frame.blocks);
        if let Some(open) = self.frame().and_then(|f| f.table.as_mut()) {
            let cell = std::mem::take(&mut open.cell);
            open.table.cell(Cell { text, ..cell });
        }
    }

    /// Ends a frame inside a paragraph; its blocks come after it.
    fn close_text_box(&mut self) {
        let ends = |f: &Frame| matches!(f.kind, Kind::TextBox | Kind::Nested);
        if !self.frames.last().is_some_and(ends) {
            return;
        }
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let Some(below) = self.frame() else {
            return;
        };
        match &mut below.paragraph {
            Some(paragraph) => paragraph.after.extend(frame.blocks),
            None => below.blocks.extend(frame.blocks),
        }
    }

    /// A chart comes after the paragraph that it is anchored in.
    fn chart(&mut self, element: &Element<'_>) {
        let id = element.attribute("id").unwrap_or_default();
        let Some(chart) = self.parts.charts.remove(&id) else {
            return;
        };
        if let Some(paragraph) = self.paragraph() {
            let caption = |text| Piece::Text {
                kind: BlockKind::Paragraph,
                level: None,
                text,
            };
            paragraph.after.extend(chart.captions().map(caption));
            paragraph.after.push(Piece::Table(chart.table()));
        }
    }

    fn refer(&mut self, element: &Element<'_>) {
        let id = element.attribute("id").unwrap_or_default();
        let note = if element.is("footnoteReference") {
            self.parts.footnotes.refer(&id, numeral::Style::Decimal)
        } else {
            self.parts.endnotes.refer(&id, numeral::Style::LowerRoman)
        };
        if let Some((mark, text)) = note
            && let Some(paragraph) = self.paragraph()
        {
            paragraph.text.push_verbatim(&mark);
            paragraph.after.push(Piece::Text {
                kind: BlockKind::Paragraph,
                level: None,
                text: format!("{mark} {text}"),
            });
        }
    }
}

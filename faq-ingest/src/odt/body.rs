//! The content part into blocks.
//!
//! One pass without recursion: every open element has a role on a stack, and what holds
//! blocks of its own (a cell, a text box, a note) is a frame on another.

use std::collections::HashMap;

use super::styles::{Level, Styles};
use crate::document::DocumentBuilder;
use crate::inline::Inline;
use crate::limits::Budget;
use crate::link::KeepLinks;
use crate::numeral;
use crate::piece::{Piece, flat};
use crate::table::{Cell, Table, TableWriter};
use crate::xml::{Element, Token, Xml};
use crate::{BlockKind, Format, ParseError};

/// Name under which the numbering of headings is kept.
pub(super) const OUTLINE: &str = "text:outline-style";

pub(super) struct Body<'o> {
    styles: &'o Styles,
    /// By the folders they stand in.
    charts: HashMap<String, Vec<Piece>>,
    out: &'o mut DocumentBuilder,
    budget: &'o Budget,
    tables: TableWriter,
    roles: Vec<Role>,
    frames: Vec<Frame>,
    /// How far the headings of each level have counted.
    outline: Vec<i64>,
    images: usize,
    /// Bytes of memory that repeated cells have taken.
    repeated: usize,
}

/// What an open element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It and what it holds are left out.
    Skipped,
    Paragraph,
    /// A paragraph inside a paragraph, as in a drawn shape.
    NestedParagraph,
    List,
    Item,
    Table,
    HeaderRows,
    Cell,
    TextBox,
    Note,
    Citation,
    NoteBody,
    Link,
    Other,
}

/// A place that takes blocks.
#[derive(Default)]
struct Frame {
    pieces: Vec<Piece>,
    paragraph: Option<Paragraph>,
    lists: Vec<List>,
    /// Marker of an item whose first paragraph is still to come.
    marker: Option<String>,
    table: Option<OpenTable>,
    /// Mark of a note, where the frame is one.
    note: Option<String>,
}

#[derive(Default)]
struct OpenTable {
    table: Table,
    cell: Cell,
    /// How often the cell stands side by side.
    repeated: usize,
    in_header: bool,
}

struct Paragraph {
    kind: BlockKind,
    level: Option<u8>,
    prefix: String,
    text: Inline,
    hidden: bool,
    after: Vec<Piece>,
}

struct List {
    style: Option<String>,
    count: i64,
}

impl<'o> Body<'o> {
    pub(super) fn new(
        styles: &'o Styles,
        charts: HashMap<String, Vec<Piece>>,
        out: &'o mut DocumentBuilder,
        budget: &'o Budget,
    ) -> Self {
        Self {
            styles,
            charts,
            out,
            budget,
            tables: TableWriter::default(),
            roles: Vec::new(),
            frames: vec![Frame::default()],
            outline: Vec::new(),
            images: 0,
            repeated: 0,
        }
    }

    /// Reads the part; says how many images it met.
    pub(super) fn read(mut self, part: &str) -> Result<usize, ParseError> {
        self.run(part)?;
        Ok(self.images)
    }

    /// The blocks of a part that stands inside another.
    pub(super) fn pieces(
        styles: &Styles,
        part: &str,
        budget: &Budget,
    ) -> Result<Vec<Piece>, ParseError> {
        let mut out = DocumentBuilder::new();
        out.keep_links(KeepLinks::None);
        let mut body = Body::new(styles, HashMap::new(), &mut out, budget);
        body.frames.push(Frame::default());
        body.run(part)?;
        Ok(body.pop_frame().map(|f| f.pieces).unwrap_or_default())
    }

    fn run(&mut self, part: &str) -> Result<(), ParseError> {
        let mut xml = Xml::new(part, Format::Odt, self.budget);
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(element) => {
                    let role = match self.roles.last() {
                        Some(Role::Skipped) => Role::Skipped,
                        _ => self.open(&element),
                    };
                    self.roles.push(role);
                }
                Token::Close(_) => {
                    if let Some(role) = self.roles.pop() {
                        self.close(role)?;
                    }
                }
                Token::Text(text) => self.text(&text),
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        match self.roles.last() {
            Some(Role::Citation) => {
                if let Some(mark) = self.frame().and_then(|f| f.note.as_mut()) {
                    mark.push_str(text.trim());
                }
            }
            Some(Role::Skipped) => {}
            _ => {
                if let Some(paragraph) = self.paragraph() {
                    paragraph.text.push(text);
                }
            }
        }
    }

    fn frame(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    fn paragraph(&mut self) -> Option<&mut Paragraph> {
        self.frame()?.paragraph.as_mut()
    }

    fn open(&mut self, element: &Element<'_>) -> Role {
        match element.qualified_name() {
            "text:tracked-changes"
            | "table:covered-table-cell"
            | "office:annotation"
            | "office:forms"
            | "text:ruby-text"
            | "text:hidden-text"
            | "text:script"
            | "svg:title"
            | "svg:desc"
            | "office:scripts"
            | "office:automatic-styles"
            | "office:font-face-decls" => Role::Skipped,
            "draw:object" => {
                let folder = element.attribute("href").unwrap_or_default();
                let chart = self.charts.remove(folder.trim_start_matches("./"));
                self.add_after(chart.unwrap_or_default());
                Role::Skipped
            }
            "text:p" | "text:h" => self.open_paragraph(element),
            "text:span" => {
                let hidden = element
                    .attribute("style-name")
                    .is_some_and(|s| self.styles.is_hidden(&s));
                if hidden { Role::Skipped } else { Role::Other }
            }
            "text:a" => {
                let href = element.attribute("href").unwrap_or_default();
                let target = self.out.target(&href);
                if let Some(paragraph) = self.paragraph() {
                    paragraph.text.lead_to(target);
                }
                Role::Link
            }
            "text:s" | "text:tab" => {
                if let Some(paragraph) = self.paragraph() {
                    paragraph.text.space();
                }
                Role::Other
            }
            "text:line-break" => {
                if let Some(paragraph) = self.paragraph() {
                    paragraph.text.line_break();
                }
                Role::Other
            }
            "text:list" => {
                self.open_list(element);
                Role::List
            }
            "text:list-item" | "text:list-header" => {
                self.open_item(element);
                Role::Item
            }
            "table:table" => {
                if let Some(frame) = self.frame()
                    && frame.table.is_none()
                {
                    frame.table = Some(OpenTable::default());
                    return Role::Table;
                }
                Role::Other
            }
            "table:table-header-rows" => {
                self.in_header(true);
                Role::HeaderRows
            }
            "table:table-row" => {
                if let Some(open) = self.frame().and_then(|f| f.table.as_mut()) {
                    open.table.start_row(open.in_header);
                }
                Role::Other
            }
            "table:table-cell" => self.open_cell(element),
            "draw:text-box" => {
                self.frames.push(Frame::default());
                Role::TextBox
            }
            "draw:image" => {
                self.images += 1;
                Role::Other
            }
            "text:note" => {
                self.frames.push(Frame {
                    note: Some(String::new()),
                    ..Frame::default()
                });
                Role::Note
            }
            "text:note-citation" => Role::Citation,
            "text:note-body" => Role::NoteBody,
            _ => Role::Other,
        }
    }

    fn close(&mut self, role: Role) -> Result<(), ParseError> {
        match role {
            Role::Paragraph => self.close_paragraph()?,
            Role::NestedParagraph => {
                self.close_paragraph()?;
                self.close_frame();
            }
            Role::List => {
                if let Some(frame) = self.frame() {
                    frame.lists.pop();
                }
            }
            Role::Item => {
                if let Some(frame) = self.frame() {
                    frame.marker = None;
                }
            }
            Role::HeaderRows => self.in_header(false),
            Role::Cell => self.close_cell(),
            Role::Table => {
                if let Some(open) = self.frame().and_then(|f| f.table.take()) {
                    self.add(Piece::Table(open.table))?;
                }
            }
            Role::TextBox => self.close_frame(),
            Role::Note => self.close_note(),
            Role::Link => {
                if let Some(paragraph) = self.paragraph() {
                    paragraph.text.lead_to(None);
                }
            }
            Role::NoteBody | Role::Citation | Role::Other | Role::Skipped => {}
        }
        Ok(())
    }

    fn open_paragraph(&mut self, element: &Element<'_>) -> Role {
        let nested = self.paragraph().is_some();
        if nested {
            self.frames.push(Frame::default());
        }
        let style = element.attribute("style-name").unwrap_or_default();
        let hidden = self.styles.is_hidden(&style);
        let mut prefix = String::new();
        let (mut kind, mut level) = (BlockKind::Paragraph, None);
        if element.qualified_name() == "text:h" {
            let depth = element
                .attribute("outline-level")
                .and_then(|l| l.parse::<u8>().ok())
                .unwrap_or(1)
                .clamp(1, 10);
            kind = BlockKind::Heading;
            level = Some(depth);
            if element.attribute("is-list-header").as_deref() != Some("true") {
                prefix = self.heading_number(usize::from(depth));
            }
        } else if self.styles.is_based_on(&style, &["Title"]) {
            kind = BlockKind::Heading;
            level = Some(1);
        } else if self
            .styles
            .is_based_on(&style, &["Preformatted_20_Text", "Preformatted Text"])
        {
            kind = BlockKind::Code;
        }
        if let Some(frame) = self.frames.last_mut() {
            if kind == BlockKind::Paragraph
                && let Some(marker) = frame.marker.take()
            {
                kind = BlockKind::ListItem;
                level = Some(frame.lists.len().clamp(1, 255) as u8);
                prefix = marker;
            }
            frame.paragraph = Some(Paragraph {
                kind,
                level,
                prefix,
                text: Inline::default(),
                hidden,
                after: Vec::new(),
            });
        }
        if nested {
            Role::NestedParagraph
        } else {
            Role::Paragraph
        }
    }

    fn close_paragraph(&mut self) -> Result<(), ParseError> {
        let Some(mut paragraph) = self.frame().and_then(|f| f.paragraph.take()) else {
            return Ok(());
        };
        let text = paragraph.text.take();
        if !text.trim().is_empty() && !paragraph.hidden {
            let text = match paragraph.kind {
                BlockKind::Heading => text.replace('\n', " "),
                _ => text,
            };
            self.add(Piece::Text {
                kind: paragraph.kind,
                level: paragraph.level,
                text: format!("{}{text}", paragraph.prefix),
            })?;
        }
        for piece in paragraph.after {
            self.add(piece)?;
        }
        Ok(())
    }

    /// Puts a block where it belongs: into the document, or into the open frame.
    fn add(&mut self, piece: Piece) -> Result<(), ParseError> {
        if let [_, .., frame] = self.frames.as_mut_slice() {
            frame.pieces.push(piece);
            return Ok(());
        }
        piece.write(&mut self.tables, self.out, self.budget)
    }

    /// Ends a text box: its blocks come after the paragraph around it.
    fn close_frame(&mut self) {
        let Some(frame) = self.pop_frame() else {
            return;
        };
        self.add_after(frame.pieces);
    }

    fn add_after(&mut self, pieces: Vec<Piece>) {
        if let Some(paragraph) = self.paragraph() {
            paragraph.after.extend(pieces);
        } else if let [_, .., frame] = self.frames.as_mut_slice() {
            frame.pieces.extend(pieces);
        } else {
            // Anchored to the page: no paragraph is open.
            for piece in pieces {
                if self.add(piece).is_err() {
                    return;
                }
            }
        }
    }

    /// The frame on top, the document's own aside.
    fn pop_frame(&mut self) -> Option<Frame> {
        (self.frames.len() > 1).then(|| self.frames.pop()).flatten()
    }

    fn close_note(&mut self) {
        let Some(frame) = self.pop_frame() else {
            return;
        };
        let mark = format!("[{}]", frame.note.unwrap_or_default());
        let text = flat(&frame.pieces);
        if let Some(paragraph) = self.paragraph() {
            paragraph.text.push_verbatim(&mark);
            paragraph.after.push(Piece::Text {
                kind: BlockKind::Paragraph,
                level: None,
                text: format!("{mark} {text}"),
            });
        }
    }

    fn in_header(&mut self, header: bool) {
        if let Some(open) = self.frame().and_then(|f| f.table.as_mut()) {
            open.in_header = header;
        }
    }

    fn open_cell(&mut self, element: &Element<'_>) -> Role {
        let number = |name: &str| element.attribute(name).and_then(|v| v.parse().ok());
        let Some(open) = self.frame().and_then(|f| f.table.as_mut()) else {
            return Role::Other;
        };
        open.cell = Cell {
            columns: number("number-columns-spanned").unwrap_or(1),
            rows: number("number-rows-spanned").unwrap_or(1),
            ..Cell::default()
        };
        open.repeated = number("number-columns-repeated").unwrap_or(1);
        self.frames.push(Frame::default());
        Role::Cell
    }

    fn close_cell(&mut self) {
        /// More equal cells side by side are a program's padding.
        const MOST_REPEATED: usize = 64;
        /// Bytes of memory that repetition may add to a document.
        const MOST_REPETITION: usize = 16 << 20;
        let Some(frame) = self.pop_frame() else {
            return;
        };
        let text = flat(&frame.pieces);
        let frame = self.frames.last_mut();
        if let Some(open) = frame.and_then(|f| f.table.as_mut()) {
            let cell = std::mem::take(&mut open.cell);
            if text.is_empty() {
                let columns = cell.columns.max(open.repeated);
                open.table.cell(Cell { columns, ..cell });
                return;
            }
            let often = open.repeated.clamp(1, MOST_REPEATED);
            let more = (text.len() + size_of::<Cell>()).saturating_mul(often - 1);
            // Beyond that, padding is said once.
            let often = if self.repeated.saturating_add(more) > MOST_REPETITION {
                1
            } else {
                self.repeated += more;
                often
            };
            for _ in 0..often {
                open.table.cell(Cell {
                    text: text.clone(),
                    ..cell.clone()
                });
            }
        }
    }

    fn open_list(&mut self, element: &Element<'_>) {
        let style = element.attribute("style-name");
        if let Some(frame) = self.frame() {
            // A list inside a list has its style unless it brings one.
            let style = style.or_else(|| frame.lists.last().and_then(|l| l.style.clone()));
            frame.lists.push(List { style, count: 0 });
        }
    }

    fn open_item(&mut self, element: &Element<'_>) {
        let header = element.qualified_name() == "text:list-header";
        let value = element
            .attribute("start-value")
            .and_then(|v| v.parse().ok());
        let styles = self.styles;
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let depth = frame.lists.len();
        let Some(list) = frame.lists.last_mut() else {
            return;
        };
        if header {
            frame.marker = None;
            return;
        }
        let level = list.style.as_deref().and_then(|s| styles.level(s, depth));
        let Some(Level::Number { start, .. }) = level else {
            frame.marker = Some("- ".to_owned());
            return;
        };
        list.count = match (value, list.count) {
            (Some(value), _) => value,
            (None, 0) => *start,
            (None, count) => count.saturating_add(1),
        };
        let style = list.style.clone().unwrap_or_default();
        let counts: Vec<i64> = frame.lists.iter().map(|l| l.count).collect();
        let number = number(styles, &style, &counts);
        frame.marker = Some(if number.is_empty() {
            String::new()
        } else {
            format!("{number} ")
        });
    }

    fn heading_number(&mut self, depth: usize) -> String {
        self.outline.resize(depth, 0);
        let Some(Level::Number { start, .. }) = self.styles.level(OUTLINE, depth) else {
            return String::new();
        };
        let count = &mut self.outline[depth - 1];
        *count = if *count == 0 {
            *start
        } else {
            count.saturating_add(1)
        };
        let number = number(self.styles, OUTLINE, &self.outline);
        if number.is_empty() {
            number
        } else {
            format!("{number} ")
        }
    }
}

/// The number of an item as its level writes it; `counts` are those of all levels.
fn number(styles: &Styles, style: &str, counts: &[i64]) -> String {
    let depth = counts.len();
    let Some(Level::Number {
        style: Some(_),
        prefix,
        suffix,
        shown,
        ..
    }) = styles.level(style, depth)
    else {
        return String::new();
    };
    let first = depth.saturating_sub(*shown);
    let parts: Vec<String> = (first..depth)
        .filter_map(|at| match styles.level(style, at + 1) {
            Some(Level::Number {
                style: Some(style), ..
            }) => Some(numeral::format(counts[at], *style)),
            _ => None,
        })
        .collect();
    format!("{prefix}{}{suffix}", parts.join("."))
}

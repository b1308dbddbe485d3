//! Tokens into blocks.

use std::collections::HashMap;

use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1252};

use super::charset;
use super::token::{Token, Tokens};
use crate::document::DocumentBuilder;
use crate::inline::{Inline, made_one_line, one_line};
use crate::limits::Budget;
use crate::link::{self, TargetId};
use crate::table::{Cell, HeaderRule, Table, TableWriter};
use crate::{BlockKind, ParseError};

/// Longest code of a field that is kept, in bytes.
const LONGEST_FIELD: usize = 16_384;

/// What the text of a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Destination {
    Text,
    Skipped,
    Fonts,
    Styles,
    /// Title among the document's properties.
    Title,
    Info,
    /// Number or bullet of a list item.
    Marker,
    Note,
    /// Code of a field.
    Field,
}

/// What holds within a group.
#[derive(Debug, Clone, Copy)]
struct Group {
    destination: Destination,
    encoding: &'static Encoding,
    /// Characters that stand in for one of Unicode.
    fallback: usize,
    hidden: bool,
    /// Where its text leads.
    target: Option<TargetId>,
}

/// What holds for the paragraph that is read.
#[derive(Debug, Clone, Copy, Default)]
struct Properties {
    style: Option<i32>,
    /// Heading level from 1; 0 says that it is body text after all.
    outline: Option<u8>,
    list_level: u8,
    in_table: bool,
}

/// A column of the row that is read, as its definition says it.
#[derive(Debug, Clone, Copy, Default)]
struct Column {
    /// Goes on from the cell to the left.
    covered: bool,
    continues: bool,
    restarts: bool,
}

struct Reader<'o> {
    out: &'o mut DocumentBuilder,
    budget: &'o Budget,
    groups: Vec<Group>,
    encoding: &'static Encoding,
    fonts: HashMap<i32, &'static Encoding>,
    font: i32,
    /// Heading levels by the numbers of their styles.
    headings: HashMap<i32, u8>,
    style: (i32, Option<u8>, String),
    title: String,
    /// Bytes that wait for their encoding to make characters of them.
    bytes: Vec<u8>,
    /// First half of a surrogate pair.
    high: Option<u16>,
    /// Stand-in characters still to pass over.
    to_skip: usize,
    /// The next word names a destination that may be unknown.
    starred: bool,
    text: Inline,
    marker: Inline,
    note: Inline,
    notes: Vec<String>,
    notes_count: usize,
    properties: Properties,
    table: Option<Table>,
    cells: Vec<String>,
    columns: Vec<Column>,
    column: Column,
    header_row: bool,
    tables: TableWriter,
    images: usize,
    /// Code of the field that is read.
    field: String,
}

/// Reads a file; says how many pictures it met.
pub(super) fn read(
    bytes: &[u8],
    out: &mut DocumentBuilder,
    budget: &Budget,
) -> Result<usize, ParseError> {
    let mut reader = Reader::new(out, budget);
    let mut tokens = Tokens::of(bytes);
    while let Some(token) = tokens.next() {
        budget.tick()?;
        if let Token::Word("bin", Some(length)) = token {
            tokens.pass_over(usize::try_from(length).unwrap_or(0));
            continue;
        }
        reader.token(token)?;
    }
    reader.end()?;
    Ok(reader.images)
}

impl<'o> Reader<'o> {
    fn new(out: &'o mut DocumentBuilder, budget: &'o Budget) -> Self {
        Self {
            out,
            budget,
            groups: vec![Group {
                destination: Destination::Text,
                encoding: WINDOWS_1252,
                fallback: 1,
                hidden: false,
                target: None,
            }],
            encoding: WINDOWS_1252,
            fonts: HashMap::new(),
            font: 0,
            headings: HashMap::new(),
            style: (0, None, String::new()),
            title: String::new(),
            bytes: Vec::new(),
            high: None,
            to_skip: 0,
            starred: false,
            text: Inline::default(),
            marker: Inline::default(),
            note: Inline::default(),
            notes: Vec::new(),
            notes_count: 0,
            properties: Properties::default(),
            table: None,
            cells: Vec::new(),
            columns: Vec::new(),
            column: Column::default(),
            header_row: false,
            tables: TableWriter::default(),
            images: 0,
            field: String::new(),
        }
    }

    /// The group that is open; the outermost one is never closed.
    fn group(&mut self) -> &mut Group {
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    fn token(&mut self, token: Token<'_>) -> Result<(), ParseError> {
        match token {
            Token::Text(bytes) => {
                let skipped = self.to_skip.min(bytes.len());
                self.to_skip -= skipped;
                self.bytes.extend_from_slice(&bytes[skipped..]);
                return Ok(());
            }
            Token::Hex(byte) => {
                if self.to_skip > 0 {
                    self.to_skip -= 1;
                } else {
                    self.bytes.push(byte);
                }
                return Ok(());
            }
            _ => self.decode(),
        }
        match token {
            Token::Open => {
                self.to_skip = 0;
                let group = *self.group();
                self.groups.push(group);
                self.budget.check_depth(self.groups.len())?;
            }
            Token::Close => {
                self.to_skip = 0;
                self.close();
            }
            Token::Symbol(symbol) => self.symbol(symbol)?,
            Token::Word(word, number) => {
                let starred = std::mem::take(&mut self.starred);
                if self.group().destination != Destination::Skipped {
                    self.word(word, number, starred)?;
                }
            }
            Token::Text(_) | Token::Hex(_) => {}
        }
        Ok(())
    }

    /// Makes characters of the bytes that wait.
    fn decode(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let encoding = self.group().encoding;
        let bytes = std::mem::take(&mut self.bytes);
        let (text, _) = encoding.decode_without_bom_handling(&bytes);
        self.put(&text);
    }

    fn put(&mut self, text: &str) {
        let group = *self.group();
        if group.hidden {
            return;
        }
        match group.destination {
            Destination::Text => {
                self.text.lead_to(group.target);
                self.text.push(text);
            }
            Destination::Marker => self.marker.push(text),
            Destination::Note => {
                self.note.lead_to(group.target);
                self.note.push(text);
            }
            Destination::Field if self.field.len() < LONGEST_FIELD => self.field.push_str(text),
            Destination::Title => self.title.push_str(text),
            Destination::Styles => self.style.2.push_str(text),
            Destination::Field | Destination::Fonts | Destination::Info | Destination::Skipped => {}
        }
    }

    fn space(&mut self) {
        match self.group().destination {
            Destination::Text => self.text.space(),
            Destination::Marker => self.marker.space(),
            Destination::Note => self.note.space(),
            _ => {}
        }
    }

    fn close(&mut self) {
        if self.groups.len() == 1 {
            return;
        }
        let closed = self.groups.pop().map(|g| g.destination);
        let around = self.group().destination;
        match closed {
            Some(Destination::Styles) => self.end_style(),
            Some(Destination::Note) if around != Destination::Note => {
                let text = self.note.take();
                self.notes_count += 1;
                let mark = format!("[{}]", self.notes_count);
                self.text.push_verbatim(&mark);
                if !text.trim().is_empty() {
                    self.notes.push(format!("{mark} {}", text.trim()));
                }
            }
            _ => {}
        }
    }

    /// A style's definition ends with its name and a semicolon.
    fn end_style(&mut self) {
        let (number, outline, name) = std::mem::take(&mut self.style);
        let name = name.trim().trim_end_matches(';').to_lowercase();
        let named = ["heading ", "überschrift ", "titre ", "título ", "titolo "]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix)?.trim().parse::<u8>().ok())
            .or((name == "title").then_some(1));
        if let Some(level) = named.or(outline).filter(|&l| l > 0) {
            self.headings.insert(number, level.min(9));
        }
    }

    fn symbol(&mut self, symbol: u8) -> Result<(), ParseError> {
        match symbol {
            b'*' => self.starred = true,
            b'~' => self.put("\u{a0}"),
            b'_' => self.put("\u{2011}"),
            b'{' | b'}' | b'\\' => {
                if self.to_skip > 0 {
                    self.to_skip -= 1;
                } else {
                    self.bytes.push(symbol);
                }
            }
            b'\r' | b'\n' => self.end_paragraph()?,
            b'\t' => self.space(),
            _ => {}
        }
        Ok(())
    }

    fn word(&mut self, word: &str, number: Option<i32>, starred: bool) -> Result<(), ParseError> {
        if self.destination(word, starred) {
            return Ok(());
        }
        let on = number != Some(0);
        match word {
            "u" => self.unicode(number.unwrap_or(0)),
            "uc" => self.group().fallback = number.unwrap_or(1).clamp(0, 64) as usize,
            "ansicpg" => {
                if let Some(encoding) = number.and_then(charset::code_page) {
                    self.encoding = encoding;
                    self.group().encoding = encoding;
                }
            }
            "mac" => {
                self.encoding = MACINTOSH;
                self.group().encoding = MACINTOSH;
            }
            "f" => self.set_font(number.unwrap_or(0)),
            "fcharset" => {
                if let Some(encoding) = number.and_then(charset::of_font) {
                    self.fonts.insert(self.font, encoding);
                }
            }
            "v" | "deleted" => self.group().hidden = on,
            "plain" => {
                let encoding = self.encoding;
                let group = self.group();
                group.hidden = false;
                group.encoding = encoding;
            }
            "s" if self.group().destination == Destination::Styles => {
                self.style.0 = number.unwrap_or(0);
            }
            "outlinelevel" => {
                let level = number.map(|n| if (0..9).contains(&n) { n as u8 + 1 } else { 0 });
                if self.group().destination == Destination::Styles {
                    self.style.1 = level;
                } else {
                    self.properties.outline = level;
                }
            }
            _ if self.group().destination == Destination::Styles => {}
            "s" => self.properties.style = number,
            "ilvl" => self.properties.list_level = number.unwrap_or(0).clamp(0, 8) as u8,
            "intbl" => self.properties.in_table = on,
            "pard" => self.properties = Properties::default(),
            _ => return self.layout(word),
        }
        Ok(())
    }

    /// Words that put characters down, or end what is read.
    fn layout(&mut self, word: &str) -> Result<(), ParseError> {
        match word {
            "par" | "sect" | "page" => self.end_paragraph()?,
            "line" | "softline" | "lbr" => match self.group().destination {
                Destination::Text => self.text.line_break(),
                _ => self.space(),
            },
            "tab" | "emspace" | "enspace" | "qmspace" | "nestcell" | "nestrow" => self.space(),
            "emdash" => self.put("—"),
            "endash" => self.put("–"),
            "lquote" => self.put("‘"),
            "rquote" => self.put("’"),
            "ldblquote" => self.put("“"),
            "rdblquote" => self.put("”"),
            "bullet" => self.put("•"),
            "trowd" => {
                self.columns.clear();
                self.column = Column::default();
                self.header_row = false;
            }
            "trhdr" => self.header_row = true,
            "clmrg" => self.column.covered = true,
            "clvmrg" => self.column.continues = true,
            "clvmgf" => self.column.restarts = true,
            "cellx" => {
                if self.columns.len() < 1024 {
                    self.columns.push(self.column);
                }
                self.column = Column::default();
            }
            "cell" => self.end_cell(),
            "row" => self.end_row(),
            _ => {}
        }
        Ok(())
    }

    /// Whether the word names a destination; the group is then one.
    fn destination(&mut self, word: &str, starred: bool) -> bool {
        let here = self.group().destination;
        let destination = match word {
            "fonttbl" => Destination::Fonts,
            "stylesheet" => Destination::Styles,
            "info" => Destination::Info,
            "title" if here == Destination::Info => Destination::Title,
            "listtext" | "pntext" if here == Destination::Text => Destination::Marker,
            "footnote" if here == Destination::Text => Destination::Note,
            "fldinst" => {
                self.field.clear();
                Destination::Field
            }
            "fldrslt" => {
                let code = std::mem::take(&mut self.field);
                if let Some(target) = link::of_field(&code) {
                    self.group().target = self.out.target(&target);
                }
                return starred;
            }
            // Shapes hold text boxes; their properties are left out.
            "shpinst" | "shptxt" | "field" | "shp" | "result" => return starred,
            "pict" => {
                self.images += 1;
                Destination::Skipped
            }
            "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr"
            | "footerf" | "colortbl" | "filetbl" | "listtable" | "revtbl" | "annotation"
            | "atnid" | "atnauthor" | "nonshppict" | "shprslt" | "sp" | "xe" | "tc" | "rxe"
            | "objdata" | "themedata" | "datastore" | "pntxta" | "pntxtb" | "ftnsep"
            | "ftnsepc" | "ftncn" | "aftnsep" | "aftnsepc" | "aftncn" | "nesttableprops"
            | "nonesttables" | "author" | "operator" | "company" | "generator" | "xmlnstbl" => {
                Destination::Skipped
            }
            // A character style's definition has no number of a paragraph style.
            "cs" | "ds" | "ts" if here == Destination::Styles => Destination::Skipped,
            _ if starred => Destination::Skipped,
            _ => return false,
        };
        self.group().destination = destination;
        true
    }

    fn set_font(&mut self, font: i32) {
        if self.group().destination == Destination::Fonts {
            self.font = font;
            return;
        }
        let encoding = self.fonts.get(&font).copied().unwrap_or(self.encoding);
        self.group().encoding = encoding;
    }

    fn unicode(&mut self, number: i32) {
        self.to_skip = self.group().fallback;
        let unit = number as u16;
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            return;
        }
        let units: Vec<u16> = self.high.take().into_iter().chain([unit]).collect();
        // Symbol fonts' private area holds marks of lists and the like.
        let text = String::from_utf16_lossy(&units).replace(['\u{f0b7}', '\u{f0a7}'], "•");
        if !text.contains('\0') {
            self.put(&text);
        }
    }

    fn end_paragraph(&mut self) -> Result<(), ParseError> {
        match self.group().destination {
            Destination::Text => {}
            Destination::Note => {
                self.note.space();
                return Ok(());
            }
            _ => return Ok(()),
        }
        if self.properties.in_table {
            self.text.space();
            return Ok(());
        }
        self.end_table()?;
        let text = self.text.take();
        let marker = self.marker.take();
        let (kind, level, text) = self.block(&text, &marker);
        self.out.push(kind, level, None, &text);
        for note in std::mem::take(&mut self.notes) {
            self.out.push(BlockKind::Paragraph, None, None, &note);
        }
        self.budget.check_blocks(self.out.len())
    }

    /// The paragraph as a heading, item or paragraph.
    fn block(&self, text: &str, marker: &str) -> (BlockKind, Option<u8>, String) {
        let marker = marker.trim();
        if text.trim().is_empty() {
            return (BlockKind::Paragraph, None, String::new());
        }
        let of_style = self
            .properties
            .style
            .and_then(|s| self.headings.get(&s).copied());
        let heading = self.properties.outline.or(of_style).filter(|&l| l > 0);
        let is_bullet = !marker.is_empty() && !marker.contains(char::is_alphanumeric);
        let prefix = match (marker.is_empty(), is_bullet) {
            (true, _) => String::new(),
            (false, true) => "- ".to_owned(),
            (false, false) => format!("{marker} "),
        };
        if let Some(level) = heading {
            let number = if is_bullet { "" } else { prefix.as_str() };
            let text = text.replace('\n', " ");
            return (BlockKind::Heading, Some(level), format!("{number}{text}"));
        }
        if marker.is_empty() {
            (BlockKind::Paragraph, None, text.to_owned())
        } else {
            let level = self.properties.list_level + 1;
            (BlockKind::ListItem, Some(level), format!("{prefix}{text}"))
        }
    }

    fn end_cell(&mut self) {
        let marker = self.marker.take();
        let text = self.text.take();
        let text = made_one_line(&format!("{marker} {text}"));
        if self.cells.len() < 1024 {
            self.cells.push(text);
        } else if let Some(last) = self.cells.last_mut() {
            last.push(' ');
            last.push_str(&text);
        }
    }

    fn end_row(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        let table = self.table.get_or_insert_default();
        table.start_row(self.header_row);
        for (index, text) in cells.into_iter().enumerate() {
            let column = self.columns.get(index).copied().unwrap_or_default();
            let wide = self.columns[(index + 1).min(self.columns.len())..]
                .iter()
                .take_while(|c| c.covered)
                .count();
            table.cell(Cell {
                text,
                columns: 1 + wide,
                rows: if column.restarts { usize::MAX } else { 1 },
                continues: column.continues,
                covered: column.covered,
                ..Cell::default()
            });
        }
    }

    /// Writes the table that has ended.
    fn end_table(&mut self) -> Result<(), ParseError> {
        if !self.cells.is_empty() {
            self.end_row();
        }
        let Some(table) = self.table.take() else {
            return Ok(());
        };
        self.tables
            .write(&table, HeaderRule::Likely, None, self.out, self.budget)
    }

    fn end(&mut self) -> Result<(), ParseError> {
        self.decode();
        if self.groups.len() > 1 {
            self.out
                .warn("truncated", None, "the file ends in the middle of a group");
        }
        self.groups.truncate(1);
        self.properties.in_table = false;
        self.end_paragraph()?;
        self.end_table()?;
        let title = one_line(&self.title);
        if !title.is_empty() {
            self.out.title = Some(title);
        }
        Ok(())
    }
}

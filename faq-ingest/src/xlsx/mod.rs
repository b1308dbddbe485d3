//! XLSX (Office Open XML workbooks) into blocks.
//!
//! A sheet is a heading and its rows; rows that blank ones part are tables of their own. Cells
//! are written as the program shows them, formulas by the results it has kept, and notes on
//! cells follow their sheet. Hidden sheets and reviewers' threads of comments are left out. Of a
//! chart the title is read, since its values stand in the cells; a sheet that is a chart and
//! nothing else gives its values.

mod beside;
mod date;
mod notes;
mod number;
mod sheet;
mod styles;

use crate::archive::Archive;
use crate::document::DocumentBuilder;
use crate::inline::one_line;
use crate::limits::Budget;
use crate::ooxml::chart::Chart;
use crate::ooxml::{self, Relations};
use crate::table::{HeaderRule, TableWriter};
use crate::xml::{Token, Xml};
use crate::{BlockKind, Document, Format, ParseError};
use date::Epoch;
use sheet::Sheet;
use styles::Styles;

pub(crate) use number::general;

/// A sheet as the workbook lists it.
#[derive(Debug)]
struct Entry {
    name: String,
    part: String,
    hidden: bool,
}

/// What the cells of a workbook share.
#[derive(Debug, Default)]
struct Shared {
    strings: Vec<String>,
    styles: Styles,
    epoch: Epoch,
    /// Bytes of text that the cells so far hold.
    spent: std::cell::Cell<usize>,
}

/// Text of all cells of a workbook, in bytes: one string may stand in a million of them.
const MOST_TEXT: usize = 128 << 20;

impl Shared {
    /// Counts the text of one more cell.
    fn spend(&self, bytes: usize) -> Result<(), ParseError> {
        let spent = self.spent.get().saturating_add(bytes);
        self.spent.set(spent);
        if spent > MOST_TEXT {
            let (value, allowed) = (spent as u64, MOST_TEXT as u64);
            return Err(ParseError::limit("text of cells", value, allowed, "bytes"));
        }
        Ok(())
    }
}

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let mut archive = Archive::open(bytes, Format::Xlsx, budget)?;
    let main = ooxml::main_part("xl/workbook.xml", Format::Xlsx, &mut archive, budget)?;
    if std::path::Path::new(&main)
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("bin"))
    {
        return Err(ParseError::FormatMismatch {
            expected: Format::Xlsx.to_string(),
            found: "binary Excel workbook (XLSB)".to_owned(),
        });
    }
    let relations = Relations::of(&main, Format::Xlsx, &mut archive, budget)?;
    let (entries, epoch) = workbook(&archive.required(&main)?, &relations, budget)?;
    let mut part = |kind: &str| match relations.kind(kind) {
        Some(name) => archive.text(name),
        None => Ok(None),
    };
    let shared = Shared {
        strings: strings(part("sharedStrings")?.as_deref(), budget)?,
        styles: Styles::read(part("styles")?.as_deref(), budget)?,
        epoch,
        spent: std::cell::Cell::new(0),
    };
    let mut out = DocumentBuilder::new();
    out.title = ooxml::title(Format::Xlsx, &mut archive, budget)?;
    let mut tables = TableWriter::default();
    for entry in &entries {
        if entry.hidden {
            let message = format!("the sheet {:?} is hidden and was left out", entry.name);
            out.warn("hidden_sheet", None, message);
            continue;
        }
        let Some(text) = archive.text(&entry.part)? else {
            let message = format!("the sheet {:?} is missing", entry.name);
            out.warn("missing_part", None, message);
            continue;
        };
        let sheet = Sheet::read(&text, &shared, budget)?;
        let own = Relations::of(&entry.part, Format::Xlsx, &mut archive, budget)?;
        let charts = charts(&own, &mut archive, budget)?;
        if sheet.is_empty() && charts.is_empty() {
            continue;
        }
        out.push(BlockKind::Heading, Some(1), None, &one_line(&entry.name));
        sheet.write(&mut tables, &mut out, budget)?;
        for chart in charts {
            for caption in chart.captions() {
                out.push(BlockKind::Paragraph, None, None, &caption);
            }
            if sheet.is_empty() {
                let table = chart.table();
                tables.write(&table, HeaderRule::Named, None, &mut out, budget)?;
            }
        }
        for part in own.all("comments") {
            if let Some(part) = archive.text(part)? {
                for note in notes::read(&part, budget)? {
                    out.push(BlockKind::Paragraph, None, None, &note);
                }
            }
        }
        budget.check_blocks(out.len())?;
    }
    Ok(out.finish(Format::Xlsx))
}

fn workbook(
    text: &str,
    relations: &Relations,
    budget: &Budget,
) -> Result<(Vec<Entry>, Epoch), ParseError> {
    let mut entries = Vec::new();
    let mut epoch = Epoch::default();
    let mut xml = Xml::new(text, Format::Xlsx, budget);
    while let Some(token) = xml.next()? {
        let Token::Open(element) = token else {
            continue;
        };
        match element.name() {
            "workbookPr" => {
                if matches!(element.attribute("date1904").as_deref(), Some("1" | "true")) {
                    epoch = Epoch::Macintosh;
                }
            }
            "sheet" => {
                let id = element.prefixed("id").unwrap_or_default();
                if let Some(part) = relations.id(&id) {
                    entries.push(Entry {
                        name: element.attribute("name").unwrap_or_default(),
                        part: part.to_owned(),
                        hidden: element.attribute("state").is_some_and(|s| s != "visible"),
                    });
                }
            }
            _ => {}
        }
    }
    Ok((entries, epoch))
}

/// The shared strings; phonetic readings are left out.
fn strings(part: Option<&str>, budget: &Budget) -> Result<Vec<String>, ParseError> {
    let mut strings = Vec::new();
    let Some(part) = part else {
        return Ok(strings);
    };
    let mut text = String::new();
    let mut in_text = false;
    let mut in_reading = false;
    let mut xml = Xml::new(part, Format::Xlsx, budget);
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(e) => match e.name() {
                "t" => in_text = true,
                "rPh" => in_reading = true,
                _ => {}
            },
            Token::Text(t) if in_text && !in_reading => text.push_str(&t),
            Token::Text(_) => {}
            Token::Close(name) => match name.as_str() {
                "t" => in_text = false,
                "rPh" => in_reading = false,
                "si" => strings.push(sheet::unescaped(std::mem::take(&mut text))),
                _ => {}
            },
        }
    }
    Ok(strings)
}

/// The charts that are drawn on a sheet.
fn charts(
    sheet: &Relations,
    archive: &mut Archive<'_>,
    budget: &Budget,
) -> Result<Vec<Chart>, ParseError> {
    let mut charts = Vec::new();
    for drawing in sheet.all("drawing") {
        let drawn = Relations::of(drawing, Format::Xlsx, archive, budget)?;
        for name in drawn.all("chart") {
            if let Some(part) = archive.text(name)? {
                charts.push(Chart::read(&part, Format::Xlsx, budget)?);
            }
        }
    }
    Ok(charts)
}

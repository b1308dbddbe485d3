//! Footnotes and endnotes: their text by id, and their numbers by first reference.

use std::collections::HashMap;

use super::body::{is_left_out, symbol};
use crate::ParseError;
use crate::document::DocumentBuilder;
use crate::inline::Inline;
use crate::limits::Budget;
use crate::numeral;
use crate::ooxml::Relations;
use crate::xml::{Token, Xml};

/// Notes of one kind.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    texts: HashMap<String, String>,
    referred: i64,
}

impl Numbered {
    /// The mark of the next reference, and the note's text, which is given once.
    pub(super) fn refer(&mut self, id: &str, style: numeral::Style) -> Option<(String, String)> {
        let text = self.texts.remove(id)?;
        self.referred += 1;
        let mark = format!("[{}]", numeral::format(self.referred, style));
        Some((mark, text))
    }
}

/// Reads a part of notes; `kind` is the name of the element around each, `relations` are
/// the part's.
pub(super) fn read(
    part: &str,
    kind: &str,
    relations: &Relations,
    out: &mut DocumentBuilder,
    budget: &Budget,
) -> Result<Numbered, ParseError> {
    let mut notes = Numbered::default();
    let mut open: Option<String> = None;
    let mut text = Inline::default();
    let mut in_text = false;
    let mut skipped = 0;
    let mut xml = Xml::new(part, crate::Format::Docx, budget);
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(_) if skipped > 0 => skipped += 1,
            Token::Open(e) => match e.name() {
                name if name == kind => {
                    let is_note = e.attribute("type").is_none_or(|t| t == "normal");
                    open = e.attribute("id").filter(|_| is_note);
                }
                "t" => in_text = true,
                "tab" | "br" | "cr" | "p" => text.space(),
                "hyperlink" => {
                    let id = e.attribute("id").unwrap_or_default();
                    let target = relations.links().find(|(known, _)| *known == id);
                    text.lead_to(target.and_then(|(_, target)| out.target(target)));
                }
                "noBreakHyphen" => text.push("-"),
                "sym" => text.push(&symbol(&e)),
                name if is_left_out(name) => skipped = 1,
                _ => {}
            },
            Token::Close(_) if skipped > 0 => skipped -= 1,
            Token::Close(name) => {
                in_text = false;
                if name == "hyperlink" {
                    text.lead_to(None);
                } else if name == kind {
                    let text = text.take();
                    if let Some(id) = open.take().filter(|_| !text.is_empty()) {
                        notes.texts.insert(id, text);
                    }
                }
            }
            Token::Text(t) if in_text && skipped == 0 && open.is_some() => text.push(&t),
            Token::Text(_) => {}
        }
    }
    Ok(notes)
}

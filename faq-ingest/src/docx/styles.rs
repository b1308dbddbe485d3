//! Paragraph styles: which are headings, code, or numbered.

use std::collections::{HashMap, HashSet};

use crate::ParseError;
use crate::limits::Budget;
use crate::xml::{Token, Xml};

/// What a paragraph is by its style.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// Heading level from 1; 0 where the style says it is body text after all.
    pub(super) heading: Option<u8>,
    pub(super) code: bool,
    /// Numbering: list and level.
    pub(super) list: Option<u32>,
    pub(super) list_level: Option<u8>,
}

/// Paragraph styles by their ids, what they inherit included.
#[derive(Debug, Default)]
pub(super) struct Styles {
    styles: HashMap<String, Style>,
    default: Option<String>,
}

#[derive(Debug, Default)]
struct Raw {
    style: Style,
    parent: Option<String>,
}

impl Styles {
    pub(super) fn read(part: Option<&str>, budget: &Budget) -> Result<Self, ParseError> {
        let Some(part) = part else {
            return Ok(Self::default());
        };
        let mut raw: HashMap<String, Raw> = HashMap::new();
        let mut default = None;
        let mut open: Option<(String, Raw)> = None;
        let mut xml = Xml::new(part, crate::Format::Docx, budget);
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(e) if e.is("style") => {
                    let id = e.attribute("styleId").unwrap_or_default();
                    let paragraph = e.attribute("type").is_none_or(|t| t == "paragraph");
                    if paragraph
                        && e.attribute("default")
                            .is_some_and(|d| d == "1" || d == "true")
                    {
                        default = Some(id.clone());
                    }
                    open = paragraph.then(|| (id, Raw::default()));
                }
                Token::Open(e) => {
                    let Some((_, raw)) = &mut open else {
                        continue;
                    };
                    match e.name() {
                        "name" => name(&mut raw.style, &e.val().unwrap_or_default()),
                        "basedOn" => raw.parent = e.val(),
                        "outlineLvl" => raw.style.heading = outline_level(e.val()),
                        "numId" => raw.style.list = e.val().and_then(|v| v.parse().ok()),
                        "ilvl" => raw.style.list_level = e.val().and_then(|v| v.parse().ok()),
                        _ => {}
                    }
                }
                Token::Close(element) if element == "style" => {
                    if let Some((id, style)) = open.take() {
                        raw.insert(id, style);
                    }
                }
                _ => {}
            }
        }
        let styles = raw
            .keys()
            .map(|id| (id.clone(), inherited(&raw, id)))
            .collect();
        Ok(Self { styles, default })
    }

    /// The style with this id, or the document's default one.
    pub(super) fn get(&self, id: Option<&str>) -> Style {
        let id = id.or(self.default.as_deref());
        if let Some(style) = id.and_then(|id| self.styles.get(id)) {
            return *style;
        }
        // Written without a styles part: the ids of the built-in headings are known.
        let mut style = Style::default();
        name(&mut style, id.unwrap_or_default());
        style
    }
}

/// Outline level of a paragraph, as a heading level; 9 means body text.
pub(super) fn outline_level(value: Option<String>) -> Option<u8> {
    let level: u8 = value?.parse().ok()?;
    Some(if level < 9 { level + 1 } else { 0 })
}

/// What the built-in names say.
fn name(style: &mut Style, name: &str) {
    let name = name.to_ascii_lowercase();
    let digits = name
        .strip_prefix("heading")
        .or_else(|| name.strip_prefix("überschrift"))
        .or_else(|| name.strip_prefix("berschrift"))
        .or_else(|| name.strip_prefix("titre"))
        .map(str::trim);
    if let Some(level) = digits.and_then(|d| d.parse::<u8>().ok()) {
        style.heading.get_or_insert(level.clamp(1, 9));
    } else if name == "title" {
        style.heading.get_or_insert(1);
    }
    style.code = [
        "html preformatted",
        "code",
        "source code",
        "macro text",
        "plain code",
    ]
    .contains(&name.as_str())
        || name.ends_with(" code")
        || name.starts_with("code block")
        || name.ends_with("sourcecode")
        || name == "preformatted text";
}

fn inherited(raw: &HashMap<String, Raw>, id: &str) -> Style {
    let mut style = Style::default();
    let mut seen = HashSet::new();
    let mut at = Some(id);
    while let Some(id) = at {
        // A style based on itself ends here.
        if !seen.insert(id) || seen.len() > 32 {
            break;
        }
        let Some(one) = raw.get(id) else {
            break;
        };
        style.heading = style.heading.or(one.style.heading);
        style.code |= one.style.code;
        style.list = style.list.or(one.style.list);
        style.list_level = style.list_level.or(one.style.list_level);
        at = one.parent.as_deref();
    }
    style
}

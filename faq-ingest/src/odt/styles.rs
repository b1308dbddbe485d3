//! Styles that change what is read: hidden text, titles, code, and how lists are numbered.

use std::collections::{HashMap, HashSet};

use super::body::OUTLINE;
use crate::limits::Budget;
use crate::numeral;
use crate::xml::{Token, Xml};
use crate::{Format, ParseError};

/// Levels of a list, by the format's own limit.
const LEVELS: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Styles {
    styles: HashMap<String, Style>,
    lists: HashMap<String, [Option<Level>; LEVELS]>,
}

#[derive(Debug, Clone, Default)]
struct Style {
    parent: Option<String>,
    hidden: Option<bool>,
}

/// How one level of a list is marked.
#[derive(Debug, Clone)]
pub(super) enum Level {
    Bullet,
    Number {
        /// `None` where items carry no number.
        style: Option<numeral::Style>,
        prefix: String,
        suffix: String,
        start: i64,
        /// How many levels' numbers are shown.
        shown: usize,
    },
}

impl Styles {
    /// Takes in the styles of a part.
    pub(super) fn read(&mut self, part: &str, budget: &Budget) -> Result<(), ParseError> {
        let mut open: Option<(String, Style)> = None;
        let mut list: Option<String> = None;
        let mut xml = Xml::new(part, Format::Odt, budget);
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(e) => match e.qualified_name() {
                    "style:style" => {
                        let style = Style {
                            parent: e.attribute("parent-style-name"),
                            hidden: None,
                        };
                        open = e.attribute("name").map(|name| (name, style));
                    }
                    "style:text-properties" => {
                        if let Some((_, style)) = &mut open
                            && let Some(display) = e.attribute("display")
                        {
                            style.hidden = Some(display == "none");
                        }
                    }
                    "text:list-style" => list = e.attribute("name"),
                    OUTLINE => list = Some(OUTLINE.to_owned()),
                    "text:list-level-style-bullet" | "text:list-level-style-image" => {
                        if let Some(slot) = self.slot(list.as_deref(), e.attribute("level")) {
                            *slot = Some(Level::Bullet);
                        }
                    }
                    "text:list-level-style-number" | "text:outline-level-style" => {
                        if let Some(slot) = self.slot(list.as_deref(), e.attribute("level")) {
                            let number =
                                |name: &str| e.attribute(name).and_then(|v| v.parse().ok());
                            *slot = Some(Level::Number {
                                style: number_style(&e.attribute("num-format").unwrap_or_default()),
                                prefix: e.attribute("num-prefix").unwrap_or_default(),
                                suffix: e.attribute("num-suffix").unwrap_or_default(),
                                start: number("start-value").unwrap_or(1),
                                shown: number("display-levels").unwrap_or(1).max(1) as usize,
                            });
                        }
                    }
                    _ => {}
                },
                Token::Close(name) => match name.as_str() {
                    "style" => {
                        if let Some((name, style)) = open.take() {
                            self.styles.insert(name, style);
                        }
                    }
                    "list-style" | "outline-style" => list = None,
                    _ => {}
                },
                Token::Text(_) => {}
            }
        }
        Ok(())
    }

    fn slot(&mut self, list: Option<&str>, level: Option<String>) -> Option<&mut Option<Level>> {
        let level: usize = level?.parse().ok()?;
        let list = self.lists.entry(list?.to_owned()).or_default();
        list.get_mut(level.checked_sub(1)?)
    }

    /// Whether text of this style is not shown.
    pub(super) fn is_hidden(&self, name: &str) -> bool {
        self.chain(name).find_map(|s| s.hidden) == Some(true)
    }

    /// Whether the style, or one that it is based on, has one of these names.
    pub(super) fn is_based_on(&self, name: &str, names: &[&str]) -> bool {
        let is = |name: &str| names.contains(&name);
        is(name)
            || self
                .chain(name)
                .any(|s| s.parent.as_deref().is_some_and(is))
    }

    pub(super) fn level(&self, list: &str, level: usize) -> Option<&Level> {
        self.lists.get(list)?.get(level.checked_sub(1)?)?.as_ref()
    }

    /// A style and those above it; one based on itself ends.
    fn chain<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Style> {
        let mut seen = HashSet::new();
        let mut at = Some(name);
        std::iter::from_fn(move || {
            let name = at.take()?;
            if !seen.insert(name) || seen.len() > 32 {
                return None;
            }
            let style = self.styles.get(name)?;
            at = style.parent.as_deref();
            Some(style)
        })
    }
}

fn number_style(format: &str) -> Option<numeral::Style> {
    Some(match format {
        "a" => numeral::Style::LowerLetter,
        "A" => numeral::Style::UpperLetter,
        "i" => numeral::Style::LowerRoman,
        "I" => numeral::Style::UpperRoman,
        "" => return None,
        _ => numeral::Style::Decimal,
    })
}

//! Lists: the number or bullet that stands before a paragraph.

use std::collections::HashMap;

use crate::ParseError;
use crate::limits::Budget;
use crate::numeral;
use crate::xml::{Element, Token, Xml};

/// Levels of a list, by the format's own limit.
const LEVELS: usize = 9;

/// The document's lists and how far each has counted.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// Definition of each list, by its id.
    lists: HashMap<u32, List>,
    definitions: HashMap<u32, Definition>,
    /// Counters are shared by the lists of one definition.
    counters: HashMap<u32, [Option<i64>; LEVELS]>,
}

#[derive(Debug, Default)]
struct List {
    definition: u32,
    /// Start values of its own, used once.
    starts: [Option<i64>; LEVELS],
    levels: HashMap<usize, Level>,
}

#[derive(Debug, Default)]
struct Definition {
    levels: HashMap<usize, Level>,
    /// Name of the style that holds the levels instead.
    link: Option<String>,
    /// Name of the style whose levels these are.
    style: Option<String>,
}

#[derive(Debug, Clone)]
struct Level {
    start: i64,
    format: Format,
    text: String,
    /// Numbers of upper levels are written in decimal.
    legal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Number(numeral::Style),
    Padded,
    Bullet,
    None,
}

impl Default for Level {
    fn default() -> Self {
        Self {
            start: 1,
            format: Format::Number(numeral::Style::Decimal),
            text: String::new(),
            legal: false,
        }
    }
}

impl Level {
    fn read(&mut self, element: &Element<'_>) {
        let value = element.val();
        match element.name() {
            "start" => self.start = value.and_then(|v| v.parse().ok()).unwrap_or(1),
            "numFmt" => self.format = Format::of(value.as_deref().unwrap_or_default()),
            "lvlText" => self.text = value.unwrap_or_default(),
            "isLgl" => self.legal = element.is_on(),
            _ => {}
        }
    }
}

impl Format {
    fn of(name: &str) -> Self {
        match name {
            "bullet" => Self::Bullet,
            "none" => Self::None,
            "lowerLetter" => Self::Number(numeral::Style::LowerLetter),
            "upperLetter" => Self::Number(numeral::Style::UpperLetter),
            "lowerRoman" => Self::Number(numeral::Style::LowerRoman),
            "upperRoman" => Self::Number(numeral::Style::UpperRoman),
            "decimalZero" => Self::Padded,
            _ => Self::Number(numeral::Style::Decimal),
        }
    }

    fn write(self, number: i64) -> String {
        match self {
            Self::Number(style) => numeral::format(number, style),
            Self::Padded => format!("{number:02}"),
            Self::Bullet | Self::None => String::new(),
        }
    }
}

impl Numbering {
    pub(super) fn read(part: Option<&str>, budget: &Budget) -> Result<Self, ParseError> {
        let mut all = Self::default();
        let Some(part) = part else {
            return Ok(all);
        };
        let mut definition: Option<(u32, Definition)> = None;
        let mut list: Option<(u32, List)> = None;
        let mut level: Option<(usize, Level)> = None;
        let mut overridden = 0;
        let mut xml = Xml::new(part, crate::Format::Docx, budget);
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(e) => match e.name() {
                    "abstractNum" => {
                        definition = number(&e, "abstractNumId").map(|id| (id, <_>::default()));
                    }
                    "num" => list = number(&e, "numId").map(|id| (id, List::default())),
                    "lvl" => {
                        let at = number(&e, "ilvl").unwrap_or(0) as usize;
                        level = Some((at, Level::default()));
                    }
                    "lvlOverride" => overridden = number(&e, "ilvl").unwrap_or(0) as usize,
                    "startOverride" => {
                        if let Some((_, list)) = &mut list
                            && let Some(start) = list.starts.get_mut(overridden)
                        {
                            *start = e.val().and_then(|v| v.parse().ok());
                        }
                    }
                    "abstractNumId" => {
                        if let Some((_, list)) = &mut list {
                            list.definition = number(&e, "val").unwrap_or(0);
                        }
                    }
                    "numStyleLink" => {
                        if let Some((_, definition)) = &mut definition {
                            definition.link = e.val();
                        }
                    }
                    "styleLink" => {
                        if let Some((_, definition)) = &mut definition {
                            definition.style = e.val();
                        }
                    }
                    _ => {
                        if let Some((_, level)) = &mut level {
                            level.read(&e);
                        }
                    }
                },
                Token::Close(name) => match name.as_str() {
                    "lvl" => {
                        if let Some((at, level)) = level.take().filter(|&(at, _)| at < LEVELS) {
                            if let Some((_, list)) = &mut list {
                                list.levels.insert(at, level);
                            } else if let Some((_, definition)) = &mut definition {
                                definition.levels.insert(at, level);
                            }
                        }
                    }
                    "abstractNum" => all.definitions.extend(definition.take()),
                    "num" => all.lists.extend(list.take()),
                    _ => {}
                },
                Token::Text(_) => {}
            }
        }
        Ok(all)
    }

    /// Counts one paragraph of `list` at `level` (from 0) and gives what stands before it;
    /// `None` where the list does not exist.
    pub(super) fn next(&mut self, list: u32, level: u8) -> Option<Marker> {
        let at = usize::from(level).min(LEVELS - 1);
        let one = self.lists.get_mut(&list)?;
        let mut id = one.definition;
        let mut definition = self.definitions.get(&id)?;
        if let Some(link) = &definition.link
            && let Some((&linked, found)) = self
                .definitions
                .iter()
                .find(|(_, d)| d.style.as_ref() == Some(link))
        {
            (id, definition) = (linked, found);
        }
        let fallback = Level::default();
        let of = |at: usize| {
            one.levels
                .get(&at)
                .or_else(|| definition.levels.get(&at))
                .unwrap_or(&fallback)
        };
        let current = of(at);
        let counters = self.counters.entry(id).or_default();
        let number = match (one.starts[at].take(), counters[at]) {
            (Some(start), _) => start,
            (None, Some(last)) => last.saturating_add(1),
            (None, None) => current.start,
        };
        counters[at] = Some(number);
        for below in &mut counters[at + 1..] {
            *below = None;
        }
        for (above, counter) in counters.iter_mut().enumerate().take(at) {
            counter.get_or_insert(of(above).start);
        }
        if current.format == Format::Bullet {
            return Some(Marker::Bullet);
        }
        let mut text = String::new();
        let mut chars = current.text.chars().peekable();
        while let Some(c) = chars.next() {
            match chars.peek().and_then(|d| d.to_digit(10)) {
                Some(digit @ 1..=9) if c == '%' => {
                    chars.next();
                    let above = digit as usize - 1;
                    let format = match of(above).format {
                        Format::Number(_) if current.legal && above < at => {
                            Format::Number(numeral::Style::Decimal)
                        }
                        format => format,
                    };
                    if let Some(number) = counters[above] {
                        text.push_str(&format.write(number));
                    }
                }
                _ => text.push(c),
            }
        }
        Some(Marker::Number(text.trim().to_owned()))
    }
}

/// What stands before a list's paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Marker {
    Bullet,
    /// May be empty, where the list's numbers are not shown.
    Number(String),
}

impl Marker {
    /// Before an item of a list.
    pub(super) fn item(&self) -> String {
        match self {
            Self::Bullet => "- ".to_owned(),
            Self::Number(text) if text.is_empty() => String::new(),
            Self::Number(text) => format!("{text} "),
        }
    }

    /// Before a heading.
    pub(super) fn heading(&self) -> String {
        match self {
            Self::Bullet => String::new(),
            Self::Number(_) => self.item(),
        }
    }
}

fn number(element: &Element<'_>, attribute: &str) -> Option<u32> {
    element.attribute(attribute)?.parse().ok()
}

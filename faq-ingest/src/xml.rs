//! XML tokens of a part, by local names, within limits.
//!
//! A document type declaration is refused: office programs write none, and entities are what
//! bombs are made of. Entities of the document's own are never expanded.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::limits::Budget;
use crate::{Format, ParseError};

/// Reads tokens in document order.
pub(crate) struct Xml<'x> {
    reader: Reader<&'x [u8]>,
    depth: usize,
    format: Format,
    lenient: bool,
    budget: &'x Budget,
}

/// One token; an empty element is an opening and a closing one.
#[derive(Debug)]
pub(crate) enum Token<'x> {
    Open(Element<'x>),
    Close(String),
    Text(Cow<'x, str>),
}

/// A start tag.
#[derive(Debug)]
pub(crate) struct Element<'x> {
    tag: BytesStart<'x>,
}

impl Element<'_> {
    /// Its name without prefix.
    pub(crate) fn name(&self) -> &str {
        local(self.tag.name().into_inner())
    }

    /// Its name as it is written, prefix included.
    pub(crate) fn qualified_name(&self) -> &str {
        self.tag.name().into_inner()
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name() == name
    }

    /// The value of the attribute with this local name.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.tag.attributes();
        attributes.with_checks(false);
        attributes
            .flatten()
            .find(|a| local(a.key.into_inner()) == name)
            .map(|a| match quick_xml::escape::unescape(&a.value) {
                Ok(value) => value.into_owned(),
                Err(_) => a.value.into_owned(),
            })
    }

    /// The value of the attribute with this local name and a prefix, as references to relations
    /// are: `r:id`, whatever the prefix is.
    pub(crate) fn prefixed(&self, name: &str) -> Option<String> {
        let mut attributes = self.tag.attributes();
        attributes.with_checks(false);
        attributes
            .flatten()
            .find(|a| {
                let key = a.key.into_inner();
                key.contains(':') && local(key) == name
            })
            .map(|a| a.value.into_owned())
    }

    /// The value of `w:val`.
    pub(crate) fn val(&self) -> Option<String> {
        self.attribute("val")
    }

    /// Whether an on/off property is on.
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self.val().as_deref(), Some("0" | "false" | "off" | "none"))
    }
}

impl<'x> Xml<'x> {
    /// `format` is named where the text is damaged.
    pub(crate) fn new(text: &'x str, format: Format, budget: &'x Budget) -> Self {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Self {
            reader,
            depth: 0,
            format,
            lenient: false,
            budget,
        }
    }

    /// As [`Xml::new`]; a document type declaration is passed over.
    pub(crate) fn lenient(text: &'x str, format: Format, budget: &'x Budget) -> Self {
        Self {
            lenient: true,
            ..Self::new(text, format, budget)
        }
    }

    /// The next token, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'x>>, ParseError> {
        loop {
            self.budget.tick()?;
            let event = self.reader.read_event().map_err(|error| {
                let at = self.reader.error_position();
                ParseError::damaged(self.format, format!("XML at byte {at}: {error}"))
            })?;
            return Ok(Some(match event {
                Event::Start(tag) => {
                    self.depth += 1;
                    self.budget.check_depth(self.depth)?;
                    Token::Open(Element { tag })
                }
                Event::End(tag) => {
                    self.depth = self.depth.saturating_sub(1);
                    Token::Close(local(tag.name().into_inner()).to_owned())
                }
                Event::Text(text) => Token::Text(text.into_inner()),
                Event::CData(text) => Token::Text(text.into_inner()),
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref() {
                        Ok(Some(c)) => Some(Cow::Owned(c.to_string())),
                        _ => quick_xml::escape::resolve_xml_entity(&reference).map(Cow::Borrowed),
                    };
                    match resolved {
                        Some(text) => Token::Text(text),
                        None => continue,
                    }
                }
                Event::DocType(_) if !self.lenient => {
                    return Err(ParseError::damaged(
                        self.format,
                        "it holds a document type declaration, which no office program writes",
                    ));
                }
                Event::Eof if self.depth > 0 => {
                    return Err(ParseError::damaged(
                        self.format,
                        "a part ends in the middle of an element",
                    ));
                }
                Event::Eof => return Ok(None),
                Event::Empty(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_) => continue,
            }));
        }
    }
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The text of the first element with this local name, trimmed; `None` where it is blank.
pub(crate) fn text_of(
    name: &str,
    part: &str,
    format: Format,
    budget: &Budget,
) -> Result<Option<String>, ParseError> {
    let mut xml = Xml::new(part, format, budget);
    let mut text = String::new();
    let mut inside = false;
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(element) => inside = element.is(name),
            Token::Close(closed) if inside && closed == name => break,
            Token::Close(_) => inside = false,
            Token::Text(t) if inside => text.push_str(&t),
            Token::Text(_) => {}
        }
    }
    let text = crate::inline::one_line(&text);
    Ok((!text.is_empty()).then_some(text))
}

//! Internet messages (RFC 5322 with MIME) into blocks.
//!
//! The subject is the heading, the other fields of the header that people read follow it; then
//! the text, from the best of its alternatives, messages inside the message, and the names of
//! what is attached. Attachments are not opened.

use mail_parser::{Address, DateTime, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::document::DocumentBuilder;
use crate::inline::one_line;
use crate::limits::Budget;
use crate::{BlockKind, Document, Format, ParseError, html, text};

/// Messages within messages that are read.
const MOST_NESTED: usize = 8;

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let message = MessageParser::default()
        .parse(bytes)
        .ok_or_else(|| ParseError::damaged(Format::Eml, "it has no header"))?;
    if message.headers().is_empty() {
        return Err(ParseError::damaged(Format::Eml, "it has no header"));
    }
    let mut out = DocumentBuilder::new();
    out.title = message.subject().map(one_line).filter(|s| !s.is_empty());
    // Messages inside come after the one that holds them: a stack, the next one on top.
    let mut open: Vec<(&Message<'_>, usize)> = vec![(&message, 0)];
    while let Some((message, depth)) = open.pop() {
        budget.check_clock()?;
        header(message, depth, &mut out);
        body(message, &mut out, budget)?;
        budget.check_blocks(out.len())?;
        let inner: Vec<&Message<'_>> = attached(message, &mut out);
        if depth + 1 < MOST_NESTED {
            open.extend(inner.into_iter().rev().map(|m| (m, depth + 1)));
        } else if !inner.is_empty() {
            let sentence = format!("messages nested more than {MOST_NESTED} deep were left out");
            out.warn("nested_message", None, sentence);
        }
    }
    Ok(out.finish(Format::Eml))
}

fn header(message: &Message<'_>, depth: usize, out: &mut DocumentBuilder) {
    let level = Some((depth + 1) as u8);
    out.push(
        BlockKind::Heading,
        level,
        None,
        &one_line(message.subject().unwrap_or_default()),
    );
    let mut lines = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name}: {value}"));
        }
    };
    add("From", people(message.from()));
    add("To", people(message.to()));
    add("Cc", people(message.cc()));
    add(
        "Date",
        message
            .date()
            .filter(|date| date.is_valid())
            .map(DateTime::to_rfc822)
            .unwrap_or_default(),
    );
    out.push(BlockKind::Paragraph, None, None, &lines.join("\n"));
}

/// Names and addresses in one line.
fn people(address: Option<&Address<'_>>) -> String {
    let Some(address) = address else {
        return String::new();
    };
    let each = address.iter().map(|person| {
        let name = person.name.as_deref().map(one_line).unwrap_or_default();
        let mailbox = person.address.as_deref().map(one_line).unwrap_or_default();
        match (name.is_empty(), mailbox.is_empty()) {
            (false, false) if name != mailbox => format!("{name} <{mailbox}>"),
            (false, _) => name,
            _ => mailbox,
        }
    });
    let each: Vec<String> = each.filter(|p| !p.is_empty()).collect();
    each.join(", ")
}

/// The text: plain where the message has it, else its page.
fn body(
    message: &Message<'_>,
    out: &mut DocumentBuilder,
    budget: &Budget,
) -> Result<(), ParseError> {
    for &id in &message.text_body {
        match message.part(id).map(|part| &part.body) {
            Some(PartType::Text(plain)) => text::read(&lines(plain), out, budget)?,
            Some(PartType::Html(page)) => html::read_content(page, out, budget)?,
            _ => {}
        }
    }
    Ok(())
}

/// Line endings made equal.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Names what is attached; gives the messages among it.
fn attached<'m>(message: &'m Message<'m>, out: &mut DocumentBuilder) -> Vec<&'m Message<'m>> {
    let mut inner = Vec::new();
    for part in message.attachments() {
        match &part.body {
            PartType::Message(message) => inner.push(message),
            // A picture within the text, without a name of its own.
            PartType::InlineBinary(_) if part.attachment_name().is_none() => {}
            _ => {
                let line = format!("Attachment: {}", name(part));
                out.push(BlockKind::Paragraph, None, None, &line);
            }
        }
    }
    inner
}

fn name(part: &MessagePart<'_>) -> String {
    let kind = part.content_type().map(|t| match t.subtype() {
        Some(sub) => format!("{}/{sub}", t.ctype()),
        None => t.ctype().to_owned(),
    });
    match (part.attachment_name().map(one_line), kind) {
        (Some(name), Some(kind)) => format!("{name} ({kind})"),
        (Some(name), None) => name,
        (None, Some(kind)) => kind,
        (None, None) => "without a name".to_owned(),
    }
}

//! HTML into blocks: the text a reader of the page would call its content.
//!
//! Left out are scripts, styles, hidden elements, and navigation around the content, unless
//! there is nothing else.

mod dom;
mod element;
mod read;

use encoding_rs::Encoding;
use html5ever::tendril::{SliceExt, TendrilSink};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};

use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::{Document, Format, ParseError, encoding};
use dom::{ROOT, Sink, Tree};
use read::{Reader, Scope};

/// How much is given to the parser between two looks at the limits, in bytes.
const SLICE: usize = 4096;
/// Content of fewer bytes may not be the page's content.
const LEAST_CONTENT: usize = 100;

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let decoded = encoding::decode(bytes, declared_encoding(bytes));
    let mut out = DocumentBuilder::new();
    decoded.warn(&mut out);
    let tree = tree(&decoded.text, budget)?;
    out.title = element::title(&tree);
    read(&tree, &mut out, budget)?;
    if out.title.is_none() {
        out.title = out.first_heading();
    }
    Ok(out.finish(Format::Html))
}

/// Reads a page that is one of several of a document, all that it shows.
pub(crate) fn read_page(
    bytes: &[u8],
    out: &mut DocumentBuilder,
    budget: &Budget,
) -> Result<(), ParseError> {
    let text = encoding::decode(bytes, declared_encoding(bytes)).text;
    read_fragment(&text, out, budget)
}

/// Reads a page in memory, what frames its content left out.
pub(crate) fn read_content(
    markup: &str,
    out: &mut DocumentBuilder,
    budget: &Budget,
) -> Result<(), ParseError> {
    read(&tree(markup, budget)?, out, budget)
}

/// Reads a piece of HTML that stands inside another document.
pub(crate) fn read_fragment(
    markup: &str,
    out: &mut DocumentBuilder,
    budget: &Budget,
) -> Result<(), ParseError> {
    let tree = tree(markup, budget)?;
    Reader::new(&tree, Scope::Everything, out, budget).read(ROOT)
}

fn read(tree: &Tree, out: &mut DocumentBuilder, budget: &Budget) -> Result<(), ParseError> {
    let (top, scope) = element::content(tree, budget)?;
    let mut content = DocumentBuilder::new();
    Reader::new(tree, scope, &mut content, budget).read(top)?;
    if content.text_len() < LEAST_CONTENT {
        // Nearly all of the page is what looks like navigation: better that than nothing.
        let mut whole = DocumentBuilder::new();
        Reader::new(tree, Scope::Everything, &mut whole, budget).read(ROOT)?;
        if whole.text_len() > content.text_len() * 3 {
            content = whole;
        }
    }
    out.append(content);
    Ok(())
}

fn tree(text: &str, budget: &Budget) -> Result<Tree, ParseError> {
    let options = ParseOpts {
        tree_builder: TreeBuilderOpts {
            scripting_enabled: true,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let mut parser = parse_document(Sink::new(budget), options);
    let mut rest = without_declarations(text);
    while !rest.is_empty() {
        let mut end = rest.len().min(SLICE);
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (slice, after) = rest.split_at(end);
        parser.process(slice.to_tendril());
        if let Some(error) = parser.tokenizer.sink.sink.failure() {
            return Err(error);
        }
        budget.check_clock()?;
        rest = after;
    }
    parser.finish()
}

/// XHTML may declare entities within its document type, which the rules of HTML take for text.
fn without_declarations(text: &str) -> &str {
    let declared = text.find("<!DOCTYPE").and_then(|at| {
        let rest = &text[at..];
        let next = rest.find(['[', '>'])?;
        let before = text[..at].trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let is_first = before.is_empty() || before.starts_with("<?xml") && before.ends_with("?>");
        (is_first && rest[next..].starts_with('[')).then(|| &rest[next..])
    });
    match declared.and_then(|rest| rest.split_once("]>")) {
        Some((_, content)) => content,
        None => text,
    }
}

/// The encoding that the markup declares in its first kilobytes.
fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head: Vec<u8> = bytes
        .iter()
        .take(4096)
        .map(u8::to_ascii_lowercase)
        .collect();
    let head = String::from_utf8_lossy(&head);
    let after = ["charset=", "encoding="]
        .iter()
        .find_map(|key| head.split_once(key))?
        .1
        .trim_start_matches(['"', '\'', ' ']);
    let label = after
        .split(|c: char| !(c.is_ascii_alphanumeric() || "-_:".contains(c)))
        .next()?;
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests;

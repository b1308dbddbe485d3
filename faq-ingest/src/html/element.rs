//! What an element is to a reader: content, frame, or nothing to see.

use crate::ParseError;
use crate::inline::{Inline, one_line};
use crate::limits::Budget;

use super::dom::{Data, Element, Id, ROOT, Tree};
use super::read::Scope;

/// Share of a page's text that its main part must hold to be taken for the whole: one in so
/// many.
const MAIN_SHARE: usize = 4;

/// What the reader does with an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Skipped,
    Inline,
    Block,
    Heading(u8),
    List { numbered: bool },
    Item,
    Term,
    Definition,
    Table,
    Row,
    Cell { header: bool },
    Preformatted,
    LineBreak,
    Image,
}

pub(super) fn role(element: &Element) -> Role {
    match &*element.name {
        "head" | "script" | "style" | "template" | "noscript" | "noframes" | "noembed"
        | "iframe" | "object" | "embed" | "svg" | "canvas" | "audio" | "video" | "select"
        | "datalist" | "button" | "map" | "rp" | "dialog" | "progress" | "meter" => Role::Skipped,
        "h1" => Role::Heading(1),
        "h2" => Role::Heading(2),
        "h3" => Role::Heading(3),
        "h4" => Role::Heading(4),
        "h5" => Role::Heading(5),
        "h6" => Role::Heading(6),
        "ul" | "menu" | "dir" => Role::List { numbered: false },
        "ol" => Role::List { numbered: true },
        "li" => Role::Item,
        "dt" => Role::Term,
        "dd" => Role::Definition,
        "table" => Role::Table,
        "tr" => Role::Row,
        "td" => Role::Cell { header: false },
        "th" => Role::Cell { header: true },
        "pre" | "listing" | "xmp" | "plaintext" => Role::Preformatted,
        "br" => Role::LineBreak,
        "img" | "area" => Role::Image,
        "address" | "article" | "aside" | "blockquote" | "body" | "caption" | "center"
        | "details" | "div" | "dl" | "fieldset" | "figcaption" | "figure" | "footer" | "form"
        | "header" | "hgroup" | "hr" | "html" | "legend" | "main" | "nav" | "optgroup"
        | "option" | "p" | "search" | "section" | "summary" | "tbody" | "tfoot" | "thead"
        | "textarea" => Role::Block,
        _ => Role::Inline,
    }
}

/// Whether a browser would not show it.
pub(super) fn is_hidden(element: &Element) -> bool {
    if element
        .attribute("hidden")
        .is_some_and(|v| v != "until-found")
        || element.attribute("aria-hidden") == Some("true")
    {
        return true;
    }
    element.attribute("style").is_some_and(|style| {
        style.split(';').any(|rule| {
            let Some((property, value)) = rule.split_once(':') else {
                return false;
            };
            let value = value.trim().trim_end_matches("!important").trim();
            (property.trim().eq_ignore_ascii_case("display") && value.eq_ignore_ascii_case("none"))
                || (property.trim().eq_ignore_ascii_case("visibility")
                    && value.eq_ignore_ascii_case("hidden"))
        })
    })
}

/// Whether it frames the content: navigation, banner, footer. `inside` says whether it
/// stands within an article or section, where a header or an aside is content.
pub(super) fn is_frame(element: &Element, inside: bool) -> bool {
    let role = element.attribute("role");
    if matches!(role, Some("navigation" | "search" | "menu" | "menubar")) {
        return true;
    }
    if has_class(
        element,
        &[
            "navheader",
            "navfooter",
            "sphinxsidebar",
            "breadcrumb",
            "breadcrumbs",
        ],
    ) {
        return true;
    }
    match &*element.name {
        "nav" | "search" => true,
        "header" | "footer" | "aside" => !inside,
        "a" => is_permalink(element),
        _ => matches!(role, Some("banner" | "contentinfo" | "complementary")) && !inside,
    }
}

/// The mark beside a heading that links to itself.
fn is_permalink(element: &Element) -> bool {
    has_class(
        element,
        &["headerlink", "anchor-link", "header-anchor", "permalink"],
    )
}

fn has_class(element: &Element, classes: &[&str]) -> bool {
    element
        .attribute("class")
        .is_some_and(|class| class.split_ascii_whitespace().any(|c| classes.contains(&c)))
}

/// Whether headers and asides below it are content.
pub(super) fn is_sectioning(element: &Element) -> bool {
    matches!(
        &*element.name,
        "article" | "main" | "section" | "blockquote" | "figure"
    ) || element.attribute("role") == Some("main")
}

/// The text of the `title` element.
pub(super) fn title(tree: &Tree) -> Option<String> {
    let html = child(tree, ROOT, "html")?;
    let title = child(tree, child(tree, html, "head")?, "title")?;
    let text: String = tree
        .children(title)
        .filter_map(|id| match &tree.node(id).data {
            Data::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let text = one_line(&text);
    (!text.is_empty()).then_some(text)
}

/// Where the content stands, and what to leave out of it: the page's main part where it says
/// one that holds a good share of the text, else all of it.
pub(super) fn content(tree: &Tree, budget: &Budget) -> Result<(Id, Scope), ParseError> {
    let mut main = None;
    let mut main_text = 0;
    let mut text = 0;
    let mut inside = None;
    let mut at = tree.node(ROOT).first;
    while let Some(id) = at {
        budget.tick()?;
        let node = tree.node(id);
        let mut below = node.first;
        match &node.data {
            Data::Text(t) => {
                let len = t.trim().len();
                text += len;
                main_text += if inside.is_some() { len } else { 0 };
            }
            Data::Element(e) if role(e) == Role::Skipped || is_hidden(e) => below = None,
            Data::Element(e) if main.is_none() && is_main(e) => {
                main = Some(id);
                inside = Some(id);
            }
            _ => {}
        }
        at = match below {
            Some(first) => Some(first),
            None => match inside.map(|top| tree.after(id, top)) {
                Some(Some(next)) if next != id => Some(next),
                Some(_) => {
                    let top = inside.take().unwrap_or(id);
                    tree.after(top, ROOT)
                }
                None => tree.after(id, ROOT),
            },
        };
    }
    Ok(match main {
        Some(main) if main_text * MAIN_SHARE >= text => (main, Scope::Content { inside: true }),
        _ => (ROOT, Scope::Content { inside: false }),
    })
}

fn is_main(element: &Element) -> bool {
    &*element.name == "main" || element.attribute("role") == Some("main")
}

/// Whether a table lays out a page rather than data: it holds another table or headings, or
/// its rows have one cell each.
pub(super) fn is_layout(tree: &Tree, table: Id, budget: &Budget) -> Result<bool, ParseError> {
    if tree
        .element(table)
        .is_some_and(|e| matches!(e.attribute("role"), Some("presentation" | "none")))
    {
        return Ok(true);
    }
    let mut widest = 0;
    let mut cells = 0;
    let mut at = tree.node(table).first;
    while let Some(id) = at {
        budget.tick()?;
        if let Some(element) = tree.element(id) {
            match role(element) {
                Role::Table | Role::Heading(1..=3) => return Ok(true),
                Role::Row => cells = 0,
                Role::Cell { .. } => {
                    cells += 1;
                    widest = widest.max(cells);
                }
                _ => {}
            }
        }
        at = tree.node(id).first.or_else(|| tree.after(id, table));
    }
    Ok(widest < 2)
}

/// Text of a whole subtree as it stands, for preformatted parts.
pub(super) fn verbatim(tree: &Tree, top: Id, budget: &Budget) -> Result<String, ParseError> {
    let mut text = String::new();
    let mut at = tree.node(top).first;
    while let Some(id) = at {
        budget.tick()?;
        let mut below = tree.node(id).first;
        match &tree.node(id).data {
            Data::Text(t) => text.push_str(t),
            Data::Element(e) => match role(e) {
                Role::LineBreak => text.push('\n'),
                Role::Skipped => below = None,
                _ if is_hidden(e) || is_permalink(e) => below = None,
                _ => {}
            },
            Data::Other => {}
        }
        at = below.or_else(|| tree.after(id, top));
    }
    Ok(text)
}

/// An image's description, where it has one.
pub(super) fn push_description(element: &Element, text: &mut Inline) {
    if let Some(alt) = element.attribute("alt").filter(|a| !a.trim().is_empty()) {
        text.space();
        text.push(alt);
        text.space();
    }
}

fn child(tree: &Tree, parent: Id, name: &str) -> Option<Id> {
    tree.children(parent)
        .find(|&id| tree.element(id).is_some_and(|e| &*e.name == name))
}

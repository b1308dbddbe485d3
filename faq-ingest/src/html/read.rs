//! The tree into blocks, in document order, without recursion.

use crate::document::DocumentBuilder;
use crate::inline::Inline;
use crate::limits::Budget;
use crate::numeral;
use crate::table::{Cell, HeaderRule, Table, TableWriter};
use crate::{BlockKind, ParseError};

use super::dom::{Data, Element, Id, Tree};
use super::element::{self, Role};

/// How much of a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// What is not navigation and the like. `inside`: it starts within the page's main part.
    Content { inside: bool },
    /// All that is shown.
    Everything,
}

pub(super) struct Reader<'t, 'o> {
    tree: &'t Tree,
    scope: Scope,
    out: &'o mut DocumentBuilder,
    budget: &'o Budget,
    text: Inline,
    /// Open articles and sections.
    sections: usize,
    lists: Vec<List>,
    pending: Pending,
    table: Option<OpenTable>,
    tables: TableWriter,
}

struct List {
    next: Option<i64>,
    style: numeral::Style,
}

/// What the next text of a block begins as.
enum Pending {
    Paragraph,
    /// A list item whose marker is still to come.
    Item(String),
    Term,
    Definition,
}

struct OpenTable {
    id: Id,
    table: Table,
    cell: Option<Cell>,
}

enum Step {
    Enter(Id),
    Leave(Id),
}

impl<'t, 'o> Reader<'t, 'o> {
    pub(super) fn new(
        tree: &'t Tree,
        scope: Scope,
        out: &'o mut DocumentBuilder,
        budget: &'o Budget,
    ) -> Self {
        Self {
            tree,
            scope,
            out,
            budget,
            text: Inline::default(),
            sections: usize::from(scope == Scope::Content { inside: true }),
            lists: Vec::new(),
            pending: Pending::Paragraph,
            table: None,
            tables: TableWriter::default(),
        }
    }

    pub(super) fn read(mut self, top: Id) -> Result<(), ParseError> {
        let tree = self.tree;
        let mut steps = vec![Step::Enter(top)];
        while let Some(step) = steps.pop() {
            self.budget.tick()?;
            match step {
                Step::Leave(id) => {
                    if let Some(element) = tree.element(id) {
                        self.leave(id, element)?;
                    }
                }
                Step::Enter(id) => {
                    if id != top
                        && let Some(next) = tree.node(id).next
                    {
                        steps.push(Step::Enter(next));
                    }
                    let descend = match &tree.node(id).data {
                        Data::Text(text) => {
                            self.text.push(text);
                            false
                        }
                        Data::Element(element) => self.enter(id, element)?,
                        Data::Other => true,
                    };
                    if descend {
                        steps.push(Step::Leave(id));
                        if let Some(first) = tree.node(id).first {
                            steps.push(Step::Enter(first));
                        }
                    }
                }
            }
        }
        self.flush();
        Ok(())
    }

    /// Begins an element; says whether its children are to be read.
    fn enter(&mut self, id: Id, element: &Element) -> Result<bool, ParseError> {
        let role = element::role(element);
        if role == Role::Skipped || element::is_hidden(element) || self.is_frame(element) {
            return Ok(false);
        }
        self.sections += usize::from(element::is_sectioning(element));
        if &*element.name == "a" {
            let href = element.attribute("href").unwrap_or_default();
            let target = self.out.target(href);
            self.text.lead_to(target);
        }
        match role {
            Role::LineBreak => self.text.line_break(),
            Role::Image => element::push_description(element, &mut self.text),
            Role::Inline | Role::Skipped => {}
            // Inside a cell all structure is space between words.
            _ if self.in_cell() => self.text.space(),
            Role::Preformatted => {
                self.flush();
                let code = element::verbatim(self.tree, id, self.budget)?;
                self.out.push(BlockKind::Code, None, None, &code);
                self.budget.check_blocks(self.out.len())?;
                self.sections -= usize::from(element::is_sectioning(element));
                return Ok(false);
            }
            Role::List { numbered } => {
                self.flush();
                self.open_list(element, numbered);
            }
            Role::Item => {
                self.flush();
                self.open_item(element);
            }
            Role::Term | Role::Definition => {
                self.flush();
                self.pending = if role == Role::Term {
                    Pending::Term
                } else {
                    Pending::Definition
                };
            }
            Role::Table => {
                self.flush();
                if self.table.is_none() && !element::is_layout(self.tree, id, self.budget)? {
                    self.table = Some(OpenTable {
                        id,
                        table: Table::default(),
                        cell: None,
                    });
                }
            }
            Role::Row => {
                self.flush();
                if let Some(open) = &mut self.table {
                    open.table.start_row(false);
                }
            }
            Role::Cell { header } => {
                self.flush();
                if let Some(open) = &mut self.table {
                    open.cell = Some(Cell {
                        columns: span(element, "colspan", 1000),
                        rows: span(element, "rowspan", 65_534),
                        header,
                        ..Cell::default()
                    });
                }
            }
            Role::Heading(_) | Role::Block => self.flush(),
        }
        Ok(true)
    }

    fn leave(&mut self, id: Id, element: &Element) -> Result<(), ParseError> {
        self.sections -= usize::from(element::is_sectioning(element));
        if &*element.name == "a" {
            self.text.lead_to(None);
        }
        let role = element::role(element);
        match role {
            Role::Inline | Role::Skipped | Role::LineBreak | Role::Image => return Ok(()),
            Role::Cell { .. } => {
                if let Some(open) = &mut self.table
                    && let Some(mut cell) = open.cell.take()
                {
                    cell.text = self.text.take();
                    open.table.cell(cell);
                    return Ok(());
                }
                self.flush();
            }
            _ if self.in_cell() => self.text.space(),
            Role::Heading(level) => {
                let text = self.text.take();
                let text = text.trim_end_matches('¶');
                self.out.push(BlockKind::Heading, Some(level), None, text);
            }
            Role::List { .. } => {
                self.flush();
                self.lists.pop();
            }
            Role::Item | Role::Term | Role::Definition => {
                self.flush();
                self.pending = Pending::Paragraph;
            }
            Role::Table => {
                self.flush();
                if let Some(open) = self.table.take_if(|open| open.id == id) {
                    self.tables.write(
                        &open.table,
                        HeaderRule::Named,
                        None,
                        self.out,
                        self.budget,
                    )?;
                }
            }
            Role::Row | Role::Block | Role::Preformatted => self.flush(),
        }
        self.budget.check_blocks(self.out.len())
    }

    fn is_frame(&self, element: &Element) -> bool {
        self.scope != Scope::Everything && element::is_frame(element, self.sections > 0)
    }

    fn in_cell(&self) -> bool {
        self.table.as_ref().is_some_and(|open| open.cell.is_some())
    }

    fn open_list(&mut self, element: &Element, numbered: bool) {
        let start = element
            .attribute("start")
            .and_then(|s| s.trim().parse().ok())
            .unwrap_or(1);
        self.lists.push(List {
            next: numbered.then_some(start),
            style: match element.attribute("type") {
                Some("a") => numeral::Style::LowerLetter,
                Some("A") => numeral::Style::UpperLetter,
                Some("i") => numeral::Style::LowerRoman,
                Some("I") => numeral::Style::UpperRoman,
                _ => numeral::Style::Decimal,
            },
        });
    }

    fn open_item(&mut self, element: &Element) {
        let marker = match self.lists.last_mut() {
            Some(List {
                next: Some(next),
                style,
            }) => {
                if let Some(value) = element.attribute("value").and_then(|v| v.parse().ok()) {
                    *next = value;
                }
                let marker = format!("{}. ", numeral::format(*next, *style));
                *next = next.saturating_add(1);
                marker
            }
            _ => "- ".to_owned(),
        };
        self.pending = Pending::Item(marker);
    }

    /// Ends the block in the making.
    fn flush(&mut self) {
        let text = self.text.take();
        if text.trim().is_empty() {
            return;
        }
        let depth = self.lists.len().clamp(1, 255) as u8;
        match std::mem::replace(&mut self.pending, Pending::Paragraph) {
            Pending::Paragraph => self.out.push(BlockKind::Paragraph, None, None, &text),
            Pending::Item(marker) => {
                let text = format!("{marker}{}", text.trim_start());
                self.out.push(BlockKind::ListItem, Some(depth), None, &text);
            }
            Pending::Term => self.out.push(BlockKind::ListItem, Some(depth), None, &text),
            Pending::Definition => {
                self.out.push(
                    BlockKind::ListItem,
                    Some(depth.saturating_add(1)),
                    None,
                    &text,
                );
            }
        }
    }
}

fn span(element: &Element, name: &str, most: usize) -> usize {
    element
        .attribute(name)
        .and_then(|v| v.trim().parse::<usize>().ok())
        .unwrap_or(1)
        .clamp(1, most)
}

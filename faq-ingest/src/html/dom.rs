//! The tree that the HTML parser builds: nodes in one vector, addressed by number.
//!
//! Nothing here recurses. Limits are kept while the tree grows: once one is passed, the
//! sink takes nothing more in, and the caller finds the error in it.

use std::cell::{Ref, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, LocalName, QualName, local_name, ns};

use crate::ParseError;
use crate::limits::Budget;

/// Number of a node.
pub(super) type Id = usize;

/// The document's own node.
pub(super) const ROOT: Id = 0;

/// Nodes of a tree, at some 200 bytes each; a file of nothing but short tags would take
/// gigabytes.
const MOST_NODES: usize = 2_000_000;

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) data: Data,
    parent: Option<Id>,
    pub(super) first: Option<Id>,
    last: Option<Id>,
    previous: Option<Id>,
    pub(super) next: Option<Id>,
}

#[derive(Debug, Default)]
pub(super) enum Data {
    #[default]
    Other,
    Text(String),
    Element(Element),
}

#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: LocalName,
    pub(super) attributes: Vec<Attribute>,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|a| &*a.name.local == name)
            .map(|a| &*a.value)
    }
}

/// The finished tree.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn element(&self, id: Id) -> Option<&Element> {
        match &self.nodes[id].data {
            Data::Element(element) => Some(element),
            _ => None,
        }
    }

    pub(super) fn children(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        std::iter::successors(self.nodes[id].first, |&id| self.nodes[id].next)
    }

    /// The node after `id` in document order within `top`, its children left out.
    pub(super) fn after(&self, id: Id, top: Id) -> Option<Id> {
        let mut at = id;
        while at != top {
            if let Some(next) = self.nodes[at].next {
                return Some(next);
            }
            at = self.nodes[at].parent?;
        }
        None
    }
}

/// Receives the tree from the parser.
pub(super) struct Sink<'b> {
    nodes: RefCell<Vec<Node>>,
    names: RefCell<Vec<QualName>>,
    /// Index into `names` for every node.
    name_of: RefCell<Vec<u32>>,
    failed: RefCell<Option<ParseError>>,
    budget: &'b Budget,
}

impl<'b> Sink<'b> {
    pub(super) fn new(budget: &'b Budget) -> Self {
        let none = QualName::new(None, ns!(), local_name!(""));
        Self {
            nodes: RefCell::new(vec![Node::default()]),
            names: RefCell::new(vec![none]),
            name_of: RefCell::new(vec![0]),
            failed: RefCell::new(None),
            budget,
        }
    }

    /// The first limit that was passed.
    pub(super) fn failure(&self) -> Option<ParseError> {
        self.failed.borrow_mut().take()
    }

    fn check(&self, result: Result<(), ParseError>) {
        if let Err(error) = result {
            self.failed.borrow_mut().get_or_insert(error);
        }
    }

    fn add(&self, data: Data, name: Option<QualName>) -> Id {
        self.check(self.budget.tick());
        let mut nodes = self.nodes.borrow_mut();
        if nodes.len() >= MOST_NODES {
            self.check(Err(ParseError::limit(
                "markup nodes",
                nodes.len() as u64 + 1,
                MOST_NODES as u64,
                "nodes",
            )));
        }
        nodes.push(Node {
            data,
            ..Node::default()
        });
        let mut name_of = self.name_of.borrow_mut();
        match name {
            Some(name) => {
                let mut names = self.names.borrow_mut();
                name_of.push(names.len() as u32);
                names.push(name);
            }
            None => name_of.push(0),
        }
        nodes.len() - 1
    }

    fn detach(&self, id: Id) {
        let mut nodes = self.nodes.borrow_mut();
        let (parent, previous, next) = (nodes[id].parent, nodes[id].previous, nodes[id].next);
        if let Some(previous) = previous {
            nodes[previous].next = next;
        } else if let Some(parent) = parent {
            nodes[parent].first = next;
        }
        if let Some(next) = next {
            nodes[next].previous = previous;
        } else if let Some(parent) = parent {
            nodes[parent].last = previous;
        }
        nodes[id].parent = None;
        nodes[id].previous = None;
        nodes[id].next = None;
    }

    fn attach_last(&self, parent: Id, child: Id) {
        self.detach(child);
        let mut nodes = self.nodes.borrow_mut();
        let last = nodes[parent].last;
        nodes[child].parent = Some(parent);
        nodes[child].previous = last;
        match last {
            Some(last) => nodes[last].next = Some(child),
            None => nodes[parent].first = Some(child),
        }
        nodes[parent].last = Some(child);
    }

    fn append_text(&self, to: Option<Id>, text: &str) -> bool {
        let Some(to) = to else {
            return false;
        };
        match &mut self.nodes.borrow_mut()[to].data {
            Data::Text(before) => {
                before.push_str(text);
                true
            }
            _ => false,
        }
    }

    /// Depth as the tree stands, counted up to the limit only.
    fn check_depth_of(&self, parent: Id) {
        let nodes = self.nodes.borrow();
        let most = self.budget.limits().depth;
        let (mut depth, mut at) = (1, parent);
        while let Some(up) = nodes[at].parent {
            at = up;
            depth += 1;
            if depth > most {
                self.check(self.budget.check_depth(depth));
                return;
            }
        }
    }
}

impl TreeSink for Sink<'_> {
    type Handle = Id;
    type Output = Result<Tree, ParseError>;
    type ElemName<'a>
        = Ref<'a, QualName>
    where
        Self: 'a;

    fn finish(self) -> Self::Output {
        match self.failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(Tree {
                nodes: self.nodes.into_inner(),
            }),
        }
    }

    fn parse_error(&self, _: std::borrow::Cow<'static, str>) {}

    fn get_document(&self) -> Id {
        ROOT
    }

    fn elem_name<'a>(&'a self, target: &'a Id) -> Ref<'a, QualName> {
        let index = self.name_of.borrow()[*target] as usize;
        Ref::map(self.names.borrow(), |names| &names[index])
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> Id {
        let element = Element {
            name: name.local.clone(),
            attributes,
        };
        self.add(Data::Element(element), Some(name))
    }

    fn create_comment(&self, _: StrTendril) -> Id {
        self.add(Data::Other, None)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Id {
        self.add(Data::Other, None)
    }

    fn append(&self, parent: &Id, child: NodeOrText<Id>) {
        match child {
            NodeOrText::AppendNode(child) => {
                self.attach_last(*parent, child);
                self.check_depth_of(*parent);
            }
            NodeOrText::AppendText(text) => {
                let last = self.nodes.borrow()[*parent].last;
                if !self.append_text(last, &text) {
                    let child = self.add(Data::Text(text.to_string()), None);
                    self.attach_last(*parent, child);
                }
            }
        }
    }

    fn append_based_on_parent_node(&self, element: &Id, previous: &Id, child: NodeOrText<Id>) {
        if self.nodes.borrow()[*element].parent.is_some() {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    /// Templates are never shown: what they hold knows its parent, for the count of levels,
    /// but is no child of it.
    fn get_template_contents(&self, template: &Id) -> Id {
        let contents = self.add(Data::Other, None);
        self.nodes.borrow_mut()[contents].parent = Some(*template);
        contents
    }

    fn same_node(&self, a: &Id, b: &Id) -> bool {
        a == b
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Id, child: NodeOrText<Id>) {
        let (parent, previous) = {
            let nodes = self.nodes.borrow();
            (nodes[*sibling].parent, nodes[*sibling].previous)
        };
        let Some(parent) = parent else {
            return;
        };
        let child = match child {
            NodeOrText::AppendNode(child) => child,
            NodeOrText::AppendText(text) => {
                if self.append_text(previous, &text) {
                    return;
                }
                self.add(Data::Text(text.to_string()), None)
            }
        };
        self.detach(child);
        let mut nodes = self.nodes.borrow_mut();
        let previous = nodes[*sibling].previous;
        nodes[child].parent = Some(parent);
        nodes[child].previous = previous;
        nodes[child].next = Some(*sibling);
        nodes[*sibling].previous = Some(child);
        match previous {
            Some(previous) => nodes[previous].next = Some(child),
            None => nodes[parent].first = Some(child),
        }
    }

    fn add_attrs_if_missing(&self, target: &Id, attributes: Vec<Attribute>) {
        if let Data::Element(element) = &mut self.nodes.borrow_mut()[*target].data {
            for attribute in attributes {
                if element.attributes.iter().all(|a| a.name != attribute.name) {
                    element.attributes.push(attribute);
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &Id) {
        self.detach(*target);
    }

    fn reparent_children(&self, node: &Id, new_parent: &Id) {
        loop {
            let first = self.nodes.borrow()[*node].first;
            let Some(child) = first else {
                break;
            };
            self.attach_last(*new_parent, child);
        }
    }
}

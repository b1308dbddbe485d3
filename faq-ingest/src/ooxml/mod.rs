//! What the Office Open XML formats share: relations between parts, core properties, charts.

pub(crate) mod chart;

use std::collections::HashMap;

use crate::archive::Archive;
use crate::limits::Budget;
use crate::xml::{Token, Xml};
use crate::{Format, ParseError};

/// What one part refers to.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    parts: Vec<Relation>,
    /// Numbers of the parts by the ids of their relations, the first of equal ones.
    ids: HashMap<String, usize>,
    /// Targets of hyperlinks by the ids of their relations.
    links: Vec<(String, String)>,
}

#[derive(Debug)]
struct Relation {
    id: String,
    /// Last word of the relation's type, such as `slideLayout`.
    kind: String,
    /// Name of an entry of the archive.
    target: String,
}

impl Relations {
    /// Those of `part`; of the whole package where `part` is empty.
    pub(crate) fn of(
        part: &str,
        format: Format,
        archive: &mut Archive<'_>,
        budget: &Budget,
    ) -> Result<Self, ParseError> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let slash = if folder.is_empty() { "" } else { "/" };
        let name = format!("{folder}{slash}_rels/{file}.rels");
        let mut relations = Self::default();
        let Some(text) = archive.text(&name)? else {
            return Ok(Self::default());
        };
        let mut xml = Xml::new(&text, format, budget);
        while let Some(token) = xml.next()? {
            if let Token::Open(element) = token
                && element.is("Relationship")
                && let Some(kind) = element.attribute("Type")
                && let Some(target) = element.attribute("Target")
            {
                let id = element.attribute("Id").unwrap_or_default();
                let kind = kind.rsplit('/').next().unwrap_or_default();
                let external = element.attribute("TargetMode").as_deref() == Some("External");
                if external && kind == "hyperlink" {
                    relations.links.push((id, target));
                } else if !external && !climbs_out(folder, &target) {
                    let number = relations.parts.len();
                    relations.ids.entry(id.clone()).or_insert(number);
                    relations.parts.push(Relation {
                        id,
                        kind: kind.to_owned(),
                        target: resolve(folder, &target),
                    });
                }
            }
        }
        Ok(relations)
    }

    /// The first part of this kind.
    pub(crate) fn kind(&self, kind: &str) -> Option<&str> {
        self.all(kind).next()
    }

    /// All parts of this kind, in the order given.
    pub(crate) fn all(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .filter(move |r| r.kind == kind)
            .map(|r| r.target.as_str())
    }

    /// All parts of this kind with their ids.
    pub(crate) fn with_ids(&self, kind: &str) -> impl Iterator<Item = (&str, &str)> {
        self.parts
            .iter()
            .filter(move |r| r.kind == kind)
            .map(|r| (r.id.as_str(), r.target.as_str()))
    }

    /// Ids and targets of the hyperlinks that lead out of the package.
    pub(crate) fn links(&self) -> impl Iterator<Item = (&str, &str)> {
        self.links.iter().map(|(id, to)| (id.as_str(), to.as_str()))
    }

    /// The part with this id.
    pub(crate) fn id(&self, id: &str) -> Option<&str> {
        let relation = self.parts.get(*self.ids.get(id)?)?;
        Some(relation.target.as_str())
    }
}

/// Name of the part that holds the document, or `otherwise` where the package names none.
pub(crate) fn main_part(
    otherwise: &str,
    format: Format,
    archive: &mut Archive<'_>,
    budget: &Budget,
) -> Result<String, ParseError> {
    let relations = Relations::of("", format, archive, budget)?;
    Ok(relations
        .kind("officeDocument")
        .filter(|name| archive.contains(name))
        .unwrap_or(otherwise)
        .to_owned())
}

/// `dc:title` of the core properties.
pub(crate) fn title(
    format: Format,
    archive: &mut Archive<'_>,
    budget: &Budget,
) -> Result<Option<String>, ParseError> {
    let Some(part) = archive.text("docProps/core.xml")? else {
        return Ok(None);
    };
    crate::xml::text_of("title", &part, format, budget)
}

/// A relation's target as an entry name; `folder` is where the part stands that refers to it.
pub(crate) fn resolve(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a target leads out of the package, where no part can be.
fn climbs_out(folder: &str, target: &str) -> bool {
    let mut depth = if target.starts_with(['/', '\\']) {
        0
    } else {
        folder.split('/').filter(|p| !p.is_empty()).count()
    };
    target.split(['/', '\\']).any(|part| match part {
        "" | "." => false,
        ".." if depth == 0 => true,
        ".." => {
            depth -= 1;
            false
        }
        _ => {
            depth += 1;
            false
        }
    })
}

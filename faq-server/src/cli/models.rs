//! `faq models`: which models there are, and how they come here.

use std::path::Path;

use faq_core::{KnownModel, ModelEntry, ModelError, ModelKind, ModelStore};
use serde::Serialize;
use serde_json::json;

use super::args::{Common, ModelsArgs, ModelsCommand};
use super::bench;
use super::error::{Outcome, Result};
use super::output::{Output, note, size, table};
use super::progress::Downloads;

/// The model folder, and what is known.
#[derive(Serialize)]
struct Listing<'a> {
    dir: &'a Path,
    models: &'a [ModelEntry],
}

pub(super) fn run(common: &Common, args: &ModelsArgs, out: &mut Output) -> Result<Outcome> {
    let store = common.model_store();
    match &args.command {
        ModelsCommand::List => list(&store, out)?,
        ModelsCommand::Pull { name } => pull(&store, name, out)?,
        ModelsCommand::Path { name } => path(&store, name, out)?,
        ModelsCommand::Bench { names } => return bench::run(common, names, out),
    }
    Ok(Outcome::Done)
}

fn list(store: &ModelStore, out: &mut Output) -> Result<()> {
    let models = store.list();
    if out.is_json() {
        return out.json(&Listing {
            dir: store.dir(),
            models: &models,
        });
    }
    let rows: Vec<Vec<String>> = models
        .iter()
        .map(|model| {
            vec![
                model.name.clone(),
                model.kind.to_string(),
                if model.path.is_some() {
                    size(model.bytes)
                } else {
                    "not here".to_owned()
                },
                model.about.clone(),
            ]
        })
        .collect();
    for line in table(&["model", "kind", "here", "about"], &rows, &[2]) {
        out.line(line)?;
    }
    out.line(format_args!("model folder: {}", store.dir().display()))
}

fn pull(store: &ModelStore, name: &str, out: &mut Output) -> Result<()> {
    let mut downloads = Downloads::default();
    let path = store.pull(name, &mut |progress| downloads.show(&progress))?;
    drop(downloads);
    note("checking");
    store.verify(name)?;
    if out.is_json() {
        out.json(&json!({ "name": name, "path": path.to_string_lossy(), "verified": true }))
    } else {
        out.line(format_args!("{name} is here and whole: {}", path.display()))
    }
}

fn path(store: &ModelStore, name: &str, out: &mut Output) -> Result<()> {
    let path = locate(store, name)?;
    if out.is_json() {
        out.json(&json!({ "name": name, "path": path.to_string_lossy() }))
    } else {
        out.line(path.display())
    }
}

/// Where a model is; nothing is fetched.
fn locate(store: &ModelStore, name: &str) -> Result<std::path::PathBuf, ModelError> {
    let store = store.clone().offline(true);
    let known = KnownModel::ALL
        .iter()
        .find(|m| m.name.eq_ignore_ascii_case(name) || m.aliases.contains(&name))
        .map(|m| m.kind);
    match known {
        Some(ModelKind::Embedding) => store.embedding(name),
        Some(ModelKind::Generation) => store.generation(name),
        None => store.embedding(name).or_else(|_| store.generation(name)),
    }
}

//! `faq doctor`: whether everything that the other verbs need is here and whole.

use std::path::{Path, PathBuf};
use std::time::Instant;

use faq_core::{Control, Engine, Error, IndexError, ModelStore, TextKind};
use serde::Serialize;

use super::args::{Common, DoctorArgs};
use super::error::{Outcome, Result};
use super::generator::Endpoints;
use super::output::{Output, count, size};
use crate::server::{Config, Values};
use crate::settings::Level;

/// Free space below which a warning is due: a large model takes as much.
const LITTLE_SPACE: u64 = 1_000_000_000;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// As it should be.
    Fine,
    /// Works, with something to know.
    Warning,
    /// Does not work.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) detail: String,
}

impl Check {
    pub(super) fn new(name: &str, status: Status, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            status,
            detail: detail.into(),
        }
    }
}

/// Everything that was looked at.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    system: String,
    healthy: bool,
    checks: Vec<Check>,
}

pub(super) fn run(common: &Common, args: &DoctorArgs, out: &mut Output) -> Result<Outcome> {
    let engine = common.engine(None)?;
    let values = super::serve::values(&[], args.config.as_deref())?;
    let mut checks = vec![processor(), threads(&engine)];
    checks.extend(models(&engine.config().models));
    checks.push(embedding(&engine));
    checks.extend(data(&engine));
    checks.extend(collections(&engine));
    checks.extend(server(common, &engine, &values));
    let healthy = checks.iter().all(|c| c.status != Status::Broken);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        healthy,
        checks,
    };
    if out.is_json() {
        out.json(&report)?;
    } else {
        show(&report, out)?;
    }
    Ok(Outcome::failed_if(!healthy))
}

/// The settings of the server, and whether one could be started with them.
fn server(common: &Common, engine: &Engine, values: &Values) -> Vec<Check> {
    let fine = values.findings().into_iter().filter_map(|finding| {
        let status = match finding.level {
            Level::Fine => Status::Fine,
            Level::Warning => Status::Warning,
            // Told below, with what is wrong about several settings together.
            Level::Broken => return None,
        };
        Some(Check::new(&finding.name, status, finding.detail))
    });
    let mut checks: Vec<Check> = fine.collect();
    if let Err(problems) = Config::read(common.data_dir(), values) {
        let broken = |problem: String| Check::new("server", Status::Broken, problem);
        checks.extend(problems.0.into_iter().map(broken));
    }
    for name in ["LLM_MODEL", "LLM_FALLBACK_MODEL"] {
        let endpoints = Endpoints {
            ollama: values.get("OLLAMA_URL").map(str::to_owned),
            openai_key: None,
        };
        let Some(model) = values.get(name) else {
            continue;
        };
        if let Err(e) = super::generator::check(engine, model, &endpoints) {
            checks.push(Check::new(name, Status::Broken, e.to_string()));
        }
    }
    checks
}

fn show(report: &Report, out: &mut Output) -> Result<()> {
    out.line(format_args!("faq {} on {}", report.version, report.system))?;
    for check in &report.checks {
        let mark = match check.status {
            Status::Fine => "ok     ".to_owned(),
            Status::Warning => out.marked("warning"),
            Status::Broken => out.marked("BROKEN "),
        };
        out.line(format_args!("{mark}  {}: {}", check.name, check.detail))?;
    }
    out.line(if report.healthy {
        "everything that is needed works"
    } else {
        "something is broken; the lines marked BROKEN say what to do"
    })
}

/// Instruction sets that the arithmetic uses where they are there.
fn processor() -> Check {
    #[cfg(target_arch = "x86_64")]
    let features: [(&str, bool); 6] = [
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
    ];
    #[cfg(target_arch = "aarch64")]
    let features: [(&str, bool); 2] = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        (
            "dotprod",
            std::arch::is_aarch64_feature_detected!("dotprod"),
        ),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features: [(&str, bool); 0] = [];
    let has = |name: &str| features.iter().any(|(n, there)| *n == name && *there);
    let names: Vec<&str> = features
        .iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| *name)
        .collect();
    let names = if names.is_empty() {
        "none known".to_owned()
    } else {
        names.join(" ")
    };
    if cfg!(target_arch = "x86_64") && !(has("avx2") && has("fma")) {
        return Check::new(
            "processor",
            Status::Warning,
            format!("{names}; without avx2 and fma embedding is several times slower"),
        );
    }
    let kernels = faq_core::instruction_set();
    let detail = format!("{names}; models are computed with kernels for {kernels}");
    Check::new("processor", Status::Fine, detail)
}

fn threads(engine: &Engine) -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let used = engine.config().threads;
    let detail = format!("{used} of {} used", count(cores, "core"));
    if used > cores {
        return Check::new(
            "threads",
            Status::Warning,
            format!("{detail}; more than there are cores is slower"),
        );
    }
    Check::new("threads", Status::Fine, detail)
}

/// The models that are here, each compared with its checksum.
fn models(store: &ModelStore) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut missing = Vec::new();
    for model in store.list() {
        let Some(path) = &model.path else {
            missing.push(model.name);
            continue;
        };
        let name = format!("model {}", model.name);
        checks.push(match store.verify(&model.name) {
            Ok(()) => Check::new(
                &name,
                Status::Fine,
                format!("{} in {}", size(model.bytes), path.display()),
            ),
            Err(e) => Check::new(&name, Status::Broken, e.to_string()),
        });
    }
    if !missing.is_empty() {
        checks.push(Check::new(
            "models not here",
            Status::Fine,
            format!(
                "{}; get one with `faq models pull NAME`",
                missing.join(", ")
            ),
        ));
    }
    checks
}

/// Whether the embedding model, which nearly everything needs, loads and works.
fn embedding(engine: &Engine) -> Check {
    let started = Instant::now();
    let vectors = engine
        .embedder()
        .and_then(|embedder| Ok(embedder.embed(&["a test"], TextKind::Query, &Control::new())?));
    match vectors {
        Ok(vectors) => Check::new(
            "embedding",
            Status::Fine,
            format!(
                "{} dimensions in {}, loaded and used in {} ms",
                vectors.first().map_or(0, Vec::len),
                engine.config().precision,
                started.elapsed().as_millis()
            ),
        ),
        Err(e) => Check::new("embedding", Status::Broken, e.to_string()),
    }
}

/// The data folder: whether it can be read and written, and what room there is.
fn data(engine: &Engine) -> Vec<Check> {
    let dir = &engine.config().data_dir;
    let shown = dir.display();
    let mut checks = Vec::new();
    if dir.exists() {
        let works = std::fs::read_dir(dir).and_then(|_| write_test(dir));
        checks.push(match works {
            Ok(()) => Check::new(
                "data folder",
                Status::Fine,
                format!("{shown} can be read and written"),
            ),
            Err(e) => Check::new(
                "data folder",
                Status::Broken,
                format!("{shown}: {e}; give another with --data, or change its permissions"),
            ),
        });
    } else {
        checks.push(Check::new(
            "data folder",
            Status::Fine,
            format!("{shown} is not there yet; the first ingest makes it"),
        ));
    }
    if let Some(existing) = nearest_existing(dir) {
        checks.push(match fs4::available_space(&existing) {
            Ok(free) if free < LITTLE_SPACE => Check::new(
                "free space",
                Status::Warning,
                format!(
                    "{} where {shown} is; little for models and documents",
                    size(free)
                ),
            ),
            Ok(free) => Check::new("free space", Status::Fine, size(free)),
            Err(e) => Check::new(
                "free space",
                Status::Warning,
                format!("cannot be told: {e}"),
            ),
        });
    }
    checks
}

/// Makes a file and takes it away again.
fn write_test(dir: &Path) -> std::io::Result<()> {
    let file = dir.join(format!(".doctor-{}", std::process::id()));
    std::fs::write(&file, b"test")?;
    std::fs::remove_file(&file)
}

fn nearest_existing(dir: &Path) -> Option<PathBuf> {
    std::path::absolute(dir)
        .ok()?
        .ancestors()
        .find(|path| path.is_dir())
        .map(Path::to_owned)
}

/// Whether each collection opens.
fn collections(engine: &Engine) -> Vec<Check> {
    let names = match engine.collections() {
        Ok(names) => names,
        Err(e) => return vec![Check::new("collections", Status::Broken, e.to_string())],
    };
    names
        .iter()
        .map(|name| {
            let title = format!("collection {name}");
            let stats = engine.existing_collection(name).and_then(|c| c.stats());
            match stats {
                Ok(stats) => Check::new(
                    &title,
                    Status::Fine,
                    format!(
                        "{}, {}, {}",
                        count(stats.documents as usize, "document"),
                        count(stats.chunks as usize, "chunk"),
                        size(stats.disk_bytes)
                    ),
                ),
                Err(e @ Error::Index(IndexError::Locked { .. })) => {
                    Check::new(&title, Status::Warning, e.to_string())
                }
                Err(e) => Check::new(&title, Status::Broken, e.to_string()),
            }
        })
        .collect()
}

//! `faq inspect`: what the parser reads in a file, and how it would be cut.

mod page;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use faq_core::{
    BlockKind, ByteRange, Chunk, Control, Document, Engine, Error, Format, InProcess, Source,
    Warning,
};
use serde::Serialize;
use serde_json::json;

use super::args::{Common, InspectArgs};
use super::error::{CliError, Outcome, Result};
use super::output::{self, Output, count, grouped, one_line, shortened, size, table};

/// Characters shown of a block.
const BLOCK_SHOWN: usize = 90;

/// What a file holds.
#[derive(Serialize)]
struct Inspection<'a> {
    path: String,
    format: Format,
    title: Option<&'a str>,
    language: Option<&'a str>,
    /// Number of pages; `null` where the format has none.
    pages: Option<usize>,
    page_ranges: Vec<PageRange>,
    text: &'a str,
    blocks: Vec<BlockEntry<'a>>,
    chunks: Vec<ChunkEntry>,
    links: Vec<LinkEntry<'a>>,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct PageRange {
    page: u32,
    byte_range: ByteRange,
}

#[derive(Serialize)]
struct BlockEntry<'a> {
    kind: BlockKind,
    level: Option<u8>,
    page: Option<u32>,
    byte_range: ByteRange,
    text: &'a str,
}

#[derive(Serialize)]
struct LinkEntry<'a> {
    byte_range: ByteRange,
    text: &'a str,
    target: &'a str,
}

#[derive(Serialize)]
struct ChunkEntry {
    ordinal: u32,
    byte_range: ByteRange,
    tokens: usize,
    heading: Option<String>,
    pages: Option<(u32, u32)>,
}

pub(super) fn run(common: &Common, args: &InspectArgs, out: &mut Output) -> Result<Outcome> {
    let engine = engine(common, args)?;
    let chunker = Chunker::new(&engine);
    if let (Chunker::None(why), false) = (&chunker, args.text) {
        output::warning(format_args!("no chunks: {why}"));
    }
    let mut failed = false;
    for (i, path) in args.files.iter().enumerate() {
        match read(&engine, path) {
            Ok((document, bytes)) => {
                if args.text {
                    out.line(&document.text)?;
                    continue;
                }
                let (chunks, missing) = chunker.chunks(&document)?;
                if let Some(target) = &args.html {
                    let shown = page::Shown {
                        name: &file_name(path),
                        bytes,
                        document: &document,
                        chunks: &chunks,
                        missing: missing.as_ref(),
                    };
                    save(target, &page::page(&shown), args.force)?;
                }
                if out.is_json() {
                    out.json(&inspection(path, &document, &chunks, missing))?;
                } else if let Some(target) = &args.html {
                    summary(path, bytes, &document, out)?;
                    out.line(format_args!("written: {}", target.display()))?;
                } else {
                    if i > 0 {
                        out.line("")?;
                    }
                    show(path, bytes, &document, &chunks, out)?;
                }
            }
            Err(e) => {
                failed = true;
                output::error(format_args!("{}: {e}", path.display()));
                if out.is_json() {
                    let path = path.to_string_lossy();
                    out.json(&json!({ "path": path, "error": e.to_string(), "code": e.code() }))?;
                }
            }
        }
    }
    Ok(Outcome::failed_if(failed))
}

/// The engine, which tells of places where a page is to be drawn.
fn engine(common: &Common, args: &InspectArgs) -> Result<Engine> {
    let mut config = common.engine_config(Some(&args.chunks));
    if let Some(target) = &args.html {
        let [file] = args.files.as_slice() else {
            return Err(CliError::usage("--html shows one file; name one"));
        };
        let same = |path: &Path| path.canonicalize().ok();
        if same(file).is_some() && same(file) == same(target) {
            return Err(CliError::usage(
                "--html would write over the file that it shows; give another name",
            ));
        }
        if target.exists() && !args.force {
            return Err(CliError::Exists(target.clone()));
        }
        config.reader = Arc::new(InProcess {
            layout: true,
            ..common.reader()
        });
    }
    Ok(Engine::with_config(config)?)
}

/// Writes a page aside and puts it into its place when it is whole.
fn save(target: &Path, html: &str, force: bool) -> Result<()> {
    let failed = |source| CliError::Write {
        path: target.to_owned(),
        source,
    };
    let dir = match target.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: what the umask leaves of it.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(dir).map_err(failed)?;
    file.write_all(html.as_bytes()).map_err(failed)?;
    let put = if force {
        file.persist(target)
    } else {
        file.persist_noclobber(target)
    };
    match put {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(CliError::Exists(target.to_owned()))
        }
        Err(e) => Err(failed(e.error)),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn read(engine: &Engine, path: &Path) -> Result<(Document, u64), Error> {
    let source = Source::read(path, engine.config().limits.file_bytes)?;
    let document = engine.parse(&source, &Control::new())?;
    Ok((document, source.bytes.len() as u64))
}

/// Cuts documents where the embedding model, whose tokens size the chunks, is here.
enum Chunker<'a> {
    Model(&'a Engine),
    None(Error),
}

impl<'a> Chunker<'a> {
    fn new(engine: &'a Engine) -> Self {
        match engine.embedder() {
            Ok(_) => Self::Model(engine),
            Err(e) => Self::None(e),
        }
    }

    /// Chunks, or none and a warning that says why.
    fn chunks(&self, document: &Document) -> Result<(Vec<Chunk>, Option<Warning>)> {
        match self {
            Self::Model(engine) => Ok((engine.chunk(document)?, None)),
            Self::None(why) => {
                let warning = Warning {
                    code: "no_model".to_owned(),
                    page: None,
                    message: format!("no chunks: {why}"),
                };
                Ok((Vec::new(), Some(warning)))
            }
        }
    }
}

fn inspection<'a>(
    path: &Path,
    document: &'a Document,
    chunks: &[Chunk],
    missing: Option<Warning>,
) -> Inspection<'a> {
    Inspection {
        path: path.to_string_lossy().into_owned(),
        format: document.format,
        title: document.title.as_deref(),
        language: document.language.as_deref(),
        pages: (!document.pages.is_empty()).then_some(document.pages.len()),
        page_ranges: document
            .pages
            .iter()
            .map(|page| PageRange {
                page: page.number,
                byte_range: page.range,
            })
            .collect(),
        text: &document.text,
        blocks: document
            .blocks
            .iter()
            .map(|block| BlockEntry {
                kind: block.kind,
                level: block.level,
                page: block.page,
                byte_range: block.range,
                text: document.block_text(block),
            })
            .collect(),
        chunks: chunks
            .iter()
            .map(|chunk| ChunkEntry {
                ordinal: chunk.ordinal,
                byte_range: chunk.range,
                tokens: chunk.tokens,
                heading: heading(chunk),
                pages: chunk.pages,
            })
            .collect(),
        links: document
            .links
            .iter()
            .map(|link| LinkEntry {
                byte_range: link.range,
                text: link.range.slice(&document.text).unwrap_or_default(),
                target: &link.target,
            })
            .collect(),
        warnings: document.warnings.iter().cloned().chain(missing).collect(),
    }
}

fn heading(chunk: &Chunk) -> Option<String> {
    (!chunk.heading_path.is_empty()).then(|| chunk.heading_path.join(" > "))
}

fn show(
    path: &Path,
    bytes: u64,
    document: &Document,
    chunks: &[Chunk],
    out: &mut Output,
) -> Result<()> {
    summary(path, bytes, document, out)?;
    blocks(document, out)?;
    if !document.links.is_empty() {
        link_table(document, out)?;
    }
    if !chunks.is_empty() {
        chunk_table(document, chunks, out)?;
    }
    Ok(())
}

/// What the file is, and what of it could not be read.
fn summary(path: &Path, bytes: u64, document: &Document, out: &mut Output) -> Result<()> {
    let name = out.bold(&path.display().to_string());
    let pages = match document.pages.len() {
        0 => String::new(),
        n => format!(", {}", count(n, "page")),
    };
    let language = document
        .language
        .as_deref()
        .map_or_else(String::new, |l| format!(", language {l}"));
    out.line(format_args!(
        "{name}: {}, {}{pages}, {} of text, {}{language}",
        document.format,
        size(bytes),
        size(document.text.len() as u64),
        count(document.blocks.len(), "block"),
    ))?;
    if let Some(title) = &document.title {
        out.line(format_args!("title: {}", one_line(title)))?;
    }
    for warning in &document.warnings {
        let page = warning
            .page
            .map_or_else(String::new, |p| format!("page {p}: "));
        out.line(format_args!("warning: {page}{}", warning.message))?;
    }
    Ok(())
}

fn blocks(document: &Document, out: &mut Output) -> Result<()> {
    let rows: Vec<Vec<String>> = document
        .blocks
        .iter()
        .map(|block| {
            vec![
                block.page.map_or_else(String::new, |p| p.to_string()),
                kind(block.kind, block.level),
                shortened(document.block_text(block), BLOCK_SHOWN),
            ]
        })
        .collect();
    out.line("")?;
    for line in table(&["page", "block", "text"], &rows, &[0]) {
        out.line(line)?;
    }
    Ok(())
}

fn kind(kind: BlockKind, level: Option<u8>) -> String {
    let name = match kind {
        BlockKind::Heading => "heading",
        BlockKind::Paragraph => "paragraph",
        BlockKind::ListItem => "list item",
        BlockKind::TableHeader => "table header",
        BlockKind::TableRow => "table row",
        BlockKind::Code => "code",
        _ => "other",
    };
    level.map_or_else(|| name.to_owned(), |level| format!("{name} {level}"))
}

fn link_table(document: &Document, out: &mut Output) -> Result<()> {
    let rows: Vec<Vec<String>> = document
        .links
        .iter()
        .map(|link| {
            let words = link.range.slice(&document.text).unwrap_or_default();
            vec![
                format!("{}..{}", link.range.start, link.range.end),
                shortened(words, 40),
                shortened(&link.target, BLOCK_SHOWN),
            ]
        })
        .collect();
    out.line("")?;
    for line in table(&["bytes", "link", "leads to"], &rows, &[]) {
        out.line(line)?;
    }
    Ok(())
}

fn chunk_table(document: &Document, chunks: &[Chunk], out: &mut Output) -> Result<()> {
    let rows: Vec<Vec<String>> = chunks
        .iter()
        .map(|chunk| {
            let text = chunk.range.slice(&document.text).unwrap_or_default();
            vec![
                chunk.ordinal.to_string(),
                format!("{}..{}", chunk.range.start, chunk.range.end),
                grouped(chunk.tokens as u64),
                shortened(&heading(chunk).unwrap_or_default(), 40),
                shortened(text, 50),
            ]
        })
        .collect();
    out.line("")?;
    for line in table(
        &["chunk", "bytes", "tokens", "heading", "text"],
        &rows,
        &[0, 2],
    ) {
        out.line(line)?;
    }
    Ok(())
}

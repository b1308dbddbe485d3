//! `faq inspect`: what the parser reads in a file, and how it would be cut.

use std::path::Path;

use faq_core::{
    BlockKind, ByteRange, Chunk, Control, Document, Engine, Error, Format, Source, Warning,
};
use serde::Serialize;
use serde_json::json;

use super::args::{Common, InspectArgs};
use super::error::{Outcome, Result};
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
struct ChunkEntry {
    ordinal: u32,
    byte_range: ByteRange,
    tokens: usize,
    heading: Option<String>,
    pages: Option<(u32, u32)>,
}

pub(super) fn run(common: &Common, args: &InspectArgs, out: &mut Output) -> Result<Outcome> {
    let engine = common.engine(Some(&args.chunks))?;
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
                if out.is_json() {
                    out.json(&inspection(path, &document, &chunks, missing))?;
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
    blocks(document, out)?;
    if !chunks.is_empty() {
        chunk_table(document, chunks, out)?;
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

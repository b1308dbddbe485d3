//! The way of one document: parse, chunk, embed, commit. Each step can be taken alone.

use std::borrow::Cow;

use std::collections::BTreeSet;

use faq_index::{
    ChunkRecord, DocumentId, DocumentRecord, Fingerprint, Window, WriteBatch, WriteReceipt,
};
use faq_ingest::{
    Block, ByteRange, CHUNKER_VERSION, Chunk, Document, Format, PARSER_VERSION, Page, Warning,
};
use serde::{Deserialize, Serialize};

use super::Source;
use super::inspect::Cut;
use crate::passage::header_as_heading;
use crate::windows::covered;
use crate::{Collection, Control, Embedder, Error, Result, TextKind};

/// Windows that are embedded between two words on progress.
const PART: usize = 64;

/// What a document is, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) id: DocumentId,
    pub(crate) filename: String,
    pub(crate) origin: String,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) time_ms: i64,
    pub(crate) bytes: u64,
    pub(crate) content_hash: String,
    /// The parser that made the canonical text.
    pub(crate) parser: String,
}

/// A document that was parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    pub(crate) meta: Meta,
    /// Blocks over the canonical text.
    pub document: Document,
}

/// A document that was cut into chunks.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunked {
    parsed: Parsed,
    /// Chunks in ascending order.
    pub chunks: Vec<Chunk>,
    /// For each chunk the pieces of it that will be embedded.
    windows: Vec<Vec<ByteRange>>,
    /// For each of these the header of the table that it begins in.
    headers: Vec<Vec<Option<ByteRange>>>,
    /// Content tokens of the document, each counted once.
    pub tokens_total: u64,
    /// Content tokens that lie in a window, each counted once.
    pub tokens_embedded: u64,
}

/// A document with its vectors, ready to be committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    chunked: Chunked,
    /// For each chunk one vector a window.
    vectors: Vec<Vec<Vec<f32>>>,
    embedder: String,
}

/// What the index keeps for us beside the canonical text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extra {
    pub(crate) format: Format,
    pub(crate) blocks: Vec<Block>,
    pub(crate) pages: Vec<Page>,
    pub(crate) warnings: Vec<Warning>,
}

impl Parsed {
    /// Canonical text.
    pub fn text(&self) -> &str {
        &self.document.text
    }
}

impl Chunked {
    /// The document that was cut.
    pub fn document(&self) -> &Document {
        &self.parsed.document
    }

    /// Where the document came from.
    pub fn origin(&self) -> &str {
        &self.parsed.meta.origin
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.parsed.meta
    }

    /// Texts of all windows, chunk by chunk; one that begins within a table is led by the
    /// table's header.
    pub(crate) fn window_texts(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let text = &self.parsed.document.text;
        let headers = self.headers.iter().flatten();
        self.windows
            .iter()
            .flatten()
            .zip(headers)
            .map(|(w, header)| {
                let window = w.slice(text).unwrap_or_default();
                match header.and_then(|h| h.slice(text)) {
                    Some(header) => Cow::Owned(format!("{header}\n{window}")),
                    None => Cow::Borrowed(window),
                }
            })
    }

    /// Joins the document with the vectors of its windows, in the order of
    /// [`window_texts`](Self::window_texts).
    pub(crate) fn with_vectors(self, vectors: Vec<Vec<f32>>, embedder: String) -> Embedded {
        let mut vectors = vectors.into_iter();
        let vectors = self
            .windows
            .iter()
            .map(|w| vectors.by_ref().take(w.len()).collect())
            .collect();
        Embedded {
            chunked: self,
            vectors,
            embedder,
        }
    }
}

impl Embedded {
    /// Where the document came from.
    pub fn origin(&self) -> &str {
        self.chunked.origin()
    }
}

impl Collection {
    /// Parses a source. Bytes that are no document give [`Error::Parse`].
    ///
    /// # Errors
    /// [`Error::Parse`], [`Error::Reader`], [`Error::Interrupted`].
    pub fn parse(&self, source: Source, control: &Control) -> Result<Parsed> {
        let content_hash = source.content_hash();
        self.parse_hashed(source, content_hash, control)
    }

    pub(crate) fn parse_hashed(
        &self,
        source: Source,
        content_hash: String,
        control: &Control,
    ) -> Result<Parsed> {
        let document = self.engine().parse(&source, control)?;
        let meta = Meta {
            content_hash,
            bytes: source.bytes.len() as u64,
            id: source.id,
            filename: source.filename,
            origin: source.origin,
            tags: source.tags,
            time_ms: source.time_ms,
            parser: PARSER_VERSION.to_owned(),
        };
        Ok(Parsed { meta, document })
    }

    /// Cuts a document into chunks, and the chunks into the windows that will be embedded.
    ///
    /// # Errors
    /// [`Error::Chunk`], [`Error::Embed`] from the tokenizer, [`Error::Interrupted`].
    pub fn chunk(&self, parsed: Parsed, control: &Control) -> Result<Chunked> {
        control.check()?;
        let embedder = self.embedder()?;
        let Cut {
            chunks,
            windows,
            headers,
            tokens,
        } = self.engine().cut(&parsed.document, &*embedder)?;
        let tokens_total = tokens.len() as u64;
        let tokens_embedded = covered(&tokens, &windows.concat());
        Ok(Chunked {
            parsed,
            chunks,
            windows,
            headers,
            tokens_total,
            tokens_embedded,
        })
    }

    /// Embeds a document's windows.
    ///
    /// # Errors
    /// [`Error::Embed`], [`Error::Interrupted`].
    pub fn embed(&self, chunked: Chunked, control: &Control) -> Result<Embedded> {
        self.embed_with_progress(chunked, control, &mut |_, _| {})
    }

    /// The same; `progress` is told how many windows of how many are done, now and then.
    ///
    /// # Errors
    /// As [`embed`](Self::embed).
    pub fn embed_with_progress(
        &self,
        chunked: Chunked,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Embedded> {
        let embedder = self.embedder()?;
        let texts: Vec<Cow<'_, str>> = chunked.window_texts().collect();
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for part in texts.chunks(PART) {
            progress(vectors.len(), texts.len());
            vectors.extend(embedder.embed(part, TextKind::Passage, control)?);
        }
        progress(vectors.len(), texts.len());
        if vectors.len() != texts.len() {
            return Err(Error::invalid(format!(
                "the embedder {} gave {} vectors for {} texts",
                embedder.name(),
                vectors.len(),
                texts.len()
            )));
        }
        Ok(chunked.with_vectors(vectors, embedder.fingerprint()))
    }

    /// Writes documents. When it returns, they are durable and searchable, all of them.
    ///
    /// # Errors
    /// [`Error::Index`]; nothing is visible then.
    pub fn commit(&self, documents: Vec<Embedded>) -> Result<WriteReceipt> {
        let upserts = documents
            .into_iter()
            .map(|d| self.record(d))
            .collect::<Result<_>>()?;
        Ok(self.index().write(WriteBatch {
            upserts,
            deletes: Vec::new(),
        })?)
    }

    /// Takes all four steps for one source.
    ///
    /// # Errors
    /// Those of the steps; the collection is then as it was.
    pub fn add(&self, source: Source, control: &Control) -> Result<WriteReceipt> {
        let parsed = self.parse(source, control)?;
        let chunked = self.chunk(parsed, control)?;
        let embedded = self.embed(chunked, control)?;
        control.check()?;
        self.commit(vec![embedded])
    }

    /// Which parts would make a document today.
    pub(crate) fn fingerprint(&self, embedder: &dyn Embedder) -> Fingerprint {
        Fingerprint {
            parser: PARSER_VERSION.to_owned(),
            chunker: self.chunker(),
            embedder: embedder.fingerprint(),
        }
    }

    pub(super) fn chunker(&self) -> String {
        let chunking = self.engine().config().chunking;
        format!("{CHUNKER_VERSION}:{}/{}", chunking.size, chunking.overlap)
    }

    pub(super) fn record(&self, document: Embedded) -> Result<DocumentRecord> {
        let Embedded {
            chunked,
            vectors,
            embedder,
        } = document;
        let Chunked {
            parsed,
            chunks,
            windows,
            tokens_total,
            tokens_embedded,
            ..
        } = chunked;
        let Parsed { meta, document } = parsed;
        let Document {
            format,
            title,
            language,
            text,
            blocks,
            pages,
            warnings,
            links: _,
            layout: _,
        } = document;
        let extra = serde_json::to_vec(&Extra {
            format,
            blocks,
            pages,
            warnings,
        })
        .map_err(|e| Error::invalid(format!("cannot store the blocks: {e}")))?;
        let table_header =
            |chunk: &Chunk| Some(header_as_heading(chunk.table_header?.slice(&text)?));
        let chunks = chunks
            .into_iter()
            .map(|mut chunk| {
                // A chunk that begins within a table stands under the table's header too.
                chunk.heading_path.extend(table_header(&chunk));
                chunk
            })
            .zip(windows)
            .zip(vectors)
            .map(|((chunk, windows), vectors)| ChunkRecord {
                range: chunk.range.start..chunk.range.end,
                tokens: chunk.tokens as u32,
                pages: chunk.pages,
                heading_path: chunk.heading_path,
                windows: windows
                    .into_iter()
                    .zip(vectors)
                    .map(|(w, vector)| Window {
                        range: w.start..w.end,
                        vector,
                    })
                    .collect(),
            })
            .collect();
        Ok(DocumentRecord {
            id: meta.id,
            filename: meta.filename,
            source: meta.origin,
            format: format.name().to_owned(),
            title,
            language,
            tags: meta.tags,
            time_ms: meta.time_ms,
            bytes: meta.bytes,
            content_hash: meta.content_hash,
            text,
            extra,
            fingerprint: Fingerprint {
                parser: meta.parser,
                chunker: self.chunker(),
                embedder,
            },
            tokens_total,
            tokens_embedded,
            chunks,
        })
    }
}

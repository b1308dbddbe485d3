//! Documents made by older parts, made again.

use std::path::PathBuf;
use std::time::Instant;

use faq_index::{DocumentInfo, WriteBatch};
use faq_ingest::{Document, Format};
use serde::Serialize;

use super::steps::{Extra, Meta, Parsed};
use super::{Embedded, Failure, Source};
use crate::{Collection, Control, Embedder, Error, Result};

/// What a reindex did.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ReindexReport {
    /// Documents made again from their files.
    pub from_files: usize,
    /// Documents made again from their stored text, because their file is gone or was changed.
    pub from_store: usize,
    /// Documents that were up to date.
    pub unchanged: usize,
    /// Whether the whole collection was made anew, for another embedder.
    pub rebuilt: bool,
    /// Documents that could not be made again; their old state stays.
    pub failed: Vec<Failure>,
    /// Wall-clock time, in seconds.
    pub seconds: f64,
}

impl Collection {
    /// Makes documents again that were made by another parser, chunker or embedder, or by
    /// other settings. The old state answers until the new one is whole. After a change of
    /// embedder, take a new handle from the engine.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::Embed`], [`Error::Index`], [`Error::Interrupted`].
    pub fn reindex(
        &self,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<ReindexReport> {
        let started = Instant::now();
        let embedder = self.embedder()?;
        let made_by = self.index().embedder()?;
        let mut report = ReindexReport::default();
        if made_by.is_some_and(|found| found != embedder.fingerprint()) {
            self.rebuild(&*embedder, control, progress, &mut report)?;
        } else {
            let total = self.index().documents()?.len();
            let stale = self.index().stale(&self.fingerprint(&*embedder))?;
            report.unchanged = total - stale.len();
            for (done, info) in stale.iter().enumerate() {
                progress(done, stale.len());
                if let Some(document) = self.again(info, control, &mut report)? {
                    self.commit(vec![document])?;
                }
            }
            progress(stale.len(), stale.len());
        }
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Makes every document again in a collection beside this one, then puts it in this
    /// one's place.
    fn rebuild(
        &self,
        embedder: &dyn Embedder,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
        report: &mut ReindexReport,
    ) -> Result<()> {
        report.rebuilt = true;
        let engine = self.engine();
        let dir = engine.collection_dir(self.name());
        // Names with a dot first are no collections, so nobody opens these.
        let beside = |suffix: &str| engine.collection_dir(&format!(".{}.{suffix}", self.name()));
        let (next, old) = (beside("next"), beside("old"));
        remove(&next)?;
        let config = faq_index::CollectionConfig {
            dim: embedder.dim(),
            graph_min_vectors: engine.config().graph_min_vectors,
            ..faq_index::CollectionConfig::default()
        };
        let made = faq_index::Collection::open(&next, config)?;
        let documents = self.index().documents()?;
        for (done, info) in documents.iter().enumerate() {
            progress(done, documents.len());
            if let Some(document) = self.again(info, control, report)? {
                let upserts = vec![self.record(document)?];
                made.write(WriteBatch {
                    upserts,
                    deletes: Vec::new(),
                })?;
            }
        }
        progress(documents.len(), documents.len());
        if !report.failed.is_empty() {
            drop(made);
            remove(&next)?;
            return Err(Error::invalid(format!(
                "{} of {} documents could not be made again, the first for this reason: {}; \
                 the collection stays as it was",
                report.failed.len(),
                documents.len(),
                report.failed[0].error
            )));
        }
        drop(made);
        engine.forget(self.name());
        remove(&old)?;
        let io = |path: &PathBuf| {
            let path = path.clone();
            move |source| Error::Io { path, source }
        };
        std::fs::rename(&dir, &old).map_err(io(&dir))?;
        std::fs::rename(&next, &dir).map_err(io(&next))?;
        remove(&old)
    }

    /// One document made again, or `None` where that failed and the report says why.
    fn again(
        &self,
        info: &DocumentInfo,
        control: &Control,
        report: &mut ReindexReport,
    ) -> Result<Option<Embedded>> {
        let parsed = match self.parse_again(info, control) {
            Ok(Some(parsed)) => {
                report.from_files += 1;
                Ok(parsed)
            }
            // Its text cannot be read again, and all that is made of the text is up to date.
            Ok(None) if !report.rebuilt && info.fingerprint.chunker == self.chunker() => {
                report.unchanged += 1;
                return Ok(None);
            }
            Ok(None) => {
                report.from_store += 1;
                self.stored(info)
            }
            Err(e) => Err(e),
        };
        let made = parsed
            .and_then(|p| self.chunk(p, control))
            .and_then(|c| self.embed(c, control));
        match made {
            Ok(document) => Ok(Some(document)),
            Err(e) if e.is_interrupted() => Err(e),
            Err(e) => {
                report.failed.push(Failure::new(info.source.as_ref(), &e));
                Ok(None)
            }
        }
    }

    /// The document parsed again, where its file is there with the same bytes.
    fn parse_again(&self, info: &DocumentInfo, control: &Control) -> Result<Option<Parsed>> {
        if info.source.is_empty() {
            return Ok(None);
        }
        let limit = self.engine().config().limits.file_bytes;
        let Ok(mut source) = Source::read(info.source.as_ref(), limit) else {
            return Ok(None);
        };
        if source.content_hash() != info.content_hash {
            return Ok(None);
        }
        source.id = info.id;
        source.tags.clone_from(&info.tags);
        self.parse(source, control).map(Some)
    }

    /// The document as it was parsed when it was written.
    fn stored(&self, info: &DocumentInfo) -> Result<Parsed> {
        let gone = || Error::invalid(format!("{} was deleted meanwhile", info.filename));
        let stored = self.index().document(info.id)?.ok_or_else(gone)?;
        let extra: Option<Extra> = serde_json::from_slice(&stored.extra).ok();
        let (format, blocks, pages, warnings) = extra.map_or_else(
            || (Format::Text, Vec::new(), Vec::new(), Vec::new()),
            |e| (e.format, e.blocks, e.pages, e.warnings),
        );
        Ok(Parsed {
            meta: Meta {
                id: info.id,
                filename: info.filename.clone(),
                origin: info.source.clone(),
                tags: info.tags.clone(),
                time_ms: info.time_ms,
                bytes: info.bytes,
                content_hash: info.content_hash.clone(),
                parser: info.fingerprint.parser.clone(),
            },
            document: Document {
                format,
                title: info.title.clone(),
                language: info.language.clone(),
                text: stored.text,
                blocks,
                pages,
                warnings,
                // Not stored: nothing that is made of a document again needs them.
                links: Vec::new(),
                layout: None,
            },
        })
    }
}

fn remove(dir: &PathBuf) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Io {
            path: dir.clone(),
            source,
        }),
    }
}

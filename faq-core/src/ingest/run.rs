//! Files and folders into a collection.
//!
//! Three threads, a bounded channel between each: one reads, parses and chunks; the caller's
//! embeds; one commits. So parsing and writing hide behind the vectors, and memory is
//! bounded by a few groups of documents.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use faq_index::{DocumentId, DocumentInfo, WriteBatch};

use super::files::{self, Found};
use super::steps::Embedded;
use super::{Chunked, Failure, FileWarning, IngestReport, Progress, Source, Stage, document_id};
use crate::{Collection, Control, Embedder, Result, TextKind};

/// Windows after which a group of documents is complete.
const GROUP_WINDOWS: usize = 64;

/// Documents after which a group is complete, however small they are.
const GROUP_DOCUMENTS: usize = 32;

/// Bytes of window text that go to the embedder at once: enough that its threads end at about the
/// same time, few enough that progress is seen every second or two.
const SLICE_BYTES: usize = 64 * 1024;

/// How to ingest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngestOptions {
    /// Labels for the documents.
    pub tags: BTreeSet<String>,
    /// Whether to remove documents whose file below the paths given is gone.
    pub prune: bool,
}

/// Whether every one of `paths` stands for something: a collection need not be made first to
/// find out.
///
/// # Errors
/// As [`Collection::ingest`] gives them for a path that stands for nothing.
pub fn check_paths(paths: &[PathBuf], control: &Control) -> Result<()> {
    files::find(paths, false, control).map(drop)
}

/// What the reading thread hands on.
#[derive(Default)]
struct Group {
    documents: Vec<Chunked>,
    failed: Vec<Failure>,
    unchanged: usize,
    /// Bytes of files that need no vectors.
    bytes_skipped: u64,
    files: usize,
    warnings: Vec<FileWarning>,
    /// Documents whose file holds no text any more.
    emptied: Vec<DocumentId>,
    read: f64,
    parse: f64,
    chunk: f64,
}

/// What the committing thread hands back.
struct Committed {
    result: Result<(usize, usize)>,
    origins: Vec<String>,
    seconds: f64,
}

impl Collection {
    /// Ingests files, folders and patterns. Unchanged documents are skipped, changed ones
    /// replaced; a file that fails is named in the report and stops nothing else.
    ///
    /// `progress` is called on this thread, several times a second while there is work.
    /// When `control` ends the work, what was committed stays, and the report says so.
    ///
    /// # Errors
    /// [`Error::NoSuchFile`](crate::Error::NoSuchFile) and [`Error::Pattern`](crate::Error::Pattern) for a path that stands for nothing,
    /// [`Error::Model`](crate::Error::Model) and [`Error::Embed`](crate::Error::Embed) for the model, [`Error::Index`](crate::Error::Index) for the collection.
    pub fn ingest(
        &self,
        paths: &[PathBuf],
        options: &IngestOptions,
        control: &Control,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<IngestReport> {
        let started = Instant::now();
        let mut state = State::new(progress);
        state.tell(Stage::Scanning);
        let found = files::find(paths, options.prune, control)?;
        state.found(&found);
        let embedder = self.embedder()?;
        self.check_embedder(&*embedder)?;
        let known = self.known()?;
        found.check_unmatched(&known.values().map(|info| info.source.as_str()))?;
        let outcome = self.work(&found, &known, &*embedder, options, control, &mut state);
        match outcome {
            Err(e) if e.is_interrupted() => {
                state.report.interrupted = Some(
                    control
                        .check()
                        .err()
                        .unwrap_or(crate::Interrupted::Cancelled),
                );
            }
            other => other?,
        }
        let mut gone = std::mem::take(&mut state.emptied);
        if options.prune && state.report.interrupted.is_none() {
            let files_gone = known.values().filter(|info| found.is_gone(&info.source));
            gone.extend(files_gone.map(|info| info.id));
        }
        if !gone.is_empty() {
            let batch = WriteBatch {
                upserts: Vec::new(),
                deletes: gone,
            };
            state.report.removed = self.index().write(batch)?.deleted.len();
        }
        state.report.seconds = started.elapsed().as_secs_f64();
        state.tell(Stage::Done);
        Ok(state.report)
    }

    fn known(&self) -> Result<HashMap<DocumentId, DocumentInfo>> {
        Ok(self
            .index()
            .documents()?
            .into_iter()
            .map(|info| (info.id, info))
            .collect())
    }

    fn work(
        &self,
        found: &Found,
        known: &HashMap<DocumentId, DocumentInfo>,
        embedder: &dyn Embedder,
        options: &IngestOptions,
        control: &Control,
        state: &mut State<'_>,
    ) -> Result<()> {
        let (to_embed, groups) = sync_channel::<Result<Group>>(1);
        let (to_commit, batches) = sync_channel::<Vec<Embedded>>(1);
        let (acknowledge, acknowledged) = sync_channel::<Committed>(64);
        std::thread::scope(|scope| {
            let reader = Reader {
                collection: self,
                known,
                embedder,
                options,
                control,
            };
            scope.spawn(move || reader.run(&found.files, &to_embed));
            scope.spawn(move || self.commit_all(&batches, &acknowledge));
            let outcome = embed_all(&groups, &to_commit, &acknowledged, embedder, control, state);
            // The reader ends at its next send, the committer when its channel is empty.
            drop(groups);
            drop(to_commit);
            let mut result = outcome;
            for committed in acknowledged {
                result = result.and(state.committed(committed));
            }
            result
        })
    }

    fn commit_all(&self, batches: &Receiver<Vec<Embedded>>, acknowledge: &SyncSender<Committed>) {
        for batch in batches {
            let started = Instant::now();
            let origins = batch.iter().map(|d| d.origin().to_owned()).collect();
            let result = self
                .commit(batch)
                .map(|receipt| (receipt.added, receipt.replaced));
            let seconds = started.elapsed().as_secs_f64();
            let failed = result.is_err();
            if acknowledge
                .send(Committed {
                    result,
                    origins,
                    seconds,
                })
                .is_err()
                || failed
            {
                return;
            }
        }
    }
}

/// The reading thread: files into groups of chunked documents.
struct Reader<'a> {
    collection: &'a Collection,
    known: &'a HashMap<DocumentId, DocumentInfo>,
    embedder: &'a dyn Embedder,
    options: &'a IngestOptions,
    control: &'a Control,
}

impl Reader<'_> {
    fn run(&self, files: &[(PathBuf, u64)], to_embed: &SyncSender<Result<Group>>) {
        let mut group = Group::default();
        let mut windows = 0;
        for (path, bytes) in files {
            match self.file(path, &mut group) {
                Ok(Some(document)) => {
                    windows += document.window_texts().count();
                    group.documents.push(document);
                }
                Ok(None) => group.bytes_skipped += bytes,
                Err(e) if e.is_interrupted() => {
                    let _gone = to_embed.send(Err(e));
                    return;
                }
                Err(e) => {
                    group.bytes_skipped += bytes;
                    let mut failure = Failure::new(path, &e);
                    // What cannot be read may be half of a file that is being written; what is
                    // read to hold no text says nothing of what it said before.
                    if matches!(e.code(), "empty" | "no_text")
                        && let Some(info) = self.known_at(path)
                    {
                        failure.error += "; the text that it held before was removed";
                        group.emptied.push(info.id);
                    }
                    group.failed.push(failure);
                }
            }
            group.files += 1;
            if windows >= GROUP_WINDOWS || group.files >= GROUP_DOCUMENTS {
                windows = 0;
                if to_embed.send(Ok(std::mem::take(&mut group))).is_err() {
                    return;
                }
            }
        }
        let _gone = to_embed.send(Ok(group));
    }

    /// The document of the file at `path`, as it was before.
    fn known_at(&self, path: &Path) -> Option<&DocumentInfo> {
        let origin = std::path::absolute(path).ok()?;
        self.known.get(&document_id(&origin.to_string_lossy()))
    }

    /// The chunked document, or `None` where it is here already, the same.
    fn file(&self, path: &Path, group: &mut Group) -> Result<Option<Chunked>> {
        self.control.check()?;
        let clock = Instant::now();
        let limit = self.collection.engine().config().limits.file_bytes;
        let mut source = Source::read(path, limit)?;
        let known = self.known.get(&source.id);
        let content_hash = source.content_hash();
        let same = known.is_some_and(|info| {
            info.content_hash == content_hash
                && info.fingerprint == self.collection.fingerprint(self.embedder)
                && (self.options.tags.is_empty() || info.tags == self.options.tags)
        });
        group.read += clock.elapsed().as_secs_f64();
        if same {
            group.unchanged += 1;
            return Ok(None);
        }
        source.tags = match known {
            Some(info) if self.options.tags.is_empty() => info.tags.clone(),
            _ => self.options.tags.clone(),
        };
        let clock = Instant::now();
        let parsed = self
            .collection
            .parse_hashed(source, content_hash, self.control);
        group.parse += clock.elapsed().as_secs_f64();
        let parsed = parsed?;
        for warning in &parsed.document.warnings {
            group.warnings.push(FileWarning {
                path: path.to_owned(),
                code: warning.code.clone(),
                page: warning.page,
                message: warning.message.clone(),
            });
        }
        let clock = Instant::now();
        let chunked = self.collection.chunk(parsed, self.control);
        group.chunk += clock.elapsed().as_secs_f64();
        chunked.map(Some)
    }
}

/// The caller's thread: groups into vectors.
fn embed_all(
    groups: &Receiver<Result<Group>>,
    to_commit: &SyncSender<Vec<Embedded>>,
    acknowledged: &Receiver<Committed>,
    embedder: &dyn Embedder,
    control: &Control,
    state: &mut State<'_>,
) -> Result<()> {
    for group in groups {
        let mut group = group?;
        state.read(&mut group);
        while let Ok(committed) = acknowledged.try_recv() {
            state.committed(committed)?;
        }
        if group.documents.is_empty() {
            continue;
        }
        let vectors = embed_group(&group.documents, embedder, control, state)?;
        let fingerprint = embedder.fingerprint();
        let documents: Vec<Embedded> = group
            .documents
            .into_iter()
            .zip(vectors)
            .map(|(document, vectors)| {
                state.embedded(&document);
                document.with_vectors(vectors, fingerprint.clone())
            })
            .collect();
        // The committer is gone where a write failed; its acknowledgement says why.
        if to_commit.send(documents).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Vectors of each document's windows. Windows of like length go together, whichever
/// documents they come from.
fn embed_group(
    documents: &[Chunked],
    embedder: &dyn Embedder,
    control: &Control,
    state: &mut State<'_>,
) -> Result<Vec<Vec<Vec<f32>>>> {
    let mut windows: Vec<(usize, usize, Cow<'_, str>)> = Vec::new();
    let mut vectors: Vec<Vec<Vec<f32>>> = Vec::with_capacity(documents.len());
    for (d, document) in documents.iter().enumerate() {
        windows.extend(
            document
                .window_texts()
                .enumerate()
                .map(|(w, text)| (d, w, text)),
        );
        vectors.push(vec![Vec::new(); document.window_texts().count()]);
    }
    windows.sort_by_key(|(_, _, text)| std::cmp::Reverse(text.len()));
    let mut rest = windows.as_slice();
    while !rest.is_empty() {
        control.check()?;
        let clock = Instant::now();
        let mut bytes = 0;
        let taken = rest
            .iter()
            .take_while(|(_, _, text)| {
                let fits = bytes == 0 || bytes + text.len() <= SLICE_BYTES;
                bytes += text.len();
                fits
            })
            .count();
        let (slice, left) = rest.split_at(taken);
        let texts: Vec<&str> = slice.iter().map(|(_, _, text)| &**text).collect();
        let found = embedder.embed(&texts, TextKind::Passage, control)?;
        for ((d, w, _), vector) in slice.iter().zip(found) {
            state.bytes_within += documents[*d].meta().bytes as f64 / vectors[*d].len() as f64;
            vectors[*d][*w] = vector;
        }
        rest = left;
        state.report.stages.embed += clock.elapsed().as_secs_f64();
        state.tell(Stage::Working);
    }
    Ok(vectors)
}

/// What is known so far, and whom to tell.
struct State<'a> {
    report: IngestReport,
    told: Progress,
    /// Bytes of documents whose vectors are being computed; a fraction of each.
    bytes_within: f64,
    bytes_skipped: u64,
    emptied: Vec<DocumentId>,
    progress: &'a mut dyn FnMut(&Progress),
}

impl<'a> State<'a> {
    fn new(progress: &'a mut dyn FnMut(&Progress)) -> Self {
        let told = Progress {
            stage: Stage::Scanning,
            files_done: 0,
            files_total: 0,
            bytes_done: 0,
            bytes_total: 0,
            chunks: 0,
            committed: Vec::new(),
            failed: Vec::new(),
        };
        Self {
            report: IngestReport::default(),
            told,
            bytes_within: 0.0,
            bytes_skipped: 0,
            emptied: Vec::new(),
            progress,
        }
    }

    fn tell(&mut self, stage: Stage) {
        self.told.stage = stage;
        self.told.bytes_done =
            (self.bytes_skipped + self.bytes_within.round() as u64).min(self.told.bytes_total);
        (self.progress)(&self.told);
        self.told.committed.clear();
        self.told.failed.clear();
    }

    fn found(&mut self, found: &Found) {
        self.told.files_total = found.files.len();
        self.told.bytes_total = found.files.iter().map(|(_, bytes)| bytes).sum();
        self.told.failed.clone_from(&found.failed);
        self.report.failed.clone_from(&found.failed);
        self.report.warnings.clone_from(&found.skipped);
        self.tell(Stage::Working);
    }

    fn read(&mut self, group: &mut Group) {
        let stages = &mut self.report.stages;
        stages.read += group.read;
        stages.parse += group.parse;
        stages.chunk += group.chunk;
        self.report.unchanged += group.unchanged;
        self.report.failed.extend_from_slice(&group.failed);
        self.report.warnings.append(&mut group.warnings);
        self.emptied.append(&mut group.emptied);
        self.told.failed.append(&mut group.failed);
        self.bytes_skipped += group.bytes_skipped;
        self.told.files_done += group.files - group.documents.len();
        self.tell(Stage::Working);
    }

    fn embedded(&mut self, document: &Chunked) {
        self.report.chunks += document.chunks.len();
        self.report.vectors += document.window_texts().count();
        self.report.tokens_total += document.tokens_total;
        self.report.tokens_embedded += document.tokens_embedded;
        self.told.files_done += 1;
        self.told.chunks += document.chunks.len();
    }

    fn committed(&mut self, mut committed: Committed) -> Result<()> {
        self.report.stages.commit += committed.seconds;
        let (added, replaced) = committed.result?;
        self.report.added += added;
        self.report.updated += replaced;
        self.told.committed.append(&mut committed.origins);
        self.tell(Stage::Working);
        Ok(())
    }
}

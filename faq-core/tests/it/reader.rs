//! A reader of the caller's own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use faq_core::{
    ChunkConfig, Control, Document, DocumentReader, Engine, EngineConfig, Error, InProcess,
    IngestOptions, Limits, ReaderError, Result, Source,
};

use crate::support::minilm;

const RULES: &str = "# Rules\n\nBe kind to each other, and wash your own cup.\n";

/// Counts what it reads, and does not survive a file named `crash.md`.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl DocumentReader for Counting {
    fn read(&self, source: &Source, limits: &Limits, control: &Control) -> Result<Document> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if source.filename == "crash.md" {
            return Err(Error::Reader(ReaderError {
                code: "crashed",
                message: "the reader crashed".to_owned(),
                retryable: true,
            }));
        }
        InProcess::default().read(source, limits, control)
    }
}

fn engine(data: &Path, reader: &Arc<Counting>, chunking: ChunkConfig) -> Engine {
    let mut config = EngineConfig::new(data);
    config.reader = Arc::clone(reader) as Arc<dyn DocumentReader>;
    config.chunking = chunking;
    Engine::with_embedder(config, minilm()).unwrap()
}

#[test]
fn everything_that_parses_goes_through_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let docs = dir.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("rules.md"), RULES).unwrap();
    std::fs::write(docs.join("crash.md"), RULES).unwrap();
    let reader = Arc::new(Counting::default());
    let reads = || reader.0.swap(0, Ordering::Relaxed);
    {
        let engine = engine(&data, &reader, ChunkConfig::default());
        let collection = engine.collection("default").unwrap();
        let report = collection
            .ingest(
                std::slice::from_ref(&docs),
                &IngestOptions::default(),
                &Control::new(),
                &mut |_| {},
            )
            .unwrap();
        assert_eq!((report.added, report.failed.len()), (1, 1));
        assert_eq!(report.failed[0].code, "crashed");
        assert_eq!(reads(), 2);

        let source = Source::new("rules.md", RULES);
        let document = engine.parse(&source, &Control::new()).unwrap();
        assert_eq!(document.blocks.len(), 2);
        let parsed = collection.parse(source, &Control::new()).unwrap();
        assert_eq!(parsed.document, document);
        assert_eq!(reads(), 2);
    }
    let smaller = ChunkConfig {
        size: 16,
        overlap: 4,
    };
    let engine = engine(&data, &reader, smaller);
    let collection = engine.collection("default").unwrap();
    let report = collection.reindex(&Control::new(), &mut |_, _| {}).unwrap();
    assert_eq!((report.from_files, reads()), (1, 1));
}

#[test]
fn a_reader_that_stops_for_the_caller_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let reader = Arc::new(Counting::default());
    let engine = engine(dir.path(), &reader, ChunkConfig::default());
    let control = Control::new();
    control.cancel.cancel();
    let error = engine
        .parse(&Source::new("rules.md", RULES), &control)
        .unwrap_err();
    assert!(error.is_interrupted(), "{error}");
    assert_eq!(reader.0.load(Ordering::Relaxed), 0);
}

//! Documents in, passages out, on the real embedding model.

use std::path::Path;
use std::sync::Arc;

use faq_core::{
    ChunkConfig, Collection, Control, Embedder, Engine, EngineConfig, Error, Filter, IndexError,
    IngestOptions, IngestReport, Interrupted, Mode, SearchOptions, Source, Stage,
};

use crate::support::{Other, minilm};

const LEAVE: &str = "# Leave\n\nEvery employee has twenty-eight days of annual leave a year.\n\n\
                     ## Sick leave\n\nTell your manager by nine on the first day.\n";
const TRAVEL: &str = "# Travel\n\nTrains are booked in second class. Flights need the approval \
                      of the head of department.\n";

fn config(data: &Path) -> EngineConfig {
    EngineConfig::new(data)
}

fn engine(config: EngineConfig) -> Engine {
    Engine::with_embedder(config, minilm()).unwrap()
}

fn ingest(collection: &Collection, paths: &[&Path], options: &IngestOptions) -> IngestReport {
    let paths: Vec<_> = paths.iter().map(|p| p.to_path_buf()).collect();
    collection
        .ingest(&paths, options, &Control::new(), &mut |_| {})
        .unwrap()
}

fn best(collection: &Collection, question: &str, mode: Mode) -> String {
    let options = SearchOptions {
        mode,
        ..SearchOptions::default()
    };
    let found = collection
        .search(question, &options, &Control::new())
        .unwrap();
    found
        .hits
        .first()
        .map(|hit| hit.filename.clone())
        .unwrap_or_default()
}

#[test]
fn a_folder_is_ingested_kept_up_to_date_and_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let docs = dir.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("leave.md"), LEAVE).unwrap();
    std::fs::write(docs.join("travel.md"), TRAVEL).unwrap();
    std::fs::write(docs.join("empty.txt"), "").unwrap();
    let engine = engine(config(&dir.path().join("data")));
    let collection = engine.collection("default").unwrap();
    let options = IngestOptions::default();

    let report = ingest(&collection, &[&docs], &options);
    assert_eq!((report.added, report.updated, report.unchanged), (2, 0, 0));
    assert_eq!(report.failed.len(), 1);
    assert_eq!(report.failed[0].code, "empty");
    assert!(report.tokens_total > 40, "{report:?}");
    assert_eq!(report.tokens_total, report.tokens_embedded);

    for mode in [Mode::Hybrid, Mode::Dense, Mode::Keyword] {
        assert_eq!(
            best(&collection, "How much annual leave do I have?", mode),
            "leave.md"
        );
        assert_eq!(
            best(&collection, "Who approves flights?", mode),
            "travel.md"
        );
    }

    let report = ingest(&collection, &[&docs], &options);
    assert_eq!((report.added, report.updated, report.unchanged), (0, 0, 2));

    std::fs::write(
        docs.join("leave.md"),
        LEAVE.replace("twenty-eight", "thirty"),
    )
    .unwrap();
    std::fs::remove_file(docs.join("travel.md")).unwrap();
    let report = ingest(&collection, &[&docs], &options);
    assert_eq!((report.added, report.updated, report.removed), (0, 1, 0));
    assert_eq!(collection.documents().unwrap().len(), 2);
    let report = ingest(
        &collection,
        &[&docs],
        &IngestOptions {
            prune: true,
            ..options
        },
    );
    assert_eq!((report.unchanged, report.removed), (1, 1));
    assert_eq!(
        best(&collection, "Who approves flights?", Mode::Keyword),
        ""
    );
    let text = &collection
        .search("annual leave", &SearchOptions::default(), &Control::new())
        .unwrap()
        .hits[0]
        .text;
    assert!(text.contains("thirty"), "{text}");
}

#[test]
fn an_emptied_file_no_longer_answers() {
    let dir = tempfile::tempdir().unwrap();
    let docs = dir.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("leave.md"), LEAVE).unwrap();
    std::fs::write(docs.join("travel.md"), TRAVEL).unwrap();
    let engine = engine(config(&dir.path().join("data")));
    let collection = engine.collection("default").unwrap();
    let options = IngestOptions::default();
    ingest(&collection, &[&docs], &options);

    // What cannot be read may be a file that is being written: its old text stays.
    std::fs::write(docs.join("leave.md"), "").unwrap();
    std::fs::write(docs.join("travel.md"), b"%PDF-1.4 cut").unwrap();
    let report = ingest(&collection, &[&docs], &options);
    assert_eq!((report.unchanged, report.removed), (0, 1));
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|f| (f.code.as_str(), f.error.contains("was removed")))
        .collect();
    assert_eq!(failed[0], ("empty", true));
    assert!(!failed[1].1, "{failed:?}");
    assert_eq!(best(&collection, "annual leave", Mode::Keyword), "");
    assert_eq!(
        best(&collection, "Who approves flights?", Mode::Keyword),
        "travel.md"
    );

    // Named again, as any file without text; blank is as good as empty.
    let report = ingest(&collection, &[&docs], &options);
    assert_eq!((report.failed.len(), report.removed), (2, 0));
    assert!(!report.failed[0].error.contains("was removed"));
    std::fs::write(docs.join("leave.md"), LEAVE).unwrap();
    assert_eq!(ingest(&collection, &[&docs], &options).added, 1);
    std::fs::write(docs.join("leave.md"), " \n\n ").unwrap();
    assert_eq!(ingest(&collection, &[&docs], &options).removed, 1);
}

#[test]
fn the_steps_can_be_taken_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let collection = engine(config(dir.path())).collection("steps").unwrap();
    let control = Control::new();
    let parsed = collection
        .parse(Source::new("leave.md", LEAVE), &control)
        .unwrap();
    assert!(parsed.text().contains("twenty-eight"));
    let chunked = collection.chunk(parsed, &control).unwrap();
    assert_eq!(chunked.tokens_total, chunked.tokens_embedded);
    let embedded = collection.embed(chunked, &control).unwrap();
    assert_eq!(best(&collection, "leave", Mode::Hybrid), "");
    let receipt = collection.commit(vec![embedded]).unwrap();
    assert_eq!(receipt.added, 1);
    assert_eq!(best(&collection, "leave", Mode::Hybrid), "leave.md");

    control.cancel.cancel();
    let stopped = collection.parse(Source::new("a.md", TRAVEL), &control);
    assert!(matches!(
        stopped,
        Err(Error::Interrupted(Interrupted::Cancelled))
    ));
}

#[test]
fn long_chunks_have_several_windows_that_the_model_reads_whole() {
    let dir = tempfile::tempdir().unwrap();
    let collection = engine(config(dir.path())).collection("windows").unwrap();
    let model = minilm();
    let mut text = String::new();
    for i in 0..900 {
        let paragraph = [
            "Paragraph ",
            &i.to_string(),
            " speaks of invoices, parcels and unforeseeable weather. ",
        ];
        text.extend(paragraph);
    }
    text.push_str("The secret ingredient of the pudding is cardamom.");
    let control = Control::new();
    collection
        .add(Source::new("long.txt", text), &control)
        .unwrap();
    let info = &collection.documents().unwrap()[0];
    assert_eq!(info.tokens_total, info.tokens_embedded);
    assert!(info.vectors > info.chunks);
    for chunk in collection.chunks(info.id).unwrap() {
        assert!(chunk.tokens <= 1000);
        for window in chunk.windows {
            let text =
                &chunk.text[window.start - chunk.range.start..window.end - chunk.range.start];
            let tokens = model.token_offsets(text).unwrap().len();
            assert!(
                tokens <= model.window_tokens(),
                "{tokens} tokens in a window"
            );
        }
    }
    let options = SearchOptions {
        mode: Mode::Dense,
        ..SearchOptions::default()
    };
    let found = collection
        .search("What is in the pudding?", &options, &control)
        .unwrap();
    assert!(found.hits[0].text.ends_with("cardamom."));
}

#[test]
fn a_cancelled_ingest_keeps_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let docs = dir.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    for i in 0..200 {
        std::fs::write(
            docs.join(format!("{i}.md")),
            format!("# Note {i}\n\n{}", LEAVE.repeat(3)),
        )
        .unwrap();
    }
    let collection = engine(config(&dir.path().join("data")))
        .collection("default")
        .unwrap();
    let control = Control::new();
    let cancel = control.cancel.clone();
    let mut acknowledged = Vec::new();
    let mut last = 0;
    let report = collection
        .ingest(
            &[docs],
            &IngestOptions::default(),
            &control,
            &mut |progress| {
                acknowledged.extend(progress.committed.iter().cloned());
                assert!(progress.bytes_done >= last && progress.bytes_done <= progress.bytes_total);
                last = progress.bytes_done;
                if !acknowledged.is_empty() && progress.stage == Stage::Working {
                    cancel.cancel();
                }
            },
        )
        .unwrap();
    assert_eq!(report.interrupted, Some(Interrupted::Cancelled));
    let kept: Vec<String> = collection
        .documents()
        .unwrap()
        .into_iter()
        .map(|d| d.source)
        .collect();
    assert_eq!(report.added, kept.len());
    assert!(kept.len() < 200 && !acknowledged.is_empty());
    assert!(acknowledged.iter().all(|origin| kept.contains(origin)));
}

#[test]
fn filters_restrict_what_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let collection = engine(config(dir.path())).collection("default").unwrap();
    for (name, tag) in [("a.md", "red"), ("b.md", "blue"), ("c.txt", "blue")] {
        let mut source = Source::new(name, LEAVE);
        source.tags.insert(tag.into());
        collection.add(source, &Control::new()).unwrap();
    }
    let names = |filter: Filter| {
        let options = SearchOptions {
            filter,
            ..SearchOptions::default()
        };
        let found = collection
            .search("annual leave", &options, &Control::new())
            .unwrap();
        let mut names: Vec<String> = found.hits.into_iter().map(|h| h.filename).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names(Filter::default()), ["a.md", "b.md", "c.txt"]);
    let blue = Filter {
        tags: ["blue".into()].into(),
        ..Filter::default()
    };
    assert_eq!(names(blue.clone()), ["b.md", "c.txt"]);
    assert_eq!(
        names(Filter {
            formats: ["markdown".into()].into(),
            ..blue
        }),
        ["b.md"]
    );
}

#[test]
fn reindex_follows_a_change_of_settings_or_embedder() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = dir.path().join("leave.md");
    std::fs::write(&file, LEAVE).unwrap();
    {
        let collection = engine(config(&data)).collection("default").unwrap();
        ingest(&collection, &[&file], &IngestOptions::default());
        collection
            .add(Source::new("travel.md", TRAVEL), &Control::new())
            .unwrap();
    }
    {
        let chunking = ChunkConfig {
            size: 16,
            overlap: 4,
        };
        let collection = engine(EngineConfig {
            chunking,
            ..config(&data)
        })
        .collection("default")
        .unwrap();
        let before: u64 = collection
            .documents()
            .unwrap()
            .iter()
            .map(|d| d.chunks)
            .sum();
        let report = collection.reindex(&Control::new(), &mut |_, _| {}).unwrap();
        assert_eq!(
            (report.from_files, report.from_store, report.rebuilt),
            (1, 1, false)
        );
        let after: u64 = collection
            .documents()
            .unwrap()
            .iter()
            .map(|d| d.chunks)
            .sum();
        assert!(
            after > before,
            "{after} chunks of 16 tokens, {before} of 1000"
        );
        assert_eq!(
            collection
                .reindex(&Control::new(), &mut |_, _| {})
                .unwrap()
                .unchanged,
            2
        );
    }
    let engine = Engine::with_embedder(config(&data), Arc::new(Other(minilm()))).unwrap();
    let collection = engine.collection("default").unwrap();
    let refused = collection.search("leave", &SearchOptions::default(), &Control::new());
    assert!(
        matches!(refused, Err(Error::Index(IndexError::OtherEmbedder { .. }))),
        "{refused:?}"
    );
    let report = collection.reindex(&Control::new(), &mut |_, _| {}).unwrap();
    assert!(report.rebuilt && report.failed.is_empty());
    drop(collection);
    let collection = engine.collection("default").unwrap();
    assert_eq!(best(&collection, "annual leave", Mode::Hybrid), "leave.md");
    assert_eq!(
        best(&collection, "Who approves flights?", Mode::Dense),
        "travel.md"
    );
}

#[test]
fn questions_and_names_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(config(dir.path()));
    let collection = engine.collection("default").unwrap();
    let search = |question: &str, k: usize| {
        let options = SearchOptions {
            k,
            ..SearchOptions::default()
        };
        collection
            .search(question, &options, &Control::new())
            .map(|r| r.hits.len())
    };
    assert!(matches!(search("", 3), Err(Error::EmptyQuestion)));
    assert!(matches!(search(" ?!\u{0} ", 3), Err(Error::EmptyQuestion)));
    assert!(matches!(
        search(&"why ".repeat(30_000), 3),
        Err(Error::QuestionTooLong { .. })
    ));
    assert!(matches!(
        search("why", 0),
        Err(Error::Index(IndexError::Invalid { .. }))
    ));
    assert_eq!(search("why", 3).unwrap(), 0);
    for name in ["", "../x", "a/b", ".hidden", "a b", &"x".repeat(129)] {
        assert!(engine.collection(name).is_err(), "{name}");
    }
    assert!(engine.existing_collection("nothing").is_err());
    assert_eq!(engine.collections().unwrap(), ["default"]);
    let chunking = ChunkConfig {
        size: 10,
        overlap: 10,
    };
    assert!(matches!(
        Engine::with_config(EngineConfig {
            chunking,
            ..config(dir.path())
        }),
        Err(Error::Invalid { .. })
    ));
}

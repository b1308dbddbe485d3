//! From a directory to an open collection: every projection is brought to the state of truth.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::IndexError;
use crate::background::Background;
use crate::collection::{CollectionConfig, Inner};
use crate::disk::create_dir;
use crate::keyword::KeywordIndex;
use crate::lock::DirLock;
use crate::segments::SegmentFolder;
use crate::snapshot::{Published, Snapshot};
use crate::store::{self, Meta, Store};
use crate::writer::Writer;

/// Opens or creates; see [`crate::Collection::open`].
pub(crate) fn open(dir: &Path, config: CollectionConfig) -> Result<Inner, IndexError> {
    let exists = dir.join(store::FILE).is_file();
    if !exists && !config.create {
        return Err(IndexError::NotFound {
            path: dir.to_owned(),
        });
    }
    create_dir(dir)?;
    let lock = DirLock::acquire(dir)?;
    let store = Store::open(dir)?;
    if !exists {
        crate::disk::sync_dir(dir)?;
    }
    let meta = store.meta()?;
    check_embedder(&config, &meta)?;
    let documents = Arc::new(store.live()?);
    let dim = meta.embedder.as_ref().map(|(_, dim)| *dim);
    let folder = SegmentFolder::open(dir, meta.collection)?;
    let mut segments = folder.load(dim)?;
    if let Some(dim) = dim {
        folder.cover(&store, &documents, dim, meta.seq, &mut segments)?;
    }
    let keyword = KeywordIndex::open(dir, meta.collection, &store, &documents, meta.seq)?;
    let published = Arc::new(Published::new(Snapshot {
        seq: meta.seq,
        dim,
        documents,
        segments,
        keyword: keyword.view(),
        graph: None,
    }));
    let background = Background::new(Arc::clone(&published), config.graph_min_vectors);
    background.nudge();
    Ok(Inner {
        dir: dir.to_owned(),
        config,
        store,
        segments: folder,
        published,
        background,
        writer: Mutex::new(Writer {
            keyword,
            embedder: meta.embedder,
        }),
        queue: Mutex::default(),
        _lock: lock,
    })
}

fn check_embedder(config: &CollectionConfig, meta: &Meta) -> Result<(), IndexError> {
    let (Some(expected), Some((found, dim))) = (&config.embedder, &meta.embedder) else {
        return Ok(());
    };
    if expected != found {
        return Err(IndexError::OtherEmbedder {
            expected: expected.clone(),
            found: found.clone(),
        });
    }
    if config.dim != *dim {
        return Err(IndexError::Invalid {
            what: format!(
                "the collection's vectors have {dim} components, and it was opened for {}",
                config.dim
            ),
        });
    }
    Ok(())
}

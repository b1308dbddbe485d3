//! From a directory to an open collection: every projection is brought to the state of truth.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::background::{Background, Terms};
use crate::collection::{Access, CollectionConfig, Inner};
use crate::disk::{self, create_dir};
use crate::graph;
use crate::keyword::{KeywordIndex, Place};
use crate::lock::{self, DirLock};
use crate::segments::SegmentFolder;
use crate::snapshot::{Published, Snapshot};
use crate::store::{self, Meta, Store};
use crate::writer::Writer;
use crate::{IndexError, validate};

/// Opens or creates; see [`crate::Collection::open`].
pub(crate) fn open(dir: &Path, config: CollectionConfig) -> Result<Inner, IndexError> {
    validate::config(&config)?;
    let exists = disk::is_file(&dir.join(store::FILE))?;
    if !exists && (!config.create || config.access == Access::ReadOnly) {
        return Err(IndexError::NotFound {
            path: dir.to_owned(),
        });
    }
    let read_only = match config.access {
        Access::ReadOnly => Some("it was asked for so"),
        Access::Auto if exists && !disk::may_write(dir, &[store::FILE, lock::FILE]) => {
            Some("this user may not write to its folder")
        }
        Access::Auto | Access::ReadWrite => None,
    };
    let (lock, store, place) = if read_only.is_some() {
        let lock = DirLock::share(dir)?;
        (lock, Store::open_read_only(dir)?, Place::ReadOnly)
    } else {
        create_dir(dir)?;
        let lock = DirLock::acquire(dir)?;
        let store = Store::open(dir)?;
        if !exists {
            disk::sync_dir(dir)?;
        }
        (lock, store, Place::Disk)
    };
    let meta = store.meta()?;
    check_embedder(&config, &meta)?;
    let documents = Arc::new(store.live()?);
    let dim = meta.embedder.as_ref().map(|(_, dim)| *dim);
    let folder = SegmentFolder::open(dir, meta.collection, read_only.is_none())?;
    let mut segments = folder.load(dim, meta.seq)?;
    if let Some(dim) = dim {
        folder.cover(&store, &documents, dim, meta.seq, &mut segments)?;
    }
    let keyword = KeywordIndex::open(dir, meta.collection, &store, &documents, meta.seq, place)?;
    let published = Arc::new(Published::new(Snapshot {
        seq: meta.seq,
        dim,
        documents,
        segments,
        keyword: keyword.view(),
        graph: None,
    }));
    let terms = Terms {
        collection: meta.collection,
        file: dir.join(graph::FILE),
        writable: read_only.is_none(),
        graph_min_vectors: config.graph_min_vectors,
        threads: config.background_threads,
        share: config.background_share,
    };
    let background = Background::new(Arc::clone(&published), terms);
    background.nudge();
    Ok(Inner {
        dir: dir.to_owned(),
        config,
        read_only,
        store,
        segments: folder,
        published,
        background,
        compaction: Arc::default(),
        writer: Arc::new(Mutex::new(Writer {
            keyword,
            embedder: meta.embedder,
            last_write: None,
        })),
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

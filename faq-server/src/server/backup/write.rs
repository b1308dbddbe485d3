//! From a data folder to a backup.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::Path;

use faq_core::{DocumentId, Engine};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};
use uuid::Uuid;

use super::layout::{Item, organisation_of};
use super::{BackupError, FORMAT, INDEX, Index, Listed, MANIFEST, Manifest, parent, sync_dir};
use crate::server::clock::{now_ms, rfc3339};
use crate::server::store::backup as database;
use crate::storage::hex;

/// What is to be backed up, and where to.
pub(crate) struct Plan<'a> {
    pub(crate) data: &'a Path,
    /// The engine over that folder.
    pub(crate) engine: &'a Engine,
    /// The root of the local storage; `None` where files lie in an object store.
    pub(crate) storage: Option<&'a Path>,
    pub(crate) file: &'a Path,
    /// Whether `file` may be there already.
    pub(crate) force: bool,
}

/// What a backup holds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Made {
    /// Bytes of the file.
    pub(crate) bytes: u64,
    pub(crate) collections: u64,
    pub(crate) documents: u64,
    pub(crate) blobs: u64,
    pub(crate) master_key_id: Option<String>,
}

/// Writes a backup aside, and puts it into its place when it is whole and on disk. Takes no lock;
/// a server may write meanwhile. `tell` hears what is being read.
pub(crate) fn write(plan: &Plan<'_>, tell: &mut dyn FnMut(&str)) -> Result<Made, BackupError> {
    if plan.file.exists() && !plan.force {
        return Err(BackupError::Exists(plan.file.to_owned()));
    }
    let names = plan.engine.collections()?;
    let database = plan.data.join("server.db");
    if names.is_empty() && !database.is_file() {
        return Err(BackupError::Nothing(plan.data.to_owned()));
    }
    let dir = parent(plan.file);
    let aside = tempfile::Builder::new()
        .prefix(".faq-backup-")
        .tempdir_in(dir)
        .map_err(BackupError::io("write in", dir))?;
    let part = NamedTempFile::new_in(&aside).map_err(BackupError::io("write in", dir))?;
    let mut made = Made::default();
    let file = part.as_file().try_clone();
    let file = file.map_err(BackupError::io("write", plan.file))?;
    fill(plan, &database, names, &aside, file, &mut made, tell)?;
    put(part, plan, &mut made)?;
    Ok(made)
}

fn fill(
    plan: &Plan<'_>,
    database: &Path,
    names: Vec<String>,
    aside: &TempDir,
    file: File,
    made: &mut Made,
    tell: &mut dyn FnMut(&str),
) -> Result<(), BackupError> {
    let copy = aside.path().join("server.db");
    let known = if database.is_file() {
        tell("server.db");
        database::copy(database, &copy)?;
        Some(database::known(&copy)?)
    } else {
        None
    };
    made.master_key_id = known.as_ref().and_then(|k| k.master_key_id.clone());
    let mut archive = Archive::new(file, plan.file);
    archive.json(
        MANIFEST,
        &Manifest {
            format: FORMAT,
            faq: env!("CARGO_PKG_VERSION").to_owned(),
            created: rfc3339(now_ms()),
            master_key_id: made.master_key_id.clone(),
        },
    )?;
    let documents = known.map(|k| k.documents);
    if documents.is_some() {
        archive.move_in(&Item::Database, &copy)?;
    }
    for name in names {
        tell(&name);
        collection(plan, name, documents.as_ref(), aside, &mut archive, made)?;
    }
    if let (Some(root), Some(documents)) = (plan.storage, &documents) {
        tell("uploaded files");
        blobs(root, documents, &mut archive, made)?;
    }
    archive.finish()
}

/// One collection. What the database does not know was made after it was read.
fn collection(
    plan: &Plan<'_>,
    name: String,
    known: Option<&HashMap<Uuid, HashSet<Uuid>>>,
    aside: &TempDir,
    archive: &mut Archive<'_>,
    made: &mut Made,
) -> Result<(), BackupError> {
    let keep: Option<HashSet<DocumentId>> = match (organisation_of(&name), known) {
        (Some(organisation), Some(known)) => match known.get(&organisation) {
            Some(ids) => Some(ids.iter().copied().map(DocumentId).collect()),
            None => return Ok(()),
        },
        _ => None,
    };
    let copy = aside.path().join("truth.sqlite");
    let copied = match plan.engine.copy_truth(&name, &copy, keep.as_ref()) {
        Ok(copied) => copied,
        // A folder that a first write has made and not filled.
        Err(faq_core::Error::Index(faq_core::IndexError::NotFound { .. })) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    made.collections += 1;
    made.documents += copied.documents;
    archive.move_in(&Item::Truth { collection: name }, &copy)
}

/// Files of documents that the database knows; those that were deleted meanwhile are not there.
fn blobs(
    root: &Path,
    documents: &HashMap<Uuid, HashSet<Uuid>>,
    archive: &mut Archive<'_>,
    made: &mut Made,
) -> Result<(), BackupError> {
    for (&organisation, ids) in documents {
        for &document in ids {
            let item = Item::Blob {
                organisation,
                document,
            };
            let path = root.join(item.name());
            match File::open(&path) {
                Ok(file) => archive.file(&item.name(), &file, &path)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(BackupError::io("read", &path)(e)),
            }
            made.blobs += 1;
        }
    }
    Ok(())
}

/// Syncs the file and gives it its name.
fn put(part: NamedTempFile, plan: &Plan<'_>, made: &mut Made) -> Result<(), BackupError> {
    let file = plan.file;
    // A sync that fails is not tried again: what the disk holds then is unknown.
    part.as_file()
        .sync_all()
        .map_err(BackupError::io("write", file))?;
    made.bytes = part
        .as_file()
        .metadata()
        .map_err(BackupError::io("write", file))?
        .len();
    let placed = if plan.force {
        part.persist(file)
    } else {
        part.persist_noclobber(file)
    };
    placed.map_err(|e| match e.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
        _ => BackupError::io("write", file)(e.error),
    })?;
    sync_dir(parent(file))
}

/// A tar that is being written, and what its index will say.
struct Archive<'a> {
    tar: tar::Builder<GzEncoder<BufWriter<File>>>,
    listed: Vec<Listed>,
    path: &'a Path,
}

impl<'a> Archive<'a> {
    fn new(file: File, path: &'a Path) -> Self {
        // Vectors do not shrink, texts do at any level.
        let gzip = GzEncoder::new(BufWriter::new(file), Compression::fast());
        Self {
            tar: tar::Builder::new(gzip),
            listed: Vec::new(),
            path,
        }
    }

    fn json(&mut self, name: &str, value: &impl Serialize) -> Result<(), BackupError> {
        let bytes = serde_json::to_vec(value)
            .map_err(io::Error::other)
            .map_err(BackupError::io("write", self.path))?;
        self.entry(name, bytes.len() as u64, bytes.as_slice())
    }

    /// Adds a file of ours and removes it.
    fn move_in(&mut self, item: &Item, path: &Path) -> Result<(), BackupError> {
        let file = File::open(path).map_err(BackupError::io("read", path))?;
        self.file(&item.name(), &file, path)?;
        std::fs::remove_file(path).map_err(BackupError::io("remove", path))
    }

    fn file(&mut self, name: &str, file: &File, path: &Path) -> Result<(), BackupError> {
        let metadata = file.metadata().map_err(BackupError::io("read", path))?;
        self.entry(name, metadata.len(), file)
    }

    fn entry(&mut self, name: &str, bytes: u64, source: impl Read) -> Result<(), BackupError> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o600);
        header.set_mtime(0);
        header.set_size(bytes);
        header
            .set_path(name)
            .map_err(BackupError::io("write", self.path))?;
        header.set_cksum();
        let mut source = Hashing {
            source: source.take(bytes),
            hash: Sha256::new(),
            bytes: 0,
        };
        self.tar
            .append(&header, &mut source)
            .map_err(BackupError::io("write", self.path))?;
        if source.bytes != bytes {
            let short = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(BackupError::io("read the whole of", Path::new(name))(short));
        }
        self.listed.push(Listed {
            name: name.to_owned(),
            bytes,
            sha256: hex(&source.hash.finalize()),
        });
        Ok(())
    }

    fn finish(mut self) -> Result<(), BackupError> {
        let index = Index {
            entries: std::mem::take(&mut self.listed),
        };
        self.json(INDEX, &index)?;
        let finish = || {
            let buffered = self.tar.into_inner()?.finish()?;
            buffered
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
        };
        finish().map_err(BackupError::io("write", self.path))?;
        Ok(())
    }
}

/// A reader whose bytes are counted and hashed.
struct Hashing<R> {
    source: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

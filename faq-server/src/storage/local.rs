//! Blobs below a local folder.
//!
//! ```text
//! blobs/{organisation}/{document}   whole blobs, readable by the owner only
//! incoming/                         what is being written; emptied at open
//! ```
//!
//! A blob is written in `incoming`, synced, renamed into its place, and the folder synced. One
//! process at a time may have the folder open.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::tally::Tally;
use super::{
    BlobKey, BlobStream, BoxError, LocalBlob, Result, StorageError, Stored, blocking, hex,
};

/// Bytes that are gathered before they are handed to a thread that writes them.
const BATCH: usize = 256 << 10;

/// Bytes of one piece on the way out.
const PIECE: u64 = 128 << 10;

/// Blobs below a local folder.
#[derive(Debug, Clone)]
pub(crate) struct LocalStorage {
    root: PathBuf,
}

impl LocalStorage {
    /// Opens the storage at `root`, which is made where it is missing, and removes what a
    /// process that was killed had half written. Blocks.
    ///
    /// # Errors
    /// [`StorageError::Io`], [`StorageError::NoSpace`].
    pub(crate) fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let storage = Self { root: root.into() };
        let io = StorageError::io;
        fs::create_dir_all(storage.blobs()).map_err(io("make the storage folder"))?;
        let incoming = storage.incoming();
        fs::create_dir_all(&incoming).map_err(io("make the storage folder"))?;
        sync_dir(&storage.root)?;
        for left in fs::read_dir(incoming).map_err(io("look for half-written files"))? {
            let left = left.map_err(io("look for half-written files"))?;
            fs::remove_file(left.path()).map_err(io("remove a half-written file"))?;
        }
        Ok(storage)
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    fn path(&self, key: BlobKey) -> PathBuf {
        self.root.join(key.to_string())
    }

    pub(super) async fn receive<S, E>(
        &self,
        key: BlobKey,
        stream: S,
        expected_size: Option<u64>,
        max: u64,
    ) -> Result<Stored>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<BoxError>,
    {
        let mut tally = Tally::new(expected_size, max)?;
        let mut stream = pin!(stream);
        let incoming = self.incoming();
        let mut part = blocking(move || Part::new(&incoming)).await?;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|e| tally.interrupted(e))?;
            tally.add(piece.len())?;
            part.batch.extend_from_slice(&piece);
            if part.batch.len() >= BATCH {
                part = blocking(move || part.write()).await?;
            }
        }
        let bytes = tally.finish()?;
        let path = self.path(key);
        let sha256 = blocking(move || part.commit(&path)).await?;
        Ok(Stored { bytes, sha256 })
    }

    pub(super) async fn open_local(&self, key: BlobKey, max: u64) -> Result<LocalBlob> {
        let blob = self.open_blob(key).await?;
        if blob.bytes > max {
            return Err(StorageError::TooLarge { allowed: max });
        }
        Ok(blob)
    }

    async fn open_blob(&self, key: BlobKey) -> Result<LocalBlob> {
        let path = self.path(key);
        blocking(move || {
            let file = File::open(path).map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => StorageError::NotFound { key },
                _ => StorageError::io("open a file")(e),
            })?;
            let bytes = file
                .metadata()
                .map_err(StorageError::io("open a file"))?
                .len();
            Ok(LocalBlob { file, bytes })
        })
        .await
    }

    pub(super) async fn head(&self, key: BlobKey) -> Result<Option<u64>> {
        let path = self.path(key);
        blocking(move || size(&path)).await
    }

    pub(super) async fn read_stream(&self, key: BlobKey) -> Result<BlobStream> {
        let LocalBlob { file, bytes } = self.open_blob(key).await?;
        let stream = stream::try_unfold((file, bytes), |(file, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            blocking(move || {
                let mut piece = Vec::with_capacity(left.min(PIECE) as usize);
                (&file)
                    .take(left.min(PIECE))
                    .read_to_end(&mut piece)
                    .map_err(StorageError::io("read a file"))?;
                if piece.is_empty() {
                    return Err(StorageError::Io {
                        action: "read a file",
                        source: io::ErrorKind::UnexpectedEof.into(),
                    });
                }
                let left = left - piece.len() as u64;
                Ok(Some((Bytes::from(piece), (file, left))))
            })
            .await
        });
        Ok(BlobStream {
            bytes,
            stream: stream.boxed(),
        })
    }

    pub(super) async fn delete(&self, key: BlobKey) -> Result<u64> {
        let path = self.path(key);
        blocking(move || {
            let Some(bytes) = size(&path)? else {
                return Ok(0);
            };
            fs::remove_file(&path).map_err(StorageError::io("remove a file"))?;
            if let Some(folder) = path.parent() {
                sync_dir(folder)?;
            }
            Ok(bytes)
        })
        .await
    }

    pub(super) async fn check(&self) -> Result<()> {
        let incoming = self.incoming();
        blocking(move || {
            let mut probe = Part::new(&incoming)?;
            probe.batch.extend_from_slice(b"probe");
            let probe = probe.write()?;
            probe.sync()?;
            probe
                .file
                .close()
                .map_err(StorageError::io("remove a file"))
        })
        .await
    }

    pub(super) async fn free_bytes(&self) -> Result<u64> {
        let root = self.root.clone();
        blocking(move || {
            fs4::available_space(root).map_err(StorageError::io("ask for the free space"))
        })
        .await
    }
}

/// A blob that is being written. Dropped before its commit, it is removed.
struct Part {
    file: NamedTempFile,
    hash: Sha256,
    /// What is to be written next.
    batch: Vec<u8>,
}

impl Part {
    fn new(incoming: &Path) -> Result<Self> {
        Ok(Self {
            file: NamedTempFile::new_in(incoming).map_err(StorageError::io("make a file"))?,
            hash: Sha256::new(),
            batch: Vec::with_capacity(BATCH),
        })
    }

    fn write(mut self) -> Result<Self> {
        self.hash.update(&self.batch);
        self.file
            .write_all(&self.batch)
            .map_err(StorageError::io("write a file"))?;
        self.batch.clear();
        Ok(self)
    }

    /// A sync that fails is not tried again: what the disk holds then is unknown.
    fn sync(&self) -> Result<()> {
        self.file
            .as_file()
            .sync_all()
            .map_err(StorageError::io("write a file"))
    }

    /// Writes the rest, puts the blob into its place, and returns its SHA-256.
    fn commit(self, path: &Path) -> Result<String> {
        let whole = self.write()?;
        whole.sync()?;
        let sha256 = hex(&whole.hash.finalize());
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
            whole
                .file
                .persist(path)
                .map_err(|e| StorageError::io("put a file into its place")(e.error))?;
            sync_dir(folder)?;
        }
        Ok(sha256)
    }
}

/// Makes an organisation's folder with its first blob.
fn make_folder(folder: &Path) -> Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync_dir),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(StorageError::io("make an organisation's folder")(e)),
    }
}

fn size(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(meta.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StorageError::io("look for a file")(e)),
    }
}

/// Makes names in a folder durable.
#[cfg(unix)]
fn sync_dir(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(StorageError::io("sync a folder"))
}

/// Other systems write names through, or cannot be asked to.
#[cfg(not(unix))]
fn sync_dir(_: &Path) -> Result<()> {
    Ok(())
}

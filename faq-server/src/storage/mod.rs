//! Blobs: the files as they were uploaded, one a document.
//!
//! [`Storage`] keeps them below a local folder or in an S3-compatible store, under the same key
//! (`blobs/{organisation}/{document}`) either way. A blob appears whole or not at all, and
//! memory is bounded whatever its size. All calls are async and do their disk work on tokio's
//! blocking threads, never on an executor's.
//!
//! Storage knows nothing of quotas, rights or documents: who calls it has decided those.

mod error;
mod local;
mod s3;
mod tally;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use uuid::Uuid;

pub(crate) use error::StorageError;
pub(crate) use local::LocalStorage;
pub(crate) use s3::{S3Config, S3Storage};

/// Result of a call on the storage.
type Result<T, E = StorageError> = std::result::Result<T, E>;

/// What a stream of a body may fail with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BlobKey {
    /// The organisation that owns it.
    pub(crate) organisation: Uuid,
    /// The document that it is the file of.
    pub(crate) document: Uuid,
}

impl std::fmt::Display for BlobKey {
    /// `blobs/{organisation}/{document}`, in lower-case hex with hyphens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "blobs/{}/{}", self.organisation, self.document)
    }
}

/// A blob that was written, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Its size.
    pub(crate) bytes: u64,
    /// Its SHA-256, in lower-case hex.
    pub(crate) sha256: String,
}

/// A blob as a local file, open at its start.
#[derive(Debug)]
pub(crate) struct LocalBlob {
    pub(crate) file: File,
    /// Its size.
    pub(crate) bytes: u64,
}

/// A blob on its way out.
pub(crate) struct BlobStream {
    /// Its size, which the stream adds up to unless it fails.
    pub(crate) bytes: u64,
    pub(crate) stream: BoxStream<'static, Result<Bytes>>,
}

/// How a client puts a blob into the store itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presigned {
    /// Where to send it, with `PUT`. Whoever has the URL may write.
    pub(crate) url: String,
    /// Headers that have to be sent with exactly these values.
    pub(crate) headers: Vec<(String, String)>,
}

/// Where blobs are kept. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) enum Storage {
    /// Below a local folder.
    Local(LocalStorage),
    /// In an S3-compatible store.
    S3(S3Storage),
}

impl Storage {
    /// Writes what `stream` brings under `key`, in place of what is there. Returns once it is
    /// durable. A stream that fails, ends early, goes on too long, or whose reading is given up
    /// by dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] past `max` bytes, before anything is read where
    /// `expected_size` says so already; [`StorageError::SizeMismatch`] where another number of
    /// bytes came than expected; [`StorageError::Interrupted`] where the stream failed;
    /// [`StorageError::NoSpace`], [`StorageError::Io`], [`StorageError::Remote`].
    pub(crate) async fn receive<S, E>(
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
        match self {
            Self::Local(local) => local.receive(key, stream, expected_size, max).await,
            Self::S3(s3) => s3.receive(key, stream, expected_size, max).await,
        }
    }

    /// The blob as a local file. One of S3 is copied into an unnamed file in the system's
    /// temporary folder (`TMPDIR`), which is gone when it is closed.
    ///
    /// # Errors
    /// [`StorageError::NotFound`]; [`StorageError::TooLarge`] for one of more than `max` bytes;
    /// those of the disk and the network.
    pub(crate) async fn open_local(&self, key: BlobKey, max: u64) -> Result<LocalBlob> {
        match self {
            Self::Local(local) => local.open_local(key, max).await,
            Self::S3(s3) => s3.open_local(key, max).await,
        }
    }

    /// Size of the blob, or `None` where there is none.
    ///
    /// # Errors
    /// Those of the disk and the network.
    pub(crate) async fn head(&self, key: BlobKey) -> Result<Option<u64>> {
        match self {
            Self::Local(local) => local.head(key).await,
            Self::S3(s3) => s3.head(key).await,
        }
    }

    /// The blob piece by piece.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], those of the disk and the network; the stream may fail later.
    pub(crate) async fn read_stream(&self, key: BlobKey) -> Result<BlobStream> {
        match self {
            Self::Local(local) => local.read_stream(key).await,
            Self::S3(s3) => s3.read_stream(key).await,
        }
    }

    /// Removes the blob and returns the bytes that were freed, 0 where there was none.
    ///
    /// # Errors
    /// Those of the disk and the network.
    pub(crate) async fn delete(&self, key: BlobKey) -> Result<u64> {
        match self {
            Self::Local(local) => local.delete(key).await,
            Self::S3(s3) => s3.delete(key).await,
        }
    }

    /// A URL through which a client puts the blob into the store itself, valid for `expires`.
    /// `None` for local storage, where the server makes the URL and receives the bytes.
    ///
    /// The store refuses another key and another type. It takes any size, since the signer
    /// cannot bind one: compare [`head`](Self::head) with what was announced and allowed when
    /// the blob has arrived, and delete one that does not fit. The URL may be used again until
    /// it expires.
    ///
    /// # Errors
    /// [`StorageError::Config`] for a type that is no header value.
    pub(crate) async fn presign_put(
        &self,
        key: BlobKey,
        content_type: &str,
        expires: Duration,
    ) -> Result<Option<Presigned>> {
        match self {
            Self::Local(_) => Ok(None),
            Self::S3(s3) => s3.presign_put(key, content_type, expires).await.map(Some),
        }
    }

    /// Whether blobs can be written and removed: does both with a small one of its own.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn check(&self) -> Result<()> {
        match self {
            Self::Local(local) => local.check().await,
            Self::S3(s3) => s3.check().await,
        }
    }

    /// Free bytes on the disk, where there is one.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub(crate) async fn free_bytes(&self) -> Result<Option<u64>> {
        match self {
            Self::Local(local) => local.free_bytes().await.map(Some),
            Self::S3(_) => Ok(None),
        }
    }
}

/// Runs disk work on a thread that may block. A future that is dropped does not stop it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(StorageError::Io {
            action: "finish the work on a file",
            source: std::io::Error::other(e),
        }),
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
            let _ = write!(out, "{b:02x}");
            out
        })
}

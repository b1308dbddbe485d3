//! Blobs in an S3-compatible store.
//!
//! Clients put their files there themselves, through URLs that [`S3Storage::presign_put`]
//! signs; the server looks for them, reads and removes them. What passes through the server
//! goes up in parts, so a blob appears when the last one is acknowledged.

use std::io::{Seek, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::{HeaderName, HeaderValue, Method, SignedUrlOptions, Signer, Url};
use object_store::{
    ClientOptions, Error, MultipartUpload, ObjectStoreExt, PutPayload, RetryConfig,
};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::tally::Tally;
use super::{
    BlobKey, BlobStream, BoxError, LocalBlob, Presigned, Result, StorageError, Stored, blocking,
    hex,
};

/// Bytes of one part of an upload; S3 wants at least 5 MiB.
const PART: usize = 8 << 20;

/// How long the store may keep silent. There is no limit on a whole request: a download goes
/// at its reader's pace.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often, and how long, a request is tried.
const RETRIES: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the store is and who we are to it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct S3Config {
    /// `AWS_REGION`.
    pub(crate) region: String,
    /// `AWS_S3_BUCKET`.
    pub(crate) bucket: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub(crate) access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub(crate) secret_access_key: String,
    /// `S3_ENDPOINT`, of a store that is not Amazon's: an `https` URL, or an `http` one of this
    /// machine.
    pub(crate) endpoint: Option<String>,
}

impl std::fmt::Debug for S3Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Config")
            .field("region", &self.region)
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Blobs in an S3-compatible store. Clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct S3Storage {
    store: Arc<AmazonS3>,
}

impl S3Storage {
    /// Prepares requests to the store; none is sent.
    ///
    /// # Errors
    /// [`StorageError::Config`] for settings that make no sense.
    pub(crate) fn open(config: &S3Config) -> Result<Self> {
        // The client's TLS takes the process's provider. Another that is there is as good.
        let _first = rustls::crypto::ring::default_provider().install_default();
        let mut client = ClientOptions::new()
            .with_timeout_disabled()
            .with_read_timeout(READ_TIMEOUT)
            .with_connect_timeout(CONNECT_TIMEOUT);
        let mut builder = AmazonS3Builder::new()
            .with_region(required("AWS_REGION", &config.region)?)
            .with_bucket_name(required("AWS_S3_BUCKET", &config.bucket)?)
            .with_access_key_id(required("AWS_ACCESS_KEY_ID", &config.access_key_id)?)
            .with_secret_access_key(required(
                "AWS_SECRET_ACCESS_KEY",
                &config.secret_access_key,
            )?)
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: RETRY_TIMEOUT,
                ..RetryConfig::default()
            });
        if let Some(endpoint) = &config.endpoint {
            client = client.with_allow_http(is_plain(endpoint)?);
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        let store = builder
            .with_client_options(client)
            .build()
            .map_err(|e| StorageError::Config(format!("the S3 settings make no sense: {e}")))?;
        Ok(Self {
            store: Arc::new(store),
        })
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
        let (to_upload, pieces) = mpsc::channel(1);
        // A task of its own, so that parts are taken back even where this future is dropped.
        let upload = tokio::spawn(upload(Arc::clone(&self.store), path(key), pieces));
        let sent = async {
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(|e| tally.interrupted(e))?;
                tally.add(piece.len())?;
                if to_upload.send(Piece::Bytes(piece)).await.is_err() {
                    // The upload has failed, and says why below.
                    return Ok(0);
                }
            }
            let bytes = tally.finish()?;
            let _failed_already = to_upload.send(Piece::End).await;
            Ok(bytes)
        }
        .await;
        drop(to_upload);
        let uploaded = upload.await.unwrap_or_else(|e| {
            Err(StorageError::Io {
                action: "upload a file",
                source: std::io::Error::other(e),
            })
        });
        let bytes = sent?;
        let sha256 = uploaded?;
        Ok(Stored { bytes, sha256 })
    }

    pub(super) async fn open_local(&self, key: BlobKey, max: u64) -> Result<LocalBlob> {
        let BlobStream { bytes, mut stream } = self.read_stream(key).await?;
        let mut tally = Tally::new(Some(bytes), max)?;
        let temporary = || tempfile::tempfile().map_err(StorageError::io("make a file"));
        let mut file = blocking(temporary).await?;
        while let Some(piece) = stream.try_next().await? {
            tally.add(piece.len())?;
            file = blocking(move || {
                file.write_all(&piece)
                    .map_err(StorageError::io("write a file"))?;
                Ok(file)
            })
            .await?;
        }
        tally.finish()?;
        blocking(move || {
            file.rewind().map_err(StorageError::io("read a file"))?;
            Ok(LocalBlob { file, bytes })
        })
        .await
    }

    pub(super) async fn head(&self, key: BlobKey) -> Result<Option<u64>> {
        match self.store.head(&path(key)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(StorageError::remote("look for a file")(e)),
        }
    }

    pub(super) async fn read_stream(&self, key: BlobKey) -> Result<BlobStream> {
        let found = self.store.get(&path(key)).await.map_err(|e| match e {
            Error::NotFound { .. } => StorageError::NotFound { key },
            e => StorageError::remote("read a file")(e),
        })?;
        Ok(BlobStream {
            bytes: found.meta.size,
            stream: found
                .into_stream()
                .map_err(|e| StorageError::remote("read a file")(e))
                .boxed(),
        })
    }

    pub(super) async fn delete(&self, key: BlobKey) -> Result<u64> {
        let Some(bytes) = self.head(key).await? else {
            return Ok(0);
        };
        self.remove(&path(key)).await?;
        Ok(bytes)
    }

    async fn remove(&self, path: &Path) -> Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(StorageError::remote("remove a file")(e)),
        }
    }

    pub(super) async fn presign_put(
        &self,
        key: BlobKey,
        content_type: &str,
        expires: Duration,
    ) -> Result<Presigned> {
        let value = HeaderValue::from_str(content_type)
            .map_err(|_| StorageError::Config(format!("{content_type:?} is no content type")))?;
        let options = SignedUrlOptions::default()
            .with_signed_header(HeaderName::from_static("content-type"), value);
        let url = self
            .store
            .signed_url_opts(Method::PUT, &path(key), expires, &options)
            .await
            .map_err(StorageError::remote("sign a URL"))?;
        Ok(Presigned {
            url: url.into(),
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
        })
    }

    pub(super) async fn check(&self) -> Result<()> {
        let probe = Path::from_iter(["probes".to_owned(), Uuid::new_v4().to_string()]);
        self.store
            .put(&probe, PutPayload::from_static(b"probe"))
            .await
            .map_err(StorageError::remote("write a file"))?;
        self.remove(&probe).await
    }
}

fn path(key: BlobKey) -> Path {
    Path::from(key.to_string())
}

fn required<'a>(name: &str, value: &'a str) -> Result<&'a str> {
    if value.trim().is_empty() {
        return Err(StorageError::Config(format!(
            "{name} is missing; S3 storage needs it"
        )));
    }
    Ok(value)
}

/// Whether the endpoint is an `http` one, which is allowed on this machine only.
fn is_plain(endpoint: &str) -> Result<bool> {
    let wrong = |why: &str| StorageError::Config(format!("S3_ENDPOINT {endpoint:?} {why}"));
    let url = Url::parse(endpoint).map_err(|e| wrong(&format!("is no URL: {e}")))?;
    let host = url.host_str().ok_or_else(|| wrong("names no host"))?;
    let local = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(false),
        "http" if local => Ok(true),
        "http" => Err(wrong(
            "sends files and signatures in the clear; use https, or http on this machine",
        )),
        _ => Err(wrong("is neither https nor http")),
    }
}

/// What the uploading task is told. That the channel closes before the end means: give up.
enum Piece {
    Bytes(Bytes),
    End,
}

/// Uploads what comes, and returns its SHA-256.
async fn upload(
    store: Arc<AmazonS3>,
    path: Path,
    mut pieces: mpsc::Receiver<Piece>,
) -> Result<String> {
    let mut upload = Upload::new(store, path);
    let result = upload.take_all(&mut pieces).await;
    if result.is_err()
        && let Some(mut parts) = upload.parts.take()
    {
        // The store's own rule for unfinished uploads takes what this leaves.
        let _best_effort = parts.abort().await;
    }
    result
}

struct Upload {
    store: Arc<AmazonS3>,
    path: Path,
    /// What is to be sent next.
    buffer: Vec<u8>,
    /// Present from the second part on.
    parts: Option<Box<dyn MultipartUpload>>,
    hash: Sha256,
}

impl Upload {
    fn new(store: Arc<AmazonS3>, path: Path) -> Self {
        Self {
            store,
            path,
            buffer: Vec::new(),
            parts: None,
            hash: Sha256::new(),
        }
    }

    async fn take_all(&mut self, pieces: &mut mpsc::Receiver<Piece>) -> Result<String> {
        loop {
            match pieces.recv().await {
                Some(Piece::Bytes(bytes)) => {
                    self.buffer.extend_from_slice(&bytes);
                    if self.buffer.len() >= PART {
                        self.send_part().await?;
                    }
                }
                Some(Piece::End) => return self.finish().await,
                None => {
                    return Err(StorageError::Interrupted {
                        received: 0,
                        source: "the upload was given up".into(),
                    });
                }
            }
        }
    }

    async fn send_part(&mut self) -> Result<()> {
        let part = self.take_buffer().await?;
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(
                self.store
                    .put_multipart(&self.path)
                    .await
                    .map_err(StorageError::remote("begin an upload"))?,
            ),
        };
        parts
            .put_part(part)
            .await
            .map_err(StorageError::remote("upload a file"))
    }

    /// The buffer as a payload, hashed.
    async fn take_buffer(&mut self) -> Result<PutPayload> {
        let part = Bytes::from(std::mem::take(&mut self.buffer));
        let mut hash = self.hash.clone();
        let (part, hash) = blocking(move || {
            hash.update(&part);
            Ok((part, hash))
        })
        .await?;
        self.hash = hash;
        Ok(part.into())
    }

    async fn finish(&mut self) -> Result<String> {
        if self.parts.is_some() {
            if !self.buffer.is_empty() {
                self.send_part().await?;
            }
            if let Some(parts) = &mut self.parts {
                parts
                    .complete()
                    .await
                    .map_err(StorageError::remote("end an upload"))?;
            }
        } else {
            let whole = self.take_buffer().await?;
            self.store
                .put(&self.path, whole)
                .await
                .map_err(StorageError::remote("upload a file"))?;
        }
        Ok(hex(&self.hash.finalize_reset()))
    }
}

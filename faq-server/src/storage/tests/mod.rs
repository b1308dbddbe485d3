//! Both storages under the same demands, and each under its own.

mod local;
mod s3;

use std::convert::Infallible;
use std::io::Read;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use uuid::Uuid;

use super::*;

/// More than fits into one write and one part.
const LARGE: usize = (20 << 20) + 12_345;

fn key() -> BlobKey {
    BlobKey {
        organisation: Uuid::new_v4(),
        document: Uuid::new_v4(),
    }
}

/// Bytes that differ from place to place.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 251 + i) as u8).collect()
}

/// `bytes` in pieces of odd sizes.
fn pieces(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
    let mut left = Bytes::copy_from_slice(bytes);
    let mut size = 1;
    stream::iter(std::iter::from_fn(move || {
        size = (size * 3) % 100_003;
        (!left.is_empty()).then(|| Ok(left.split_to(size.min(left.len()))))
    }))
}

/// `bytes`, and then an error.
fn broken(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + use<> {
    let bytes = Bytes::copy_from_slice(bytes);
    let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    stream::iter([Ok(bytes), Err(lost)])
}

async fn read(storage: &Storage, key: BlobKey) -> Vec<u8> {
    let blob = storage.read_stream(key).await.unwrap();
    let mut bytes = Vec::new();
    let mut stream = blob.stream;
    while let Some(piece) = stream.try_next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(blob.bytes, bytes.len() as u64);
    bytes
}

/// What every storage does.
async fn keeps_blobs(storage: &Storage) {
    for len in [0, 1, 1000, LARGE] {
        let key = key();
        let bytes = content(len);
        assert_eq!(storage.head(key).await.unwrap(), None);
        let stored = storage
            .receive(key, pieces(&bytes), Some(len as u64), len as u64)
            .await
            .unwrap();
        assert_eq!(stored.bytes, len as u64);
        let source = faq_core::Source::new("", bytes.clone());
        assert_eq!(stored.sha256, source.content_hash());
        assert_eq!(storage.head(key).await.unwrap(), Some(len as u64));
        assert!(read(storage, key).await == bytes, "{len} bytes come back");

        let mut blob = storage.open_local(key, len as u64).await.unwrap();
        assert_eq!(blob.bytes, len as u64);
        let mut found = Vec::new();
        blob.file.read_to_end(&mut found).unwrap();
        assert!(found == bytes, "{len} bytes are in the file");
        if len > 0 {
            let error = storage.open_local(key, len as u64 - 1).await.unwrap_err();
            assert!(matches!(error, StorageError::TooLarge { .. }), "{error:?}");
        }

        assert_eq!(storage.delete(key).await.unwrap(), len as u64);
        assert_eq!(storage.head(key).await.unwrap(), None);
        assert_eq!(storage.delete(key).await.unwrap(), 0);
        for error in [
            storage.open_local(key, 1 << 30).await.err().unwrap(),
            storage.read_stream(key).await.err().unwrap(),
        ] {
            assert!(matches!(error, StorageError::NotFound { .. }), "{error:?}");
        }
    }
    storage.check().await.unwrap();
}

async fn replaces_a_blob(storage: &Storage) {
    let key = key();
    for bytes in [b"first".as_slice(), b"second"] {
        storage
            .receive(key, pieces(bytes), None, 100)
            .await
            .unwrap();
    }
    assert_eq!(read(storage, key).await, b"second");
    // One that fails leaves the old one.
    storage
        .receive(key, broken(b"thi"), None, 100)
        .await
        .unwrap_err();
    assert_eq!(read(storage, key).await, b"second");
    storage.delete(key).await.unwrap();
}

/// Streams that are too long, too short or broken, small and large.
async fn refuses_wrong_sizes(storage: &Storage) {
    for len in [100, LARGE] {
        let key = key();
        let bytes = content(len);
        let size = len as u64;

        let error = storage
            .receive(key, pieces(&bytes), None, size - 1)
            .await
            .unwrap_err();
        assert!(
            matches!(error, StorageError::TooLarge { allowed } if allowed == size - 1),
            "{error:?}"
        );
        let error = storage
            .receive(
                key,
                stream::pending::<Result<Bytes, Infallible>>(),
                Some(size),
                size - 1,
            )
            .await
            .unwrap_err();
        assert!(matches!(error, StorageError::TooLarge { .. }), "{error:?}");

        for announced in [size - 1, size + 1] {
            let error = storage
                .receive(key, pieces(&bytes), Some(announced), 2 * size)
                .await
                .unwrap_err();
            let StorageError::SizeMismatch { expected, received } = error else {
                panic!("{error:?}");
            };
            assert_eq!(expected, announced);
            assert!(received > expected || received == size);
        }

        let error = storage
            .receive(key, broken(&bytes), Some(2 * size), 2 * size)
            .await
            .unwrap_err();
        assert!(
            matches!(error, StorageError::Interrupted { received, .. } if received == size),
            "{error:?}"
        );
        assert!(error.is_retryable());
        assert_eq!(storage.head(key).await.unwrap(), None);
    }
}

#[test]
fn errors_have_codes_and_say_whether_to_try_again() {
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let full = StorageError::io("write a file")(full);
    assert!(matches!(full, StorageError::NoSpace { .. }));
    assert_eq!((full.code(), full.is_retryable()), ("no_space", true));
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let denied = StorageError::io("write a file")(denied);
    assert_eq!(denied.code(), "storage_unavailable");
    let large = StorageError::TooLarge { allowed: 1 };
    assert_eq!((large.code(), large.is_retryable()), ("too_large", false));
}

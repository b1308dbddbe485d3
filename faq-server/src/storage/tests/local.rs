//! Blobs below a local folder.

use std::path::Path;
use std::pin::pin;

use super::*;

fn open(root: &Path) -> Storage {
    Storage::Local(LocalStorage::open(root).unwrap())
}

/// Every file below `root`.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap();
                found.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn it_keeps_blobs_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    keeps_blobs(&storage).await;
    replaces_a_blob(&storage).await;
    refuses_wrong_sizes(&storage).await;
    assert_eq!(files(dir.path()), Vec::<String>::new());
    assert!(storage.free_bytes().await.unwrap().unwrap() > 0);
    let presigned = storage
        .presign_put(key(), "text/plain", Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(presigned, None);
}

#[tokio::test]
async fn a_blob_lies_under_its_organisation_for_the_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let key = key();
    storage
        .receive(key, pieces(b"text"), None, 100)
        .await
        .unwrap();
    let name = format!("blobs/{}/{}", key.organisation, key.document);
    assert_eq!(files(dir.path()), [name.as_str()]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = dir
            .path()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
    // The next process finds it.
    drop(storage);
    assert_eq!(read(&open(dir.path()), key).await, b"text");
}

#[tokio::test]
async fn what_was_left_half_written_is_removed_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let key = key();
    let storage = open(dir.path());
    storage
        .receive(key, pieces(b"whole"), None, 100)
        .await
        .unwrap();
    drop(storage);
    std::fs::write(dir.path().join("incoming/.tmpa1b2c3"), "half").unwrap();
    let storage = open(dir.path());
    assert_eq!(files(dir.path()), [key.to_string()]);
    assert_eq!(read(&storage, key).await, b"whole");
}

/// What happens when a client goes away: the server drops the future.
#[tokio::test]
async fn a_future_that_is_dropped_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let some = Bytes::from(content(1 << 20));
    let (seen, is_seen) = tokio::sync::oneshot::channel();
    let mut seen = Some(seen);
    let endless = stream::poll_fn(move |_| match seen.take() {
        Some(seen) => {
            seen.send(()).unwrap();
            std::task::Poll::Ready(Some(Ok::<_, Infallible>(some.clone())))
        }
        None => std::task::Poll::Pending,
    });
    {
        let receive = pin!(storage.receive(key(), endless, None, 1 << 30));
        tokio::select! {
            result = receive => panic!("{result:?}"),
            seen = async {
                is_seen.await.unwrap();
                while files(dir.path()).is_empty() {
                    tokio::task::yield_now().await;
                }
            } => seen,
        }
    }
    // A write that was under way removes its file when it ends.
    while !files(dir.path()).is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    std::fs::remove_dir(dir.path().join("incoming")).unwrap();
    for error in [
        storage.check().await.unwrap_err(),
        storage
            .receive(key(), pieces(b"text"), None, 100)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.code(), "storage_unavailable", "{error:?}");
        assert!(error.is_retryable());
    }
    std::fs::write(dir.path().join("file"), "").unwrap();
    LocalStorage::open(dir.path().join("file")).unwrap_err();
}

/// A blob that shrinks while it is read is an error, and not a short answer.
#[tokio::test]
async fn a_blob_that_loses_its_end_fails_the_stream() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let key = key();
    storage
        .receive(key, pieces(&content(1 << 20)), None, 1 << 20)
        .await
        .unwrap();
    let blob = storage.read_stream(key).await.unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(dir.path().join(key.to_string()))
        .unwrap();
    file.set_len(1000).unwrap();
    let read: Result<Vec<Bytes>> = blob.stream.try_collect().await;
    assert!(matches!(read, Err(StorageError::Io { .. })));
}

//! Blobs in an S3-compatible store: moto's, with signatures checked by botocore.

use super::*;

#[path = "../../../tests/made/s3.rs"]
mod made;
use made::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};

impl Store {
    fn config(&self) -> S3Config {
        S3Config {
            region: "eu-central-1".to_owned(),
            bucket: BUCKET.to_owned(),
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: SECRET_KEY.to_owned(),
            endpoint: Some(self.endpoint.clone()),
        }
    }

    /// Parts of uploads that were neither ended nor taken back.
    fn unfinished_uploads(&self) -> usize {
        let url = format!("{}/unfinished", self.endpoint);
        let mut response = ureq::get(url).call().unwrap();
        let count = response.body_mut().read_to_string().unwrap();
        count.parse().unwrap()
    }
}

/// Sends `bytes` as a client would, and returns the store's status.
fn put(presigned: &Presigned, content_type: &str, bytes: &[u8]) -> u16 {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    agent
        .put(&presigned.url)
        .header("Content-Type", content_type)
        .send(bytes)
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_what_a_local_folder_does() {
    let store = Store::start();
    let storage = Storage::S3(S3Storage::open(&store.config()).unwrap());
    keeps_blobs(&storage).await;
    replaces_a_blob(&storage).await;
    refuses_wrong_sizes(&storage).await;
    assert_eq!(store.unfinished_uploads(), 0);
    assert_eq!(storage.free_bytes().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_future_that_is_dropped_takes_its_parts_back() {
    let store = Store::start();
    let storage = Storage::S3(S3Storage::open(&store.config()).unwrap());
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from(content(10 << 20)))]);
    let endless = futures_util::StreamExt::chain(first, stream::pending());
    let upload = storage.clone();
    let task = tokio::spawn(async move { upload.receive(key(), endless, None, 1 << 30).await });
    let pause = || tokio::time::sleep(Duration::from_millis(20));
    while tokio::task::block_in_place(|| store.unfinished_uploads()) == 0 {
        assert!(!task.is_finished());
        pause().await;
    }
    task.abort();
    while tokio::task::block_in_place(|| store.unfinished_uploads()) > 0 {
        pause().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_uploads_through_a_presigned_url() {
    let store = Store::start();
    let storage = Storage::S3(S3Storage::open(&store.config()).unwrap());
    let bytes = content(100_000);
    let presign = async |key, expires| {
        storage
            .presign_put(key, "application/pdf", expires)
            .await
            .unwrap()
            .unwrap()
    };
    let send = |presigned: &Presigned, content_type: &str, bytes: &[u8]| {
        tokio::task::block_in_place(|| put(presigned, content_type, bytes))
    };
    let minute = Duration::from_secs(60);
    let key = key();
    let presigned = presign(key, minute).await;
    assert_eq!(
        presigned.headers,
        [("Content-Type".to_owned(), "application/pdf".to_owned())]
    );
    assert!(!presigned.url.contains(SECRET_KEY));

    // Another type, a changed signature, another key.
    assert_eq!(send(&presigned, "text/html", &bytes), 403);
    let (url, signature) = presigned.url.split_once("X-Amz-Signature=").unwrap();
    let flipped = if signature.starts_with('0') { '1' } else { '0' };
    let forged = Presigned {
        url: format!("{url}X-Amz-Signature={flipped}{}", &signature[1..]),
        ..presigned.clone()
    };
    assert_eq!(send(&forged, "application/pdf", &bytes), 403);
    let document = key.document.to_string();
    let moved = Presigned {
        url: presigned
            .url
            .replace(&document, &Uuid::new_v4().to_string()),
        ..presigned.clone()
    };
    assert_eq!(send(&moved, "application/pdf", &bytes), 403);
    assert_eq!(storage.head(key).await.unwrap(), None);

    assert_eq!(send(&presigned, "application/pdf", &bytes), 200);
    assert_eq!(storage.head(key).await.unwrap(), Some(100_000));
    let mut found = Vec::new();
    let mut blob = storage.open_local(key, 100_000).await.unwrap();
    blob.file.read_to_end(&mut found).unwrap();
    assert!(found == bytes);
    assert_eq!(storage.delete(key).await.unwrap(), 100_000);

    let other = BlobKey {
        document: Uuid::new_v4(),
        ..key
    };
    let expired = presign(other, Duration::from_secs(1)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(send(&expired, "application/pdf", &bytes), 403);
    let error = storage
        .presign_put(key, "text/plain\r\nX: y", minute)
        .await
        .unwrap_err();
    assert!(matches!(error, StorageError::Config(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_told() {
    let store = Store::start();
    let config = S3Config {
        secret_access_key: "wrong".to_owned(),
        ..store.config()
    };
    let storage = Storage::S3(S3Storage::open(&config).unwrap());
    let error = storage.check().await.unwrap_err();
    assert_eq!(error.code(), "storage_unavailable", "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
    let error = storage
        .receive(key(), pieces(&content(LARGE)), None, 1 << 30)
        .await
        .unwrap_err();
    assert!(matches!(error, StorageError::Remote { .. }), "{error:?}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let config = |endpoint: Option<&str>| S3Config {
        region: "eu-central-1".to_owned(),
        bucket: BUCKET.to_owned(),
        access_key_id: ACCESS_KEY.to_owned(),
        secret_access_key: SECRET_KEY.to_owned(),
        endpoint: endpoint.map(str::to_owned),
    };
    assert!(!format!("{:?}", config(None)).contains(SECRET_KEY));
    for endpoint in [
        None,
        Some("https://minio.example.org"),
        Some("http://localhost:9000"),
        Some("http://127.0.0.1:9000/"),
        Some("http://[::1]:9000"),
    ] {
        S3Storage::open(&config(endpoint)).unwrap();
    }
    for endpoint in [
        "",
        "minio:9000",
        "http://minio:9000",
        "http://10.0.0.1",
        "ftp://localhost",
    ] {
        let error = S3Storage::open(&config(Some(endpoint))).unwrap_err();
        assert!(error.to_string().contains("S3_ENDPOINT"), "{error}");
    }
    let missing = S3Config {
        bucket: " ".to_owned(),
        ..config(None)
    };
    let error = S3Storage::open(&missing).unwrap_err();
    assert!(error.to_string().contains("AWS_S3_BUCKET"), "{error}");
}

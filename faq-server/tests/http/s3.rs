//! A server that keeps files in an S3-compatible store: clients put them there themselves.

use serde_json::json;

use crate::client::{Request, Site};
use crate::made::s3::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};
use crate::server::Server;

#[test]
fn a_file_goes_to_the_store_and_its_words_into_answers() {
    let store = Store::start();
    let server = Server::start_with(&[
        ("STORAGE_TYPE", "s3"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_S3_BUCKET", BUCKET),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("S3_ENDPOINT", &store.endpoint),
    ]);
    let owner = server.register("first").owner;
    let text = "The harbour office opens at nine in the morning.\n";
    let asked = json!({"filename": "hours.txt", "content_type": "text/plain", "size": text.len()});
    let told = owner.post("/v1/documents/upload", &asked).ok();
    let id = told["document_id"].as_str().unwrap();
    let url = told["upload_url"].as_str().unwrap();
    assert!(url.starts_with(&store.endpoint), "{told}");
    assert!(!url.contains(SECRET_KEY));

    let place = store.endpoint.strip_prefix("http://").unwrap();
    let site = Site::new(place.parse().unwrap());
    let target = &url[store.endpoint.len()..];
    let put = |kind: &str, body: &str| {
        let put = Request::new("PUT", target).header("Host", place);
        put.bytes(kind, body).send(&site).status
    };
    assert_eq!(owner.status(id)["status"], "pending");
    assert_eq!(put("text/html", text), 403);
    assert_eq!(put("text/plain", text), 200);

    // Asking is enough for the server to look whether the file has come.
    let document = owner.completed(id);
    assert_eq!(document["file_size_bytes"], text.len());
    let answer = owner.ask("When does the harbour office open?");
    assert!(
        answer["answer"].as_str().unwrap().contains("nine"),
        "{answer}"
    );
    let original = owner.get(&format!("/v1/documents/{id}/original"));
    assert_eq!((original.status, original.text()), (200, text.to_owned()));

    // Another size than was announced is not taken.
    let asked = json!({"filename": "b.txt", "content_type": "text/plain", "size": 10});
    let told = owner.post("/v1/documents/upload", &asked).ok();
    let url = told["upload_url"].as_str().unwrap();
    let put = Request::new("PUT", &url[store.endpoint.len()..]).header("Host", place);
    assert_eq!(put.bytes("text/plain", text).send(&site).status, 200);
    let other = owner.ended(told["document_id"].as_str().unwrap());
    assert_eq!(other["error_code"], "size_mismatch", "{other}");

    owner.delete(&format!("/v1/documents/{id}")).ok();
    let left = owner.ask("When does the harbour office open?");
    assert_eq!(left["abstained"], true, "{left}");
}

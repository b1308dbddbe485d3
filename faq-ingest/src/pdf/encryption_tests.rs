#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use lopdf::encryption::crypt_filters::{Aes128CryptFilter, Aes256CryptFilter, CryptFilter};
use lopdf::{
    Document, EncryptionState, EncryptionVersion, Object, Permissions, Stream, dictionary,
};

use crate::{ParseError, ParseOptions, parse};

const KEY: [u8; 32] = [7; 32];

fn plain() -> Document {
    let mut document = Document::with_version("1.7");
    let shown = b"BT /F 10 Tf 72 700 Td (Open to all who ask, whatever was used to lock it.) Tj ET";
    let content = document.add_object(Stream::new(dictionary! {}, shown.to_vec()));
    let font = dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica",
    };
    let page = document.add_object(dictionary! {
        "Type" => "Page",
        "MediaBox" => vec![0.into(), 0.into(), 612.into(), 792.into()],
        "Contents" => content,
        "Resources" => dictionary! { "Font" => dictionary! { "F" => font } },
    });
    let kids: Vec<Object> = vec![page.into()];
    let tree = document.add_object(dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => 1 });
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree });
    document.trailer.set("Root", catalog);
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    document
}

/// The document locked with each revision that there is, by its number.
#[allow(deprecated)]
fn locked(user_password: &str) -> Vec<(u8, Vec<u8>)> {
    let document = &plain();
    let (owner_password, permissions) = ("owner", Permissions::all());
    let filters = |filter: Arc<dyn CryptFilter>| BTreeMap::from([(b"StdCF".to_vec(), filter)]);
    let name = || b"StdCF".to_vec();
    let versions = [
        (
            2,
            EncryptionVersion::V1 {
                document,
                owner_password,
                user_password,
                permissions,
            },
        ),
        (
            3,
            EncryptionVersion::V2 {
                document,
                owner_password,
                user_password,
                key_length: 128,
                permissions,
            },
        ),
        (
            4,
            EncryptionVersion::V4 {
                document,
                encrypt_metadata: true,
                crypt_filters: filters(Arc::new(Aes128CryptFilter)),
                stream_filter: name(),
                string_filter: name(),
                owner_password,
                user_password,
                permissions,
            },
        ),
        (
            5,
            EncryptionVersion::R5 {
                encrypt_metadata: true,
                crypt_filters: filters(Arc::new(Aes256CryptFilter)),
                file_encryption_key: &KEY,
                stream_filter: name(),
                string_filter: name(),
                owner_password,
                user_password,
                permissions,
            },
        ),
        (
            6,
            EncryptionVersion::V5 {
                encrypt_metadata: true,
                crypt_filters: filters(Arc::new(Aes256CryptFilter)),
                file_encryption_key: &KEY,
                stream_filter: name(),
                string_filter: name(),
                owner_password,
                user_password,
                permissions,
            },
        ),
    ];
    let lock = |(revision, version)| {
        let state = EncryptionState::try_from(version).unwrap();
        let mut document = document.clone();
        document.encrypt(&state).unwrap();
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).unwrap();
        (revision, bytes)
    };
    versions.into_iter().map(lock).collect()
}

#[test]
fn the_empty_password_opens_every_revision() {
    for (revision, bytes) in locked("") {
        let read = parse(&bytes, "a.pdf", &ParseOptions::default());
        let text = read.map(|document| document.text);
        assert_eq!(
            text.as_deref(),
            Ok("Open to all who ask, whatever was used to lock it."),
            "revision {revision}"
        );
    }
}

#[test]
fn another_password_than_the_empty_one_is_asked_for() {
    for (revision, bytes) in locked("user") {
        let read = parse(&bytes, "a.pdf", &ParseOptions::default());
        assert!(
            matches!(read, Err(ParseError::Encrypted { .. })),
            "revision {revision}: {read:?}"
        );
    }
}

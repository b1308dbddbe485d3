//! Where the models and the shared test data are.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use faq_core::{BertEmbedder, ModelStore, Precision};

/// The embedding model, loaded once for all tests.
pub(crate) fn minilm() -> Arc<BertEmbedder> {
    static MODEL: LazyLock<Arc<BertEmbedder>> = LazyLock::new(|| {
        let dir = ModelStore::default()
            .offline(true)
            .embedding("all-MiniLM-L6-v2")
            .expect("run scripts/fetch-models first");
        Arc::new(BertEmbedder::load(&dir, 2, Precision::default()).unwrap())
    });
    Arc::clone(&MODEL)
}

/// A file of the shared test data; `None`, said on stderr, where there is no such data.
pub(crate) fn data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("FAQ_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let file = root.join(path);
    if file.exists() {
        return Some(file);
    }
    eprintln!(
        "skipped: {} is not there; set FAQ_TEST_DATA to the test data",
        file.display()
    );
    None
}

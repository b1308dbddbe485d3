//! Where the models and the shared test data are.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use faq_core::{
    BertEmbedder, ByteRange, Control, EmbedError, Embedder, ModelStore, Precision, TextKind,
};

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

/// Another embedder over the same model's vectors, without those of tokens.
pub(crate) struct Other(pub(crate) Arc<dyn Embedder>);

impl Embedder for Other {
    fn name(&self) -> &str {
        "other"
    }
    fn fingerprint(&self) -> String {
        "other-1".into()
    }
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn window_tokens(&self) -> usize {
        100
    }
    fn token_offsets(&self, text: &str) -> Result<Vec<ByteRange>, EmbedError> {
        self.0.token_offsets(text)
    }
    fn embed(
        &self,
        texts: &[&str],
        kind: TextKind,
        control: &Control,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.0.embed(texts, kind, control)
    }
}

//! Models from the Hugging Face hub. The only network code of the engine's default seams.

use std::path::Path;

use hf_hub::api::Progress;
use hf_hub::api::sync::ApiBuilder;

use super::{DownloadProgress, KnownModel, ModelError, check_sha256};

/// Fetches every file of `model` into `dir`. Each is fetched into the hub's own cache (which
/// resumes a broken download), checked, and put in place by a rename.
pub(super) fn fetch(
    model: &KnownModel,
    dir: &Path,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<(), ModelError> {
    let failed = |file: &str, detail: String| ModelError::Download {
        model: model.name.to_owned(),
        file: file.to_owned(),
        detail,
    };
    let api = ApiBuilder::from_env()
        .with_progress(false)
        .with_retries(2)
        .build()
        .map_err(|e| failed("the index", e.to_string()))?;
    let repo = api.model(model.hub.to_owned());
    for file in model.files {
        let target = dir.join(file.name);
        if target.is_file() {
            continue;
        }
        let report = Report {
            file: file.name.to_owned(),
            done: 0,
            total: 0,
            sink: progress,
        };
        let cached = match hf_hub::Cache::from_env()
            .model(model.hub.to_owned())
            .get(file.hub)
        {
            Some(path) => path,
            None => repo
                .download_with_progress(file.hub, report)
                .map_err(|e| failed(file.name, e.to_string()))?,
        };
        if let Some(expected) = file.sha256 {
            check_sha256(&cached, expected)?;
        }
        put(&cached, &target)?;
    }
    Ok(())
}

fn put(from: &Path, to: &Path) -> Result<(), ModelError> {
    let io = |source| ModelError::Io {
        path: to.to_owned(),
        source,
    };
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    let part = to.with_extension("part");
    std::fs::copy(from, &part).map_err(io)?;
    std::fs::rename(&part, to).map_err(io)
}

struct Report<'a> {
    file: String,
    done: u64,
    total: u64,
    sink: &'a mut dyn FnMut(DownloadProgress),
}

impl Report<'_> {
    fn send(&mut self) {
        (self.sink)(DownloadProgress {
            file: self.file.clone(),
            done: self.done,
            total: self.total,
        });
    }
}

impl Progress for Report<'_> {
    fn init(&mut self, size: usize, _filename: &str) {
        self.total = size as u64;
        self.send();
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.send();
    }

    fn finish(&mut self) {
        self.done = self.total;
        self.send();
    }
}

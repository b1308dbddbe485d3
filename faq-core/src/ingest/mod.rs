//! Documents into a collection.
//!
//! [`Collection::ingest`](crate::Collection::ingest) takes files and folders the whole way;
//! the steps `parse`, `chunk`, `embed` and `commit` can be taken one by one for a document.

mod files;
mod inspect;
mod reader;
mod reindex;
mod report;
mod run;
mod source;
mod steps;

pub use reader::{DocumentReader, InProcess, ReaderError};
pub use reindex::ReindexReport;
pub use report::{Failure, FileWarning, IngestReport, Progress, Stage, StageSeconds};
pub use run::{IngestOptions, check_paths};
pub use source::{Source, document_id};
pub(crate) use steps::Extra;
pub use steps::{Chunked, Embedded, Parsed};

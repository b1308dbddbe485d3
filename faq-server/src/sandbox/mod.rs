//! One document, parsed in a process of its own.
//!
//! [`Sandbox::parse`] starts this very program again with the hidden verb `parse-child`. The
//! child gets the document on its stdin and nothing else: no path, an empty environment, `/`
//! as its directory. It gives up what it will not need ([`confine`]), reads, parses, and writes
//! the document or the parser's error to stdout as JSON. The parent watches the clock, the
//! caller's [`Control`] and the size of the answer, and kills the child that passes one of
//! them. Whatever a document does to the parser, it does to that child alone.
//!
//! [`Sandbox`] blocks the thread that calls it, and must: the kernel kills the child when the
//! thread that started it ends. It holds no state, so any number of threads may use one.
//!
//! On Linux the child has limits on memory, processor time, files and processes, cannot open a
//! file or a socket, and cannot start a program. Elsewhere it is a process with a time limit.

pub(crate) mod child;
mod confine;
mod error;
mod message;
mod process;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use faq_core::{Control, Document, DocumentReader, Limits, ParseError, Source};

pub(crate) use error::SandboxError;

/// The hidden verb that the child is started with.
const VERB: &str = "parse-child";

/// What a child may use beyond the parser's own [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SandboxConfig {
    /// Address space of the child, in bytes. Default 2 GiB.
    pub(crate) memory_bytes: u64,
    /// Size of the document as JSON, in bytes. Default 256 MiB.
    pub(crate) output_bytes: u64,
    /// How long after `Limits::time` the child is killed: by then the parser should have given
    /// up by itself, with a better error. Default 2 s.
    pub(crate) grace: Duration,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            output_bytes: 256 << 20,
            grace: Duration::from_secs(2),
        }
    }
}

/// A document's bytes, on their way to the child.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// Handed over through a pipe.
    Bytes(&'a [u8]),
    /// Becomes the child's stdin, read from where it stands.
    #[allow(dead_code, reason = "uploads come as bytes; the tests hand over pipes")]
    File(File),
}

impl Input<'_> {
    /// Size in bytes, where it is known beforehand.
    fn len(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File(file) => file
                .metadata()
                .ok()
                .filter(std::fs::Metadata::is_file)
                .map(|m| m.len()),
        }
    }
}

/// Parses documents in child processes. See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct Sandbox {
    program: PathBuf,
    config: SandboxConfig,
}

impl Sandbox {
    /// A sandbox whose children run this program.
    ///
    /// # Errors
    /// [`SandboxError::Start`] where the system does not say which program this is.
    pub(crate) fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        // On Linux this name stands for the running image even when the file was replaced, so
        // that parent and child are always of one version.
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() {
            own.to_owned()
        } else {
            std::env::current_exe().map_err(SandboxError::Start)?
        };
        Ok(Self::with_program(program, config))
    }

    /// A sandbox whose children run `program`, a `faq` of this version.
    pub(crate) fn with_program(program: impl Into<PathBuf>, config: SandboxConfig) -> Self {
        Self {
            program: program.into(),
            config,
        }
    }

    /// Parses one document. Of `filename` only the extension counts, and only that is handed on:
    /// a process's arguments can be read by its neighbours.
    ///
    /// Blocks until the child has ended and was waited for, which is soon after `control` says
    /// so.
    ///
    /// # Errors
    /// Any [`SandboxError`].
    pub(crate) fn parse(
        &self,
        input: Input<'_>,
        filename: &str,
        limits: &Limits,
        control: &Control,
    ) -> Result<Document, SandboxError> {
        control.check()?;
        let len = input.len();
        if let Some(value) = len.filter(|&len| len > limits.file_bytes) {
            return Err(SandboxError::Parse(ParseError::Limit {
                limit: "file size".into(),
                value,
                allowed: limits.file_bytes,
                unit: "bytes".into(),
            }));
        }
        let header = message::Header::new(filename, len, limits, &self.config);
        process::run(&self.program, &header, input, &self.config, control)
    }
}

/// Confines the calling thread as a child would be, for a test that then tries its bonds.
#[cfg(all(test, unix))]
#[allow(
    dead_code,
    reason = "the tests that run the binary call it, the others do not"
)]
pub(crate) fn confine_for_test() -> std::io::Result<()> {
    let mut header = message::Header::new("", None, &Limits::default(), &SandboxConfig::default());
    header.parent = std::os::unix::process::parent_id();
    confine::apply(&header)
}

impl DocumentReader for Sandbox {
    fn read(
        &self,
        source: &Source,
        limits: &Limits,
        control: &Control,
    ) -> faq_core::Result<Document> {
        let input = Input::Bytes(&source.bytes);
        Ok(self.parse(input, &source.filename, limits, control)?)
    }
}

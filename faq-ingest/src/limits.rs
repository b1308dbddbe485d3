//! What a document may cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// Limits that every parser keeps. Passing one is [`ParseError::Limit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Size of the file, in bytes. Default 50 MB.
    pub file_bytes: u64,
    /// Size of everything a file unpacks to, in bytes. Default 500 MB.
    pub decompressed_bytes: u64,
    /// Depth of nesting in markup or objects. Default 256.
    pub depth: usize,
    /// Pages of a document. Default 20,000.
    pub pages: usize,
    /// Blocks of a document. Default 1,000,000.
    pub blocks: usize,
    /// Wall-clock time of one parse. Default 60 s.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 50 * 1024 * 1024,
            decompressed_bytes: 500 * 1024 * 1024,
            depth: 256,
            pages: 20_000,
            blocks: 1_000_000,
            time: Duration::from_secs(60),
        }
    }
}

/// How to parse: limits, and a flag through which another thread stops the work.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {
    /// Limits to keep.
    pub limits: Limits,
    /// When set to true by anyone, the parse ends with [`ParseError::Cancelled`].
    pub cancel: Option<Arc<AtomicBool>>,
    /// Threads that one document's pages may be read on, the caller's among them; 0 and 1 mean
    /// the caller's alone. PDFs of many pages are the ones that gain. Where no thread can be
    /// had, the caller's does the work.
    pub threads: usize,
    /// Whether to tell where the blocks stand on the pages, in [`Document::layout`]. Told of
    /// PDFs alone.
    ///
    /// [`Document::layout`]: crate::Document::layout
    pub layout: bool,
}

/// One parse's account against its limits. Parsers call [`Budget::tick`] in every loop
/// whose length the document decides.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    cancel: Option<Arc<AtomicBool>>,
    threads: usize,
    layout: bool,
    started: Instant,
    ticks: std::cell::Cell<u32>,
}

impl Budget {
    /// Opens an account; its time starts now.
    pub fn new(options: &ParseOptions) -> Self {
        Self {
            limits: options.limits.clone(),
            cancel: options.cancel.clone(),
            threads: options.threads.max(1),
            layout: options.layout,
            started: Instant::now(),
            ticks: std::cell::Cell::new(0),
        }
    }

    /// The limits it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Threads that the parse may use, the caller's among them; at least 1.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Whether the caller wants to know where blocks stand on their pages.
    pub fn layout(&self) -> bool {
        self.layout
    }

    /// The same account for another thread of the same parse: one clock, one flag.
    #[must_use]
    pub fn for_thread(&self) -> Self {
        Self {
            limits: self.limits.clone(),
            cancel: self.cancel.clone(),
            threads: 1,
            layout: self.layout,
            started: self.started,
            ticks: std::cell::Cell::new(0),
        }
    }

    /// Cheap check of time and cancellation; looks at the clock every 256th call.
    ///
    /// # Errors
    /// [`ParseError::Limit`] and [`ParseError::Cancelled`].
    pub fn tick(&self) -> Result<(), ParseError> {
        let ticks = self.ticks.get().wrapping_add(1);
        self.ticks.set(ticks);
        if ticks.is_multiple_of(256) {
            self.check_clock()
        } else {
            Ok(())
        }
    }

    /// Checks time and cancellation now.
    ///
    /// # Errors
    /// [`ParseError::Limit`] and [`ParseError::Cancelled`].
    pub fn check_clock(&self) -> Result<(), ParseError> {
        if self
            .cancel
            .as_ref()
            .is_some_and(|c| c.load(Ordering::Relaxed))
        {
            return Err(ParseError::Cancelled);
        }
        let spent = self.started.elapsed();
        if spent > self.limits.time {
            return Err(ParseError::limit(
                "time",
                spent.as_secs(),
                self.limits.time.as_secs(),
                "s",
            ));
        }
        Ok(())
    }

    /// Checks a depth of nesting.
    ///
    /// # Errors
    /// [`ParseError::Limit`].
    pub fn check_depth(&self, depth: usize) -> Result<(), ParseError> {
        check("nesting depth", depth, self.limits.depth, "levels")
    }

    /// Checks a number of blocks.
    ///
    /// # Errors
    /// [`ParseError::Limit`].
    pub fn check_blocks(&self, blocks: usize) -> Result<(), ParseError> {
        check("blocks", blocks, self.limits.blocks, "blocks")
    }

    /// Checks a number of pages.
    ///
    /// # Errors
    /// [`ParseError::Limit`].
    pub fn check_pages(&self, pages: usize) -> Result<(), ParseError> {
        check("pages", pages, self.limits.pages, "pages")
    }

    /// Checks the size of the file, in bytes.
    ///
    /// # Errors
    /// [`ParseError::Limit`].
    pub fn check_file(&self, bytes: u64) -> Result<(), ParseError> {
        check(
            "file size",
            bytes as usize,
            self.limits.file_bytes as usize,
            "bytes",
        )
    }

    /// Checks the size of what was unpacked so far, in bytes.
    ///
    /// # Errors
    /// [`ParseError::Limit`].
    pub fn check_decompressed(&self, bytes: u64) -> Result<(), ParseError> {
        check(
            "decompressed size",
            bytes as usize,
            self.limits.decompressed_bytes as usize,
            "bytes",
        )
    }
}

fn check(
    limit: &'static str,
    value: usize,
    allowed: usize,
    unit: &'static str,
) -> Result<(), ParseError> {
    if value > allowed {
        return Err(ParseError::limit(limit, value as u64, allowed as u64, unit));
    }
    Ok(())
}

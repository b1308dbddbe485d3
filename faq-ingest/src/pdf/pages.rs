//! A document's pages read one by one, on as many threads as the caller allows.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use lopdf::ObjectId;

use super::links::LinkWords;
use super::load::Loaded;
use super::objects::{Account, PageEntry, Source};
use super::packed::Packed;
use super::place::Frame;
use super::ruling::Rules;
use super::{grid, interpret, table, words};
use crate::ParseError;
use crate::limits::Budget;

/// Pages for which another thread is worth its start.
const PAGES_A_THREAD: usize = 8;
/// Text of all pages, in bytes. A font may say that each of its codes stands for a sentence.
const MOST_TEXT: usize = 128 << 20;
/// Pages that a thread takes at once.
const STEP: usize = 2;

/// What is kept of a page between reading its glyphs and building its blocks.
#[derive(Default)]
pub(super) struct PageText {
    /// Text in the page's main direction.
    pub(super) main: Packed,
    pub(super) frame: Frame,
    /// Tables drawn with lines, whose rows stand in `main`.
    pub(super) tables: Vec<table::Row>,
    /// Text in other directions: margin notes, labels of axes, stamps.
    pub(super) aside: Vec<(Frame, Packed)>,
    pub(super) links: Vec<LinkWords>,
    pub(super) width: f32,
    pub(super) height: f32,
    pub(super) has_image: bool,
    /// Images that are drawn on it, the largest first, with their clockwise quarter turns.
    pub(super) images: Vec<(ObjectId, u8)>,
    pub(super) unmapped: usize,
    text_bytes: usize,
    pub(super) glyphs: usize,
    pub(super) cut: bool,
}

/// Reads every page. The order of the result is that of the pages, whoever read them.
pub(super) fn read(
    loaded: &Loaded<'_>,
    budget: &Budget,
    account: &Account,
) -> Result<Vec<PageText>, ParseError> {
    let entries = Source::new(loaded, budget, account).pages()?;
    let threads = budget.threads().min(entries.len() / PAGES_A_THREAD).max(1);
    let shared = Shared {
        loaded,
        account,
        entries: &entries,
        next: AtomicUsize::new(0),
        text: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
    };
    if threads == 1 {
        return shared.work(budget).map(in_order);
    }
    let parts: Result<Vec<_>, ParseError> = thread::scope(|scope| {
        let shared = &shared;
        let helpers: Vec<_> = (1..threads)
            .map_while(|_| {
                let budget = budget.for_thread();
                // A process that may not start threads reads on this one.
                thread::Builder::new()
                    .spawn_scoped(scope, move || shared.work(&budget))
                    .ok()
            })
            .collect();
        let own = shared.work(budget);
        let mut parts = vec![own];
        for helper in helpers {
            parts.push(helper.join().unwrap_or_else(|panic| {
                std::panic::resume_unwind(panic);
            }));
        }
        parts.into_iter().collect()
    });
    Ok(in_order(parts?.into_iter().flatten().collect()))
}

fn in_order(mut pages: Vec<(usize, PageText)>) -> Vec<PageText> {
    pages.sort_by_key(|(at, _)| *at);
    pages.into_iter().map(|(_, page)| page).collect()
}

/// What the threads that read one document have in common.
struct Shared<'a> {
    loaded: &'a Loaded<'a>,
    account: &'a Account,
    entries: &'a [PageEntry<'a>],
    next: AtomicUsize,
    /// Bytes of text on the pages so far.
    text: AtomicUsize,
    failed: AtomicBool,
}

impl Shared<'_> {
    /// Reads pages until none is left, or until one cannot be read.
    fn work(&self, budget: &Budget) -> Result<Vec<(usize, PageText)>, ParseError> {
        let source = Source::new(self.loaded, budget, self.account);
        let mut shared = interpret::Shared::default();
        let mut done = Vec::new();
        while !self.failed.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(STEP, Ordering::Relaxed);
            let Some(rest) = self.entries.get(first..).filter(|r| !r.is_empty()) else {
                break;
            };
            for (at, entry) in (first..).zip(rest.iter().take(STEP)) {
                let read = read_page(&source, &mut shared, entry, self.entries.len() == 1)
                    .and_then(|page| self.count(page));
                match read {
                    Ok(page) => done.push((at, page)),
                    Err(error) => {
                        self.failed.store(true, Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
        }
        Ok(done)
    }

    fn count(&self, page: PageText) -> Result<PageText, ParseError> {
        let own = page.text_bytes;
        let bytes = self
            .text
            .fetch_add(own, Ordering::Relaxed)
            .saturating_add(own);
        if bytes > MOST_TEXT {
            let (value, allowed) = (bytes as u64, MOST_TEXT as u64);
            return Err(ParseError::limit("text of pages", value, allowed, "bytes"));
        }
        Ok(page)
    }
}

fn read_page<'a>(
    source: &Source<'a>,
    shared: &mut interpret::Shared<'a>,
    page: &PageEntry<'a>,
    lone: bool,
) -> Result<PageText, ParseError> {
    source.budget.check_clock()?;
    let content = interpret::page_content(source, shared, page)?;
    let rules = Rules::of(&content.segments, source.budget)?;
    let mut directions = words::directions(&content, &rules, lone, source.budget)?.into_iter();
    let mut main = directions.next().unwrap_or_default();
    let tables = grid::extract(&mut main, &rules, source.budget)?;
    Ok(PageText {
        frame: Frame::of(&main),
        main: Packed::of(main.fragments),
        tables,
        aside: directions
            .map(|d| (Frame::of(&d), Packed::of(d.fragments)))
            .collect(),
        width: content.width,
        height: content.height,
        has_image: content.has_image,
        images: content.images_by_size(),
        links: content.links,
        unmapped: content.unmapped,
        text_bytes: content.text.len(),
        glyphs: content.glyphs.len(),
        cut: content.cut,
    })
}

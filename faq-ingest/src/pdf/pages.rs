//! A document's pages read one by one, on as many threads as the caller allows.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use lopdf::{Document, ObjectId};

use super::font::FontCache;
use super::links::LinkWords;
use super::objects::{PageEntry, Source};
use super::place::Frame;
use super::ruling::Rules;
use super::words::{self, Direction, Fragment};
use super::{grid, interpret, table};
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
    pub(super) aside: Vec<Direction>,
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

/// Fragments at rest: their texts in one piece, since millions of small ones, made between all
/// that a page needs only while it is read, take several times the memory that they hold.
#[derive(Default)]
pub(super) struct Packed {
    text: String,
    /// Each without its text, and the length of that.
    fragments: Vec<(Fragment, u32)>,
}

impl Packed {
    fn of(fragments: Vec<Fragment>) -> Self {
        let mut text = String::with_capacity(fragments.iter().map(|f| f.text.len()).sum());
        let mut packed = Vec::with_capacity(fragments.len());
        for mut fragment in fragments {
            let own = std::mem::take(&mut fragment.text);
            text.push_str(&own);
            packed.push((fragment, own.len() as u32));
        }
        Self {
            text,
            fragments: packed,
        }
    }

    pub(super) fn unpack(self) -> Vec<Fragment> {
        let mut rest = self.text.as_str();
        self.fragments
            .into_iter()
            .map(|(fragment, len)| {
                let (text, after) = rest.split_at_checked(len as usize).unwrap_or((rest, ""));
                rest = after;
                Fragment {
                    text: text.to_owned(),
                    ..fragment
                }
            })
            .collect()
    }
}

/// Reads every page. The order of the result is that of the pages, whoever read them.
pub(super) fn read(
    document: &Document,
    budget: &Budget,
    unpacked: &AtomicU64,
) -> Result<Vec<PageText>, ParseError> {
    let entries = Source::new(document, budget, unpacked).pages()?;
    let threads = budget.threads().min(entries.len() / PAGES_A_THREAD).max(1);
    let shared = Shared {
        document,
        unpacked,
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
    document: &'a Document,
    unpacked: &'a AtomicU64,
    entries: &'a [PageEntry<'a>],
    next: AtomicUsize,
    /// Bytes of text on the pages so far.
    text: AtomicUsize,
    failed: AtomicBool,
}

impl Shared<'_> {
    /// Reads pages until none is left, or until one cannot be read.
    fn work(&self, budget: &Budget) -> Result<Vec<(usize, PageText)>, ParseError> {
        let source = Source::new(self.document, budget, self.unpacked);
        let mut fonts = FontCache::default();
        let mut done = Vec::new();
        while !self.failed.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(STEP, Ordering::Relaxed);
            let Some(rest) = self.entries.get(first..).filter(|r| !r.is_empty()) else {
                break;
            };
            for (at, entry) in (first..).zip(rest.iter().take(STEP)) {
                let read = read_page(&source, &mut fonts, entry, self.entries.len() == 1)
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
    fonts: &mut FontCache,
    page: &PageEntry<'a>,
    lone: bool,
) -> Result<PageText, ParseError> {
    source.budget.check_clock()?;
    let content = interpret::page_content(source, fonts, page)?;
    let rules = Rules::of(&content.segments, source.budget)?;
    let mut directions = words::directions(&content, &rules, lone, source.budget)?.into_iter();
    let mut main = directions.next().unwrap_or_default();
    let tables = grid::extract(&mut main, &rules, source.budget)?;
    Ok(PageText {
        frame: Frame::of(&main),
        main: Packed::of(main.fragments),
        tables,
        aside: directions.collect(),
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

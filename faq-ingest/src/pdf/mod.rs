//! PDF: positioned glyphs into words, lines and blocks in reading order.
//!
//! The object library (`lopdf`) opens the file, decrypts it with the empty password and
//! unpacks streams. Everything above objects is done here: [`interpret`] runs the content
//! streams, [`font`] turns codes into text, [`words`] and [`columns`] find the reading order,
//! [`furniture`] takes out what repeats from page to page, [`blocks`] and [`table`] give text
//! its roles. No image is decoded and nothing is drawn.
//!
//! Pages do not depend on each other up to [`furniture`], nor after it.

mod bidi;
mod blocks;
mod cmap;
mod columns;
mod encoding;
mod font;
mod font_file;
mod furniture;
mod geometry;
mod interpret;
mod lexer;
mod lines;
mod load;
mod objects;
mod table;
mod widths;
mod words;

use blocks::{Body, Draft, DraftBlock, Headings, Nesting};
use font::FontCache;
use lines::Vocabulary;
use objects::Source;
use words::{Direction, Fragment};

use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::{Document, Format, ParseError};

/// What is kept of a page between reading its glyphs and building its blocks.
struct PageText {
    /// Text in the page's main direction.
    main: Vec<Fragment>,
    /// Text in other directions: margin notes, labels of axes, stamps.
    aside: Vec<Direction>,
    height: f32,
    has_image: bool,
    unmapped: usize,
    glyphs: usize,
    cut: bool,
}

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ParseError::Empty);
    }
    let document = load::load(bytes, budget)?;
    let mut pages = read_pages(&document, budget)?;
    let mut title = title_of(&document, budget);
    if pages.is_empty() {
        // The tables may lead to an old or an empty page tree; the objects may still be there.
        let scanned = load::load_by_scan(bytes, budget).ok_or_else(no_pages)?;
        pages = read_pages(&scanned, budget)?;
        title = title.or_else(|| title_of(&scanned, budget));
        if pages.is_empty() {
            return Err(no_pages());
        }
    }
    drop(document);
    build(pages, title, budget)
}

fn no_pages() -> ParseError {
    ParseError::damaged(Format::Pdf, "it holds no page that can be read")
}

fn title_of(document: &lopdf::Document, budget: &Budget) -> Option<String> {
    let title = Source::new(document, budget).info_text(b"Title")?;
    let title = encoding::clean(&title).trim().to_owned();
    // Producers leave file names and placeholders here.
    let placeholder = title.is_empty()
        || title.eq_ignore_ascii_case("untitled")
        || title.len() > 500
        || title.starts_with("Microsoft Word - ");
    (!placeholder).then_some(title)
}

fn read_pages(document: &lopdf::Document, budget: &Budget) -> Result<Vec<PageText>, ParseError> {
    let source = Source::new(document, budget);
    let mut fonts = FontCache::default();
    let mut out = Vec::new();
    for page in source.pages()? {
        budget.check_clock()?;
        out.push(read_page(&source, &mut fonts, &page)?);
    }
    Ok(out)
}

fn read_page<'a>(
    source: &Source<'a>,
    fonts: &mut FontCache,
    page: &objects::PageEntry<'a>,
) -> Result<PageText, ParseError> {
    let content = interpret::page_content(source, fonts, page)?;
    let mut directions = words::directions(&content, source.budget)?.into_iter();
    Ok(PageText {
        main: directions.next().map_or_else(Vec::new, |d| d.fragments),
        aside: directions.collect(),
        height: content.height,
        has_image: content.has_image,
        unmapped: content.unmapped,
        glyphs: content.glyphs.len(),
        cut: content.cut,
    })
}

fn build(
    mut pages: Vec<PageText>,
    title: Option<String>,
    budget: &Budget,
) -> Result<Document, ParseError> {
    let count = pages.len();
    let mut mains: Vec<Vec<Fragment>> = pages
        .iter_mut()
        .map(|p| std::mem::take(&mut p.main))
        .collect();
    let heights: Vec<f32> = pages.iter().map(|p| p.height).collect();
    furniture::remove(&mut mains, &heights, budget)?;
    // A scanned page under a printed header is a page without text all the same.
    let has_text: Vec<bool> = pages
        .iter()
        .zip(&mains)
        .map(|(p, m)| !m.is_empty() || !p.aside.is_empty())
        .collect();
    let body = Body::of(mains.iter().flatten());
    let mut vocabulary = Vocabulary::default();
    for fragment in mains.iter().flatten() {
        budget.tick()?;
        vocabulary.add(&fragment.text);
    }
    let mut drafts: Vec<Vec<DraftBlock>> = Vec::with_capacity(count);
    for (main, page) in mains.into_iter().zip(&mut pages) {
        budget.check_clock()?;
        let mut blocks = Vec::new();
        page_blocks(main, body, budget, &mut blocks)?;
        for aside in std::mem::take(&mut page.aside) {
            page_blocks(aside.fragments, body, budget, &mut blocks)?;
        }
        drafts.push(blocks);
    }
    join_across(&mut drafts);
    let headings = Headings::of(drafts.iter().flatten(), body);

    let mut builder = DocumentBuilder::new();
    let mut nesting = Nesting::default();
    builder.title = title;
    for (i, ((page, blocks), has_text)) in pages.iter().zip(&drafts).zip(has_text).enumerate() {
        budget.check_clock()?;
        let number = (i + 1) as u32;
        let from = builder.text_len();
        for block in blocks {
            budget.tick()?;
            let done = blocks::finish(block, &headings, body, &vocabulary);
            let nested = nesting.level(done.kind, block);
            builder.push(done.kind, done.level.or(nested), Some(number), &done.text);
            budget.check_blocks(builder.len())?;
            if builder.title.is_none() && done.kind == crate::BlockKind::Heading {
                builder.title = Some(done.text);
            }
        }
        builder.end_page(number, from);
        warn_of(page, has_text, number, &mut builder);
    }
    if builder.is_empty() {
        return Err(ParseError::NoText {
            format: Format::Pdf,
            pages: count,
            images: pages.iter().filter(|p| p.has_image).count(),
        });
    }
    Ok(builder.finish(Format::Pdf))
}

fn warn_of(page: &PageText, has_text: bool, number: u32, builder: &mut DocumentBuilder) {
    if !has_text {
        let message = if page.has_image {
            "the page holds an image and no text; it needs OCR"
        } else if page.unmapped > 0 {
            "the page's fonts do not say which characters their glyphs are; it needs OCR"
        } else {
            "the page holds no text"
        };
        builder.warn("no_text_on_page", Some(number), message);
    } else if page.unmapped > page.glyphs / 4 && page.unmapped > 8 {
        builder.warn(
            "unmapped_glyphs",
            Some(number),
            format!(
                "{} of {} characters could not be told from the page's fonts and were left out",
                page.unmapped,
                page.unmapped.saturating_add(page.glyphs)
            ),
        );
    }
    if page.cut {
        builder.warn(
            "page_cut",
            Some(number),
            "the page holds more text than is read of one page; the rest was left out",
        );
    }
}

fn page_blocks(
    fragments: Vec<Fragment>,
    body: Body,
    budget: &Budget,
    out: &mut Vec<DraftBlock>,
) -> Result<(), ParseError> {
    for region in columns::regions(fragments, budget)? {
        budget.tick()?;
        blocks::drafts(region, body, out);
    }
    Ok(())
}

/// Joins a paragraph that the end of a column or of a page cut in two; it stays on the page
/// where it begins.
fn join_across(pages: &mut [Vec<DraftBlock>]) {
    for page in pages.iter_mut() {
        let mut joined: Vec<DraftBlock> = Vec::with_capacity(page.len());
        for block in page.drain(..) {
            match joined.last_mut() {
                Some(last) if continues(last, &block) => append(last, block),
                _ => joined.push(block),
            }
        }
        *page = joined;
    }
    for at in 1..pages.len() {
        let (before, after) = pages.split_at_mut(at);
        let (Some(last), Some(next)) = (
            before.last_mut().and_then(|p| p.last_mut()),
            // A page is not emptied for it.
            after.first_mut().filter(|p| p.len() > 1),
        ) else {
            continue;
        };
        if continues(last, &next[0]) {
            append(last, next.remove(0));
        }
    }
}

fn append(last: &mut DraftBlock, rest: DraftBlock) {
    last.lines.extend(rest.lines);
    last.runs_on = rest.runs_on;
}

/// Whether a block is the rest of the one before: no end of a sentence, then a small letter.
fn continues(last: &DraftBlock, next: &DraftBlock) -> bool {
    let open = |c: char| c.is_alphanumeric() || matches!(c, ',' | '-' | '\u{ad}' | '\u{2010}');
    last.runs_on
        && next.opens
        && next.draft == Draft::Text
        && (last.size - next.size).abs() < last.size * 0.05
        && last.style.bold == next.style.bold
        && last
            .lines
            .last()
            .and_then(|l| l.trim_end().chars().next_back())
            .is_some_and(open)
        && next.lines.first().is_some_and(|l| {
            l.chars().next().is_some_and(char::is_lowercase) && lines::marker_len(l).is_none()
        })
}

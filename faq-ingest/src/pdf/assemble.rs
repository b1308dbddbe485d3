//! Pages into one document: what repeats is taken out, paragraphs are joined over columns and
//! pages, and every block gets its role.

use super::blocks::{self, Body, Draft, DraftBlock, Headings, Nesting};
use super::lines::{self, Vocabulary};
use super::outline::Outline;
use super::packed::Packed;
use super::pages::PageText;
use super::place::{self, Area, Frame};
use super::words::Fragment;
use super::{columns, furniture, links, ocr};
use crate::document::DocumentBuilder;
use crate::limits::Budget;
use crate::{BlockKind, Document, Format, Layout, LeftOut, PageArea, PageSize, ParseError};

/// What a document says of itself as a whole.
pub(super) struct Front {
    pub(super) title: Option<String>,
    pub(super) outline: Outline,
}

/// How a page came to its text.
enum Text {
    Own,
    None { errors: Vec<String> },
    Recognised,
}

/// The document of the given pages; `ocr` is asked for those that are images.
pub(super) fn build(
    mut pages: Vec<PageText>,
    front: Front,
    ocr: Option<&ocr::Reader<'_, '_>>,
    budget: &Budget,
) -> Result<Document, ParseError> {
    let count = pages.len();
    let mut mains: Vec<Packed> = pages
        .iter_mut()
        .map(|p| std::mem::take(&mut p.main))
        .collect();
    let heights: Vec<f32> = pages.iter().map(|p| p.height).collect();
    let mut layout = budget.layout().then(|| layout_of(&pages));
    let whole = layout.is_some().then(|| mains.clone());
    furniture::remove(&mut mains, &heights, budget)?;
    if let (Some(layout), Some(whole)) = (&mut layout, whole) {
        layout.left_out = left_out(&pages, &whole, &mains);
    }
    let body = Body::of(mains.iter().flat_map(Packed::iter));
    let mut vocabulary = Vocabulary::default();
    for fragment in mains.iter().flat_map(Packed::iter) {
        budget.tick()?;
        vocabulary.add(fragment.text);
    }
    let mut drafts: Vec<Vec<DraftBlock>> = Vec::with_capacity(count);
    let mut texts: Vec<Text> = Vec::with_capacity(count);
    for ((main, page), number) in mains.into_iter().zip(&mut pages).zip(1u32..) {
        budget.check_clock()?;
        let mut blocks = Vec::new();
        // A scanned page under a printed header is a page without text all the same.
        let own = !main.is_empty() || !page.aside.is_empty();
        page_blocks(main.unpack(), &page.tables, body, budget, &mut blocks)?;
        locate(&mut blocks, 0, number, page.frame, budget);
        for (frame, aside) in std::mem::take(&mut page.aside) {
            let from = blocks.len();
            page_blocks(aside.unpack(), &[], body, budget, &mut blocks)?;
            locate(&mut blocks, from, number, frame, budget);
        }
        page.tables = Vec::new();
        texts.push(match ocr {
            _ if own => Text::Own,
            Some(reader) => {
                let read = reader.page(page, number)?;
                if read.text.is_empty() {
                    Text::None {
                        errors: read.errors,
                    }
                } else {
                    blocks.extend(blocks::recognised(&read.text, body));
                    Text::Recognised
                }
            }
            None => Text::None { errors: Vec::new() },
        });
        drafts.push(blocks);
    }
    join_across(&mut drafts);
    let headings = Headings::of(drafts.iter().flatten(), front.outline, body);

    let mut builder = DocumentBuilder::new();
    let mut nesting = Nesting::default();
    builder.title = front.title;
    for (i, ((page, blocks), text)) in pages.iter().zip(&drafts).zip(&texts).enumerate() {
        budget.check_clock()?;
        let number = (i + 1) as u32;
        let from = builder.text_len();
        // A paragraph that runs on from the page before stands there.
        let before = builder.last_block_start();
        for block in blocks {
            budget.tick()?;
            let done = blocks::finish(block, &headings, body, &vocabulary);
            let nested = nesting.level(done.kind, block);
            let index = builder.len();
            builder.push(done.kind, done.level.or(nested), Some(number), &done.text);
            if let Some(layout) = layout.as_mut().filter(|_| builder.len() > index) {
                layout.blocks.push(
                    block
                        .areas
                        .iter()
                        .map(|area| shown(&pages, *area))
                        .collect(),
                );
            }
            budget.check_blocks(builder.len())?;
            if builder.title.is_none() && done.kind == BlockKind::Heading {
                builder.title = Some(done.text);
            }
        }
        builder.end_page(number, from);
        if !page.links.is_empty() {
            links::place(&page.links, before, &mut builder);
        }
        warn_of(page, text, number, &mut builder);
    }
    if builder.is_empty() {
        return Err(ParseError::NoText {
            format: Format::Pdf,
            pages: count,
            images: pages.iter().filter(|p| p.has_image).count(),
        });
    }
    builder.layout = layout;
    Ok(builder.finish(Format::Pdf))
}

fn layout_of(pages: &[PageText]) -> Layout {
    let size = |page: &PageText| PageSize {
        width: page.width,
        height: page.height,
    };
    Layout {
        pages: pages.iter().map(size).collect(),
        ..Layout::default()
    }
}

fn shown(pages: &[PageText], area: Area) -> PageArea {
    let page = &pages[area.page as usize - 1];
    place::shown(area, (page.width, page.height))
}

/// What is on the pages as a whole and not among what is kept, which is in the same order.
fn left_out(pages: &[PageText], whole: &[Packed], kept: &[Packed]) -> Vec<LeftOut> {
    let mut out = Vec::new();
    for (((whole, kept), page), number) in whole.iter().zip(kept).zip(pages).zip(1u32..) {
        let mut kept = kept.iter().peekable();
        for fragment in whole.iter() {
            let same = |k: &Fragment<&str>| k.order == fragment.order && k.text == fragment.text;
            if kept.next_if(same).is_some() {
                continue;
            }
            let area = Area {
                page: number,
                rect: page.frame.on_page(fragment.rect()),
            };
            out.push(LeftOut {
                area: shown(pages, area),
                text: fragment.text.to_owned(),
            });
        }
    }
    out
}

/// Notes where on its page each block from `from` on stands.
fn locate(blocks: &mut [DraftBlock], from: usize, page: u32, frame: Frame, budget: &Budget) {
    if !budget.layout() {
        return;
    }
    for block in &mut blocks[from..] {
        let on_page = |rect| Area {
            page,
            rect: frame.on_page(rect),
        };
        block.areas = block.area.take().map(on_page).into_iter().collect();
    }
}

fn warn_of(page: &PageText, text: &Text, number: u32, builder: &mut DocumentBuilder) {
    match text {
        Text::None { errors } => {
            for why in errors {
                let message = format!("an image on the page could not be read: {why}");
                builder.warn("ocr_failed", Some(number), message);
            }
            let message = if page.has_image {
                "the page holds an image and no text; it needs OCR"
            } else if page.unmapped > 0 {
                "the page's fonts do not say which characters their glyphs are; it needs OCR"
            } else {
                "the page holds no text"
            };
            builder.warn("no_text_on_page", Some(number), message);
        }
        Text::Recognised => {
            let message = "the page's text was recognised from its image and may hold mistakes";
            builder.warn("ocr_text", Some(number), message);
        }
        Text::Own if page.unmapped > page.glyphs / 4 && page.unmapped > 8 => {
            let all = page.unmapped.saturating_add(page.glyphs);
            let message = format!(
                "{} of {all} characters could not be told from the page's fonts and were left out",
                page.unmapped
            );
            builder.warn("unmapped_glyphs", Some(number), message);
        }
        Text::Own => {}
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
    tables: &[super::table::Row],
    body: Body,
    budget: &Budget,
    out: &mut Vec<DraftBlock>,
) -> Result<(), ParseError> {
    for region in columns::regions(fragments, budget)? {
        budget.tick()?;
        blocks::drafts(region, tables, body, out);
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
    last.areas.extend(rest.areas);
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

//! Links: rectangles on a page that lead somewhere, and the words under them.
//!
//! What lies under a rectangle is told from the glyphs, before words and lines are made of them;
//! where it stands in the finished text, by looking for it there with what stands before and
//! after it on its line. Both are compared by their letters and digits alone, since hyphens at
//! line ends, leaders and bars of tables come and go on the way.

use std::sync::Arc;

use lopdf::{Dictionary, Object, StringFormat};

use super::geometry::{Matrix, Rect};
use super::interpret::{Glyph, PageContent};
use super::objects::Source;
use crate::document::DocumentBuilder;
use crate::link::outward;
use crate::{ByteRange, ParseError};

/// Links read of one page.
const MAX_LINKS: usize = 1_024;
/// Pieces of links on one page: a link has one on each of its lines.
const MAX_RUNS: usize = 4 * MAX_LINKS;
/// Bands of a page by which the links at a height are found.
const BANDS: usize = 128;
/// Links looked through in one band.
const MAX_IN_BAND: usize = 256;
/// Letters that are looked through for the places of one page's links, those of the page once for
/// each link.
const MOST_SEARCHED: usize = 1 << 28;
/// Letters before and after the words that are kept to tell their place.
const CONTEXT: usize = 24;
/// Glyphs that these letters are looked for in.
const NEARBY: usize = 256;

/// Words on one line that lead somewhere.
#[derive(Debug)]
pub(super) struct LinkWords {
    target: Arc<str>,
    /// As they are drawn, spaces aside.
    words: String,
    /// Letters and digits before them on their line, and after them.
    before: String,
    after: String,
}

/// The rectangles of a list of annotations that lead out of the document, in the coordinates of
/// its pages, each with the number of the address that it leads to.
#[derive(Debug, Default)]
pub(super) struct Areas {
    rects: Vec<(Rect, usize)>,
    targets: Vec<Arc<str>>,
}

impl Areas {
    /// Takes in a link, unless it leads nowhere or there are enough of them.
    pub(super) fn add<'a>(
        &mut self,
        source: &Source<'a>,
        (action, corners): &(&'a Object, Vec<f32>),
    ) {
        if self.rects.len() >= MAX_LINKS {
            return;
        }
        let uri = match source.resolve(action) {
            Object::Dictionary(action) => source.get(action, b"URI"),
            uri => Some(uri),
        };
        let uri = uri
            .and_then(|uri| uri.as_str().ok())
            .and_then(|uri| outward(&String::from_utf8_lossy(uri)));
        let Some(uri) = uri else {
            return;
        };
        let target = self.targets.len();
        if corners.len() >= 8 {
            let quads = corners.chunks_exact(8).filter_map(around);
            self.rects.extend(quads.map(|rect| (rect, target)));
        } else {
            self.rects
                .extend(Rect::from_corners(corners).map(|rect| (rect, target)));
        }
        self.targets.push(uri.into());
    }
}

/// The words under the links of a page; `base` leads to the frame of its glyphs.
pub(super) fn find(
    source: &Source<'_>,
    links: &Areas,
    base: Matrix,
    content: &PageContent,
) -> Result<Vec<LinkWords>, ParseError> {
    if links.rects.is_empty() {
        return Ok(Vec::new());
    }
    let height = content.height.max(1.0);
    let band = |y: f32| ((y / height * BANDS as f32).max(0.0) as usize).min(BANDS - 1);
    let mut bands: Vec<Vec<(Rect, usize)>> = vec![Vec::new(); BANDS];
    for &(rect, target) in &links.rects {
        let rect = rect.transformed(&base);
        for band in &mut bands[band(rect.y0)..=band(rect.y1)] {
            if band.len() < MAX_IN_BAND {
                band.push((rect, target));
            }
        }
    }
    let mut owners: Vec<Option<usize>> = Vec::with_capacity(content.glyphs.len());
    for glyph in &content.glyphs {
        source.budget.tick()?;
        let (x, y) = centre(glyph);
        let under = |(rect, _): &&(Rect, usize)| {
            (rect.x0..=rect.x1).contains(&x) && (rect.y0..=rect.y1).contains(&y)
        };
        owners.push(bands[band(y)].iter().find(under).map(|&(_, target)| target));
    }
    Ok(runs(content, &owners, &links.targets))
}

/// Most corners that are read of one link: those of eight quadrilaterals.
const MAX_CORNERS: usize = 64;

/// What is needed of a link that leads out of the document, in a tenth of the room: documents
/// hold tens of thousands of them. An array of its address, or a reference to its action, and
/// the corners as bytes. `None` where it leads elsewhere.
pub(super) fn packed(link: &Dictionary) -> Option<Object> {
    let target = match link.get(b"A").ok()? {
        Object::Dictionary(action) => action.get(b"URI").ok()?.clone(),
        action @ Object::Reference(_) => action.clone(),
        _ => return None,
    };
    let numbers = |key: &[u8]| -> Option<Vec<f32>> {
        let numbers = link.get(key).ok()?.as_array().ok()?;
        if numbers.len() > MAX_CORNERS {
            return None;
        }
        numbers
            .iter()
            .map(|n| n.as_float().ok().filter(|n| n.is_finite()))
            .collect()
    };
    let quads = numbers(b"QuadPoints").filter(|quads| quads.len() >= 8);
    let Some(corners) = quads.or_else(|| numbers(b"Rect")) else {
        // Numbers behind references are followed once everything is loaded.
        return Some(Object::Dictionary(link.clone()));
    };
    let bytes = corners.iter().flat_map(|c| c.to_le_bytes()).collect();
    Some(Object::Array(vec![
        target,
        Object::String(bytes, StringFormat::Hexadecimal),
    ]))
}

/// What a link leads to, an action or an address, and its corners: pairs, eight numbers for each
/// quadrilateral or four for its rectangle. As it was packed, or as it stands in the file.
pub(super) fn link<'a>(source: &Source<'a>, item: &'a Object) -> Option<(&'a Object, Vec<f32>)> {
    match source.resolve(item) {
        Object::Array(packed) => {
            let [target, Object::String(corners, _)] = packed.as_slice() else {
                return None;
            };
            let (corners, _) = corners.as_chunks::<4>();
            let corners = corners.iter().map(|c| f32::from_le_bytes(*c)).collect();
            Some((target, corners))
        }
        Object::Dictionary(link) if source.get_name(link, b"Subtype") == Some(b"Link") => {
            let quads = source.get_numbers(link, b"QuadPoints");
            let corners = quads
                .filter(|quads| quads.len() >= 8)
                .or_else(|| source.get_numbers(link, b"Rect"))?;
            Some((link.get(b"A").ok()?, corners))
        }
        _ => None,
    }
}

/// The box around the four corners of a quadrilateral.
fn around(points: &[f32]) -> Option<Rect> {
    let edge = |from: usize, start: f32, pick: fn(f32, f32) -> f32| {
        points
            .iter()
            .skip(from)
            .step_by(2)
            .fold(start, |a, &b| pick(a, b))
    };
    Rect::from_corners(&[
        edge(0, f32::MAX, f32::min),
        edge(1, f32::MAX, f32::min),
        edge(0, f32::MIN, f32::max),
        edge(1, f32::MIN, f32::max),
    ])
}

/// The middle of a glyph; the pen moves along its foot.
fn centre(glyph: &Glyph) -> (f32, f32) {
    let up = glyph.size * 0.3;
    (
        f32::midpoint(glyph.from.0, glyph.to.0) + glyph.dir.1 * up,
        f32::midpoint(glyph.from.1, glyph.to.1) - glyph.dir.0 * up,
    )
}

/// Glyphs of one owner that follow each other on a line, put together.
fn runs(content: &PageContent, owners: &[Option<usize>], targets: &[Arc<str>]) -> Vec<LinkWords> {
    let glyphs = &content.glyphs;
    let mut out = Vec::new();
    let mut at = 0;
    while at < glyphs.len() && out.len() < MAX_RUNS {
        let Some(owner) = owners[at] else {
            at += 1;
            continue;
        };
        let mut end = at + 1;
        while end < glyphs.len()
            && owners[end] == Some(owner)
            && on_one_line(&glyphs[end - 1], &glyphs[end])
        {
            end += 1;
        }
        let words: String = (at..end)
            .filter(|&i| !drawn_again(content, i))
            .map(|i| content.glyph_text(&glyphs[i]))
            .flat_map(str::chars)
            .filter(|c| !c.is_whitespace())
            .collect();
        if words.contains(char::is_alphanumeric) {
            out.push(LinkWords {
                target: Arc::clone(&targets[owner]),
                words,
                before: before(content, at),
                after: after(content, end),
            });
        }
        at = end;
    }
    out
}

fn on_one_line(a: &Glyph, b: &Glyph) -> bool {
    let (dx, dy) = (b.from.0 - a.from.0, b.from.1 - a.from.1);
    let across = dy * a.dir.0 - dx * a.dir.1;
    a.dir == b.dir && across.abs() < a.size.max(b.size) * 0.5
}

/// Whether a glyph stands where the one before it does, to look bold.
fn drawn_again(content: &PageContent, at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else {
        return false;
    };
    let (a, b) = (&content.glyphs[before], &content.glyphs[at]);
    let near =
        |a: f32, b: f32| (a - b).abs() < a.abs().max(1.0).min(b.abs().max(1.0)) * 0.001 + 0.3;
    near(a.from.0, b.from.0)
        && near(a.from.1, b.from.1)
        && content.glyph_text(a) == content.glyph_text(b)
}

fn after(content: &PageContent, from: usize) -> String {
    let mut out = String::new();
    for at in from..content.glyphs.len().min(from + NEARBY) {
        let glyph = &content.glyphs[at];
        if out.len() >= CONTEXT || !on_one_line(&content.glyphs[at - 1], glyph) {
            break;
        }
        if !drawn_again(content, at) {
            out.push_str(&letters(content.glyph_text(glyph)));
        }
    }
    out
}

fn before(content: &PageContent, to: usize) -> String {
    let mut from = to;
    let mut len = 0;
    while from > to.saturating_sub(NEARBY)
        && len < CONTEXT
        && on_one_line(&content.glyphs[from - 1], &content.glyphs[from])
    {
        from -= 1;
        len += letters(content.glyph_text(&content.glyphs[from])).len();
    }
    (from..to)
        .filter(|&at| !drawn_again(content, at))
        .map(|at| letters(content.glyph_text(&content.glyphs[at])))
        .collect()
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// A stretch of the finished text, by its letters and digits.
struct Letters<'t> {
    text: &'t str,
    /// Where `text` begins in the document's.
    from: usize,
    kept: String,
    /// For each byte of `kept` where its character stands in `text`.
    places: Vec<u32>,
}

impl<'t> Letters<'t> {
    fn of(text: &'t str, from: usize) -> Self {
        let mut kept = String::with_capacity(text.len());
        let mut places = Vec::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            if c.is_alphanumeric() {
                kept.push(c);
                places.resize(kept.len(), at as u32);
            }
        }
        Self {
            text,
            from,
            kept,
            places,
        }
    }

    /// Where `words` stand that begin at byte `at` of the letters and are `len` bytes of them.
    fn range(&self, at: usize, len: usize, words: &str) -> Option<ByteRange> {
        let place = |at: usize| self.places.get(at).map(|&p| p as usize);
        let (mut start, last) = (place(at)?, place((at + len).checked_sub(1)?)?);
        let mut end = last + self.text.get(last..)?.chars().next()?.len_utf8();
        // Marks around the words belong to the link where they are under its rectangle.
        let lead = &words[..words.find(char::is_alphanumeric)?];
        let trail = words.rsplit(char::is_alphanumeric).next()?;
        if self.text[..start].ends_with(lead) {
            start -= lead.len();
        }
        if self.text[end..].starts_with(trail) {
            end += trail.len();
        }
        Some(ByteRange::new(self.from + start, self.from + end))
    }
}

/// Gives the document the links of the page that was just written; `from` is where the text
/// begins that the page may have added to.
pub(super) fn place(links: &[LinkWords], from: usize, builder: &mut DocumentBuilder) {
    let found: Vec<(ByteRange, &str)> = {
        let Some(text) = builder.text_from(from) else {
            return;
        };
        let letters_of_page = Letters::of(text, from);
        let mut after = 0;
        let mut found: Vec<(ByteRange, &str)> = Vec::new();
        let room = MOST_SEARCHED / letters_of_page.kept.len().max(1);
        for link in links.iter().take(room) {
            let Some(range) = link.place(&letters_of_page, &mut after) else {
                continue;
            };
            match found.last_mut() {
                // The rest of a link that the end of a line cut in two.
                Some((before, target))
                    if **target == *link.target
                        && range.start >= before.end
                        && text[before.end - from..range.start - from]
                            .bytes()
                            .all(|b| b == b' ') =>
                {
                    before.end = range.end;
                }
                _ => found.push((range, &link.target)),
            }
        }
        found
    };
    for (range, target) in found {
        builder.link(range, target);
    }
}

impl LinkWords {
    /// Where the words stand; `after` is where those of the link before end, in letters.
    fn place(&self, page: &Letters<'_>, after: &mut usize) -> Option<ByteRange> {
        let words = letters(&self.words);
        let tries = [
            (self.before.as_str(), self.after.as_str()),
            (self.before.as_str(), ""),
            ("", self.after.as_str()),
            ("", ""),
        ];
        for (n, (before, behind)) in tries.into_iter().enumerate() {
            let sought = format!("{before}{words}{behind}");
            // Links are drawn in reading order as a rule. What stands before a link may lie within
            // the one before.
            let mut from = after.saturating_sub(before.len());
            while !page.kept.is_char_boundary(from) {
                from -= 1;
            }
            let later = page.kept.get(from..).and_then(|rest| rest.find(&sought));
            let found = later.map(|at| from + at);
            let Some(at) = found.or_else(|| page.kept.find(&sought)) else {
                continue;
            };
            // The words alone tell their place where they stand once.
            let is_alone = n + 1 == tries.len();
            if is_alone && page.kept.find(&sought) != page.kept.rfind(&sought) {
                return None;
            }
            let start = at + before.len();
            *after = start + words.len();
            return page.range(start, words.len(), &self.words);
        }
        None
    }
}

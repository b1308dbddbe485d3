//! Regions into blocks: paragraphs, list items, code and tables; then headings over the whole
//! document.

use std::collections::HashMap;

use super::font::Style;
use super::geometry::Rect;
use super::lines::{self, Line, Vocabulary};
use super::outline::Outline;
use super::place::{self, Area};
use super::table;
use super::words::Fragment;
use crate::BlockKind;

/// What a block is before the document's sizes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draft {
    Text,
    Code,
    Header,
    Row,
}

/// Lines that belong together.
#[derive(Debug, Clone)]
pub(super) struct DraftBlock {
    pub(super) draft: Draft,
    pub(super) lines: Vec<String>,
    pub(super) size: f32,
    pub(super) style: Style,
    /// Left edge of the first line.
    pub(super) x0: f32,
    /// The box around the lines, in the frame of their direction; `None` for text out of an image.
    pub(super) area: Option<Rect>,
    /// Boxes on the pages, once the frame was undone; several for a block that was cut in two.
    pub(super) areas: Vec<Area>,
    /// Whether it is the first of its region.
    pub(super) opens: bool,
    /// Whether it is the last of its region and fills its last line, so that it may go on in
    /// the next one.
    pub(super) runs_on: bool,
}

/// A block of the finished document.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) kind: BlockKind,
    pub(super) level: Option<u8>,
    pub(super) text: String,
}

/// What the document's letters are like on the whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body {
    /// Size of most letters.
    pub(super) size: f32,
    /// Whether most letters are of equal width, so that this says nothing about code.
    pub(super) mono: bool,
    /// Whether most letters are bold, so that this says nothing about headings.
    pub(super) bold: bool,
}

impl Body {
    pub(super) fn of<T>(fragments: impl Iterator<Item = Fragment<T>>) -> Self {
        let mut sizes: std::collections::BTreeMap<i32, usize> = std::collections::BTreeMap::new();
        let (mut all, mut mono, mut bold) = (0usize, 0usize, 0usize);
        for f in fragments {
            *sizes.entry((f.size * 4.0).round() as i32).or_default() += f.chars;
            all += f.chars;
            mono += if f.style.mono { f.chars } else { 0 };
            bold += if f.style.bold { f.chars } else { 0 };
        }
        let usual = sizes.into_iter().max_by_key(|(_, n)| *n);
        Self {
            size: usual.map_or(10.0, |(s, _)| s as f32 / 4.0),
            mono: mono * 10 > all * 6,
            bold: bold * 10 > all * 4,
        }
    }
}

/// The blocks of one region.
pub(super) fn drafts(
    fragments: Vec<Fragment>,
    tables: &[table::Row],
    body: Body,
    out: &mut Vec<DraftBlock>,
) {
    let mut lines = lines::lines(fragments);
    let from = out.len();
    let (x0, x1) = lines
        .iter()
        .fold((f32::MAX, f32::MIN), |(a, b), l| (a.min(l.x0), b.max(l.x1)));
    let pitch = usual_pitch(&lines);
    let next_drawn = |lines: &[Line], from: usize| {
        let found = lines[from..].iter().position(drawn_row);
        found.map_or(lines.len(), |n| from + n)
    };
    let mut at = 0;
    // What is found from its lines' places ends at the next table that is drawn.
    let mut stop = next_drawn(&lines, 0);
    while at < lines.len() {
        if at == stop {
            for cell in std::mem::take(&mut lines[at].cells) {
                out.push(match cell.row.and_then(|r| tables.get(r)) {
                    Some(row) => row_block(row.clone(), cell.size, cell.x0),
                    None => text_block(&lines::lines(vec![cell])),
                });
            }
            at += 1;
            stop = next_drawn(&lines, at);
            continue;
        }
        let code = lines[at].style.mono && !body.mono;
        if code {
            let mut end = at + 1;
            while end < stop
                && lines[end].style.mono
                && lines[end].y - lines[end - 1].y < lines[end].size * 2.2
            {
                end += 1;
            }
            out.push(code_block(&lines[at..end]));
            at = end;
        } else if let Some(table) = table::table_at(&lines[at..stop]) {
            for row in table.read() {
                out.push(row_block(row, lines[at].size, lines[at].x0));
            }
            at += table.lines.max(1);
        } else {
            let mut end = at + 1;
            while end < stop
                && (body.mono || !lines[end].style.mono)
                && !breaks(&lines[at..end], &lines[end], (x0, x1), pitch)
                && (lines[end].cells.len() < 2 || table::table_at(&lines[end..stop]).is_none())
            {
                end += 1;
            }
            let mut block = text_block(&lines[at..end]);
            // A lone short line fills its region by being all of it.
            block.runs_on = end == lines.len()
                && (cut_word(&lines[end - 1])
                    || lines[end - 1].x1 > x1 - lines[end - 1].size * 3.0
                        && lines[end - 1].x1 - lines[end - 1].x0 > lines[end - 1].size * 15.0);
            out.push(block);
            at = end;
        }
    }
    if let Some(first) = out.get_mut(from) {
        first.opens = true;
    }
}

/// The paragraphs of text that was recognised: lines, with an empty one between two of them.
pub(super) fn recognised(text: &str, body: Body) -> Vec<DraftBlock> {
    let mut out: Vec<DraftBlock> = Vec::new();
    let mut open = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            open = false;
            continue;
        }
        let line = super::encoding::clean(line);
        match out
            .last_mut()
            .filter(|_| open && lines::marker_len(&line).is_none())
        {
            Some(block) => block.lines.push(line),
            None => out.push(DraftBlock {
                draft: Draft::Text,
                lines: vec![line],
                size: body.size,
                style: Style::default(),
                x0: 0.0,
                area: None,
                areas: Vec::new(),
                opens: false,
                runs_on: false,
            }),
        }
        open = true;
    }
    out
}

fn drawn_row(line: &Line) -> bool {
    line.cells.iter().any(|c| c.row.is_some())
}

fn row_block(row: table::Row, size: f32, x0: f32) -> DraftBlock {
    DraftBlock {
        draft: if row.header {
            Draft::Header
        } else {
            Draft::Row
        },
        lines: vec![row.text],
        size,
        style: Style::default(),
        x0,
        area: row.area,
        areas: Vec::new(),
        opens: false,
        runs_on: false,
    }
}

fn usual_pitch(lines: &[Line]) -> f32 {
    let mut pitches: Vec<f32> = lines
        .windows(2)
        .map(|w| (w[1].y - w[0].y) / w[1].size.max(0.1))
        .filter(|p| (0.5..3.0).contains(p))
        .collect();
    pitches.sort_by(f32::total_cmp);
    // Below the middle, so that gaps between paragraphs do not count as usual.
    pitches.get(pitches.len() * 2 / 5).copied().unwrap_or(1.2)
}

/// Whether `next` begins a new block after the lines of `block`.
fn breaks(block: &[Line], next: &Line, (left, right): (f32, f32), pitch: f32) -> bool {
    let (Some(first), Some(last)) = (block.first(), block.last()) else {
        return true;
    };
    let size = last.size.max(next.size);
    let gap = (next.y - last.y) / size.max(0.1);
    if gap > (pitch * 1.3).max(1.0) + 0.05 || gap < 0.0 {
        return true;
    }
    if (last.size - next.size).abs() > size * 0.08 || last.style.bold != next.style.bold {
        return true;
    }
    let text = next.text();
    if lines::marker_len(&text).is_some() {
        return true;
    }
    if cut_word(last) && text.chars().next().is_some_and(char::is_lowercase) {
        return false;
    }
    let in_item = lines::marker_len(&first.text()).is_some();
    if toc_entry(last) {
        return true;
    }
    let em = size;
    if in_item {
        // Text that goes back to the marker's own edge is no part of the item.
        if block.len() > 1 && next.x0 < first.x0 + em * 0.3 && last.x0 > first.x0 + em * 0.5 {
            return true;
        }
    } else if block.len() > 1 && next.x0 > last.x0 + em * 0.8 && last.x0 < left + em {
        // A first line's indent.
        return true;
    } else if block.len() == 1 && next.x0 > last.x0 + em * 0.8 {
        let full = last.x1 > right - em * 2.0;
        let goes_on = text.chars().next().is_some_and(char::is_lowercase);
        if !full && !goes_on && !centred(last, next) {
            return true;
        }
    } else if block.len() > 1
        && next.x0 < last.x0 - em * 0.8
        && (first.x0 - next.x0).abs() < em * 0.3
    {
        // Back from a hanging indent: the next entry of a bibliography.
        return true;
    }
    // The line was ended on purpose where the next word would have fitted.
    let room = right - last.x1;
    room > next.first_word + em * 1.5 && !centred(last, next)
}

/// Whether a line ends in a word that a hyphen cuts.
fn cut_word(line: &Line) -> bool {
    let text = line.text();
    let mut back = text.trim_end().chars().rev();
    matches!(back.next(), Some('-' | '\u{ad}' | '\u{2010}'))
        && back.next().is_some_and(char::is_alphabetic)
}

/// Whether a line is an entry of a table of contents: leaders up to a page's number.
fn toc_entry(line: &Line) -> bool {
    let text = line.text();
    let text = text.trim_end();
    let number = text.rsplit(|c: char| c == '.' || c.is_whitespace()).next();
    let number = number.unwrap_or_default();
    let leaders = text[..text.len() - number.len()].trim_end();
    !number.is_empty()
        && number.len() <= 6
        && number
            .chars()
            .all(|c| c.is_ascii_digit() || "ivxlcIVXLC".contains(c))
        && (leaders.ends_with("....") || leaders.ends_with(". . ."))
}

fn centred(a: &Line, b: &Line) -> bool {
    let centre = |l: &Line| f32::midpoint(l.x0, l.x1);
    (centre(a) - centre(b)).abs() < a.size * 0.6 && (a.x0 - b.x0).abs() > a.size * 0.5
}

fn text_block(lines: &[Line]) -> DraftBlock {
    DraftBlock {
        draft: Draft::Text,
        lines: lines.iter().map(Line::text).collect(),
        size: lines.first().map_or(0.0, |l| l.size),
        style: Style {
            bold: lines.iter().all(|l| l.style.bold),
            italic: lines.iter().all(|l| l.style.italic),
            mono: false,
        },
        x0: lines.first().map_or(0.0, |l| l.x0),
        area: place::around(lines),
        areas: Vec::new(),
        opens: false,
        runs_on: false,
    }
}

/// Code with its indentation, from where the lines stand.
fn code_block(lines: &[Line]) -> DraftBlock {
    let left = lines.iter().map(|l| l.x0).fold(f32::MAX, f32::min);
    let size = lines.first().map_or(1.0, |l| l.size).max(0.1);
    let columns = |gap: f32| ((gap / (size * 0.6)).round().max(0.0) as usize).min(80);
    let texts = lines
        .iter()
        .map(|line| {
            let mut text = " ".repeat(columns(line.x0 - left));
            let mut end = line.x0;
            for (i, cell) in line.cells.iter().enumerate() {
                if i > 0 {
                    text.push_str(&" ".repeat(columns(cell.x0 - end).max(1)));
                }
                text.push_str(&cell.text);
                end = cell.x1;
            }
            text
        })
        .collect();
    DraftBlock {
        draft: Draft::Code,
        lines: texts,
        size,
        style: Style {
            mono: true,
            ..Style::default()
        },
        x0: left,
        area: place::around(lines),
        areas: Vec::new(),
        opens: false,
        runs_on: false,
    }
}

/// How headings are told: by the outline, and by sizes, largest first.
#[derive(Debug, Default)]
pub(super) struct Headings {
    sizes: Vec<f32>,
    outline: Outline,
    /// Levels that the outline gives to headings of a look, by size in half points and weight.
    looks: HashMap<(i32, bool), u8>,
}

fn look(block: &DraftBlock) -> (i32, bool) {
    ((block.size * 2.0).round() as i32, block.style.bold)
}

impl Headings {
    pub(super) fn of<'b>(
        blocks: impl Iterator<Item = &'b DraftBlock>,
        outline: Outline,
        body: Body,
    ) -> Self {
        let mut sizes: Vec<f32> = Vec::new();
        let mut votes: HashMap<(i32, bool), [usize; 7]> = HashMap::new();
        for block in blocks.filter(|b| could_be_heading(b)) {
            if is_larger(block, body) {
                sizes.push((block.size * 2.0).round() / 2.0);
            }
            if let Some(level) = listed(&outline, block, body) {
                votes.entry(look(block)).or_default()[usize::from(level.min(6))] += 1;
            }
        }
        sizes.sort_by(|a, b| b.total_cmp(a));
        sizes.dedup_by(|a, b| (*b - *a).abs() < 0.6);
        let looks = votes
            .into_iter()
            .filter_map(|(look, votes)| {
                let level = (1..7).max_by_key(|&l| (votes[l], 7 - l))?;
                Some((look, level as u8))
            })
            .collect();
        Self {
            sizes,
            outline,
            looks,
        }
    }

    fn level(&self, block: &DraftBlock, body: Body) -> Option<u8> {
        if !could_be_heading(block) {
            return None;
        }
        if let Some(level) = listed(&self.outline, block, body) {
            return Some(level.min(6));
        }
        if let Some(level) = self
            .looks
            .get(&look(block))
            .filter(|_| is_larger(block, body))
        {
            return Some(*level);
        }
        if is_larger(block, body) {
            let rank = self
                .sizes
                .iter()
                .position(|s| block.size >= s - 0.4)
                .unwrap_or(self.sizes.len());
            return Some((rank + 1).min(6) as u8);
        }
        let whole = block.lines.join(" ");
        let bold = block.style.bold
            && !body.bold
            && block.size > body.size * 0.9
            && block.lines.len() <= 2
            && whole.chars().count() <= 120
            && !whole.trim_end().ends_with(['.', ',', ';', ':']);
        bold.then(|| (self.sizes.len() + 1).min(6) as u8)
    }
}

/// The level of a block that the outline lists. Text that looks like all other text is taken
/// for a heading only where it stands alone.
fn listed(outline: &Outline, block: &DraftBlock, body: Body) -> Option<u8> {
    if outline.is_empty() {
        return None;
    }
    let stands_out = is_larger(block, body) || block.style.bold && !body.bold;
    if !stands_out && block.lines.len() > 1 {
        return None;
    }
    outline.level(&block.lines.join(" "))
}

fn is_larger(block: &DraftBlock, body: Body) -> bool {
    block.size > body.size * 1.12 && block.size > body.size + 0.7
}

fn could_be_heading(block: &DraftBlock) -> bool {
    block.draft == Draft::Text
        && block.lines.len() <= 4
        && block.lines.iter().map(String::len).sum::<usize>() <= 300
        && block
            .lines
            .iter()
            .any(|l| l.chars().filter(|c| c.is_alphabetic()).count() >= 2)
}

/// Nesting of list items, by how far they are indented.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    edges: Vec<f32>,
}

impl Nesting {
    /// The depth of the next block, from 1, where it is a list item; anything else ends lists.
    pub(super) fn level(&mut self, kind: BlockKind, block: &DraftBlock) -> Option<u8> {
        if kind != BlockKind::ListItem {
            self.edges.clear();
            return None;
        }
        let slack = block.size * 0.4;
        while self.edges.last().is_some_and(|e| block.x0 < e - slack) {
            self.edges.pop();
        }
        if self.edges.last().is_none_or(|e| block.x0 > e + slack) && self.edges.len() < 9 {
            self.edges.push(block.x0);
        }
        Some(self.edges.len() as u8)
    }
}

/// The text and the role of a block; a list item's level is told by [`Nesting`].
pub(super) fn finish(
    block: &DraftBlock,
    headings: &Headings,
    body: Body,
    vocabulary: &Vocabulary,
) -> Finished {
    let joined = || {
        let mut text = String::new();
        for line in &block.lines {
            lines::join(&mut text, line, vocabulary);
        }
        lines::tidy(&text)
    };
    match block.draft {
        Draft::Code => Finished {
            kind: BlockKind::Code,
            level: None,
            text: block.lines.join("\n"),
        },
        Draft::Row => Finished {
            kind: BlockKind::TableRow,
            level: None,
            text: joined(),
        },
        Draft::Header => Finished {
            kind: BlockKind::TableHeader,
            level: None,
            text: block.lines.iter().map(|line| lines::tidy(line)).collect(),
        },
        Draft::Text => {
            let text = joined();
            if let Some(level) = headings.level(block, body) {
                return Finished {
                    kind: BlockKind::Heading,
                    level: Some(level),
                    text,
                };
            }
            let item = lines::marker_len(&text).is_some_and(|n| text.len() > n + 1);
            Finished {
                kind: if item {
                    BlockKind::ListItem
                } else {
                    BlockKind::Paragraph
                },
                level: None,
                text,
            }
        }
    }
}

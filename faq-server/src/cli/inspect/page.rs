//! What was read of a file as one HTML page: each page of a PDF with its blocks at their places,
//! beside the text and the borders of the chunks.
//!
//! The page needs no network and no other file. Text of the document is escaped wherever it
//! goes, and the page's own policy allows no script but the one that comes with it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faq_core::{Block, BlockKind, Chunk, Document, PageArea, PageSize, Warning};
use sha2::{Digest, Sha256};

use super::{count, grouped, heading, kind, size};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The kinds of blocks, in the order of the legend.
const KINDS: [BlockKind; 6] = [
    BlockKind::Heading,
    BlockKind::Paragraph,
    BlockKind::ListItem,
    BlockKind::TableHeader,
    BlockKind::TableRow,
    BlockKind::Code,
];

/// What is shown.
pub(super) struct Shown<'a> {
    /// Name of the file.
    pub(super) name: &'a str,
    /// Its size.
    pub(super) bytes: u64,
    pub(super) document: &'a Document,
    pub(super) chunks: &'a [Chunk],
    /// Warnings beside the document's own.
    pub(super) missing: Option<&'a Warning>,
}

/// The page.
pub(super) fn page(shown: &Shown<'_>) -> String {
    let mut page = Page {
        shown,
        marks: marks(shown.chunks).into_iter().peekable(),
        out: String::with_capacity(shown.document.text.len() * 3 + 16_384),
    };
    page.head();
    page.top();
    page.sections();
    page.out.push_str(
        "<footer>Made by <code>faq inspect --html</code>. A box stands where its block was read; \
         its number is its place in the reading order.</footer>\n",
    );
    let _ = write!(
        page.out,
        "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    page.out
}

/// A border of a chunk in the text.
#[derive(Clone, Copy)]
struct Mark {
    at: usize,
    /// Index of the chunk.
    chunk: usize,
    begins: bool,
}

/// Borders in the order of the text. An end is a border of its own only where the next chunk has
/// begun before it.
fn marks(chunks: &[Chunk]) -> Vec<Mark> {
    let mut out = Vec::with_capacity(chunks.len());
    for (i, chunk) in chunks.iter().enumerate() {
        let mark = |at, begins| Mark {
            at,
            chunk: i,
            begins,
        };
        out.push(mark(chunk.range.start, true));
        if chunks
            .get(i + 1)
            .is_some_and(|n| n.range.start < chunk.range.end)
        {
            out.push(mark(chunk.range.end, false));
        }
    }
    out.sort_by_key(|m| (m.at, m.begins));
    out
}

struct Page<'a> {
    shown: &'a Shown<'a>,
    marks: std::iter::Peekable<std::vec::IntoIter<Mark>>,
    out: String,
}

impl Page<'_> {
    fn head(&mut self) {
        let hash = STANDARD.encode(Sha256::digest(SCRIPT));
        let _ = write!(
            self.out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; script-src 'sha256-{hash}'; base-uri 'none'; \
             form-action 'none'\">\n<title>{}: what faq read</title>\n<style>{STYLE}</style>\n\
             </head>\n<body>\n<main>\n",
            escaped(self.shown.name)
        );
    }

    fn top(&mut self) {
        let document = self.shown.document;
        let mut facts = vec![document.format.to_string(), size(self.shown.bytes)];
        if !document.pages.is_empty() {
            facts.push(count(document.pages.len(), "page"));
        }
        facts.push(count(document.blocks.len(), "block"));
        if !self.shown.chunks.is_empty() {
            facts.push(count(self.shown.chunks.len(), "chunk"));
        }
        facts.extend(document.language.as_ref().map(|l| format!("language {l}")));
        let _ = write!(
            self.out,
            "<header class=\"top\">\n<h1 dir=\"auto\">{}</h1>\n<p class=\"facts\">{}",
            escaped(self.shown.name),
            escaped(&facts.join(", "))
        );
        if let Some(title) = &document.title {
            let _ = write!(self.out, "<br>Title: <bdi>{}</bdi>", escaped(title));
        }
        self.out.push_str("</p>\n");
        let of_all = document.warnings.iter().filter(|w| w.page.is_none());
        let warnings: Vec<&Warning> = of_all.chain(self.shown.missing).collect();
        if !warnings.is_empty() {
            self.out.push_str("<ul class=\"warnings\">\n");
            for warning in warnings {
                let _ = writeln!(self.out, "<li>{}</li>", warning_text(warning));
            }
            self.out.push_str("</ul>\n");
        }
        self.out.push_str("<ul class=\"legend\">\n");
        for kind in KINDS {
            let found = document.blocks.iter().filter(|b| b.kind == kind).count();
            if found > 0 {
                let _ = writeln!(
                    self.out,
                    "<li class=\"{}\"><i></i>{}</li>",
                    class(kind),
                    count(found, name(kind))
                );
            }
        }
        if document
            .layout
            .as_ref()
            .is_some_and(|l| !l.left_out.is_empty())
        {
            self.out
                .push_str("<li>dashed: running headers and footers, left out</li>\n");
        }
        self.out.push_str("</ul>\n");
        self.chunk_table();
        self.out.push_str("</header>\n");
    }

    fn chunk_table(&mut self) {
        if self.shown.chunks.is_empty() {
            return;
        }
        let _ = write!(
            self.out,
            "<details><summary>{}</summary>\n<div class=\"wide\"><table>\n<tr><th>Chunk</th>\
             <th>Tokens</th><th>Pages</th><th>Under</th></tr>\n",
            count(self.shown.chunks.len(), "chunk")
        );
        for chunk in self.shown.chunks {
            let _ = writeln!(
                self.out,
                "<tr><td><a href=\"#c{0}\">{0}</a></td><td class=\"n\">{1}</td><td>{2}</td>\
                 <td dir=\"auto\">{3}</td></tr>",
                chunk.ordinal,
                grouped(chunk.tokens as u64),
                pages(chunk).unwrap_or_default(),
                escaped(&heading(chunk).unwrap_or_default())
            );
        }
        self.out.push_str("</table></div>\n</details>\n");
    }

    fn sections(&mut self) {
        let document = self.shown.document;
        let mut rest = document.blocks.iter().enumerate().peekable();
        for page in &document.pages {
            let mut own = Vec::new();
            while let Some(next) =
                rest.next_if(|(_, b)| b.page.is_none_or(|number| number <= page.number))
            {
                own.push(next);
            }
            self.section(Some(page.number), &own);
        }
        let own: Vec<_> = rest.collect();
        if !own.is_empty() || document.pages.is_empty() {
            self.section(None, &own);
        }
    }

    fn section(&mut self, number: Option<u32>, blocks: &[(usize, &Block)]) {
        let document = self.shown.document;
        let layout = document.layout.as_ref();
        let paper = number.and_then(|n| layout?.pages.get(n as usize - 1).copied());
        let class = if paper.is_some() {
            "page drawn"
        } else {
            "page"
        };
        let _ = writeln!(self.out, "<section class=\"{class}\">");
        if let Some(number) = number {
            let of = document.pages.len();
            let _ = writeln!(
                self.out,
                "<h2 id=\"page{number}\">Page {number} of {of}</h2>"
            );
            if let Some(paper) = paper {
                self.sheet(number, paper);
            }
        }
        self.out.push_str("<div class=\"words\">\n");
        for warning in document
            .warnings
            .iter()
            .filter(|w| w.page.is_some() && w.page == number)
        {
            let _ = writeln!(
                self.out,
                "<p class=\"warning\">{}</p>",
                warning_text(warning)
            );
        }
        if blocks.is_empty() {
            self.out
                .push_str("<p class=\"none\">No text begins here.</p>\n");
        }
        for &(index, block) in blocks {
            self.block(index, block);
        }
        self.out.push_str("</div>\n</section>\n");
    }

    /// The drawing of a page.
    fn sheet(&mut self, number: u32, paper: PageSize) {
        let (width, height) = (paper.width.max(1.0), paper.height.max(1.0));
        let _ = writeln!(
            self.out,
            "<div class=\"sheet\" style=\"aspect-ratio:{width:.2}/{height:.2};--shape:{:.4}\">",
            width / height
        );
        let document = self.shown.document;
        let mut empty = true;
        if let Some(layout) = &document.layout {
            for (index, areas) in layout.blocks.iter().enumerate() {
                let Some(block) = document.blocks.get(index) else {
                    break;
                };
                for (part, area) in areas.iter().enumerate() {
                    if area.page == number {
                        empty = false;
                        self.block_box(index, block, areas, part, (width, height));
                    }
                }
            }
            for left in layout.left_out.iter().filter(|l| l.area.page == number) {
                let place = place(&left.area, (width, height));
                let letters = letters(left.area.height * left.area.width, &left.area, &left.text);
                let tall = if is_tall(&left.area) { " tall" } else { "" };
                let _ = writeln!(
                    self.out,
                    "<div class=\"out{tall}\" style=\"{place};font-size:{:.3}cqw\"><span>{}</span></div>",
                    letters / width * 100.0,
                    escaped(&left.text)
                );
            }
        }
        if empty {
            self.out
                .push_str("<p class=\"blank\">No text was found on this page.</p>\n");
        }
        self.out.push_str("</div>\n");
    }

    /// The box of a part of a block, with the share of its text that fits in it.
    fn block_box(
        &mut self,
        index: usize,
        block: &Block,
        areas: &[PageArea],
        part: usize,
        paper: (f32, f32),
    ) {
        let space = |areas: &[PageArea]| areas.iter().map(|a| a.width * a.height).sum::<f32>();
        let text = self.shown.document.block_text(block);
        let in_table = matches!(block.kind, BlockKind::TableHeader | BlockKind::TableRow);
        // The line of dashes below a header is no text of the page.
        let text = match block.kind {
            BlockKind::TableHeader => text.lines().next().unwrap_or_default(),
            _ => text,
        };
        let whole = space(areas).max(0.01);
        let cut = |share: f32| {
            let at = (text.len() as f32 * share / whole) as usize;
            boundary(text, at)
        };
        let from = cut(space(&areas[..part]));
        let to = if part + 1 == areas.len() {
            text.len()
        } else {
            cut(space(&areas[..=part]))
        };
        let number = index + 1;
        let id = if part == 0 {
            format!(" id=\"p{number}\"")
        } else {
            String::new()
        };
        let area = &areas[part];
        let _ = writeln!(
            self.out,
            "<a class=\"box {}{}{}\"{id} data-block=\"{number}\" href=\"#b{number}\" \
             aria-label=\"block {number}, {}\" style=\"{};font-size:{:.3}cqw\"><span \
             aria-hidden=\"true\" dir=\"auto\">{}</span><b aria-hidden=\"true\">{number}</b></a>",
            class(block.kind),
            if is_tall(area) { " tall" } else { "" },
            if area.x < paper.0 * EDGE { " edge" } else { "" },
            kind(block.kind, block.level),
            place(area, paper),
            // Cells have room above and below their text.
            letters(whole, area, text) / paper.0 * if in_table { 75.0 } else { 100.0 },
            escaped(&text[from..to.max(from)])
        );
    }

    /// A block in the column of text, with the borders of chunks that fall into it.
    fn block(&mut self, index: usize, block: &Block) {
        let number = index + 1;
        let text = self.shown.document.block_text(block);
        while let Some(mark) = self.marks.next_if(|m| m.at <= block.range.start) {
            self.mark(mark, "div");
        }
        let placed = self
            .shown
            .document
            .layout
            .as_ref()
            .and_then(|l| l.blocks.get(index))
            .is_some_and(|areas| !areas.is_empty());
        let shown_number = if placed {
            format!("<a href=\"#p{number}\">{number}</a>")
        } else {
            format!("<b>{number}</b>")
        };
        let _ = write!(
            self.out,
            "<div class=\"block {}\" id=\"b{number}\" data-block=\"{number}\"><div \
             class=\"what\">{shown_number} {}</div><div class=\"text\" dir=\"auto\">",
            class(block.kind),
            kind(block.kind, block.level)
        );
        let mut done = 0;
        while let Some(mark) = self.marks.next_if(|m| m.at < block.range.end) {
            let at = boundary(text, mark.at - block.range.start);
            let at = at.max(done);
            self.words(block.range.start + done, block.range.start + at);
            done = at;
            self.mark(mark, "span");
        }
        self.words(block.range.start + done, block.range.end);
        self.out.push_str("</div></div>\n");
    }

    /// A stretch of the text, its links where they lead.
    fn words(&mut self, from: usize, to: usize) {
        let document = self.shown.document;
        let text =
            |from: usize, to: usize| escaped(document.text.get(from..to).unwrap_or_default());
        let mut done = from;
        let first = document.links.partition_point(|l| l.range.end <= from);
        for link in document.links[first..]
            .iter()
            .take_while(|l| l.range.start < to)
        {
            let (start, end) = (link.range.start.max(done), link.range.end.min(to));
            let (words, target) = (text(start, end), escaped(&link.target));
            self.out.push_str(&text(done, start));
            // Elsewhere than on the web, a click could do what nobody expects of a page.
            let _ = if is_web(&link.target) {
                write!(
                    self.out,
                    "<a class=\"link\" href=\"{target}\" title=\"{target}\" target=\"_blank\" \
                     rel=\"noopener noreferrer\">{words}</a>"
                )
            } else {
                write!(
                    self.out,
                    "<span class=\"link\" title=\"{target}\">{words}</span>"
                )
            };
            done = end;
        }
        self.out.push_str(&text(done, to));
    }

    fn mark(&mut self, mark: Mark, element: &str) {
        let Some(chunk) = self.shown.chunks.get(mark.chunk) else {
            return;
        };
        if !mark.begins {
            let _ = write!(
                self.out,
                "<{element} class=\"border end\">chunk {} ends</{element}>",
                chunk.ordinal
            );
            return;
        }
        let mut facts = vec![
            format!("chunk {}", chunk.ordinal),
            count(chunk.tokens, "token"),
        ];
        facts.extend(pages(chunk).map(|p| format!("page {p}")));
        let _ = write!(
            self.out,
            "<{element} class=\"border\" id=\"c{}\">{}",
            chunk.ordinal,
            facts.join(" · ")
        );
        if let Some(heading) = heading(chunk) {
            let _ = write!(self.out, " · under <bdi>{}</bdi>", escaped(&heading));
        }
        let _ = write!(self.out, "</{element}>");
    }
}

fn pages(chunk: &Chunk) -> Option<String> {
    let (first, last) = chunk.pages?;
    Some(if first == last {
        first.to_string()
    } else {
        format!("{first}–{last}")
    })
}

/// Share of a page's width, from the left, in which there is no room for a number beside a box.
const EDGE: f32 = 0.03;

/// Whether a box is so narrow that its text can only run up or down.
fn is_tall(area: &PageArea) -> bool {
    area.height > area.width * 4.0 && area.width < 40.0
}

/// Where a box stands on a page of the given size.
fn place(area: &PageArea, (width, height): (f32, f32)) -> String {
    format!(
        "left:{:.3}%;top:{:.3}%;width:{:.3}%;height:{:.3}%",
        area.x / width * 100.0,
        area.y / height * 100.0,
        area.width / width * 100.0,
        area.height / height * 100.0
    )
}

/// Size of letters, in points, at which a text fills `space` square points as wide as its box.
fn letters(space: f32, area: &PageArea, text: &str) -> f32 {
    let (across, along) = if is_tall(area) {
        (area.width, area.height)
    } else {
        (space / area.width.max(0.1), area.width)
    };
    // A letter is half as wide as high, a line a fifth higher than its letters, and lines have
    // ragged ends.
    let width = text.chars().count().max(1) as f32 * 0.54;
    let in_lines = |n: f32| (across / (n * 1.2)).min(n * along / width);
    (1..=MOST_LINES)
        .map(|n| in_lines(n as f32))
        .fold(0.5, f32::max)
}

/// Lines that a box is thought to have at most.
const MOST_LINES: u16 = 150;

/// Whether an address is one of the web, or of a mailbox.
fn is_web(target: &str) -> bool {
    ["http://", "https://", "mailto:"].iter().any(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

fn warning_text(warning: &Warning) -> String {
    format!(
        "<code>{}</code> {}",
        escaped(&warning.code),
        escaped(&warning.message)
    )
}

fn class(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Heading => "heading",
        BlockKind::ListItem => "list_item",
        BlockKind::TableHeader => "table_header",
        BlockKind::TableRow => "table_row",
        BlockKind::Code => "code",
        _ => "paragraph",
    }
}

fn name(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Heading => "heading",
        BlockKind::ListItem => "list item",
        BlockKind::TableHeader => "table header",
        BlockKind::TableRow => "table row",
        BlockKind::Code => "piece of code",
        _ => "paragraph",
    }
}

/// The last boundary of characters up to `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&i| text.is_char_boundary(i))
        .unwrap_or(0)
}

/// Text as it may stand anywhere in HTML, attributes included.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use faq_core::{ByteRange, Control, Engine, Source};

    fn chunk(ordinal: u32, start: usize, end: usize) -> Chunk {
        Chunk {
            ordinal,
            range: ByteRange::new(start, end),
            tokens: 3,
            pages: None,
            heading_path: vec!["<Rules>".to_owned()],
            table_header: None,
        }
    }

    fn shown(text: &str, chunks: &[Chunk]) -> String {
        let source = Source::new("a.md", text);
        let engine = Engine::open("unused").unwrap();
        let document = engine.parse(&source, &Control::new()).unwrap();
        page(&Shown {
            name: "a<b>.md",
            bytes: text.len() as u64,
            document: &document,
            chunks,
            missing: None,
        })
    }

    #[test]
    fn a_document_cannot_write_html() {
        let html = shown(
            "# Rules\n\n`<script>alert(1)</script>` and `\" onclick='x' &amp;`",
            &[],
        );
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(html.contains("&quot; onclick=&#39;x&#39; &amp;amp;"));
        assert!(html.contains("<h1 dir=\"auto\">a&lt;b&gt;.md</h1>"));
        assert_eq!(html.matches("<script").count(), 1);
    }

    #[test]
    fn words_lead_to_the_web_and_nowhere_else() {
        let text = "See [the *rules*](https://r.example/?a=1&b=%22'), [this](javascript:alert%281%29) \
                    and [that](x.html), or <a@b.example>.";
        // A chunk begins within the first link.
        let html = shown(text, &[chunk(0, 0, 8), chunk(1, 8, 40)]);
        let web = "<a class=\"link\" href=\"https://r.example/?a=1&amp;b=%22&#39;\" ";
        assert_eq!(html.matches(web).count(), 2);
        assert!(html.contains("rel=\"noopener noreferrer\">the </a><span class=\"border\""));
        assert!(html.contains("rel=\"noopener noreferrer\">rules</a>, "));
        assert!(
            html.contains("<span class=\"link\" title=\"javascript:alert%281%29\">this</span>")
        );
        assert!(html.contains("<span class=\"link\" title=\"x.html\">that</span>"));
        assert!(html.contains("href=\"mailto:a@b.example\""));
        assert!(!html.contains("href=\"javascript"));
    }

    #[test]
    fn every_chunk_has_one_border_and_overlaps_have_two() {
        let text = "One is here.\n\nTwo is there, and far.\n\nThree ends.";
        let chunks = [chunk(0, 0, 36), chunk(1, 18, 36), chunk(2, 38, 49)];
        let html = shown(text, &chunks);
        for ordinal in 0..3 {
            assert_eq!(html.matches(&format!("id=\"c{ordinal}\"")).count(), 1);
        }
        // The first two overlap, so the first's end is a border of its own.
        assert_eq!(html.matches("class=\"border end\"").count(), 1);
        assert!(html.contains("under <bdi>&lt;Rules&gt;</bdi>"));
        // Without its borders, the text is whole.
        let found = html.split("class=\"text\" dir=\"auto\">").count() - 1;
        assert_eq!(found, 3);
        assert!(html.contains("Two <span class=\"border\" id=\"c1\">"));
    }
}

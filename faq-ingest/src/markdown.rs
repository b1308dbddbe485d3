//! Markdown (CommonMark with GitHub's tables, task lists and footnotes) into blocks.
//!
//! Markup goes, what a reader sees stays: a link's text, an image's description, the fence's
//! content whole. HTML blocks are read as HTML.

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::document::DocumentBuilder;
use crate::inline::Inline;
use crate::limits::Budget;
use crate::table::{Cell, HeaderRule, Table, TableWriter};
use crate::{BlockKind, Document, Format, ParseError, encoding, html};

pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Document, ParseError> {
    let decoded = encoding::decode(bytes, None);
    let mut out = DocumentBuilder::new();
    decoded.warn(&mut out);
    check_nesting(&decoded.text, budget)?;
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut reader = Reader {
        out: &mut out,
        budget,
        text: Inline::default(),
        lists: Vec::new(),
        item: None,
        note: None,
        state: State::Flow,
        raw: String::new(),
        table: Table::default(),
        tables: TableWriter::default(),
    };
    for event in Parser::new_ext(&decoded.text, options) {
        budget.tick()?;
        reader.event(event)?;
    }
    reader.flush();
    if out.title.is_none() {
        out.title = out.first_heading();
    }
    Ok(out.finish(Format::Markdown))
}

/// Quotes and lists can be nested by a line's prefix alone, at a byte a level.
fn check_nesting(text: &str, budget: &Budget) -> Result<(), ParseError> {
    for line in text.split('\n') {
        budget.tick()?;
        let prefix = line
            .bytes()
            .take_while(|b| matches!(b, b'>' | b'-' | b'*' | b'+' | b' ' | b'\t'));
        let (mut depth, mut before) = (0, 0);
        for byte in prefix {
            depth += usize::from(byte == b'>');
            depth += usize::from(byte == b' ' && matches!(before, b'-' | b'*' | b'+'));
            before = byte;
        }
        budget.check_depth(depth)?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Flow,
    Code,
    Html,
    Metadata,
}

struct Reader<'o> {
    out: &'o mut DocumentBuilder,
    budget: &'o Budget,
    text: Inline,
    /// Open lists, outermost first, each with its next number.
    lists: Vec<Option<u64>>,
    /// Marker of an item whose first text is still to come.
    item: Option<String>,
    /// Label of a footnote whose first text is still to come.
    note: Option<String>,
    state: State,
    raw: String,
    table: Table,
    tables: TableWriter,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>) -> Result<(), ParseError> {
        match event {
            Event::Start(tag) => self.start(tag)?,
            Event::End(tag) => self.end(tag)?,
            Event::Text(text) => match self.state {
                State::Flow => self.text.push(&text),
                _ => self.raw.push_str(&text),
            },
            Event::Code(code) | Event::InlineMath(code) | Event::DisplayMath(code) => {
                self.text.push(&code);
            }
            Event::Html(text) => self.raw.push_str(&text),
            Event::InlineHtml(tag) => self.inline_html(&tag),
            Event::FootnoteReference(label) => self.text.push(&format!("[{label}]")),
            Event::SoftBreak => self.text.space(),
            Event::HardBreak => self.text.line_break(),
            Event::Rule => self.flush(),
            Event::TaskListMarker(done) => self.text.push(if done { "[x] " } else { "[ ] " }),
        }
        self.budget.check_blocks(self.out.len())
    }

    fn start(&mut self, tag: Tag<'_>) -> Result<(), ParseError> {
        match tag {
            Tag::Paragraph | Tag::BlockQuote(_) | Tag::Heading { .. } => self.flush(),
            Tag::CodeBlock(_) => {
                self.flush();
                self.state = State::Code;
                self.raw.clear();
            }
            Tag::HtmlBlock => {
                self.flush();
                self.state = State::Html;
                self.raw.clear();
            }
            Tag::MetadataBlock(_) => {
                self.state = State::Metadata;
                self.raw.clear();
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
                self.budget.check_depth(self.lists.len())?;
            }
            Tag::Item => {
                self.flush();
                self.item = Some(match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}. ");
                        *number = number.saturating_add(1);
                        marker
                    }
                    _ => "- ".to_owned(),
                });
            }
            Tag::FootnoteDefinition(label) => {
                self.flush();
                self.note = Some(format!("[{label}] "));
            }
            Tag::Table(_) => {
                self.flush();
                self.table = Table::default();
            }
            Tag::TableHead => self.table.start_row(true),
            Tag::TableRow => self.table.start_row(false),
            Tag::Link {
                link_type,
                dest_url,
                ..
            } => {
                let scheme = match link_type {
                    LinkType::Email => "mailto:",
                    _ => "",
                };
                let target = self.out.target(&format!("{scheme}{dest_url}"));
                self.text.lead_to(target);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd) -> Result<(), ParseError> {
        match tag {
            TagEnd::Heading(level) => {
                let text = self.text.take();
                self.out
                    .push(BlockKind::Heading, Some(level as u8), None, &text);
            }
            TagEnd::CodeBlock => {
                let code = std::mem::take(&mut self.raw);
                self.state = State::Flow;
                // An item that begins with code has used up its marker.
                self.item = None;
                self.out.push(BlockKind::Code, None, None, &code);
            }
            TagEnd::HtmlBlock => {
                let markup = std::mem::take(&mut self.raw);
                self.state = State::Flow;
                html::read_fragment(&markup, self.out, self.budget)?;
            }
            TagEnd::MetadataBlock(_) => {
                let block = std::mem::take(&mut self.raw);
                self.state = State::Flow;
                if self.out.title.is_none() {
                    self.out.title = declared_title(&block);
                }
            }
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
            }
            TagEnd::Item => {
                self.flush();
                self.item = None;
            }
            TagEnd::FootnoteDefinition => {
                self.flush();
                self.note = None;
            }
            TagEnd::TableCell => {
                let text = self.text.take();
                self.table.cell(Cell {
                    text,
                    ..Cell::default()
                });
            }
            TagEnd::Table => {
                let table = std::mem::take(&mut self.table);
                self.tables
                    .write(&table, HeaderRule::Named, None, self.out, self.budget)?;
            }
            TagEnd::Link => self.text.lead_to(None),
            TagEnd::Paragraph | TagEnd::BlockQuote(_) => self.flush(),
            _ => {}
        }
        Ok(())
    }

    /// Ends the block in the making.
    fn flush(&mut self) {
        if self.text.is_blank() {
            self.text.take();
            return;
        }
        let text = self.text.take();
        if let Some(marker) = self.item.take() {
            let level = self.lists.len().min(255) as u8;
            self.out.push(
                BlockKind::ListItem,
                Some(level),
                None,
                &format!("{marker}{text}"),
            );
        } else if let Some(label) = self.note.take() {
            self.out
                .push(BlockKind::Paragraph, None, None, &format!("{label}{text}"));
        } else {
            self.out.push(BlockKind::Paragraph, None, None, &text);
        }
    }

    fn inline_html(&mut self, tag: &str) {
        let name = tag
            .trim_start_matches(['<', '/'])
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if matches!(name.as_str(), "br" | "p" | "div" | "li" | "tr") {
            self.text.line_break();
        }
    }
}

/// `title:` of YAML or `title =` of TOML front matter.
fn declared_title(block: &str) -> Option<String> {
    block.lines().find_map(|line| {
        let rest = line.strip_prefix("title")?.trim_start();
        let value = rest.strip_prefix([':', '='])?.trim();
        let value = value.trim_matches(['"', '\'']).trim();
        (!value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::{BlockKind, Document, Limits, ParseError, ParseOptions, parse};

    fn read(text: &str) -> Document {
        parse(text.as_bytes(), "a.md", &ParseOptions::default()).unwrap()
    }

    #[test]
    fn front_matter_gives_the_title_and_goes() {
        let document =
            read("---\ntitle: \"Leave policy\"\nauthor: HR\n---\n\nTake *ten* [days](u).");
        assert_eq!(document.title.as_deref(), Some("Leave policy"));
        assert_eq!(document.text, "Take ten days.");
    }

    #[test]
    fn lists_number_and_nest() {
        let document = read("3. three\n4. four\n   - [x] done\n\n   more of four\n");
        let blocks: Vec<_> = document
            .blocks
            .iter()
            .map(|b| (b.kind, b.level, document.block_text(b)))
            .collect();
        assert_eq!(
            blocks,
            [
                (BlockKind::ListItem, Some(1), "3. three"),
                (BlockKind::ListItem, Some(1), "4. four"),
                (BlockKind::ListItem, Some(2), "- [x] done"),
                (BlockKind::Paragraph, None, "more of four"),
            ]
        );
    }

    #[test]
    fn tables_say_their_headers_and_fences_stay_whole() {
        let document = read("| Plan | Price |\n|---|---|\n| Basic | 5 |\n\n```sh\na\n\n  b\n```\n");
        assert_eq!(
            document.text,
            "Plan | Price\n--- | ---\nBasic | 5\n\na\n\n  b"
        );
    }

    #[test]
    fn links_say_where_they_lead() {
        let document = read(
            "# On [rules](https://r.example/a \"T\")\n\nAsk <hr@r.example> or [see *the* ![x](i.png)\n\
             page][p] in [here](#here).\n\n| a [b](c.md) |\n|---|\n| [d](e) |\n\n[p]: ../p.html\n",
        );
        assert_eq!(
            document.text,
            "On rules\n\nAsk hr@r.example or see the x page in here.\n\na b\nd"
        );
        let links: Vec<_> = document
            .links
            .iter()
            .map(|l| (l.range.slice(&document.text).unwrap(), l.target.as_str()))
            .collect();
        assert_eq!(
            links,
            [
                ("rules", "https://r.example/a"),
                ("hr@r.example", "mailto:hr@r.example"),
                ("see the x page", "../p.html"),
                ("b", "c.md"),
                ("d", "e"),
            ]
        );
    }

    #[test]
    fn footnotes_and_html() {
        let document =
            read("See[^1] a<br>b.\n\n[^1]: The *note*.\n\n<div><p>In <b>HTML</b></p></div>\n");
        assert_eq!(document.text, "See[1] a\nb.\n\n[1] The note.\n\nIn HTML");
    }

    #[test]
    fn deep_quotes_pass_the_limit() {
        let text = format!("{} a", ">".repeat(100_000));
        assert!(matches!(
            parse(text.as_bytes(), "a.md", &ParseOptions::default()),
            Err(ParseError::Limit { limit, allowed, .. })
                if limit == "nesting depth" && allowed == Limits::default().depth as u64
        ));
    }
}

//! Text of one block in the making: white space collapsed, wanted line breaks and links kept.

use crate::link::{self, TargetId};

/// Collects the text of a block piece by piece.
#[derive(Debug, Default, Clone)]
pub(crate) struct Inline {
    text: String,
    space: bool,
    /// Where what comes next leads.
    target: Option<TargetId>,
    /// The link that the text so far ends in.
    open: Option<TargetId>,
}

impl Inline {
    /// Appends text of a document; every run of white space counts as one space.
    pub(crate) fn push(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.space = true;
            } else if !is_invisible(c) && !link::is_mark(c) {
                self.begin();
                self.text.push(c);
            }
        }
    }

    /// Appends text that an [`Inline`] made, links included.
    pub(crate) fn push_made(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.space = true;
            } else if !is_invisible(c) {
                // The end of a link stands at its last word, before the space.
                if !link::is_end(c) {
                    self.flush_space();
                }
                self.text.push(c);
            }
        }
    }

    /// Appends text as it is, white space included.
    pub(crate) fn push_verbatim(&mut self, text: &str) {
        self.begin();
        self.text.push_str(text);
    }

    /// What comes next leads to `target`, or nowhere.
    pub(crate) fn lead_to(&mut self, target: Option<TargetId>) {
        self.target = target;
    }

    /// Appends a space, unless there is one.
    pub(crate) fn space(&mut self) {
        self.space = true;
    }

    /// Ends the line.
    pub(crate) fn line_break(&mut self) {
        self.space = false;
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The text so far, and an empty start, which leads where the text's end did.
    pub(crate) fn take(&mut self) -> String {
        self.space = false;
        self.end_link();
        std::mem::take(&mut self.text)
    }

    /// Makes ready for something visible.
    fn begin(&mut self) {
        if self.open == self.target {
            self.flush_space();
            return;
        }
        self.end_link();
        self.flush_space();
        if let Some(target) = self.target {
            link::open(&mut self.text, target);
        }
        self.open = self.target;
    }

    fn end_link(&mut self) {
        if self.open.take().is_some() {
            link::close(&mut self.text);
        }
    }

    fn flush_space(&mut self) {
        if self.space && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push(' ');
        }
        self.space = false;
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// `text` on one line, its white space collapsed.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = Inline::default();
    out.push(text);
    out.take()
}

/// Text that an [`Inline`] made, links included, on one line.
pub(crate) fn made_one_line(text: &str) -> String {
    let mut out = Inline::default();
    out.push_made(text);
    out.take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Targets;

    #[test]
    fn links_hold_their_words_and_no_space() {
        let mut targets = Targets::default();
        let mut text = Inline::default();
        text.push("see ");
        text.lead_to(targets.id("a"));
        text.push(" the page ");
        text.line_break();
        text.lead_to(None);
        text.push(" of ");
        text.lead_to(targets.id("b"));
        text.push("\u{fdd0} \u{fdd1}");
        text.lead_to(None);
        text.push("rules");
        let (read, links) = link::take(&text.take());
        assert_eq!(read, "see the page\nof rules");
        let words: Vec<_> = links.iter().map(|(r, _)| r.slice(&read)).collect();
        assert_eq!(words, [Some("the page")]);
    }

    #[test]
    fn a_link_goes_on_in_the_next_block() {
        let mut targets = Targets::default();
        let mut text = Inline::default();
        text.lead_to(targets.id("a"));
        text.push("one");
        let first = text.take();
        text.push("two");
        for (made, word) in [(first, "one"), (text.take(), "two")] {
            let (read, links) = link::take(&made_one_line(&format!("{made}  . ")));
            assert_eq!(read, format!("{word} ."));
            assert_eq!(links[0].0, crate::ByteRange::new(0, 3));
        }
    }
}

//! Text of one block in the making: white space collapsed, wanted line breaks kept.

/// Collects the text of a block piece by piece.
#[derive(Debug, Default, Clone)]
pub(crate) struct Inline {
    text: String,
    space: bool,
}

impl Inline {
    /// Appends text; every run of white space counts as one space.
    pub(crate) fn push(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.space = true;
            } else if !matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}') {
                self.flush_space();
                self.text.push(c);
            }
        }
    }

    /// Appends text as it is, white space included.
    pub(crate) fn push_verbatim(&mut self, text: &str) {
        self.flush_space();
        self.text.push_str(text);
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

    /// The text so far, and an empty start.
    pub(crate) fn take(&mut self) -> String {
        self.space = false;
        std::mem::take(&mut self.text)
    }

    fn flush_space(&mut self) {
        if self.space && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push(' ');
        }
        self.space = false;
    }
}

/// `text` on one line, its white space collapsed.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = Inline::default();
    out.push(text);
    out.take()
}

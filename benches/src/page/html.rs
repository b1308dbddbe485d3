//! HTML in pieces: what comes from data is escaped on its way in.

use std::fmt::{self, Write};

/// Text as it may stand between tags and in quoted attributes.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(out), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                // Control characters may not stand in HTML at all.
                c if c.is_control() => self.0.write_char(' ')?,
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A table. Cells are given as HTML.
pub(super) struct Table {
    head: String,
    body: String,
}

impl Table {
    /// With these columns; those that hold words are named again in `wordy`.
    pub(super) fn new(columns: &[String], wordy: &[&str]) -> Self {
        let mut head = String::new();
        for name in columns {
            let class = if wordy.contains(&name.as_str()) {
                " class=\"text\""
            } else {
                ""
            };
            let _ = write!(head, "<th{class}>{}</th>", Text(name));
        }
        Self {
            head,
            body: String::new(),
        }
    }

    /// A row: the class and the text of each cell.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = (&'static str, String)>) {
        self.body += "<tr>";
        for (class, text) in cells {
            let _ = write!(self.body, "<td class=\"{class}\">{}</td>", Text(text));
        }
        self.body += "</tr>\n";
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, body } = self;
        write!(
            out,
            "<div class=\"wide\"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let text = Text("<script>\"a\" & 'b'</script>\u{0}").to_string();
        assert_eq!(
            text,
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt; "
        );
    }
}

//! Notes on cells, which a reader sees beside them.

use crate::inline::one_line;
use crate::limits::Budget;
use crate::xml::{Token, Xml};
use crate::{Format, ParseError};

/// What stands at the start of the note that replaces a thread of comments for programs that
/// know no threads.
const THREAD: &str = "[Threaded comment]";

/// The notes of a part, such as `Note on B3: in working days`.
pub(super) fn read(part: &str, budget: &Budget) -> Result<Vec<String>, ParseError> {
    let mut notes = Vec::new();
    let mut place = String::new();
    let mut text = String::new();
    let mut in_text = false;
    let mut xml = Xml::new(part, Format::Xlsx, budget);
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(e) if e.is("comment") => {
                place = e.attribute("ref").unwrap_or_default();
                text.clear();
            }
            Token::Open(e) => in_text = e.is("t"),
            Token::Text(t) if in_text => text.push_str(&t),
            Token::Text(_) => {}
            Token::Close(name) => {
                in_text = false;
                let line = one_line(&text);
                if name == "comment" && !line.is_empty() && !line.starts_with(THREAD) {
                    notes.push(format!("Note on {}: {line}", one_line(&place)));
                }
            }
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::read;
    use crate::{Budget, ParseOptions};

    #[test]
    fn notes_are_read_and_threads_are_not() {
        let part = "<comments><authors><author>Ada</author></authors><commentList>\
            <comment ref='B3'><text><r><t>in working</t></r><r><t xml:space='preserve'> days</t></r></text></comment>\
            <comment ref='C1'><text><t>[Threaded comment] Update your program</t></text></comment>\
            </commentList></comments>";
        let budget = Budget::new(&ParseOptions::default());
        assert_eq!(
            read(part, &budget).unwrap(),
            ["Note on B3: in working days"]
        );
    }
}

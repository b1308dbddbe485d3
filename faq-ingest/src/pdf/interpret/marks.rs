//! Marked content: replacement text, and what a producer says is no part of the text.

use lopdf::Object;

use super::{Frame, Glyph, Interpreter, MAX_STATES, Operand, Role};
use crate::pdf::encoding;

/// An open marked-content sequence.
pub(super) enum Mark {
    Plain,
    Artifact(Role),
    /// Text that replaces what is shown from glyph `from` on.
    Actual {
        from: usize,
        text: String,
    },
}

impl<'a> Interpreter<'_, 'a> {
    pub(super) fn open_mark(&mut self, operands: &[Operand<'_>], frame: &Frame<'a>) {
        if self.marks.len() >= MAX_STATES {
            return;
        }
        let tag = operands.first().and_then(Operand::name).unwrap_or_default();
        let inline = operands.get(1);
        let named = inline.and_then(Operand::name).and_then(|name| {
            let resources = frame.resources?;
            let properties = self.source.get_dict(resources, b"Properties")?;
            self.source.get_dict(properties, name)
        });
        let actual = match (inline.and_then(|d| d.get(b"ActualText")), named) {
            (Some(Operand::String(s)), _) => {
                lopdf::decode_text_string(&Object::string_literal(s.to_vec())).ok()
            }
            (_, Some(dict)) => self
                .source
                .get(dict, b"ActualText")
                .and_then(|o| lopdf::decode_text_string(o).ok()),
            _ => None,
        };
        let entry = |key: &[u8]| {
            inline
                .and_then(|d| d.get(key))
                .and_then(Operand::name)
                .or_else(|| named.and_then(|d| self.source.get_name(d, key)))
        };
        let pagination = entry(b"Type") == Some(b"Pagination");
        let role = match entry(b"Subtype") {
            Some(b"Header") => Role::Header,
            _ => Role::Artifact,
        };
        let nested = self.marks.iter().any(|m| matches!(m, Mark::Actual { .. }));
        self.marks.push(match actual {
            Some(text) if !nested => Mark::Actual {
                from: self.out.glyphs.len(),
                text: encoding::clean(&text),
            },
            _ if tag == b"Artifact" && pagination => Mark::Artifact(role),
            _ => Mark::Plain,
        });
    }

    pub(super) fn close_mark(&mut self) {
        let Some(Mark::Actual { from, text }) = self.marks.pop() else {
            return;
        };
        let out = &mut self.out;
        let Some(shown) = out.glyphs.get(from..).filter(|g| !g.is_empty()) else {
            return;
        };
        let (first, last) = (shown[0], shown[shown.len() - 1]);
        // Replacement text of several lines has no place of its own; what is shown has.
        if (first.from.1 - last.from.1).abs() > first.size * 0.5
            && (first.from.0 - last.from.0).abs() > first.size * 0.5
        {
            return;
        }
        out.glyphs.truncate(from);
        if text.is_empty() {
            return;
        }
        let start = out.text.len() as u32;
        out.text.push_str(&text);
        out.glyphs.push(Glyph {
            start,
            len: text.len() as u32,
            to: last.to,
            ..first
        });
    }
}

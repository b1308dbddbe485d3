//! Blocks in the making: what a word processor's reader may have to hold back, since it stands in
//! a frame, a note or a cell.

use crate::document::DocumentBuilder;
use crate::inline::Inline;
use crate::limits::Budget;
use crate::table::{HeaderRule, Table, TableWriter};
use crate::{BlockKind, ParseError};

/// A block that is read and not yet written.
pub(crate) enum Piece {
    Text {
        kind: BlockKind,
        level: Option<u8>,
        text: String,
    },
    Table(Table),
}

impl Piece {
    /// Adds the block to the document.
    pub(crate) fn write(
        self,
        tables: &mut TableWriter,
        out: &mut DocumentBuilder,
        budget: &Budget,
    ) -> Result<(), ParseError> {
        match self {
            Self::Text {
                kind: BlockKind::Code,
                text,
                ..
            } => out.push_code_line(&text),
            Self::Text { kind, level, text } => out.push(kind, level, None, &text),
            Self::Table(table) => tables.write(&table, HeaderRule::Likely, None, out, budget)?,
        }
        budget.check_blocks(out.len())
    }
}

/// The text of blocks in one line, tables inside it in reading order.
pub(crate) fn flat(pieces: &[Piece]) -> String {
    let mut text = Inline::default();
    for piece in pieces {
        match piece {
            Piece::Text { text: t, .. } => text.push_made(t),
            Piece::Table(table) => {
                for cell in table.texts() {
                    text.push_made(cell);
                    text.space();
                }
            }
        }
        text.space();
    }
    text.take()
}

//! Blocks into chunks: what goes together, and what is repeated.

use super::ChunkConfig;
use super::split::split;
use super::tokens::Tokens;
use crate::{BlockKind, ByteRange, Document};

/// One chunk to be.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) range: ByteRange,
    /// Block in which its own text begins; the last heading where it holds nothing else.
    pub(super) first_block: usize,
}

/// A block, or a part of one that had to be cut.
#[derive(Debug, Clone, Copy)]
struct Piece {
    range: ByteRange,
    block: usize,
    heading: bool,
    /// A table's header, whole, which stays with the row below it.
    table_header: bool,
    /// Cut as finely as it will be.
    fine: bool,
}

/// The chunk that is being filled.
#[derive(Debug)]
struct Open {
    /// Start of the chunk, what it repeats included.
    start: usize,
    /// Never empty.
    pieces: Vec<Piece>,
    has_text: bool,
}

impl Open {
    fn ends_with_heading(&self) -> bool {
        self.pieces.last().is_some_and(|p| p.heading)
    }

    fn push(&mut self, piece: Piece) {
        self.has_text |= !piece.heading;
        self.pieces.push(piece);
    }

    fn end(&self) -> usize {
        self.pieces.last().map_or(self.start, |p| p.range.end)
    }
}

struct Packer<'d> {
    document: &'d Document,
    tokens: &'d Tokens,
    config: ChunkConfig,
    /// What is still to come; the next piece is the last.
    pending: Vec<Piece>,
    done: Vec<Span>,
}

pub(super) fn pack(document: &Document, tokens: &Tokens, config: ChunkConfig) -> Vec<Span> {
    let pieces = document.blocks.iter().enumerate().rev();
    let pending = pieces
        .map(|(index, block)| Piece {
            range: block.range,
            block: index,
            heading: block.kind == BlockKind::Heading,
            table_header: block.kind == BlockKind::TableHeader,
            fine: false,
        })
        .collect();
    let mut packer = Packer {
        document,
        tokens,
        config,
        pending,
        done: Vec::new(),
    };
    packer.run();
    packer.done
}

impl Packer<'_> {
    fn run(&mut self) {
        let mut open: Option<Open> = None;
        while let Some(piece) = self.pending.pop() {
            if !piece.fine && self.tokens.count(piece.range) > self.config.size {
                self.cut(piece);
                continue;
            }
            let Some(mut chunk) = open.take() else {
                open = Some(Open {
                    start: self.start_for(piece),
                    pieces: vec![piece],
                    has_text: !piece.heading,
                });
                continue;
            };
            if piece.heading && !chunk.ends_with_heading() && self.is_half_full(&chunk) {
                self.pending.push(piece);
                self.close(&chunk);
                continue;
            }
            if self.count(chunk.start, piece.range.end) <= self.config.size {
                chunk.push(piece);
                open = Some(chunk);
                continue;
            }
            if !chunk.has_text && !piece.heading && !piece.fine {
                // Headings alone, and the text below them does not fit as a whole.
                self.cut(piece);
                open = Some(chunk);
                continue;
            }
            self.pending.push(piece);
            let keep = self.break_point(&chunk);
            while chunk.pieces.len() > keep {
                self.pending.extend(chunk.pieces.pop());
            }
            self.close(&chunk);
        }
        if let Some(chunk) = open {
            self.close(&chunk);
        }
    }

    fn count(&self, start: usize, end: usize) -> usize {
        self.tokens.count(ByteRange::new(start, end))
    }

    fn is_half_full(&self, chunk: &Open) -> bool {
        self.count(chunk.start, chunk.end()) * 2 >= self.config.size
    }

    /// Puts back a piece in parts. They are fine enough to fill up a chunk that has begun.
    fn cut(&mut self, piece: Piece) {
        let size = (self.config.size / 8).max(1);
        let parts = split(&self.document.text, self.tokens, piece.range, size);
        self.pending
            .extend(parts.into_iter().rev().map(|range| Piece {
                range,
                fine: true,
                table_header: false,
                ..piece
            }));
    }

    /// How many pieces of a chunk that must end stay in it: up to the last heading that
    /// leaves it a quarter full, and never a heading or a table's header at its end.
    fn break_point(&self, chunk: &Open) -> usize {
        let pieces = &chunk.pieces;
        let quarter = self.config.size / 4;
        let before_heading = (1..pieces.len()).rev().find(|&i| {
            pieces[i].heading
                && !pieces[i - 1].heading
                && self.count(chunk.start, pieces[i - 1].range.end) >= quarter
        });
        let keep = before_heading.unwrap_or_else(|| {
            let text = pieces
                .iter()
                .rposition(|p| !p.heading && !p.table_header)
                .or_else(|| pieces.iter().rposition(|p| !p.heading));
            text.map_or(pieces.len(), |last| last + 1)
        });
        keep.max(1)
    }

    fn close(&mut self, chunk: &Open) {
        let text = &self.document.text;
        let end = chunk.end();
        let whole = &text[chunk.start..end];
        let trimmed = whole.trim();
        if trimmed.is_empty() {
            return;
        }
        let start = chunk.start + (whole.len() - whole.trim_start().len());
        let first = chunk
            .pieces
            .iter()
            .find(|p| !p.heading)
            .or(chunk.pieces.last());
        self.done.push(Span {
            range: ByteRange::new(start, start + trimmed.len()),
            first_block: first.map_or(0, |p| p.block),
        });
    }

    /// Where a chunk whose first own piece is `piece` starts: there, or earlier by what it
    /// repeats of the chunk before.
    fn start_for(&self, piece: Piece) -> usize {
        let own = piece.range.start;
        let Some(before) = self.done.last() else {
            return own;
        };
        if piece.heading || self.config.overlap == 0 {
            return own;
        }
        let fits = |start: usize| {
            self.count(start, before.range.end) <= self.config.overlap
                && self.count(start, piece.range.end) <= self.config.size
        };
        let mut start = own;
        let blocks = &self.document.blocks;
        // The block that the cut goes through, or the one before the cut.
        let mut block = if blocks[piece.block].range.start < own {
            piece.block
        } else {
            piece.block.saturating_sub(1)
        };
        loop {
            let range = blocks[block].range;
            if blocks[block].kind == BlockKind::Heading || range.end <= before.range.start {
                break;
            }
            if range.start > before.range.start && fits(range.start) {
                start = range.start;
            } else {
                let rest =
                    ByteRange::new(range.start.max(before.range.start), start.min(range.end));
                return self.start_within(rest, start, fits);
            }
            if block == 0 {
                break;
            }
            block -= 1;
        }
        start
    }

    /// The earliest sentence of `rest`, its first one aside, from which a repetition fits.
    fn start_within(
        &self,
        rest: ByteRange,
        otherwise: usize,
        fits: impl Fn(usize) -> bool,
    ) -> usize {
        let tail = self.tail(rest);
        let parts = split(
            &self.document.text,
            self.tokens,
            tail,
            self.config.overlap.div_ceil(2),
        );
        let first = parts
            .iter()
            .map(|part| part.start)
            .find(|&start| start > rest.start && fits(start));
        first.unwrap_or(otherwise)
    }

    /// The end of `range` that is sure to hold all that can be repeated: no more than that
    /// needs to be split.
    fn tail(&self, range: ByteRange) -> ByteRange {
        let text = &self.document.text;
        let wanted = self.config.overlap * 2;
        let mut reach = 256_usize;
        loop {
            let mut start = range.end.saturating_sub(reach).max(range.start);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let tail = ByteRange::new(start, range.end);
            if start == range.start || self.tokens.count(tail) > wanted {
                return tail;
            }
            reach = reach.saturating_mul(2);
        }
    }
}

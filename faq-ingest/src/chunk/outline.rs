//! What stands above each block: its headings, and its page.

use crate::{BlockKind, ByteRange, Document};

/// Headings and pages of a document by block.
#[derive(Debug)]
pub(super) struct Outline<'d> {
    document: &'d Document,
    /// The nearest heading in force at each block, itself where it is one.
    nearest: Vec<Option<usize>>,
    /// For a heading, the one above it.
    above: Vec<Option<usize>>,
    /// For a row, the header of its table.
    table_headers: Vec<Option<ByteRange>>,
}

impl<'d> Outline<'d> {
    pub(super) fn of(document: &'d Document) -> Self {
        let count = document.blocks.len();
        let mut nearest = Vec::with_capacity(count);
        let mut above = vec![None; count];
        let mut open: Vec<(u8, usize)> = Vec::new();
        for (index, block) in document.blocks.iter().enumerate() {
            if block.kind == BlockKind::Heading {
                let level = block.level.unwrap_or(1);
                while open.last().is_some_and(|&(l, _)| l >= level) {
                    open.pop();
                }
                above[index] = open.last().map(|&(_, i)| i);
                open.push((level, index));
            }
            nearest.push(open.last().map(|&(_, i)| i));
        }
        Self {
            document,
            nearest,
            above,
            table_headers: document.table_headers(),
        }
    }

    /// Headings in force at `block`, outermost first, itself included where it is one.
    pub(super) fn path(&self, block: usize) -> Vec<String> {
        let blocks = &self.document.blocks;
        let mut path = Vec::new();
        let mut heading = self.nearest.get(block).copied().flatten();
        while let Some(index) = heading {
            path.push(self.document.block_text(&blocks[index]).to_owned());
            heading = self.above[index];
        }
        path.reverse();
        path
    }

    /// The header of the table one of whose rows holds `at`.
    pub(super) fn table_header(&self, at: usize) -> Option<ByteRange> {
        let block = self.document.blocks.partition_point(|b| b.range.end <= at);
        self.table_headers.get(block).copied().flatten()
    }

    /// First and last page of the blocks in `range`.
    pub(super) fn pages(&self, range: ByteRange) -> Option<(u32, u32)> {
        let blocks = &self.document.blocks;
        let first = blocks.partition_point(|b| b.range.end <= range.start);
        blocks[first..]
            .iter()
            .take_while(|b| b.range.start < range.end)
            .filter_map(|b| b.page)
            .fold(None, |pages, page| {
                let (low, high) = pages.unwrap_or((page, page));
                Some((page.min(low), page.max(high)))
            })
    }
}

//! What holds for every document, whatever the format.

use faq_ingest::{Block, BlockKind, Document};

/// Panics where `document` breaks a rule of its type.
pub(crate) fn assert_invariants(document: &Document) {
    let mut joined = String::new();
    for (index, block) in document.blocks.iter().enumerate() {
        let text = document.block_text(block);
        assert!(!text.trim().is_empty(), "blank block {index}");
        assert!(
            !text.contains(['\0', '\r']),
            "control characters in {text:?}"
        );
        if let Some(before) = index.checked_sub(1).map(|i| &document.blocks[i]) {
            let tight = match block.kind {
                BlockKind::TableRow => {
                    matches!(before.kind, BlockKind::TableRow | BlockKind::TableHeader)
                }
                BlockKind::ListItem => before.kind == BlockKind::ListItem,
                _ => false,
            };
            joined.push_str(if tight { "\n" } else { "\n\n" });
        }
        assert_eq!(
            block.range.start,
            joined.len(),
            "block {index} is misplaced"
        );
        joined.push_str(text);
        assert_eq!(block.range.end, joined.len());
        let has_level = matches!(block.kind, BlockKind::Heading | BlockKind::ListItem);
        assert_eq!(block.level.is_some(), has_level, "level of {block:?}");
        assert_ne!(block.level, Some(0));
        if block.kind == BlockKind::TableHeader {
            assert_eq!(text.lines().count(), 2, "no header: {text:?}");
        }
        if matches!(block.kind, BlockKind::TableRow) {
            assert!(!text.contains('\n'), "a row of several lines: {text:?}");
        }
        if let Some(page) = block.page {
            let page = &document.pages[page as usize - 1];
            assert!(
                page.range.contains(block.range),
                "{block:?} outside {page:?}"
            );
        }
    }
    assert_eq!(document.text, joined);
    for (index, page) in document.pages.iter().enumerate() {
        assert_eq!(page.number as usize, index + 1);
        assert!(page.range.end <= document.text.len());
    }
    let mut before = 0;
    for link in &document.links {
        assert!(
            link.range.start >= before,
            "{link:?} overlaps or is out of order"
        );
        let words = link.range.slice(&document.text).unwrap();
        assert!(!words.trim().is_empty() && !link.target.is_empty());
        let in_one = |b: &Block| b.range.contains(link.range);
        assert!(document.blocks.iter().any(in_one), "{link:?} in no block");
        before = link.range.end;
    }
    assert!(
        !document
            .text
            .contains(|c| ('\u{fdd0}'..='\u{fdef}').contains(&c))
    );
    for warning in &document.warnings {
        assert!(!warning.code.is_empty() && !warning.message.is_empty());
    }
}

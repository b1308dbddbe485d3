//! Where the blocks of a paged document stand on its pages.

use serde::{Deserialize, Serialize};

/// The places of a document's blocks, for whoever draws them; see
/// [`ParseOptions::layout`](crate::ParseOptions::layout).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Layout {
    /// Size of each page, in the order of [`Document::pages`](crate::Document::pages).
    pub pages: Vec<PageSize>,
    /// Places in the order of the blocks. A block that a column's or a page's end cuts in two has
    /// one for each part; one whose text was recognised from an image has none.
    pub places: Vec<Place>,
}

/// Size of a page as it is shown, its rotation undone, in points (1/72 inch).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PageSize {
    /// Width in points.
    pub width: f32,
    /// Height in points.
    pub height: f32,
}

/// A box around a block, or around the part of it that stands in one column of one page.
///
/// In points from the upper left corner of the page as it is shown, y downwards; it lies within
/// the page.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Index of the block in [`Document::blocks`](crate::Document::blocks).
    pub block: usize,
    /// Page number from 1.
    pub page: u32,
    /// Distance of its left edge from the page's.
    pub x: f32,
    /// Distance of its upper edge from the page's.
    pub y: f32,
    /// Width of the box.
    pub width: f32,
    /// Height of the box.
    pub height: f32,
}

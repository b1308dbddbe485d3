//! Where the blocks of a paged document stand on its pages.

use serde::{Deserialize, Serialize};

/// What a document's pages look like, for whoever draws them; see
/// [`ParseOptions::layout`](crate::ParseOptions::layout).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Layout {
    /// Size of each page, in the order of [`Document::pages`](crate::Document::pages).
    pub pages: Vec<PageSize>,
    /// For each of [`Document::blocks`](crate::Document::blocks) where it stands: one box as a
    /// rule, several where the end of a column or a page cuts it in two, none where its text was
    /// recognised from an image.
    pub blocks: Vec<Vec<PageArea>>,
    /// Running headers, footers and page numbers that repeat, and are no part of the text.
    pub left_out: Vec<LeftOut>,
}

/// Size of a page as it is shown, its rotation undone, in points (1/72 inch).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PageSize {
    /// Width in points.
    pub width: f32,
    /// Height in points.
    pub height: f32,
}

/// A box on a page, in points from the upper left corner of the page as it is shown, y downwards.
/// It lies within the page.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PageArea {
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

/// Text on a page that is no part of the document's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Where it stands.
    pub area: PageArea,
    /// What it says.
    pub text: String,
}

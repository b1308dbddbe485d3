//! Boxes of blocks, from the frame of their text's direction into that of the page.

use super::geometry::{Matrix, Rect};
use super::lines::Line;
use super::words::{Direction, Fragment};
use crate::PageArea;

/// A box on a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    /// Page number from 1.
    pub(super) page: u32,
    pub(super) rect: Rect,
}

/// The frame that the words of one direction are measured in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    /// Angle of the baseline.
    degrees: i16,
    /// Whether left and right were swapped.
    mirrored: bool,
}

impl Frame {
    pub(super) fn of(direction: &Direction) -> Self {
        Self {
            degrees: direction.degrees,
            mirrored: direction.mirrored,
        }
    }

    /// The upright box on the page around one in this frame.
    pub(super) fn on_page(self, rect: Rect) -> Rect {
        let rect = if self.mirrored {
            Rect {
                x0: -rect.x1,
                x1: -rect.x0,
                ..rect
            }
        } else {
            rect
        };
        let (sin, cos) = f32::from(self.degrees).to_radians().sin_cos();
        rect.transformed(&Matrix::new(cos, sin, -sin, cos, 0.0, 0.0))
    }
}

impl<T> Fragment<T> {
    /// The box around its letters.
    pub(super) fn rect(&self) -> Rect {
        Rect {
            x0: self.x0,
            y0: self.top(),
            x1: self.x1,
            y1: self.bottom(),
        }
    }
}

/// The box around lines of text; `None` around none.
pub(super) fn around(lines: &[Line]) -> Option<Rect> {
    lines
        .iter()
        .map(|line| Rect {
            x0: line.x0,
            y0: line.y - line.size * ASCENT,
            x1: line.x1,
            y1: line.y + line.size * DESCENT,
        })
        .reduce(|a, b| a.union(&b))
}

/// Share of the font size that letters reach above the baseline, and below it.
pub(super) const ASCENT: f32 = 0.75;
pub(super) const DESCENT: f32 = 0.22;

/// A box as the reader of a document is told of it: what lies beside the page is cut off, and
/// numbers are rounded to hundredths of a point.
pub(super) fn shown(area: Area, (width, height): (f32, f32)) -> PageArea {
    let within = |v: f32, end: f32| {
        if v.is_finite() {
            v.clamp(0.0, end)
        } else {
            0.0
        }
    };
    let round = |v: f32| (v * 100.0).round() / 100.0;
    let (x0, x1) = (within(area.rect.x0, width), within(area.rect.x1, width));
    let (y0, y1) = (within(area.rect.y0, height), within(area.rect.y1, height));
    PageArea {
        page: area.page,
        x: round(x0),
        y: round(y0),
        width: round(x1 - x0),
        height: round(y1 - y0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECT: Rect = Rect {
        x0: 10.0,
        y0: 20.0,
        x1: 30.0,
        y1: 25.0,
    };

    fn near(a: Rect, b: [f32; 4]) {
        for (a, b) in [a.x0, a.y0, a.x1, a.y1].into_iter().zip(b) {
            assert!((a - b).abs() < 0.001, "{a} is not {b}");
        }
    }

    #[test]
    fn boxes_go_back_through_the_turn_and_the_mirror() {
        let turned = |degrees, mirrored| Frame { degrees, mirrored }.on_page(RECT);
        near(turned(0, false), [10.0, 20.0, 30.0, 25.0]);
        near(turned(0, true), [-30.0, 20.0, -10.0, 25.0]);
        near(turned(90, false), [-25.0, 10.0, -20.0, 30.0]);
        near(turned(180, false), [-30.0, -25.0, -10.0, -20.0]);
        near(turned(270, false), [20.0, -30.0, 25.0, -10.0]);
    }

    #[test]
    fn what_lies_beside_the_page_is_cut_off() {
        let area = Area {
            page: 1,
            rect: Rect {
                x0: -5.0,
                x1: f32::NAN,
                ..RECT
            },
        };
        let place = shown(area, (25.0, 22.5));
        assert_eq!((place.x, place.width), (0.0, 0.0));
        assert_eq!((place.y, place.height), (20.0, 2.5));
    }
}

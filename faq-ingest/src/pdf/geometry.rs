//! Matrices and boxes. Everything a document says may be absurd, so results are checked with
//! [`Matrix::is_sane`] before anything is built on them.

/// A PDF transformation matrix `[a b c d e f]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix {
    pub(super) a: f32,
    pub(super) b: f32,
    pub(super) c: f32,
    pub(super) d: f32,
    pub(super) e: f32,
    pub(super) f: f32,
}

impl Matrix {
    pub(super) const IDENTITY: Self = Self::new(1.0, 0.0, 0.0, 1.0, 0.0, 0.0);

    pub(super) const fn new(a: f32, b: f32, c: f32, d: f32, e: f32, f: f32) -> Self {
        Self { a, b, c, d, e, f }
    }

    pub(super) fn from_slice(v: &[f32]) -> Option<Self> {
        let &[a, b, c, d, e, f] = v else { return None };
        Some(Self::new(a, b, c, d, e, f))
    }

    pub(super) const fn translation(x: f32, y: f32) -> Self {
        Self::new(1.0, 0.0, 0.0, 1.0, x, y)
    }

    /// This matrix applied first, `next` afterwards (PDF's `self × next`).
    pub(super) fn then(&self, next: &Self) -> Self {
        Self {
            a: self.a * next.a + self.b * next.c,
            b: self.a * next.b + self.b * next.d,
            c: self.c * next.a + self.d * next.c,
            d: self.c * next.b + self.d * next.d,
            e: self.e * next.a + self.f * next.c + next.e,
            f: self.e * next.b + self.f * next.d + next.f,
        }
    }

    pub(super) fn apply(&self, x: f32, y: f32) -> (f32, f32) {
        (
            self.a * x + self.c * y + self.e,
            self.b * x + self.d * y + self.f,
        )
    }

    /// Whether every entry is a finite number of a size that a page could have.
    pub(super) fn is_sane(&self) -> bool {
        [self.a, self.b, self.c, self.d, self.e, self.f]
            .iter()
            .all(|v| v.is_finite() && v.abs() < 1.0e7)
    }
}

/// A box with `x0 <= x1` and `y0 <= y1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x0: f32,
    pub(super) y0: f32,
    pub(super) x1: f32,
    pub(super) y1: f32,
}

impl Rect {
    /// US Letter, which readers assume where a page has no box.
    pub(super) const LETTER: Self = Self {
        x0: 0.0,
        y0: 0.0,
        x1: 612.0,
        y1: 792.0,
    };

    pub(super) fn from_corners(v: &[f32]) -> Option<Self> {
        let &[a, b, c, d] = v else { return None };
        if !v.iter().all(|n| n.is_finite() && n.abs() < 1.0e6) {
            return None;
        }
        Some(Self {
            x0: a.min(c),
            y0: b.min(d),
            x1: a.max(c),
            y1: b.max(d),
        })
    }

    pub(super) fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    pub(super) fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    /// The box around both.
    pub(super) fn union(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// The upright box around this one after `m`.
    pub(super) fn transformed(&self, m: &Matrix) -> Self {
        let corners = [
            m.apply(self.x0, self.y0),
            m.apply(self.x1, self.y0),
            m.apply(self.x0, self.y1),
            m.apply(self.x1, self.y1),
        ];
        let mut out = Self {
            x0: f32::MAX,
            y0: f32::MAX,
            x1: f32::MIN,
            y1: f32::MIN,
        };
        for (x, y) in corners {
            out.x0 = out.x0.min(x);
            out.y0 = out.y0.min(y);
            out.x1 = out.x1.max(x);
            out.y1 = out.y1.max(y);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_apply_in_the_order_they_are_written() {
        let scale = Matrix::new(2.0, 0.0, 0.0, 2.0, 0.0, 0.0);
        let moved = Matrix::translation(10.0, 0.0);
        assert_eq!(scale.then(&moved).apply(1.0, 1.0), (12.0, 2.0));
        assert_eq!(moved.then(&scale).apply(1.0, 1.0), (22.0, 2.0));
    }

    #[test]
    fn absurd_matrices_are_told() {
        assert!(Matrix::IDENTITY.is_sane());
        assert!(!Matrix::translation(f32::NAN, 0.0).is_sane());
        assert!(!Matrix::translation(1.0e30, 0.0).is_sane());
    }

    #[test]
    fn boxes_given_by_any_two_corners_are_ordered() {
        let r = Rect::from_corners(&[10.0, 20.0, 0.0, 5.0]);
        assert_eq!(
            r,
            Some(Rect {
                x0: 0.0,
                y0: 5.0,
                x1: 10.0,
                y1: 20.0
            })
        );
        assert_eq!(Rect::from_corners(&[0.0, f32::NAN, 1.0, 1.0]), None);
    }
}

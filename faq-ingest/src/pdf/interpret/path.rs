//! Lines that a page draws, kept as far as they may part the cells of a table.

use super::Operand;
use crate::pdf::geometry::Matrix;

/// Points of one path that are kept.
const MAX_POINTS: usize = 20_000;
/// Segments kept of one page.
const MAX_SEGMENTS: usize = 40_000;
/// A filled box at most this wide, in points, is a line.
const THIN: f32 = 3.0;
/// Shorter lines part nothing.
const SHORT: f32 = 4.0;

/// A line along one of the axes, in the page's upright frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::pdf) struct Segment {
    pub(in crate::pdf) horizontal: bool,
    /// y of a horizontal line, x of a vertical one.
    pub(in crate::pdf) at: f32,
    pub(in crate::pdf) from: f32,
    pub(in crate::pdf) to: f32,
}

/// The path under construction: pieces between moves, as points of the page.
#[derive(Debug, Default)]
pub(super) struct Path {
    pieces: Vec<Vec<(f32, f32)>>,
    points: usize,
}

impl Path {
    /// Takes in an operator that builds a path.
    pub(super) fn build(&mut self, op: &[u8], operands: &[Operand<'_>], ctm: &Matrix) {
        let mut n = [0.0f32; 6];
        for (slot, operand) in n.iter_mut().zip(operands) {
            *slot = operand.number().unwrap_or(0.0);
        }
        if self.points >= MAX_POINTS {
            return;
        }
        self.points += 1;
        match op {
            b"m" => self.pieces.push(vec![ctm.apply(n[0], n[1])]),
            b"l" => {
                if let Some(piece) = self.pieces.last_mut() {
                    piece.push(ctm.apply(n[0], n[1]));
                }
            }
            b"re" => {
                let (x, y, w, h) = (n[0], n[1], n[2], n[3]);
                let corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)];
                self.pieces
                    .push(corners.iter().map(|&(x, y)| ctm.apply(x, y)).collect());
            }
            b"h" => {
                if let Some(piece) = self.pieces.last_mut()
                    && let Some(&first) = piece.first()
                {
                    piece.push(first);
                }
            }
            // A curve is no edge of a cell; the path goes on at its end.
            b"c" => self.pieces.push(vec![ctm.apply(n[4], n[5])]),
            b"v" | b"y" => self.pieces.push(vec![ctm.apply(n[2], n[3])]),
            _ => {}
        }
    }

    /// Ends the path with a painting operator.
    pub(super) fn paint(&mut self, op: &[u8], out: &mut Vec<Segment>) {
        let stroke = matches!(op, b"S" | b"s" | b"B" | b"B*" | b"b" | b"b*");
        let fill = matches!(op, b"f" | b"F" | b"f*" | b"B" | b"B*" | b"b" | b"b*");
        for piece in self.pieces.drain(..) {
            if fill && let Some(line) = thin_box(&piece) {
                push(line, out);
                continue;
            }
            if stroke {
                for pair in piece.windows(2) {
                    if let Some(line) = along_axis(pair[0], pair[1]) {
                        push(line, out);
                    }
                }
                if matches!(op, b"s" | b"b" | b"b*")
                    && let (Some(&first), Some(&last)) = (piece.first(), piece.last())
                    && let Some(line) = along_axis(last, first)
                {
                    push(line, out);
                }
            }
        }
        self.points = 0;
    }
}

fn push(line: Segment, out: &mut Vec<Segment>) {
    let sane = [line.at, line.from, line.to].iter().all(|v| v.is_finite());
    if sane && line.to - line.from >= SHORT && out.len() < MAX_SEGMENTS {
        out.push(line);
    }
}

fn along_axis(a: (f32, f32), b: (f32, f32)) -> Option<Segment> {
    let (dx, dy) = ((a.0 - b.0).abs(), (a.1 - b.1).abs());
    if dy < 0.6 && dx > dy {
        Some(Segment {
            horizontal: true,
            at: f32::midpoint(a.1, b.1),
            from: a.0.min(b.0),
            to: a.0.max(b.0),
        })
    } else if dx < 0.6 && dy > dx {
        Some(Segment {
            horizontal: false,
            at: f32::midpoint(a.0, b.0),
            from: a.1.min(b.1),
            to: a.1.max(b.1),
        })
    } else {
        None
    }
}

/// The line that a filled box is, where it is thin enough.
fn thin_box(piece: &[(f32, f32)]) -> Option<Segment> {
    if !(4..=5).contains(&piece.len()) {
        return None;
    }
    let (mut x0, mut y0, mut x1, mut y1) = (f32::MAX, f32::MAX, f32::MIN, f32::MIN);
    for &(x, y) in piece {
        (x0, y0, x1, y1) = (x0.min(x), y0.min(y), x1.max(x), y1.max(y));
    }
    let (w, h) = (x1 - x0, y1 - y0);
    if h <= THIN && w > h * 2.0 {
        along_axis((x0, f32::midpoint(y0, y1)), (x1, f32::midpoint(y0, y1)))
    } else if w <= THIN && h > w * 2.0 {
        along_axis((f32::midpoint(x0, x1), y0), (f32::midpoint(x0, x1), y1))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(operators: &[(&[u8], &[f32])], paint: &[u8]) -> Vec<Segment> {
        let mut path = Path::default();
        for (op, numbers) in operators {
            let operands: Vec<Operand<'_>> = numbers.iter().map(|n| Operand::Number(*n)).collect();
            path.build(op, &operands, &Matrix::IDENTITY);
        }
        let mut out = Vec::new();
        path.paint(paint, &mut out);
        out
    }

    #[test]
    fn boxes_have_edges_where_they_are_stroked_and_are_lines_where_they_are_thin() {
        assert_eq!(painted(&[(b"re", &[0.0, 0.0, 50.0, 20.0])], b"S").len(), 4);
        assert_eq!(painted(&[(b"re", &[0.0, 0.0, 50.0, 20.0])], b"f").len(), 0);
        assert_eq!(
            painted(&[(b"re", &[0.0, 0.0, 50.0, 1.0])], b"f"),
            vec![Segment {
                horizontal: true,
                at: 0.5,
                from: 0.0,
                to: 50.0
            }]
        );
        assert!(painted(&[(b"m", &[0.0, 0.0]), (b"l", &[50.0, 0.0])], b"n").is_empty());
        assert!(painted(&[(b"m", &[0.0, 0.0]), (b"l", &[50.0, 30.0])], b"S").is_empty());
    }
}

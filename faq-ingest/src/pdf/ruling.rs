//! Lines drawn along the axes, put together from the pieces that they are drawn in.

use super::interpret::Segment;
use crate::ParseError;
use crate::limits::Budget;

/// Pieces this near to each other across their direction are one line, in points.
const ACROSS: f32 = 1.2;
/// Pieces with no wider gap than this along it are one line.
const ALONG: f32 = 3.0;
/// Most lines of one direction in which tables are looked for; more are a drawing.
const MOST: usize = 3_000;

/// The lines of a page by direction, in ascending order of their place.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) horizontal: Vec<Segment>,
    pub(super) vertical: Vec<Segment>,
}

impl Rules {
    pub(super) fn of(segments: &[Segment], budget: &Budget) -> Result<Self, ParseError> {
        let pick = |horizontal: bool| {
            segments
                .iter()
                .copied()
                .filter(|s| s.horizontal == horizontal)
                .collect()
        };
        let rules = Self {
            horizontal: merged(pick(true), budget)?,
            vertical: merged(pick(false), budget)?,
        };
        if rules.horizontal.len() > MOST || rules.vertical.len() > MOST {
            return Ok(Self::default());
        }
        Ok(rules)
    }

    /// Whether a vertical line crosses height `y` between `x0` and `x1`.
    pub(super) fn part(&self, x0: f32, x1: f32, y: f32) -> bool {
        let from = self.vertical.partition_point(|s| s.at < x0 - 1.0);
        self.vertical[from..]
            .iter()
            .take_while(|s| s.at <= x1 + 1.0)
            .any(|s| s.from <= y && y <= s.to)
    }

    /// The same lines seen in a mirror, as right-to-left pages are read.
    pub(super) fn mirrored(&self) -> Self {
        let horizontal = self.horizontal.iter().map(|s| Segment {
            from: -s.to,
            to: -s.from,
            ..*s
        });
        let vertical = self
            .vertical
            .iter()
            .rev()
            .map(|s| Segment { at: -s.at, ..*s });
        Self {
            horizontal: horizontal.collect(),
            vertical: vertical.collect(),
        }
    }
}

fn merged(mut pieces: Vec<Segment>, budget: &Budget) -> Result<Vec<Segment>, ParseError> {
    pieces.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut out: Vec<Segment> = Vec::new();
    let mut start = 0;
    while start < pieces.len() {
        let mut end = start + 1;
        while end < pieces.len()
            && pieces[end].at - pieces[end - 1].at < ACROSS / 2.0
            && pieces[end].at - pieces[start].at < ACROSS
        {
            end += 1;
        }
        let group = &mut pieces[start..end];
        let at = group.iter().map(|s| s.at).sum::<f32>() / group.len() as f32;
        group.sort_by(|a, b| a.from.total_cmp(&b.from));
        let first = out.len();
        for piece in group {
            budget.tick()?;
            match out[first..].last_mut() {
                Some(last) if piece.from <= last.to + ALONG => last.to = last.to.max(piece.to),
                _ => out.push(Segment { at, ..*piece }),
            }
        }
        start = end;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ParseOptions;

    fn line(horizontal: bool, at: f32, from: f32, to: f32) -> Segment {
        Segment {
            horizontal,
            at,
            from,
            to,
        }
    }

    #[test]
    fn pieces_of_a_line_become_one() {
        let budget = Budget::new(&ParseOptions::default());
        let rules = Rules::of(
            &[
                line(true, 10.0, 0.0, 50.0),
                line(true, 10.3, 51.0, 90.0),
                line(true, 30.0, 0.0, 90.0),
                line(false, 40.0, 10.0, 30.0),
            ],
            &budget,
        )
        .unwrap();
        assert_eq!(rules.horizontal.len(), 2);
        assert_eq!(
            (rules.horizontal[0].from, rules.horizontal[0].to),
            (0.0, 90.0)
        );
        assert!(rules.part(35.0, 45.0, 20.0));
        assert!(!rules.part(35.0, 45.0, 35.0));
        assert!(rules.mirrored().part(-45.0, -35.0, 20.0));
    }
}

//! Quality over one setting, all others held.

use crate::sweep::{Cell, Varied};

use super::plot::{MOST_SERIES, Plot, Point, Series};
use super::{Entry, QUALITY};

/// A setting that is a number.
struct Setting {
    name: &'static str,
    value: fn(&Cell) -> Option<f64>,
    /// The cell without the setting: cells that are equal then are one curve.
    without: fn(&mut Cell),
    /// What a curve's name leaves out, where every cell has the setting.
    varied: Option<Varied>,
}

const SETTINGS: [Setting; 5] = [
    Setting {
        name: "k",
        value: |cell| Some(cell.k as f64),
        without: |cell| cell.k = 0,
        varied: Some(Varied::K),
    },
    Setting {
        name: "candidates",
        value: |cell| cell.candidates.map(|n| n as f64),
        without: |cell| cell.candidates = None,
        varied: None,
    },
    Setting {
        name: "chunk size, tokens",
        value: |cell| Some(cell.chunk_size as f64),
        without: |cell| cell.chunk_size = 0,
        varied: Some(Varied::ChunkSize),
    },
    Setting {
        name: "chunk overlap, tokens",
        value: |cell| Some(cell.chunk_overlap as f64),
        without: |cell| cell.chunk_overlap = 0,
        varied: Some(Varied::ChunkOverlap),
    },
    Setting {
        name: "ef",
        value: |cell| cell.ef.map(|n| n as f64),
        without: |cell| cell.ef = None,
        varied: None,
    },
];

/// A plot for each setting of which some curve has two values or more.
pub(super) fn curves(entries: &[&Entry]) -> Vec<Plot> {
    let mut plots: Vec<Plot> = SETTINGS
        .iter()
        .filter_map(|setting| {
            let part = |cell: &Cell| {
                let value = (setting.value)(cell)?;
                let mut rest = cell.clone();
                (setting.without)(&mut rest);
                Some((rest, value))
            };
            plot(entries, setting.name, setting.varied, &part)
        })
        .collect();
    for (axis, weight) in [
        ("hits that are reranked", false),
        ("weight of the tokens' similarity (rerank)", true),
    ] {
        let part = |cell: &Cell| {
            let (depth, factor) = cell.rerank.as_ref()?.split_once(':')?;
            let (moves, stays) = if weight {
                (factor, format!("{depth}:…"))
            } else {
                (depth, format!("…:{factor}"))
            };
            let mut rest = cell.clone();
            rest.rerank = Some(stays);
            Some((rest, moves.parse().ok()?))
        };
        plots.extend(plot(entries, axis, None, &part));
    }
    for (name, axis) in [
        ("scores", "weight of the cosine (scores)"),
        ("rrf", "k of reciprocal rank fusion"),
        ("weighted", "weight of the dense list (weighted)"),
    ] {
        let part = |cell: &Cell| {
            let (found, number) = cell.fusion.as_ref()?.split_once(':')?;
            let value = number.parse().ok().filter(|_| found == name)?;
            let mut rest = cell.clone();
            rest.fusion = None;
            Some((rest, value))
        };
        plots.extend(plot(entries, axis, None, &part));
    }
    plots
}

fn plot(
    entries: &[&Entry],
    axis: &str,
    varied: Option<Varied>,
    part: &dyn Fn(&Cell) -> Option<(Cell, f64)>,
) -> Option<Plot> {
    let mut groups: Vec<(Cell, Vec<Point>)> = Vec::new();
    for entry in entries {
        let Some((rest, value)) = entry.cell.as_ref().and_then(part) else {
            continue;
        };
        let point = Point {
            x: value,
            y: entry.quality(),
            label: format!("{}: {:.4}", entry.label, entry.quality()),
        };
        match groups.iter_mut().find(|(cell, _)| *cell == rest) {
            Some((_, points)) => points.push(point),
            None => groups.push((rest, vec![point])),
        }
    }
    groups.retain(|(_, points)| points.len() > 1);
    if groups.is_empty() {
        return None;
    }
    let best = |points: &[Point]| points.iter().map(|p| p.y).fold(f64::NEG_INFINITY, f64::max);
    groups.sort_by(|(_, a), (_, b)| best(b).total_cmp(&best(a)));
    let of = groups.len();
    groups.truncate(MOST_SERIES);
    let shown = if of > groups.len() {
        format!(" (the best {} of {of} curves)", groups.len())
    } else {
        String::new()
    };
    let shared = entries
        .first()
        .map_or(&[][..], |entry| entry.shared.as_slice());
    let series = groups.into_iter().map(|(cell, mut points)| {
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series {
            name: super::without(&cell.label_beside(varied), shared),
            points,
        }
    });
    Some(Plot {
        title: format!("{} over {axis}{shown}", QUALITY.name()),
        x: axis.to_owned(),
        logarithmic: false,
        y: QUALITY.name().to_owned(),
        series: series.collect(),
        joined: true,
    })
}

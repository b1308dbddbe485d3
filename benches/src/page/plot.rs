//! Plots as SVG that stands in the page: points and lines over two axes.

use std::fmt::{self, Write};

use super::html::Text;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;

/// Colours that the style sheet knows, by number.
const COLOURS: usize = 8;

/// Most series in one plot: as many as there are colours.
pub(super) const MOST_SERIES: usize = COLOURS;

/// A plot.
pub(super) struct Plot {
    /// What is shown, for those who cannot see it.
    pub(super) title: String,
    /// What the horizontal axis is.
    pub(super) x: String,
    /// Whether equal ways along it are equal factors: for values above 0 that lie far apart.
    pub(super) logarithmic: bool,
    /// What the vertical axis is.
    pub(super) y: String,
    /// What is drawn.
    pub(super) series: Vec<Series>,
    /// Whether the points of a series are joined.
    pub(super) joined: bool,
}

/// Points of one colour.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// A point, and what it says when it is pointed at.
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) label: String,
}

/// A range that begins and ends on round numbers.
struct Axis {
    low: f64,
    high: f64,
    steps: Steps,
}

enum Steps {
    Equal(f64),
    /// 1, 2 and 5 times each power of ten.
    Powers,
}

impl Axis {
    /// A logarithmic axis; values that are not above 0 lie at its beginning.
    fn over_powers(values: impl Iterator<Item = f64> + Clone) -> Self {
        let values = values.filter(|value| *value > 0.0);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low.is_finite() {
            (low, high)
        } else {
            (1.0, 10.0)
        };
        let round = round_numbers(low / 20.0, high * 20.0);
        let below = round.iter().rev().find(|n| **n < low * 0.95);
        let above = round.iter().find(|n| **n > high * 1.05);
        Self {
            low: below.copied().unwrap_or(low),
            high: above.copied().unwrap_or(high),
            steps: Steps::Powers,
        }
    }

    fn over(values: impl Iterator<Item = f64> + Clone) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low.is_finite() {
            (low, high)
        } else {
            (0.0, 1.0)
        };
        let spread = if high > low {
            high - low
        } else {
            low.abs().max(1.0) * 0.1
        };
        let rough = spread / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(power * 10.0);
        // A point on the edge would be cut in half; but what is never below 0 has no axis there.
        let first = ((low - spread * 0.05) / step).floor() * step;
        Self {
            low: if low < 0.0 { first } else { first.max(0.0) },
            high: ((high + spread * 0.05) / step).ceil() * step,
            steps: Steps::Equal(step),
        }
    }

    /// Where a value lies, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        match self.steps {
            Steps::Equal(_) => (value - self.low) / (self.high - self.low),
            Steps::Powers => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// Round numbers along it, as they are written.
    fn ticks(&self) -> Vec<(f64, String)> {
        let Steps::Equal(step) = self.steps else {
            let round = round_numbers(self.low, self.high);
            let text = |n: f64| {
                let text = format!("{n:.6}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            };
            return round.into_iter().map(|n| (n, text(n))).collect();
        };
        let count = ((self.high - self.low) / step).round() as usize;
        let digits = (-step.log10().floor()).max(0.0) as usize;
        (0..=count)
            .map(|n| {
                let value = self.low + n as f64 * step;
                // No sign before a 0 that a sum missed by its last digit.
                let value = if value.abs() < step * 1e-9 {
                    0.0
                } else {
                    value
                };
                let thousands = step >= 1000.0 && self.high >= 10_000.0 && value != 0.0;
                let text = if thousands {
                    format!("{}k", value / 1000.0)
                } else {
                    format!("{value:.digits$}")
                };
                (value, text)
            })
            .collect()
    }
}

/// 1, 2 and 5 times each power of ten from `low` to `high`.
fn round_numbers(low: f64, high: f64) -> Vec<f64> {
    (-6..=9)
        .flat_map(|power| [1.0, 2.0, 5.0].map(|n| n * 10_f64.powi(power)))
        .filter(|n| (low * 0.999..=high * 1.001).contains(n))
        .collect()
}

impl fmt::Display for Plot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let values = points().map(|point| point.x);
        let x = if self.logarithmic {
            Axis::over_powers(values)
        } else {
            Axis::over(values)
        };
        let y = Axis::over(points().map(|point| point.y));
        let across = |value: f64| LEFT + x.share(value) * (WIDTH - LEFT - RIGHT);
        let down = |value: f64| HEIGHT - BOTTOM - y.share(value) * (HEIGHT - TOP - BOTTOM);
        let (floor, end) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        writeln!(
            out,
            "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             role=\"img\" aria-label=\"{}\">",
            Text(&self.title)
        )?;
        for (value, text) in x.ticks() {
            let at = across(value);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{floor}\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                floor + 16.0
            )?;
        }
        for (value, text) in y.ticks() {
            let at = down(value);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{end}\" y2=\"{at:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 6.0,
                at + 4.0
            )?;
        }
        writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, end),
            HEIGHT - 8.0,
            Text(&self.x),
            f64::midpoint(TOP, floor),
            Text(&self.y)
        )?;
        for (at, series) in self.series.iter().enumerate() {
            writeln!(out, "<g class=\"c{}\">", at % COLOURS)?;
            if self.joined {
                let mut line = String::new();
                for point in &series.points {
                    let _ = write!(line, "{:.1},{:.1} ", across(point.x), down(point.y));
                }
                writeln!(
                    out,
                    "<polyline class=\"series\" points=\"{}\"/>",
                    line.trim_end()
                )?;
            }
            for point in &series.points {
                writeln!(
                    out,
                    "<circle class=\"point\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\"><title>{}</title></circle>",
                    across(point.x),
                    down(point.y),
                    Text(&point.label)
                )?;
            }
            writeln!(out, "</g>")?;
        }
        writeln!(
            out,
            "</svg><figcaption>{}</figcaption><ul class=\"keys\">",
            Text(&self.title)
        )?;
        for (at, series) in self.series.iter().enumerate() {
            let colour = at % COLOURS;
            writeln!(
                out,
                "<li><i class=\"c{colour}\"></i>{}</li>",
                Text(&series.name)
            )?;
        }
        writeln!(out, "</ul></figure>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_powers_are_round_and_hold_all_points() {
        for values in [vec![0.9, 3.0, 180.0], vec![5.0], vec![0.0, 2.0], vec![]] {
            let axis = Axis::over_powers(values.iter().copied());
            for value in values {
                assert!((0.0..=1.0).contains(&axis.share(value)), "{value}");
            }
            let ticks = axis.ticks();
            assert!((2..=12).contains(&ticks.len()), "{ticks:?}");
        }
        let axis = Axis::over_powers([1.5, 15.0].into_iter());
        let texts: Vec<String> = axis.ticks().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["1", "2", "5", "10", "20"]);
    }

    #[test]
    fn large_numbers_are_short() {
        let axis = Axis::over([100.0, 100_000.0].into_iter());
        let texts: Vec<String> = axis.ticks().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["0", "20k", "40k", "60k", "80k", "100k", "120k"]);
    }

    #[test]
    fn axes_are_round_and_hold_all_points() {
        for values in [
            vec![0.681, 0.709],
            vec![0.0, 3.0, 17.0],
            vec![0.2, 180.0],
            vec![5.0],
            vec![-2.0, 2.0],
            vec![],
        ] {
            let axis = Axis::over(values.iter().copied());
            assert_eq!(axis.low < 0.0, values.iter().any(|value| *value < 0.0));
            for value in values {
                assert!((0.0..=1.0).contains(&axis.share(value)));
            }
            let ticks = axis.ticks();
            assert!((2..=12).contains(&ticks.len()), "{ticks:?}");
            let texts: std::collections::HashSet<&String> = ticks.iter().map(|(_, t)| t).collect();
            assert_eq!(texts.len(), ticks.len(), "a number stands twice: {ticks:?}");
        }
    }
}

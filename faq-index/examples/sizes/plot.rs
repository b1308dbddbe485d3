//! A plot of the reports: small panels with logarithmic axes, as SVG.

use std::fmt::Write;

use serde_json::Value;

const WIDTH: f64 = 330.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 34.0;
const TOP: f64 = 26.0;
const RIGHT: f64 = 80.0;
const COLOURS: [&str; 3] = ["#0b6e4f", "#c1440e", "#2f4b9c"];

/// A line: its name, and its points by chunks.
struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

pub(crate) fn svg(reports: &[Value]) -> String {
    let line = |name, of: &dyn Fn(&Value) -> Value| Line {
        name,
        points: reports
            .iter()
            .filter_map(|r| Some((r["chunks"].as_f64()?, of(r).as_f64()?)))
            .collect(),
    };
    let modes = |what: &'static str| {
        ["dense", "keyword", "hybrid"]
            .map(|mode| line(mode, &|r| r["modes"][mode]["1"][what].clone()))
    };
    let field = |name, key: &'static str| line(name, &|r| r[key].clone());
    let panels: [(&str, Vec<Line>); 6] = [
        ("search, processor ms", modes("cpu_ms").into()),
        ("search, p50, ms", modes("p50_ms").into()),
        ("search, p99, ms", modes("p99_ms").into()),
        (
            "size, MB",
            vec![field("disk", "disk_mb"), field("own memory", "own_mb")],
        ),
        ("opening, ms", vec![field("opening", "open_ms")]),
        (
            "writing, chunks a second",
            vec![field("by the clock", "chunks_per_s")],
        ),
    ];
    let (width, height) = (WIDTH * 3.0, HEIGHT * 2.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (place, (title, lines)) in panels.iter().enumerate() {
        let (x, y) = ((place % 3) as f64 * WIDTH, (place / 3) as f64 * HEIGHT);
        let _written = writeln!(out, "<g transform=\"translate({x},{y})\">");
        panel(&mut out, title, lines);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

/// The powers of ten around some values.
fn decades(values: impl Iterator<Item = f64>) -> (i32, i32) {
    let logs: Vec<f64> = values.filter(|v| *v > 0.0).map(f64::log10).collect();
    let low = logs.iter().copied().fold(f64::INFINITY, f64::min);
    let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return (0, 1);
    }
    let low = low.floor() as i32;
    (low, (high.ceil() as i32).max(low + 1))
}

fn panel(out: &mut String, title: &str, lines: &[Line]) {
    let all = || lines.iter().flat_map(|line| &line.points);
    let (x_low, x_high) = decades(all().map(|p| p.0));
    let (y_low, y_high) = decades(all().map(|p| p.1));
    let (x_span, y_span) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let across =
        |v: f64| LEFT + x_span * (v.log10() - f64::from(x_low)) / f64::from(x_high - x_low);
    let down =
        |v: f64| TOP + y_span * (1.0 - (v.log10() - f64::from(y_low)) / f64::from(y_high - y_low));
    let mut put = |text: String| {
        let _written = writeln!(out, "{text}");
    };
    put(format!(
        "<text x=\"{LEFT}\" y=\"16\" font-weight=\"bold\">{title}</text>"
    ));
    for power in y_low..=y_high {
        let (value, y) = (10_f64.powi(power), down(10_f64.powi(power)));
        put(format!(
            "<path d=\"M{LEFT} {y:.1}h{x_span}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{value}</text>",
            LEFT - 4.0,
            y + 4.0
        ));
    }
    for power in x_low..=x_high {
        let (value, x) = (10_f64.powi(power), across(10_f64.powi(power)));
        put(format!(
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{value}</text>",
            HEIGHT - BOTTOM + 15.0
        ));
    }
    let mut last_label = f64::INFINITY;
    let mut order: Vec<(usize, &Line)> = lines.iter().enumerate().collect();
    order.sort_by(|a, b| {
        let end = |line: &Line| line.points.last().map_or(0.0, |p| p.1);
        end(a.1).total_cmp(&end(b.1))
    });
    for (at, line) in order {
        let colour = COLOURS[at % COLOURS.len()];
        let points: Vec<String> = line
            .points
            .iter()
            .filter(|p| p.1 > 0.0)
            .map(|p| format!("{:.1},{:.1}", across(p.0), down(p.1)))
            .collect();
        put(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        ));
        for point in &points {
            let (x, y) = point.split_once(',').unwrap_or_default();
            put(format!(
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"2.5\" fill=\"{colour}\"/>"
            ));
        }
        if let Some(end) = line.points.last().filter(|p| p.1 > 0.0) {
            // From the lowest up, so that names do not cover each other.
            let y = (down(end.1) + 4.0).min(last_label - 12.0);
            last_label = y;
            put(format!(
                "<text x=\"{:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{}</text>",
                across(end.0) + 6.0,
                line.name
            ));
        }
    }
}

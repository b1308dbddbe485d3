//! Results as one HTML file for people: tables, plots, and the questions that runs differ in.
//!
//! The file needs no network and no script; every text from data is escaped.

mod curves;
mod html;
mod plot;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::beir::DataSet;
use crate::compare::{Change, Comparison, compare, signed};
use crate::latency::Stages;
use crate::metrics::{Metric, Metrics, shown};
use crate::report::{self, IndexSize, Report};
use crate::sweep::{Cell, Row};
use crate::trec::Run;
use crate::{Error, Result, beir, typos};
use html::{Table, Text};
use plot::{Plot, Point, Series};

/// The metric that quality is plotted and ranked by.
const QUALITY: Metric = Metric::NdcgAt10;

/// Wins and losses that a comparison shows.
const SHOWN: usize = 8;

/// Results, ready to be drawn.
#[derive(Debug, Default)]
pub struct Page {
    entries: Vec<Entry>,
    comparisons: Vec<Versus>,
}

/// A way to search that was measured.
#[derive(Debug)]
struct Entry {
    /// Data set and split.
    data: String,
    /// All settings in words.
    settings: String,
    /// Those of them that not all results of the data set share.
    label: String,
    /// The others.
    shared: Vec<String>,
    mode: String,
    reranked: bool,
    queries: usize,
    documents: usize,
    metrics: Metrics,
    latency: Stages,
    index: IndexSize,
    /// Of a sweep: its settings, and the files that a comparison needs.
    cell: Option<Cell>,
    ranking: Option<PathBuf>,
    set: Option<PathBuf>,
}

/// Two runs, and how they differ.
#[derive(Debug)]
struct Versus {
    data: String,
    a: String,
    b: String,
    found: Comparison,
}

impl Page {
    /// Adds the results in a file: the journal of a sweep, or what `faq-bench run --json` printed.
    ///
    /// # Errors
    /// Names the file, and the line that is neither.
    pub fn add_results(&mut self, path: &Path) -> Result<()> {
        let beside = path.parent().unwrap_or(Path::new(""));
        for (number, line) in beir::lines(path)? {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            if let Ok(row) = serde_json::from_str::<Row>(&line) {
                self.entries.push(Entry::of_row(row, beside));
                continue;
            }
            let report: Report = serde_json::from_str(&line).map_err(|e| Error::Line {
                path: path.to_owned(),
                line: number,
                problem: format!(
                    "neither a finished cell of a sweep nor a report of faq-bench run --json: {e}"
                ),
            })?;
            self.entries.extend(Entry::of_report(&report));
        }
        self.shorten();
        Ok(())
    }

    /// Takes out of the labels what all results of a data set share.
    fn shorten(&mut self) {
        for data in self.data_sets() {
            let settings: Vec<&str> = self.of(&data).map(|e| e.settings.as_str()).collect();
            let shared = shared(&settings);
            for entry in self.entries.iter_mut().filter(|entry| entry.data == data) {
                entry.label = without(&entry.settings, &shared);
                entry.shared.clone_from(&shared);
            }
        }
    }

    /// Compares two TREC files by the judgements of `set`.
    ///
    /// # Errors
    /// Names the line of a file that is wrong.
    pub fn add_comparison(&mut self, a: &Path, b: &Path, set: &DataSet, split: &str) -> Result<()> {
        let found = compare(
            &Run::read_for(a, set)?,
            &Run::read_for(b, set)?,
            set,
            QUALITY,
            SHOWN,
        );
        self.comparisons.push(Versus {
            data: format!("{}/{split}", set.name),
            a: a.display().to_string(),
            b: b.display().to_string(),
            found,
        });
        Ok(())
    }

    /// Compares of each data set the best result with the first one, and with the best of each
    /// other mode, where their rankings are on disk.
    ///
    /// # Errors
    /// Where a data set or a ranking cannot be read.
    pub fn compare_best(&mut self) -> Result<()> {
        for data in self.data_sets() {
            let entries: Vec<&Entry> = self.of(&data).filter(|e| e.ranking.is_some()).collect();
            let better = |a: &&&Entry, b: &&&Entry| a.quality().total_cmp(&b.quality());
            let Some(best) = entries.iter().rev().max_by(better) else {
                continue;
            };
            let mut others: Vec<&Entry> = entries.first().copied().into_iter().collect();
            for mode in ["keyword", "dense", "hybrid"] {
                let of_mode = entries
                    .iter()
                    .filter(|e| e.mode == mode && best.mode != mode);
                others.extend(of_mode.rev().max_by(better).copied());
            }
            let mut seen = vec![best.label.as_str()];
            let mut found = Vec::new();
            for other in others {
                if !seen.contains(&other.label.as_str()) {
                    seen.push(&other.label);
                    found.push(versus(other, best)?);
                }
            }
            self.comparisons.extend(found);
        }
        Ok(())
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.comparisons.is_empty()
    }

    /// The whole file.
    pub fn html(&self, title: &str) -> String {
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<nav>",
            include_str!("style.css"),
            title = Text(title)
        );
        let data_sets = self.data_sets();
        for (at, data) in data_sets.iter().enumerate() {
            let _ = write!(page, "<a href=\"#set{at}\">{}</a>", Text(data));
        }
        page += "</nav>\n";
        for (at, data) in data_sets.iter().enumerate() {
            let _ = writeln!(page, "<h2 id=\"set{at}\">{}</h2>", Text(data));
            let entries: Vec<&Entry> = self.of(data).collect();
            if !entries.is_empty() {
                page += &results(&entries);
            }
            for versus in self.comparisons.iter().filter(|v| v.data == *data) {
                page += &differences(versus);
            }
        }
        page + "</body>\n</html>\n"
    }

    /// Data sets in the order in which they came.
    fn data_sets(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let all = self.entries.iter().map(|e| &e.data);
        for name in all.chain(self.comparisons.iter().map(|v| &v.data)) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn of<'a>(&'a self, data: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.data == data)
    }
}

impl Entry {
    fn of_row(row: Row, beside: &Path) -> Self {
        let set = beside.join(&row.cell.set);
        let ranking = beside.join(&row.ranking);
        Self {
            data: row.cell.data(),
            settings: row.cell.label(),
            label: row.cell.label(),
            shared: Vec::new(),
            mode: row.cell.mode_name().to_owned(),
            reranked: row.cell.rerank.is_some(),
            queries: row.queries,
            documents: row.documents,
            metrics: row.metrics,
            latency: row.latency_ms,
            index: row.index,
            ranking: (ranking.is_file() && set.is_dir()).then_some(ranking),
            set: Some(set),
            cell: Some(row.cell),
        }
    }

    fn of_report(report: &Report) -> impl Iterator<Item = Self> + '_ {
        report.runs.iter().map(|run| Self {
            data: format!("{}/{}", report.data_set, report.split),
            settings: run.label(),
            label: run.label(),
            shared: Vec::new(),
            mode: run.mode.clone(),
            reranked: run.rerank.is_some(),
            queries: report.queries,
            documents: report.documents,
            metrics: run.metrics,
            latency: run.latency_ms,
            index: report.index,
            cell: None,
            ranking: None,
            set: None,
        })
    }

    fn quality(&self) -> f64 {
        self.metrics.get(QUALITY)
    }
}

/// Settings (`name=value`) that have no other value in any of the labels, where there are several.
fn shared(labels: &[&str]) -> Vec<String> {
    let mut found: Vec<&str> = Vec::new();
    for word in labels.iter().flat_map(|label| label.split(' ')) {
        let Some((name, _)) = word.split_once('=') else {
            continue;
        };
        let differs = |other: &str| {
            other != word
                && other
                    .split_once('=')
                    .is_some_and(|(other, _)| other == name)
        };
        let all = labels.iter().flat_map(|label| label.split(' '));
        // Whether there is a reranking is a difference.
        if name != "rerank" && !found.contains(&word) && !all.clone().any(differs) {
            found.push(word);
        }
    }
    if labels.len() < 2 {
        found.clear();
    }
    found.into_iter().map(str::to_owned).collect()
}

/// A label without the settings that are shared.
fn without(label: &str, shared: &[String]) -> String {
    let words = label.split(' ');
    let own = words.filter(|word| !shared.iter().any(|shared| shared == word));
    own.collect::<Vec<_>>().join(" ")
}

fn versus(a: &Entry, b: &Entry) -> Result<Versus> {
    let read = |entry: &Entry| {
        entry
            .ranking
            .as_deref()
            .map_or(Ok(Run::default()), Run::read)
    };
    let (folder, cell) = (b.set.clone().unwrap_or_default(), b.cell.as_ref());
    let mut set = DataSet::read(&folder, cell.map_or("test", |cell| &cell.split))?;
    if let Some(most) = cell.and_then(|cell| cell.limit_queries) {
        set.limit_queries(most);
    }
    if let Some(seed) = cell.and_then(|cell| cell.typos) {
        typos::misspell(&mut set, seed);
    }
    Ok(Versus {
        data: b.data.clone(),
        a: a.label.clone(),
        b: b.label.clone(),
        found: compare(&read(a)?, &read(b)?, &set, QUALITY, SHOWN),
    })
}

/// The table and the plots of one data set.
fn results(entries: &[&Entry]) -> String {
    let mut page = String::new();
    if let Some(first) = entries.first() {
        let _ = writeln!(
            page,
            "<p>{} documents, {} questions, {} results. The best value of a column is bold; times \
             are those of whole searches in milliseconds, the question's embedding included.</p>",
            first.documents,
            first.queries,
            entries.len()
        );
        if !first.shared.is_empty() {
            let shared = first.shared.join(", ");
            let _ = writeln!(page, "<p>All with {}.</p>", Text(&shared));
        }
    }
    let mut columns = vec!["settings".to_owned()];
    columns.extend(Metric::ALL.iter().map(|metric| metric.name().to_owned()));
    columns.extend(["p50 ms", "p95 ms", "p99 ms", "chunks", "index"].map(str::to_owned));
    let best: Vec<f64> = Metric::ALL
        .iter()
        .map(|metric| {
            let values = entries.iter().map(|entry| entry.metrics.get(*metric));
            values.fold(f64::NEG_INFINITY, f64::max)
        })
        .collect();
    let mut table = Table::new(&columns, &["settings"]);
    let mut sorted: Vec<&&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| b.quality().total_cmp(&a.quality()));
    for entry in sorted {
        let mut cells = vec![("text", entry.label.clone())];
        for (metric, best) in Metric::ALL.iter().zip(&best) {
            let value = entry.metrics.get(*metric);
            let class = if value >= *best { "best" } else { "" };
            cells.push((class, shown(value)));
        }
        let whole = entry.latency.whole;
        cells.extend([whole.p50, whole.p95, whole.p99].map(|ms| ("", format!("{ms:.1}"))));
        cells.push(("", entry.index.chunks.to_string()));
        cells.push(("", report::megabytes(entry.index.disk_bytes)));
        table.row(cells);
    }
    let _ = write!(page, "{table}<div class=\"plots\">\n{}", trade(entries));
    for curve in curves::curves(entries) {
        let _ = write!(page, "{curve}");
    }
    page + "</div>\n"
}

/// Quality against latency, a colour for each mode, with and without reranking.
fn trade(entries: &[&Entry]) -> Plot {
    let modes = ["keyword", "dense", "hybrid"];
    let kinds = modes.iter().flat_map(|mode| [(mode, false), (mode, true)]);
    let series = kinds.filter_map(|(mode, reranked)| {
        let points: Vec<Point> = entries
            .iter()
            .filter(|entry| entry.mode == *mode && entry.reranked == reranked)
            .map(|entry| Point {
                x: entry.latency.whole.p50,
                y: entry.quality(),
                label: format!(
                    "{}: {:.4}, {:.1} ms",
                    entry.label,
                    entry.quality(),
                    entry.latency.whole.p50
                ),
            })
            .collect();
        (!points.is_empty()).then(|| Series {
            name: format!("{mode}{}", if reranked { ", reranked" } else { "" }),
            points,
        })
    });
    Plot {
        title: format!("{} against latency", QUALITY.name()),
        x: "p50 of a search, ms".to_owned(),
        logarithmic: true,
        y: QUALITY.name().to_owned(),
        series: series.collect(),
        joined: false,
    }
}

/// How one run differs from another, with the questions where it does most.
fn differences(versus: &Versus) -> String {
    let found = &versus.found;
    let verdict = if found.test.p_value < 0.05 {
        "more than chance would make"
    } else {
        "no more than chance would make"
    };
    let mut page = format!(
        "<h3>B {} against A {}</h3>\n<p>{} over {} questions: A {:.4}, B {:.4}, difference {}; \
         p = {:.5} (two-sided paired randomisation), {verdict}. B wins {}, loses {}, ties {}.</p>\n",
        Text(&versus.b),
        Text(&versus.a),
        found.metric.name(),
        found.queries,
        found.a,
        found.b,
        signed(found.difference),
        found.test.p_value,
        found.wins,
        found.losses,
        found.ties
    );
    let columns = ["question", "id", "A", "B", "difference"].map(str::to_owned);
    for (title, class, changes) in [
        ("Largest wins of B", "good", &found.largest_wins),
        ("Largest losses of B", "bad", &found.largest_losses),
    ] {
        if changes.is_empty() {
            continue;
        }
        let mut table = Table::new(&columns, &["question"]);
        for change in changes {
            let Change { query, text, a, b } = change;
            table.row([
                ("text", text.clone()),
                ("", query.clone()),
                ("", format!("{a:.4}")),
                ("", format!("{b:.4}")),
                (class, signed(change.difference())),
            ]);
        }
        let _ = write!(page, "<p>{title}</p>\n{table}");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_what_differs() {
        let labels = [
            "keyword k=100",
            "dense k=100 ef=16 model=m",
            "dense rerank=10:1 k=100 ef=64 model=m",
        ];
        let shared = shared(&labels);
        assert_eq!(shared, ["k=100", "model=m"]);
        let short = labels.map(|label| without(label, &shared));
        assert_eq!(short, ["keyword", "dense ef=16", "dense rerank=10:1 ef=64"]);
        assert!(super::shared(&labels[..1]).is_empty());
    }
}

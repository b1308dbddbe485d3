//! A chart as its reader sees it: a title, and the values that were drawn.

use std::collections::BTreeMap;

use crate::inline::one_line;
use crate::limits::Budget;
use crate::table::{Cell, Table};
use crate::xml::{Token, Xml};
use crate::{Format, ParseError};

/// Points of a series that are read; more is a plot rather than a table.
const MOST_POINTS: usize = 1000;
/// Series that are read.
const MOST_SERIES: usize = 100;

/// What a chart says.
#[derive(Debug, Default)]
pub(crate) struct Chart {
    pub(crate) title: String,
    series: Vec<Series>,
}

#[derive(Debug, Default)]
struct Series {
    name: String,
    categories: BTreeMap<usize, String>,
    values: BTreeMap<usize, String>,
}

/// Which text of a series is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Elsewhere,
    Title,
    Name,
    Category,
    Value,
}

impl Chart {
    /// Reads a chart part; values are those that the program kept beside the formulas.
    pub(crate) fn read(part: &str, format: Format, budget: &Budget) -> Result<Self, ParseError> {
        let mut chart = Self::default();
        let mut place = Place::Elsewhere;
        let mut in_series = false;
        let mut point = None;
        let mut text: Option<String> = None;
        let mut in_axis = false;
        let mut xml = Xml::new(part, format, budget);
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(e) => match e.name() {
                    "catAx" | "valAx" | "dateAx" | "serAx" => in_axis = true,
                    "title" if !in_axis => place = Place::Title,
                    "ser" if chart.series.len() < MOST_SERIES => {
                        in_series = true;
                        chart.series.push(Series::default());
                    }
                    "tx" if in_series => place = Place::Name,
                    "cat" | "xVal" if in_series => place = Place::Category,
                    "val" | "yVal" if in_series => place = Place::Value,
                    "pt" => point = e.attribute("idx").and_then(|i| i.parse().ok()),
                    "v" | "t" => text = Some(String::new()),
                    _ => {}
                },
                Token::Text(t) => {
                    if let Some(text) = &mut text {
                        text.push_str(&t);
                    }
                }
                Token::Close(name) => match name.as_str() {
                    "v" | "t" => chart.put(place, point, text.take().unwrap_or_default()),
                    "p" if place == Place::Title => chart.title.push(' '),
                    "pt" => point = None,
                    "title" | "tx" | "cat" | "xVal" | "val" | "yVal" if place != Place::Title => {
                        place = Place::Elsewhere;
                    }
                    "title" => place = Place::Elsewhere,
                    "ser" => in_series = false,
                    "catAx" | "valAx" | "dateAx" | "serAx" => in_axis = false,
                    _ => {}
                },
            }
        }
        chart.title = one_line(&chart.title);
        Ok(chart)
    }

    fn put(&mut self, place: Place, point: Option<usize>, text: String) {
        if place == Place::Title {
            self.title.push_str(&text);
            return;
        }
        let Some(series) = self.series.last_mut() else {
            return;
        };
        match (place, point.filter(|&p| p < MOST_POINTS)) {
            (Place::Name, _) => series.name.push_str(&text),
            (Place::Category, Some(point)) => {
                series.categories.insert(point, text);
            }
            (Place::Value, Some(point)) => {
                series.values.insert(point, number(&text));
            }
            _ => {}
        }
    }

    /// The values: a row a category, a column a series.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::default();
        let points = self
            .series
            .iter()
            .flat_map(|s| s.values.keys().chain(s.categories.keys()))
            .max()
            .map_or(0, |last| last + 1);
        if points == 0 {
            return table;
        }
        table.start_row(true);
        table.cell(cell(""));
        for series in &self.series {
            table.cell(cell(&series.name));
        }
        for point in 0..points {
            table.start_row(false);
            let category = self.series.iter().find_map(|s| s.categories.get(&point));
            table.cell(cell(category.map_or("", String::as_str)));
            for series in &self.series {
                table.cell(cell(series.values.get(&point).map_or("", String::as_str)));
            }
        }
        table
    }
}

fn cell(text: &str) -> Cell {
    Cell {
        text: text.to_owned(),
        columns: 1,
        rows: 1,
        ..Cell::default()
    }
}

/// A stored value without the noise of binary fractions: `4.2999999999999998` is 4.3.
fn number(text: &str) -> String {
    match text.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => crate::xlsx::general(value),
        _ => text.to_owned(),
    }
}

//! A chart as its reader sees it: its title and those of its axes, and the values that were drawn.

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
    title: String,
    /// Titles of the axes, in the order of the part.
    axes: Vec<String>,
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
    Axis,
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
                    "title" if in_axis => {
                        place = Place::Axis;
                        chart.axes.push(String::new());
                    }
                    "title" => place = Place::Title,
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
                    "p" if in_title(place) => chart.put(place, None, " ".to_owned()),
                    "pt" => point = None,
                    "title" | "tx" | "cat" | "xVal" | "val" | "yVal" if !in_title(place) => {
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
        chart.axes = chart.axes.iter().map(|axis| one_line(axis)).collect();
        chart.axes.retain(|axis| !axis.is_empty());
        Ok(chart)
    }

    fn put(&mut self, place: Place, point: Option<usize>, text: String) {
        if place == Place::Title {
            self.title.push_str(&text);
            return;
        }
        if place == Place::Axis {
            if let Some(axis) = self.axes.last_mut() {
                axis.push_str(&text);
            }
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

    /// What stands beside the drawing: the title, and those of the axes.
    pub(crate) fn captions(&self) -> impl Iterator<Item = String> {
        [self.title.clone(), self.axes.join(", ")]
            .into_iter()
            .filter(|text| !text.is_empty())
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

fn in_title(place: Place) -> bool {
    matches!(place, Place::Title | Place::Axis)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParseOptions;

    #[test]
    fn titles_of_axes_are_read_and_labels_of_ticks_are_not() {
        let part = "<c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Ducks</a:t></a:r></a:p><a:p>\
            <a:r><a:t>by year</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea><c:ser><c:tx>\
            <c:v>Pond</c:v></c:tx><c:cat><c:pt idx='0'><c:v>2019</c:v></c:pt></c:cat><c:val>\
            <c:pt idx='0'><c:v>4.2999999999999998</c:v></c:pt></c:val></c:ser><c:catAx><c:title>\
            <c:tx><a:t>Year</a:t></c:tx></c:title></c:catAx><c:valAx><c:title><c:tx>\
            <a:t>Thousands</a:t></c:tx></c:title><c:txPr/></c:valAx></c:plotArea></c:chart>";
        let budget = Budget::new(&ParseOptions::default());
        let chart = Chart::read(part, Format::Pptx, &budget).unwrap();
        let captions: Vec<String> = chart.captions().collect();
        assert_eq!(captions, ["Ducks by year", "Year, Thousands"]);
        let table = chart.table();
        let texts: Vec<&str> = table.texts().collect();
        assert_eq!(texts, ["", "Pond", "2019", "4.3"]);
    }
}

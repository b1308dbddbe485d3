//! Numbers as a spreadsheet shows them: number formats (ECMA-376, 18.8.31), dates among them.
//!
//! Of a format's parts, those are kept that change what is read: digits after the point,
//! grouping, percent, exponents, dates and times, and literal text. Fractions and what cannot
//! be told are shown as plain numbers.

use std::fmt::Write as _;

/// The day that a workbook counts dates from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Epoch {
    /// Day 1 is 1 January 1900, and 1900 is taken for a leap year.
    #[default]
    Windows,
    /// Day 0 is 1 January 1904.
    Macintosh,
}

/// A number format, taken apart.
#[derive(Debug, Clone)]
pub(super) struct NumberFormat {
    /// For positive numbers, negative ones and zero; at least the first.
    sections: Vec<Section>,
}

#[derive(Debug, Clone)]
enum Section {
    General { before: String, after: String },
    Number(Digits),
    Date(Vec<DatePart>),
}

#[derive(Debug, Clone, Default)]
struct Digits {
    before: String,
    after: String,
    least_whole: usize,
    least_decimals: usize,
    most_decimals: usize,
    grouped: bool,
    percent: bool,
    /// Commas at the end: thousands are left off.
    thousands: usize,
    exponent: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum DatePart {
    Literal(String),
    Year(usize),
    Month(usize),
    Day(usize),
    Hour(usize),
    Minute(usize),
    Second(usize),
    Fraction(usize),
    /// Hours, minutes or seconds in total.
    Total(char),
    Half,
}

/// A number in the shortest form with at most 15 digits, as a cell without a format has it.
pub(crate) fn general(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    let size = rounded.abs();
    if size != 0.0 && !(1e-9..1e15).contains(&size) {
        return format!("{rounded:E}");
    }
    // Minus zero is zero.
    format!("{}", rounded + 0.0)
}

impl NumberFormat {
    pub(super) fn new(code: &str) -> Self {
        let sections = split_sections(code);
        Self {
            sections: sections.iter().take(3).map(|s| section(s)).collect(),
        }
    }

    /// `value` as a cell with this format shows it.
    pub(super) fn shown(&self, value: f64, epoch: Epoch) -> String {
        let (section, value) = match (self.sections.as_slice(), value) {
            ([_, negative, ..], v) if v < 0.0 => (negative, -v),
            ([_, _, zero], 0.0) => (zero, value),
            ([first, ..], _) => (first, value),
            ([], _) => return general(value),
        };
        match section {
            Section::General { before, after } => format!("{before}{}{after}", general(value)),
            Section::Number(digits) => digits.shown(value),
            Section::Date(parts) => date(parts, value, epoch).unwrap_or_else(|| general(value)),
        }
    }
}

/// Sections of a code, at semicolons outside of quotes.
fn split_sections(code: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for c in code.chars() {
        if c == ';' && !quoted && !escaped {
            sections.push(String::new());
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        if let Some(last) = sections.last_mut() {
            last.push(c);
        }
    }
    sections
}

/// A piece of a section: a mark of the format, or literal text.
enum Piece {
    Mark(char),
    Literal(String),
    /// What stands in brackets.
    Bracket(String),
}

fn pieces(section: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut chars = section.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => pieces.push(Piece::Literal(
                chars.by_ref().take_while(|&c| c != '"').collect(),
            )),
            '\\' => pieces.push(Piece::Literal(
                chars.next().map(String::from).unwrap_or_default(),
            )),
            // Space as wide as the next character, or that character repeated.
            '_' => {
                chars.next();
                pieces.push(Piece::Literal(" ".to_owned()));
            }
            '*' => {
                chars.next();
            }
            '[' => pieces.push(Piece::Bracket(
                chars.by_ref().take_while(|&c| c != ']').collect(),
            )),
            c => pieces.push(Piece::Mark(c)),
        }
    }
    pieces
}

fn section(code: &str) -> Section {
    let pieces = pieces(code);
    let is_date = pieces.iter().any(|p| match p {
        Piece::Mark(c) => matches!(c.to_ascii_lowercase(), 'y' | 'm' | 'd' | 'h' | 's'),
        Piece::Bracket(b) => is_total(b),
        Piece::Literal(_) => false,
    });
    let lower = code.to_ascii_lowercase();
    if let Some((before, after)) = lower.split_once("general") {
        return Section::General {
            before: literal(before),
            after: literal(after),
        };
    }
    if is_date {
        return Section::Date(date_parts(pieces));
    }
    let has_digits = pieces
        .iter()
        .any(|p| matches!(p, Piece::Mark('0' | '#' | '?')));
    let is_fraction = has_digits && pieces.iter().any(|p| matches!(p, Piece::Mark('/')));
    if is_fraction || code.contains('@') || (!has_digits && code.trim().is_empty()) {
        return Section::General {
            before: String::new(),
            after: String::new(),
        };
    }
    Section::Number(digits(pieces))
}

/// The text that a part of a code shows.
fn literal(code: &str) -> String {
    let texts = pieces(code).into_iter().map(|p| match p {
        Piece::Literal(text) => text,
        Piece::Mark(c) => c.to_string(),
        Piece::Bracket(b) => currency(&b).unwrap_or_default(),
    });
    texts.collect()
}

/// The symbol in brackets such as `[$€-407]`.
fn currency(bracket: &str) -> Option<String> {
    let symbol = bracket.strip_prefix('$')?;
    Some(symbol.split('-').next().unwrap_or_default().to_owned())
}

fn is_total(bracket: &str) -> bool {
    let lower = bracket.to_ascii_lowercase();
    !lower.is_empty()
        && ["h", "m", "s"]
            .iter()
            .any(|u| lower.chars().all(|c| u.starts_with(c)))
}

fn digits(pieces: Vec<Piece>) -> Digits {
    let mut digits = Digits::default();
    let (mut seen, mut decimals, mut commas) = (false, false, 0);
    for piece in pieces {
        let text = match piece {
            Piece::Mark('0' | '#' | '?' | '+' | '-') if digits.exponent => continue,
            Piece::Mark(mark @ ('0' | '#' | '?')) => {
                seen = true;
                if commas > 0 && !decimals {
                    digits.grouped = true;
                }
                commas = 0;
                if decimals {
                    digits.most_decimals += 1;
                    if mark == '0' {
                        digits.least_decimals = digits.most_decimals;
                    }
                } else if mark == '0' {
                    digits.least_whole += 1;
                }
                continue;
            }
            Piece::Mark('.') if !decimals => {
                decimals = true;
                seen = true;
                digits.thousands += commas;
                commas = 0;
                continue;
            }
            Piece::Mark(',') if seen => {
                commas += 1;
                continue;
            }
            Piece::Mark('E' | 'e') if seen => {
                digits.exponent = true;
                continue;
            }
            Piece::Mark('%') => {
                digits.percent = true;
                "%".to_owned()
            }
            Piece::Mark(c) => c.to_string(),
            Piece::Literal(text) => text,
            Piece::Bracket(b) => currency(&b).unwrap_or_default(),
        };
        if seen {
            digits.after.push_str(&text);
        } else {
            digits.before.push_str(&text);
        }
    }
    digits.thousands += commas;
    digits
}

impl Digits {
    fn shown(&self, value: f64) -> String {
        // A section of literals alone shows them alone.
        if self.least_whole == 0 && self.most_decimals == 0 && !self.grouped && self.is_literal() {
            return self.before.trim().to_owned();
        }
        let mut size = value.abs();
        if self.percent {
            size *= 100.0;
        }
        size /= 1000_f64.powi(self.thousands.min(8) as i32);
        let decimals = self.most_decimals.min(30);
        let number = if self.exponent {
            format!("{size:.decimals$E}")
        } else if size >= 1e21 {
            general(size)
        } else {
            self.fixed(size, decimals)
        };
        let is_zero = number.bytes().all(|b| !(b'1'..=b'9').contains(&b));
        let sign = if value < 0.0 && !is_zero { "-" } else { "" };
        let shown = format!("{sign}{}{number}{}", self.before, self.after);
        shown.trim().to_owned()
    }

    /// Whether there is no place for a digit at all.
    fn is_literal(&self) -> bool {
        !self.before.is_empty() && self.after.is_empty() && self.least_whole == 0
    }

    fn fixed(&self, size: f64, decimals: usize) -> String {
        // What binary fractions add is no part of the number.
        let size: f64 = format!("{size:.14e}").parse().unwrap_or(size);
        let text = format!("{size:.decimals$}");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let mut fraction = fraction.to_owned();
        while fraction.len() > self.least_decimals && fraction.ends_with('0') {
            fraction.pop();
        }
        let mut whole = whole.to_owned();
        while whole.len() < self.least_whole.min(30) {
            whole.insert(0, '0');
        }
        if self.grouped {
            let mut at = whole.len();
            while at > 3 {
                at -= 3;
                whole.insert(at, ',');
            }
        }
        if fraction.is_empty() {
            whole
        } else {
            format!("{whole}.{fraction}")
        }
    }
}

fn date_parts(pieces: Vec<Piece>) -> Vec<DatePart> {
    let mut parts: Vec<DatePart> = Vec::new();
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        let mark = match piece {
            Piece::Mark(c) => c,
            Piece::Literal(text) => {
                parts.push(DatePart::Literal(text));
                continue;
            }
            Piece::Bracket(b) if is_total(&b) => {
                let unit = b.chars().next().map_or('h', |c| c.to_ascii_lowercase());
                parts.push(DatePart::Total(unit));
                continue;
            }
            Piece::Bracket(_) => continue,
        };
        let lower = mark.to_ascii_lowercase();
        let mut count = 1;
        let mut rest = String::new();
        if matches!(lower, 'y' | 'm' | 'd' | 'h' | 's' | '0') {
            while pieces
                .next_if(|p| matches!(p, Piece::Mark(c) if c.to_ascii_lowercase() == lower))
                .is_some()
            {
                count += 1;
            }
        } else if lower == 'a' {
            // AM/PM or A/P.
            while let Some(Piece::Mark(c)) =
                pieces.next_if(|p| matches!(p, Piece::Mark('m' | 'M' | 'p' | 'P' | '/')))
            {
                rest.push(c);
            }
        }
        parts.push(match lower {
            'y' => DatePart::Year(count),
            'm' => DatePart::Month(count),
            'd' => DatePart::Day(count),
            'h' => DatePart::Hour(count),
            's' => DatePart::Second(count),
            '0' => DatePart::Fraction(count),
            'a' if !rest.is_empty() => DatePart::Half,
            _ => DatePart::Literal(mark.to_string()),
        });
    }
    minutes(&mut parts);
    parts
}

/// An `m` after hours or before seconds stands for minutes.
fn minutes(parts: &mut [DatePart]) {
    let is_time = |p: &&DatePart| !matches!(p, DatePart::Literal(_));
    for at in 0..parts.len() {
        let DatePart::Month(count) = parts[at] else {
            continue;
        };
        let before = parts[..at].iter().rev().find(is_time);
        let after = parts[at + 1..].iter().find(is_time);
        if matches!(before, Some(DatePart::Hour(_) | DatePart::Total('h')))
            || matches!(after, Some(DatePart::Second(_)))
        {
            parts[at] = DatePart::Minute(count);
        }
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A date by its format, or `None` where no calendar has such a day.
fn date(parts: &[DatePart], value: f64, epoch: Epoch) -> Option<String> {
    if !(0.0..2_958_466.0).contains(&value) {
        return None;
    }
    let fraction_digits = parts
        .iter()
        .find_map(|p| match p {
            DatePart::Fraction(n) => Some((*n).min(3)),
            _ => None,
        })
        .unwrap_or(0);
    let unit = 10_f64.powi(fraction_digits as i32);
    let ticks = (value * 86_400.0 * unit).round();
    let total = (ticks / unit).floor() as i64;
    let fraction = ticks - total as f64 * unit;
    let (days, seconds) = (total / 86_400, total % 86_400);
    let (year, month, day) = calendar(days, epoch);
    let weekday = match epoch {
        Epoch::Windows => (days + 6) % 7,
        Epoch::Macintosh => (days + 5) % 7,
    };
    let half = parts.contains(&DatePart::Half);
    let mut text = String::new();
    for part in parts {
        let (number, width) = match part {
            DatePart::Literal(literal) => {
                text.push_str(literal);
                continue;
            }
            DatePart::Year(1 | 2) => (year % 100, 2),
            DatePart::Year(_) => (year, 4),
            DatePart::Month(3) => {
                text.push_str(&MONTHS[month as usize - 1][..3]);
                continue;
            }
            DatePart::Month(4) => {
                text.push_str(MONTHS[month as usize - 1]);
                continue;
            }
            DatePart::Month(5..) => {
                text.push_str(&MONTHS[month as usize - 1][..1]);
                continue;
            }
            DatePart::Month(width) => (month, *width),
            DatePart::Day(3) => {
                text.push_str(&DAYS[weekday as usize][..3]);
                continue;
            }
            DatePart::Day(4..) => {
                text.push_str(DAYS[weekday as usize]);
                continue;
            }
            DatePart::Day(width) => (day, *width),
            DatePart::Hour(width) if half => {
                let hour = seconds / 3600 % 12;
                (if hour == 0 { 12 } else { hour }, *width)
            }
            DatePart::Hour(width) => (seconds / 3600, *width),
            DatePart::Minute(width) => (seconds / 60 % 60, *width),
            DatePart::Second(width) => (seconds % 60, *width),
            DatePart::Fraction(_) => (fraction as i64, fraction_digits),
            DatePart::Total('h') => (total / 3600, 1),
            DatePart::Total('m') => (total / 60, 1),
            DatePart::Total(_) => (total, 1),
            DatePart::Half => {
                text.push_str(if seconds < 43_200 { "AM" } else { "PM" });
                continue;
            }
        };
        let width = width.min(4);
        let _written = write!(text, "{number:0width$}");
    }
    Some(text.trim().to_owned())
}

/// Year, month and day of a day's number.
fn calendar(days: i64, epoch: Epoch) -> (i64, i64, i64) {
    // Days since 1970-01-01.
    let unix = match epoch {
        // The day that never was.
        Epoch::Windows if days == 60 => return (1900, 2, 29),
        Epoch::Windows if days == 0 => return (1900, 1, 0),
        Epoch::Windows if days < 60 => days - 25_568,
        Epoch::Windows => days - 25_569,
        Epoch::Macintosh => days - 24_107,
    };
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let shifted = unix + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &str, value: f64) -> String {
        NumberFormat::new(code).shown(value, Epoch::Windows)
    }

    #[test]
    fn numbers() {
        for (code, value, wanted) in [
            ("General", 0.1 + 0.2, "0.3"),
            ("General", 1e20, "1E20"),
            ("General", -0.0, "0"),
            ("0", 2.6, "3"),
            ("000", 7.0, "007"),
            ("#,##0.00", -1_234_567.891, "-1,234,567.89"),
            ("0.0%", 0.1234, "12.3%"),
            ("#.##", 0.5, "0.5"),
            ("0.00E+00", 12_345.0, "1.23E4"),
            ("#,##0,", 1_234_567.0, "1,235"),
            ("#,##0.00 [$€-407]", 1.5, "1.50 €"),
            ("\"EUR\" 0", 5.0, "EUR 5"),
            ("0;(0);\"none\"", -3.0, "(3)"),
            ("0;(0);\"none\"", 0.0, "none"),
            ("# ?/?", 0.5, "0.5"),
            ("@", 12.0, "12"),
            ("_-* #,##0_-", 1000.0, "1,000"),
        ] {
            assert_eq!(shown(code, value), wanted, "{code} of {value}");
        }
    }

    #[test]
    fn dates_and_times() {
        for (code, value, wanted) in [
            ("yyyy-mm-dd", 45_292.0, "2024-01-01"),
            ("d mmmm yyyy", 59.0, "28 February 1900"),
            ("d/m/yy", 60.0, "29/2/00"),
            ("yyyy-mm-dd", 61.0, "1900-03-01"),
            ("dddd", 45_292.0, "Monday"),
            ("h:mm AM/PM", 0.75, "6:00 PM"),
            ("hh:mm:ss", 0.999_994, "23:59:59"),
            ("[h]:mm", 1.5, "36:00"),
            ("mm:ss.0", 0.000_017_36, "00:01.5"),
            ("yyyy\\-mm", -1.0, "-1"),
            ("dd.mm.yyyy \"um\" hh:mm", 44_197.5, "01.01.2021 um 12:00"),
        ] {
            assert_eq!(shown(code, value), wanted, "{code} of {value}");
        }
        let format = NumberFormat::new("yyyy-mm-dd");
        assert_eq!(format.shown(0.0, Epoch::Macintosh), "1904-01-01");
    }

    #[test]
    fn nothing_breaks_a_format() {
        let codes = [
            "",
            ";",
            ";;;",
            "[",
            "\"",
            "\\",
            "_",
            "*",
            "[h",
            "am",
            "000000000000000000000000000000000000000",
            "E+",
            "%%",
            "y;m;d",
        ];
        let values = [
            0.0,
            -1.0,
            1e300,
            -1e300,
            f64::NAN,
            f64::INFINITY,
            5e-324,
            2_958_465.999_999,
        ];
        for code in codes {
            for value in values {
                shown(code, value);
            }
        }
    }
}

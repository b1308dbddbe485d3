//! Dates and times as a number format writes them.

use std::fmt::Write as _;

use super::number::Piece;

/// The day that a workbook counts dates from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Epoch {
    /// Day 1 is 1 January 1900, and 1900 is taken for a leap year.
    #[default]
    Windows,
    /// Day 0 is 1 January 1904.
    Macintosh,
}

/// A piece of a date format.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DatePart {
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

/// Whether what stands in brackets asks for hours, minutes or seconds in total.
pub(super) fn is_total(bracket: &str) -> bool {
    let lower = bracket.to_ascii_lowercase();
    !lower.is_empty()
        && ["h", "m", "s"]
            .iter()
            .any(|u| lower.chars().all(|c| u.starts_with(c)))
}

/// A section of a date format, taken apart.
pub(super) fn parts(pieces: Vec<Piece>) -> Vec<DatePart> {
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
pub(super) fn shown(parts: &[DatePart], value: f64, epoch: Epoch) -> Option<String> {
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

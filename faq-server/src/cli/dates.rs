//! Dates in and out: RFC 3339 and `YYYY-MM-DD`, in the proleptic Gregorian calendar, UTC.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const DAY_MS: i64 = 86_400_000;

/// A point in time, and whether a whole day was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Unix milliseconds; of a day, its first.
    pub(super) ms: i64,
    /// Whether only the day was given.
    pub(super) whole_day: bool,
}

impl Moment {
    /// The first millisecond after it: of a day, the next day's first.
    pub(super) fn after(self) -> i64 {
        if self.whole_day {
            self.ms + DAY_MS
        } else {
            self.ms
        }
    }
}

/// Reads `2024-05-31`, `2024-05-31T08:00:00Z` or `2024-05-31T08:00:00.5+02:00`.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let whole_day = text.len() == DAY.len();
    let day = text.get(..DAY.len())?;
    let as_written = |(c, pattern): (u8, u8)| match pattern {
        b'-' => c == b'-',
        _ => c.is_ascii_digit(),
    };
    // Other ways to write a date are refused, which jiff would read.
    if !day.bytes().zip(DAY.bytes()).all(as_written) {
        return None;
    }
    let ms = if whole_day {
        // The last day has no end that a timestamp could tell.
        let since = day
            .parse::<Date>()
            .ok()?
            .duration_since(Date::constant(1970, 1, 1));
        since.as_secs() * 1000
    } else {
        text.parse::<Timestamp>().ok()?.as_millisecond()
    };
    Some(Moment { ms, whole_day })
}

/// How a day is written.
const DAY: &str = "0000-00-00";

/// The day of `ms`, as `YYYY-MM-DD`; nearest what can be told beyond the years 1 to 9999.
pub(super) fn day(ms: i64) -> String {
    let moment = Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    });
    moment.to_zoned(TimeZone::UTC).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Option<i64> {
        parse(text).map(|m| m.ms)
    }

    #[test]
    fn known_moments() {
        assert_eq!(ms("1970-01-01"), Some(0));
        assert_eq!(ms("2000-02-29T12:00:00Z"), Some(951_825_600_000));
        assert_eq!(
            ms("2024-05-31T08:00:00.25+02:00"),
            ms("2024-05-31T06:00:00.250Z")
        );
        assert_eq!(ms("1969-12-31T23:59:59.999Z"), Some(-1));
        assert_eq!(parse("2024-12-31").map(Moment::after), ms("2025-01-01"));
        let end_of_time = Some(253_402_300_800_000);
        assert_eq!(parse("9999-12-31").map(Moment::after), end_of_time);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2024",
            "2024-13-01",
            "2023-02-29",
            "2024-1-1",
            "2024-01-01T",
            "2024-01-01T25:00:00Z",
            "2024-01-01T10:00:00",
            "2024-01-01T10:00:00.Z",
            "2024-01-01T10:00:00+2:00",
            "2024-01-01Zmore",
            "+024-01-01",
            "2024-01-0é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_come_back() {
        for days in (-700_000..2_900_000).step_by(97) {
            assert_eq!(ms(&day(days * DAY_MS)), Some(days * DAY_MS));
        }
        assert_eq!(day(951_825_600_000), "2000-02-29");
        assert_eq!(day(i64::MAX), "9999-12-30");
    }
}

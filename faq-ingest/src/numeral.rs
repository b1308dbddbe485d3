//! Numbers as lists count: 1 2 3, a b c, i ii iii.

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Decimal,
    LowerLetter,
    UpperLetter,
    LowerRoman,
    UpperRoman,
}

/// `number` in `style`; what a style cannot write is written in decimal.
pub(crate) fn format(number: i64, style: Style) -> String {
    let written = match style {
        Style::Decimal => None,
        Style::LowerLetter | Style::UpperLetter => letters(number),
        Style::LowerRoman | Style::UpperRoman => roman(number),
    };
    match (written, style) {
        (None, _) => number.to_string(),
        (Some(text), Style::UpperLetter | Style::UpperRoman) => text.to_ascii_uppercase(),
        (Some(text), _) => text,
    }
}

/// a to z, then aa, bb, cc as word processors go on; browsers go on with ab, which is
/// rare enough to leave.
fn letters(number: i64) -> Option<String> {
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    let times = index / 26 + 1;
    let letter = char::from(b'a' + (index % 26) as u8);
    (times <= 8).then(|| letter.to_string().repeat(times))
}

fn roman(number: i64) -> Option<String> {
    const PARTS: [(i64, &str); 13] = [
        (1000, "m"),
        (900, "cm"),
        (500, "d"),
        (400, "cd"),
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ];
    if !(1..4000).contains(&number) {
        return None;
    }
    let mut rest = number;
    let mut text = String::new();
    for (value, part) in PARTS {
        while rest >= value {
            text.push_str(part);
            rest -= value;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{Style, format};

    #[test]
    fn counts_as_lists_do() {
        assert_eq!(format(12, Style::Decimal), "12");
        assert_eq!(format(28, Style::LowerLetter), "bb");
        assert_eq!(format(3, Style::UpperLetter), "C");
        assert_eq!(format(1994, Style::LowerRoman), "mcmxciv");
        assert_eq!(format(4, Style::UpperRoman), "IV");
        assert_eq!(format(0, Style::LowerRoman), "0");
        assert_eq!(format(i64::MIN, Style::LowerLetter), i64::MIN.to_string());
    }
}

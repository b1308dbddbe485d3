//! Hyperlinks: which words of a text lead where.
//!
//! Between a reader and the [`DocumentBuilder`](crate::DocumentBuilder) the borders of links go
//! with the words, as noncharacters of Unicode (U+FDD0 to U+FDE1), which are set aside for such
//! use inside a program: whatever is done to the words on the way (cut, joined, put into cells,
//! repeated), the borders stay where they belong. A document's own are dropped where its text
//! comes in, and none is left in the canonical text.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::ByteRange;

/// Words that lead somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where the words stand in the canonical text; never empty, and within one block.
    pub range: ByteRange,
    /// Where they lead, as the document says it: an address as a rule, or a path relative to the
    /// document. It is not checked, and may be of any scheme.
    pub target: String,
}

/// Number of a target among those of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TargetId(u32);

/// Longest target that is kept, in bytes; what is longer holds data rather than a place.
const LONGEST_TARGET: usize = 8_192;
/// Most different targets that are kept of a document.
const MOST_TARGETS: usize = 1 << 20;

const OPENS: char = '\u{fdd0}';
const CLOSES: char = '\u{fdd1}';
/// The first of sixteen characters that spell the target's number behind [`OPENS`].
const DIGIT: u32 = 0xfdd2;

pub(crate) fn is_mark(c: char) -> bool {
    ('\u{fdd0}'..='\u{fdef}').contains(&c)
}

/// Whether it ends a link.
pub(crate) fn is_end(c: char) -> bool {
    c == CLOSES
}

/// Begins a link.
pub(crate) fn open(text: &mut String, target: TargetId) {
    text.push(OPENS);
    let mut digits = [0; 8];
    let mut rest = target.0;
    let mut count = 0;
    while count == 0 || rest > 0 {
        digits[count] = rest % 16;
        rest /= 16;
        count += 1;
    }
    let digit = |&d: &u32| char::from_u32(DIGIT + d).unwrap_or(CLOSES);
    text.extend(digits[..count].iter().rev().map(digit));
}

/// Ends the link that was begun last, before line breaks that stand at the end.
pub(crate) fn close(text: &mut String) {
    let end = text.trim_end_matches('\n').len();
    text.insert(end, CLOSES);
}

/// The text as it reads, without borders of links.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(is_mark) {
        Cow::Owned(text.chars().filter(|&c| !is_mark(c)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The text without borders, and between which of its bytes they stood.
pub(crate) fn take(text: &str) -> (String, Vec<(ByteRange, TargetId)>) {
    let mut out = String::with_capacity(text.len());
    let mut links = Vec::new();
    let mut begun: Option<(usize, TargetId)> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if !is_mark(c) {
            out.push(c);
            continue;
        }
        if let Some((start, target)) = begun.take() {
            links.push((ByteRange::new(start, out.len()), target));
        }
        if c == OPENS {
            let mut number = 0u32;
            while let Some(digit) = chars.next_if(|&c| is_mark(c) && c > CLOSES) {
                let digit = (u32::from(digit) - DIGIT).min(15);
                number = number.saturating_mul(16).saturating_add(digit);
            }
            begun = Some((out.len(), TargetId(number)));
        }
    }
    if let Some((start, target)) = begun {
        links.push((ByteRange::new(start, out.len()), target));
    }
    links.retain(|(range, _)| !range.is_empty());
    (out, links)
}

/// Which targets count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum KeepLinks {
    #[default]
    All,
    /// Those with a scheme: a path leads to another part of the same document.
    Absolute,
    None,
}

/// The targets that a document's links have, each once.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    list: Vec<String>,
    numbers: HashMap<String, TargetId>,
    pub(crate) keep: KeepLinks,
}

impl Targets {
    /// The number of a target; `None` where it leads nowhere, or to a place in the document itself.
    pub(crate) fn id(&mut self, target: &str) -> Option<TargetId> {
        let counts = match self.keep {
            KeepLinks::All => true,
            KeepLinks::Absolute => has_scheme(target.trim()),
            KeepLinks::None => false,
        };
        if !counts {
            return None;
        }
        let target = outward(target)?;
        if let Some(known) = self.numbers.get(&target) {
            return Some(*known);
        }
        if self.list.len() >= MOST_TARGETS {
            return None;
        }
        let id = TargetId(u32::try_from(self.list.len()).ok()?);
        self.list.push(target.clone());
        self.numbers.insert(target, id);
        Some(id)
    }

    pub(crate) fn get(&self, id: TargetId) -> Option<&str> {
        self.list.get(id.0 as usize).map(String::as_str)
    }
}

/// The target as it is kept; `None` where it leads nowhere, or to a place in the document itself.
pub(crate) fn outward(target: &str) -> Option<String> {
    let target = target.trim();
    if target.is_empty() || target.starts_with('#') || target.len() > LONGEST_TARGET {
        return None;
    }
    Some(target.chars().filter(|c| !c.is_control()).collect())
}

/// Whether an address begins with a scheme, such as `https:` (RFC 3986, section 3.1).
fn has_scheme(target: &str) -> bool {
    let Some((scheme, _)) = target.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// The address in the code of a word processor's field, such as ` HYPERLINK "http://…" \\o "…"`.
/// With `\\l`, what follows is a place within what is linked, and alone one in the document.
pub(crate) fn of_field(code: &str) -> Option<String> {
    let rest = code.trim_start();
    let (word, mut rest) = rest.split_at_checked("HYPERLINK".len())?;
    if !word.eq_ignore_ascii_case("HYPERLINK") {
        return None;
    }
    let mut address = String::new();
    let mut place = String::new();
    let mut of_switch = None;
    loop {
        rest = rest.trim_start();
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        if value.is_empty() && after.is_empty() {
            break;
        }
        let is_switch = !rest.starts_with('"') && value.starts_with('\\');
        rest = after;
        if is_switch {
            // `\\n` and `\\m` have no value.
            of_switch = value.chars().nth(1).filter(|c| !matches!(c, 'n' | 'm'));
        } else {
            match of_switch.take() {
                None if address.is_empty() => address = value.replace("\\\\", "\\"),
                Some('l') => value.clone_into(&mut place),
                _ => {}
            }
        }
    }
    match (address.is_empty(), place.is_empty()) {
        (true, _) => None,
        (false, true) => Some(address),
        (false, false) => Some(format!("{address}#{place}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn borders_come_back_as_ranges() {
        let mut targets = Targets::default();
        let ids: Vec<_> = (0..40)
            .map(|n| targets.id(&format!("t{n}")).unwrap())
            .collect();
        let mut text = "See ".to_owned();
        open(&mut text, ids[37]);
        text.push_str("hére\n");
        close(&mut text);
        text.push_str("and ");
        open(&mut text, ids[0]);
        text.push_str("there");
        assert_eq!(plain(&text), "See hére\nand there");
        let (read, links) = take(&text);
        assert_eq!(read, "See hére\nand there");
        let found: Vec<_> = links
            .iter()
            .map(|(range, id)| (range.slice(&read).unwrap(), targets.get(*id).unwrap()))
            .collect();
        assert_eq!(found, [("hére", "t37"), ("there", "t0")]);
    }

    #[test]
    fn fields_name_their_targets() {
        for (code, target) in [
            (
                r#" HYPERLINK "https://a.example/x" \o "Tip" "#,
                Some("https://a.example/x"),
            ),
            (r"HYPERLINK \n https://a.example", Some("https://a.example")),
            (r#"HYPERLINK "a.docx" \l "part 2""#, Some("a.docx#part 2")),
            (r#"HYPERLINK \l "part""#, None),
            (r#"HYPERLINK "\\\\server\\share""#, Some(r"\\server\share")),
            ("HYPERLINK", None),
            (r#"HYPERLINK "open"#, Some("open")),
            ("PAGEREF x", None),
            ("ä", None),
        ] {
            assert_eq!(of_field(code).as_deref(), target, "{code}");
        }
    }

    #[test]
    fn a_place_in_the_document_is_no_target() {
        let mut targets = Targets::default();
        for target in ["", "  ", "#top", &"x".repeat(10_000)] {
            assert_eq!(targets.id(target), None);
        }
        let first = targets.id(" a.html#top\n").unwrap();
        assert_eq!(targets.get(first), Some("a.html#top"));
        assert_eq!(targets.id("a.html#top"), Some(first));
    }
}

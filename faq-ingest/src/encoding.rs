//! Bytes into text: which encoding they are in, and line endings made equal.
//!
//! Knows nothing of formats. Never fails: what cannot be decoded becomes U+FFFD, and the
//! caller is told.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::document::DocumentBuilder;

/// How much the guess looks at, in bytes, from the first byte that is not ASCII.
const GUESS_BYTES: usize = 512 * 1024;

/// Text, and what was uncertain about it.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// Name of the encoding that was guessed, where nothing declared it.
    pub(crate) guessed: Option<&'static str>,
    /// Whether some bytes stood for no character and were replaced.
    pub(crate) lossy: bool,
}

impl Decoded {
    /// Tells the reader of the document what was uncertain.
    pub(crate) fn warn(&self, out: &mut DocumentBuilder) {
        if let Some(name) = self.guessed {
            out.warn(
                "encoding_guessed",
                None,
                format!("the text declares no encoding; it was read as {name}"),
            );
        }
        if self.lossy {
            out.warn(
                "invalid_characters",
                None,
                "some bytes stand for no character; each was replaced by U+FFFD",
            );
        }
    }
}

/// Decodes `bytes`. A byte order mark decides first, then valid UTF-8, then `declared`,
/// then a guess.
pub(crate) fn decode(bytes: &[u8], declared: Option<&'static Encoding>) -> Decoded {
    if let Some(order) = utf32_mark(bytes) {
        return utf32(&bytes[4..], order);
    }
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return with(encoding, &bytes[mark..]);
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        return with(encoding, bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Decoded {
            text: normalise(text),
            guessed: None,
            lossy: false,
        };
    }
    if let Some(encoding) = declared.filter(|&e| e != UTF_8 && e != UTF_16LE && e != UTF_16BE) {
        return with(encoding, bytes);
    }
    if declared == Some(UTF_8) || is_damaged_utf8(bytes) {
        return with(UTF_8, bytes);
    }
    let from = bytes.iter().position(|b| !b.is_ascii()).unwrap_or(0);
    let sample = &bytes[from.saturating_sub(16)..bytes.len().min(from + GUESS_BYTES)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, true);
    let encoding = detector.guess(None, Utf8Detection::Deny);
    Decoded {
        guessed: Some(encoding.name()),
        ..with(encoding, bytes)
    }
}

/// Whether the bytes can be text at all: a mark, UTF-16 by its zeros, or few control
/// characters.
pub(crate) fn looks_like_text(bytes: &[u8]) -> bool {
    const SAMPLE: usize = 64 * 1024;
    if utf32_mark(bytes).is_some()
        || Encoding::for_bom(bytes).is_some()
        || utf16_without_mark(bytes).is_some()
    {
        return true;
    }
    let middle = bytes.len() / 2;
    let samples = [
        &bytes[..bytes.len().min(SAMPLE)],
        &bytes[middle..bytes.len().min(middle + SAMPLE)],
    ];
    samples.iter().all(|sample| {
        let control = sample
            .iter()
            .filter(|&&b| matches!(b, 0..=7 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f))
            .count();
        // A bell or two, or the escapes of a terminal's log, make no binary of what else reads.
        let readable = match std::str::from_utf8(sample) {
            Ok(_) => true,
            Err(error) => error.valid_up_to() + 4 > sample.len(),
        };
        control * 50 <= sample.len()
            || (readable && control * 2 < sample.len() && control <= 3 + sample.len() / 20)
    })
}

fn with(encoding: &'static Encoding, bytes: &[u8]) -> Decoded {
    let (text, lossy) = encoding.decode_without_bom_handling(bytes);
    Decoded {
        text: normalise(&text),
        guessed: None,
        lossy,
    }
}

/// Line endings become `\n`, a form feed ends a paragraph, and characters that are not seen
/// and split words (soft hyphen, zero-width space, stray byte order mark) go.
fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                if chars.peek() == Some(&'\n') {
                    chars.next();
                }
                out.push('\n');
            }
            '\u{85}' | '\u{2028}' => out.push('\n'),
            '\u{0c}' | '\u{2029}' => out.push_str("\n\n"),
            '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\0' => {}
            c => out.push(c),
        }
    }
    out
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

fn utf32_mark(bytes: &[u8]) -> Option<Order> {
    match bytes.get(..4)? {
        [0xff, 0xfe, 0, 0] => Some(Order::Little),
        [0, 0, 0xfe, 0xff] => Some(Order::Big),
        _ => None,
    }
}

fn utf32(bytes: &[u8], order: Order) -> Decoded {
    let mut lossy = !bytes.len().is_multiple_of(4);
    let text: String = bytes
        .chunks_exact(4)
        .map(|unit| {
            let unit = [unit[0], unit[1], unit[2], unit[3]];
            let code = match order {
                Order::Little => u32::from_le_bytes(unit),
                Order::Big => u32::from_be_bytes(unit),
            };
            char::from_u32(code).unwrap_or_else(|| {
                lossy = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    Decoded {
        text: normalise(&text),
        guessed: None,
        lossy,
    }
}

/// Western text in UTF-16 has a zero in nearly every other byte, always on the same side.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(4096) & !1];
    if sample.len() < 4 {
        return None;
    }
    let (mut even, mut odd) = (0, 0);
    for pair in sample.chunks_exact(2) {
        even += usize::from(pair[0] == 0);
        odd += usize::from(pair[1] == 0);
    }
    let pairs = sample.len() / 2;
    if odd * 10 >= pairs * 7 && even * 20 <= pairs {
        Some(UTF_16LE)
    } else if even * 10 >= pairs * 7 && odd * 20 <= pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Far more valid sequences of several bytes than broken ones: UTF-8 with damage, where
/// a guess would garble every accent of the text.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut valid, mut broken) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    valid >= broken.saturating_mul(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|u| {
                if big {
                    u.to_be_bytes()
                } else {
                    u.to_le_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn marks_decide() {
        assert_eq!(decode(b"\xef\xbb\xbfa\r\nb\rc", None).text, "a\nb\nc");
        let text = "Grüße, 世界";
        for big in [false, true] {
            let mut bytes = if big {
                vec![0xfe, 0xff]
            } else {
                vec![0xff, 0xfe]
            };
            bytes.extend(units(text, big));
            assert_eq!(decode(&bytes, None).text, text);
        }
        let mut wide = vec![0xff, 0xfe, 0, 0];
        wide.extend(text.chars().flat_map(|c| (c as u32).to_le_bytes()));
        assert_eq!(decode(&wide, None).text, text);
    }

    #[test]
    fn utf16_is_seen_without_a_mark() {
        let text = "A plain sentence without a mark.";
        assert_eq!(decode(&units(text, false), None).text, text);
        assert_eq!(decode(&units(text, true), None).text, text);
    }

    #[test]
    fn windows_1252_is_guessed_and_said() {
        let decoded = decode(
            b"Die Stra\xdfe f\xfchrt \xfcber die sch\xf6ne Br\xfccke.",
            None,
        );
        assert_eq!(decoded.text, "Die Straße führt über die schöne Brücke.");
        assert_eq!(decoded.guessed, Some("windows-1252"));
    }

    #[test]
    fn damaged_utf8_stays_utf8() {
        let mut bytes = "Größe für alle Männer über Öl".as_bytes().to_vec();
        bytes.push(0xff);
        let decoded = decode(&bytes, None);
        assert!(decoded.text.starts_with("Größe für alle"));
        assert!(decoded.lossy);
    }

    #[test]
    fn random_bytes_are_no_text() {
        let noise: Vec<u8> = (0..4000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        assert!(!looks_like_text(&noise));
        assert!(looks_like_text(b"ring\x07"));
        assert!(looks_like_text("a log \x08of \x07 a términal".as_bytes()));
        assert!(!looks_like_text(b"\x01\x02\x03\x04abc"));
        assert!(looks_like_text(
            b"one NUL in \0 a long enough text, as some tools leave behind them"
        ));
    }
}

//! Tokens of content streams and CMaps.
//!
//! It never fails: what cannot be read is skipped, since half a page is worth more than none.

use std::borrow::Cow;

/// Arrays and dictionaries nested deeper than this are read as empty.
const MAX_DEPTH: usize = 32;

/// A value in front of an operator.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand<'a> {
    Number(f32),
    Name(Cow<'a, [u8]>),
    String(Cow<'a, [u8]>),
    Array(Vec<Operand<'a>>),
    Dict(Vec<(Cow<'a, [u8]>, Operand<'a>)>),
}

impl Operand<'_> {
    /// Its value, where it is a number of a size that can be counted with.
    pub(super) fn number(&self) -> Option<f32> {
        match self {
            Self::Number(n) => Some(*n).filter(|n| n.is_finite()),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Name(n) => Some(n),
            _ => None,
        }
    }

    pub(super) fn string(&self) -> Option<&[u8]> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The value of `key`, where this is a dictionary.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Self> {
        match self {
            Self::Dict(entries) => entries
                .iter()
                .find(|(k, _)| k.as_ref() == key)
                .map(|(_, v)| v),
            _ => None,
        }
    }
}

/// A value or an operator.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Operand(Operand<'a>),
    Operator(&'a [u8]),
}

/// Reads tokens one by one.
pub(super) struct Lexer<'a> {
    data: &'a [u8],
    pos: usize,
}

fn is_space(b: u8) -> bool {
    matches!(b, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_delimiter(b: u8) -> bool {
    matches!(
        b,
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
    )
}

fn hex_value(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

impl<'a> Lexer<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.data.get(self.pos).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.data.get(self.pos.saturating_add(ahead)).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b) = self.peek() {
            if is_space(b) {
                self.pos += 1;
            } else if b == b'%' {
                while self.peek().is_some_and(|b| b != b'\n' && b != b'\r') {
                    self.pos += 1;
                }
            } else {
                break;
            }
        }
    }

    /// Passes over white space and comments; where what follows them begins.
    pub(super) fn space(&mut self) -> usize {
        self.skip_space();
        self.pos
    }

    /// Where the next token, or the space before it, begins.
    pub(super) fn position(&self) -> usize {
        self.pos
    }

    /// The next token, or `None` at the end.
    pub(super) fn next_token(&mut self) -> Option<Token<'a>> {
        loop {
            self.skip_space();
            let b = self.peek()?;
            if matches!(b, b')' | b']' | b'}' | b'{') || (b == b'>') {
                // A closing bracket without an opening one, or PostScript's braces.
                self.pos += 1;
                continue;
            }
            return Some(self.value_or_operator(b, 0));
        }
    }

    fn value_or_operator(&mut self, first: u8, depth: usize) -> Token<'a> {
        match first {
            b'/' => Token::Operand(Operand::Name(self.name())),
            b'(' => Token::Operand(Operand::String(self.literal_string())),
            b'<' if self.peek_at(1) == Some(b'<') => {
                self.pos += 2;
                Token::Operand(self.dict(depth))
            }
            b'<' => Token::Operand(Operand::String(Cow::Owned(self.hex_string()))),
            b'[' => {
                self.pos += 1;
                Token::Operand(self.array(depth))
            }
            b'0'..=b'9' | b'+' | b'-' | b'.' => self.number_or_word(),
            _ => Token::Operator(self.word()),
        }
    }

    fn word(&mut self) -> &'a [u8] {
        let start = self.pos;
        while self
            .peek()
            .is_some_and(|b| !is_space(b) && !is_delimiter(b))
        {
            self.pos += 1;
        }
        if self.pos == start {
            self.pos += 1;
        }
        &self.data[start..self.pos.min(self.data.len())]
    }

    fn number_or_word(&mut self) -> Token<'a> {
        let start = self.pos;
        let mut negative = false;
        let mut whole: f64 = 0.0;
        let mut scale: f64 = 0.0;
        let mut digits = 0usize;
        while let Some(b) = self.peek() {
            match b {
                // A sign inside a number is noise that some producers write.
                b'-' => negative |= digits == 0,
                b'+' => {}
                b'.' if scale == 0.0 => scale = 1.0,
                b'0'..=b'9' => {
                    digits = digits.saturating_add(1);
                    if scale > 0.0 {
                        scale /= 10.0;
                        whole += f64::from(b - b'0') * scale;
                    } else {
                        whole = whole * 10.0 + f64::from(b - b'0');
                    }
                }
                _ => break,
            }
            self.pos += 1;
        }
        if digits > 0 {
            whole *= self.exponent();
        }
        let glued = self
            .peek()
            .is_some_and(|b| !is_space(b) && !is_delimiter(b));
        if digits == 0 && glued {
            self.pos = start;
            return Token::Operator(self.word());
        }
        let value = if negative { -whole } else { whole } as f32;
        Token::Operand(Operand::Number(value))
    }

    /// The power of ten that ends a number such as `4.5e-05`, which no PDF may hold and some do.
    fn exponent(&mut self) -> f64 {
        let rest = &self.data[self.pos..];
        let len = rest
            .iter()
            .position(|&b| is_space(b) || is_delimiter(b))
            .unwrap_or(rest.len());
        let power = match &rest[..len] {
            [b'e' | b'E', power @ ..] => std::str::from_utf8(power).ok(),
            _ => None,
        };
        let Some(power) = power.filter(|p| p.len() < 10).and_then(|p| p.parse().ok()) else {
            return 1.0;
        };
        self.pos += len;
        10_f64.powi(power)
    }

    fn name(&mut self) -> Cow<'a, [u8]> {
        self.pos += 1;
        let start = self.pos;
        while self
            .peek()
            .is_some_and(|b| !is_space(b) && !is_delimiter(b))
        {
            self.pos += 1;
        }
        let raw = &self.data[start..self.pos];
        if !raw.contains(&b'#') {
            return Cow::Borrowed(raw);
        }
        let mut out = Vec::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((&b, tail)) = rest.split_first() {
            if let (b'#', [h, l, after @ ..]) = (b, tail)
                && let (Some(h), Some(l)) = (hex_value(*h), hex_value(*l))
            {
                out.push(h << 4 | l);
                rest = after;
            } else {
                out.push(b);
                rest = tail;
            }
        }
        Cow::Owned(out)
    }

    fn literal_string(&mut self) -> Cow<'a, [u8]> {
        self.pos += 1;
        let start = self.pos;
        // Most strings hold neither escapes nor brackets and are borrowed as they stand.
        while let Some(b) = self.peek() {
            match b {
                b')' => {
                    let raw = &self.data[start..self.pos];
                    self.pos += 1;
                    return Cow::Borrowed(raw);
                }
                b'\\' | b'(' | b'\r' => break,
                _ => self.pos += 1,
            }
        }
        let mut out = self.data[start..self.pos].to_vec();
        let mut depth = 1usize;
        while let Some(b) = self.peek() {
            self.pos += 1;
            match b {
                b'(' => {
                    depth += 1;
                    out.push(b);
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    out.push(b);
                }
                b'\\' => self.escape(&mut out),
                b'\r' => {
                    if self.peek() == Some(b'\n') {
                        self.pos += 1;
                    }
                    out.push(b'\n');
                }
                _ => out.push(b),
            }
        }
        Cow::Owned(out)
    }

    fn escape(&mut self, out: &mut Vec<u8>) {
        let Some(b) = self.peek() else { return };
        self.pos += 1;
        match b {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'\n' => {}
            b'\r' => {
                if self.peek() == Some(b'\n') {
                    self.pos += 1;
                }
            }
            b'0'..=b'7' => {
                let mut code = u32::from(b - b'0');
                for _ in 0..2 {
                    match self.peek() {
                        Some(d @ b'0'..=b'7') => {
                            code = code * 8 + u32::from(d - b'0');
                            self.pos += 1;
                        }
                        _ => break,
                    }
                }
                out.push((code & 0xff) as u8);
            }
            other => out.push(other),
        }
    }

    fn hex_string(&mut self) -> Vec<u8> {
        self.pos += 1;
        let mut out = Vec::new();
        let mut high: Option<u8> = None;
        while let Some(b) = self.peek() {
            self.pos += 1;
            if b == b'>' {
                break;
            }
            if let Some(v) = hex_value(b) {
                match high.take() {
                    Some(h) => out.push(h << 4 | v),
                    None => high = Some(v),
                }
            }
        }
        if let Some(h) = high {
            out.push(h << 4);
        }
        out
    }

    fn array(&mut self, depth: usize) -> Operand<'a> {
        let mut items = Vec::new();
        loop {
            self.skip_space();
            let Some(b) = self.peek() else { break };
            match b {
                b']' => {
                    self.pos += 1;
                    break;
                }
                b')' | b'>' | b'{' | b'}' => self.pos += 1,
                _ if depth >= MAX_DEPTH => self.pos += 1,
                _ => match self.value_or_operator(b, depth + 1) {
                    Token::Operand(v) => items.push(v),
                    // An operator means that the closing bracket is missing, unless it is a
                    // constant such as `true` or `null`.
                    Token::Operator(op) if matches!(op, b"TJ" | b"Tj" | b"ET" | b"d") => {
                        self.pos -= op.len();
                        break;
                    }
                    Token::Operator(_) => {}
                },
            }
        }
        Operand::Array(items)
    }

    fn dict(&mut self, depth: usize) -> Operand<'a> {
        let mut entries = Vec::new();
        let mut key: Option<Cow<'a, [u8]>> = None;
        loop {
            self.skip_space();
            let Some(b) = self.peek() else { break };
            match b {
                b'>' => {
                    self.pos += if self.peek_at(1) == Some(b'>') { 2 } else { 1 };
                    break;
                }
                b')' | b']' | b'{' | b'}' => self.pos += 1,
                _ if depth >= MAX_DEPTH => self.pos += 1,
                _ => match (self.value_or_operator(b, depth + 1), key.take()) {
                    (Token::Operand(Operand::Name(n)), None) => key = Some(n),
                    (Token::Operand(v), Some(k)) => entries.push((k, v)),
                    _ => {}
                },
            }
        }
        Operand::Dict(entries)
    }

    /// Skips the rest of an inline image, after its `BI`.
    pub(super) fn skip_inline_image(&mut self) {
        // The dictionary's values may not hold a lone `ID`, so the first one opens the data.
        while let Some(token) = self.next_token() {
            if token == Token::Operator(b"ID") {
                break;
            }
        }
        self.pos = self.pos.saturating_add(1).min(self.data.len());
        let mut at = self.pos;
        while at < self.data.len() {
            let Some(found) = self.data[at..].windows(2).position(|w| w == b"EI") else {
                self.pos = self.data.len();
                return;
            };
            let start = at + found;
            let end = start + 2;
            let before = start == self.pos || is_space(self.data[start - 1]);
            let after = self.data.get(end).is_none_or(|&b| is_space(b));
            // Image data may hold the letters by chance; what follows must look like text.
            let plausible = self.data[end..]
                .iter()
                .take(12)
                .all(|&b| is_space(b) || (32..127).contains(&b));
            if before && after && plausible {
                self.pos = end;
                return;
            }
            at = end;
        }
        self.pos = self.data.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(data: &[u8]) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(data);
        std::iter::from_fn(|| lexer.next_token()).collect()
    }

    fn string(s: &[u8]) -> Token<'static> {
        Token::Operand(Operand::String(Cow::Owned(s.to_vec())))
    }

    #[test]
    fn strings_with_escapes_and_brackets() {
        assert_eq!(
            tokens(b"(a(b)\\)\\101\\\n\\n) <48 6> Tj"),
            vec![
                string(b"a(b))A\n"),
                string(b"H\x60"),
                Token::Operator(b"Tj")
            ]
        );
    }

    #[test]
    fn numbers_as_producers_write_them() {
        let numbers = |data| -> Vec<_> {
            tokens(data)
                .into_iter()
                .map(|t| match t {
                    Token::Operand(o) => o.number(),
                    Token::Operator(_) => Some(-99.0),
                })
                .collect()
        };
        let some = |all: &[f32]| -> Vec<_> { all.iter().copied().map(Some).collect() };
        assert_eq!(
            numbers(b"1 -.5 +3. 0.00-4 --2 5"),
            some(&[1.0, -0.5, 3.0, 0.004, -2.0, 5.0])
        );
        assert_eq!(numbers(b"5e-1 -2E2 7e+0 "), some(&[0.5, -200.0, 7.0]));
        // Beyond what can be counted with, and no number.
        assert_eq!(numbers(b"9e99 -9e999999999"), vec![None, None]);
        assert_eq!(numbers(b"9endstream"), some(&[9.0, -99.0]));
    }

    #[test]
    fn a_missing_bracket_does_not_eat_the_page() {
        let found = tokens(b"[(a) 1 (b) TJ (c) Tj");
        assert_eq!(found.last(), Some(&Token::Operator(b"Tj")));
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn inline_images_are_skipped_with_their_data() {
        let mut lexer = Lexer::new(b"BI /W 1 ID \x01 EI\xff\x00 (x) \xfe EI Q (t) Tj");
        assert_eq!(lexer.next_token(), Some(Token::Operator(b"BI")));
        lexer.skip_inline_image();
        assert_eq!(lexer.next_token(), Some(Token::Operator(b"Q")));
    }

    #[test]
    fn deep_nesting_ends() {
        let mut data = vec![b'['; 200_000];
        data.extend_from_slice(b"1 Tj");
        assert!(!tokens(&data).is_empty());
    }
}

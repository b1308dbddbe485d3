//! RTF bytes into tokens.

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'b> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// A control word and its number.
    Word(&'b str, Option<i32>),
    /// A control symbol, such as `\~`.
    Symbol(u8),
    /// A byte written as `\'hh`.
    Hex(u8),
    /// Bytes of text, without line breaks.
    Text(&'b [u8]),
}

/// Tokens of an RTF file.
pub(super) struct Tokens<'b> {
    rest: &'b [u8],
}

impl<'b> Tokens<'b> {
    pub(super) fn of(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Passes over the bytes of a `\bin` word.
    pub(super) fn pass_over(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn control(&mut self) -> Option<Token<'b>> {
        let (&first, after) = self.rest.split_first()?;
        if first == b'\'' {
            let hex = after.get(..2).and_then(|h| std::str::from_utf8(h).ok());
            let byte = hex.and_then(|h| u8::from_str_radix(h, 16).ok());
            self.rest = after.get(if byte.is_some() { 2 } else { 0 }..)?;
            return Some(byte.map_or(Token::Symbol(b'\''), Token::Hex));
        }
        if !first.is_ascii_alphabetic() {
            self.rest = after;
            return Some(Token::Symbol(first));
        }
        let name = span(self.rest, u8::is_ascii_alphabetic);
        let after = &self.rest[name..];
        let sign = usize::from(after.first() == Some(&b'-'));
        let digits = span(&after[sign..], u8::is_ascii_digit);
        let number = (digits > 0).then_some(&after[..sign + digits]);
        let mut used = name + number.map_or(0, <[u8]>::len);
        if self.rest.get(used) == Some(&b' ') {
            used += 1;
        }
        let word = std::str::from_utf8(&self.rest[..name]).unwrap_or_default();
        self.rest = &self.rest[used..];
        let number = number
            .and_then(|n| std::str::from_utf8(n).ok())
            .and_then(|n| n.parse().ok());
        Some(Token::Word(word, number))
    }
}

impl<'b> Iterator for Tokens<'b> {
    type Item = Token<'b>;

    fn next(&mut self) -> Option<Token<'b>> {
        loop {
            let (&first, after) = self.rest.split_first()?;
            match first {
                b'{' => {
                    self.rest = after;
                    return Some(Token::Open);
                }
                b'}' => {
                    self.rest = after;
                    return Some(Token::Close);
                }
                b'\\' => {
                    self.rest = after;
                    return self.control();
                }
                b'\r' | b'\n' | 0 => self.rest = after,
                _ => {
                    let is_text = |b: &u8| !matches!(b, b'{' | b'}' | b'\\' | b'\r' | b'\n' | 0);
                    let (text, rest) = self.rest.split_at(span(self.rest, is_text));
                    self.rest = rest;
                    return Some(Token::Text(text));
                }
            }
        }
    }
}

/// How many bytes at the start are such.
fn span(bytes: &[u8], is: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().take_while(|b| is(b)).count()
}

#[cfg(test)]
mod tests {
    use super::{Token, Tokens};

    #[test]
    fn words_numbers_and_their_space() {
        let tokens: Vec<_> = Tokens::of(b"{\\b0 x\\u-10 y\\'e4\\~\\par\n\\pard z}").collect();
        assert_eq!(
            tokens,
            [
                Token::Open,
                Token::Word("b", Some(0)),
                Token::Text(b"x"),
                Token::Word("u", Some(-10)),
                Token::Text(b"y"),
                Token::Hex(0xe4),
                Token::Symbol(b'~'),
                Token::Word("par", None),
                Token::Word("pard", None),
                Token::Text(b"z"),
                Token::Close,
            ]
        );
    }

    #[test]
    fn what_is_cut_off_ends() {
        for bytes in [
            &b"\\"[..],
            b"\\'",
            b"\\'e",
            b"\\b-",
            b"\\bin99999999999999999999 x",
        ] {
            assert!(Tokens::of(bytes).count() < 4);
        }
    }
}

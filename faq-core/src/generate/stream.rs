//! Text on its way to the caller: whole characters only, and nothing of a stop text.

use std::ops::ControlFlow;

use super::StopReason;

/// Collects what a model writes and hands on what is certain.
pub(super) struct TextStream<'a> {
    sink: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    stops: Vec<&'a str>,
    /// Bytes that are no whole character yet.
    pending: Vec<u8>,
    /// Characters that may be the beginning of a stop text.
    held: String,
    text: String,
}

/// Whether the stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It does.
    Open,
    /// A stop text came.
    Stopped,
    /// The caller wants no more.
    Refused,
}

impl Flow {
    /// Why a generation ended whose stream is in this state.
    pub(super) fn reason(self) -> StopReason {
        match self {
            Self::Open | Self::Stopped => StopReason::End,
            Self::Refused => StopReason::Sink,
        }
    }
}

impl<'a> TextStream<'a> {
    pub(super) fn new(
        stops: &'a [String],
        sink: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Self {
        Self {
            sink,
            stops: stops
                .iter()
                .map(String::as_str)
                .filter(|s| !s.is_empty())
                .collect(),
            pending: Vec::new(),
            held: String::new(),
            text: String::new(),
        }
    }

    /// Takes what a token stands for.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Flow {
        self.pending.extend_from_slice(bytes);
        let mut start = 0;
        while start < self.pending.len() {
            match std::str::from_utf8(&self.pending[start..]) {
                Ok(text) => {
                    self.held.push_str(text);
                    start = self.pending.len();
                }
                Err(e) => {
                    let valid = start + e.valid_up_to();
                    // Valid as the error says so; lossy conversion changes nothing in it.
                    self.held
                        .push_str(&String::from_utf8_lossy(&self.pending[start..valid]));
                    start = valid;
                    let Some(wrong) = e.error_len() else { break };
                    self.held.push(char::REPLACEMENT_CHARACTER);
                    start += wrong;
                }
            }
        }
        self.pending.drain(..start);
        self.hand_on(false)
    }

    /// Ends the stream: what was held back is text after all.
    pub(super) fn finish(mut self) -> (String, Flow) {
        if !self.pending.is_empty() {
            self.held.push(char::REPLACEMENT_CHARACTER);
            self.pending.clear();
        }
        let flow = self.hand_on(true);
        (self.text, flow)
    }

    /// Ends the stream without what was held back.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn hand_on(&mut self, all: bool) -> Flow {
        let stop = self.stops.iter().filter_map(|s| self.held.find(s)).min();
        let certain = match stop {
            Some(at) => at,
            None if all => self.held.len(),
            None => self.certain(),
        };
        let piece: String = self.held.drain(..certain).collect();
        if !piece.is_empty() {
            self.text.push_str(&piece);
            if (self.sink)(&piece).is_break() {
                return Flow::Refused;
            }
        }
        if stop.is_some() {
            Flow::Stopped
        } else {
            Flow::Open
        }
    }

    /// Bytes of `held` that no stop text can begin in.
    fn certain(&self) -> usize {
        self.held
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| {
                self.stops
                    .iter()
                    .any(|stop| stop.starts_with(&self.held[*at..]))
            })
            .unwrap_or(self.held.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::{Flow, TextStream};

    fn run(stops: &[&str], tokens: &[&[u8]]) -> (Vec<String>, String, Flow) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut pieces = Vec::new();
        let mut sink = |piece: &str| {
            pieces.push(piece.to_owned());
            ControlFlow::Continue(())
        };
        let mut stream = TextStream::new(&stops, &mut sink);
        for token in tokens {
            let flow = stream.push(token);
            if flow != Flow::Open {
                let text = stream.into_text();
                return (pieces, text, flow);
            }
        }
        let (text, flow) = stream.finish();
        (pieces, text, flow)
    }

    #[test]
    fn characters_come_whole() {
        let euro = "€".as_bytes();
        let (pieces, text, _) = run(&[], &[b"a", &euro[..1], &euro[1..2], &euro[2..], b"b"]);
        assert_eq!(pieces, ["a", "€", "b"]);
        assert_eq!(text, "a€b");
    }

    #[test]
    fn bytes_that_are_no_character_are_marked() {
        let (_, text, _) = run(&[], &[b"a\xFF", b"b", &"€".as_bytes()[..2]]);
        assert_eq!(text, "a\u{FFFD}b\u{FFFD}");
    }

    #[test]
    fn a_stop_text_ends_it_and_is_not_shown() {
        let (pieces, text, flow) = run(&["\nUser:"], &[b"yes", b"\n", b"Us", b"er", b": more"]);
        assert_eq!((text.as_str(), flow), ("yes", Flow::Stopped));
        assert_eq!(pieces, ["yes"]);
        let (pieces, text, flow) = run(&["\nUser:"], &[b"yes\nUs", b"age"]);
        assert_eq!((text.as_str(), flow), ("yes\nUsage", Flow::Open));
        assert_eq!(pieces, ["yes", "\nUsage"]);
        let (_, text, flow) = run(&["zz", "b"], &[b"abc"]);
        assert_eq!((text.as_str(), flow), ("a", Flow::Stopped));
    }

    #[test]
    fn what_was_held_back_comes_at_the_end() {
        let (pieces, text, _) = run(&["END"], &[b"the E", b"N"]);
        assert_eq!(pieces, ["the ", "EN"]);
        assert_eq!(text, "the EN");
    }

    proptest! {
        #[test]
        fn text_is_the_input_up_to_the_first_stop(
            input in "[abé€🙂]{0,40}", stop in "[abé€]{1,3}", cut in 1_usize..5,
        ) {
            let tokens: Vec<&[u8]> = input.as_bytes().chunks(cut).collect();
            let (pieces, text, _) = run(&[&stop], &tokens);
            let expected = input.find(&stop).map_or(input.as_str(), |at| &input[..at]);
            prop_assert_eq!(&text, expected);
            prop_assert_eq!(pieces.concat(), text);
        }
    }
}

//! The child's side: give up what is not needed, read stdin, parse, answer on stdout.

use std::io::{self, BufWriter, Read, Write};

use faq_core::{Control, DocumentReader, Error, InProcess, ParseError, Source};

use super::confine;
use super::message::{Answer, Header};

/// What the hidden verb does. Returns once the answer is written; an error means that there is
/// none, and that the document is not to blame.
///
/// # Errors
/// What the operating system said.
pub(crate) fn run(header: &str) -> io::Result<()> {
    let header: Header = serde_json::from_str(header)?;
    confine::apply(&header)?;
    let answer = answer(&header)?;
    let mut stdout = BufWriter::new(io::stdout().lock());
    serde_json::to_writer(&mut stdout, &answer)?;
    stdout.flush()
}

fn answer(header: &Header) -> io::Result<Answer> {
    let allowed = header.limits.file_bytes;
    let expected = header.bytes.unwrap_or(0).min(allowed);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    // One byte more than allowed is enough for the parser to refuse it.
    io::stdin()
        .lock()
        .take(allowed.saturating_add(1))
        .read_to_end(&mut bytes)?;
    let source = Source::new(header.name.as_str(), bytes);
    // The sandbox lets a child start no threads.
    let reader = InProcess {
        threads: 1,
        ..InProcess::default()
    };
    match reader.read(&source, &header.limits, &Control::new()) {
        Ok(document) => Ok(Answer::Document(document)),
        Err(Error::Parse(e)) => Ok(Answer::Error(e)),
        Err(Error::Interrupted(_)) => Ok(Answer::Error(ParseError::Cancelled)),
        Err(other) => Err(io::Error::other(other)),
    }
}

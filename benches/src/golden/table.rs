//! Golden sets as CSV: a header, then a place a row. Between fields stands what stands in the header: a
//! comma, a semicolon or a tab. Rows with the same id, or without ids the same
//! question, are places of one question.

use std::path::Path;

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::{Expected, Golden, Question};
use crate::{Error, Result};

const COLUMNS: [&str; 6] = ["id", "question", "document", "page", "text", "checked"];

pub(super) fn read(path: &Path, text: &str) -> Result<Golden> {
    let wrong = |line: usize, problem: String| Error::Line {
        path: path.to_owned(),
        line,
        problem,
    };
    let mut records = records(text.trim_start_matches('\u{feff}')).into_iter();
    let Some((line, header)) = records.next() else {
        return Err(wrong(1, "the file is empty".to_owned()));
    };
    let header: Vec<String> = header.iter().map(|c| c.trim().to_lowercase()).collect();
    if let Some(unknown) = header.iter().find(|c| !COLUMNS.contains(&c.as_str())) {
        let known = COLUMNS.join(", ");
        return Err(wrong(
            line,
            format!("unknown column {unknown:?}; there are {known}"),
        ));
    }
    for needed in ["question", "document"] {
        if !header.iter().any(|column| column == needed) {
            return Err(wrong(line, format!("the column {needed:?} is missing")));
        }
    }
    let mut questions: Vec<Question> = Vec::new();
    for (line, record) in records {
        if record.len() != header.len() {
            return Err(wrong(
                line,
                format!(
                    "{} fields where the header has {}",
                    record.len(),
                    header.len()
                ),
            ));
        }
        let field = |name: &str| {
            let at = header.iter().position(|column| column == name)?;
            let value = record[at].trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let page = field("page").map(|page| {
            page.parse()
                .map_err(|_| wrong(line, format!("the page {page:?} is no number")))
        });
        let checked = match field("checked").map(|c| c.to_lowercase()).as_deref() {
            None | Some("true" | "yes" | "1") => true,
            Some("false" | "no" | "0") => false,
            Some(other) => {
                return Err(wrong(
                    line,
                    format!("checked is {other:?}; give true or false"),
                ));
            }
        };
        let expected = Expected {
            document: field("document")
                .ok_or_else(|| wrong(line, "no document is expected".to_owned()))?,
            page: page.transpose()?,
            text: field("text"),
        };
        let (id, text) = (field("id"), field("question").unwrap_or_default());
        let same = questions.iter_mut().find(|question| match &id {
            Some(id) => question.id == *id,
            None => question.text == text,
        });
        if let Some(question) = same {
            if question.text != text {
                let problem = format!(
                    "question {} is asked in other words further up",
                    question.id
                );
                return Err(wrong(line, problem));
            }
            question.expected.push(expected);
            question.checked &= checked;
        } else {
            questions.push(Question {
                id: id.unwrap_or_else(|| (questions.len() + 1).to_string()),
                text,
                expected: vec![expected],
                checked,
                line: Some(line),
            });
        }
    }
    Ok(Golden {
        documents: None,
        questions,
    })
}

/// What stands between the names of columns; spreadsheets write semicolons in many countries.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let marks = [b',', b';', b'\t'];
    let first = header.bytes().find(|b| marks.contains(b));
    first.unwrap_or(b',')
}

/// The records, each with the line on which it begins.
fn records(text: &str) -> Vec<(usize, Vec<String>)> {
    let delimiter = delimiter(text);
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    // A field is never longer than the text, and there are no more of them than separators.
    let mut fields = vec![0; text.len() + 1];
    let mut ends = vec![
        0;
        text.bytes()
            .filter(|b| *b == delimiter || matches!(b, b'\n' | b'\r'))
            .count()
            + 2
    ];
    let (mut rest, mut written, mut count) = (text.as_bytes(), 0, 0);
    let (mut records, mut line) = (Vec::new(), 1);
    loop {
        let (result, read, wrote, ended) =
            reader.read_record(rest, &mut fields[written..], &mut ends[count..]);
        (rest, written, count) = (&rest[read..], written + wrote, count + ended);
        match result {
            ReadRecordResult::Record => {
                let starts = std::iter::once(0).chain(ends[..count].iter().copied());
                let record = starts
                    .zip(&ends[..count])
                    .map(|(from, to)| String::from_utf8_lossy(&fields[from..*to]).into_owned())
                    .collect();
                records.push((line, record));
                (written, count) = (0, 0);
                line = usize::try_from(reader.line()).unwrap_or(usize::MAX);
            }
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::End
            | ReadRecordResult::OutputFull
            | ReadRecordResult::OutputEndsFull => return records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_fields_hold_anything() {
        let found = records("a,b\r\n\"x, \"\"y\"\"\nz\",é\n\nlast,1");
        let expected = [
            (1, vec!["a", "b"]),
            (2, vec!["x, \"y\"\nz", "é"]),
            (4, vec!["last", "1"]),
        ];
        for ((line, fields), (at, wanted)) in found.iter().zip(&expected) {
            assert_eq!(fields, wanted);
            assert!(line.abs_diff(*at) <= 1, "{line} is not {at}");
        }
        assert_eq!(found.len(), 3);
        assert!(records("").is_empty());
        for text in ["a;b\n\"x; y\";1,5\n", "a\tb\nx; y\t1,5\n"] {
            assert_eq!(records(text)[1].1, ["x; y", "1,5"]);
        }
    }
}

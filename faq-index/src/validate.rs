//! What a batch and a query must be before anything is done with them.

use std::collections::HashSet;
use std::ops::Range;

use crate::store::MAX_CHUNKS;
use crate::{CollectionConfig, DocumentRecord, Fusion, IndexError, Mode, Query, WriteBatch};

/// How far from 1 the length of a normalised vector may be.
const NORM_TOLERANCE: f32 = 0.01;

/// Checks a whole batch, so that a bad one changes nothing.
pub(crate) fn batch(batch: &WriteBatch, dim: usize) -> Result<(), IndexError> {
    let mut seen = HashSet::with_capacity(batch.upserts.len());
    for document in &batch.upserts {
        if !seen.insert(document.id) {
            return invalid(format!("document {} is in the batch twice", document.id));
        }
        check_document(document, dim).map_err(|what| IndexError::Invalid {
            what: format!("document {} ({}): {what}", document.id, document.filename),
        })?;
    }
    if let Some(id) = batch.deletes.iter().find(|id| seen.contains(id)) {
        return invalid(format!(
            "document {id} is both written and deleted by the batch"
        ));
    }
    Ok(())
}

/// Checks a query against the length of the collection's vectors.
pub(crate) fn query(query: &Query, dim: Option<usize>) -> Result<(), IndexError> {
    if query.k == 0 {
        return invalid("k is 0; ask for at least 1 hit".to_owned());
    }
    fusion(query.fusion)?;
    let Some(vector) = &query.vector else {
        return match query.mode {
            Mode::Keyword => Ok(()),
            Mode::Hybrid | Mode::Dense => {
                invalid("the search needs the question's vector, and none was given".to_owned())
            }
        };
    };
    check_vector(vector, dim.unwrap_or(vector.len())).map_err(|what| IndexError::Invalid {
        what: format!("the question's vector {what}"),
    })
}

/// Weights of which scores can be made that have an order.
fn fusion(fusion: Fusion) -> Result<(), IndexError> {
    let (name, value, most) = match fusion {
        Fusion::Scores { dense_weight } => ("dense_weight", dense_weight, f32::MAX),
        Fusion::Rrf { k } => ("k", k, f32::MAX),
        Fusion::Weighted { dense_weight } => ("dense_weight", dense_weight, 1.0),
    };
    if (0.0..=most).contains(&value) {
        return Ok(());
    }
    let upto = if most < f32::MAX {
        format!(" to {most}")
    } else {
        " and more".to_owned()
    };
    invalid(format!(
        "the fusion's {name} is {value}; it has to be 0{upto}"
    ))
}

/// Checks how a collection is to be opened.
pub(crate) fn config(config: &CollectionConfig) -> Result<(), IndexError> {
    let share = config.background_share;
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    invalid(format!(
        "background_share is {share}; it has to be above 0 and at most 1"
    ))
}

fn invalid<T>(what: String) -> Result<T, IndexError> {
    Err(IndexError::Invalid { what })
}

fn check_document(document: &DocumentRecord, dim: usize) -> Result<(), String> {
    let text = &document.text;
    if u32::try_from(text.len()).is_err() {
        return Err(format!(
            "its text has {} bytes, and 4 GiB is the most",
            text.len()
        ));
    }
    if document.chunks.len() > MAX_CHUNKS {
        return Err(format!(
            "it has {} chunks, and {MAX_CHUNKS} is the most",
            document.chunks.len()
        ));
    }
    for count in [
        document.bytes,
        document.tokens_total,
        document.tokens_embedded,
    ] {
        if i64::try_from(count).is_err() {
            return Err(format!(
                "it gives a count of {count}, which cannot be stored"
            ));
        }
    }
    for (ordinal, chunk) in document.chunks.iter().enumerate() {
        check_range(text, &chunk.range, &(0..text.len()))
            .map_err(|what| format!("chunk {ordinal} {what}"))?;
        if let Some((first, last)) = chunk.pages
            && (first == 0 || last < first)
        {
            return Err(format!("chunk {ordinal} is on pages {first} to {last}"));
        }
        if chunk.windows.is_empty() {
            return Err(format!("chunk {ordinal} has no window"));
        }
        let mut covered = chunk.range.start;
        for (at, window) in chunk.windows.iter().enumerate() {
            let named = |what| format!("window {at} of chunk {ordinal} {what}");
            check_range(text, &window.range, &chunk.range).map_err(named)?;
            check_vector(&window.vector, dim)
                .map_err(|what| format!("the vector of window {at} of chunk {ordinal} {what}"))?;
            uncovered(text, covered, window.range.start).map_err(named)?;
            covered = covered.max(window.range.end);
        }
        uncovered(text, covered, chunk.range.end)
            .map_err(|what| format!("after its last window chunk {ordinal} {what}"))?;
    }
    Ok(())
}

fn check_range(text: &str, range: &Range<usize>, within: &Range<usize>) -> Result<(), String> {
    if range.start >= range.end {
        return Err(format!("has the empty range {range:?}"));
    }
    if range.start < within.start || range.end > within.end {
        return Err(format!(
            "has the range {range:?}, which is not within {within:?}"
        ));
    }
    for at in [range.start, range.end] {
        if !text.is_char_boundary(at) {
            return Err(format!(
                "has the range {range:?}, and {at} is inside a character"
            ));
        }
    }
    Ok(())
}

/// Only white space may lie outside all windows: it has no tokens.
fn uncovered(text: &str, from: usize, to: usize) -> Result<(), String> {
    match text.get(from..to.max(from)) {
        Some(gap) if gap.trim().is_empty() => Ok(()),
        _ => Err(format!("leaves the bytes {from} to {to} in no window")),
    }
}

fn check_vector(vector: &[f32], dim: usize) -> Result<(), String> {
    if vector.len() != dim {
        return Err(format!(
            "has {} components, and the collection's have {dim}",
            vector.len()
        ));
    }
    let squared: f32 = vector.iter().map(|value| value * value).sum();
    if !squared.is_finite() {
        return Err("has components that are not finite".to_owned());
    }
    if (squared.sqrt() - 1.0).abs() > NORM_TOLERANCE {
        return Err(format!("has length {}, and it must be 1", squared.sqrt()));
    }
    Ok(())
}

//! The name of a reranking as people write it: `none`, `20` or `20:0.6`.

use faq_core::Rerank;

/// Reads `none`, or the number of best hits that are looked at, with a weight after a colon;
/// without one, the shipped weight.
///
/// # Errors
/// A sentence that says what was given and what is taken.
pub fn parse(text: &str) -> Result<Option<Rerank>, String> {
    if text == "none" {
        return Ok(None);
    }
    let shipped = Rerank::default();
    let (depth, weight) = match text.split_once(':') {
        Some((depth, weight)) => (depth, weight.parse().ok()),
        None => (text, Some(shipped.weight)),
    };
    let depth = depth.parse().ok().filter(|n| (1..=10_000).contains(n));
    let weight = weight.filter(|weight| (0.0..=1e3).contains(weight));
    match (depth, weight) {
        (Some(depth), Some(weight)) => Ok(Some(Rerank { depth, weight })),
        _ => Err(format!(
            "{text:?} is no reranking; give none, or how many hits are looked at (1 to 10000), \
             with a weight from 0 to 1000 after a colon or without"
        )),
    }
}

/// The name that [`parse`] reads back as the same reranking; `None` where there is none.
pub fn name(rerank: Option<Rerank>) -> Option<String> {
    rerank.map(|Rerank { depth, weight }| format!("{depth}:{weight}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_what_they_name() {
        for text in ["20:0.6", "5:0", "100:2"] {
            assert_eq!(name(parse(text).unwrap()).unwrap(), text);
        }
        assert_eq!(parse("none").unwrap(), None);
        assert_eq!(parse("20").unwrap().unwrap().depth, 20);
        for text in ["", "0", "20:", "20:-1", "20:NaN", "x", "20000", ":1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

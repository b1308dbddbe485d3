//! The name of a fusion as people write it: `scores:2.5`, `rrf:60`, `weighted:0.5`.

use faq_core::Fusion;

/// Reads `scores`, `rrf` or `weighted`, with a number after a colon; without one, the usual.
///
/// # Errors
/// A sentence that says what was given and what is taken.
pub fn parse(text: &str) -> Result<Fusion, String> {
    let (name, number) = match text.split_once(':') {
        Some((name, number)) => (name, Some(number)),
        None => (text, None),
    };
    let number = |usual: f32, most: f32| match number {
        None => Ok(usual),
        Some(text) => text
            .parse()
            .ok()
            .filter(|value| (0.0..=most).contains(value))
            .ok_or_else(|| format!("{text:?} is no number from 0 to {most}")),
    };
    match name {
        "scores" => Ok(Fusion::Scores {
            dense_weight: number(2.5, 1e3)?,
        }),
        "rrf" => Ok(Fusion::Rrf {
            k: number(60.0, 1e6)?,
        }),
        "weighted" => Ok(Fusion::Weighted {
            dense_weight: number(0.5, 1.0)?,
        }),
        _ => Err(format!(
            "{text:?} is no fusion; give scores, rrf or weighted, with a number after a colon or \
             without"
        )),
    }
}

/// The name that [`parse`] reads back as the same fusion.
pub fn name(fusion: Fusion) -> String {
    match fusion {
        Fusion::Scores { dense_weight } => format!("scores:{dense_weight}"),
        Fusion::Rrf { k } => format!("rrf:{k}"),
        Fusion::Weighted { dense_weight } => format!("weighted:{dense_weight}"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_what_they_name() {
        for text in ["scores:2.5", "scores:0", "rrf:60", "weighted:0.25"] {
            assert_eq!(name(parse(text).unwrap()), text);
        }
        assert_eq!(parse("rrf").unwrap(), Fusion::Rrf { k: 60.0 });
        for text in [
            "",
            "sum",
            "rrf:-1",
            "weighted:1.5",
            "weighted:",
            "scores:NaN",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

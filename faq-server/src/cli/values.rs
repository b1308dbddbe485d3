//! Values of flags, as people write them: each is read, or refused with what to write instead.

use faq_core::EngineConfig;

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("0 is too few; give 1 or more".to_owned()),
        Ok(n) => Ok(n),
        Err(_) => Err("give a whole number from 1".to_owned()),
    }
}

pub(super) fn threads(text: &str) -> Result<usize, String> {
    const MOST: usize = EngineConfig::MOST_THREADS;
    match text.parse() {
        Ok(n) if (1..=MOST).contains(&n) => Ok(n),
        _ => Err(format!("give a whole number from 1 to {MOST}")),
    }
}

pub(super) fn tag(text: &str) -> Result<String, String> {
    let tag = text.trim();
    if tag.is_empty() {
        return Err("a tag needs at least one character".to_owned());
    }
    Ok(tag.to_owned())
}

pub(super) fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(t) if (0.0..=10.0).contains(&t) => Ok(t),
        _ => Err("give a number from 0 to 10".to_owned()),
    }
}

pub(super) fn cosine(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(t) if (-1.0..=1.0).contains(&t) => Ok(t),
        _ => Err("a cosine lies between -1 and 1".to_owned()),
    }
}

//! The main language of a text.

/// How much of a text is looked at, in bytes: enough to be sure, little enough to be free.
const SAMPLE_BYTES: usize = 16 * 1024;

/// ISO 639-1 code of the text's main language, or `None` where the text is too short or
/// too mixed to tell.
pub(crate) fn detect(text: &str) -> Option<String> {
    let mut end = text.len().min(SAMPLE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let info = whatlang::detect(&text[..end])?;
    info.is_reliable()
        .then(|| iso_639_1(info.lang()).to_owned())
}

fn iso_639_1(lang: whatlang::Lang) -> &'static str {
    use whatlang::Lang::{
        Ara, Ben, Bul, Cat, Ces, Cmn, Dan, Deu, Ell, Eng, Epo, Est, Fin, Fra, Heb, Hin, Hrv, Hun,
        Ind, Ita, Jpn, Kor, Lat, Lav, Lit, Nld, Nob, Pes, Pol, Por, Ron, Rus, Slk, Slv, Spa, Srp,
        Swe, Tam, Tha, Tur, Ukr, Urd, Vie,
    };
    match lang {
        Ara => "ar",
        Ben => "bn",
        Bul => "bg",
        Cat => "ca",
        Ces => "cs",
        Cmn => "zh",
        Dan => "da",
        Deu => "de",
        Ell => "el",
        Eng => "en",
        Epo => "eo",
        Est => "et",
        Fin => "fi",
        Fra => "fr",
        Heb => "he",
        Hin => "hi",
        Hrv => "hr",
        Hun => "hu",
        Ind => "id",
        Ita => "it",
        Jpn => "ja",
        Kor => "ko",
        Lat => "la",
        Lav => "lv",
        Lit => "lt",
        Nld => "nl",
        Nob => "no",
        Pes => "fa",
        Pol => "pl",
        Por => "pt",
        Ron => "ro",
        Rus => "ru",
        Slk => "sk",
        Slv => "sl",
        Spa => "es",
        Srp => "sr",
        Swe => "sv",
        Tam => "ta",
        Tha => "th",
        Tur => "tr",
        Ukr => "uk",
        Urd => "ur",
        Vie => "vi",
        other => other.code(),
    }
}

#[cfg(test)]
mod tests {
    use super::detect;

    #[test]
    fn tells_languages_apart_and_keeps_silent_on_noise() {
        assert_eq!(
            detect(
                "Every employee has the right to thirty days of leave a year, and the manager \
                 must answer a request within a week."
            )
            .as_deref(),
            Some("en")
        );
        assert_eq!(
            detect("Der schnelle braune Fuchs springt über den faulen Hund und läuft davon")
                .as_deref(),
            Some("de")
        );
        assert_eq!(detect("1234 5678"), None);
    }
}

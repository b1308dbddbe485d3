//! The settings that the environment holds: known names, their values, and names of parts
//! that are gone.

use std::str::FromStr;

/// How a setting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Fine,
    /// Allowed, and hardly meant.
    Warning,
    /// Nothing can be started with it.
    Broken,
}

/// What there is to say about one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) name: String,
    pub(crate) level: Level,
    /// Reads on after the name.
    pub(crate) detail: String,
}

/// What a setting's value has to be.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Any text.
    Text,
    /// Any text, never shown.
    Secret,
    /// A whole number from this to that.
    Whole(u64, u64),
    /// A number from this to that.
    Number(f64, f64),
    /// 32 bytes in hexadecimal, never shown.
    Key,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// Settings by the names that deployments of the original design use, and our own.
const KNOWN: &[(&str, Kind)] = &[
    ("FAQ_DATA", Kind::Text),
    ("FAQ_MODELS_DIR", Kind::Text),
    ("FAQ_KEY_DIR", Kind::Text),
    ("HOST", Kind::Text),
    ("PORT", Kind::Whole(0, 65_535)),
    ("PUBLIC_BASE_URL", Kind::Text),
    ("TRUSTED_PROXIES", Kind::Text),
    ("METRICS_ADDR", Kind::Text),
    ("REGISTRATION", Kind::Text),
    ("REGISTRATION_TOKEN", Kind::Secret),
    ("JWT_ACCESS_SECRET", Kind::Secret),
    ("JWT_REFRESH_SECRET", Kind::Secret),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", Kind::Whole(1, 525_600)),
    ("REFRESH_TOKEN_EXPIRE_DAYS", Kind::Whole(1, 3650)),
    ("ENCRYPTION_KEY", Kind::Key),
    ("ARGON2_MEMORY_COST", Kind::Whole(1, u32::MAX as u64)),
    ("ARGON2_TIME_COST", Kind::Whole(1, u32::MAX as u64)),
    ("ARGON2_PARALLELISM", Kind::Whole(1, 255)),
    ("RATE_LIMIT_PER_MINUTE", Kind::Whole(1, u32::MAX as u64)),
    ("MAX_DOCUMENTS", Kind::Whole(1, 1 << 40)),
    ("MAX_USERS", Kind::Whole(1, 1 << 40)),
    ("MAX_STORAGE_MB", Kind::Whole(1, 1 << 40)),
    ("MAX_FILE_SIZE_MB", Kind::Whole(1, 1 << 20)),
    ("ALLOWED_FILE_TYPES", Kind::Text),
    ("STORAGE_TYPE", Kind::Text),
    ("STORAGE_PATH", Kind::Text),
    ("AWS_REGION", Kind::Text),
    ("AWS_S3_BUCKET", Kind::Text),
    ("AWS_ACCESS_KEY_ID", Kind::Secret),
    ("AWS_SECRET_ACCESS_KEY", Kind::Secret),
    ("S3_ENDPOINT", Kind::Text),
    ("INGEST_WORKERS", Kind::Whole(1, 64)),
    ("COLLECTION_IDLE", Kind::Whole(1, u32::MAX as u64)),
    ("MAX_OPEN_COLLECTIONS", Kind::Whole(1, 1 << 20)),
    ("EMBEDDING_MODEL", Kind::Text),
    ("EMBEDDING_PRECISION", Kind::OneOf(&["int8", "f32"])),
    ("KEEP_PROMPTS", Kind::Switch),
    ("LLM_MODEL", Kind::Text),
    ("LLM_FALLBACK_MODEL", Kind::Text),
    ("PROMPTS_FILE", Kind::Text),
    ("LLM_TONE", Kind::Text),
    ("LLM_FOLLOW_UPS", Kind::OneOf(&["rules", "model"])),
    ("LLM_WORDING", Kind::OneOf(&["model", "documents"])),
    ("LLM_MAX_TOKENS", Kind::Whole(1, 1 << 20)),
    ("LLM_TEMPERATURE", Kind::Number(0.0, 10.0)),
    ("ANSWER_SLOTS", Kind::Whole(1, 256)),
    ("ANSWER_QUEUE", Kind::Whole(0, 10_000)),
    ("ANSWER_TIMEOUT", Kind::Whole(1, 3600)),
    ("LLM_CACHE_TTL", Kind::Whole(0, u32::MAX as u64)),
    ("OPENAI_API_KEY", Kind::Secret),
    ("OLLAMA_URL", Kind::Text),
    ("CHUNK_SIZE", Kind::Whole(8, 1 << 20)),
    ("CHUNK_OVERLAP", Kind::Whole(0, 1 << 20)),
    ("MAX_CONTEXT_CHUNKS", Kind::Whole(1, 1 << 20)),
    ("SIMILARITY_THRESHOLD", Kind::Number(-1.0, 1.0)),
    ("SPELLING", Kind::OneOf(&["tolerant", "exact"])),
    ("CORS_ORIGINS", Kind::Text),
    ("CORS_CREDENTIALS", Kind::Switch),
    ("LOG_LEVEL", Kind::Text),
    ("WEBHOOK_SECRET", Kind::Secret),
    ("WEBHOOK_ALLOW_PRIVATE", Kind::Switch),
    ("ENVIRONMENT", Kind::Text),
    ("WEBHOOK_TIMEOUT", Kind::Whole(1, 3600)),
    ("DATA_RETENTION_DAYS", Kind::Whole(1, 36_500)),
];

/// Settings of parts of the original design that are gone: prefixes of their names, and what
/// does their job now.
const GONE: &[(&str, &str)] = &[
    ("KAFKA_", "the queue is built in"),
    ("RABBITMQ_", "the queue is built in"),
    ("CHROMADB_", "the index is built in"),
    ("CHROMA_", "the index is built in"),
    ("REDIS_", "limits and caches are built in"),
    ("POSTGRES_", "the store is built in"),
    ("DATABASE_URL", "the store is built in"),
];

/// Whether a name means something, here or in the original design.
pub(crate) fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == name)
        || GONE.iter().any(|(prefix, _)| name.starts_with(prefix))
}

/// What the values hold of [`KNOWN`] and [`GONE`], by name.
pub(crate) fn findings(values: impl Iterator<Item = (String, String)>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = values
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| finding(name, &value))
        .collect();
    findings.sort_by(|a, b| a.name.cmp(&b.name));
    findings
}

fn finding(name: String, value: &str) -> Option<Finding> {
    let (level, detail) = if let Some((_, kind)) = KNOWN.iter().find(|(known, _)| *known == name) {
        match (kind.check(value), remark(&name, value)) {
            (Err(wanted), _) => (
                Level::Broken,
                format!("is {}; it has to be {wanted}", kind.shown(value)),
            ),
            (Ok(()), Some(remark)) => (Level::Warning, remark),
            (Ok(()), None) => (Level::Fine, kind.shown(value)),
        }
    } else {
        let (_, instead) = GONE.iter().find(|(prefix, _)| name.starts_with(prefix))?;
        (
            Level::Warning,
            format!("has no effect: {instead}; take it out"),
        )
    };
    Some(Finding {
        name,
        level,
        detail,
    })
}

/// A value that is allowed and hardly meant.
fn remark(name: &str, value: &str) -> Option<String> {
    if name == "WEBHOOK_SECRET" {
        return Some(
            "has no effect: each organisation's webhook has a secret of its own".to_owned(),
        );
    }
    let cosine: f64 = value.parse().ok()?;
    (name == "SIMILARITY_THRESHOLD" && cosine >= 0.7).then(|| {
        format!(
            "is {value}, which most true passages do not reach with this model: most answers will \
             be \"I don't know\"; unset, the calibrated relevance decides"
        )
    })
}

impl Kind {
    fn check(self, value: &str) -> Result<(), String> {
        fn within<T: Copy + FromStr + PartialOrd>(value: &str, from: T, to: T) -> bool {
            value
                .trim()
                .parse::<T>()
                .is_ok_and(|v| v >= from && v <= to)
        }
        let (fine, wanted) = match self {
            Self::Text | Self::Secret => (true, String::new()),
            Self::Whole(from, to) => (
                within(value, from, to),
                format!("a whole number from {from} to {to}"),
            ),
            Self::Number(from, to) => (
                within(value, from, to),
                format!("a number from {from} to {to}"),
            ),
            Self::Key => (
                value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()),
                "64 hexadecimal digits".to_owned(),
            ),
            Self::Switch => (
                matches!(value, "true" | "false"),
                "true or false".to_owned(),
            ),
            Self::OneOf(words) => (words.contains(&value), words.join(" or ")),
        };
        if fine { Ok(()) } else { Err(wanted) }
    }

    /// The value as it may be shown.
    fn shown(self, value: &str) -> String {
        match self {
            Self::Secret | Self::Key => "set, not shown".to_owned(),
            _ => value.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(name: &str, value: &str) -> Option<(Level, String)> {
        finding(name.to_owned(), value).map(|f| (f.level, f.detail))
    }

    #[test]
    fn values_are_checked_and_secrets_never_shown() {
        assert!(matches!(
            status("CHUNK_SIZE", "500"),
            Some((Level::Fine, _))
        ));
        assert!(matches!(
            status("CHUNK_SIZE", "many"),
            Some((Level::Broken, _))
        ));
        assert!(matches!(status("PORT", "70000"), Some((Level::Broken, _))));
        for name in ["ENCRYPTION_KEY", "OPENAI_API_KEY"] {
            let told = status(name, "sesame");
            assert!(told.is_some_and(|(_, detail)| !detail.contains("sesame")));
        }
    }

    #[test]
    fn every_setting_is_in_the_operators_guide() {
        let guide = include_str!("../../docs/operating.md");
        let missing: Vec<&str> = KNOWN
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !guide.contains(&format!("\n| `{name}` |")))
            .collect();
        assert!(missing.is_empty(), "docs/operating.md lacks {missing:?}");
    }

    #[test]
    fn what_is_gone_or_hardly_meant_draws_a_warning() {
        for (name, value) in [
            ("KAFKA_BROKERS", "a:9092"),
            ("CHROMADB_URL", "http://chroma"),
            ("SIMILARITY_THRESHOLD", "0.7"),
        ] {
            assert!(
                matches!(status(name, value), Some((Level::Warning, _))),
                "{name}"
            );
        }
        assert_eq!(status("HOME", "anywhere"), None);
        assert_eq!(
            findings([("KAFKA_BROKERS".into(), String::new())].into_iter()),
            []
        );
    }
}

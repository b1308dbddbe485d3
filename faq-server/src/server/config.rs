//! Settings of the server: from flags, then the environment, then a file, all checked before
//! anything starts, and every mistake told at once.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use faq_auth::PasswordParams;
use faq_core::{FollowUps, Format, Wording};

use crate::settings::{self, Level};

/// Who may register an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Registration {
    Open,
    /// Whoever sends this in `X-Registration-Token`.
    Token(String),
    Closed,
}

/// Where Prometheus finds the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetricsAddr {
    /// On a listener of its own.
    Own(SocketAddr),
    /// Beside the API.
    Main,
    Off,
}

/// Where uploaded files are kept.
#[derive(Debug, Clone)]
pub(crate) enum StorageConfig {
    Local(PathBuf),
    S3(crate::storage::S3Config),
}

/// Everything that the server was told.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) metrics: MetricsAddr,
    pub(crate) public_base_url: Option<String>,
    pub(crate) trusted_proxies: Vec<IpAddr>,
    pub(crate) registration: Registration,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) cors_credentials: bool,
    pub(crate) key_dir: PathBuf,
    pub(crate) encryption_key: Option<String>,
    pub(crate) jwt_access_secret: Option<String>,
    pub(crate) jwt_refresh_secret: Option<String>,
    pub(crate) access_token: Duration,
    pub(crate) refresh_token: Duration,
    pub(crate) argon2: PasswordParams,
    pub(crate) rate_limit_per_minute: u32,
    pub(crate) max_documents: u64,
    pub(crate) max_users: u64,
    pub(crate) max_bytes: u64,
    pub(crate) max_file_bytes: u64,
    pub(crate) allowed_types: Vec<String>,
    pub(crate) storage: StorageConfig,
    pub(crate) workers: usize,
    /// How long the knowledge of an organisation that asks nothing stays open.
    pub(crate) collection_idle: Duration,
    pub(crate) max_open_collections: usize,
    pub(crate) answer_slots: usize,
    pub(crate) answer_queue: usize,
    pub(crate) answer_timeout: Duration,
    pub(crate) answer_cache: Duration,
    pub(crate) generator: String,
    pub(crate) fallback_generator: Option<String>,
    /// File with what models are told.
    pub(crate) prompts: Option<PathBuf>,
    /// How models are to write.
    pub(crate) tone: Option<String>,
    pub(crate) follow_ups: FollowUps,
    pub(crate) wording: Wording,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) temperature: Option<f64>,
    pub(crate) max_context_chunks: usize,
    pub(crate) exact_spelling: bool,
    pub(crate) similarity_threshold: Option<f32>,
    pub(crate) ollama_url: Option<String>,
    pub(crate) openai_api_key: Option<String>,
    pub(crate) webhook_timeout: Duration,
    pub(crate) webhook_allow_private: bool,
    pub(crate) retention_days: Option<u32>,
    pub(crate) log_level: String,
    pub(crate) environment: String,
    /// What the operator should hear about.
    pub(crate) warnings: Vec<String>,
}

/// Settings that make no sense, each as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct BadSettings(pub(crate) Vec<String>);

/// Values by name. The first source that has a name wins.
#[derive(Debug, Default)]
pub(crate) struct Values {
    by_name: BTreeMap<String, String>,
    /// Lines of a file that say nothing.
    problems: Vec<String>,
    /// Names in a file that mean nothing here.
    warnings: Vec<String>,
}

impl Values {
    /// Adds values that were not given before; empty ones count as absent.
    pub(crate) fn add(&mut self, values: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in values {
            if !value.trim().is_empty() {
                self.by_name.entry(name).or_insert(value);
            }
        }
    }

    /// Adds what a file of `NAME=value` lines holds; `#` begins a comment line. What is wrong
    /// with its lines is told together with what is wrong with the values.
    pub(crate) fn add_file(&mut self, path: &Path) -> Result<(), BadSettings> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| BadSettings(vec![format!("cannot read {}: {e}", path.display())]))?;
        let mut found = BTreeMap::new();
        // Some editors begin a file with a byte order mark.
        for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            let place = || format!("{}, line {}", path.display(), i + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            match line.split_once('=') {
                Some((name, value)) => {
                    let (name, value) = (name.trim(), value.trim());
                    if !settings::is_known(name) {
                        self.warnings.push(format!(
                            "{name} ({}) is no setting of this server, and has no effect",
                            place()
                        ));
                    }
                    let unquoted = ['"', '\'']
                        .into_iter()
                        .find_map(|q| value.strip_prefix(q)?.strip_suffix(q));
                    let value = unquoted.unwrap_or(value).to_owned();
                    if found.insert(name.to_owned(), value).is_some() {
                        let told = format!("{}: {name} stands in the file twice", place());
                        self.problems.push(told);
                    }
                }
                None => self
                    .problems
                    .push(format!("{}: expected NAME=value", place())),
            }
        }
        self.add(found);
        Ok(())
    }

    /// What there is to say about each value by itself.
    pub(crate) fn findings(&self) -> Vec<settings::Finding> {
        settings::findings(self.by_name.iter().map(|(n, v)| (n.clone(), v.clone())))
    }

    /// A value, without the blanks around it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(|v| v.trim())
    }
}

/// Reads typed values and collects what is wrong with them.
struct Reader<'a> {
    values: &'a Values,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.values.get(name).map(str::to_owned)
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        // What cannot be parsed was told by the check of all settings.
        self.values.get(name)?.parse().ok()
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.values.get(name).map_or_else(Vec::new, |list| {
            list.split(',')
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect()
        })
    }

    fn wrong(&mut self, name: &str, what: impl std::fmt::Display) {
        self.problems.push(format!("{name} {what}"));
    }
}

/// File types that are taken where nothing else is said: those of every format that is read.
fn types() -> impl Iterator<Item = &'static str> {
    Format::ALL
        .into_iter()
        .flat_map(|format| format.media_types().iter().copied())
}

impl Config {
    /// The settings of a server over `data_dir`.
    pub(crate) fn read(data_dir: PathBuf, values: &Values) -> Result<Self, BadSettings> {
        let findings = values.findings();
        let mut reader = Reader {
            values,
            problems: values.problems.clone(),
        };
        let mut warnings = values.warnings.clone();
        for finding in findings {
            let sentence = format!("{} {}", finding.name, finding.detail);
            match finding.level {
                Level::Broken => reader.problems.push(sentence),
                Level::Warning => warnings.push(sentence),
                Level::Fine => {}
            }
        }
        let config = reader.config(data_dir, warnings);
        if reader.problems.is_empty() {
            Ok(config)
        } else {
            Err(BadSettings(reader.problems))
        }
    }

    /// The folder of uploaded files; `None` where they lie in an object store.
    pub(crate) fn local_storage(&self) -> Option<&Path> {
        match &self.storage {
            StorageConfig::Local(path) => Some(path),
            StorageConfig::S3(_) => None,
        }
    }
}

impl Reader<'_> {
    fn config(&mut self, data_dir: PathBuf, warnings: Vec<String>) -> Config {
        let argon2 = self.argon2();
        let s3_endpoint = self.url("S3_ENDPOINT");
        let ollama_url = self.url("OLLAMA_URL");
        self.chunks();
        let minutes = self.parsed("ACCESS_TOKEN_EXPIRE_MINUTES").unwrap_or(30u64);
        let days = self.parsed("REFRESH_TOKEN_EXPIRE_DAYS").unwrap_or(7u64);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let megabytes = |mb: u64| mb.saturating_mul(1 << 20);
        let generator = self.text("LLM_MODEL").unwrap_or("extractive".into());
        let is_local = generator != "extractive" && !generator.contains(':');
        Config {
            listen: self.listen(),
            metrics: self.metrics(),
            public_base_url: self.base_url(),
            trusted_proxies: self.proxies(),
            registration: self.registration(),
            cors_origins: self.origins(),
            cors_credentials: self.parsed("CORS_CREDENTIALS").unwrap_or(false),
            key_dir: self
                .text("FAQ_KEY_DIR")
                .map_or_else(|| beside(&data_dir), PathBuf::from),
            encryption_key: self.text("ENCRYPTION_KEY"),
            jwt_access_secret: self.secret("JWT_ACCESS_SECRET"),
            jwt_refresh_secret: self.secret("JWT_REFRESH_SECRET"),
            access_token: Duration::from_secs(60 * minutes),
            refresh_token: Duration::from_secs(24 * 3600 * days),
            argon2,
            rate_limit_per_minute: self.parsed("RATE_LIMIT_PER_MINUTE").unwrap_or(1000),
            max_documents: self.parsed("MAX_DOCUMENTS").unwrap_or(100),
            max_users: self.parsed("MAX_USERS").unwrap_or(50),
            max_bytes: megabytes(self.parsed("MAX_STORAGE_MB").unwrap_or(5 * 1024)),
            max_file_bytes: megabytes(self.parsed("MAX_FILE_SIZE_MB").unwrap_or(50)),
            allowed_types: self.types(),
            storage: self.storage(&data_dir, s3_endpoint),
            workers: self.parsed("INGEST_WORKERS").unwrap_or(2),
            collection_idle: Duration::from_secs(self.parsed("COLLECTION_IDLE").unwrap_or(300)),
            max_open_collections: self.parsed("MAX_OPEN_COLLECTIONS").unwrap_or(64),
            // A model in this process uses every core by itself.
            answer_slots: self.parsed("ANSWER_SLOTS").unwrap_or(if is_local {
                1
            } else {
                cores.max(2)
            }),
            answer_queue: self.parsed("ANSWER_QUEUE").unwrap_or(64),
            answer_timeout: Duration::from_secs(self.parsed("ANSWER_TIMEOUT").unwrap_or(120)),
            answer_cache: Duration::from_secs(self.parsed("LLM_CACHE_TTL").unwrap_or(3600)),
            generator,
            fallback_generator: self.text("LLM_FALLBACK_MODEL"),
            prompts: self.text("PROMPTS_FILE").map(PathBuf::from),
            tone: self.text("LLM_TONE"),
            follow_ups: self.parsed("LLM_FOLLOW_UPS").unwrap_or_default(),
            wording: self.parsed("LLM_WORDING").unwrap_or_default(),
            max_tokens: self.parsed("LLM_MAX_TOKENS"),
            temperature: self.parsed("LLM_TEMPERATURE"),
            max_context_chunks: self.parsed("MAX_CONTEXT_CHUNKS").unwrap_or(5),
            exact_spelling: self.text("SPELLING").as_deref() == Some("exact"),
            similarity_threshold: self.parsed("SIMILARITY_THRESHOLD"),
            ollama_url,
            openai_api_key: self.text("OPENAI_API_KEY"),
            webhook_timeout: Duration::from_secs(self.parsed("WEBHOOK_TIMEOUT").unwrap_or(30)),
            webhook_allow_private: self.parsed("WEBHOOK_ALLOW_PRIVATE").unwrap_or(false),
            retention_days: self.parsed("DATA_RETENTION_DAYS"),
            log_level: self.log_level(),
            environment: self.text("ENVIRONMENT").unwrap_or("production".into()),
            data_dir,
            warnings,
        }
    }

    fn argon2(&mut self) -> PasswordParams {
        let default = PasswordParams::default();
        let params = PasswordParams {
            memory_kib: self
                .parsed("ARGON2_MEMORY_COST")
                .unwrap_or(default.memory_kib),
            time: self.parsed("ARGON2_TIME_COST").unwrap_or(default.time),
            parallelism: self
                .parsed("ARGON2_PARALLELISM")
                .unwrap_or(default.parallelism),
        };
        for problem in params.problems() {
            self.problems.push(problem.to_string());
        }
        params
    }

    fn listen(&mut self) -> SocketAddr {
        let host = self.text("HOST").unwrap_or("127.0.0.1".into());
        let port = self.parsed("PORT").unwrap_or(3000);
        let ip = host.parse::<IpAddr>().unwrap_or_else(|_| {
            self.wrong(
                "HOST",
                format_args!("is {host}; it has to be an IP address, such as 0.0.0.0"),
            );
            IpAddr::from([127, 0, 0, 1])
        });
        SocketAddr::new(ip, port)
    }

    fn metrics(&mut self) -> MetricsAddr {
        match self.text("METRICS_ADDR").as_deref() {
            None => MetricsAddr::Own(SocketAddr::from(([127, 0, 0, 1], 9100))),
            Some("main") => MetricsAddr::Main,
            Some("off") => MetricsAddr::Off,
            Some(addr) => {
                if let Ok(addr) = addr.parse() {
                    MetricsAddr::Own(addr)
                } else {
                    self.wrong(
                        "METRICS_ADDR",
                        format_args!("is {addr}; it has to be ADDRESS:PORT, main or off"),
                    );
                    MetricsAddr::Off
                }
            }
        }
    }

    fn base_url(&mut self) -> Option<String> {
        let url = self.url("PUBLIC_BASE_URL")?;
        Some(url.trim_end_matches('/').to_owned())
    }

    /// An address of the web: scheme, host, and perhaps a path.
    fn url(&mut self, name: &str) -> Option<String> {
        let url = self.text(name)?;
        let parsed = url.parse::<axum::http::Uri>().ok();
        let fine = parsed.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
                && !url.contains('#')
        });
        if !fine {
            self.wrong(
                name,
                format_args!("is {url}; it has to be an address such as https://faq.example.org"),
            );
        }
        Some(url)
    }

    /// The overlap has to be smaller than the chunk.
    fn chunks(&mut self) {
        let default = faq_core::ChunkConfig::default();
        let size: usize = self.parsed("CHUNK_SIZE").unwrap_or(default.size);
        let Some(overlap) = self.parsed::<usize>("CHUNK_OVERLAP") else {
            return;
        };
        if overlap >= size {
            self.wrong(
                "CHUNK_OVERLAP",
                format_args!("is {overlap}; it has to be smaller than CHUNK_SIZE, which is {size}"),
            );
        }
    }

    fn proxies(&mut self) -> Vec<IpAddr> {
        let mut proxies = Vec::new();
        for item in self.list("TRUSTED_PROXIES") {
            match item.parse() {
                Ok(ip) => proxies.push(ip),
                Err(_) => self.wrong(
                    "TRUSTED_PROXIES",
                    format_args!("names {item}; each item has to be an IP address"),
                ),
            }
        }
        proxies
    }

    fn registration(&mut self) -> Registration {
        match self.text("REGISTRATION").as_deref() {
            None | Some("open") => Registration::Open,
            Some("closed") => Registration::Closed,
            Some("token") => match self.text("REGISTRATION_TOKEN") {
                Some(token) if token.len() >= 16 => Registration::Token(token),
                _ => {
                    self.wrong(
                        "REGISTRATION_TOKEN",
                        "has to be set, to 16 characters or more, where REGISTRATION is token",
                    );
                    Registration::Closed
                }
            },
            Some(other) => {
                self.wrong(
                    "REGISTRATION",
                    format_args!("is {other}; it has to be open, token or closed"),
                );
                Registration::Closed
            }
        }
    }

    fn origins(&mut self) -> Vec<String> {
        let origins = self.list("CORS_ORIGINS");
        for origin in &origins {
            let fine =
                origin == "*" || origin.starts_with("http://") || origin.starts_with("https://");
            if !fine {
                self.wrong(
                    "CORS_ORIGINS",
                    format_args!(
                        "names {origin}; use origins such as https://app.example.org, or *"
                    ),
                );
            }
        }
        if origins.iter().any(|o| o == "*") && self.parsed("CORS_CREDENTIALS") == Some(true) {
            self.wrong(
                "CORS_CREDENTIALS",
                "cannot be true where CORS_ORIGINS is *; name the origins",
            );
        }
        origins
    }

    fn secret(&mut self, name: &str) -> Option<String> {
        let secret = self.text(name)?;
        let least = faq_auth::MIN_SECRET_BYTES;
        if secret.len() < least {
            self.wrong(name, format_args!("has to have {least} characters or more"));
        }
        Some(secret)
    }

    fn types(&mut self) -> Vec<String> {
        let given = self.list("ALLOWED_FILE_TYPES");
        if given.is_empty() {
            return types().map(str::to_owned).collect();
        }
        let mut types = Vec::new();
        for item in given {
            let known = content_types_of(&item);
            if known.is_empty() {
                let usual: Vec<&str> = Format::ALL.iter().map(|f| f.extensions()[0]).collect();
                let usual = usual.join(", ");
                self.wrong(
                    "ALLOWED_FILE_TYPES",
                    format_args!("names {item}, which cannot be read; use {usual}"),
                );
            }
            types.extend(known.into_iter().map(str::to_owned));
        }
        types
    }

    fn storage(&mut self, data_dir: &Path, endpoint: Option<String>) -> StorageConfig {
        let local = |path: Option<String>| {
            StorageConfig::Local(path.map_or_else(|| data_dir.join("blobs"), PathBuf::from))
        };
        match self.text("STORAGE_TYPE").as_deref() {
            None | Some("local") => local(self.text("STORAGE_PATH")),
            Some("s3") => {
                let mut needed = |name: &str| {
                    self.text(name).unwrap_or_else(|| {
                        self.wrong(name, "has to be set where STORAGE_TYPE is s3");
                        String::new()
                    })
                };
                StorageConfig::S3(crate::storage::S3Config {
                    region: needed("AWS_REGION"),
                    bucket: needed("AWS_S3_BUCKET"),
                    access_key_id: needed("AWS_ACCESS_KEY_ID"),
                    secret_access_key: needed("AWS_SECRET_ACCESS_KEY"),
                    endpoint,
                })
            }
            Some(other) => {
                self.wrong(
                    "STORAGE_TYPE",
                    format_args!("is {other}; it has to be local or s3"),
                );
                local(None)
            }
        }
    }

    fn log_level(&mut self) -> String {
        let level = self
            .text("LOG_LEVEL")
            .unwrap_or("info".into())
            .to_ascii_lowercase();
        let level = if level == "warning" {
            "warn".into()
        } else {
            level
        };
        if !["trace", "debug", "info", "warn", "error"].contains(&level.as_str()) {
            self.wrong(
                "LOG_LEVEL",
                format_args!("is {level}; it has to be trace, debug, info, warn or error"),
            );
        }
        level
    }
}

/// The content types that a name in ALLOWED_FILE_TYPES stands for; none for one that is unknown.
fn content_types_of(name: &str) -> Vec<&'static str> {
    let name = name.to_ascii_lowercase();
    if let Some(known) = types().find(|known| *known == name) {
        return vec![known];
    }
    Format::from_extension(name.trim_start_matches('.'))
        .map(|format| format.media_types().to_vec())
        .unwrap_or_default()
}

/// Keys lie beside the data folder, so that a copy of the data holds none.
fn beside(data_dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let mut name = absolute.file_name().map_or_else(
        || std::ffi::OsString::from("faq"),
        std::ffi::OsStr::to_os_string,
    );
    name.push(".keys");
    absolute.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Config, BadSettings> {
        let mut all = Values::default();
        all.add(
            values
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        );
        Config::read("data".into(), &all)
    }

    #[test]
    fn nothing_is_required() {
        let config = read(&[]).unwrap();
        assert_eq!(config.listen.port(), 3000);
        assert!(config.key_dir.ends_with("data.keys"));
        assert_eq!(config.registration, Registration::Open);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let told = read(&[
            ("PORT", "many"),
            ("HOST", "here"),
            ("ENCRYPTION_KEY", "short"),
            ("JWT_ACCESS_SECRET", "short"),
            ("ARGON2_TIME_COST", "1"),
            ("REGISTRATION", "token"),
            ("STORAGE_TYPE", "s3"),
            ("ALLOWED_FILE_TYPES", "pdf,exe"),
            ("CORS_ORIGINS", "example.org"),
            ("LOG_LEVEL", "loud"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "PORT",
            "HOST",
            "ENCRYPTION_KEY",
            "JWT_ACCESS_SECRET",
            "ARGON2_TIME_COST",
            "REGISTRATION_TOKEN",
            "AWS_REGION",
            "AWS_S3_BUCKET",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "ALLOWED_FILE_TYPES",
            "CORS_ORIGINS",
            "LOG_LEVEL",
        ] {
            assert!(told.contains(name), "{name} is missing in:\n{told}");
        }
    }

    #[test]
    fn the_first_source_wins_and_files_are_lines() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("faq.env");
        std::fs::write(
            &file,
            "# ports\nexport PORT=4000\nCORS_ORIGINS=\"https://a.example\"\n",
        )
        .unwrap();
        let mut values = Values::default();
        values.add([("PORT".to_owned(), "5000".to_owned())]);
        values.add_file(&file).unwrap();
        let config = Config::read("data".into(), &values).unwrap();
        assert_eq!(config.listen.port(), 5000);
        assert_eq!(config.cors_origins, ["https://a.example"]);
        // A byte order mark is no part of the first name, and all that is wrong is told.
        let text = "\u{feff}PORT=x\nHOST\nLOG_LEVEL=info\nLOG_LEVEL=warn\nRATE_LIMT=5\n";
        std::fs::write(&file, text).unwrap();
        let mut values = Values::default();
        values.add_file(&file).unwrap();
        let told = Config::read("data".into(), &values)
            .unwrap_err()
            .to_string();
        for problem in ["PORT is x", "line 2", "LOG_LEVEL stands in the file twice"] {
            assert!(told.contains(problem), "{problem}: {told}");
        }
        std::fs::write(&file, "RATE_LIMT=5\n").unwrap();
        let mut values = Values::default();
        values.add_file(&file).unwrap();
        let warnings = Config::read("data".into(), &values).unwrap().warnings;
        assert!(warnings[0].contains("RATE_LIMT"), "{warnings:?}");
    }
}

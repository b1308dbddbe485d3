//! The server's own secrets: given, or made at the first start and kept in files that only
//! their owner reads, outside the data directory.

use std::io::Write;
use std::path::{Path, PathBuf};

use faq_auth::{KeyId, MasterKey, RefreshSecret, SecretKey};
use rand::Rng as _;

use super::config::Config;

/// Why the server's secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("cannot use the key folder or file {path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} does not hold a key ({why}); restore it, or give the key in {setting}")]
    Content {
        path: PathBuf,
        why: String,
        setting: &'static str,
    },
    #[error(
        "the data was sealed under the key {sealed}, and the key given is {given}; give the \
         ENCRYPTION_KEY, or the key file, that belongs to this data"
    )]
    OtherKey { sealed: String, given: String },
    #[error("{0}")]
    Setting(String),
}

/// What the server signs and seals with.
pub(crate) struct Keys {
    pub(crate) master: MasterKey,
    pub(crate) access: zeroize::Zeroizing<Vec<u8>>,
    pub(crate) refresh: RefreshSecret,
    /// For upload addresses.
    pub(crate) tickets: SecretKey,
    /// Keys that others on this machine can read.
    pub(crate) readable_by_others: Vec<PathBuf>,
}

impl Keys {
    /// Reads the keys that `config` gives or the key folder holds, and makes what is missing.
    /// Once data was sealed under a master key, a missing key file is an error, never a new key.
    pub(crate) fn load(config: &Config, sealed_under: Option<&str>) -> Result<Self, KeyError> {
        let dir = &config.key_dir;
        let master_file = dir.join("master.key");
        let master_text = match &config.encryption_key {
            Some(given) => given.clone(),
            None if sealed_under.is_some() && !master_file.exists() => {
                return Err(KeyError::Content {
                    path: master_file,
                    why: "it is gone".into(),
                    setting: "ENCRYPTION_KEY",
                });
            }
            None => kept(&master_file)?,
        };
        let master = MasterKey::from_hex(&master_text).map_err(|e| KeyError::Content {
            path: master_file,
            why: e.to_string(),
            setting: "ENCRYPTION_KEY",
        })?;
        if let Some(sealed) = sealed_under.and_then(|id| id.parse::<KeyId>().ok()) {
            expect(&master, sealed)?;
        }
        let secret = |given: &Option<String>, file: &str| match given {
            Some(given) => Ok(given.clone()),
            None => kept(&dir.join(file)),
        };
        let access = secret(&config.jwt_access_secret, "jwt-access.key")?;
        let refresh = secret(&config.jwt_refresh_secret, "jwt-refresh.key")?;
        Ok(Self {
            tickets: master.derive("upload-ticket"),
            master,
            access: access.into_bytes().into(),
            refresh: RefreshSecret::new(refresh.as_bytes())
                .map_err(|e| KeyError::Setting(e.to_string()))?,
            readable_by_others: readable_by_others(dir),
        })
    }
}

/// Whether the data was sealed under this key.
pub(crate) fn expect(master: &MasterKey, sealed: KeyId) -> Result<(), KeyError> {
    master.expect_id(sealed).map_err(|_| KeyError::OtherKey {
        sealed: sealed.to_string(),
        given: master.key_id().to_string(),
    })
}

/// The master key that `config` gives or the key folder holds; `None` where there is neither.
/// Makes nothing.
pub(crate) fn master_at_hand(config: &Config) -> Result<Option<MasterKey>, KeyError> {
    let path = config.key_dir.join("master.key");
    let text = match &config.encryption_key {
        Some(given) => given.clone(),
        None => match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyError::File { path, source }),
        },
    };
    let master = MasterKey::from_hex(&text).map_err(|e| KeyError::Content {
        path,
        why: e.to_string(),
        setting: "ENCRYPTION_KEY",
    })?;
    Ok(Some(master))
}

/// The text of a key file, made with 32 random bytes in hex where there is none.
fn kept(path: &Path) -> Result<String, KeyError> {
    let failed = |source| KeyError::File {
        path: path.to_owned(),
        source,
    };
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
            rand::rng().fill_bytes(&mut *bytes);
            let text = SecretKey::from_bytes(*bytes).to_hex();
            make(path, &text).map_err(failed)?;
            Ok(text.to_string())
        }
        Err(e) => Err(failed(e)),
    }
}

fn make(path: &Path, text: &str) -> std::io::Result<()> {
    make_private_dir(path.parent().unwrap_or(Path::new(".")))?;
    write_private(path, format!("{text}\n").as_bytes())
}

/// Of the folder and its files, those that not only their owner can read.
#[cfg(unix)]
fn readable_by_others(dir: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let open = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
    };
    // A folder that only its owner may enter protects what is in it.
    if !open(dir) {
        return Vec::new();
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .map(|e| e.path())
        .filter(|path| open(path))
        .collect();
    found.sort();
    found
}

#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> Vec<PathBuf> {
    Vec::new()
}

/// Writes a file that only its owner reads, durably, and never over another.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    #[cfg(unix)]
    std::fs::File::open(dir)?.sync_all()?;
    Ok(())
}

fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::config::Values;
    use super::*;

    fn config(dir: &Path, key: Option<&str>) -> Config {
        let mut values = Values::default();
        values.add(key.map(|key| ("ENCRYPTION_KEY".to_owned(), key.to_owned())));
        Config::read(dir.join("data"), &values).unwrap()
    }

    #[test]
    fn keys_are_made_once_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), None);
        let first = Keys::load(&config, None).unwrap();
        let id = first.master.key_id().to_string();
        let second = Keys::load(&config, Some(&id)).unwrap();
        assert_eq!(first.access, second.access);
        #[cfg(unix)]
        for file in ["master.key", "jwt-access.key", "jwt-refresh.key"] {
            use std::os::unix::fs::PermissionsExt;
            let mode = config
                .key_dir
                .join(file)
                .metadata()
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        std::fs::remove_file(config.key_dir.join("master.key")).unwrap();
        assert!(matches!(
            Keys::load(&config, Some(&id)),
            Err(KeyError::Content { .. })
        ));
    }

    #[test]
    fn another_key_than_the_datas_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let id = Keys::load(&config(dir.path(), None), None)
            .unwrap()
            .master
            .key_id()
            .to_string();
        let other = config(dir.path(), Some(&"ab".repeat(32)));
        assert!(matches!(
            Keys::load(&other, Some(&id)),
            Err(KeyError::OtherKey { .. })
        ));
    }
}

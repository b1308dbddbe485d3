//! From a backup to a data folder. Nothing in the file is trusted before it was checked.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use faq_auth::KeyId;
use faq_core::IndexError;
use flate2::bufread::GzDecoder;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use super::layout::{Item, organisation_of};
use super::{
    BackupError, FORMAT, INDEX, Index, Listed, MANIFEST, MANIFEST_BYTES, Manifest, parent, sync_dir,
};
use crate::server::config::Config;
use crate::server::keys;
use crate::server::store::backup as database;
use crate::storage::hex;

/// First bytes of a gzip file whose header holds nothing optional.
const GZIP: [u8; 4] = [0x1f, 0x8b, 8, 0];

/// Most bytes of the index for each entry in it: names are shorter than 200.
const LISTED_BYTES: u64 = 512;

/// Bytes that may follow the last entry: the tar's end and its padding.
const TAIL_BYTES: u64 = 64 << 10;

type Tar = tar::Archive<GzDecoder<BufReader<File>>>;
type Entry<'a> = tar::Entry<'a, GzDecoder<BufReader<File>>>;

/// What was restored.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Restored {
    /// When the backup was made.
    pub(crate) created: String,
    /// The faq that made it.
    pub(crate) faq: String,
    pub(crate) collections: u64,
    pub(crate) documents: u64,
    pub(crate) blobs: u64,
    /// Documents that were deleted while the backup was made, and are deleted now.
    pub(crate) deleted: u64,
    pub(crate) master_key_id: Option<String>,
    /// Whether that key is at hand; `None` where none is needed.
    pub(crate) key_found: Option<bool>,
}

/// Restores `file` into the data folder of `config`, which has to be empty or missing. Everything
/// is unpacked and checked in a folder aside first; a failure leaves nothing.
pub(crate) fn restore(
    file: &Path,
    config: &Config,
    tell: &mut dyn FnMut(&str),
) -> Result<Restored, BackupError> {
    let mut tar = open(file)?;
    let mut entries = tar
        .entries()
        .map_err(|e| BackupError::damaged(MANIFEST, e))?
        // Names and sizes are those of the entries' own headers, never of an extension.
        .raw(true);
    let first = entries.next();
    let (manifest, listed) = manifest(first, file)?;
    let mut restored = Restored {
        key_found: check_key(&manifest, config)?,
        created: manifest.created,
        faq: manifest.faq,
        master_key_id: manifest.master_key_id,
        ..Restored::default()
    };
    let place = Place::new(&config.data_dir)?;
    let mut unpacked = Unpacked {
        data: place.staging.path().join("data"),
        listed: vec![listed],
        items: Vec::new(),
        names: HashSet::new(),
        is_whole: false,
    };
    make_dir(&unpacked.data)?;
    for entry in entries {
        unpacked.take(entry, tell)?;
    }
    end(tar, &unpacked)?;
    tell("checking");
    reconcile(&unpacked, &mut restored)?;
    unpacked.sync()?;
    place.fill(&unpacked.data)?;
    Ok(restored)
}

fn open(path: &Path) -> Result<Tar, BackupError> {
    let file = File::open(path).map_err(BackupError::io("read", path))?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let head = reader
        .fill_buf()
        .map_err(BackupError::io("read", path))?
        .get(..GZIP.len());
    if head != Some(&GZIP[..]) {
        return Err(BackupError::NotABackup {
            path: path.to_owned(),
            why: "it does not begin as one".to_owned(),
        });
    }
    Ok(tar::Archive::new(GzDecoder::new(reader)))
}

fn manifest(
    first: Option<io::Result<Entry<'_>>>,
    path: &Path,
) -> Result<(Manifest, Listed), BackupError> {
    let not_a_backup = |why: String| BackupError::NotABackup {
        path: path.to_owned(),
        why,
    };
    let mut entry = first
        .ok_or_else(|| not_a_backup("it is empty".to_owned()))?
        .map_err(|e| BackupError::damaged(MANIFEST, e))?;
    if entry.path_bytes().as_ref() != MANIFEST.as_bytes() || entry.size() > MANIFEST_BYTES {
        return Err(not_a_backup(format!("its first entry is no {MANIFEST}")));
    }
    let (bytes, listed) = in_memory(&mut entry, MANIFEST)?;
    // A newer format may have other fields, so its number is read alone.
    let value: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|e| not_a_backup(format!("its {MANIFEST} cannot be read: {e}")))?;
    let format = value["format"].as_u64().unwrap_or(0);
    if format > u64::from(FORMAT) {
        return Err(BackupError::NewerFormat {
            found: u32::try_from(format).unwrap_or(u32::MAX),
            faq: value["faq"].as_str().unwrap_or("of a later version").into(),
        });
    }
    let manifest: Manifest = serde_json::from_value(value)
        .map_err(|e| not_a_backup(format!("its {MANIFEST} cannot be read: {e}")))?;
    if manifest.format == 0 {
        return Err(not_a_backup(format!("its {MANIFEST} has no format")));
    }
    Ok((manifest, listed))
}

/// Whether the key that the data was sealed under is at hand; another one is an error.
fn check_key(manifest: &Manifest, config: &Config) -> Result<Option<bool>, BackupError> {
    let Some(sealed) = &manifest.master_key_id else {
        return Ok(None);
    };
    let sealed: KeyId = sealed
        .parse()
        .map_err(|e| BackupError::damaged(MANIFEST, e))?;
    match keys::master_at_hand(config)? {
        Some(master) => {
            keys::expect(&master, sealed)?;
            Ok(Some(true))
        }
        None => Ok(Some(false)),
    }
}

/// Reads a short entry. Its size was checked.
fn in_memory(entry: &mut Entry<'_>, name: &str) -> Result<(Vec<u8>, Listed), BackupError> {
    check_kind(entry, name)?;
    let bytes = entry.size();
    let mut content = Vec::new();
    entry
        .read_to_end(&mut content)
        .map_err(|e| BackupError::damaged(name, e))?;
    if content.len() as u64 != bytes {
        return Err(BackupError::damaged(name, "it is cut off"));
    }
    let listed = Listed {
        name: name.to_owned(),
        bytes,
        sha256: hex(&Sha256::digest(&content)),
    };
    Ok((content, listed))
}

fn check_kind(entry: &Entry<'_>, name: &str) -> Result<(), BackupError> {
    if entry.header().entry_type() == tar::EntryType::Regular {
        return Ok(());
    }
    Err(BackupError::damaged(
        name,
        "it is no file, and a backup holds nothing else",
    ))
}

/// What has come out of the archive so far.
struct Unpacked {
    /// The data folder to be.
    data: PathBuf,
    listed: Vec<Listed>,
    items: Vec<Item>,
    names: HashSet<String>,
    /// Whether the index has come, and agreed.
    is_whole: bool,
}

impl Unpacked {
    fn last(&self) -> &str {
        self.listed.last().map_or(MANIFEST, |l| l.name.as_str())
    }

    fn take(
        &mut self,
        entry: io::Result<Entry<'_>>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), BackupError> {
        let mut entry =
            entry.map_err(|e| BackupError::damaged(&format!("what follows {}", self.last()), e))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if self.is_whole {
            return Err(BackupError::damaged(&shown(&name), "it follows the index"));
        }
        if name == INDEX {
            return self.compare(&mut entry);
        }
        let Some(item) = Item::of(&name) else {
            return Err(BackupError::damaged(
                &shown(&name),
                "no backup holds an entry of that name",
            ));
        };
        check_kind(&entry, &name)?;
        if !self.names.insert(name.clone()) {
            return Err(BackupError::damaged(&name, "it is there twice"));
        }
        if !matches!(item, Item::Blob { .. }) {
            tell(&name);
        }
        let path = item.path(&self.data);
        let listed = unpack(&mut entry, name, &path)?;
        self.listed.push(listed);
        self.items.push(item);
        Ok(())
    }

    fn compare(&mut self, entry: &mut Entry<'_>) -> Result<(), BackupError> {
        if entry.size() > LISTED_BYTES * (self.listed.len() as u64 + 1) {
            return Err(BackupError::damaged(INDEX, "it is longer than it can be"));
        }
        let (bytes, _) = in_memory(entry, INDEX)?;
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|e| BackupError::damaged(INDEX, e))?;
        for (i, found) in self.listed.iter().enumerate() {
            if index.entries.get(i) != Some(found) {
                return Err(BackupError::damaged(
                    &found.name,
                    "it is not what the index says",
                ));
            }
        }
        if let Some(missing) = index.entries.get(self.listed.len()) {
            return Err(BackupError::damaged(&shown(&missing.name), "it is missing"));
        }
        self.is_whole = true;
        Ok(())
    }

    /// Brings names to the disk; the files are there.
    fn sync(&self) -> Result<(), BackupError> {
        let mut dirs = HashSet::from([self.data.clone()]);
        for item in &self.items {
            let path = item.path(&self.data);
            dirs.extend(
                path.ancestors()
                    .skip(1)
                    .take_while(|dir| dir.starts_with(&self.data))
                    .map(Path::to_owned),
            );
        }
        dirs.iter().try_for_each(|dir| sync_dir(dir))
    }
}

/// A name from the file, as it may be shown.
fn shown(name: &str) -> String {
    format!("{:?}", name.chars().take(200).collect::<String>())
}

fn unpack(entry: &mut Entry<'_>, name: String, path: &Path) -> Result<Listed, BackupError> {
    let dir = parent(path);
    make_dir(dir)?;
    let bytes = entry.size();
    let free = fs4::available_space(dir).map_err(BackupError::io("ask for space in", dir))?;
    if bytes > free {
        return Err(BackupError::NoSpace {
            entry: name,
            bytes,
            path: dir.to_owned(),
            free,
        });
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(BackupError::io("write", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut written = 0;
    loop {
        let read = entry
            .read(&mut buffer)
            .map_err(|e| BackupError::damaged(&name, e))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        file.write_all(&buffer[..read])
            .map_err(BackupError::io("write", path))?;
        written += read as u64;
    }
    if written != bytes {
        return Err(BackupError::damaged(&name, "it is cut off"));
    }
    file.sync_all().map_err(BackupError::io("write", path))?;
    Ok(Listed {
        name,
        bytes,
        sha256: hex(&hash.finalize()),
    })
}

/// The rest of the stream, which has to be there: the checksum of the whole stands behind it.
fn end(tar: Tar, unpacked: &Unpacked) -> Result<(), BackupError> {
    let entry = format!("what follows {}", unpacked.last());
    if !unpacked.is_whole {
        return Err(BackupError::damaged(INDEX, "it is missing"));
    }
    let mut gzip = tar.into_inner();
    let tail = io::copy(&mut (&mut gzip).take(TAIL_BYTES), &mut io::sink())
        .map_err(|e| BackupError::damaged(&entry, e))?;
    let mut rest = gzip.into_inner();
    let after = rest
        .fill_buf()
        .map_err(|e| BackupError::damaged(&entry, e))?;
    if tail == TAIL_BYTES || !after.is_empty() {
        return Err(BackupError::damaged(
            &entry,
            "there is more than there can be",
        ));
    }
    Ok(())
}

/// Looks into the stores, and deletes what was deleted while the backup was made.
fn reconcile(unpacked: &Unpacked, restored: &mut Restored) -> Result<(), BackupError> {
    let mut searchable: HashMap<Uuid, HashSet<Uuid>> = HashMap::new();
    for item in &unpacked.items {
        match item {
            Item::Database => {}
            Item::Blob { .. } => restored.blobs += 1,
            Item::Truth { collection } => {
                let ids =
                    faq_core::documents_in_copy(&item.path(&unpacked.data)).map_err(|error| {
                        match error {
                            // The file that the error names is about to be removed.
                            IndexError::Damaged { detail, .. } => {
                                BackupError::damaged(&item.name(), detail)
                            }
                            error => faq_core::Error::from(error).into(),
                        }
                    })?;
                restored.collections += 1;
                restored.documents += ids.len() as u64;
                if let Some(organisation) = organisation_of(collection) {
                    searchable.insert(organisation, ids.into_iter().map(|id| id.0).collect());
                }
            }
        }
    }
    if unpacked.items.contains(&Item::Database) {
        let path = Item::Database.path(&unpacked.data);
        restored.deleted = database::delete_missing(&path, &searchable)? as u64;
    }
    Ok(())
}

/// Folders that only their owner reads.
fn make_dir(dir: &Path) -> Result<(), BackupError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder
        .create(dir)
        .map_err(BackupError::io("make the folder", dir))
}

/// Where the data goes, and the folder aside. Dropped, the latter is removed.
struct Place<'a> {
    target: &'a Path,
    staging: TempDir,
    /// Whether the target is there, empty. It may be a mount, which cannot be renamed over.
    exists: bool,
}

impl<'a> Place<'a> {
    fn new(target: &'a Path) -> Result<Self, BackupError> {
        let exists = match fs::read_dir(target) {
            Ok(mut entries) => {
                if let Some(found) = entries.next() {
                    let found = found.map_err(BackupError::io("read", target))?;
                    return Err(BackupError::NotEmpty {
                        path: target.to_owned(),
                        found: found.file_name().to_string_lossy().into_owned(),
                    });
                }
                true
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(BackupError::io("read", target)(e)),
        };
        let dir = if exists { target } else { parent(target) };
        let staging = tempfile::Builder::new()
            .prefix(".faq-restore-")
            .tempdir_in(dir)
            .map_err(BackupError::io("write in", dir))?;
        Ok(Self {
            target,
            staging,
            exists,
        })
    }

    /// Gives the folder its name, or what is in it where the target is there.
    fn fill(self, data: &Path) -> Result<(), BackupError> {
        if !self.exists {
            fs::rename(data, self.target).map_err(BackupError::io("write", self.target))?;
            return sync_dir(parent(self.target));
        }
        let mut moved = Vec::new();
        // The database last: without it, what a crash leaves here is no server's data.
        for name in ["blobs", "collections", "server.db"] {
            let (from, to) = (data.join(name), self.target.join(name));
            if !from.exists() {
                continue;
            }
            if let Err(e) = fs::rename(&from, &to) {
                for (from, to) in moved {
                    let _back: io::Result<()> = fs::rename::<&PathBuf, &PathBuf>(&to, &from);
                }
                return Err(BackupError::io("write", &to)(e));
            }
            moved.push((from, to));
        }
        sync_dir(self.target)
    }
}

//! What a model remembers after a fixed beginning of prompts, kept in files between processes.
//!
//! A file belongs to one model, one set of kernels and one list of tokens, and holds keys and values
//! bit for bit, so an answer is the same with it and without. One that is cut, changed or foreign is
//! not used and made again; one that cannot be written is not missed. The files are a cache: any
//! may be deleted at any time.
//!
//! ```text
//! "FAQP" version(u32) fingerprint(32) tokens(u32) layers(u32) heads(u32) size(u32)
//! token(u32)* { keys(u16)* values(u16)* } of each head of each layer      crc32(u32)
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::attention::Snapshot;

const MAGIC: [u8; 4] = *b"FAQP";
const VERSION: u32 = 1;

/// Files that are kept at most, and bytes of all; the oldest go first.
const MOST_FILES: usize = 16;
const MOST_BYTES: u64 = 512 << 20;

/// Bytes of a model's file that its fingerprint looks at: its beginning, and stripes of the rest.
const BEGINNING: usize = 1 << 20;
const STRIPES: u64 = 64;
const STRIPE: usize = 4096;

/// The sizes of an attention state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Numbers of a key.
    pub(super) head: usize,
}

/// The files of one model.
#[derive(Debug)]
pub(super) struct Kept {
    dir: PathBuf,
    fingerprint: [u8; 32],
    sizes: Sizes,
}

impl Kept {
    /// The files in `dir` of the model in the file at `model`, which is computed in the way that
    /// `computed` names.
    pub(super) fn new(
        dir: &Path,
        model: &Path,
        computed: &str,
        sizes: Sizes,
    ) -> std::io::Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            fingerprint: fingerprint(model, computed)?,
            sizes,
        })
    }

    /// What was kept after `tokens`.
    pub(super) fn load(&self, tokens: &[u32]) -> Option<Snapshot> {
        let path = self.path(tokens);
        let snapshot = fs::read(&path)
            .ok()
            .and_then(|bytes| self.read(&bytes, tokens));
        tracing::debug!(path = %path.display(), found = snapshot.is_some(), "kept prompt");
        snapshot
    }

    /// Keeps the state after `tokens`, where the directory that holds all files is there.
    pub(super) fn store(&self, tokens: &[u32], snapshot: &Snapshot) {
        if let Err(e) = self.write(tokens, snapshot) {
            tracing::debug!(dir = %self.dir.display(), error = %e, "prompt not kept");
        }
    }

    fn path(&self, tokens: &[u32]) -> PathBuf {
        let mut hasher = Sha256::new();
        hasher.update(self.fingerprint);
        hasher.update(bytemuck::cast_slice::<u32, u8>(tokens));
        let name = crate::hex(&hasher.finalize()[..16]);
        self.dir.join(name).with_extension("prompt")
    }

    fn head(&self, tokens: &[u32]) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend(self.fingerprint);
        let Sizes {
            layers,
            heads,
            head: size,
        } = self.sizes;
        for number in [tokens.len(), layers, heads, size] {
            head.extend((number as u32).to_le_bytes());
        }
        head.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
        head
    }

    fn read(&self, bytes: &[u8], tokens: &[u32]) -> Option<Snapshot> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        let state = body.strip_prefix(self.head(tokens).as_slice())?;
        if crc32fast::hash(body).to_le_bytes() != *sum {
            return None;
        }
        let numbers = state
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]));
        let Sizes {
            layers,
            heads,
            head,
        } = self.sizes;
        (state.len() % 2 == 0)
            .then(|| Snapshot::from_numbers((layers, heads, head), tokens.len(), numbers))
            .flatten()
    }

    fn write(&self, tokens: &[u32], snapshot: &Snapshot) -> std::io::Result<()> {
        let mut bytes = self.head(tokens);
        for numbers in snapshot.numbers() {
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        if bytes.len() as u64 > MOST_BYTES {
            return Ok(());
        }
        // Its parent is not made: who has no data folder yet gets none for a cache.
        match fs::create_dir(&self.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let path = self.path(tokens);
        let part = path.with_extension(format!("{}.part", uuid::Uuid::new_v4()));
        let written = File::create_new(&part)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&part, &path));
        if written.is_err() {
            let _gone = fs::remove_file(&part);
        }
        written?;
        prune(&self.dir, &path)
    }
}

/// Deletes the oldest files beyond what is kept, never `newest`.
fn prune(dir: &Path, newest: &Path) -> std::io::Result<()> {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir)?.flatten() {
        let path = entry.path();
        let ours = path
            .extension()
            .is_some_and(|end| end == "prompt" || end == "part");
        if let (true, Ok(about)) = (ours && path != newest, entry.metadata()) {
            files.push((about.modified()?, about.len(), path));
        }
    }
    files.sort();
    let (mut count, mut bytes) = (1, fs::metadata(newest)?.len());
    for (_, length, path) in files.into_iter().rev() {
        count += 1;
        bytes += length;
        if count > MOST_FILES || bytes > MOST_BYTES {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Tells files of models apart without reading all of them.
pub(super) fn fingerprint(model: &Path, computed: &str) -> std::io::Result<[u8; 32]> {
    use std::io::{Read, Seek, SeekFrom};

    let mut file = File::open(model)?;
    let length = file.metadata()?.len();
    let mut hasher = Sha256::new();
    hasher.update(env!("CARGO_PKG_VERSION"));
    hasher.update([0]);
    hasher.update(computed);
    hasher.update(length.to_le_bytes());
    let mut read = |from: u64, most: usize| -> std::io::Result<()> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&mut file).take(most as u64).read_to_end(&mut bytes)?;
        hasher.update(&bytes);
        Ok(())
    };
    read(0, BEGINNING)?;
    for number in 1..=STRIPES {
        read(length / (STRIPES + 1) * number, STRIPE)?;
    }
    Ok(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::{Kept, MOST_FILES, Sizes};
    use crate::generate::attention::Snapshot;

    const SIZES: Sizes = Sizes {
        layers: 2,
        heads: 1,
        head: 4,
    };

    fn snapshot(tokens: usize, salt: u16) -> Snapshot {
        let numbers = (0_u16..).map(|n| n.wrapping_mul(31).wrapping_add(salt));
        let length = Snapshot::count((2, 1, 4), tokens);
        let numbers: Vec<u16> = numbers.take(length).collect();
        assert!(Snapshot::from_numbers((2, 1, 4), tokens + 16, numbers.iter().copied()).is_none());
        Snapshot::from_numbers((2, 1, 4), tokens, numbers.into_iter()).unwrap()
    }

    fn all(snapshot: &Snapshot) -> Vec<u16> {
        snapshot.numbers().flatten().copied().collect()
    }

    #[test]
    fn what_is_kept_comes_back_to_its_model_alone() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model.gguf");
        fs::write(&model, vec![7; 3 << 20]).unwrap();
        let dir = folder.path().join("prompts");
        let kept = Kept::new(&dir, &model, "AVX2", SIZES).unwrap();
        let tokens = [3, 1, 4, 1, 5];
        assert!(kept.load(&tokens).is_none());
        let state = snapshot(tokens.len(), 9);
        kept.store(&tokens, &state);
        assert_eq!(all(&kept.load(&tokens).unwrap()), all(&state));
        assert!(kept.load(&tokens[..4]).is_none());

        let otherwise = Kept::new(&dir, &model, "AVX-512", SIZES).unwrap();
        assert!(otherwise.load(&tokens).is_none());
        let mut weights = vec![7; 3 << 20];
        weights[2 << 20..].fill(8);
        fs::write(&model, weights).unwrap();
        let other = Kept::new(&dir, &model, "AVX2", SIZES).unwrap();
        assert!(other.load(&tokens).is_none());
        // Even under the other's name.
        fs::rename(kept.path(&tokens), other.path(&tokens)).unwrap();
        assert!(other.load(&tokens).is_none());
    }

    #[test]
    fn a_damaged_file_is_not_used_and_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model.gguf");
        fs::write(&model, b"GGUF").unwrap();
        let kept = Kept::new(&folder.path().join("prompts"), &model, "", SIZES).unwrap();
        let tokens = [1, 2, 3];
        let state = snapshot(3, 1);
        kept.store(&tokens, &state);
        let path = kept.path(&tokens);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            assert!(kept.load(&tokens).is_none(), "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(kept.load(&tokens).is_none(), "{at} bytes");
        }
        kept.store(&tokens, &state);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn few_are_kept_and_no_folder_is_made_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model.gguf");
        fs::write(&model, b"GGUF").unwrap();
        let dir = folder.path().join("prompts");
        let kept = Kept::new(&dir, &model, "", SIZES).unwrap();
        let state = snapshot(2, 5);
        for number in 0..MOST_FILES as u32 + 9 {
            kept.store(&[number, 0], &state);
            assert!(kept.load(&[number, 0]).is_some());
        }
        assert_eq!(fs::read_dir(&dir).unwrap().count(), MOST_FILES);
        let nowhere = folder.path().join("no/prompts");
        let kept = Kept::new(&nowhere, &model, "", SIZES).unwrap();
        kept.store(&[1, 2], &state);
        assert!(!folder.path().join("no").exists());
    }
}

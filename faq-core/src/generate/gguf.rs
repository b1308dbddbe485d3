//! The GGUF container: its metadata, its table of tensors, and their bytes.
//!
//! Every length in the file is checked against what is left of the file before anything is
//! allocated for it, and every tensor's range against the file's end before the first tensor
//! is read: a truncated or hostile file is an error, never an abort. The format is the one of
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.
//! This module knows nothing of what the metadata mean.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, ggml_file};

use super::GenerateError;

const MAGIC: [u8; 4] = *b"GGUF";
const MAX_ENTRIES: u64 = 1 << 16;
const MAX_KEY_BYTES: u64 = 1 << 16;
const MAX_TEXT_BYTES: u64 = 1 << 20;
const MAX_ARRAY_LEN: u64 = 1 << 22;
const MAX_DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;

/// What is wrong with a file; becomes a [`GenerateError`] once the path is known.
#[derive(Debug)]
pub(super) enum Fault {
    Io(std::io::Error),
    Damaged(String),
    Unsupported(String),
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> GenerateError {
        let path = path.to_owned();
        match self {
            // The file ended before what it announces.
            Self::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                GenerateError::Damaged {
                    path,
                    detail: "it ends too early".into(),
                }
            }
            Self::Io(source) => GenerateError::Io { path, source },
            Self::Damaged(detail) => GenerateError::Damaged { path, detail },
            Self::Unsupported(detail) => GenerateError::Unsupported { path, detail },
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

/// A metadata value. Integers of all widths are one kind, as writers do not agree on them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Int(i128),
    Float(f64),
    Bool(bool),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

#[derive(Debug, Clone)]
struct TensorEntry {
    dtype: GgmlDType,
    /// Outermost dimension first.
    shape: Vec<usize>,
    /// From the start of the file.
    start: u64,
    bytes: usize,
}

/// Where the bytes of a tensor are.
#[derive(Debug, Clone, Copy)]
pub(super) struct TensorBytes<'a> {
    file: &'a File,
    /// From the start of the file.
    start: u64,
    len: usize,
}

impl TensorBytes<'_> {
    pub(super) fn len(self) -> usize {
        self.len
    }

    /// Reads the bytes from `at` on that fill `out`.
    pub(super) fn read(self, at: usize, out: &mut [u8]) -> std::io::Result<()> {
        let inside = at.checked_add(out.len()).is_some_and(|end| end <= self.len);
        if !inside {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        read_at(self.file, self.start + at as u64, out)
    }
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, out: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut at: u64, mut out: &mut [u8]) -> std::io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, at)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => {
                out = &mut out[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}

/// An open GGUF file whose header was found to be consistent.
#[derive(Debug)]
pub(super) struct Gguf {
    path: PathBuf,
    file: File,
    metadata: BTreeMap<String, Value>,
    tensors: HashMap<String, TensorEntry>,
}

impl Gguf {
    /// Opens `path` and reads everything but the tensors' bytes.
    pub(super) fn open(path: &Path) -> Result<Self, GenerateError> {
        Self::parse(path).map_err(|fault| fault.at(path))
    }

    fn parse(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path)?;
        let attributes = file.metadata()?;
        if !attributes.is_file() {
            return Err(Fault::Damaged("it is no file".into()));
        }
        let mut header = Header {
            reader: BufReader::with_capacity(1 << 16, file),
            position: 0,
            length: attributes.len(),
        };
        if header.length < 8 || header.array::<4>()? != MAGIC {
            return Err(Fault::Damaged("it does not begin with \"GGUF\"".into()));
        }
        match header.u32()? {
            2 | 3 => {}
            version if version.swap_bytes() <= 3 => {
                return Err(Fault::Unsupported("it is a big-endian GGUF".into()));
            }
            version => return Err(Fault::Unsupported(format!("GGUF version {version}"))),
        }
        let tensor_count = header.count("tensors", MAX_ENTRIES)?;
        let entry_count = header.count("metadata entries", MAX_ENTRIES)?;
        let mut metadata = BTreeMap::new();
        for _ in 0..entry_count {
            let key = header.text(MAX_KEY_BYTES)?;
            let kind = header.u32()?;
            let value = header.value(kind, &key)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(Fault::Damaged(format!("{key:?} stands in it twice")));
            }
        }
        let alignment = match metadata.get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(Value::Int(n)) if *n > 0 && *n <= 1 << 20 && n.count_ones() == 1 => *n as u64,
            Some(other) => return Err(Fault::Damaged(format!("its alignment is {other:?}"))),
        };
        let mut tensors = HashMap::new();
        for _ in 0..tensor_count {
            let (name, entry) = header.tensor()?;
            if tensors.contains_key(&name) {
                return Err(Fault::Damaged(format!(
                    "tensor {name:?} stands in it twice"
                )));
            }
            tensors.insert(name, entry);
        }
        let base = header.position.next_multiple_of(alignment);
        for (name, entry) in &mut tensors {
            let end = base
                .checked_add(entry.start)
                .and_then(|start| start.checked_add(entry.bytes as u64));
            match end {
                Some(end) if end <= header.length => entry.start += base,
                _ => {
                    return Err(Fault::Damaged(format!(
                        "tensor {name:?} ends behind the file's {} bytes, so the file is cut off",
                        header.length
                    )));
                }
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file: header.reader.into_inner(),
            metadata,
            tensors,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_kind(key, "a text")),
        }
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<&[String]>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Texts(texts)) => Ok(Some(texts)),
            Some(_) => Err(wrong_kind(key, "a list of texts")),
        }
    }

    pub(super) fn ints(&self, key: &str) -> Result<Option<&[i64]>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Ints(ints)) => Ok(Some(ints)),
            Some(_) => Err(wrong_kind(key, "a list of integers")),
        }
    }

    pub(super) fn floats_of(&self, key: &str) -> Result<Option<&[f64]>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Floats(floats)) => Ok(Some(floats)),
            Some(_) => Err(wrong_kind(key, "a list of numbers")),
        }
    }

    /// A count or an index.
    pub(super) fn size(&self, key: &str) -> Result<Option<usize>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Int(n)) => usize::try_from(*n)
                .ok()
                .filter(|n| u32::try_from(*n).is_ok())
                .map(Some)
                .ok_or_else(|| wrong_kind(key, "a number of 32 bits")),
            Some(_) => Err(wrong_kind(key, "a whole number")),
        }
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Float(x)) if x.is_finite() => Ok(Some(*x)),
            Some(_) => Err(wrong_kind(key, "a finite number")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(*b)),
            Some(_) => Err(wrong_kind(key, "true or false")),
        }
    }

    /// Shape of a tensor, outermost dimension first.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Number of weights in all tensors.
    pub(super) fn weights(&self) -> usize {
        let tensors = self.tensors.values();
        tensors
            .map(|entry| entry.shape.iter().product::<usize>())
            .sum()
    }

    /// The type of a tensor, which must have `shape`.
    pub(super) fn expect(&self, name: &str, shape: &[usize]) -> Result<GgmlDType, Fault> {
        let Some(entry) = self.tensors.get(name) else {
            return Err(Fault::Damaged(format!("it has no tensor {name:?}")));
        };
        if entry.shape != shape {
            return Err(Fault::Damaged(format!(
                "tensor {name:?} has the shape {:?} where the model needs {shape:?}",
                entry.shape
            )));
        }
        Ok(entry.dtype)
    }

    /// The bytes of a tensor, to be read in pieces and by several threads.
    pub(super) fn tensor(&self, name: &str) -> Result<TensorBytes<'_>, Fault> {
        let Some(entry) = self.tensors.get(name) else {
            return Err(Fault::Damaged(format!("it has no tensor {name:?}")));
        };
        Ok(TensorBytes {
            file: &self.file,
            start: entry.start,
            len: entry.bytes,
        })
    }

    /// The numbers of a vector, which must have `length`.
    pub(super) fn floats(&self, name: &str, length: usize) -> Result<Vec<f32>, Fault> {
        let dtype = self.expect(name, &[length])?;
        let bytes = self.tensor(name)?;
        let mut words = vec![0_u64; bytes.len.div_ceil(8)];
        let piece = &mut bytemuck::cast_slice_mut(&mut words)[..bytes.len];
        bytes.read(0, piece)?;
        let floats = ggml_file::qtensor_from_ggml(dtype, piece, vec![length], &Device::Cpu)
            .and_then(|tensor| tensor.dequantize(&Device::Cpu)?.to_vec1())
            .map_err(|e| Fault::Unsupported(format!("tensor {name:?}: {e}")))?;
        Ok(floats)
    }
}

fn wrong_kind(key: &str, wanted: &str) -> Fault {
    Fault::Damaged(format!("its {key:?} is not {wanted}"))
}

/// Reads forward, and knows how much is left.
struct Header {
    reader: BufReader<File>,
    position: u64,
    length: u64,
}

impl Header {
    fn left(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn count(&mut self, what: &str, most: u64) -> Result<u64, Fault> {
        let count = self.u64()?;
        if count > most || count > self.left() {
            return Err(Fault::Damaged(format!("it announces {count} {what}")));
        }
        Ok(count)
    }

    fn text(&mut self, most: u64) -> Result<String, Fault> {
        let length = self.count("bytes of text", most)?;
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes)?;
        self.position += length;
        // Some writers end texts with NUL, and a few tokens of old files are no UTF-8.
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        })
    }

    fn value(&mut self, kind: u32, key: &str) -> Result<Value, Fault> {
        Ok(match kind {
            6 | 12 => Value::Float(self.float(kind)?),
            7 => match self.array::<1>()?[0] {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => {
                    return Err(Fault::Damaged(format!("its {key:?} is the bool {other}")));
                }
            },
            8 => Value::Text(self.text(MAX_TEXT_BYTES)?),
            9 => self.list(key)?,
            _ => Value::Int(self.int(kind)?),
        })
    }

    fn list(&mut self, key: &str) -> Result<Value, Fault> {
        let kind = self.u32()?;
        let length = self.count("list items", MAX_ARRAY_LEN)?;
        // `count` saw that the file holds at least a byte an item; the lists then grow with
        // what is really there.
        Ok(match kind {
            6 | 12 => {
                let mut items = Vec::new();
                for _ in 0..length {
                    items.push(self.float(kind)?);
                }
                Value::Floats(items)
            }
            8 => {
                let mut items = Vec::new();
                for _ in 0..length {
                    items.push(self.text(MAX_TEXT_BYTES)?);
                }
                Value::Texts(items)
            }
            9 => return Err(Fault::Unsupported(format!("{key:?} is a list of lists"))),
            _ => {
                let kind = if kind == 7 { 0 } else { kind };
                let mut items = Vec::new();
                for _ in 0..length {
                    let item = self.int(kind)?;
                    items.push(
                        i64::try_from(item).map_err(|_| {
                            Fault::Damaged(format!("{key:?} holds the number {item}"))
                        })?,
                    );
                }
                Value::Ints(items)
            }
        })
    }

    fn float(&mut self, kind: u32) -> Result<f64, Fault> {
        Ok(if kind == 6 {
            f64::from(f32::from_le_bytes(self.array()?))
        } else {
            f64::from_le_bytes(self.array()?)
        })
    }

    fn int(&mut self, kind: u32) -> Result<i128, Fault> {
        Ok(match kind {
            0 => u8::from_le_bytes(self.array()?).into(),
            1 => i8::from_le_bytes(self.array()?).into(),
            2 => u16::from_le_bytes(self.array()?).into(),
            3 => i16::from_le_bytes(self.array()?).into(),
            4 => u32::from_le_bytes(self.array()?).into(),
            5 => i32::from_le_bytes(self.array()?).into(),
            10 => u64::from_le_bytes(self.array()?).into(),
            11 => i64::from_le_bytes(self.array()?).into(),
            other => return Err(Fault::Damaged(format!("it holds a value of kind {other}"))),
        })
    }

    /// One line of the table; `start` still counts from the first tensor.
    fn tensor(&mut self) -> Result<(String, TensorEntry), Fault> {
        let name = self.text(MAX_KEY_BYTES)?;
        let dimensions = self.u32()?;
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(Fault::Damaged(format!(
                "tensor {name:?} has {dimensions} dimensions"
            )));
        }
        let mut shape = Vec::new();
        let mut elements: u64 = 1;
        for _ in 0..dimensions {
            let length = self.u64()?;
            elements = elements
                .checked_mul(length)
                .filter(|n| *n > 0 && *n <= self.length.saturating_mul(8))
                .ok_or_else(|| {
                    Fault::Damaged(format!("tensor {name:?} is larger than the file"))
                })?;
            shape.push(length as usize);
        }
        let kind = self.u32()?;
        let dtype = dtype(kind).ok_or_else(|| {
            Fault::Unsupported(format!("tensor {name:?} has the unknown type {kind}"))
        })?;
        let block = dtype.block_size();
        if !shape[0].is_multiple_of(block) {
            return Err(Fault::Damaged(format!(
                "tensor {name:?} has rows of {} where its type needs multiples of {block}",
                shape[0]
            )));
        }
        shape.reverse();
        let entry = TensorEntry {
            dtype,
            shape,
            start: self.u64()?,
            bytes: elements as usize / block * dtype.type_size(),
        };
        Ok((name, entry))
    }
}

/// The types of ggml that weights may have.
fn dtype(kind: u32) -> Option<GgmlDType> {
    Some(match kind {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

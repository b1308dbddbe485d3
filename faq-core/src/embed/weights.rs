//! The tensors of a safetensors file, which stays mapped into memory.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use super::EmbedError;

/// A mapped file.
pub(super) struct WeightFile(Arc<Mmap>);

/// The tensors of a file, below a common head of their names.
pub(super) struct Weights<'a> {
    file: &'a WeightFile,
    tensors: SafeTensors<'a>,
    head: &'static str,
}

/// Numbers that are read where the file has them, or kept apart where it has them in another type.
pub(super) enum Floats {
    Mapped {
        file: Arc<Mmap>,
        bytes: Range<usize>,
    },
    Own(Vec<f32>),
}

impl WeightFile {
    pub(super) fn open(path: &Path) -> Result<Self, EmbedError> {
        let failed = |source| EmbedError::Io {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(failed)?;
        // SAFETY: the map is only read. A model file that is changed in place while it is in use
        // gives other numbers, or ends the process where it is cut short; the store of models
        // replaces files whole, under their name, which leaves the map as it is.
        #[allow(unsafe_code, reason = "a file is mapped into memory")]
        let map = unsafe { Mmap::map(&file) };
        Ok(Self(Arc::new(map.map_err(failed)?)))
    }

    /// CRC-32 of the whole file.
    pub(super) fn checksum(&self) -> u32 {
        crc32fast::hash(&self.0)
    }

    /// The tensors of the file.
    pub(super) fn weights(&self) -> Result<Weights<'_>, String> {
        Ok(Weights {
            file: self,
            tensors: SafeTensors::deserialize(&self.0).map_err(|e| e.to_string())?,
            head: "",
        })
    }
}

impl Weights<'_> {
    /// The same tensors, their names being looked up below `head`.
    pub(super) fn below(&mut self, head: &'static str) {
        self.head = head;
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.tensor(&format!("{}{name}", self.head)).is_ok()
    }

    /// A tensor of this shape, row after row.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        self.floats(name, shape).map(|floats| match floats {
            Floats::Own(values) => values,
            Floats::Mapped { .. } => floats.as_slice().to_vec(),
        })
    }

    /// A tensor of this shape, row after row, left in the file where it can be.
    pub(super) fn floats(&self, name: &str, shape: &[usize]) -> Result<Floats, String> {
        let name = format!("{}{name}", self.head);
        let view = self.tensors.tensor(&name).map_err(|e| e.to_string())?;
        if view.shape() != shape {
            return Err(format!(
                "tensor {name:?} has the shape {:?}, and the configuration asks for {shape:?}",
                view.shape()
            ));
        }
        let data = view.data();
        let floats = match view.dtype() {
            Dtype::F32
                if cfg!(target_endian = "little")
                    && bytemuck::try_cast_slice::<u8, f32>(data).is_ok() =>
            {
                let from = data.as_ptr().addr() - self.file.0.as_ptr().addr();
                Floats::Mapped {
                    file: Arc::clone(&self.file.0),
                    bytes: from..from + data.len(),
                }
            }
            Dtype::F32 => Floats::Own(parts(data, f32::from_le_bytes)),
            Dtype::F16 => Floats::Own(parts(data, |b| half::f16::from_le_bytes(b).to_f32())),
            Dtype::BF16 => Floats::Own(parts(data, |b| half::bf16::from_le_bytes(b).to_f32())),
            other => return Err(format!("tensor {name:?} is of the type {other:?}")),
        };
        // By blocks, each of which is looked at whole: that takes vector instructions.
        let finite = |block: &[f32]| block.iter().fold(true, |all, x| all & x.is_finite());
        if floats.as_slice().chunks(4096).all(finite) {
            Ok(floats)
        } else {
            Err(format!("tensor {name:?} has a number that is not finite"))
        }
    }
}

fn parts<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|b| number(*b)).collect()
}

impl Floats {
    /// The numbers.
    pub(super) fn as_slice(&self) -> &[f32] {
        match self {
            Self::Own(values) => values,
            Self::Mapped { file, bytes } => bytemuck::cast_slice(&file[bytes.clone()]),
        }
    }
}

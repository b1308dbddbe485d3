//! A matrix of weights in the order of the kernels, and products with it on all threads.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor, ggml_file};
use memmap2::MmapMut;

use super::gguf::{Fault, Gguf, TensorBytes};
use super::kernels::{Activations, Kernels, LANES, Layout, Output, Rows};
use super::pool::Pool;

/// Bytes of a file that a thread takes at once while a matrix is loaded: what it reads is still in
/// its cache when it is put in order.
const PIECE: usize = 256 << 10;

/// Pieces that each thread gets of a product, so that a slow one holds the others up little.
const PIECES: usize = 12;

/// Weights `[rows, columns]`, as quantised as the file has them.
pub(super) struct Matrix {
    layout: Layout,
    rows: usize,
    columns: usize,
    panels: MmapMut,
}

/// What a product reads: rows as floats, and the same rounded to codes, which is asked for where
/// a matrix is quantised.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) codes: &'a Activations,
}

impl Matrix {
    /// Reads the tensor `name`, which must have the shape `[rows, columns]`.
    pub(super) fn load(
        gguf: &Gguf,
        name: &str,
        [rows, columns]: [usize; 2],
        pool: &Pool,
    ) -> Result<Self, Fault> {
        let dtype = gguf.expect(name, &[rows, columns])?;
        // Types that no kernel reads are few bits wide; in eight they lose nearly nothing.
        let layout = Layout::of(dtype).unwrap_or(Layout::Q8_0);
        Self::load_as(gguf, name, [rows, columns], layout, pool)
    }

    /// As [`Matrix::load`], rewritten into `layout`.
    pub(super) fn load_as(
        gguf: &Gguf,
        name: &str,
        [rows, columns]: [usize; 2],
        layout: Layout,
        pool: &Pool,
    ) -> Result<Self, Fault> {
        let dtype = gguf.expect(name, &[rows, columns])?;
        let panel = layout.panel_bytes(columns);
        let mut panels = zeros(rows.div_ceil(LANES) * panel)?;
        let tensor = gguf.tensor(name)?;
        let row = columns / dtype.block_size() * dtype.type_size();
        let at_once = (PIECE / (LANES * row)).max(1);
        let failed = Mutex::new(None);
        pool.chunks(&mut panels, at_once * panel, &|number, panels| {
            let rows = Taken {
                tensor,
                dtype,
                from: number * at_once * LANES,
                columns,
            };
            if let Err(fault) = rows.pack(layout, row, panels) {
                let fault = match fault {
                    Fault::Unsupported(e) => Fault::Unsupported(format!("tensor {name:?}: {e}")),
                    other => other,
                };
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            }
        });
        if let Some(fault) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(fault);
        }
        Ok(Self {
            layout,
            rows,
            columns,
            panels,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether products with it read codes.
    pub(super) fn is_quantised(&self) -> bool {
        !self.layout.is_float()
    }

    /// The weights of one row, which must exist.
    pub(super) fn open_row(&self, kernels: &Kernels, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.columns);
        kernels.open_row(self.layout, &self.panels, row, out);
    }

    /// Panels of a piece.
    fn piece(&self, threads: usize) -> usize {
        (self.rows.div_ceil(LANES) / (threads * PIECES)).max(1)
    }
}

thread_local! {
    /// Room for what is read, on a boundary of eight.
    static READ: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Rows of a tensor that a thread loads.
struct Taken<'a> {
    tensor: TensorBytes<'a>,
    dtype: GgmlDType,
    from: usize,
    columns: usize,
}

impl Taken<'_> {
    /// Fills `panels`; a row has `row` bytes in the file.
    fn pack(&self, layout: Layout, row: usize, panels: &mut [u8]) -> Result<(), Fault> {
        let (columns, of_panel) = (self.columns, layout.panel_bytes(self.columns));
        let start = self.from * row;
        let bytes = (panels.len() / of_panel * LANES * row).min(self.tensor.len() - start);
        let mut room = READ.take();
        room.resize(bytes.div_ceil(8), 0);
        let read = &mut bytemuck::cast_slice_mut(&mut room)[..bytes];
        self.tensor.read(start, read)?;
        let fitting = if Layout::of(self.dtype) == Some(layout) {
            Cow::Borrowed(&*read)
        } else {
            let fitting = rewritten(self.dtype, read, [bytes / row, columns], layout);
            Cow::Owned(fitting.map_err(|e| Fault::Unsupported(e.to_string()))?)
        };
        let rows = fitting.chunks(LANES * layout.row_bytes(columns));
        for (rows, panel) in rows.zip(panels.chunks_exact_mut(of_panel)) {
            layout.pack(rows, columns, panel);
        }
        READ.set(room);
        Ok(())
    }
}

/// Zeros in pages as large as the system has them: weights are read from end to end for each
/// token, and the fewer the pages, the less is spent on finding them.
fn zeros(bytes: usize) -> Result<MmapMut, Fault> {
    let zeros = MmapMut::map_anon(bytes.max(1))?;
    #[cfg(target_os = "linux")]
    if let Err(e) = zeros.advise(memmap2::Advice::HugePage) {
        tracing::debug!(error = %e, "no huge pages");
    }
    Ok(zeros)
}

/// Rows of another type, as `Q8_0` or as floats.
fn rewritten(
    dtype: GgmlDType,
    bytes: &[u8],
    shape: [usize; 2],
    layout: Layout,
) -> candle_core::Result<Vec<u8>> {
    let tensor = ggml_file::qtensor_from_ggml(dtype, bytes, shape.to_vec(), &Device::Cpu)?;
    let floats = tensor.dequantize(&Device::Cpu)?;
    let dtype = match layout {
        Layout::F32 => GgmlDType::F32,
        _ => GgmlDType::Q8_0,
    };
    Ok(QTensor::quantize(&floats, dtype)?.data()?.into_owned())
}

/// Multiplies `input` with several matrices of its width, and puts the results of each token side
/// by side: `out` is `[tokens, sum of rows]`.
///
/// # Panics
/// Where shapes do not fit.
pub(super) fn multiply(
    pool: &Pool,
    kernels: &Kernels,
    matrices: &[Matrix],
    input: Input<'_>,
    out: &mut [f32],
) {
    let tokens = input.rows.floats.len().div_ceil(input.rows.pitch.max(1));
    let pitch: usize = matrices.iter().map(|m| m.rows).sum();
    assert_eq!(out.len(), tokens * pitch, "results of {tokens} tokens");
    let mut pieces: Vec<(&Matrix, Range<usize>, usize)> = Vec::new();
    let mut offset = 0;
    for matrix in matrices {
        assert_eq!(matrix.columns, input.rows.width, "columns and activations");
        assert!(!matrix.is_quantised() || input.codes.tokens() == tokens);
        let (all, piece) = (matrix.rows.div_ceil(LANES), matrix.piece(pool.threads()));
        let ranges = (0..all).step_by(piece);
        pieces.extend(ranges.map(|from| (matrix, from..(from + piece).min(all), offset)));
        offset += matrix.rows;
    }
    let out = Results(out.as_mut_ptr());
    pool.run(pieces.len(), &|number| {
        let (matrix, range, offset) = &pieces[number];
        matrix.multiply_panels(kernels, range.clone(), input, &out, *offset, pitch);
    });
}

/// Where all results go; threads write different ones.
struct Results(*mut f32);

#[allow(unsafe_code, reason = "pieces of a product write different results")]
// SAFETY: `multiply` gives each piece, and with it each result, to one thread.
unsafe impl Sync for Results {}

impl Matrix {
    #[allow(unsafe_code, reason = "pieces of a product write different results")]
    fn multiply_panels(
        &self,
        kernels: &Kernels,
        range: Range<usize>,
        input: Input<'_>,
        out: &Results,
        offset: usize,
        pitch: usize,
    ) {
        let (layout, panels) = (self.layout, &self.panels[..]);
        // SAFETY: the results of all tokens and matrices lie within what `multiply` borrows, and
        // the rows of this piece are computed by this call alone.
        unsafe {
            let out = Output {
                at: out.0.add(offset),
                rows: self.rows,
                pitch,
            };
            if self.is_quantised() {
                kernels.multiply(layout, panels, range, input.codes, out);
            } else {
                kernels.multiply_floats(layout, panels, range, input.rows, out);
            }
        }
    }
}

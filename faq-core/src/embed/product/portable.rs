//! Products in plain Rust, for any processor.

use super::super::panels::{BLOCK, LANES, Line, Panels};
use super::{Bytes, Floats, Kernels, Out};

pub(super) const KERNELS: Kernels = Kernels { floats, bytes };

fn floats(rows: usize, job: &Floats<'_>, out: &mut Out<'_>) {
    job.check(rows, out);
    for row in 0..rows {
        let values = &job.rows[row * job.stride..][..job.matrix.steps()];
        each_panel(job.matrix, |panel, lines, width| {
            let mut sums = [0.0f32; LANES];
            for (x, line) in values.iter().zip(lines.chunks(width)) {
                let weights: &[f32; LANES] = bytemuck::cast_ref(&line[0]);
                for (sum, w) in sums.iter_mut().zip(weights) {
                    *sum += x * w;
                }
            }
            if let Some(bias) = job.bias.get(panel * LANES..) {
                for (sum, b) in sums.iter_mut().zip(bias) {
                    *sum += b;
                }
            }
            out.write(job.matrix, row, panel, &sums);
        });
    }
}

fn bytes(rows: usize, job: &Bytes<'_>, out: &mut Out<'_>) {
    job.check(rows, out);
    for row in 0..rows {
        let values = &job.rows[row * job.stride..][..job.matrix.steps() * 4];
        each_panel(job.matrix, |panel, lines, width| {
            let mut sums = [0i32; LANES];
            for (x, line) in values.chunks_exact(4).zip(lines.chunks(width)) {
                let weights: &[[i8; 4]; LANES] = bytemuck::cast_ref(&line[0]);
                for (sum, w) in sums.iter_mut().zip(weights) {
                    *sum += i32::from(x[0]) * i32::from(w[0])
                        + i32::from(x[1]) * i32::from(w[1])
                        + i32::from(x[2]) * i32::from(w[2])
                        + i32::from(x[3]) * i32::from(w[3]);
                }
            }
            out.write(job.matrix, row, panel, &job.values(row, panel, &sums));
        });
    }
}

/// Calls `f` with each panel's number, the lines of its block from its own first one on, and how
/// many lines a step has: every chunk of so many begins with a line of the panel.
fn each_panel(matrix: &Panels, mut f: impl FnMut(usize, &[Line], usize)) {
    for panel in 0..matrix.panels() {
        let block = panel / BLOCK;
        let width = matrix.width(block);
        f(panel, &matrix.block(block)[panel % BLOCK..], width);
    }
}

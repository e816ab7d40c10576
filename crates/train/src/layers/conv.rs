//! A convolution over maps, by columns of patches (im2col), or by the spikes alone where they are few.
//!
//! Invariant: weights are (kernel rows, kernel columns, channels, outputs); rows of the batch are taken in pieces of fixed size, whose
//! gradients are added in order.

use super::{Parameter, Role};
use crate::product::{column_sums, dense_product};
use crate::sparse::{Lists, density, gather};
use crate::tensor::{Shape, Tensor};
use rayon::prelude::*;
use std::slice::from_ref;

/// Activations of up to this density are summed by lists.
const LISTED: f64 = 0.35;
/// Pieces that the rows of a batch are cut into.
const PIECES: usize = 16;

/// A convolution with square kernels.
#[derive(Debug, Clone)]
pub struct Conv {
    /// Map that comes in.
    pub map: Shape,
    /// Channels that go out.
    pub outputs: usize,
    /// Side of the kernels.
    pub kernel: usize,
    /// Places from one patch to the next.
    pub stride: usize,
    /// Places of 0 around the map.
    pub padding: usize,
    /// Shape (kernel, kernel, channels, outputs).
    pub weight: Parameter,
    /// Shape (outputs).
    pub bias: Option<Parameter>,
    sparse: bool,
}

impl Conv {
    /// With the weights (kernel, kernel, channels, outputs) given.
    pub fn new(
        name: &str,
        map: Shape,
        outputs: usize,
        [kernel, stride, padding]: [usize; 3],
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
    ) -> Self {
        assert_eq!(weight.len(), kernel * kernel * map.channels * outputs);
        Conv {
            map,
            outputs,
            kernel,
            stride,
            padding,
            weight: Parameter::new(format!("{name}.weight"), Role::Weight, weight),
            bias: bias.map(|b| Parameter::new(format!("{name}.bias"), Role::Other, b)),
            sparse: false,
        }
    }

    /// Map that goes out.
    pub fn out(&self) -> Shape {
        Shape { channels: self.outputs, ..self.map.windows(self.kernel, self.stride, self.padding) }
    }

    /// Values of a patch.
    fn patch(&self) -> usize {
        self.kernel * self.kernel * self.map.channels
    }

    /// For each place of the result and row and column of the kernel: the place of the map, where it is inside.
    #[inline(always)]
    fn taps(&self, mut visit: impl FnMut(usize, usize, Option<usize>)) {
        let out = self.out();
        for y in 0..out.height {
            for x in 0..out.width {
                for ky in 0..self.kernel {
                    for kx in 0..self.kernel {
                        let row = (y * self.stride + ky).checked_sub(self.padding).filter(|r| *r < self.map.height);
                        let column = (x * self.stride + kx).checked_sub(self.padding).filter(|c| *c < self.map.width);
                        let place = row.zip(column).map(|(r, c)| r * self.map.width + c);
                        visit(y * out.width + x, ky * self.kernel + kx, place);
                    }
                }
            }
        }
    }

    /// The patches of a row of x, (places, patch).
    fn columns(&self, x: &[f32], columns: &mut [f32]) {
        let (c, patch) = (self.map.channels, self.patch());
        self.taps(|place, tap, from| {
            let to = &mut columns[place * patch + tap * c..][..c];
            match from {
                Some(from) => to.copy_from_slice(&x[from * c..][..c]),
                None => to.fill(0.0),
            }
        });
    }

    /// What is not 0 in each patch of a row of x.
    fn lists(&self, x: &[f32]) -> Lists {
        let c = self.map.channels;
        let pixels = Lists::of_rows(x, c, 0.0);
        let places = self.out().places();
        let mut lists = Lists { starts: Vec::with_capacity(places + 1), ..Lists::default() };
        lists.starts.push(0);
        let mut open = 0;
        self.taps(|place, tap, from| {
            if place != open {
                lists.starts.push(lists.index.len() as u32);
                open = place;
            }
            if let Some(from) = from {
                let (index, value) = pixels.list(from);
                lists.index.extend(index.iter().map(|i| (tap * c) as u32 + i));
                lists.value.extend_from_slice(value);
            }
        });
        lists.starts.push(lists.index.len() as u32);
        lists
    }

    pub(super) fn forward(&mut self, x: &Tensor, y: &mut Tensor) {
        let (out, patch, n) = (self.out(), self.patch(), self.outputs);
        y.reshape(x.batch, x.steps, out.len());
        self.sparse = density(&x.data, 0.0) <= LISTED;
        let this = &*self;
        y.data.par_chunks_exact_mut(out.len()).zip(x.data.par_chunks_exact(x.size)).for_each_init(Vec::new, |columns, (y, x)| {
            match &this.bias {
                Some(bias) => y.chunks_exact_mut(n).for_each(|y| y.copy_from_slice(&bias.value)),
                None => y.fill(0.0),
            }
            if this.sparse {
                let lists = this.lists(x);
                gather(from_ref(&(0..patch)), |_, p| lists.list(p), &this.weight.value, n, y);
            } else {
                columns.resize(out.places() * patch, 0.0);
                this.columns(x, columns);
                dense_product([out.places(), patch, n], (columns, [patch, 1]), (&this.weight.value, [n, 1]), 1.0, y);
            }
        });
    }

    pub(super) fn backward(&mut self, x: &Tensor, dy: &Tensor, dx: Option<&mut Tensor>) {
        let (out, patch, n) = (self.out(), self.patch(), self.outputs);
        if let Some(bias) = &mut self.bias {
            bias.gradient = column_sums(&dy.data, n);
        }
        let this = &*self;
        let rows = x.rows().div_ceil(PIECES);
        let piece = |(x, dy): (&[f32], &[f32])| {
            let mut gradient = vec![0f32; patch * n];
            let mut columns = Vec::new();
            for (x, dy) in x.chunks_exact(this.map.len()).zip(dy.chunks_exact(out.len())) {
                if this.sparse {
                    let lists = this.lists(x).transposed(patch, 0);
                    gather(from_ref(&(0..out.places())), |_, i| lists.list(i), dy, n, &mut gradient);
                } else {
                    columns.resize(out.places() * patch, 0.0);
                    this.columns(x, &mut columns);
                    dense_product([patch, out.places(), n], (&columns, [1, patch]), (dy, [n, 1]), 1.0, &mut gradient);
                }
            }
            gradient
        };
        let parts: Vec<Vec<f32>> = x.data.par_chunks(rows * x.size).zip(dy.data.par_chunks(rows * dy.size)).map(piece).collect();
        if let Some(dx) = dx {
            dx.reshape(x.batch, x.steps, x.size);
            dx.data.par_chunks_exact_mut(x.size).zip(dy.data.par_chunks_exact(dy.size)).for_each_init(Vec::new, |columns, (dx, dy)| {
                columns.resize(out.places() * patch, 0.0);
                dense_product([out.places(), n, patch], (dy, [n, 1]), (&this.weight.value, [1, n]), 0.0, columns);
                dx.fill(0.0);
                let c = this.map.channels;
                this.taps(|place, tap, from| {
                    if let Some(from) = from {
                        let column = &columns[place * patch + tap * c..][..c];
                        dx[from * c..][..c].iter_mut().zip(column).for_each(|(dx, d)| *dx += d);
                    }
                });
            });
        }
        let gradient = &mut self.weight.gradient;
        gradient.fill(0.0);
        parts.iter().for_each(|part| gradient.iter_mut().zip(part).for_each(|(g, p)| *g += p));
    }
}

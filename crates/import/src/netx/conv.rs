//! A convolution as explicit synapses.
//!
//! In: a kernel of integers with its stride, padding, dilation and groups, and the shape of what it reads. Out: the rows of a CSR.
//! Invariant: posts ascend within a row; a kernel's zeros are no synapses.
//! Cost: one step for each synapse and each zero of the kernel at each place. Tensors are (channels, rows, columns), row-major.

/// A convolution (a cross-correlation, as in PyTorch: the kernel is not flipped).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conv<'a> {
    /// (output channels, input channels of a group, rows, columns).
    pub kernel: &'a [i16],
    pub shape: [usize; 4],
    /// Of rows and columns, as all pairs here.
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
}

/// Synapses by presynaptic neuron, without delays.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Rows {
    pub offsets: Vec<u32>,
    pub posts: Vec<u32>,
    pub weights: Vec<i16>,
}

impl Conv<'_> {
    /// Shape of the output; `None` where channels, groups and sizes don't go together.
    pub fn output(&self, input: [usize; 3]) -> Option<[usize; 3]> {
        let [outputs, inputs, ..] = self.shape;
        let divides = self.groups > 0 && outputs > 0 && outputs.is_multiple_of(self.groups);
        if !divides
            || inputs.checked_mul(self.groups)? != input[0]
            || self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))? != self.kernel.len()
        {
            return None;
        }
        let size = |axis: usize| {
            let (n, k) = (input[axis + 1], self.shape[axis + 2]);
            let reach = self.dilation[axis].checked_mul(k.checked_sub(1)?)?.checked_add(1)?;
            let padded = self.padding[axis].checked_mul(2)?.checked_add(n)?;
            padded.checked_sub(reach)?.checked_div(self.stride[axis])?.checked_add(1).filter(|_| self.dilation[axis] > 0)
        };
        Some([outputs, size(0)?, size(1)?])
    }

    /// At most as many synapses as this.
    pub fn most_synapses(&self, output: [usize; 3]) -> u64 {
        let set = self.kernel.iter().filter(|w| **w != 0).count() as u64;
        set.saturating_mul(output[1] as u64).saturating_mul(output[2] as u64)
    }

    /// For each place of the input along an axis: the places of the output that see it, ascending, with the place in the kernel.
    fn seen(&self, axis: usize, input: usize, output: usize) -> Vec<Vec<(usize, usize)>> {
        let mut seen = vec![Vec::new(); input];
        for o in 0..output {
            for k in 0..self.shape[axis + 2] {
                let at = (o * self.stride[axis] + k * self.dilation[axis]).checked_sub(self.padding[axis]);
                if let Some(seen) = at.and_then(|at| seen.get_mut(at)) {
                    seen.push((o, k));
                }
            }
        }
        seen
    }

    /// All synapses. `output` is [`Conv::output`] of `input`.
    pub fn expand(&self, input: [usize; 3], output: [usize; 3]) -> Rows {
        let [_, inputs, height, width] = self.shape;
        let (rows, columns) = (self.seen(0, input[1], output[1]), self.seen(1, input[2], output[2]));
        let outputs = output[0] / self.groups;
        let mut out = Rows { offsets: vec![0], ..Rows::default() };
        for channel in 0..input[0] {
            let group = channel / inputs;
            for row in &rows {
                for column in &columns {
                    for o in group * outputs..(group + 1) * outputs {
                        let kernel = &self.kernel[(o * inputs + channel % inputs) * height * width..][..height * width];
                        for &(y, ky) in row {
                            for &(x, kx) in column {
                                let w = kernel[ky * width + kx];
                                if w != 0 {
                                    out.posts.push(((o * output[1] + y) * output[2] + x) as u32);
                                    out.weights.push(w);
                                }
                            }
                        }
                    }
                    out.offsets.push(out.posts.len() as u32);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The sum over a kernel, as a loop over outputs.
    fn plain(c: &Conv, input: [usize; 3], output: [usize; 3], values: &[i64]) -> Vec<i64> {
        let [_, inputs, height, width] = c.shape;
        let mut sums = vec![0; output.iter().product()];
        for (at, sum) in sums.iter_mut().enumerate() {
            let (o, y, x) = (at / (output[1] * output[2]), at / output[2] % output[1], at % output[2]);
            for i in 0..inputs {
                let channel = o / (output[0] / c.groups) * inputs + i;
                for ky in 0..height {
                    for kx in 0..width {
                        let row = (y * c.stride[0] + ky * c.dilation[0]) as isize - c.padding[0] as isize;
                        let column = (x * c.stride[1] + kx * c.dilation[1]) as isize - c.padding[1] as isize;
                        if (0..input[1] as isize).contains(&row) && (0..input[2] as isize).contains(&column) {
                            let value = values[(channel * input[1] + row as usize) * input[2] + column as usize];
                            *sum += value * i64::from(c.kernel[((o * inputs + i) * height + ky) * width + kx]);
                        }
                    }
                }
            }
        }
        sums
    }

    proptest! {
        #[test]
        fn synapses_sum_like_the_kernel(
            size in (1usize..7, 1usize..7),
            kernel in (1usize..4, 1usize..4),
            stride in (1usize..4, 1usize..4),
            padding in (0usize..3, 0usize..3),
            dilation in (1usize..3, 1usize..3),
            channels in (1usize..3, 1usize..3, 1usize..3),
            seed in any::<u32>(),
        ) {
            let (inputs, outputs, groups) = channels;
            let shape = [outputs * groups, inputs, kernel.0, kernel.1];
            let number = |k: usize| (k as i64 * 2654435761 + i64::from(seed)) % 7 - 3;
            let weights: Vec<i16> = (0..shape.iter().product()).map(|k| number(k) as i16).collect();
            let conv = Conv {
                kernel: &weights,
                shape,
                stride: stride.into(),
                padding: padding.into(),
                dilation: dilation.into(),
                groups,
            };
            let input = [inputs * groups, size.0, size.1];
            prop_assume!(conv.output(input).is_some());
            let output = conv.output(input).unwrap();
            let values: Vec<i64> = (0..input.iter().product()).map(|k| number(k + 99)).collect();
            let rows = conv.expand(input, output);
            let mut sums = vec![0; output.iter().product()];
            for (i, value) in values.iter().enumerate() {
                let row = rows.offsets[i] as usize..rows.offsets[i + 1] as usize;
                prop_assert!(rows.posts[row.clone()].is_sorted_by(|a, b| a < b));
                for k in row {
                    sums[rows.posts[k] as usize] += value * i64::from(rows.weights[k]);
                }
            }
            prop_assert_eq!(rows.offsets.len(), values.len() + 1);
            prop_assert!(rows.posts.len() as u64 <= conv.most_synapses(output));
            prop_assert_eq!(sums, plain(&conv, input, output, &values));
        }
    }

    #[test]
    fn sizes_that_do_not_go_together() {
        let kernel = [1i16; 9];
        let conv = Conv { kernel: &kernel, shape: [1, 1, 3, 3], stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 };
        assert_eq!(conv.output([1, 5, 4]), Some([1, 3, 2]));
        assert_eq!(conv.output([2, 5, 4]), None, "channels");
        assert_eq!(conv.output([1, 2, 4]), None, "smaller than the kernel");
        assert_eq!(Conv { stride: [0, 1], ..conv.clone() }.output([1, 5, 4]), None);
        assert_eq!(Conv { dilation: [0, 1], ..conv.clone() }.output([1, 5, 4]), None);
        assert_eq!(Conv { groups: 0, ..conv.clone() }.output([1, 5, 4]), None);
        assert_eq!(Conv { padding: [usize::MAX, 1], ..conv }.output([1, 5, 4]), None);
    }
}

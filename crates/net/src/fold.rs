//! From a chain of linear operators to one sparse affine map.
//!
//! In: the operators of a projection. Out: [`Affine`], y = M x + c in f64, rows by output.
//! Invariant: weights that went through one operator only are exactly those of the file. Nothing is allocated that the
//! file's own arrays don't pay for, up to [`MAX_TERMS`] terms of a product.
//! Cost: linear in the entries, but for two `Linear` in a row (a sparse product).

use crate::elaborate::ElaborateError;
use crate::network::Operator;

/// Most terms that a folded chain may have.
pub const MAX_TERMS: usize = 1 << 28;

/// The matrix of an affine map.
#[derive(Debug, Clone, PartialEq)]
enum Matrix {
    Identity,
    Diagonal(Vec<f64>),
    /// Rows by output, columns ascending; entries may have become zero.
    Rows {
        offsets: Vec<usize>,
        columns: Vec<u32>,
        values: Vec<f64>,
    },
}

/// y = M x + c.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Affine {
    inputs: usize,
    outputs: usize,
    matrix: Matrix,
    /// Empty = all zero.
    constants: Vec<f64>,
}

/// Terms of a folded chain in f32: rows by output, columns ascending, no zeros.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Terms {
    pub offsets: Vec<u32>,
    pub columns: Vec<u32>,
    pub weights: Vec<f32>,
}

/// Product of a shape, `None` where it exceeds u32.
pub(crate) fn product(shape: &[u32]) -> Option<usize> {
    shape.iter().try_fold(1u32, |n, &s| n.checked_mul(s)).map(|n| n as usize)
}

/// Folds `operators` applied to a tensor of `inputs` values, which must give `outputs` values. `projection` is for errors.
pub(crate) fn fold(projection: &str, inputs: usize, outputs: usize, operators: &[Operator]) -> Result<Affine, ElaborateError> {
    let mut map = Affine { inputs, outputs: inputs, matrix: Matrix::Identity, constants: Vec::new() };
    for (position, operator) in operators.iter().enumerate() {
        let place = Place { projection, position, operator };
        match operator {
            Operator::Bias { bias } => {
                place.length(bias.len(), map.outputs)?;
                place.finite(bias)?;
                map.add(bias);
            }
            Operator::Scale { scale } => {
                place.length(scale.len(), map.outputs)?;
                place.finite(scale)?;
                map.scale(scale);
            }
            Operator::Reshape { shape } => place.length(product(shape).unwrap_or(usize::MAX), map.outputs)?,
            Operator::Linear { outputs, inputs, weight } => {
                let (rows, columns) = (*outputs as usize, *inputs as usize);
                place.length(columns, map.outputs)?;
                if rows == 0 || columns == 0 || weight.len() as u64 != rows as u64 * columns as u64 {
                    let projection = projection.to_string();
                    return Err(ElaborateError::WeightCount { projection, operator: position, rows, columns, found: weight.len() });
                }
                place.finite(weight)?;
                map.multiply(rows, weight, MAX_TERMS)
                    .map_err(|_| ElaborateError::TooManyTerms { projection: projection.to_string(), limit: MAX_TERMS })?;
            }
        }
    }
    if map.outputs != outputs {
        return Err(ElaborateError::ChainEnds { projection: projection.to_string(), found: map.outputs, expected: outputs });
    }
    Ok(map)
}

/// Where an operator stands, for errors.
struct Place<'a> {
    projection: &'a str,
    position: usize,
    operator: &'a Operator,
}

impl Place<'_> {
    fn kind(&self) -> &'static str {
        match self.operator {
            Operator::Linear { .. } => "Linear",
            Operator::Bias { .. } => "Bias",
            Operator::Scale { .. } => "Scale",
            Operator::Reshape { .. } => "Reshape",
        }
    }

    fn length(&self, found: usize, expected: usize) -> Result<(), ElaborateError> {
        if found == expected {
            return Ok(());
        }
        let (projection, operator, kind) = (self.projection.to_string(), self.position, self.kind());
        Err(ElaborateError::OperatorShape { projection, operator, kind, found, expected })
    }

    fn finite(&self, values: &[f32]) -> Result<(), ElaborateError> {
        let Some(index) = values.iter().position(|x| !x.is_finite()) else { return Ok(()) };
        let (projection, operator, kind) = (self.projection.to_string(), self.position, self.kind());
        Err(ElaborateError::OperatorNotFinite { projection, operator, kind, index, value: values[index] })
    }
}

/// A product has more terms than its limit.
struct TooManyTerms;

impl Affine {
    fn add(&mut self, bias: &[f32]) {
        if self.constants.is_empty() {
            self.constants = vec![0.0; bias.len()];
        }
        self.constants.iter_mut().zip(bias).for_each(|(c, &b)| *c += b as f64);
    }

    fn scale(&mut self, scale: &[f32]) {
        match &mut self.matrix {
            Matrix::Identity => self.matrix = Matrix::Diagonal(scale.iter().map(|&s| s as f64).collect()),
            Matrix::Diagonal(d) => d.iter_mut().zip(scale).for_each(|(d, &s)| *d *= s as f64),
            Matrix::Rows { offsets, values, .. } => {
                for (row, &s) in scale.iter().enumerate() {
                    values[offsets[row]..offsets[row + 1]].iter_mut().for_each(|v| *v *= s as f64);
                }
            }
        }
        self.constants.iter_mut().zip(scale).for_each(|(c, &s)| *c *= s as f64);
    }

    /// Applies the row-major matrix `weight` of `rows` rows and `self.outputs` columns.
    fn multiply(&mut self, rows: usize, weight: &[f32], limit: usize) -> Result<(), TooManyTerms> {
        let dense = || weight.chunks_exact(self.outputs);
        if !self.constants.is_empty() {
            self.constants = dense().map(|row| row.iter().zip(&self.constants).map(|(&w, &c)| w as f64 * c).sum()).collect();
        }
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        match &self.matrix {
            Matrix::Rows { offsets: before, columns: inner, values: entries } => {
                let mut sums = vec![0.0f64; self.inputs];
                let mut seen = vec![false; self.inputs];
                let mut touched = Vec::new();
                for row in dense() {
                    for (middle, &w) in row.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                        for k in before[middle]..before[middle + 1] {
                            let column = inner[k];
                            if !std::mem::replace(&mut seen[column as usize], true) {
                                touched.push(column);
                            }
                            sums[column as usize] += w as f64 * entries[k];
                        }
                    }
                    touched.sort_unstable();
                    if columns.len() + touched.len() > limit {
                        return Err(TooManyTerms);
                    }
                    for column in touched.drain(..) {
                        columns.push(column);
                        values.push(std::mem::take(&mut sums[column as usize]));
                        seen[column as usize] = false;
                    }
                    offsets.push(columns.len());
                }
            }
            matrix => {
                for row in dense() {
                    for (column, &w) in row.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                        columns.push(column as u32);
                        values.push(if let Matrix::Diagonal(d) = matrix { w as f64 * d[column] } else { w as f64 });
                    }
                    if columns.len() > limit {
                        return Err(TooManyTerms);
                    }
                    offsets.push(columns.len());
                }
            }
        }
        self.matrix = Matrix::Rows { offsets, columns, values };
        self.outputs = rows;
        Ok(())
    }

    /// The constant of output `row`.
    pub(crate) fn constant(&self, row: usize) -> f64 {
        self.constants.get(row).copied().unwrap_or(0.0)
    }

    /// Rounds every entry to f32 once and drops the zeros. `projection` is for errors.
    pub(crate) fn terms(&self, projection: &str) -> Result<Terms, ElaborateError> {
        let mut terms = Terms { offsets: Vec::with_capacity(self.outputs + 1), columns: Vec::new(), weights: Vec::new() };
        terms.offsets.push(0);
        let put = |terms: &mut Terms, row: usize, column: u32, value: f64| {
            let weight = value as f32;
            if !weight.is_finite() {
                return Err(ElaborateError::FoldedNotFinite { projection: projection.to_string(), post: row, pre: column, value });
            }
            if weight != 0.0 {
                terms.columns.push(column);
                terms.weights.push(weight);
            }
            Ok(())
        };
        for row in 0..self.outputs {
            match &self.matrix {
                Matrix::Identity => put(&mut terms, row, row as u32, 1.0)?,
                Matrix::Diagonal(d) => put(&mut terms, row, row as u32, d[row])?,
                Matrix::Rows { offsets, columns, values } => {
                    for k in offsets[row]..offsets[row + 1] {
                        put(&mut terms, row, columns[k], values[k])?;
                    }
                }
            }
            terms.offsets.push(terms.columns.len() as u32);
        }
        Ok(terms)
    }
}

impl Terms {
    /// The same terms by column: (offsets by column, rows ascending, weights).
    pub(crate) fn by_column(&self, columns: usize) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
        let mut offsets = vec![0u32; columns + 1];
        for &c in &self.columns {
            offsets[c as usize + 1] += 1;
        }
        for c in 0..columns {
            offsets[c + 1] += offsets[c];
        }
        let mut next = offsets.clone();
        let (mut rows, mut weights) = (vec![0u32; self.columns.len()], vec![0f32; self.columns.len()]);
        for row in 0..self.offsets.len() - 1 {
            for k in self.offsets[row] as usize..self.offsets[row + 1] as usize {
                let slot = &mut next[self.columns[k] as usize];
                rows[*slot as usize] = row as u32;
                weights[*slot as usize] = self.weights[k];
                *slot += 1;
            }
        }
        (offsets, rows, weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(outputs: u32, inputs: u32, weight: &[f32]) -> Operator {
        Operator::Linear { outputs, inputs, weight: weight.to_vec() }
    }

    fn dense(terms: &Terms, columns: usize) -> Vec<f32> {
        let mut out = vec![0.0; (terms.offsets.len() - 1) * columns];
        for row in 0..terms.offsets.len() - 1 {
            for k in terms.offsets[row] as usize..terms.offsets[row + 1] as usize {
                out[row * columns + terms.columns[k] as usize] = terms.weights[k];
            }
        }
        out
    }

    #[test]
    fn one_linear_is_exact_and_zeros_are_absent() {
        let weight = [0.1f32, 0.0, -0.0, 3.0e-39, -7.5, f32::MAX];
        let terms = fold("p", 3, 2, &[linear(2, 3, &weight)]).unwrap().terms("p").unwrap();
        assert_eq!(terms.offsets, [0, 1, 4]);
        assert_eq!(terms.columns, [0, 0, 1, 2]);
        assert_eq!(terms.weights, [0.1f32, 3.0e-39, -7.5, f32::MAX]);
    }

    #[test]
    fn scales_before_and_after_round_once() {
        let (s, w, z) = (0.1f32, 0.3f32, 0.7f32);
        let chain = [Operator::Scale { scale: vec![s] }, linear(1, 1, &[w]), Operator::Scale { scale: vec![z] }];
        let terms = fold("p", 1, 1, &chain).unwrap().terms("p").unwrap();
        assert_eq!(terms.weights, [(w as f64 * s as f64 * z as f64) as f32]);
        let zero = [linear(2, 2, &[1.0, 2.0, 3.0, 4.0]), Operator::Scale { scale: vec![0.0, 1.0] }];
        let terms = fold("p", 2, 2, &zero).unwrap().terms("p").unwrap();
        assert_eq!((terms.offsets.as_slice(), terms.weights.as_slice()), ([0, 0, 2].as_slice(), [3.0, 4.0].as_slice()));
    }

    #[test]
    fn products_and_constants() {
        // y = B (A x + a) + b, with a cancelling entry.
        let a = linear(2, 3, &[1.0, 2.0, 0.0, 1.0, 0.0, 4.0]);
        let b = linear(2, 2, &[1.0, -1.0, 2.0, 0.5]);
        let chain = [
            a,
            Operator::Bias { bias: vec![10.0, 20.0] },
            Operator::Reshape { shape: vec![1, 2] },
            b,
            Operator::Bias { bias: vec![0.5, 0.0] },
        ];
        let map = fold("p", 3, 2, &chain).unwrap();
        assert_eq!((map.constant(0), map.constant(1)), (-9.5, 30.0));
        let terms = map.terms("p").unwrap();
        assert_eq!(dense(&terms, 3), [0.0, 2.0, -4.0, 2.5, 4.0, 2.0]);
        assert_eq!(terms.columns, [1, 2, 0, 1, 2], "the entry that cancels is absent");
        let (offsets, rows, weights) = terms.by_column(3);
        assert_eq!((offsets, rows, weights), (vec![0, 1, 3, 5], vec![1, 0, 1, 0, 1], vec![2.5, 2.0, 4.0, -4.0, 2.0]));
    }

    #[test]
    fn an_empty_chain_is_the_identity() {
        let terms = fold("p", 3, 3, &[]).unwrap().terms("p").unwrap();
        assert_eq!(dense(&terms, 3), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(matches!(fold("p", 3, 4, &[]), Err(ElaborateError::ChainEnds { found: 3, expected: 4, .. })));
    }

    #[test]
    fn shapes_and_values_are_checked() {
        let bias = |n| Operator::Bias { bias: vec![0.0; n] };
        assert!(matches!(
            fold("p", 3, 3, &[bias(2)]),
            Err(ElaborateError::OperatorShape { operator: 0, kind: "Bias", found: 2, expected: 3, .. })
        ));
        let reshape = Operator::Reshape { shape: vec![1 << 20, 1 << 20] };
        assert!(matches!(fold("p", 3, 3, &[reshape]), Err(ElaborateError::OperatorShape { kind: "Reshape", .. })));
        assert!(matches!(fold("p", 3, 2, &[linear(2, 3, &[0.0; 5])]), Err(ElaborateError::WeightCount { found: 5, .. })));
        assert!(matches!(fold("p", 3, 0, &[linear(0, 3, &[])]), Err(ElaborateError::WeightCount { rows: 0, .. })));
        let error = fold("fc", 2, 1, &[bias(2), linear(1, 2, &[1.0, f32::INFINITY])]).unwrap_err();
        assert!(matches!(&error, ElaborateError::OperatorNotFinite { operator: 1, index: 1, .. }));
        assert!(error.to_string().contains("fc") && error.to_string().contains("inf"), "{error}");
        let huge = [linear(1, 1, &[f32::MAX]), Operator::Scale { scale: vec![2.0] }];
        assert!(matches!(fold("p", 1, 1, &huge).unwrap().terms("p"), Err(ElaborateError::FoldedNotFinite { .. })));
    }

    #[test]
    fn a_product_of_thin_matrices_is_refused() {
        let ones = [1.0; 8];
        let mut map = fold("p", 8, 1, &[linear(1, 8, &ones)]).unwrap();
        assert!(map.clone().multiply(8, &ones, 64).is_ok());
        assert!(map.multiply(8, &ones, 63).is_err());
    }
}

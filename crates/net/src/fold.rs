//! Folding a chain of linear operators into one affine map.
//!
//! In: the operators of a projection. Out: [`Affine`], y = M x + c in f64, rows by output.
//! Invariant: weights that went through one operator only are exactly those of the file. Nothing is allocated that the
//! file's own arrays don't pay for, up to [`MAX_SYNAPSES`] terms of a product.
//! Cost: linear in the terms, but for two matrices in a row (a sparse product).

use crate::elaborate::ElaborateError;
use crate::network::Operator;
use crate::operators::{Dense, GeometryError, Rows};

/// Most terms that a folded chain may have.
pub const MAX_SYNAPSES: u64 = 1 << 28;

/// The matrix of an affine map.
#[derive(Debug, Clone, PartialEq)]
enum Matrix {
    Identity,
    Diagonal(Vec<f64>),
    /// Rows by output; within a row columns ascend, and of equal columns delays; entries may have become zero.
    Rows {
        offsets: Vec<usize>,
        columns: Vec<u32>,
        /// Network steps of each entry; empty = all 0.
        delays: Vec<u16>,
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
    /// Network steps that every entry has beside its own.
    delay: u32,
}

/// Terms of a folded chain in f32: rows by output, columns ascending, no zeros.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Terms {
    pub offsets: Vec<u32>,
    pub columns: Vec<u32>,
    /// Network steps of each term; empty = all the same.
    pub delays: Vec<u16>,
    pub weights: Vec<f32>,
}

/// Product of a shape, `None` where it exceeds u32.
pub(crate) fn product(shape: &[u32]) -> Option<usize> {
    shape.iter().try_fold(1u32, |n, &s| n.checked_mul(s)).map(|n| n as usize)
}

/// Folds `operators` applied to a tensor of `inputs` values, which must give `outputs` values, in steps of `dt`. `projection` is
/// for errors.
pub(crate) fn fold(projection: &str, inputs: usize, outputs: usize, operators: &[Operator], dt: f64) -> Result<Affine, ElaborateError> {
    let mut map = Affine { inputs, outputs: inputs, matrix: Matrix::Identity, constants: Vec::new(), delay: 0 };
    for (position, operator) in operators.iter().enumerate() {
        let place = Place { projection, position, operator };
        match operator {
            Operator::Bias { bias } => {
                place.length(bias.len(), map.outputs)?;
                place.finite(bias)?;
                map.add(bias.iter().map(|&b| f64::from(b)));
            }
            Operator::Scale { scale } => {
                place.length(scale.len(), map.outputs)?;
                place.finite(scale)?;
                map.scale(|k| f64::from(scale[k]));
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
                place.multiply(&mut map, &Dense { weight, columns })?;
            }
            Operator::Conv(conv) => {
                place.finite(&conv.weight)?;
                place.takes(&conv.input_shape(), &map)?;
                place.multiply(&mut map, &conv.rows().map_err(|e| place.geometry(e))?)?;
            }
            Operator::ConvTranspose(conv) => {
                place.finite(&conv.weight)?;
                place.takes(&conv.input_shape(), &map)?;
                place.multiply(&mut map, &conv.rows().map_err(|e| place.geometry(e))?)?;
            }
            Operator::Pool(pool) => {
                place.takes(&pool.input_shape(), &map)?;
                place.multiply(&mut map, &pool.rows().map_err(|e| place.geometry(e))?)?;
            }
            Operator::Place(part) => {
                place.takes(&part.size, &map)?;
                place.multiply(&mut map, &part.rows().map_err(|e| place.geometry(e))?)?;
            }
            Operator::BatchNorm(norm) => {
                [&norm.weight, &norm.bias, &norm.mean, &norm.variance].into_iter().try_for_each(|v| place.finite(v))?;
                let channels = norm.affine().map_err(|e| place.geometry(e))?;
                if !map.outputs.is_multiple_of(channels.len()) {
                    place.length(map.outputs, channels.len())?;
                }
                if let Some(channel) = channels.iter().position(|(factor, constant)| !(factor.is_finite() && constant.is_finite())) {
                    let (projection, variance) = (projection.to_string(), norm.variance[channel]);
                    return Err(ElaborateError::Variance { projection, operator: position, channel, variance, epsilon: norm.epsilon });
                }
                let each = map.outputs / channels.len();
                map.scale(|k| channels[k / each].0);
                map.add((0..map.outputs).map(|k| channels[k / each].1));
            }
            Operator::Delay { delay } => {
                place.length(delay.len(), map.outputs)?;
                place.finite(delay)?;
                let steps = delay.iter().map(|&d| (f64::from(d) / dt).round_ties_even()).collect::<Vec<f64>>();
                if let Some(index) = steps.iter().position(|s| !(0.0..=f64::from(u16::MAX)).contains(s)) {
                    let (projection, delay) = (projection.to_string(), delay[index]);
                    return Err(ElaborateError::DelayRange { projection, operator: position, index, delay, steps: steps[index] });
                }
                map.wait(&steps.iter().map(|&s| s as u16).collect::<Vec<_>>())
                    .map_err(|steps| ElaborateError::DelayTooLong { projection: projection.to_string(), delay_steps: steps })?;
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
        self.operator.kind()
    }

    fn geometry(&self, error: GeometryError) -> ElaborateError {
        ElaborateError::Geometry { projection: self.projection.to_string(), operator: self.position, kind: self.kind(), error }
    }

    fn takes(&self, shape: &[u32], map: &Affine) -> Result<(), ElaborateError> {
        self.length(product(shape).unwrap_or(usize::MAX), map.outputs)
    }

    fn multiply(&self, map: &mut Affine, rows: &dyn Rows) -> Result<(), ElaborateError> {
        let (projection, limit) = (|| self.projection.to_string(), MAX_SYNAPSES);
        map.multiply(rows, limit).map_err(|TooManyTerms(found)| ElaborateError::TooManyTerms { projection: projection(), found, limit })
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

/// A product has more terms than its limit: at least so many.
#[derive(Debug, PartialEq)]
struct TooManyTerms(u64);

/// Collects the rows of a product.
struct Building {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    delays: Vec<u16>,
    values: Vec<f64>,
}

impl Building {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Building { offsets, columns: Vec::new(), delays: Vec::new(), values: Vec::new() }
    }

    fn end_row(&mut self, limit: u64) -> Result<(), TooManyTerms> {
        self.offsets.push(self.columns.len());
        let found = self.columns.len() as u64;
        if found > limit { Err(TooManyTerms(found)) } else { Ok(()) }
    }

    fn matrix(self) -> Matrix {
        Matrix::Rows { offsets: self.offsets, columns: self.columns, delays: self.delays, values: self.values }
    }
}

impl Affine {
    fn add(&mut self, bias: impl Iterator<Item = f64>) {
        if self.constants.is_empty() {
            self.constants = vec![0.0; self.outputs];
        }
        self.constants.iter_mut().zip(bias).for_each(|(c, b)| *c += b);
    }

    fn scale(&mut self, scale: impl Fn(usize) -> f64) {
        match &mut self.matrix {
            Matrix::Identity => self.matrix = Matrix::Diagonal((0..self.outputs).map(&scale).collect()),
            Matrix::Diagonal(d) => d.iter_mut().enumerate().for_each(|(k, d)| *d *= scale(k)),
            Matrix::Rows { offsets, values, .. } => {
                for row in 0..self.outputs {
                    let s = scale(row);
                    values[offsets[row]..offsets[row + 1]].iter_mut().for_each(|v| *v *= s);
                }
            }
        }
        self.constants.iter_mut().enumerate().for_each(|(k, c)| *c *= scale(k));
    }

    /// Delays value k by `steps[k]`. Errors: the sum of delays that is too long.
    fn wait(&mut self, steps: &[u16]) -> Result<(), u32> {
        let alike = steps.windows(2).all(|w| w[0] == w[1]);
        if alike {
            self.delay = self.delay.saturating_add(steps.first().copied().unwrap_or(0).into());
            return Ok(());
        }
        let (offsets, columns, values) = match std::mem::replace(&mut self.matrix, Matrix::Identity) {
            Matrix::Rows { offsets, columns, delays, values } if !delays.is_empty() => {
                let mut delays = delays;
                for (row, &more) in steps.iter().enumerate() {
                    for d in &mut delays[offsets[row]..offsets[row + 1]] {
                        *d = d.checked_add(more).ok_or(u32::from(*d) + u32::from(more))?;
                    }
                }
                self.matrix = Matrix::Rows { offsets, columns, delays, values };
                return Ok(());
            }
            Matrix::Rows { offsets, columns, values, .. } => (offsets, columns, values),
            diagonal => {
                let values = if let Matrix::Diagonal(d) = diagonal { d } else { vec![1.0; self.outputs] };
                ((0..=self.outputs).collect(), (0..self.outputs as u32).collect(), values)
            }
        };
        let of_row = |(row, &d): (usize, &u16)| std::iter::repeat_n(d, offsets[row + 1] - offsets[row]);
        let delays = steps.iter().enumerate().flat_map(of_row).collect();
        self.matrix = Matrix::Rows { offsets, columns, delays, values };
        Ok(())
    }

    /// Applies the matrix `outer`, whose columns are this map's outputs.
    fn multiply(&mut self, outer: &dyn Rows, limit: u64) -> Result<(), TooManyTerms> {
        let rows = outer.outputs();
        let mut terms = Vec::new();
        if !self.constants.is_empty() {
            let constants = &self.constants;
            self.constants = (0..rows)
                .map(|row| {
                    terms.clear();
                    outer.row(row, &mut terms);
                    terms.iter().map(|&(c, w)| w * constants[c as usize]).sum()
                })
                .collect();
        }
        let mut built = Building::new(rows);
        match &self.matrix {
            Matrix::Rows { offsets: before, columns: inner, delays, values: entries } if delays.is_empty() => {
                let mut sums = vec![0.0f64; self.inputs];
                let mut seen = vec![false; self.inputs];
                let mut touched = Vec::new();
                for row in 0..rows {
                    terms.clear();
                    outer.row(row, &mut terms);
                    for &(middle, w) in &terms {
                        for k in before[middle as usize]..before[middle as usize + 1] {
                            let column = inner[k];
                            if !std::mem::replace(&mut seen[column as usize], true) {
                                touched.push(column);
                            }
                            sums[column as usize] += w * entries[k];
                        }
                    }
                    touched.sort_unstable();
                    for column in touched.drain(..) {
                        built.columns.push(column);
                        built.values.push(std::mem::take(&mut sums[column as usize]));
                        seen[column as usize] = false;
                    }
                    built.end_row(limit)?;
                }
            }
            Matrix::Rows { offsets: before, columns: inner, delays, values: entries } => {
                let mut products: Vec<(u32, u16, f64)> = Vec::new();
                for row in 0..rows {
                    terms.clear();
                    outer.row(row, &mut terms);
                    for &(middle, w) in &terms {
                        let range = before[middle as usize]..before[middle as usize + 1];
                        products.extend(range.map(|k| (inner[k], delays[k], w * entries[k])));
                    }
                    // Stable: equal places are summed in the order of the middle.
                    products.sort_by_key(|&(column, delay, _)| (column, delay));
                    let begin = built.columns.len();
                    for (column, delay, value) in products.drain(..) {
                        let last = built.columns.len();
                        if last > begin && (built.columns[last - 1], built.delays[last - 1]) == (column, delay) {
                            built.values[last - 1] += value;
                        } else {
                            built.columns.push(column);
                            built.delays.push(delay);
                            built.values.push(value);
                        }
                    }
                    built.end_row(limit)?;
                }
            }
            matrix => {
                let found = outer.count();
                if found > limit {
                    return Err(TooManyTerms(found));
                }
                built.columns.reserve_exact(found as usize);
                built.values.reserve_exact(found as usize);
                for row in 0..rows {
                    terms.clear();
                    outer.row(row, &mut terms);
                    built.columns.extend(terms.iter().map(|(c, _)| c));
                    match matrix {
                        Matrix::Diagonal(d) => built.values.extend(terms.iter().map(|&(c, w)| w * d[c as usize])),
                        _ => built.values.extend(terms.iter().map(|(_, w)| w)),
                    }
                    built.end_row(limit)?;
                }
            }
        }
        self.matrix = built.matrix();
        self.outputs = rows;
        Ok(())
    }

    /// Network steps that every term has beside its own.
    pub(crate) fn delay(&self) -> u32 {
        self.delay
    }

    /// The constant of output `row`.
    pub(crate) fn constant(&self, row: usize) -> f64 {
        self.constants.get(row).copied().unwrap_or(0.0)
    }

    /// Rounds every entry to f32 once and drops the zeros. `projection` is for errors.
    pub(crate) fn terms(&self, projection: &str) -> Result<Terms, ElaborateError> {
        let mut terms =
            Terms { offsets: Vec::with_capacity(self.outputs + 1), columns: Vec::new(), delays: Vec::new(), weights: Vec::new() };
        terms.offsets.push(0);
        let put = |terms: &mut Terms, row: usize, column: u32, delay: Option<u16>, value: f64| {
            let weight = value as f32;
            if !weight.is_finite() {
                return Err(ElaborateError::FoldedNotFinite { projection: projection.to_string(), post: row, pre: column, value });
            }
            if weight != 0.0 {
                terms.columns.push(column);
                terms.delays.extend(delay);
                terms.weights.push(weight);
            }
            Ok(())
        };
        for row in 0..self.outputs {
            match &self.matrix {
                Matrix::Identity => put(&mut terms, row, row as u32, None, 1.0)?,
                Matrix::Diagonal(d) => put(&mut terms, row, row as u32, None, d[row])?,
                Matrix::Rows { offsets, columns, delays, values } => {
                    for k in offsets[row]..offsets[row + 1] {
                        put(&mut terms, row, columns[k], delays.get(k).copied(), values[k])?;
                    }
                }
            }
            terms.offsets.push(terms.columns.len() as u32);
        }
        Ok(terms)
    }
}

/// Terms by column.
pub(crate) struct Columns {
    pub offsets: Vec<u32>,
    /// Ascending within a column, and of equal rows by delay.
    pub rows: Vec<u32>,
    pub weights: Vec<f32>,
    /// Empty = all the same.
    pub delays: Vec<u16>,
}

impl Terms {
    /// The same terms by column.
    pub(crate) fn by_column(&self, columns: usize) -> Columns {
        let mut offsets = vec![0u32; columns + 1];
        for &c in &self.columns {
            offsets[c as usize + 1] += 1;
        }
        for c in 0..columns {
            offsets[c + 1] += offsets[c];
        }
        let mut next = offsets.clone();
        let n = self.columns.len();
        let (mut rows, mut weights, mut delays) = (vec![0u32; n], vec![0f32; n], vec![0u16; self.delays.len()]);
        for row in 0..self.offsets.len() - 1 {
            for k in self.offsets[row] as usize..self.offsets[row + 1] as usize {
                let slot = &mut next[self.columns[k] as usize];
                rows[*slot as usize] = row as u32;
                weights[*slot as usize] = self.weights[k];
                if let Some(&delay) = self.delays.get(k) {
                    delays[*slot as usize] = delay;
                }
                *slot += 1;
            }
        }
        Columns { offsets, rows, weights, delays }
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
        let terms = fold("p", 3, 2, &[linear(2, 3, &weight)], 1.0).unwrap().terms("p").unwrap();
        assert_eq!(terms.offsets, [0, 1, 4]);
        assert_eq!(terms.columns, [0, 0, 1, 2]);
        assert_eq!(terms.weights, [0.1f32, 3.0e-39, -7.5, f32::MAX]);
    }

    #[test]
    fn scales_before_and_after_round_once() {
        let (s, w, z) = (0.1f32, 0.3f32, 0.7f32);
        let chain = [Operator::Scale { scale: vec![s] }, linear(1, 1, &[w]), Operator::Scale { scale: vec![z] }];
        let terms = fold("p", 1, 1, &chain, 1.0).unwrap().terms("p").unwrap();
        assert_eq!(terms.weights, [(w as f64 * s as f64 * z as f64) as f32]);
        let zero = [linear(2, 2, &[1.0, 2.0, 3.0, 4.0]), Operator::Scale { scale: vec![0.0, 1.0] }];
        let terms = fold("p", 2, 2, &zero, 1.0).unwrap().terms("p").unwrap();
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
        let map = fold("p", 3, 2, &chain, 1.0).unwrap();
        assert_eq!((map.constant(0), map.constant(1)), (-9.5, 30.0));
        let terms = map.terms("p").unwrap();
        assert_eq!(dense(&terms, 3), [0.0, 2.0, -4.0, 2.5, 4.0, 2.0]);
        assert_eq!(terms.columns, [1, 2, 0, 1, 2], "the entry that cancels is absent");
        let by = terms.by_column(3);
        assert_eq!((by.offsets, by.rows, by.weights), (vec![0, 1, 3, 5], vec![1, 0, 1, 0, 1], vec![2.5, 2.0, 4.0, -4.0, 2.0]));
    }

    #[test]
    fn an_empty_chain_is_the_identity() {
        let terms = fold("p", 3, 3, &[], 1.0).unwrap().terms("p").unwrap();
        assert_eq!(dense(&terms, 3), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(matches!(fold("p", 3, 4, &[], 1.0), Err(ElaborateError::ChainEnds { found: 3, expected: 4, .. })));
    }

    #[test]
    fn shapes_and_values_are_checked() {
        let bias = |n| Operator::Bias { bias: vec![0.0; n] };
        assert!(matches!(
            fold("p", 3, 3, &[bias(2)], 1.0),
            Err(ElaborateError::OperatorShape { operator: 0, kind: "Bias", found: 2, expected: 3, .. })
        ));
        let reshape = Operator::Reshape { shape: vec![1 << 20, 1 << 20] };
        assert!(matches!(fold("p", 3, 3, &[reshape], 1.0), Err(ElaborateError::OperatorShape { kind: "Reshape", .. })));
        assert!(matches!(fold("p", 3, 2, &[linear(2, 3, &[0.0; 5])], 1.0), Err(ElaborateError::WeightCount { found: 5, .. })));
        assert!(matches!(fold("p", 3, 0, &[linear(0, 3, &[])], 1.0), Err(ElaborateError::WeightCount { rows: 0, .. })));
        let error = fold("fc", 2, 1, &[bias(2), linear(1, 2, &[1.0, f32::INFINITY])], 1.0).unwrap_err();
        assert!(matches!(&error, ElaborateError::OperatorNotFinite { operator: 1, index: 1, .. }));
        assert!(error.to_string().contains("fc") && error.to_string().contains("inf"), "{error}");
        let huge = [linear(1, 1, &[f32::MAX]), Operator::Scale { scale: vec![2.0] }];
        assert!(matches!(fold("p", 1, 1, &huge, 1.0).unwrap().terms("p"), Err(ElaborateError::FoldedNotFinite { .. })));
    }

    #[test]
    fn a_product_of_thin_matrices_is_refused() {
        let ones = [1.0; 8];
        let mut map = fold("p", 8, 1, &[linear(1, 8, &ones)], 1.0).unwrap();
        let column = Dense { weight: &ones, columns: 1 };
        assert!(map.clone().multiply(&column, 64).is_ok());
        assert_eq!(map.multiply(&column, 63), Err(TooManyTerms(64)));
        let mut first = fold("p", 1, 1, &[], 1.0).unwrap();
        assert_eq!(first.multiply(&column, 7), Err(TooManyTerms(8)));
    }
}

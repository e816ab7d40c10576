//! Folding a chain of linear operators into one affine map.
//!
//! In: the operators of a projection. Out: [`Affine`], y = M x + c in f64, whose columns are made one at a time.
//! Invariant: weights that went through one operator only are exactly those of the file. The matrix is never held: a column goes through
//! the chain and into the builder of synapses, which stores equal ones once.
//! Cost: linear in the terms, but for two matrices in a row (a sparse product).

use crate::elaborate::ElaborateError;
use crate::network::Operator;
use crate::operators::{Columns, Dense, GeometryError};
use crate::synapses::{Builder, MAX_SYNAPSES, Synapses};

/// Most synapses of a folded chain that are stored, and most terms that the host computes.
pub const MAX_STORED: u64 = 1 << 28;

/// A step of a chain, from the values of one tensor to those of the next.
enum Stage<'a> {
    Matrix {
        columns: Box<dyn Columns + 'a>,
        /// Terms of the chain up to here that were made.
        made: u64,
    },
    /// Value k times `factors[k / each]`.
    Scale { factors: Vec<f64>, each: usize },
    /// Network steps that each value is delayed by.
    Wait(Vec<u16>),
}

/// y = M x + c.
pub(crate) struct Affine<'a> {
    projection: &'a str,
    inputs: usize,
    outputs: usize,
    stages: Vec<Stage<'a>>,
    /// Empty = all zero.
    constants: Vec<f64>,
    /// Network steps that every entry has beside its own.
    delay: u32,
    /// Most terms of the chain or a part of it.
    limit: u64,
}

/// Terms of a folded chain in f32: rows by output, columns ascending, no zeros.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Terms {
    pub offsets: Vec<u32>,
    pub columns: Vec<u32>,
    /// Network steps of each term.
    pub delays: Vec<u16>,
    pub weights: Vec<f32>,
}

/// A term of a column: where it goes, its own delay in network steps, its value.
pub(crate) type Term<T> = (u32, u32, T);

/// Product of a shape, `None` where it exceeds u32.
pub(crate) fn product(shape: &[u32]) -> Option<usize> {
    shape.iter().try_fold(1u32, |n, &s| n.checked_mul(s)).map(|n| n as usize)
}

/// Folds `operators` applied to a tensor of `inputs` values, which must give `outputs` values, in steps of `dt`. `projection` is
/// for errors.
pub(crate) fn fold<'a>(
    projection: &'a str,
    inputs: usize,
    outputs: usize,
    operators: &'a [Operator],
    dt: f64,
) -> Result<Affine<'a>, ElaborateError> {
    let mut map = Affine { projection, inputs, outputs: inputs, stages: Vec::new(), constants: Vec::new(), delay: 0, limit: MAX_SYNAPSES };
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
                map.scale(scale.iter().map(|&s| f64::from(s)).collect(), 1);
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
                map.multiply(Dense::new(weight, columns))?;
            }
            Operator::Conv(conv) => {
                place.finite(&conv.weight)?;
                place.takes(&conv.input_shape(), &map)?;
                map.multiply(conv.columns().map_err(|e| place.geometry(e))?)?;
            }
            Operator::ConvTranspose(conv) => {
                place.finite(&conv.weight)?;
                place.takes(&conv.input_shape(), &map)?;
                map.multiply(conv.columns().map_err(|e| place.geometry(e))?)?;
            }
            Operator::Pool(pool) => {
                place.takes(&pool.input_shape(), &map)?;
                map.multiply(pool.columns().map_err(|e| place.geometry(e))?)?;
            }
            Operator::Place(part) => {
                place.takes(&part.size, &map)?;
                map.multiply(part.columns().map_err(|e| place.geometry(e))?)?;
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
                map.scale(channels.iter().map(|c| c.0).collect(), each);
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
                map.wait(steps.iter().map(|&s| s as u16).collect());
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

impl std::fmt::Debug for Affine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} to {} values in {} stages", self.projection, self.inputs, self.outputs, self.stages.len())
    }
}

impl<'a> Affine<'a> {
    fn add(&mut self, bias: impl Iterator<Item = f64>) {
        if self.constants.is_empty() {
            self.constants = vec![0.0; self.outputs];
        }
        self.constants.iter_mut().zip(bias).for_each(|(c, b)| *c += b);
    }

    fn scale(&mut self, factors: Vec<f64>, each: usize) {
        self.constants.iter_mut().enumerate().for_each(|(k, c)| *c *= factors[k / each]);
        self.stages.push(Stage::Scale { factors, each });
    }

    /// Delays value k by `steps[k]`.
    fn wait(&mut self, steps: Vec<u16>) {
        if steps.windows(2).all(|w| w[0] == w[1]) {
            self.delay = self.delay.saturating_add(steps.first().copied().unwrap_or(0).into());
        } else {
            self.stages.push(Stage::Wait(steps));
        }
    }

    /// Applies the matrix `outer`, whose columns are this map's outputs.
    fn multiply(&mut self, mut outer: impl Columns + 'a) -> Result<(), ElaborateError> {
        let alone = !self.stages.iter().any(|s| matches!(s, Stage::Matrix { .. }));
        if alone {
            let (found, limit) = (outer.count(), self.limit);
            if found > limit {
                return Err(ElaborateError::TooManyTerms { projection: self.projection.to_string(), found, limit });
            }
        }
        let rows = outer.outputs();
        if !self.constants.is_empty() {
            // A sum of nothing is -0.0.
            let mut sums = vec![-0.0; rows];
            let mut terms = Vec::new();
            for (column, constant) in self.constants.iter().enumerate() {
                terms.clear();
                outer.column(column, &mut terms);
                terms.iter().for_each(|&(row, w)| sums[row as usize] += w * constant);
            }
            self.constants = sums;
        }
        self.stages.push(Stage::Matrix { columns: Box::new(outer), made: 0 });
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

    /// Calls `take` with every column, by ascending (row, delay): entries rounded to f32 once, without zeros.
    pub(crate) fn each_column(
        &mut self,
        mut take: impl FnMut(usize, &[Term<f32>]) -> Result<(), ElaborateError>,
    ) -> Result<(), ElaborateError> {
        let mut product = Product::default();
        let (mut values, mut rounded) = (Vec::new(), Vec::new());
        let limit = self.limit;
        for column in 0..self.inputs {
            values.clear();
            values.push((column as u32, 0, 1.0));
            for stage in &mut self.stages {
                match stage {
                    Stage::Matrix { columns, made } => {
                        product.multiply(&mut values, columns.as_mut());
                        *made += values.len() as u64;
                        if *made > limit {
                            let (projection, found) = (self.projection.to_string(), *made);
                            return Err(ElaborateError::TooManyTerms { projection, found, limit });
                        }
                    }
                    Stage::Scale { factors, each } => scale(&mut values, factors, *each),
                    Stage::Wait(steps) => values.iter_mut().for_each(|(k, d, _)| *d += u32::from(steps[*k as usize])),
                }
            }
            rounded.clear();
            for &(row, delay, value) in &values {
                let weight = value as f32;
                if !weight.is_finite() {
                    let (post, pre) = (row as usize, column as u32);
                    return Err(ElaborateError::FoldedNotFinite { projection: self.projection.to_string(), post, pre, value });
                }
                if weight != 0.0 {
                    rounded.push((row, delay, weight));
                }
            }
            take(column, &rounded)?;
        }
        Ok(())
    }

    /// The terms as synapses, each with `more` network steps of delay beside its own.
    pub(crate) fn synapses(&mut self, more: u32) -> Result<Synapses<f32>, ElaborateError> {
        let projection = self.projection;
        let mut builder = Builder::new();
        self.each_column(|_, terms| {
            for &(row, delay, weight) in terms {
                builder.push(row, weight, total_delay(projection, delay, more)?);
            }
            builder.end_row();
            if builder.stored() as u64 > MAX_STORED {
                let (projection, found) = (projection.to_string(), builder.len() as u64);
                return Err(ElaborateError::TooManyTerms { projection, found, limit: MAX_STORED });
            }
            Ok(())
        })?;
        Ok(builder.finish())
    }

    /// The terms by row.
    pub(crate) fn terms(&mut self) -> Result<Terms, ElaborateError> {
        self.limit = MAX_STORED;
        let projection = self.projection;
        let mut offsets = vec![0u32; self.outputs + 1];
        let mut all: Vec<(u32, u32, u16, f32)> = Vec::new();
        self.each_column(|column, terms| {
            for &(row, delay, weight) in terms {
                offsets[row as usize + 1] += 1;
                all.push((row, column as u32, total_delay(projection, delay, 0)?, weight));
            }
            Ok(())
        })?;
        (0..self.outputs).for_each(|row| offsets[row + 1] += offsets[row]);
        let mut next = offsets.clone();
        let (mut columns, mut weights, mut delays) = (vec![0u32; all.len()], vec![0f32; all.len()], vec![0u16; all.len()]);
        for (row, column, delay, weight) in all {
            let slot = &mut next[row as usize];
            (columns[*slot as usize], delays[*slot as usize], weights[*slot as usize]) = (column, delay, weight);
            *slot += 1;
        }
        Ok(Terms { offsets, columns, delays, weights })
    }
}

fn total_delay(projection: &str, own: u32, more: u32) -> Result<u16, ElaborateError> {
    let delay_steps = own.saturating_add(more);
    u16::try_from(delay_steps).map_err(|_| ElaborateError::DelayTooLong { projection: projection.to_string(), delay_steps })
}

/// Multiplies value k, k ascending, with `factors[k / each]`.
fn scale(values: &mut [Term<f64>], factors: &[f64], each: usize) {
    let (mut end, mut factor) = (0, 0.0);
    for (k, _, value) in values {
        let k = *k as usize;
        if k >= end {
            factor = factors[k / each];
            end = (k / each + 1) * each;
        }
        *value *= factor;
    }
}

/// What a product of a column with a matrix needs, kept from column to column.
#[derive(Default)]
struct Product {
    terms: Vec<(u32, f64)>,
    sums: Vec<f64>,
    seen: Vec<bool>,
    touched: Vec<u32>,
}

impl Product {
    /// Replaces the entries of a column, which ascend by (place, delay), by their product with a matrix. Sums are in the order of the entries.
    fn multiply(&mut self, values: &mut Vec<Term<f64>>, columns: &mut (dyn Columns + '_)) {
        let terms = &mut self.terms;
        if let [(middle, delay, value)] = values[..] {
            terms.clear();
            columns.column(middle as usize, terms);
            values.clear();
            values.extend(terms.iter().map(|&(row, w)| (row, delay, w * value)));
            return;
        }
        if values.iter().all(|v| v.1 == 0) {
            self.sums.resize(columns.outputs().max(self.sums.len()), 0.0);
            self.seen.resize(self.sums.len(), false);
            for &(middle, _, value) in &*values {
                terms.clear();
                columns.column(middle as usize, terms);
                for &(row, w) in &*terms {
                    if !std::mem::replace(&mut self.seen[row as usize], true) {
                        self.touched.push(row);
                    }
                    self.sums[row as usize] += w * value;
                }
            }
            self.touched.sort_unstable();
            values.clear();
            for row in self.touched.drain(..) {
                values.push((row, 0, std::mem::take(&mut self.sums[row as usize])));
                self.seen[row as usize] = false;
            }
            return;
        }
        let mut products: Vec<Term<f64>> = Vec::new();
        for &(middle, delay, value) in &*values {
            terms.clear();
            columns.column(middle as usize, terms);
            products.extend(terms.iter().map(|&(row, w)| (row, delay, w * value)));
        }
        // Stable: equal places are summed in the order of the middle.
        products.sort_by_key(|&(row, delay, _)| (row, delay));
        values.clear();
        for (row, delay, value) in products {
            match values.last_mut() {
                Some(last) if (last.0, last.1) == (row, delay) => last.2 += value,
                _ => values.push((row, delay, value)),
            }
        }
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
        let terms = fold("p", 3, 2, &[linear(2, 3, &weight)], 1.0).unwrap().terms().unwrap();
        assert_eq!(terms.offsets, [0, 1, 4]);
        assert_eq!(terms.columns, [0, 0, 1, 2]);
        assert_eq!(terms.weights, [0.1f32, 3.0e-39, -7.5, f32::MAX]);
    }

    #[test]
    fn scales_before_and_after_round_once() {
        let (s, w, z) = (0.1f32, 0.3f32, 0.7f32);
        let chain = [Operator::Scale { scale: vec![s] }, linear(1, 1, &[w]), Operator::Scale { scale: vec![z] }];
        let terms = fold("p", 1, 1, &chain, 1.0).unwrap().terms().unwrap();
        assert_eq!(terms.weights, [(w as f64 * s as f64 * z as f64) as f32]);
        let zero = [linear(2, 2, &[1.0, 2.0, 3.0, 4.0]), Operator::Scale { scale: vec![0.0, 1.0] }];
        let terms = fold("p", 2, 2, &zero, 1.0).unwrap().terms().unwrap();
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
        let mut map = fold("p", 3, 2, &chain, 1.0).unwrap();
        assert_eq!((map.constant(0), map.constant(1)), (-9.5, 30.0));
        let terms = map.terms().unwrap();
        assert_eq!(dense(&terms, 3), [0.0, 2.0, -4.0, 2.5, 4.0, 2.0]);
        assert_eq!(terms.columns, [1, 2, 0, 1, 2], "the entry that cancels is absent");
        let synapses: Vec<_> = map.synapses(2).unwrap().iter().collect();
        assert_eq!(synapses, [(0, 1, 2.5, 2), (1, 0, 2.0, 2), (1, 1, 4.0, 2), (2, 0, -4.0, 2), (2, 1, 2.0, 2)]);
    }

    #[test]
    fn an_empty_chain_is_the_identity() {
        let terms = fold("p", 3, 3, &[], 1.0).unwrap().terms().unwrap();
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
        assert!(matches!(fold("p", 1, 1, &huge, 1.0).unwrap().terms(), Err(ElaborateError::FoldedNotFinite { .. })));
    }

    #[test]
    fn a_product_of_thin_matrices_is_refused() {
        let ones = [1.0; 8];
        let chain = [linear(1, 8, &ones), linear(8, 1, &ones)];
        let with = |limit: u64| {
            let mut map = fold("p", 8, 8, &chain, 1.0).unwrap();
            map.limit = limit;
            map.synapses(0).map(|s| s.len())
        };
        assert_eq!(with(64).unwrap(), 64);
        assert!(matches!(with(63), Err(ElaborateError::TooManyTerms { found: 64, limit: 63, .. })));
    }
}

//! Every operator against loops that follow its definition, over random shapes; folding against composition.

use super::*;
use crate::elaborate::ElaborateError;
use crate::fold::fold;
use crate::network::Operator;
use crate::synapses::MAX_SYNAPSES;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus as Random;

fn random(seed: u64) -> Random {
    Random::seed_from_u64(seed)
}

/// Half of the values are 0.
fn values(rng: &mut Random, n: usize) -> Vec<f32> {
    (0..n).map(|_| if rng.random_bool(0.5) { 0.0 } else { rng.random_range(-1.0..1.0) }).collect()
}

fn axes(rng: &mut Random, rank: usize) -> Vec<Axis> {
    let axis = |rng: &mut Random| Axis {
        size: rng.random_range(1..8),
        kernel: rng.random_range(1..5),
        stride: rng.random_range(1..4),
        dilation: rng.random_range(1..4),
        padding: [rng.random_range(0..4), rng.random_range(0..4)],
    };
    (0..rank).map(|_| axis(rng)).collect()
}

fn conv(rng: &mut Random, rank: usize) -> Conv {
    let groups = rng.random_range(1..4);
    let (channels, outputs, axes) = (groups * rng.random_range(1..3), groups * rng.random_range(1..3), axes(rng, rank));
    let n = outputs * (channels / groups) * axes.iter().map(|a| a.kernel).product::<u32>();
    Conv { channels, outputs, groups, axes, weight: values(rng, n as usize) }
}

/// The value at (channel, y, x) of a map, 0 outside of it.
fn at(map: &[f64], size: [i64; 2], channel: usize, y: i64, x: i64) -> f64 {
    let inside = (0..size[0]).contains(&y) && (0..size[1]).contains(&x);
    if inside { map[channel * (size[0] * size[1]) as usize + (y * size[1] + x) as usize] } else { 0.0 }
}

/// (size, kernel, stride, dilation, first padding, positions) of two axes.
fn sizes(axes: &[Axis], shape: &[u32]) -> [[i64; 2]; 6] {
    let pick = |f: &dyn Fn(&Axis) -> u32, lone: i64| match axes {
        [x] => [lone, f(x).into()],
        [y, x] => [f(y).into(), f(x).into()],
        _ => unreachable!(),
    };
    let positions = match shape {
        [_, x] => [1, i64::from(*x)],
        [_, y, x] => [i64::from(*y), i64::from(*x)],
        _ => unreachable!(),
    };
    [pick(&|a| a.size, 1), pick(&|a| a.kernel, 1), pick(&|a| a.stride, 1), pick(&|a| a.dilation, 1), pick(&|a| a.padding[0], 0), positions]
}

/// The definition of a convolution.
fn naive_conv(c: &Conv, map: &[f64]) -> Vec<f64> {
    let [size, kernel, stride, dilation, pad, n] = sizes(&c.axes, &c.output_shape().unwrap());
    let (inside, outside) = ((c.channels / c.groups) as usize, (c.outputs / c.groups) as usize);
    let mut out = Vec::new();
    for o in 0..c.outputs as usize {
        for (y, x) in (0..n[0]).flat_map(|y| (0..n[1]).map(move |x| (y, x))) {
            let mut sum = 0.0;
            for i in 0..inside {
                for (ky, kx) in (0..kernel[0]).flat_map(|y| (0..kernel[1]).map(move |x| (y, x))) {
                    let w = c.weight[((o * inside + i) * kernel[0] as usize + ky as usize) * kernel[1] as usize + kx as usize];
                    let (py, px) = (y * stride[0] + ky * dilation[0] - pad[0], x * stride[1] + kx * dilation[1] - pad[1]);
                    sum += f64::from(w) * at(map, size, o / outside * inside + i, py, px);
                }
            }
            out.push(sum);
        }
    }
    out
}

/// The definition of a transposed convolution: every value is spread.
fn naive_transposed(c: &ConvTranspose, map: &[f64]) -> Vec<f64> {
    let shape = c.output_shape().unwrap();
    let [size, kernel, stride, dilation, pad, n] = sizes(&c.axes, &shape);
    let (inside, outside) = ((c.channels / c.groups) as usize, (c.outputs / c.groups) as usize);
    let mut out = vec![0.0; shape.iter().product::<u32>() as usize];
    for i in 0..c.channels as usize {
        for (y, x) in (0..size[0]).flat_map(|y| (0..size[1]).map(move |x| (y, x))) {
            for o in 0..outside {
                for (ky, kx) in (0..kernel[0]).flat_map(|y| (0..kernel[1]).map(move |x| (y, x))) {
                    let w = c.weight[((i * outside + o) * kernel[0] as usize + ky as usize) * kernel[1] as usize + kx as usize];
                    let (py, px) = (y * stride[0] + ky * dilation[0] - pad[0], x * stride[1] + kx * dilation[1] - pad[1]);
                    if (0..n[0]).contains(&py) && (0..n[1]).contains(&px) {
                        let channel = i / inside * outside + o;
                        out[channel * (n[0] * n[1]) as usize + (py * n[1] + px) as usize] += f64::from(w) * at(map, size, i, y, x);
                    }
                }
            }
        }
    }
    out
}

fn naive_pool(p: &Pool, map: &[f64]) -> Vec<f64> {
    let [size, kernel, stride, dilation, pad, n] = sizes(&p.axes, &p.output_shape().unwrap());
    let mut out = Vec::new();
    for c in 0..p.channels as usize {
        for (y, x) in (0..n[0]).flat_map(|y| (0..n[1]).map(move |x| (y, x))) {
            let (mut sum, mut count) = (0.0, 0);
            for (ky, kx) in (0..kernel[0]).flat_map(|y| (0..kernel[1]).map(move |x| (y, x))) {
                let (py, px) = (y * stride[0] + ky * dilation[0] - pad[0], x * stride[1] + kx * dilation[1] - pad[1]);
                sum += at(map, size, c, py, px);
                count += i64::from((0..size[0]).contains(&py) && (0..size[1]).contains(&px));
            }
            out.push(match p.kind {
                PoolKind::Sum => sum,
                PoolKind::Average => sum / (kernel[0] * kernel[1]) as f64,
                PoolKind::AverageInside => sum / count as f64,
            });
        }
    }
    out
}

/// One operator by its definition.
fn naive(operator: &Operator, x: &[f64]) -> Vec<f64> {
    match operator {
        Operator::Conv(c) => naive_conv(c, x),
        Operator::ConvTranspose(c) => naive_transposed(c, x),
        Operator::Pool(p) => naive_pool(p, x),
        Operator::Linear { inputs, weight, .. } => {
            weight.chunks(*inputs as usize).map(|row| row.iter().zip(x).map(|(&w, &x)| f64::from(w) * x).sum()).collect()
        }
        Operator::Bias { bias } => x.iter().zip(bias).map(|(x, &b)| x + f64::from(b)).collect(),
        Operator::Scale { scale } => x.iter().zip(scale).map(|(x, &s)| x * f64::from(s)).collect(),
        Operator::Reshape { .. } => x.to_vec(),
        Operator::BatchNorm(n) => {
            let each = x.len() / n.weight.len();
            let of = |(k, x): (usize, &f64)| {
                let c = k / each;
                let normal = (x - f64::from(n.mean[c])) / (f64::from(n.variance[c]) + n.epsilon).sqrt();
                normal * f64::from(n.weight[c]) + f64::from(n.bias[c])
            };
            x.iter().enumerate().map(of).collect()
        }
        Operator::Place(p) => {
            let mut out = vec![0.0; p.whole.iter().product::<u32>() as usize];
            for (k, &value) in x.iter().enumerate() {
                let (mut rest, mut place, mut stride) = (k as u32, 0, 1);
                for axis in (0..p.whole.len()).rev() {
                    place += (rest % p.size[axis] + p.at[axis]) * stride;
                    rest /= p.size[axis];
                    stride *= p.whole[axis];
                }
                out[place as usize] = value;
            }
            out
        }
        Operator::Delay { .. } => x.to_vec(),
    }
}

fn output_shape(operator: &Operator, input: &[u32]) -> Result<Vec<u32>, GeometryError> {
    Ok(match operator {
        Operator::Conv(c) => c.output_shape()?,
        Operator::ConvTranspose(c) => c.output_shape()?,
        Operator::Pool(p) => p.output_shape()?,
        Operator::Place(p) => p.output_shape()?,
        Operator::Linear { outputs, .. } => vec![*outputs],
        _ => input.to_vec(),
    })
}

/// A random operator on a map of shape (channels, rows, columns) or (channels, columns).
fn operator(rng: &mut Random, shape: &[u32]) -> Operator {
    let n = shape.iter().product::<u32>();
    let channels = shape[0];
    let divisors: Vec<u32> = (1..=channels).filter(|&g| channels.is_multiple_of(g)).collect();
    let groups = divisors[rng.random_range(0..divisors.len())];
    let spatial: Vec<Axis> = shape[1..]
        .iter()
        .zip(axes(rng, shape.len() - 1))
        .map(|(&size, a)| Axis {
            size,
            kernel: a.kernel.min(size),
            dilation: 1,
            stride: a.stride.min(2),
            padding: [a.padding[0] / 2, a.padding[1] / 2],
        })
        .collect();
    let kernel = spatial.iter().map(|a| a.kernel).product::<u32>();
    match rng.random_range(0..9) {
        _ if shape.len() == 1 => {
            let outputs = rng.random_range(1..9);
            Operator::Linear { outputs, inputs: n, weight: values(rng, (outputs * n) as usize) }
        }
        0 | 1 => {
            let outputs = groups * rng.random_range(1..3);
            let weight = values(rng, (outputs * channels / groups * kernel) as usize);
            Operator::Conv(Conv { channels, outputs, groups, axes: spatial, weight })
        }
        2 => {
            let outputs = groups * rng.random_range(1..3);
            let weight = values(rng, (outputs * channels / groups * kernel) as usize);
            let output_padding = spatial.iter().map(|a| a.stride - 1).collect();
            Operator::ConvTranspose(ConvTranspose { channels, outputs, groups, axes: spatial, output_padding, weight })
        }
        3 | 4 => Operator::Pool(Pool { kind: [PoolKind::Sum, PoolKind::Average][rng.random_range(0..2)], channels, axes: spatial }),
        5 => {
            let variance = (0..channels).map(|_| rng.random_range(0.1..2.0)).collect();
            let c = channels as usize;
            Operator::BatchNorm(BatchNorm { weight: values(rng, c), bias: values(rng, c), mean: values(rng, c), variance, epsilon: 1e-5 })
        }
        6 => Operator::Scale { scale: values(rng, n as usize) },
        7 => Operator::Bias { bias: values(rng, n as usize) },
        _ => {
            let at: Vec<u32> = shape.iter().map(|_| rng.random_range(0..3)).collect();
            let whole = shape.iter().zip(&at).map(|(s, a)| s + a + rng.random_range(0..2)).collect();
            Operator::Place(Place { size: shape.into(), at, whole })
        }
    }
}

/// Every column of a chain by the definitions, against the folded terms.
fn compare(inputs: usize, operators: &[Operator]) -> Result<(), TestCaseError> {
    let apply = |x: Vec<f64>| operators.iter().fold(x, |x, o| naive(o, &x));
    let constant = apply(vec![0.0; inputs]);
    let mut map = fold("p", inputs, constant.len(), operators, 1.0).map_err(|e| TestCaseError::fail(e.to_string()))?;
    for (row, &c) in constant.iter().enumerate() {
        prop_assert!((map.constant(row) - c).abs() <= 1e-9 * (1.0 + c.abs()));
    }
    let terms = map.terms().unwrap();
    let rows = |row: usize| terms.offsets[row] as usize..terms.offsets[row + 1] as usize;
    for row in 0..constant.len() {
        prop_assert!(terms.columns[rows(row)].is_sorted_by(|a, b| a < b), "columns ascend");
    }
    for i in 0..inputs {
        let mut one = vec![0.0; inputs];
        one[i] = 1.0;
        for (row, (y, c)) in apply(one).iter().zip(&constant).enumerate() {
            let found = rows(row).find(|&k| terms.columns[k] == i as u32).map_or(0.0, |k| f64::from(terms.weights[k]));
            prop_assert!((y - c - found).abs() <= 1e-6 * (1.0 + y.abs() + c.abs()), "{} from {}: {} and {}", row, i, y - c, found);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn convolutions_equal_their_definition(seed in any::<u64>(), rank in 1usize..=2) {
        let rng = &mut random(seed);
        let c = conv(rng, rank);
        let inputs = c.input_shape().iter().product::<u32>() as usize;
        match c.output_shape() {
            Ok(_) => {
                // A lone operator keeps its weights exactly: a spike's column holds kernel values and nothing else.
                let mut columns = c.columns().unwrap();
                let (mut terms, mut count) = (Vec::new(), 0);
                for column in 0..inputs {
                    terms.clear();
                    columns.column(column, &mut terms);
                    count += terms.len() as u64;
                    prop_assert!(terms.iter().all(|&(_, w)| w != 0.0 && c.weight.contains(&(w as f32))));
                    prop_assert!(terms.is_sorted_by(|a, b| a.0 < b.0), "rows ascend");
                }
                prop_assert_eq!(columns.count(), count);
                drop(columns);
                compare(inputs, &[Operator::Conv(c)])?;
            }
            Err(e) => prop_assert!(matches!(e, GeometryError::KernelTooLarge { .. }), "{}", e),
        }
    }

    #[test]
    fn transposed_convolutions_equal_their_definition(seed in any::<u64>(), rank in 1usize..=2) {
        let rng = &mut random(seed);
        let Conv { channels, outputs, groups, axes, weight } = conv(rng, rank);
        let output_padding = axes.iter().map(|a| rng.random_range(0..a.stride.max(a.dilation))).collect();
        let c = ConvTranspose { channels, outputs, groups, axes, output_padding, weight };
        let inputs = c.input_shape().iter().product::<u32>() as usize;
        match c.columns() {
            Ok(mut columns) => {
                let mut terms = Vec::new();
                (0..inputs).for_each(|column| columns.column(column, &mut terms));
                prop_assert_eq!(columns.count(), terms.len() as u64);
                drop(columns);
                compare(inputs, &[Operator::ConvTranspose(c.clone())])?;
            }
            Err(e) => prop_assert!(matches!(e, GeometryError::PaddingTooLarge { .. }), "{}", e),
        };
    }

    #[test]
    fn pools_equal_their_definition(seed in any::<u64>(), rank in 1usize..=2) {
        let rng = &mut random(seed);
        let kind = [PoolKind::Sum, PoolKind::Average, PoolKind::AverageInside][rng.random_range(0..3)];
        let p = Pool { kind, channels: rng.random_range(1..4), axes: axes(rng, rank) };
        let inputs = p.input_shape().iter().product::<u32>() as usize;
        match p.columns() {
            Ok(mut columns) => {
                let mut terms = Vec::new();
                (0..inputs).for_each(|column| columns.column(column, &mut terms));
                prop_assert_eq!(columns.count(), terms.len() as u64);
                drop(columns);
                compare(inputs, &[Operator::Pool(p)])?;
            }
            Err(e) => prop_assert!(matches!(e, GeometryError::KernelTooLarge { .. } | GeometryError::OnlyPadding { .. }), "{}", e),
        }
    }

    #[test]
    fn folding_equals_composition(seed in any::<u64>(), rank in 1usize..=2) {
        let rng = &mut random(seed);
        let mut shape: Vec<u32> = std::iter::once(rng.random_range(1..4)).chain((0..rank).map(|_| rng.random_range(2..7))).collect();
        let inputs = shape.iter().product::<u32>() as usize;
        let mut chain = Vec::new();
        for _ in 0..rng.random_range(1..5) {
            if rng.random_bool(0.2) {
                shape = vec![shape.iter().product()];
                chain.push(Operator::Reshape { shape: shape.clone() });
            }
            let next = operator(rng, &shape);
            // Padding may take all of a transposed convolution away.
            if let Ok(next_shape) = output_shape(&next, &shape) && next_shape.iter().product::<u32>() < 400 {
                shape = next_shape;
                chain.push(next);
            }
        }
        compare(inputs, &chain)?;
    }

    #[test]
    fn delays_of_single_values_reach_their_synapses(seed in any::<u64>()) {
        let rng = &mut random(seed);
        let steps = |rng: &mut Random, n: usize| (0..n).map(|_| rng.random_range(0..3u32)).collect::<Vec<_>>();
        let [n, m, l] = [0; 3].map(|_| rng.random_range(1..6usize));
        let (first, second) = (values(rng, m * n), values(rng, l * m));
        let delays = [steps(rng, n), steps(rng, m), steps(rng, l)];
        let delay = |k: usize| Operator::Delay { delay: delays[k].iter().map(|&d| d as f32 * 0.25).collect() };
        let linear = |outputs: usize, inputs: usize, weight: &[f32]| {
            Operator::Linear { outputs: outputs as u32, inputs: inputs as u32, weight: weight.into() }
        };
        let chain = [delay(0), linear(m, n, &first), delay(1), linear(l, m, &second), delay(2)];
        let mut map = fold("p", n, l, &chain, 0.25).unwrap();
        let terms = map.terms().unwrap();
        let mut expected = std::collections::BTreeMap::new();
        for (j, k, i) in (0..l).flat_map(|j| (0..m).flat_map(move |k| (0..n).map(move |i| (j, k, i)))) {
            let w = f64::from(second[j * m + k]) * f64::from(first[k * n + i]);
            let d = delays[0][i] + delays[1][k] + delays[2][j];
            if w != 0.0 {
                *expected.entry((j, i, d)).or_insert(0.0) += w;
            }
        }
        let mut found = Vec::new();
        for j in 0..l {
            for k in terms.offsets[j] as usize..terms.offsets[j + 1] as usize {
                let own = terms.delays.get(k).copied().unwrap_or(0);
                found.push(((j, terms.columns[k] as usize, u32::from(own) + map.delay()), terms.weights[k]));
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|(key, w)| (key, w as f32)).filter(|(_, w)| *w != 0.0).collect();
        prop_assert_eq!(found, expected);
    }
}

fn axis(size: u32, kernel: u32) -> Axis {
    Axis { size, kernel, stride: 1, dilation: 1, padding: [0, 0] }
}

#[test]
fn bad_shapes_say_found_and_expected() {
    let good = Conv { channels: 4, outputs: 6, groups: 2, axes: vec![axis(5, 3), axis(5, 3)], weight: vec![1.0; 6 * 2 * 9] };
    assert_eq!(good.output_shape(), Ok(vec![6, 3, 3]));
    let bad = |change: &dyn Fn(&mut Conv)| {
        let mut c = good.clone();
        change(&mut c);
        let e = c.output_shape().unwrap_err();
        assert!(!e.hint().is_empty());
        e.to_string()
    };
    assert_eq!(bad(&|c| c.axes[1].size = 2), "axis 1: the kernel covers 3 places, but the padded map has only 2");
    assert_eq!(bad(&|c| c.axes[0].dilation = 3), "axis 0: the kernel covers 7 places, but the padded map has only 5");
    assert_eq!(bad(&|c| c.axes[0].stride = 0), "the stride of axis 0 is 0, expected at least 1");
    assert_eq!(bad(&|c| c.groups = 3), "3 groups of 4 channels: expected a divisor");
    assert_eq!(bad(&|c| c.groups = 4), "4 groups of 6 output channels: expected a divisor");
    assert_eq!(bad(&|c| c.groups = 0), "the number of groups is 0, expected at least 1");
    assert_eq!(bad(&|c| c.weight.truncate(1)), "a weight of 1 values, expected 108");
    assert_eq!(bad(&|c| c.axes.clear()), "found 0 axes, expected 1 or 2");
    assert!(bad(&|c| c.axes[0].size = u32::MAX).contains("more than"), "too large");
    let huge = |c: &mut Conv| c.axes.iter_mut().for_each(|a| *a = Axis { size: 1 << 20, padding: [u32::MAX; 2], stride: 1 << 12, ..*a });
    assert!(bad(&huge).contains("more than 67108864"));
    let average = Pool { kind: PoolKind::AverageInside, channels: 1, axes: vec![Axis { padding: [2, 0], ..axis(3, 2) }] };
    assert_eq!(
        average.output_shape().unwrap_err().to_string(),
        "axis 0: the window at position 0 lies in the padding alone, which has no average or maximum"
    );
    let outside = Place { size: vec![2], at: vec![2], whole: vec![3] };
    assert_eq!(outside.output_shape().unwrap_err().to_string(), "axis 0: 2 places from 2 on do not fit into 3");
}

#[test]
fn same_padding_keeps_the_size() {
    for (kernel, dilation) in (1..7).flat_map(|k| (1..4).map(move |d| (k, d))) {
        let a = Axis { size: 9, kernel, stride: 1, dilation, padding: Axis::same(kernel, dilation) };
        assert_eq!(a.outputs(0), Ok(9));
        assert!(a.padding[1] - a.padding[0] <= 1);
    }
}

#[test]
fn extreme_windows_neither_overflow_nor_take_long() {
    let start = std::time::Instant::now();
    // A pool whose kernel is as large as its padding: two positions of 4e9 taps, of which three lie in the map.
    let p = Pool {
        kind: PoolKind::Sum,
        channels: 1,
        axes: vec![Axis { size: 3, kernel: u32::MAX, stride: 1, dilation: 1, padding: [u32::MAX - 2, 0] }],
    };
    let mut columns = p.columns().unwrap();
    assert_eq!((columns.outputs(), columns.count()), (2, 5));
    let mut terms = Vec::new();
    (0..3).for_each(|column| columns.column(column, &mut terms));
    assert_eq!(terms, [0, 1, 0, 1, 1].map(|row| (row, 1.0)));
    // Strides and dilations whose multiples hardly meet: what is reached is found without a search.
    let axis = Axis { size: 1 << 26, kernel: 1 << 12, stride: 8192, dilation: 8191, padding: [0, 0] };
    let sparse = Pool { kind: PoolKind::Sum, channels: 1, axes: vec![axis] };
    let mut columns = sparse.columns().unwrap();
    terms.clear();
    (0..1 << 26).step_by(61).for_each(|column| columns.column(column, &mut terms));
    assert!(!terms.is_empty());
    let spread = ConvTranspose {
        channels: 1,
        outputs: 1,
        groups: 1,
        axes: vec![Axis { size: u32::MAX, kernel: 1, stride: u32::MAX, dilation: u32::MAX, padding: [u32::MAX; 2] }],
        output_padding: vec![0],
        weight: vec![1.0],
    };
    assert!(matches!(spread.output_shape(), Err(GeometryError::TooLarge { .. })));
    assert!(start.elapsed().as_secs() < 1);
}

#[test]
fn too_many_synapses_are_counted_before_they_are_made() {
    let start = std::time::Instant::now();
    let axes = vec![axis(1000, 8), axis(1000, 8)];
    let c = Operator::Conv(Conv { channels: 16, outputs: 32, groups: 1, axes, weight: vec![1.0; 32 * 16 * 64] });
    let e = fold("conv9", 16_000_000, 1, &[c], 1.0).unwrap_err();
    let found = 993u64 * 993 * 32 * 16 * 64;
    assert_eq!(e, ElaborateError::TooManyTerms { projection: "conv9".into(), found, limit: MAX_SYNAPSES });
    assert!(e.to_string().contains("conv9") && e.to_string().contains(&found.to_string()) && !e.hint().is_empty());
    assert!(start.elapsed().as_secs() < 2);
}

#[test]
fn errors_of_shapes_name_projection_and_operator() {
    let c = Conv { channels: 1, outputs: 1, groups: 1, axes: vec![axis(3, 4)], weight: vec![1.0; 4] };
    let e = fold("fc", 3, 1, &[Operator::Conv(c.clone())], 1.0).unwrap_err();
    assert_eq!(e.to_string(), "projection fc, operator 0 (Conv1d): axis 0: the kernel covers 4 places, but the padded map has only 3");
    let e = fold("fc", 4, 1, &[Operator::Conv(c)], 1.0).unwrap_err();
    assert!(matches!(e, ElaborateError::OperatorShape { kind: "Conv1d", found: 3, expected: 4, .. }));
    let norm = |variance| BatchNorm { weight: vec![1.0], bias: vec![0.0], mean: vec![0.0], variance: vec![variance], epsilon: 0.0 };
    let e = fold("fc", 3, 3, &[Operator::BatchNorm(norm(-1.0))], 1.0).unwrap_err();
    assert!(matches!(e, ElaborateError::Variance { channel: 0, .. }), "{e}");
    let e = fold("fc", 3, 3, &[Operator::BatchNorm(norm(0.0))], 1.0).unwrap_err();
    assert!(matches!(e, ElaborateError::Variance { channel: 0, .. }), "{e}");
    for delay in [-1.0f32, 1e9] {
        let e = fold("fc", 1, 1, &[Operator::Delay { delay: vec![delay] }], 1.0).unwrap_err();
        assert!(matches!(e, ElaborateError::DelayRange { .. }), "{e}");
    }
}

#[test]
fn a_batch_norm_after_a_pruned_kernel_leaves_its_zeros_absent() {
    let weight = vec![0.5, 0.0, -1.0];
    let c = Operator::Conv(Conv { channels: 1, outputs: 1, groups: 1, axes: vec![axis(5, 3)], weight });
    let norm = BatchNorm { weight: vec![2.0], bias: vec![1.0], mean: vec![0.5], variance: vec![0.25], epsilon: 0.0 };
    let operators = [c, Operator::BatchNorm(norm)];
    let mut map = fold("p", 5, 3, &operators, 1.0).unwrap();
    let terms = map.terms().unwrap();
    assert_eq!((terms.weights.as_slice(), map.constant(0)), ([2.0, -4.0].repeat(3).as_slice(), -1.0));
    assert_eq!(terms.columns, [0, 2, 1, 3, 2, 4]);
}

#[test]
fn a_large_convolution_is_expanded_by_its_synapses() {
    let axes = vec![Axis { stride: 2, padding: [1, 1], ..axis(34, 5) }; 2];
    let weight = (0..16 * 2 * 25).map(|k| if k % 10 == 0 { 0.25 } else { 0.0 }).collect();
    let c = Conv { channels: 2, outputs: 16, groups: 1, axes, weight };
    assert_eq!(c.output_shape(), Ok(vec![16, 16, 16]));
    let count = c.columns().unwrap().count();
    let start = std::time::Instant::now();
    for _ in 0..10 {
        let terms = fold("p", 2 * 34 * 34, 4096, &[Operator::Conv(c.clone())], 1.0).unwrap().terms().unwrap();
        assert_eq!(terms.weights.len() as u64, count);
    }
    assert!(start.elapsed().as_millis() < 1000, "took {:?}", start.elapsed());
}

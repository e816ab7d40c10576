//! Levels: the few weights of a crossbar neuron, and which of them each source gets.
//!
//! In: the weights of a neuron's synapses whose sources enter by the same `k` axons, with what an error of each costs. Out: `k` levels and a code for
//! each synapse; the synapse acts with the sum of the levels that its code names.
//! Invariant: a code is one of the 2^k sums, the nearest; levels have the least weighted squared error that descent from a few starts finds.
//! Cost: starts x rounds x synapses x 2^k.
//! Why sums: an axon has one type, but a source may enter a core by several axons (C17); levels 1, 2, 4 and -8 are two's complement of 4 bits.

/// Rounds of descent.
const ROUNDS: usize = 12;

/// A synapse as the fit sees it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Weight.
    pub weight: f64,
    /// What a unit of squared error costs: how often the source speaks.
    pub cost: f64,
}

/// Levels and codes.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Level of each axon.
    pub levels: Vec<f64>,
    /// For each synapse, the axons whose levels it sums: bit `a` for axon `a`.
    pub codes: Vec<u16>,
    /// Sum of cost times squared error.
    pub error: f64,
}

/// The sum that a code names.
pub fn sum(levels: &[f64], code: u16) -> f64 {
    levels.iter().enumerate().filter(|(a, _)| code >> a & 1 == 1).map(|(_, level)| level).sum()
}

/// The nearest sum of each weight, and the error.
pub fn assign(wanted: &[Wanted], levels: &[f64]) -> (Vec<u16>, f64) {
    // Ascending; of equal sums the one of the fewest axons.
    let mut sums: Vec<(f64, u16)> = (0..1u16 << levels.len()).map(|code| (sum(levels, code), code)).collect();
    sums.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1.count_ones(), a.1).cmp(&(b.1.count_ones(), b.1))));
    sums.dedup_by(|next, kept| next.0 == kept.0);
    let mut error = 0.0;
    let codes = wanted
        .iter()
        .map(|w| {
            let at = sums.partition_point(|s| s.0 < w.weight);
            let near = [at.checked_sub(1), Some(at)].into_iter().flatten().filter_map(|k| sums.get(k));
            // A tie goes to no connection, then to the lower sum.
            let best = near.min_by(|a, b| (a.0 - w.weight).abs().total_cmp(&(b.0 - w.weight).abs()).then(a.1.cmp(&b.1)));
            let &(sum, code) = best.expect("there is a sum");
            error += w.cost * (sum - w.weight).powi(2);
            code
        })
        .collect();
    (codes, error)
}

/// Levels for weights whose sources enter by `k` axons.
pub fn fit(wanted: &[Wanted], k: usize) -> Fit {
    best_of(wanted, k, |levels| descend(wanted, levels))
}

/// As [`fit`], with integer levels of at most `limit`, for weights in units of the potential. Rounding the levels of a fit is not enough where units
/// are few: halves that add up to a weight round to nothing.
pub fn fit_integers(wanted: &[Wanted], k: usize, limit: f64) -> Fit {
    best_of(wanted, k, |levels| {
        let levels = descend(wanted, levels).levels.into_iter().map(|l| l.round().clamp(-limit, limit));
        step(wanted, levels.collect(), limit)
    })
}

/// The best that `search` finds from all starts.
fn best_of(wanted: &[Wanted], k: usize, search: impl Fn(Vec<f64>) -> Fit) -> Fit {
    let none = Fit { levels: vec![0.0; k], codes: vec![0; wanted.len()], error: 0.0 };
    let found = starts(wanted, k).into_iter().map(search);
    if wanted.is_empty() { none } else { found.reduce(|a, b| if b.error < a.error { b } else { a }).unwrap_or(none) }
}

/// Moves single levels by 1 while that helps.
fn step(wanted: &[Wanted], mut levels: Vec<f64>, limit: f64) -> Fit {
    let (mut codes, mut error) = assign(wanted, &levels);
    for _ in 0..ROUNDS {
        let before = error;
        for a in 0..levels.len() {
            for by in [1.0, -1.0] {
                let mut other = levels.clone();
                other[a] = (other[a] + by).clamp(-limit, limit);
                let (new_codes, new_error) = assign(wanted, &other);
                if new_error < error {
                    (levels, codes, error) = (other, new_codes, new_error);
                }
            }
        }
        if error >= before {
            break;
        }
    }
    Fit { levels, codes, error }
}

/// Alternates between codes and levels until neither changes.
fn descend(wanted: &[Wanted], mut levels: Vec<f64>) -> Fit {
    let (mut codes, mut error) = assign(wanted, &levels);
    for _ in 0..ROUNDS {
        let next = least_squares(wanted, &codes, &levels);
        let (new_codes, new_error) = assign(wanted, &next);
        if new_error >= error {
            break;
        }
        (levels, codes, error) = (next, new_codes, new_error);
    }
    Fit { levels, codes, error }
}

/// Levels of least squares for given codes; a level that no code names stays.
fn least_squares(wanted: &[Wanted], codes: &[u16], levels: &[f64]) -> Vec<f64> {
    let k = levels.len();
    // Normal equations, with a ridge that only decides what the data leave open.
    let mut a = vec![vec![0.0; k + 1]; k];
    let mut all = 0.0;
    for (w, &code) in wanted.iter().zip(codes) {
        all += w.cost;
        for (_, row) in a.iter_mut().enumerate().filter(|(i, _)| code >> i & 1 == 1) {
            for (j, cell) in row.iter_mut().enumerate().take(k) {
                *cell += w.cost * f64::from(code >> j & 1);
            }
            row[k] += w.cost * w.weight;
        }
    }
    let ridge = 1e-9 * all.max(f64::MIN_POSITIVE);
    for (i, row) in a.iter_mut().enumerate() {
        row[i] += ridge;
        row[k] += ridge * levels[i];
    }
    solve(a).unwrap_or_else(|| levels.to_vec())
}

/// Gauss's elimination with pivots; `None` for a singular matrix.
fn solve(mut a: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let k = a.len();
    for column in 0..k {
        let pivot = (column..k).max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs()))?;
        if a[pivot][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        a.swap(column, pivot);
        let (done, rest) = a.split_at_mut(column + 1);
        let lead = &done[column];
        for row in rest {
            let factor = row[column] / lead[column];
            for (cell, l) in row.iter_mut().zip(lead).skip(column) {
                *cell -= factor * l;
            }
        }
    }
    let mut x = vec![0.0; k];
    for i in (0..k).rev() {
        let known: f64 = (i + 1..k).map(|j| a[i][j] * x[j]).sum();
        x[i] = (a[i][k] - known) / a[i][i];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

/// Where descent starts: levels of both signs, of one sign, and of two's complement.
fn starts(wanted: &[Wanted], k: usize) -> Vec<Vec<f64>> {
    let mean = |keep: &dyn Fn(f64) -> bool| {
        let (mut sum, mut cost) = (0.0, 0.0);
        for w in wanted.iter().filter(|w| keep(w.weight)) {
            (sum, cost) = (sum + w.cost * w.weight, cost + w.cost);
        }
        if cost > 0.0 { sum / cost } else { 0.0 }
    };
    let (up, down) = (mean(&|w| w > 0.0), mean(&|w| w < 0.0));
    let most = wanted.iter().map(|w| w.weight).fold(0.0, f64::max);
    let least = wanted.iter().map(|w| w.weight).fold(0.0, f64::min);
    let mut starts = Vec::new();
    for scale in [0.5, 1.0, 1.5] {
        let binary = |total: f64, n: usize| -> Vec<f64> {
            let parts = ((1u32 << n) - 1).max(1);
            (0..n).map(|a| total * f64::from(1u32 << a) / f64::from(parts)).collect()
        };
        // `n` axons count up, the others down.
        for n in 0..=k {
            let mut levels = binary(scale * most, n);
            levels.extend(binary(scale * least, k - n));
            starts.push(levels);
            // A level alone on its side is rather the mean of that side than its end.
            let mut levels = binary(scale * if n == 1 { 2.0 * up } else { most }, n);
            levels.extend(binary(scale * if k - n == 1 { 2.0 * down } else { least }, k - n));
            starts.push(levels);
        }
        // Two's complement: all but one count up from the least sum, or all but one down from the largest.
        if k >= 2 {
            let mut levels = binary(scale * (most - least), k - 1);
            levels.push(scale * least);
            starts.push(levels);
            let mut levels = binary(scale * (least - most), k - 1);
            levels.push(scale * most);
            starts.push(levels);
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(weights: &[f64]) -> Vec<Wanted> {
        weights.iter().map(|&weight| Wanted { weight, cost: 1.0 }).collect()
    }

    #[test]
    fn weights_that_are_sums_are_met() {
        for levels in [vec![3.0], vec![2.0, -5.0], vec![1.0, 2.0, -4.0], vec![1.0, 2.0, 4.0, -8.0]] {
            let weights: Vec<f64> = (0..1u16 << levels.len()).map(|code| sum(&levels, code)).collect();
            let fit = fit(&wanted(&weights), levels.len());
            assert!(fit.error < 1e-12, "{levels:?}: {fit:?}");
        }
    }

    /// Halves of a weight would round to nothing.
    #[test]
    fn integer_levels_keep_small_weights() {
        let fit = fit_integers(&wanted(&[0.98, -0.98, 0.98, -0.98, 0.0]), 4, 255.0);
        assert!(fit.error < 0.002, "{fit:?}");
        let fit = fit_integers(&wanted(&[300.0, 5.2]), 1, 255.0);
        assert_eq!((fit.levels, fit.codes), (vec![255.0], vec![1, 0]));
        let weights: Vec<f64> = (0..200).map(|i| f64::from((i * 37) % 61) / 10.0 - 3.0).collect();
        for k in 1..=4 {
            let (whole, exact) = (fit_integers(&wanted(&weights), k, 255.0), super::fit(&wanted(&weights), k));
            assert!(whole.levels.iter().all(|l| l.fract() == 0.0) && whole.error >= exact.error - 1e-9, "{whole:?} {exact:?}");
        }
    }

    #[test]
    fn more_axons_never_fit_worse_and_four_are_near() {
        let weights: Vec<f64> = (0..60).map(|i| f64::from((i * 37) % 61) / 30.0 - 1.0).collect();
        let errors: Vec<f64> = (1..=4).map(|k| fit(&wanted(&weights), k).error).collect();
        assert!(errors.is_sorted_by(|a, b| a >= b), "{errors:?}");
        let plain: f64 = weights.iter().map(|w| w * w).sum();
        assert!(errors[0] < 0.75 * plain && errors[1] < 0.2 * plain && errors[3] < 0.01 * plain, "{errors:?} of {plain}");
    }

    #[test]
    fn costs_decide_and_zero_levels_are_no_connection() {
        let fit = fit(&[Wanted { weight: 1.0, cost: 1.0 }, Wanted { weight: 3.0, cost: 1e6 }, Wanted { weight: 0.01, cost: 1.0 }], 1);
        assert!((fit.levels[0] - 3.0).abs() < 0.01, "{fit:?}");
        assert_eq!(fit.codes, [0, 1, 0]);
        assert_eq!(super::fit(&[], 2), Fit { levels: vec![0.0; 2], codes: vec![], error: 0.0 });
        let (codes, error) = assign(&wanted(&[0.5, -3.0]), &[1.0, 0.0]);
        assert_eq!((codes, error), (vec![0, 0], 9.25), "a tie goes to no connection");
    }
}

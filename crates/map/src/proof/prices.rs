//! Prices of neurons: a bound for more classes than can be divided in every way.
//!
//! In: all choices of a core, and the members of each class. Out: whole prices, and the most that a core can be worth.
//! Invariant: the bound rests on the whole prices alone: every choice is valued again, and no core is worth more than the most found.
//! Cost: the choices, for each of some dozens of rounds. Why: the best prices are the dual of a linear program over the choices (Gilmore and
//! Gomory's of the cutting stock); floating point only finds them.

/// Rounds of the linear program.
const ROUNDS: usize = 400;
/// Scales of whole prices that are tried, the most readable first.
const SCALES: [f64; 5] = [100.0, 1_000.0, 10_000.0, 100_000.0, 10_000_000.0];

/// Whole prices.
#[derive(Debug)]
pub(super) struct Prices {
    /// Of a neuron of each class.
    pub of_class: Vec<u64>,
    /// Of all neurons.
    pub all: u64,
    /// Of the neurons of a core at most.
    pub core: u64,
}

impl Prices {
    /// Cores that are needed at least.
    pub fn cores(&self) -> u64 {
        self.all.div_ceil(self.core.max(1))
    }
}

/// The best prices found. Each class must be in some choice.
pub(super) fn prices(choices: &[Vec<u32>], members: &[u32]) -> Option<Prices> {
    let real = duals(choices, members)?;
    let mut best: Option<Prices> = None;
    for scale in SCALES {
        let most = real.iter().copied().fold(0.0, f64::max);
        let of_class: Vec<u64> = real.iter().map(|p| (p / most * scale).round().max(0.0) as u64).collect();
        let worth = |counts: &[u32]| counts.iter().zip(&of_class).map(|(&n, &p)| u64::from(n) * p).sum::<u64>();
        let (all, core) = (worth(members), choices.iter().map(|c| worth(c)).max()?);
        let found = Prices { of_class, all, core };
        if core > 0 && best.as_ref().is_none_or(|b| found.cores() > b.cores()) {
            best = Some(found);
        }
    }
    best
}

/// Least cores of the linear program: how often each choice is made, not whole; its duals are the prices.
fn duals(choices: &[Vec<u32>], members: &[u32]) -> Option<Vec<f64>> {
    let n = members.len();
    // Basis: for each class the choice with the most of it, of that class alone.
    let mut basis: Vec<(Vec<f64>, f64)> = Vec::new();
    for class in 0..n {
        let most = choices.iter().map(|c| c[class]).max().filter(|&m| m > 0)?;
        basis.push(((0..n).map(|c| if c == class { f64::from(most) } else { 0.0 }).collect(), 1.0));
    }
    let goal: Vec<f64> = members.iter().map(|&m| f64::from(m)).collect();
    let mut prices = vec![0.0; n];
    for _ in 0..ROUNDS {
        let columns = |row: usize| basis.iter().map(|b| b.0[row]).collect::<Vec<f64>>();
        let rows: Vec<Vec<f64>> = (0..n).map(columns).collect();
        let transposed: Vec<Vec<f64>> = basis.iter().map(|b| b.0.clone()).collect();
        prices = solve(transposed, basis.iter().map(|b| b.1).collect())?;
        let worth = |c: &[u32]| c.iter().zip(&prices).map(|(&n, p)| f64::from(n) * p).sum::<f64>();
        let (mut entering, mut gain) = (None, 1e-9);
        for class in (0..n).filter(|&c| prices[c] < 0.0) {
            // More than is needed of a class costs nothing.
            if -prices[class] > gain {
                (entering, gain) = (Some(((0..n).map(|c| if c == class { -1.0 } else { 0.0 }).collect(), 0.0)), -prices[class]);
            }
        }
        for choice in choices {
            if worth(choice) - 1.0 > gain {
                (entering, gain) = (Some((choice.iter().map(|&n| f64::from(n)).collect::<Vec<f64>>(), 1.0)), worth(choice) - 1.0);
            }
        }
        let Some(column) = entering else { break };
        let (made, step) = (solve(rows.clone(), goal.clone())?, solve(rows, column.0.clone())?);
        let ratio = |i: usize| made[i].max(0.0) / step[i];
        let leaving = (0..n).filter(|&i| step[i] > 1e-9).min_by(|&a, &b| ratio(a).total_cmp(&ratio(b)))?;
        basis[leaving] = column;
    }
    Some(prices.into_iter().map(|p| p.max(0.0)).collect::<Vec<f64>>()).filter(|p| p.iter().any(|&p| p > 0.0))
}

/// Solves a small system by elimination; `None` when it is singular.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|&x, &y| a[x][i].abs().total_cmp(&a[y][i].abs())).filter(|&p| a[p][i].abs() > 1e-12)?;
        a.swap(i, pivot);
        b.swap(i, pivot);
        for row in (0..n).filter(|&r| r != i) {
            let factor = a[row][i] / a[i][i];
            let (from, to) = if row < i {
                let (x, y) = a.split_at_mut(i);
                (&y[0], &mut x[row])
            } else {
                let (x, y) = a.split_at_mut(row);
                (&x[i], &mut y[0])
            };
            for (t, f) in to.iter_mut().zip(from) {
                *t -= factor * f;
            }
            b[row] -= factor * b[i];
        }
    }
    Some((0..n).map(|i| b[i] / a[i][i]).collect())
}

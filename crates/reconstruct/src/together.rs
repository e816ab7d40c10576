//! What moments of a row's own are made of: spikes as heard now and as the teacher heard them, and when its neurons fired.
//!
//! In: both trains, the teacher's spikes by row, the rows' lengths. Out: [`Together`], of which rows take moments from as many samples as their cost allows.
//! Invariant: samples that are left out are spread evenly, so that a few more of them change little.
//! Cost: a copy of the trains. Why fewer samples instead of no such moments: with more calibration data a net must not become worse.

use crate::features::Trains;

/// Moments of their own, for all rows, cost at most this many multiplications; the second number is for populations of few rows, as outputs are.
const LARGEST_OWN: (f64, f64) = (3e10, 6e10);
/// How many are few.
pub(crate) const FEW_ROWS: usize = 32;
/// Most numbers of the traces of a row.
const LARGEST_TRACES: usize = 1 << 26;
/// Fewest columns for each weight of a row, where samples are left out: with fewer, moments of all samples that the rows share are better.
const LEAST_COLUMNS: usize = 16;

/// Spikes, by column.
#[derive(Debug)]
pub(crate) struct Together {
    /// All samples.
    pub all: Heard,
    taken: Taken,
}

/// The samples that moments are taken from.
#[derive(Debug)]
enum Taken {
    All,
    Thinned(Heard),
    /// They would be too few.
    None,
}

/// What rows heard, and when the teacher's neurons fired.
#[derive(Debug)]
pub(crate) struct Heard {
    pub trains: Trains,
    pub their_trains: Trains,
    /// Spikes of the teacher's neuron, by row.
    pub fired: Vec<Vec<u32>>,
}

impl Heard {
    /// For each column: did row j's neuron fire?
    pub fn fired(&self, j: usize) -> Vec<bool> {
        let mut fired = vec![false; self.trains.column_count()];
        self.fired[j].iter().for_each(|&c| fired[c as usize] = true);
        fired
    }

    /// At most about `most` columns, of samples that are spread evenly; `None` where that is not one sample.
    fn thinned(&self, most: usize) -> Option<Heard> {
        let starts = &self.trains.starts;
        let (samples, columns) = (starts.len() - 1, self.trains.column_count());
        let keep = (samples as f64 * most as f64 / columns.max(1) as f64) as usize;
        if keep == 0 {
            return None;
        }
        // Sample s is kept where the line of slope keep / samples passes a whole number.
        let kept: Vec<bool> = (0..samples).map(|s| (s + 1) * keep / samples > s * keep / samples).collect();
        let mut place = vec![u32::MAX; columns];
        let mut now = vec![0u32];
        for (s, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
            let first = now[now.len() - 1];
            (starts[s]..starts[s + 1]).zip(first..).for_each(|(c, at)| place[c as usize] = at);
            now.push(first + starts[s + 1] - starts[s]);
        }
        let moved = |columns: &[u32]| columns.iter().map(|&c| place[c as usize]).filter(|&c| c != u32::MAX).collect::<Vec<u32>>();
        let thin = |trains: &Trains| {
            let mut out = Trains { starts: now.clone(), offsets: vec![0], columns: Vec::new() };
            for f in 0..trains.features() {
                out.columns.extend(moved(trains.of_feature(f)));
                out.offsets.push(out.columns.len() as u32);
            }
            out
        };
        let fired = self.fired.iter().map(|f| moved(f)).collect();
        Some(Heard { trains: thin(&self.trains), their_trains: thin(&self.their_trains), fired })
    }
}

impl Together {
    /// `rows`: number of weights of each row.
    pub fn new(all: Heard, rows: impl ExactSizeIterator<Item = usize> + Clone) -> Self {
        let columns = all.trains.column_count();
        let few = rows.len() <= FEW_ROWS;
        let longest = rows.clone().max().unwrap_or(0).max(1);
        let squares: f64 = rows.map(|n| (n as f64).powi(2)).sum();
        let affordable = (2.0 * if few { LARGEST_OWN.1 } else { LARGEST_OWN.0 } / squares.max(1.0)) as usize;
        let most = affordable.min(LARGEST_TRACES / longest);
        let taken = match () {
            () if most >= columns => Taken::All,
            () if few || most >= LEAST_COLUMNS * longest => all.thinned(most).map_or(Taken::None, Taken::Thinned),
            () => Taken::None,
        };
        Together { all, taken }
    }

    /// What moments are taken from.
    pub fn taken(&self) -> Option<&Heard> {
        match &self.taken {
            Taken::All => Some(&self.all),
            Taken::Thinned(heard) => Some(heard),
            Taken::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 samples of `steps` columns; feature f spikes in column f of each sample, rows fire in the last.
    fn heard(steps: u32, features: u32) -> Heard {
        let starts: Vec<u32> = (0..=10).map(|s| s * steps).collect();
        let mut trains = Trains { starts, offsets: vec![0], columns: Vec::new() };
        for f in 0..features {
            trains.columns.extend((0..10).map(|s| s * steps + f % steps));
            trains.offsets.push(trains.columns.len() as u32);
        }
        let fired = vec![(1..=10).map(|s| s * steps - 1).collect()];
        Heard { their_trains: trains.clone(), trains, fired }
    }

    #[test]
    fn whole_samples_are_left_out_evenly() {
        let thin = heard(8, 3).thinned(40).unwrap();
        assert_eq!(thin.trains.starts, [0, 8, 16, 24, 32, 40]);
        assert_eq!(thin.trains.of_feature(2), [2, 10, 18, 26, 34]);
        assert_eq!(thin.their_trains, thin.trains);
        assert_eq!(thin.fired[0], [7, 15, 23, 31, 39]);
        assert_eq!(thin.fired(0).iter().filter(|f| **f).count(), 5);
        // Nothing left, and nothing lost.
        assert!(heard(8, 3).thinned(7).is_none());
        assert_eq!(heard(8, 3).thinned(80).unwrap().trains, heard(8, 3).trains);
    }

    #[test]
    fn large_rows_take_fewer_samples_or_none() {
        let columns = |rows: &[usize]| Together::new(heard(80_000, 1), rows.iter().copied()).taken().map(|w| w.trains.column_count());
        assert_eq!(columns(&[10; 10]), Some(800_000));
        // Few rows are bound by their traces, many by their products.
        assert_eq!(columns(&[200; 10]), Some(240_000));
        assert_eq!(columns(&[500; 10]), None);
        assert_eq!(columns(&[20; 300]), Some(480_000));
        assert_eq!(columns(&[500; 33]), None);
        assert_eq!(columns(&[784; 800]), None);
    }
}

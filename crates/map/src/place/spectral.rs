//! Coordinates from the graph's Laplacian: partners come to lie near each other.
//!
//! In: the undirected graph. Out: two coordinates of each part.
//! Invariant: deterministic; parts without partners lie at the origin.
//! Cost: O(rounds * edges).
//! Why the walk matrix: its second and third eigenvectors minimise the weighted squared lengths of the edges, and a part with much traffic
//! does not pull everything onto itself. Power iteration suffices: the start needs no exact vectors.

use super::traffic::Graph;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Edges that the power iteration looks at, about.
const WORK: usize = 200_000_000;
/// Angles of [`turned`].
const ANGLES: u32 = 8;

/// The second and third eigenvector of the lazy random walk, by power iteration.
pub(super) fn coordinates(graph: &Graph, seed: u64) -> Vec<[f64; 2]> {
    let n = graph.parts();
    let rounds = (WORK / (graph.edges() + n + 1)).clamp(50, 500);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let degree: Vec<f64> = (0..n as u32).map(|p| graph.of(p).iter().map(|e| f64::from(e.weight)).sum()).collect();
    let total: f64 = degree.iter().sum();
    let mut at: Vec<[f64; 2]> = (0..n).map(|_| [rng.random::<f64>() - 0.5, rng.random::<f64>() - 0.5]).collect();
    let mut next = at.clone();
    if total <= 0.0 {
        return vec![[0.0; 2]; n];
    }
    let inner = |at: &[[f64; 2]], a: usize, b: usize| at.iter().zip(&degree).map(|(p, d)| d * p[a] * p[b]).sum::<f64>();
    for _ in 0..rounds {
        // Orthogonal to the constant vector and to each other, weighted by degree.
        for k in 0..2 {
            let mean = at.iter().zip(&degree).map(|(p, d)| d * p[k]).sum::<f64>() / total;
            at.iter_mut().for_each(|p| p[k] -= mean);
        }
        let first = inner(&at, 0, 0).max(f64::MIN_POSITIVE);
        let along = inner(&at, 0, 1) / first;
        at.iter_mut().for_each(|p| p[1] -= along * p[0]);
        let scale = [first.sqrt(), inner(&at, 1, 1).max(f64::MIN_POSITIVE).sqrt()];
        at.iter_mut().for_each(|p| *p = [p[0] / scale[0], p[1] / scale[1]]);
        for p in 0..n {
            let mut sum = [0.0; 2];
            for e in graph.of(p as u32) {
                let q = at[e.to as usize];
                sum[0] += f64::from(e.weight) * q[0];
                sum[1] += f64::from(e.weight) * q[1];
            }
            // Half of the walk stays, so that no eigenvalue is negative.
            next[p] = if degree[p] > 0.0 { [0, 1].map(|k| 0.5 * (at[p][k] + sum[k] / degree[p])) } else { [0.0; 2] };
        }
        std::mem::swap(&mut at, &mut next);
    }
    at
}

/// The coordinates turned by some angles of a quarter circle: on square nets the two vectors come in any mixture.
pub(super) fn turned(at: &[[f64; 2]]) -> impl Iterator<Item = Vec<[f64; 2]>> + '_ {
    (0..ANGLES).map(|k| {
        let (s, c) = (f64::from(k) * std::f64::consts::FRAC_PI_2 / f64::from(ANGLES)).sin_cos();
        at.iter().map(|p| [c * p[0] - s * p[1], s * p[0] + c * p[1]]).collect()
    })
}

//! Symmetric matrices: products of traces, Cholesky factors.
//!
//! In: traces by feature, row-major. Out: sums of products, triangular factors.
//! Invariant: the same result on any number of threads: each entry is summed by one of them, in one order. Cost: see each function.
//! The products are `matrixmultiply`'s, whose last bits depend on the processor's instructions.

use rayon::prelude::*;

/// Rows that a thread takes at a time.
const BAND: usize = 64;

/// `a` (n x m, row-major) += `x` (n x columns) times the transpose of `y` (m x columns). Cost: n m columns multiplications.
pub fn add_product(a: &mut [f32], x: &[f32], y: &[f32], (n, m, columns): (usize, usize, usize)) {
    assert!(a.len() == n * m && x.len() == n * columns && y.len() == m * columns);
    if columns == 0 || m == 0 {
        return;
    }
    a.par_chunks_mut(BAND * m).zip(x.par_chunks(BAND * columns)).for_each(|(a, x)| {
        let rows = a.len() / m;
        // SAFETY: the slices have the sizes that the strides ask for, checked above.
        unsafe {
            matrixmultiply::sgemm(
                rows,
                columns,
                m,
                1.0,
                x.as_ptr(),
                columns as isize,
                1,
                y.as_ptr(),
                1,
                columns as isize,
                1.0,
                a.as_mut_ptr(),
                m as isize,
                1,
            );
        }
    });
}

/// The lower half of `a` (n x n, row-major) += `x` (n x columns) times its transpose; of the upper half, what lies in the bands of the
/// diagonal too. [`mirror`] makes it whole. Cost: n^2 columns / 2 multiplications.
pub fn add_square(a: &mut [f32], x: &[f32], (n, columns): (usize, usize)) {
    assert!(a.len() == n * n && x.len() == n * columns);
    if columns == 0 || n == 0 {
        return;
    }
    a.par_chunks_mut(BAND * n).enumerate().for_each(|(band, a)| {
        let (first, rows) = (band * BAND, a.len() / n);
        let m = first + rows;
        let ours = &x[first * columns..];
        // SAFETY: `a` has `rows` rows of n, of which the first m columns are written; `x` has m rows of `columns`, `ours` the last `rows` of them.
        unsafe {
            matrixmultiply::sgemm(
                rows,
                columns,
                m,
                1.0,
                ours.as_ptr(),
                columns as isize,
                1,
                x.as_ptr(),
                1,
                columns as isize,
                1.0,
                a.as_mut_ptr(),
                n as isize,
                1,
            );
        }
    });
}

/// The rows and columns `of` of a square matrix (n x n, row-major), in their order.
pub fn part(a: &[f32], n: usize, of: impl ExactSizeIterator<Item = usize> + Clone) -> Vec<f32> {
    let mut out = Vec::with_capacity(of.len() * of.len());
    for i in of.clone() {
        let row = &a[i * n..(i + 1) * n];
        out.extend(of.clone().map(|k| row[k]));
    }
    out
}

/// Copies the lower half of a square matrix (n x n, row-major) to the upper.
pub fn mirror(a: &mut [f32], n: usize) {
    for i in 0..n {
        for j in i + 1..n {
            a[i * n + j] = a[j * n + i];
        }
    }
}

/// The lower triangular factor L of a positive definite matrix (n x n, row-major; its lower half is read): a = L L'. The upper half of
/// the result is 0. A pivot below `floor` counts as `floor`. Cost: n^3 / 6 multiplications.
pub fn cholesky(a: &[f32], n: usize, floor: f32) -> Vec<f32> {
    const BLOCK: usize = 64;
    let mut l = a.to_vec();
    for start in (0..n).step_by(BLOCK) {
        let end = (start + BLOCK).min(n);
        // The block on the diagonal, by dot products within it.
        for i in start..end {
            for j in start..=i {
                let (above, below) = l.split_at_mut(i * n);
                let other = if i == j { &below[start..j] } else { &above[j * n + start..j * n + j] };
                let sum: f32 = other.iter().zip(&below[start..j]).map(|(a, b)| a * b).sum();
                let value = below[j] - sum;
                let diagonal = if i == j { 0.0 } else { above[j * n + j] };
                below[j] = if i == j { value.max(floor).sqrt() } else { value / diagonal };
            }
        }
        // The rows under it.
        let (top, rest) = l.split_at_mut(end * n);
        let solve = |row: &mut [f32]| {
            for j in start..end {
                let factor = &top[j * n + start..j * n + j];
                let sum: f32 = factor.iter().zip(&row[start..j]).map(|(a, b)| a * b).sum();
                row[j] = (row[j] - sum) / top[j * n + j];
            }
        };
        let left = n - end;
        if left * (end - start) > 64 * 64 {
            rest.par_chunks_mut(n).for_each(solve)
        } else {
            rest.chunks_mut(n).for_each(solve)
        }
        // What they take from the rest of the lower half.
        let panel: Vec<f32> = rest.chunks(n).flat_map(|row| row[start..end].iter().copied()).collect();
        let width = end - start;
        let update = |(band, rows): (usize, &mut [f32])| {
            let (first, count) = (band * BAND, rows.len() / n);
            let columns = first + count;
            // SAFETY: `rows` has `count` rows of n, of which `columns` from `end` on are written; `panel` has `left` rows of `width`.
            unsafe {
                matrixmultiply::sgemm(
                    count,
                    width,
                    columns,
                    -1.0,
                    panel[first * width..].as_ptr(),
                    width as isize,
                    1,
                    panel.as_ptr(),
                    1,
                    width as isize,
                    1.0,
                    rows[end..].as_mut_ptr(),
                    n as isize,
                    1,
                );
            }
        };
        if left > 4 * BAND {
            rest.par_chunks_mut(BAND * n).enumerate().for_each(update);
        } else if left > 0 {
            rest.chunks_mut(BAND * n).enumerate().for_each(update);
        }
    }
    for i in 0..n {
        l[i * n + i + 1..(i + 1) * n].fill(0.0);
    }
    l
}

/// Solves L L' x = b in place. Cost: n^2 multiplications.
pub fn solve(l: &[f32], n: usize, x: &mut [f32]) {
    for i in 0..n {
        let sum: f32 = l[i * n..i * n + i].iter().zip(&x[..i]).map(|(a, b)| a * b).sum();
        x[i] = (x[i] - sum) / l[i * n + i];
    }
    for i in (0..n).rev() {
        x[i] /= l[i * n + i];
        let value = x[i];
        for (x, &a) in x[..i].iter_mut().zip(&l[i * n..i * n + i]) {
            *x -= a * value;
        }
    }
}

/// The inverse of L L', symmetric. Cost: n^3 / 3 multiplications.
pub fn inverse(l: &[f32], n: usize) -> Vec<f32> {
    // Rows of L^-1, each from those before it; then L^-T L^-1.
    let mut inv = vec![0f32; n * n];
    for i in 0..n {
        let (done, row) = inv.split_at_mut(i * n);
        let row = &mut row[..n];
        for (k, &a) in l[i * n..i * n + i].iter().enumerate() {
            if a != 0.0 {
                for (x, &y) in row[..=k].iter_mut().zip(&done[k * n..k * n + k + 1]) {
                    *x -= a * y;
                }
            }
        }
        let diagonal = l[i * n + i];
        row[..i].iter_mut().for_each(|x| *x /= diagonal);
        row[i] = 1.0 / diagonal;
    }
    let mut out = vec![0f32; n * n];
    if n > 0 {
        let one = |(band, rows): (usize, &mut [f32])| {
            let (first, count) = (band * BAND, rows.len() / n);
            // SAFETY: rows of the product from the columns `first..` of `inv`, whose rows above `first` are 0 there.
            unsafe {
                matrixmultiply::sgemm(
                    count,
                    n - first,
                    n,
                    1.0,
                    inv[first * n + first..].as_ptr(),
                    1,
                    n as isize,
                    inv[first * n..].as_ptr(),
                    n as isize,
                    1,
                    0.0,
                    rows.as_mut_ptr(),
                    n as isize,
                    1,
                );
            }
        };
        if n > 4 * BAND {
            out.par_chunks_mut(BAND * n).enumerate().for_each(one)
        } else {
            out.chunks_mut(BAND * n).enumerate().for_each(one)
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    fn positive(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let columns = n + 10;
        let x: Vec<f32> = (0..n * columns).map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut a = vec![0.0; n * n];
        add_product(&mut a, &x, &x, (n, n, columns));
        (0..n).for_each(|i| a[i * n + i] += 1.0);
        a
    }

    #[test]
    fn factors_solve_and_invert() {
        for n in [1, 2, 7, 64, 65, 130, 300] {
            let a = positive(n, n as u64);
            let l = cholesky(&a, n, 1e-6);
            for (i, j) in [(0, 0), (n - 1, 0), (n - 1, n - 1), (n / 2, n / 3)] {
                let sum: f32 = (0..n).map(|k| l[i * n + k] * l[j * n + k]).sum();
                assert!((sum - a[i * n + j]).abs() < 1e-3 * (1.0 + a[i * n + i]), "{n} {i} {j}: {sum} {}", a[i * n + j]);
            }
            let wanted: Vec<f32> = (0..n).map(|i| (i as f32).sin()).collect();
            let mut b: Vec<f32> = a.chunks(n).map(|row| row.iter().zip(&wanted).map(|(a, x)| a * x).sum()).collect();
            let right = b.clone();
            solve(&l, n, &mut b);
            let inv = inverse(&l, n);
            for i in 0..n {
                let by_inverse: f32 = inv[i * n..(i + 1) * n].iter().zip(&right).map(|(a, x)| a * x).sum();
                assert!((b[i] - wanted[i]).abs() < 1e-2 && (by_inverse - wanted[i]).abs() < 1e-2, "{n} {i}: {} {by_inverse}", b[i]);
                assert!((inv[i * n] - inv[i]).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn products_are_the_same_on_any_number_of_threads() {
        let (n, m, columns) = (150, 70, 333);
        let x: Vec<f32> = (0..n * columns).map(|k| (k as f32 * 0.37).sin()).collect();
        let y = &x[..m * columns];
        let run = |threads| {
            let mut a = vec![0.0; n * m];
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| add_product(&mut a, &x, y, (n, m, columns)));
            a
        };
        let one = run(1);
        assert_eq!(one, run(3));
        let by_hand: f32 = (0..columns).map(|c| x[149 * columns + c] * y[69 * columns + c]).sum();
        assert!((one[149 * m + 69] - by_hand).abs() < 1e-2);
    }

    #[test]
    fn a_square_is_the_product_with_itself() {
        for (n, columns) in [(1, 3), (64, 10), (65, 33), (200, 50)] {
            let x: Vec<f32> = (0..n * columns).map(|k| (k as f32 * 0.61).cos()).collect();
            let (mut square, mut product) = (vec![0.5; n * n], vec![0.5; n * n]);
            add_square(&mut square, &x, (n, columns));
            mirror(&mut square, n);
            add_product(&mut product, &x, &x, (n, n, columns));
            assert!(square.iter().zip(&product).all(|(a, b)| (a - b).abs() < 1e-4), "{n} {columns}");
        }
    }
}

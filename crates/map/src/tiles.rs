//! Orders of a layer's neurons by their shape: tiles of positions, all channels of a position together.
//!
//! In: a layer with a shape. Out: its neurons in an order that next-fit can cut.
//! Cost: a sort. Why: neurons of a convolution at one position share all their inputs; a square tile that fills a core shares most.

use crate::hypergraph::{Layer, Shape};

/// Neurons of a layer: square tiles that hold about `neurons` along a Hilbert curve, positions of a tile row by row, channels innermost.
/// Without a shape, as they stand.
pub fn order(layer: &Layer, neurons: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..layer.neurons).collect();
    if let Some(shape) = layer.shape
        && shape.height > 0
        && shape.width > 0
        && shape.channels > 0
    {
        let (rows, columns) = tile(shape, neurons);
        let side = shape.height.div_ceil(rows).max(shape.width.div_ceil(columns)).next_power_of_two();
        order.sort_by_cached_key(|&k| {
            let (channel, y, x) = layer.place(shape, k);
            (hilbert(side, x / columns, y / rows), y % rows, x % columns, channel)
        });
    }
    order.iter().map(|k| layer.first + k).collect()
}

/// Rows and columns of a tile: powers of two, as square as they can be, so that all channels of its positions fill a core.
fn tile(shape: Shape, neurons: u32) -> (u32, u32) {
    let positions = (neurons / shape.channels).max(1);
    let (mut rows, mut columns) = (1, 1);
    while rows * columns * 2 <= positions && (rows < shape.height || columns < shape.width) {
        if (columns > rows || columns >= shape.width) && rows < shape.height {
            rows *= 2;
        } else {
            columns *= 2;
        }
    }
    (rows, columns)
}

/// Position of (x, y) on the Hilbert curve that fills a square of `side` (a power of two).
pub fn hilbert(side: u32, x: u32, y: u32) -> u64 {
    let (mut x, mut y, mut index) = (u64::from(x), u64::from(y), 0);
    let mut s = u64::from(side) / 2;
    while s > 0 {
        let (rx, ry) = (u64::from(x & s > 0), u64::from(y & s > 0));
        index += s * s * ((3 * rx) ^ ry);
        // Turn the quadrant so that the curve goes on.
        if ry == 0 {
            if rx == 1 {
                (x, y) = (s.wrapping_sub(1).wrapping_sub(x), s.wrapping_sub(1).wrapping_sub(y));
            }
            (x, y) = (y, x);
        }
        (x, y) = (x & (s - 1), y & (s - 1));
        s /= 2;
    }
    index
}

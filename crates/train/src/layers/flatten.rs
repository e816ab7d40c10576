//! A map into a vector, channels first, as networks' files have it.

use crate::tensor::{Shape, Tensor};
use rayon::prelude::*;

/// From (height, width, channels) to (channels, height, width), or the other way round.
#[derive(Debug, Clone)]
pub struct Flatten {
    /// The map.
    pub map: Shape,
    /// The vector is what comes in.
    pub inverse: bool,
}

impl Flatten {
    pub(super) fn forward(&self, x: &Tensor, y: &mut Tensor) {
        self.turn(x, y, self.inverse);
        y.background = x.background;
    }

    pub(super) fn backward(&self, dy: &Tensor, dx: &mut Tensor) {
        self.turn(dy, dx, !self.inverse);
    }

    fn turn(&self, from: &Tensor, to: &mut Tensor, inverse: bool) {
        to.reshape(from.batch, from.steps, from.size);
        let (places, channels) = (self.map.places(), self.map.channels);
        to.data.par_chunks_exact_mut(from.size).zip(from.data.par_chunks_exact(from.size)).for_each(|(to, from)| {
            for p in 0..places {
                for c in 0..channels {
                    let (inside, outside) = (p * channels + c, c * places + p);
                    if inverse {
                        to[inside] = from[outside];
                    } else {
                        to[outside] = from[inside];
                    }
                }
            }
        });
    }
}

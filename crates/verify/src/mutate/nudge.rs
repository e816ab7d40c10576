//! Small changes of values.

use spikec_chip::bundle::Place;
use spikec_chip::target::{Compression, Confidence, Flush, Routing, Sign, Sourced, TopologyKind};

/// SplitMix64: a small random number generator (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator; equal seeds give equal numbers.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A number below `n`; 0 for n = 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.bits() % n as u64) as usize }
    }
}

/// A value that can be changed a little.
pub trait Nudge {
    /// Changes the value; false when it has no other one.
    fn nudge(&mut self, random: &mut Random) -> bool;
}

macro_rules! integers {
    ($($t:ty),*) => { $(impl Nudge for $t {
        fn nudge(&mut self, random: &mut Random) -> bool {
            let up = random.below(2) == 0;
            let moved = if up { self.checked_add(1).or(self.checked_sub(1)) } else { self.checked_sub(1).or(self.checked_add(1)) };
            moved.is_some_and(|v| { *self = v; true })
        }
    })* };
}
integers!(u8, u16, u32, u64, i8, i16, i32, i64);

impl Nudge for f64 {
    /// Half as much more, or 1.
    fn nudge(&mut self, _: &mut Random) -> bool {
        *self = if *self == 0.0 { 1.0 } else { *self * 1.5 };
        true
    }
}

impl Nudge for f32 {
    /// The lowest bit.
    fn nudge(&mut self, _: &mut Random) -> bool {
        *self = f32::from_bits(self.to_bits() ^ 1);
        true
    }
}

impl Nudge for bool {
    fn nudge(&mut self, _: &mut Random) -> bool {
        *self = !*self;
        true
    }
}

impl Nudge for String {
    fn nudge(&mut self, _: &mut Random) -> bool {
        self.push('x');
        true
    }
}

impl<T: Nudge> Nudge for Vec<T> {
    /// One element.
    fn nudge(&mut self, random: &mut Random) -> bool {
        let k = random.below(self.len());
        self.get_mut(k).is_some_and(|v| v.nudge(random))
    }
}

impl<T: Nudge, const N: usize> Nudge for [T; N] {
    /// One element.
    fn nudge(&mut self, random: &mut Random) -> bool {
        let k = random.below(N);
        self.get_mut(k).is_some_and(|v| v.nudge(random))
    }
}

impl<A: Nudge, B: Nudge> Nudge for (A, B) {
    fn nudge(&mut self, random: &mut Random) -> bool {
        if random.below(2) == 0 { self.0.nudge(random) } else { self.1.nudge(random) }
    }
}

impl<T: Nudge + Default> Nudge for Option<T> {
    fn nudge(&mut self, random: &mut Random) -> bool {
        match self {
            None => *self = Some(T::default()),
            Some(v) if random.below(2) == 0 => return v.nudge(random),
            Some(_) => *self = None,
        }
        true
    }
}

impl<T: Nudge> Nudge for Sourced<T> {
    /// The value; source and confidence have mutators of their own.
    fn nudge(&mut self, random: &mut Random) -> bool {
        self.value.nudge(random)
    }
}

impl Nudge for Place {
    fn nudge(&mut self, random: &mut Random) -> bool {
        if random.below(2) == 0 { self.core.nudge(random) } else { self.index.nudge(random) }
    }
}

macro_rules! kinds {
    ($($t:ident: $($v:ident),+;)*) => { $(impl Nudge for $t {
        fn nudge(&mut self, random: &mut Random) -> bool {
            let others: Vec<$t> = [$($t::$v),+].into_iter().filter(|v| v != self).collect();
            others.get(random.below(others.len())).is_some_and(|v| { *self = *v; true })
        }
    })* };
}
kinds! {
    Compression: Sparse, RunLength, Dense;
    Sign: Mixed, Excitatory, Inhibitory;
    Confidence: Public, Calibrated, MeasuredOnRtl, Assumed, Guess;
    TopologyKind: ConcentratedMesh, Mesh;
    Routing: DimensionOrderXy;
    Flush: AfterUpdate, WithUpdate;
}

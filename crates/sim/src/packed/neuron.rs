//! The step of the compartments (docs/semantics.md section 3).
//!
//! In: the inputs of one chip step, in units of 2^align. Out: new u, v, refractory counters; the lanes that fired.
//! Invariant: the plain kernel and the AVX2 kernel give the same results; compartments of equal parameters stand
//! side by side in groups of [`LANES`].
//! Cost: a handful of vector operations for 8 compartments; counts of wraps and clips cost only where they happen.
//! Why: the law stands here a second time, written apart from the reference interpreter, so that comparing them proves
//! something.

/// Compartments are updated in chunks of this many.
pub(crate) const LANES: usize = 8;

/// What all compartments of a machine share. `Law::check` in boot guarantees that i32 holds every intermediate value:
/// `u_bits <= 28`, `input_bits <= 29`, `|v_min|, v_max <= 2^29`, biases below 2^28, sums of inputs below 2^31 units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Law {
    /// Inputs are in units of 2^align.
    pub align: u32,
    /// Bits of u, sign included.
    pub u_bits: u32,
    /// Input sums above this magnitude (in units) count as overflows.
    pub input_limit: i32,
    /// Smallest v.
    pub v_min: i32,
    /// Largest v.
    pub v_max: i32,
    /// A decay keeps keep / 2^decay_bits.
    pub decay_bits: u32,
}

/// Parameters of a compartment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Params {
    /// 2^decay_bits - decay_u.
    pub keep_u: u32,
    /// 2^decay_bits - decay_v.
    pub keep_v: u32,
    /// Threshold in v units.
    pub threshold: i32,
    /// Steps after a spike in which v is held (refractory period - 1).
    pub hold: i32,
}

/// Compartments of equal parameters: lanes `start..end`, a multiple of [`LANES`] (filled up with lanes that stay idle).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Class {
    pub start: usize,
    pub end: usize,
    pub params: Params,
}

/// Events that the counters report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub u_wraps: u64,
    pub v_clips: u64,
    pub input_overflows: u64,
}

/// The dynamic state that the step reads and writes; slices of one class, of equal length.
pub(crate) struct Lanes<'a> {
    pub u: &'a mut [i32],
    pub v: &'a mut [i32],
    /// Held steps left; empty for a class without refractory steps.
    pub held: &'a mut [i32],
    /// Input of this step; zero afterwards.
    pub input: &'a mut [i32],
    pub bias: &'a [i32],
}

/// Which code updates the compartments; both do the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Plain Rust.
    Plain,
    /// x86 AVX2; only ever made by [`Kernel::best`].
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Kernel {
    /// The fastest kernel of this machine.
    pub(crate) fn best() -> Kernel {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Kernel::Avx2;
        }
        Kernel::Plain
    }

    /// One step of one class; appends the lanes that fired, ascending.
    pub(crate) fn step(self, law: &Law, class: &Class, lanes: Lanes<'_>, fired: &mut Vec<u32>, faults: &mut Faults) {
        match self {
            Kernel::Plain => plain(law, &class.params, class.start, lanes, fired, faults),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => {
                // SAFETY: `Kernel::best` made this value after it had detected AVX2.
                unsafe { avx2::step(law, class, lanes, fired, faults) }
            }
        }
    }
}

/// `sign(x) * ((|x| * keep) >> bits)`.
fn decay(x: i64, keep: u32, bits: u32) -> i64 {
    x.signum() * ((x.abs() * i64::from(keep)) >> bits)
}

/// The low `bits` bits of x as a two's-complement number.
fn wrap(x: i64, bits: u32) -> i64 {
    (x << (64 - bits)) >> (64 - bits)
}

/// One step of the lanes, the first of which is lane `start`.
fn plain(law: &Law, p: &Params, start: usize, lanes: Lanes<'_>, fired: &mut Vec<u32>, faults: &mut Faults) {
    for k in 0..lanes.u.len() {
        let units = std::mem::take(&mut lanes.input[k]);
        let sum = decay(i64::from(lanes.u[k]), p.keep_u, law.decay_bits) + (i64::from(units) << law.align);
        let u = wrap(sum, law.u_bits);
        lanes.u[k] = u as i32;
        faults.u_wraps += u64::from(u != sum);
        faults.input_overflows += u64::from(units.unsigned_abs() > law.input_limit as u32);
        if p.hold > 0 && lanes.held[k] > 0 {
            lanes.held[k] -= 1;
            continue;
        }
        let sum = decay(i64::from(lanes.v[k]), p.keep_v, law.decay_bits) + u + i64::from(lanes.bias[k]);
        let v = sum.clamp(i64::from(law.v_min), i64::from(law.v_max));
        faults.v_clips += u64::from(v != sum);
        lanes.v[k] = v as i32;
        if v > i64::from(p.threshold) {
            lanes.v[k] = 0;
            if p.hold > 0 {
                lanes.held[k] = p.hold;
            }
            fired.push((start + k) as u32);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Class, Faults, LANES, Lanes, Law, plain};
    use std::arch::x86_64::*;

    type Chunk = [i32; LANES];

    /// As [`plain`], 8 lanes at a time; a chunk in which u wraps or an input overflows (rare) is left to [`plain`].
    #[target_feature(enable = "avx2")]
    pub(super) fn step(law: &Law, class: &Class, lanes: Lanes<'_>, fired: &mut Vec<u32>, faults: &mut Faults) {
        if class.params.hold > 0 {
            chunks::<true>(law, class, lanes, fired, faults);
        } else {
            chunks::<false>(law, class, lanes, fired, faults);
        }
    }

    #[target_feature(enable = "avx2")]
    fn load(chunk: &Chunk) -> __m256i {
        // SAFETY: the reference covers 32 bytes; loadu needs no alignment.
        unsafe { _mm256_loadu_si256(chunk.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn store(chunk: &mut Chunk, x: __m256i) {
        // SAFETY: the reference covers 32 bytes; storeu needs no alignment.
        unsafe { _mm256_storeu_si256(chunk.as_mut_ptr().cast(), x) }
    }

    /// keep as [`decay`] takes it: keep * 2^(31 - bits), at most 2^31.
    #[target_feature(enable = "avx2")]
    fn scaled(keep: u32, bits: u32) -> __m256i {
        _mm256_set1_epi32((keep << (31 - bits)) as i32)
    }

    /// `sign(x) * ((|x| * keep) >> bits)`: the high halves of the 64-bit products of 2 |x| and the scaled keep.
    #[target_feature(enable = "avx2")]
    fn decay(x: __m256i, scaled: __m256i) -> __m256i {
        let a = _mm256_abs_epi32(x);
        let a = _mm256_add_epi32(a, a);
        let even = _mm256_srli_epi64::<32>(_mm256_mul_epu32(a, scaled));
        let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(a), scaled);
        _mm256_sign_epi32(_mm256_blend_epi32::<0b1010_1010>(even, odd), x)
    }

    /// One bit a lane.
    #[target_feature(enable = "avx2")]
    fn bits(mask: __m256i) -> u32 {
        _mm256_movemask_ps(_mm256_castsi256_ps(mask)) as u32
    }

    #[target_feature(enable = "avx2")]
    fn chunks<const HOLD: bool>(law: &Law, class: &Class, lanes: Lanes<'_>, fired: &mut Vec<u32>, faults: &mut Faults) {
        let p = &class.params;
        let zero = _mm256_setzero_si256();
        let keep_u = scaled(p.keep_u, law.decay_bits);
        let keep_v = scaled(p.keep_v, law.decay_bits);
        let threshold = _mm256_set1_epi32(p.threshold);
        let hold = _mm256_set1_epi32(p.hold);
        let input_limit = _mm256_set1_epi32(law.input_limit);
        let align = _mm_cvtsi32_si128(law.align as i32);
        // u + half has bits in `beyond` exactly when u is outside -half .. half.
        let half = _mm256_set1_epi32(1 << (law.u_bits - 1));
        let beyond = _mm256_set1_epi32(-1 << law.u_bits);
        let (v_min, v_max) = (_mm256_set1_epi32(law.v_min), _mm256_set1_epi32(law.v_max));

        let (us, _) = lanes.u.as_chunks_mut::<LANES>();
        let (vs, _) = lanes.v.as_chunks_mut::<LANES>();
        let (inputs, _) = lanes.input.as_chunks_mut::<LANES>();
        let (biases, _) = lanes.bias.as_chunks::<LANES>();
        let (helds, _) = lanes.held.as_chunks_mut::<LANES>();
        let mut helds = helds.iter_mut();
        for (k, (((uc, vc), qc), bc)) in us.iter_mut().zip(vs).zip(inputs).zip(biases).enumerate() {
            let start = class.start + k * LANES;
            let mut hc = if HOLD { helds.next() } else { None };
            let q = load(qc);
            let v_old = load(vc);
            let u = _mm256_add_epi32(decay(load(uc), keep_u), _mm256_sll_epi32(q, align));
            let sum = _mm256_add_epi32(_mm256_add_epi32(decay(v_old, keep_v), u), load(bc));
            let v = _mm256_min_epi32(_mm256_max_epi32(sum, v_min), v_max);
            let mut fires = _mm256_cmpgt_epi32(v, threshold);
            let mut clipped = _mm256_xor_si256(sum, v);
            let wrapped = _mm256_and_si256(_mm256_add_epi32(u, half), beyond);
            // An input so large that the shift lost bits is over the limit.
            let over = _mm256_cmpgt_epi32(_mm256_abs_epi32(q), input_limit);
            let free = hc.as_ref().map_or(zero, |h| _mm256_cmpeq_epi32(load(h), zero));
            if HOLD {
                fires = _mm256_and_si256(fires, free);
                clipped = _mm256_and_si256(clipped, free);
            }
            let odd = _mm256_or_si256(wrapped, over);
            let faulty = _mm256_or_si256(odd, clipped);
            if _mm256_testz_si256(faulty, faulty) == 0 {
                if _mm256_testz_si256(odd, odd) == 0 {
                    let held = hc.map_or(&mut [][..], |h| &mut h[..]);
                    plain(law, p, start, Lanes { u: uc, v: vc, held, input: qc, bias: bc }, fired, faults);
                    continue;
                }
                faults.v_clips += u64::from(LANES as u32 - bits(_mm256_cmpeq_epi32(clipped, zero)).count_ones());
            }
            store(qc, zero);
            store(uc, u);
            if let Some(h) = hc.as_mut() {
                let waiting = _mm256_sub_epi32(load(h), _mm256_andnot_si256(free, _mm256_set1_epi32(1)));
                store(h, _mm256_blendv_epi8(waiting, hold, fires));
                store(vc, _mm256_andnot_si256(fires, _mm256_blendv_epi8(v_old, v, free)));
            } else {
                store(vc, _mm256_andnot_si256(fires, v));
            }
            let mut mask = bits(fires);
            while mask != 0 {
                fired.push(start as u32 + mask.trailing_zeros());
                mask &= mask - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    const LOIHI: Law = Law { align: 6, u_bits: 24, input_limit: 1 << 15, v_min: -(1 << 23) + 1, v_max: (1 << 23) - 1, decay_bits: 12 };

    #[derive(Clone, Default)]
    struct One {
        u: Vec<i32>,
        v: Vec<i32>,
        held: Vec<i32>,
        input: Vec<i32>,
        bias: Vec<i32>,
        faults: Faults,
    }

    impl One {
        fn new(n: usize) -> One {
            One { u: vec![0; n], v: vec![0; n], held: vec![0; n], input: vec![0; n], bias: vec![0; n], faults: Faults::default() }
        }
        fn step(&mut self, kernel: Kernel, law: &Law, params: Params) -> Vec<u32> {
            let mut fired = Vec::new();
            let class = Class { start: 0, end: self.u.len(), params };
            let held = if params.hold > 0 { &mut self.held[..] } else { &mut [] };
            let lanes = Lanes { u: &mut self.u, v: &mut self.v, held, input: &mut self.input, bias: &self.bias };
            kernel.step(law, &class, lanes, &mut fired, &mut self.faults);
            fired
        }
    }

    fn kernels() -> Vec<Kernel> {
        let best = Kernel::best();
        if best == Kernel::Plain { vec![best] } else { vec![Kernel::Plain, best] }
    }

    #[test]
    fn hand_computed_decays_toward_zero() {
        // u: 100 units of 64 -> 6400; then 6400 * 2048 >> 12 = 3200; then 1600. keep_v = 4096 - 255 = 3841.
        // v: 6400; (6400 * 3841 >> 12) + 3200 = 6001 + 3200 = 9201; (9201 * 3841 >> 12) + 1600 = 8628 + 1600 = 10228.
        for kernel in kernels() {
            for sign in [1, -1] {
                let p = Params { keep_u: 2048, keep_v: 3841, threshold: 20_000, hold: 0 };
                let mut one = One::new(8);
                one.input[3] = 100 * sign;
                assert!(one.step(kernel, &LOIHI, p).is_empty());
                assert_eq!((one.u[3], one.v[3], one.input[3]), (6400 * sign, 6400 * sign, 0));
                one.step(kernel, &LOIHI, p);
                assert_eq!((one.u[3], one.v[3]), (3200 * sign, 9201 * sign));
                one.step(kernel, &LOIHI, p);
                assert_eq!((one.u[3], one.v[3]), (1600 * sign, 10_228 * sign));
                assert_eq!(one.faults, Faults::default());
            }
        }
    }

    #[test]
    fn threshold_is_strict_and_refractory_holds_v() {
        for kernel in kernels() {
            let p = Params { keep_u: 0, keep_v: 4096, threshold: 64, hold: 2 };
            let mut one = One::new(8);
            one.input[0] = 1;
            assert!(one.step(kernel, &LOIHI, p).is_empty(), "64 is not above 64");
            one.bias[0] = 1;
            assert_eq!(one.step(kernel, &LOIHI, p), [0]);
            assert_eq!((one.v[0], one.held[0]), (0, 2));
            one.bias[0] = 100;
            assert!(one.step(kernel, &LOIHI, p).is_empty());
            assert!(one.step(kernel, &LOIHI, p).is_empty());
            assert_eq!((one.v[0], one.held[0]), (0, 0));
            assert_eq!(one.step(kernel, &LOIHI, p), [0]);
        }
    }

    #[test]
    fn wraps_clips_and_overflows_are_counted() {
        for kernel in kernels() {
            let p = Params { keep_u: 4096, keep_v: 0, threshold: i32::MAX, hold: 0 };
            let mut one = One::new(8);
            // 2^23 wraps to -2^23, and v = -2^23 is clipped to -2^23 + 1.
            one.input[1] = 1 << 17;
            one.step(kernel, &LOIHI, p);
            assert_eq!((one.u[1], one.v[1]), (-(1 << 23), -(1 << 23) + 1));
            assert_eq!(one.faults, Faults { u_wraps: 1, v_clips: 1, input_overflows: 1 });
            // Exactly 2^21 does not pass 2^21; one unit more does. Neither wraps.
            let mut one = One::new(8);
            one.input[0] = 1 << 15;
            one.input[2] = -(1 << 15) - 1;
            one.step(kernel, &LOIHI, p);
            assert_eq!(one.faults, Faults { u_wraps: 0, v_clips: 0, input_overflows: 1 });
            // 2^30 units shifted by 6 leave nothing in 32 bits: a wrap all the same.
            let mut one = One::new(8);
            one.input[7] = 1 << 30;
            one.step(kernel, &LOIHI, p);
            assert_eq!(one.u[7], 0);
            assert_eq!(one.faults, Faults { u_wraps: 1, v_clips: 0, input_overflows: 1 });
        }
    }

    #[test]
    fn kernels_agree_on_random_lanes() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for case in 0..300 {
            let law = if case % 3 == 0 {
                Law { align: 4, u_bits: 20, input_limit: 1 << 10, v_min: -(1 << 18), v_max: 1 << 19, decay_bits: 10 }
            } else {
                LOIHI
            };
            let one = 1u32 << law.decay_bits;
            let p = Params {
                keep_u: rng.random_range(0..=one),
                keep_v: rng.random_range(0..=one),
                threshold: rng.random_range(0..1 << 20),
                hold: rng.random_range(0..3),
            };
            let mut all: Vec<One> = kernels().iter().map(|_| One::new(24)).collect();
            for _ in 0..20 {
                let width = rng.random_range(1..27);
                for k in 0..24 {
                    let (q, b) = (rng.random_range(-(1 << width)..1 << width), rng.random_range(-4095..=4095) << rng.random_range(0..8));
                    for one in &mut all {
                        one.input[k] = q;
                        one.bias[k] = b;
                    }
                }
                let fired: Vec<_> = kernels().iter().zip(&mut all).map(|(k, one)| one.step(*k, &law, p)).collect();
                for (f, one) in fired.iter().zip(&all).skip(1) {
                    assert_eq!(f, &fired[0]);
                    assert_eq!((&one.u, &one.v, &one.held, one.faults), (&all[0].u, &all[0].v, &all[0].held, all[0].faults));
                }
            }
        }
    }
}

//! From output spikes to a class (docs/semantics.md, section 5).

/// How a prediction follows from the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decode {
    /// Most spikes.
    Count,
    /// Earliest spike; outputs that never spike come last.
    FirstSpike,
    /// Groups of this many consecutive outputs; the group with most spikes.
    Vote(u32),
    /// Largest potential after the last step.
    Potential,
    /// Spikes only; the prediction is that of `Count`.
    Spikes,
}

/// The predicted class: index of the best output (of the best group for `Vote`), 0 when there is none.
///
/// `counts`: spikes of each output; `first_spike`: network step of each output's first spike; `potentials`: v of each output
/// after the last step. Only the slice that the decoder uses is read. Ties go to the first index; NaN never wins; a group size
/// of 0 counts as 1, and a last group may be smaller.
pub fn predict(decode: Decode, counts: &[u32], first_spike: &[Option<u32>], potentials: &[f64]) -> u32 {
    match decode {
        Decode::Count | Decode::Spikes => best(counts.iter().copied()),
        Decode::FirstSpike => best(first_spike.iter().map(|t| t.map(std::cmp::Reverse))),
        Decode::Vote(group) => best(counts.chunks(group.max(1) as usize).map(|g| g.iter().map(|&n| u64::from(n)).sum::<u64>())),
        Decode::Potential => best(potentials.iter().map(|&v| if v.is_nan() { None } else { Some(v) })),
    }
}

/// True when no spike of the steps that are left can change the prediction.
///
/// `counts` and `first_spike` as for [`predict`], after the steps so far; `left`: spikes that each output can still have (at most one
/// a step; 0 for an output that was removed). Potentials and raw spikes are never settled before the last step.
pub fn settled(decode: Decode, counts: &[u32], first_spike: &[Option<u32>], left: &[u32]) -> bool {
    let open = |groups: &mut dyn Iterator<Item = (u64, u64)>| -> bool {
        // (spikes, spikes possible) of each class.
        let classes: Vec<(u64, u64)> = groups.collect();
        let winner = best(classes.iter().map(|c| c.0)) as usize;
        let Some(&(top, _)) = classes.get(winner) else { return false };
        classes.iter().enumerate().any(|(k, &(n, more))| k != winner && (n + more > top || (n + more == top && k < winner)))
    };
    match decode {
        Decode::Count => !open(&mut counts.iter().zip(left).map(|(&n, &m)| (n.into(), m.into()))),
        Decode::Vote(group) => {
            let group = group.max(1) as usize;
            let sum = |list: &[u32]| list.iter().map(|&n| u64::from(n)).sum::<u64>();
            !open(&mut counts.chunks(group).zip(left.chunks(group)).map(|(n, m)| (sum(n), sum(m))))
        }
        Decode::FirstSpike => first_spike.iter().any(Option::is_some),
        Decode::Potential | Decode::Spikes => left.iter().all(|&m| m == 0),
    }
}

/// Index of the first of the largest scores.
fn best<S: PartialOrd>(scores: impl Iterator<Item = S>) -> u32 {
    let mut best: Option<(u32, S)> = None;
    for (k, score) in (0..).zip(scores) {
        if best.as_ref().is_none_or(|(_, top)| score > *top) {
            best = Some((k, score));
        }
    }
    best.map_or(0, |(k, _)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decoder, counts, first spikes, potentials, and the class expected.
    type Case<'a> = (Decode, &'a [u32], &'a [Option<u32>], &'a [f64], u32);

    #[test]
    fn predicts_by_the_rules() {
        let cases: [Case; 15] = [
            (Decode::Count, &[1, 3, 3], &[], &[], 1),
            (Decode::Count, &[0, 0], &[], &[], 0),
            (Decode::Count, &[], &[], &[], 0),
            (Decode::Spikes, &[0, 2], &[], &[], 1),
            (Decode::FirstSpike, &[], &[None, Some(4), Some(0), Some(0)], &[], 2),
            (Decode::FirstSpike, &[], &[None, Some(9)], &[], 1),
            (Decode::FirstSpike, &[], &[None, None], &[], 0),
            (Decode::Vote(2), &[1, 1, 3, 0, 0, 3], &[], &[], 1),
            (Decode::Vote(2), &[1, 1, 2], &[], &[], 0),
            (Decode::Vote(0), &[1, 2], &[], &[], 1),
            (Decode::Vote(1), &[u32::MAX, 2], &[], &[], 0),
            (Decode::Vote(2), &[u32::MAX, 0, u32::MAX, 1], &[], &[], 1),
            (Decode::Potential, &[], &[], &[-3.0, -1.0, -1.0], 1),
            (Decode::Potential, &[], &[], &[f64::NAN, f64::NEG_INFINITY], 1),
            (Decode::Potential, &[], &[], &[0.0, -0.0], 0),
        ];
        for (decode, counts, first, potentials, expected) in cases {
            assert_eq!(predict(decode, counts, first, potentials), expected, "{decode:?} {counts:?} {first:?}");
        }
    }

    #[test]
    fn a_prediction_is_settled_when_no_future_changes_it() {
        // All futures of up to three steps of three outputs, each of which spikes or doesn't in a step.
        for decode in [Decode::Count, Decode::Vote(2), Decode::FirstSpike] {
            for code in 0..1u32 << 9 {
                let (mut counts, mut first) = ([0u32; 3], [None; 3]);
                for step in 0..3u32 {
                    for output in 0..3usize {
                        if code >> (3 * step + output as u32) & 1 == 1 {
                            counts[output] += 1;
                            first[output] = first[output].or(Some(step));
                        }
                    }
                    let left = [2 - step; 3];
                    if !settled(decode, &counts, &first, &left) {
                        continue;
                    }
                    let now = predict(decode, &counts, &first, &[]);
                    for future in 0..1u32 << (3 * (2 - step)) {
                        let (mut c, mut f) = (counts, first);
                        for s in 0..2 - step {
                            for o in (0..3usize).filter(|&o| future >> (3 * s + o as u32) & 1 == 1) {
                                c[o] += 1;
                                f[o] = f[o].or(Some(step + 1 + s));
                            }
                        }
                        assert_eq!(predict(decode, &c, &f, &[]), now, "{decode:?} {counts:?} then {c:?}");
                    }
                }
            }
        }
        assert!(settled(Decode::Count, &[0, 5, 1], &[], &[4, 4, 4]));
        assert!(!settled(Decode::Count, &[1, 5, 1], &[], &[4, 4, 4]), "output 0 can draw level and comes first");
        assert!(settled(Decode::Count, &[1, 5, 1], &[], &[0, 4, 3]));
        assert!(!settled(Decode::Potential, &[9, 0], &[], &[1, 1]));
    }
}

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
}

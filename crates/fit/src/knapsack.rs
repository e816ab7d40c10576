//! One choice for each layer: least loss for every number of words.
//!
//! In: the choices of each layer. Out: the frontier, all selections that no other beats in words and loss both.
//! Invariant: exact (Nemhauser and Ullmann: extending what is beaten never helps, for words and losses add up) while no more than
//! [`MOST`] selections stand beside each other; beyond, the best of each range of words is kept. Cost: layers * choices * selections.

/// A way to store a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// What it takes.
    pub words: u64,
    /// What it does to the network; not below 0.
    pub loss: f64,
}

/// A choice for each layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Sum of the words.
    pub words: u64,
    /// Sum of the losses.
    pub loss: f64,
    /// Index of the choice of each layer.
    pub chosen: Vec<usize>,
}

/// Most selections of a step.
pub const MOST: usize = 1 << 16;

/// A selection for the layers up to some layer, by the selection that it extends.
#[derive(Clone, Copy)]
struct Partial {
    words: u64,
    loss: f64,
    before: u32,
    choice: u32,
}

/// The frontier, words ascending and losses descending. Of equals the one with the earlier choices is kept. Empty only if some layer has no
/// choice.
pub fn frontier(layers: &[Vec<Choice>]) -> Vec<Selection> {
    let mut steps: Vec<Vec<Partial>> = vec![vec![Partial { words: 0, loss: 0.0, before: 0, choice: 0 }]];
    for choices in layers {
        let before = &steps[steps.len() - 1];
        let mut all: Vec<Partial> = Vec::with_capacity(before.len() * choices.len());
        for (b, partial) in before.iter().enumerate() {
            all.extend(choices.iter().enumerate().map(|(c, choice)| Partial {
                words: partial.words.saturating_add(choice.words),
                loss: partial.loss + choice.loss,
                before: b as u32,
                choice: c as u32,
            }));
        }
        all.sort_by(|a, b| a.words.cmp(&b.words).then(a.loss.total_cmp(&b.loss)).then((a.before, a.choice).cmp(&(b.before, b.choice))));
        let mut least = f64::INFINITY;
        all.retain(|p| {
            let better = p.loss < least;
            least = least.min(p.loss);
            better
        });
        steps.push(thinned(all));
    }
    let chosen = |last: usize| {
        let mut at = last;
        let mut chosen: Vec<usize> = Vec::with_capacity(layers.len());
        for step in steps[1..].iter().rev() {
            chosen.push(step[at].choice as usize);
            at = step[at].before as usize;
        }
        chosen.reverse();
        chosen
    };
    let last = &steps[steps.len() - 1];
    last.iter().enumerate().map(|(k, p)| Selection { words: p.words, loss: p.loss, chosen: chosen(k) }).collect()
}

/// At most [`MOST`]: of each range of words the last, which has the least loss; and the very first.
fn thinned(all: Vec<Partial>) -> Vec<Partial> {
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return all };
    if all.len() <= MOST {
        return all;
    }
    let (low, range) = (first.words, (last.words - first.words).div_ceil(MOST as u64 - 2).max(1));
    let bucket = |p: &Partial| (p.words - low) / range;
    let stays = |k: usize| k == 0 || k + 1 == all.len() || bucket(&all[k]) != bucket(&all[k + 1]);
    (0..all.len()).filter(|&k| stays(k)).map(|k| all[k]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every selection, one after the other.
    fn every(layers: &[Vec<Choice>]) -> Vec<Selection> {
        layers.iter().fold(vec![Selection { words: 0, loss: 0.0, chosen: Vec::new() }], |all, choices| {
            let extend = |s: &Selection| {
                let with = |(k, c): (usize, &Choice)| Selection {
                    words: s.words + c.words,
                    loss: s.loss + c.loss,
                    chosen: s.chosen.iter().copied().chain([k]).collect(),
                };
                choices.iter().enumerate().map(with).collect::<Vec<_>>()
            };
            all.iter().flat_map(extend).collect()
        })
    }

    proptest! {
        #[test]
        fn no_selection_is_better(layers in prop::collection::vec(prop::collection::vec((0u64..60, 0u32..40), 1..6), 0..6)) {
            let choice = |&(words, loss): &(u64, u32)| Choice { words, loss: f64::from(loss) / 8.0 };
            let layers: Vec<Vec<Choice>> = layers.iter().map(|l| l.iter().map(choice).collect()).collect();
            let (frontier, every) = (frontier(&layers), every(&layers));
            prop_assert!(frontier.windows(2).all(|w| w[0].words < w[1].words && w[0].loss > w[1].loss));
            for s in &frontier {
                let sum = s.chosen.iter().zip(&layers).fold((0, 0.0), |(w, l), (&k, c)| (w + c[k].words, l + c[k].loss));
                prop_assert_eq!(sum, (s.words, s.loss));
            }
            for limit in 0..300 {
                let best = every.iter().filter(|s| s.words <= limit).map(|s| s.loss).min_by(f64::total_cmp);
                let ours = frontier.iter().rfind(|s| s.words <= limit).map(|s| s.loss);
                prop_assert_eq!(ours, best);
            }
        }
    }

    #[test]
    fn many_selections_are_thinned_and_still_add_up() {
        // Powers of two: every subset stands on the frontier.
        let layer = |k: u32| vec![Choice { words: 0, loss: f64::from(1 << k) }, Choice { words: 1 << k, loss: 0.0 }];
        let layers: Vec<Vec<Choice>> = (0..20).map(layer).collect();
        let found = frontier(&layers);
        assert!(found.len() <= MOST && found.len() > MOST / 4, "{}", found.len());
        assert_eq!((found[0].words, found[found.len() - 1].words), (0, (1 << 20) - 1));
        assert!(found.iter().all(|s| s.words as f64 + s.loss == f64::from((1 << 20) - 1)));
    }

    #[test]
    fn no_layers_take_nothing() {
        assert_eq!(frontier(&[]), [Selection { words: 0, loss: 0.0, chosen: Vec::new() }]);
        assert!(frontier(&[Vec::new()]).is_empty());
    }
}

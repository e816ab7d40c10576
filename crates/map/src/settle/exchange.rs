//! Exchanges between pairs of cores: every neuron wishes, and wishes that go both ways are matched.

use super::Settle;
use crate::pairs::Pairs;

/// Cores that a neuron may wish for.
const WISHES: usize = 3;

/// A neuron that would gain (or lose little) on another core.
#[derive(Debug, Clone, Copy)]
struct Wish {
    neuron: u32,
    from: u32,
    to: u32,
    gain: f32,
}

impl<P: Pairs> Settle<'_, '_, P> {
    /// One pass: every neuron makes its wishes, then pairs of cores exchange. Returns the rate times hops that were saved.
    pub fn exchange(&mut self) -> f64 {
        let mut wishes = Vec::new();
        for v in 0..self.state.graph.neurons() {
            self.wish(v, &mut wishes);
        }
        let key = |w: &Wish| (w.from.min(w.to), w.from.max(w.to), w.from);
        wishes.sort_unstable_by(|a, b| key(a).cmp(&key(b)).then(b.gain.total_cmp(&a.gain)).then(a.neuron.cmp(&b.neuron)));
        let mut saved = 0.0;
        let mut start = 0;
        while start < wishes.len() {
            let (low, high, _) = key(&wishes[start]);
            let end = start + wishes[start..].partition_point(|w| (w.from.min(w.to), w.from.max(w.to)) <= (low, high));
            let middle = start + wishes[start..end].partition_point(|w| w.from == low);
            saved += self.match_up(&wishes[start..middle], &wishes[middle..end]);
            start = end;
        }
        saved
    }

    /// The cores that a neuron would gain most on, and those where it loses less than it can hope to give a partner.
    fn wish(&mut self, v: u32, wishes: &mut Vec<Wish>) {
        let (graph, from) = (self.state.graph, self.state.part(v));
        self.hits.clear();
        self.state.pairs.gather(graph.in_axons(v), u32::MAX, &mut self.hits, &mut self.gather);
        let most = self.hits.iter().filter(|h| h.0 != from).map(|h| h.1).max().unwrap_or(0);
        let mut candidates: Vec<u32> = self.hits.iter().filter(|h| h.0 != from && h.1 == most).map(|h| h.0).take(WISHES).collect();
        if let Some(goal) = self.median(v, from) {
            let known = candidates.len();
            candidates.extend(self.near(goal, from));
            let mut k = known;
            while k < candidates.len() {
                if candidates[..known].contains(&candidates[k]) {
                    candidates.swap_remove(k);
                } else {
                    k += 1;
                }
            }
        }
        let rate = self.rates[graph.axon(v) as usize];
        let mut best: Vec<Wish> = candidates.into_iter().map(|to| Wish { neuron: v, from, to, gain: self.gain(v, from, to) }).collect();
        best.sort_unstable_by(|a, b| b.gain.total_cmp(&a.gain).then(a.to.cmp(&b.to)));
        best.retain(|w| w.gain > -2.0 * rate);
        best.truncate(WISHES);
        wishes.extend(best);
    }

    /// Moves and swaps between two cores, as long as they gain.
    fn match_up(&mut self, there: &[Wish], back: &[Wish]) -> f64 {
        let (mut i, mut j, mut saved) = (0, 0, 0.0);
        while i < there.len() || j < back.len() {
            // The larger gain leads; the other side's best follows if it has to make room.
            let lead_there = match (there.get(i), back.get(j)) {
                (Some(a), Some(b)) => a.gain >= b.gain,
                (Some(_), None) => true,
                _ => false,
            };
            let (lead, others, k) = if lead_there { (there[i], back, &mut j) } else { (back[j], there, &mut i) };
            if lead.gain + others.get(*k).map_or(0.0, |w| w.gain.max(0.0)) <= 0.0 {
                break;
            }
            if self.state.part(lead.neuron) == lead.from {
                let gain = self.gain(lead.neuron, lead.from, lead.to);
                if gain > 0.0 && self.room(lead.neuron, lead.to) {
                    self.state.unassign(lead.neuron);
                    self.state.assign(lead.neuron, lead.to);
                    saved += f64::from(gain);
                } else {
                    while let Some(&partner) = others.get(*k) {
                        if self.state.part(partner.neuron) != partner.from {
                            *k += 1;
                            continue;
                        }
                        if gain + partner.gain > 0.0 {
                            saved += self.swap((lead.neuron, lead.from), (partner.neuron, partner.from));
                            *k += 1;
                        }
                        break;
                    }
                }
            }
            if lead_there { i += 1 } else { j += 1 }
        }
        saved
    }
}

//! Copies of neurons, and which of them serves whom.
//!
//! In: the parts of a neuron and of its copies, and who has an input axon for it. Out: for each message the part that sends it.
//! Invariant: each (source, destination) is served by exactly one part. A copy serves its own core, and the cores of its chip to which it is the
//! nearest of those on the chip; the neuron itself, its primary, serves all others. So chips without a copy never depend on copies elsewhere.
//! Why: the rule stands here alone. The recount and the search for copies both ask it.

use super::Link;
use spikec_chip::mesh::Mesh;

/// A copy of a neuron: the same neuron in another part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    /// Unit of the neuron.
    pub unit: u32,
    /// Part.
    pub part: u32,
    /// Compartment of that part.
    pub compartment: u16,
}

/// Where parts are: their chips, and where they are known their physical cores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sites<'a> {
    pub mesh: &'a Mesh,
    pub chips: &'a [u32],
    pub cores: Option<&'a [u32]>,
}

impl Sites<'_> {
    /// Hops between two parts; 0 where cores are not known.
    fn hops(&self, a: u32, b: u32) -> u32 {
        let core = |part: u32| self.cores.and_then(|cores| cores.get(part as usize)).copied();
        match (core(a), core(b)) {
            (Some(a), Some(b)) => self.mesh.hops(self.mesh.router(a), self.mesh.router(b)).total(),
            _ => 0,
        }
    }

    /// The part that serves `to`: of the primary and the copies. Ties: the primary, then the first part.
    pub fn server(&self, primary: u32, copies: impl Iterator<Item = u32>, to: u32) -> u32 {
        let chip = self.chips[to as usize];
        let near = copies.filter(|&part| self.chips[part as usize] == chip).map(|part| (part != to, self.hops(part, to), true, part));
        let own = (self.chips[primary as usize] == chip).then(|| (primary != to, self.hops(primary, to), false, primary));
        near.chain(own).min().map_or(primary, |best| best.3)
    }
}

/// The serving part of each link; empty without copies. `links` of unit u are `offsets[u]..offsets[u + 1]`; `copies` are sorted; a unit
/// without a primary (an input channel, or a mistake) is served by `u32::MAX`.
pub(super) fn servers(links: &[Link], offsets: &[u32], places: &[Option<(u32, u16)>], copies: &[Seat], sites: Sites) -> Vec<u32> {
    if copies.is_empty() {
        return Vec::new();
    }
    let mut served: Vec<u32> = Vec::with_capacity(links.len());
    let mut rest = copies;
    for (unit, place) in places.iter().enumerate() {
        let mine = rest.partition_point(|seat| seat.unit as usize <= unit);
        let (seats, others) = rest.split_at(mine);
        rest = others;
        let links = &links[offsets[unit] as usize..offsets[unit + 1] as usize];
        let primary = place.map_or(u32::MAX, |place| place.0);
        if seats.is_empty() || primary == u32::MAX {
            served.resize(served.len() + links.len(), primary);
            continue;
        }
        // Of each chip the copies there: a message looks at no others.
        let mut by_chip: Vec<(u32, u32)> = seats.iter().map(|s| (sites.chips[s.part as usize], s.part)).collect();
        by_chip.sort_unstable();
        served.extend(links.iter().map(|link| {
            let chip = sites.chips[link.part as usize];
            let from = by_chip.partition_point(|c| c.0 < chip);
            let near = by_chip[from..].iter().take_while(|c| c.0 == chip).map(|c| c.1);
            sites.server(primary, near, link.part)
        }));
    }
    served
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_core_then_nearest_of_the_chip_then_the_primary() {
        // Two chips of 2 x 2 routers, one core each, side by side: parts 0 to 3 on the first, 4 to 7 on the second.
        let mut topology = crate::testnets::loihi().topology;
        (topology.width.value, topology.height.value, topology.cores_per_router.value) = (2, 2, 1);
        (topology.chips.value, topology.chip_columns.value) = (2, 2);
        let mesh = Mesh::new(&topology);
        let (chips, cores) = ([0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5, 6, 7]);
        let sites = Sites { mesh: &mesh, chips: &chips, cores: Some(&cores) };
        let server = |copies: &[u32], to| sites.server(0, copies.iter().copied(), to);
        // Without copies on the chip the primary serves, wherever other copies are.
        assert_eq!(server(&[], 7), 0);
        assert_eq!(server(&[3], 7), 0);
        // The own core, then the nearest of the chip; of equals the primary.
        assert_eq!(server(&[3], 3), 3);
        assert_eq!(server(&[3], 1), 0);
        assert_eq!(server(&[5, 7], 7), 7);
        assert_eq!(server(&[5, 7], 4), 5);
        assert_eq!(server(&[6, 7], 5), 7);
        // Without cores, the first part of the chip.
        let sites = Sites { cores: None, ..sites };
        assert_eq!(sites.server(0, [7, 5].into_iter(), 4), 5);
        assert_eq!(sites.server(0, [7, 5].into_iter(), 7), 7);
    }
}

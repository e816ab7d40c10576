//! Boards of several chips: which chip each core is on, and cores that hold the entries which other chips cost more.
//!
//! In: an assignment that knows no chips. Out: one that does, within all limits where that can be reached.
//! Invariant: what comes back is counted with the chips it names; every chip has at most its cores.
//! Cost: an assignment more for each try. Why last layer first again: a destination on another chip takes more entries, so
//! cores at a chip's border hold fewer neurons. With the posts placed, every neuron's entries on its chip are known, and a core closes in time.

use crate::check::count;
use crate::hypergraph::Hypergraph;
use crate::layered::{Layered, reverse_order};
use crate::limits::Limits;
use crate::messages::messages;
use crate::pairs::{Lists, Pairs};
use crate::place::{PlaceError, Traffic, assign_chips};
use crate::portfolio::{Effort, Mapping, Options, Strategy};
use crate::repair::{Repair, compact};
use crate::state::State;
use spikec_chip::mesh::Mesh;

/// A board.
#[derive(Debug, Clone, Copy)]
pub struct Board {
    /// Its routers.
    pub mesh: Mesh,
    /// Chips.
    pub chips: u32,
}

impl Board {
    /// Cores of a chip.
    pub fn cores_per_chip(&self) -> u32 {
        self.mesh.cores_per_chip()
    }
    /// Cores of the board.
    pub fn cores(&self) -> u32 {
        self.chips.saturating_mul(self.cores_per_chip())
    }
}

/// Parts of a chip that are filled at first: the rest is for the cores that the borders take.
const FILLS: [f64; 8] = [1.0, 0.94, 0.88, 0.8, 0.7, 0.6, 0.5, 0.4];

/// Gives each core of a mapping a chip, and maps again where the entries between chips demand it. The mapping is illegal if that fails.
///
/// # Errors
/// More cores than a placement can have.
pub fn onto_chips(
    graph: &Hypergraph,
    limits: &Limits,
    rates: &[f32],
    board: &Board,
    mapping: Mapping,
    options: &Options,
) -> Result<(Mapping, Vec<u32>), PlaceError> {
    let per_chip = board.cores_per_chip();
    if mapping.cores <= per_chip {
        let chips = vec![0; mapping.cores as usize];
        return Ok((mapping, chips));
    }
    let traffic = Traffic::new(mapping.cores, messages(graph, &mapping.parts, mapping.cores, rates))?;
    let order = if mapping.strategy == Strategy::Overlap { None } else { reverse_order(graph) };
    let mut layered = order.map(|order| Layered::new(graph, limits, order, mapping.strategy == Strategy::Tiles));
    let mut last = None;
    for fill in FILLS {
        let capacity = ((f64::from(per_chip) * fill) as u32).max(1);
        if u64::from(mapping.cores) > u64::from(capacity) * u64::from(board.chips) {
            break;
        }
        let chips = assign_chips(&traffic, &board.mesh, board.chips, capacity, options.seed, Effort::Fast)?;
        if limits.off_chip_extra == 0 {
            return Ok((mapping, chips));
        }
        let (parts, chips) = match &mut layered {
            Some(layered) => {
                let hints: Vec<u32> = mapping.parts.iter().map(|&core| chips[core as usize]).collect();
                let mut state = State::new(graph, limits, Lists::new(graph, u32::MAX), 0, Vec::new());
                layered.pack_on_chips(&mut state, &hints);
                finish(state)
            }
            None => repaired(graph, limits, &mapping, chips, board),
        };
        let cores = chips.len() as u32;
        let mut of_chip = vec![0u32; board.chips as usize];
        chips.iter().for_each(|&chip| of_chip[chip as usize] += 1);
        let counted = count(graph, limits, &parts, cores, &chips);
        let legal = counted.violations.is_empty() && of_chip.iter().all(|&n| n <= per_chip);
        let in_slots = counted.uses.iter().map(|u| u.in_slots as u64).sum();
        last = Some((Mapping { parts, cores, in_slots, legal, strategy: mapping.strategy }, chips));
        if legal {
            break;
        }
    }
    Ok(last.unwrap_or_else(|| {
        let chips = (0..mapping.cores).map(|core| (core / per_chip).min(board.chips.saturating_sub(1))).collect();
        (Mapping { legal: false, ..mapping }, chips)
    }))
}

/// Repairs, and numbers the cores that have neurons.
fn finish<P: Pairs>(mut state: State<P>) -> (Vec<u32>, Vec<u32>) {
    Repair::new(state.cores()).legalise(&mut state, 0);
    let cores = state.cores();
    let mut used = vec![false; cores as usize];
    state.parts().iter().for_each(|&p| used[p as usize] = true);
    let chips = state.chips().iter().zip(&used).filter(|(_, used)| **used).map(|(&chip, _)| chip).collect();
    let mut parts = state.into_parts();
    compact(&mut parts, cores);
    (parts, chips)
}

/// For nets with loops: the same cores with their chips, and on each chip with room some empty ones that take what does not fit.
fn repaired(graph: &Hypergraph, limits: &Limits, mapping: &Mapping, mut chips: Vec<u32>, board: &Board) -> (Vec<u32>, Vec<u32>) {
    let mut of_chip = vec![0u32; board.chips as usize];
    chips.iter().for_each(|&chip| of_chip[chip as usize] += 1);
    for (chip, &n) in of_chip.iter().enumerate().filter(|(_, n)| **n > 0) {
        chips.extend(std::iter::repeat_n(chip as u32, board.cores_per_chip().saturating_sub(n) as usize));
    }
    let cores = chips.len() as u32;
    let mut state = State::new(graph, limits, Lists::new(graph, cores), cores, chips);
    for (v, &core) in mapping.parts.iter().enumerate() {
        state.assign(v as u32, core);
    }
    finish(state)
}

//! The search for copies: one neuron after the other, one copy at a time, each weighed in full before it is made.
//!
//! In: a mapping with its cores. Out: copies for each part.
//! Invariant: a copy is made only where the part packs within its limits with it, and where it brings the output axons beyond a limit down, or adds
//! none there and saves energy while no core becomes busier than the busiest is. The order is that of the gain, then of the units, then of the cores.
//! Cost: bounded by [`super::work`]. Candidates are parts that the neuron sends to: their copy always serves its own core.

use super::terms::Prices;
use super::work;
use crate::pack::wiring::registers;
use crate::pack::{Packer, Usage, Wiring};
use crate::partition::serve::Sites;
use crate::partition::{Partitioned, Search};
use spikec_chip::cost;
use spikec_chip::target::{Compression, Target};
use spikec_net::Quantized;
use std::collections::BTreeMap;
use std::ops::Range;

/// Parts of a chip that are weighed for one copy.
const CANDIDATES: usize = 16;
/// Copies of a neuron on one chip, and parts that turn out to be full.
const MOST: usize = 64;

/// The generation and the processing of a part in a step, in ns.
#[derive(Debug, Clone, Copy, Default)]
struct Busy {
    sending: f64,
    receiving: f64,
}

/// What a copy would do.
#[derive(Debug)]
struct Change {
    part: u32,
    /// Output axons beyond a limit, after less before.
    excess: i64,
    /// Picojoules of a step that it saves, less those that it costs.
    gain: f64,
    /// The parts that it touches.
    touched: BTreeMap<u32, Touch>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Touch {
    entries: i64,
    sending: f64,
    receiving: f64,
}

pub(super) struct Finder<'a> {
    q: &'a Quantized,
    target: &'a Target,
    base: &'a Partitioned,
    cores: &'a [u32],
    prices: &'a Prices<'a>,
    chips: Vec<u32>,
    packer: Packer<'a>,
    /// Parts of copies by unit.
    seats: BTreeMap<u32, Vec<u32>>,
    /// Copies of each part, ascending.
    added: Vec<Vec<u32>>,
    /// (source, input axons) of parts that have copies, by source.
    packed: BTreeMap<u32, Vec<(u32, u32)>>,
    /// (part, input axons) of units whose links have changed, by part.
    links: BTreeMap<u32, Vec<(u32, u32)>>,
    entries: Vec<u64>,
    /// Output axon entries that each part can have beside what else it holds.
    rooms: Vec<u64>,
    busy: Vec<Busy>,
    busiest: f64,
    /// The pins of each part.
    pins: Vec<Option<Range<u32>>>,
    search: &'a Search,
    left: u64,
}

impl<'a> Finder<'a> {
    /// `cores`: physical core of each part.
    pub fn new(
        q: &'a Quantized,
        target: &'a Target,
        base: &'a Partitioned,
        cores: &'a [u32],
        prices: &'a Prices<'a>,
        search: &'a Search,
    ) -> Self {
        let (parts, wiring) = (base.parts(), base.wiring());
        let ns = &target.packed().timing_ns;
        let entries: Vec<u64> = parts.iter().map(|p| p.usage.iter().filter(|u| u.code == "C03").map(|u| u.used).sum()).collect();
        let rooms = parts.iter().map(|p| entries_beside(target, &p.pack.usage)).collect();
        let busy: Vec<Busy> = parts
            .iter()
            .enumerate()
            .map(|(index, part)| {
                let synapses = |a: &crate::pack::PackedAxon| part.pack.synapses(a) as f64;
                let received = |a: &crate::pack::PackedAxon| prices.rate(a.source) * (*ns.axon_in + *ns.synapse_sparse * synapses(a));
                let sent = |u: u32| prices.rate(u) * (*ns.spike_out + *ns.axon_out * base.sent(u, index as u32).count() as f64);
                Busy {
                    sending: part.pack.units.iter().map(|&u| *ns.neuron_access + *ns.neuron_update + sent(u)).sum(),
                    receiving: part.pack.in_axons.iter().map(received).sum(),
                }
            })
            .collect();
        let busiest = busy.iter().map(|b| b.sending.max(b.receiving)).fold(0.0, f64::max);
        let pin = |unit: u32| pin_of(search, wiring, unit);
        let mut finder = Finder {
            q,
            target,
            base,
            cores,
            prices,
            chips: cores.iter().map(|core| core / target.topology.cores_per_chip().max(1)).collect(),
            packer: Packer::new(q, wiring, target),
            seats: BTreeMap::new(),
            added: parts.iter().map(|p| p.pack.units[p.own..].to_vec()).collect(),
            packed: BTreeMap::new(),
            links: BTreeMap::new(),
            entries,
            rooms,
            busy,
            busiest,
            pins: parts.iter().map(|p| p.pack.units.first().and_then(|&u| pin(u))).collect(),
            search,
            left: work(search.effort),
        };
        for seat in base.copies() {
            finder.seats.entry(seat.unit).or_default().push(seat.part);
        }
        finder
    }

    /// The copies, where some were found.
    pub fn found(self) -> Option<Vec<Vec<u32>>> {
        (self.seats.values().map(Vec::len).sum::<usize>() > self.base.copies().len()).then_some(self.added)
    }

    /// Makes the copies that save energy. Without measured rates only what is certain counts: constant sources, which fire in every step.
    pub fn save(&mut self) {
        let wiring = self.base.wiring();
        let mut worth: Vec<(f64, u32)> = Vec::new();
        for unit in wiring.neuron_units() {
            if self.search.rates.is_empty() && !self.is_constant(unit) {
                continue;
            }
            let ways =
                self.base.messages(unit).filter_map(|(from, link)| Some((self.cores[from? as usize], self.cores[link.part as usize])));
            let way: f64 = self.prices.rate(unit) * ways.map(|(from, to)| self.prices.hops(from, to)).sum::<f64>();
            let n = wiring.reference(unit);
            let gain = way - self.prices.compartment(self.q, unit, (n.population, n.neuron));
            if gain > 0.0 {
                worth.push((gain, unit));
            }
        }
        worth.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, unit) in worth {
            self.spread(unit, true);
        }
    }

    /// Makes copies until no output axons are beyond a limit; false where some remain.
    pub fn relieve(&mut self) -> bool {
        self.busiest = f64::INFINITY;
        let core = &self.target.packed().core;
        let most = u64::from(*core.out_axons_per_neuron);
        let beyond = |loads: &BTreeMap<u32, u64>| loads.values().any(|&n| n > most);
        let wiring = self.base.wiring();
        for unit in wiring.neuron_units().filter(|&u| self.base.links(u).len() as u64 > most) {
            self.spread(unit, false);
            if beyond(&self.loads(unit)) {
                return false;
            }
        }
        for part in 0..self.entries.len() {
            if self.entries[part] <= self.rooms[part] {
                continue;
            }
            // Those that send most for each input that their copy needs.
            let own = &self.base.parts()[part].pack.units;
            let mut units: Vec<(f64, u32)> = own
                .iter()
                .map(|&u| (self.base.sent(u, part as u32).count() as f64 / (1.0 + wiring.fan_in(u) as f64), u))
                .filter(|u| u.0 > 0.0)
                .collect();
            units.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for (_, unit) in units {
                if self.entries[part] <= self.rooms[part] || self.left == 0 {
                    break;
                }
                self.spread(unit, false);
            }
            if self.entries[part] > self.rooms[part] {
                return false;
            }
        }
        self.entries.iter().zip(&self.rooms).all(|(n, room)| n <= room)
    }

    /// True for a neuron that nothing drives but a bias beyond its threshold, in every step.
    fn is_constant(&self, unit: u32) -> bool {
        let (net, n) = (&self.q.net, self.base.wiring().reference(unit));
        let r = registers(net, n);
        let force = i64::from(r.bias.mantissa) << r.bias.exponent.min(31);
        let level = i64::from(r.threshold) << net.rules.threshold_shift.min(31);
        let mapped = net.host_projections.iter().any(|h| h.post == n.population);
        self.base.wiring().fan_in(unit) == 0 && !mapped && r.refractory == 1 && force > level
    }

    fn sites(&self) -> Sites<'_> {
        Sites { mesh: &self.prices.mesh, chips: &self.chips, cores: Some(self.cores) }
    }

    /// (part, input axons) that a unit reaches, by part.
    fn links(&self, unit: u32) -> Vec<(u32, u32)> {
        if let Some(links) = self.links.get(&unit) {
            return links.clone();
        }
        grouped(self.base.links(unit).iter().map(|link| link.part))
    }

    /// (source, input axons) of a part, by source.
    fn sources(&self, part: u32) -> Vec<(u32, u32)> {
        let of_base = || grouped(self.base.parts()[part as usize].pack.in_axons.iter().map(|a| a.source));
        self.packed.get(&part).cloned().unwrap_or_else(of_base)
    }

    /// The part that serves `to` for a neuron.
    fn server(&self, unit: u32, to: u32) -> Option<u32> {
        let primary = self.base.unit_place(unit)?.0;
        Some(self.sites().server(primary, self.seats.get(&unit).into_iter().flatten().copied(), to))
    }

    /// Output axons of each compartment of a neuron.
    fn loads(&self, unit: u32) -> BTreeMap<u32, u64> {
        let mut loads = BTreeMap::new();
        for (to, axons) in self.links(unit) {
            *loads.entry(self.server(unit, to).unwrap_or(u32::MAX)).or_default() += u64::from(axons);
        }
        loads
    }

    /// Makes the copies of a neuron that pay, chip by chip: those that save energy, or only those that bring output axons below a limit.
    fn spread(&mut self, unit: u32, save: bool) {
        let mut chips: Vec<u32> = self.links(unit).iter().map(|l| self.chips[l.0 as usize]).collect();
        chips.sort_unstable();
        chips.dedup();
        for chip in chips {
            let mut full: Vec<u32> = Vec::new();
            for _ in 0..MOST {
                if self.left == 0 {
                    return;
                }
                let Some(change) = self.best(unit, chip, &full, save) else { break };
                if !self.make(unit, &change) {
                    full.push(change.part);
                }
            }
        }
    }

    /// The best copy of a neuron on a chip, if one pays.
    fn best(&mut self, unit: u32, chip: u32, full: &[u32], save: bool) -> Option<Change> {
        let links = self.links(unit);
        let mut here: Vec<(u32, u32, u32)> = Vec::new();
        for &(to, axons) in links.iter().filter(|l| self.chips[l.0 as usize] == chip) {
            here.push((to, axons, self.server(unit, to)?));
        }
        let primary = self.base.unit_place(unit)?.0;
        let seats = self.seats.get(&unit);
        let compartments = u64::from(*self.target.packed().core.compartments);
        let pin = pin_of(self.search, self.base.wiring(), unit);
        let mut open: Vec<u32> = here.iter().map(|h| h.0).collect();
        open.retain(|&part| {
            let held = self.base.parts()[part as usize].own + self.added[part as usize].len();
            let taken = part == primary || full.contains(&part) || seats.is_some_and(|s| s.contains(&part));
            !taken && (held as u64) < compartments && self.pins[part as usize] == pin
        });
        open.sort_unstable_by_key(|&part| self.cores[part as usize]);
        let count = open.len().min(CANDIDATES);
        let loads = self.loads(unit);
        let mut best: Option<Change> = None;
        for k in 0..count {
            // Spread over the chip.
            let part = open[(2 * k + 1) * open.len() / (2 * count)];
            let change = self.weigh(unit, part, &here, &loads);
            self.left = self.left.saturating_sub((here.len() + self.base.wiring().fan_in(unit) + 1) as u64);
            let quiet = change.touched.iter().all(|(&part, touch)| {
                let busy = &self.busy[part as usize];
                (busy.sending + touch.sending).max(busy.receiving + touch.receiving) <= self.busiest * (1.0 + 1e-12)
            });
            let pays = change.excess < 0 || (save && change.excess == 0 && change.gain > 1e-9);
            let better = |b: &Change| (change.excess, -change.gain) < (b.excess, -b.gain);
            if pays && quiet && best.as_ref().is_none_or(better) {
                best = Some(change);
            }
        }
        self.left = self.left.saturating_sub(links.len() as u64);
        best
    }

    /// Weighs a copy of `unit` in `part`; `here`: the parts of its chip that the neuron reaches, with their input axons and servers.
    fn weigh(&self, unit: u32, part: u32, here: &[(u32, u32, u32)], loads: &BTreeMap<u32, u64>) -> Change {
        let (prices, wiring, sites) = (self.prices, self.base.wiring(), self.sites());
        let (core, ns) = (&self.target.packed().core, &self.target.packed().timing_ns);
        let primary = self.base.unit_place(unit).map_or(u32::MAX, |place| place.0);
        let rate = prices.rate(unit);
        let entries = |from: u32, to: u32| i64::from(cost::out_axon_entries(core, self.chips[from as usize] != self.chips[to as usize]));
        let way = |from: u32, to: u32| prices.hops(self.cores[from as usize], self.cores[to as usize]);
        let mut touched: BTreeMap<u32, Touch> = BTreeMap::new();
        let mut after = loads.clone();
        let mut gain = 0.0;
        for &(to, axons, server) in here {
            let others = Some(server).filter(|&s| s != primary).into_iter().chain([part]);
            if sites.server(primary, others, to) != part {
                continue;
            }
            let count = f64::from(axons);
            gain += rate * count * (way(server, to) - way(part, to));
            for (place, sign) in [(server, -1), (part, 1)] {
                let touch = touched.entry(place).or_default();
                touch.entries += sign * i64::from(axons) * entries(place, to);
                touch.sending += sign as f64 * rate * count * *ns.axon_out;
                let load = after.entry(place).or_default();
                *load = load.saturating_add_signed(sign * i64::from(axons));
            }
        }
        let n = wiring.reference(unit);
        gain -= prices.compartment(self.q, unit, (n.population, n.neuron));
        let mut new = Touch { sending: *ns.neuron_access + *ns.neuron_update + rate * *ns.spike_out, ..Touch::default() };
        let known = self.sources(part);
        let dear = prices.synapse(Compression::Dense, false).max(prices.synapse(Compression::Sparse, false));
        for (source, synapses) in sources_of(wiring, unit) {
            let rate = prices.rate(source);
            gain -= rate * f64::from(synapses) * dear;
            new.receiving += rate * f64::from(synapses) * *ns.synapse_sparse;
            if known.binary_search_by_key(&source, |k| k.0).is_ok() {
                continue;
            }
            new.receiving += rate * *ns.axon_in;
            let server = if source == unit { Some(part) } else { self.server(source, part) };
            match server {
                None => gain -= rate * prices.host_message(self.cores[part as usize]),
                Some(server) => {
                    gain -= rate * (prices.message() + way(server, part));
                    let touch = touched.entry(server).or_default();
                    touch.entries += entries(server, part);
                    touch.sending += rate * *ns.axon_out;
                }
            }
        }
        let touch = touched.entry(part).or_default();
        (touch.sending, touch.receiving) = (touch.sending + new.sending, touch.receiving + new.receiving);
        let beyond = |n: i64, limit: i64| (n - limit).max(0);
        let mut excess: i64 = touched
            .iter()
            .map(|(&part, touch)| {
                let (before, room) = (self.entries[part as usize] as i64, self.rooms[part as usize] as i64);
                beyond(before + touch.entries, room) - beyond(before, room)
            })
            .sum();
        let most = i64::from(*core.out_axons_per_neuron);
        let over = |loads: &BTreeMap<u32, u64>| loads.values().map(|&n| beyond(n as i64, most)).sum::<i64>();
        excess += over(&after) - over(loads);
        Change { part, excess, gain, touched }
    }

    /// Makes a copy, if its part packs with it and no other neuron passes its limit of output axons.
    fn make(&mut self, unit: u32, change: &Change) -> bool {
        let part = change.part;
        let core = &self.target.packed().core;
        let before = self.sources(part);
        let mut added = self.added[part as usize].clone();
        added.insert(added.partition_point(|&u| u < unit), unit);
        self.packer.clear();
        let held = &self.base.parts()[part as usize];
        for &u in held.pack.units[..held.own].iter().chain(&added) {
            self.packer.push(u);
            self.left = self.left.saturating_sub(self.base.wiring().fan_in(u) as u64);
        }
        let pack = self.packer.pack();
        if pack.usage.iter().any(|u| u.used > u.available) {
            return false;
        }
        // The copy may leave fewer bytes for output axons: no more may be beyond than were.
        let room = entries_beside(self.target, &pack.usage);
        let (had, sent) = (self.entries[part as usize], change.touched.get(&part).map_or(0, |touch| touch.entries));
        let beyond = had.saturating_add_signed(sent).saturating_sub(room);
        if room < self.rooms[part as usize] && beyond > had.saturating_sub(self.rooms[part as usize]) {
            return false;
        }
        let after = grouped(pack.in_axons.iter().map(|a| a.source));
        let changed: Vec<(u32, u32)> = after.iter().copied().filter(|a| before.binary_search(a).is_err()).collect();
        for &(source, axons) in changed.iter().filter(|c| c.0 != unit) {
            let Some(server) = self.server(source, part) else { continue };
            let had = before.binary_search_by_key(&source, |b| b.0).map_or(0, |k| before[k].1);
            let load = self.loads(source).get(&server).copied().unwrap_or(0);
            self.left = self.left.saturating_sub(self.base.links(source).len() as u64);
            if load + u64::from(axons) > u64::from(*core.out_axons_per_neuron) + u64::from(had) {
                return false;
            }
        }
        for (&part, touch) in &change.touched {
            let entries = &mut self.entries[part as usize];
            *entries = entries.saturating_add_signed(touch.entries);
            let busy = &mut self.busy[part as usize];
            (busy.sending, busy.receiving) = (busy.sending + touch.sending, busy.receiving + touch.receiving);
        }
        self.rooms[part as usize] = room;
        self.seats.entry(unit).or_default().push(part);
        self.added[part as usize] = added;
        for (source, axons) in changed {
            let mut links = self.links(source);
            match links.binary_search_by_key(&part, |l| l.0) {
                Ok(k) => links[k].1 = axons,
                Err(k) => links.insert(k, (part, axons)),
            }
            self.links.insert(source, links);
        }
        self.packed.insert(part, after);
        true
    }
}

/// Output axon entries that a core can have beside what is packed: those of its table, or fewer where bytes are short.
fn entries_beside(target: &Target, packed: &[Usage]) -> u64 {
    let core = &target.packed().core;
    let most = u64::from(*core.out_axon_entries);
    match packed.iter().find(|u| u.code == "C27") {
        Some(bytes) if *core.out_axon_entry_bytes > 0 => {
            most.min(bytes.available.saturating_sub(bytes.used) / u64::from(*core.out_axon_entry_bytes))
        }
        _ => most,
    }
}

/// Equal neighbours, counted.
fn grouped(items: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut groups: Vec<(u32, u32)> = Vec::new();
    for item in items {
        match groups.last_mut().filter(|g| g.0 == item) {
            Some(group) => group.1 += 1,
            None => groups.push((item, 1)),
        }
    }
    groups
}

/// (source, synapses) of a neuron.
fn sources_of(wiring: &Wiring, unit: u32) -> Vec<(u32, u32)> {
    let mut sources: Vec<u32> = wiring.incoming(unit).map(|s| s.source).collect();
    sources.sort_unstable();
    grouped(sources.into_iter())
}

/// The cores on which the population of a unit must be.
fn pin_of(search: &Search, wiring: &Wiring, unit: u32) -> Option<Range<u32>> {
    let population = wiring.reference(unit).population;
    search.pins.iter().find(|p| p.0 == population).map(|p| p.1.clone())
}

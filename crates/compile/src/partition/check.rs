//! Checks of the whole net that no partition changes: registers within the target's fields, each neuron assigned once, copies beside none of their own kind.

use super::{Proposal, Seat};
use crate::finding::Finding;
use crate::pack::Wiring;
use crate::pack::usage::remedy;
use crate::pack::wiring::stored_signs;
use crate::quantize::{fixed_rules, sign_finding};
use spikec_chip::target::Target;
use spikec_net::Quantized;

/// Adds a finding for values outside `least ..= most`: it names the worst one.
fn range(
    findings: &mut Vec<Finding>,
    code: &'static str,
    what: &str,
    layer: &str,
    values: impl Iterator<Item = i64>,
    (least, most): (i64, i64),
) {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    for v in values {
        (low, high) = (low.min(v), high.max(v));
    }
    let mut report = |bound: &str, need: i64, limit: i64| {
        let remedy = "quantize the network for this target";
        findings.push(Finding::error(code, format!("{bound} {what}"), need as f64, limit as f64, remedy).layer(layer));
    };
    if low < least {
        report("smallest", low, least);
    }
    if high > most && high != i64::MIN {
        report("largest", high, most);
    }
}

/// C10, C12, C13: rules, weights and registers can be stored as they are.
pub(super) fn registers(q: &Quantized, target: &Target, findings: &mut Vec<Finding>) {
    let (net, p) = (&q.net, target.packed());
    let (have, want) = (net.rules, fixed_rules(target));
    for (what, have, want) in [
        ("weight alignment (bits)", i64::from(have.align_shift), i64::from(want.align_shift)),
        ("weight limit (bits)", have.weight_limit_bits.into(), want.weight_limit_bits.into()),
        ("width of the input sum (bits)", have.input_bits.into(), want.input_bits.into()),
        ("width of u (bits)", have.u_bits.into(), want.u_bits.into()),
        ("smallest v", have.v_min.into(), want.v_min.into()),
        ("largest v", have.v_max.into(), want.v_max.into()),
        ("threshold shift (bits)", have.threshold_shift.into(), want.threshold_shift.into()),
    ] {
        if have != want {
            findings.push(Finding::error("C10", format!("{what}, one value for a core"), have as f64, want as f64, remedy("C10")));
        }
    }
    for projection in &net.projections {
        let (f, name) = (&projection.format, projection.name.as_str());
        if f.bits == 0 || f.bits > 8 {
            findings.push(Finding::error("C12", "weight width (bits)", f.bits.into(), 8.0, "use 1 to 8 bits").layer(name));
            continue;
        }
        if let Some(lacking) = stored_signs(f.sign).iter().find(|sign| !p.weights.signs.contains(sign)) {
            findings.push(sign_finding(lacking, name));
        }
        let (least, most) = *p.weights.exponent;
        range(findings, "C12", "weight exponent", name, [f.exponent.into()].into_iter(), (least.into(), most.into()));
        let (least, most) = f.mantissa_range();
        let weights = || projection.synapses.rows().flat_map(|row| row.weights());
        range(findings, "C12", "weight mantissa", name, weights().map(|&w| w.into()), (least.into(), most.into()));
        let off = weights().filter(|&&w| w % (1i16 << f.grid_shift()) != 0).count();
        if off > 0 {
            let remedy = "round the mantissas to multiples of the format's grid";
            findings.push(Finding::error("C12", "weight mantissas off the grid", off as f64, 0.0, remedy).layer(name));
        }
    }
    let n = &p.neuron;
    let field = |bits: u8| (1i64 << bits.min(62)) - 1;
    for population in &net.populations {
        let (name, neurons) = (population.name.as_str(), population.neurons());
        let all = || neurons.iter();
        let decay = |offset: u16| (i64::from(offset), (field(*n.decay_bits) + i64::from(offset)).min(4096));
        range(findings, "C13", "decay of u", name, all().map(|x| x.decay_u.into()), decay(*n.u_decay_offset));
        range(findings, "C13", "decay of v", name, all().map(|x| x.decay_v.into()), decay(*n.v_decay_offset));
        range(findings, "C13", "threshold mantissa", name, all().map(|x| x.threshold.into()), (0, field(*n.threshold_mantissa_bits)));
        let (least, most) = *n.refractory;
        range(findings, "C13", "refractory period (steps)", name, all().map(|x| x.refractory.into()), (least.into(), most.into()));
        let mantissa = field(n.bias_mantissa_bits.saturating_sub(1));
        range(findings, "C13", "bias mantissa", name, all().map(|x| x.bias.mantissa.into()), (-mantissa, mantissa));
        range(findings, "C13", "bias exponent", name, all().map(|x| x.bias.exponent.into()), (0, (*n.bias_exponent_max).into()));
    }
}

/// What a proposal says, as units.
pub(super) struct Assignment {
    /// Units of each part: its own, then copies.
    pub units: Vec<Vec<u32>>,
    /// How many of them are its own.
    pub own: Vec<usize>,
    /// (part, compartment) of each unit.
    pub places: Vec<Option<(u32, u16)>>,
    /// Copies by unit and part.
    pub copies: Vec<Seat>,
}

/// P01-P05 and P07: every neuron in exactly one part, copies in others. Unknown neurons are left out, of doubles the first stays.
pub(super) fn assignment(q: &Quantized, wiring: &Wiring, proposal: &Proposal, findings: &mut Vec<Finding>) -> Assignment {
    let parts = &proposal.parts;
    let populations = q.net.populations.len();
    let mut places = vec![None; wiring.units() as usize];
    let mut doubles = vec![0u32; populations];
    let mut units: Vec<Vec<u32>> = Vec::with_capacity(parts.len());
    let mut unknown = 0u32;
    for (index, part) in parts.iter().enumerate() {
        if part.is_empty() {
            findings.push(Finding::error("P04", "neurons of the part", 0.0, 1.0, "leave empty parts out").core(index as u32));
        }
        let mut known = Vec::with_capacity(part.len());
        for &neuron in part {
            match wiring.neuron_unit(neuron) {
                None => unknown += 1,
                Some(unit) if places[unit as usize].is_some() => doubles[neuron.population.index()] += 1,
                Some(unit) => {
                    places[unit as usize] = Some((index as u32, known.len().min(65535) as u16));
                    known.push(unit);
                }
            }
        }
        units.push(known);
    }
    let own = units.iter().map(Vec::len).collect();
    let mut copies: Vec<Seat> = Vec::new();
    let mut beside = vec![0u32; populations];
    let mut last_part = vec![u32::MAX; if proposal.copies.is_empty() { 0 } else { wiring.units() as usize }];
    for (index, (list, known)) in proposal.copies.iter().zip(&mut units).enumerate() {
        let part = index as u32;
        for &neuron in list {
            let Some(unit) = wiring.neuron_unit(neuron) else {
                unknown += 1;
                continue;
            };
            let here = places[unit as usize].is_some_and(|place| place.0 == part);
            if here || std::mem::replace(&mut last_part[unit as usize], part) == part {
                beside[neuron.population.index()] += 1;
                continue;
            }
            copies.push(Seat { unit, part, compartment: known.len().min(65535) as u16 });
            known.push(unit);
        }
    }
    copies.sort_unstable();
    let homeless: usize = proposal.copies.iter().skip(parts.len()).map(Vec::len).sum();
    if homeless > 0 {
        findings.push(Finding::error("P07", "copies without a part", homeless as f64, 0.0, "correct the partitioner"));
    }
    if unknown > 0 {
        findings.push(Finding::error("P03", "neurons that the network does not have", unknown.into(), 0.0, "correct the partitioner"));
    }
    let mut missing = vec![0u32; populations];
    for unit in wiring.neuron_units().filter(|&u| places[u as usize].is_none()) {
        missing[wiring.reference(unit).population.index()] += 1;
    }
    for (i, population) in q.net.populations.iter().enumerate() {
        for (code, count, what, remedy) in [
            ("P01", missing[i], "neurons without a core", "correct the partitioner"),
            ("P02", doubles[i], "neurons with more than one core", "correct the partitioner, or call all but one of them copies"),
            ("P05", beside[i], "copies beside the same neuron", "put each copy on a core of its own"),
        ] {
            if count > 0 {
                findings.push(Finding::error(code, what, count.into(), 0.0, remedy).layer(&*population.name));
            }
        }
    }
    Assignment { units, own, places, copies }
}

/// P06: copies that serve no message.
pub(super) fn unread<'a>(q: &Quantized, wiring: &Wiring, copies: impl Iterator<Item = &'a Seat>, findings: &mut Vec<Finding>) {
    let mut counts = vec![0u32; q.net.populations.len()];
    for seat in copies {
        counts[wiring.reference(seat.unit).population.index()] += 1;
    }
    for (population, &count) in q.net.populations.iter().zip(&counts).filter(|(_, count)| **count > 0) {
        let remedy = "leave them out: a copy serves its own core and the cores of its chip that are nearer to it than to the others";
        findings.push(Finding::error("P06", "copies that nothing reads", count.into(), 0.0, remedy).layer(&*population.name));
    }
}
